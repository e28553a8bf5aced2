package wire

import (
	"bytes"
	"errors"
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestReaderReadsWhatWriterWrote(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w Writer
		var checks []func(*Reader) bool
		for range rapid.IntRange(0, 20).Draw(t, "values") {
			switch rapid.IntRange(0, 6).Draw(t, "verb") {
			case 0:
				v := rapid.Uint64().Draw(t, "uvarint")
				w.Uvarint(v)
				checks = append(checks, func(r *Reader) bool { return r.Uvarint() == v })
			case 1:
				v := rapid.Int64().Draw(t, "varint")
				w.Varint(v)
				checks = append(checks, func(r *Reader) bool { return r.Varint() == v })
			case 2:
				v := rapid.Byte().Draw(t, "byte")
				w.Byte(v)
				checks = append(checks, func(r *Reader) bool { return r.Byte() == v })
			case 3:
				v := rapid.Bool().Draw(t, "bool")
				w.Bool(v)
				checks = append(checks, func(r *Reader) bool { return r.Bool() == v })
			case 4:
				v := rapid.SliceOfN(rapid.Byte(), 1, 40).Draw(t, "fixed")
				w.Fixed(v)
				checks = append(checks, func(r *Reader) bool { return bytes.Equal(r.Fixed(len(v)), v) })
			case 5:
				v := rapid.SliceOf(rapid.Byte()).Draw(t, "blob")
				w.Blob(v)
				checks = append(checks, func(r *Reader) bool { return bytes.Equal(r.Blob(len(v)), v) })
			case 6:
				v := rapid.String().Draw(t, "string")
				w.String(v)
				checks = append(checks, func(r *Reader) bool { return r.String(len(v)) == v })
			}
		}
		if w.Len() != len(w.Bytes()) {
			t.Fatal("Len is not the length")
		}
		r := NewReader(w.Bytes())
		for i, check := range checks {
			if !check(r) {
				t.Fatalf("value %d: %v", i, r.Err())
			}
		}
		if err := r.Done(); err != nil || r.Offset() != w.Len() {
			t.Fatal(err)
		}
		for n := range w.Len() {
			r := NewReader(w.Bytes()[:n])
			for _, check := range checks {
				check(r)
			}
			if err := r.Done(); !errors.Is(err, ErrMalformed) {
				t.Fatalf("cut to %d of %d bytes: %v", n, w.Len(), err)
			}
		}
	})
}

func TestOneValueHasOneEncoding(t *testing.T) {
	for name, fn := range map[string]func(*Reader){
		"\x80\x00":     func(r *Reader) { r.Uvarint() },
		"\xff\x80\x00": func(r *Reader) { r.Uvarint() },
		"\x81\x00":     func(r *Reader) { r.Varint() },
		"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02":     func(r *Reader) { r.Uvarint() },
		"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01": func(r *Reader) { r.Uvarint() },
		"\x02":      func(r *Reader) { r.Bool() },
		"\x81\x00a": func(r *Reader) { r.Blob(9) },
	} {
		r := NewReader([]byte(name))
		fn(r)
		if err := r.Err(); !errors.Is(err, ErrMalformed) {
			t.Errorf("%x: %v", name, err)
		}
	}
	for _, v := range []int64{0, -1, 1, math.MaxInt64, math.MinInt64} {
		var w Writer
		w.Varint(v)
		if r := NewReader(w.Bytes()); r.Varint() != v || r.Done() != nil {
			t.Errorf("varint %d: %v", v, r.Err())
		}
	}
}

