package courier

import (
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"waterlock/internal/chunk"
	"waterlock/internal/wire"
	"waterlock/snapshot"
)

// Limits of a return.
const (
	MaxReturn        = 96 << 20 // bytes of the sealed object
	MaxReturnRecords = 1 << 22  // of all packs: whoever reads it keeps a table of them in memory
	MaxReturnPaths   = 4096     // asked for

	maxAsked          = snapshot.MaxName + 1 + snapshot.MaxPath
	homecomingContext = "waterlock 2026-11 homecoming"
)

// ErrReturn is a return that fails a check of its envelope or its content.
var ErrReturn = errors.New("invalid return")

// HomecomingID names one homecoming: a snapshot, or paths of it, on its way to
// a new home. It is derived from them, so nobody has to remember it.
type HomecomingID [16]byte

// String returns 32 lower-case hex digits.
func (id HomecomingID) String() string { return hex.EncodeToString(id[:]) }

// Short returns 8 hex digits, for people.
func (id HomecomingID) Short() string { return id.String()[:8] }

// HomecomingOf is the homecoming of these paths of a snapshot. The paths are
// in order and none lies under another; none at all is all of it.
func HomecomingOf(record *snapshot.Record, paths []string) HomecomingID {
	var w wire.Writer
	id := record.ID()
	w.Fixed(id[:])
	for _, p := range paths {
		w.String(p)
	}
	sum := chunk.Checksum(homecomingContext, w.Bytes())
	return HomecomingID(sum[:16])
}

// ReturnID is drawn when a return is begun.
type ReturnID [16]byte

// String returns 32 lower-case hex digits.
func (id ReturnID) String() string { return hex.EncodeToString(id[:]) }

// Short returns 8 hex digits, for people.
func (id ReturnID) Short() string { return id.String()[:8] }

// NewReturnID draws an ID.
func NewReturnID() ReturnID { return ReturnID(NewShipmentID()) }

// Return is the word that a return is complete: what one run puts on one drive
// for a new home. It is written last.
type Return struct {
	Route      RouteInfo
	ID         ReturnID
	Drive      DriveID
	DriveLabel string
	Time       time.Time
	Tool       string
	Vault      string    // name of the vault that packed it
	Files      []FileRef // data packs by name, then meta packs by name
	Snapshot   snapshot.Record
	Paths      []string // asked for, TREE or TREE/PATH, in order; none: all
	Brings     Cover
	LeftFiles  int64 // that no return brings yet, this one included
	LeftBytes  int64 // plain bytes of these
}

// Homecoming is the homecoming that the return belongs to.
func (r *Return) Homecoming() HomecomingID { return HomecomingOf(&r.Snapshot, r.Paths) }

// PathsIn are the paths of a tree among those asked for, none where all of the
// tree is; asked is false where nothing of it is.
func PathsIn(paths []string, tree string) (in []string, asked bool) {
	if len(paths) == 0 {
		return nil, true
	}
	for _, p := range paths {
		if name, rest, under := strings.Cut(p, "/"); name == tree {
			if !under {
				return nil, true
			}
			in = append(in, rest)
		}
	}
	return in, len(in) > 0
}

// Bytes is what the packs take.
func (r *Return) Bytes() (n int64) {
	for i := range r.Files {
		n += r.Files[i].Size
	}
	return n
}

// EncodeReturn returns the sealed return, with its files in order. What
// DecodeReturn would refuse is an error.
func EncodeReturn(c *Return) ([]byte, error) {
	var w wire.Writer
	c.Route.encode(&w)
	w.Fixed(c.ID[:])
	w.Fixed(c.Drive[:])
	w.String(c.DriveLabel)
	writeTime(&w, c.Time)
	w.String(c.Tool)
	w.String(c.Vault)
	encodeFiles(&w, c.Files)
	c.Snapshot.Encode(&w)
	w.Uvarint(uint64(len(c.Paths)))
	for _, p := range c.Paths {
		w.String(p)
	}
	c.Brings.encode(&w)
	w.Uvarint(uint64(c.LeftFiles))
	w.Uvarint(uint64(c.LeftBytes))
	if w.Len() > MaxReturn-wire.Overhead {
		return nil, fmt.Errorf("%w: %d bytes, at most %d allowed", ErrReturn, w.Len(), MaxReturn)
	}
	b := wire.Seal(wire.Return, c.Route.ID, w.Bytes())
	if _, err := DecodeReturn(b); err != nil {
		return nil, err
	}
	return b, nil
}

// DecodeReturn checks and reads a sealed return. Every error is an ErrReturn.
func DecodeReturn(b []byte) (*Return, error) {
	c, err := decodeReturn(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrReturn, err)
	}
	return c, nil
}

