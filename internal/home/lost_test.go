package home

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"waterlock/index"
	"waterlock/internal/chunk"
	"waterlock/internal/courier"
	"waterlock/internal/disk"
	"waterlock/internal/disk/disktest"
	"waterlock/internal/report"
)

// lose declares the drive of a label lost.
func (w *world) lose(label string) LostResult {
	w.t.Helper()
	res, err := w.tryLose(label)
	must(w.t, err)
	return res
}

func (w *world) tryLose(label string) (res LostResult, err error) {
	w.t.Helper()
	s := w.site()
	f, err := s.loadFleet(report.Discard)
	if err != nil {
		return res, err
	}
	for _, sh := range f.all {
		if sh.label == label {
			return res, s.driveLost(context.Background(), sh.drive, report.Discard, &res)
		}
	}
	w.t.Fatalf("no shipment on a drive %q", label)
	return res, nil
}

// drivesNow is what status says of each drive, by label.
func (w *world) drivesNow() map[string]DriveStatus {
	w.t.Helper()
	s := w.site()
	res, err := s.status(context.Background(), report.Discard)
	must(w.t, err)
	drives := map[string]DriveStatus{}
	for _, d := range res.Drives {
		drives[d.Label] = d
	}
	return drives
}

// ledgerFits wants the ledger that opens now to know of every chunk of every list what one folded anew knows.
func (w *world) ledgerFits(what string) {
	w.t.Helper()
	states := func() map[chunk.ID]index.State {
		s := w.site()
		f, err := s.loadFleet(report.Discard)
		must(w.t, err)
		b, err := s.openBooks(f, report.Discard)
		must(w.t, err)
		all := map[chunk.ID]index.State{}
		for _, sh := range f.all {
			for _, name := range sh.packs {
				list, err := s.readList(sh, name)
				must(w.t, err)
				for _, id := range list.ids {
					all[id], err = b.ledger.Known(id, f.live(0))
					must(w.t, err)
				}
			}
		}
		must(w.t, b.close(true))
		return all
	}
	found := states()
	must(w.t, os.RemoveAll(w.index))
	for id, state := range states() {
		if found[id] != state {
			w.t.Fatalf("%s: chunk %s is %v in the ledger, %v by the files", what, id.Short(), found[id], state)
		}
	}
}

// TestALostDriveIsCarriedAgain: exactly what was aboard a lost drive and has not arrived is back on the list: not what a receipt
// acknowledged, not what another drive carries as well.
func TestALostDriveIsCarriedAgain(t *testing.T) {
	w := newWorld(t)
	a := w.drive
	w.write("arrived", 50_000, 1)
	settleClock()
	w.pack()
	v := w.newVault()
	v.take(a)
	v.receipt(a)
	w.write("on A", 60_000, 2)
	settleClock()
	onA := w.pack()
	w.newDrive("B")
	w.write("on B", 70_000, 3)
	settleClock()
	w.pack()

	lost := w.lose("A")
	if lost.Chunks != onA.ChunksNew || len(lost.Shipments) != 1 || lost.Shipments[0].Snapshot != onA.Snapshot || lost.Bytes != onA.BytesNew {
		t.Errorf("lost %+v, packed %+v", lost, onA)
	}
	if d := w.drivesNow(); !d["A"].Lost || d["A"].Bytes != 0 || len(d["A"].Aboard) != 0 || d["B"].Lost || len(d["B"].Aboard) != 1 {
		t.Errorf("drives: %+v", d)
	}
	w.ledgerFits("once it is lost")
	if again := w.lose("A"); again.Before != 1 || again.Chunks != 0 || len(again.Shipments) != 0 {
		t.Errorf("lost twice: %+v", again)
	}
	w.newDrive("C")
	res := w.pack()
	if res.ChunksNew != onA.ChunksNew || res.BytesNew != onA.BytesNew || res.BytesRead != onA.BytesNew {
		t.Errorf("carried again %d chunks, %d bytes, read %d; aboard A were %d, %d", res.ChunksNew, res.BytesNew, res.BytesRead, onA.ChunksNew, onA.BytesNew)
	}
	c := w.commitOn(w.drive)
	if !slices.ContainsFunc(c.Out, func(o courier.OutShipment) bool { return o.Number == onA.Snapshot && o.Lost }) {
		t.Errorf("the vault is not told: %+v", c.Out)
	}

	// It turns up at the vault, and is welcome.
	v.taken = nil
	v.take(a)
	v.receipt(w.drive)
	w.pack()
	if d := w.drivesNow(); d["A"].Lost {
		t.Errorf("A has turned up: %+v", d)
	}
	if !slices.ContainsFunc(w.rep.Infos(), func(s string) bool { return strings.Contains(s, "Drive A was declared lost, and has turned up") }) {
		t.Errorf("said %q", w.rep.Infos())
	}
	w.ledgerFits("once it has turned up")
}

