package courier

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"waterlock/internal/chunk"
	"waterlock/internal/wire"
	"waterlock/snapshot"
)

// Limits of a receipt.
const (
	MaxReceipt   = 128 << 20 // bytes of the sealed object
	MaxWants     = 1 << 20   // a vault that wants more asks for the rest next time
	MaxCondemned = 1 << 20   // and so it does where it condemns more

	MaxWantPath = 4 << 10 // bytes of the path of a want

	maxTaken          = 1 << 20
	minTakenBytes     = 1 + 16 + 1 + 1
	minWantBytes      = 32 + 1 + 1 + 1
	minCondemnedBytes = 32 + 1
)

// ErrReceipt is a receipt that fails a check of its envelope or its content.
var ErrReceipt = errors.New("invalid receipt")

// Taken says what the vault has of one shipment.
type Taken struct {
	Number   uint64 // of its snapshot
	Shipment ShipmentID
	Records  uint32
	All      bool   // every record arrived; Bits is empty
	Bits     []byte // bit i of byte i/8: record i arrived; records in the order of Commit.Files
}

// Arrived says whether record i (from 0) arrived.
func (t *Taken) Arrived(i uint32) bool {
	if i >= t.Records {
		return false
	}
	return t.All || int(i/8) < len(t.Bits) && t.Bits[i/8]&(1<<(i%8)) != 0
}

// Want is a chunk that the vault asks for.
type Want struct {
	ID   chunk.ID
	Kind chunk.Kind
	// Snapshot is the newest that names the chunk, Path one path in it that needs it, with the tree before it. They are
	// for people: 0 and "" where nothing is known, or the receipt has no room for more.
	Snapshot uint64
	Path     string
}

// Condemned is a chunk that the vault is about to delete. Since is the number of
// the first receipt that said so.
type Condemned struct {
	ID    chunk.ID
	Since uint64
}

// InventoryRef names the inventory that goes with a receipt: a list of all
// chunks that the vault had when the receipt was made. Count 0 and a zero digest:
// there is none.
type InventoryRef struct {
	Count  uint64 // of its chunks
	Digest chunk.Digest
}

// IsZero tells whether no inventory goes with the receipt.
func (r InventoryRef) IsZero() bool { return r == InventoryRef{} }

// Receipt is the vault's whole state towards home.
type Receipt struct {
	Route           wire.RouteID
	VaultName       string
	Epoch           Epoch
	Number          uint64
	Time            time.Time
	Taken           []Taken
	Wants           []Want
	Condemned       []Condemned
	Awaited         uint64 // chunks lacking that a shipment still out may bring
	HighestSnapshot uint64
	NewestArrived   uint64
	// Cleared is the newest snapshot of which the mirror has followed every
	// deletion; 0: of none.
	Cleared   uint64
	Inventory InventoryRef
	// ReadSince: every chunk that the vault has was checked by its ID, there, at
	// this time or later. Zero: of some that is not known.
	ReadSince   time.Time
	Free, Total int64
}

