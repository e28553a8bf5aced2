package chunk

import "testing"

func BenchmarkID(b *testing.B) {
	for _, k := range []Kind{Data, Stream} {
		b.Run(k.String(), func(b *testing.B) {
			p := make([]byte, 1<<20)
			b.SetBytes(int64(len(p)))
			b.ReportAllocs()
			for b.Loop() {
				k.ID(p)
			}
		})
	}
}

func BenchmarkContentHash(b *testing.B) {
	h := NewContentHasher()
	p := make([]byte, 1<<20)
	b.SetBytes(int64(len(p)))
	b.ReportAllocs()
	for b.Loop() {
		h.Write(p)
	}
}

func BenchmarkDigest(b *testing.B) {
	h := NewDigester()
	p := make([]byte, 1<<20)
	b.SetBytes(int64(len(p)))
	b.ReportAllocs()
	for b.Loop() {
		h.Write(p)
	}
}
