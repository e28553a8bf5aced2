package chunkstore

import (
	"fmt"
	"testing"

	"waterlock/internal/chunk"
	"waterlock/internal/disk"
)

// Install of small files, and of one large file, on the real file system.
func BenchmarkInstall(b *testing.B) {
	for _, c := range []struct{ files, chunks, size int }{{2000, 1, 4 << 10}, {1, 256, 1 << 20}} {
		b.Run(fmt.Sprintf("%dx%d", c.files, c.chunks*c.size), func(b *testing.B) {
			fs, err := disk.Dir(b.TempDir())
			if err != nil {
				b.Fatal(err)
			}
			defer fs.Close()
			w := newWorld(b, fs).open()
			b.SetBytes(int64(c.files * c.chunks * c.size))
			for i := range b.N {
				b.StopTimer()
				clear(w.drive)
				var acts []Action
				for j := range c.files {
					h := chunk.NewContentHasher()
					e := w.file(fmt.Sprintf("f%d-%d", i, j), nil, 10)
					for k := range c.chunks {
						p := random(uint64(i<<40|j<<20|k), 1024)
						for len(p) < c.size {
							p = append(p, p...)
						}
						p = p[:c.size]
						id := chunk.Data.ID(p)
						w.drive[id] = p
						h.Write(p)
						e.Content = append(e.Content, extent(id, len(p)))
						e.Size += int64(len(p))
					}
					e.Hash = h.Sum()
					acts = append(acts, install(e))
				}
				w.feed()
				b.StartTimer()
				for len(acts) > 0 {
					bt := w.s.NewBatch(BatchOptions{})
					for len(acts) > 0 && !bt.Full() {
						if err := bt.Add(b.Context(), acts[0]); err != nil {
							b.Fatal(err)
						}
						acts = acts[1:]
					}
					res, err := bt.Commit(b.Context())
					if err != nil {
						b.Fatal(err)
					}
					for _, r := range res {
						if r.Err != nil {
							b.Fatal(r.Err)
						}
					}
				}
			}
		})
	}
}
