package disktest_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"pgregory.net/rapid"

	"waterlock/internal/disk"
	"waterlock/internal/disk/disktest"
)

// Mem does what the real file system does, whatever is asked of it: the same
// errors, and after each step the same tree.
func TestMemBehavesAsTheRealOne(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("Mem follows Linux in its errors")
	}
	rapid.Check(t, func(t *rapid.T) {
		path, err := os.MkdirTemp("", "model")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(path)
		real, err := disk.Dir(path)
		if err != nil {
			t.Fatal(err)
		}
		defer real.Close()
		mem := disktest.NewMem()

		name := rapid.SampledFrom([]string{"a", "b", "a/a", "a/b", "b/a", "a/a/a", "a/b/a", "b/a/b", "."})
		var trail []string
		both := func(what string, op func(disk.FS) error) {
			trail = append(trail, what)
			r, m := errno(op(real)), errno(op(mem))
			if r != m {
				t.Fatalf("%s\nreal: %v, mem: %v", strings.Join(trail, "\n"), r, m)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"create": func(t *rapid.T) {
				n := name.Draw(t, "name")
				both("create "+n, func(fsys disk.FS) error {
					f, err := fsys.Create(n, 0o644)
					if err == nil {
						f.Write([]byte("new " + n))
						f.Close()
					}
					return err
				})
			},
			"overwrite": func(t *rapid.T) {
				n, off, size := name.Draw(t, "name"), rapid.Int64Range(0, 9000).Draw(t, "off"), rapid.Int64Range(0, 9000).Draw(t, "size")
				both(fmt.Sprintf("overwrite %s at %d, truncate %d", n, off, size), func(fsys disk.FS) error {
					f, err := fsys.OpenWrite(n)
					if err == nil {
						f.WriteAt([]byte("over"), off)
						f.Truncate(size)
						f.Close()
					}
					return err
				})
			},
			"mkdir": func(t *rapid.T) {
				n := name.Draw(t, "name")
				both("mkdir "+n, func(fsys disk.FS) error { return fsys.Mkdir(n, 0o755) })
			},
			"symlink": func(t *rapid.T) {
				n := name.Draw(t, "name")
				both("symlink "+n, func(fsys disk.FS) error { return fsys.Symlink("a", n) })
			},
			"link": func(t *rapid.T) {
				n, o := name.Draw(t, "old"), name.Draw(t, "new")
				both("link "+n+" "+o, func(fsys disk.FS) error { return fsys.Link(n, o) })
			},
			"rename": func(t *rapid.T) {
				n, o := name.Draw(t, "old"), name.Draw(t, "new")
				both("rename "+n+" "+o, func(fsys disk.FS) error { return fsys.Rename(n, o) })
			},
			"remove": func(t *rapid.T) {
				n := name.Draw(t, "name")
				both("remove "+n, func(fsys disk.FS) error { return fsys.Remove(n) })
			},
			"mkdirall": func(t *rapid.T) {
				n := name.Draw(t, "name")
				both("mkdirall "+n, func(fsys disk.FS) error { return disk.MkdirAll(fsys, n, 0o755) })
			},
			"put": func(t *rapid.T) {
				n := name.Draw(t, "name")
				if n == "." {
					t.Skip()
				}
				both("put "+n, func(fsys disk.FS) error { return disk.Put(fsys, n, []byte("put "+n)) })
			},
			"": func(t *rapid.T) {
				r, m := picture(t, real), picture(t, mem)
				if r != m {
					t.Fatalf("%s\nreal:\n%smem:\n%s", strings.Join(trail, "\n"), r, m)
				}
			},
		})
	})
}

// errno is the bare cause of an error. Some causes depend on the file system:
// what counts is that it is one of them.
func errno(err error) error {
	for _, known := range []error{disk.ErrNotRegular, fs.ErrExist, fs.ErrNotExist} {
		if errors.Is(err, known) {
			return known
		}
	}
	var e syscall.Errno
	if !errors.As(err, &e) {
		return err
	}
	switch e {
	case syscall.ENOTEMPTY:
		return fs.ErrExist
	case syscall.EBUSY, syscall.EINVAL, syscall.ENOTDIR, syscall.ELOOP, syscall.EPERM, syscall.EISDIR:
		return syscall.EINVAL
	}
	return e
}

