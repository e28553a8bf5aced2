package vault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"waterlock/internal/disk"
	"waterlock/internal/exit"
	"waterlock/snapshot"
)

func (w *world) list(o ListOptions) (ListResult, []string, error) {
	w.t.Helper()
	var got []string
	o.Vault, o.Report, o.Begin = w.vault, w.reporter(), func(SnapshotRef) {}
	o.Entry = func(tree string, e *snapshot.Entry) error {
		got = append(got, treePath(tree, e.Path))
		return nil
	}
	r, err := List(context.Background(), o)
	return r, got, err
}

func (w *world) find(o FindOptions) (FindResult, map[string][]FoundVersion, error) {
	w.t.Helper()
	got := map[string][]FoundVersion{}
	o.Vault, o.Report = w.vault, w.reporter()
	o.Path = func(p FoundPath) error {
		if _, twice := got[treePath(p.Tree, p.Path)]; twice {
			w.t.Errorf("%s comes twice", p.Path)
		}
		got[treePath(p.Tree, p.Path)] = p.Versions
		return nil
	}
	r, err := Find(context.Background(), o)
	return r, got, err
}

func (w *world) diff(a, b, path string) (DiffResult, []string, error) {
	w.t.Helper()
	var got []string
	r, err := Diff(context.Background(), DiffOptions{Vault: w.vault, A: a, B: b, Path: path, Report: w.reporter(), Begin: func(_, _ SnapshotRef) {},
		Change: func(c Change) error {
			line := string(c.Kind) + " " + treePath(c.Tree, c.Path)
			if c.Kind == Renamed {
				line += " from " + treePath(c.FromTree, c.FromPath)
			}
			got = append(got, line)
			return nil
		}})
	return r, got, err
}

func (w *world) cat(which, path string) (CatResult, []byte, error) {
	w.t.Helper()
	var b bytes.Buffer
	r, err := Cat(context.Background(), CatOptions{Vault: w.vault, Snapshot: which, Path: path, Out: &b, Report: w.reporter()})
	return r, b.Bytes(), err
}

// twoTrips is a vault with two snapshots of something of every kind.
func twoTrips(t testing.TB) *world {
	w := newWorld(t)
	w.fill()
	drive := newTestDrive(t)
	w.home.pack(drive, trip{})
	w.join(drive)
	w.clean(drive, DeletionsAsk)
	w.home.importReceipt(drive)
	w.change()
	w.home.pack(drive, trip{})
	w.clean(drive, DeletionsApply)
	return w
}

func TestListShowsWhatWasThere(t *testing.T) {
	t.Parallel()
	w := twoTrips(t)
	var want []string
	for path := range take(t, w.src) {
		want = append(want, treePath("docs", strings.TrimPrefix(path, ".")))
	}
	slices.SortFunc(want, snapshot.ComparePaths)
	r, got, err := w.list(ListOptions{Recursive: true})
	if err != nil || r.Snapshot.Number != 2 || !slices.Equal(got, want) {
		t.Errorf("everything: %v, snapshot %d\n got %q\nwant %q", err, r.Snapshot.Number, got, want)
	}
	if r.Files+r.Dirs+r.Others != int64(len(got)) || r.Bytes == 0 || r.Damaged+r.Lacking+r.Missing != 0 {
		t.Errorf("%+v", r)
	}
	for _, c := range []struct {
		snapshot string
		paths    []string
		want     []string
		missing  int64
	}{
		{"1", []string{"docs/music"}, []string{"docs/music/copy of song", "docs/music/hard", "docs/music/song"}, 0},
		{"2", []string{"/docs/music/"}, []string{"docs/music/copy of song", "docs/music/song"}, 0},
		{"1", []string{"docs/kind", "docs/film"}, []string{"docs/kind/was dir", "docs/kind/was file", "docs/film"}, 0},
		{"1", []string{"docs/nothing at all", "docs/old"}, []string{"docs/old/a", "docs/old/hardfilm"}, 1},
		{"1", []string{"docs/film/x"}, nil, 1},
		{"latest", nil, []string{"docs"}, 0},
	} {
		r, got, err := w.list(ListOptions{Snapshot: c.snapshot, Paths: c.paths})
		if err != nil || !slices.Equal(got, c.want) || r.Missing != c.missing {
			t.Errorf("%s %q: %q, missing %d, %v; want %q", c.snapshot, c.paths, got, r.Missing, err, c.want)
		}
	}
	for path, code := range map[string]exit.Code{"elsewhere": exit.NotFound, "docs/../x": exit.Usage} {
		if _, _, err := w.list(ListOptions{Paths: []string{path}}); exit.Of(err) != code {
			t.Errorf("%q: %v", path, err)
		}
	}
}

