package snapshot

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"

	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/internal/disk/disktest"
)

// countReads counts the bytes read of a file.
type countReads struct {
	disk.File
	n int64
}

func (f *countReads) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.File.ReadAt(p, off)
	f.n += int64(n)
	return n, err
}

// Whatever the holes of a file are, its hash is that of its bytes, and holes are not read.
func TestHashFileDoesNotReadHoles(t *testing.T) {
	const page = 4096
	for name, extents := range map[string][]int64{ // pages of data and of holes in turns
		"empty": {}, "data": {40}, "only a hole": {0, 90}, "hole at the end": {3, 200}, "hole in front": {0, 70, 2},
		"many": {1, 20, 1, 30, 5, 64, 1, 16}, "small": {1, 3, 1},
	} {
		m := disktest.NewMem()
		f, err := m.Create("f", 0o600)
		must(t, err)
		var off, data int64
		for i, pages := range extents {
			if i%2 == 0 {
				p := make([]byte, pages*page)
				rand.NewChaCha8([32]byte{1}).Read(p)
				_, err := f.WriteAt(p, off)
				must(t, err)
				data += int64(len(p))
			}
			off += pages * page
		}
		must(t, f.Truncate(off+5)) // ends within a page
		content, err := disk.ReadAll(m, "f", 1<<20)
		must(t, err)
		c := &countReads{File: f}
		sum, err := HashFile(context.Background(), c, make([]byte, 3*page-7))
		must(t, err)
		if want := chunk.SumContent(content); sum != want {
			t.Errorf("%s: hash %s, want %s", name, sum, want)
		}
		if int64(len(content)) >= smallestHole && c.n > data+page {
			t.Errorf("%s: %d bytes read, %d of them are data", name, c.n, data)
		}
	}
}

func TestHashZerosEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	enough := errors.New("enough")
	cancel(enough)
	if err := HashZeros(ctx, chunk.NewContentHasher(), MaxHoles); !errors.Is(err, enough) {
		t.Errorf("error %v", err)
	}
}