// picture shows a tree: kinds, sizes, contents, and which names are one file.
func picture(t *rapid.T, fsys disk.FS) string {
	var b strings.Builder
	var inodes []uint64
	var walk func(dir string)
	walk = func(dir string) {
		names, err := fsys.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for i := range names.Len() {
			name := names.At(i)
			if dir != "." {
				name = dir + "/" + name
			}
			st, err := fsys.Stat(name)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Contains(inodes, st.Ino) {
				inodes = append(inodes, st.Ino)
			}
			fmt.Fprintf(&b, "%s %v %o inode %d", name, st.Kind, st.Mode, slices.Index(inodes, st.Ino))
			switch st.Kind {
			case disk.KindFile:
				data, err := disk.ReadAll(fsys, name, 1<<20)
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(&b, " links %d size %d %q", st.Nlink, st.Size, strings.Trim(string(data), "\x00"))
			case disk.KindSymlink:
				target, err := fsys.Readlink(name)
				fmt.Fprintf(&b, " -> %s %v", target, err)
			}
			b.WriteByte('\n')
			if st.Kind == disk.KindDir {
				walk(name)
			}
		}
	}
	walk(".")
	return b.String()
}

// Whatever was done before, a crash leaves a sound tree, in which work goes
// on; and what was synced throughout is what was there.
func TestCrashLeavesASoundTree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := disktest.NewMem()
		name := rapid.SampledFrom([]string{"a", "b", "d/a", "d/b", "e/a", "e/f", "e/f/a", "d/x"})
		dirs := rapid.SampledFrom([]string{".", "d", "e", "e/f", "d/x"})
		for _, dir := range []string{"d", "e/f"} {
			if err := disk.MkdirAll(m, dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			switch rapid.IntRange(0, 7).Draw(t, "step") {
			case 0, 1:
				if f, err := m.Create(name.Draw(t, "create"), 0o644); err == nil {
					f.Write([]byte("data"))
					if rapid.Bool().Draw(t, "sync") {
						f.Sync()
					}
					f.Close()
				}
			case 2:
				m.Rename(name.Draw(t, "old"), name.Draw(t, "new"))
			case 3:
				m.Link(name.Draw(t, "old"), name.Draw(t, "new"))
			case 4:
				m.Remove(name.Draw(t, "remove"))
			case 5:
				m.Mkdir(name.Draw(t, "mkdir"), 0o755)
			default:
				m.SyncDir(dirs.Draw(t, "sync"))
			}
		}
		for _, mode := range disktest.Modes {
			sound(t, m.Crashed(mode, rapid.Uint64().Draw(t, "seed")))
		}
		before := picture(t, m)
		syncAll(t, m, ".")
		for _, mode := range disktest.Modes {
			after := m.Crashed(mode, 1)
			if got := picture(t, after); got != before {
				t.Fatalf("%v: all was synced:\n%swas:\n%s", mode, got, before)
			}
			sound(t, after)
		}
	})
}

// sound checks that each file has as many names as it says, and that
// everything can be removed.
func sound(t *rapid.T, m *disktest.Mem) {
	links := map[uint64]uint64{}
	says := map[uint64]uint64{}
	var walk func(dir string)
	walk = func(dir string) {
		names, err := m.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for i := range names.Len() {
			name := dir + "/" + names.At(i)
			if dir == "." {
				name = names.At(i)
			}
			st, err := m.Stat(name)
			if err != nil {
				t.Fatal(err)
			}
			links[st.Ino]++
			if says[st.Ino] = st.Nlink; st.Kind == disk.KindDir {
				says[st.Ino] = 1
				walk(name)
			}
		}
	}
	walk(".")
	for ino, n := range links {
		if says[ino] != n {
			t.Fatalf("inode %d has %d names and says %d\n%s", ino, n, says[ino], picture(t, m))
		}
	}
	removeAll(t, m, ".")
	if s, _ := m.Free(); s.Avail != s.Total {
		t.Fatalf("all is removed, and %d bytes are in use", s.Total-s.Avail)
	}
}

func removeAll(t *rapid.T, m disk.FS, dir string) {
	names, err := m.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i := range names.Len() {
		name := dir + "/" + names.At(i)
		if dir == "." {
			name = names.At(i)
		}
		if st, _ := m.Stat(name); st.Kind == disk.KindDir {
			removeAll(t, m, name)
		}
		if err := m.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
}

func syncAll(t *rapid.T, m disk.FS, dir string) {
	names, err := m.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i := range names.Len() {
		name := dir + "/" + names.At(i)
		if dir == "." {
			name = names.At(i)
		}
		switch st, _ := m.Stat(name); st.Kind {
		case disk.KindDir:
			syncAll(t, m, name)
		case disk.KindFile:
			err = m.SyncFiles([]string{name})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := m.SyncDir(dir); err != nil {
		t.Fatal(err)
	}
}
