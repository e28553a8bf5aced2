package vault

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"waterlock/internal/disk"
	"waterlock/internal/report"
	"waterlock/tests/trees"
)

// world is a home, a vault, and the directories between them.
type world struct {
	t     testing.TB
	dir   string
	src   string // the tree "docs" at home
	vault string
	home  *testHome
}

func newWorld(t testing.TB) *world {
	dir := t.TempDir()
	w := &world{t: t, dir: dir, src: filepath.Join(dir, "docs"), vault: filepath.Join(dir, "vault")}
	must(t, os.Mkdir(w.src, 0o755))
	w.home = newTestHome(t, map[string]string{"docs": w.src})
	return w
}

// join makes the vault from what the drive brings.
func (w *world) join(drive string) {
	w.t.Helper()
	r, err := Init(context.Background(), InitOptions{Path: w.vault, Drive: drive, Report: w.reporter()})
	must(w.t, err)
	if !r.DriveTold {
		w.t.Error("the first receipt is not on the drive")
	}
}

func (w *world) reporter() report.Reporter { return &testReporter{t: w.t} }

// testReporter shows problems and warnings in the test's log.
type testReporter struct {
	report.Recorder
	t testing.TB
}

func (r *testReporter) Problem(path string, err error) {
	r.t.Helper()
	r.t.Logf("problem: %s: %v", path, err)
	r.Recorder.Problem(path, err)
}

func (r *testReporter) Warn(format string, a ...any) {
	r.t.Logf("warning: "+format, a...)
	r.Recorder.Warn(format, a...)
}

func (w *world) unpack(drive string, d Deletions) UnpackResult {
	w.t.Helper()
	r, err := Unpack(context.Background(), UnpackOptions{Vault: w.vault, Drive: drive, Deletions: d, Report: w.reporter()})
	must(w.t, err)
	if !r.Told {
		w.t.Error("the receipt is not on the drive")
	}
	return r
}

// clean is unpack that must end without anything wrong.
func (w *world) clean(drive string, d Deletions) UnpackResult {
	w.t.Helper()
	r := w.unpack(drive, d)
	if !r.Complete() || r.Wants != 0 || !r.SnapshotArrived {
		w.t.Errorf("unpack did not end clean: %+v", r)
	}
	return r
}

func (w *world) snapshots() []SnapshotInfo {
	w.t.Helper()
	list, err := Snapshots(context.Background(), SnapshotsOptions{Vault: w.vault, Report: w.reporter()})
	must(w.t, err)
	return list
}

// restore brings a snapshot back into a fresh directory and returns it.
func (w *world) restore(which string, paths ...string) string {
	w.t.Helper()
	target := filepath.Join(w.t.TempDir(), "back")
	r, err := Restore(context.Background(), RestoreOptions{Vault: w.vault, Snapshot: which, Target: target, Paths: paths, Report: w.reporter()})
	must(w.t, err)
	if r.Failed > 0 {
		w.t.Errorf("restore %s: %+v", which, r)
	}
	return target
}

func (w *world) mirror() string { return filepath.Join(w.vault, "docs") }

func take(t testing.TB, dir string) trees.Tree {
	t.Helper()
	tree, err := trees.Take(dir, trees.Options{})
	must(t, err)
	return tree
}

func same(t testing.TB, what string, want trees.Tree, dir string) {
	t.Helper()
	diff := trees.Diff(want, take(t, dir))
	if len(diff) > 12 {
		diff = append(diff[:12], fmt.Sprintf("… and %d more", len(diff)-12))
	}
	if len(diff) > 0 {
		t.Errorf("%s:\n%s", what, strings.Join(diff, "\n"))
	}
}

// noise writes a file of incompressible bytes, decided by seed.
func noise(t testing.TB, path string, size int, seed uint64) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, noiseBytes(size, seed), 0o644))
}

func noiseBytes(size int, seed uint64) []byte {
	var key [32]byte
	for i := range 8 {
		key[i] = byte(seed >> (8 * i))
	}
	b := make([]byte, size)
	rand.NewChaCha8(key).Read(b)
	return b
}

func at(day int) time.Time { return time.Date(2020, 1, day, 3, 4, 5, 123456789, time.UTC) }

