package courier

import (
	"bytes"
	"os"
	"testing"

	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/snapshot"
)

// vectorCommit is what testdata/commit-v1 holds. Neither may ever change.
func vectorCommit() *Commit {
	return &Commit{
		Route:    RouteInfo{testRoute, "photos", testTime, chunk.Params{Polynomial: testPolynomial, Min: 512 << 10, Max: 8 << 20, AverageBits: 20}, true},
		Shipment: testShip, Attempt: 2, Drive: DriveID{10, 11}, DriveLabel: "blue", Time: testTime, Tool: "wl 1",
		Files: []FileRef{
			{"000001.pack", chunk.Data, 1 << 30, 700, chunk.SumDigest([]byte("1")), disk.Cold},
			{"000007.pack", chunk.Data, 1<<32 - 1, 1 << 16, chunk.SumDigest([]byte("7")), disk.Warm},
			{"000001.meta", chunk.Stream, 4711, 1, chunk.SumDigest([]byte("m")), disk.Cold},
		},
		Snapshot: snapshot.Record{Number: 6, Time: testTime, Host: "home", Trees: []snapshot.TreeRecord{{Name: "docs", Root: "/srv/docs",
			Chunks: []snapshot.StreamRef{{ID: chunk.Stream.ID([]byte("s")), Length: 100}}}}},
		Basis: Basis{testEpoch, 17}, BasisDigest: chunk.SumDigest([]byte("r")), Floor: 3,
		Out: []OutShipment{{Number: 3, Shipment: ShipmentID{1}, Drive: DriveID{8}, DriveLabel: "red", Time: testTime, Lost: true}},
	}
}

// TestVectorsV1AreRead reads files that the first version wrote. With
// WL_WRITE_VECTORS it writes them where there are none.
func TestVectorsV1AreRead(t *testing.T) {
	commit, receipt := encodeCommit(t, vectorCommit()), encodeReceipt(t, newReceipt(8))
	for name, b := range map[string][]byte{
		"testdata/commit-v1": commit, "testdata/receipt-v1": receipt,
		"testdata/return-v1": encodeReturn(t, vectorReturn()), "testdata/landing-v1": encodeLanding(t, vectorLanding()),
	} {
		old, err := os.ReadFile(name)
		if os.IsNotExist(err) && os.Getenv("WL_WRITE_VECTORS") != "" {
			must(t, os.MkdirAll("testdata", 0o755))
			must(t, os.WriteFile(name, b, 0o644))
			continue
		}
		must(t, err)
		if !bytes.Equal(old, b) {
			t.Errorf("%s is written otherwise now", name)
		}
	}
}
