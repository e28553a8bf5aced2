package tests

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fileSystem is a kind of file system, made in a sparse image behind a loop
// device.
type fileSystem struct {
	name  string
	size  int64
	mkfs  []string // to which the device is added
	mount []string // to which the device and the directory are added
}

var (
	ext4 = fileSystem{"ext4", 192 << 20, []string{"mkfs.ext4", "-q", "-F"}, []string{"mount", "-t", "ext4"}}
	xfs  = fileSystem{"xfs", 300 << 20, []string{"mkfs.xfs", "-q", "-f"}, []string{"mount", "-t", "xfs"}}
	// Metadata once only, together with the data: else a small one has no room.
	btrfs = fileSystem{"btrfs", 256 << 20, []string{"mkfs.btrfs", "-q", "-f", "--mixed", "-m", "single", "-d", "single"}, []string{"mount", "-t", "btrfs"}}
	exfat = fileSystem{"exfat through FUSE", 64 << 20, []string{"mkfs.exfat"}, []string{"mount.exfat-fuse"}}
	ntfs  = fileSystem{"ntfs through FUSE", 64 << 20, []string{"mkfs.ntfs", "-q", "-Q", "-F"}, []string{"ntfs-3g"}}
)

// mounted is a file system at a directory of its own, until the test ends.
type mounted struct {
	t        testing.TB
	dir      string
	mountCmd []string // with the device, without the directory
	on       bool
}

// mount makes a file system and mounts it. Where that is not possible here,
// the test is skipped, and says why.
func (f fileSystem) mountFor(t testing.TB) *mounted {
	t.Helper()
	needRoot(t)
	for _, tool := range []string{"losetup", f.mkfs[0], f.mount[0], "umount"} {
		needTool(t, tool)
	}
	if f.mount[0] == "mount" {
		needKernel(t, f.name)
	}
	if _, err := os.Stat("/dev/loop-control"); err != nil {
		t.Skipf("no loop devices here: %v", err)
	}
	dir := t.TempDir()
	image := filepath.Join(dir, "image")
	file, err := os.Create(image)
	must(t, err)
	must(t, errors.Join(file.Truncate(f.size), file.Close()))
	out, err := exec.Command("losetup", "--find", "--show", image).CombinedOutput()
	if err != nil {
		t.Skipf("no loop device to be had: %v: %s", err, out)
	}
	device := strings.TrimSpace(string(out))
	t.Cleanup(func() {
		if out, err := exec.Command("losetup", "-d", device).CombinedOutput(); err != nil {
			t.Errorf("losetup -d %s: %v: %s", device, err, out)
		}
	})
	command(t, append(f.mkfs, device)...)
	return mountAt(t, filepath.Join(dir, "mnt"), append(f.mount, device)...)
}

// tmpfs mounts memory of so many bytes.
func tmpfs(t testing.TB, size int64) *mounted {
	t.Helper()
	needRoot(t)
	needTool(t, "mount")
	return mountAt(t, filepath.Join(t.TempDir(), "mnt"), "mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=%d", size), "tmpfs")
}

func mountAt(t testing.TB, dir string, cmd ...string) *mounted {
	t.Helper()
	must(t, os.Mkdir(dir, 0o755))
	m := &mounted{t: t, dir: dir, mountCmd: cmd}
	if out, err := exec.Command(cmd[0], append(cmd[1:], dir)...).CombinedOutput(); err != nil {
		t.Skipf("%s does not work here: %v: %s", strings.Join(cmd, " "), err, out)
	}
	m.on = true
	t.Cleanup(m.unmount)
	return m
}

// unmount may be called again.
func (m *mounted) unmount() {
	if !m.on {
		return
	}
	m.on = false
	out, err := exec.Command("umount", m.dir).CombinedOutput()
	for range 20 { // somebody who looked in is about to leave
		if err == nil || !strings.Contains(string(out), "busy") {
			break
		}
		time.Sleep(100 * time.Millisecond)
		out, err = exec.Command("umount", m.dir).CombinedOutput()
	}
	if err != nil {
		m.t.Errorf("umount %s: %v: %s", m.dir, err, out)
		_ = exec.Command("umount", "-l", m.dir).Run() // so that nothing is left behind
	}
}

// again unmounts and mounts: what is read then comes from the medium.
func (m *mounted) again() {
	m.t.Helper()
	m.unmount()
	command(m.t, append(m.mountCmd, m.dir)...)
	m.on = true
}

// powerCut makes the file system take nothing more, as if the power had gone:
// what was not flushed is lost. again brings it back.
func (m *mounted) powerCut() error {
	out, err := exec.Command("xfs_io", "-x", "-c", "shutdown", m.dir).CombinedOutput()
	if err != nil {
		return fmt.Errorf("xfs_io shutdown: %w: %s", err, out)
	}
	return nil
}

func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("mounting a file system needs root")
	}
}

func needTool(t testing.TB, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("%s is not installed: %v", name, err)
	}
}

// needKernel skips where the kernel does not know a file system and has no
// module of it.
func needKernel(t testing.TB, name string) {
	t.Helper()
	known := func() bool {
		data, err := os.ReadFile("/proc/filesystems")
		return err == nil && strings.Contains(string(data), "\t"+name+"\n")
	}
	if !known() {
		_ = exec.Command("modprobe", name).Run()
	}
	if !known() {
		t.Skipf("the kernel does not know %s", name)
	}
}

func command(t testing.TB, args ...string) {
	t.Helper()
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
}
