package chunk

import (
	"encoding/binary"
	"flag"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/zeebo/blake3"
	"lukechampine.com/blake3/guts"
	"pgregory.net/rapid"
)

// The table was made by `go test ./internal/chunk -run ZeroValues -update-zeros 2048`.
var updateZeros = flag.Int64("update-zeros", 0, "make the table for the first so many GiB of zeros anew: ten minutes of one core a TiB")

// valueOfZeros reckons the value of 2^height leaves of zeros.
func valueOfZeros(leaf uint64, height int) [8]uint32 {
	if height == groupHeight {
		return groupValue(&zeroGroup, leaf)
	}
	left := valueOfZeros(leaf, height-1)
	right := valueOfZeros(leaf+1<<(height-1), height-1)
	return guts.ChainingValue(guts.ParentNode(left, right, &guts.IV, 0))
}

func TestZeroValuesAreThoseOfZeros(t *testing.T) {
	if *updateZeros > 0 {
		f, err := os.Create("zeros.bin")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for i := range uint64(*updateZeros << 30 / zeroSpan) {
			if err := binary.Write(f, binary.LittleEndian, valueOfZeros(i<<zeroHeight, zeroHeight)); err != nil {
				t.Fatal(err)
			}
		}
		return
	}
	n := uint64(len(zeroValues) / 32)
	if len(zeroValues)%32 != 0 || n < 1<<40/zeroSpan {
		t.Fatalf("a table of %d bytes: the first TiB at least is to be in it", len(zeroValues))
	}
	look := []uint64{0, n - 1, rand.Uint64N(n)}
	if os.Getenv("WL_SOAK") != "" {
		for range 200 {
			look = append(look, rand.Uint64N(n))
		}
	}
	for _, i := range look {
		if got, _ := zeroValue(i); got != valueOfZeros(i<<zeroHeight, zeroHeight) {
			t.Errorf("value %d of the table is not that of zeros", i)
		}
	}
	if _, ok := zeroValue(n); ok {
		t.Error("there is a value behind the end of the table")
	}
}

// zeros writes n zeros and returns how many calls it took.
func (h *ContentHasher) zeros(n int64) (calls int) {
	for ; n > 0; calls++ {
		k := h.Zeros(n)
		if k <= 0 || k > n {
			panic("wrong count")
		}
		n -= k
	}
	return calls
}

// Data and holes of any lengths hash as BLAKE3 says, by another implementation.
func TestContentWithHolesHashesAsItsBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		length := rapid.OneOf(
			rapid.IntRange(0, 3*leafSize),
			rapid.IntRange(0, 5*groupSize),
			rapid.Map(rapid.IntRange(-1, 1), func(d int) int { return 4*groupSize + d }),
			rapid.SampledFrom([]int{leafSize, groupSize, 2 * groupSize, 8 * groupSize}),
		)
		h, want := NewContentHasher(), blake3.New()
		var content []byte
		for range rapid.IntRange(0, 6).Draw(t, "parts") {
			n := length.Draw(t, "length")
			part := make([]byte, n)
			if rapid.Bool().Draw(t, "hole") {
				if n > 0 {
					h.zeros(int64(n))
				}
			} else {
				part = counting(n)
				h.Write(part)
			}
			want.Write(part)
			content = append(content, part...)
			var sum ContentHash
			want.Sum(sum[:0])
			if got := h.Sum(); got != sum {
				t.Fatalf("after %d bytes: %s, want %s", len(content), got, sum)
			}
		}
		h.Reset()
		h.Write(content)
		if h.Sum() != SumContent(content) {
			t.Fatal("after Reset it is another hash")
		}
	})
}

// Holes that the table serves hash as their bytes, wherever they begin.
func TestLongHolesHashAsTheirBytes(t *testing.T) {
	data := counting(3 * groupSize / 2)
	zero := make([]byte, 1<<20)
	for _, c := range []struct{ before, hole int64 }{
		{0, zeroSpan}, {5, 2*zeroSpan + groupSize}, {zeroSpan, zeroSpan + 1},
	} {
		h, want := NewContentHasher(), blake3.New()
		piece := counting(1 << 20)
		for left := c.before; left > 0; left -= int64(len(piece)) {
			piece = piece[:min(left, int64(len(piece)))]
			h.Write(piece)
			want.Write(piece)
		}
		h.zeros(c.hole)
		for left := c.hole; left > 0; left -= int64(len(zero)) {
			want.Write(zero[:min(left, int64(len(zero)))])
		}
		for _, more := range [][]byte{nil, data} {
			h.Write(more)
			want.Write(more)
			var sum ContentHash
			want.Sum(sum[:0])
			if got := h.Sum(); got != sum {
				t.Errorf("%d bytes, a hole of %d, %d bytes: %s, want %s", c.before, c.hole, len(more), got, sum)
			}
		}
	}
}

// A hole of a TiB costs some thousand look-ups and at most the hashing of the
// two spans at its ends.
func TestAHoleOfATerabyteCostsNothing(t *testing.T) {
	for _, before := range []int{0, 12345} {
		h := NewContentHasher()
		h.Write(counting(before))
		if calls := h.zeros(1 << 40); calls > 1<<40/zeroSpan+2*zeroSpan/ZerosAtOnce+4 {
			t.Errorf("behind %d bytes: %d calls", before, calls)
		}
		if before == 0 && h.Sum().String() != terabyteOfZeros {
			t.Errorf("a TiB of zeros: %s, want %s", h.Sum(), terabyteOfZeros)
		}
	}
}

// terabyteOfZeros is what b3sum prints for a file of 1 TiB of zeros.
const terabyteOfZeros = "9387bd9b2ff4c3d9baa8c65d491f51789b6ed2a000aa45b679f80d21c3cc5013"
