package vault

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"waterlock/internal/chunk"
	"waterlock/internal/courier"
	"waterlock/internal/report"
	"waterlock/snapshot"
)

// inventory reads the inventory that goes with the newest receipt on the drive; nil if none does.
func (w *world) inventory(drive string) []chunk.ID {
	w.t.Helper()
	d, err := courier.OpenDrive(drive)
	must(w.t, err)
	defer d.Close()
	list, _, err := d.ReadReceipts(w.home.route.ID)
	must(w.t, err)
	r := list[0].Receipt
	if r.Inventory.IsZero() {
		return nil
	}
	f, err := d.OpenInventory(r)
	must(w.t, err)
	defer f.Close()
	ids := []chunk.ID{}
	must(w.t, courier.CheckInventory(f, r, func(block []chunk.ID) error {
		ids = append(ids, block...)
		return nil
	}))
	return ids
}

// sentIDs is all that home ever sent, sorted.
func (w *world) sentIDs() (ids []chunk.ID) {
	for _, s := range w.home.sent {
		ids = append(ids, s.ids...)
	}
	slices.SortFunc(ids, chunk.ID.Compare)
	return slices.Compact(ids)
}

func (w *world) offers() []string {
	list, err := filepath.Glob(filepath.Join(w.vault, receiptsDir, "*"+offerSuffix))
	must(w.t, err)
	return list
}

func (w *world) ownInventories() int {
	list, err := filepath.Glob(filepath.Join(w.vault, receiptsDir, "*.inventory*"))
	must(w.t, err)
	return len(list)
}

func TestInventoryListsAllThatTheVaultHas(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	noise(t, filepath.Join(w.src, "a"), 40_000, 1)
	noise(t, filepath.Join(w.src, "b"), 9000, 2)
	drive := newTestDrive(t)
	w.home.pack(drive, trip{})
	w.join(drive)
	w.clean(drive, DeletionsAsk)
	if ids := w.inventory(drive); ids != nil {
		t.Fatalf("an inventory of %d chunks for which nobody asked", len(ids))
	}
	// Content in the mirror, in a kept version, and in the history.
	noise(t, filepath.Join(w.src, "b"), 9000, 3)
	must(t, os.Remove(filepath.Join(w.src, "a")))
	w.home.importReceipt(drive)
	w.home.pack(drive, trip{asks: true})
	r := w.clean(drive, DeletionsApply)
	if ids := w.inventory(drive); !slices.Equal(ids, w.sentIDs()) || !r.InventoryGiven || r.Inventory != int64(len(ids)) {
		t.Fatalf("%d chunks listed (%v), %d sent", len(ids), r, len(w.sentIDs()))
	}
	if n := w.ownInventories(); n != 1 {
		t.Errorf("%d inventories beside the own receipts", n)
	}
	// Home goes on asking, as long as it has not read one; then no more.
	w.home.pack(drive, trip{asks: true})
	w.clean(drive, DeletionsApply)
	if ids := w.inventory(drive); !slices.Equal(ids, w.sentIDs()) {
		t.Fatalf("the second time: %d chunks listed, %d sent", len(ids), len(w.sentIDs()))
	}
	w.home.importReceipt(drive)
	w.home.pack(drive, trip{})
	if r := w.clean(drive, DeletionsApply); r.InventoryGiven || w.inventory(drive) != nil || w.ownInventories() != 0 {
		t.Errorf("another inventory, for which nobody asked: %+v", r)
	}
}

// What is damaged in the vault, and what it never had, is not listed.
func TestInventoryListsNothingElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	noise(t, filepath.Join(w.src, "a"), 40_000, 1)
	noise(t, filepath.Join(w.src, "b"), 9000, 2)
	drive := newTestDrive(t)
	first := w.home.pack(drive, trip{})
	w.join(drive)
	w.clean(drive, DeletionsAsk)
	w.home.importReceipt(drive)
	must(t, os.Remove(filepath.Join(w.mirror(), "a")))
	must(t, os.RemoveAll(filepath.Join(drive, filepath.FromSlash(courier.ShipmentDir(w.home.route.ID, first.id)))))
	w.home.pack(drive, trip{asks: true})
	r := w.unpack(drive, DeletionsAsk)
	ids := w.inventory(drive)
	if r.Wants == 0 || len(ids)+int(r.Wants) != len(w.sentIDs()) {
		t.Fatalf("%d chunks listed, %d wanted, %d sent", len(ids), r.Wants, len(w.sentIDs()))
	}
	for _, want := range w.home.importReceipt(drive).Wants {
		if slices.Contains(ids, want.ID) {
			t.Fatal("a chunk is wanted and listed")
		}
	}
}

