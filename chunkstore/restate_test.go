package chunkstore

import (
	"bytes"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"waterlock/index"
	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/internal/disk/disktest"
)

func storyWorld(t testing.TB, fs disk.FS) *world {
	w := newWorld(t, fs)
	w.grow = 2000
	return w
}

// storied is a vault whose records tell of all that records can tell of: files placed, replaced, moved, linked and
// removed, metadata, directories, links, a file that grows, packs, compaction. It returns the number of its records.
func storied(w *world) uint64 {
	sc := everything(w)
	w.fine(sc.acts(w)...)
	film := w.big("film", random(50, 9500), 30)
	w.load(film.Content[:6])
	w.try(install(dir("")), install(film))
	w.load(film.Content[6:8])
	w.try(install(film))
	w.load()
	w.put(random(60, 900), chunk.Data)
	if err := w.s.FlushHistory(); err != nil {
		w.t.Fatal(err)
	}
	one := random(70, 10000)
	w.fine(install(w.file("shrinks", one, 10)))
	w.fine(install(w.file("shrinks", append(append([]byte{}, one[:8000]...), random(71, 3000)...), 20)))
	w.compact()
	w.fine(install(w.file("last", random(80, 1500), 40)), remove("log"))
	if w.s.growing.of("a", "film") == 0 {
		w.t.Fatal("nothing grows")
	}
	return w.s.seq
}

// setAsideHere reports whether a record was set aside.
func setAsideHere(fs disk.FS, seq uint64) bool {
	_, found, _ := stat(fs, recordName(seq, recordExt)+damagedExt)
	return found
}

// Whichever record is damaged, what the catalog knows of it is written down once, and then all can be rebuilt without it.
func TestADamagedRecordIsRestated(t *testing.T) {
	mem := disktest.NewMem()
	w := storyWorld(t, mem).open()
	last := storied(w)
	w.close()
	for seq := uint64(1); seq <= last; seq++ {
		t.Run(fmt.Sprint(seq), func(t *testing.T) {
			r := storyWorld(t, mem.Crashed(disktest.Names, 0)).open()
			before := r.rows()
			rot(t, r.fs, recordName(seq, recordExt), 90)
			if res := r.scrub(ScrubOptions{}); res.BadRecords != 1 || res.Bad != 1 {
				t.Fatalf("%+v", res)
			}
			res, err := r.s.Restate(t.Context())
			if err != nil || res.Records != 1 || !setAsideHere(r.fs, seq) {
				t.Fatalf("%+v %v", res, err)
			}
			t.Logf("%d rows", res.Rows)
			if res := r.scrub(ScrubOptions{}); res.Bad != 0 {
				t.Fatalf("%+v", res)
			}
			sameRows(t, before, r.rows())
			problems := len(r.rep.Problems())
			r.rebuild(before)
			r.close()
			if err := r.tryOpen(); err != nil {
				t.Fatal(err)
			}
			sameRows(t, before, r.rows())
			if p := r.rep.Problems(); len(p) != problems {
				t.Errorf("%v", p[problems:])
			}
			// Nothing is left to do, and the vault goes on.
			if res, err := r.s.Restate(t.Context()); err != nil || res != (RestateResult{}) {
				t.Errorf("again: %+v %v", res, err)
			}
			r.fine(install(r.file("more", random(90, 1200), 50)))
			r.rebuild(r.rows())
		})
	}
}

// Where the catalog was rebuilt without the damaged record there is nothing to tell; it is set aside all the same, and its
// number is not given again.
func TestADamagedRecordIsSetAsideAfterARebuild(t *testing.T) {
	w := newWorld(t, disktest.NewMem()).open()
	w.fine(install(dir("")), install(w.file("f", random(1, 3000), 10)))
	w.fine(install(w.file("g", random(2, 3000), 10)))
	rot(t, w.fs, recordName(2, recordExt), 90)
	if err := w.s.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.feed()
	if r := w.fine(install(w.file("g", random(2, 3000), 10)))[0]; r.Way != Adopted {
		t.Fatalf("%+v", r)
	}
	if res, err := w.s.Restate(t.Context()); err != nil || res.Records != 1 || !setAsideHere(w.fs, 2) {
		t.Fatalf("%+v %v", res, err)
	}
	scratch := w.index + ".scratch"
	if _, err := os.Stat(scratch); err == nil {
		t.Error("the second catalog is left over")
	}
	if err := os.Mkdir(scratch, 0o755); err != nil { // as a crash leaves it
		t.Fatal(err)
	}
	w.close()
	w.open()
	if _, err := os.Stat(scratch); err == nil {
		t.Error("what a crash left of the second catalog is not removed")
	}
	if w.s.seq != 4 {
		t.Errorf("the last record has number %d", w.s.seq)
	}
	w.rebuild(w.rows())
}

