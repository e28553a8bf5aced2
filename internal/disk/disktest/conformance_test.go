package disktest_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"waterlock/internal/disk"
	"waterlock/internal/disk/disktest"
)

// conformance are the cases that the real file system and its doubles must
// pass alike.
var conformance = []struct {
	name string
	test func(t *testing.T, fsys disk.FS)
}{
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
		must(t, fsys.Mkfifo("fifo", 0o600))
		for _, name := range []string{"dir", "link", "fifo", "."} {
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
		must(t, fsys.Mkfifo("p", 0o600))
		must(t, fsys.Remove("p"))
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
		want := []string{"!", "A", "a", "a.b", "ab", "b", "\u00e9"}
		for _, i := range []int{3, 0, 6, 2, 5, 1, 4} {
			write(t, fsys, want[i], "")
		}
		wantNames(t, fsys, ".", want...)
		_, err := fsys.ReadDir("a")
		wantErr(t, err, syscall.ENOTDIR)
		_, err = fsys.ReadDir("gone")
		wantErr(t, err, fs.ErrNotExist)
		names, _ := fsys.ReadDir(".")
		if i, ok := names.Find("ab"); i != 4 || !ok {
			t.Errorf("found at %d, %v", i, ok)
		}
		if i, ok := names.Find("aa"); i != 4 || ok {
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
	{"metadata is set and read", func(t *testing.T, fsys disk.FS) {
		write(t, fsys, "f", "x")
		must(t, fsys.Mkdir("d", 0o755))
		must(t, fsys.Symlink("f", "l"))
		must(t, fsys.Mkfifo("p", 0o600))
		for i, name := range []string{"f", "d", "l", "p"} {
			st := stat(t, fsys, name)
			want := disk.Meta{Mode: 0o640 + uint32(i)%4, UID: st.UID, GID: st.GID, MTime: disk.Time{Sec: 1_000_000_000 - int64(i), Nsec: 123_456_789}}
			if i < 2 {
				want.Xattrs = []disk.Xattr{{Name: "user.a", Value: []byte("1")}, {Name: "user.b", Value: []byte{0, 255}}}
			}
			if name == "l" {
				want.Mode = st.Mode
			}
			must(t, fsys.SetMeta(name, want, disk.MetaOptions{Owner: true, Mode: true}))
			st = stat(t, fsys, name)
			got, err := fsys.Meta(name, st)
			must(t, err)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
		wantRead(t, fsys, "f", "x")
		if st := stat(t, fsys, "f"); st.MTime.Sec != 1_000_000_000 {
			t.Errorf("reading, or the links' own times, changed the time: %+v", st)
		}
	}},
	{"attributes that are not wanted go", func(t *testing.T, fsys disk.FS) {
		write(t, fsys, "f", "x")
		st := stat(t, fsys, "f")
		m := disk.Meta{Mode: 0o600, UID: st.UID, GID: st.GID, MTime: st.MTime, Xattrs: []disk.Xattr{{Name: "user.a", Value: []byte("1")}, {Name: "user.b", Value: []byte("2")}}}
		must(t, fsys.SetMeta("f", m, disk.MetaOptions{}))
		m.Xattrs = []disk.Xattr{{Name: "user.b", Value: []byte("3")}, {Name: "user.c"}}
		must(t, fsys.SetMeta("f", m, disk.MetaOptions{}))
		got, err := fsys.Meta("f", st)
		must(t, err)
		want := []disk.Xattr{{Name: "user.b", Value: []byte("3")}, {Name: "user.c"}}
		if diff := cmp.Diff(want, got.Xattrs, cmp.Comparer(bytes.Equal)); diff != "" {
			t.Error(diff)
		}
	}},
	{"no rights are handed on unasked", func(t *testing.T, fsys disk.FS) {
		write(t, fsys, "f", "x")
		st := stat(t, fsys, "f")
		m := disk.Meta{Mode: 0o6755, UID: st.UID, GID: st.GID, MTime: st.MTime, Xattrs: []disk.Xattr{{Name: "trusted.x", Value: []byte("1")}, {Name: "security.x", Value: []byte("1")}}}
		must(t, fsys.SetMeta("f", m, disk.MetaOptions{Owner: true, Mode: true}))
		if st := stat(t, fsys, "f"); st.Mode != 0o755 {
			t.Errorf("mode %o", st.Mode)
		}
		if got, _ := fsys.Meta("f", st); len(got.Xattrs) != 0 {
			t.Errorf("attributes %v", got.Xattrs)
		}
		must(t, fsys.Mkdir("d", 0o755))
		m.Mode, m.Xattrs = 0o2775, nil
		must(t, fsys.SetMeta("d", m, disk.MetaOptions{Owner: true, Mode: true}))
		if st := stat(t, fsys, "d"); st.Mode != 0o2775 {
			t.Errorf("mode of a directory %o", st.Mode)
		}
		m.Mode = 0o6755
		must(t, fsys.SetMeta("f", m, disk.MetaOptions{Owner: true, Mode: true, Privileged: true}))
		if st := stat(t, fsys, "f"); st.Mode != 0o6755 {
			t.Errorf("mode asked for %o", st.Mode)
		}
		must(t, fsys.SetMeta("f", m, disk.MetaOptions{Mode: true, Privileged: true}))
		if st := stat(t, fsys, "f"); st.Mode != 0o755 {
			t.Errorf("mode without the owner %o", st.Mode)
		}
	}},
	{"what cannot be set is listed and the rest is done", func(t *testing.T, fsys disk.FS) {
		must(t, fsys.Symlink("x", "l"))
		when := disk.Time{Sec: 12345, Nsec: 678}
		err := fsys.SetMeta("l", disk.Meta{MTime: when, Xattrs: []disk.Xattr{{Name: "user.a"}}}, disk.MetaOptions{})
		var me *disk.MetaError
		if !errors.As(err, &me) || len(me.Problems) != 1 || me.Problems[0].What != "user.a" {
			t.Errorf("error %v", err)
		}
		if st := stat(t, fsys, "l"); st.MTime != when {
			t.Errorf("time %v", st.MTime)
		}
		wantErr(t, fsys.SetMeta("gone", disk.Meta{}, disk.MetaOptions{}), fs.ErrNotExist)
	}},
	{"times tell of changes", func(t *testing.T, fsys disk.FS) {
		write(t, fsys, "f", "x")
		st := stat(t, fsys, "f")
		must(t, fsys.SetMeta("f", disk.Meta{MTime: disk.Time{Sec: 1}}, disk.MetaOptions{}))
		f, err := fsys.OpenWrite("f")
		must(t, err)
		if got := stat(t, fsys, "f"); got.MTime.Sec != 1 || got.CTime.Sec == 1 {
			t.Errorf("set: %+v", got)
		}
		mustN(t, 1)(f.WriteAt([]byte("y"), 0))
		must(t, f.Close())
		if got := stat(t, fsys, "f"); got.MTime.Compare(st.MTime) < 0 || got.BTime != st.BTime {
			t.Errorf("was %+v, is %+v", st, got)
		}
		must(t, fsys.SetMeta(".", disk.Meta{MTime: disk.Time{Sec: 1}}, disk.MetaOptions{}))
		must(t, fsys.Mkdir("d", 0o755))
		if got := stat(t, fsys, "."); got.MTime.Sec == 1 || got.Kind != disk.KindDir {
			t.Errorf("directory: %+v", got)
		}
	}},
	{"sync", func(t *testing.T, fsys disk.FS) {
		must(t, fsys.Mkdir("d", 0o755))
		var names []string
		for i := range 100 {
			names = append(names, fmt.Sprintf("d/%d", i))
			write(t, fsys, names[i], "x")
		}
		must(t, fsys.SyncFiles(names[:3]))
		must(t, fsys.SyncFiles(names))
		must(t, fsys.SyncFiles(nil))
		must(t, fsys.SyncDir("d"))
		must(t, fsys.SyncDir("."))
		wantErr(t, fsys.SyncFiles([]string{"d/0", "gone"}), fs.ErrNotExist)
		wantErr(t, fsys.SyncFiles([]string{"d"}), disk.ErrNotRegular)
		wantErr(t, fsys.SyncFiles(append(names, "gone")), fs.ErrNotExist)
		wantErr(t, fsys.SyncDir("d/0"), syscall.ENOTDIR)
		wantErr(t, fsys.SyncDir("gone"), fs.ErrNotExist)
	}},
	{"holes", func(t *testing.T, fsys disk.FS) {
		f, err := fsys.Create("f", 0o600)
		must(t, err)
		defer f.Close()
		if _, _, err := f.Data(0); err != io.EOF {
			t.Errorf("empty file: %v", err)
		}
		const at = 1 << 20
		mustN(t, 5)(f.WriteAt([]byte("hello"), at))
		must(t, f.Truncate(4*at))
		mustN(t, 1)(f.Write([]byte("0")))
		var data int64
		for off := int64(0); ; {
			start, end, err := f.Data(off)
			if err == io.EOF {
				break
			}
			must(t, err)
			if start < off || end <= start || end > 4*at {
				t.Fatalf("data from %d to %d, asked from %d", start, end, off)
			}
			data += end - start
			off = end
		}
		if data < 6 || data > 4*at {
			t.Errorf("%d bytes of data", data)
		}
		if pos, err := f.Seek(0, io.SeekCurrent); pos != 1 || err != nil {
			t.Errorf("position moved to %d, %v", pos, err)
		}
		buf := make([]byte, 6)
		mustN(t, 6)(f.ReadAt(buf, at-1))
		if string(buf) != "\x00hello" {
			t.Errorf("%q", buf)
		}
	}},
	{"free space", func(t *testing.T, fsys disk.FS) {
		s, err := fsys.Free()
		must(t, err)
		if s.Avail <= 0 || s.Total < s.Avail {
			t.Errorf("%+v", s)
		}
	}},
	{"put", func(t *testing.T, fsys disk.FS) {
		must(t, fsys.Mkdir("d", 0o755))
		data := bytes.Repeat([]byte("0123456789"), 250_000)
		must(t, disk.Put(fsys, "d/big", data))
		must(t, disk.Put(fsys, "d/empty", nil))
		wantErr(t, disk.Put(fsys, "d/big", []byte("other")), fs.ErrExist)
		write(t, fsys, "d/again.tmp", "left by a crash, and longer than the new one")
		must(t, disk.Put(fsys, "d/again", []byte("new")))
		wantRead(t, fsys, "d/big", string(data))
		wantRead(t, fsys, "d/empty", "")
		wantRead(t, fsys, "d/again", "new")
		wantNames(t, fsys, "d", "again", "big", "empty")
		c, err := disk.PutFinal(fsys, "d/final", data)
		must(t, err)
		if c != disk.Cold && c != disk.Warm {
			t.Errorf("coldness %v", c)
		}
		_, err = disk.PutFinal(fsys, "d/final", []byte("other"))
		wantErr(t, err, fs.ErrExist)
		wantRead(t, fsys, "d/final", string(data))
		wantErr(t, disk.Put(fsys, "no/such", nil), fs.ErrNotExist)
		_, err = disk.ReadAll(fsys, "d/big", int64(len(data))-1)
		wantErr(t, err, disk.ErrTooBig)
	}},
	{"make directories", func(t *testing.T, fsys disk.FS) {
		must(t, disk.MkdirAll(fsys, "a/b/c", 0o755))
		must(t, disk.MkdirAll(fsys, "a/b/c", 0o755))
		must(t, disk.MkdirAll(fsys, "a/b/d/e", 0o755))
		must(t, disk.MkdirAll(fsys, ".", 0o755))
		wantNames(t, fsys, "a/b", "c", "d")
		write(t, fsys, "a/f", "")
		wantErr(t, disk.MkdirAll(fsys, "a/f/g", 0o755), syscall.ENOTDIR)
		wantErr(t, disk.MkdirAll(fsys, "a/f", 0o755), syscall.ENOTDIR)
		must(t, fsys.Symlink("b", "a/l"))
		wantErr(t, disk.MkdirAll(fsys, "a/l/x", 0o755), syscall.ENOTDIR)
		wantErr(t, disk.MkdirAll(fsys, "a/../x", 0o755), disk.ErrName)
	}},
	{"read back", func(t *testing.T, fsys disk.FS) {
		write(t, fsys, "f", "contents")
		must(t, fsys.SyncFiles([]string{"f"}))
		var got []byte
		_, err := disk.ReadBack(fsys, "f", func(r io.Reader) (err error) {
			got, err = io.ReadAll(r)
			return err
		})
		must(t, err)
		if string(got) != "contents" {
			t.Errorf("read %q", got)
		}
		_, err = disk.ReadBack(fsys, "f", func(io.Reader) error { return disk.ErrReadBack })
		wantErr(t, err, disk.ErrReadBack)
	}},
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
		for _, c := range conformance {
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

