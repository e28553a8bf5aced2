package chunk

import (
	"math/bits"

	"lukechampine.com/blake3/guts"
)

// hasher is plain BLAKE3-256 of what is written to it: the tree, over leaves
// that the library hashes. The left side of each node is the largest complete
// subtree that leaves something for the right one; a complete subtree enters the
// rest by its chaining value alone.
type hasher struct {
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

// Reset forgets what was written, to use the memory again.
func (h *hasher) Reset() { h.leaves, h.n = 0, 0 }

// Write never fails.
func (h *hasher) Write(p []byte) (int, error) {
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

// sum returns the hash of what was written since the last Reset. More may be
// written afterwards.
func (h *hasher) sum() (sum [32]byte) {
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
func (h *hasher) flush() {
	if h.n == groupSize {
		h.push(groupValue(&h.buf, h.leaves), groupHeight)
		h.n = 0
	}
}

// push takes a complete subtree of 2^height leaves, behind which more will
// come, and joins it with those that were waiting for it.
func (h *hasher) push(value [8]uint32, height int) {
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
