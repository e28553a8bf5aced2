package vault

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Damage on the drive costs only the files whose chunks it hits: the rest arrives, those keep their old version, they are
// named and wanted, and the next shipment brings exactly what is lacking.
func TestDamagedPackCostsOnlyItsFiles(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		damage func(t *testing.T, pack string)
		hurts  int // how many of the ten files may be hit; 0 = none
	}{
		"flipped bit in a record": {func(t *testing.T, pack string) { flip(t, pack, 20000) }, 1},
		"damaged table":           {func(t *testing.T, pack string) { flip(t, pack, -200) }, 0},
		"damaged header":          {func(t *testing.T, pack string) { flip(t, pack, 3) }, 0},
		"damaged footer":          {func(t *testing.T, pack string) { flip(t, pack, -3) }, 0},
		"cut in the middle":       {func(t *testing.T, pack string) { must(t, os.Truncate(pack, 60000)) }, 9},
		"missing":                 {func(t *testing.T, pack string) { must(t, os.Remove(pack)) }, 10},
		"empty":                   {func(t *testing.T, pack string) { must(t, os.Truncate(pack, 0)) }, 10},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			for i := range 10 {
				noise(t, filepath.Join(w.src, fmt.Sprint("file", i)), 15000, uint64(i))
			}
			drive := newTestDrive(t)
			w.home.pack(drive, trip{})
			w.join(drive)
			w.clean(drive, DeletionsAsk)
			first := take(t, w.src)
			w.home.importReceipt(drive)

			for i := range 10 {
				noise(t, filepath.Join(w.src, fmt.Sprint("file", i)), 15000, uint64(100+i))
			}
			second := take(t, w.src)
			s := w.home.pack(drive, trip{})
			c.damage(t, filepath.Join(w.shipmentDir(s), "000001.pack"))

			r := w.unpack(drive, DeletionsAsk)
			if r.Damaged == 0 {
				t.Errorf("damage was not counted: %+v", r)
			}
			if (r.Behind > 0) != (c.hurts > 0) || r.Behind > int64(c.hurts) {
				t.Errorf("%d files stay behind, at most %d expected", r.Behind, c.hurts)
			}
			if (r.Wants == 0) != (c.hurts == 0) {
				t.Errorf("%d chunks wanted", r.Wants)
			}
			behind := int64(0)
			for path, f := range take(t, w.mirror()) {
				switch f.Content {
				case second[path].Content:
				case first[path].Content:
					behind++
				default:
					t.Errorf("%s shows neither its old nor its new version", path)
				}
			}
			if behind != r.Behind {
				t.Errorf("%d old versions in the mirror, %d said", behind, r.Behind)
			}

			// Once more: the same.
			again := w.unpack(drive, DeletionsAsk)
			if again.Behind != r.Behind || again.Wants != r.Wants {
				t.Errorf("a second run: %+v", again)
			}

			// Home hears of it and carries exactly that.
			w.home.importReceipt(drive)
			next := w.home.pack(drive, trip{})
			if int64(next.data) != r.Wants {
				t.Errorf("%d chunks carried again, %d were wanted", next.data, r.Wants)
			}
			last := w.unpack(drive, DeletionsAsk)
			if last.Behind != 0 || last.Wants != 0 || !last.SnapshotWhole {
				t.Errorf("after the next trip: %+v", last)
			}
			same(t, "mirror", asMirror(second), w.mirror())
			same(t, "snapshot 1", first, filepath.Join(w.restore("1"), "docs"))
			same(t, "snapshot 2", second, filepath.Join(w.restore("2"), "docs"))
		})
	}
}

// Damage to the metadata costs the listing of what it held, and deletes nothing.
func TestDamagedMetaPackDeletesNothing(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(t *testing.T, dir string){
		"missing": func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, "000001.meta"))) },
		"flipped": func(t *testing.T, dir string) { flip(t, filepath.Join(dir, "000001.meta"), 300) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.fill()
			drive := newTestDrive(t)
			w.home.pack(drive, trip{})
			w.join(drive)
			w.clean(drive, DeletionsAsk)
			first := take(t, w.src)
			w.home.importReceipt(drive)
			w.change()
			s := w.home.pack(drive, trip{})
			damage(t, w.shipmentDir(s))
			r := w.unpack(drive, DeletionsApply)
			if r.Damaged == 0 || r.Deleted != 0 || r.Wants == 0 || r.SnapshotArrived {
				t.Errorf("%+v", r)
			}
			same(t, "mirror", asMirror(first), w.mirror())
			w.home.importReceipt(drive)
			w.home.pack(drive, trip{})
			r = w.unpack(drive, DeletionsApply)
			if !r.SnapshotWhole || r.Wants != 0 {
				t.Errorf("%+v", r)
			}
			same(t, "mirror", asMirror(take(t, w.src)), w.mirror())
			same(t, "latest", take(t, w.src), filepath.Join(w.restore("latest"), "docs"))
		})
	}
}

