package disk_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"waterlock/internal/disk"
)

// mountImage makes a file system in an image file and mounts it over a loop
// device; it returns the image and the mount point. Needs root.
func mountImage(t *testing.T, mkfs []string, mount func(device, dir string) []string) (image, dir string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root may mount")
	}
	for _, tool := range []string{mkfs[0], mount("", "")[0], "losetup", "umount"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
	image, dir = filepath.Join(t.TempDir(), "image"), t.TempDir()
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, 64<<20); err != nil {
		t.Fatal(err)
	}
	run := func(command ...string) (string, error) {
		out, err := exec.Command(command[0], command[1:]...).CombinedOutput()
		return strings.TrimSpace(string(out)), err
	}
	if out, err := run(append(mkfs, image)...); err != nil {
		t.Skipf("%v: %s", err, out)
	}
	device, err := run("losetup", "--find", "--show", image)
	if err != nil {
		t.Skipf("no loop devices: %s", device)
	}
	t.Cleanup(func() { run("losetup", "--detach", device) })
	if out, err := run(mount(device, dir)...); err != nil {
		t.Skipf("cannot mount: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := run("umount", dir); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	return image, dir
}

// flipInImage changes one byte of a file underneath its file system.
func flipInImage(t *testing.T, image string, marker []byte) {
	t.Helper()
	f, err := os.OpenFile(image, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const sector = 512 // the marker is at the beginning of one
	buf := make([]byte, 1<<20)
	for off := int64(0); ; off += int64(len(buf)) {
		n, err := f.ReadAt(buf, off)
		for at := 0; at < n; at += sector {
			if bytes.HasPrefix(buf[at:n], marker) {
				if _, err := f.WriteAt([]byte{buf[at] ^ 1}, off+int64(at)); err != nil {
					t.Fatal(err)
				}
				return
			}
		}
		if err != nil {
			t.Fatal("the synced file is not in the image: ", err)
		}
	}
}

// testReadBackIsCold writes and syncs a file, flips a byte underneath, and
// shows that a plain read hides it and ReadBack sees it.
func testReadBackIsCold(t *testing.T, image, dir string) {
	fsys, err := disk.Dir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer fsys.Close()
	marker := []byte("the marker that is looked for in the image\n")
	data := append(bytes.Repeat([]byte("x"), 1<<20), marker...)
	data = append(data, bytes.Repeat([]byte("y"), 1<<20)...)
	f, err := fsys.Create("file", 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	flipInImage(t, image, marker)
	if got, err := disk.ReadAll(fsys, "file", 1<<30); err != nil || !bytes.Equal(got, data) {
		t.Logf("a plain read saw the medium already (%v): nothing is shown by this", err)
	}
	var got []byte
	c, err := disk.ReadBack(fsys, "file", func(r disk.File) (err error) {
		got, err = io.ReadAll(r)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if c != disk.Cold {
		t.Errorf("the read-back is %v", c)
	}
	if bytes.Equal(got, data) {
		t.Error("the read-back did not see the byte flipped on the medium")
	}
}

func TestReadBackIsColdOnExt4(t *testing.T) {
	image, dir := mountImage(t, []string{"mkfs.ext4", "-q", "-F"},
		func(device, dir string) []string { return []string{"mount", "-t", "ext4", device, dir} })
	testReadBackIsCold(t, image, dir)
}

// A FUSE driver reads through the cache of its block device.
func TestReadBackIsColdUnderFUSE(t *testing.T) {
	image, dir := mountImage(t, []string{"mkfs.exfat"},
		func(device, dir string) []string { return []string{"mount.exfat-fuse", device, dir} })
	testReadBackIsCold(t, image, dir)
}

// What was written and not synced is never called cold, nor anything on a
// file system in memory.
func TestEvictIsWarmWithoutAMedium(t *testing.T) {
	if _, err := os.Stat("/dev/shm"); err != nil {
		t.Skip("no /dev/shm")
	}
	dir, err := os.MkdirTemp("/dev/shm", "disktest")
	if err != nil {
		t.Skip(err)
	}
	defer os.RemoveAll(dir)
	fsys, err := disk.Dir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer fsys.Close()
	c, err := disk.PutFinal(fsys, "file", []byte("data"))
	if err != nil {
		t.Fatal(err)
	}
	if c != disk.Warm {
		t.Errorf("a file in memory was read back %v", c)
	}
}

func TestFullDisk(t *testing.T) {
	_, dir := mountImage(t, []string{"mkfs.ext4", "-q", "-F", "-m", "0"},
		func(device, dir string) []string { return []string{"mount", "-t", "ext4", device, dir} })
	fsys, err := disk.Dir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer fsys.Close()
	space, err := fsys.Free()
	if err != nil || space.Avail > 64<<20 || space.Total > 64<<20 || space.Avail < 32<<20 {
		t.Fatalf("%+v, %v", space, err)
	}
	_, err = disk.PutFinal(fsys, "big", make([]byte, space.Avail+1<<20))
	if !disk.IsNoSpace(err) {
		t.Errorf("error %v", err)
	}
	if _, err := fsys.Stat("big"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what was written of it is still there: %v", err)
	}
}

// A drive mounted read-only can still be locked by the file that is there.
func TestLockOnAReadOnlyDrive(t *testing.T) {
	_, dir := mountImage(t, []string{"mkfs.ext4", "-q", "-F"},
		func(device, dir string) []string { return []string{"mount", "-t", "ext4", device, dir} })
	path := filepath.Join(dir, "drive.json")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-o", "remount,ro", dir).CombinedOutput(); err != nil {
		t.Skipf("cannot remount: %s", out)
	}
	l, err := disk.TryLock(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := disk.TryLock(path); !errors.Is(err, disk.ErrLocked) {
		t.Errorf("error %v", err)
	}
	if err := l.Unlock(); err != nil {
		t.Error(err)
	}
}
