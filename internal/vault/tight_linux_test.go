package vault

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"waterlock/internal/disk"
	"waterlock/tests/mounts"
	"waterlock/tests/trees"
)

func free(t *testing.T, dir string) int64 {
	t.Helper()
	fs, err := disk.Dir(dir)
	must(t, err)
	defer fs.Close()
	sp, err := fs.Free()
	must(t, err)
	return sp.Avail
}

// fillUp leaves so much room beside a tree.
func fillUp(t *testing.T, place string, leave int64) (filler string) {
	t.Helper()
	filler = filepath.Join(place, ".wl/filler")
	f, err := os.Create(filler)
	must(t, err)
	must(t, syscall.Fallocate(int(f.Fd()), 0, 0, free(t, place)-leave))
	must(t, f.Close())
	return filler
}

// A tree whose disk is full at any moment of unpacking: each file is old or new, all that is said to have arrived can be
// restored, and once there is room the next unpack brings the rest.
func TestFullDiskAtAnyMoment(t *testing.T) {
	t.Parallel()
	for _, leave := range []int64{0, 1 << 20, 6<<20 + 100<<10} {
		place := mounts.TmpFS.For(t, 0).Dir
		w := newWorld(t)
		w.home.route.Chunker.Min, w.home.route.Chunker.Max, w.home.route.Chunker.AverageBits = 16<<10, 1<<20, 15
		w.fill()
		noise(t, filepath.Join(w.src, "film of an hour"), 6<<20, 1)
		drive := newTestDrive(t)
		w.home.pack(drive, trip{})
		_, err := Init(context.Background(), InitOptions{Path: w.vault, Drive: drive, Trees: map[string]string{"docs": place}, Report: w.reporter()})
		must(t, err)
		w.clean(drive, DeletionsAsk)
		old := take(t, w.src)
		filler := fillUp(t, place, leave)
		w.change()
		noise(t, filepath.Join(w.src, "film of an hour"), 6<<20, 2)
		noise(t, filepath.Join(w.src, "new film"), 2<<20, 3)
		now := take(t, w.src)
		next := newTestDrive(t)
		w.home.importReceipt(drive)
		w.home.pack(next, trip{})
		r, err := Unpack(context.Background(), UnpackOptions{Vault: w.vault, Drive: next, Deletions: DeletionsApply, Report: w.reporter()})
		if err != nil {
			t.Errorf("%d bytes free: %v", leave, err)
		}
		if leave < 6<<20 && (r.Complete() || r.Room.Files == 0 || r.Room.Missing == 0) {
			t.Errorf("%d bytes free: %+v", leave, r)
		}
		got, err := trees.Take(place, trees.Options{Skip: func(path string) bool { return path == ".wl" }})
		must(t, err)
		for _, path := range []string{"film", "film of an hour", "music/song"} {
			if c := got[path].Content; c != old[path].Content && c != now[path].Content {
				t.Errorf("%d bytes free: %s is neither old nor new", leave, path)
			}
		}
		for _, s := range w.snapshots() {
			if s.Arrived {
				same(t, "snapshot", map[uint64]trees.Tree{1: old, 2: now}[s.Number], filepath.Join(w.restore(fmt.Sprint(s.Number)), "docs"))
			}
		}
		must(t, os.Remove(filler))
		w.clean(next, DeletionsApply)
		w.sameElsewhere("with room", asMirror(now), place)
	}
}

// A large file that is edited in place where there is no room for a second copy of it: it shares blocks with its old
// version where the file system can. Elsewhere the snapshot arrives, the mirror keeps the old version, and it is said how
// much room is missing; with room it is delivered.
func TestLargeFileEditedInATightVault(t *testing.T) {
	t.Parallel()
	for _, kind := range []mounts.FileSystem{mounts.XFS, mounts.Btrfs, mounts.TmpFS} {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			place := kind.For(t, 0).Dir
			w := newWorld(t)
			w.home.route.Chunker.Min, w.home.route.Chunker.Max, w.home.route.Chunker.AverageBits = 128<<10, 1<<20, 18
			film := filepath.Join(w.src, "film")
			noise(t, film, 20<<20, 1)
			drive := newTestDrive(t)
			w.home.pack(drive, trip{})
			_, err := Init(context.Background(), InitOptions{Path: w.vault, Drive: drive, Trees: map[string]string{"docs": place}, Report: w.reporter()})
			must(t, err)
			w.clean(drive, DeletionsAsk)
			w.home.importReceipt(drive)

			filler := fillUp(t, place, 10<<20) // half a copy
			old := take(t, w.src)
			g, err := os.OpenFile(film, os.O_RDWR, 0)
			must(t, err)
			for _, off := range []int64{0, 10 << 20, 19 << 20} {
				_, err = g.WriteAt(noiseBytes(100<<10, uint64(off)), off)
				must(t, err)
			}
			must(t, g.Close())
			must(t, os.Chtimes(film, at(4), at(4)))
			next := newTestDrive(t)
			w.home.pack(next, trip{})
			mirror := func(what string) { t.Helper(); w.sameElsewhere(what, asMirror(take(t, w.src)), place) }
			r := w.unpack(next, DeletionsAsk)
			if !r.SnapshotArrived {
				t.Errorf("the snapshot has not arrived: %+v", r)
			}
			if kind.Name != mounts.TmpFS.Name {
				if !r.Complete() || r.Written != 1 {
					t.Errorf("%+v", r)
				}
				mirror("shared")
				same(t, "an older snapshot", old, filepath.Join(w.restore("1"), "docs"))
				return
			}
			if r.Complete() || r.Room.Files != 1 || r.Room.Needed != 20<<20 || r.Room.Missing < 9<<20 || r.Room.Missing > 12<<20 || r.Failed+r.Behind != 0 {
				t.Errorf("%+v", r)
			}
			w.sameElsewhere("behind", asMirror(old), place)
			status, err := Status(context.Background(), StatusOptions{Vault: w.vault, Report: w.reporter()})
			must(t, err)
			if status.Room != r.Room {
				t.Errorf("%+v", status.Room)
			}
			same(t, "what is behind can be restored", take(t, w.src), filepath.Join(w.restore("latest"), "docs"))
			must(t, os.Remove(filler))
			w.clean(next, DeletionsAsk)
			mirror("with room")
			if v := w.verify(VerifyOptions{}); !v.Sound() {
				t.Errorf("%+v", v)
			}
		})
	}
}
