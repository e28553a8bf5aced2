package vault

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"waterlock/internal/exit"
)

func (w *world) tryRestore(o RestoreOptions) (RestoreResult, error) {
	o.Vault, o.Report = w.vault, w.reporter()
	if o.Target == "" {
		o.Target = filepath.Join(w.t.TempDir(), "back")
	}
	return Restore(context.Background(), o)
}

func TestRestoreSelectsTheSnapshot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	drive := newTestDrive(t)
	var times []time.Time
	for i := range 3 {
		noise(t, filepath.Join(w.src, "a"), 3000, uint64(i))
		w.home.pack(drive, trip{})
		times = append(times, time.Now())
		time.Sleep(20 * time.Millisecond)
	}
	w.join(drive)
	if _, err := w.tryRestore(RestoreOptions{}); exit.Of(err) != exit.NotFound {
		t.Errorf("an empty vault: %v", err)
	}
	w.clean(drive, DeletionsAsk)
	list := w.snapshots()
	stamp := func(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05.000000000") }
	for wanted, number := range map[string]uint64{
		"":                              3,
		"latest":                        3,
		"1":                             1,
		"#2":                            2,
		list[1].ID:                      2,
		list[0].ID[:10]:                 1,
		strings.ToUpper(list[2].ID[:9]): 3,
		stamp(times[0]):                 1,
		stamp(times[1]):                 2,
		"2999-01-01":                    3,
	} {
		r, err := w.tryRestore(RestoreOptions{Snapshot: wanted})
		if err != nil || r.Snapshot != number || r.SnapshotID != list[number-1].ID {
			t.Errorf("%q: snapshot %d, %v; want %d", wanted, r.Snapshot, err, number)
		}
	}
	for _, wanted := range []string{"4", "0", "1999-01-01", "nonsense", "ffffffffffffffff", "-1"} {
		target := filepath.Join(t.TempDir(), "back")
		if _, err := w.tryRestore(RestoreOptions{Snapshot: wanted, Target: target}); exit.Of(err) != exit.NotFound {
			t.Errorf("%q: %v", wanted, err)
		}
		if _, err := os.Stat(target); !os.IsNotExist(err) {
			t.Errorf("%q: the target was made", wanted)
		}
	}
}

func TestRestoreParts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill()
	drive := newTestDrive(t)
	w.home.pack(drive, trip{})
	w.join(drive)
	w.clean(drive, DeletionsAsk)
	back := w.restore("latest", "docs/music", "/docs/old/a/d/")
	for name, want := range map[string]bool{"music/song": true, "old/a/d": true, "old/a/b": false, "film": false} {
		if _, err := os.Lstat(filepath.Join(back, "docs", name)); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	same(t, "the whole tree, said twice", take(t, w.src), filepath.Join(w.restore("latest", "docs/music", "docs"), "docs"))
	for path, code := range map[string]exit.Code{"nothing/x": exit.NotFound, "docs/../x": exit.Usage, "": exit.NotFound} {
		if _, err := w.tryRestore(RestoreOptions{Paths: []string{path}}); exit.Of(err) != code {
			t.Errorf("%q: %v", path, err)
		}
	}
	r, err := w.tryRestore(RestoreOptions{Paths: []string{"docs/no such", "docs/film"}})
	if err != nil || r.Failed != 1 || r.Files != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	link := filepath.Join(t.TempDir(), "link")
	must(t, os.Symlink(w.vault, link))
	for _, target := range []string{w.vault, link, w.mirror(), filepath.Join(link, "docs/music"), filepath.Join(w.mirror(), "x"), filepath.Join(w.vault, ".wl", "x")} {
		if _, err := w.tryRestore(RestoreOptions{Target: target}); exit.Of(err) != exit.Usage {
			t.Errorf("target %s: %v", target, err)
		}
	}
	dry := filepath.Join(t.TempDir(), "back")
	r, err = w.tryRestore(RestoreOptions{Target: dry, DryRun: true})
	if _, e := os.Stat(dry); err != nil || r.Files == 0 || !os.IsNotExist(e) {
		t.Errorf("dry run: %+v, %v, %v", r, err, e)
	}
}

