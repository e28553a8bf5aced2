package chunkstore

import (
	"errors"
	"slices"
	"sync/atomic"
	"testing"

	"waterlock/internal/disk"
	"waterlock/internal/disk/disktest"
	"waterlock/snapshot"
)

// image is a large file and the same after an edit in place: some chunks are
// others, it is a little longer, and only those are on the drive.
func image(w *world, size int) (old, now []byte, edited *snapshot.Entry) {
	old = random(1, size)
	w.fine(install(dir("")), install(w.big("f", old, 10)))
	now = append(slices.Clone(old), random(2, 1500)...)
	copy(now[3000:5000], random(3, 2000))
	copy(now[size/2:], random(4, 100))
	edited = w.big("f", now, 20)
	row, _, err := w.s.Catalog().Path("a", "f")
	if err != nil {
		w.t.Fatal(err)
	}
	have, err := w.s.chunksOf(row.Container)
	if err != nil || len(have) == 0 {
		w.t.Fatal(len(have), err)
	}
	fresh := edited.Clone()
	fresh.Content = slices.DeleteFunc(fresh.Content, func(x snapshot.Extent) bool {
		return slices.ContainsFunc(have, func(p placed) bool { return p.id == x.ID })
	})
	w.load(fresh.Content)
	return old, now, edited
}

func used(t testing.TB, fs disk.FS) int64 {
	t.Helper()
	sp, err := fs.Free()
	if err != nil {
		t.Fatal(err)
	}
	return sp.Total - sp.Avail
}

// An edit in place costs what it changes, in room and in writing, where files
// can share blocks.
func TestEditInPlaceSharesBlocks(t *testing.T) {
	for _, grows := range []bool{false, true} {
		mem := disktest.NewMem()
		var n atomic.Int64
		w := growingWorld(t, counted{mem, &n}).open()
		old, now, edited := image(w, 1_300_500)
		if grows { // a part of it came before
			w.growTo(edited, part(edited, 0, 600))
		}
		before := used(t, mem)
		n.Store(0)
		if r := w.fine(install(edited))[0]; r.Way != Assembled || r.Bytes != edited.Size {
			t.Fatalf("%+v", r)
		}
		w.want("a/f", string(now))
		if wrote, took := n.Load(), used(t, mem)-before; wrote > 5*disk.CloneAlign || took > 6*disk.CloneAlign {
			t.Errorf("%d bytes were written, %d more are used", wrote, took)
		}
		w.chunksOf(string(old), string(now))
		w.rebuild(w.rows())
		// Each stands alone: the old version goes, the new one stays.
		if _, err := w.s.Compact(t.Context(), CompactOptions{}); err != nil {
			t.Fatal(err)
		}
		if k := all(t, mem, ".wl/kept"); len(k) != 0 {
			t.Errorf("%d kept", len(k))
		}
		w.want("a/f", string(now))
		w.chunksOf(string(old), string(now))
	}
}

// Without room for a second copy: shared blocks where they can be had; else the
// old version stays, and it is said how much is needed.
func TestEditInPlaceInATightVault(t *testing.T) {
	for _, shares := range []bool{true, false} {
		mem := disktest.NewMem()
		if !shares {
			mem.NoSharing()
		}
		w := newWorld(t, mem).open()
		old, now, edited := image(w, 1_300_500)
		mem.SetCapacity(used(t, mem) + 600_000)
		r := w.do(install(edited))[0]
		if shares {
			if r.Err != nil {
				t.Fatal(r.Err)
			}
			w.want("a/f", string(now))
			continue
		}
		var room *RoomError
		if !errors.Is(r.Err, ErrNoRoom) || !errors.As(r.Err, &room) || room.Need != edited.Size || room.Free > 600_000 || room.Free < 500_000 {
			t.Fatalf("%v", r.Err)
		}
		w.want("a/f", string(old))
		for _, b := range w.drive { // what is new goes to history, and the snapshot arrives
			if err := w.s.PutHistory(stored(b), 1); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.s.FlushHistory(); err != nil {
			t.Fatal(err)
		}
		w.chunksOf(string(old), string(now))
		w.load()
		mem.SetCapacity(0)
		w.fine(install(edited))
		w.want("a/f", string(now))
		w.chunksOf(string(old), string(now))
	}
}

// Shared blocks are believed as little as written ones.
func TestSharedBlocksThatRotAreNotBelieved(t *testing.T) {
	mem := disktest.NewMem()
	w := newWorld(t, mem).open()
	_, now, edited := image(w, 1_300_500)
	st, _ := mem.Stat("a/f")
	flipByte(t, mem, "a/f", 700_000)
	if err := mem.SetMeta("a/f", disk.Meta{Mode: 0o644, MTime: st.MTime}, disk.MetaOptions{Mode: true}); err != nil {
		t.Fatal(err)
	}
	if r := w.do(install(edited))[0]; !errors.Is(r.Err, ErrLacking) {
		t.Fatalf("%+v", r)
	}
	w.load(edited.Content)
	w.fine(install(edited))
	w.want("a/f", string(now))
}

func sharedBase(t *testing.T) (*disktest.Mem, *growScene) {
	mem := disktest.NewMem()
	w := newWorld(t, mem)
	w.piece = 30_000 // few of them: each is an operation
	w.open()
	old, now, edited := image(w, 300_500)
	ever := w.ever
	fresh := slices.DeleteFunc(slices.Clone(edited.Content), func(x snapshot.Extent) bool { _, ok := w.drive[x.ID]; return !ok })
	w.close()
	return mem.Crashed(disktest.Names, 0), &growScene{old: string(old), never: []string{string(old)}, whole: string(now), piece: 30_000, run: func(w *world, _ bool) error {
		w.ever, w.piece = ever, 30_000
		w.load(fresh)
		res, err := w.try(install(edited))
		if err == nil {
			err = res[0].Err
		}
		return err
	}}
}

func TestCrashWhileBlocksAreShared(t *testing.T) {
	start, sc := sharedBase(t)
	crashGrowth(t, start, sc)
}

func TestFaultWhileBlocksAreShared(t *testing.T) {
	start, sc := sharedBase(t)
	faultGrowth(t, start, sc)
}
