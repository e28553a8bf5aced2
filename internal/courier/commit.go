package courier

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/internal/wire"
	"waterlock/snapshot"
)

// Limits of a commit.
const (
	MaxCommit  = 64 << 20 // bytes of the sealed object
	MaxPacks   = 999_999  // of one kind in a shipment
	MaxRecords = 1 << 27  // of all packs of a shipment
	MaxLabel   = 128      // bytes of a drive's label
	MaxText    = 255      // bytes of a name of a vault or a tool

	maxPackSize    = 1<<32 - 1
	maxPackRecords = 1 << 16
	maxOut         = 1 << 16

	minFileBytes = 1 + 11 + 1 + 1 + 1 + 32 + 1
	minOutBytes  = 1 + 16 + 16 + 1 + 2 + 1
)

// ErrCommit is a commit that fails a check of its envelope or its content.
var ErrCommit = errors.New("invalid commit")

// FileRef names one file of a shipment, as the commit knows it.
type FileRef struct {
	Name     string // NNNNNN.pack or NNNNNN.meta
	Kind     chunk.Kind
	Size     int64
	Records  uint32
	Digest   chunk.Digest
	ReadBack disk.Coldness // how it was read back before the commit
}

// RouteInfo is what a vault must know of the route to join it.
type RouteInfo struct {
	ID        wire.RouteID
	Name      string
	Created   time.Time
	Chunker   chunk.Params
	Encrypted bool
}

// Basis is the newest receipt that home knew; zero if none.
type Basis struct {
	Epoch   Epoch
	Receipt uint64
}

// OutShipment is another shipment of the route that no receipt has
// acknowledged in full.
type OutShipment struct {
	Number     uint64 // of its snapshot
	Shipment   ShipmentID
	Drive      DriveID
	DriveLabel string
	Time       time.Time
	Lost       bool
}

// Commit is the word that a shipment is complete. It is written last.
type Commit struct {
	Route      RouteInfo
	Shipment   ShipmentID
	Attempt    uint32
	Drive      DriveID
	DriveLabel string
	Time       time.Time
	Tool       string
	Files      []FileRef // data packs by name, then meta packs by name
	Snapshot   snapshot.Record
	Basis      Basis
	// BasisDigest is the digest of that receipt's file: a vault that was set back may have given its number again. Zero if there is none.
	BasisDigest chunk.Digest
	Inventory   bool   // home asks for a list of all chunks that the vault has
	Floor       uint64 // lowest snapshot number whose shipment home has not seen acknowledged
	Out         []OutShipment
}

// Records is the number of records of all files.
func (c *Commit) Records() uint32 {
	var n uint64 // an unchecked commit may exceed MaxRecords
	for i := range c.Files {
		n += uint64(c.Files[i].Records)
	}
	return uint32(min(n, MaxRecords+1))
}

// EncodeCommit returns the sealed commit. It puts files and shipments out into
// their order; the order of Files is that of the bits of a receipt. What
// DecodeCommit would refuse is an error.
func EncodeCommit(c *Commit) ([]byte, error) {
	var w wire.Writer
	c.Route.encode(&w)
	w.Fixed(c.Shipment[:])
	w.Uvarint(uint64(c.Attempt))
	w.Fixed(c.Drive[:])
	w.String(c.DriveLabel)
	writeTime(&w, c.Time)
	w.String(c.Tool)
	encodeFiles(&w, c.Files)
	c.Snapshot.Encode(&w)
	w.Fixed(c.Basis.Epoch[:])
	w.Uvarint(c.Basis.Receipt)
	w.Fixed(c.BasisDigest[:])
	w.Bool(c.Inventory)
	w.Uvarint(c.Floor)
	out := slices.SortedFunc(slices.Values(c.Out), compareOut)
	w.Uvarint(uint64(len(out)))
	for i := range out {
		o := &out[i]
		w.Uvarint(o.Number)
		w.Fixed(o.Shipment[:])
		w.Fixed(o.Drive[:])
		w.String(o.DriveLabel)
		writeTime(&w, o.Time)
		w.Bool(o.Lost)
	}
	if w.Len() > MaxCommit-wire.Overhead {
		return nil, fmt.Errorf("%w: %d bytes, at most %d allowed", ErrCommit, w.Len(), MaxCommit)
	}
	b := wire.Seal(wire.Commit, c.Route.ID, w.Bytes())
	if _, err := DecodeCommit(b); err != nil {
		return nil, err
	}
	return b, nil
}

