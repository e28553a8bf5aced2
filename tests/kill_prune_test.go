//go:build unix

package tests

import (
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"
)

// TestKilledPruneGoesOn kills a prune at random moments, and runs it again: what
// is retained is there, and what nobody needs is gone.
func TestKilledPruneGoesOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	home := filepath.Join(w.home, "t")
	fillHome(t, home, 3)
	w.begin("t")
	w.pack()
	drive1 := snapshotOf(t, w, "one")
	w.joinAndUnpack()
	changeHome(t, home)
	second := w.take("t")
	w.pack()
	drive2 := snapshotOf(t, w, "two")
	w.unpack()
	before := size(t, filepath.Join(w.vault, ".wl"))
	begun := time.Now()
	w.atVault("prune", "--vault", w.vault, "--keep-last", "1", "--now")
	took := time.Since(begun)
	after := size(t, filepath.Join(w.vault, ".wl"))
	if after > before-5<<20 {
		t.Fatalf("history took %d bytes, and takes %d", before, after)
	}

	killed, runs := 0, max(kills()/8, 1)
	for i := 0; i < runs; i++ {
		run := *w
		run.dir = t.TempDir()
		run.drive, run.vault, run.vState = filepath.Join(run.dir, "drive"), filepath.Join(run.dir, "vault"), filepath.Join(run.dir, "vstate")
		copyDir(t, drive1.drive, run.drive)
		run.atVault("vault", "init", run.vault, "--drive", run.drive)
		run.unpack()
		copyDir(t, drive2.drive, run.drive)
		run.unpack()
		for range 4 {
			if run.killedAt(time.Duration(rand.Int64N(int64(took))), run.vState, "prune", "--vault", run.vault, "--keep-last", "1", "--now") {
				killed++
			}
		}
		run.atVault("prune", "--vault", run.vault, "--keep-last", "1", "--now")
		same(t, "mirror", second, filepath.Join(run.vault, "t"))
		same(t, "snapshot 2", second, filepath.Join(run.restore("2"), "t"))
		run.atVault("verify", "--vault", run.vault)
		if left := size(t, filepath.Join(run.vault, ".wl")); left > after+after/4+2<<20 {
			t.Errorf("history takes %d bytes, %d without a kill", left, after)
		}
	}
	t.Logf("%d kills hit a running prune", killed)
}
