package vault

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"waterlock/internal/chunk"
	"waterlock/tests/trees"
)

func (w *world) prune(o PruneOptions) PruneResult {
	w.t.Helper()
	o.Vault, o.Report = w.vault, w.reporter()
	r, err := Prune(context.Background(), o)
	must(w.t, err)
	return r
}

// look opens the vault and its chunks.
func (w *world) look(fn func(v *vault)) {
	w.t.Helper()
	v, err := openVault(w.vault, w.reporter())
	must(w.t, err)
	must(w.t, v.openStore(context.Background()))
	fn(v)
	must(w.t, v.close())
}

// missing are the chunks that home counts as held and the vault has not.
func (w *world) missing() (list []chunk.ID) {
	w.t.Helper()
	w.look(func(v *vault) {
		for id := range w.home.held {
			has, err := v.store.Has(id)
			must(w.t, err)
			if !has {
				list = append(list, id)
			}
		}
	})
	return list
}

// has counts which of these chunks the vault has.
func (w *world) has(ids []chunk.ID) (n int) {
	w.t.Helper()
	w.look(func(v *vault) {
		for _, id := range ids {
			has, err := v.store.Has(id)
			must(w.t, err)
			if has {
				n++
			}
		}
	})
	return n
}

// trip packs, unpacks and takes the receipt home. It returns what home was and what was packed.
func (w *world) trip(drive string) (trees.Tree, *sentShipment, UnpackResult) {
	w.t.Helper()
	state := take(w.t, w.src)
	s := w.home.pack(drive, trip{})
	r := w.clean(drive, DeletionsApply)
	w.home.importReceipt(drive)
	return state, s, r
}

// pruned is a vault with a film that only snapshot 1 names, and a small edit in snapshot 2.
func pruned(t *testing.T) (w *world, drive string, first *sentShipment, second trees.Tree) {
	w, drive = newWorld(t), newTestDrive(t)
	noise(t, filepath.Join(w.src, "film"), 300<<10, 1)
	noise(t, filepath.Join(w.src, "stays"), 100<<10, 2)
	first = w.home.pack(drive, trip{})
	w.join(drive)
	w.clean(drive, DeletionsApply)
	w.home.importReceipt(drive)
	noise(t, filepath.Join(w.src, "film"), 200<<10, 3)
	second, _, _ = w.trip(drive)
	return w, drive, first, second
}

func TestWhatIsForgottenIsFreedOnceHomeKnows(t *testing.T) {
	t.Parallel()
	w, drive, first, second := pruned(t)
	before := w.has(first.ids)
	if before != len(first.ids) {
		t.Fatalf("%d of %d chunks", before, len(first.ids))
	}
	dry := w.prune(PruneOptions{Forget: []string{"1"}, DryRun: true})
	if dry.Forgotten != 1 || dry.Condemned == 0 || dry.Waiting < 290<<10 || len(w.snapshots()) != 2 || w.has(first.ids) != before {
		t.Fatalf("dry run: %+v", dry)
	}

	r := w.prune(PruneOptions{Forget: []string{"1"}})
	if r.Forgotten != 1 || r.Condemned != dry.Condemned || r.Freed != 0 || r.Waits.Receipt != r.Receipt || r.Waiting != dry.Waiting {
		t.Fatalf("prune: %+v", r)
	}
	if list := w.snapshots(); len(list) != 1 || list[0].Number != 2 {
		t.Fatalf("snapshots %+v", list)
	}
	if w.has(first.ids) != before {
		t.Fatal("chunks went at once")
	}

	// The drive is still here: unpacked again it brings nothing back, and home does not know yet.
	u := w.clean(drive, DeletionsApply)
	if u.FreedBytes != 0 || u.Condemned != r.Condemned || w.has(first.ids) != before || len(w.snapshots()) != 1 {
		t.Fatalf("unpacked again: %+v", u)
	}
	held := len(w.home.held)
	w.home.importReceipt(drive)
	if len(w.home.held) != held-int(r.Condemned) {
		t.Fatalf("home counts on %d chunks, %d before, %d condemned", len(w.home.held), held, r.Condemned)
	}

	// The next shipment proves that home knows.
	third, _, u := w.trip(drive)
	if u.Condemned != 0 || u.FreedBytes < 290<<10 {
		t.Fatalf("freed: %+v", u)
	}
	if n := w.has(first.ids); n != before-int(r.Condemned) {
		t.Fatalf("%d of %d chunks are left, %d were condemned", n, before, r.Condemned)
	}
	if list := w.missing(); len(list) > 0 {
		t.Fatalf("home counts on %v", list)
	}
	same(t, "snapshot 2", second, filepath.Join(w.restore("2"), "docs"))
	same(t, "snapshot 3", third, filepath.Join(w.restore("3"), "docs"))

	// The old shipments still lie on the drive, and fill nothing up again.
	u = w.clean(drive, DeletionsApply)
	if w.has(first.ids) != before-int(r.Condemned) || u.History != 0 {
		t.Fatalf("unpacked again: %+v", u)
	}
	if r := w.verify(VerifyOptions{}); !r.Sound() {
		t.Fatalf("verify: %+v", r)
	}
	// Nor does a rebuilt catalog.
	must(t, os.RemoveAll(filepath.Join(w.vault, indexDir)))
	w.clean(drive, DeletionsApply)
	if n := w.has(first.ids); n != before-int(r.Condemned) || len(w.snapshots()) != 2 {
		t.Fatalf("%d of %d chunks are left, %d were condemned", n, before, r.Condemned)
	}
}

