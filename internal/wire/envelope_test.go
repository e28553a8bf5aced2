package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write the vectors in testdata anew")

var allKinds = []Kind{Commit, Receipt, InstallRecord, ChunkList, OpenShipment, ScanBlock}

func TestOpenReturnsWhatSealTook(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := rapid.SampledFrom(allKinds).Draw(t, "kind")
		route := RouteID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "route"))
		body := rapid.SliceOf(rapid.Byte()).Draw(t, "body")
		b := Seal(k, route, body)
		if len(b) != len(body)+Overhead {
			t.Fatalf("%d bytes for a body of %d", len(b), len(body))
		}
		gotRoute, got, err := Open(k, b)
		if err != nil || gotRoute != route || !bytes.Equal(got, body) {
			t.Fatal(err)
		}
		if got, err := OpenRoute(k, route, b); err != nil || !bytes.Equal(got, body) {
			t.Fatal(err)
		}
	})
}

func TestAnObjectOfAnotherRouteIsRefused(t *testing.T) {
	b := Seal(Receipt, RouteID{1}, []byte("body"))
	body, err := OpenRoute(Receipt, RouteID{2}, b)
	var e *Error
	if !errors.Is(err, ErrRoute) || body != nil || !errors.As(err, &e) || e.Offset != 16 ||
		e.Expected != (RouteID{2}).String() || e.Found != (RouteID{1}).String() {
		t.Errorf("%v", err)
	}
}

func TestAnObjectOfAnotherKindIsRefused(t *testing.T) {
	for _, sealed := range allKinds {
		b := Seal(sealed, RouteID{1}, []byte("body"))
		for _, opened := range allKinds {
			_, _, err := Open(opened, b)
			if ok := errors.Is(err, ErrKind); ok == (sealed == opened) {
				t.Errorf("%v opened as %v: %v", sealed, opened, err)
			}
			// A changed kind byte does not help: the context is another.
			forged := bytes.Clone(b)
			forged[10] = byte(opened)
			if _, _, err := Open(opened, forged); sealed != opened && !errors.Is(err, ErrChecksum) {
				t.Errorf("%v forged to %v: %v", sealed, opened, err)
			}
		}
	}
}

var typed = []error{ErrMagic, ErrVersion, ErrKind, ErrSeal, ErrLength, ErrChecksum, ErrRoute, ErrMalformed}

func isTyped(err error) bool {
	var e *Error
	if !errors.As(err, &e) {
		return false
	}
	for _, want := range typed {
		if errors.Is(err, want) {
			return true
		}
	}
	return false
}

func TestEveryFlippedByteOfAnEnvelopeIsFound(t *testing.T) {
	good := Seal(Commit, RouteID{1, 2, 3}, []byte("a body of some length"))
	for i := range good {
		for bit := range 8 {
			bad := bytes.Clone(good)
			bad[i] ^= 1 << bit
			_, body, err := Open(Commit, bad)
			if !isTyped(err) || body != nil {
				t.Fatalf("byte %d bit %d: %v", i, bit, err)
			}
		}
	}
}

func TestEveryTruncationOfAnEnvelopeIsFound(t *testing.T) {
	good := Seal(Commit, RouteID{1, 2, 3}, []byte("a body of some length"))
	for n := range good {
		if _, body, err := Open(Commit, good[:n]); !isTyped(err) || body != nil {
			t.Fatalf("cut to %d: %v", n, err)
		}
	}
	if _, _, err := Open(Commit, append(bytes.Clone(good), 0)); !errors.Is(err, ErrLength) {
		t.Errorf("one byte more: %v", err)
	}
}

// The first check that fails names the error, whatever else is wrong.
func TestEnvelopeChecksComeInOrder(t *testing.T) {
	b := Seal(Commit, RouteID{1}, []byte("body"))
	steps := []struct {
		want error
		at   int
	}{{ErrChecksum, len(b) - 1}, {ErrLength, 32}, {ErrSeal, 11}, {ErrKind, 10}, {ErrVersion, 8}, {ErrMagic, 0}}
	for _, s := range steps {
		b[s.at] ^= 0x40
		if _, _, err := Open(Commit, b); !errors.Is(err, s.want) {
			t.Errorf("want %v, found %v", s.want, err)
		}
	}
}

func TestAnEnvelopeThatClaimsMuchIsRefused(t *testing.T) {
	b := Seal(Commit, RouteID{1}, []byte("body"))
	for _, high := range []byte{0x10, 0x80, 0xff} {
		b[39] = high
		if _, _, err := Open(Commit, b); !errors.Is(err, ErrLength) {
			t.Errorf("%v", err)
		}
	}
}

func TestParseRouteIDReadsWhatStringWrote(t *testing.T) {
	r := RouteID{0xab, 15: 1}
	if got, err := ParseRouteID(r.String()); err != nil || got != r {
		t.Errorf("%v, %v", got, err)
	}
	for _, s := range []string{"", "ab", strings.ToUpper(r.String()), r.String() + "00", "zz" + r.String()[2:]} {
		if got, err := ParseRouteID(s); err == nil || !got.IsZero() {
			t.Errorf("ParseRouteID(%q) = %v, %v", s, got, err)
		}
	}
}

// The vector was written by version 1 and is read for ever.
func TestEnvelopeVectorV1IsRead(t *testing.T) {
	const file = "testdata/v1-commit.envelope"
	route, body := RouteID{0: 1, 15: 16}, []byte("the body of a commit of version 1\n")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, Seal(Commit, route, body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got, err := OpenRoute(Commit, route, b)
	if err != nil || !bytes.Equal(got, body) {
		t.Fatalf("%q, %v", got, err)
	}
	if again := Seal(Commit, route, body); !bytes.Equal(again, b) {
		t.Errorf("sealed again: %s, want %s", hex.EncodeToString(again), hex.EncodeToString(b))
	}
}

func FuzzOpenEnvelope(f *testing.F) {
	for _, k := range allKinds {
		f.Add(byte(k), Seal(k, RouteID{1}, []byte("body")))
	}
	if b, err := os.ReadFile("testdata/v1-commit.envelope"); err == nil {
		f.Add(byte(Commit), b)
		f.Add(byte(Commit), b[:50])
	}
	f.Fuzz(func(t *testing.T, kind byte, b []byte) {
		k := Kind(kind)
		if !k.Valid() {
			return
		}
		route, body, err := Open(k, b)
		if err != nil {
			if !isTyped(err) || body != nil {
				t.Fatalf("%v", err)
			}
			return
		}
		if !bytes.Equal(Seal(k, route, body), b) {
			t.Fatal("two envelopes of one body")
		}
	})
}
