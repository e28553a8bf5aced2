package tests

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"waterlock/tests/mounts"
)

// A byte that flips on the disk at home is found by --rehash, named with its offset, and does not travel: mirror and
// snapshots keep the good version, and a restore brings it back. What a person accepts travels.
func TestRotAtHomeIsFoundAndDoesNotTravel(t *testing.T) {
	t.Parallel()
	disk := mounts.Ext4.For(t, 0)
	w := newWorld(t)
	w.home = disk.Dir
	tree := filepath.Join(w.home, "t")
	must(t, os.Mkdir(tree, 0o755))
	noise(t, filepath.Join(tree, "film"), 3<<20, 1)
	noise(t, filepath.Join(tree, "other"), 1<<20, 2)
	good := takeDir(t, tree)
	w.begin("t")
	w.pack()
	w.joinAndUnpack()
	must(t, disk.Rot(filepath.Join(tree, "film"), 2_000_000))
	rotten, err := os.ReadFile(filepath.Join(tree, "film"))
	must(t, err)

	// Metadata says nothing, so nobody notices.
	if out := w.pack(); !strings.Contains(out, "No new content") {
		t.Errorf("%s", out)
	}
	out := w.run(3, w.hState, "pack", "--drive", w.drive, "--rehash")
	for _, s := range []string{"t/film: at offset ", "perhaps it has rotted", "--accept-changed t/film", "No new content", "1 file changed although"} {
		if !strings.Contains(out, s) {
			t.Errorf("%q is not said:\n%s", s, out)
		}
	}
	w.unpack()
	back := filepath.Join(w.dir, "back")
	w.run(3, w.vState, "restore", "--vault", w.vault, "--snapshot", "latest", "--target", back) // it says that this is what was read earlier
	for _, dir := range []string{filepath.Join(w.vault, "t"), filepath.Join(back, "t")} {
		same(t, "the good version in "+dir, good, dir)
	}
	// The same by itself: only what differs is said.
	if out := w.run(3, w.hState, "pack", "--drive", w.drive, "--rehash"); strings.Contains(out, "t/other") {
		t.Errorf("%s", out)
	}

	if out := w.pack("--accept-changed", "t/film"); strings.Contains(out, "No new content") {
		t.Errorf("%s", out)
	}
	w.unpack()
	got, err := os.ReadFile(filepath.Join(w.vault, "t/film"))
	must(t, err)
	if !bytes.Equal(got, rotten) {
		t.Error("the accepted change is not in the mirror")
	}
	same(t, "the older snapshot", good, filepath.Join(w.restore("1"), "t"))
}
