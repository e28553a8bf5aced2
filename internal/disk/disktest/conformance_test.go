package disktest_test

import (
	"errors"
	"runtime"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"waterlock/internal/disk"
	"waterlock/internal/disk/disktest"
)

// A conformanceCase is what the real file system and its doubles must pass
// alike.
type conformanceCase struct {
	name string
	test func(t *testing.T, fsys disk.FS)
}

func TestConformance(t *testing.T) {
	systems := []struct {
		name string
		open func(t *testing.T) disk.FS
	}{
		{"dir", func(t *testing.T) disk.FS {
			if runtime.GOOS == "windows" {
				t.Skip("metadata and links are only kept as far as Windows has them")
			}
			return dir(t, t.TempDir())
		}},
		{"mem", func(*testing.T) disk.FS { return disktest.NewMem() }},
		{"fault", func(*testing.T) disk.FS { return disktest.NewFault(disktest.NewMem()) }},
		{"flipper", func(*testing.T) disk.FS {
			return disktest.FlipOnReadBack(disktest.NewMem(), func(string) bool { return false }, -1)
		}},
	}
	for _, system := range systems {
		for _, c := range slices.Concat(entryCases, dataCases) {
			t.Run(system.name+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				c.test(t, system.open(t))
			})
		}
	}
}

func dir(t *testing.T, path string) disk.FS {
	fsys, err := disk.Dir(path)
	must(t, err)
	t.Cleanup(func() { fsys.Close() })
	return fsys
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// mustN checks what a read or a write returns.
func mustN(t *testing.T, want int) func(int, error) {
	return func(n int, err error) {
		t.Helper()
		if n != want || err != nil {
			t.Fatalf("%d bytes, %v; want %d", n, err, want)
		}
	}
}

// wantErr wants any error, or one of those named.
func wantErr(t *testing.T, err error, causes ...error) {
	t.Helper()
	if err == nil {
		t.Errorf("no error; want %v", causes)
		return
	}
	for _, c := range causes {
		if c == nil || errors.Is(err, c) {
			return
		}
	}
	t.Errorf("error %v; want %v", err, causes)
}

// mkfifo tells whether there are pipes here.
func mkfifo(t *testing.T, fsys disk.FS, name string) bool {
	t.Helper()
	err := fsys.Mkfifo(name, 0o600)
	if errors.Is(err, errors.ErrUnsupported) {
		return false
	}
	must(t, err)
	return true
}

func write(t *testing.T, fsys disk.FS, name, data string) {
	t.Helper()
	f, err := fsys.Create(name, 0o644)
	must(t, err)
	mustN(t, len(data))(f.Write([]byte(data)))
	must(t, f.Close())
}

func wantRead(t *testing.T, fsys disk.FS, name, want string) {
	t.Helper()
	got, err := disk.ReadAll(fsys, name, 1<<30)
	if err != nil {
		t.Error(err)
	} else if string(got) != want {
		t.Errorf("%s: %d bytes %.40q, want %d bytes %.40q", name, len(got), got, len(want), want)
	}
}

func stat(t *testing.T, fsys disk.FS, name string) disk.Stat {
	t.Helper()
	st, err := fsys.Stat(name)
	must(t, err)
	return st
}

func wantNames(t *testing.T, fsys disk.FS, name string, want ...string) {
	t.Helper()
	names, err := fsys.ReadDir(name)
	must(t, err)
	var got []string
	for i := range names.Len() {
		got = append(got, names.At(i))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: %s", name, diff)
	}
}
