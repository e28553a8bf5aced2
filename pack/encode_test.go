package pack

import (
	"bytes"
	"encoding/binary"
	"errors"
	"runtime"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"

	"waterlock/internal/chunk"
)

func TestEncodeStoresRawUnlessItSaves(t *testing.T) {
	for level := range 4 {
		e := newEncoder(t, level)
		for name, c := range map[string]struct {
			plain []byte
			want  Encoding
		}{
			"one byte":      {[]byte{1}, Raw},
			"short text":    {text(60), Raw},
			"text":          {text(100_000), Zstd},
			"zeros":         {make([]byte, 300_000), Zstd},
			"noise":         {random(1, 300_000), Raw},
			"saves too few": {append(random(2, 300_000), make([]byte, 5_000)...), Raw},
			"saves enough":  {append(random(2, 300_000), make([]byte, 20_000)...), Zstd},
		} {
			for _, k := range []chunk.Kind{chunk.Data, chunk.Stream} {
				s, err := e.Encode(k, c.plain, nil)
				if err != nil {
					t.Fatal(err)
				}
				if s.Encoding != c.want || s.ID != k.ID(c.plain) || int(s.PlainLen) != len(c.plain) {
					t.Errorf("level %d, %s: %v, %d bytes of %d", level, name, s.Encoding, len(s.Data), len(c.plain))
				}
				if s.Encoding == Raw && &s.Data[0] != &c.plain[0] {
					t.Errorf("%s: raw bytes were copied", name)
				}
				if plain, err := DecodeStored(k, s, nil); err != nil || !bytes.Equal(plain, c.plain) {
					t.Errorf("level %d, %s: %v", level, name, err)
				}
			}
		}
		if e.Faults() != 0 {
			t.Errorf("%d faults", e.Faults())
		}
	}
}

func TestTheLargestChunkIsEncoded(t *testing.T) {
	plain := append(text(MaxPlain/2), random(1, MaxPlain/2)...)
	s, err := newEncoder(t, 0).Encode(chunk.Data, plain, nil)
	if err != nil || s.Encoding != Zstd {
		t.Fatal(s.Encoding, err)
	}
	if got, err := DecodeStored(chunk.Data, s, nil); err != nil || !bytes.Equal(got, plain) {
		t.Error(err)
	}
}

