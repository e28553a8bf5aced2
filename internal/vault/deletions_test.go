package vault

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"waterlock/internal/report"
)

// deletionWorld has a mirror of trip 1 and a drive with trip 2, where one file and one directory of two files are gone.
func deletionWorld(t *testing.T) (w *world, drive string) {
	w = newWorld(t)
	noise(t, filepath.Join(w.src, "stays"), 5000, 1)
	noise(t, filepath.Join(w.src, "goes"), 6000, 2)
	noise(t, filepath.Join(w.src, "dir/a"), 1000, 3)
	noise(t, filepath.Join(w.src, "dir/b"), 1000, 4)
	drive = newTestDrive(t)
	w.home.pack(drive, trip{})
	w.join(drive)
	w.clean(drive, DeletionsAsk)
	must(t, os.Remove(filepath.Join(w.src, "goes")))
	must(t, os.RemoveAll(filepath.Join(w.src, "dir")))
	w.home.importReceipt(drive)
	w.home.pack(drive, trip{})
	return w, drive
}

func TestDeletionsFollowThePolicy(t *testing.T) {
	t.Parallel()
	yes := func(string) (bool, bool) { return true, true }
	no := func(string) (bool, bool) { return false, true }
	nobody := func(string) (bool, bool) { return false, false }
	for name, c := range map[string]struct {
		policy  Deletions
		confirm report.Confirm
		gone    bool
		note    string
	}{
		"apply":            {DeletionsApply, nil, true, ""},
		"apply never asks": {DeletionsApply, no, true, ""},
		"keep never asks":  {DeletionsKeep, yes, false, "setting"},
		"ask, yes":         {DeletionsAsk, yes, true, ""},
		"ask, no":          {DeletionsAsk, no, false, "no"},
		"ask, nobody":      {DeletionsAsk, nobody, false, "nobody to ask"},
		"ask, no terminal": {DeletionsAsk, nil, false, "nobody to ask"},
		"setting is ask":   {"", yes, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, drive := deletionWorld(t)
			var question string
			confirm := c.confirm
			if confirm != nil {
				confirm = func(q string) (bool, bool) { question = q; return c.confirm(q) }
			}
			r, err := Unpack(context.Background(), UnpackOptions{Vault: w.vault, Drive: drive, Deletions: c.policy, Confirm: confirm, Report: w.reporter()})
			must(t, err)
			if r.Gone != 3 || r.GoneBytes != 8000 {
				t.Errorf("gone: %d, %d bytes", r.Gone, r.GoneBytes)
			}
			if asks := strings.Contains(name, "ask,") && c.confirm != nil || name == "setting is ask"; asks != (question != "") {
				t.Errorf("question: %q", question)
			}
			if question != "" && (!strings.Contains(question, "3 files") || !strings.Contains(question, "7.8 KiB") ||
				!strings.Contains(question, "\n  docs/dir/a\n  docs/dir/b\n  docs/goes\nHome says that this is right.\nTake them out")) {
				t.Errorf("the question does not show count, size and names: %q", question)
			}
			if !strings.Contains(r.DeletionsNoted, c.note) || (c.note == "") != (r.DeletionsNoted == "") {
				t.Errorf("noted %q, want %q", r.DeletionsNoted, c.note)
			}
			wantDeleted := int64(0)
			if c.gone {
				wantDeleted = 3
			}
			if r.Deleted != wantDeleted {
				t.Errorf("deleted %d, want %d", r.Deleted, wantDeleted)
			}
			for _, name := range []string{"goes", "dir/a", "dir"} {
				if _, err := os.Lstat(filepath.Join(w.mirror(), name)); os.IsNotExist(err) != c.gone {
					t.Errorf("%s: %v", name, err)
				}
			}
			// In the older snapshot everything stays.
			back := w.restore("1")
			for _, name := range []string{"goes", "dir/a", "dir/b"} {
				if _, err := os.Stat(filepath.Join(back, "docs", name)); err != nil {
					t.Error(err)
				}
			}
			// A later run with apply takes out what was kept.
			w.clean(drive, DeletionsApply)
			same(t, "mirror in the end", asMirror(take(t, w.src)), w.mirror())
		})
	}
}

