package vault

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"waterlock/internal/courier"
	"waterlock/internal/exit"
	"waterlock/tests/trees"
)

// A link in the mirror never leads a write out of it: not one that a shipment brought, and not one that somebody put in a
// directory's place.
func TestLinksLeadNowhere(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	w := newWorld(t)
	noise(t, filepath.Join(w.src, "dir/file"), 3000, 1)
	must(t, os.Symlink(outside, filepath.Join(w.src, "way out")))
	must(t, os.Symlink("../.wl", filepath.Join(w.src, "way in")))
	drive := newTestDrive(t)
	w.home.pack(drive, trip{})
	w.join(drive)
	w.clean(drive, DeletionsAsk)

	// At home the links become directories with files; in the mirror a directory becomes a link.
	for _, name := range []string{"way out", "way in"} {
		must(t, os.Remove(filepath.Join(w.src, name)))
		noise(t, filepath.Join(w.src, name, "vault.toml"), 2000, 2)
	}
	noise(t, filepath.Join(w.src, "dir/file"), 3000, 3)
	noise(t, filepath.Join(w.src, "dir/new"), 3000, 4)
	settings, err := os.ReadFile(filepath.Join(w.vault, settingsFile))
	must(t, err)
	must(t, os.RemoveAll(filepath.Join(w.mirror(), "dir")))
	must(t, os.Symlink(outside, filepath.Join(w.mirror(), "dir")))
	w.home.pack(drive, trip{})
	for range 2 {
		w.unpack(drive, DeletionsApply)
	}
	same(t, "mirror", asMirror(take(t, w.src)), w.mirror())
	if list, _ := os.ReadDir(outside); len(list) > 0 {
		t.Errorf("written outside the vault: %v", list)
	}
	if now, _ := os.ReadFile(filepath.Join(w.vault, settingsFile)); string(now) != string(settings) {
		t.Error("the vault's own settings were written over")
	}
}

// A commit is hostile until verified: trees by the names of the vault's own or of other directories are refused.
func TestHostileTreeNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{".wl", ".WL", "..", ".", "a/b", "", "a\x00b"} {
		w := newWorld(t)
		noise(t, filepath.Join(w.src, "vault.toml"), 1000, 1)
		good := filepath.Join(w.dir, "good")
		noise(t, filepath.Join(good, "x"), 1000, 2)
		w.home.trees = map[string]string{"good": good}
		drive := newTestDrive(t)
		w.home.pack(drive, trip{})
		w.join(drive)
		settings, err := os.ReadFile(filepath.Join(w.vault, settingsFile))
		must(t, err)

		d, err := courier.OpenDrive(drive)
		must(t, err)
		list, err := d.Shipments(w.home.route.ID)
		must(t, err)
		c := list[0].Commits[0].Commit
		c.Snapshot.Trees = append(c.Snapshot.Trees, c.Snapshot.Trees[0])
		c.Snapshot.Trees[0].Name = name
		c.Snapshot.Number, c.Shipment = 2, courier.NewShipmentID()
		b, err := courier.EncodeCommit(c)
		if err == nil {
			_, err = d.CreateShipment(w.home.route.ID, c.Shipment)
			must(t, err)
			_, err = d.WriteCommit(b)
		}
		must(t, d.Close())
		if err != nil {
			t.Logf("%q cannot be written: %v", name, err)
			continue
		}
		_, err = Unpack(context.Background(), UnpackOptions{Vault: w.vault, Drive: drive, Deletions: DeletionsApply, Report: w.reporter()})
		t.Logf("%q: %v", name, err)
		if now, _ := os.ReadFile(filepath.Join(w.vault, settingsFile)); string(now) != string(settings) {
			t.Errorf("%q: the vault's own settings were written over", name)
		}
		same(t, "mirror", asMirror(take(t, good)), filepath.Join(w.vault, "good"))
	}
}

// A drive that cannot be written delivers all the same; the receipt stays in the vault and comes with the next drive.
func TestReceiptThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill()
	drive := newTestDrive(t)
	s := w.home.pack(drive, trip{})
	w.join(drive)
	receipts := filepath.Join(filepath.Dir(filepath.Dir(w.shipmentDir(s))), "receipts")
	must(t, os.Rename(receipts, receipts+".away"))
	must(t, os.WriteFile(receipts, nil, 0o644))
	rep := &testReporter{t: t}
	r, err := Unpack(context.Background(), UnpackOptions{Vault: w.vault, Drive: drive, Report: rep})
	must(t, err)
	if r.Told || r.Receipt == 0 || !r.SnapshotWhole || len(rep.Warnings()) == 0 {
		t.Errorf("%+v", r)
	}
	same(t, "mirror", asMirror(take(t, w.src)), w.mirror())
	other := newTestDrive(t)
	w.unpack(other, DeletionsAsk)
	if receipt := w.home.importReceipt(other); len(receipt.Taken) != 1 || !receipt.Taken[0].All {
		t.Errorf("the next drive's receipt: %+v", receipt)
	}
}

