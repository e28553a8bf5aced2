package tests

import (
	le "encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pkg/xattr"

	"waterlock/internal/disk"
	"waterlock/tests/trees"
)

// accessList is a POSIX access list of permissions for the owner, user 1234,
// the group and others.
func accessList(owner, user, group, other uint16) []byte {
	b := []byte{2, 0, 0, 0}
	entry := func(tag, perm uint16, id uint32) {
		b = le.LittleEndian.AppendUint16(b, tag)
		b = le.LittleEndian.AppendUint16(b, perm)
		b = le.LittleEndian.AppendUint32(b, id)
	}
	none := ^uint32(0)
	entry(1, owner, none)
	entry(2, user, 1234)
	entry(4, group, none)
	entry(16, user|group, none)
	entry(32, other, none)
	return b
}

const (
	accessName  = "system.posix_acl_access"
	defaultName = "system.posix_acl_default"
)

func needAccessLists(t testing.TB) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "probe")
	must(t, os.WriteFile(name, nil, 0o600))
	if err := xattr.Set(name, accessName, accessList(6, 4, 0, 0)); err != nil {
		t.Skip("this file system has no access lists: ", err)
	}
	if err := xattr.Set(name, "user.probe", []byte("x")); err != nil {
		t.Skip("this file system has no user attributes: ", err)
	}
}

var (
	longName = strings.Repeat("n", 255)
	longDir  = strings.Repeat("d", 250)
)

// attributes fills a directory with one of everything there is to a file.
func attributes(t testing.TB, dir string) {
	t.Helper()
	at := func(parts ...string) string { return filepath.Join(append([]string{dir}, parts...)...) }
	write := func(name, content string, mode os.FileMode) {
		must(t, os.MkdirAll(filepath.Dir(at(name)), 0o755))
		must(t, os.WriteFile(at(name), []byte(content), 0o600))
		must(t, os.Chmod(at(name), mode))
	}
	write("listed", "access list", 0o640)
	must(t, xattr.Set(at("listed"), accessName, accessList(6, 7, 4, 0)))
	write("closed to its owner", "by an access list", 0o600)
	must(t, xattr.Set(at("closed to its owner"), accessName, accessList(4, 4, 0, 0)))
	must(t, os.Mkdir(at("inherited"), 0o755))
	must(t, xattr.Set(at("inherited"), defaultName, accessList(5, 5, 5, 0)))
	must(t, os.WriteFile(at("inherited", "has a list"), []byte("x"), 0o666))
	must(t, os.WriteFile(at("inherited", "has none"), []byte("y"), 0o666))
	must(t, xattr.Remove(at("inherited", "has none"), accessName))
	must(t, os.Mkdir(at("inherited", "sub"), 0o755))
	must(t, xattr.Remove(at("inherited", "sub"), accessName))
	must(t, xattr.Remove(at("inherited", "sub"), defaultName))
	must(t, os.Chmod(at("inherited", "sub"), 0o755))

	write("attributes", "of the user", 0o600)
	must(t, xattr.Set(at("attributes"), "user.large", []byte(strings.Repeat("v", 2000))))
	must(t, xattr.Set(at("attributes"), "user.bytes\xff", []byte{0, 1, 254, 255}))
	must(t, xattr.Set(at("attributes"), "user.empty", nil))

	write("links/one/a", "linked", 0o644)
	write("links/two/other", "not linked", 0o644)
	must(t, os.Link(at("links/one/a"), at("links/two/b")))
	must(t, os.Link(at("links/one/a"), at("c")))

	write(longName, "a name of 255 bytes", 0o600)
	write("kind", "a file, that becomes a directory", 0o600)
	write("dir/f", "in a directory that becomes a file", 0o600)
	write("closed/f", "in a closed directory", 0o444)
	must(t, os.Symlink("no/where", at("link")))
	must(t, syscall.Mkfifo(at("pipe"), 0o640))
	old := time.Date(1971, 2, 3, 4, 5, 6, 789012345, time.UTC)
	must(t, os.Chtimes(at("dir"), old, old))
	must(t, os.Chmod(at("closed"), 0o555))
}

// beyond makes files deeper than PATH_MAX, and reads them below other roots.
type beyond struct {
	t     testing.TB
	depth int
}

// down calls fn with the deepest directory below root; missing ones are made.
func (b beyond) down(root string, make bool, fn func(disk.FS)) {
	b.t.Helper()
	dir, err := disk.Dir(root)
	must(b.t, err)
	for range b.depth {
		if make {
			if err := dir.Mkdir(longDir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
				b.t.Fatal(err)
			}
		}
		sub, err := dir.Sub(longDir)
		must(b.t, err)
		dir.Close()
		dir = sub
	}
	defer dir.Close()
	fn(dir)
}

