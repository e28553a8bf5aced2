package home

import (
	"testing"

	"waterlock/internal/chunk"
	"waterlock/internal/courier"
)

// What became unknown while a file could not be read is carried once it can be.
func TestLostWhileUnreadableIsCarriedLater(t *testing.T) {
	w := newWorld(t)
	w.write("d/f", 50_000, 1)
	w.write("e", 5_000, 2)
	settleClock()
	w.pack()
	d, err := courier.OpenFS(keepOpen{w.drive}, "")
	must(t, err)
	infos, err := d.Shipments(w.route)
	must(t, err)
	must(t, d.RemoveShipment(w.route, infos[0].ID))

	plain := w.trees["docs"]
	w.trees["docs"] = &failing{FS: plain, dirs: map[string]bool{"d": true}}
	if res := w.pack(); res.Unseen == 0 {
		t.Fatalf("%+v", res)
	}
	w.trees["docs"] = plain
	if res := w.pack(); res.BytesNew != 50_000 {
		t.Errorf("%+v", res)
	}
	v := w.newVault()
	v.take(w.drive)
	v.equals()
}

func TestWantedWhileUnreadableIsCarriedLater(t *testing.T) {
	w := newWorld(t)
	w.write("f", 50_000, 1)
	w.write("e", 5_000, 2)
	settleClock()
	w.pack()
	v := w.newVault()
	v.take(w.drive)
	x := v.entries(v.newest, "docs")["f"].Content[1]
	v.wants = []courier.Want{{ID: x.ID, Kind: chunk.Data}}
	delete(v.chunks, x.ID)
	v.receipt(w.drive)

	plain := w.trees["docs"]
	w.trees["docs"] = &failing{FS: plain, files: map[string]bool{"f": true}}
	if res := w.pack(); res.Unseen == 0 {
		t.Fatalf("%+v", res)
	}
	w.trees["docs"] = plain
	if res := w.pack(); res.ChunksNew != 1 || res.BytesRead != x.Length {
		t.Errorf("wanted a chunk of %d bytes: %+v", x.Length, res)
	}
	v.take(w.drive)
	v.equals()
}
