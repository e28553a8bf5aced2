package vault

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"waterlock/pack"
	"waterlock/snapshot"
)

// said is what the home of goneWorld says of what is gone: by the last name of the path.
func said(path string) snapshot.Gone {
	_, name := snapshot.Split(path)
	switch name {
	case "kept":
		return snapshot.Kept
	case "excluded":
		return snapshot.Excluded
	case "undecided", "dir", "sub":
		return snapshot.Undecided
	}
	return snapshot.Confirmed
}

// goneWorld has a mirror of trip 1 and a drive with trip 2, where all but one file is gone, each in another way.
func goneWorld(t *testing.T) (w *world, drive string) {
	w = newWorld(t)
	for i, name := range []string{"stays", "confirmed", "undecided", "kept", "excluded",
		"dir/confirmed", "dir/undecided", "dir/kept", "dir/sub/undecided", "gone/confirmed", "gone/deep/kept"} {
		noise(t, filepath.Join(w.src, name), 1000, uint64(i))
	}
	drive = newTestDrive(t)
	w.home.pack(drive, trip{})
	w.join(drive)
	w.clean(drive, DeletionsAsk)
	for _, name := range []string{"confirmed", "undecided", "kept", "excluded", "dir", "gone"} {
		must(t, os.RemoveAll(filepath.Join(w.src, name)))
	}
	w.home.importReceipt(drive)
	w.home.pack(drive, trip{gone: said})
	return w, drive
}

// mirrored lists what of these paths is in the mirror.
func (w *world) mirrored(paths string) string {
	var there []string
	for _, p := range strings.Fields(paths) {
		if _, err := os.Lstat(filepath.Join(w.mirror(), p)); err == nil {
			there = append(there, p)
		}
	}
	return strings.Join(there, " ")
}

const gonePaths = "confirmed undecided kept excluded dir dir/confirmed dir/undecided dir/kept dir/sub dir/sub/undecided gone gone/confirmed gone/deep gone/deep/kept"

// What home keeps or excludes never leaves the mirror, nor a directory that it lies in; what home has not decided leaves
// it by the vault's policy alone.
func TestDeletionsFollowTheWordOfHome(t *testing.T) {
	t.Parallel()
	const kept = "kept excluded dir dir/kept gone gone/deep gone/deep/kept"
	yes := func(string) (bool, bool) { return true, true }
	for _, c := range []struct {
		policy  Deletions
		left    string
		deleted int64
	}{
		{DeletionsKeep, gonePaths, 0},
		{DeletionsApply, kept, 6},
		{DeletionsAsk, kept, 6},
		{DeletionsConfirmed, "undecided kept excluded dir dir/undecided dir/kept dir/sub dir/sub/undecided gone gone/deep gone/deep/kept", 3},
	} {
		t.Run(string(c.policy), func(t *testing.T) {
			t.Parallel()
			w, drive := goneWorld(t)
			question := ""
			confirm := func(q string) (bool, bool) { question = q; return yes(q) }
			r, err := Unpack(context.Background(), UnpackOptions{Vault: w.vault, Drive: drive, Deletions: c.policy, Confirm: confirm, Report: w.reporter()})
			must(t, err)
			if r.Gone != 6 || r.Confirmed != 3 || r.ConfirmedBytes != 3000 || r.Stays != 4 || r.StaysBytes != 4000 || r.Deleted != c.deleted {
				t.Errorf("gone %d, confirmed %d, stays %d, deleted %d", r.Gone, r.Confirmed, r.Stays, r.Deleted)
			}
			if got := w.mirrored(gonePaths); got != c.left {
				t.Errorf("in the mirror are %q, want %q", got, c.left)
			}
			if c.policy == DeletionsAsk && !strings.Contains(question, "and 3 more files\nHome says of 3 files (2.9 KiB)") {
				t.Errorf("%q", question)
			}
			if (r.DeletionsNoted == "") != (r.Deleted == r.Gone) {
				t.Errorf("noted %q", r.DeletionsNoted)
			}
			if r := w.verify(VerifyOptions{}); !r.Sound() {
				t.Errorf("%+v", r)
			}
			// All of it stays in the older snapshot, and none of it is in the newer one.
			if _, err := os.Stat(filepath.Join(w.restore("1"), "docs/dir/sub/undecided")); err != nil {
				t.Error(err)
			}
			back := w.restore("2")
			if names, err := os.ReadDir(filepath.Join(back, "docs")); err != nil || len(names) != 1 {
				t.Errorf("restored %v, %v", names, err)
			}
			// Home changes its mind: plain absence.
			w.home.importReceipt(drive)
			w.home.pack(drive, trip{})
			w.clean(drive, DeletionsConfirmed)
			if got := w.mirrored(gonePaths); got != "" {
				t.Errorf("in the mirror are %q", got)
			}
		})
	}
}

// What is kept stays as it is, also where the same content moves on to another path.
func TestAMoveLeavesWhatIsKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	noise(t, filepath.Join(w.src, "d/kept"), 5000, 1)
	drive := newTestDrive(t)
	w.home.pack(drive, trip{})
	w.join(drive)
	w.clean(drive, DeletionsAsk)
	before, err := os.Stat(filepath.Join(w.mirror(), "d/kept"))
	must(t, err)
	must(t, os.Rename(filepath.Join(w.src, "d"), filepath.Join(w.src, "e")))
	must(t, os.Chmod(filepath.Join(w.src, "e/kept"), 0o600))
	w.home.importReceipt(drive)
	w.home.pack(drive, trip{gone: func(path string) snapshot.Gone {
		if path == "d" {
			return snapshot.Kept // it stands for what is in it
		}
		return snapshot.Here
	}})
	w.clean(drive, DeletionsApply)
	after, err := os.Stat(filepath.Join(w.mirror(), "d/kept"))
	must(t, err)
	moved, err := os.Stat(filepath.Join(w.mirror(), "e/kept"))
	must(t, err)
	if !os.SameFile(before, after) || os.SameFile(after, moved) || after.Mode() != before.Mode() {
		t.Errorf("%v, %v, %v", before, after, moved)
	}
}

