package chunk

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"

	"github.com/restic/chunker"
	"pgregory.net/rapid"
)

func noise(seed byte, n int) []byte {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(p)
	return p
}

var smallParams = Params{testPolynomial, 1 << 10, 16 << 10, 11}

func split(t interface{ Fatal(...any) }, p Params, r io.Reader) (chunks [][]byte) {
	s := NewSplitter(p)
	s.Reset(r)
	buf := make([]byte, 0, p.Max)
	for {
		plain, err := s.Next(buf)
		if err == io.EOF {
			return chunks
		}
		if err != nil {
			t.Fatal(err)
		}
		chunks = append(chunks, bytes.Clone(plain))
	}
}

func TestChunksJoinToTheContentWithinBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		content := noise(rapid.Byte().Draw(t, "seed"), rapid.IntRange(0, 200<<10).Draw(t, "length"))
		if rapid.Bool().Draw(t, "zeros in it") && len(content) > 0 {
			at := rapid.IntRange(0, len(content)-1).Draw(t, "at")
			clear(content[at:min(len(content), at+64<<10)])
		}
		var r io.Reader = bytes.NewReader(content)
		switch rapid.IntRange(0, 3).Draw(t, "reader") {
		case 1:
			r = iotest.HalfReader(r)
		case 2:
			r = iotest.DataErrReader(r)
		case 3:
			r = &stutter{r: r}
		}
		chunks := split(t, smallParams, r)
		for i, c := range chunks {
			if len(c) > int(smallParams.Max) || len(c) == 0 || len(c) < int(smallParams.Min) && i != len(chunks)-1 {
				t.Fatalf("chunk %d of %d has %d bytes", i, len(chunks), len(c))
			}
		}
		if !bytes.Equal(bytes.Join(chunks, nil), content) {
			t.Fatal("the chunks are not the content")
		}
	})
}

// stutter reads odd numbers of bytes, and now and then none.
type stutter struct {
	r io.Reader
	n int
}

func (s *stutter) Read(p []byte) (int, error) {
	s.n++
	if s.n%3 == 0 {
		return 0, nil
	}
	return s.r.Read(p[:min(len(p), 1+s.n*37%5000)])
}

func TestChunksAreThoseOfTheChunker(t *testing.T) {
	content := noise(1, 12<<20)
	params := Params{testPolynomial, DefaultMin, DefaultMax, DefaultAverageBits}
	ours := split(t, params, bytes.NewReader(content))
	theirs := chunker.New(bytes.NewReader(content), testPolynomial)
	buf := make([]byte, 0, DefaultMax)
	for i := 0; ; i++ {
		c, err := theirs.Next(buf)
		if err == io.EOF {
			if i != len(ours) {
				t.Fatalf("%d chunks, want %d", len(ours), i)
			}
			break
		}
		if i >= len(ours) || !bytes.Equal(ours[i], c.Data) {
			t.Fatalf("chunk %d differs", i)
		}
	}
}

func TestAnInsertionChangesFewChunks(t *testing.T) {
	content := noise(2, 64<<20)
	middle := len(content) / 2
	edited := bytes.Join([][]byte{content[:middle], noise(3, 64<<10), content[middle:]}, nil)
	params := Params{testPolynomial, DefaultMin, DefaultMax, DefaultAverageBits}
	before := map[ID]bool{}
	for _, c := range split(t, params, bytes.NewReader(content)) {
		before[Data.ID(c)] = true
	}
	changed, size := 0, 0
	after := split(t, params, bytes.NewReader(edited))
	for _, c := range after {
		if !before[Data.ID(c)] {
			changed++
			size += len(c)
		}
	}
	t.Logf("%d of %d chunks changed, %d bytes", changed, len(after), size)
	if changed == 0 || changed > 4 || size > 8<<20 {
		t.Errorf("%d of %d chunks changed, %d bytes", changed, len(after), size)
	}
}

func TestNextDoesNotAllocate(t *testing.T) {
	content := noise(4, 256<<10)
	s := NewSplitter(smallParams)
	buf := make([]byte, 0, smallParams.Max)
	r := bytes.NewReader(content)
	allocs := testing.AllocsPerRun(5, func() {
		r.Reset(content)
		s.Reset(r)
		for {
			if _, err := s.Next(buf); err != nil {
				break
			}
		}
	})
	if allocs > 1 {
		t.Errorf("%v allocations in a whole file", allocs)
	}
}

func TestNextGrowsASmallBuffer(t *testing.T) {
	content := noise(5, 3<<20)
	s := NewSplitter(Params{testPolynomial, DefaultMin, DefaultMax, DefaultAverageBits})
	s.Reset(bytes.NewReader(content))
	var buf, got []byte
	for {
		plain, err := s.Next(buf)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, plain...)
		buf = plain
	}
	if !bytes.Equal(got, content) {
		t.Fatal("the chunks are not the content")
	}
}

func TestSplitterErrorsAreSticky(t *testing.T) {
	s := NewSplitter(smallParams)
	if _, err := s.Next(nil); err == nil {
		t.Error("a splitter without a reader gives a chunk")
	}
	broken := errors.New("broken")
	content := noise(6, 100<<10)
	s.Reset(io.MultiReader(bytes.NewReader(content), iotest.ErrReader(broken)))
	n := 0
	var err error
	for err == nil {
		var plain []byte
		plain, err = s.Next(nil)
		if !bytes.HasPrefix(content[n:], plain) {
			t.Fatal("wrong bytes")
		}
		n += len(plain)
	}
	if _, again := s.Next(nil); !errors.Is(err, broken) || !errors.Is(again, broken) {
		t.Errorf("errors %v, %v", err, again)
	}
	s.Reset(nothing{})
	if _, err := s.Next(nil); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("a reader that gives nothing: %v", err)
	}
	s.Reset(bytes.NewReader(content))
	if plain, err := s.Next(nil); err != nil || !bytes.HasPrefix(content, plain) {
		t.Errorf("after Reset: %v", err)
	}
	s.Reset(bytes.NewReader(nil))
	if plain, err := s.Next(nil); err != io.EOF || plain != nil {
		t.Errorf("nothing to read: %d bytes, %v", len(plain), err)
	}
}

type nothing struct{}

func (nothing) Read([]byte) (int, error) { return 0, nil }

func BenchmarkSplitter(b *testing.B) {
	content := noise(7, 64<<20)
	s := NewSplitter(Params{testPolynomial, DefaultMin, DefaultMax, DefaultAverageBits})
	buf := make([]byte, 0, DefaultMax)
	b.SetBytes(int64(len(content)))
	b.ReportAllocs()
	for b.Loop() {
		s.Reset(bytes.NewReader(content))
		for {
			if _, err := s.Next(buf); err != nil {
				break
			}
		}
	}
}

func BenchmarkSplitterSmallFile(b *testing.B) {
	content := noise(8, 4<<10)
	s := NewSplitter(Params{testPolynomial, DefaultMin, DefaultMax, DefaultAverageBits})
	buf := make([]byte, 0, DefaultMax)
	r := bytes.NewReader(content)
	b.SetBytes(int64(len(content)))
	b.ReportAllocs()
	for b.Loop() {
		r.Reset(content)
		s.Reset(r)
		for {
			if _, err := s.Next(buf); err != nil {
				break
			}
		}
	}
}
