package home

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"waterlock/internal/chunk"
	"waterlock/internal/courier"
	"waterlock/internal/disk"
	"waterlock/internal/report"
	"waterlock/snapshot"
)

// where asks about paths of the first tree.
func (w *world) where(names ...string) []WhereResult {
	w.t.Helper()
	var paths []string
	for _, name := range names {
		paths = append(paths, w.path(name))
	}
	list, err := w.site().where(context.Background(), paths, report.Discard)
	must(w.t, err)
	return list
}

// standing is how it stands with one path that is no directory.
func (w *world) standing(name string) Standing {
	w.t.Helper()
	r := w.where(name)[0]
	if len(r.Groups) != 1 || r.MayDelete != (r.Groups[0].Standing == IsHeld) {
		w.t.Fatalf("%s: %+v", name, r)
	}
	return r.Groups[0].Standing
}

// settled is a world with some files, all of which the vault has.
func settled(t *testing.T) (*world, *vault) {
	w := newWorld(t)
	for i := range 6 {
		w.write(fmt.Sprintf("d/f%d", i), 30_000, uint64(i))
	}
	must(t, os.WriteFile(w.path("empty"), nil, 0o644))
	must(t, os.Symlink("d/f1", w.path("link")))
	settleClock()
	w.pack()
	v := w.newVault()
	v.take(w.drive)
	v.receipt(w.drive)
	w.pack() // takes the receipt
	return w, v
}

func TestWhatTheVaultHasMayBeDeleted(t *testing.T) {
	w := newWorld(t)
	w.write("d/f", 30_000, 1)
	must(t, os.Symlink("f", w.path("d/link")))
	settleClock()
	if s := w.standing("d/f"); s != IsNew {
		t.Error(s)
	}
	w.pack()
	for _, name := range []string{"d/f", "d/link"} {
		if s := w.standing(name); s != IsAboard {
			t.Error(name, s)
		}
	}
	if r := w.where("d")[0]; len(r.Exceptions) != 3 || len(r.Groups[0].Drives) != 1 {
		t.Errorf("%+v", r)
	}
	v := w.newVault()
	v.take(w.drive)
	v.receipt(w.drive)
	if s := w.standing("d/f"); s != IsAboard {
		t.Error("before home has the receipt:", s)
	}
	w.pack()
	for _, r := range w.where("d/f", "d/link", "d", "") {
		if !r.MayDelete || !r.HeldSince.Equal(time.Unix(1750000001, 0)) || r.Vault != "v" || !r.ReadSince.IsZero() {
			t.Errorf("%+v", r)
		}
	}
	v.readSince = time.Unix(1749000000, 0).UTC()
	v.receipt(w.drive)
	w.pack()
	if r := w.where("d/f")[0]; !r.ReadSince.Equal(v.readSince) || !r.HeldSince.Equal(time.Unix(1750000001, 0)) {
		t.Errorf("%+v", r)
	}
	// A rebuilt ledger says the same.
	must(t, os.RemoveAll(w.index))
	if r := w.where("d/f")[0]; !r.MayDelete || !r.HeldSince.Equal(time.Unix(1750000001, 0)) {
		t.Errorf("%+v", r)
	}
}

// A file that did not change may be deleted although its neighbour did, and with it the part of the list that names both,
// and the drive with that is still out.
func TestAChangedNeighbourChangesNothing(t *testing.T) {
	w, v := settled(t)
	w.write("d/f2", 31_000, 99)
	w.write("d/new", 1_000, 98)
	settleClock()
	w.newDrive("out")
	w.pack()
	for name, want := range map[string]Standing{"d/f1": IsHeld, "d/f2": IsAboard, "d/new": IsAboard} {
		if s := w.standing(name); s != want {
			t.Errorf("%s: %s, want %s", name, s, want)
		}
	}
	must(t, os.Chmod(w.path("d/f1"), 0o600)) // now its own entry is on that drive
	settleClock()
	w.pack()
	if s := w.standing("d/f1"); s != IsAboard {
		t.Error("a file with another mode:", s)
	}
	v.take(w.drive)
	v.receipt(w.drive)
	w.takeReceipt()
	if r := w.where("")[0]; !r.MayDelete {
		t.Errorf("%+v", r)
	}
}