func TestLengthsAndCountsAreBoundedBeforeTheyAreBelieved(t *testing.T) {
	body := func(n uint64, rest int) *Reader {
		var w Writer
		w.Uvarint(n)
		w.Fixed(make([]byte, rest))
		return NewReader(w.Bytes())
	}
	for name, r := range map[string]*Reader{
		"blob over its limit":     body(11, 100),
		"blob over what is there": body(9, 8),
		"blob of 2^64-1":          body(math.MaxUint64, 8),
	} {
		if p := r.Blob(10); p != nil || !errors.Is(r.Err(), ErrMalformed) {
			t.Errorf("%s: %d bytes, %v", name, len(p), r.Err())
		}
	}
	for name, r := range map[string]*Reader{
		"count over its limit":          body(1001, 100_000),
		"count of more than can follow": body(10, 39),
		"count of 2^64-1":               body(math.MaxUint64, 8),
		"count of 2^63":                 body(1<<63, 8),
	} {
		if n := r.Count(1000, 4); n != 0 || !errors.Is(r.Err(), ErrMalformed) {
			t.Errorf("%s: %d, %v", name, n, r.Err())
		}
	}
	if r := body(10, 40); r.Count(10, 4) != 10 || r.Err() != nil {
		t.Error(r.Err())
	}
	if r := NewReader(nil); r.Fixed(-1) != nil || r.Err() == nil {
		t.Error("a negative length is believed")
	}
	if r := body(1, 1); r.Blob(-1) != nil || r.Err() == nil {
		t.Error("a negative limit is believed")
	}
}

func TestReaderErrorIsSticky(t *testing.T) {
	r := NewReader([]byte{1, 2, 3, 4, 5})
	r.Fixed(2)
	r.Fail("sense", "none")
	first := r.Err()
	if r.Byte() != 0 || r.Uvarint() != 0 || r.Varint() != 0 || r.Bool() || r.Fixed(1) != nil ||
		r.Blob(5) != nil || r.String(5) != "" || r.Count(5, 1) != 0 {
		t.Error("a verb reads after an error")
	}
	if r.Err() != first || r.Done() != first || r.Offset() != 2 || r.Remaining() != 3 {
		t.Errorf("the error changed: %v", r.Err())
	}
	var e *Error
	if !errors.As(first, &e) || e.Offset != 2 || e.Expected != "sense" || e.Found != "none" {
		t.Errorf("%+v", e)
	}
}

// FuzzReader lets the input choose verbs and bounds and holds the Reader to
// its word: no panic, nothing longer than its bound, one encoding a value.
func FuzzReader(f *testing.F) {
	var w Writer
	w.Uvarint(300)
	w.Varint(-5)
	w.Bool(true)
	w.Blob([]byte("blob"))
	w.String("string")
	f.Add([]byte{0, 1, 3, 5, 5}, w.Bytes())
	f.Add([]byte{6}, []byte{0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, verbs, body []byte) {
		r := NewReader(body)
		var w Writer
		for _, v := range verbs {
			bound := int(v >> 3)
			switch v & 7 {
			case 0:
				if u := r.Uvarint(); r.Err() == nil {
					w.Uvarint(u)
				}
			case 1:
				if i := r.Varint(); r.Err() == nil {
					w.Varint(i)
				}
			case 2:
				if b := r.Byte(); r.Err() == nil {
					w.Byte(b)
				}
			case 3:
				if b := r.Bool(); r.Err() == nil {
					w.Bool(b)
				}
			case 4:
				if p := r.Fixed(bound); r.Err() == nil {
					w.Fixed(p)
				}
			case 5:
				if p := r.Blob(bound); r.Err() == nil {
					w.Blob(p)
				}
			case 6:
				n := r.Count(1000, bound)
				if n > 1000 || n*bound > r.Remaining() {
					t.Fatalf("count %d of %d bytes each, %d remain", n, bound, r.Remaining())
				}
				if r.Err() == nil {
					w.Uvarint(uint64(n))
				}
			case 7:
				if s := r.String(bound); r.Err() == nil {
					w.String(s)
				}
			}
		}
		if !bytes.Equal(w.Bytes(), body[:r.Offset()]) && r.Err() == nil {
			t.Fatalf("read %x, written again %x", body[:r.Offset()], w.Bytes())
		}
		if err := r.Done(); err != nil && !errors.Is(err, ErrMalformed) {
			t.Fatalf("untyped error %v", err)
		}
	})
}
