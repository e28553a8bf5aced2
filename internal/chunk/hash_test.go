package chunk

import (
	"bytes"
	"encoding/hex"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// counting is the input of BLAKE3's published test vectors.
func counting(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i % 251)
	}
	return p
}

// The published vectors of BLAKE3, which b3sum prints for such files.
var vectors = map[int]string{
	0:      "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
	1024:   "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7",
	102400: "bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085",
}

func TestContentHashIsThatOfB3sum(t *testing.T) {
	for n, want := range vectors {
		p := counting(n)
		h := NewContentHasher()
		h.Write(p)
		if got := h.Sum().String(); got != want {
			t.Errorf("content hash of %d bytes: %s, want %s", n, got, want)
		}
		if SumContent(p) != h.Sum() {
			t.Errorf("SumContent of %d bytes differs from the hasher", n)
		}
		d := NewDigester()
		d.Write(p)
		if got := d.Sum().String(); got != want || SumDigest(p) != d.Sum() {
			t.Errorf("digest of %d bytes: %s, want %s", n, got, want)
		}
		if got := Data.ID(p).String(); got != want {
			t.Errorf("data ID of %d bytes: %s, want %s", n, got, want)
		}
	}
}

func TestChecksumIsDeriveKeyMode(t *testing.T) {
	const context = "BLAKE3 2019-12-27 16:29:52 test vectors context"
	sum := Checksum(context)
	if got, want := hex.EncodeToString(sum[:]), "2cc39783c223154fea8dfb7c1b1660f2ac2dcbd1c1de8277b0b0dd39b7e50d7d"; got != want {
		t.Errorf("checksum of nothing: %s, want %s", got, want)
	}
	p := counting(100_000)
	if Checksum(context, p) != Checksum(context, p[:1], p[1:5000], nil, p[5000:]) {
		t.Error("checksum depends on where its parts begin")
	}
	if Checksum(context, p) == Checksum(context+" ", p) {
		t.Error("checksums of two contexts are equal")
	}
}

func TestStreamIDsDifferFromDataIDs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SliceOf(rapid.Byte()).Draw(t, "plain")
		if Data.ID(p) == Stream.ID(p) {
			t.Fatalf("equal IDs of %x", p)
		}
	})
}

func TestHasherGoesOnAfterSum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := counting(rapid.IntRange(0, 70_000).Draw(t, "length"))
		h := NewContentHasher()
		for rest := p; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "piece")
			h.Write(rest[:n])
			rest = rest[n:]
			if h.Sum() != SumContent(p[:len(p)-len(rest)]) {
				t.Fatal("wrong sum on the way")
			}
		}
		h.Reset()
		if h.Sum() != SumContent(nil) {
			t.Fatal("Reset forgot nothing")
		}
	})
}

func TestParseReadsWhatStringWrote(t *testing.T) {
	id := Data.ID([]byte("x"))
	if got, err := ParseID(id.String()); err != nil || got != id {
		t.Errorf("ParseID: %v, %v", got, err)
	}
	if got, err := ParseContentHash(id.String()); err != nil || got != ContentHash(id) {
		t.Errorf("ParseContentHash: %v, %v", got, err)
	}
	if got, err := ParseDigest(id.String()); err != nil || got != Digest(id) {
		t.Errorf("ParseDigest: %v, %v", got, err)
	}
	if !strings.HasPrefix(id.String(), id.Short()) || len(id.Short()) != 8 {
		t.Errorf("short form %s of %s", id.Short(), id)
	}
	for _, s := range []string{"", "00", id.String()[1:], id.String() + "00", strings.ToUpper(id.String()), "g" + id.String()[1:]} {
		if got, err := ParseID(s); err == nil || !got.IsZero() {
			t.Errorf("ParseID(%q) = %v, %v", s, got, err)
		}
	}
}

func TestCompareIsBytewise(t *testing.T) {
	a, b := ID{0: 1}, ID{31: 9}
	if a.Compare(b) != 1 || b.Compare(a) != -1 || a.Compare(a) != 0 {
		t.Error("IDs do not compare bytewise")
	}
}

func TestSumsAllocateNothing(t *testing.T) {
	p := counting(100_000)
	h := NewContentHasher()
	for name, fn := range map[string]func(){
		"data id":      func() { Data.ID(p) },
		"content hash": func() { h.Write(p); h.Sum() },
	} {
		if n := testing.AllocsPerRun(20, fn); n > 1 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}

func TestChecksumIsSafeForConcurrentUse(t *testing.T) {
	p := counting(10_000)
	want := Checksum("waterlock test", p)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				if got := Checksum("waterlock test", p); !bytes.Equal(got[:], want[:]) {
					t.Error("wrong checksum")
				}
			}
		})
	}
	wg.Wait()
}
