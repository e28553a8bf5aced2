package snapshot

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"math"

	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/internal/wire"
)

// StreamWriter cuts the entries of one tree into stream chunks. Its memory is
// one stream chunk and one item.
type StreamWriter struct {
	emit   func(plain []byte, ref StreamRef) error
	buf    []byte
	ref    StreamRef // of what lies in buf
	item   wire.Writer
	last   position
	graves Graves
	totals Totals
	err    error
}

// NewStreamWriter begins a stream. emit is called with each stream chunk in
// order; plain is valid until it returns.
func NewStreamWriter(emit func(plain []byte, ref StreamRef) error) *StreamWriter {
	return &StreamWriter{emit: emit}
}

// Add appends an entry or a tombstone. They come in tree order, the root
// first. One that breaks a rule is refused and changes nothing; an error of
// emit ends the stream.
func (w *StreamWriter) Add(e *Entry) error {
	if w.err != nil {
		return w.err
	}
	if e.Gone != Here {
		return w.addGone(e)
	}
	if err := e.Validate(); err != nil {
		return err
	}
	if err := w.last.follow(e.Path, Here); err != nil {
		return err
	}
	w.err = encodeItems(&w.item, e, func(item []byte, more bool) error {
		return w.addItem(item, e.Path, more)
	})
	if w.err != nil {
		return w.err
	}
	w.last.step(e)
	w.totals.count(e)
	return nil
}

func (w *StreamWriter) addItem(item []byte, path string, more bool) error {
	var size [binary.MaxVarintLen64]byte
	n := binary.PutUvarint(size[:], uint64(len(item)))
	if len(w.buf) > 0 && len(w.buf)+n+len(item) > MaxStreamChunk {
		if err := w.flush(); err != nil {
			return err
		}
	}
	if len(w.buf) == 0 {
		w.ref = StreamRef{FirstPath: path, Continues: more}
	}
	w.buf = append(append(w.buf, size[:n]...), item...)
	if len(w.buf) >= MinStreamChunk && cutsChunk(item) {
		return w.flush()
	}
	return nil
}

func (w *StreamWriter) flush() error {
	if len(w.buf) == 0 {
		return nil
	}
	w.ref.ID = chunk.Stream.ID(w.buf)
	w.ref.Length = uint32(len(w.buf))
	err := w.emit(w.buf, w.ref)
	w.buf = w.buf[:0]
	if cap(w.buf) > 2*MaxStreamChunk {
		w.buf = nil
	}
	return err
}

// Close emits what is left and returns the totals.
func (w *StreamWriter) Close() (Totals, error) {
	if w.err == nil {
		if w.err = w.flush(); w.err == nil {
			w.err = errClosed
			return w.totals, nil
		}
	}
	return w.totals, w.err
}

var errClosed = errors.New("stream is closed")

// cutsChunk tells whether a stream chunk ends behind this item: by its own
// bytes, so that a change elsewhere moves no border. The chance grows with the
// item's length, so that the size of chunks does not depend on that of items.
func cutsChunk(item []byte) bool {
	h := fnv.New64a()
	h.Write(item)
	// FNV leaves the last bytes in the low bits.
	x := mix64(h.Sum64())
	const perByte = math.MaxUint64 / (AvgStreamChunk - MinStreamChunk)
	return x/perByte < uint64(len(item))
}

// mix64 spreads every bit of x over all of them (the finalizer of MurmurHash3).
func mix64(x uint64) uint64 {
	x = (x ^ x>>33) * 0xff51afd7ed558ccd
	x = (x ^ x>>33) * 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

// Totals counts the entries of a tree. Hard links count each.
type Totals struct {
	Files, Dirs, Others int64 // entries by kind
	Bytes               int64 // sizes of all files added up
	Pending, Unseen     int64 // entries with that flag
}

// Add adds o to t.
func (t *Totals) Add(o Totals) {
	for i, p := range t.fields() {
		*p += *o.fields()[i]
	}
}

func (t *Totals) fields() [6]*int64 {
	return [...]*int64{&t.Files, &t.Dirs, &t.Others, &t.Bytes, &t.Pending, &t.Unseen}
}

func (t *Totals) count(e *Entry) {
	switch e.Kind {
	case disk.KindFile:
		t.Files++
		t.Bytes += min(e.Size, MaxSize-t.Bytes) // sparse files may claim more than there is
	case disk.KindDir:
		t.Dirs++
	default:
		t.Others++
	}
	if e.Pending {
		t.Pending++
	}
	if e.Unseen {
		t.Unseen++
	}
}

func (t *Totals) validate() error {
	for _, p := range t.fields() {
		if *p < 0 || *p > MaxSize {
			return fmt.Errorf("%w: total %d", ErrRecord, *p)
		}
	}
	return nil
}