// Of a snapshot that is not whole, what can be had comes back and the rest is named.
func TestRestoreOfASnapshotThatIsNotWhole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 10 {
		noise(t, filepath.Join(w.src, fmt.Sprint("file", i)), 15000, uint64(i))
	}
	drive := newTestDrive(t)
	s := w.home.pack(drive, trip{})
	flip(t, filepath.Join(w.shipmentDir(s), "000001.pack"), 20000)
	w.join(drive)
	w.unpack(drive, DeletionsAsk)
	target := filepath.Join(t.TempDir(), "back")
	rep := &testReporter{t: t}
	r, err := Restore(context.Background(), RestoreOptions{Vault: w.vault, Target: target, Report: rep})
	must(t, err)
	if r.Failed != 1 || r.Files != 9 || len(rep.Problems()) != 1 {
		t.Errorf("%+v, %v", r, rep.Problems())
	}
	for path, f := range take(t, filepath.Join(target, "docs")) {
		if want := take(t, w.src)[path]; f.Content != want.Content {
			t.Errorf("%s came back wrong", path)
		}
	}
}

// The latest snapshot is the newest that has arrived, though a newer one is known.
func TestLatestIsTheNewestArrived(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	noise(t, filepath.Join(w.src, "a"), 15000, 1)
	one, two, three := newTestDrive(t), newTestDrive(t), newTestDrive(t)
	w.home.pack(one, trip{})
	noise(t, filepath.Join(w.src, "a"), 15000, 2)
	w.home.pack(two, trip{})
	noise(t, filepath.Join(w.src, "b"), 15000, 3)
	w.home.pack(three, trip{})
	w.join(one)
	w.clean(one, DeletionsAsk)
	w.unpack(three, DeletionsAsk)
	for _, c := range []struct {
		snapshot string
		number   uint64
		failed   int64
	}{{"latest", 1, 0}, {"3", 3, 1}} {
		r, err := w.tryRestore(RestoreOptions{Snapshot: c.snapshot})
		if err != nil || r.Snapshot != c.number || r.Failed != c.failed {
			t.Errorf("%s: %+v, %v", c.snapshot, r, err)
		}
	}
	w.unpack(two, DeletionsAsk)
	if r, err := w.tryRestore(RestoreOptions{}); err != nil || r.Snapshot != 3 || r.Failed != 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

// A file that was moved at home while its old path is kept in the mirror: both show it, and neither disturbs the other.
func TestMoveWithTheOldPathKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	noise(t, filepath.Join(w.src, "old"), 30000, 1)
	drive := newTestDrive(t)
	w.home.pack(drive, trip{})
	w.join(drive)
	w.clean(drive, DeletionsAsk)
	first := take(t, w.src)
	must(t, os.Rename(filepath.Join(w.src, "old"), filepath.Join(w.src, "new")))
	w.home.pack(drive, trip{})
	r := w.clean(drive, DeletionsKeep)
	if r.Linked != 1 || r.Written != 0 || r.Gone != 1 {
		t.Errorf("the move was not a link: %+v", r)
	}
	for _, name := range []string{"old", "new"} {
		if got := take(t, w.mirror())[name]; got.Content != first["old"].Content || got.MTime != first["old"].MTime {
			t.Errorf("%s: %+v", name, got)
		}
	}
	must(t, os.Chmod(filepath.Join(w.src, "new"), 0o600))
	must(t, os.Chtimes(filepath.Join(w.src, "new"), at(5), at(5)))
	w.home.pack(drive, trip{})
	if r := w.clean(drive, DeletionsKeep); r.Foreign != 0 || r.Gone != 1 {
		t.Errorf("after new metadata: %+v", r)
	}
	if got := take(t, w.mirror())["old"]; got.Content != first["old"].Content {
		t.Errorf("old: %+v", got)
	}
	b, err := os.ReadFile(filepath.Join(w.src, "new"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(w.src, "new"), append(b, "more"...), 0o600))
	w.home.pack(drive, trip{})
	w.clean(drive, DeletionsKeep)
	if got := take(t, w.mirror())["old"]; got.Content != first["old"].Content {
		t.Errorf("old after new content: %+v", got)
	}
	r = w.clean(drive, DeletionsApply)
	if r.Deleted != 1 || r.Foreign != 0 {
		t.Errorf("%+v", r)
	}
	same(t, "mirror", asMirror(take(t, w.src)), w.mirror())
	same(t, "snapshot 1", first, filepath.Join(w.restore("1"), "docs"))
	if v := w.verify(VerifyOptions{}); v.Damaged != 0 || v.Wants != 0 {
		t.Errorf("%+v", v)
	}
}
