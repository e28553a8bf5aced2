package vault

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"waterlock/internal/exit"
)

func (w *world) init(o InitOptions) (InitResult, error) {
	if o.Path == "" {
		o.Path = w.vault
	}
	o.Report = w.reporter()
	return Init(context.Background(), o)
}

func TestInitJoinsTheRouteOfTheDrive(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	noise(t, filepath.Join(w.src, "a"), 1000, 1)
	drive := newTestDrive(t)
	w.home.pack(drive, trip{})
	r, err := w.init(InitOptions{Drive: drive})
	must(t, err)
	if r.RouteID != w.home.route.ID.String() || r.Route != "test" || !r.DriveTold || len(r.Trees) != 1 || r.Trees[0].Path != w.mirror() {
		t.Errorf("%+v", r)
	}
	receipt := w.home.importReceipt(drive)
	if receipt.Number != 1 || len(receipt.Taken) != 0 || receipt.Total == 0 {
		t.Errorf("first receipt: %+v", receipt)
	}
	if left, _ := filepath.Glob(filepath.Join(w.vault, ".wl/probe-*")); len(left) > 0 {
		t.Errorf("the probe left %v", left)
	}
	if _, err := w.init(InitOptions{Drive: drive}); err == nil || !strings.Contains(err.Error(), "vault already") {
		t.Errorf("a second init: %v", err)
	}
}

func TestInitRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	noise(t, filepath.Join(w.src, "a"), 1000, 1)
	empty, drive := newTestDrive(t), newTestDrive(t)
	w.home.pack(drive, trip{})
	other := newTestHome(t, w.home.trees)
	other.route.Name = "other"
	two := newTestDrive(t)
	w.home.pack(two, trip{})
	other.pack(two, trip{})
	for name, c := range map[string]struct {
		o    InitOptions
		code exit.Code
	}{
		"no drive":           {InitOptions{Drive: t.TempDir()}, exit.NotFound},
		"no shipment":        {InitOptions{Drive: empty}, exit.NotFound},
		"unknown route":      {InitOptions{Drive: drive, Route: "nobody's"}, exit.NotFound},
		"several routes":     {InitOptions{Drive: two}, exit.Usage},
		"on the drive":       {InitOptions{Drive: drive, Path: filepath.Join(drive, "vault")}, exit.Usage},
		"tree .wl":           {InitOptions{Drive: drive, Trees: map[string]string{".wl": w.dir}}, exit.Usage},
		"unknown tree":       {InitOptions{Drive: drive, Trees: map[string]string{"dosc": w.dir}}, exit.Usage},
		"tree inside":        {InitOptions{Drive: drive, Trees: map[string]string{"docs": filepath.Join(w.vault, "x")}}, exit.Fatal},
		"tree not there":     {InitOptions{Drive: drive, Trees: map[string]string{"docs": filepath.Join(w.dir, "nowhere")}}, exit.Fatal},
		"tree name too long": {InitOptions{Drive: drive, Trees: map[string]string{strings.Repeat("x", 300): w.dir}}, exit.Usage},
	} {
		_, err := w.init(c.o)
		if err == nil || exit.Of(err) != c.code {
			t.Errorf("%s: %v (code %d, want %d)", name, err, exit.Of(err), c.code)
		}
		if _, err := os.Stat(filepath.Join(w.vault, settingsFile)); err == nil {
			t.Fatalf("%s: the vault is there", name)
		}
	}
	for _, wanted := range []string{"other", other.route.ID.String(), other.route.ID.String()[:8]} {
		w.vault = filepath.Join(t.TempDir(), "vault")
		r, err := w.init(InitOptions{Drive: two, Route: wanted})
		must(t, err)
		if r.Route != "other" {
			t.Errorf("%s: joined %s", wanted, r.Route)
		}
	}
}

// A tree can lie on another disk; where that is not mounted, nothing is written in its place.
func TestTreeElsewhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill()
	elsewhere := filepath.Join(w.dir, "second disk")
	must(t, os.Mkdir(elsewhere, 0o755))
	drive := newTestDrive(t)
	w.home.pack(drive, trip{})
	_, err := w.init(InitOptions{Drive: drive, Trees: map[string]string{"docs": elsewhere}})
	must(t, err)
	w.clean(drive, DeletionsAsk)
	first := take(t, w.src)
	w.sameElsewhere("mirror", first, elsewhere)
	if _, err := os.Lstat(w.mirror()); !os.IsNotExist(err) {
		t.Errorf("the tree lies in the vault, too: %v", err)
	}

	w.change()
	w.home.pack(drive, trip{})
	away := filepath.Join(w.dir, "unmounted")
	must(t, os.Rename(elsewhere, away))
	for _, name := range []string{"missing", "empty"} {
		_, err := Unpack(context.Background(), UnpackOptions{Vault: w.vault, Drive: drive, Deletions: DeletionsApply})
		if err == nil || !strings.Contains(err.Error(), "mounted") {
			t.Errorf("%s: %v", name, err)
		}
		if name == "missing" {
			must(t, os.Mkdir(elsewhere, 0o755))
		}
	}
	list, err := os.ReadDir(elsewhere)
	must(t, err)
	if len(list) > 0 {
		t.Errorf("something was written where the disk is not mounted: %v", list)
	}
	must(t, os.Remove(elsewhere))
	must(t, os.Rename(away, elsewhere))
	w.clean(drive, DeletionsApply)
	w.sameElsewhere("mirror after trip 2", take(t, w.src), elsewhere)
	same(t, "snapshot 1", first, filepath.Join(w.restore("1"), "docs"))
}

// A tree of home that is called .wl or has such an entry in its root does not get into the vault's own files.
func TestNamesOfTheVaultsOwnAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	noise(t, filepath.Join(w.src, ".wl/vault.toml"), 500, 1)
	noise(t, filepath.Join(w.src, "good"), 500, 2)
	elsewhere := filepath.Join(w.dir, "second disk")
	must(t, os.Mkdir(elsewhere, 0o755))
	drive := newTestDrive(t)
	w.home.pack(drive, trip{})
	_, err := w.init(InitOptions{Drive: drive, Trees: map[string]string{"docs": elsewhere}})
	must(t, err)
	r := w.unpack(drive, DeletionsApply)
	if r.Failed == 0 || r.Complete() {
		t.Errorf("%+v", r)
	}
	if _, err := os.Stat(filepath.Join(elsewhere, ".wl/vault.toml")); !os.IsNotExist(err) {
		t.Errorf("the entry got into the vault's own files: %v", err)
	}
	if _, err := os.Stat(filepath.Join(elsewhere, "good")); err != nil {
		t.Error(err)
	}
	// The snapshot has it all the same.
	if _, err := os.Stat(filepath.Join(w.restore("latest"), "docs/.wl/vault.toml")); err != nil {
		t.Error(err)
	}
}