func TestFindTellsWhichVersionWasThereWhen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	drive := newTestDrive(t)
	file := filepath.Join(w.src, "letters", "will.odt")
	pack := func() { w.home.pack(drive, trip{}) }
	noise(t, file, 1000, 1)
	noise(t, filepath.Join(w.src, "other"), 10, 9)
	pack()
	pack()
	noise(t, file, 2000, 2)
	pack()
	must(t, os.Remove(file))
	pack()
	noise(t, file, 1000, 1)
	must(t, os.Chtimes(file, at(1), at(1)))
	pack()
	must(t, os.Chmod(file, 0o600)) // no other version
	pack()
	w.join(drive)
	w.clean(drive, DeletionsApply)

	r, got, err := w.find(FindOptions{Patterns: []string{"will.*"}})
	if err != nil || r.Paths != 1 || r.Versions != 3 || r.Snapshots != 6 {
		t.Fatalf("%+v, %v", r, err)
	}
	var text []string
	for _, v := range got["docs/letters/will.odt"] {
		text = append(text, fmt.Sprintf("%d: %d to %d, %d", v.Entry.Size, v.First.Number, v.Last.Number, v.Snapshots))
	}
	if want := []string{"1000: 1 to 2, 2", "2000: 3 to 3, 1", "1000: 5 to 6, 2"}; !slices.Equal(text, want) {
		t.Errorf("%q, want %q", text, want)
	}
	for pattern, want := range map[string]string{
		"will.odt":               "docs/letters/will.odt",
		"letters":                "docs/letters",
		"letters/*":              "docs/letters/will.odt",
		"docs/*":                 "docs/letters docs/other",
		"/docs/*":                "docs/letters docs/other",
		"/letters/*":             "",
		"/docs/**/*.odt":         "docs/letters/will.odt",
		"*.{odt,pdf}":            "docs/letters/will.odt",
		"[o]ther":                "docs/other",
		"WILL.ODT":               "",
		"docs":                   "docs",
		"ill.odt":                "",
		"**/letters/../will.odt": "",
	} {
		_, got, err := w.find(FindOptions{Patterns: []string{pattern}})
		var paths []string
		for p := range got {
			paths = append(paths, p)
		}
		slices.Sort(paths)
		if err != nil || strings.Join(paths, " ") != want {
			t.Errorf("%q: %q, %v; want %q", pattern, paths, err, want)
		}
	}
	if _, got, err := w.find(FindOptions{Patterns: []string{"WILL.ODT"}, IgnoreCase: true, Snapshot: "3"}); err != nil || len(got["docs/letters/will.odt"]) != 1 {
		t.Errorf("%v, %v", got, err)
	}
	for _, pattern := range []string{"a[", "/", ""} {
		if _, _, err := w.find(FindOptions{Patterns: []string{pattern}}); exit.Of(err) != exit.Usage {
			t.Errorf("%q: %v", pattern, err)
		}
	}
	if _, _, err := w.find(FindOptions{Patterns: []string{"x"}, Snapshot: "77"}); exit.Of(err) != exit.NotFound {
		t.Error(err)
	}
}

func TestDiffTellsWhatChanged(t *testing.T) {
	t.Parallel()
	w := twoTrips(t)
	r, got, err := w.diff("1", "2", "")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"M docs/film", "M docs/old/hardfilm", "U docs/nothing", "M docs/link", "- docs/music/hard",
		"T docs/kind/was dir", "T docs/kind/was file", "+ docs/kind/was file/now dir", "- docs/kind/was dir/y",
		"R docs/moved to/one from docs/moved/one", "+ docs/moved to", "- docs/moved", "+ docs/new/deep/photo",
		"- docs/old/a", "- docs/old/a/b/c", "- docs/empty/dir", "U docs/music",
	} {
		if !slices.Contains(got, line) {
			t.Errorf("%q is missing in %q", line, got)
		}
	}
	for _, line := range got {
		if path := line[2:]; path == "docs/disk.img" || path == "docs/music/copy of song" || line == "- docs/moved/one" {
			t.Errorf("%q, which did not change", line)
		}
	}
	if r.Renamed != (Tally{1, 60 << 10}) || r.Added.Files != 2 || r.Gone.Files != 5 || r.Modified != 2 || r.Retyped != 2 {
		t.Errorf("%+v", r)
	}
	// What is told one way is told the other way round.
	back, reverse, err := w.diff("2", "1", "")
	if err != nil || len(reverse) != len(got) || back.Renamed != r.Renamed || back.Gone != r.Added || back.BytesBefore != r.BytesAfter {
		t.Errorf("%+v, %v", back, err)
	}
	for _, path := range []string{"docs/kind", "docs/film", "docs/no such"} {
		_, part, err := w.diff("1", "2", path)
		var want []string
		for _, line := range got {
			if snapshot.Under(line[2:], path) {
				want = append(want, line)
			}
		}
		if err != nil || !slices.Equal(part, want) {
			t.Errorf("%s: %q, %v; want %q", path, part, err, want)
		}
	}
	if _, same, err := w.diff("2", "latest", ""); err != nil || len(same) != 0 {
		t.Errorf("%q, %v", same, err)
	}
	if _, _, err := w.diff("1", "9", ""); exit.Of(err) != exit.NotFound {
		t.Error(err)
	}
}