// Whatever is not exactly what the vault has is not to be deleted.
func TestNothingElseMayBeDeleted(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(w *world, v *vault)
		want Standing
	}{
		"written anew": {func(w *world, _ *vault) { w.write("d/f1", 30_000, 77) }, IsChanged},
		"grown":        {func(w *world, _ *vault) { w.write("d/f1", 30_001, 1) }, IsChanged},
		"other mode":   {func(w *world, _ *vault) { must(t, os.Chmod(w.path("d/f1"), 0o600)) }, IsChanged},
		"other content under the old time": {func(w *world, _ *vault) {
			st, err := os.Stat(w.path("d/f1"))
			must(t, err)
			w.write("d/f1", 30_000, 78)
			must(t, os.Chtimes(w.path("d/f1"), st.ModTime(), st.ModTime()))
		}, IsChanged},
		"another file of the same size and time": {func(w *world, _ *vault) {
			st, err := os.Stat(w.path("d/f1"))
			must(t, err)
			w.write("x", 30_000, 79)
			must(t, os.Chtimes(w.path("x"), st.ModTime(), st.ModTime()))
			must(t, os.Rename(w.path("x"), w.path("d/f1")))
		}, IsChanged},
		"a directory now": {func(w *world, _ *vault) {
			must(t, os.Remove(w.path("d/f1")))
			must(t, os.Symlink("nowhere", w.path("d/f1")))
		}, IsChanged},
		"moved": {func(w *world, _ *vault) { must(t, os.Rename(w.path("d/f2"), w.path("d/f1"))) }, IsChanged},
		"wanted": {func(w *world, v *vault) {
			v.wants = []courier.Want{{ID: v.entries(v.newest, "docs")["d/f1"].Content[0].ID, Kind: chunk.Data}}
			v.receipt(w.drive)
			w.takeReceipt()
		}, IsPending},
		"its list of files wanted": {func(w *world, v *vault) {
			tree, _ := v.newest.Tree("docs")
			v.wants = []courier.Want{{ID: tree.Chunks[0].ID, Kind: chunk.Stream}}
			v.receipt(w.drive)
			w.takeReceipt()
		}, IsAboard},
		"the vault begins anew": {func(w *world, v *vault) {
			v.epoch, v.taken = courier.Epoch{2}, nil
			v.receipt(w.drive)
			w.takeReceipt()
		}, IsPending},
		"the vault begins anew, and the drive is lost": {func(w *world, v *vault) {
			v.epoch, v.taken = courier.Epoch{2}, nil
			v.receipt(w.drive)
			w.takeReceipt()
			f, err := w.site().loadFleet(report.Discard)
			must(t, err)
			for _, sh := range f.all {
				must(t, w.site().mark(sh, fileLost))
			}
		}, IsPending},
		// Its list of files is one that the vault has, but of a snapshot before the newest that it knows: the snapshot that
		// names it again is still aboard.
		"as in an older snapshot": {func(w *world, v *vault) {
			must(t, os.Chmod(w.path("d/f1"), 0o600))
			settleClock()
			w.pack()
			v.take(w.drive)
			v.receipt(w.drive)
			w.takeReceipt()
			must(t, os.Chmod(w.path("d/f1"), 0o644))
			settleClock()
			w.pack()
		}, IsAboard},
		"no scan": {func(w *world, _ *vault) { harm(w, dirScan, ".scan", "removed") }, IsNew},
	} {
		t.Run(name, func(t *testing.T) {
			w, v := settled(t)
			if s := w.standing("d/f1"); s != IsHeld {
				t.Fatal("before:", s)
			}
			c.do(w, v)
			if s := w.standing("d/f1"); s != c.want {
				t.Errorf("%s, want %s", s, c.want)
			}
			if r := w.where("")[0]; r.MayDelete {
				t.Error("the whole tree may be deleted")
			}
		})
	}
}

func TestWhereOfPathsThatAreNotThere(t *testing.T) {
	w, _ := settled(t)
	must(t, os.Remove(w.path("d/f3")))
	if r := w.where("d/f3")[0]; r.Kind != "" || r.Gone != 1 || r.MayDelete || r.Tree != "docs" {
		t.Errorf("deleted: %+v", r)
	}
	if r := w.where("d")[0]; r.Gone != 1 || r.MayDelete || len(r.Groups) != 2 { // the directory itself has changed
		t.Errorf("its directory: %+v", r)
	}
	if r := w.where("never")[0]; r.Kind != "" || r.Gone != 0 || r.MayDelete {
		t.Errorf("never there: %+v", r)
	}
	list, err := w.site().where(context.Background(), []string{tempDir(t)}, report.Discard)
	if err != nil || list[0].Tree != "" || list[0].MayDelete {
		t.Errorf("in no tree: %+v, %v", list, err)
	}
	// A link that leads into a tree names what it leads to; the last part is taken as it is.
	link := filepath.Join(tempDir(t), "to")
	must(t, os.Symlink(w.path("d"), link))
	list, err = w.site().where(context.Background(), []string{filepath.Join(link, "f1"), w.path("link")}, report.Discard)
	if err != nil || list[0].InTree != "d/f1" || !list[0].MayDelete || list[1].InTree != "link" || list[1].Kind != "symlink" || !list[1].MayDelete {
		t.Errorf("%+v, %v", list, err)
	}
}

