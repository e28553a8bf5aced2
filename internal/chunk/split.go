package chunk

import (
	"errors"
	"io"

	"github.com/restic/chunker"
)

// readSize is how much Next asks its reader for at once.
const readSize = 512 << 10

// maxEmptyReads bounds reads that bring neither bytes nor an error.
const maxEmptyReads = 100

// Splitter cuts what it reads into chunks at places that the content itself
// chooses, so that an insertion moves the chunks behind it instead of
// changing them. It is for one goroutine.
type Splitter struct {
	params Params
	fresh  chunker.BaseChunker // as it is at the start of a file
	base   chunker.BaseChunker
	r      io.Reader
	err    error  // sticky, io.EOF included
	ahead  []byte // read already, belongs to the next chunks
	store  []byte // backs ahead
}

// NewSplitter returns a splitter that reads nothing until Reset gives it a
// reader. The parameters must be valid: it panics otherwise.
func NewSplitter(p Params) *Splitter {
	if err := p.Validate(); err != nil {
		panic("chunk: NewSplitter: " + err.Error())
	}
	s := &Splitter{params: p, err: errNoReader}
	s.fresh = *chunker.NewBase(chunker.Pol(p.Polynomial),
		chunker.WithBaseBoundaries(uint(p.Min), uint(p.Max)),
		chunker.WithBaseAverageBits(int(p.AverageBits)))
	return s
}

var errNoReader = errors.New("splitter without a reader")

// Reset begins a new content: what was read of the one before is forgotten.
func (s *Splitter) Reset(r io.Reader) {
	s.base = s.fresh
	s.r, s.err, s.ahead = r, nil, nil
}

// Next returns the next chunk, at least one byte long, in buf's memory. It
// allocates only where buf's capacity is too small for the chunk; with a
// capacity of Params.Max it never does. At the end of the content it returns
// io.EOF, and after any error the same error until the next Reset.
func (s *Splitter) Next(buf []byte) (plain []byte, err error) {
	buf = buf[:0]
	if len(s.ahead) > 0 {
		part := s.ahead
		cut := s.base.NextSplitPoint(part)
		if cut >= 0 {
			s.ahead = part[cut:]
			return append(buf, part[:cut]...), nil
		}
		buf = append(buf, part...)
		s.ahead = nil
	}
	for s.err == nil {
		var part []byte
		buf, part = s.fill(buf)
		if len(part) == 0 {
			continue
		}
		if cut := s.base.NextSplitPoint(part); cut >= 0 {
			s.keep(part[cut:])
			return buf[:len(buf)-len(part)+cut], nil
		}
	}
	if s.err == io.EOF && len(buf) > 0 {
		return buf, nil
	}
	return nil, s.err
}

// fill reads once behind buf and returns it grown, and what is new in it.
func (s *Splitter) fill(buf []byte) (grown, part []byte) {
	limit := int(s.params.Max)
	if len(buf) == cap(buf) {
		size := min(limit, max(2*cap(buf), readSize))
		buf = append(make([]byte, 0, size), buf...)
	}
	room := min(cap(buf), limit, len(buf)+readSize)
	for range maxEmptyReads {
		n, err := s.r.Read(buf[len(buf):room])
		if err != nil {
			s.err = err
		}
		if n > 0 || err != nil {
			grown = buf[:len(buf)+n]
			return grown, grown[len(buf):]
		}
	}
	s.err = io.ErrNoProgress
	return buf, nil
}

// keep copies what was read beyond the cut aside: buf belongs to the caller.
func (s *Splitter) keep(rest []byte) {
	if s.store == nil && len(rest) > 0 {
		s.store = make([]byte, readSize)
	}
	s.ahead = s.store[:copy(s.store, rest)]
}
