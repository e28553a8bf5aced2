//go:build linux || darwin

package disk

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestNamesOfADirectoryAreThrifty(t *testing.T) {
	const n = 200_000
	var b NamesBuilder
	for i := range n {
		if err := b.Add(fmt.Sprintf("IMG_%07d.jpeg", (i*7919)%n)); err != nil {
			t.Fatal(err)
		}
	}
	names := b.Names()
	if names.Len() != n || names.At(0) != "IMG_0000000.jpeg" || names.At(n-1) != "IMG_0199999.jpeg" {
		t.Fatalf("%d names, from %q to %q", names.Len(), names.At(0), names.At(n-1))
	}
	if held := cap(names.at)*8 + len(names.arena)*5/4; held > 8<<20 {
		t.Errorf("%d names of 16 bytes hold %d bytes", n, held)
	}
	if allocs := testing.AllocsPerRun(100, func() { _ = names.At(n / 2) }); allocs != 0 {
		t.Errorf("looking at a name allocates")
	}
}

// Without openat2 each component is opened by itself: links are refused all
// the same.
func TestWalkDownFollowsNoLink(t *testing.T) {
	path := t.TempDir()
	if err := os.MkdirAll(filepath.Join(path, "a/b/c"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("b", filepath.Join(path, "a/l")); err != nil {
		t.Fatal(err)
	}
	d, err := openDir(path)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for name, ok := range map[string]bool{"a": true, "a/b/c": true, "a/l": false, "a/l/c": false, "a/gone/c": false} {
		fd, err := walkDown(d.fd, name)
		if (err == nil) != ok {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			unix.Close(fd)
		}
	}
	if open := openDescriptors(t); open > 0 {
		before := open
		for range 100 {
			walkDown(d.fd, "a/l/c")
			d.Open("a/b/c")
			d.Open("a/b/gone")
			d.Stat("a/b/gone")
			d.Meta("a/l", Stat{})
			d.SetMeta("a/b/c", Meta{}, MetaOptions{})
			d.SyncDir("a/b")
		}
		if open := openDescriptors(t); open > before+5 {
			t.Errorf("%d descriptors open, were %d", open, before)
		}
	}
}

func openDescriptors(t *testing.T) int {
	entries, err := os.ReadDir("/dev/fd")
	if err != nil {
		t.Log(err)
	}
	return len(entries)
}

func TestFailedSyncPoisonsTheFile(t *testing.T) {
	d, err := openDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	r, w, err := os.Pipe() // cannot be synced
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	f := &file{f: w, d: d, name: "pipe"}
	defer f.Close()
	first := f.Sync()
	if first == nil {
		t.Skip("a pipe can be synced here")
	}
	good, err := os.Create(filepath.Join(t.TempDir(), "good"))
	if err != nil {
		t.Fatal(err)
	}
	defer good.Close()
	f.f = good
	if err := f.Sync(); err != first {
		t.Errorf("the second sync says %v", err)
	}
}

func TestLockIsExclusiveAndDiesWithItsProcess(t *testing.T) {
	path := os.Getenv("DISK_TEST_LOCK")
	if path != "" { // the other process
		if _, err := TryLock(path); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("locked")
		time.Sleep(time.Minute)
		return
	}
	path = filepath.Join(t.TempDir(), "lock")
	other := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$")
	other.Env = append(os.Environ(), "DISK_TEST_LOCK="+path)
	out, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	n, _ := out.Read(buf)
	if got := strings.TrimSpace(string(buf[:n])); got != "locked" {
		t.Fatalf("the other process says %q", got)
	}
	if _, err := TryLock(path); !errors.Is(err, ErrLocked) {
		t.Errorf("locked by another process, but %v", err)
	}
	other.Process.Kill()
	other.Wait()
	l, err := TryLock(path)
	if err != nil {
		t.Fatalf("the lock of a dead process: %v", err)
	}
	if _, err := TryLock(path); !errors.Is(err, ErrLocked) {
		t.Errorf("locked by this process, but %v", err)
	}
	if err := l.Unlock(); err != nil {
		t.Error(err)
	}
	if l, err = TryLock(path); err != nil {
		t.Error(err)
	} else if err := l.Unlock(); err != nil {
		t.Error(err)
	}
	if _, err := TryLock(filepath.Join(path, "below a file")); err == nil || errors.Is(err, ErrLocked) {
		t.Errorf("error %v", err)
	}
}
