package chunkstore

import (
	"testing"

	"waterlock/internal/chunk"
	"waterlock/internal/disk/disktest"
)

// Only what a compaction would remove is listed: not what the mirror shows, nor
// what lies in an old version that is worth keeping for the sake of other chunks.
func TestCondemnableListsOnlyWhatGoes(t *testing.T) {
	w := newWorld(t, disktest.NewMem()).open()
	dead, half, shown, tail := random(1, 9000), random(2, 10000), random(3, 3000), random(4, 2000)
	w.fine(install(dir("")), install(w.file("dead", append(append([]byte{}, dead...), shown...), 10)), install(w.file("half", half, 10)),
		install(w.file("little", append(append([]byte{}, random(5, 9000)...), tail...), 10)))
	w.fine(remove("dead"), remove("half"), remove("little"))
	w.fine(install(w.file("shown", shown, 20)))
	named := map[chunk.ID]bool{}
	for _, x := range w.content(half)[:6] { // six of ten chunks
		named[x.ID] = true
	}
	for _, x := range w.content(tail) {
		named[x.ID] = true
	}
	isNamed := func(id chunk.ID) (bool, error) { return named[id], nil }
	plan := func(most int) Condemnable {
		t.Helper()
		p, err := w.s.Condemnable(t.Context(), CondemnOptions{Named: isNamed, Most: most})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	p := plan(1000)
	want := map[chunk.ID]bool{}
	for _, x := range append(w.content(dead), w.content(random(5, 9000))...) {
		want[x.ID] = true
	}
	for _, id := range p.Chunks {
		if !want[id] {
			t.Errorf("chunk %s is listed", id.Short())
		}
	}
	if len(p.Chunks) != len(want) || p.Later != 0 || p.Containers != 2 || p.Freed != 23000 || p.Written != 2000 || p.Room != 2000 {
		t.Fatalf("%d chunks, expected %d; %+v", len(p.Chunks), len(want), p)
	}
	// What does not fit comes later, container by container; the first goes as far as it can.
	if q := plan(10); len(q.Chunks) != 9 || q.Later != 9 || q.Freed != p.Freed {
		t.Fatalf("%+v", q)
	}
	if q := plan(4); len(q.Chunks) != 4 || q.Later != 14 {
		t.Fatalf("%+v", q)
	}

	// A compaction that does not need these does what was said, and nothing else goes.
	listed := map[chunk.ID]bool{}
	for _, id := range p.Chunks {
		listed[id] = true
	}
	res, err := w.s.Compact(t.Context(), CompactOptions{Needed: func(id chunk.ID) (bool, error) { return !listed[id], nil }})
	if err != nil || res.Containers != p.Containers || res.Freed != p.Freed || res.Written != p.Written {
		t.Fatalf("%+v, %v; %+v", res, err, p)
	}
	w.chunksOf(string(half), string(shown), string(tail))
	for id := range listed {
		if has, err := w.s.Has(id); has || err != nil {
			t.Fatalf("chunk %s: %v, %v", id.Short(), has, err)
		}
	}
	if q := plan(1000); len(q.Chunks) != 0 || q.Containers != 0 {
		t.Fatalf("%+v", q)
	}
	w.rebuild(w.rows())
}