// DecodeCommit checks and reads a sealed commit. Every error is an ErrCommit.
func DecodeCommit(b []byte) (*Commit, error) {
	c, err := decodeCommit(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCommit, err)
	}
	return c, nil
}

func decodeCommit(b []byte) (*Commit, error) {
	if len(b) > MaxCommit {
		return nil, fmt.Errorf("%d bytes, at most %d allowed", len(b), MaxCommit)
	}
	route, body, err := wire.Open(wire.Commit, b)
	if err != nil {
		return nil, err
	}
	r := wire.NewReader(body)
	c := &Commit{Route: decodeRoute(r, route)}
	copy(c.Shipment[:], r.Fixed(len(c.Shipment)))
	c.Attempt = readU32(r)
	copy(c.Drive[:], r.Fixed(len(c.Drive)))
	c.DriveLabel, c.Time, c.Tool = r.String(MaxLabel), readTime(r), r.String(MaxText)
	c.Files = decodeFiles(r)
	if err := r.Err(); err != nil {
		return nil, err
	}
	rec, err := snapshot.DecodeRecord(r)
	if err != nil {
		return nil, err
	}
	c.Snapshot = *rec
	copy(c.Basis.Epoch[:], r.Fixed(len(c.Basis.Epoch)))
	c.Basis.Receipt = r.Uvarint()
	copy(c.BasisDigest[:], r.Fixed(len(c.BasisDigest)))
	c.Inventory, c.Floor = r.Bool(), r.Uvarint()
	if n := r.Count(maxOut, minOutBytes); n > 0 {
		c.Out = make([]OutShipment, n)
	}
	for i := range c.Out {
		o := &c.Out[i]
		o.Number = r.Uvarint()
		copy(o.Shipment[:], r.Fixed(len(o.Shipment)))
		copy(o.Drive[:], r.Fixed(len(o.Drive)))
		o.DriveLabel, o.Time, o.Lost = r.String(MaxLabel), readTime(r), r.Bool()
	}
	if err := r.Done(); err != nil {
		return nil, err
	}
	return c, c.check()
}

// check is what a sound codec does not see.
func (c *Commit) check() error {
	if c.Route.ID.IsZero() || c.Shipment == (ShipmentID{}) || c.Drive == (DriveID{}) {
		return errors.New("an id is zero")
	}
	if err := c.Route.check(); err != nil {
		return err
	}
	if c.Basis.Receipt > snapshot.MaxNumber || c.Floor > snapshot.MaxNumber {
		return fmt.Errorf("basis %d, floor %d: at most %d", c.Basis.Receipt, c.Floor, uint64(snapshot.MaxNumber))
	}
	if c.Basis.Receipt == 0 && c.BasisDigest != (chunk.Digest{}) {
		return errors.New("digest of no receipt")
	}
	if err := checkFiles(c.Files, MaxRecords); err != nil {
		return err
	}
	for i := range c.Out {
		if o := &c.Out[i]; o.Number == 0 || o.Number > snapshot.MaxNumber || o.Shipment == (ShipmentID{}) {
			return fmt.Errorf("shipment out: snapshot %d, id %v", o.Number, o.Shipment)
		} else if i > 0 && compareOut(c.Out[i-1], *o) >= 0 {
			return fmt.Errorf("shipment out %v after %v", o.Shipment, c.Out[i-1].Shipment)
		}
	}
	return nil
}

