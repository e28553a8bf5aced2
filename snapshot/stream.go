package snapshot

import (
	"fmt"

	"waterlock/internal/chunk"
)

// Limits of a stream.
const (
	MinStreamChunk = 16 << 10  // no cut before so many bytes
	MaxStreamChunk = 512 << 10 // no chunk of more, unless it is one item
	MaxItem        = 4 << 20   // bytes of one item
)

// Getter hands out the plain bytes of a chunk, verified by its ID. The result
// may lie in buf and is valid until the next call with it.
type Getter interface {
	Get(id chunk.ID, k chunk.Kind, length int64, buf []byte) ([]byte, error)
}

// StreamWriter cuts the entries of one tree into stream chunks.
type StreamWriter struct{}

// NewStreamWriter begins a stream. emit is called with each stream chunk in
// order; plain is valid until it returns.
func NewStreamWriter(emit func(plain []byte, ref StreamRef) error) *StreamWriter { panic("unwritten") }

// Add appends an entry. Entries come in tree order, the root first.
func (w *StreamWriter) Add(e *Entry) error { panic("unwritten") }

// Close emits what is left and returns the totals.
func (w *StreamWriter) Close() (Totals, error) { panic("unwritten") }

// GapError says that the entries of a stream chunk cannot be had: those from
// the path From on, and before the path To ("" is the end of the tree).
type GapError struct {
	From, To string
	ID       chunk.ID
	Err      error
}

func (e *GapError) Error() string {
	return fmt.Sprintf("stream chunk %s cannot be read: %v", e.ID, e.Err)
}

func (e *GapError) Unwrap() error { return e.Err }

// Covers tells whether path lies in the gap.
func (e *GapError) Covers(path string) bool {
	return ComparePaths(path, e.From) >= 0 && (e.To == "" || ComparePaths(path, e.To) < 0)
}

// StreamReader reads the entries of one tree.
type StreamReader struct{}

// NewStreamReader reads a tree from its root.
func NewStreamReader(t TreeRecord, g Getter) *StreamReader { panic("unwritten") }

// NewStreamReaderAt reads a tree from path on, or from the first entry behind
// it, fetching no stream chunk that lies before.
func NewStreamReaderAt(t TreeRecord, g Getter, path string) *StreamReader { panic("unwritten") }

// Next returns the next entry, valid until the next call unless cloned, and
// io.EOF at the end. After a *GapError reading goes on behind the gap.
func (r *StreamReader) Next() (*Entry, error) { panic("unwritten") }

// StreamChunkIDs calls each for every data chunk that one stream chunk names.
func StreamChunkIDs(plain []byte, ref StreamRef, each func(id chunk.ID, length int64, carried bool) error) error {
	panic("unwritten")
}
