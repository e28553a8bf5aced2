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