// fill makes a first state with something of every kind.
func (w *world) fill() {
	t, p := w.t, func(name string) string { return filepath.Join(w.src, name) }
	noise(t, p("film"), 300<<10, 1)
	noise(t, p("music/song"), 40<<10, 2)
	noise(t, p("music/copy of song"), 40<<10, 2)
	noise(t, p("old/a/b/c"), 20<<10, 3)
	noise(t, p("old/a/d"), 5000, 4)
	noise(t, p("kind/was file"), 7000, 5)
	noise(t, p("kind/was dir/inner/x"), 3000, 6)
	noise(t, p("kind/was dir/y"), 3000, 7)
	noise(t, p("moved/one"), 60<<10, 8)
	must(t, os.WriteFile(p("nothing"), nil, 0o600))
	must(t, os.WriteFile(p("odd \xff\n name"), []byte("bytes"), 0o640))
	must(t, os.MkdirAll(p("empty/dir"), 0o711))
	must(t, os.Symlink("../elsewhere", p("link")))
	must(t, os.Link(p("music/song"), p("music/hard")))
	must(t, os.Link(p("film"), p("old/hardfilm")))
	sparse(t, p("disk.img"))
	setXattr(t, p("film"), "user.note", "seen\x00twice")
	setXattr(t, p("empty"), "user.dir", "1")
	must(t, os.Chtimes(p("empty"), at(1), at(1)))
	must(t, os.Chtimes(p("film"), at(2), at(2)))
	must(t, os.Chmod(p("music/song"), 0o444))
}

// change is what a month does to it.
func (w *world) change() {
	t, p := w.t, func(name string) string { return filepath.Join(w.src, name) }
	b, err := os.ReadFile(p("film"))
	must(t, err)
	b = append(b[:100000:100000], append(noiseBytes(3000, 11), b[100000:]...)...)
	must(t, os.WriteFile(p("film"), b, 0o644)) // still linked as old/hardfilm
	must(t, os.Rename(p("moved"), p("moved to")))
	must(t, os.RemoveAll(p("old/a")))
	must(t, os.Remove(p("kind/was file")))
	noise(t, p("kind/was file/now dir"), 1000, 12)
	must(t, os.RemoveAll(p("kind/was dir")))
	noise(t, p("kind/was dir"), 1000, 13)
	must(t, os.Remove(p("link")))
	must(t, os.Symlink("another", p("link")))
	must(t, os.Remove(p("music/hard")))
	must(t, os.Chmod(p("nothing"), 0o644))
	must(t, os.Chmod(p("music"), 0o700))
	noise(t, p("new/deep/photo"), 30<<10, 14)
	must(t, os.Remove(p("empty/dir")))
	must(t, os.Chtimes(p("new"), at(3), at(3)))
	setXattr(t, p("film"), "user.note", "")
}

func sparse(t testing.TB, name string) {
	t.Helper()
	f, err := os.Create(name)
	must(t, err)
	_, err = f.WriteAt([]byte("begin"), 0)
	must(t, err)
	_, err = f.WriteAt([]byte("end"), 1<<20)
	must(t, err)
	must(t, f.Close())
}

// flip flips a bit of a file.
func flip(t testing.TB, path string, off int64) {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	st, err := os.Stat(path)
	must(t, err)
	if off < 0 {
		off += int64(len(b))
	}
	b[off] ^= 4
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	must(t, err)
	_, err = f.WriteAt(b[off:off+1], off)
	must(t, err)
	must(t, f.Close())
	must(t, os.Chtimes(path, st.ModTime(), st.ModTime()))
}

// shipmentDir is where a shipment lies on its drive.
func (w *world) shipmentDir(s *sentShipment) string {
	return filepath.Join(s.drive, "waterlock", w.home.route.ID.String(), "shipments", s.id.String())
}

func (w *world) verify(o VerifyOptions) VerifyResult {
	w.t.Helper()
	o.Vault, o.Report = w.vault, w.reporter()
	r, err := Verify(context.Background(), o)
	must(w.t, err)
	return r
}

// setXattr sets an attribute, or removes it where value is empty. Where the file system has none it does nothing.
func setXattr(t testing.TB, path, name, value string) {
	t.Helper()
	fs, err := disk.Dir(filepath.Dir(path))
	must(t, err)
	defer fs.Close()
	base := filepath.Base(path)
	st, err := fs.Stat(base)
	must(t, err)
	m, err := fs.Meta(base, st)
	must(t, err)
	m.Xattrs = nil
	if value != "" {
		m.Xattrs = []disk.Xattr{{Name: name, Value: []byte(value)}}
	}
	var cannot *disk.MetaError
	if err := fs.SetMeta(base, m, disk.MetaOptions{}); err != nil && !errors.As(err, &cannot) {
		t.Fatal(err)
	}
}

// asMirror is the state that a mirror shows of a tree: for a user who is not root, files stay readable and writable.
func asMirror(tree trees.Tree) trees.Tree {
	if os.Geteuid() == 0 {
		return tree
	}
	shown := trees.Tree{}
	for path, f := range tree {
		switch {
		case f.Mode.IsRegular():
			f.Mode |= 0o600
		case f.Mode.IsDir():
			f.Mode |= 0o700
		}
		shown[path] = f
	}
	return shown
}
