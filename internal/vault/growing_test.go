package vault

import (
	"os"
	"path/filepath"
	"testing"
)

// manyTrips is a world with a film that takes several drives, each with room for 20 MiB of it.
func manyTrips(t *testing.T) *world {
	w := newWorld(t)
	w.home.route.Chunker.Min, w.home.route.Chunker.Max, w.home.route.Chunker.AverageBits = 128<<10, 1<<20, 18
	noise(t, filepath.Join(w.src, "film"), 1<<20, 1)
	drive := newTestDrive(t)
	w.home.pack(drive, trip{})
	w.join(drive)
	w.clean(drive, DeletionsAsk)
	w.home.importReceipt(drive)
	return w
}

// dataPacks counts history packs with chunks of files.
func (w *world) dataPacks() int {
	list, err := filepath.Glob(filepath.Join(w.vault, ".wl/packs/*/*.pack"))
	must(w.t, err)
	return len(list)
}

// A file larger than the drive grows over the trips, in whatever order they come and though it is edited on the way: its
// path shows the old version until the new one is whole, and nothing of it goes through the history.
func TestFileLargerThanTheDrive(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]struct {
		order  []int
		edited bool
	}{
		"last first": {[]int{2, 1, 0}, false}, "middle last, edited": {[]int{0, 2, 1}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := manyTrips(t)
			old := take(t, w.src)
			film := filepath.Join(w.src, "film")
			noise(t, film, 57<<20, 2)
			must(t, os.Chtimes(film, at(2), at(2)))
			var drives []string
			for i := range 3 {
				if i == 1 && o.edited {
					f, err := os.OpenFile(film, os.O_RDWR, 0)
					must(t, err)
					_, err = f.WriteAt(noiseBytes(600<<10, 3), 10<<20)
					must(t, err)
					must(t, f.Close())
					must(t, os.Chtimes(film, at(3), at(3)))
				}
				drives = append(drives, newTestDrive(t))
				w.home.pack(drives[i], trip{room: 20 << 20})
			}
			if w.home.last["docs"]["film"].Pending {
				t.Fatal("three drives do not hold the film")
			}
			for n, i := range o.order {
				r := w.unpack(drives[i], DeletionsAsk)
				if n < 2 {
					same(t, "before it is whole", asMirror(old), w.mirror())
					if r.Growing != 1 || r.GrownBytes < 9<<20 || r.GrowingBytes < r.GrownBytes {
						t.Errorf("%+v", r)
					}
				}
				if packs := w.dataPacks(); packs > 0 && !o.edited {
					t.Errorf("%d packs of what grows", packs)
				}
				if n == 0 { // the catalog can be lost on the way
					must(t, os.RemoveAll(filepath.Join(w.vault, ".wl/index")))
				}
			}
			same(t, "whole", asMirror(take(t, w.src)), w.mirror())
			if left, err := filepath.Glob(filepath.Join(w.vault, ".wl/staging/*")); err != nil || len(left) > 0 {
				t.Errorf("left over: %v %v", left, err)
			}
			for _, s := range w.snapshots() {
				if !s.Arrived {
					t.Errorf("%+v", s)
				}
			}
			if v := w.verify(VerifyOptions{}); !v.Sound() {
				t.Errorf("%+v", v)
			}
			same(t, "restored", take(t, w.src), filepath.Join(w.restore("latest"), "docs"))
		})
	}
}

// A file that is deleted, or replaced by another, while it grows: what it has is still named by snapshots and stays
// readable, and the next version comes out right.
func TestFileThatIsNeverWhole(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"deleted", "shifted"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			w := manyTrips(t)
			film := filepath.Join(w.src, "film")
			noise(t, film, 57<<20, 2)
			next := func(room int) UnpackResult {
				t.Helper()
				drive := newTestDrive(t)
				w.home.pack(drive, trip{room: room})
				r := w.unpack(drive, DeletionsApply)
				w.home.importReceipt(drive)
				return r
			}
			if r := next(20 << 20); r.Growing != 1 {
				t.Fatalf("%+v", r)
			}
			switch how {
			case "deleted":
				must(t, os.Remove(film))
			case "shifted":
				b, err := os.ReadFile(film)
				must(t, err)
				must(t, os.WriteFile(film, append([]byte("title"), b...), 0o644))
			}
			var r UnpackResult
			for range 3 {
				r = next(20 << 20)
				if e := w.home.last["docs"]["film"]; e == nil || !e.Pending {
					break
				}
			}
			if r.Growing != 0 {
				t.Errorf("%+v", r)
			}
			same(t, "mirror", asMirror(take(t, w.src)), w.mirror())
			for _, s := range w.snapshots() {
				if !s.Arrived {
					t.Errorf("%+v", s)
				}
			}
			if v := w.verify(VerifyOptions{}); !v.Sound() {
				t.Errorf("%+v", v)
			}
		})
	}
}
