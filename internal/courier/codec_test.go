package courier

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/internal/wire"
	"waterlock/snapshot"
)

func TestCommitRoundTrip(t *testing.T) {
	_, d := newDrive(t)
	c := newShipment(t, d, testShip, 4)
	b := encodeCommit(t, c)
	got, err := DecodeCommit(b)
	must(t, err)
	want := *c
	want.Files = []FileRef{c.Files[2], c.Files[1], c.Files[0]}
	want.Out = []OutShipment{c.Out[2], c.Out[1], c.Out[0]}
	if diff := cmp.Diff(&want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Fatal(diff)
	}
	if got.Records() != 13 {
		t.Fatal(got.Records())
	}
	if again := encodeCommit(t, got); !bytes.Equal(again, b) {
		t.Fatal("the same commit has two encodings")
	}
}

func TestReceiptRoundTrip(t *testing.T) {
	r := newReceipt(8)
	b := encodeReceipt(t, r)
	got, err := DecodeReceipt(b)
	must(t, err)
	want := *r
	want.Taken = []Taken{r.Taken[2], {Number: 3, Shipment: ShipmentID{2}, Records: 13, All: true}, r.Taken[0], {Number: 9, Shipment: ShipmentID{1}, All: true}}
	want.Wants = []Want{r.Wants[1], r.Wants[0]}
	want.Condemned = []Condemned{r.Condemned[1], r.Condemned[0]}
	if diff := cmp.Diff(&want, got); diff != "" {
		t.Fatal(diff)
	}
	if again := encodeReceipt(t, got); !bytes.Equal(again, b) {
		t.Fatal("the same receipt has two encodings")
	}
	if r.Taken[1].All || r.Taken[0].Number != 4 {
		t.Fatal("the caller's receipt was changed")
	}
	t4 := got.Taken[2]
	for i := range uint32(20) {
		if want := i < 13 && i != 8 && i != 12; t4.Arrived(i) != want {
			t.Errorf("record %d: %v", i, !want)
		}
	}
	if all := got.Taken[0]; !all.Arrived(69999) || all.Arrived(70000) {
		t.Error("all is not all")
	}
}

// typed says whether a decoder's error is one that callers can tell.
func typed(err, kind error) bool { return errors.Is(err, kind) }

func TestEveryFlippedByteAndTruncationIsFound(t *testing.T) {
	_, d := newDrive(t)
	objects := []struct {
		name   string
		b      []byte
		kind   error
		decode func([]byte) (any, error)
	}{
		{"commit", encodeCommit(t, newShipment(t, d, testShip, 4)), ErrCommit, func(b []byte) (any, error) { return DecodeCommit(b) }},
		{"receipt", encodeReceipt(t, newReceipt(8)), ErrReceipt, func(b []byte) (any, error) { return DecodeReceipt(b) }},
	}
	for _, o := range objects {
		for i := range o.b {
			for bit := range 8 {
				bad := slices.Clone(o.b)
				bad[i] ^= 1 << bit
				if _, err := o.decode(bad); !typed(err, o.kind) {
					t.Fatalf("%s, byte %d, bit %d: %v", o.name, i, bit, err)
				}
			}
			if _, err := o.decode(o.b[:i]); !typed(err, o.kind) {
				t.Fatalf("%s of %d bytes: %v", o.name, i, err)
			}
		}
		if _, err := o.decode(append(slices.Clone(o.b), 0)); !typed(err, o.kind) {
			t.Fatalf("%s with a byte more: %v", o.name, err)
		}
	}
	// One kind is never taken for the other.
	if _, err := DecodeReceipt(objects[0].b); !errors.Is(err, wire.ErrKind) {
		t.Fatal(err)
	}
	if _, err := DecodeCommit(objects[1].b); !errors.Is(err, wire.ErrKind) {
		t.Fatal(err)
	}
}

// TestEveryFlippedByteUnderAGoodSeal goes on where the seal would have stopped
// it: what an enemy can write. Nothing but an error or a valid value may come.
func TestEveryFlippedByteUnderAGoodSeal(t *testing.T) {
	_, d := newDrive(t)
	commit, receipt := encodeCommit(t, newShipment(t, d, testShip, 4)), encodeReceipt(t, newReceipt(8))
	_, body, err := wire.Open(wire.Commit, commit)
	must(t, err)
	forge(body, func(b []byte) { checkCommitBytes(t, wire.Seal(wire.Commit, testRoute, b)) })
	_, body, err = wire.Open(wire.Receipt, receipt)
	must(t, err)
	forge(body, func(b []byte) { checkReceiptBytes(t, wire.Seal(wire.Receipt, testRoute, b)) })
}