// Where a piece of the list of files is lost, so is home's word on what is gone: nothing in such a directory is taken out
// of the mirror, wherever the piece ends.
func TestALostPieceOfTheListTakesNothingOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	long := strings.Repeat("n", 200)
	var names []string
	for i := range 420 {
		names = append(names, fmt.Sprintf("d/sub/%04d%s", i, long))
		noise(t, filepath.Join(w.src, names[i]), 10, uint64(i))
	}
	for i := range 900 { // so that the root lies in another piece
		noise(t, filepath.Join(w.src, fmt.Sprintf("a/%04d%s", i, long)), 10, uint64(1000+i))
	}
	drive := newTestDrive(t)
	w.home.pack(drive, trip{})
	w.join(drive)
	w.clean(drive, DeletionsAsk)
	must(t, os.RemoveAll(filepath.Join(w.src, "d/sub")))
	w.home.importReceipt(drive)
	s := w.home.pack(drive, trip{gone: func(path string) snapshot.Gone {
		switch i := strings.IndexByte(path, '0'); {
		case path == "d/sub":
			return snapshot.Kept
		case i > 0 && path[i+3]%2 == 0: // every other one is named, the rest goes by d/sub
			return snapshot.Undecided
		}
		return snapshot.Here
	}})
	name := filepath.Join(w.shipmentDir(s), "000001.meta")
	data, err := os.ReadFile(name)
	must(t, err)
	p, err := pack.Open(bytes.NewReader(data), int64(len(data)))
	must(t, err)
	var lost *snapshot.StreamRef // with the tombstone of d/sub
	refs := w.home.streams["docs"].Chunks
	for i := range refs {
		if snapshot.ComparePaths(refs[i].FirstPath, "d/sub") <= 0 {
			lost = &refs[i]
		}
	}
	if lost == &refs[0] || lost == &refs[len(refs)-1] {
		t.Fatalf("%d stream chunks, the one to be lost begins at %q", len(refs), lost.FirstPath)
	}
	for _, place := range p.Places() {
		if place.ID == lost.ID {
			flip(t, name, place.Offset+pack.Overhead/2+30)
		}
	}
	r := w.unpack(drive, DeletionsApply)
	if r.Damaged == 0 {
		t.Errorf("%+v", r)
	}
	for i, n := range names {
		if _, err := os.Lstat(filepath.Join(w.mirror(), n)); err != nil && i%2 == 1 {
			t.Fatalf("%s, of which home said that it stays, left the mirror", n)
		}
	}
	if r.Deleted == 0 || r.Deleted >= 210 {
		t.Errorf("%d files left the mirror: what is named after the piece that is lost does", r.Deleted)
	}
}

// A receipt says that the mirror has followed every deletion where nothing that is gone is left in it but what home wants to stay:
// not while the policy leaves something, not where home could not look, not where a part of the list of files cannot be read.
func TestClearedIsWhatTheMirrorHasFollowed(t *testing.T) {
	t.Parallel()
	cleared := func(w *world, drive string, d Deletions) uint64 {
		w.unpack(drive, d)
		return w.home.importReceipt(drive).Cleared
	}
	for policy, want := range map[Deletions]uint64{DeletionsKeep: 1, DeletionsAsk: 1, DeletionsConfirmed: 1, DeletionsApply: 2} {
		w, drive := goneWorld(t)
		if got := cleared(w, drive, policy); got != want {
			t.Errorf("%s: cleared up to %d, want %d", policy, got, want)
		}
		if got := cleared(w, drive, DeletionsApply); got != 2 {
			t.Errorf("%s, then applied: cleared up to %d", policy, got)
		}
		// What was taken out does not come back, whatever comes next.
		must(t, os.Remove(filepath.Join(w.src, "stays")))
		w.home.pack(drive, trip{gone: said})
		if got := cleared(w, drive, DeletionsKeep); got != 2 {
			t.Errorf("%s: cleared up to %d behind what was cleared", policy, got)
		}
	}
	t.Run("a directory that home could not look into", func(t *testing.T) {
		w, drive := goneWorld(t)
		noise(t, filepath.Join(w.src, "blind/x"), 1000, 50)
		w.home.pack(drive, trip{gone: said})
		w.home.pack(drive, trip{gone: said, unseen: func(_, path string) bool { return path == "blind" }})
		if got := cleared(w, drive, DeletionsApply); got != 1 {
			t.Errorf("cleared up to %d", got)
		}
	})
	t.Run("a vault that was set back", func(t *testing.T) {
		w, drive := goneWorld(t)
		if got := cleared(w, drive, DeletionsApply); got != 2 {
			t.Fatalf("cleared up to %d", got)
		}
		must(t, os.Remove(filepath.Join(w.src, "stays")))
		w.home.receipt += 10 // it was told more than this vault knows
		w.home.pack(drive, trip{gone: said})
		if got := cleared(w, drive, DeletionsKeep); got != 0 {
			t.Errorf("in a new epoch: cleared up to %d", got)
		}
	})
}