// EncodeReceipt returns the sealed receipt. It puts the lists into their
// order, without repetitions, and writes bits that are all set as "all". What DecodeReceipt would
// refuse is an error.
func EncodeReceipt(r *Receipt) ([]byte, error) {
	if len(r.Wants) > MaxWants || len(r.Condemned) > MaxCondemned || len(r.Taken) > maxTaken {
		return nil, fmt.Errorf("%w: %d wants, %d condemned, %d shipments", ErrReceipt, len(r.Wants), len(r.Condemned), len(r.Taken))
	}
	var w wire.Writer
	w.String(r.VaultName)
	w.Fixed(r.Epoch[:])
	w.Uvarint(r.Number)
	writeTime(&w, r.Time)
	w.Uvarint(r.HighestSnapshot)
	w.Uvarint(r.NewestArrived)
	w.Uvarint(r.Awaited)
	w.Uvarint(r.Cleared)
	w.Uvarint(r.Inventory.Count)
	w.Fixed(r.Inventory.Digest[:])
	writeTime(&w, r.ReadSince)
	w.Uvarint(uint64(r.Free))
	w.Uvarint(uint64(r.Total))
	taken := slices.SortedFunc(slices.Values(r.Taken), compareTaken)
	w.Uvarint(uint64(len(taken)))
	for i := range taken {
		t := &taken[i]
		if !t.All && t.bitsError() == nil {
			t.All = t.full()
		}
		w.Uvarint(t.Number)
		w.Fixed(t.Shipment[:])
		w.Uvarint(uint64(t.Records))
		w.Bool(t.All)
		if t.All {
			continue
		}
		if err := t.bitsError(); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrReceipt, err)
		}
		w.Fixed(t.Bits)
	}
	wants := slices.Compact(slices.SortedFunc(slices.Values(r.Wants), compareWants))
	w.Uvarint(uint64(len(wants)))
	for i := range wants {
		w.Fixed(wants[i].ID[:])
		w.Byte(byte(wants[i].Kind))
		w.Uvarint(wants[i].Snapshot)
		w.String(wants[i].Path)
	}
	condemned := slices.Compact(slices.SortedFunc(slices.Values(r.Condemned), compareCondemned))
	w.Uvarint(uint64(len(condemned)))
	for i := range condemned {
		w.Fixed(condemned[i].ID[:])
		w.Uvarint(condemned[i].Since)
	}
	if w.Len() > MaxReceipt-wire.Overhead {
		return nil, fmt.Errorf("%w: %d bytes, at most %d allowed", ErrReceipt, w.Len(), MaxReceipt)
	}
	b := wire.Seal(wire.Receipt, r.Route, w.Bytes())
	if _, err := DecodeReceipt(b); err != nil {
		return nil, err
	}
	return b, nil
}

// DecodeReceipt checks and reads a sealed receipt. Every error is an
// ErrReceipt.
func DecodeReceipt(b []byte) (*Receipt, error) {
	rc, err := decodeReceipt(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrReceipt, err)
	}
	return rc, nil
}

func decodeReceipt(b []byte) (*Receipt, error) {
	if len(b) > MaxReceipt {
		return nil, fmt.Errorf("%d bytes, at most %d allowed", len(b), MaxReceipt)
	}
	route, body, err := wire.Open(wire.Receipt, b)
	if err != nil {
		return nil, err
	}
	r := wire.NewReader(body)
	rc := &Receipt{Route: route, VaultName: r.String(MaxText)}
	copy(rc.Epoch[:], r.Fixed(len(rc.Epoch)))
	rc.Number, rc.Time = r.Uvarint(), readTime(r)
	rc.HighestSnapshot, rc.NewestArrived, rc.Awaited = r.Uvarint(), r.Uvarint(), r.Uvarint()
	rc.Cleared, rc.Inventory.Count = r.Uvarint(), r.Uvarint()
	copy(rc.Inventory.Digest[:], r.Fixed(len(rc.Inventory.Digest)))
	rc.ReadSince = readTime(r)
	rc.Free, rc.Total = readInt64(r), readInt64(r)
	if n := r.Count(maxTaken, minTakenBytes); n > 0 {
		rc.Taken = make([]Taken, n)
	}
	for i := range rc.Taken {
		t := &rc.Taken[i]
		t.Number = r.Uvarint()
		copy(t.Shipment[:], r.Fixed(len(t.Shipment)))
		t.Records, t.All = readU32(r), r.Bool()
		if t.Records > MaxRecords {
			r.Fail(fmt.Sprintf("at most %d records", MaxRecords), fmt.Sprint(t.Records))
		}
		if !t.All {
			t.Bits = slices.Clone(r.Fixed(int(t.Records+7) / 8)) // Fixed bounds it by what is there
		}
		if r.Err() != nil {
			return nil, r.Err()
		}
	}
	if n := r.Count(MaxWants, minWantBytes); n > 0 {
		rc.Wants = make([]Want, n)
	}
	for i := range rc.Wants {
		copy(rc.Wants[i].ID[:], r.Fixed(32))
		rc.Wants[i].Kind = chunk.Kind(r.Byte())
		rc.Wants[i].Snapshot, rc.Wants[i].Path = r.Uvarint(), r.String(MaxWantPath)
	}
	if n := r.Count(MaxCondemned, minCondemnedBytes); n > 0 {
		rc.Condemned = make([]Condemned, n)
	}
	for i := range rc.Condemned {
		copy(rc.Condemned[i].ID[:], r.Fixed(32))
		rc.Condemned[i].Since = r.Uvarint()
	}
	if err := r.Done(); err != nil {
		return nil, err
	}
	return rc, rc.check()
}