func forge(body []byte, try func([]byte)) {
	for i := range body {
		for _, x := range []byte{1, 0x80} {
			bad := slices.Clone(body)
			bad[i] ^= x
			try(bad)
		}
		try(body[:i])
	}
}

// checkCommitBytes: a typed error, or a commit whose encoding is these bytes.
func checkCommitBytes(t *testing.T, b []byte) {
	t.Helper()
	c, err := DecodeCommit(b)
	if err != nil {
		if !typed(err, ErrCommit) {
			t.Fatalf("untyped: %v", err)
		}
		return
	}
	again, err := EncodeCommit(c)
	if err != nil || !bytes.Equal(again, b) {
		t.Fatalf("decoded, and encoded otherwise (%v)", err)
	}
	for i := range c.Files {
		if !packPattern.MatchString(c.Files[i].Name) {
			t.Fatalf("file %q", c.Files[i].Name)
		}
	}
}

func checkReceiptBytes(t *testing.T, b []byte) {
	t.Helper()
	r, err := DecodeReceipt(b)
	if err != nil {
		if !typed(err, ErrReceipt) {
			t.Fatalf("untyped: %v", err)
		}
		return
	}
	again, err := EncodeReceipt(r)
	if err != nil || !bytes.Equal(again, b) {
		t.Fatalf("decoded, and encoded otherwise (%v)", err)
	}
}