func decodeReturn(b []byte) (*Return, error) {
	if len(b) > MaxReturn {
		return nil, fmt.Errorf("%d bytes, at most %d allowed", len(b), MaxReturn)
	}
	route, body, err := wire.Open(wire.Return, b)
	if err != nil {
		return nil, err
	}
	r := wire.NewReader(body)
	c := &Return{Route: decodeRoute(r, route)}
	copy(c.ID[:], r.Fixed(len(c.ID)))
	copy(c.Drive[:], r.Fixed(len(c.Drive)))
	c.DriveLabel, c.Time, c.Tool, c.Vault = r.String(MaxLabel), readTime(r), r.String(MaxText), r.String(MaxText)
	c.Files = decodeFiles(r)
	if err := r.Err(); err != nil {
		return nil, err
	}
	rec, err := snapshot.DecodeRecord(r)
	if err != nil {
		return nil, err
	}
	c.Snapshot = *rec
	for range r.Count(MaxReturnPaths, 2) {
		c.Paths = append(c.Paths, r.String(maxAsked))
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	if c.Brings, err = decodeCover(r); err != nil {
		return nil, err
	}
	c.LeftFiles, c.LeftBytes = readInt64(r), readInt64(r)
	if err := r.Done(); err != nil {
		return nil, err
	}
	return c, c.check()
}

func (c *Return) check() error {
	if c.Route.ID.IsZero() || c.ID == (ReturnID{}) || c.Drive == (DriveID{}) {
		return errors.New("an id is zero")
	}
	if err := c.Route.check(); err != nil {
		return err
	}
	if err := checkFiles(c.Files, MaxReturnRecords); err != nil {
		return err
	}
	for i, p := range c.Paths {
		tree, rest, under := strings.Cut(p, "/")
		if _, has := c.Snapshot.Tree(tree); !has {
			return fmt.Errorf("path %q: no such tree", p)
		}
		if err := snapshot.ValidPath(rest); err != nil || under && rest == "" {
			return fmt.Errorf("path %q: %w", p, cmp.Or(err, snapshot.ErrName))
		}
		if i > 0 && (snapshot.ComparePaths(c.Paths[i-1], p) >= 0 || snapshot.Under(p, c.Paths[i-1])) {
			return fmt.Errorf("path %q after %q", p, c.Paths[i-1])
		}
	}
	for i := range c.Brings {
		if _, has := c.Snapshot.Tree(c.Brings[i].Tree); !has {
			return fmt.Errorf("brings tree %q, which is not in the snapshot", c.Brings[i].Tree)
		}
	}
	return nil
}

// Landing is a new home's whole state towards the vault: what of a homecoming
// has come there. The newest alone suffices.
type Landing struct {
	Route      wire.RouteID
	Homecoming HomecomingID
	Place      [16]byte  // drawn where the first return was taken
	Begun      time.Time // when that was
	Number     uint64    // only grows at one place
	Time       time.Time
	Host       string
	Complete   bool       // all is there
	Taken      []ReturnID // gone through to the end, ascending
	There      Cover
}

// maxReturns bounds the returns that a landing names.
const maxReturns = 1 << 16

// ErrLanding is a landing that fails a check of its envelope or its content.
var ErrLanding = errors.New("invalid landing")

// Compare orders landings: the newer place counts, then the higher number.
func (l *Landing) Compare(o *Landing) int {
	return cmp.Or(l.Begun.Compare(o.Begun), slices.Compare(l.Place[:], o.Place[:]), cmp.Compare(l.Number, o.Number))
}

// Took tells whether a return was gone through to its end. No landing took none.
func (l *Landing) Took(id ReturnID) bool {
	if l == nil {
		return false
	}
	_, ok := slices.BinarySearchFunc(l.Taken, id, compareReturns)
	return ok
}

func compareReturns(a, b ReturnID) int { return slices.Compare(a[:], b[:]) }

// EncodeLanding returns the sealed landing, with the returns taken in order.
func EncodeLanding(l *Landing) ([]byte, error) {
	var w wire.Writer
	w.Fixed(l.Homecoming[:])
	w.Fixed(l.Place[:])
	writeTime(&w, l.Begun)
	w.Uvarint(l.Number)
	writeTime(&w, l.Time)
	w.String(l.Host)
	w.Bool(l.Complete)
	taken := slices.SortedFunc(slices.Values(l.Taken), compareReturns)
	w.Uvarint(uint64(len(taken)))
	for _, id := range taken {
		w.Fixed(id[:])
	}
	l.There.encode(&w)
	if w.Len() > MaxReturn-wire.Overhead {
		return nil, fmt.Errorf("%w: %d bytes, at most %d allowed", ErrLanding, w.Len(), MaxReturn)
	}
	b := wire.Seal(wire.Landing, l.Route, w.Bytes())
	if _, err := DecodeLanding(b); err != nil {
		return nil, err
	}
	return b, nil
}

// DecodeLanding checks and reads a sealed landing. Every error is an
// ErrLanding.
func DecodeLanding(b []byte) (*Landing, error) {
	l, err := decodeLanding(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLanding, err)
	}
	return l, nil
}

func decodeLanding(b []byte) (*Landing, error) {
	if len(b) > MaxReturn {
		return nil, fmt.Errorf("%d bytes, at most %d allowed", len(b), MaxReturn)
	}
	route, body, err := wire.Open(wire.Landing, b)
	if err != nil {
		return nil, err
	}
	r := wire.NewReader(body)
	l := &Landing{Route: route}
	copy(l.Homecoming[:], r.Fixed(len(l.Homecoming)))
	copy(l.Place[:], r.Fixed(len(l.Place)))
	l.Begun, l.Number, l.Time = readTime(r), r.Uvarint(), readTime(r)
	l.Host, l.Complete = r.String(snapshot.MaxHost), r.Bool()
	for range r.Count(maxReturns, len(ReturnID{})) {
		l.Taken = append(l.Taken, ReturnID(r.Fixed(len(ReturnID{}))))
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	if l.There, err = decodeCover(r); err != nil {
		return nil, err
	}
	if err := r.Done(); err != nil {
		return nil, err
	}
	return l, l.check()
}

func (l *Landing) check() error {
	switch {
	case l.Route.IsZero() || l.Homecoming == (HomecomingID{}) || l.Place == [16]byte{}:
		return errors.New("an id is zero")
	case l.Number == 0 || l.Number > snapshot.MaxNumber:
		return fmt.Errorf("number %d", l.Number)
	case l.Begun.IsZero():
		return errors.New("no time at which it began")
	}
	for i := 1; i < len(l.Taken); i++ {
		if compareReturns(l.Taken[i-1], l.Taken[i]) >= 0 {
			return fmt.Errorf("return %v after %v", l.Taken[i], l.Taken[i-1])
		}
	}
	return nil
}
