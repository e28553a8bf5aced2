package home

import (
	"slices"
	"testing"

	"waterlock/internal/courier"
	"waterlock/snapshot"
)

// clearedWorld is a home at which everything but stays/ vanished with snapshot 2, and nobody has said what is to become of it; but
// logs/ is kept. The vault has taken both snapshots.
func clearedWorld(t *testing.T) (*world, *vault) {
	t.Helper()
	w, v := goneWorld(t)
	w.cfg.Trees[0].Keep = []string{"/logs/"}
	w.remove("d", "e", "logs")
	w.packed(v)
	wantTombs(t, v, "d undecided", "e undecided", "logs kept")
	return w, v
}

// says has the vault tell home that its mirror has followed the deletions of a snapshot.
func (v *vault) says(cleared uint64) {
	v.w.t.Helper()
	v.cleared = cleared
	v.receipt(v.w.drive)
}

// TestWhatTheVaultHasClearedIsForgotten: what nobody at home has decided about and the vault has taken out of its mirror needs no
// tombstone and no question any more. What is to stay keeps its own, and so does what vanished since.
func TestWhatTheVaultHasClearedIsForgotten(t *testing.T) {
	w, v := clearedWorld(t)
	w.remove("stays/0")
	w.packed(v)
	wantTombs(t, v, "d undecided", "e undecided", "logs kept", "stays/0 undecided")
	v.says(2)
	res := w.packed(v)
	wantTombs(t, v, "logs kept", "stays/0 undecided")
	if res.Vanished.Files != 1 {
		t.Errorf("asked about %+v", res.Vanished)
	}
	if left := w.scanned(); len(left) != 4 { // logs, two files in it, stays/0
		t.Errorf("left in the scan: %q", left)
	}
	v.says(3)
	if res := w.packed(v); res.Vanished.Files != 0 {
		t.Errorf("asked about %+v", res.Vanished)
	}
	wantTombs(t, v, "logs kept")

	// What was forgotten and comes back is as new as any other file, and when it vanishes again it is asked about.
	w.write("e", 3000, 104)
	settleClock()
	w.packed(v)
	w.remove("e")
	w.packed(v)
	wantTombs(t, v, "e undecided", "logs kept")
}

// scanned lists the tombstones of the last scan.
func (w *world) scanned() (paths []string) {
	w.t.Helper()
	s := w.site()
	scans, err := s.lastScans(^uint64(0))
	must(w.t, err)
	must(w.t, eachScanned(s.state, scans["docs"], func(e *snapshot.ScanEntry) error {
		if e.Entry.Gone != snapshot.Here {
			paths = append(paths, e.Entry.Path+" "+e.Entry.Gone.String())
		}
		return nil
	}))
	return paths
}

// TestWhatTheVaultHasNotClearedIsNotForgotten: where the vault says nothing, or speaks of an older snapshot, or of one that home
// does not know to have arrived there, what is undecided stays so; and so does what became undecided since.
func TestWhatTheVaultHasNotClearedIsNotForgotten(t *testing.T) {
	for _, c := range []struct {
		name string
		say  func(v *vault)
	}{
		{"nothing", func(v *vault) { v.says(0) }},
		{"an older snapshot", func(v *vault) { v.says(1) }},
		{"a snapshot of before home was rolled back", func(v *vault) {
			v.taken[1].Shipment = courier.NewShipmentID()
			v.says(2)
		}},
		{"a snapshot that home does not know", func(v *vault) { v.says(7) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, v := clearedWorld(t)
			c.say(v)
			if res := w.packed(v); res.Vanished.OpenFiles != 4 {
				t.Errorf("asked about %+v", res.Vanished)
			}
			wantTombs(t, v, "d undecided", "e undecided", "logs kept")
		})
	}
	t.Run("excluded until now", func(t *testing.T) {
		w, v := clearedWorld(t)
		w.cfg.Trees[0].Exclude = []string{"/stays/9"}
		w.packed(v)
		wantTombs(t, v, "d undecided", "e undecided", "logs kept", "stays/9 excluded")
		v.says(3)
		w.cfg.Trees[0].Exclude = nil
		w.remove("stays/9")
		w.packed(v) // 4: it is a deletion now
		wantTombs(t, v, "logs kept", "stays/9 undecided")
		w.packed(v)
		wantTombs(t, v, "logs kept", "stays/9 undecided")
		v.says(4)
		w.packed(v)
		wantTombs(t, v, "logs kept")
	})
}

// TestWhatTheVaultHasClearedSaysNothingOfATreeThatWasNotInIt: a tree was left out for a while. The vault has done nothing in its
// mirror meanwhile, so what was undecided there still is.
func TestWhatTheVaultHasClearedSaysNothingOfATreeThatWasNotInIt(t *testing.T) {
	w := newWorld(t, "docs", "films")
	w.cfg.Guard.MaxVanished = 100
	for _, name := range []string{"d/a", "e", "stays/0", "stays/1"} {
		w.write(name, 3000, uint64(len(name)))
	}
	settleClock()
	v := w.newVault()
	w.packed(v)
	w.remove("d", "e")
	w.packed(v)
	wantTombs(t, v, "d undecided", "e undecided")
	both := slices.Clone(w.cfg.Trees)
	w.cfg.Trees = both[1:]
	w.packed(v)
	w.cfg.Trees = both
	v.says(3) // of films alone
	w.packed(v)
	wantTombs(t, v, "d undecided", "e undecided")
	v.says(4)
	w.packed(v)
	wantTombs(t, v)
}

// TestANumberThatWasGivenTwiceClearsNothing: home was rolled back and did not notice at first, so that there are two snapshots of one
// number. In the one that home does not remember, the file was back, and so it is in the vault's mirror, which has followed that one.
func TestANumberThatWasGivenTwiceClearsNothing(t *testing.T) {
	w, v := clearedWorld(t)
	first := w.drive
	w.rolledBack(v, func() {
		w.write("e", 3000, 105)
		settleClock()
	})
	w.remove("e")
	w.drive = w.newDrive("X") // it has no word of what is forgotten
	if res := w.packed(v); res.Snapshot != 3 {
		t.Fatalf("%+v", res)
	}
	w.drive = first
	v.says(3)
	w.packed(v)
	wantTombs(t, v, "d undecided", "e undecided", "logs kept")
}
