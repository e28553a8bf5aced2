package tests

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"waterlock/tests/mounts"
	"waterlock/tests/trees"
)

// smallDrive is a trip's drive, and what travels on it.
type smallDrive struct {
	*world
	carried int64
	trips   int
}

// trip packs, unpacks and clears the drive; it adds up what was carried.
func (d *smallDrive) trip() {
	d.t.Helper()
	d.trips++
	before := size(d.t, d.drive)
	d.pack()
	d.carried += size(d.t, d.drive) - before
	if d.trips == 1 {
		d.atVault("vault", "init", d.vault, "--drive", d.drive)
	}
	d.run(0, d.vState, "unpack", "--drive", d.drive, "--vault", d.vault)
	d.atHome("drive", "clear", d.drive, "--yes")
}

// TestAHugeFileOverManyTripsOfASmallDrive: a file ten times as large as the
// drive (80 MB in make soak, an eighth of that in make test) travels in parts,
// is edited on the way, and once more after it has arrived: the mirror shows an
// old or a new whole version at every stop, small files are not kept waiting,
// nothing is carried twice, and the first version comes back.
func TestAHugeFileOverManyTripsOfASmallDrive(t *testing.T) {
	t.Parallel()
	room := int64(80 << 20)
	if !soak {
		room = 10 << 20 // a chunk has to fit
	}
	drive := mounts.TmpFS.For(t, room)
	w := newWorld(t)
	w.drive = drive.Dir
	d := &smallDrive{world: w}
	length := room * 9
	huge := filepath.Join(w.home, "t", "huge")
	mirror := filepath.Join(w.vault, "t")
	noise(t, huge, length, 1)
	w.begin("t")
	note := func() string {
		name := filepath.Join(w.home, "t", fmt.Sprintf("note%02d", d.trips))
		must(t, os.WriteFile(name, []byte("of trip "+fmt.Sprint(d.trips)), 0o644))
		return filepath.Base(name)
	}
	arrives := func(limit int, shows func(trees.Tree)) {
		t.Helper()
		for begun := d.trips; ; {
			small := note()
			d.trip()
			got := takeDir(t, mirror)
			if _, ok := got[small]; !ok {
				t.Errorf("trip %d: %s waits behind the huge file", d.trips, small)
			}
			if now := w.take("t")["huge"]; got["huge"].Content == now.Content {
				return
			}
			shows(got)
			if d.trips-begun > limit {
				t.Fatalf("%d trips, and it has not arrived", d.trips-begun)
			}
			switch d.trips - begun {
			case 3: // in what was carried
				insert(t, huge, length/9, 64<<10, 50)
			case 5: // in place, in what was not
				overwrite(t, huge, length*8/9, 64<<10, 51)
			}
		}
	}

	arrives(18, func(got trees.Tree) {
		if f, ok := got["huge"]; ok {
			t.Errorf("trip %d: the mirror shows a part of the file: %d bytes", d.trips, f.Size)
		}
	})
	if d.trips < 9 {
		t.Errorf("it took %d trips only", d.trips)
	}
	once := d.trips
	edits := int64(64<<10+8<<20) * 2 // each costs the chunks that it touches
	if most := length + length/33 + edits + int64(d.trips)*(128<<10); d.carried > most {
		t.Errorf("%d bytes carried in %d trips, the file has %d", d.carried, d.trips, length)
	}
	first := w.take("t")
	same(t, "mirror", first, mirror)
	t.Logf("%d trips carried %.1f MB of a file of %.1f MB", once, float64(d.carried)/1e6, float64(length)/1e6)

	d.carried = 0
	overwrite(t, huge, length/4, length/2, 60)
	arrives(13, func(got trees.Tree) {
		if got["huge"].Content != first["huge"].Content {
			t.Errorf("trip %d: the mirror shows neither the old nor the new version", d.trips)
		}
	})
	if most := length/2 + length/33 + edits + int64(d.trips-once)*(128<<10); d.carried > most {
		t.Errorf("%d bytes carried in %d trips, of the file %d are new", d.carried, d.trips-once, length/2)
	}
	t.Logf("%d more trips carried %.1f MB of %.1f MB new ones", d.trips-once, float64(d.carried)/1e6, float64(length)/2e6)
	same(t, "mirror", w.take("t"), mirror)
	same(t, "the first version", first, filepath.Join(w.restore(fmt.Sprint(once)), "t"))
	same(t, "the second version", w.take("t"), filepath.Join(w.restore("latest"), "t"))
	w.atVault("verify", "--vault", w.vault)
}

// overwrite writes noise into a file in place.
func overwrite(t testing.TB, name string, at, n int64, seed uint64) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	must(t, err)
	buf := make([]byte, n)
	_, err = noiseReader(seed).Read(buf)
	must(t, err)
	_, err = f.WriteAt(buf, at)
	must(t, err)
	must(t, f.Close())
}