// commitOn is the newest commit on a drive.
func (w *world) commitOn(drive disk.FS) *courier.Commit {
	w.t.Helper()
	d, err := courier.OpenFS(keepOpen{drive}, "")
	must(w.t, err)
	infos, err := d.Shipments(w.route)
	must(w.t, err)
	var newest *courier.Commit
	for _, info := range infos {
		for _, c := range info.Commits {
			if newest == nil || c.Commit.Snapshot.Number > newest.Snapshot.Number {
				newest = c.Commit
			}
		}
	}
	if newest == nil {
		w.t.Fatal("no commit on the drive")
	}
	return newest
}

// TestALostDriveIsFoundAgain: who packs with a lost drive has found it. What lies there counts again and is not carried twice;
// what does not is carried.
func TestALostDriveIsFoundAgain(t *testing.T) {
	for _, emptied := range []bool{false, true} {
		t.Run(fmt.Sprintf("emptied %v", emptied), func(t *testing.T) {
			w := newWorld(t)
			w.write("f", 90_000, 1)
			settleClock()
			first := w.pack()
			w.lose("A")
			if emptied {
				d, err := courier.OpenFS(keepOpen{w.drive}, "")
				must(t, err)
				infos, err := d.Shipments(w.route)
				must(t, err)
				must(t, d.RemoveShipment(w.route, infos[0].ID))
			}
			w.opts.DryRun = true
			if res := w.pack(); res.FoundAgain != 1 || !w.drivesNow()["A"].Lost {
				t.Errorf("dry run: %+v", res)
			}
			w.opts.DryRun = false
			res := w.pack()
			want := int64(0)
			if emptied {
				want = first.ChunksNew
			}
			if res.FoundAgain != 1 || res.ChunksNew != want || res.Pending != 0 {
				t.Errorf("%+v", res)
			}
			if d := w.drivesNow()["A"]; d.Lost {
				t.Errorf("still lost: %+v", d)
			}
			w.ledgerFits("once it is found")
			v := w.newVault()
			v.take(w.drive)
			v.equals()
		})
	}
}

// TestAnOpenShipmentOnALostDriveIsGoneOnWith: a drive that was lost with a shipment that was not finished takes no part in
// another run, and is gone on with when it is here again.
func TestAnOpenShipmentOnALostDriveIsGoneOnWith(t *testing.T) {
	w := newWorld(t)
	for i := range 10 {
		w.write(fmt.Sprintf("f%d", i), 60<<10, uint64(i))
	}
	settleClock()
	good, a := w.state, w.drive
	w.state = &noLists{good, 2}
	if _, err := w.tryPack(); err == nil {
		t.Fatal("no error")
	}
	w.state = good
	lost := w.lose("A")
	if len(lost.Shipments) != 1 || lost.Shipments[0].Snapshot != 0 || lost.Chunks != 0 || lost.Shipments[0].Bytes == 0 {
		t.Errorf("what is not finished counts for nobody: %+v", lost)
	}
	w.newDrive("B")
	if res := w.pack(); res.Resumed || res.ChunksNew < 40 {
		t.Errorf("%+v", res)
	}
	w.drive = a
	if res := w.pack(); !res.Resumed || res.FoundAgain != 1 || res.Pending != 0 {
		t.Errorf("%+v", res)
	}
	v := w.newVault()
	v.take(a)
	if w.drivesNow()["A"].Lost {
		t.Error("still lost")
	}
}

