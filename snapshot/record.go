package snapshot

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"waterlock/internal/chunk"
	"waterlock/internal/wire"
)

// Limits of a record.
const (
	MaxTrees = 4096
	MaxHost  = 255  // bytes of the host's name
	MaxText  = 4096 // bytes of the reason why a tree was stopped

	maxSeconds   = 253402300799 // the end of the year 9999
	minRefBytes  = 32 + 1 + 1 + 1
	minTreeBytes = 10
)

const recordContext = "waterlock 2026-11 snapshot record"

// ErrRecord is a snapshot record that breaks the rules.
var ErrRecord = errors.New("invalid snapshot record")

// StreamRef names one stream chunk and what is needed to decode it alone.
type StreamRef struct {
	ID        chunk.ID
	Length    uint32 // plain bytes
	FirstPath string // path of its first item, so the names of all its parents
	Continues bool   // the first item continues the content of FirstPath
}

// TreeRecord is one tree of a snapshot.
type TreeRecord struct {
	Name    string
	Root    string // path of the source at home; for people only
	Stopped string // why the tree was stopped: its stream is that of last time; "" if it was not
	Totals  Totals
	Chunks  []StreamRef
}

// Record is a snapshot: the streams of all trees at one moment.
type Record struct {
	Number uint64
	Time   time.Time // UTC, from 1970 to 9999
	Host   string
	Trees  []TreeRecord // ascending by name
}

// Encode writes the record. It must be valid.
func (r *Record) Encode(w *wire.Writer) {
	w.Uvarint(r.Number)
	w.Uvarint(uint64(r.Time.Unix()))
	w.Uvarint(uint64(r.Time.Nanosecond()))
	w.String(r.Host)
	w.Uvarint(uint64(len(r.Trees)))
	for i := range r.Trees {
		t := &r.Trees[i]
		w.String(t.Name)
		w.String(t.Root)
		w.String(t.Stopped)
		for _, n := range t.Totals.fields() {
			w.Uvarint(uint64(*n))
		}
		w.Uvarint(uint64(len(t.Chunks)))
		for _, c := range t.Chunks {
			w.Fixed(c.ID[:])
			w.Uvarint(uint64(c.Length))
			w.Bool(c.Continues)
			w.String(c.FirstPath)
		}
	}
}

// DecodeRecord reads what Encode wrote and validates it.
func DecodeRecord(r *wire.Reader) (*Record, error) {
	rec := &Record{Number: r.Uvarint()}
	sec, nsec := r.Uvarint(), r.Uvarint()
	if sec > maxSeconds || nsec >= 1e9 {
		return nil, fmt.Errorf("%w: time %d.%09d", ErrRecord, sec, nsec)
	}
	rec.Time = time.Unix(int64(sec), int64(nsec)).UTC()
	rec.Host = r.String(MaxHost)
	for range r.Count(MaxTrees, minTreeBytes) {
		t := TreeRecord{Name: r.String(MaxName), Root: r.String(MaxPath), Stopped: r.String(MaxText)}
		for _, n := range t.Totals.fields() {
			v := r.Uvarint()
			if v > MaxSize {
				return nil, fmt.Errorf("%w: total %d", ErrRecord, v)
			}
			*n = int64(v)
		}
		if n := r.Count(wire.MaxBody/minRefBytes, minRefBytes); n > 0 {
			t.Chunks = make([]StreamRef, n)
		}
		for i := range t.Chunks {
			c := &t.Chunks[i]
			copy(c.ID[:], r.Fixed(len(c.ID)))
			length := r.Uvarint()
			if length > maxChunk {
				return nil, fmt.Errorf("%w: stream chunk of %d bytes", ErrRecord, length)
			}
			c.Length, c.Continues, c.FirstPath = uint32(length), r.Bool(), r.String(MaxPath)
			if err := r.Err(); err != nil {
				return nil, err
			}
		}
		if err := r.Err(); err != nil {
			return nil, err
		}
		rec.Trees = append(rec.Trees, t)
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	return rec, rec.Validate()
}

// MaxNumber bounds the numbers of snapshots and receipts, so that a forged one
// leaves room above it: they only grow.
const MaxNumber = 1 << 62

// Validate checks the record by itself, without its streams.
func (r *Record) Validate() error {
	bad := func(format string, a ...any) error {
		return fmt.Errorf("%w: %s", ErrRecord, fmt.Sprintf(format, a...))
	}
	if r.Number == 0 || r.Number > MaxNumber {
		return bad("number %d", r.Number)
	}
	if s := r.Time.Unix(); s < 0 || s > maxSeconds {
		return bad("time %v", r.Time)
	}
	if len(r.Host) > MaxHost || strings.IndexByte(r.Host, 0) >= 0 {
		return bad("host of %d bytes", len(r.Host))
	}
	if len(r.Trees) > MaxTrees {
		return bad("%d trees", len(r.Trees))
	}
	for i := range r.Trees {
		t := &r.Trees[i]
		if err := ValidName(t.Name); err != nil {
			return fmt.Errorf("%w: tree: %w", ErrRecord, err)
		}
		if i > 0 && r.Trees[i-1].Name >= t.Name {
			return bad("tree %q after %q", t.Name, r.Trees[i-1].Name)
		}
		if err := t.validate(); err != nil {
			return fmt.Errorf("tree %q: %w", t.Name, err)
		}
	}
	return nil
}

func (t *TreeRecord) validate() error {
	if len(t.Root) > MaxPath || len(t.Stopped) > MaxText {
		return fmt.Errorf("%w: text of %d bytes", ErrRecord, len(t.Root)+len(t.Stopped))
	}
	if err := t.Totals.validate(); err != nil {
		return err
	}
	for i := range t.Chunks {
		c := &t.Chunks[i]
		if c.Length == 0 || c.Length > maxChunk || c.ID.IsZero() {
			return fmt.Errorf("%w: stream chunk %s of %d bytes", ErrRecord, c.ID, c.Length)
		}
		if err := ValidPath(c.FirstPath); err != nil {
			return fmt.Errorf("%w: %w", ErrRecord, err)
		}
		if i == 0 {
			if c.FirstPath != "" || c.Continues {
				return fmt.Errorf("%w: begins with %q", ErrRecord, c.FirstPath)
			}
			continue
		}
		order := ComparePaths(t.Chunks[i-1].FirstPath, c.FirstPath)
		if order > 0 || order == 0 && !c.Continues {
			return fmt.Errorf("%w: stream chunk at %q after %q", ErrRecord, c.FirstPath, t.Chunks[i-1].FirstPath)
		}
	}
	return nil
}

// ID identifies a snapshot: the checksum of its encoded record.
func (r *Record) ID() [32]byte {
	var w wire.Writer
	r.Encode(&w)
	return chunk.Checksum(recordContext, w.Bytes())
}

// Whole tells whether nothing in the snapshot is pending or unseen and no tree
// was stopped.
func (r *Record) Whole() bool {
	for i := range r.Trees {
		if t := &r.Trees[i]; t.Stopped != "" || t.Totals.Pending+t.Totals.Unseen != 0 {
			return false
		}
	}
	return true
}

// Totals adds up the totals of all trees.
func (r *Record) Totals() Totals {
	var sum Totals
	for i := range r.Trees {
		sum.Add(r.Trees[i].Totals)
	}
	return sum
}

// Tree finds a tree by name.
func (r *Record) Tree(name string) (*TreeRecord, bool) {
	for i := range r.Trees {
		if r.Trees[i].Name == name {
			return &r.Trees[i], true
		}
	}
	return nil, false
}
