package home

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"waterlock/internal/chunk"
	"waterlock/internal/courier"
	"waterlock/internal/disk"
	"waterlock/internal/report"
	"waterlock/snapshot"
)

func (w *world) someFiles() {
	w.write("a/one", 100_000, 1)
	w.write("a/two", 50_000, 2)
	w.write("b", 10, 3)
	w.write("empty", 0, 0)
	w.write("zero/deep/er/file", 300_000, 4)
	must(w.t, os.Symlink("a/one", w.path("link")))
	must(w.t, os.Mkdir(w.path("void"), 0o700))
	must(w.t, os.WriteFile(w.path("text"), []byte(strings.Repeat("water under the bridge ", 5000)), 0o600))
	settleClock()
}

func TestTwoPacksWithAReceiptInBetween(t *testing.T) {
	w := newWorld(t)
	w.someFiles()
	first := w.pack()
	if first.Snapshot != 1 || first.Pending != 0 || first.Incomplete() || first.ChunksNew == 0 {
		t.Fatalf("%+v", first)
	}
	if got := w.read.Load(); got != first.BytesRead || got != first.Bytes {
		t.Errorf("read %d bytes, said %d, of %d", got, first.BytesRead, first.Bytes)
	}
	v := w.newVault()
	v.take(w.drive)
	v.equals()
	v.receipt(w.drive)

	w.write("new", 40_000, 9)
	must(t, os.Remove(w.path("b")))
	must(t, os.Rename(w.path("a/one"), w.path("moved")))
	settleClock()
	second := w.pack()
	if len(second.Receipts) != 1 || second.Snapshot != 2 || second.Moved != 1 {
		t.Fatalf("%+v", second)
	}
	if second.BytesRead != 40_000 {
		t.Errorf("read %d bytes, of which 40000 are new", second.BytesRead)
	}
	v.take(w.drive)
	v.equals()
	if _, ok := v.entries(v.records[1], "docs")["b"]; !ok {
		t.Error("the first snapshot has lost a file")
	}

	third := w.pack()
	if third.BytesRead != 0 || third.ChunksNew != 0 || third.Snapshot != 3 {
		t.Errorf("nothing changed: %+v", third)
	}
}

// What is aboard counts on its own drive and on all others, once its shipment is closed.
func TestAboardCountsOnceCommitted(t *testing.T) {
	w := newWorld(t)
	w.someFiles()
	w.pack()
	w.newDrive("B")
	res := w.pack()
	if res.ChunksNew != 0 || res.BytesRead != 0 || res.Snapshot != 2 {
		t.Fatalf("carried again: %+v", res)
	}
	// The snapshot can be read where only this shipment arrived: its stream chunks came along.
	v := w.newVault()
	v.take(w.drive)
	if got := v.entries(v.newest, "docs"); len(got) != 13 {
		t.Errorf("%d entries", len(got))
	}
}

func TestEqualContentIsCarriedOnce(t *testing.T) {
	w := newWorld(t)
	w.write("x", 200_000, 7)
	w.write("y/z", 200_000, 7)
	must(t, os.Link(w.path("x"), w.path("hard")))
	settleClock()
	res := w.pack()
	if res.BytesNew != 200_000 {
		t.Errorf("carried %d bytes", res.BytesNew)
	}
	if res.BytesRead != 400_000 {
		t.Errorf("read %d bytes: a hard link is read once, equal files each", res.BytesRead)
	}
	v := w.newVault()
	v.take(w.drive)
	v.equals()
	got := v.entries(v.newest, "docs")
	if got["x"].LinkGroup == 0 || got["x"].LinkGroup != got["hard"].LinkGroup {
		t.Error("the hard link is lost")
	}
}

func TestAnInsertionCostsFewChunks(t *testing.T) {
	w := newWorld(t)
	size := 64 << 20
	if testing.Short() || raceEnabled {
		size = 8 << 20
	}
	w.cfg.Chunker.Min, w.cfg.Chunker.Max, w.cfg.Chunker.AverageBits = 64<<10, 1<<20, 17
	w.opts.PackSize = 16 << 20
	data := random(size, 1)
	must(t, os.WriteFile(w.path("big"), data, 0o644))
	settleClock()
	w.pack()
	mid := size / 2
	data = append(data[:mid:mid], append(random(64<<10, 2), data[mid:]...)...)
	must(t, os.WriteFile(w.path("big"), data, 0o644))
	settleClock()
	res := w.pack()
	if res.BytesNew > 2<<20 {
		t.Errorf("an insertion of 64 KiB cost %d bytes in %d chunks", res.BytesNew, res.ChunksNew)
	}
	v := w.newVault()
	v.take(w.drive)
	v.equals()
}