func (b beyond) write(root, name, content string) {
	b.t.Helper()
	b.down(root, true, func(dir disk.FS) {
		_ = dir.Remove(name)
		f, err := dir.Create(name, 0o640)
		must(b.t, err)
		_, err = f.Write([]byte(content))
		must(b.t, errors.Join(err, f.Close()))
	})
}

func (b beyond) is(what, root, name, content string) {
	b.t.Helper()
	b.down(root, false, func(dir disk.FS) {
		if got, err := disk.ReadAll(dir, name, 1000); err != nil || string(got) != content {
			b.t.Errorf("%s: %q, %v, want %q", what, got, err, content)
		}
	})
}

func allOf(t testing.TB, dir string) trees.Tree {
	t.Helper()
	got, err := trees.Take(dir, trees.Options{})
	must(t, err)
	return got
}

// Everything about a file travels to the mirror and comes back: access lists,
// attributes, links across directories, names of 255 bytes, paths beyond
// PATH_MAX, what was a file and is a directory, and back.
func TestEverythingAboutAFileTravels(t *testing.T) {
	t.Parallel()
	needAccessLists(t)
	w := newWorld(t)
	openAtEnd(t, w.dir)
	home := filepath.Join(w.home, "t")
	must(t, os.MkdirAll(home, 0o750))
	attributes(t, home)
	deep := beyond{t, 20}
	deeper := filepath.Join(w.home, "deep")
	must(t, os.Mkdir(deeper, 0o755))
	deep.write(deeper, longName, "first")

	first := allOf(t, home)
	w.begin("t", "deep")
	w.pack()
	w.joinAndUnpack()
	mirror, deepMirror := filepath.Join(w.vault, "t"), filepath.Join(w.vault, "deep")
	if os.Geteuid() == 0 { // an ordinary user's vault opens what is closed
		same(t, "mirror", first, mirror)
	}
	deep.is("mirror", deepMirror, longName, "first")

	must(t, os.Remove(filepath.Join(home, "kind")))
	must(t, os.MkdirAll(filepath.Join(home, "kind", "sub"), 0o711))
	must(t, os.WriteFile(filepath.Join(home, "kind", "sub", "f"), []byte("in it"), 0o600))
	must(t, os.RemoveAll(filepath.Join(home, "dir")))
	must(t, os.WriteFile(filepath.Join(home, "dir"), []byte("a file now"), 0o600))
	must(t, xattr.Set(filepath.Join(home, "listed"), accessName, accessList(6, 4, 4, 4)))
	must(t, xattr.Remove(filepath.Join(home, "inherited"), defaultName))
	must(t, xattr.Remove(filepath.Join(home, "attributes"), "user.large"))
	must(t, os.Remove(filepath.Join(home, "links/two/other")))
	must(t, os.Link(filepath.Join(home, "c"), filepath.Join(home, "links/two/other")))
	must(t, os.Remove(filepath.Join(home, "links/one/a")))
	must(t, os.Chmod(filepath.Join(home, "closed"), 0o755))
	must(t, os.WriteFile(filepath.Join(home, "closed", "new"), []byte("put into it"), 0o400))
	must(t, os.Chmod(filepath.Join(home, "closed"), 0o555))
	deep.write(deeper, longName, "second")
	deep.write(deeper, "other", "new")
	second := allOf(t, home)
	w.pack()
	// Somebody else wrote over the first version below the long path, which the drive still has: what is in the way
	// is kept under foreign/, as deep.
	deep.write(deepMirror, longName, "foreign")
	w.run(20, w.vState, "unpack", "--drive", w.drive, "--vault", w.vault, "--deletions", "apply")
	if os.Geteuid() == 0 {
		same(t, "mirror of the second trip", second, mirror)
	}
	deep.is("mirror", deepMirror, longName, "second")
	day, err := filepath.Glob(filepath.Join(w.vault, ".wl/foreign/*/deep"))
	if err != nil || len(day) != 1 {
		t.Fatalf("foreign: %v, %v", day, err)
	}
	deep.is("foreign", day[0], longName, "foreign")

	// And back again.
	must(t, os.RemoveAll(filepath.Join(home, "kind")))
	must(t, os.WriteFile(filepath.Join(home, "kind"), []byte("a file again"), 0o600))
	must(t, os.Remove(filepath.Join(home, "dir")))
	must(t, os.Mkdir(filepath.Join(home, "dir"), 0o700))
	must(t, os.WriteFile(filepath.Join(home, "dir", "f"), []byte("a directory again"), 0o600))
	third := allOf(t, home)
	w.pack()
	w.unpack()

	for n, want := range []trees.Tree{first, second, third} {
		back := w.restore(fmt.Sprint(n + 1))
		same(t, fmt.Sprintf("snapshot %d", n+1), want, filepath.Join(back, "t"))
		content := "second"
		if n == 0 {
			content = "first"
		}
		deep.is(fmt.Sprintf("snapshot %d", n+1), filepath.Join(back, "deep"), longName, content)
	}
	if out := w.atVault("verify", "--vault", w.vault); !strings.Contains(out, "No damage") {
		t.Error(out)
	}

	// The time of birth cannot be set by anybody; it is recorded where there is one, and shown.
	d, err := disk.Dir(home)
	must(t, err)
	defer d.Close()
	st, err := d.Stat("attributes")
	must(t, err)
	out := w.atVault("ls", "--vault", w.vault, "--json", "--snapshot", "1", "t/attributes")
	if born := st.BTime.Time().Format(time.RFC3339Nano); !st.BTime.IsZero() && !strings.Contains(out, `"btime":"`+born) {
		t.Errorf("born %s: %s", born, out)
	}
	if !strings.Contains(out, `"user.empty","user.large"`) {
		t.Errorf("no names of attributes: %s", out)
	}

	// Over an older state: a directory of files never goes, all else is replaced.
	back := w.restore("1")
	w.run(3, w.vState, "restore", "--vault", w.vault, "--snapshot", "2", "--target", back, "--overwrite")
	if st, err := os.Stat(filepath.Join(back, "t/dir")); err != nil || !st.IsDir() {
		t.Errorf("the directory that was in the way: %v", err)
	}
	if _, err := os.Stat(filepath.Join(back, "t/kind/sub/f")); err != nil {
		t.Error(err)
	}

	// In part: what is asked for of a group of links are links of each other.
	part := filepath.Join(w.dir, "part")
	w.atVault("restore", "--vault", w.vault, "--snapshot", "1", "--target", part, "t/links/two/b", "t/c")
	b, err1 := os.Stat(filepath.Join(part, "t/links/two/b"))
	c, err2 := os.Stat(filepath.Join(part, "t/c"))
	if err1 != nil || err2 != nil || !os.SameFile(b, c) || b.Sys().(*syscall.Stat_t).Nlink != 2 {
		t.Errorf("links in part: %v, %v", err1, err2)
	}
}

