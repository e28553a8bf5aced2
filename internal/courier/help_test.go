package courier

import (
	"bytes"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/internal/disk/disktest"
	"waterlock/internal/wire"
	"waterlock/pack"
	"waterlock/snapshot"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var (
	testRoute = wire.RouteID{1, 2, 3}
	testShip  = ShipmentID{4, 5, 6}
	testEpoch = Epoch{7, 8, 9}
	testTime  = time.Date(2026, 11, 22, 10, 20, 30, 40, time.UTC)
)

// noise is incompressible and the same every time.
func noise(seed uint64, n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), 1})
	r.Read(b)
	return b
}

// newDrive is a drive in memory, with everything on it durable.
func newDrive(t testing.TB) (*disktest.Mem, *Drive) {
	t.Helper()
	m := disktest.NewMem()
	d, err := InitDrive(m, "test drive")
	must(t, err)
	return m, d
}

var testEncoder = sync.OnceValue(func() *pack.Encoder {
	enc, err := pack.NewEncoder(0)
	if err != nil {
		panic(err)
	}
	return enc
})

// addPack writes a pack of some chunks, synced as home leaves it: its name is
// not durable yet.
func addPack(t testing.TB, d *Drive, dir, name string, k chunk.Kind, seed uint64, records int) FileRef {
	t.Helper()
	enc := testEncoder()
	var b bytes.Buffer
	w, err := pack.NewWriter(&b, k)
	must(t, err)
	for i := range records {
		s, err := enc.Encode(k, noise(seed+uint64(i), 300+i), nil)
		must(t, err)
		_, err = w.Append(s)
		must(t, err)
	}
	sum, err := w.Close()
	must(t, err)
	f, err := d.FS().Create(dir+"/"+name, 0o644)
	must(t, err)
	_, err = f.Write(b.Bytes())
	must(t, err)
	must(t, f.Sync())
	must(t, f.Close())
	return FileRef{name, k, sum.Size, uint32(sum.Records), sum.Digest, disk.Cold}
}

// newShipment writes the packs of a shipment, and returns the commit for it.
func newShipment(t testing.TB, d *Drive, id ShipmentID, number uint64) *Commit {
	t.Helper()
	dir, err := d.CreateShipment(testRoute, id)
	must(t, err)
	meta := addPack(t, d, dir, "000001.meta", chunk.Stream, 100*number+50, 1)
	return &Commit{
		Route:    RouteInfo{testRoute, "photos", testTime, chunk.Params{Polynomial: testPolynomial, Min: 512 << 10, Max: 8 << 20, AverageBits: 20}, true},
		Shipment: id, Attempt: 2, Drive: d.ID(), DriveLabel: d.Label(), Time: testTime, Tool: "wl test",
		Files: []FileRef{ // not in their order
			meta,
			addPack(t, d, dir, "000003.pack", chunk.Data, 100*number, 3),
			addPack(t, d, dir, "000001.pack", chunk.Data, 100*number+10, 9),
		},
		Snapshot: snapshot.Record{Number: number, Time: testTime, Host: "home", Trees: []snapshot.TreeRecord{
			{Name: "docs", Root: "/srv/docs", Totals: snapshot.Totals{}, Chunks: []snapshot.StreamRef{
				{ID: chunk.Stream.ID(noise(1, 9)), Length: 9}, {ID: chunk.Stream.ID(noise(2, 9)), Length: 10, FirstPath: "a/b", Continues: true}}},
			{Name: "mail", Stopped: "the root is missing"},
		}},
		Basis: Basis{testEpoch, 17}, BasisDigest: chunk.SumDigest([]byte("r")), Inventory: true, Floor: 3,
		Out: []OutShipment{
			{Number: 5, Shipment: ShipmentID{9}, Drive: DriveID{8}, DriveLabel: "other", Time: testTime, Lost: true},
			{Number: 5, Shipment: ShipmentID{2}, Drive: DriveID{8}, DriveLabel: "other"},
			{Number: 3, Shipment: ShipmentID{1}, Drive: d.ID()},
		},
	}
}

const testPolynomial = 0x3DA3358B4DC173 // irreducible

func encodeCommit(t testing.TB, c *Commit) []byte {
	t.Helper()
	b, err := EncodeCommit(c)
	must(t, err)
	return b
}

// newReceipt is a receipt with something in every field.
func newReceipt(number uint64) *Receipt {
	return &Receipt{
		Route: testRoute, VaultName: "attic", Epoch: testEpoch, Number: number, Time: testTime,
		Taken: []Taken{
			{Number: 4, Shipment: testShip, Records: 13, Bits: []byte{0xff, 0x0e}},
			{Number: 3, Shipment: ShipmentID{2}, Records: 13, Bits: []byte{0xff, 0x1f}}, // all
			{Number: 3, Shipment: ShipmentID{1}, Records: 70000, All: true},
			{Number: 9, Shipment: ShipmentID{1}},
		},
		Wants: []Want{{ID: chunk.ID{9}, Kind: chunk.Data, Snapshot: 4, Path: "docs/a/\xff"}, {ID: chunk.ID{3}, Kind: chunk.Stream},
			{ID: chunk.ID{9}, Kind: chunk.Data, Snapshot: 4, Path: "docs/a/\xff"}},
		Condemned: []Condemned{{chunk.ID{7}, number}, {chunk.ID{5}, 1}, {chunk.ID{7}, number}},
		Cleared:   3, Inventory: InventoryRef{Count: 20_000_000, Digest: chunk.Digest{6}},
		Awaited: 12, HighestSnapshot: 9, NewestArrived: 4, ReadSince: testTime.AddDate(0, -1, 0), Free: 1 << 40, Total: 1 << 45,
	}
}

func encodeReceipt(t testing.TB, r *Receipt) []byte {
	t.Helper()
	b, err := EncodeReceipt(r)
	must(t, err)
	return b
}

// reopen opens the drive that a file system holds.
func reopen(t testing.TB, fsys disk.FS) *Drive {
	t.Helper()
	d, err := OpenFS(fsys, "")
	must(t, err)
	return d
}

// putFile writes a file straight onto the drive.
func putFile(t testing.TB, fsys disk.FS, name string, b []byte) {
	t.Helper()
	f, err := fsys.Create(name, 0o644)
	must(t, err)
	_, err = f.Write(b)
	must(t, err)
	must(t, f.Sync())
	must(t, f.Close())
}

// flipByte changes one byte of a file.
func flipByte(t testing.TB, fsys disk.FS, name string, at int64) {
	t.Helper()
	f, err := fsys.OpenWrite(name)
	must(t, err)
	var b [1]byte
	_, err = f.ReadAt(b[:], at)
	must(t, err)
	b[0] ^= 0x10
	_, err = f.WriteAt(b[:], at)
	must(t, err)
	must(t, f.Sync())
	must(t, f.Close())
}
