package chunk

import (
	"errors"
	"testing"
)

func TestDefaultParamsAreValidAndRandom(t *testing.T) {
	a, err := DefaultParams()
	if err != nil {
		t.Fatal(err)
	}
	b, err := DefaultParams()
	if err != nil {
		t.Fatal(err)
	}
	if a.Polynomial == b.Polynomial {
		t.Errorf("the same polynomial %#x twice", a.Polynomial)
	}
	if err := a.Validate(); err != nil {
		t.Error(err)
	}
	if a.Min != 512<<10 || a.Max != 8<<20 || a.AverageBits != 20 {
		t.Errorf("default sizes: %+v", a)
	}
}

// testPolynomial is irreducible, and the same in every run.
const testPolynomial = 0x3DA3358B4DC173

func TestParamsThatCannotCutAreRefused(t *testing.T) {
	good := Params{testPolynomial, DefaultMin, DefaultMax, DefaultAverageBits}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Params){
		"no polynomial":            func(p *Params) { p.Polynomial = 0 },
		"even, so divisible by x":  func(p *Params) { p.Polynomial &^= 1 },
		"divisible by x+1":         func(p *Params) { p.Polynomial ^= 2 },
		"degree too small":         func(p *Params) { p.Polynomial = 0b1011 },
		"degree too large":         func(p *Params) { p.Polynomial |= 1 << 60 },
		"min of nothing":           func(p *Params) { p.Min = 0 },
		"min below the window":     func(p *Params) { p.Min = 63 },
		"max over the limit":       func(p *Params) { p.Max = MaxSize + 1 },
		"max of nothing":           func(p *Params) { p.Max = 0 },
		"min over max":             func(p *Params) { p.Min = p.Max + 1 },
		"min almost max":           func(p *Params) { p.Min = p.Max - 1 },
		"cuts everywhere":          func(p *Params) { p.AverageBits = 0 },
		"cuts nowhere":             func(p *Params) { p.AverageBits = 24 },
		"a shift beyond the bits":  func(p *Params) { p.AverageBits = 255 },
		"bits that wrap to a size": func(p *Params) { p.AverageBits = 64 },
	} {
		p := good
		change(&p)
		if err := p.Validate(); !errors.Is(err, ErrParams) {
			t.Errorf("%s: %+v gives %v", name, p, err)
		}
	}
}