// TestWhatWasAlteredOnTheDriveIsNoticed: a pack of another length, another pack, one whose head or tail was written over.
func TestWhatWasAlteredOnTheDriveIsNoticed(t *testing.T) {
	for name, alter := range map[string]func(data, other []byte) []byte{
		"cut":           func(data, _ []byte) []byte { return data[:len(data)-1] },
		"longer":        func(data, _ []byte) []byte { return append(data, 0) },
		"empty":         func([]byte, []byte) []byte { return nil },
		"zeros":         func(data, _ []byte) []byte { return make([]byte, len(data)) },
		"head and tail": func(data, _ []byte) []byte { clear(data[:64]); clear(data[len(data)-80:]); return data },
		"table":         func(data, _ []byte) []byte { data[len(data)-100] ^= 1; return data },
		"another":       func(_, other []byte) []byte { return other },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.opts.PackSize = 64 << 10
			w.write("f", 150<<10, 1)
			settleClock()
			first := w.pack()
			dir := "waterlock/" + w.route.String() + "/shipments/" + first.Shipment
			read := func(name string) []byte {
				data, err := disk.ReadAll(w.drive, dir+"/"+name, 1<<20)
				must(t, err)
				return data
			}
			data := alter(read("000001.pack"), read("000002.pack"))
			must(t, w.drive.Remove(dir+"/000001.pack"))
			must(t, disk.Put(w.drive, dir+"/000001.pack", data))
			res := w.pack()
			if res.Recarried != 1 || res.ChunksNew == 0 || res.ChunksNew >= first.ChunksNew || res.Pending != 0 {
				t.Errorf("carried %d of %d chunks again: %+v", res.ChunksNew, first.ChunksNew, res)
			}
			if p := w.rep.Problems(); len(p) != 1 || !strings.HasSuffix(p[0].Path, "/000001.pack") || !strings.Contains(p[0].Err.Error(), "altered on drive A") {
				t.Errorf("said %v", p)
			}
			if res := w.pack(); res.Recarried != 0 || res.ChunksNew != 0 {
				t.Errorf("and again: %+v", res)
			}
			w.ledgerFits("with a pack gone")
		})
	}
}

// TestCrashWhileADriveIsLostOrFound: the power goes after the k-th operation on the state while a drive is declared lost, while
// it is found again, while a receipt says that it turned up. The ledger fits the files at once, the word of the loss is never
// taken back without the receipt that does so, and doing it again ends as if nothing had happened.
func TestCrashWhileADriveIsLostOrFound(t *testing.T) {
	base := newCrashWorld(t)
	base.pack() // aboard, and not acknowledged
	base.write("b/f", 30<<10, 6)
	settleClock()
	base.pack()
	syncAll(t, base.state)
	syncAll(t, base.drive)
	lostBase := func() *crashWorld {
		w, state, drive := base.again(t)
		w.lose("mem")
		syncAll(t, state)
		return &crashWorld{w, state, drive}
	}()
	receipt := func(w *world) {
		v := w.newVault()
		v.number = 10
		v.take(w.drive)
		v.receipt(w.drive)
	}
	for _, c := range []struct {
		what string
		from *crashWorld
		do   func(w *world) error
		end  func(w *world) bool
	}{
		{"lost", base, func(w *world) error { _, err := w.tryLose("mem"); return err },
			func(w *world) bool { return w.drivesNow()["mem"].Lost }},
		{"found", lostBase, func(w *world) error { _, err := w.tryPack(); return err },
			func(w *world) bool { return !w.drivesNow()["mem"].Lost }},
		{"turned up", lostBase, func(w *world) error { receipt(w); return w.tryImport() },
			func(w *world) bool { return !w.drivesNow()["mem"].Lost }},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			for k := 0; ; k += max(1, stride(t)/7) {
				w, state, drive := c.from.again(t)
				w.drivesNow() // the ledger is there, and fits
				state.CrashAfter(k)
				err := c.do(w)
				if err == nil || k > 16 { // what follows is an ordinary pack
					if k < 5 {
						t.Fatalf("only %d operations", k)
					}
					return
				}
				what := fmt.Sprintf("%s, crash after operation %d", c.what, k)
				w.state, w.drive = state.Crashed(disktest.Random, uint64(k)), drive
				w.ledgerFits(what)
				s := w.site()
				receipts, err := s.localReceipts()
				must(t, err)
				if c.what == "turned up" && !w.drivesNow()["mem"].Lost && len(receipts) < 2 {
					t.Fatalf("%s: the loss is taken back, and no receipt says why", what)
				}
				if err := c.do(w); err != nil {
					t.Fatalf("%s: again: %v", what, err)
				}
				if !c.end(w) {
					t.Fatalf("%s: again: %+v", what, w.drivesNow())
				}
				w.ledgerFits(what + ", and again")
			}
		})
	}
}

