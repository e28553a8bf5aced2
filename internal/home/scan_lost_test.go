package home

import (
	"fmt"
	"os"
	"testing"

	"waterlock/internal/disk"
)

// harm changes the one file in a directory at home of this suffix, or takes it away.
func harm(w *world, dir, suffix, how string) {
	w.t.Helper()
	names, err := w.state.ReadDir(dir)
	must(w.t, err)
	for i := range names.Len() {
		name := dir + "/" + names.At(i)
		if len(name) < len(suffix) || name[len(name)-len(suffix):] != suffix {
			continue
		}
		data, err := disk.ReadAll(w.state, name, maxListBytes)
		must(w.t, err)
		must(w.t, w.state.Remove(name))
		switch how {
		case "torn":
			must(w.t, disk.Put(w.state, name, data[:len(data)/2]))
		case "flipped":
			data[len(data)/2] ^= 1
			must(w.t, disk.Put(w.state, name, data))
		}
		return
	}
	w.t.Fatalf("no %s in %s", suffix, dir)
}

// shipmentAt is the directory at home of the n-th shipment.
func (w *world) shipmentAt(n int) string {
	w.t.Helper()
	names, err := w.state.ReadDir(dirShipments)
	must(w.t, err)
	return dirShipments + "/" + names.At(n)
}

func twentyFiles(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	for i := range 20 {
		w.write(fmt.Sprintf("d/f%d", i), 5000, uint64(i))
	}
	settleClock()
	w.pack()
	return w
}

// Without its last scan nobody can say what of a tree was deleted, or what an unreadable directory held: the tree
// stands still, its last stream is carried once more, and a flag overrides it.
func TestALostScanStopsItsTree(t *testing.T) {
	for _, how := range []string{"deleted", "torn", "flipped"} {
		t.Run(how, func(t *testing.T) {
			w := twentyFiles(t)
			harm(w, dirScan, ".scan", how)
			plain := w.trees["docs"]
			w.trees["docs"] = &failing{FS: plain, dirs: map[string]bool{"d": true}}
			w.newDrive("B")
			for range 2 { // and it stays so until somebody decides
				res := w.pack()
				if len(res.Stopped) != 1 || res.Stopped[0].Flag != flagLostScan || res.Files != 20 || !res.Incomplete() {
					t.Fatalf("%+v", res)
				}
			}
			v := w.newVault()
			v.take(w.drive)
			if got := v.entries(v.newest, "docs"); got["d/f1"] == nil || len(got) != 22 {
				t.Errorf("%d entries: what could not be read is deleted", len(got))
			}
			w.trees["docs"] = plain
			must(t, os.Remove(w.path("d/f3")))
			w.opts.AllowLostScan = []string{"docs"}
			if res := w.pack(); len(res.Stopped) != 0 || res.Files != 19 || res.Incomplete() {
				t.Errorf("%+v", res)
			}
			v.take(w.drive)
			w.opts.AllowLostScan = nil
			if res := w.pack(); len(res.Stopped) != 0 || res.BytesRead != 0 {
				t.Errorf("%+v", res)
			}
		})
	}
}

// Where the newest commit at home is damaged, its scan still says what the tree was, and its number is not given to
// another snapshot.
func TestADamagedCommitAtHomeLeavesTheGuards(t *testing.T) {
	for _, earlier := range []int{0, 1} {
		t.Run(fmt.Sprint(earlier), func(t *testing.T) {
			w := twentyFiles(t)
			for i := range earlier {
				w.write("d/more", 3000, uint64(100+i))
				settleClock()
				w.pack()
			}
			files := int64(20 + earlier)
			harm(w, w.shipmentAt(earlier), "/"+fileCommit, "flipped")
			must(t, os.RemoveAll(w.path("d")))
			w.newDrive("B")
			res := w.pack()
			if res.Snapshot != uint64(2+earlier) || len(res.Stopped) != 1 || res.Stopped[0].Flag != flagEmpty || res.Files != files {
				t.Fatalf("%+v", res)
			}
			v := w.newVault()
			v.take(w.drive)
			if got := v.entries(v.newest, "docs"); int64(len(got)) != files+2 {
				t.Errorf("%d entries", len(got))
			}
			w.opts.AllowEmpty = []string{"docs"}
			if res := w.pack(); len(res.Stopped) != 0 || res.Files != 0 {
				t.Errorf("%+v", res)
			}
		})
	}
}