// What somebody else put into a directory that is gone at home stays, and so does the directory.
func TestForeignFilesOutliveDeletions(t *testing.T) {
	t.Parallel()
	w, drive := deletionWorld(t)
	mine := filepath.Join(w.mirror(), "dir/mine")
	must(t, os.WriteFile(mine, []byte("mine"), 0o600))
	w.unpack(drive, DeletionsApply)
	if b, err := os.ReadFile(mine); err != nil || string(b) != "mine" {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := os.Stat(filepath.Join(w.mirror(), "dir/a")); !os.IsNotExist(err) {
		t.Errorf("dir/a: %v", err)
	}
}

// A file that takes a directory's place has to wait while the directory's files are kept.
func TestADirectoryWithKeptFilesStandsInTheWay(t *testing.T) {
	t.Parallel()
	w, drive := deletionWorld(t)
	noise(t, filepath.Join(w.src, "dir"), 3000, 9)
	w.home.pack(drive, trip{})
	r := w.unpack(drive, DeletionsKeep)
	if r.Behind != 1 || r.Complete() {
		t.Errorf("%+v", r)
	}
	if _, err := os.Stat(filepath.Join(w.mirror(), "dir/a")); err != nil {
		t.Error(err)
	}
	if !r.SnapshotArrived || r.Wants != 0 {
		t.Errorf("the content of the file is not in the history: %+v", r)
	}
	w.clean(drive, DeletionsApply)
	same(t, "mirror", asMirror(take(t, w.src)), w.mirror())
}

// Nothing that is pending, unseen or stopped deletes or changes anything.
func TestPendingUnseenAndStoppedDeleteNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i, name := range []string{"pending", "unseen", "dir/x", "same"} {
		noise(t, filepath.Join(w.src, name), 5000, uint64(i))
	}
	other := filepath.Join(w.dir, "films")
	noise(t, filepath.Join(other, "film"), 9000, 20)
	w.home.trees["films"] = other
	drive := newTestDrive(t)
	w.home.pack(drive, trip{})
	w.join(drive)
	w.clean(drive, DeletionsApply)
	before, films := take(t, w.mirror()), take(t, other)

	for i, name := range []string{"pending", "unseen"} {
		noise(t, filepath.Join(w.src, name), 7000, uint64(10+i))
	}
	noise(t, filepath.Join(w.src, "new and pending"), 7000, 13)
	must(t, os.RemoveAll(other)) // the disk is not mounted
	must(t, os.Mkdir(other, 0o755))
	root, err := os.Stat(w.mirror())
	must(t, err)
	must(t, os.Chtimes(w.src, root.ModTime(), root.ModTime()))
	w.home.pack(drive, trip{
		pending: func(_, path string) bool { return strings.Contains(path, "pending") },
		unseen:  func(_, path string) bool { return path == "unseen" },
		stopped: map[string]string{"films": "empty"},
	})
	r := w.unpack(drive, DeletionsApply)
	if r.Pending != 2 || r.Unseen != 1 || r.Gone != 0 || r.Deleted != 0 || r.SnapshotWhole || !r.SnapshotArrived {
		t.Errorf("%+v", r)
	}
	same(t, "mirror", asMirror(before), w.mirror())
	same(t, "stopped tree", asMirror(films), filepath.Join(w.vault, "films"))
	list := w.snapshots()
	if s := list[1]; s.Whole || !s.Arrived || s.Pending != 2 || s.Unseen != 1 || len(s.Stopped) != 1 || s.Waits == "" {
		t.Errorf("%+v", s)
	}

	// A tree that stopped before anything of it was ever seen is no reason to delete it.
	delete(w.home.streams, "films")
	w.home.pack(drive, trip{stopped: map[string]string{"films": "missing"}})
	w.unpack(drive, DeletionsApply)
	same(t, "stopped tree without a stream", asMirror(films), filepath.Join(w.vault, "films"))
}
