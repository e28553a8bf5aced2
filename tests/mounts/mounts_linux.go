package mounts

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// FileSystem is a kind of file system.
type FileSystem struct {
	Name  string
	Size  int64    // bytes, where nobody says otherwise
	mkfs  []string // to which the device is added; none for memory
	mount []string // to which the device and the directory are added
}

var (
	Ext4 = FileSystem{"ext4", 192 << 20, []string{"mkfs.ext4", "-q", "-F"}, []string{"mount", "-t", "ext4"}}
	XFS  = FileSystem{"xfs", 300 << 20, []string{"mkfs.xfs", "-q", "-f"}, []string{"mount", "-t", "xfs"}}
	// Metadata once only, together with the data: else a small one has no room.
	Btrfs = FileSystem{"btrfs", 256 << 20, []string{"mkfs.btrfs", "-q", "-f", "--mixed", "-m", "single", "-d", "single"}, []string{"mount", "-t", "btrfs"}}
	ExFAT = FileSystem{"exfat", 64 << 20, []string{"mkfs.exfat"}, []string{"mount.exfat-fuse"}} // through FUSE
	NTFS  = FileSystem{"ntfs", 64 << 20, []string{"mkfs.ntfs", "-q", "-Q", "-F"}, []string{"ntfs-3g"}}
	TmpFS = FileSystem{"tmpfs", 64 << 20, nil, []string{"mount", "-t", "tmpfs"}}
)

// Named is the file system of a name.
func Named(name string) (FileSystem, bool) {
	for _, f := range []FileSystem{Ext4, XFS, Btrfs, ExFAT, NTFS, TmpFS} {
		if f.Name == name {
			return f, true
		}
	}
	return FileSystem{}, false
}

// Lacks says why the file system cannot be made and mounted here; "" if it can.
// It tries, once.
func (f FileSystem) Lacks() string {
	mutex.Lock()
	defer mutex.Unlock()
	why, tried := lacks[f.Name]
	if !tried {
		if why = f.missing(); why == "" {
			why = f.try()
		}
		lacks[f.Name] = why
	}
	return why
}

var (
	mutex sync.Mutex
	lacks = map[string]string{} // by name
)

func (f FileSystem) try() string {
	dir, err := os.MkdirTemp("", "mounts-")
	if err != nil {
		return err.Error()
	}
	defer os.RemoveAll(dir)
	m, err := f.Make(filepath.Join(dir, "mnt"), 0)
	if err == nil {
		err = m.Close()
	}
	if err != nil {
		return fmt.Sprintf("no %s here: %v", f.Name, err)
	}
	return ""
}

func (f FileSystem) missing() string {
	if os.Geteuid() != 0 {
		return "mounting a file system needs root"
	}
	tools := []string{f.mount[0], "umount"}
	if f.mkfs != nil {
		tools = append(tools, f.mkfs[0], "losetup")
		if _, err := os.Stat("/dev/loop-control"); err != nil {
			return fmt.Sprintf("no loop devices here: %v", err)
		}
	}
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Sprintf("%s is not installed: %v", tool, err)
		}
	}
	if f.mount[0] == "mount" && !inKernel(f.Name) {
		return "the kernel does not know " + f.Name
	}
	return ""
}

// inKernel tells whether the kernel knows a file system, or has a module of it.
func inKernel(name string) bool {
	known := func() bool {
		data, err := os.ReadFile("/proc/filesystems")
		return err == nil && strings.Contains(string(data), "\t"+name+"\n")
	}
	if !known() {
		_ = exec.Command("modprobe", name).Run()
	}
	return known()
}

// Mounted is a file system at a directory of its own, until Close.
type Mounted struct {
	Dir    string
	image  string // "" for memory
	device string
	mount  []string // without the directory
	on     bool
}

