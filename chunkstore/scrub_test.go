package chunkstore

import (
	"bytes"
	"errors"
	"testing"

	"waterlock/index"
	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/internal/disk/disktest"
	"waterlock/snapshot"
)

// rot flips one bit of a file beneath everything, its times stay.
func rot(t *testing.T, fs disk.FS, name string, off int64) {
	t.Helper()
	st, err := fs.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	m, err := fs.Meta(name, st)
	if err != nil {
		t.Fatal(err)
	}
	f, err := fs.OpenWrite(name)
	if err != nil {
		t.Fatal(err)
	}
	var b [1]byte
	if _, err := f.ReadAt(b[:], off); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 4
	if _, err := f.WriteAt(b[:], off); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if err := fs.SetMeta(name, m, disk.MetaOptions{Mode: true}); err != nil {
		t.Fatal(err)
	}
}

func (w *world) scrub(o ScrubOptions) ScrubResult {
	w.t.Helper()
	res, err := w.s.Scrub(w.t.Context(), o)
	if err != nil {
		w.t.Fatal(err)
	}
	return res
}

func (w *world) wanted(id chunk.ID) bool {
	_, ok, err := w.s.Catalog().Want(id)
	if err != nil {
		w.t.Fatal(err)
	}
	return ok
}

func TestScrubMirror(t *testing.T) {
	w := newWorld(t, disktest.NewMem()).open()
	b := random(1, 4500)
	w.fine(install(dir("")), install(w.file("f", b, 10)), install(w.file("copy", b, 20)), install(w.file("other", random(2, 3000), 10)))
	w.s.AttachDrive(nil)
	if res := w.scrub(ScrubOptions{}); res.Bad != 0 || res.Containers != 3 || res.Bytes != 12000 {
		t.Fatalf("%+v", res)
	}
	rot(t, w.fs, "a/f", 1234)
	if res := w.scrub(ScrubOptions{Quick: true}); res.Bad != 0 {
		t.Fatalf("quick reads no content: %+v", res)
	}
	res := w.scrub(ScrubOptions{})
	if res.Bad != 1 || res.Repaired != 1 || res.Wanted != 0 {
		t.Fatalf("%+v", res)
	}
	w.want("a/f", string(b))
	if p := w.rep.Problems(); len(p) != 1 || p[0].Path != "a/f" {
		t.Fatal(p)
	}
	if res := w.scrub(ScrubOptions{}); res.Bad != 0 && res.Bad != 1 { // the damaged inode is a kept file now
		t.Fatalf("%+v", res)
	}
	if _, err := w.s.Compact(t.Context(), CompactOptions{}); err != nil {
		t.Fatal(err)
	}
	if res := w.scrub(ScrubOptions{}); res.Bad != 0 {
		t.Fatalf("%+v", res)
	}
	// Without another place it is a want, and the file is put right by the
	// next unpack that brings it.
	rot(t, w.fs, "a/other", 2500)
	id := chunk.Data.ID(random(2, 3000)[2000:])
	if res := w.scrub(ScrubOptions{}); res.Bad != 1 || res.Repaired != 0 || res.Wanted != 1 || !w.wanted(id) {
		t.Fatalf("%+v", res)
	}
	if ok, _ := w.s.Has(id); ok {
		t.Fatal("it counts as held")
	}
	e := w.file("other", random(2, 3000), 10)
	row, _, _ := w.s.Catalog().Path("a", "other")
	if row.Digest != e.Digest() {
		t.Fatal("digest")
	}
	if _, err := w.s.CheckMirror(t.Context()); err != nil {
		t.Fatal(err)
	}
	if row, _, _ = w.s.Catalog().Path("a", "other"); row.Digest == e.Digest() {
		t.Fatal("the next unpack would leave it as it is")
	}
	if r := w.fine(install(e))[0]; r.Way != Assembled {
		t.Fatalf("%+v", r)
	}
	w.want("a/other", string(random(2, 3000)))
}

