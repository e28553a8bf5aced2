package disktest_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"waterlock/internal/disk"
)

// dataCases are about metadata and what is durable.
var dataCases = []conformanceCase{
	{"metadata is set and read", func(t *testing.T, fsys disk.FS) {
		write(t, fsys, "f", "x")
		must(t, fsys.Mkdir("d", 0o755))
		must(t, fsys.Symlink("f", "l"))
		entries := []string{"f", "d", "l"}
		if mkfifo(t, fsys, "p") {
			entries = append(entries, "p")
		}
		for i, name := range entries {
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
	{"files share blocks, or it is said that they cannot", func(t *testing.T, fsys disk.FS) {
		const k = disk.CloneAlign
		a, b := bytes.Repeat([]byte("a"), 4*k+7), bytes.Repeat([]byte("b"), k)
		write(t, fsys, "a", string(a))
		write(t, fsys, "b", string(b))
		err := fsys.CloneRange("a", "b", k, 2*k)
		if errors.Is(err, errors.ErrUnsupported) {
			wantRead(t, fsys, "b", string(b))
			t.Skipf("blocks cannot be shared here: %v", err)
		}
		must(t, err)
		b = append(b, a[:2*k]...)
		wantRead(t, fsys, "b", string(b))
		// A write to either leaves the other as it is.
		for _, name := range []string{"a", "b"} {
			f, err := fsys.OpenWrite(name)
			must(t, err)
			mustN(t, 3)(f.WriteAt([]byte("new"), k+5))
			must(t, errors.Join(f.Sync(), f.Close()))
		}
		copy(a[k+5:], "new")
		copy(b[k+5:], "new")
		wantRead(t, fsys, "a", string(a))
		wantRead(t, fsys, "b", string(b))
		must(t, fsys.Remove("a"))
		wantRead(t, fsys, "b", string(b))
		wantErr(t, fsys.CloneRange("a", "b", 0, k), fs.ErrNotExist)
		wantErr(t, fsys.CloneRange("b", "c", 0, k), fs.ErrNotExist)
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
		_, err := disk.ReadBack(fsys, "f", func(r disk.File) (err error) {
			got, err = io.ReadAll(r)
			return err
		})
		must(t, err)
		if string(got) != "contents" {
			t.Errorf("read %q", got)
		}
		_, err = disk.ReadBack(fsys, "f", func(disk.File) error { return disk.ErrReadBack })
		wantErr(t, err, disk.ErrReadBack)
	}},
}
