package pack

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"waterlock/internal/chunk"
)

func sampleNoise(seed byte, n int) []byte {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(p)
	return p
}

// samples are the kinds of content that matter for speed.
func samples(size int) map[string][]byte {
	rng := rand.NewChaCha8([32]byte{1})
	noise := sampleNoise(1, size)
	words := make([][]byte, 5000)
	r := rand.New(rng)
	for i := range words {
		w := make([]byte, 2+r.IntN(9))
		for j := range w {
			w[j] = 'a' + byte(r.IntN(26))
		}
		words[i] = w
	}
	var text bytes.Buffer
	for text.Len() < size {
		text.Write(words[r.IntN(len(words))])
		text.WriteByte(' ')
	}
	mixed := bytes.Clone(noise)
	copy(mixed[size/2:], text.Bytes()[:size/8])
	return map[string][]byte{
		"noise": noise,
		"text":  text.Bytes()[:size],
		"zeros": make([]byte, size),
		"mixed": mixed,
	}
}

func BenchmarkEncode(b *testing.B) {
	const size = 1536 << 10
	all := samples(size)
	for _, name := range []string{"noise", "text", "zeros", "mixed"} {
		plain := all[name]
		for level := range 4 {
			b.Run(fmt.Sprintf("%s/level=%d", name, level), func(b *testing.B) {
				e, err := NewEncoder(level)
				if err != nil {
					b.Fatal(err)
				}
				buf := make([]byte, 0, EncodeBound(size))
				b.SetBytes(size)
				b.ReportAllocs()
				var s Stored
				for b.Loop() {
					if s, err = e.Encode(chunk.Data, plain, buf); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(len(s.Data))/size, "ratio")
			})
		}
	}
}

func BenchmarkDecodeStored(b *testing.B) {
	const size = 1536 << 10
	for name, plain := range samples(size) {
		b.Run(name, func(b *testing.B) {
			e, _ := NewEncoder(0)
			s, err := e.Encode(chunk.Data, plain, nil)
			if err != nil {
				b.Fatal(err)
			}
			buf := make([]byte, 0, size+ReadSlack)
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := DecodeStored(chunk.Data, s, buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkWriter(b *testing.B) {
	for _, size := range []int{4 << 10, 1536 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			plain := samples(size)["noise"]
			s := Stored{chunk.Data.ID(plain), Raw, uint32(size), plain}
			w, _ := NewWriter(io.Discard, chunk.Data)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if !w.Fits(size, MaxSize) {
					w, _ = NewWriter(io.Discard, chunk.Data)
				}
				if _, err := w.Append(s); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRead(b *testing.B) {
	const size = 1536 << 10
	for name, plain := range samples(size) {
		b.Run(name, func(b *testing.B) {
			e, _ := NewEncoder(0)
			s, err := e.Encode(chunk.Data, plain, nil)
			if err != nil {
				b.Fatal(err)
			}
			var file bytes.Buffer
			w, _ := NewWriter(&file, chunk.Data)
			w.Append(s)
			w.Close()
			rd, err := Open(bytes.NewReader(file.Bytes()), int64(file.Len()))
			if err != nil {
				b.Fatal(err)
			}
			buf := make([]byte, 0, size+ReadSlack)
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := rd.Read(rd.Places()[0], buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
