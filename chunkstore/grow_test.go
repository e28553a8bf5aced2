package chunkstore

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/internal/disk/disktest"
	"waterlock/snapshot"
)

// growing is a world in which every file that lacks chunks grows.
func growingWorld(t testing.TB, fs disk.FS) *world {
	w := newWorld(t, fs)
	w.grow = 1
	return w
}

// load puts another drive in: the chunks of these files' extents, by number.
func (w *world) load(list ...[]snapshot.Extent) {
	w.t.Helper()
	if err := w.s.Catalog().ClearDrive(); err != nil {
		w.t.Fatal(err)
	}
	keep := drive{}
	for _, l := range list {
		for _, x := range l {
			if b, ok := w.ever[x.ID]; ok && !x.Hole {
				keep[x.ID] = b
			}
		}
	}
	clear(w.drive)
	for id, b := range keep {
		w.drive[id] = b
	}
	w.feed()
}

// big is a file whose chunks are remembered for later drives.
func (w *world) big(p string, b []byte, sec int64) *snapshot.Entry {
	e := w.file(p, b, sec)
	if w.ever == nil {
		w.ever = drive{}
	}
	for id, b := range w.drive {
		w.ever[id] = b
	}
	return e
}

// part is what a pending entry of e names when the extents from i to j were
// carried: all at their offsets.
func part(e *snapshot.Entry, i, j int) []snapshot.Extent {
	var out []snapshot.Extent
	var gap int64
	for n, x := range e.Content {
		if x.Hole || n < i || n >= j {
			gap += x.Length
			continue
		}
		if gap > 0 {
			out = append(out, hole(gap))
		}
		out, gap = append(out, x), 0
	}
	return out
}

// pendingOf is the entry while it is not carried in full.
func pendingOf(e *snapshot.Entry, carried []snapshot.Extent) *snapshot.Entry {
	p := e.Clone()
	p.Pending, p.Hash, p.Content, p.Carried = true, chunk.ContentHash{}, nil, carried
	return p
}

func (w *world) growTo(e *snapshot.Entry, carried []snapshot.Extent) int64 {
	w.t.Helper()
	n, err := w.tryGrow(pendingOf(e, carried), carried)
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

func (w *world) tryGrow(e *snapshot.Entry, carried []snapshot.Extent) (int64, error) {
	r, err := w.s.Grow(w.t.Context(), "a", e, carried)
	return r.Grown, errors.Join(err, r.Err)
}

// counted counts the bytes that are written to files.
type counted struct {
	disk.FS
	n *atomic.Int64
}

type countedFile struct {
	disk.File
	n *atomic.Int64
}

func (c counted) Create(name string, perm uint32) (disk.File, error) {
	f, err := c.FS.Create(name, perm)
	return c.wrap(name, f), err
}

func (c counted) OpenWrite(name string) (disk.File, error) {
	f, err := c.FS.OpenWrite(name)
	return c.wrap(name, f), err
}

func (c counted) wrap(name string, f disk.File) disk.File {
	if f == nil || !strings.Contains(name, "/staging/") && !strings.Contains(name, "/packs/") {
		return f
	}
	return countedFile{f, c.n}
}

func (f countedFile) Write(p []byte) (int, error) {
	f.n.Add(int64(len(p)))
	return f.File.Write(p)
}

func (f countedFile) WriteAt(p []byte, off int64) (int, error) {
	f.n.Add(int64(len(p)))
	return f.File.WriteAt(p, off)
}

// Ten trips of a small drive for one file, in any order: each byte is written
// once, the path shows the old version until the new one is whole, and it is
// whole with whichever trip brings its last chunk.
func TestFileGrowsOverTripsInAnyOrder(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			var n atomic.Int64
			w := growingWorld(t, counted{disktest.NewMem(), &n}).open()
			old, b := random(1, 4500), random(2, 40_500)
			w.fine(install(dir("")), install(w.file("f", old, 10)))
			e := w.big("f", b, 20)
			order := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}
			for i := range order {
				j := int((seed*7919 + uint64(i)*31) % uint64(len(order)))
				order[i], order[j] = order[j], order[i]
			}
			n.Store(0)
			for i, trip := range order {
				mine := part(e, trip*4, trip*4+4)
				if trip == 9 {
					mine = part(e, 36, 41)
				}
				w.load(mine)
				if w.index != "" && i == 5 { // the catalog is lost on the way
					w.rebuild(w.rows())
					w.load(mine)
				}
				if i%2 == 0 || i == 9 { // the newest snapshot has it whole, some drives are out
					r := w.do(install(e))[0]
					if (r.Err == nil) != (i == 9) || i < 9 && r.Grown != 4000 && r.Grown != 4500 {
						t.Fatalf("trip %d: %+v", i, r)
					}
				} else if got := w.growTo(e, mine); got != 4000 && got != 4500 {
					t.Fatalf("trip %d: %d bytes", i, got)
				}
				if i < 9 {
					w.want("a/f", string(old))
					w.s.AttachDrive(nil)
					for _, x := range mine {
						if ok, err := w.s.HasOrDrive(x.ID); !x.Hole && (!ok || err != nil) {
							t.Fatalf("trip %d: a chunk does not count", i)
						}
					}
				}
			}
			w.want("a/f", string(b))
			if n.Load() != int64(len(b)) {
				t.Errorf("%d bytes were written for a file of %d", n.Load(), len(b))
			}
			st, err := w.fs.Stat("a/f")
			if err != nil || st.Nlink != 1 || st.Size != e.Size || st.MTime != e.MTime || st.Mode != e.Mode {
				t.Errorf("%+v %v", st, err)
			}
			if left := all(t, w.fs, ".wl/staging"); len(left)+len(all(t, w.fs, ".wl/packs")) != 0 {
				t.Errorf("left over: %d files", len(left))
			}
			w.chunksOf(string(old), string(b))
			w.rebuild(w.rows())
			if p := w.rep.Problems(); len(p) > 0 {
				t.Error(p)
			}
		})
	}
}

