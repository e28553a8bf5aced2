package disk_test

import (
	"bytes"
	"errors"
	"io/fs"
	"strings"
	"testing"

	"waterlock/internal/disk"
	"waterlock/internal/disk/disktest"
)

var putData = bytes.Repeat([]byte("what is put durably\n"), 1000)

// readOrNone returns what is under a name; nil if there is nothing.
func readOrNone(t *testing.T, fsys disk.FS, name string) []byte {
	t.Helper()
	data, err := disk.ReadAll(fsys, name, 1<<20)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// atEveryCrash runs work with a crash after each of its operations, and shows
// check what every mode of crash leaves; done tells that work had returned
// without an error before the power went.
func atEveryCrash(t *testing.T, setup func(*disktest.Mem), work func(disk.FS) error, check func(t *testing.T, k int, mode disktest.CrashMode, after *disktest.Mem, done bool)) {
	for k := 0; ; k++ {
		m := disktest.NewMem()
		setup(m)
		m.CrashAfter(k)
		err := work(m)
		done := err == nil
		if !done && !errors.Is(err, disktest.ErrCrashed) {
			t.Fatalf("after %d operations: %v", k, err)
		}
		for _, mode := range disktest.Modes {
			for seed := range uint64(20) {
				check(t, k, mode, m.Crashed(mode, seed), done)
			}
		}
		if done {
			if k < 2 {
				t.Fatalf("only %d operations", k)
			}
			return
		}
	}
}

func TestPutCrashLeavesWholeOrNothing(t *testing.T) {
	for _, left := range []bool{false, true} { // what an earlier crash left
		atEveryCrash(t, func(m *disktest.Mem) {
			if left {
				disk.PutFinal(m, "f"+disk.TempSuffix, []byte("left"))
			}
		}, func(fsys disk.FS) error {
			return disk.Put(fsys, "f", putData)
		}, func(t *testing.T, k int, mode disktest.CrashMode, after *disktest.Mem, done bool) {
			got := readOrNone(t, after, "f")
			if got != nil && !bytes.Equal(got, putData) {
				t.Fatalf("crash after %d, %v: %d bytes that are not those put", k, mode, len(got))
			}
			if done && got == nil {
				t.Fatalf("crash after Put returned, %v: it is gone", mode)
			}
			if got == nil { // and it can be put again
				if err := disk.Put(after, "f", putData); err != nil {
					t.Fatalf("crash after %d, %v: put again: %v", k, mode, err)
				}
			}
		})
	}
}

func TestPutFinalCrash(t *testing.T) {
	atEveryCrash(t, func(*disktest.Mem) {}, func(fsys disk.FS) error {
		_, err := disk.PutFinal(fsys, "f", putData)
		return err
	}, func(t *testing.T, k int, mode disktest.CrashMode, after *disktest.Mem, done bool) {
		if done && !bytes.Equal(readOrNone(t, after, "f"), putData) {
			t.Fatalf("crash after PutFinal returned, %v: it is not there whole", mode)
		}
	})
}

func TestMkdirAllIsDurable(t *testing.T) {
	check := func(t *testing.T, k int, mode disktest.CrashMode, after *disktest.Mem, done bool) {
		if _, err := after.Stat("a/b/c"); done && err != nil {
			t.Fatalf("crash after MkdirAll returned, %v: %v", mode, err)
		}
		if err := disk.MkdirAll(after, "a/b/c", 0o755); err != nil {
			t.Fatalf("crash after %d, %v: again: %v", k, mode, err)
		}
	}
	work := func(fsys disk.FS) error { return disk.MkdirAll(fsys, "a/b/c", 0o755) }
	atEveryCrash(t, func(*disktest.Mem) {}, work, check)
}

// A process that died between making a directory and syncing its parent
// leaves one that is there and not durable. The next MkdirAll sees to it.
func TestMkdirAllAfterAKilledProcess(t *testing.T) {
	for k := range 6 {
		m := disktest.NewMem()
		m.CrashAfter(k)
		disk.MkdirAll(m, "a/b/c", 0o755)
		m.CrashAfter(-1) // the process died, the power stayed
		if err := disk.MkdirAll(m, "a/b/c", 0o755); err != nil {
			t.Fatal(err)
		}
		if _, err := m.Crashed(disktest.Strict, 0).Stat("a/b/c"); err != nil {
			t.Errorf("killed after %d operations: %v", k, err)
		}
	}
}

// Every operation fails once, in every way: never false success, and after an
// error nothing stays under the final name.
func TestPutNeverSucceedsFalsely(t *testing.T) {
	puts := map[string]func(disk.FS) error{
		"put":   func(fsys disk.FS) error { return disk.Put(fsys, "f", putData) },
		"final": func(fsys disk.FS) error { _, err := disk.PutFinal(fsys, "f", putData); return err },
	}
	for name, put := range puts {
		for _, kind := range disktest.FaultKinds {
			for _, forever := range []bool{false, true} {
				for k := 1; ; k++ {
					m := disktest.NewMem()
					f := disktest.NewFault(m)
					f.CountReads(true)
					f.FailAt(k, kind, forever)
					err := put(f)
					if f.Failed() == "" {
						if err != nil {
							t.Fatal(err)
						}
						break
					}
					got := readOrNone(t, m, "f")
					switch {
					case kind == disktest.LateEIO && strings.HasPrefix(f.Failed(), "create") && len(got) == 0:
						// Who made it cannot be told: it stays, empty.
					case err == nil && !bytes.Equal(got, putData):
						t.Errorf("%s, %v at %s: success without the data", name, kind, f.Failed())
					case err != nil && got != nil && !forever && !strings.HasPrefix(f.Failed(), "remove"):
						t.Errorf("%s, %v at %s: error %v, but the file is there", name, kind, f.Failed(), err)
					case err == nil:
						t.Errorf("%s, %v at %s: the failure is not told", name, kind, f.Failed())
					}
				}
			}
		}
	}
}

func TestPutFinalLeavesOthersAlone(t *testing.T) {
	m := disktest.NewMem()
	if _, err := disk.PutFinal(m, "f", []byte("first")); err != nil {
		t.Fatal(err)
	}
	if _, err := disk.PutFinal(m, "f", []byte("second")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("error %v", err)
	}
	if got := readOrNone(t, m, "f"); string(got) != "first" {
		t.Errorf("%q", got)
	}
}
