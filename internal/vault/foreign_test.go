package vault

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"waterlock/internal/report"
)

// foreignWorld has three files in foreign/, one of them in a tree elsewhere.
func foreignWorld(t *testing.T) (w *world, elsewhere string) {
	w = newWorld(t)
	other := filepath.Join(w.dir, "letters")
	must(t, os.Mkdir(other, 0o755))
	w.home.trees["letters"] = other
	elsewhere = t.TempDir()
	for _, name := range []string{"a", "deep/b"} {
		noise(t, filepath.Join(w.src, name), 3000, 1)
	}
	noise(t, filepath.Join(other, "c"), 3000, 3)
	drive := newTestDrive(t)
	w.home.pack(drive, trip{})
	_, err := Init(context.Background(), InitOptions{Path: w.vault, Drive: drive, Trees: map[string]string{"letters": elsewhere}, Report: w.reporter()})
	must(t, err)
	w.clean(drive, DeletionsAsk)
	for _, path := range []string{filepath.Join(w.mirror(), "a"), filepath.Join(w.mirror(), "deep/b"), filepath.Join(elsewhere, "c")} {
		must(t, os.WriteFile(path, []byte("mine"), 0o600))
	}
	if r := w.unpack(drive, DeletionsAsk); r.Foreign != 3 || r.ForeignBytes != 12 {
		t.Fatalf("%+v", r)
	}
	return w, elsewhere
}

func (w *world) foreign(o ForeignOptions) (ForeignResult, []ForeignFile) {
	w.t.Helper()
	var list []ForeignFile
	o.Vault, o.Report = w.vault, w.reporter()
	o.Each = func(f ForeignFile) error { list = append(list, f); return nil }
	r, err := Foreign(context.Background(), o)
	must(w.t, err)
	if int64(len(list)) != r.Files {
		w.t.Errorf("%d files were listed, %+v", len(list), r)
	}
	return r, list
}

func TestForeignIsListedAndRemovedOnRequest(t *testing.T) {
	t.Parallel()
	w, elsewhere := foreignWorld(t)
	r, list := w.foreign(ForeignOptions{})
	if r.Files != 3 || r.Bytes != 12 || r.Removed != 0 {
		t.Fatalf("%+v", r)
	}
	found := map[string]bool{}
	for _, f := range list {
		found[f.Tree+"/"+f.Path] = true
		if b, err := os.ReadFile(f.Where); err != nil || string(b) != "mine" || f.Size != 4 || f.Kind != "file" || len(f.Moved) != 10 {
			t.Errorf("%+v: %q %v", f, b, err)
		}
		if inside := strings.HasPrefix(f.Where, elsewhere); inside != (f.Tree == "letters") {
			t.Errorf("%+v", f)
		}
	}
	if !found["docs/a"] || !found["docs/deep/b"] || !found["letters/c"] {
		t.Errorf("%v", found)
	}
	// Nobody to ask, a no, and what was not asked for: all stays.
	if r, _ = w.foreign(ForeignOptions{Remove: true}); r.Removed != 0 || r.Kept == "" {
		t.Errorf("%+v", r)
	}
	no := report.Confirm(func(string) (bool, bool) { return false, true })
	if r, _ = w.foreign(ForeignOptions{Remove: true, Confirm: no}); r.Removed != 0 || r.Kept == "" {
		t.Errorf("%+v", r)
	}
	if r, _ = w.foreign(ForeignOptions{Remove: true, Yes: true, Paths: []string{"docs/deep"}}); r.Removed != 1 || r.RemovedBytes != 4 {
		t.Errorf("%+v", r)
	}
	asked := ""
	yes := report.Confirm(func(q string) (bool, bool) { asked = q; return true, true })
	if r, _ = w.foreign(ForeignOptions{Remove: true, Confirm: yes}); r.Files != 2 || r.Removed != 2 || r.Failed != 0 || !strings.Contains(asked, "2 files (8 B)") {
		t.Errorf("%+v %q", r, asked)
	}
	for _, dir := range []string{w.vault, elsewhere} {
		if left, err := os.ReadDir(filepath.Join(dir, ".wl/foreign")); err != nil || len(left) != 0 {
			t.Errorf("left over: %v %v", left, err)
		}
	}
	if r, _ = w.foreign(ForeignOptions{}); r.Files != 0 {
		t.Errorf("%+v", r)
	}
	if v := w.verify(VerifyOptions{}); !v.Sound() {
		t.Errorf("%+v", v)
	}
}

func TestVerifyNamesStrangers(t *testing.T) {
	t.Parallel()
	w, elsewhere := foreignWorld(t)
	must(t, os.MkdirAll(filepath.Join(w.mirror(), "new/dir"), 0o755))
	for _, path := range []string{filepath.Join(w.mirror(), "new/dir/x"), filepath.Join(elsewhere, "y")} {
		must(t, os.WriteFile(path, []byte("mine"), 0o600))
	}
	must(t, os.Symlink("nowhere", filepath.Join(w.mirror(), "z")))
	for _, quick := range []bool{true, false} {
		rep := &report.Recorder{}
		v, err := Verify(context.Background(), VerifyOptions{Vault: w.vault, Quick: quick, Report: rep})
		if err != nil || v.Strangers != 3 || !v.Sound() {
			t.Errorf("%+v %v", v, err)
		}
		said := strings.Join(rep.Details(), "\n")
		for _, name := range []string{"docs/new/dir/x", "letters/y", "docs/z"} {
			if !strings.Contains(said, name+" was not written by wl") {
				t.Errorf("%s is not named: %s", name, said)
			}
		}
	}
	if _, err := os.Stat(filepath.Join(w.mirror(), "new/dir/x")); err != nil {
		t.Error(err)
	}
}
