package home

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"waterlock/internal/courier"
	"waterlock/internal/disk"
)

// rename renames files and directories of the first tree, one after the other: old, new, old, new, …
func (w *world) rename(names ...string) {
	w.t.Helper()
	for i := 0; i+1 < len(names); i += 2 {
		must(w.t, os.Rename(w.path(names[i]), w.path(names[i+1])))
	}
}

func (w *world) needsBirthTimes() {
	w.t.Helper()
	fs, err := disk.Dir(w.path())
	must(w.t, err)
	defer fs.Close()
	if st, err := fs.Stat("."); err != nil || st.BTime.IsZero() {
		w.t.Skipf("the file system of %s gives no time of birth (%v): moved files are read there", w.path(), err)
	}
}

// What was renamed at home is found by its inode, whatever lay under its new name before, and whatever lies under the
// old one now: nothing of it is read or carried.
func TestRenamesAreNotRead(t *testing.T) {
	const log, tmp = 9000, "../tmp"
	for _, c := range []struct {
		name  string
		do    func(w *world)
		moved int64 // files found under another name
		fresh int64 // bytes of new files
	}{
		{"a file", func(w *world) { w.rename("a", "z") }, 1, 0},
		{"into another directory", func(w *world) { w.rename("a", "d/e/a") }, 1, 0},
		{"log rotation", func(w *world) {
			w.rename("log.2", "log.3", "log.1", "log.2", "log", "log.1")
			w.write("log", log, 50)
		}, 3, log},
		{"log rotation, the oldest goes", func(w *world) {
			must(w.t, os.Remove(w.path("log.2")))
			w.rename("log.1", "log.2", "log", "log.1")
			w.write("log", log, 50)
		}, 2, log},
		{"over another file", func(w *world) { w.rename("a", "b") }, 1, 0},
		{"a swap", func(w *world) { w.rename("a", tmp, "b", "a", tmp, "b") }, 2, 0},
		{"a swap of equal sizes", func(w *world) { w.rename("log", tmp, "log.1", "log", tmp, "log.1") }, 2, 0},
		{"a cycle of three", func(w *world) { w.rename("a", tmp, "b", "a", "c", "b", tmp, "c") }, 3, 0},
		{"a chain", func(w *world) { w.rename("c", "z", "b", "c", "a", "b") }, 3, 0},
		{"a directory", func(w *world) { w.rename("d", "k") }, 3, 0},
		{"a directory, and a new one under its name", func(w *world) {
			w.rename("d", "k")
			w.write("d/f", log, 51)
			w.write("d/e/g", log, 52)
		}, 3, 2 * log},
		{"two directories swapped", func(w *world) { w.rename("d", tmp, "q", "d", tmp, "q") }, 6, 0},
		{"a directory into itself", func(w *world) {
			w.rename("d", tmp)
			must(w.t, os.Mkdir(w.path("d"), 0o755))
			w.rename(tmp, "d/d")
		}, 3, 0},
		{"into a directory of its own name", func(w *world) {
			w.rename("a", tmp)
			must(w.t, os.Mkdir(w.path("a"), 0o755))
			w.rename(tmp, "a/a")
		}, 1, 0},
		{"out of a directory, to its name", func(w *world) {
			w.rename("one/file", tmp)
			must(w.t, os.Remove(w.path("one")))
			w.rename(tmp, "one")
		}, 1, 0},
		{"with another mode", func(w *world) {
			w.rename("a", "z")
			must(w.t, os.Chmod(w.path("z"), 0o600))
		}, 1, 0},
		{"all links of a file", func(w *world) { w.rename("l1", "m1", "l2", "d/m2") }, 2, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.needsBirthTimes()
			for i, name := range []string{"a", "b", "c", "d/f", "d/e/g", "d/e/h", "q/f", "q/e/g", "q/h", "one/file"} {
				w.write(name, 5000+100*i, uint64(i))
			}
			for i, name := range []string{"log", "log.1", "log.2"} { // of one size, as rotated ones often are
				w.write(name, log, uint64(20+i))
			}
			for i := range 10 {
				w.write(fmt.Sprintf("calm/%d", i), 100, uint64(30+i))
			}
			w.write("l1", 7777, 40)
			must(t, os.Link(w.path("l1"), w.path("l2")))
			settleClock()
			w.pack()
			v := w.newVault()
			v.take(w.drive)
			for trip, do := range []func(*world){c.do, func(*world) {}} {
				do(w)
				w.newDrive(fmt.Sprint("of trip ", trip+2))
				settleClock()
				res := w.pack()
				moved, fresh := c.moved, c.fresh
				if trip == 1 { // nothing is left to find
					moved, fresh = 0, 0
				}
				if res.Moved != moved || res.BytesRead != fresh || w.read.Load() != fresh || res.BytesNew != fresh {
					t.Errorf("trip %d: %d moved, %d bytes read (%d by count), %d new, expected %d, %d, %d", trip+2, res.Moved, res.BytesRead, w.read.Load(), res.BytesNew, moved, fresh, fresh)
				}
				if fresh == 0 && (res.FilesRead != 0 || res.ChunksNew != 0) {
					t.Errorf("trip %d: %d files read, %d chunks new", trip+2, res.FilesRead, res.ChunksNew)
				}
				v.take(w.drive)
				v.equals()
			}
		})
	}
}