// encode writes all of a route but its ID, which the envelope has.
func (i *RouteInfo) encode(w *wire.Writer) {
	w.String(i.Name)
	writeTime(w, i.Created)
	w.Uvarint(i.Chunker.Polynomial)
	w.Uvarint(uint64(i.Chunker.Min))
	w.Uvarint(uint64(i.Chunker.Max))
	w.Byte(i.Chunker.AverageBits)
	w.Bool(i.Encrypted)
}

func decodeRoute(r *wire.Reader, id wire.RouteID) RouteInfo {
	i := RouteInfo{ID: id, Name: r.String(snapshot.MaxName), Created: readTime(r)}
	i.Chunker.Polynomial = r.Uvarint()
	i.Chunker.Min, i.Chunker.Max, i.Chunker.AverageBits = readU32(r), readU32(r), r.Byte()
	i.Encrypted = r.Bool()
	return i
}

func (i *RouteInfo) check() error {
	if err := snapshot.ValidName(i.Name); err != nil {
		return fmt.Errorf("route: %w", err)
	}
	return i.Chunker.Validate()
}

// encodeFiles writes the files in their order.
func encodeFiles(w *wire.Writer, list []FileRef) {
	files := slices.SortedFunc(slices.Values(list), compareFiles)
	w.Uvarint(uint64(len(files)))
	for i := range files {
		f := &files[i]
		w.String(f.Name)
		w.Byte(byte(f.Kind))
		w.Uvarint(uint64(f.Size))
		w.Uvarint(uint64(f.Records))
		w.Fixed(f.Digest[:])
		w.Byte(byte(f.ReadBack))
	}
}

func decodeFiles(r *wire.Reader) (files []FileRef) {
	if n := r.Count(2*MaxPacks, minFileBytes); n > 0 {
		files = make([]FileRef, n)
	}
	for i := range files {
		f := &files[i]
		f.Name, f.Kind = r.String(len("000001.pack")), chunk.Kind(r.Byte())
		f.Size, f.Records = readInt64(r), readU32(r)
		copy(f.Digest[:], r.Fixed(len(f.Digest)))
		f.ReadBack = disk.Coldness(r.Byte())
	}
	return files
}

// checkFiles holds the files of a shipment or return to their order, and their
// records to a limit.
func checkFiles(files []FileRef, limit uint64) error {
	records := uint64(0)
	for i := range files {
		f := &files[i]
		if err := f.check(); err != nil {
			return err
		}
		if i > 0 && compareFiles(files[i-1], *f) >= 0 {
			return fmt.Errorf("file %q after %q", f.Name, files[i-1].Name)
		}
		if records += uint64(f.Records); records > limit {
			return fmt.Errorf("more than %d records", limit)
		}
	}
	return nil
}

func (f *FileRef) check() error {
	kind, ok := packNameKind(f.Name)
	switch {
	case !ok:
		return fmt.Errorf("file name %q", f.Name)
	case f.Kind != kind:
		return fmt.Errorf("file %s of kind %v", f.Name, f.Kind)
	case f.Size < 1 || f.Size > maxPackSize:
		return fmt.Errorf("file %s of %d bytes", f.Name, f.Size)
	case f.Records < 1 || f.Records > maxPackRecords:
		return fmt.Errorf("file %s of %d records", f.Name, f.Records)
	case f.ReadBack != disk.Cold && f.ReadBack != disk.Warm:
		return fmt.Errorf("file %s read back %v", f.Name, f.ReadBack)
	}
	return nil
}

// compareFiles puts data packs before meta packs.
func compareFiles(a, b FileRef) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
}

func compareOut(a, b OutShipment) int {
	return cmp.Or(cmp.Compare(a.Number, b.Number), slices.Compare(a.Shipment[:], b.Shipment[:]))
}
