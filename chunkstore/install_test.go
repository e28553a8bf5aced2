package chunkstore

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"waterlock/internal/disk"
	"waterlock/internal/disk/disktest"
)

func TestInstall(t *testing.T) {
	w := newWorld(t, disktest.NewMem()).open()
	one, two := random(1, 3500), random(2, 2500)
	w.fine(install(dir("")), install(dir("d")), install(w.file("d/f", one, 10)), install(w.file("empty", nil, 10)),
		install(symlink("l", "target", 11)))
	w.want("a/d/f", string(one))
	w.want("a/empty", "")
	w.want("a/l", "-> target")
	st, _ := w.fs.Stat("a/d/f")
	if st.MTime != (disk.Time{Sec: 10, Nsec: 7}) || st.Mode != 0o644 || st.Nlink != 1 {
		t.Fatalf("metadata: %+v", st)
	}
	if names, _ := w.fs.ReadDir(".wl/staging"); names.Len() != 0 {
		t.Fatal("staging is not empty")
	}
	before := w.rows()

	// Again: nothing to do.
	for _, r := range w.fine(install(dir("")), install(dir("d")), install(w.file("d/f", one, 10)), install(symlink("l", "target", 11))) {
		if r.Way != Nothing {
			t.Fatalf("%s: way %d", r.Path, r.Way)
		}
	}
	sameRows(t, before, w.rows())

	// A new version, built from the old one where that has the chunks.
	three := append(append([]byte{}, one[:2000]...), two...)
	e := w.file("d/f", three, 20)
	clear(w.drive)
	w.content(two)
	res := w.fine(install(e), install(symlink("l", "other", 12)))
	if res[0].Way != Assembled || res[0].Kept != 3500 {
		t.Fatalf("%+v", res[0])
	}
	w.want("a/d/f", string(three))
	w.want("a/l", "-> other")
	w.chunksOf(string(one), string(three))
	if n := len(all(t, w.fs, ".wl/kept")); n != 1 {
		t.Fatalf("%d kept files", n)
	}

	// Removal, with its directory.
	w.fine(remove("d/f"), remove("d"), remove("l"), remove("nothing"))
	w.gone("a/d")
	w.gone("a/l")
	w.chunksOf(string(one), string(three))
	before = w.rows()
	w.rebuild(before)
}