func TestASetBackVaultOffersAnInventoryUntilHomeHasOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	noise(t, filepath.Join(w.src, "a"), 40_000, 1)
	drive := newTestDrive(t)
	w.home.pack(drive, trip{})
	w.join(drive)
	if len(w.offers()) != 0 {
		t.Fatal("the first vault of a route offers an inventory")
	}
	w.clean(drive, DeletionsAsk)
	w.unpack(drive, DeletionsAsk)
	w.home.importReceipt(drive)
	must(t, os.RemoveAll(filepath.Join(w.vault, receiptsDir)))
	w.unpack(drive, DeletionsAsk)
	for range 2 {
		if ids := w.inventory(drive); !slices.Equal(ids, w.sentIDs()) {
			t.Fatalf("%d chunks listed, %d sent", len(ids), len(w.sentIDs()))
		}
		w.home.pack(drive, trip{}) // home has not seen it
		w.unpack(drive, DeletionsAsk)
	}
	w.home.importReceipt(drive)
	w.home.pack(drive, trip{})
	if r := w.unpack(drive, DeletionsAsk); r.InventoryGiven || len(w.offers()) != 0 {
		t.Errorf("still offered: %+v, %v", r, w.offers())
	}
}

func TestANewVaultOfAnOldRouteOffersAnInventory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	noise(t, filepath.Join(w.src, "a"), 40_000, 1)
	drive := newTestDrive(t)
	w.home.pack(drive, trip{})
	w.join(drive)
	w.clean(drive, DeletionsAsk)
	before := w.home.importReceipt(drive)
	w.vault += "2"
	w.join(drive)
	w.unpack(drive, DeletionsAsk)
	after := w.home.importReceipt(drive)
	if after.Epoch == before.Epoch || after.Number <= before.Number || !slices.Equal(w.inventory(drive), w.sentIDs()) {
		t.Errorf("receipt %+v, after %+v, %d chunks listed", after, before, len(w.inventory(drive)))
	}
}

// A drive that takes no inventory gets no receipt that names one; the vault has both, and the next drive gets them.
func TestAnInventoryThatCannotBeWrittenComesWithTheNextReceipt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	noise(t, filepath.Join(w.src, "a"), 40_000, 1)
	drive := newTestDrive(t)
	w.home.pack(drive, trip{asks: true})
	w.join(drive)
	receipts := filepath.Join(drive, "waterlock", w.home.route.ID.String(), "receipts")
	must(t, os.Rename(receipts, receipts+".aside"))
	must(t, os.WriteFile(receipts, nil, 0o600)) // in the way
	r, err := Unpack(context.Background(), UnpackOptions{Vault: w.vault, Drive: drive, Report: report.Discard})
	must(t, err)
	must(t, os.Remove(receipts))
	must(t, os.Rename(receipts+".aside", receipts))
	if r.Told || !r.InventoryGiven || w.ownInventories() != 1 || w.inventory(drive) != nil {
		t.Errorf("%+v", r)
	}
	w.clean(drive, DeletionsAsk)
	if !slices.Equal(w.inventory(drive), w.sentIDs()) {
		t.Error("it did not come with the next")
	}
}

// A home that joined anew does not know of what it does not see: only what its own snapshots had, and have no longer, is
// confirmed to be gone.
func TestAHomeThatJoinedConfirmsOnlyWhatItKnew(t *testing.T) {
	t.Parallel()
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
	r := w.clean(drive, DeletionsConfirmed)
	if r.Gone != 1 || r.Confirmed != 0 || r.Deleted != 0 {
		t.Errorf("after joining: %+v", r)
	}
	w.home.importReceipt(drive)
	must(t, os.Remove(filepath.Join(w.src, "deleted")))
	w.home.pack(drive, trip{})
	r = w.clean(drive, DeletionsConfirmed)
	if r.Gone != 2 || r.Confirmed != 1 || r.Deleted != 1 {
		t.Errorf("after a deletion: %+v", r)
	}
	for name, there := range map[string]bool{"stays": true, "unknown": true, "deleted": false} {
		if _, err := os.Lstat(filepath.Join(w.mirror(), name)); (err == nil) != there {
			t.Errorf("%s: %v", name, err)
		}
	}
	if r = w.clean(drive, DeletionsApply); r.Deleted != 1 {
		t.Errorf("applied: %+v", r)
	}
}