// edited sets up a file that has grown half when it is edited in place: the
// mirror shows an old version, and the new one wants other chunks here and
// there, fewer bytes, and a hole.
func edited(w *world) (old []byte, first, second *snapshot.Entry) {
	old = random(1, 4500)
	w.fine(install(dir("")), install(w.file("f", old, 10)))
	one := random(2, 20_500)
	first = w.big("f", one, 20)
	w.load(part(first, 0, 12), part(first, 18, 21))
	w.growTo(first, part(first, 0, 12))
	w.growTo(first, part(first, 18, 21))
	two := slices.Clone(one[:19_700])
	copy(two[3000:4000], random(3, 1000)) // one chunk
	copy(two[6000:8000], random(4, 2000)) // two chunks
	clear(two[9000:10_000])               // a hole
	second = w.big("f", two, 30)
	second.Content[9] = hole(1000)
	w.load(second.Content)
	return old, first, second
}

func TestEditedFileGrowsOn(t *testing.T) {
	mem := disktest.NewMem()
	var n atomic.Int64
	w := growingWorld(t, counted{mem, &n}).open()
	old, first, second := edited(w)
	before := w.s.growing.of("a", "f")
	n.Store(0)
	// It is edited; the trip brings a part of the new version.
	w.load(part(second, 0, 8))
	if got := w.growTo(second, part(second, 0, 8)); got != 3000 {
		t.Fatalf("%d bytes", got)
	}
	if w.s.growing.of("a", "f") != before {
		t.Fatal("it grows anew")
	}
	w.chunksOf(string(contentOf(w, first, 0, 12)), string(contentOf(w, first, 18, 21)))
	w.rebuild(w.rows())
	w.want("a/f", string(old))
	w.load(second.Content)
	w.fine(install(second))
	w.want("a/f", string(contentOf(w, second, 0, 99)))
	// What the edit took out of it went to history, and nothing else was written twice.
	if most := int64(3000 + 8700 + 3000 + 2500 + 2000); n.Load() > most {
		t.Errorf("%d bytes were written, at most %d expected", n.Load(), most)
	}
	w.chunksOf(string(old), string(contentOf(w, first, 0, 12)), string(contentOf(w, first, 18, 21)))
	w.rebuild(w.rows())
}

// contentOf are the bytes of some extents, a hole left out or as zeros.
func contentOf(w *world, e *snapshot.Entry, i, j int) (b []byte) {
	for n, x := range e.Content {
		switch {
		case n < i || n >= j:
		case x.Hole:
			b = append(b, make([]byte, x.Length)...)
		default:
			b = append(b, w.ever[x.ID]...)
		}
	}
	return b
}

