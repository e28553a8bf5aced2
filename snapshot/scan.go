package snapshot

import (
	"errors"
	"io"
)

// ErrScanTorn: a scan file ends without its end block or is damaged from here
// on. What was read before it is good.
var ErrScanTorn = errors.New("scan file torn or damaged")

// ScanFlag marks an entry of a scan.
type ScanFlag uint8

// NotRead: the content was not read in this scan.
const NotRead ScanFlag = 1

// ScanHeader is the head of a scan file.
type ScanHeader struct {
	Generation uint64 // of the ledger that the scan was written under
	Tree       string
}

// ScanEntry is one entry of a scan file.
type ScanEntry struct {
	Local Local
	Entry Entry
	Flags ScanFlag
}

// ScanWriter writes a scan file: the entries of one tree with what only home
// knows of them.
type ScanWriter struct{}

// NewScanWriter writes the header.
func NewScanWriter(w io.Writer, h ScanHeader) (*ScanWriter, error) { panic("unwritten") }

// Add appends an entry. Entries come in tree order, each path at most once;
// their parents need not be there.
func (w *ScanWriter) Add(l Local, e *Entry, f ScanFlag) error { panic("unwritten") }

// Flush hands all entries added so far to the underlying writer, so that a
// reader finds them even where Close is never reached.
func (w *ScanWriter) Flush() error { panic("unwritten") }

// Close flushes and writes the end block. It does not close the underlying
// writer.
func (w *ScanWriter) Close() error { panic("unwritten") }

// ScanReader reads a scan file.
type ScanReader struct{}

// NewScanReader reads the header.
func NewScanReader(r io.Reader) (*ScanReader, error) { panic("unwritten") }

// Header returns the header.
func (r *ScanReader) Header() ScanHeader { panic("unwritten") }

// Next returns the next entry, valid until the next call; io.EOF at the end of
// a complete file, ErrScanTorn at a torn or damaged tail.
func (r *ScanReader) Next() (*ScanEntry, error) { panic("unwritten") }
