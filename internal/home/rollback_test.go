package home

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"waterlock/index"
	"waterlock/internal/chunk"
	"waterlock/internal/courier"
	"waterlock/internal/disk"
	"waterlock/internal/report"
)

// openAndCommitted leaves a home as it was while a shipment was open, and a drive on which that shipment is committed.
func openAndCommitted(t *testing.T) (*world, PackResult) {
	t.Helper()
	w := newWorld(t)
	now, before := tempDir(t), tempDir(t)
	var err error
	w.state, err = disk.Dir(now)
	must(t, err)
	for i := range 10 {
		w.write(fmt.Sprintf("f%d", i), 60<<10, uint64(i))
	}
	w.write("g", 100, 50)
	settleClock()
	good := w.state
	w.state = &noLists{good, 2}
	if _, err := w.tryPack(); err == nil {
		t.Fatal("no error")
	}
	w.state = good
	must(t, exec.Command("cp", "-a", now+"/.", before).Run())
	res := w.pack()
	w.state, err = disk.Dir(before)
	must(t, err)
	return w, res
}

// A home that was rolled back to when a shipment was open does not go on with it once it was committed: the vault
// would never see a second commit.
func TestACommittedShipmentIsNotContinued(t *testing.T) {
	for _, damaged := range []bool{false, true} {
		t.Run(fmt.Sprintf("damaged %v", damaged), func(t *testing.T) {
			w, first := openAndCommitted(t)
			w.opts.WithoutInventory = true
			must(t, os.RemoveAll(w.index))
			d, err := courier.OpenFS(keepOpen{w.drive}, "")
			must(t, err)
			infos, err := d.Shipments(w.route)
			must(t, err)
			if damaged {
				name := infos[0].Path + "/" + infos[0].Commits[0].Name
				data := infos[0].Commits[0].Bytes
				data[len(data)/2] ^= 1
				must(t, w.drive.Remove(name))
				must(t, disk.Put(w.drive, name, data))
			}
			w.write("later", 100, 77)
			settleClock()
			res := w.pack()
			if res.Resumed || res.Shipment == first.Shipment || !damaged && res.Snapshot <= first.Snapshot || len(w.rep.Warnings()) == 0 {
				t.Errorf("the first %+v, then %+v", first, res)
			}
			v := w.newVault()
			if infos, err = d.Shipments(w.route); err != nil || len(infos) != 2 {
				t.Fatalf("%d shipments, %v", len(infos), err)
			}
			v.take(w.drive)
			v.equals()
			if again := w.pack(); again.ChunksNew != 0 || again.Resumed {
				t.Errorf("%+v", again)
			}
		})
	}
}

// The same where the shipment has arrived and is no longer on the drive: what is new counts as nowhere but in the new
// shipment, and that may not be cleared.
func TestAShipmentThatArrivedIsNotContinued(t *testing.T) {
	w, first := openAndCommitted(t)
	v := w.newVault()
	v.take(w.drive)
	v.receipt(w.drive)
	d, err := courier.OpenFS(keepOpen{w.drive}, "")
	must(t, err)
	infos, err := d.Shipments(w.route)
	must(t, err)
	must(t, d.RemoveShipment(w.route, infos[0].ID))
	must(t, os.RemoveAll(w.index))
	w.write("g", 100, 77)
	settleClock()
	res := w.pack()
	if res.Shipment == first.Shipment || res.Snapshot <= first.Snapshot {
		t.Errorf("the first %+v, then %+v", first, res)
	}
	data, err := os.ReadFile(w.path("g"))
	must(t, err)
	for _, anew := range []bool{false, true} {
		if anew {
			must(t, os.RemoveAll(w.index))
		}
		s := w.site()
		f, err := s.loadFleet(report.Discard)
		must(t, err)
		b, err := s.openBooks(f, report.Discard)
		must(t, err)
		acked, kept, err := b.clearable(d)
		must(t, err)
		state, err := b.ledger.Known(chunk.Data.ID(data), func(uint32) bool { return false })
		must(t, err)
		if len(acked) != 0 || kept != 1 || state == index.Held {
			t.Errorf("folded anew %v: %d may be cleared, %d kept, held %v: it never left home", anew, len(acked), kept, state == index.Held)
		}
		must(t, b.close(true))
	}
}

// The same where the vault does not speak of that shipment any more, since the home that is forgotten had read that it arrived.
func TestAShipmentThatArrivedLongAgoIsNotContinued(t *testing.T) {
	w, first := openAndCommitted(t)
	w.opts.WithoutInventory = true
	v := w.newVault()
	v.take(w.drive)
	d, err := courier.OpenFS(keepOpen{w.drive}, "")
	must(t, err)
	must(t, d.RemoveShipment(w.route, v.taken[0].Shipment))
	v.taken = nil // the floor has risen
	v.receipt(w.drive)
	must(t, os.RemoveAll(w.index))
	res := w.pack()
	if res.Resumed || res.Shipment == first.Shipment || res.Snapshot <= first.Snapshot {
		t.Errorf("the first %+v, then %+v", first, res)
	}
}
