//go:build unix

package tests

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"waterlock/tests/trees"
)

// TestKilledAdoptGoesOn kills vault adopt at random moments and runs it again, until one run ends. Then home
// carries what differs, and the mirror is home's state with the server's own files beside it.
func TestKilledAdoptGoesOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	home, old := filepath.Join(w.home, "t"), filepath.Join(w.dir, "old")
	fillHome(t, home, 1)
	if out, err := exec.Command("cp", "-a", home, old).CombinedOutput(); err != nil {
		t.Skipf("cp -a: %v: %s", err, out)
	}
	noise(t, filepath.Join(old, "mine", "film"), 3<<20, 5)
	changeHome(t, home)
	w.begin("t")
	w.pack("--limit", "0")
	w.atVault("vault", "init", w.vault, "--drive", w.drive)

	adopt := []string{"vault", "adopt", "--vault", w.vault, "t=" + old}
	killed, wait := 0, 20*time.Millisecond
	for w.killedAt(wait/2+rand.N(wait), w.vState, adopt...) {
		killed++
		wait += wait / 2 // so that one run gets to its end
	}
	if killed == 0 {
		t.Error("no run was killed")
	}
	t.Logf("killed %d times", killed)
	w.atVault(adopt...)
	w.unpack()
	w.pack()
	if carried := size(t, w.drive); carried > 20<<20 { // of 40 MiB
		t.Errorf("%d bytes were carried", carried)
	}
	w.unpack()
	theirs := []string{".wl", "mine", "d3", "large3"} // what home renamed or removed since stays
	got, err := trees.Take(old, trees.Options{Skip: func(path string) bool { return slices.Contains(theirs, path) }})
	must(t, err)
	// A file that home has renamed has its old name besides, at the vault.
	if _, err := os.Lstat(filepath.Join(old, "large2")); err != nil {
		t.Errorf("%v", err)
	}
	delete(got, "large2")
	for name, f := range got {
		f.Links = ""
		got[name] = f
	}
	want := w.take("t")
	for _, line := range trees.Diff(want, got) {
		t.Errorf("mirror: %s", line)
	}
	w.atVault("verify", "--vault", w.vault)
	for _, name := range []string{"mine/film", "d3", "large3"} {
		if _, err := os.Lstat(filepath.Join(old, name)); err != nil {
			t.Error(err)
		}
	}
}
