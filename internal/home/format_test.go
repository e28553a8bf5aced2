package home

import (
	"bytes"
	"testing"
	"time"

	"waterlock/internal/chunk"
	"waterlock/internal/courier"
	"waterlock/internal/disk"
	"waterlock/internal/wire"
)

func sampleList() *chunkList {
	l := &chunkList{packID: [16]byte{1, 2, 3}, basis: courier.Basis{Epoch: courier.Epoch{4}, Receipt: 5}, plain: 3000}
	l.ids = []chunk.ID{idOf(0), idOf(1), idOf(2)}
	l.ref = courier.FileRef{Name: "000007.pack", Kind: chunk.Data, Size: 4000, Records: 3, Digest: chunk.Digest{9}, ReadBack: disk.Warm}
	return l
}

func TestChunkListAndOpenRecordRoundTrip(t *testing.T) {
	route := wire.RouteID{1}
	l := sampleList()
	got, err := decodeChunkList(route, l.encode(route))
	must(t, err)
	if got.ref != l.ref || got.packID != l.packID || got.basis != l.basis || got.plain != l.plain || len(got.ids) != 3 || got.ids[2] != l.ids[2] {
		t.Errorf("%+v", got)
	}
	sh := &shipment{ord: 3, id: courier.ShipmentID{7}, drive: courier.DriveID{8}, label: "blue", opened: time.Unix(1750000000, 0).UTC()}
	again := &shipment{ord: 3, id: sh.id}
	must(t, again.decodeOpen(route, sh.encodeOpen(route)))
	if again.drive != sh.drive || again.label != sh.label || again.opened != sh.opened {
		t.Errorf("%+v", again)
	}
	if err := (&shipment{ord: 4, id: sh.id}).decodeOpen(route, sh.encodeOpen(route)); err == nil {
		t.Error("the record of another shipment is believed")
	}
	if _, err := decodeChunkList(wire.RouteID{2}, l.encode(route)); err == nil {
		t.Error("the list of another route is believed")
	}
}

func TestDamagedChunkListsAndOpenRecordsAreRefused(t *testing.T) {
	route := wire.RouteID{1}
	sh := &shipment{ord: 3, id: courier.ShipmentID{7}, label: "blue"}
	for _, c := range []struct {
		name   string
		data   []byte
		decode func([]byte) error
	}{
		{"list", sampleList().encode(route), func(b []byte) error { _, err := decodeChunkList(route, b); return err }},
		{"open", sh.encodeOpen(route), func(b []byte) error { return (&shipment{ord: 3, id: sh.id}).decodeOpen(route, b) }},
	} {
		must(t, c.decode(c.data))
		for i := range c.data {
			bad := bytes.Clone(c.data)
			bad[i] ^= 1
			if c.decode(bad) == nil {
				t.Errorf("%s: byte %d flipped and nobody noticed", c.name, i)
			}
			if c.decode(c.data[:i]) == nil {
				t.Errorf("%s: cut to %d bytes and nobody noticed", c.name, i)
			}
		}
		if c.decode(append(bytes.Clone(c.data), 0)) == nil {
			t.Errorf("%s: a byte more and nobody noticed", c.name)
		}
	}
}

// Whatever stands under a good seal, decoding ends in an error or in a value that encodes to the same bytes.
func FuzzChunkList(f *testing.F) {
	route := wire.RouteID{1}
	body, err := wire.OpenRoute(wire.ChunkList, route, sampleList().encode(route))
	must(f, err)
	f.Add(body)
	f.Fuzz(func(t *testing.T, body []byte) {
		data := wire.Seal(wire.ChunkList, route, body)
		if l, err := decodeChunkList(route, data); err == nil && !bytes.Equal(l.encode(route), data) {
			t.Error("two encodings of one list")
		}
	})
}

func FuzzOpenRecord(f *testing.F) {
	route := wire.RouteID{1}
	sh := &shipment{ord: 3, id: courier.ShipmentID{7}, label: "blue"}
	body, err := wire.OpenRoute(wire.OpenShipment, route, sh.encodeOpen(route))
	must(f, err)
	f.Add(body)
	f.Fuzz(func(t *testing.T, body []byte) {
		data := wire.Seal(wire.OpenShipment, route, body)
		got := &shipment{ord: 3, id: sh.id}
		if err := got.decodeOpen(route, data); err == nil && !bytes.Equal(got.encodeOpen(route), data) {
			t.Error("two encodings of one record")
		}
	})
}
