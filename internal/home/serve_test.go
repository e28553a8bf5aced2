package home

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"waterlock/internal/chunk"
	"waterlock/internal/courier"
	"waterlock/pack"
	"waterlock/snapshot"
)

// middle is a chunk in the middle of a file of the newest snapshot.
func (v *vault) middle(tree, path string) snapshot.Extent {
	e := v.entries(v.newest, tree)[path]
	if e == nil || len(e.Content) < 3 {
		v.w.t.Fatalf("%s has no chunk in its middle", path)
	}
	return e.Content[len(e.Content)/2]
}

// loses makes the vault want a chunk that it had.
func (v *vault) loses(ids ...chunk.ID) {
	for _, id := range ids {
		v.wants = append(v.wants, courier.Want{ID: id, Kind: v.kinds[id]})
		delete(v.chunks, id)
	}
}

// What the vault asks for is found wherever it lies by now, and has the room of a drive that is nearly full before what
// is new.
func TestWantsAreServedFirstFromWhereverTheyLie(t *testing.T) {
	const size = 300_000
	edit := func(t *testing.T, name string, change func([]byte) []byte) {
		t.Helper()
		b, err := os.ReadFile(name)
		must(t, err)
		must(t, os.WriteFile(name, change(b), 0o644))
	}
	for name, c := range map[string]struct {
		before func(w *world)
		after  func(w *world)
	}{
		"unchanged": {},
		"touched": {after: func(w *world) {
			must(t, os.Chtimes(w.path("film"), time.Now(), time.Now().Add(-time.Hour)))
		}},
		"renamed": {after: func(w *world) {
			must(t, os.Mkdir(w.path("elsewhere"), 0o755))
			must(t, os.Rename(w.path("film"), w.path("elsewhere/film")))
		}},
		"moved into another tree": {after: func(w *world) {
			must(t, os.Rename(w.path("film"), filepath.Join(w.roots["more"], "film")))
		}},
		"another copy is left": {
			before: func(w *world) { w.write("copy", size, 1) },
			after:  func(w *world) { must(t, os.Remove(w.path("film"))) },
		},
		"a copy in another tree is left": {
			before: func(w *world) { must(t, os.WriteFile(filepath.Join(w.roots["more"], "copy"), random(size, 1), 0o644)) },
			after:  func(w *world) { must(t, os.Remove(w.path("film"))) },
		},
		"something was inserted in front": {after: func(w *world) {
			edit(t, w.path("film"), func(b []byte) []byte { return append(random(50_000, 9), b...) })
		}},
		"its end was written anew": {after: func(w *world) {
			edit(t, w.path("film"), func(b []byte) []byte { return append(b[:len(b)-20_000], random(40_000, 9)...) })
		}},
		"its beginning was cut off": {after: func(w *world) {
			edit(t, w.path("film"), func(b []byte) []byte { return b[40_000:] })
		}},
		"copied and deleted": {after: func(w *world) {
			must(t, os.Remove(w.path("film")))
			must(t, os.WriteFile(w.path("zzz"), random(size, 1), 0o644))
		}},
		"part of a new file": {after: func(w *world) {
			must(t, os.Remove(w.path("film")))
			must(t, os.WriteFile(w.path("zzz"), append(random(30_000, 8), random(size, 1)...), 0o644))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "docs", "more")
			w.opts.AllowVanished, w.opts.AllowEmpty = []string{"*"}, []string{"*"}
			w.write("film", size, 1)
			if c.before != nil {
				c.before(w)
			}
			settleClock()
			w.pack()
			v := w.newVault()
			v.take(w.drive)
			x := v.middle("docs", "film")
			v.loses(x.ID)
			v.receipt(w.drive)
			if c.after != nil {
				c.after(w)
			}
			w.write("a-new", 400_000, 7) // first in order, and larger than the room
			settleClock()
			w.opts.Limit = pack.ClosedSize(1, x.Length) + 100
			res := w.pack()
			if res.Wants != 1 || res.WantsServed != 1 || res.WantsOpen+res.WantsGone != 0 {
				t.Errorf("%d wanted, %d served, %d open, %d gone", res.Wants, res.WantsServed, res.WantsOpen, res.WantsGone)
			}
			if res.Pending == 0 {
				t.Error("the drive has room for what is new: this tests nothing")
			}
			v.take(w.drive)
			if v.chunks[x.ID] == nil {
				t.Error("the chunk that the vault asked for is not aboard")
			}

			// The next trips carry the rest, and the chunk no more.
			w.opts.Limit = 0
			v.wants = nil
			v.receipt(w.drive)
			for range 2 {
				w.pack()
				v.take(w.drive)
				v.receipt(w.drive)
			}
			v.equals()
		})
	}
}

// Of what the vault asks for, as much travels as there is room for; the rest goes first on the next drive.
func TestWantsTravelAsFarAsThereIsRoom(t *testing.T) {
	w := newWorld(t)
	w.write("film", 400_000, 1)
	settleClock()
	w.pack()
	v := w.newVault()
	v.take(w.drive)
	e := v.entries(v.newest, "docs")["film"]
	for _, x := range e.Content {
		v.loses(x.ID)
	}
	v.receipt(w.drive)
	w.opts.Limit = 150_000
	for trip := 1; len(v.wants) > 0; trip++ {
		w.write(fmt.Sprint("a-new", trip), 300_000, uint64(100+trip))
		settleClock()
		res := w.pack()
		if res.WantsServed == 0 || res.Wants != res.WantsServed+res.WantsOpen || trip > 4 {
			t.Fatalf("trip %d: %d wanted, %d served, %d open, %d gone", trip, res.Wants, res.WantsServed, res.WantsOpen, res.WantsGone)
		}
		v.take(w.drive)
		var left []courier.Want
		for _, x := range v.wants {
			if v.chunks[x.ID] == nil {
				left = append(left, x)
			}
		}
		if len(left)+int(res.WantsServed) != len(v.wants) {
			t.Errorf("trip %d: %d of %d came, %d were said to", trip, len(v.wants)-len(left), len(v.wants), res.WantsServed)
		}
		v.wants = left
		v.receipt(w.drive)
	}
	if !bytes.Equal(v.content(e), random(400_000, 1)) {
		t.Error("the file is not what it was")
	}
}

