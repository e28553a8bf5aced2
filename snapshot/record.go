package snapshot

import (
	"time"

	"waterlock/internal/chunk"
	"waterlock/internal/wire"
)

// StreamRef names one stream chunk and what is needed to decode it alone.
type StreamRef struct {
	ID        chunk.ID
	Length    uint32 // plain bytes
	FirstPath string // path of its first item, so the names of all its parents
	Continues bool   // the first item continues the content of FirstPath
}

// Totals counts the entries of a tree. Hard links count each.
type Totals struct {
	Files, Dirs, Others int64 // entries by kind
	Bytes               int64 // sizes of all files added up
	Pending, Unseen     int64 // entries with that flag
}

// Add adds o to t.
func (t *Totals) Add(o Totals) { panic("unwritten") }

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
	Time   time.Time
	Host   string
	Trees  []TreeRecord // in the order of their names
}

// Encode writes the record. It must be valid.
func (r *Record) Encode(w *wire.Writer) { panic("unwritten") }

// DecodeRecord reads what Encode wrote and validates it.
func DecodeRecord(r *wire.Reader) (*Record, error) { panic("unwritten") }

// Validate checks the record by itself, without its streams.
func (r *Record) Validate() error { panic("unwritten") }

// ID identifies a snapshot: the checksum of its encoded record.
func (r *Record) ID() [32]byte { panic("unwritten") }

// Whole tells whether nothing in the snapshot is pending or unseen and no tree
// was stopped.
func (r *Record) Whole() bool { panic("unwritten") }

// Tree finds a tree by name.
func (r *Record) Tree(name string) (*TreeRecord, bool) { panic("unwritten") }