func TestALostIndexIsRebuilt(t *testing.T) {
	w := newWorld(t)
	w.someFiles()
	w.pack()
	v := w.newVault()
	v.take(w.drive)
	v.receipt(w.drive)
	w.pack()
	for _, harm := range []func(){
		func() { must(t, os.RemoveAll(w.index)) },
		func() { flipAll(t, w.index) },
	} {
		harm()
		res := w.pack()
		if res.ChunksNew != 0 || res.BytesRead != 0 {
			t.Errorf("after losing the index: %+v", res)
		}
	}
}

// A wanted chunk is carried again, and of its file nothing else is read.
func TestWantsAreServed(t *testing.T) {
	w := newWorld(t)
	w.write("big", 500_000, 1)
	w.write("other", 5_000, 2)
	settleClock()
	w.pack()
	v := w.newVault()
	v.take(w.drive)
	e := v.entries(v.newest, "docs")["big"]
	x := e.Content[len(e.Content)/2]
	rec, _ := v.newest.Tree("docs")
	v.wants = []courier.Want{{ID: x.ID, Kind: chunk.Data}, {ID: rec.Chunks[0].ID, Kind: chunk.Stream}}
	delete(v.chunks, x.ID)
	delete(v.chunks, rec.Chunks[0].ID)
	v.receipt(w.drive)
	must(t, os.WriteFile(w.path("small"), []byte("changes the stream"), 0o644))
	settleClock()
	res := w.pack()
	if res.ChunksNew != 2 || res.BytesRead != x.Length+18 {
		t.Errorf("wanted a chunk of %d bytes: %+v", x.Length, res)
	}
	v.take(w.drive)
	v.equals()
	if len(v.entries(v.records[1], "docs")) == 0 {
		t.Error("the wanted stream chunk did not come")
	}
}

// A wanted chunk of a file that is gone cannot come, and that is said as long as the vault asks for it.
func TestWantsThatCannotBeServedAreCounted(t *testing.T) {
	w := newWorld(t)
	for i := range 6 {
		w.write(fmt.Sprint("f", i), 5_000, uint64(i))
	}
	settleClock()
	w.pack()
	v := w.newVault()
	v.take(w.drive)
	got := v.entries(v.newest, "docs")
	gone, kept := got["f0"].Content[0].ID, got["f1"].Content[0].ID
	v.wants = []courier.Want{{ID: gone, Kind: chunk.Data}, {ID: kept, Kind: chunk.Data}, {ID: idOf(1), Kind: chunk.Stream}}
	v.receipt(w.drive)
	must(t, os.Remove(w.path("f0")))
	settleClock()
	for range 2 {
		if res := w.pack(); res.WantsGone != 2 {
			t.Errorf("%+v", res)
		}
	}
}

func TestUnreadableFileIsUnseen(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root reads everything: see TestFailingFileIsUnseen")
	}
	w := newWorld(t)
	w.someFiles()
	w.pack()
	must(t, os.Chmod(w.path("a/one"), 0))
	must(t, os.Chmod(w.path("zero"), 0))
	defer os.Chmod(w.path("zero"), 0o755)
	res := w.pack()
	if res.Problems != 2 || !res.Incomplete() {
		t.Errorf("%+v", res)
	}
}

// failing makes names of a tree unreadable.
type failing struct {
	disk.FS
	dir   string
	files map[string]bool // that cannot be opened
	dirs  map[string]bool // that cannot be listed
}

func (f *failing) Open(name string) (disk.File, error) {
	if f.files[snapshot.Join(f.dir, name)] {
		return nil, os.ErrPermission
	}
	return f.FS.Open(name)
}

func (f *failing) ReadDir(name string) (disk.Names, error) {
	if f.dirs[f.dir] {
		return disk.Names{}, os.ErrPermission
	}
	return f.FS.ReadDir(name)
}

func (f *failing) Sub(name string) (disk.FS, error) {
	fs, err := f.FS.Sub(name)
	if err != nil {
		return nil, err
	}
	return &failing{FS: fs, dir: snapshot.Join(f.dir, name), files: f.files, dirs: f.dirs}, nil
}

