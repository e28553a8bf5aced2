package vault

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"waterlock/internal/chunk"
	"waterlock/internal/courier"
	"waterlock/snapshot"
)

// A list of files that a prune finds damaged is asked for, and its snapshot does not count as arrived: it is not taken for a chunk that
// nobody needs.
func TestAListOfFilesThatAPruneFindsDamagedIsWanted(t *testing.T) {
	t.Parallel()
	w, drive, _, _ := pruned(t)
	w.clean(drive, DeletionsApply)
	for _, p := range glob(t, filepath.Join(w.vault, ".wl/packs/*/*.meta")) {
		b, err := os.ReadFile(p)
		must(t, err)
		for off := 100; off < len(b)-200; off += 50 {
			flip(t, p, int64(off))
		}
	}
	w.home.importReceipt(drive)
	r := w.prune(PruneOptions{})
	t.Logf("%+v", r)
	if len(r.Unread) == 0 {
		t.Fatalf("%+v", r)
	}
	w.look(func(v *vault) {
		newest, _, err := newestReceipt(v.root, v.id, v.rep)
		must(t, err)
		wants := map[chunk.ID]bool{}
		for _, x := range newest.Wants {
			wants[x.ID] = true
		}
		for _, x := range newest.Condemned {
			t.Logf("condemned %v", x.ID)
		}
		for _, k := range v.commits.known {
			commit, err := v.commits.load(k)
			must(t, err)
			for _, tree := range commit.Snapshot.Trees {
				for _, ref := range tree.Chunks {
					has, err := v.store.Has(ref.ID)
					must(t, err)
					if !has && !wants[ref.ID] {
						t.Errorf("stream chunk %v of snapshot %d is neither here nor wanted", ref.ID, k.number)
					}
				}
			}
		}
		if len(wants) == 0 {
			t.Error("nothing is wanted")
		}
	})
}

// What only a file in foreign/ had, and no snapshot names, home may count on: it is condemned when the file is deleted.
func TestHomeHearsOfForeignFilesThatWereAdoptedAndAreDeleted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	noise(t, filepath.Join(w.src, "film"), 200<<10, 1)
	dir := w.old()
	drive := newTestDrive(t)
	noise(t, filepath.Join(w.src, "film"), 100<<10, 2)
	w.home.pack(drive, nothing)
	w.join(drive)
	w.adopt(dir)
	w.unpack(drive, DeletionsAsk)
	for _, id := range w.inventory(drive) {
		w.home.held[id] = true
	}
	w.trip(drive) // the old film gives way
	if list := w.missing(); len(list) > 0 {
		t.Fatal(list)
	}
	if r, _ := w.foreign(ForeignOptions{Remove: true, Yes: true}); r.Removed != 1 || r.Failed != 0 {
		t.Fatalf("%+v", r)
	}
	w.trip(drive)
	if list := w.missing(); len(list) > 0 {
		t.Errorf("home counts on %d chunks that are gone", len(list))
	}
}

// What a receipt has no room for is told by a later one, and not forgotten.
func TestLostChunksBeyondAReceiptAreToldLater(t *testing.T) {
	t.Parallel()
	list := make([]courier.Condemned, courier.MaxCondemned-1)
	for i := range list {
		list[i].ID = chunk.ID{0, byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i), 1}
	}
	all, told := withLost(list, []chunk.ID{list[7].ID, {1}, {2}, {3}}, 9)
	if len(all) != courier.MaxCondemned || len(told) != 2 || told[1] != (chunk.ID{1}) {
		t.Errorf("%d condemned, told %v", len(all), told)
	}
}

// A snapshot that has the number of one that arrived, or that was forgotten since, is looked at all the same.
func TestASecondSnapshotOfANumberIsLookedAt(t *testing.T) {
	t.Parallel()
	for _, forgotten := range []bool{false, true} {
		w := newWorld(t)
		drive := newTestDrive(t)
		noise(t, filepath.Join(w.src, "a"), 40_000, 1)
		w.home.pack(drive, trip{})
		w.join(drive)
		w.clean(drive, DeletionsAsk)
		w.home.importReceipt(drive)
		if forgotten {
			noise(t, filepath.Join(w.src, "a"), 50_000, 3)
			w.trip(drive)
			w.prune(PruneOptions{Forget: []string{"1"}})
		}

		// Home was set back, and believes that the vault has what it packs now.
		noise(t, filepath.Join(w.src, "b"), 30_000, 2)
		next := newTestDrive(t)
		w.home.number = 0
		s := w.home.pack(next, trip{})
		must(t, os.Remove(filepath.Join(w.shipmentDir(s), "000001.pack")))
		r := w.unpack(next, DeletionsAsk)
		if r.Wants == 0 {
			t.Errorf("forgotten %v: nothing is wanted: %+v", forgotten, r)
		}
		for _, info := range w.snapshots() {
			t.Logf("%+v", info)
		}
	}
}

