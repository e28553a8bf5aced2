//go:build unix

package tests

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"waterlock/tests/trees"
)

// kills is at how many random moments each of pack and unpack is killed.
func kills() int {
	if soak {
		return 50
	}
	return 8
}

// killedAt runs wl and kills it after a while; false if it was done before.
func (w *world) killedAt(after time.Duration, state string, args ...string) bool {
	w.t.Helper()
	cmd := w.cmd(state, args...)
	must(w.t, cmd.Start())
	timer := time.AfterFunc(after, func() { _ = cmd.Process.Signal(syscall.SIGKILL) })
	_ = cmd.Wait()
	timer.Stop()
	return cmd.ProcessState.ExitCode() == -1
}

// fillHome makes what is worth interrupting: many small files and some large.
func fillHome(t *testing.T, dir string, seed uint64) {
	t.Helper()
	for i := range 60 {
		noise(t, filepath.Join(dir, fmt.Sprintf("d%d", i%7), fmt.Sprintf("f%d", i)), int64(i)*7919+1, seed*1000+uint64(i))
	}
	for i := range 5 {
		noise(t, filepath.Join(dir, fmt.Sprintf("large%d", i)), 5<<20, seed*1000+100+uint64(i))
	}
}

// changeHome is what a month does to it.
func changeHome(t *testing.T, dir string) {
	t.Helper()
	insert(t, filepath.Join(dir, "large1"), 2<<20, 64<<10, 77)
	must(t, os.Rename(filepath.Join(dir, "large2"), filepath.Join(dir, "d1", "moved")))
	must(t, os.Remove(filepath.Join(dir, "large3")))
	must(t, os.Rename(filepath.Join(dir, "d3"), filepath.Join(dir, "d9")))
	noise(t, filepath.Join(dir, "large9"), 6<<20, 999)
	for i := range 20 {
		noise(t, filepath.Join(dir, "d2", fmt.Sprintf("new%d", i)), 30000, 2000+uint64(i))
	}
	must(t, os.WriteFile(filepath.Join(dir, "d1", "f1"), []byte("another content"), 0o600))
}

// TestKilledPackGoesOn kills pack at random moments, of a first and of a
// second trip, and runs it again: the vault gets what it gets without a kill.
func TestKilledPackGoesOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	home := filepath.Join(w.home, "t")
	fillHome(t, home, 1)
	first := w.take("t")
	w.begin("t")
	fresh := snapshotOf(t, w, "fresh")
	begun := time.Now()
	w.pack("--pack-size", "4MiB")
	firstTook := time.Since(begun)
	firstSize := size(t, w.drive)
	w.joinAndUnpack()
	t.Run("first trip", func(t *testing.T) {
		killPack(t, w, fresh, nil, firstTook, firstSize, first)
	})

	changeHome(t, home)
	second := w.take("t")
	tripOne := snapshotOf(t, w, "trip1")
	begun = time.Now()
	w.pack("--pack-size", "4MiB")
	took := time.Since(begun)
	t.Run("second trip", func(t *testing.T) {
		killPack(t, w, tripOne, first, took, size(t, w.drive), second)
	})
}

// saved is a copy of what home has: its state and the drive.
type saved struct{ state, drive string }

func snapshotOf(t *testing.T, w *world, name string) saved {
	t.Helper()
	s := saved{filepath.Join(w.dir, name+"-state"), filepath.Join(w.dir, name+"-drive")}
	copyDir(t, w.hState, s.state)
	copyDir(t, w.drive, s.drive)
	return s
}