// A vault that was set back says so with a new epoch, and numbers go on above.
func TestVaultThatWasSetBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	noise(t, filepath.Join(w.src, "a"), 3000, 1)
	drive := newTestDrive(t)
	w.home.pack(drive, trip{})
	w.join(drive)
	w.unpack(drive, DeletionsAsk)
	before := w.home.importReceipt(drive)
	for range 3 {
		w.unpack(drive, DeletionsAsk)
	}
	told := w.home.importReceipt(drive)
	if told.Epoch != before.Epoch || told.Number <= before.Number {
		t.Fatalf("receipts %+v, %+v", before, told)
	}
	list, err := filepath.Glob(filepath.Join(w.vault, receiptsDir, "*"))
	must(t, err)
	for _, name := range list {
		if base := filepath.Base(name); base[:2] != "1-" && base[:2] != "2-" {
			must(t, os.Remove(name))
		}
	}
	w.home.pack(drive, trip{})
	w.unpack(drive, DeletionsAsk)
	after := w.home.importReceipt(drive)
	if after.Epoch == told.Epoch || after.Number <= told.Number {
		t.Errorf("receipt after the rollback: %+v; before: %+v", after, told)
	}
	w.unpack(drive, DeletionsAsk)
	if again := w.home.importReceipt(drive); again.Epoch != after.Epoch {
		t.Error("another epoch was drawn without need")
	}
}

// The vault's own newest receipt is damaged: the drive's copy serves.
func TestDamagedOwnReceipt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	noise(t, filepath.Join(w.src, "a"), 3000, 1)
	drive := newTestDrive(t)
	w.home.pack(drive, trip{})
	w.join(drive)
	w.unpack(drive, DeletionsAsk)
	told := w.home.importReceipt(drive)
	list, err := filepath.Glob(filepath.Join(w.vault, receiptsDir, "2-*"))
	must(t, err)
	flip(t, list[0], 80)
	r := w.unpack(drive, DeletionsAsk)
	next := w.home.importReceipt(drive)
	if r.Receipt != 3 || next.Epoch != told.Epoch || len(next.Taken) != 1 {
		t.Errorf("%+v", next)
	}
}

// Another wl is told at once that the vault is locked.
func TestVaultIsLocked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	noise(t, filepath.Join(w.src, "a"), 3000, 1)
	drive := newTestDrive(t)
	w.home.pack(drive, trip{})
	w.join(drive)
	lock, err := lockVault(w.vault)
	must(t, err)
	defer lock.Unlock()
	for name, run := range map[string]func() error{
		"unpack": func() error {
			_, err := Unpack(context.Background(), UnpackOptions{Vault: w.vault, Drive: drive})
			return err
		},
		"snapshots": func() error { _, err := Snapshots(context.Background(), SnapshotsOptions{Vault: w.vault}); return err },
		"status":    func() error { _, err := Status(context.Background(), StatusOptions{Vault: w.vault}); return err },
		"verify":    func() error { _, err := Verify(context.Background(), VerifyOptions{Vault: w.vault}); return err },
		"restore": func() error {
			_, err := Restore(context.Background(), RestoreOptions{Vault: w.vault, Target: t.TempDir()})
			return err
		},
	} {
		if err := run(); exit.Of(err) != exit.Locked {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A byte of any file of the index flipped, or any of them deleted: same vault, nothing lost.
func TestIndexIsDisposable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill()
	first := take(t, w.src)
	drive := newTestDrive(t)
	w.home.pack(drive, trip{})
	w.join(drive)
	w.clean(drive, DeletionsAsk)
	w.home.importReceipt(drive)
	w.change()
	second := take(t, w.src)
	w.home.pack(drive, trip{})
	w.clean(drive, DeletionsApply)

	index := filepath.Join(w.vault, indexDir)
	n := 0
	for round := 0; ; round++ {
		var files []string
		must(t, filepath.WalkDir(index, func(path string, d os.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				files = append(files, path)
			}
			return err
		}))
		if round >= len(files) {
			break
		}
		file := files[round]
		st, err := os.Stat(file)
		must(t, err)
		if round%2 == 0 || st.Size() == 0 {
			must(t, os.Remove(file))
		} else {
			flip(t, file, st.Size()/2)
		}
		n++
		r := w.clean(drive, DeletionsApply)
		if r.Written+r.Linked+r.Metadata+r.Others+r.Deleted+r.Foreign+r.History != 0 {
			t.Errorf("%s: the run changed something: %+v", file, r)
		}
		same(t, "mirror", asMirror(second), w.mirror())
	}
	if n < 4 {
		t.Errorf("only %d rounds", n)
	}
	same(t, "snapshot 1", first, filepath.Join(w.restore("1"), "docs"))
	same(t, "snapshot 2", second, filepath.Join(w.restore("2"), "docs"))
	if v := w.verify(VerifyOptions{}); v.Damaged != 0 || v.Wants != 0 || v.Lacking != 0 {
		t.Errorf("%+v", v)
	}
}

// sameElsewhere is same for a tree with its .wl beside its files.
func (w *world) sameElsewhere(what string, want trees.Tree, dir string) {
	w.t.Helper()
	got, err := trees.Take(dir, trees.Options{Skip: func(path string) bool { return path == ".wl" }})
	must(w.t, err)
	for _, line := range trees.Diff(asMirror(want), got) {
		w.t.Errorf("%s: %s", what, line)
	}
}