// A crash at any step leaves the damaged record where it was, to be named again, or nothing that it told of is lost.
func TestCrashAtEveryStepOfRestating(t *testing.T) {
	defer func(n int) { restatedRows = n }(restatedRows)
	restatedRows = 20
	start := disktest.NewMem()
	w := storyWorld(t, start).open()
	last := storied(w)
	for i := range 3 {
		w.fine(install(w.file(fmt.Sprint("extra", i), random(uint64(200+i), 1100), 60)))
	}
	w.close()
	start = start.Crashed(disktest.Names, 0)
	o := storyWorld(t, start).open()
	before := o.rows()
	o.close()
	damaged := []uint64{2, last - 1, last + 3}
	for _, seq := range damaged {
		rot(t, start, recordName(seq, recordExt), 90)
		if err := start.SyncFiles([]string{recordName(seq, recordExt)}); err != nil {
			t.Fatal(err)
		}
	}
	start = start.Crashed(disktest.Names, 0)
	crashEvery(t, func(t *testing.T, k int) bool {
		mem := start.Crashed(disktest.Names, 0)
		w := storyWorld(t, mem)
		if err := os.CopyFS(w.index, os.DirFS(o.index)); err != nil {
			t.Error(err)
			return false
		}
		if err := w.tryOpen(); err != nil {
			t.Error(err)
			return false
		}
		mem.CrashAfter(k)
		_, err := w.s.Restate(t.Context())
		crashed := mem.DidCrash()
		if !crashed && err != nil {
			t.Error(err)
		}
		w.close()
		defer os.RemoveAll(w.index)
		for i, mode := range disktest.Modes {
			r := storyWorld(t, mem.Crashed(mode, uint64(k)))
			if i == 0 {
				r.index = w.index // closed well, but perhaps behind the last record
			}
			if err := r.tryOpen(); err != nil {
				t.Error(err)
				return false
			}
			named := map[string]bool{}
			for _, p := range r.rep.Problems() {
				if strings.HasSuffix(p.Path, recordExt) {
					named[p.Path] = true
				}
			}
			left := 0
			for _, seq := range damaged {
				if _, found, _ := stat(r.fs, recordName(seq, recordExt)); found {
					left++
				}
			}
			if r.s.Rebuilt() && len(named) != left {
				t.Errorf("k %d %v: %d damaged records are there, %d are named", k, mode, left, len(named))
			}
			if left < len(damaged) || !r.s.Rebuilt() {
				if res, err := r.s.Restate(t.Context()); err != nil || int(res.Records) != left {
					t.Errorf("k %d %v: %+v %v", k, mode, res, err)
				}
				r.rebuild(before)
			}
			r.discard()
			if t.Failed() {
				t.Logf("crash after %d operations, mode %v", k, mode)
				return false
			}
		}
		return crashed
	})
}

// A container and its chunks are told by one record, so that a crash behind any record leaves none with fewer chunks.
func TestARestatedContainerIsInOneRecord(t *testing.T) {
	defer func(n int) { restatedRows = n }(restatedRows)
	restatedRows = 1
	w := storyWorld(t, disktest.NewMem()).open()
	last := storied(w)
	before := w.rows()
	for seq := uint64(1); seq <= last; seq++ {
		rot(t, w.fs, recordName(seq, recordExt), 90)
	}
	if res, err := w.s.Restate(t.Context()); err != nil || res.Records != int64(last) || w.s.seq < last+10 {
		t.Fatalf("%+v, %d records: %v", res, w.s.seq, err)
	}
	chunks := 0
	for seq := last + 1; seq <= w.s.seq; seq++ {
		rec, _, err := w.s.readRecord(seq, false)
		if err != nil {
			t.Fatal(err)
		}
		var of index.ContainerID
		for _, x := range rec.rows {
			switch {
			case x.kind == rowContainer:
				of = x.id
			case x.kind == rowChunks && x.id != of:
				t.Errorf("record %d has chunks of container %d, which another begins", seq, x.id)
			case x.kind == rowChunks:
				chunks++
			}
		}
	}
	if chunks < 5 {
		t.Errorf("%d rows of chunks", chunks)
	}
	w.rebuild(before)
}

