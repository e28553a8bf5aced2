package chunk

import (
	"encoding/hex"
	"fmt"
	"sync"

	"github.com/zeebo/blake3"
)

// Digest is the BLAKE3-256 of the bytes of one file of ours.
type Digest [32]byte

// String returns the digest as 64 lower-case hex digits.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// IsZero reports whether the digest is unset.
func (d Digest) IsZero() bool { return d == Digest{} }

// ParseDigest reads what String wrote.
func ParseDigest(s string) (Digest, error) {
	var d Digest
	if err := parseHex(d[:], s); err != nil {
		return Digest{}, fmt.Errorf("digest %q: %w", s, err)
	}
	return d, nil
}

// SumDigest is the digest of a file held in memory.
func SumDigest(p []byte) Digest { return Digest(sum256(p)) }

// Digester computes the Digest of a file of ours written to it.
type Digester struct{ hasher }

// NewDigester returns a digester of nothing yet.
func NewDigester() *Digester { return &Digester{} }

// Sum returns the digest of what was written since the last Reset. More may
// be written afterwards.
func (d *Digester) Sum() Digest { return Digest(d.sum()) }

// Checksum is BLAKE3-256 in derive-key mode over the parts, one after the
// other: what seals headers, records, tables and envelopes. The context is a
// constant of the program that names what is sealed; it keeps the checksums of
// different things apart. The parts are simply joined, so at most one of them
// may have a length that the others do not tell.
func Checksum(context string, parts ...[]byte) (sum [32]byte) {
	pool := poolOf(context)
	s := pool.Get().(*summer)
	s.h.Reset()
	for _, p := range parts {
		s.h.Write(p)
	}
	s.h.Sum(s.out[:0])
	sum = s.out
	pool.Put(s)
	return sum
}

// summer keeps its output beside its hasher so that a sum allocates nothing.
type summer struct {
	h   *blake3.Hasher
	out [32]byte
}

// checksumPools holds one pool of keyed hashers a context: deriving the key
// anew would cost a hash of the context each time, and a hasher has 11 KiB.
var checksumPools sync.Map // string → *sync.Pool

func poolOf(context string) *sync.Pool {
	if p, ok := checksumPools.Load(context); ok {
		return p.(*sync.Pool)
	}
	keyed := blake3.NewDeriveKey(context)
	p, _ := checksumPools.LoadOrStore(context, &sync.Pool{
		New: func() any { return &summer{h: keyed.Clone()} },
	})
	return p.(*sync.Pool)
}
