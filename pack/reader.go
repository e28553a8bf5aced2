package pack

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"waterlock/internal/chunk"
)

// Reader reads the records of one pack. It is safe for concurrent use if its
// io.ReaderAt is.
type Reader struct {
	r      io.ReaderAt
	size   int64
	id     identity
	places []Place
}

// Open reads header, footer and table of a pack of this size, all of which
// must be sound. Damaged ones are for Salvage.
func Open(r io.ReaderAt, size int64) (*Reader, error) {
	id, err := readHeader(r, size)
	if err != nil {
		return nil, err
	}
	return openTable(r, size, &id)
}

// OpenRecords is Open without the table: it reads the header, or the footer
// where the header is damaged. Places is empty, and Read and ReadStored serve
// places that are known from elsewhere.
func OpenRecords(r io.ReaderAt, size int64) (*Reader, error) {
	id, err := identify(r, size)
	if err != nil {
		return nil, err
	}
	return &Reader{r: r, size: size, id: id}, nil
}

// Kind returns the kind of all chunks of the pack.
func (r *Reader) Kind() chunk.Kind { return r.id.kind }

// PackID returns the random id of the pack.
func (r *Reader) PackID() [16]byte { return r.id.id }

// Places returns where the records lie, in order. The caller must not change
// it.
func (r *Reader) Places() []Place { return r.places }

// Buffer capacities that spare ReadStored and Read new memory.
const ReadSlack = 64

// ReadStored reads the record at p and checks its seal and that it is the one
// that p tells of. Its chunk is not decoded yet. Data lies in buf if buf has a
// capacity of p.StoredLen+ReadSlack. The error is a *RecordError.
func (r *Reader) ReadStored(p Place, buf []byte) (Stored, error) {
	s, _, err := r.readStored(p, buf)
	return s, err
}

// Read is ReadStored and the decoding: the plain bytes of the chunk, which
// have proven to be those of its ID. They lie in buf if it has a capacity of
// p.PlainLen+ReadSlack.
func (r *Reader) Read(p Place, buf []byte) (plain []byte, err error) {
	if p.Encoding == Zstd {
		packed := buffers.Get().(*[]byte)
		defer buffers.Put(packed)
		if cap(*packed) < int(p.StoredLen)+ReadSlack && p.StoredLen <= MaxPlain {
			*packed = make([]byte, 0, int(p.StoredLen)+ReadSlack)
		}
		s, _, err := r.readStored(p, *packed)
		if err != nil {
			return nil, err
		}
		if plain, err = DecodeStored(r.id.kind, s, buf); err != nil {
			return nil, p.error(err)
		}
		return plain, nil
	}
	s, sum, err := r.readStored(p, buf)
	if err != nil {
		return nil, err
	}
	id := chunk.ID(sum)
	if r.id.kind != chunk.Data {
		id = r.id.kind.ID(s.Data)
	}
	if id != p.ID {
		return nil, p.error(&ChunkError{ID: p.ID, Found: id})
	}
	return s.Data, nil
}

// buffers are for compressed payloads that live for one Read only.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// heads are for record headers on their way.
var heads = sync.Pool{New: func() any { return new([recordHead]byte) }}

func (p *Place) error(err error) error {
	return &RecordError{Offset: p.Offset, Number: p.Number, ID: p.ID, Err: err}
}