// A hole of a TiB costs nothing anywhere: only what is data is read, carried
// and written, and needs room on the drive.
func TestAHoleOfATerabyteTravels(t *testing.T) {
	t.Parallel()
	const tib = 1 << 40
	w := newWorld(t)
	home := filepath.Join(w.home, "t")
	must(t, os.Mkdir(home, 0o755))
	data := map[string]int64{"only a hole": -1, "in the middle": tib/2 + 12345}
	for name, at := range data {
		f, err := os.Create(filepath.Join(home, name))
		must(t, err)
		if at >= 0 {
			_, err = f.WriteAt([]byte(strings.Repeat("data ", 1000)), at)
			must(t, err)
		}
		if err := f.Truncate(tib); err != nil {
			t.Skip("this file system has no files of a TiB: ", err)
		}
		must(t, f.Close())
	}
	check := func(what, dir string) {
		t.Helper()
		d, err := disk.Dir(dir)
		must(t, err)
		defer d.Close()
		for name, at := range data {
			f, err := d.Open(name)
			must(t, err)
			st, err := f.Stat()
			must(t, err)
			if st.Size != tib || st.Alloc > 1<<20 {
				t.Errorf("%s: %s has %d bytes, %d of them on the disk", what, name, st.Size, st.Alloc)
			}
			got := make([]byte, 5000)
			if at >= 0 {
				_, err = f.ReadAt(got, at)
				must(t, err)
				if string(got) != strings.Repeat("data ", 1000) {
					t.Errorf("%s: %s has other data", what, name)
				}
			}
			must(t, f.Close())
		}
	}
	check("home", home)
	w.begin("t")
	out := w.pack("--limit", "4MB")
	if !strings.Contains(out, "Nothing is left for the next trip") {
		t.Errorf("holes need room on the drive:\n%s", out)
	}
	w.joinAndUnpack()
	check("mirror", filepath.Join(w.vault, "t"))
	w.atVault("verify", "--vault", w.vault)
	check("snapshot", filepath.Join(w.restore("1"), "t"))

	// A hole that was filled in the mirror is found.
	f, err := os.OpenFile(filepath.Join(w.vault, "t", "in the middle"), os.O_WRONLY, 0)
	must(t, err)
	st, err := f.Stat()
	must(t, err)
	_, err = f.WriteAt([]byte{1}, 3<<30)
	must(t, err)
	must(t, f.Close())
	must(t, os.Chtimes(f.Name(), st.ModTime(), st.ModTime()))
	w.run(20, w.vState, "verify", "--vault", w.vault)
}
