package pack

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"

	"waterlock/internal/chunk"
)

// blockSize is the unit of the Writer's writes: they begin and end at
// multiples of it, but for the last.
const blockSize = 256 << 10

// Writer writes one pack. It is for one goroutine. After an error it refuses
// everything but tells that error again: the pack is written anew elsewhere.
type Writer struct {
	w      io.Writer
	id     identity
	buf    []byte // not written yet; less than blockSize bytes between calls
	digest *chunk.Digester
	head   []byte // of the record at hand, and what follows it
	places []Place
	stored int64 // bytes of payloads
	err    error
}

// Summary tells what a closed pack is.
type Summary struct {
	PackID  [16]byte
	Kind    chunk.Kind
	Size    int64
	Records int
	Digest  chunk.Digest // of the whole file
	Places  []Place
}

// NewWriter begins a pack of chunks of this kind. Writes to w come in large
// pieces; the first may come as late as Close.
func NewWriter(w io.Writer, k chunk.Kind) (*Writer, error) {
	id := identity{kind: k}
	if _, err := rand.Read(id.id[:]); err != nil {
		return nil, fmt.Errorf("draw a pack id: %w", err)
	}
	return newWriter(w, id)
}

func newWriter(w io.Writer, id identity) (*Writer, error) {
	if !id.kind.Valid() {
		return nil, fmt.Errorf("%w: %v", ErrField, id.kind)
	}
	pw := &Writer{
		w:      w,
		id:     id,
		buf:    make([]byte, 0, blockSize),
		digest: chunk.NewDigester(),
		head:   make([]byte, 0, recordHead),
	}
	pw.buf = appendHeader(pw.buf, id)
	return pw, nil
}

// PackID returns the random id of this pack.
func (w *Writer) PackID() [16]byte { return w.id.id }

// Records returns how many records were appended.
func (w *Writer) Records() int { return len(w.places) }

// Size returns the size that the pack would have if it were closed now.
func (w *Writer) Size() int64 { return ClosedSize(len(w.places), w.stored) }

// Fits reports whether a record with so many stored bytes can be appended so
// that the closed pack has at most maxSize bytes, and no more than any pack.
func (w *Writer) Fits(storedLen int, maxSize int64) bool {
	return len(w.places) < MaxRecords &&
		ClosedSize(len(w.places)+1, w.stored+int64(storedLen)) <= min(maxSize, MaxSize)
}

// Append writes the next record. The ID of s is taken as it is: an Encoder or
// DecodeStored has made sure of it. Data is not kept.
func (w *Writer) Append(s Stored) (Place, error) {
	if w.err != nil {
		return Place{}, w.err
	}
	if err := s.check(); err != nil {
		return Place{}, fmt.Errorf("append chunk %s: %w", s.ID.Short(), err)
	}
	if !w.Fits(len(s.Data), MaxSize) {
		return Place{}, ErrFull
	}
	p := Place{
		Number:    uint32(len(w.places) + 1),
		ID:        s.ID,
		Encoding:  s.Encoding,
		Offset:    HeaderSize + int64(len(w.places))*Overhead + w.stored,
		StoredLen: uint32(len(s.Data)),
		PlainLen:  s.PlainLen,
	}
	w.head = appendRecordHead(w.head[:0], w.id, &p)
	sum := recordSum(w.id, w.head, w.payloadSum(&s))
	w.write(w.head)
	w.write(s.Data)
	w.write(append(w.head[:0], sum[:]...))
	if w.err != nil {
		return Place{}, w.err
	}
	w.places = append(w.places, p)
	w.stored += int64(len(s.Data))
	return p, nil
}

// payloadSum is the BLAKE3-256 of the payload, which for raw data is its ID.
func (w *Writer) payloadSum(s *Stored) [32]byte {
	if s.Encoding == Raw && w.id.kind == chunk.Data {
		return s.ID
	}
	return chunk.SumDigest(s.Data)
}

var errClosed = errors.New("pack writer is closed")

// Close writes table and footer, after decoding both again. It does not close
// the io.Writer, nor sync it.
func (w *Writer) Close() (Summary, error) {
	if w.err != nil {
		return Summary{}, w.err
	}
	f := footer{w.id, uint32(len(w.places)), HeaderSize + int64(len(w.places))*Overhead + w.stored}
	table := appendTable(make([]byte, 0, TableSize(len(w.places))), w.id, w.places)
	foot := appendFooter(nil, f)
	if err := verifyTail(table, foot, f, w.places, w.Size()); err != nil {
		w.err = fmt.Errorf("verify the table before writing it: %w", err)
		return Summary{}, w.err
	}
	w.write(table)
	w.write(foot)
	w.flush()
	if w.err != nil {
		return Summary{}, w.err
	}
	w.err = errClosed
	return Summary{
		PackID:  w.id.id,
		Kind:    w.id.kind,
		Size:    w.Size(),
		Records: len(w.places),
		Digest:  w.digest.Sum(),
		Places:  w.places,
	}, nil
}

func verifyTail(table, foot []byte, f footer, places []Place, size int64) error {
	if again, err := parseFooter(foot, size); err != nil {
		return err
	} else if again != f {
		return fmt.Errorf("%w: expected %+v, found %+v", ErrFooter, f, again)
	}
	if again, err := parseTable(table, f); err != nil {
		return err
	} else if !slices.Equal(again, places) {
		return fmt.Errorf("%w: its rows are not those of the records", ErrTable)
	}
	return nil
}

// write takes p into the buffer and whole blocks past it.
func (w *Writer) write(p []byte) {
	for len(p) > 0 && w.err == nil {
		if len(w.buf) == 0 && len(p) >= blockSize {
			whole := len(p) - len(p)%blockSize
			w.put(p[:whole])
			p = p[whole:]
			continue
		}
		n := min(len(p), blockSize-len(w.buf))
		w.buf = append(w.buf, p[:n]...)
		p = p[n:]
		if len(w.buf) == blockSize {
			w.flush()
		}
	}
}

func (w *Writer) flush() {
	w.put(w.buf)
	w.buf = w.buf[:0]
}

func (w *Writer) put(p []byte) {
	if w.err != nil {
		return
	}
	n, err := w.w.Write(p)
	if err == nil && n != len(p) {
		err = io.ErrShortWrite
	}
	if err != nil {
		w.err = fmt.Errorf("write pack: %w", err)
		return
	}
	w.digest.Write(p)
}
