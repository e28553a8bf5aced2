package pack

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/klauspost/compress/zstd"

	"waterlock/internal/chunk"
)

// Stored is a chunk as a record holds it.
type Stored struct {
	ID       chunk.ID
	Encoding Encoding
	PlainLen uint32
	Data     []byte
}

// check bounds a Stored before it is believed.
func (s *Stored) check() error {
	p := Place{1, s.ID, s.Encoding, 0, uint32(min(len(s.Data), MaxPlain+1)), s.PlainLen}
	if expected, found, ok := p.check(); !ok {
		return fmt.Errorf("%w: expected %s, found %s", ErrField, expected, found)
	}
	return nil
}

// windowSize bounds how far back the encoder looks, and so its memory.
const windowSize = 2 << 20

// minSaving is the part of the plain bytes, as a shift, that compression must
// save: 1/32 is 3 %. Less is not worth decoding it ever after.
const minSaving = 5

// minCompress is the length below which compressing is not tried.
const minCompress = 64

// ErrLevel refuses a level that does not exist.
var ErrLevel = errors.New("compression level: 0 to 3 expected")

// Encoder makes Stored chunks. Each goroutine needs one of its own.
type Encoder struct {
	enc     *zstd.Encoder
	dec     *zstd.Decoder
	scratch []byte
	faults  int
}

// NewEncoder returns an encoder: level 0 is the default, 1 is faster, 2 the
// default by its name, 3 slower and smaller.
func NewEncoder(level int) (*Encoder, error) {
	levels := [...]zstd.EncoderLevel{zstd.SpeedDefault, zstd.SpeedFastest, zstd.SpeedDefault, zstd.SpeedBetterCompression}
	if level < 0 || level >= len(levels) {
		return nil, fmt.Errorf("%w, found %d", ErrLevel, level)
	}
	enc, err := zstd.NewWriter(nil,
		zstd.WithEncoderLevel(levels[level]),
		zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(windowSize),
		zstd.WithLowerEncoderMem(true),
		zstd.WithEncoderCRC(false), // the ID says more
	)
	if err != nil {
		return nil, fmt.Errorf("zstd encoder: %w", err)
	}
	dec, err := newDecoder(1)
	if err != nil {
		return nil, err
	}
	return &Encoder{enc: enc, dec: dec}, nil
}

// EncodeBound is the capacity that Encode wants of its buffer for so many
// plain bytes.
func EncodeBound(plainLen int) int { return plainLen + plainLen>>14 + 64 }

// Encode names the chunk and compresses it where that helps. What it
// compressed it has decoded again and compared. There is no quick look at a
// sample beforehand: over what is compressed already the compressor itself
// goes at 4 to 9 GB/s, as fast as any estimate of the whole, and a sample
// misses repetitions, which are what compresses in fonts and images of disks. Data of the result is plain
// itself where it is stored raw, and otherwise lies in buf if buf has a
// capacity of EncodeBound(len(plain)), else in new memory.
func (e *Encoder) Encode(k chunk.Kind, plain, buf []byte) (Stored, error) {
	if len(plain) == 0 || len(plain) > MaxPlain {
		return Stored{}, fmt.Errorf("%w: a chunk of 1 to %d bytes expected, found %d", ErrField, MaxPlain, len(plain))
	}
	return e.EncodeAs(k.ID(plain), plain, buf)
}

// EncodeAs is Encode for a caller who has just computed the chunk's ID from
// these bytes, to ask whether anybody has it: the ID is taken as it is.
func (e *Encoder) EncodeAs(id chunk.ID, plain, buf []byte) (Stored, error) {
	if len(plain) == 0 || len(plain) > MaxPlain {
		return Stored{}, fmt.Errorf("%w: a chunk of 1 to %d bytes expected, found %d", ErrField, MaxPlain, len(plain))
	}
	s := Stored{ID: id, Encoding: Raw, PlainLen: uint32(len(plain)), Data: plain}
	if len(plain) < minCompress {
		return s, nil
	}
	if cap(buf) < EncodeBound(len(plain)) {
		buf = make([]byte, 0, EncodeBound(len(plain)))
	}
	packed := e.enc.EncodeAll(plain, buf[:0])
	if len(packed) > len(plain)-len(plain)>>minSaving-1 {
		return s, nil
	}
	if !e.decodesTo(packed, plain) {
		e.faults++
		return s, nil
	}
	s.Encoding, s.Data = Zstd, packed
	return s, nil
}

// Faults counts the chunks whose compressed form did not decode to the same
// bytes. They were stored raw, so nothing is lost, but the memory of the
// machine or the encoder has an error that somebody should hear of.
func (e *Encoder) Faults() int { return e.faults }

func (e *Encoder) decodesTo(packed, plain []byte) bool {
	if cap(e.scratch) < len(plain) {
		e.scratch = make([]byte, 0, decodeBound(len(plain)))
	}
	out, err := e.dec.DecodeAll(packed, e.scratch[:0])
	return err == nil && bytes.Equal(out, plain)
}