// A move between two trees of the route is a move.
func TestAMoveBetweenTreesIsNotRead(t *testing.T) {
	w := newWorld(t, "docs", "more")
	w.needsBirthTimes()
	for i := range 10 {
		w.write(fmt.Sprintf("f%d", i), 5000, uint64(i))
	}
	if err := os.Link(w.path("f0"), w.roots["more"]+"/probe"); err != nil {
		t.Skipf("the two trees lie on different file systems: %v", err)
	}
	must(t, os.Remove(w.roots["more"]+"/probe"))
	must(t, os.WriteFile(w.roots["more"]+"/f1", random(6000, 99), 0o644))
	settleClock()
	w.pack()
	must(t, os.Rename(w.path("f1"), w.path("../x")))
	must(t, os.Rename(w.roots["more"]+"/f1", w.path("f1")))
	must(t, os.Rename(w.path("../x"), w.roots["more"]+"/f1"))
	settleClock()
	if res := w.pack(); res.Moved != 2 || res.BytesRead != 0 || res.ChunksNew != 0 {
		t.Errorf("%+v", res)
	}
	v := w.newVault()
	v.take(w.drive)
	v.equals()
}

// A pack that was interrupted behind renamed files goes on: they do not count as gone because their place is known.
func TestRenamesAreFoundAgainAfterAnInterruption(t *testing.T) {
	w := newWorld(t)
	w.needsBirthTimes()
	for i := range 10 {
		w.write(fmt.Sprintf("b/f%02d", i), 5000, uint64(i))
	}
	settleClock()
	w.pack()
	w.rename("b", "a")
	for i := range 5 {
		w.write(fmt.Sprintf("z%02d", i), 100<<10, uint64(20+i))
	}
	settleClock()
	plain := w.trees["docs"].(*readCounter)
	ctx, cancel := context.WithCancel(context.Background())
	w.trees["docs"] = &afterBytes{readCounter: plain, limit: 250 << 10, do: cancel}
	if _, err := w.packCtx(ctx); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	w.trees["docs"] = plain
	if res := w.pack(); len(res.Stopped) != 0 || !res.Resumed || res.Pending != 0 {
		t.Errorf("%+v", res)
	}
	v := w.newVault()
	v.take(w.drive)
	v.equals()
}

// A file that stays pending leaves what comes behind it alone: the content that it keeps and the next file's are read
// by two readers.
func TestAPendingFileLeavesTheNextOneAlone(t *testing.T) {
	w := newWorld(t)
	w.needsBirthTimes()
	w.write("d/moves", 43000, 1)
	w.write("f", 60000, 2)
	w.write("g", 26000, 3)
	settleClock()
	w.pack()
	must(t, os.Chmod(w.path("f"), 0o600)) // to be read again, and there is no room to
	w.rename("d/moves", "g")
	w.opts.Limit = -1
	w.pack()
	v := w.newVault()
	v.take(w.drive)
	got := v.entries(v.newest, "docs")
	if e := got["f"]; !e.Pending {
		t.Fatalf("f is not pending: %+v", e)
	}
	want, err := os.ReadFile(w.path("g"))
	must(t, err)
	if e := got["g"]; e.Pending || e.ContentSize() != e.Size || !bytes.Equal(v.content(e), want) {
		t.Errorf("g: pending %v, content of %d bytes, size %d", e.Pending, e.ContentSize(), e.Size)
	}
}

// A file whose content is known and whose chunks had no room is carried by the next run that has some, though nothing has
// become unknown since.
func TestAPendingFileOfKnownContentIsCarried(t *testing.T) {
	w := newWorld(t)
	w.write("f", 60000, 1)
	settleClock()
	res := w.pack()
	d, err := courier.OpenFS(keepOpen{w.drive}, "")
	must(t, err)
	id, err := courier.ParseShipmentID(res.Shipment)
	must(t, err)
	must(t, d.RemoveShipment(w.route, id)) // somebody empties the drive
	w.opts.Limit = -1
	if res = w.pack(); res.Pending != 1 {
		t.Fatalf("the first run: %+v", res)
	}
	w.opts.Limit = 0
	if res = w.pack(); res.Pending != 0 || res.ChunksNew == 0 {
		t.Errorf("with room: %d pending, %d chunks carried", res.Pending, res.ChunksNew)
	}
}
