package pack

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"waterlock/internal/chunk"
)

// built is a pack in memory with what went into it.
type built struct {
	Summary
	file   []byte
	plains [][]byte
}

func newEncoder(t testing.TB, level int) *Encoder {
	e, err := NewEncoder(level)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

var testID = [16]byte{'t', 'e', 's', 't', 15: 1}

func build(t testing.TB, k chunk.Kind, id [16]byte, plains ...[]byte) built {
	var file bytes.Buffer
	w, err := newWriter(&file, identity{k, id})
	if err != nil {
		t.Fatal(err)
	}
	e := newEncoder(t, 0)
	for i, plain := range plains {
		s, err := e.Encode(k, plain, nil)
		if err != nil {
			t.Fatal(err)
		}
		p, err := w.Append(s)
		if err != nil {
			t.Fatal(err)
		}
		if p.Number != uint32(i+1) || p.ID != k.ID(plain) || int(p.PlainLen) != len(plain) {
			t.Fatalf("place %+v of chunk %d", p, i)
		}
	}
	size := w.Size()
	sum, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	if sum.Size != size || int64(file.Len()) != size || sum.Records != len(plains) || sum.Kind != k ||
		sum.Digest != chunk.SumDigest(file.Bytes()) {
		t.Fatalf("summary %+v of a file of %d bytes, size before %d", sum, file.Len(), size)
	}
	return built{sum, file.Bytes(), plains}
}

func text(n int) []byte { return bytes.Repeat([]byte("all work and no play "), n/21+1)[:n] }

func random(seed byte, n int) []byte { return sampleNoise(seed, n) }

func smallPack(t testing.TB, k chunk.Kind) built {
	return build(t, k, testID, random(1, 100), text(900), []byte{7}, random(2, 150), text(3000), make([]byte, 700))
}

func reader(b []byte) (io.ReaderAt, int64) { return bytes.NewReader(b), int64(len(b)) }

func TestReadReturnsWhatAppendTook(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		k := rapid.SampledFrom([]chunk.Kind{chunk.Data, chunk.Stream}).Draw(rt, "kind")
		var plains [][]byte
		for range rapid.IntRange(0, 8).Draw(rt, "records") {
			n := rapid.IntRange(1, 60_000).Draw(rt, "length")
			if rapid.Bool().Draw(rt, "compressible") {
				plains = append(plains, text(n))
			} else {
				plains = append(plains, random(byte(n), n))
			}
		}
		b := build(t, k, testID, plains...)
		rd, err := Open(reader(b.file))
		if err != nil {
			rt.Fatal(err)
		}
		if rd.Kind() != k || rd.PackID() != b.PackID || !slices.Equal(rd.Places(), b.Places) {
			rt.Fatalf("opened %v %x %+v", rd.Kind(), rd.PackID(), rd.Places())
		}
		known, err := OpenRecords(reader(b.file))
		if err != nil || len(known.Places()) != 0 {
			rt.Fatal(err)
		}
		for i, p := range rd.Places() {
			for _, rd := range []*Reader{rd, known} {
				if plain, err := rd.Read(p, nil); err != nil || !bytes.Equal(plain, plains[i]) {
					rt.Fatalf("record %d: %v", i+1, err)
				}
			}
			s, err := rd.ReadStored(p, nil)
			if err != nil {
				rt.Fatal(err)
			}
			if plain, err := DecodeStored(k, s, nil); err != nil || !bytes.Equal(plain, plains[i]) {
				rt.Fatalf("record %d: %v", i+1, err)
			}
		}
	})
}

func TestPackIDsAreRandom(t *testing.T) {
	a, err := NewWriter(io.Discard, chunk.Data)
	if err != nil {
		t.Fatal(err)
	}
	b, err := NewWriter(io.Discard, chunk.Data)
	if err != nil {
		t.Fatal(err)
	}
	if a.PackID() == b.PackID() || a.PackID() == [16]byte{} {
		t.Errorf("pack ids %x and %x", a.PackID(), b.PackID())
	}
	if _, err := NewWriter(io.Discard, 0); !errors.Is(err, ErrField) {
		t.Errorf("a pack of no kind: %v", err)
	}
}

func TestFitsTellsWhatClosedSizeWillBe(t *testing.T) {
	w, _ := NewWriter(io.Discard, chunk.Data)
	s := Stored{chunk.Data.ID([]byte("x")), Raw, 1, []byte("x")}
	for range 3 {
		after := ClosedSize(w.Records()+1, int64(w.Records()+1))
		if !w.Fits(1, after) || w.Fits(1, after-1) {
			t.Fatalf("Fits is not exact at %d records", w.Records())
		}
		if _, err := w.Append(s); err != nil {
			t.Fatal(err)
		}
		if w.Size() != after {
			t.Fatalf("size %d, want %d", w.Size(), after)
		}
	}
	if w.Fits(1<<31-1, 1<<31) {
		t.Error("a record fits into less than itself")
	}
}