func killPack(t *testing.T, w *world, from saved, first trees.Tree, took time.Duration, normal int64, want trees.Tree) {
	killed := 0
	n := max(kills()/2, 1)
	for i := 0; killed < n && i < 3*n; i++ { // a run that was done before it was killed does not count
		run := *w
		run.t = t
		run.dir = t.TempDir()
		run.hState, run.drive = filepath.Join(run.dir, "state"), filepath.Join(run.dir, "drive")
		run.vault, run.vState = filepath.Join(run.dir, "vault"), filepath.Join(run.dir, "vstate")
		copyDir(t, from.state, run.hState)
		copyDir(t, from.drive, run.drive)
		for range 1 + rand.IntN(2) { // sometimes twice
			if run.killedAt(time.Duration(rand.Int64N(int64(took))), run.hState, "pack", "--drive", run.drive, "--pack-size", "4MiB") {
				killed++
			}
		}
		run.pack("--pack-size", "4MiB")
		if grown := size(t, run.drive); grown > normal+normal/4+(8<<20) {
			t.Errorf("run %d: the drive holds %d bytes, %d without a kill", i, grown, normal)
		}
		run.atHome("verify", "--drive", run.drive)
		run.joinAndUnpack()
		same(t, "mirror", want, filepath.Join(run.vault, "t"))
		if first != nil {
			same(t, "snapshot 1", first, filepath.Join(run.restore("1"), "t"))
		}
		same(t, "latest", want, filepath.Join(run.restore("latest"), "t"))
	}
	t.Logf("%d kills hit a running pack", killed)
}

// TestKilledUnpackGoesOn kills unpack at random moments, of a first and of a
// second trip, and runs it again: mirror and snapshots are as without a kill.
func TestKilledUnpackGoesOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	home := filepath.Join(w.home, "t")
	fillHome(t, home, 2)
	first := w.take("t")
	w.begin("t")
	w.pack()
	drive1 := snapshotOf(t, w, "one")
	begun := time.Now()
	w.joinAndUnpack()
	firstTook := time.Since(begun)
	changeHome(t, home)
	second := w.take("t")
	w.pack()
	drive2 := snapshotOf(t, w, "two")
	begun = time.Now()
	w.unpack()
	secondTook := time.Since(begun)
	same(t, "mirror of the run without a kill", second, filepath.Join(w.vault, "t"))

	killed := 0
	for i := 0; killed < kills() && i < 3*kills(); i++ {
		run := *w
		run.dir = t.TempDir()
		run.drive, run.vault, run.vState = filepath.Join(run.dir, "drive"), filepath.Join(run.dir, "vault"), filepath.Join(run.dir, "vstate")
		unpack := []string{"unpack", "--drive", run.drive, "--vault", run.vault, "--deletions", "apply"}
		copyDir(t, drive1.drive, run.drive)
		run.atVault("vault", "init", run.vault, "--drive", run.drive)
		if i%2 == 0 {
			if run.killedAt(time.Duration(rand.Int64N(int64(firstTook))), run.vState, unpack...) {
				killed++
			}
		}
		run.unpack()
		same(t, "mirror after trip 1", first, filepath.Join(run.vault, "t"))
		copyDir(t, drive2.drive, run.drive)
		for range 1 + rand.IntN(3) {
			if run.killedAt(time.Duration(rand.Int64N(int64(secondTook))), run.vState, unpack...) {
				killed++
			}
			wholeFilesOnly(t, filepath.Join(run.vault, "t"), first, second)
		}
		run.unpack()
		same(t, "mirror after trip 2", second, filepath.Join(run.vault, "t"))
		same(t, "snapshot 1", first, filepath.Join(run.restore("1"), "t"))
		same(t, "snapshot 2", second, filepath.Join(run.restore("2"), "t"))
		run.atVault("verify", "--vault", run.vault)
		left, err := filepath.Glob(filepath.Join(run.vault, ".wl", "staging", "*"))
		must(t, err)
		if len(left) > 0 {
			t.Errorf("left in staging: %v", left)
		}
	}
	t.Logf("%d kills hit a running unpack", killed)
}

// wholeFilesOnly holds what is promised at every instant: each path shows one
// whole version of its file, the old or the new.
func wholeFilesOnly(t *testing.T, dir string, old, new trees.Tree) {
	t.Helper()
	for path, f := range takeDir(t, dir) {
		if !f.Mode.IsRegular() {
			continue
		}
		if f.Content != old[path].Content && f.Content != new[path].Content {
			t.Errorf("%s shows neither its old nor its new version", path)
		}
	}
	for path, f := range old {
		if _, stays := new[path]; stays && f.Mode.IsRegular() {
			if _, err := os.Lstat(filepath.Join(dir, path)); err != nil {
				t.Errorf("%s is absent after a kill: %v", path, err)
			}
		}
	}
}
