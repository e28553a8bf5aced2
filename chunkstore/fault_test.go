package chunkstore

import (
	"testing"

	"waterlock/internal/disk/disktest"
)

// runFault lets the k-th operation of the batch fail. What claims to be done
// must be done, durably; what fails must leave the old version; and after the
// next start all can be finished.
func runFault(t *testing.T, start *disktest.Mem, sc *scene, k int, kind disktest.FaultKind, reads bool) (failed bool) {
	mem := start.Crashed(disktest.Names, 0)
	fault := disktest.NewFault(mem)
	w := again(t, fault)
	if err := w.tryOpen(); err != nil {
		t.Error(err)
		return false
	}
	acts := sc.acts(w)
	fault.CountReads(reads)
	fault.FailAt(k, kind, false)
	res, err := w.try(acts...)
	what := fault.Failed()
	fault.FailAt(0, kind, false)
	defer func() {
		if t.Failed() {
			t.Logf("operation %d (%s) failed with %v: %v", k, what, kind, err)
		}
	}()
	if err == nil && !reads {
		sc.check(w)
	}
	w.discard()

	r := again(t, mem.Crashed(disktest.Strict, 0))
	if err := r.tryOpen(); err != nil {
		t.Error(err)
		return false
	}
	defer r.discard()
	sc.check(r)
	if err == nil {
		for _, x := range res {
			name := "a/" + x.Path
			now, isThere := sc.new[name]
			if x.Err != nil || x.Path == "" || x.Path == "d" {
				continue
			}
			if got, found := read(r.fs, name); found != isThere || got != now {
				t.Errorf("%s: said to be done, but is %.20q (%v)", name, got, found)
			}
		}
	}
	r.fine(sc.acts(r)...)
	for n := range sc.old {
		if _, ok := sc.new[n]; !ok {
			r.gone(n)
		}
	}
	for n, c := range sc.new {
		r.want(n, c)
	}
	r.chunksOf(sc.contents...)
	return what != ""
}

func TestFaultAtEveryStepOfInstall(t *testing.T) {
	start, sc := base(t)
	for i, kind := range disktest.FaultKinds {
		crashEvery(t, func(t *testing.T, k int) bool {
			if !long && k%4 != i && k < 140 {
				return true
			}
			return runFault(t, start, sc, k+1, kind, false)
		})
	}
}

// Reading fails too: a place that cannot be read must not be taken for good,
// nor a path that cannot be looked at for empty.
func TestFaultAtEveryReadOfInstall(t *testing.T) {
	start, sc := base(t)
	step := 13
	if long {
		step = 1
	}
	crashEvery(t, func(t *testing.T, k int) bool { return runFault(t, start, sc, k*step+1, disktest.EIO, true) })
}