func TestScrubFindsHolesFilled(t *testing.T) {
	w := newWorld(t, disktest.NewMem()).open()
	b := append(append(random(1, 1000), make([]byte, 70000)...), random(2, 500)...)
	e := w.file("sparse", b, 10)
	e.Content = append(append(w.content(b[:1000]), hole(70000)), w.content(b[71000:])...)
	w.fine(install(dir("")), install(e))
	w.want("a/sparse", string(b))
	rot(t, w.fs, "a/sparse", 40000)
	w.s.AttachDrive(nil)
	if res := w.scrub(ScrubOptions{}); res.Bad != 1 || res.Repaired != 1 {
		t.Fatalf("%+v", res)
	}
	w.want("a/sparse", string(b))
}

func TestScrubPack(t *testing.T) {
	w := newWorld(t, disktest.NewMem()).open()
	b, c := random(1, 1000), random(2, 1000)
	idB, idC := w.put(b, chunk.Data), w.put(c, chunk.Data)
	if err := w.s.FlushHistory(); err != nil {
		t.Fatal(err)
	}
	w.fine(install(dir("")), install(w.file("f", b, 10)))
	w.s.AttachDrive(nil)
	var row index.Container
	w.s.Catalog().Containers(func(x index.Container) error {
		if x.Kind == index.Pack {
			row = x
		}
		return nil
	})
	places, _ := w.s.Catalog().Places(idB)
	for _, p := range places {
		if p.Container == row.ID {
			rot(t, w.fs, packName(row.Name), p.Offset+500)
		}
	}
	if res := w.scrub(ScrubOptions{}); res.Bad != 1 || res.Repaired != 1 || res.Wanted != 0 {
		t.Fatalf("%+v", res)
	}
	if got, err := w.s.Get(idB, chunk.Data, 1000, nil); err != nil || !bytes.Equal(got, b) {
		t.Fatal(err)
	}
	places, _ = w.s.Catalog().Places(idC)
	rot(t, w.fs, packName(row.Name), places[0].Offset+300)
	if res := w.scrub(ScrubOptions{}); res.Bad != 2 && res.Bad != 1 || res.Wanted != 1 || !w.wanted(idC) {
		t.Fatalf("%+v", res)
	}
	// A damaged table: the records stand alone.
	rot(t, w.fs, packName(row.Name), row.Size-100)
	if err := w.s.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := w.s.Get(idB, chunk.Data, 1000, nil); err != nil || !bytes.Equal(got, b) {
		t.Fatal(err)
	}
	if len(w.rep.Problems()) == 0 {
		t.Fatal("nothing was said")
	}
}

// A bad place that is met while reading is dropped, and another is used.
func TestGetDropsBadPlaces(t *testing.T) {
	w := newWorld(t, disktest.NewMem()).open()
	b := random(1, 1000)
	id := w.put(b, chunk.Data)
	if err := w.s.FlushHistory(); err != nil {
		t.Fatal(err)
	}
	w.fine(install(dir("")), install(w.file("f", b, 10)))
	w.s.AttachDrive(nil)
	rot(t, w.fs, "a/f", 10)
	if got, err := w.s.Get(id, chunk.Data, 1000, nil); err != nil || !bytes.Equal(got, b) {
		t.Fatal(err)
	}
	if places, _ := w.s.Catalog().Places(id); len(places) != 1 || w.wanted(id) || len(w.rep.Problems()) != 1 {
		t.Fatalf("%v %v", places, w.rep.Problems())
	}
	for n := range all(t, w.fs, packsDir) {
		rot(t, w.fs, n, 300)
	}
	if _, err := w.s.Get(id, chunk.Data, 1000, nil); !errors.Is(err, ErrNoPlace) {
		t.Fatal(err)
	}
	if !w.wanted(id) {
		t.Fatal("not wanted")
	}
}

func TestScrubFraction(t *testing.T) {
	w := newWorld(t, disktest.NewMem()).open()
	acts := []Action{install(dir(""))}
	for i := range 10 {
		acts = append(acts, install(w.file(string(rune('a'+i)), random(uint64(i), 1000), 1)))
	}
	w.fine(acts...)
	if res := w.scrub(ScrubOptions{Fraction: 0.3}); res.Containers != 3 || res.Bytes != 3000 {
		t.Fatalf("%+v", res)
	}
}