// Another file altogether: the old growth is left alone, a new one begins, and
// the old one is reclaimed once nothing is lost with it.
func TestAbandonedGrowthIsReclaimed(t *testing.T) {
	for _, how := range []string{"replaced", "deleted", "installed otherwise"} {
		t.Run(how, func(t *testing.T) {
			w := growingWorld(t, disktest.NewMem()).open()
			one := random(2, 20_500)
			w.fine(install(dir("")))
			first := w.big("f", one, 20)
			w.load(part(first, 0, 12))
			w.growTo(first, part(first, 0, 12))
			awaited := true
			compact := func(needed bool) CompactResult {
				t.Helper()
				r, err := w.s.Compact(t.Context(), CompactOptions{
					Needed:  func(chunk.ID) (bool, error) { return needed, nil },
					Awaited: func(tree, p string) bool { return tree == "a" && p == "f" && awaited },
				})
				if err != nil {
					t.Fatal(err)
				}
				return r
			}
			if r := compact(false); r.Containers != 0 {
				t.Fatal("what may yet be whole was reclaimed")
			}
			switch how {
			case "replaced":
				second := w.big("f", append([]byte("shift"), one...), 30)
				w.load(second.Content)
				w.growTo(second, part(second, 0, 5))
			case "deleted":
				awaited = false
			case "installed otherwise":
				other := w.big("f", random(5, 3000), 30)
				w.load(other.Content)
				w.fine(install(other))
				awaited = false
			}
			w.load()
			// All of it is named by a snapshot: it stays as it is.
			if r := compact(true); r.Containers != 0 {
				t.Fatalf("%+v", r)
			}
			w.chunksOf(string(one[:12_000]))
			w.rebuild(w.rows())
			// A little of it is: that goes to history first.
			needed := w.content(one[2000:3000])[0].ID
			w.load()
			r, err := w.s.Compact(t.Context(), CompactOptions{
				Needed:  func(id chunk.ID) (bool, error) { return id == needed, nil },
				Awaited: func(string, string) bool { return awaited },
			})
			if err != nil || r.Containers != 1 || r.Written == 0 {
				t.Fatalf("%+v %v", r, err)
			}
			w.chunksOf(string(one[2000:3000]))
			files := all(t, w.fs, ".wl/staging")
			if want := map[string]int{"replaced": 1}[how]; len(files) != want {
				t.Fatalf("%d files in staging", len(files))
			}
			w.rebuild(w.rows())
			if w.s.Growing("a", "f") != (how == "replaced") {
				t.Fatal("what grows is not known")
			}
		})
	}
}

func TestGrowthWithoutRoom(t *testing.T) {
	mem := disktest.NewMem()
	w := growingWorld(t, mem).open()
	w.fine(install(dir("")))
	b := random(1, 6<<20)
	e := w.big("f", nil, 10)
	e.Size, e.Hash = int64(len(b)), hashOf(b)
	for i := 0; i < len(b); i += 1 << 14 {
		x := snapshot.Extent{ID: chunk.Data.ID(b[i : i+1<<14]), Length: 1 << 14}
		w.ever[x.ID] = b[i : i+1<<14]
		e.Content = append(e.Content, x)
	}
	w.load(e.Content)
	mem.SetCapacity(4 << 20)
	n, err := w.tryGrow(pendingOf(e, e.Content), e.Content)
	if !errors.Is(err, ErrNoRoom) || n < 3<<20 || n > 4<<20 {
		t.Fatalf("%d bytes, %v", n, err)
	}
	for _, x := range e.Content[:n>>14] {
		if ok, err := w.s.Has(x.ID); err != nil || !ok {
			t.Fatal("what was written does not count")
		}
	}
	mem.SetCapacity(0)
	w.fine(install(e))
	w.want("a/f", string(b))
	if st, err := w.fs.Stat("a/f"); err != nil || st.Nlink != 1 {
		t.Fatalf("%+v %v", st, err)
	}
}

