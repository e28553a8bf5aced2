package chunkstore

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"waterlock/index"
	"waterlock/internal/disk/disktest"
	"waterlock/snapshot"
)

// growScene is what a crash or a failure meets: a file that begins to grow, or
// one that has grown half and was edited since; of it a part arrives, and then
// the rest.
type growScene struct {
	old, whole string   // what the path shows before and after
	never      []string // contents whose chunks are never lost
	piece      int      // bytes of a chunk
	run        func(w *world, whole bool) error
}

func growBase(t *testing.T, begun bool) (*disktest.Mem, *growScene) {
	mem := disktest.NewMem()
	w := growingWorld(t, mem).open()
	var old []byte
	var first, second *snapshot.Entry
	if begun {
		old, first, second = edited(w)
	} else {
		old, first = random(1, 4500), &snapshot.Entry{}
		w.fine(install(dir("")), install(w.file("f", old, 10)))
		second = w.big("f", random(2, 12_500), 30)
	}
	sc := &growScene{
		old:   string(old),
		never: []string{string(old), string(contentOf(w, first, 0, 12)), string(contentOf(w, first, 18, 21))},
		whole: string(contentOf(w, second, 0, 99)),
	}
	ever := w.ever
	sc.run = func(w *world, whole bool) error {
		w.ever = ever
		w.load(part(second, 0, 8))
		c := part(second, 0, 8)
		_, err := w.tryGrow(pendingOf(second, c), c)
		if err != nil || !whole {
			return err
		}
		w.load(second.Content)
		res, err := w.try(install(second))
		if err == nil {
			err = res[0].Err
		}
		return err
	}
	w.close()
	return mem.Crashed(disktest.Names, 0), sc
}

func (sc *growScene) check(w *world) {
	w.t.Helper()
	if got, ok := read(w.fs, "a/f"); !ok || got != sc.old && got != sc.whole {
		w.t.Errorf("the path is neither old nor new (%v, %d bytes)", ok, len(got))
	}
	w.piece = sc.piece
	w.chunksOf(sc.never...)
	if err := w.s.Catalog().Containers(func(c index.Container) error {
		if !w.s.there(c) && !c.Damaged { // of what others changed a part is there
			return fmt.Errorf("container %d is not at %v %s", c.ID, c.Kind, c.Name)
		}
		return nil
	}); err != nil {
		w.t.Error(err)
	}
	grow := 0
	for n := range all(w.t, w.fs, ".wl/staging") {
		if !strings.HasSuffix(n, growExt) {
			w.t.Errorf("%s is left over", n)
		}
		grow++
	}
	if grow > 1 || grow == 1 && !w.s.Growing("a", "f") {
		w.t.Errorf("%d growing files", grow)
	}
}

func (sc *growScene) finish(w *world, rebuild bool) {
	w.t.Helper()
	if err := sc.run(w, true); err != nil {
		w.t.Error(err)
		return
	}
	w.want("a/f", sc.whole)
	w.chunksOf(append(sc.never, strings.ReplaceAll(sc.whole, strings.Repeat("\x00", 1000), ""))...)
	if left := all(w.t, w.fs, ".wl/staging"); len(left) != 0 {
		w.t.Errorf("left over: %d", len(left))
	}
	if rebuild {
		w.rebuild(w.rows())
	}
}

func TestCrashAtEveryStepOfGrowth(t *testing.T) {
	for _, begun := range []bool{false, true} {
		start, sc := growBase(t, begun)
		crashGrowth(t, start, sc)
	}
}

func crashGrowth(t *testing.T, start *disktest.Mem, sc *growScene) {
	crashEvery(t, func(t *testing.T, k int) bool {
		mem := start.Crashed(disktest.Names, 0)
		w := growingWorld(t, mem)
		if err := w.tryOpen(); err != nil {
			t.Error(err)
			return false
		}
		mem.CrashAfter(k)
		err := sc.run(w, true)
		crashed := mem.DidCrash()
		if !crashed && err != nil {
			t.Error(err)
		}
		w.close()
		defer os.RemoveAll(w.index)
		for i, mode := range []disktest.CrashMode{disktest.Strict, disktest.Names, disktest.Random} {
			if !long && (k%3 != i || k%2 == 1 && k > 60) {
				continue
			}
			r := growingWorld(t, mem.Crashed(mode, uint64(k)))
			if i == 0 && k%2 == 0 {
				r.index = w.index // closed well, but perhaps behind the last record
			}
			if err := r.tryOpen(); err != nil {
				t.Errorf("crash after %d operations, mode %v: %v", k, mode, err)
				return crashed
			}
			for _, p := range r.rep.Problems() {
				t.Error("problem: ", p)
			}
			sc.check(r)
			sc.finish(r, k%8 == 0)
			r.discard()
			if t.Failed() {
				t.Logf("crash after %d operations, mode %v", k, mode)
				return false
			}
		}
		return crashed
	})
}

func TestFaultAtEveryStepOfGrowth(t *testing.T) {
	start, sc := growBase(t, true)
	faultGrowth(t, start, sc)
}

func faultGrowth(t *testing.T, start *disktest.Mem, sc *growScene) {
	for i, kind := range disktest.FaultKinds {
		for _, reads := range []bool{false, true} {
			if reads && kind != disktest.EIO {
				continue
			}
			crashEvery(t, func(t *testing.T, k int) bool {
				if !long && (!reads && k%8 != 2*i+k/8%2 || reads && k%11 != 0) && k < 140 {
					return true
				}
				mem := start.Crashed(disktest.Names, 0)
				fault := disktest.NewFault(mem)
				w := growingWorld(t, fault)
				if err := w.tryOpen(); err != nil {
					t.Error(err)
					return false
				}
				fault.CountReads(reads)
				fault.FailAt(k+1, kind, false)
				err := sc.run(w, true)
				what := fault.Failed()
				fault.FailAt(0, kind, false)
				w.discard()
				defer func() {
					if t.Failed() {
						t.Logf("operation %d (%s) failed with %v: %v", k, what, kind, err)
					}
				}()
				r := growingWorld(t, mem.Crashed(disktest.Strict, 0))
				if oerr := r.tryOpen(); oerr != nil {
					t.Error(oerr)
					return false
				}
				defer r.discard()
				sc.check(r)
				if got, _ := read(r.fs, "a/f"); err == nil && got != sc.whole {
					t.Error("said to be done, but is not")
				}
				sc.finish(r, false)
				return what != ""
			})
		}
	}
}