// What home needs again while it is condemned is carried again, and so stays.
func TestACondemnedChunkThatIsCarriedAgainStays(t *testing.T) {
	t.Parallel()
	w, drive, first, _ := pruned(t)
	w.prune(PruneOptions{Forget: []string{"1"}})
	w.clean(drive, DeletionsApply)
	w.home.importReceipt(drive)
	noise(t, filepath.Join(w.src, "film again"), 300<<10, 1)
	state, s, u := w.trip(drive)
	if s.data < 30 || u.Condemned != 0 && u.FreedBytes > 20<<10 {
		t.Fatalf("carried %d chunks; %+v", s.data, u)
	}
	if n := w.has(first.ids[:first.data]); n != first.data {
		t.Fatalf("%d of %d chunks are left", n, first.data)
	}
	if list := w.missing(); len(list) > 0 {
		t.Fatalf("home counts on %v", list)
	}
	same(t, "snapshot 3", state, filepath.Join(w.restore("3"), "docs"))
	w.trip(drive)
	same(t, "snapshot 3", state, filepath.Join(w.restore("3"), "docs"))
}

// A snapshot that was packed before home knew, and comes late, finds what it names.
func TestALateShipmentRevivesWhatItNames(t *testing.T) {
	t.Parallel()
	w, drive, first, _ := pruned(t)
	late := newTestDrive(t)
	noise(t, filepath.Join(w.src, "film again"), 300<<10, 1) // home counts on all of it
	state := take(t, w.src)
	if s := w.home.pack(late, trip{}); s.data > 2 {
		t.Fatalf("%d chunks were carried", s.data)
	}
	must(t, os.Remove(filepath.Join(w.src, "film again")))

	w.prune(PruneOptions{Forget: []string{"1"}})
	w.clean(drive, DeletionsApply)
	w.home.importReceipt(drive)
	for range 2 { // home knows; but one shipment is under way that it packed before
		w.home.pack(drive, trip{})
		u := w.unpack(drive, DeletionsApply)
		w.home.importReceipt(drive)
		if u.FreedBytes != 0 || u.Condemned == 0 {
			t.Fatalf("freed while a shipment is under way: %+v", u)
		}
	}
	if r := w.prune(PruneOptions{}); r.Freed != 0 || r.Waits.Receipt != 0 || len(r.Waits.Drives) != 1 || r.Waits.Drives[0].Snapshot != 3 {
		t.Fatalf("waits: %+v", r)
	}
	u := w.unpack(late, DeletionsApply)
	if u.Wants != 0 || u.Awaited != 0 {
		t.Fatalf("late: %+v", u)
	}
	same(t, "snapshot 3", state, filepath.Join(w.restore("3"), "docs"))
	if n := w.has(first.ids[:first.data]); n != first.data {
		t.Fatalf("%d of %d chunks are left", n, first.data)
	}
}

func TestPruneNowDoesNotWait(t *testing.T) {
	t.Parallel()
	w, _, first, second := pruned(t)
	r := w.prune(PruneOptions{Forget: []string{"1"}, Now: true})
	if r.Freed < 290<<10 || r.Condemned == 0 {
		t.Fatalf("%+v", r)
	}
	gone := len(first.ids) - w.has(first.ids)
	if gone < int(r.Condemned) {
		t.Fatalf("%d chunks went, %d are condemned", gone, r.Condemned)
	}
	same(t, "snapshot 2", second, filepath.Join(w.restore("2"), "docs"))
	// Until home has read of it, what it packs may count on what is gone: that is wanted then.
	noise(t, filepath.Join(w.src, "film again"), 300<<10, 1)
	state := take(t, w.src)
	other := newTestDrive(t) // the first still has the film
	w.home.pack(other, trip{})
	u := w.unpack(other, DeletionsApply)
	if u.Wants == 0 {
		t.Fatalf("%+v", u)
	}
	w.home.importReceipt(other)
	if list := w.missing(); len(list) > 0 {
		t.Fatalf("home counts on %v", list)
	}
	w.home.pack(other, trip{})
	w.clean(other, DeletionsApply)
	same(t, "snapshot 3", state, filepath.Join(w.restore("3"), "docs"))
}

