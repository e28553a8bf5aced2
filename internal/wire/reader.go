package wire

import (
	"encoding/binary"
	"fmt"
)

// Reader takes a body apart. Its error is sticky: after the first, every verb
// returns zero and reads nothing, so a decoder may read a whole structure and
// ask for the error once. But it must not loop over a count without asking.
type Reader struct {
	b   []byte
	off int
	err error
}

// NewReader returns a reader of b. What Fixed and Blob return is part of b.
func NewReader(b []byte) *Reader { return &Reader{b: b} }

// Err returns the first error, an *Error that wraps ErrMalformed.
func (r *Reader) Err() error { return r.err }

// Offset returns how many bytes have been read.
func (r *Reader) Offset() int { return r.off }

// Remaining returns how many bytes have not been read.
func (r *Reader) Remaining() int { return len(r.b) - r.off }

// Done returns the first error, and one if bytes are left over.
func (r *Reader) Done() error {
	if r.err == nil && r.off != len(r.b) {
		r.fail(r.off, "the end", fmt.Sprintf("%d bytes more", len(r.b)-r.off))
	}
	return r.err
}

// Fail makes err's text the reader's sticky error, at the current offset:
// for decoders that find a value out of place.
func (r *Reader) Fail(expected, found string) { r.fail(r.off, expected, found) }

func (r *Reader) fail(off int, expected, found string) {
	if r.err == nil {
		r.err = &Error{Err: ErrMalformed, Offset: int64(off), Expected: expected, Found: found}
	}
}

// Uvarint reads an unsigned number in its shortest form.
func (r *Reader) Uvarint() uint64 {
	if r.err != nil {
		return 0
	}
	v, n := binary.Uvarint(r.b[r.off:])
	switch {
	case n == 0:
		r.fail(r.off, "a number", "the end")
		return 0
	case n < 0:
		r.fail(r.off, "a number of 64 bits", "a larger one")
		return 0
	case n > 1 && r.b[r.off+n-1] == 0:
		r.fail(r.off, "a number in its shortest form", fmt.Sprintf("%x", r.b[r.off:r.off+n]))
		return 0
	}
	r.off += n
	return v
}

// Varint reads a signed number in its shortest form.
func (r *Reader) Varint() int64 {
	u := r.Uvarint()
	v := int64(u >> 1)
	if u&1 != 0 {
		v = ^v
	}
	return v
}

// Byte reads one byte.
func (r *Reader) Byte() byte {
	if p := r.Fixed(1); p != nil {
		return p[0]
	}
	return 0
}

// Bool reads one byte that must be 0 or 1.
func (r *Reader) Bool() bool {
	at := r.off
	v := r.Byte()
	if v > 1 {
		r.fail(at, "0 or 1", fmt.Sprint(v))
	}
	return r.err == nil && v == 1
}

// Fixed reads exactly n bytes; nil where there are fewer.
func (r *Reader) Fixed(n int) []byte {
	if r.err != nil {
		return nil
	}
	if n < 0 || n > r.Remaining() {
		r.fail(r.off, fmt.Sprintf("%d bytes", n), fmt.Sprintf("%d", r.Remaining()))
		return nil
	}
	p := r.b[r.off : r.off+n : r.off+n]
	r.off += n
	return p
}

// Blob reads a length of at most maxLen and as many bytes.
func (r *Reader) Blob(maxLen int) []byte {
	at := r.off
	n := r.Uvarint()
	if r.err != nil {
		return nil
	}
	if n > uint64(max(maxLen, 0)) {
		r.fail(at, fmt.Sprintf("at most %d bytes", maxLen), fmt.Sprint(n))
		return nil
	}
	return r.Fixed(int(n))
}

// String reads as Blob does, into memory of its own.
func (r *Reader) String(maxLen int) string { return string(r.Blob(maxLen)) }

// Count reads the number of items that follow. It is at most limit, and at
// most what the remaining bytes can hold at minItemBytes each, so memory for
// it may be reserved.
func (r *Reader) Count(limit, minItemBytes int) int {
	at := r.off
	n := r.Uvarint()
	if r.err != nil {
		return 0
	}
	if n > uint64(max(limit, 0)) {
		r.fail(at, fmt.Sprintf("at most %d items", limit), fmt.Sprint(n))
		return 0
	}
	if n > uint64(r.Remaining()/max(minItemBytes, 1)) {
		r.fail(at, fmt.Sprintf("items of %d bytes or more in %d bytes", minItemBytes, r.Remaining()), fmt.Sprint(n))
		return 0
	}
	return int(n)
}
