package chunk

import (
	_ "embed"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/bits"

	"lukechampine.com/blake3/guts"
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

// ContentHasher computes the ContentHash of a file written to it.
//
// BLAKE3 is a binary tree over leaves of 1 KiB; a complete subtree of 2^n
// leaves enters the rest by its chaining value alone. The number of a leaf
// enters its own value, so zeros at one offset do not hash as zeros at another,
// and what a hole contributes cannot be worked out from its length. But it
// never changes: the values of subtrees of zeros are constants, and those of
// the first terabytes come with the program (see zeros.go).
type ContentHasher struct {
	// stack[i] is a subtree of 2^i leaves that waits for its right neighbour,
	// where bit i of leaves is set: the highest is the leftmost.
	stack  [64][8]uint32
	leaves uint64 // in the stack
	buf    [groupSize]byte
	n      int // of buf; what is in there may yet be the end of the content
}

// Leaves are hashed in groups, side by side in one vector.
const (
	leafSize    = guts.ChunkSize
	groupHeight = 4
	groupSize   = leafSize << groupHeight
)

// NewContentHasher returns a hasher of no content yet.
func NewContentHasher() *ContentHasher { return &ContentHasher{} }

// Reset forgets what was written, to use the memory again.
func (h *ContentHasher) Reset() { h.leaves, h.n = 0, 0 }

// Write never fails.
func (h *ContentHasher) Write(p []byte) (int, error) {
	written := len(p)
	if h.n > 0 {
		k := copy(h.buf[h.n:], p)
		h.n += k
		p = p[k:]
	}
	if len(p) == 0 {
		return written, nil
	}
	h.flush()
	for len(p) > groupSize { // one that ends the content is not hashed before its time
		h.push(groupValue((*[groupSize]byte)(p), h.leaves), groupHeight)
		p = p[groupSize:]
	}
	h.n = copy(h.buf[:], p)
	return written, nil
}

// Sum returns the hash of what was written since the last Reset. More may be
// written afterwards.
func (h *ContentHasher) Sum() (sum ContentHash) {
	node := guts.CompressBuffer(&h.buf, h.n, &guts.IV, h.leaves, 0)
	for rest := h.leaves; rest != 0; rest &= rest - 1 {
		left := h.stack[bits.TrailingZeros64(rest)]
		node = guts.ParentNode(left, guts.ChainingValue(node), &guts.IV, 0)
	}
	node.Flags |= guts.FlagRoot
	words := guts.CompressNode(node)
	for i := range sum {
		sum[i] = byte(words[i/4] >> (i % 4 * 8))
	}
	return sum
}

// flush hashes a full buffer, behind which more has come.
func (h *ContentHasher) flush() {
	if h.n == groupSize {
		h.push(groupValue(&h.buf, h.leaves), groupHeight)
		h.n = 0
	}
}

// push takes a complete subtree of 2^height leaves, behind which more will
// come, and joins it with those that were waiting for it.
func (h *ContentHasher) push(value [8]uint32, height int) {
	i := height
	for ; h.leaves>>i&1 == 1; i++ {
		value = guts.ChainingValue(guts.ParentNode(h.stack[i], value, &guts.IV, 0))
	}
	h.stack[i] = value
	h.leaves += 1 << height
}

func groupValue(p *[groupSize]byte, leaf uint64) [8]uint32 {
	return guts.ChainingValue(guts.CompressBuffer(p, groupSize, &guts.IV, leaf, 0))
}

// zeroValues are the chaining values of subtrees of zeros of zeroSpan bytes,
// from offset 0 on, 32 bytes each, words little endian. They follow from
// BLAKE3 alone, and testdata/…: TestZeroValuesAreThoseOfZeros reckons them anew.
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
