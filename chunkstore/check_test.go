package chunkstore

import (
	"strings"
	"testing"

	"waterlock/index"
	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/internal/disk/disktest"
)

func (w *world) checkMirror() MirrorCheck {
	w.t.Helper()
	res, err := w.s.CheckMirror(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return res
}

func TestCheckMirror(t *testing.T) {
	w := newWorld(t, disktest.NewMem()).open()
	b, c, d := random(1, 2500), random(2, 1500), random(3, 1500)
	x, y := w.file("x", d, 10), w.file("y", d, 10)
	x.LinkGroup, y.LinkGroup = 4, 4
	w.fine(install(dir("")), install(w.file("f", b, 10)), install(w.file("g", c, 10)), install(x), install(y),
		install(symlink("l", "t", 1)), install(dir("d")))
	w.put(b[:1000], chunk.Data)
	if res := w.checkMirror(); res != (MirrorCheck{Files: 7}) {
		t.Fatalf("%+v", res)
	}
	// Somebody removes one, changes another in place, takes a link and a
	// directory away, and the name by which a linked inode is known.
	w.fs.Remove("a/f")
	write(t, w.fs, "a/g", "something else")
	w.fs.Remove("a/l")
	w.fs.Remove("a/d")
	w.fs.Remove("a/y")
	res := w.checkMirror()
	if res.Missing != 4 || res.Foreign != 1 || res.Lost != 2 || res.Chunks != 5 {
		t.Fatalf("%+v", res)
	}
	for _, e := range append(w.content(b), w.content(c)...) {
		if ok, _ := w.s.Has(e.ID); ok || !w.wanted(e.ID) {
			t.Fatal("it counts as held")
		}
	}
	w.chunksOf(string(d)) // by its other link
	before := w.rows()
	w.rebuild(before)
	// The next unpack puts all right, from the drive.
	w.fine(install(w.file("f", b, 10)), install(w.file("g", c, 10)), install(y), install(symlink("l", "t", 1)), install(dir("d")))
	w.want("a/f", string(b))
	w.want("a/g", string(c))
	w.want("a/y", string(d))
	if st, _ := w.fs.Stat("a/y"); st.Nlink != 2 {
		t.Fatal("not linked again")
	}
	w.want(".wl/foreign/2027-01-15/a/g", "something else")
	if res := w.checkMirror(); res != (MirrorCheck{Files: 7}) {
		t.Fatalf("%+v", res)
	}
}

// A kept version and a pack that vanish are lost, and said.
func TestCheckMirrorContainers(t *testing.T) {
	w := newWorld(t, disktest.NewMem()).open()
	b, c := random(1, 2500), random(2, 1500)
	w.fine(install(dir("")), install(w.file("f", b, 10)))
	w.fine(remove("f"))
	id, meta := w.put(c, chunk.Data), w.put([]byte("stream"), chunk.Stream)
	if err := w.s.FlushHistory(); err != nil {
		t.Fatal(err)
	}
	for n := range all(t, w.fs, ".wl") {
		if strings.Contains(n, "/kept/") || strings.Contains(n, "/packs/") {
			if err := w.fs.Remove(n); err != nil {
				t.Fatal(err)
			}
		}
	}
	if res := w.checkMirror(); res.Lost != 3 || res.Chunks != 5 {
		t.Fatalf("%+v", res)
	}
	if !w.wanted(id) || len(w.rep.Problems()) != 3 {
		t.Fatal(w.rep.Problems())
	}
	want, ok, err := w.s.Catalog().Want(meta)
	if err != nil || !ok || want.Kind != chunk.Stream {
		t.Fatalf("%+v %v", want, err)
	}
	var left []index.Container
	w.s.Catalog().Containers(func(c index.Container) error { left = append(left, c); return nil })
	if len(left) != 0 {
		t.Fatal(left)
	}
}

// A tree whose file system is not mounted is not taken for lost.
func TestUnmountedVolume(t *testing.T) {
	for _, lose := range []bool{false, true} {
		vault, far := disktest.NewMem(), disktest.NewMem()
		w := newWorld(t, vault)
		cfg := w.config()
		cfg.Volumes = []Volume{{"a", vault, "a", ".wl"}, {"far", far, ".", ".wl"}}
		s, err := Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		w.s = s
		e := w.file("f", random(1, 1500), 10)
		far2 := func(e *entry) Action { return Action{Op: Install, Tree: "far", Entry: e} }
		w.feed()
		w.fine(far2(dir("")), far2(e), install(dir("")))
		if got, _ := read(far, "f"); got != string(random(1, 1500)) {
			t.Fatal("not there")
		}
		w.close()
		if lose {
			w.discard()
		}
		cfg.Volumes[1].FS = disktest.NewMem()
		if s, err := Open(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "mounted") {
			if err == nil {
				s.Close()
			}
			t.Fatalf("lost index %v: %v", lose, err)
		}
		cfg.Volumes[1].FS = far
		s, err = Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		w.s = s
		w.chunksOf(string(random(1, 1500)))
		w.close()
	}
}

// The real file system, for what memory does not show.
func TestRealFileSystem(t *testing.T) {
	fs, err := disk.Dir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer fs.Close()
	w := newWorld(t, fs).open()
	sc := everything(w)
	w.fine(sc.acts(w)...)
	for n, c := range sc.new {
		w.want(n, c)
	}
	w.chunksOf(sc.contents...)
	if n := len(all(t, fs, ".wl/staging")); n != 0 {
		t.Fatal("staging is not empty")
	}
	w.rebuild(w.rows())
	e := dir("d")
	e.Mode, e.MTime = 0o750, disk.Time{Sec: 77, Nsec: 8}
	for _, want := range []bool{true, false} {
		if changed, err := w.s.SetDirMeta("a", e); err != nil || changed != want {
			t.Fatalf("%v %v", changed, err)
		}
	}
	if st, _ := fs.Stat("a/d"); st.MTime != e.MTime || st.Mode != 0o750 {
		t.Fatalf("%+v", st)
	}
	big := random(9, 12<<20)
	f := w.file("big", nil, 3)
	f.Size, f.Hash = int64(len(big)), hashOf(big)
	for off := 0; off < len(big); off += 3 << 20 {
		b := big[off : off+3<<20]
		id := chunk.Data.ID(b)
		w.drive[id] = b
		f.Content = append(f.Content, extent(id, len(b)))
	}
	w.fine(install(f))
	w.want("a/big", string(big))
	if res := w.scrub(ScrubOptions{}); res.Bad != 0 {
		t.Fatalf("%+v", res)
	}
	if _, err := w.s.Compact(t.Context(), CompactOptions{}); err != nil {
		t.Fatal(err)
	}
	w.chunksOf(sc.contents...)
	w.rebuild(w.rows())
}

// A vault that was copied to another disk has other inode numbers: kept files
// and packs are known by their names, the mirror by its content.
func TestCopiedVault(t *testing.T) {
	w := newWorld(t, disktest.NewMem()).open()
	b, c, h := random(1, 2500), random(2, 1500), random(3, 800)
	w.fine(install(dir("")), install(w.file("f", b, 10)), install(w.file("g", c, 10)))
	w.fine(install(w.file("f", c, 20)))
	w.put(h, chunk.Data)
	if err := w.s.FlushHistory(); err != nil {
		t.Fatal(err)
	}
	w.close()
	to := disktest.NewMem()
	write(t, to, "other", "so that inode numbers differ")
	for _, n := range []string{".wl", "a", "b"} {
		copyTree(t, w.fs, to, n)
	}
	r := newWorld(t, to).open()
	r.chunksOf(string(b), string(h))
	if p := r.rep.Problems(); len(p) != 0 {
		t.Fatal(p)
	}
	e := r.file("f", c, 20)
	clear(r.drive)
	res := r.fine(install(e), install(r.file("g", c, 10)))
	if res[0].Way != MetaOnly || res[1].Way != MetaOnly {
		t.Fatalf("%+v", res)
	}
	r.chunksOf(string(b), string(c), string(h))
	r.fine(remove("f"), remove("g"))
	r.compact()
	r.chunksOf(string(b), string(c), string(h))
	r.rebuild(r.rows())
}

func copyTree(t *testing.T, from, to disk.FS, name string) {
	st, err := from.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if st.Kind == disk.KindDir {
		if err := to.Mkdir(name, 0o755); err != nil {
			t.Fatal(err)
		}
		names, _ := from.ReadDir(name)
		for i := range names.Len() {
			copyTree(t, from, to, name+"/"+names.At(i))
		}
		return
	}
	got, _ := read(from, name)
	write(t, to, name, got)
	m, _ := from.Meta(name, st)
	if err := to.SetMeta(name, m, disk.MetaOptions{Mode: true}); err != nil {
		t.Fatal(err)
	}
}

// A file that was changed in place and then replaced: its container is dropped
// by the next check, not left behind.
func TestChangedInPlaceThenReplaced(t *testing.T) {
	w := newWorld(t, disktest.NewMem()).open()
	b, c := random(1, 2500), random(2, 1500)
	w.fine(install(dir("")), install(w.file("f", b, 10)), install(w.file("g", b, 10)))
	write(t, w.fs, "a/f", "mine")
	w.fs.Remove("a/g")
	w.fine(install(w.file("f", c, 20)), remove("g"))
	if res := w.checkMirror(); res.Lost != 1 || res.Chunks != 3 {
		t.Fatalf("%+v", res)
	}
	w.rebuild(w.rows())
}

func TestMetadataAsUser(t *testing.T) {
	w := newWorld(t, disktest.NewMem()).open()
	w.s.root = false
	f, d := w.file("f", nil, 1), dir("d")
	f.Mode, d.Mode = 0o444, 0o555
	w.fine(install(dir("")), install(f), install(d))
	if _, err := w.s.SetDirMeta("a", d); err != nil {
		t.Fatal(err)
	}
	for n, mode := range map[string]uint32{"a/f": 0o644, "a/d": 0o755} {
		if st, _ := w.fs.Stat(n); st.Mode != mode {
			t.Errorf("%s: mode %o", n, st.Mode)
		}
	}
}

// Links of one inode get a new time and one more link comes, in one batch: what
// is recorded of the inode is what it has afterwards.
func TestTouchedAndLinkedInOneBatch(t *testing.T) {
	for _, order := range [][]string{{"x", "y", "z"}, {"z", "x", "y"}, {"x", "z", "y"}} {
		w := newWorld(t, disktest.NewMem()).open()
		b := random(1, 2500)
		at := func(p string, sec int64) *entry {
			e := w.file(p, b, sec)
			e.LinkGroup = 4
			return e
		}
		w.fine(install(dir("")), install(at("x", 10)), install(at("y", 10)))
		var acts []Action
		for _, p := range order {
			acts = append(acts, install(at(p, 20)))
		}
		w.fine(acts...)
		if res := w.checkMirror(); res != (MirrorCheck{Files: 4}) {
			t.Fatalf("%v: %+v", order, res)
		}
		w.chunksOf(string(b))
		st, err := w.fs.Stat("a/x")
		if err != nil || st.Nlink != 3 || st.MTime.Sec != 20 {
			t.Fatalf("%v: %+v %v", order, st, err)
		}
		w.rebuild(w.rows())
		for _, r := range w.fine(acts...) {
			if r.Way != Nothing {
				t.Fatalf("%v: %+v", order, r)
			}
		}
	}
}

// A file of the mirror that only got another time is what it was: what it holds
// counts, and an old version of it is kept.
func TestTouchedFileIsStillHeld(t *testing.T) {
	for _, how := range []string{"check", "scrub", "rebuild"} {
		w := newWorld(t, disktest.NewMem()).open()
		b, c := random(1, 2500), random(2, 1500)
		x, y := w.file("x", c, 10), w.file("y", c, 10)
		x.LinkGroup, y.LinkGroup = 4, 4
		w.fine(install(dir("")), install(w.file("f", b, 10)), install(x), install(y))
		w.drive = drive{}
		w.s.Catalog().ClearDrive()
		touch(t, w.fs, "a/f", 99)
		touch(t, w.fs, "a/x", 98)
		switch how {
		case "scrub":
			if res := w.scrub(ScrubOptions{}); res.Bad != 0 || res.Wanted != 0 {
				t.Fatalf("%+v", res)
			}
		case "rebuild":
			if err := w.s.Rebuild(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if res := w.checkMirror(); res != (MirrorCheck{Files: 4}) {
			t.Fatalf("%s: %+v", how, res)
		}
		if p := w.rep.Problems(); len(p) != 0 {
			t.Fatal(p)
		}
		w.chunksOf(string(b), string(c))
		if how != "scrub" { // it does not look for the other links
			w.rebuild(w.rows())
		}
		w.drive = drive{}
		w.s.Catalog().ClearDrive()
		w.fine(install(x), install(y))
		if st, err := w.fs.Stat("a/x"); err != nil || st.MTime != x.MTime || st.Nlink != 2 {
			t.Fatalf("%s: %+v %v", how, st, err)
		}
		w.fine(install(w.file("f", random(3, 1000), 20)))
		w.chunksOf(string(b), string(c))
		if n := len(all(t, w.fs, ".wl/foreign")); n != 0 {
			t.Fatalf("%s: %d foreign files", how, n)
		}
		w.rebuild(w.rows())
	}
}

// touch gives a file another time.
func touch(t *testing.T, fs disk.FS, name string, sec int64) {
	t.Helper()
	st, err := fs.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	m, err := fs.Meta(name, st)
	if err != nil {
		t.Fatal(err)
	}
	m.MTime = disk.Time{Sec: sec}
	if err := fs.SetMeta(name, m, disk.MetaOptions{Mode: true}); err != nil {
		t.Fatal(err)
	}
}

// A kept version that only got another time is still held, and one whose bytes
// were changed is not.
func TestTouchedKeptFileIsStillHeld(t *testing.T) {
	for _, how := range []string{"check", "scrub", "rebuild"} {
		w := newWorld(t, disktest.NewMem()).open()
		b := random(1, 2500)
		w.fine(install(dir("")), install(w.file("f", b, 10)))
		w.fine(remove("f"))
		w.drive = drive{}
		w.s.Catalog().ClearDrive()
		for n := range all(t, w.fs, ".wl/kept") {
			touch(t, w.fs, n, 99)
		}
		switch how {
		case "scrub":
			if res := w.scrub(ScrubOptions{}); res.Bad != 0 || res.Wanted != 0 {
				t.Fatalf("%+v", res)
			}
		case "rebuild":
			if err := w.s.Rebuild(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if res := w.checkMirror(); res != (MirrorCheck{Files: 1}) {
			t.Fatalf("%s: %+v", how, res)
		}
		if p := w.rep.Problems(); len(p) != 0 {
			t.Fatal(p)
		}
		w.chunksOf(string(b))
		w.rebuild(w.rows())
		for n := range all(t, w.fs, ".wl/kept") {
			rot(t, w.fs, n, 5)
			touch(t, w.fs, n, 100)
		}
		if res := w.checkMirror(); res.Lost != 1 || res.Chunks != 3 {
			t.Fatalf("%s: %+v", how, res)
		}
	}
}