// Make makes a file system of size bytes, 0 = its usual size, and mounts it at
// dir, which must not exist or be empty. Its image is dir with ".image" added.
func (f FileSystem) Make(dir string, size int64) (_ *Mounted, err error) {
	if size == 0 {
		size = f.Size
	}
	m := &Mounted{Dir: dir}
	defer func() {
		if err != nil {
			_ = m.Close()
		}
	}()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if f.mkfs == nil {
		m.mount = append(f.mount, "-o", "size="+strconv.FormatInt(size, 10), "tmpfs")
	} else {
		m.image = dir + ".image"
		file, err := os.Create(m.image)
		if err != nil {
			return nil, err
		}
		if err := errors.Join(file.Truncate(size), file.Close()); err != nil {
			return nil, err
		}
		out, err := exec.Command("losetup", "--find", "--show", m.image).CombinedOutput()
		if err != nil {
			return nil, fmt.Errorf("no loop device to be had: %w: %s", err, out)
		}
		m.device = strings.TrimSpace(string(out))
		m.mount = append(f.mount, m.device)
		if err := command(append(f.mkfs, m.device)...); err != nil {
			return nil, err
		}
	}
	return m, m.remount()
}

func (m *Mounted) remount() error {
	err := command(append(m.mount, m.Dir)...)
	m.on = m.on || err == nil
	return err
}

// Unmount may be called again.
func (m *Mounted) Unmount() error {
	if !m.on {
		return nil
	}
	m.on = false
	err := command("umount", m.Dir)
	for range 20 { // somebody who looked in is about to leave
		if err == nil || !strings.Contains(err.Error(), "busy") {
			break
		}
		time.Sleep(100 * time.Millisecond)
		err = command("umount", m.Dir)
	}
	if err != nil {
		_ = exec.Command("umount", "-l", m.Dir).Run() // so that nothing is left behind
	}
	return err
}

// Again unmounts and mounts: what is read then comes from the medium.
func (m *Mounted) Again() error {
	if err := m.Unmount(); err != nil {
		return err
	}
	return m.remount()
}

// ReadOnly mounts it read-only, or for writing again.
func (m *Mounted) ReadOnly(on bool) error {
	how := "remount,rw"
	if on {
		how = "remount,ro"
	}
	return command("mount", "-o", how, m.Dir)
}

// PowerCut makes the file system take nothing more, as if the power had gone:
// what was not flushed is lost. Again brings it back.
func (m *Mounted) PowerCut() error { return command("xfs_io", "-x", "-c", "shutdown", m.Dir) }

// Rot flips one bit of a file on the medium underneath its file system, so that
// nothing else of the file changes. The 64 bytes at the offset must be unlike
// any others of the medium.
func (m *Mounted) Rot(name string, off int) error {
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	piece := data[off : off+64]
	if err := m.Unmount(); err != nil {
		return err
	}
	device, err := os.OpenFile(m.device, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer device.Close()
	buf := make([]byte, 4<<20)
	for at := int64(0); ; at += int64(len(buf) - len(piece)) {
		n, err := device.ReadAt(buf, at)
		if i := bytes.Index(buf[:n], piece); i >= 0 {
			_, err := device.WriteAt([]byte{piece[0] ^ 1}, at+int64(i))
			return errors.Join(err, device.Sync(), m.remount())
		}
		if err == io.EOF {
			return fmt.Errorf("the content of %s is not on the device", name)
		}
		if err != nil {
			return err
		}
	}
}

// Close unmounts, and gives back the loop device and the image.
func (m *Mounted) Close() error {
	err := m.Unmount()
	if m.device != "" {
		err = errors.Join(err, command("losetup", "-d", m.device))
	}
	if m.image != "" {
		err = errors.Join(err, os.Remove(m.image))
	}
	return err
}

// For makes and mounts a file system for as long as the test runs. Where that
// is not possible the test is skipped.
func (f FileSystem) For(t testing.TB, size int64) *Mounted {
	t.Helper()
	if why := f.Lacks(); why != "" {
		t.Skip(why)
	}
	m, err := f.Make(filepath.Join(t.TempDir(), "mnt"), size)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

func command(args ...string) error {
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}