// tryImport takes the newest receipt on the drive.
func (w *world) tryImport() (err error) {
	s := w.site()
	f, err := s.loadFleet(report.Discard)
	if err != nil {
		return err
	}
	b, err := s.openBooks(f, report.Discard)
	if err != nil {
		return err
	}
	d, err := courier.OpenFS(keepOpen{w.drive}, "")
	must(w.t, err)
	_, err = s.importReceipt(b, d, report.Discard)
	cerr := b.close(err == nil)
	if err == nil {
		err = cerr
	}
	return err
}

// TestAgainDoesNotCountOnOtherDrives: what is aboard another drive is not carried again, unless that is asked for; then behind
// all that is new, and not what this drive has or the vault.
func TestAgainDoesNotCountOnOtherDrives(t *testing.T) {
	w := newWorld(t)
	a := w.drive
	w.write("held", 40_000, 1)
	settleClock()
	w.pack()
	v := w.newVault()
	v.take(a)
	v.receipt(a)
	w.write("on A", 60_000, 2)
	settleClock()
	onA := w.pack()
	b := w.newDrive("B")
	w.write("z on B", 70_000, 3)
	settleClock()
	onB := w.pack()
	if onB.BytesNew != 70_000 {
		t.Errorf("what is aboard A is carried again: %+v", onB)
	}

	// Without room for all of it, what is new comes first, and the rest still counts as aboard.
	w.write("zz new", 50_000, 4)
	settleClock()
	w.opts.Again, w.opts.Limit = true, 80_000
	res := w.pack()
	if res.Pending != 0 || res.BytesNew < 50_000 || res.BytesNew >= 110_000 || res.NotAgain != 110_000-res.BytesNew {
		t.Errorf("%+v", res)
	}
	w.opts.Limit = 0
	if res := w.pack(); res.BytesNew == 0 || res.NotAgain != 0 || res.Pending != 0 {
		t.Errorf("the rest: %+v", res)
	}
	if res := w.pack(); res.BytesNew != 0 || res.NotAgain != 0 {
		t.Errorf("what travels on this drive is carried again: %+v", res)
	}
	// B alone is enough.
	v.take(b)
	v.equals()
	w.ledgerFits("with chunks aboard two drives")

	// A is lost: all it had is aboard B as well, so nothing is back on the list.
	if lost := w.lose("A"); lost.Chunks != 0 || len(lost.Shipments) != 1 || lost.Shipments[0].Snapshot != onA.Snapshot {
		t.Errorf("%+v", lost)
	}
	w.drive = b
	w.opts.Again = false
	if res := w.pack(); res.BytesNew != 0 || res.Pending != 0 {
		t.Errorf("%+v", res)
	}
}

// TestWhatALostDriveCarriedComesWithEachDriveThatHasRoom: where the next one has no room for all of it, the one after that takes the
// rest, although nothing became unknown in between.
func TestWhatALostDriveCarriedComesWithEachDriveThatHasRoom(t *testing.T) {
	w := newWorld(t)
	for i := range 6 {
		w.write(fmt.Sprintf("f%d", i), 200<<10, uint64(i))
	}
	settleClock()
	w.pack()
	w.lose("A")
	v := w.newVault()
	for i, label := range []string{"B", "C", "D"} {
		w.drive = w.newDrive(label)
		w.opts.Limit = 300 << 10
		if label == "D" {
			w.opts.Limit = 0
			if p := w.plan(PlanOptions{Capacity: 1 << 40}); p.ToCarry == 0 || p.ToCarry > 6*200<<10 || p.ToReadFiles == 0 {
				t.Errorf("planned: %+v", p)
			}
		}
		res := w.pack()
		if res.ChunksNew == 0 || (res.Pending != 0) != (label != "D") || (res.Why != "") != (label != "D") {
			t.Errorf("%d: %+v", i, res)
		}
		v.take(w.drive)
	}
	v.equals()
}