// A chunk that does not read back, or that the drive cannot give, does not
// count, and costs nothing else.
func TestGrowthCountsOnlyWhatReadsBack(t *testing.T) {
	mem := disktest.NewMem()
	flip := disktest.FlipOnReadBack(mem, func(n string) bool { return strings.HasSuffix(n, growExt) }, 1)
	w := growingWorld(t, flip).open()
	w.fine(install(dir("")))
	e := w.big("f", random(1, 9000), 10)
	w.load(e.Content)
	delete(w.drive, e.Content[7].ID) // cannot be read
	n, err := w.tryGrow(pendingOf(e, e.Content), e.Content)
	if err != nil || n != 7000 { // nor the one in the middle
		t.Fatalf("%d bytes, %v", n, err)
	}
	if len(w.rep.Warnings()) == 0 {
		t.Error("nothing was said")
	}
	for i, x := range e.Content {
		if ok, err := w.s.Has(x.ID); err != nil || ok != (i != 4 && i != 7) {
			t.Errorf("chunk %d: %v %v", i, ok, err)
		}
	}
	w.load(e.Content)
	w.fine(install(e))
	w.want("a/f", string(contentOf(w, e, 0, 9)))
}

// What rots while it grows is found at the latest when the whole is read, and
// costs one chunk.
func TestGrownFileThatRotIsMended(t *testing.T) {
	for _, onDrive := range []bool{false, true} {
		mem := disktest.NewMem()
		w := growingWorld(t, mem).open()
		w.fine(install(dir("")))
		e := w.big("f", random(1, 9000), 10)
		w.load(e.Content)
		w.growTo(e, part(e, 0, 6))
		flipByte(t, mem, w.s.vols["a"].shelf.growName(w.s.growing.of("a", "f")), 2500)
		if !onDrive {
			w.load(part(e, 6, 9))
		}
		r := w.do(install(e))[0]
		if onDrive {
			if r.Err != nil {
				t.Fatal(r.Err)
			}
			w.want("a/f", string(contentOf(w, e, 0, 9)))
			w.rebuild(w.rows())
			continue
		}
		var lack *LackingError
		if !errors.As(r.Err, &lack) || lack.Count != 1 || lack.Chunks[0] != e.Content[2].ID {
			t.Fatalf("%v", r.Err)
		}
		w.gone("a/f")
		if _, ok, err := w.s.Catalog().Want(e.Content[2].ID); err != nil || !ok {
			t.Fatalf("no want: %v", err)
		}
		w.load(part(e, 2, 3), part(e, 6, 9))
		w.fine(install(e))
		w.want("a/f", string(contentOf(w, e, 0, 9)))
	}
}

func flipByte(t testing.TB, fs disk.FS, name string, off int64) {
	t.Helper()
	f, err := fs.OpenWrite(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, off); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 1
	if _, err := f.WriteAt(b, off); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
}

func TestGrowthIsRefusedWhereNothingMayBe(t *testing.T) {
	w := growingWorld(t, disktest.NewMem()).open()
	e := w.big("f", random(1, 3000), 10)
	w.load(e.Content)
	if r, err := w.s.Grow(t.Context(), "nowhere", pendingOf(e, e.Content), e.Content); err != nil || r.Err == nil {
		t.Error("a tree without a volume")
	}
	bad := e.Clone()
	bad.Path = "../f"
	if _, err := w.tryGrow(bad, e.Content); err == nil {
		t.Error("a path that leads out")
	}
	// Beyond the size that the entry says, nothing is written.
	small := pendingOf(e, e.Content)
	small.Size = 1500
	if n, err := w.tryGrow(small, e.Content); err != nil || n != 1000 {
		t.Errorf("%d bytes, %v", n, err)
	}
	// Little is left to history.
	w2 := newWorld(t, disktest.NewMem()).open()
	w2.ever = w.ever
	w2.load(e.Content)
	if n, err := w2.tryGrow(pendingOf(e, e.Content), e.Content); err != nil || n != 0 || w2.s.Growing("a", "f") {
		t.Errorf("%d bytes, %v", n, err)
	}
}

// What a growing file held before was read when it came, not when it grew.
func TestGrowingIsNotReading(t *testing.T) {
	w := growingWorld(t, disktest.NewMem()).open()
	e := w.big("film", random(7, 20*piece1k), 10)
	since := func(want int64) {
		t.Helper()
		if sp, err := w.s.Space(t.Context()); err != nil || sp.ReadSince != want {
			t.Fatal(sp.ReadSince, want, err)
		}
	}
	w.load(part(e, 0, 5))
	w.growTo(e, part(e, 0, 5))
	since(1_800_000_000)
	w.later = 60
	w.load(part(e, 5, 9))
	w.growTo(e, part(e, 0, 9))
	since(1_800_000_000)
	w.scrub(ScrubOptions{})
	since(1_800_000_060)
}
