package home

import (
	"context"
	"fmt"
	"os"
	"testing"

	"waterlock/internal/courier"
)

const firstList = "/000001.pack" + listSuffix

func TestADamagedListOfAnOpenShipmentIsMadeAnew(t *testing.T) {
	for _, gone := range []bool{false, true} {
		t.Run(fmt.Sprintf("pack gone %v", gone), func(t *testing.T) {
			w := newWorld(t)
			for i := range 10 {
				w.write(fmt.Sprintf("f%d", i), 60<<10, uint64(i))
			}
			settleClock()
			good := w.state
			w.state = &noLists{good, 2}
			if _, err := w.tryPack(); err == nil {
				t.Fatal("no error")
			}
			w.state = good
			harm(w, w.shipmentAt(0), firstList, "flipped")
			if gone {
				d, err := courier.OpenFS(keepOpen{w.drive}, "")
				must(t, err)
				infos, err := d.Shipments(w.route)
				must(t, err)
				must(t, w.drive.Remove(infos[0].Path+"/000001.pack"))
			}
			res := w.pack()
			if !res.Resumed || !gone && res.BytesRead > 600<<10-3*(128<<10)+40<<10 {
				t.Errorf("%d bytes are read again", res.BytesRead)
			}
			v := w.newVault()
			v.take(w.drive)
			v.equals()
		})
	}
}

func TestADamagedListOfAPackThatIsGone(t *testing.T) {
	w := newWorld(t)
	w.write("f", 50_000, 1)
	settleClock()
	w.pack()
	d, err := courier.OpenFS(keepOpen{w.drive}, "")
	must(t, err)
	infos, err := d.Shipments(w.route)
	must(t, err)
	must(t, w.drive.Remove(infos[0].Path+"/000001.pack"))
	w.pack()
	harm(w, w.shipmentAt(0), firstList, "flipped")
	must(t, os.RemoveAll(w.index))
	for range 2 {
		w.pack()
	}
	_, err = w.site().status(context.Background(), w.rep)
	must(t, err)
}

// One damaged list of many costs its own pack, and no more: the rest of the shipment is acknowledged.
func TestOneDamagedListOfManyCostsItsPackAlone(t *testing.T) {
	for _, anew := range []bool{false, true} {
		t.Run(fmt.Sprintf("folded anew %v", anew), func(t *testing.T) {
			w := newWorld(t)
			for i := range 20 {
				w.write(fmt.Sprintf("f%02d", i), 60<<10, uint64(i))
			}
			settleClock()
			first := w.pack()
			v := w.newVault()
			v.take(w.drive)
			harm(w, w.shipmentAt(0), "/000003.pack"+listSuffix, "flipped")
			v.receipt(w.drive)
			if anew {
				must(t, os.RemoveAll(w.index))
			}
			second := w.pack()
			if second.ChunksNew == 0 || second.ChunksNew > first.ChunksNew/5 {
				t.Errorf("%d chunks, then %d again", first.ChunksNew, second.ChunksNew)
			}
			d, err := courier.OpenFS(keepOpen{w.drive}, "")
			must(t, err)
			infos, err := d.Shipments(w.route)
			must(t, err)
			for _, info := range infos { // all of it has arrived
				if info.ID.String() == first.Shipment {
					must(t, d.RemoveShipment(w.route, info.ID))
				}
			}
			if third := w.pack(); third.ChunksNew != 0 || third.Recarried != 0 {
				t.Errorf("%+v", third)
			}
		})
	}
}