// A damaged commit costs its shipment and is named; the others arrive.
func TestDamagedCommitIsNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	noise(t, filepath.Join(w.src, "a"), 5000, 1)
	drive := newTestDrive(t)
	w.home.pack(drive, trip{})
	w.join(drive)
	noise(t, filepath.Join(w.src, "b"), 5000, 2)
	s := w.home.pack(drive, trip{})
	names, err := filepath.Glob(filepath.Join(w.shipmentDir(s), "*.commit"))
	must(t, err)
	flip(t, names[0], 100)
	r := w.unpack(drive, DeletionsAsk)
	if r.Damaged != 1 || r.Snapshot != 1 || r.Shipments != 1 {
		t.Errorf("%+v", r)
	}
	if _, err := os.Stat(filepath.Join(w.mirror(), "a")); err != nil {
		t.Error(err)
	}
	must(t, os.Remove(names[0]))
	if r := w.unpack(drive, DeletionsAsk); r.Damaged != 0 || r.Open != 1 {
		t.Errorf("an open shipment is no damage: %+v", r)
	}
}

// Damage in the vault is found, named and asked for, and the next trip mends it.
func TestDamageInTheVaultIsMended(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 5 {
		noise(t, filepath.Join(w.src, fmt.Sprint("file", i)), 15000, uint64(i))
	}
	drive := newTestDrive(t)
	w.home.pack(drive, trip{})
	w.join(drive)
	w.clean(drive, DeletionsAsk)
	w.home.importReceipt(drive)
	want := take(t, w.src)

	flip(t, filepath.Join(w.mirror(), "file2"), 7000)
	v := w.verify(VerifyOptions{})
	if v.Damaged == 0 || v.Wants == 0 || v.Repaired != 0 {
		t.Errorf("verify: %+v", v)
	}
	// The catalog is lost: the vault's own receipt remembers.
	must(t, os.RemoveAll(filepath.Join(w.vault, ".wl/index")))
	empty := newTestDrive(t)
	w.unpack(empty, DeletionsAsk)
	if r := w.home.importReceipt(empty); len(r.Wants) == 0 {
		t.Errorf("the receipt does not ask for what was found damaged: %+v", r)
	}
	w.home.pack(drive, trip{})
	r := w.unpack(drive, DeletionsAsk)
	if r.Wants != 0 || !r.SnapshotWhole {
		t.Errorf("after the next trip: %+v", r)
	}
	same(t, "mirror", asMirror(want), w.mirror())
	same(t, "snapshot 1", want, filepath.Join(w.restore("1"), "docs"))
	if v := w.verify(VerifyOptions{}); v.Damaged != 0 || v.Wants != 0 {
		t.Errorf("verify in the end: %+v", v)
	}
}

// A mirror file that is missing or was changed comes back from the drive, or is asked for; the other's bytes are kept.
func TestMirrorChangedBySomebodyElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 4 {
		noise(t, filepath.Join(w.src, fmt.Sprint("file", i)), 15000, uint64(i))
	}
	drive := newTestDrive(t)
	w.home.pack(drive, trip{})
	w.join(drive)
	w.clean(drive, DeletionsAsk)
	want := take(t, w.src)
	must(t, os.Remove(filepath.Join(w.mirror(), "file1")))
	must(t, os.WriteFile(filepath.Join(w.mirror(), "file2"), []byte("somebody else's"), 0o600))
	r := w.unpack(drive, DeletionsAsk)
	if r.Foreign != 1 || r.Wants != 0 {
		t.Errorf("%+v", r)
	}
	same(t, "mirror", asMirror(want), w.mirror())
	found := false
	must(t, filepath.WalkDir(filepath.Join(w.vault, ".wl/foreign"), func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			b, _ := os.ReadFile(path)
			found = found || strings.Contains(string(b), "somebody else's")
		}
		return err
	}))
	if !found {
		t.Error("somebody else's bytes are gone")
	}
}