func TestAFullPackRefusesTheNextRecord(t *testing.T) {
	var file bytes.Buffer
	w, _ := NewWriter(&file, chunk.Data)
	s := Stored{chunk.Data.ID([]byte("x")), Raw, 1, []byte("x")}
	for range MaxRecords {
		if _, err := w.Append(s); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Append(s); !errors.Is(err, ErrFull) || w.Fits(1, MaxSize) {
		t.Fatalf("record %d: %v", MaxRecords+1, err)
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	rd, err := Open(reader(file.Bytes()))
	if err != nil || len(rd.Places()) != MaxRecords {
		t.Fatal(err)
	}
	if p, err := rd.Read(rd.Places()[MaxRecords-1], nil); err != nil || string(p) != "x" {
		t.Fatal(err)
	}
	w, _ = NewWriter(io.Discard, chunk.Data)
	w.stored = MaxSize - 1000 // as if so many bytes had been written
	if _, err := w.Append(Stored{s.ID, Raw, 1000, make([]byte, 1000)}); !errors.Is(err, ErrFull) {
		t.Errorf("a pack of 4 GiB: %v", err)
	}
}

func TestAppendRefusesWhatReadWouldRefuse(t *testing.T) {
	id := chunk.Data.ID([]byte("x"))
	for name, s := range map[string]Stored{
		"zero":             {},
		"no id":            {chunk.ID{}, Raw, 1, []byte("x")},
		"no encoding":      {id, 0, 1, []byte("x")},
		"unknown encoding": {id, 3, 1, []byte("x")},
		"no data":          {id, Raw, 1, nil},
		"no plain length":  {id, Raw, 0, []byte("x")},
		"other raw length": {id, Raw, 2, []byte("x")},
		"grown by zstd":    {id, Zstd, 1, []byte("xx")},
		"too long":         {id, Zstd, MaxPlain + 1, []byte("x")},
		"stored too long":  {id, Raw, MaxPlain + 1, make([]byte, MaxPlain+1)},
	} {
		w, _ := NewWriter(io.Discard, chunk.Data)
		if _, err := w.Append(s); !errors.Is(err, ErrField) || w.Records() != 0 {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := DecodeStored(chunk.Data, s, nil); !errors.Is(err, ErrChunk) {
			t.Errorf("%s: decoded, %v", name, err)
		}
	}
}

// blocks notes the lengths of the writes it gets and fails at one.
type blocks struct {
	lens   []int
	failAt int
	short  bool
}

func (b *blocks) Write(p []byte) (int, error) {
	b.lens = append(b.lens, len(p))
	if len(b.lens) == b.failAt {
		if b.short {
			return len(p) / 2, nil
		}
		return 0, io.ErrClosedPipe
	}
	return len(p), nil
}

func fill(w *Writer) error {
	for i := range 8 {
		plain := random(byte(i), 100_000*(i+1))
		if _, err := w.Append(Stored{chunk.Data.ID(plain), Raw, uint32(len(plain)), plain}); err != nil {
			return err
		}
	}
	_, err := w.Close()
	return err
}

func TestWritesAreWholeBlocks(t *testing.T) {
	var b blocks
	w, _ := NewWriter(&b, chunk.Data)
	if err := fill(w); err != nil {
		t.Fatal(err)
	}
	for i, n := range b.lens {
		if n%blockSize != 0 && i != len(b.lens)-1 {
			t.Errorf("write %d of %d has %d bytes", i, len(b.lens), n)
		}
	}
}

func TestAFailedWriteIsNeverForgotten(t *testing.T) {
	var clean blocks
	w, _ := NewWriter(&clean, chunk.Data)
	if err := fill(w); err != nil {
		t.Fatal(err)
	}
	for k := 1; k <= len(clean.lens); k++ {
		for _, short := range []bool{false, true} {
			w, _ := NewWriter(&blocks{failAt: k, short: short}, chunk.Data)
			err := fill(w)
			if !errors.Is(err, io.ErrClosedPipe) && !errors.Is(err, io.ErrShortWrite) {
				t.Fatalf("write %d fails: %v", k, err)
			}
			if _, again := w.Append(Stored{}); again != err {
				t.Errorf("write %d failed, then Append: %v", k, again)
			}
			if _, again := w.Close(); again != err {
				t.Errorf("write %d failed, then Close: %v", k, again)
			}
		}
	}
}

func TestAClosedWriterRefusesMore(t *testing.T) {
	w, _ := NewWriter(io.Discard, chunk.Data)
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Close(); err == nil {
		t.Error("closed twice")
	}
	if _, err := w.Append(Stored{chunk.Data.ID([]byte("x")), Raw, 1, []byte("x")}); err == nil {
		t.Error("appended to a closed pack")
	}
}

// The Writer decodes the table it wrote before it counts: any other table, or
// one that its own places do not give, is not written.
func TestAWrongTableIsNotWritten(t *testing.T) {
	var b blocks
	w, _ := NewWriter(&b, chunk.Data)
	if _, err := w.Append(Stored{chunk.Data.ID([]byte("x")), Raw, 1, []byte("x")}); err != nil {
		t.Fatal(err)
	}
	w.places[0].Offset++ // as a bit flipped in memory would
	if _, err := w.Close(); !errors.Is(err, ErrTable) || len(b.lens) != 0 {
		t.Errorf("%v after %d writes", err, len(b.lens))
	}
}

func TestReadDoesNotAllocateInALargeBuffer(t *testing.T) {
	b := build(t, chunk.Data, testID, random(1, 500_000), text(500_000))
	rd, err := Open(reader(b.file))
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 0, 500_000+ReadSlack)
	for i, p := range rd.Places() {
		var plain []byte
		n := testing.AllocsPerRun(20, func() {
			if plain, err = rd.Read(p, buf); err != nil {
				t.Fatal(err)
			}
		})
		if n > 3 || &plain[0] != &buf[:1][0] {
			t.Errorf("record %d: %v allocations, in buf: %v", i+1, n, &plain[0] == &buf[:1][0])
		}
	}
}

// failing is an io.ReaderAt on which a stretch cannot be read.
type failing struct {
	io.ReaderAt
	from, to int64
}

var errMedium = errors.New("medium error")

func (f failing) ReadAt(p []byte, off int64) (int, error) {
	if off < f.to && off+int64(len(p)) > f.from {
		n, _ := f.ReaderAt.ReadAt(p[:max(0, f.from-off)], off)
		return n, errMedium
	}
	return f.ReaderAt.ReadAt(p, off)
}

func TestABadSpotOfTheMediumCostsOneRecord(t *testing.T) {
	var plains [][]byte
	for i := range 40 {
		plains = append(plains, random(byte(i), 100_000))
	}
	b := build(t, chunk.Data, testID, plains...)
	r, size := reader(b.file)
	bad := b.Places[17]
	for name, f := range map[string]failing{
		"payload": {r, bad.Offset + 50_000, bad.Offset + 50_512},
		"header":  {r, bad.Offset, bad.Offset + 512},
	} {
		for _, table := range []bool{true, false} {
			f := f
			if !table {
				file := bytes.Clone(b.file)
				file[size-FooterSize-50] ^= 1
				f.ReaderAt = bytes.NewReader(file)
			}
			good := 0
			tableErr, err := Check(f, size, func(p Place, err error) error {
				if err == nil {
					good++
				} else if p != bad || !errors.Is(err, errMedium) {
					return fmt.Errorf("record %d: %w", p.Number, err)
				}
				return nil
			})
			if err != nil || (tableErr == nil) != table || good != len(plains)-1 {
				t.Errorf("%s, table %v: %d good, %v, %v", name, table, good, tableErr, err)
			}
		}
	}
}

func TestADeadDeviceEndsTheScan(t *testing.T) {
	b := smallPack(t, chunk.Data)
	f := failing{bytes.NewReader(b.file), int64(HeaderSize), 1 << 40}
	err := Recover(f, 1<<31, func(Place) error { return nil })
	if !errors.Is(err, errMedium) {
		t.Errorf("%v", err)
	}
	// A file that is shorter than its size says simply ends.
	n := 0
	err = Recover(bytes.NewReader(b.file), 1<<31, func(Place) error { n++; return nil })
	if err != nil || n != len(b.plains) {
		t.Errorf("%d records, %v", n, err)
	}
}

func TestCallbackErrorsStopTheScan(t *testing.T) {
	b := smallPack(t, chunk.Data)
	r, size := reader(b.file)
	stop := errors.New("stop")
	n := 0
	if err := Recover(r, size, func(Place) error { n++; return stop }); err != stop || n != 1 {
		t.Errorf("Recover: %v after %d", err, n)
	}
	n = 0
	if _, err := Check(r, size, func(Place, error) error { n++; return stop }); err != stop || n != 1 {
		t.Errorf("Check: %v after %d", err, n)
	}
}

func TestReaderIsSafeForConcurrentUse(t *testing.T) {
	b := smallPack(t, chunk.Data)
	rd, err := Open(reader(b.file))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			var buf []byte
			for range 20 {
				for i, p := range rd.Places() {
					plain, err := rd.Read(p, buf)
					if err != nil || !bytes.Equal(plain, b.plains[i]) {
						t.Error(err)
					}
					buf = plain
				}
			}
		})
	}
	wg.Wait()
}