func TestFailingFileIsUnseen(t *testing.T) {
	w := newWorld(t)
	w.someFiles()
	w.pack()
	before := w.newVault()
	before.take(w.drive)
	old := before.entries(before.newest, "docs")

	w.write("a/one", 70_000, 20) // new content that cannot be read
	w.write("fresh", 5_000, 21)
	settleClock()
	w.trees["docs"] = &failing{FS: w.trees["docs"], files: map[string]bool{"a/one": true, "fresh": true}, dirs: map[string]bool{"zero/deep": true}}
	res := w.pack()
	if res.Problems != 3 || !res.Incomplete() || len(res.Stopped) != 0 {
		t.Fatalf("%+v", res)
	}
	v := w.newVault()
	v.take(w.drive)
	got := v.entries(v.newest, "docs")
	for _, path := range []string{"a/one", "zero/deep", "zero/deep/er", "zero/deep/er/file"} {
		if got[path] == nil || !got[path].Unseen || got[path].Hash != old[path].Hash {
			t.Errorf("%s is not the previous entry, unseen: %+v", path, got[path])
		}
	}
	if got["fresh"] == nil || !got["fresh"].Unseen || !got["fresh"].Hash.IsZero() {
		t.Errorf("fresh: %+v", got["fresh"])
	}
	if got["b"].Unseen || got["zero"].Unseen {
		t.Error("what can be read is unseen")
	}

	// Readable again: everything is seen again, and what did not change is not read.
	w.trees["docs"] = w.trees["docs"].(*failing).FS
	if res := w.pack(); res.BytesRead != 75_000 || res.Unseen != 0 {
		t.Errorf("%+v", res)
	}
	v.take(w.drive)
	v.equals()
}

func flipAll(t *testing.T, dir string) {
	t.Helper()
	must(t, walkFiles(dir, func(path string) error {
		data, err := os.ReadFile(path)
		if err != nil || len(data) == 0 {
			return err
		}
		data[len(data)/2] ^= 0x10
		return os.WriteFile(path, data, 0o600)
	}))
}

// What was taken off a drive by somebody else is carried again: a whole shipment, or a pack of it. A commit alone is
// written anew.
func TestWhatIsMissingFromTheDriveIsCarriedAgain(t *testing.T) {
	for _, c := range []struct {
		name      string
		remove    func(name string) bool
		carried   bool
		recarried int
	}{
		{"all", func(string) bool { return true }, true, 1},
		{"pack", func(name string) bool { return name == "000001.pack" }, true, 1},
		{"commit", func(name string) bool { return strings.HasSuffix(name, ".commit") }, false, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.someFiles()
			w.pack()
			d, err := courier.OpenFS(keepOpen{w.drive}, "")
			must(t, err)
			infos, err := d.Shipments(w.route)
			must(t, err)
			names, err := w.drive.ReadDir(infos[0].Path)
			must(t, err)
			for i := range names.Len() {
				if c.remove(names.At(i)) {
					must(t, w.drive.Remove(infos[0].Path+"/"+names.At(i)))
				}
			}
			w.opts.DryRun = true
			if res := w.pack(); (res.RecarriedBytes > 0) != c.carried || res.Recarried != c.recarried || res.Shipment != "" {
				t.Errorf("dry run: %+v", res)
			}
			w.opts.DryRun = false
			res := w.pack()
			if (res.RecarriedBytes > 0) != c.carried {
				t.Errorf("%d bytes are carried again", res.RecarriedBytes)
			}
			if (res.ChunksNew > 0) != c.carried || res.Recarried != c.recarried || res.Pending != 0 {
				t.Errorf("%+v", res)
			}
			if c.name == "pack" {
				return // the first shipment is what it is; the second brings what it lacks
			}
			v := w.newVault()
			v.take(w.drive)
			v.equals()
			must(t, os.RemoveAll(w.index)) // and the ledger folded anew agrees
			if res := w.pack(); res.ChunksNew != 0 || res.Recarried != 0 {
				t.Errorf("%+v", res)
			}
		})
	}
}

// Another drive does not count on what an open shipment has on the first.
func TestAnOpenShipmentCountsNowhereElse(t *testing.T) {
	w := newWorld(t)
	w.someFiles()
	plain := w.trees["docs"].(*readCounter)
	ctx, cancel := context.WithCancel(context.Background())
	w.trees["docs"] = &afterBytes{readCounter: plain, limit: 100_000, do: cancel}
	if _, err := w.packCtx(ctx); err == nil {
		t.Fatal("not cancelled")
	}
	w.trees["docs"] = plain
	a := w.drive
	w.newDrive("B")
	res := w.pack()
	if res.Resumed || res.BytesRead != res.Bytes {
		t.Errorf("%+v", res)
	}
	v := w.newVault()
	v.take(w.drive)
	v.equals()
	w.drive = a // and the first goes on where it was
	res = w.pack()
	if res.Shipment == "" || res.Snapshot != 2 || res.BytesRead != 0 {
		t.Errorf("%+v", res)
	}
	v.take(w.drive)
	v.equals()
}

func TestDryRunWritesNothing(t *testing.T) {
	w := newWorld(t)
	w.someFiles()
	w.opts.DryRun = true
	res := w.pack()
	if res.Snapshot != 0 || res.ToReadFiles != 6 || res.ToRead != 100_000+50_000+10+300_000+115_000 || w.read.Load() != 0 {
		t.Errorf("%+v", res)
	}
	d, err := courier.OpenFS(keepOpen{w.drive}, "")
	must(t, err)
	if infos, err := d.Shipments(w.route); err != nil || len(infos) != 0 {
		t.Errorf("%d shipments, %v", len(infos), err)
	}
}