// rebuild compares the catalog with one made anew.
func (w *world) rebuild(before map[string]string) {
	w.t.Helper()
	if err := w.s.Rebuild(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	sameRows(w.t, before, w.rows())
	w.feed()
}

func TestMetadataInPlace(t *testing.T) {
	w := newWorld(t, disktest.NewMem()).open()
	b := random(1, 1500)
	w.fine(install(dir("")), install(w.file("f", b, 10)))
	old, _ := w.fs.Stat("a/f")
	e := w.file("f", b, 30)
	e.Mode = 0o600
	e.Xattrs = []disk.Xattr{{Name: "user.x", Value: []byte("y")}}
	if r := w.fine(install(e))[0]; r.Way != MetaOnly {
		t.Fatalf("%+v", r)
	}
	st, _ := w.fs.Stat("a/f")
	if st.Ino != old.Ino || st.MTime != e.MTime || st.Mode != 0o600 {
		t.Fatalf("%+v", st)
	}
	m, _ := w.fs.Meta("a/f", st)
	if len(m.Xattrs) != 1 {
		t.Fatal("no attribute")
	}
	if res, err := w.s.CheckMirror(t.Context()); err != nil || res.Foreign+res.Missing+res.Lost != 0 {
		t.Fatalf("%+v %v", res, err)
	}
	w.rebuild(w.rows())
}

func TestHardLinks(t *testing.T) {
	w := newWorld(t, disktest.NewMem()).open()
	b, c := random(1, 1500), random(2, 1600)
	group := func(p string, b []byte, sec int64, g uint64) Action {
		e := w.file(p, b, sec)
		e.LinkGroup = g
		return install(e)
	}
	res := w.fine(install(dir("")), group("x", b, 10, 77), group("y", b, 10, 77))
	if res[2].Way != Linked {
		t.Fatalf("%+v", res[2])
	}
	ino := func(p string) uint64 { st, _ := w.fs.Stat(p); return st.Ino }
	if ino("a/x") != ino("a/y") {
		t.Fatal("not linked")
	}
	// A third one, in a later batch; then new metadata of all; then new content.
	w.fine(group("z", b, 10, 77))
	first := ino("a/x")
	if ino("a/z") != first {
		t.Fatal("third is not linked")
	}
	for _, r := range w.fine(group("x", b, 20, 77), group("y", b, 20, 77), group("z", b, 20, 77)) {
		if r.Way != MetaOnly {
			t.Fatalf("%+v", r)
		}
	}
	if ino("a/z") != first {
		t.Fatal("metadata broke the link")
	}
	w.rebuild(w.rows())
	w.fine(group("x", c, 30, 77), group("y", c, 30, 77), group("z", c, 30, 77))
	if i := ino("a/x"); i == first || i != ino("a/y") || i != ino("a/z") {
		t.Fatal("new version is not linked")
	}
	w.want("a/y", string(c))
	w.chunksOf(string(b), string(c))
	// One leaves the group: it gets an inode of its own.
	if r := w.fine(install(w.file("y", c, 30)))[0]; r.Way != Assembled {
		t.Fatalf("%+v", r)
	}
	if ino("a/y") == ino("a/x") || ino("a/x") != ino("a/z") {
		t.Fatal("link group")
	}
	w.want("a/y", string(c))
	// All leave it but one; that one may stay as it is.
	w.fine(remove("z"))
	w.fine(install(w.file("x", c, 30)))
	w.want("a/x", string(c))
	w.chunksOf(string(b), string(c))
	w.rebuild(w.rows())
}

func TestMove(t *testing.T) {
	w := newWorld(t, disktest.NewMem()).open()
	b, c := random(1, 1500), random(2, 900)
	w.fine(install(dir("")), install(dir("d")), install(w.file("d/log", b, 10)))
	st, _ := w.fs.Stat("a/d/log")
	clear(w.drive)
	// Moved to another directory.
	e := w.file("log.1", b, 10)
	clear(w.drive)
	res := w.fine(install(e), remove("d/log"), remove("d"))
	if res[0].Way != Linked {
		t.Fatalf("%+v", res[0])
	}
	now, _ := w.fs.Stat("a/log.1")
	if now.Ino != st.Ino || now.Nlink != 1 {
		t.Fatalf("inode %d with %d links, was %d", now.Ino, now.Nlink, st.Ino)
	}
	w.gone("a/d")
	if k := all(t, w.fs, ".wl/kept"); len(k) != 0 {
		t.Fatal(k)
	}
	w.rebuild(w.rows())
	// Rotated: a new log, the old one moves to log.2 in the same batch.
	e2 := w.file("log.2", b, 10)
	clear(w.drive)
	w.fine(install(w.file("log.1", c, 20)), install(e2))
	now, _ = w.fs.Stat("a/log.2")
	if now.Ino != st.Ino || now.Nlink != 1 {
		t.Fatalf("inode %d with %d links, was %d", now.Ino, now.Nlink, st.Ino)
	}
	w.want("a/log.1", string(c))
	w.want("a/log.2", string(b))
	if k := all(t, w.fs, ".wl/kept"); len(k) != 0 {
		t.Fatal(k)
	}
	w.rebuild(w.rows())
	// Removed, and back under another name in a later batch: out of the kept.
	w.fine(remove("log.2"))
	e3 := w.file("log.3", b, 10)
	clear(w.drive)
	if r := w.fine(install(e3))[0]; r.Way != Linked {
		t.Fatalf("%+v", r)
	}
	now, _ = w.fs.Stat("a/log.3")
	if now.Ino != st.Ino || now.Nlink != 1 {
		t.Fatalf("inode %d with %d links, was %d", now.Ino, now.Nlink, st.Ino)
	}
	// A copy is no move.
	w.content(b)
	if r := w.fine(install(w.file("copy", b, 10)))[0]; r.Way != Assembled {
		t.Fatalf("%+v", r)
	}
	w.rebuild(w.rows())
}

func TestForeign(t *testing.T) {
	w := newWorld(t, disktest.NewMem()).open()
	b, c := random(1, 1500), random(2, 900)
	w.fine(install(dir("")), install(w.file("f", b, 10)), install(w.file("g", b, 10)), install(w.file("h", b, 10)))
	write(t, w.fs, "a/f", "mine")                // replaced by somebody
	write(t, w.fs, "a/new", "mine too")          // in the way of a new file
	write(t, w.fs, "a/equal", string(c))         // equal to what is to come
	write(t, w.fs, "a/h", "changed and removed") // in the way of a removal
	if err := w.fs.Mkdir("a/dir", 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, w.fs, "a/dir/inside", "inside")
	res := w.fine(install(w.file("f", c, 20)), install(w.file("new", c, 20)), install(w.file("equal", c, 20)), remove("h"),
		install(w.file("dir", c, 20)))
	for i, way := range []Way{Assembled, Assembled, Adopted, Removed, Assembled} {
		if res[i].Way != way || (res[i].Foreign != "") != (way != Adopted) {
			t.Errorf("%+v", res[i])
		}
	}
	for _, p := range []string{"f", "new", "equal", "dir"} {
		w.want("a/"+p, string(c))
	}
	w.gone("a/h")
	day := ".wl/foreign/2027-01-15/a/"
	w.want(day+"f", "mine")
	w.want(day+"new", "mine too")
	w.want(day+"h", "changed and removed")
	w.want(day+"dir/inside", "inside")
	if len(w.rep.Warnings()) != 4 {
		t.Errorf("%q", w.rep.Warnings())
	}
	w.chunksOf(string(c))
	// The same names again on the same day.
	write(t, w.fs, "a/f", "mine again")
	w.fine(install(w.file("f", b, 30)))
	w.want(day+"f", "mine")
	w.want(day+"f~2", "mine again")
}

func TestKindChanges(t *testing.T) {
	w := newWorld(t, disktest.NewMem()).open()
	b, c := random(1, 1500), random(2, 900)
	w.fine(install(dir("")), install(w.file("x", b, 10)), install(symlink("y", "t", 1)), install(dir("z")), install(dir("z/deep")),
		install(w.file("z/deep/f", c, 10)), install(w.file("z/g", b, 10)))
	write(t, w.fs, "a/z/foreign", "foreign")
	w.fine(install(dir("x")), install(w.file("x/in", c, 10)), install(dir("y")), install(w.file("z", c, 10)))
	w.want("a/x/in", string(c))
	w.want("a/z", string(c))
	w.want("a/y", "dir")
	w.want(".wl/foreign/2027-01-15/a/z/foreign", "foreign")
	w.chunksOf(string(b), string(c))
	w.fine(remove("z/deep/f"), remove("z/deep")) // gone already
	w.rebuild(w.rows())
	w.fine(remove("x/in"), install(symlink("y", "t2", 1)))
	w.fine(install(w.file("x", b, 10)))
	w.want("a/x", string(b))
	w.want("a/y", "-> t2")
	w.rebuild(w.rows())
}

func TestRefusals(t *testing.T) {
	w := newWorld(t, disktest.NewMem()).open()
	b := random(1, 1500)
	w.fine(install(dir("")), install(w.file("f", b, 10)))
	missing := w.file("g", random(3, 5000), 10)
	delete(w.drive, missing.Content[2].ID)
	wrong := w.file("h", b, 10)
	wrong.Hash[0] ^= 1
	res := w.do(install(missing), install(wrong), install(w.file("no/parent", b, 10)),
		install(&snapshotSocket), Action{Op: Install, Tree: "zz", Entry: dir("q")}, install(w.file("good", b, 10)))
	var lack *LackingError
	if !errors.As(res[0].Err, &lack) || lack.Count != 1 || lack.Chunks[0] != missing.Content[2].ID {
		t.Errorf("%v", res[0].Err)
	}
	if res[1].Err == nil || !strings.Contains(res[1].Err.Error(), "hash") {
		t.Errorf("%v", res[1].Err)
	}
	for i, want := range map[int]error{2: ErrBlocked, 3: ErrKind} {
		if !errors.Is(res[i].Err, want) {
			t.Errorf("%v, expected %v", res[i].Err, want)
		}
	}
	if res[4].Err == nil || res[5].Err != nil {
		t.Errorf("%v, %v", res[4].Err, res[5].Err)
	}
	w.want("a/good", string(b))
	w.gone("a/g")
	w.gone("a/h")
	if names, _ := w.fs.ReadDir(".wl/staging"); names.Len() != 0 {
		t.Error("staging is not empty")
	}
	// The store's own directory in a tree at the root of a file system.
	fs := disktest.NewMem()
	cfg := w.config()
	cfg.Vault, cfg.Volumes, cfg.IndexDir = fs, []Volume{{"a", fs, ".", ".wl"}}, t.TempDir()
	s, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	bt := s.NewBatch(BatchOptions{})
	for _, p := range []string{".wl", ".wl/x"} {
		if err := bt.Add(t.Context(), install(dir(p))); err != nil {
			t.Fatal(err)
		}
	}
	out, err := bt.Commit(t.Context())
	if err != nil || !errors.Is(out[0].Err, ErrReserved) || !errors.Is(out[1].Err, ErrReserved) {
		t.Errorf("%v %v", out, err)
	}
}

func TestNoRoom(t *testing.T) {
	mem := disktest.NewMem()
	w := newWorld(t, mem).open()
	b := random(1, 1500)
	w.fine(install(dir("")), install(w.file("f", b, 10)))
	mem.SetCapacity(1 << 20)
	res := w.do(install(w.file("f", random(2, 2<<20), 20)), install(w.file("g", b, 20)))
	if !errors.Is(res[0].Err, ErrNoRoom) || res[1].Err != nil {
		t.Fatalf("%v, %v", res[0].Err, res[1].Err)
	}
	w.want("a/f", string(b))
}

func TestReadBackFiveTimes(t *testing.T) {
	for _, times := range []int{1, 4, 5, -1} {
		t.Run(fmt.Sprint(times), func(t *testing.T) {
			mem := disktest.NewMem()
			w := newWorld(t, mem).open()
			w.fine(install(dir("")), install(w.file("f", random(1, 1500), 10)))
			w.close()
			flip := disktest.FlipOnReadBack(mem, func(n string) bool { return strings.Contains(n, "/staging/") }, times)
			w.fs = flip
			w.open()
			b := random(2, 2500)
			g := w.file("f", b, 20)
			g.LinkGroup = 3
			h := w.file("h", b, 20)
			h.LinkGroup = 3
			res := w.do(install(g), install(h))
			if times == 5 || times < 0 {
				if !errors.Is(res[0].Err, ErrReadBack) || !errors.Is(res[1].Err, ErrReadBack) {
					t.Fatalf("%v, %v", res[0].Err, res[1].Err)
				}
				w.fs = mem
				w.want("a/f", string(random(1, 1500)))
				w.gone("a/h")
				if flip.Flipped() != 5 {
					t.Fatalf("%d assemblies", flip.Flipped())
				}
			} else {
				if res[0].Err != nil || res[1].Err != nil {
					t.Fatalf("%v, %v", res[0].Err, res[1].Err)
				}
				w.fs = mem
				w.want("a/f", string(b))
				w.want("a/h", string(b))
			}
			if names, _ := mem.ReadDir(".wl/staging"); names.Len() != 0 {
				t.Error("staging is not empty")
			}
			w.rebuild(w.rows())
		})
	}
}

// A link leaves its group for another, with new times, and another path joins
// the group with the same content: the inode goes with the first.
func TestALinkLeavesItsGroupWhileAnotherJoins(t *testing.T) {
	w := newWorld(t, disktest.NewMem()).open()
	b := random(1, 1500)
	of := func(p string, sec int64, group uint64) Action {
		e := w.file(p, b, sec)
		e.LinkGroup = group
		return install(e)
	}
	w.fine(install(dir("")), of("f", 10, 1))
	w.fine(of("f", 20, 2), of("g", 10, 1))
	for name, sec := range map[string]int64{"a/f": 20, "a/g": 10} {
		if st, err := w.fs.Stat(name); err != nil || st.MTime.Sec != sec || st.Nlink != 1 {
			t.Errorf("%s: %+v %v", name, st, err)
		}
	}
	w.rebuild(w.rows())
}