func TestTheNewestSnapshotsStay(t *testing.T) {
	t.Parallel()
	w, drive, _, _ := pruned(t)
	w.trip(drive)
	noise(t, filepath.Join(w.src, "on its way"), 3000, 9)
	w.home.pack(drive, trip{})
	dir := w.shipmentDir(w.home.sent[len(w.home.sent)-1])
	must(t, os.Remove(filepath.Join(dir, "000001.pack"))) // it never arrives
	w.unpack(drive, DeletionsApply)
	r := w.prune(PruneOptions{Keep: Retention{Last: 1}, DryRun: true})
	var kept []string
	for _, s := range r.Snapshots {
		if !s.Forgotten {
			kept = append(kept, fmt.Sprint(s.Number, " ", s.Why))
		}
	}
	if want := []string{"3 the newest that has arrived", "4 the mirror follows it"}; fmt.Sprint(kept) != fmt.Sprint(want) {
		t.Fatalf("kept %q", kept)
	}
	if _, err := Prune(context.Background(), PruneOptions{Vault: w.vault, Forget: []string{"1", "2", "3", "4"}}); err == nil {
		t.Fatal("every snapshot was forgotten")
	}
	if r := w.prune(PruneOptions{Forget: []string{"4", "3"}}); r.Forgotten != 2 {
		t.Fatalf("%+v", r)
	}
	if list := w.snapshots(); len(list) != 2 {
		t.Fatalf("%+v", list)
	}
}

func TestNothingGoesWhileASnapshotCannotBeRead(t *testing.T) {
	t.Parallel()
	w, drive, first, _ := pruned(t)
	w.trip(drive)
	commits, err := filepath.Glob(filepath.Join(w.vault, ".wl/snapshots/2-*.commit"))
	must(t, err)
	flip(t, commits[0], 100)
	r := w.prune(PruneOptions{Forget: []string{"1"}, Now: true})
	if r.Freed != 0 || r.Condemned != 0 || len(r.Damaged) != 1 || w.has(first.ids) != len(first.ids) {
		t.Fatalf("%+v", r)
	}
	if r := w.prune(PruneOptions{Forget: []string{"2"}, Now: true}); r.Freed == 0 || len(r.Damaged) != 0 {
		t.Fatalf("%+v", r)
	}
}

// A vault that was set back gives numbers again that home knows from before: a commit whose basis has such a number proves
// nothing, and the vault draws a new epoch.
func TestAReceiptOfAnotherTimeClearsNothing(t *testing.T) {
	t.Parallel()
	w, drive, first, _ := pruned(t)
	w.prune(PruneOptions{Forget: []string{"1"}}) // receipt n: to be lost
	lost, err := filepath.Glob(filepath.Join(w.vault, receiptsDir, "*.receipt"))
	must(t, err)
	commits, err := filepath.Glob(filepath.Join(w.vault, snapshotsDir, "1-*.forgotten"))
	must(t, err)
	w.clean(drive, DeletionsApply) // n+1
	before := w.home.importReceipt(drive)
	commit := w.home.pack(drive, trip{}) // its basis is n+1

	// Set back to before the prune: snapshot 1 is there, and receipts end below n. Then two prunes give n and n+1 again.
	must(t, os.Rename(commits[0], commits[0][:len(commits[0])-len(forgottenSuffix)]+commitSuffix))
	list, err := filepath.Glob(filepath.Join(w.vault, receiptsDir, "*.receipt"))
	must(t, err)
	for _, name := range list {
		if filepath.Base(name)[0] >= filepath.Base(lost[len(lost)-1])[0] {
			must(t, os.Remove(name))
		}
	}
	must(t, os.RemoveAll(filepath.Join(w.vault, indexDir)))
	r := w.prune(PruneOptions{Forget: []string{"1"}})
	if r.Condemned == 0 || r.Receipt >= before.Number {
		t.Fatalf("%+v; home knows receipt %d", r, before.Number)
	}
	w.look(func(v *vault) { // a verification finds a chunk lost
		newest, highest, err := newestReceipt(v.root, v.id, v.rep)
		must(t, err)
		for ; highest < before.Number; highest++ {
			next := *newest
			next.Number = highest + 1
			_, err := putReceipt(v.root, &next)
			must(t, err)
		}
	})
	u := w.unpack(drive, DeletionsApply)
	if u.FreedBytes != 0 || u.Condemned != r.Condemned || w.has(first.ids) != len(first.ids) {
		t.Fatalf("freed: %+v", u)
	}
	after := w.home.importReceipt(drive)
	if after.Epoch == before.Epoch || after.Number <= before.Number || after.Condemned[0].Since != after.Number {
		t.Fatalf("receipt %d of epoch %v, condemned since %d; before %d of %v", after.Number, after.Epoch, after.Condemned[0].Since, before.Number, before.Epoch)
	}
	if commit.number != 3 {
		t.Fatal(commit.number)
	}
	w.home.pack(drive, trip{})
	if u := w.unpack(drive, DeletionsApply); u.FreedBytes == 0 || u.Condemned != 0 {
		t.Fatalf("%+v", u)
	}
}

