package disktest_test

import (
	"io"
	"io/fs"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"waterlock/internal/disk"
)

// entryCases are about names, files and directories.
var entryCases = []conformanceCase{
	{"create is exclusive", func(t *testing.T, fsys disk.FS) {
		write(t, fsys, "a", "one")
		_, err := fsys.Create("a", 0o600)
		wantErr(t, err, fs.ErrExist)
		must(t, fsys.Mkdir("d", 0o755))
		_, err = fsys.Create("d", 0o600)
		wantErr(t, err, fs.ErrExist)
		must(t, fsys.Symlink("nowhere", "l"))
		_, err = fsys.Create("l", 0o600)
		wantErr(t, err, fs.ErrExist)
		_, err = fsys.Create(".", 0o600)
		wantErr(t, err, fs.ErrExist)
		_, err = fsys.Create("no/such", 0o600)
		wantErr(t, err, fs.ErrNotExist)
		wantRead(t, fsys, "a", "one")
	}},
	{"names that lead elsewhere are refused", func(t *testing.T, fsys disk.FS) {
		must(t, fsys.Mkdir("d", 0o755))
		for _, name := range []string{"", "/", "/a", "a/", "..", "../a", "d/..", "d/../a", "./a", "d/./a", "d//a", "a\x00b", "d/."} {
			_, err := fsys.Stat(name)
			wantErr(t, err, disk.ErrName)
			_, err = fsys.Open(name)
			wantErr(t, err, disk.ErrName)
			_, err = fsys.Create(name, 0o600)
			wantErr(t, err, disk.ErrName)
			wantErr(t, fsys.Rename("d", name), disk.ErrName)
			wantErr(t, fsys.Link(name, "x"), disk.ErrName)
			_, err = fsys.Sub(name)
			wantErr(t, err, disk.ErrName)
		}
	}},
	{"names of any bytes", func(t *testing.T, fsys disk.FS) {
		if runtime.GOOS != "linux" {
			t.Skip("not every byte is allowed here")
		}
		for _, name := range []string{"...", " ", "\n", "\xff\xfe", "back\\slash", ":", strings.Repeat("n", 255)} {
			write(t, fsys, name, name)
			wantRead(t, fsys, name, name)
		}
		_, err := fsys.Create(strings.Repeat("n", 256), 0o600)
		wantErr(t, err, syscall.ENAMETOOLONG)
	}},
	{"errors name the file", func(t *testing.T, fsys disk.FS) {
		must(t, fsys.Mkdir("some", 0o755))
		sub, err := fsys.Sub("some")
		must(t, err)
		defer sub.Close()
		_, err = sub.Open("file")
		if err == nil || !strings.Contains(err.Error(), "some/file") {
			t.Errorf("error is %v", err)
		}
	}},
	{"only regular files are opened", func(t *testing.T, fsys disk.FS) {
		write(t, fsys, "file", "x")
		must(t, fsys.Mkdir("dir", 0o755))
		must(t, fsys.Symlink("file", "link"))
		others := []string{"dir", "link", "."}
		if mkfifo(t, fsys, "fifo") {
			others = append(others, "fifo")
		}
		for _, name := range others {
			_, err := fsys.Open(name)
			wantErr(t, err, disk.ErrNotRegular)
			_, err = fsys.OpenWrite(name)
			wantErr(t, err, disk.ErrNotRegular)
		}
		_, err := fsys.Open("gone")
		wantErr(t, err, fs.ErrNotExist)
	}},
	{"links are never followed", func(t *testing.T, fsys disk.FS) {
		must(t, fsys.Mkdir("dir", 0o755))
		write(t, fsys, "dir/file", "x")
		must(t, fsys.Symlink("dir", "link"))
		_, err := fsys.Open("link/file")
		wantErr(t, err, nil)
		_, err = fsys.Stat("link/file")
		wantErr(t, err, nil)
		_, err = fsys.Create("link/new", 0o600)
		wantErr(t, err, nil)
		wantErr(t, fsys.Rename("dir/file", "link/file2"), nil)
		wantErr(t, fsys.Remove("link/file"), nil)
		_, err = fsys.Sub("link")
		wantErr(t, err, nil)
		_, err = fsys.ReadDir("link")
		wantErr(t, err, nil)
		st, err := fsys.Stat("link")
		must(t, err)
		if st.Kind != disk.KindSymlink || st.Size != 3 {
			t.Errorf("stat of a link: %+v", st)
		}
		target, err := fsys.Readlink("link")
		must(t, err)
		if target != "dir" {
			t.Errorf("target %q", target)
		}
		_, err = fsys.Readlink("dir/file")
		wantErr(t, err, syscall.EINVAL)
		must(t, fsys.Symlink("\xff any bytes/../\n", "raw"))
		if target, _ := fsys.Readlink("raw"); target != "\xff any bytes/../\n" {
			t.Errorf("raw target %q", target)
		}
		long := strings.Repeat("t", 1000)
		must(t, fsys.Symlink(long, "long"))
		if target, _ := fsys.Readlink("long"); target != long {
			t.Errorf("long target of %d bytes", len(target))
		}
	}},
	{"read and write", func(t *testing.T, fsys disk.FS) {
		f, err := fsys.Create("f", 0o600)
		must(t, err)
		defer f.Close()
		mustN(t, 5)(f.Write([]byte("hello")))
		mustN(t, 3)(f.WriteAt([]byte("abc"), 10_000))
		mustN(t, 1)(f.Write([]byte("!")))
		st, err := f.Stat()
		must(t, err)
		if st.Size != 10_003 || st.Kind != disk.KindFile || st.Nlink != 1 {
			t.Errorf("stat %+v", st)
		}
		buf := make([]byte, 8)
		mustN(t, 8)(f.ReadAt(buf, 0))
		if string(buf) != "hello!\x00\x00" {
			t.Errorf("read %q", buf)
		}
		if n, err := f.ReadAt(buf, 9_999); n != 4 || err != io.EOF || string(buf[:n]) != "\x00abc" {
			t.Errorf("read at the end: %d, %v, %q", n, err, buf[:n])
		}
		if n, err := f.ReadAt(buf, 20_000); n != 0 || err != io.EOF {
			t.Errorf("read beyond the end: %d, %v", n, err)
		}
		must(t, f.Truncate(3))
		must(t, f.Truncate(6))
		if pos, err := f.Seek(0, io.SeekStart); pos != 0 || err != nil {
			t.Errorf("seek: %d, %v", pos, err)
		}
		all, err := io.ReadAll(f)
		must(t, err)
		if string(all) != "hel\x00\x00\x00" {
			t.Errorf("after truncating: %q", all)
		}
		must(t, f.Sync())
		if f.Name() != "f" {
			t.Errorf("name %q", f.Name())
		}
	}},
	{"a file opened for reading is not written", func(t *testing.T, fsys disk.FS) {
		write(t, fsys, "f", "x")
		f, err := fsys.Open("f")
		must(t, err)
		_, err = f.Write([]byte("y"))
		wantErr(t, err, nil)
		must(t, f.Close())
		_, err = f.Read(make([]byte, 1))
		wantErr(t, err, fs.ErrClosed)
		wantErr(t, f.Close(), fs.ErrClosed)
		w, err := fsys.OpenWrite("f")
		must(t, err)
		mustN(t, 1)(w.WriteAt([]byte("z"), 1))
		must(t, w.Close())
		wantRead(t, fsys, "f", "xz")
	}},
	{"hard links", func(t *testing.T, fsys disk.FS) {
		must(t, fsys.Mkdir("d", 0o755))
		write(t, fsys, "a", "one")
		must(t, fsys.Link("a", "d/b"))
		a, b := stat(t, fsys, "a"), stat(t, fsys, "d/b")
		if a.Ino != b.Ino || a.Nlink != 2 || b.Nlink != 2 {
			t.Errorf("after linking: %+v, %+v", a, b)
		}
		wantErr(t, fsys.Link("a", "d/b"), fs.ErrExist)
		wantErr(t, fsys.Link("d", "e"), syscall.EPERM)
		wantErr(t, fsys.Link("gone", "e"), fs.ErrNotExist)
		must(t, fsys.Remove("a"))
		if b := stat(t, fsys, "d/b"); b.Nlink != 1 || b.Ino != a.Ino {
			t.Errorf("after removing one: %+v", b)
		}
		wantRead(t, fsys, "d/b", "one")
		if runtime.GOOS != "linux" {
			return
		}
		must(t, fsys.Symlink("t", "s"))
		must(t, fsys.Link("s", "s2"))
		if st := stat(t, fsys, "s2"); st.Kind != disk.KindSymlink {
			t.Errorf("link to a link is a %v", st.Kind)
		}
	}},
	{"rename", func(t *testing.T, fsys disk.FS) {
		must(t, fsys.Mkdir("d", 0o755))
		write(t, fsys, "a", "one")
		write(t, fsys, "d/b", "two")
		before := stat(t, fsys, "a")
		must(t, fsys.Rename("a", "d/b"))
		after := stat(t, fsys, "d/b")
		if after.Ino != before.Ino || after.Nlink != 1 || after.MTime != before.MTime || after.Size != 3 {
			t.Errorf("before %+v, after %+v", before, after)
		}
		wantRead(t, fsys, "d/b", "one")
		wantErr(t, fsys.Rename("a", "c"), fs.ErrNotExist)
		wantNames(t, fsys, ".", "d")
		wantErr(t, fsys.Rename("d/b", "no/such"), fs.ErrNotExist)
		wantErr(t, fsys.Rename("d/b", "d"), nil)
	}},
	{"rename onto a link of the same inode does nothing", func(t *testing.T, fsys disk.FS) {
		write(t, fsys, "a", "one")
		must(t, fsys.Link("a", "b"))
		must(t, fsys.Rename("a", "b"))
		wantNames(t, fsys, ".", "a", "b")
		if st := stat(t, fsys, "a"); st.Nlink != 2 {
			t.Errorf("%+v", st)
		}
		must(t, fsys.Rename("a", "a"))
		wantNames(t, fsys, ".", "a", "b")
	}},
	{"rename of directories", func(t *testing.T, fsys disk.FS) {
		must(t, disk.MkdirAll(fsys, "a/b", 0o755))
		must(t, disk.MkdirAll(fsys, "c/d", 0o755))
		write(t, fsys, "f", "x")
		wantErr(t, fsys.Rename("a", "c"), syscall.ENOTEMPTY, fs.ErrExist)
		wantErr(t, fsys.Rename("a", "f"), syscall.ENOTDIR)
		wantErr(t, fsys.Rename("f", "c/d"), syscall.EISDIR)
		wantErr(t, fsys.Rename("a", "a/b/x"), syscall.EINVAL)
		must(t, fsys.Rename("a", "c/d"))
		wantNames(t, fsys, "c/d", "b")
		wantNames(t, fsys, ".", "c", "f")
	}},
	{"remove", func(t *testing.T, fsys disk.FS) {
		must(t, disk.MkdirAll(fsys, "a/b", 0o755))
		wantErr(t, fsys.Remove("a"), syscall.ENOTEMPTY, fs.ErrExist)
		must(t, fsys.Remove("a/b"))
		must(t, fsys.Remove("a"))
		wantErr(t, fsys.Remove("a"), fs.ErrNotExist)
		must(t, fsys.Symlink("x", "l"))
		must(t, fsys.Remove("l"))
		if mkfifo(t, fsys, "p") {
			must(t, fsys.Remove("p"))
		}
		wantErr(t, fsys.Remove("."), nil)
		wantNames(t, fsys, ".")
	}},
	{"a removed file can be read to its end", func(t *testing.T, fsys disk.FS) {
		write(t, fsys, "a", "one")
		f, err := fsys.Open("a")
		must(t, err)
		defer f.Close()
		must(t, fsys.Remove("a"))
		write(t, fsys, "a", "two")
		all, err := io.ReadAll(f)
		must(t, err)
		if string(all) != "one" {
			t.Errorf("read %q", all)
		}
		st, err := f.Stat()
		must(t, err)
		if st.Nlink != 0 || st.Ino == stat(t, fsys, "a").Ino {
			t.Errorf("%+v", st)
		}
	}},
	{"directories are read sorted by bytes", func(t *testing.T, fsys disk.FS) {
		wantNames(t, fsys, ".")
		want := []string{"!", "A", "aa", "aa.b", "aab", "b", "\u00e9"}
		for _, i := range []int{3, 0, 6, 2, 5, 1, 4} {
			write(t, fsys, want[i], "")
		}
		wantNames(t, fsys, ".", want...)
		_, err := fsys.ReadDir("aa")
		wantErr(t, err, syscall.ENOTDIR)
		_, err = fsys.ReadDir("gone")
		wantErr(t, err, fs.ErrNotExist)
		names, _ := fsys.ReadDir(".")
		if i, ok := names.Find("aab"); i != 4 || !ok {
			t.Errorf("found at %d, %v", i, ok)
		}
		if i, ok := names.Find("aa0"); i != 4 || ok {
			t.Errorf("found at %d, %v", i, ok)
		}
	}},
	{"sub is a root of its own", func(t *testing.T, fsys disk.FS) {
		must(t, disk.MkdirAll(fsys, "a/b", 0o755))
		a, err := fsys.Sub("a")
		must(t, err)
		defer a.Close()
		write(t, a, "b/file", "x")
		b, err := a.Sub("b")
		must(t, err)
		defer b.Close()
		wantRead(t, b, "file", "x")
		wantRead(t, fsys, "a/b/file", "x")
		_, err = b.Open("../b/file")
		wantErr(t, err, disk.ErrName)
		must(t, fsys.Rename("a", "z"))
		wantRead(t, b, "file", "x")
		_, err = fsys.Sub("z/b/file")
		wantErr(t, err, syscall.ENOTDIR)
		same, err := fsys.Sub(".")
		must(t, err)
		defer same.Close()
		wantNames(t, same, ".", "z")
	}},
	{"nothing is made in a removed directory", func(t *testing.T, fsys disk.FS) {
		must(t, fsys.Mkdir("d", 0o755))
		write(t, fsys, "f", "")
		d, err := fsys.Sub("d")
		must(t, err)
		defer d.Close()
		must(t, fsys.Remove("d"))
		_, err = d.Create("x", 0o600)
		wantErr(t, err, fs.ErrNotExist)
	}},
	{"deeper than PATH_MAX", func(t *testing.T, fsys disk.FS) {
		name := strings.Repeat("d", 250)
		d, err := fsys.Sub(".")
		must(t, err)
		long := ""
		for range 20 {
			must(t, d.Mkdir(name, 0o755))
			next, err := d.Sub(name)
			must(t, err)
			d.Close()
			d = next
			long += name + "/"
		}
		write(t, d, "file", "deep")
		d.Close()
		wantRead(t, fsys, long+"file", "deep")
		_, err = fsys.Open(long + "gone")
		if err == nil || !strings.Contains(err.Error(), long+"gone") {
			t.Errorf("error is %.100v…", err)
		}
	}},
}