func TestStatus(t *testing.T) {
	w := newWorld(t)
	w.someFiles()
	status := func() StatusResult {
		res, err := w.site().status(context.Background(), report.Discard)
		must(t, err)
		return res
	}
	if st := status(); st.Snapshot != 0 || st.Trees[0].Files != 0 {
		t.Errorf("%+v", st)
	}
	w.pack()
	st := status()
	if tr := st.Trees[0]; tr.Files != 6 || tr.AboardFiles != 6 || tr.HeldFiles != 0 || len(st.Shipments) != 1 || st.Shipments[0].State != "aboard" || st.Drives[0].Aboard[0] != 1 {
		t.Errorf("%+v", st)
	}
	v := w.newVault()
	v.take(w.drive)
	v.receipt(w.drive)
	w.small(600<<10, 0)
	w.write("large", 500<<10, 1)
	settleClock()
	w.pack()
	w.newDrive("C")
	st = status()
	if tr := st.Trees[0]; tr.HeldFiles != 0 || tr.PendingFiles != 1 || tr.PendingBytes > 500<<10 {
		t.Errorf("%+v", tr) // the receipt lies on the other drive, so home does not know of it yet
	}
}

func TestClearDrive(t *testing.T) {
	w := newWorld(t)
	w.someFiles()
	w.pack()
	v := w.newVault()
	v.take(w.drive)
	v.receipt(w.drive)
	w.write("new", 5000, 8)
	settleClock()
	w.pack()
	s := w.site()
	f, err := s.loadFleet(report.Discard)
	must(t, err)
	b, err := s.openBooks(f, report.Discard)
	must(t, err)
	defer b.close(true)
	d, err := courier.OpenFS(keepOpen{w.drive}, "")
	must(t, err)
	acked, kept, err := b.clearable(d)
	must(t, err)
	if len(acked) != 1 || acked[0].number != 1 || kept != 1 || acked[0].bytes == 0 {
		t.Errorf("%+v, %d kept", acked, kept)
	}
}

// A shipment of which one record has not arrived stays on the drive; once a later receipt says that this has come, too, it
// is held, and the shipment may go.
func TestAShipmentThatArrivedInPartIsNotCleared(t *testing.T) {
	w := newWorld(t)
	w.someFiles()
	w.pack()
	v := w.newVault()
	v.take(w.drive)
	all := v.taken[0]
	part := courier.Taken{Number: all.Number, Shipment: all.Shipment, Records: all.Records, Bits: make([]byte, (all.Records+7)/8)}
	for i := uint32(1); i < all.Records; i++ {
		part.Bits[i/8] |= 1 << (i % 8)
	}
	for _, c := range []struct {
		taken         courier.Taken
		cleared, held int
	}{{part, 0, 0}, {all, 1, 1}} {
		v.taken = []courier.Taken{c.taken}
		v.receipt(w.drive)
		s := w.site()
		f, err := s.loadFleet(report.Discard)
		must(t, err)
		b, err := s.openBooks(f, report.Discard)
		must(t, err)
		d, err := courier.OpenFS(keepOpen{w.drive}, "")
		must(t, err)
		_, err = s.importReceipt(b, d, report.Discard)
		must(t, err)
		acked, kept, err := b.clearable(d)
		must(t, err)
		list, err := s.readList(f.all[0], f.all[0].packs[0])
		must(t, err)
		st, err := b.ledger.Standing(list.ids[0])
		must(t, err)
		if len(acked) != c.cleared || kept != 1-c.cleared || (st.Receipt != 0) != (c.held > 0) {
			t.Errorf("%+v: %d may be cleared, %d stay; its first record is held by receipt %d", c.taken, len(acked), kept, st.Receipt)
		}
		must(t, b.close(true))
	}
}

// Acknowledged shipments make room when a pack needs it and somebody agrees.
func TestClearForRoom(t *testing.T) {
	w := newWorld(t)
	w.small(1500<<10, 0)
	w.write("a", 700<<10, 1)
	settleClock()
	w.pack()
	v := w.newVault()
	v.take(w.drive)
	w.write("b", 700<<10, 2)
	settleClock()
	asked := 0
	w.opts.Confirm = func(string) (bool, bool) { asked++; return true, true }
	if res := w.pack(); res.Pending != 1 || asked != 0 || res.Cleared != 0 {
		t.Fatalf("nothing is acknowledged: %+v", res)
	}
	v.receipt(w.drive)
	if res := w.pack(); res.Pending != 0 || asked != 1 || res.Cleared != 1 {
		t.Errorf("%d times asked: %+v", asked, res)
	}
	v.take(w.drive)
	v.equals()
}
