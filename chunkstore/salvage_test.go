package chunkstore

import (
	"slices"
	"testing"

	"waterlock/internal/chunk"
	"waterlock/internal/disk/disktest"
	"waterlock/snapshot"
)

// scribbled is a mirror of one file of twenty chunks, the sixth of which
// somebody else wrote over, in place.
func scribbled(w *world) (e *snapshot.Entry, b, edited []byte) {
	b = random(1, 19_500)
	w.fine(install(dir("")))
	e = w.big("f", b, 10)
	w.load(e.Content)
	w.fine(install(e))
	w.load()
	edited = slices.Clone(b)
	copy(edited[5400:], "somebody else was here")
	f, err := w.fs.OpenWrite("a/f")
	if err != nil {
		w.t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(edited[5400:5422], 5400); err != nil {
		w.t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		w.t.Fatal(err)
	}
	return e, b, edited
}

// What somebody else wrote over is wanted, and nothing else of the file.
func TestEditBySomebodyElseCostsWhatItChanged(t *testing.T) {
	w := newWorld(t, disktest.NewMem()).open()
	e, b, edited := scribbled(w)
	res := w.checkMirror()
	if res != (MirrorCheck{Files: 2, Foreign: 1, Chunks: 1}) {
		t.Fatalf("%+v", res)
	}
	rest := func() {
		t.Helper()
		w.chunksOf(string(b[:5000]), string(b[6000:]))
		if ok, err := w.s.Has(e.Content[5].ID); err != nil || ok || !w.wanted(e.Content[5].ID) {
			t.Fatal("the chunk that is gone is not wanted")
		}
	}
	rest()
	if _, err := w.s.Scrub(t.Context(), ScrubOptions{}); err != nil {
		t.Fatal(err)
	}
	rest()
	if res := w.checkMirror(); res != (MirrorCheck{Files: 2, Foreign: 1}) {
		t.Fatalf("again: %+v", res)
	}
	w.rebuild(w.rows())
	rest()
	// The chunk comes, and the file is put right from what is left of it.
	w.load(e.Content[5:6])
	if r := w.fine(install(e))[0]; r.Foreign == "" || r.Way != Assembled {
		t.Fatalf("%+v", r)
	}
	w.want("a/f", string(b))
	w.want(".wl/foreign/2027-01-15/a/f", string(edited))
	w.chunksOf(string(b))
	if res := w.checkMirror(); res != (MirrorCheck{Files: 2}) {
		t.Fatalf("afterwards: %+v", res)
	}
	w.rebuild(w.rows())
}

// A new version takes the path, or the path goes: chunks that only the edited
// file has go to history before it is nothing but foreign.
func TestEditedFileIsRescuedBeforeItGoes(t *testing.T) {
	for _, how := range []string{"replaced", "removed"} {
		w := newWorld(t, disktest.NewMem()).open()
		_, b, edited := scribbled(w)
		w.checkMirror()
		if how == "removed" {
			w.fine(remove("f"))
			w.gone("a/f")
		} else {
			n := w.big("f", random(9, 3000), 20)
			w.load(n.Content)
			w.fine(install(n))
			w.want("a/f", string(random(9, 3000)))
		}
		w.want(".wl/foreign/2027-01-15/a/f", string(edited))
		w.chunksOf(string(b[:5000]), string(b[6000:]))
		w.fs.Remove(".wl/foreign/2027-01-15/a/f")
		w.chunksOf(string(b[:5000]), string(b[6000:]))
		if res := w.checkMirror(); res.Foreign+res.Missing+res.Lost+res.Chunks != 0 {
			t.Fatalf("%s: %+v", how, res)
		}
		w.rebuild(w.rows())
	}
}

func TestCrashWhileAnEditedFileIsPutRight(t *testing.T) {
	mem := disktest.NewMem()
	w := newWorld(t, mem).open()
	e, b, edited := scribbled(w)
	ever := w.ever
	w.close()
	start := mem.Crashed(disktest.Names, 0)
	crashGrowth(t, start, &growScene{
		old: string(edited), whole: string(b), never: []string{string(b[:5000]), string(b[6000:])},
		run: func(w *world, _ bool) error {
			w.ever = ever
			if _, err := w.s.CheckMirror(w.t.Context()); err != nil {
				return err
			}
			w.load(e.Content[5:6])
			res, err := w.try(install(e))
			if err == nil {
				err = res[0].Err
			}
			return err
		},
	})
}

// What was read of a file that somebody else changed is not read again by the next checks, but by Scrub; another change of
// it is.
func TestAnEditedFileIsReadOnce(t *testing.T) {
	w := newWorld(t, disktest.NewMem()).open()
	_, b, _ := scribbled(w)
	w.later = 10
	w.checkMirror()
	readAt := func() int64 {
		t.Helper()
		row, _, err := w.s.cat.Path("a", "f")
		if err != nil {
			t.Fatal(err)
		}
		c, _, err := w.s.cat.Container(row.Container)
		if err != nil {
			t.Fatal(err)
		}
		return c.ReadAt - 1_800_000_000
	}
	if readAt() != 10 {
		t.Fatalf("read at %d", readAt())
	}
	w.later = 20
	for range 2 {
		if res := w.checkMirror(); res != (MirrorCheck{Files: 2, Foreign: 1}) || readAt() != 10 {
			t.Fatalf("%+v, read at %d", res, readAt())
		}
		w.close()
		w.open()
	}
	// Rot in what is left is found by reading.
	rot(t, w.fs, "a/f", 12_500)
	w.close()
	w.later = 30
	w.open()
	if w.checkMirror(); readAt() != 10 {
		t.Fatalf("read at %d", readAt())
	}
	w.later = 31
	if res := w.scrub(ScrubOptions{}); res.Wanted != 1 || !w.wanted(chunk.Data.ID(b[12_000:13_000])) || readAt() != 31 {
		t.Fatalf("%+v, read at %d", res, readAt())
	}
	// Somebody writes once more.
	f, err := w.fs.OpenWrite("a/f")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("and again"), 15_500); err != nil {
		t.Fatal(err)
	}
	f.Close()
	w.later = 40
	if res := w.checkMirror(); res.Chunks != 1 || readAt() != 40 {
		t.Fatalf("%+v, read at %d", res, readAt())
	}
}