// That home joined anew counts also when the snapshot that said so is forgotten, or its commit is damaged.
func TestAHomeThatJoinedConfirmsNoMoreWhenItsFirstSnapshotIsForgotten(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(t *testing.T, w *world){
		"forgotten": func(_ *testing.T, w *world) { w.prune(PruneOptions{Forget: []string{"2"}}) },
		"damaged": func(t *testing.T, w *world) {
			flip(t, glob(t, filepath.Join(w.vault, ".wl/snapshots/2-*.commit"))[0], 100)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			for i, name := range []string{"stays", "unknown", "deleted"} {
				noise(t, filepath.Join(w.src, name), 9000, uint64(i))
			}
			drive := newTestDrive(t)
			w.home.pack(drive, trip{})
			w.join(drive)
			w.clean(drive, DeletionsAsk)
			w.home.importReceipt(drive)

			w.home.last, w.home.dead = map[string]map[string]*snapshot.Entry{}, map[string]*snapshot.Entry{} // its state is gone
			must(t, os.Remove(filepath.Join(w.src, "unknown")))
			w.home.pack(drive, trip{asks: true})
			w.clean(drive, DeletionsConfirmed)
			w.home.importReceipt(drive)
			w.home.pack(drive, trip{})
			w.clean(drive, DeletionsConfirmed)
			w.home.importReceipt(drive)
			lose(t, w)
			must(t, os.Remove(filepath.Join(w.src, "deleted")))
			next := newTestDrive(t)
			w.home.pack(next, trip{})
			w.unpack(next, DeletionsConfirmed)
			for name, there := range map[string]bool{"stays": true, "unknown": true, "deleted": false} {
				if _, err := os.Lstat(filepath.Join(w.mirror(), name)); (err == nil) != there {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
}

// A tree that no snapshot names any more is a place of chunks all the same: others may need them.
func TestATreeWhoseSnapshotsAreForgottenStillCounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	gone := filepath.Join(w.dir, "gone")
	w.home = newTestHome(t, map[string]string{"docs": w.src, "gone": gone})
	drive := newTestDrive(t)
	noise(t, filepath.Join(gone, "film"), 200<<10, 1)
	noise(t, filepath.Join(w.src, "other"), 9000, 2)
	w.home.pack(drive, trip{})
	w.join(drive)
	w.clean(drive, DeletionsApply)
	w.home.importReceipt(drive)
	// The film moves to the other tree, and the one that it was in goes; then it is edited.
	delete(w.home.trees, "gone")
	noise(t, filepath.Join(w.src, "film"), 200<<10, 1)
	second, _, _ := w.trip(drive)
	noise(t, filepath.Join(w.src, "film"), 100<<10, 3)
	w.trip(drive)
	w.prune(PruneOptions{})
	w.prune(PruneOptions{Forget: []string{"1"}})
	w.trip(drive)
	w.trip(drive)
	same(t, "snapshot 2", second, filepath.Join(w.restore("2"), "docs"))
	// Somebody takes it for a left-over.
	must(t, os.RemoveAll(filepath.Join(w.vault, "gone")))
	v := w.verify(VerifyOptions{})
	if v.Wants == 0 {
		t.Errorf("what is lost is not wanted: %+v", v)
	}
}

// So is one in whose place files were adopted, when the first snapshot that comes is from before it was.
func TestAnAdoptedTreeCountsBeforeASnapshotNamesIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	early, late := newTestDrive(t), newTestDrive(t)
	noise(t, filepath.Join(w.src, "other"), 9000, 2)
	w.home.pack(early, trip{})
	more := filepath.Join(w.dir, "more")
	noise(t, filepath.Join(more, "film"), 200<<10, 1)
	w.home.trees["more"] = more
	w.home.pack(late, nothing)
	w.join(late)
	place := filepath.Join(w.vault, "more")
	noise(t, filepath.Join(place, "film"), 200<<10, 1)
	_, err := Adopt(context.Background(), AdoptOptions{Vault: w.vault, Places: []TreePlace{{"more", place}}, Report: w.reporter()})
	must(t, err)
	w.unpack(early, DeletionsAsk)
	w.look(func(v *vault) {
		if _, err := v.volumeOf("more"); err != nil {
			t.Error(err)
		}
	})
}