// check is what a sound codec does not see.
func (r *Receipt) check() error {
	if r.Route.IsZero() || r.Epoch == (Epoch{}) || r.Number == 0 {
		return errors.New("route, epoch or number is zero")
	}
	if n := max(r.Number, r.HighestSnapshot, r.NewestArrived, r.Cleared); n > snapshot.MaxNumber {
		return fmt.Errorf("number %d, at most %d", n, uint64(snapshot.MaxNumber))
	}
	if (r.Inventory.Digest == chunk.Digest{}) && r.Inventory.Count > 0 {
		return errors.New("inventory without a digest")
	}
	for i := range r.Taken {
		t := &r.Taken[i]
		if t.Number == 0 || t.Number > snapshot.MaxNumber || t.Shipment == (ShipmentID{}) {
			return fmt.Errorf("shipment taken: snapshot %d, id %v", t.Number, t.Shipment)
		}
		if i > 0 && compareTaken(r.Taken[i-1], *t) >= 0 {
			return fmt.Errorf("shipment %v after %v", t.Shipment, r.Taken[i-1].Shipment)
		}
		if t.All {
			continue
		}
		if err := t.bitsError(); err != nil {
			return err
		}
		if t.full() {
			return fmt.Errorf("shipment %v: every bit set, and not said to be all", t.Shipment)
		}
	}
	for i := range r.Wants {
		if w := &r.Wants[i]; !w.Kind.Valid() {
			return fmt.Errorf("want of kind %v", w.Kind)
		} else if w.Snapshot > snapshot.MaxNumber {
			return fmt.Errorf("want %v of snapshot %d", w.ID, w.Snapshot)
		} else if i > 0 && compareWants(r.Wants[i-1], *w) >= 0 {
			return fmt.Errorf("want %v after %v", w.ID, r.Wants[i-1].ID)
		}
	}
	for i := range r.Condemned {
		if c := &r.Condemned[i]; c.Since == 0 || c.Since > r.Number {
			return fmt.Errorf("condemned %v since receipt %d", c.ID, c.Since)
		} else if i > 0 && compareCondemned(r.Condemned[i-1], *c) >= 0 {
			return fmt.Errorf("condemned %v after %v", c.ID, r.Condemned[i-1].ID)
		}
	}
	return nil
}

// bitsError says whether the bits are as many as the records, the rest 0.
func (t *Taken) bitsError() error {
	if uint64(len(t.Bits)) != (uint64(t.Records)+7)/8 {
		return fmt.Errorf("shipment %v: %d bytes of bits for %d records", t.Shipment, len(t.Bits), t.Records)
	}
	if n := t.Records % 8; n != 0 && t.Bits[len(t.Bits)-1]>>n != 0 {
		return fmt.Errorf("shipment %v: bits beyond %d records", t.Shipment, t.Records)
	}
	return nil
}

// full says whether every bit is set.
func (t *Taken) full() bool {
	for i := range t.Records / 8 {
		if t.Bits[i] != 0xff {
			return false
		}
	}
	n := t.Records % 8
	return n == 0 || t.Bits[t.Records/8] == 1<<n-1
}

func compareTaken(a, b Taken) int {
	return cmp.Or(cmp.Compare(a.Number, b.Number), slices.Compare(a.Shipment[:], b.Shipment[:]))
}

func compareWants(a, b Want) int { return a.ID.Compare(b.ID) }

func compareCondemned(a, b Condemned) int { return a.ID.Compare(b.ID) }