// A file that grew for a snapshot that is forgotten, and that will never be whole, is freed with it; one that may yet be whole stays.
func TestAGrowingFileGoesWithItsSnapshot(t *testing.T) {
	t.Parallel()
	w := manyTrips(t)
	film := filepath.Join(w.src, "film")
	noise(t, film, 57<<20, 2)
	drive := newTestDrive(t)
	w.home.pack(drive, trip{room: 20 << 20})
	if r := w.unpack(drive, DeletionsApply); r.Growing != 1 || r.GrownBytes < 15<<20 {
		t.Fatalf("%+v", r)
	}
	w.home.importReceipt(drive)
	if r := w.prune(PruneOptions{Forget: []string{"1"}, Now: true}); r.Freed > 2<<20 {
		t.Fatalf("it may yet be whole: %+v", r)
	}
	must(t, os.Remove(film))
	noise(t, filepath.Join(w.src, "other"), 3000, 3)
	w.trip(drive)
	dry := w.prune(PruneOptions{Forget: []string{"2"}, DryRun: true})
	if dry.Freeable < 15<<20 {
		t.Fatalf("%+v", dry)
	}
	w.prune(PruneOptions{Forget: []string{"2"}})
	w.clean(drive, DeletionsApply)
	w.home.importReceipt(drive)
	state, _, r := w.trip(drive)
	if r.FreedBytes < 15<<20 || r.Condemned != 0 {
		t.Fatalf("%+v", r)
	}
	left, err := filepath.Glob(filepath.Join(w.vault, ".wl/staging/*"))
	if err != nil || len(left) > 0 {
		t.Fatalf("left over: %v %v", left, err)
	}
	if list := w.missing(); len(list) > 0 {
		t.Fatalf("home counts on %v", list)
	}
	same(t, "the newest", state, filepath.Join(w.restore("latest"), "docs"))
}

// The mirror is never touched: what is gone at home and stays in it, what home or somebody else put there, and an inode that it
// still shows, whatever snapshots are forgotten.
func TestPruneNeverTouchesTheMirror(t *testing.T) {
	t.Parallel()
	w, drive := newWorld(t), newTestDrive(t)
	w.fill()
	w.home.pack(drive, trip{})
	w.join(drive)
	w.clean(drive, DeletionsKeep)
	w.home.importReceipt(drive)
	w.change()
	w.home.pack(drive, trip{})
	w.unpack(drive, DeletionsKeep) // what is gone stays, and one file is behind for it
	w.home.importReceipt(drive)
	noise(t, filepath.Join(w.mirror(), "stranger"), 4000, 77)
	f, err := os.OpenFile(filepath.Join(w.mirror(), "music", "song"), os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString("edited by somebody else")
		must(t, err)
		must(t, f.Close())
	}
	before := take(t, w.mirror())
	foreign := len(glob(t, filepath.Join(w.vault, ".wl/foreign/*/*")))
	r := w.prune(PruneOptions{Keep: Retention{Last: 1}, Now: true})
	if r.Forgotten != 1 || r.Freed == 0 {
		t.Fatalf("%+v", r)
	}
	same(t, "mirror", before, w.mirror())
	if n := len(glob(t, filepath.Join(w.vault, ".wl/foreign/*/*"))); n != foreign {
		t.Fatalf("%d foreign files, %d before", n, foreign)
	}
	same(t, "snapshot 2", take(t, w.src), filepath.Join(w.restore("2"), "docs"))
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	list, err := filepath.Glob(pattern)
	must(t, err)
	return list
}
