package chunk

import (
	"errors"
	"fmt"
	"math/bits"
	"sync/atomic"

	"github.com/restic/chunker"
)

// Params say where content is cut. They are drawn once per route and never
// change: other parameters cut other chunks, and everything would be carried
// again. The polynomial is the route's own, so that the sizes of chunks tell a
// stranger less about known files.
type Params struct {
	Polynomial  uint64 // irreducible over GF(2), of degree 53
	Min, Max    uint32 // no chunk but a last one is smaller than Min, none is larger than Max
	AverageBits uint8  // a cut every 2^AverageBits bytes on average, once Min is reached
}

// The defaults: chunks of 1.5 MiB on average.
const (
	DefaultMin         = 512 << 10
	DefaultMax         = MaxSize
	DefaultAverageBits = 20
)

// What Validate accepts. The lower bound is far below what makes sense on
// disk, so that tests can have many chunks in little data.
const (
	minMin            = 1 << 10
	minAverageBits    = 8
	polynomialDegree  = 53
	maxChunksPerBound = 2 // Max holds at least this many Min
)

// ErrParams is wrapped by every error of Validate.
var ErrParams = errors.New("unusable chunk parameters")

// DefaultParams returns the default sizes with a random polynomial.
func DefaultParams() (Params, error) {
	pol, err := chunker.RandomPolynomial()
	if err != nil {
		return Params{}, fmt.Errorf("draw a polynomial: %w", err)
	}
	return Params{
		Polynomial:  uint64(pol),
		Min:         DefaultMin,
		Max:         DefaultMax,
		AverageBits: DefaultAverageBits,
	}, nil
}

// Validate refuses parameters that cannot cut or that would cut badly. What
// comes from a drive or from a file that people edit goes through it.
func (p Params) Validate() error {
	switch {
	case bits.Len64(p.Polynomial) != polynomialDegree+1:
		return fmt.Errorf("%w: polynomial %#x has degree %d, not %d",
			ErrParams, p.Polynomial, bits.Len64(p.Polynomial)-1, polynomialDegree)
	case !irreducible(p.Polynomial):
		return fmt.Errorf("%w: polynomial %#x is reducible", ErrParams, p.Polynomial)
	case p.Min < minMin:
		return fmt.Errorf("%w: smallest chunk of %d bytes, at least %d expected", ErrParams, p.Min, minMin)
	case p.Max > MaxSize:
		return fmt.Errorf("%w: largest chunk of %d bytes, at most %d expected", ErrParams, p.Max, MaxSize)
	case p.Max/maxChunksPerBound < p.Min:
		return fmt.Errorf("%w: largest chunk of %d bytes is not twice the smallest of %d", ErrParams, p.Max, p.Min)
	case p.AverageBits < minAverageBits || p.AverageBits > 31:
		return fmt.Errorf("%w: %d average bits, %d to 23 expected", ErrParams, p.AverageBits, minAverageBits)
	case uint64(1)<<p.AverageBits > uint64(p.Max):
		return fmt.Errorf("%w: a cut every %d bytes, but the largest chunk has %d", ErrParams, uint64(1)<<p.AverageBits, p.Max)
	}
	return nil
}

// lastIrreducible is the polynomial last found irreducible: the test takes a
// millisecond, and every commit of a route is read with the same one.
var lastIrreducible atomic.Uint64

func irreducible(polynomial uint64) bool {
	if lastIrreducible.Load() == polynomial {
		return true
	}
	if !chunker.Pol(polynomial).Irreducible() {
		return false
	}
	lastIrreducible.Store(polynomial)
	return true
}