// takeReceipt lets home learn from a drive without packing.
func (w *world) takeReceipt() {
	w.t.Helper()
	s := w.site()
	f, err := s.loadFleet(report.Discard)
	must(w.t, err)
	b, err := s.openBooks(f, report.Discard)
	must(w.t, err)
	d, err := s.openDrive()
	must(w.t, err)
	_, err = s.importReceipt(b, d, report.Discard)
	must(w.t, err)
	must(w.t, b.close(true))
}

// Whatever happens, what may be deleted is in the vault as it is on the disk: in a snapshot the vault knows, with every
// chunk of it and the list of files that names it.
func TestWhatMayBeDeletedIsInTheVault(t *testing.T) {
	rounds := 8
	if os.Getenv("WL_SOAK") != "" {
		rounds = 400
	}
	held := 0
	for round := range rounds {
		r := rand.New(rand.NewPCG(uint64(round), 5))
		w := newWorld(t)
		v := w.newVault()
		name := func() string {
			return fmt.Sprintf("d%d/f%d", r.IntN(2), r.IntN(5))
		}
		w.write("d0/f0", 20_000, 1)
		for step := range 3 + r.IntN(12) {
			switch op := r.IntN(10); op {
			case 0, 1, 2:
				w.write(name(), r.IntN(40001), uint64(step+10))
			case 3:
				_ = os.Remove(w.path(name()))
			case 4:
				_ = os.MkdirAll(w.path("d0"), 0o755)
				_ = os.MkdirAll(w.path("d1"), 0o755)
				_ = os.Rename(w.path(name()), w.path(name()))
			case 5, 6:
				settleClock()
				w.opts.AllowVanished = []string{"*"}
				w.pack()
			case 7, 8:
				v.taken = nil
				v.take(w.drive)
				v.wants = nil
				v.receipt(w.drive)
				if r.IntN(2) == 0 {
					settleClock()
					w.pack()
				} else {
					w.takeReceipt()
				}
			case 9:
				if len(v.chunks) == 0 {
					continue
				}
				for id, kind := range v.kinds { // any one
					if _, has := v.chunks[id]; has {
						delete(v.chunks, id)
						v.wants = append(v.wants, courier.Want{ID: id, Kind: kind})
						break
					}
				}
				v.receipt(w.drive)
				w.takeReceipt()
			}
			must(t, walkFiles(w.path(), func(path string) error {
				rel, err := filepath.Rel(w.path(), path)
				must(t, err)
				if w.where(rel)[0].MayDelete {
					held++
					data, err := os.ReadFile(path)
					must(t, err)
					if !v.holds(filepath.ToSlash(rel), data) {
						t.Fatalf("round %d: %s may be deleted, and the vault does not have it", round, rel)
					}
				}
				return nil
			}))
		}
	}
	if held < rounds {
		t.Errorf("may be deleted, all in all: %d files, too few to say much", held)
	}
}

// holds tells whether some snapshot gives this content back at a path.
func (v *vault) holds(path string, data []byte) bool {
	for _, rec := range v.records {
		tree, ok := rec.Tree("docs")
		if !ok {
			continue
		}
		e, err := snapshot.NewStreamReaderAt(*tree, v, path).Next()
		if err == io.EOF || err != nil || e.Path != path || e.Kind != disk.KindFile || e.Hash != chunk.SumContent(data) {
			continue
		}
		whole := true
		for _, x := range e.Content {
			if _, has := v.chunks[x.ID]; !x.Hole && !has {
				whole = false
			}
		}
		if whole {
			return true
		}
	}
	return false
}

// What is left out is never to be deleted, itself or as part of what lies around it, whatever the vault has of it.
func TestWhatIsExcludedMayNotBeDeleted(t *testing.T) {
	w, _ := settled(t)
	if r := w.where("d")[0]; !r.MayDelete {
		t.Fatalf("%+v", r)
	}
	w.cfg.Trees[0].Exclude = []string{"f1", "/out/"}
	w.write("out/deep/x", 1000, 9)
	for _, name := range []string{"d/f1", "out", "out/deep", "out/deep/x"} {
		r := w.where(name)[0]
		if r.MayDelete || len(r.Groups) != 1 || r.Groups[0].Standing != IsExcluded || r.Exceptions[0].Why == "" || r.Kind == "" {
			t.Errorf("%s: %+v", name, r)
		}
	}
	for _, name := range []string{"d", ""} {
		if r := w.where(name)[0]; r.MayDelete {
			t.Errorf("%q with something excluded in it: %+v", name, r)
		}
	}
	if r := w.where("d/f2")[0]; !r.MayDelete {
		t.Errorf("%+v", r)
	}
	if r := w.where("out/never")[0]; r.Kind != "" || r.MayDelete {
		t.Errorf("%+v", r)
	}
	// What was deleted, and is kept by the vault, was not there at the last pack.
	w.cfg.Trees[0].Exclude = nil
	must(t, os.Remove(w.path("d/f4")))
	w.opts.AllowVanished = []string{"*"}
	settleClock()
	w.pack()
	if r := w.where("d/f4")[0]; r.Gone != 0 || r.Kind != "" {
		t.Errorf("%+v", r)
	}
	w.write("d/f4", 30_000, 4)
	if s := w.standing("d/f4"); s != IsNew {
		t.Error(s)
	}
}