// readStored returns the payload and its BLAKE3-256.
func (r *Reader) readStored(p Place, buf []byte) (s Stored, sum [32]byte, err error) {
	if expected, found, ok := p.check(); !ok {
		return s, sum, p.error(&FormatError{ErrRecord, ErrField, p.Offset, expected, found})
	}
	if p.Offset < HeaderSize || p.Offset > MaxSize || p.End() > r.size {
		return s, sum, p.error(&FormatError{ErrRecord, ErrLength, p.Offset,
			fmt.Sprintf("a record up to offset %d", p.End()), fmt.Sprintf("a file of %d bytes", r.size)})
	}
	head := heads.Get().(*[recordHead]byte)
	defer heads.Put(head)
	if err := readAt(r.r, ErrRecord, p.Offset, head[:]); err != nil {
		return s, sum, p.error(err)
	}
	found, err := parseRecordHead(head[:], r.id, p.Offset)
	if err != nil {
		return s, sum, p.error(err)
	}
	if found != p {
		return s, sum, p.error(&FormatError{ErrRecord, ErrField, p.Offset, fmt.Sprintf("%+v", p), fmt.Sprintf("%+v", found)})
	}
	n := int(p.StoredLen)
	if cap(buf) < n+recordTail {
		buf = make([]byte, n+recordTail)
	}
	buf = buf[:n+recordTail]
	if err := readAt(r.r, ErrRecord, p.Offset+recordHead, buf); err != nil {
		return s, sum, p.error(err)
	}
	sum = chunk.SumDigest(buf[:n])
	seal := recordSum(r.id, head[:], sum)
	if err := checkSum(ErrRecord, p.Offset+recordHead+int64(n), seal[:], buf[n:]); err != nil {
		return s, sum, p.error(err)
	}
	return Stored{ID: p.ID, Encoding: p.Encoding, PlainLen: p.PlainLen, Data: buf[:n]}, sum, nil
}

// readAt fills b from off, which is known to lie in the file.
func readAt(r io.ReaderAt, part error, off int64, b []byte) error {
	n, err := r.ReadAt(b, off)
	switch {
	case n == len(b):
		return nil
	case err == nil || errors.Is(err, io.EOF):
		return &FormatError{part, ErrLength, off, fmt.Sprintf("%d bytes", len(b)), fmt.Sprintf("%d", max(n, 0))}
	}
	return fmt.Errorf("%w at offset %d: %w", part, off, err)
}

func readHeader(r io.ReaderAt, size int64) (identity, error) {
	if size < HeaderSize {
		return identity{}, &FormatError{ErrHeader, ErrLength, 0, fmt.Sprintf("%d bytes", HeaderSize), fmt.Sprint(size)}
	}
	b := make([]byte, HeaderSize)
	if err := readAt(r, ErrHeader, 0, b); err != nil {
		return identity{}, err
	}
	return parseHeader(b)
}

func readFooter(r io.ReaderAt, size int64) (footer, error) {
	if size < ClosedSize(0, 0) || size > MaxSize {
		return footer{}, &FormatError{ErrFooter, ErrLength, 0, fmt.Sprintf("a file of %d to %d bytes", ClosedSize(0, 0), int64(MaxSize)), fmt.Sprint(size)}
	}
	b := make([]byte, FooterSize)
	if err := readAt(r, ErrFooter, size-FooterSize, b); err != nil {
		return footer{}, err
	}
	return parseFooter(b, size)
}

// openTable reads footer and table, which must belong to the header's pack
// where the header could be read.
func openTable(r io.ReaderAt, size int64, header *identity) (*Reader, error) {
	f, err := readFooter(r, size)
	if err != nil {
		return nil, err
	}
	if header != nil && *header != f.identity {
		return nil, &FormatError{ErrFooter, ErrField, size - FooterSize + 10,
			fmt.Sprintf("%v pack %x", header.kind, header.id), fmt.Sprintf("%v pack %x", f.kind, f.id)}
	}
	b := make([]byte, TableSize(int(f.records))) // bounded by MaxRecords, and in the file
	if err := readAt(r, ErrTable, f.tableOffset, b); err != nil {
		return nil, err
	}
	places, err := parseTable(b, f)
	if err != nil {
		return nil, err
	}
	return &Reader{r: r, size: size, id: f.identity, places: places}, nil
}

// identify learns from the header, else from the footer, how the records are
// sealed.
func identify(r io.ReaderAt, size int64) (identity, error) {
	id, headErr := readHeader(r, size)
	if headErr == nil {
		return id, nil
	}
	f, footErr := readFooter(r, size)
	if footErr == nil {
		return f.identity, nil
	}
	return identity{}, errors.Join(headErr, footErr)
}