// A hole is nothing that is read, so a share of the vault is one of its data; nor is it room that is taken.
func TestHolesAreNoBytesToRead(t *testing.T) {
	w := newWorld(t, disktest.NewMem()).open()
	b := append(make([]byte, 10<<20), random(1, 1000)...)
	sparse := w.file("0 sparse", b, 1)
	sparse.Content = append([]snapshot.Extent{hole(10 << 20)}, w.content(b[10<<20:])...)
	acts := []Action{install(dir("")), install(sparse)}
	for i := range 9 {
		acts = append(acts, install(w.file(string(rune('a'+i)), random(2+uint64(i), 100_000), 1)))
	}
	w.fine(acts...)
	if res := w.scrub(ScrubOptions{Fraction: 0.5}); res.Containers < 5 || res.Containers > 6 {
		t.Errorf("%+v", res)
	}
	if sp, err := w.s.Space(t.Context()); err != nil || sp.Mirror > 1<<20 || sp.MirrorFiles != 10 {
		t.Errorf("%+v, %v", sp, err)
	}
}

// A damaged install record is named while the catalog still has its rows.
func TestScrubNamesDamagedRecords(t *testing.T) {
	w := newWorld(t, disktest.NewMem()).open()
	w.fine(install(dir("")), install(w.file("f", random(1, 1000), 10)))
	for _, quick := range []bool{false, true} {
		if res := w.scrub(ScrubOptions{Quick: quick}); res.Bad != 0 {
			t.Fatalf("%+v", res)
		}
	}
	name := recordName(1, recordExt)
	rot(t, w.fs, name, 90)
	for i, quick := range []bool{false, true} {
		if res := w.scrub(ScrubOptions{Quick: quick}); res.Bad != 1 || res.Wanted != 0 {
			t.Fatalf("%+v", res)
		}
		if p := w.rep.Problems(); len(p) != i+1 || p[i].Path != name {
			t.Fatal(p)
		}
	}
}

// ReadSince is never later than the reading of any chunk that counts.
func TestReadSinceIsTheOldestReading(t *testing.T) {
	const begun = 1_800_000_000
	w := newWorld(t, disktest.NewMem()).open()
	since := func(want int64) {
		t.Helper()
		sp, err := w.s.Space(t.Context())
		if err != nil || sp.ReadSince != want {
			t.Fatalf("%d, want %d (%v)", sp.ReadSince, want, err)
		}
	}
	since(0) // there is nothing
	w.fine(install(dir("")), install(w.file("f", random(1, 4500), 10)), install(w.file("empty", nil, 10)))
	since(begun) // assembled, and read back
	w.later = 100
	w.put(random(3, 900), chunk.Data)
	if err := w.s.FlushHistory(); err != nil {
		t.Fatal(err)
	}
	w.fine(install(w.file("g", random(2, 3000), 10)))
	since(begun)
	w.later = 200
	w.scrub(ScrubOptions{Quick: true})
	since(begun)
	w.scrub(ScrubOptions{Fraction: 0.01}) // the file that was read longest ago
	since(begun + 100)
	w.later = 300
	w.scrub(ScrubOptions{})
	since(begun + 300)

	// A file that others touched is read; so is what scrubbing puts right.
	w.later = 400
	if err := w.fs.SetMeta("a/f", disk.Meta{Mode: 0o644, MTime: disk.Time{Sec: 77}}, disk.MetaOptions{Mode: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.s.CheckMirror(t.Context()); err != nil {
		t.Fatal(err)
	}
	since(begun + 300)

	// A rebuilt catalog knows of no reading, until all of it is read.
	if err := w.s.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	since(0)
	w.scrub(ScrubOptions{Fraction: 0.1})
	since(0)
	w.scrub(ScrubOptions{})
	since(begun + 400)
}

// What is not found in a pack whose table is damaged was not read.
func TestADamagedPackIsNotReadByScrubbing(t *testing.T) {
	w := newWorld(t, disktest.NewMem()).open()
	w.put(random(3, 900), chunk.Data)
	if err := w.s.FlushHistory(); err != nil {
		t.Fatal(err)
	}
	for n := range all(t, w.fs, packsDir) {
		st, err := w.fs.Stat(n)
		if err != nil {
			t.Fatal(err)
		}
		if st.Kind == disk.KindFile {
			rot(t, w.fs, n, st.Size-100)
		}
	}
	w.later = 50
	w.s.handles.closeAll()
	w.scrub(ScrubOptions{})
	if sp, err := w.s.Space(t.Context()); err != nil || sp.ReadSince > 1_800_000_000 {
		t.Fatal(sp.ReadSince, err)
	}
}
