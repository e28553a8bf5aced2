package vault

import (
	"os"
	"path/filepath"
	"testing"
)

// Two trips with renames, edits, links, deletions and changes of kind: mirror and snapshots equal what home was.
func TestTwoTrips(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill()
	first := take(t, w.src)
	drive := newTestDrive(t)
	w.home.pack(drive, trip{packSize: 100 << 10})
	w.join(drive)
	r := w.clean(drive, DeletionsAsk)
	if r.Written == 0 || r.Gone != 0 || r.Snapshot != 1 || !r.SnapshotWhole || r.Again != 0 {
		t.Errorf("first trip: %+v", r)
	}
	same(t, "mirror after trip 1", asMirror(first), w.mirror())
	if got := w.home.importReceipt(drive); got.Number != 2 || got.NewestArrived != 1 {
		t.Errorf("receipt: %+v", got)
	}

	w.change()
	second := take(t, w.src)
	w.home.pack(drive, trip{})
	r = w.clean(drive, DeletionsApply)
	if r.Deleted == 0 || r.Deleted != r.Gone || r.Shipments != 2 || r.Again != 1 {
		t.Errorf("second trip: %+v", r)
	}
	same(t, "mirror after trip 2", asMirror(second), w.mirror())

	for range 2 {
		same(t, "snapshot 1", first, filepath.Join(w.restore("1"), "docs"))
		same(t, "snapshot 2", second, filepath.Join(w.restore("2"), "docs"))
		same(t, "latest", second, filepath.Join(w.restore("latest"), "docs"))
		// The index may be deleted at any time.
		must(t, os.RemoveAll(filepath.Join(w.vault, ".wl/index")))
	}
	again := w.clean(drive, DeletionsApply)
	if again.Written+again.Linked+again.Metadata+again.Others+again.Deleted+again.History != 0 {
		t.Errorf("a third run changed something: %+v", again)
	}
	same(t, "mirror after the third run", asMirror(second), w.mirror())
	list := w.snapshots()
	if len(list) != 2 || !list[0].Whole || !list[1].Whole || list[0].Waits != "" {
		t.Errorf("snapshots: %+v", list)
	}
}
