package chunkstore

import (
	"strings"
	"testing"

	"waterlock/index"
	"waterlock/internal/chunk"
	"waterlock/internal/disk/disktest"
)

func (w *world) compact() CompactResult {
	w.t.Helper()
	res, err := w.s.Compact(w.t.Context(), CompactOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	return res
}

func TestCompact(t *testing.T) {
	w := newWorld(t, disktest.NewMem()).open()
	one := random(1, 10000)
	two := append(append([]byte{}, one[:8000]...), random(2, 3000)...) // shares four fifths
	film := random(3, 9000)
	w.fine(install(dir("")), install(w.file("f", one, 10)), install(w.file("film", film, 10)), install(w.file("empty", nil, 1)))
	w.fine(install(w.file("f", two, 20)), remove("film"), remove("empty"))
	if n := len(all(t, w.fs, ".wl/kept")); n != 3 {
		t.Fatalf("%d kept", n)
	}
	res := w.compact()
	if res.Containers != 2 || res.Freed != 10000 || res.Written != 2000 {
		t.Fatalf("%+v", res)
	}
	// The film is needed whole: it stays as it is.
	if kept := all(t, w.fs, ".wl/kept"); len(kept) != 1 {
		t.Fatalf("%d kept", len(kept))
	}
	w.chunksOf(string(one), string(two), string(film))
	w.rebuild(w.rows())
	if res := w.compact(); res.Containers != 0 {
		t.Fatalf("%+v", res)
	}
	// It comes back: its inode does.
	if r := w.fine(install(w.file("film2", film, 10)))[0]; r.Way != Linked {
		t.Fatalf("%+v", r)
	}
	// The chunks of the pack come into the mirror: the pack goes.
	w.fine(install(w.file("f1", one, 10)))
	if res := w.compact(); res.Containers != 1 || res.Written != 0 {
		t.Fatalf("%+v", res)
	}
	if sp, err := w.s.Space(t.Context()); err != nil || sp.Packs != 0 || sp.Kept != 0 {
		t.Fatalf("%+v %v", sp, err)
	}
	w.chunksOf(string(one), string(two), string(film))
	w.rebuild(w.rows())
}

// Two containers that each lean on the other must not both go.
func TestCompactTwins(t *testing.T) {
	w := newWorld(t, disktest.NewMem()).open()
	b := random(1, 5000)
	w.fine(install(dir("")), install(w.file("x", b, 10)), install(w.file("y", b, 20)))
	w.fine(remove("x"), remove("y"))
	res := w.compact()
	if res.Containers != 1 {
		t.Fatalf("%+v", res)
	}
	w.chunksOf(string(b))
	w.rebuild(w.rows())
}

// A kept inode that a path still shows is never compacted away.
func TestCompactKeepsShared(t *testing.T) {
	w := newWorld(t, disktest.NewMem()).open()
	b := random(1, 5000)
	x, y := w.file("x", b, 10), w.file("y", b, 10)
	x.LinkGroup, y.LinkGroup = 5, 5
	w.fine(install(dir("")), install(x), install(y), install(w.file("copy", b, 30)))
	w.fine(remove("y"))
	w.fine(remove("x"))
	w.fine(install(w.file("other", []byte("x"), 1)))
	w.chunksOf(string(b))
	// One of two is left in the mirror.
	x, y = w.file("x", b, 40), w.file("y", b, 40)
	x.LinkGroup, y.LinkGroup = 6, 6
	w.fine(install(x), install(y))
	w.fine(install(w.file("y", []byte("new"), 50))) // the group's container is named by y
	w.compact()
	w.want("a/x", string(b))
	w.chunksOf(string(b))
	if err := w.s.Catalog().Containers(func(c index.Container) error {
		if !w.s.there(c) {
			t.Fatalf("%+v is not there", c)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	w.rebuild(w.rows())
}

// An index alone is not believed: a chunk whose other place is rotten is
// written to history before the container goes.
func TestCompactReadsOtherPlaces(t *testing.T) {
	w := newWorld(t, disktest.NewMem()).open()
	one := random(1, 10000)
	two := append(append([]byte{}, one[:8000]...), random(2, 3000)...)
	w.fine(install(dir("")), install(w.file("f", one, 10)))
	w.fine(install(w.file("f", two, 20)))
	w.rebuild(w.rows()) // nothing is known to have been read
	rot(t, w.fs, "a/f", 3500)
	w.s.AttachDrive(nil)
	res := w.compact()
	if res.Containers != 1 || res.Written != 3000 {
		t.Fatalf("%+v", res)
	}
	w.chunksOf(string(one))
}

func TestCrashAtEveryStepOfCompact(t *testing.T) {
	start := disktest.NewMem()
	w := newWorld(t, start).open()
	one := random(1, 10000)
	two := append(append([]byte{}, one[:8000]...), random(2, 3000)...)
	w.fine(install(dir("")), install(w.file("f", one, 10)))
	w.fine(install(w.file("f", two, 20)))
	w.close()
	crashEvery(t, func(t *testing.T, k int) bool {
		mem := start.Crashed(disktest.Names, 0)
		w := again(t, mem)
		if err := w.tryOpen(); err != nil {
			t.Error(err)
			return false
		}
		mem.CrashAfter(k)
		w.s.Compact(t.Context(), CompactOptions{})
		crashed := mem.DidCrash()
		w.discard()
		for i, mode := range disktest.Modes {
			if !long && k%3 != i {
				continue
			}
			r := again(t, mem.Crashed(mode, uint64(k)))
			if err := r.tryOpen(); err != nil {
				t.Error(err)
				return false
			}
			r.chunksOf(string(one), string(two))
			r.want("a/f", string(two))
			r.compact()
			r.chunksOf(string(one), string(two))
			for n := range all(t, r.fs, ".wl/kept") {
				t.Errorf("%s is left over", n)
			}
			if p := r.rep.Problems(); len(p) != 0 {
				t.Errorf("k %d %v: %v", k, mode, p)
			}
			r.discard()
		}
		return crashed
	})
}

func TestContainerNumbersAreNeverReused(t *testing.T) {
	mem := disktest.NewMem()
	w := newWorld(t, mem).open()
	seen := map[string]bool{}
	for i := range 6 {
		w.fine(install(dir("")), install(w.file("f", random(uint64(i), 3000), int64(i))))
		w.put(random(uint64(100+i), 700), chunk.Data)
		if err := w.s.FlushHistory(); err != nil {
			t.Fatal(err)
		}
		if i%2 == 1 {
			if _, err := w.s.Compact(t.Context(), CompactOptions{Needed: func(chunk.ID) (bool, error) { return false, nil }}); err != nil {
				t.Fatal(err)
			}
		}
		now := map[string]bool{}
		for n := range all(t, w.fs, ".wl") {
			if strings.Contains(n, "/kept/") || strings.Contains(n, "/packs/") {
				now[n] = true
			}
		}
		if i%3 == 2 { // the catalog is lost
			w.discard()
			w.index = tempDir(t)
			w.open()
		}
		w.s.Catalog().Containers(func(c index.Container) error {
			key := c.Kind.String() + c.Name
			if c.Kind == index.Mirror {
				return nil
			}
			if seen[key] && !now[packName(c.Name)] && !now[".wl/kept/"+c.Name] {
				t.Errorf("%s was used before", key)
			}
			seen[key] = true
			return nil
		})
		next := w.s.nextNumber()
		for n := range now {
			if i := strings.LastIndexByte(n, '/'); len(n) >= i+17 {
				if num, ok := parseNumber(n[i+1 : i+17]); ok && num >= next {
					t.Errorf("%s: next number is %d", n, next)
				}
			}
		}
	}
}

// A failure of the device that passes does not make a kept file worthless.
func TestCompactAfterPassingReadError(t *testing.T) {
	f := disktest.NewFault(disktest.NewMem())
	w := newWorld(t, f).open()
	b := random(1, 1000)
	w.fine(install(dir("")), install(w.file("p", b, 10)))
	w.fine(install(w.file("p", random(2, 1000), 20)))
	w.drive = drive{}
	w.s.Catalog().ClearDrive()
	f.CountReads(true)
	for k := 1; k < 40; k++ {
		f.FailAt(k, disktest.EIO, false)
		_, _ = w.s.Scrub(t.Context(), ScrubOptions{})
		f.FailAt(0, 0, false)
		w.compact()
		if n := len(all(t, w.fs, ".wl/kept")); n != 1 {
			t.Fatalf("k %d: the kept file is gone", k)
		}
		w.chunksOf(string(b))
	}
}

// A kept file that holds a chunk which could not be read, and which nothing
// else holds, stays for as long as the chunk is needed.
func TestCompactKeepsFileOfWantedChunk(t *testing.T) {
	w := newWorld(t, disktest.NewMem()).open()
	b := random(1, 1000)
	w.fine(install(dir("")), install(w.file("p", b, 10)))
	w.fine(remove("p"))
	w.drive = drive{}
	w.s.Catalog().ClearDrive()
	for n := range all(t, w.fs, ".wl/kept") {
		rot(t, w.fs, n, 7)
	}
	if res := w.scrub(ScrubOptions{}); res.Bad != 1 || res.Wanted != 1 {
		t.Fatalf("%+v", res)
	}
	if res := w.compact(); res.Containers != 0 || len(all(t, w.fs, ".wl/kept")) != 1 {
		t.Fatalf("%+v", res)
	}
	res, err := w.s.Compact(t.Context(), CompactOptions{Needed: func(chunk.ID) (bool, error) { return false, nil }})
	if err != nil || res.Containers != 1 {
		t.Fatalf("%+v %v", res, err)
	}
}

// An install record that cannot be read takes nothing along that a later one
// tells of, and no kept file.
func TestUnreadableRecordLosesNoKeptFile(t *testing.T) {
	for _, meta := range []bool{false, true} {
		mem := disktest.NewMem()
		w := newWorld(t, mem).open()
		b := random(1, 1000)
		w.fine(install(dir("")), install(w.file("p", b, 10)))
		if meta {
			w.fine(install(w.file("p", b, 15)))
		}
		w.fine(install(w.file("p", random(2, 1000), 20)))
		w.drive = drive{}
		w.discard()
		rot(t, mem, ".wl/installs/0000000000000001.install", 90)
		w.open()
		if len(w.rep.Problems()) == 0 {
			t.Fatal("nothing was said")
		}
		w.compact()
		if n := len(all(t, w.fs, ".wl/kept")); n != 1 {
			t.Fatalf("meta %v: the kept file is gone", meta)
		}
		if meta {
			w.chunksOf(string(b))
		}
	}
}

// A damaged pack is written anew once every needed chunk of it can be had, and
// stays until then.
func TestCompactReplacesDamagedPack(t *testing.T) {
	w := newWorld(t, disktest.NewMem()).open()
	b, c := random(1, 1000), random(2, 1000)
	idB, idC := w.put(b, chunk.Data), w.put(c, chunk.Data)
	if err := w.s.FlushHistory(); err != nil {
		t.Fatal(err)
	}
	w.s.AttachDrive(nil)
	places, _ := w.s.Catalog().Places(idB)
	for n := range all(t, w.fs, packsDir) {
		rot(t, w.fs, n, places[0].Offset+500)
	}
	if res := w.scrub(ScrubOptions{}); res.Bad != 1 || res.Wanted != 1 {
		t.Fatalf("%+v", res)
	}
	if res := w.compact(); res.Containers != 0 {
		t.Fatalf("%+v", res)
	}
	w.put(b, chunk.Data) // it is brought again
	if err := w.s.FlushHistory(); err != nil {
		t.Fatal(err)
	}
	if res := w.compact(); res.Containers != 1 || res.Written != 1000 {
		t.Fatalf("%+v", res)
	}
	if res := w.scrub(ScrubOptions{}); res.Bad != 0 {
		t.Fatalf("%+v", res)
	}
	for _, id := range []chunk.ID{idB, idC} {
		if _, err := w.s.Get(id, chunk.Data, 1000, nil); err != nil {
			t.Fatal(err)
		}
	}
	// A damaged table is enough, and nothing is lost with it.
	for n := range all(t, w.fs, packsDir) {
		st, _ := w.fs.Stat(n)
		rot(t, w.fs, n, st.Size-100)
	}
	if res := w.scrub(ScrubOptions{}); res.Bad == 0 {
		t.Fatalf("%+v", res)
	}
	w.compact()
	if res := w.scrub(ScrubOptions{}); res.Bad != 0 || res.Chunks != 2 {
		t.Fatalf("%+v", res)
	}
}