func TestInvalidCommitsAreRefused(t *testing.T) {
	_, d := newDrive(t)
	for name, spoil := range map[string]func(c *Commit){
		"a path for a name":      func(c *Commit) { c.Files[0].Name = "../../../etc/passwd" },
		"a longer name":          func(c *Commit) { c.Files[0].Name = "0000001.meta" },
		"a capital":              func(c *Commit) { c.Files[0].Name = "000001.Meta" },
		"number 0":               func(c *Commit) { c.Files[0].Name = "000000.meta" },
		"the wrong kind":         func(c *Commit) { c.Files[0].Kind = chunk.Data },
		"a file twice":           func(c *Commit) { c.Files = append(c.Files, c.Files[0]) },
		"a file of 4 GiB":        func(c *Commit) { c.Files[0].Size = 1 << 32 },
		"an empty file":          func(c *Commit) { c.Files[0].Size = 0 },
		"a negative size":        func(c *Commit) { c.Files[0].Size = -1 },
		"too many records":       func(c *Commit) { c.Files[0].Records = 1<<16 + 1 },
		"no records":             func(c *Commit) { c.Files[0].Records = 0 },
		"not read back":          func(c *Commit) { c.Files[0].ReadBack = 0 },
		"no route":               func(c *Commit) { c.Route.ID = wire.RouteID{} },
		"no shipment":            func(c *Commit) { c.Shipment = ShipmentID{} },
		"no drive":               func(c *Commit) { c.Drive = DriveID{} },
		"a route without name":   func(c *Commit) { c.Route.Name = "" },
		"a route with a slash":   func(c *Commit) { c.Route.Name = "a/b" },
		"no polynomial":          func(c *Commit) { c.Route.Chunker.Polynomial = 0 },
		"a digest of no receipt": func(c *Commit) { c.Basis.Receipt = 0 },
		"a basis too high":       func(c *Commit) { c.Basis.Receipt = snapshot.MaxNumber + 1 },
		"a floor too high":       func(c *Commit) { c.Floor = snapshot.MaxNumber + 1 },
		"snapshot too high":      func(c *Commit) { c.Snapshot.Number = snapshot.MaxNumber + 1 },
		"a number out too high":  func(c *Commit) { c.Out[0].Number = snapshot.MaxNumber + 1 },
		"snapshot 0":             func(c *Commit) { c.Snapshot.Number = 0 },
		"trees out of order":     func(c *Commit) { slices.Reverse(c.Snapshot.Trees) },
		"a long label":           func(c *Commit) { c.DriveLabel = strings.Repeat("x", MaxLabel+1) },
		"a long tool":            func(c *Commit) { c.Tool = strings.Repeat("x", MaxText+1) },
		"a time long ago":        func(c *Commit) { c.Time = time.Unix(-1, 0) },
		"a shipment out twice":   func(c *Commit) { c.Out = append(c.Out, c.Out[0]) },
		"a shipment out of 0":    func(c *Commit) { c.Out[0].Number = 0 },
		"records without end": func(c *Commit) {
			c.Files = nil
			for i := range MaxRecords/maxPackRecords + 1 {
				c.Files = append(c.Files, FileRef{PackName(i+1, chunk.Data), chunk.Data, 1, maxPackRecords, chunk.Digest{}, disk.Cold})
			}
		},
	} {
		d.RemoveShipment(testRoute, testShip)
		c := newShipment(t, d, testShip, 4)
		spoil(c)
		if _, err := EncodeCommit(c); !errors.Is(err, ErrCommit) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestInvalidReceiptsAreRefused(t *testing.T) {
	for name, spoil := range map[string]func(r *Receipt){
		"no route":              func(r *Receipt) { r.Route = wire.RouteID{} },
		"no epoch":              func(r *Receipt) { r.Epoch = Epoch{} },
		"number 0":              func(r *Receipt) { r.Number = 0 },
		"a number too high":     func(r *Receipt) { r.Number = snapshot.MaxNumber + 1 },
		"a snapshot too high":   func(r *Receipt) { r.HighestSnapshot = snapshot.MaxNumber + 1 },
		"a shipment too high":   func(r *Receipt) { r.Taken[len(r.Taken)-1].Number = snapshot.MaxNumber + 1 },
		"too few bits":          func(r *Receipt) { r.Taken[0].Bits = r.Taken[0].Bits[:1] },
		"too many bits":         func(r *Receipt) { r.Taken[0].Bits = append(r.Taken[0].Bits, 0) },
		"a bit beyond the last": func(r *Receipt) { r.Taken[0].Bits[1] |= 0x20 },
		"a shipment twice":      func(r *Receipt) { r.Taken = append(r.Taken, r.Taken[0]) },
		"too many records":      func(r *Receipt) { r.Taken[2].Records = MaxRecords + 1 },
		"a chunk of two kinds":  func(r *Receipt) { r.Wants[2].Kind = chunk.Stream },
		"a want of no kind":     func(r *Receipt) { r.Wants[0].Kind = 0 },
		"less than nothing":     func(r *Receipt) { r.Free = -1 },
		"a long name":           func(r *Receipt) { r.VaultName = strings.Repeat("x", MaxText+1) },
		"too many wants":        func(r *Receipt) { r.Wants = make([]Want, MaxWants+1) },
	} {
		r := newReceipt(8)
		spoil(r)
		if _, err := EncodeReceipt(r); !errors.Is(err, ErrReceipt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzCommit(f *testing.F) {
	_, d := newDrive(f)
	c := newShipment(f, d, testShip, 4)
	seedBody(f, wire.Commit, encodeCommit(f, c))
	c.Files, c.Out, c.Snapshot.Trees = nil, nil, nil
	seedBody(f, wire.Commit, encodeCommit(f, c))
	f.Fuzz(func(t *testing.T, b []byte) {
		checkCommitBytes(t, b)
		if len(b) < 1<<20 {
			checkCommitBytes(t, wire.Seal(wire.Commit, testRoute, b))
		}
	})
}

func FuzzReceipt(f *testing.F) {
	seedBody(f, wire.Receipt, encodeReceipt(f, newReceipt(8)))
	seedBody(f, wire.Receipt, encodeReceipt(f, &Receipt{Route: testRoute, Epoch: testEpoch, Number: 1}))
	f.Fuzz(func(t *testing.T, b []byte) {
		checkReceiptBytes(t, b)
		if len(b) < 1<<20 {
			checkReceiptBytes(t, wire.Seal(wire.Receipt, testRoute, b))
		}
	})
}

// seedBody adds a real file, and its body: the fuzzer seals what it makes.
func seedBody(f *testing.F, k wire.Kind, b []byte) {
	_, body, err := wire.Open(k, b)
	must(f, err)
	f.Add(b)
	f.Add(body)
}