// A content that is gone from two paths, or new at two, went nobody knows where; empty files say nothing.
func TestDiffClaimsNoRenameItDoesNotKnow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	drive := newTestDrive(t)
	p := func(name string) string { return filepath.Join(w.src, name) }
	noise(t, p("twin1"), 500, 1)
	noise(t, p("twin2"), 500, 1)
	noise(t, p("split"), 500, 2)
	must(t, os.WriteFile(p("empty1"), nil, 0o644))
	w.home.pack(drive, trip{})
	must(t, os.Rename(p("twin1"), p("twin3")))
	must(t, os.Remove(p("twin2")))
	must(t, os.Rename(p("split"), p("split1")))
	noise(t, p("split2"), 500, 2)
	must(t, os.Rename(p("empty1"), p("empty2")))
	w.home.pack(drive, trip{})
	w.join(drive)
	w.clean(drive, DeletionsApply)
	_, got, err := w.diff("1", "2", "")
	got = slices.DeleteFunc(got, func(l string) bool { return l[0] == 'U' })
	want := []string{"- docs/empty1", "+ docs/empty2", "- docs/split", "+ docs/split1", "+ docs/split2", "- docs/twin1", "- docs/twin2", "+ docs/twin3"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
}

func TestCatWritesTheFile(t *testing.T) {
	t.Parallel()
	w := twoTrips(t)
	for path, want := range take(t, w.src) {
		if !want.Mode.IsRegular() {
			continue
		}
		r, b, err := w.cat("", "docs/"+path)
		plain, rerr := os.ReadFile(filepath.Join(w.src, path))
		must(t, rerr)
		if err != nil || !bytes.Equal(b, plain) || r.Written != int64(len(b)) || r.Damaged || r.Incomplete {
			t.Errorf("%s: %+v, %v", path, r, err)
		}
	}
	if r, b, err := w.cat("1", "docs/kind/was file"); err != nil || len(b) != 7000 || r.Snapshot.Number != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	for path, code := range map[string]exit.Code{"docs": exit.Usage, "docs/link": exit.Usage, "docs/none": exit.NotFound, "none/x": exit.NotFound} {
		if _, b, err := w.cat("", path); exit.Of(err) != code || len(b) > 0 {
			t.Errorf("%s: %v", path, err)
		}
	}
	broken := errors.New("broken pipe")
	_, err := Cat(context.Background(), CatOptions{Vault: w.vault, Path: "docs/film", Out: failing{broken}, Report: w.reporter()})
	if !errors.Is(err, broken) {
		t.Error(err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// Damage ends the output before the bad chunk; what has not come is not begun; a pending file is its last version.
func TestCatNeverWritesAWrongByte(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	drive := newTestDrive(t)
	film := filepath.Join(w.src, "film")
	noise(t, film, 3<<20, 1)
	noise(t, filepath.Join(w.src, "later"), 1000, 2)
	plain, err := os.ReadFile(film)
	must(t, err)
	w.home.pack(drive, trip{pending: func(_, path string) bool { return path == "later" }})
	w.join(drive)
	w.clean(drive, DeletionsAsk)
	w.home.importReceipt(drive)
	if r, b, err := w.cat("", "docs/later"); err != nil || !r.Incomplete || len(b) > 0 {
		t.Errorf("never carried: %+v, %v", r, err)
	}
	noise(t, film, 3<<20, 3)
	w.home.pack(drive, trip{pending: func(_, path string) bool { return true }})
	w.unpack(drive, DeletionsAsk)
	if r, b, err := w.cat("", "docs/film"); err != nil || !r.Pending || !bytes.Equal(b, plain) {
		t.Errorf("pending: %+v, %v", r, err)
	}
	flip(t, filepath.Join(w.mirror(), "film"), -1000)
	r, b, err := w.cat("1", "docs/film")
	if err != nil || !r.Damaged || r.Written != int64(len(b)) || len(b) >= len(plain) || !bytes.HasPrefix(plain, b) {
		t.Errorf("damaged: %d bytes, %+v, %v", len(b), r, err)
	}
	if r, b, err = w.cat("1", "docs/film"); err != nil || !r.Incomplete || len(b) > 0 {
		t.Errorf("known to be lacking now: %d bytes, %+v, %v", len(b), r, err)
	}
}

// Looking reads records and streams, verified; the catalog is neither needed nor touched, and the vault is locked.
func TestLookingNeedsNoCatalog(t *testing.T) {
	t.Parallel()
	w := twoTrips(t)
	_, before, err := w.list(ListOptions{Recursive: true})
	must(t, err)
	must(t, os.RemoveAll(filepath.Join(w.vault, indexDir)))
	_, after, err := w.list(ListOptions{Recursive: true})
	if err != nil || !slices.Equal(before, after) {
		t.Errorf("%q, %v; want %q", after, err, before)
	}
	if _, err := os.Stat(filepath.Join(w.vault, indexDir)); !os.IsNotExist(err) {
		t.Error("looking made a catalog")
	}
	lock, err := disk.TryLock(filepath.Join(w.vault, lockFile))
	must(t, err)
	defer lock.Unlock()
	for name, err := range map[string]error{
		"list": third(w.list(ListOptions{})), "find": third(w.find(FindOptions{Patterns: []string{"x"}})),
		"diff": third(w.diff("1", "2", "")), "cat": third(w.cat("", "docs/film")),
	} {
		if exit.Of(err) != exit.Locked {
			t.Errorf("%s beside another wl: %v", name, err)
		}
	}
}

func third[A, B any](_ A, _ B, err error) error { return err }

// A damaged list of files is named with the range that is not known; nothing is said about what may lie there.
func TestLookingNamesWhatItCannotSee(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	drive := newTestDrive(t)
	for i := range 400 {
		noise(t, filepath.Join(w.src, fmt.Sprintf("d%d", i/100), fmt.Sprintf("a rather long name of a file %03d", i)), 10, uint64(i))
	}
	w.home.pack(drive, trip{})
	for i := range 40 {
		must(t, os.Remove(filepath.Join(w.src, "d1", fmt.Sprintf("a rather long name of a file %03d", 100+i))))
	}
	w.home.pack(drive, trip{})
	w.join(drive)
	w.clean(drive, DeletionsApply)
	if _, got, err := w.diff("1", "2", ""); err != nil || len(got) < 40 {
		t.Fatalf("%q, %v", got, err)
	}
	packs, err := filepath.Glob(filepath.Join(w.vault, ".wl/packs/*/*.meta"))
	must(t, err)
	for _, p := range packs {
		must(t, os.WriteFile(p, []byte("nothing"), 0o600))
	}
	r, got, err := w.list(ListOptions{Paths: []string{"docs/d1"}})
	if err != nil || r.Damaged == 0 || len(got) > 0 {
		t.Errorf("%+v, %q, %v", r, got, err)
	}
	d, changes, err := w.diff("1", "2", "")
	if err != nil || d.Damaged == 0 || len(changes) > 0 {
		t.Errorf("%+v, %q, %v", d, changes, err)
	}
	f, found, err := w.find(FindOptions{Patterns: []string{"*"}})
	if err != nil || f.Damaged == 0 || len(found) > 0 {
		t.Errorf("%+v, %v, %v", f, found, err)
	}
}

// A list of files that has not come yet is lacking, which is no damage.
func TestLookingTellsLackingFromDamaged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	drive := newTestDrive(t)
	noise(t, filepath.Join(w.src, "a"), 1000, 1)
	s := w.home.pack(drive, trip{})
	must(t, os.Remove(filepath.Join(w.shipmentDir(s), "000001.meta")))
	w.join(drive)
	w.unpack(drive, DeletionsAsk)
	r, got, err := w.list(ListOptions{Recursive: true})
	if err != nil || r.Lacking == 0 || r.Damaged > 0 || len(got) > 0 {
		t.Errorf("%+v, %q, %v", r, got, err)
	}
}