// A drive that gives a pack back wrong gets what the vault asked for once more, also where only the place of old says
// what it was.
func TestWantsSurviveAPackThatIsWrittenAnew(t *testing.T) {
	w := newWorld(t)
	w.opts.AllowVanished = []string{"*"}
	w.write("film", 300_000, 1)
	settleClock()
	w.pack()
	v := w.newVault()
	v.take(w.drive)
	x := v.middle("docs", "film")
	v.loses(x.ID)
	v.receipt(w.drive)
	must(t, os.Remove(w.path("film")))
	w.write("zzz", 300_000, 1)
	w.write("a-new", 400_000, 7)
	settleClock()
	w.opts.Limit = pack.ClosedSize(1, x.Length) + 100
	good := w.drive
	flip := &flipping{FS: good}
	flip.left.Store(2)
	w.drive = flip
	res, err := w.tryPack()
	must(t, err)
	w.drive = good
	if flip.hits.Load() != 2 || res.WantsServed != 1 {
		t.Errorf("%d flips: %+v", flip.hits.Load(), res)
	}
	v.take(w.drive)
	if v.chunks[x.ID] == nil {
		t.Error("the chunk that the vault asked for is not aboard")
	}
}

// Stream chunks come from the present scan where it makes them again, and from the copies of snapshots that have not
// arrived.
func TestWantedStreamChunksAreMadeAgainOrKept(t *testing.T) {
	w := newWorld(t)
	w.write("a", 5_000, 1)
	settleClock()
	w.pack()
	v := w.newVault()
	v.take(w.drive)
	tree, _ := v.newest.Tree("docs")
	first := tree.Chunks[0].ID
	v.loses(first)
	v.receipt(w.drive)
	res := w.pack() // nothing changed: the scan makes the same stream
	if res.Wants != 1 || res.WantsServed != 1 {
		t.Errorf("made again: %+v", res)
	}
	if v.take(w.drive); v.chunks[first] == nil {
		t.Error("the stream chunk did not come")
	}
	v.loses(first)
	v.taken = nil // no snapshot has arrived
	v.receipt(w.drive)
	w.write("b", 5_000, 2) // another stream
	settleClock()
	if res := w.pack(); res.WantsServed != 1 {
		t.Errorf("from a copy: %+v", res)
	}
	if v.take(w.drive); v.chunks[first] == nil {
		t.Error("the stream chunk did not come from its copy")
	}
}

// What cannot be served any more is named: the snapshot and the path that need it.
func TestWantsThatAreGoneAreNamed(t *testing.T) {
	w := newWorld(t)
	w.opts.AllowVanished = []string{"*"}
	w.write("film", 100_000, 1)
	w.write("note", 5_000, 2)
	settleClock()
	w.pack()
	v := w.newVault()
	v.take(w.drive)
	film, note := v.entries(v.newest, "docs")["film"].Content, v.entries(v.newest, "docs")["note"].Content
	for _, x := range film[:2] {
		v.wants = append(v.wants, courier.Want{ID: x.ID, Kind: chunk.Data, Snapshot: 1, Path: "docs/film"})
	}
	v.wants = append(v.wants, courier.Want{ID: note[0].ID, Kind: chunk.Data, Snapshot: 1, Path: "docs/note"},
		courier.Want{ID: idOf(1), Kind: chunk.Stream, Snapshot: 1, Path: "docs"})
	v.receipt(w.drive)
	must(t, os.Remove(w.path("film")))
	settleClock()
	res := w.pack()
	want := []Unserved{{1, "docs", 1}, {1, "docs/film", 2}}
	if fmt.Sprint(res.Unserved) != fmt.Sprint(want) || res.Wants != 4 || res.WantsServed != 1 || res.WantsGone != 3 {
		t.Errorf("named %v, expected %v: %+v", res.Unserved, want, res)
	}
}

// A million wants cost 33 bytes each beside the receipt.
func TestManyWantsStaySmall(t *testing.T) {
	const n = 1 << 18
	r := &courier.Receipt{Wants: make([]courier.Want, n)}
	for i := range r.Wants {
		binary.BigEndian.PutUint64(r.Wants[i].ID[:], uint64(i)*2654435761)
		r.Wants[i].Kind = chunk.Data
	}
	b := &books{receipt: r}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	a := b.wanted(chunk.Data)
	runtime.ReadMemStats(&after)
	if a.n != n || !a.lacks(r.Wants[n/2].ID) {
		t.Fatalf("%d wants", a.n)
	}
	if per := float64(after.TotalAlloc-before.TotalAlloc) / n; per > 34 {
		t.Errorf("%.1f bytes for each want", per)
	}
	if a.meet(r.Wants[5].ID); a.lacks(r.Wants[5].ID) || a.n != n-1 {
		t.Error("what was met is still looked for")
	}
}
