package pack

import (
	"errors"
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"

	"waterlock/internal/chunk"
)

func newDecoder(concurrency int) (*zstd.Decoder, error) {
	dec, err := zstd.NewReader(nil,
		zstd.WithDecoderConcurrency(concurrency),
		zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(MaxPlain),
		zstd.WithDecoderMaxWindow(MaxPlain),
		zstd.WithDecodeAllCapLimit(true),
	)
	if err != nil {
		return nil, fmt.Errorf("zstd decoder: %w", err)
	}
	return dec, nil
}

// decoder serves every goroutine; it holds one decoder a processor.
var decoder = sync.OnceValues(func() (*zstd.Decoder, error) { return newDecoder(0) })

// decodeBound is the capacity that lets the decoder write without looking
// where the output ends.
func decodeBound(plainLen int) int { return plainLen + 64 }

// DecodeStored returns the plain bytes of a stored chunk once they have proven
// to be those of its ID. Raw ones are s.Data itself, others lie in buf if its
// capacity is large enough, else in new memory. Nothing but the plain length,
// which is bounded, decides how much memory is used. The error is a
// *ChunkError. It is safe for concurrent use.
func DecodeStored(k chunk.Kind, s Stored, buf []byte) (plain []byte, err error) {
	if !k.Valid() {
		return nil, &ChunkError{ID: s.ID, Err: fmt.Errorf("%w: %v", ErrField, k)}
	}
	if err := s.check(); err != nil {
		return nil, &ChunkError{ID: s.ID, Err: err}
	}
	plain = s.Data
	if s.Encoding == Zstd {
		if plain, err = unzstd(s, buf); err != nil {
			return nil, &ChunkError{ID: s.ID, Err: err}
		}
	}
	if id := k.ID(plain); id != s.ID {
		return nil, &ChunkError{ID: s.ID, Found: id}
	}
	return plain, nil
}

var errPlainLength = errors.New("zstd: wrong plain length")

// unzstd decodes one frame of exactly the plain length.
func unzstd(s Stored, buf []byte) ([]byte, error) {
	var h zstd.Header
	if err := h.Decode(s.Data); err != nil {
		return nil, fmt.Errorf("zstd: %w", err)
	}
	if h.Skippable || h.DictionaryID != 0 {
		return nil, errors.New("zstd: not a plain frame")
	}
	if h.HasFCS && h.FrameContentSize != uint64(s.PlainLen) {
		return nil, fmt.Errorf("%w: expected %d, the frame says %d", errPlainLength, s.PlainLen, h.FrameContentSize)
	}
	dec, err := decoder()
	if err != nil {
		return nil, err
	}
	if cap(buf) < int(s.PlainLen) {
		buf = make([]byte, 0, decodeBound(int(s.PlainLen)))
	}
	plain, err := dec.DecodeAll(s.Data, buf[:0])
	if err != nil {
		return nil, fmt.Errorf("zstd: %w", err)
	}
	if len(plain) != int(s.PlainLen) {
		return nil, fmt.Errorf("%w: expected %d, found %d", errPlainLength, s.PlainLen, len(plain))
	}
	return plain, nil
}