func TestEncodeRefusesWhatNoRecordHolds(t *testing.T) {
	e := newEncoder(t, 0)
	for _, n := range []int{0, MaxPlain + 1} {
		if _, err := e.Encode(chunk.Data, make([]byte, n), nil); !errors.Is(err, ErrField) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	for _, level := range []int{-1, 4} {
		if _, err := NewEncoder(level); !errors.Is(err, ErrLevel) {
			t.Errorf("level %d: %v", level, err)
		}
	}
}

func TestEncodeUsesTheBuffersGiven(t *testing.T) {
	e := newEncoder(t, 0)
	plain := text(1 << 20)
	buf := make([]byte, 0, EncodeBound(len(plain)))
	var s Stored
	n := testing.AllocsPerRun(10, func() {
		var err error
		if s, err = e.Encode(chunk.Data, plain, buf); err != nil {
			t.Fatal(err)
		}
	})
	if n > 2 || &s.Data[0] != &buf[:1][0] {
		t.Errorf("%v allocations", n)
	}
	back := make([]byte, 0, len(plain)+ReadSlack)
	var got []byte
	n = testing.AllocsPerRun(10, func() {
		var err error
		if got, err = DecodeStored(chunk.Data, s, back); err != nil {
			t.Fatal(err)
		}
	})
	if n > 2 || &got[0] != &back[:1][0] {
		t.Errorf("%v allocations", n)
	}
	for n := range 300 {
		if bound := e.enc.MaxEncodedSize(n << 10); bound > EncodeBound(n<<10) {
			t.Fatalf("%d bytes may grow to %d", n<<10, bound)
		}
	}
}

// The compressed bytes are decoded and compared before they count.
func TestACompressorThatLiesIsFound(t *testing.T) {
	e := newEncoder(t, 0)
	plain := text(10_000)
	packed := e.enc.EncodeAll(plain, nil)
	if !e.decodesTo(packed, plain) {
		t.Fatal("the truth is not believed")
	}
	rapid.Check(t, func(t *rapid.T) {
		bad := bytes.Clone(packed)
		bad[rapid.IntRange(0, len(bad)-1).Draw(t, "at")] ^= rapid.ByteRange(1, 255).Draw(t, "flip")
		out, err := e.dec.DecodeAll(bad, make([]byte, 0, 20_000))
		same := err == nil && bytes.Equal(out, plain)
		if e.decodesTo(bad, plain) != same {
			t.Fatal("a lie is believed")
		}
	})
	if e.decodesTo(packed, text(9_999)) || e.decodesTo(packed, random(1, 10_000)) {
		t.Error("a lie is believed")
	}
}

// What did not decode to the same bytes is stored raw, and counted.
func TestAMiscodedChunkIsStoredRaw(t *testing.T) {
	e := newEncoder(t, 0)
	plain := text(10_000)
	var err error
	if e.dec, err = zstd.NewReader(nil, zstd.WithDecoderMaxMemory(1024)); err != nil { // decodes nothing as large
		t.Fatal(err)
	}
	s, err := e.Encode(chunk.Data, plain, nil)
	if err != nil || s.Encoding != Raw || !bytes.Equal(s.Data, plain) || e.Faults() != 1 {
		t.Errorf("%v, %d faults, %v", s.Encoding, e.Faults(), err)
	}
}

// bomb is a frame of zeros that grows by 32,768 times.
func bomb(size int, frameHeader ...byte) []byte {
	b := append([]byte{0x28, 0xb5, 0x2f, 0xfd}, frameHeader...)
	const block = 128 << 10
	for left := size; left > 0; left -= block {
		h := uint32(1<<1 | min(left, block)<<3) // a block of one byte repeated
		if left <= block {
			h |= 1
		}
		b = append(b, byte(h), byte(h>>8), byte(h>>16), 0)
	}
	return b
}

func TestAZstdBombIsRefused(t *testing.T) {
	const claim = 512 << 20
	fcs := func(n uint32) []byte { return binary.LittleEndian.AppendUint32([]byte{0xa0}, n) }
	large := make([]byte, 0, 16<<20)
	for name, data := range map[string][]byte{
		"claims 512 MiB":           bomb(claim, fcs(claim)...),
		"claims its plain length":  bomb(claim, fcs(MaxPlain)...),
		"claims nothing":           bomb(claim, 0x00, 0x58), // a window of 2 MiB
		"window of 2 GiB":          bomb(claim, 0x00, 0xa8),
		"another frame behind":     append(bomb(MaxPlain, fcs(MaxPlain)...), bomb(claim, fcs(claim)...)...),
		"another, claims nothing":  append(bomb(MaxPlain, fcs(MaxPlain)...), bomb(claim, 0x00, 0x58)...),
		"a skippable frame first":  append([]byte{0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4}, bomb(claim, fcs(claim)...)...),
		"needs a dictionary":       bomb(claim, 0x01, 0x58, 7),
		"cut":                      bomb(claim, fcs(MaxPlain)...)[:100],
		"less than its plain size": bomb(MaxPlain-1, 0x00, 0x58),
	} {
		if len(data) > 20<<10 {
			t.Fatalf("%s: the bomb has %d bytes", name, len(data))
		}
		s := Stored{chunk.Data.ID([]byte("x")), Zstd, MaxPlain, data}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := DecodeStored(chunk.Data, s, nil)
		runtime.ReadMemStats(&after)
		if !errors.Is(err, ErrChunk) {
			t.Errorf("%s: %v", name, err)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > 2*MaxPlain+4<<20 {
			t.Errorf("%s: %d bytes of memory", name, used)
		}
		// With a larger buffer than the plain length the bomb gains nothing.
		if _, err := DecodeStored(chunk.Data, s, large); !errors.Is(err, ErrChunk) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The same frames are good where they keep to their word.
	zeros := make([]byte, MaxPlain)
	s := Stored{chunk.Data.ID(zeros), Zstd, MaxPlain, bomb(MaxPlain, fcs(MaxPlain)...)}
	if plain, err := DecodeStored(chunk.Data, s, nil); err != nil || !bytes.Equal(plain, zeros) {
		t.Error(err)
	}
}

func TestDecodeStoredFindsAWrongID(t *testing.T) {
	for _, plain := range [][]byte{random(1, 200), text(2000)} {
		s, err := newEncoder(t, 0).Encode(chunk.Data, plain, nil)
		if err != nil {
			t.Fatal(err)
		}
		var ce *ChunkError
		if _, err := DecodeStored(chunk.Stream, s, nil); !errors.As(err, &ce) || ce.Found != chunk.Stream.ID(plain) {
			t.Errorf("a data chunk read as stream: %v", err)
		}
		if _, err := DecodeStored(0, s, nil); !errors.Is(err, ErrChunk) {
			t.Errorf("a chunk of no kind: %v", err)
		}
		s.ID[5] ^= 1
		if _, err := DecodeStored(chunk.Data, s, nil); !errors.As(err, &ce) || ce.ID != s.ID || ce.Found != chunk.Data.ID(plain) {
			t.Errorf("%v", err)
		}
	}
}

// Any writer's frames are read, as a later version's may be.
func TestFramesOfOtherEncodersAreRead(t *testing.T) {
	plain := text(300_000)
	for name, opts := range map[string][]zstd.EOption{
		"crc":        {zstd.WithEncoderCRC(true)},
		"window":     {zstd.WithWindowSize(MaxPlain), zstd.WithSingleSegment(false)},
		"no entropy": {zstd.WithNoEntropyCompression(true)},
	} {
		enc, err := zstd.NewWriter(nil, opts...)
		if err != nil {
			t.Fatal(err)
		}
		s := Stored{chunk.Data.ID(plain), Zstd, uint32(len(plain)), enc.EncodeAll(plain, nil)}
		if got, err := DecodeStored(chunk.Data, s, nil); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDecodeStoredIsSafeForConcurrentUse(t *testing.T) {
	plain := text(200_000)
	s, err := newEncoder(t, 0).Encode(chunk.Data, plain, nil)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 10 {
				if got, err := DecodeStored(chunk.Data, s, nil); err != nil || !bytes.Equal(got, plain) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}
