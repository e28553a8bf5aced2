package home

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"waterlock/internal/courier"
	"waterlock/internal/disk"
)

// BenchmarkPack packs 1 GiB of noise from one directory of the local disk to another, read-back included. Set
// WL_BENCH_DIR to choose the disk.
func BenchmarkPack(b *testing.B) {
	base := os.Getenv("WL_BENCH_DIR")
	if base == "" {
		base = b.TempDir()
	}
	const size, files = 1 << 30, 16
	src := filepath.Join(base, "src")
	must(b, os.MkdirAll(src, 0o755))
	for i := range files {
		must(b, os.WriteFile(filepath.Join(src, fmt.Sprint(i)), random(size/files, uint64(i)), 0o644))
	}
	b.SetBytes(size)
	for b.Loop() {
		b.StopTimer()
		state, drive := filepath.Join(base, "state"), filepath.Join(base, "drive")
		must(b, os.RemoveAll(state))
		must(b, os.RemoveAll(drive))
		must(b, os.MkdirAll(drive, 0o755))
		fs, err := disk.Dir(drive)
		must(b, err)
		d, err := courier.InitDrive(fs, "bench")
		must(b, err)
		must(b, d.Close())
		_, err = Init(b.Context(), InitOptions{State: state, Name: "bench", Trees: []string{src}})
		must(b, err)
		b.StartTimer()
		res, err := Pack(b.Context(), PackOptions{State: state, Drive: drive})
		must(b, err)
		if res.BytesRead != size || res.Pending != 0 {
			b.Fatalf("%+v", res)
		}
	}
}