// The groups of adopted inodes have a tree's name with something before it, also where that is as long as can be.
func TestARestatedGroupOfALongTree(t *testing.T) {
	rec := &record{restates: true, seq: 7, next: 30, rows: []restated{
		{kind: rowGroup, tree: adoptedGroups(strings.Repeat("x", maxTree)), group: 4, id: 3},
	}}
	if got, err := decodeRecord(rec.encode()); err != nil || !reflect.DeepEqual(got, rec) {
		t.Fatal(got, err)
	}
}

// A record that could not be read for a time, when the catalog was rebuilt, goes on telling of what is there: it is not said to
// be gone when another is restated.
func TestWhatIsThereIsNotSaidToBeGone(t *testing.T) {
	w := newWorld(t, disktest.NewMem()).open()
	w.fine(install(dir("")), install(w.file("f", random(1, 3000), 10)))
	w.fine(install(w.file("f", random(2, 3000), 20)), install(w.file("h", random(4, 2000), 20))) // keeps the old one
	w.fine(install(w.file("g", random(3, 3000), 10)))
	before := w.rows()
	rot(t, w.fs, recordName(2, recordExt), 90)
	if err := w.s.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	rot(t, w.fs, recordName(2, recordExt), 90) // it can be read again
	rot(t, w.fs, recordName(3, recordExt), 90)
	w.feed()
	if res, err := w.s.Restate(t.Context()); err != nil || res.Records != 1 || !setAsideHere(w.fs, 3) {
		t.Fatalf("%+v %v", res, err)
	}
	if err := w.s.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	after := w.rows()
	for key := range before {
		if _, there := after[key]; !there {
			t.Errorf("%s is gone", key)
		}
	}
}

// A record of restated rows has one encoding, and no byte of it may change.
func TestRestatedRowsRoundTrip(t *testing.T) {
	rec := allRows()
	body := rec.encode()
	got, err := decodeRecord(body)
	if err != nil || !reflect.DeepEqual(got, rec) {
		t.Fatalf("%+v\n%+v\n%v", got, rec, err)
	}
	for i := range body {
		b := slices.Clone(body)
		b[i] ^= 0x40
		if other, err := decodeRecord(b); err == nil && !bytes.Equal(other.encode(), b) {
			t.Errorf("byte %d: another encoding of a record", i)
		}
		if _, err := decodeRecord(body[:i]); err == nil {
			t.Errorf("%d bytes are a record", i)
		}
	}
	for name, spoil := range map[string]func(*restated){
		"kind":      func(x *restated) { x.kind = 7 },
		"container": func(x *restated) { x.id, x.cont.ID = 0, 0 },
		"a pack":    func(x *restated) { x.cont.Kind = index.Pack },
		"kept name": func(x *restated) { x.cont.Kind = index.Kept },
		"tree":      func(x *restated) { x.cont.Tree = "" },
		"name":      func(x *restated) { x.cont.Name = "../f" },
	} {
		bad := allRows()
		spoil(&bad.rows[0])
		if _, err := decodeRecord(bad.encode()); err == nil {
			t.Errorf("%s: not refused", name)
		}
	}
}

// allRows is a record with a row of every kind.
func allRows() *record {
	id := chunk.Data.ID([]byte("x"))
	return &record{restates: true, seq: 7, next: 30, time: 5, rows: []restated{
		{kind: rowContainer, id: 3, cont: index.Container{ID: 3, Kind: index.Mirror, Tree: "a", Name: "d/f", Ino: 9, Size: 20, MSec: 1, MNsec: 2, Hash: chunk.SumContent(nil)}},
		{kind: rowChunks, id: 3, chunks: []placed{{0, id, 1}, {5, id, 1}}},
		{kind: rowPath, tree: "a", path: "d/f", row: index.PathRow{Kind: uint8(disk.KindFile), Adopted: true, Container: 3, Ino: 9, Size: 20, LinkGroup: 4, Digest: [32]byte{1}, Hash: chunk.SumContent(nil)}},
		{kind: rowNoPath, tree: "a", path: "gone"},
		{kind: rowGroup, tree: "a", group: 4, id: 3},
		{kind: rowNone, id: 12},
	}}
}
