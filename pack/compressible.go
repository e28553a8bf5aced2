package pack

import "github.com/klauspost/compress"

// compressible tells cheaply whether compressing is worth a try. Films,
// pictures and archives are most of what is carried, and the compressor would
// look at every byte of them for nothing.
func compressible(plain []byte) bool {
	return compress.Estimate(plain) > 0
}
