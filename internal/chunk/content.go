package chunk

import (
	_ "embed"
	"encoding/binary"
	"encoding/hex"
	"fmt"
)

// ContentHash is the BLAKE3-256 of the whole logical content of a file, holes
// read as zeros: what b3sum prints. The zero ContentHash stands for content
// that is not known.
type ContentHash [32]byte

// String returns the hash as 64 lower-case hex digits.
func (h ContentHash) String() string { return hex.EncodeToString(h[:]) }

// IsZero reports whether no content is known.
func (h ContentHash) IsZero() bool { return h == ContentHash{} }

// ParseContentHash reads what String wrote.
func ParseContentHash(s string) (ContentHash, error) {
	var h ContentHash
	if err := parseHex(h[:], s); err != nil {
		return ContentHash{}, fmt.Errorf("content hash %q: %w", s, err)
	}
	return h, nil
}

// SumContent is the content hash of content held in memory.
func SumContent(p []byte) ContentHash { return ContentHash(sum256(p)) }

// ContentHasher computes the ContentHash of a file written to it. Holes are
// written by Zeros.
//
// The number of a leaf enters its own value, so zeros at one offset do not hash
// as zeros at another, and what a hole contributes cannot be worked out from its
// length. But it never changes: the values of subtrees of zeros are constants,
// and those of the first 1.25 TiB come with the program.
type ContentHasher struct{ hasher }

// NewContentHasher returns a hasher of no content yet.
func NewContentHasher() *ContentHasher { return &ContentHasher{} }

// Sum returns the hash of what was written since the last Reset. More may be
// written afterwards.
func (h *ContentHasher) Sum() ContentHash { return ContentHash(h.sum()) }

// zeroValues are the chaining values of subtrees of zeros of zeroSpan bytes,
// from offset 0 on, 32 bytes each, words little endian. They follow from
// BLAKE3 alone: TestZeroValuesAreThoseOfZeros works them out anew.
//
//go:embed zeros.bin
var zeroValues string

const (
	zeroHeight = 18
	zeroSpan   = leafSize << zeroHeight // 256 MiB
)

// ZerosAtOnce bounds what one call of Zeros hashes byte by byte.
const ZerosAtOnce = 16 << 20

var zeroGroup [groupSize]byte

// Zeros writes up to n zeros, n > 0, and returns how many it wrote: to be
// called until all are written, with a look at the context in between. One
// call costs no more than ZerosAtOnce bytes of hashing, and takes zeroSpan
// bytes for next to nothing where they begin at a multiple of it and are in
// the table.
func (h *ContentHasher) Zeros(n int64) int64 {
	if k := min(n, int64(groupSize-h.n)); h.n > 0 && k > 0 {
		h.Write(zeroGroup[:k])
		return k
	}
	// Something follows the zeros of the buffer.
	h.flush()
	if n > zeroSpan && h.leaves%(1<<zeroHeight) == 0 {
		if value, ok := zeroValue(h.leaves >> zeroHeight); ok {
			h.push(value, zeroHeight)
			return zeroSpan
		}
	}
	done := int64(0)
	for ; n-done > groupSize && done < ZerosAtOnce; done += groupSize {
		h.push(groupValue(&zeroGroup, h.leaves), groupHeight)
		if h.leaves%(1<<zeroHeight) == 0 {
			return done + groupSize
		}
	}
	if k := n - done; k <= groupSize {
		h.Write(zeroGroup[:k])
		return n
	}
	return done
}

func zeroValue(i uint64) (value [8]uint32, ok bool) {
	if i >= uint64(len(zeroValues)/32) {
		return value, false
	}
	s := zeroValues[i*32:][:32]
	for w := range value {
		value[w] = binary.LittleEndian.Uint32([]byte(s[w*4:]))
	}
	return value, true
}