// TestARolledBackHomeSaysOfNothingThatItMayBeDeleted holds from the moment on at which a receipt tells of it, however that came,
// until the vault's inventory is there: what this home was told by receipts that it does not remember may be deleted there by now.
func TestARolledBackHomeSaysOfNothingThatItMayBeDeleted(t *testing.T) {
	w, v := calm(t)
	w.rolledBack(v, func() {})
	lost := v.forget("f3") // condemned and pruned, as far as the home that was forgotten knew
	if _, err := w.importAlone(v.nextReceipt()); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{"f1", "f3"} {
		if s := w.standing(f); s != IsPending {
			t.Errorf("%s: %s", f, s)
		}
	}
	w.asks(v)
	if s := w.standing("f3"); s != IsPending {
		t.Error(s)
	}
	v.inventory = true
	v.receipt(w.drive)
	v.inventory = false
	w.carriesExactly(v, lost)
	if s := w.standing("f3"); s != IsHeld {
		t.Error("in the end:", s)
	}
}

// TestADamagedReceiptSaysOfNothingThatItMayBeDeleted: the newest receipt at home can be read no more, so what it asked for is not
// known, and the one before says that it is held.
func TestADamagedReceiptSaysOfNothingThatItMayBeDeleted(t *testing.T) {
	w, v := settled(t)
	v.wants = []courier.Want{{ID: v.entries(v.newest, "docs")["d/f0"].Content[0].ID, Kind: chunk.Data}}
	v.receipt(w.drive)
	w.takeReceipt()
	if s := w.standing("d/f0"); s != IsPending {
		t.Fatal(s)
	}
	names, err := w.site().localReceipts()
	must(t, err)
	newest := dirReceipts + "/" + names[len(names)-1]
	must(t, w.state.Remove(newest))
	must(t, disk.Put(w.state, newest, []byte("rot")))
	must(t, os.RemoveAll(w.index))
	if s := w.standing("d/f0"); s != IsPending {
		t.Error(s)
	}
}

// TestAVaultThatWantsMoreThanItCanSay: a vault that lost a disk may want more than one receipt names, and the rest of it is not
// held either.
func TestAVaultThatWantsMoreThanItCanSay(t *testing.T) {
	w, _ := settled(t)
	s := w.site()
	f, err := s.loadFleet(report.Discard)
	must(t, err)
	b, err := s.openBooks(f, report.Discard)
	must(t, err)
	defer b.close(true)
	for _, c := range []struct {
		wants int
		doubt bool
	}{{courier.MaxWants - 1, false}, {courier.MaxWants, true}} {
		b.receipt.Wants = make([]courier.Want, c.wants)
		if why, err := b.doubt(); err != nil || (why != "") != c.doubt {
			t.Errorf("%d wants: %q, %v", c.wants, why, err)
		}
	}
}

// TestANumberThatWasGivenTwiceIsNotTheNewest: that a snapshot of that number has arrived may be said of the other one.
func TestANumberThatWasGivenTwiceIsNotTheNewest(t *testing.T) {
	w, v := settled(t)
	w.write("d/f2", 31_000, 99)
	settleClock()
	w.newDrive("out")
	newest := w.pack().Snapshot
	for _, c := range []struct {
		heard uint64
		want  Standing
	}{{v.newest.Number - 1, IsHeld}, {newest - 1, IsAboard}} {
		s := w.site()
		must(t, s.joinAnew(v.number, c.heard))
		v.inventory = true
		data := v.nextReceipt()
		r, err := courier.DecodeReceipt(data)
		must(t, err)
		must(t, disk.Put(w.state, inventoryFile(r), v.list))
		must(t, s.keepReceipt(dirReceipts+"/"+courier.ReceiptName(r.Number, data), data))
		if s := w.standing("d/f1"); s != c.want {
			t.Errorf("numbers up to %d: %s, want %s", c.heard, s, c.want)
		}
	}
}
