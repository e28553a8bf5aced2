package tests

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// BenchmarkPackAgainstRestic packs 4 GiB of incompressible files, verification
// included, and beside it runs what gives the same with restic: backup, then
// check --read-data. WL_BENCH_SIZE makes it smaller. Run with make bench.
func BenchmarkPackAgainstRestic(b *testing.B) {
	total := int64(4 << 30)
	if text := os.Getenv("WL_BENCH_SIZE"); text != "" {
		if _, err := fmt.Sscan(text, &total); err != nil {
			b.Fatal(err)
		}
	}
	const files = 32
	w := newWorld(b)
	for i := range files {
		noise(b, filepath.Join(w.home, "t", fmt.Sprintf("f%02d", i)), total/files, uint64(i))
	}
	w.begin("t")
	ours := filepath.Join(w.home, "t")
	b.ResetTimer()
	for n := range b.N {
		if n > 0 {
			b.StopTimer()
			must(b, os.RemoveAll(w.hState))
			must(b, os.RemoveAll(w.drive))
			must(b, os.Mkdir(w.drive, 0o755))
			w.begin("t")
			b.StartTimer()
		}
		begun := time.Now()
		w.pack()
		took := time.Since(begun)
		b.ReportMetric(took.Seconds(), "wl-s")
		b.ReportMetric(float64(total)/took.Seconds()/1e6, "wl-MB/s")
		b.StopTimer()
		if both, ok := resticTakes(b, w.dir, ours); ok {
			b.ReportMetric(both.Seconds(), "restic-s")
			b.ReportMetric(both.Seconds()/took.Seconds(), "restic/wl")
		}
		b.StartTimer()
	}
}

// resticTakes times restic's backup and check of the same files; false where
// restic is not installed.
func resticTakes(b *testing.B, dir, source string) (time.Duration, bool) {
	if _, err := exec.LookPath("restic"); err != nil {
		b.Log("restic is not installed: nothing to compare with")
		return 0, false
	}
	repo := filepath.Join(dir, "restic")
	must(b, os.RemoveAll(repo))
	run := func(args ...string) time.Duration {
		cmd := exec.Command("restic", args...)
		cmd.Env = append(os.Environ(), "RESTIC_REPOSITORY="+repo, "RESTIC_PASSWORD=x", "RESTIC_CACHE_DIR="+filepath.Join(dir, "cache"))
		begun := time.Now()
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("restic %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return time.Since(begun)
	}
	run("init")
	backup, check := run("backup", source), run("check", "--read-data")
	b.Logf("restic: backup %s, check --read-data %s", backup.Round(time.Millisecond), check.Round(time.Millisecond))
	return backup + check, true
}
