package home

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"waterlock/internal/disk"
	"waterlock/internal/report"
	"waterlock/snapshot"
)

// items reads the first tree of the newest snapshot with its tombstones: what each path is.
func (v *vault) items() map[string]snapshot.Gone {
	v.w.t.Helper()
	tr, ok := v.newest.Tree(v.w.cfg.Trees[0].Name)
	if !ok {
		v.w.t.Fatal("no tree")
	}
	out := map[string]snapshot.Gone{}
	r := snapshot.NewStreamReader(*tr, v)
	for {
		e, err := r.NextItem()
		if err == io.EOF {
			return out
		}
		must(v.w.t, err)
		out[e.Path] = e.Gone
	}
}

// tombs are the tombstones of the newest snapshot, "path state" each, sorted.
func (v *vault) tombs() (list []string) {
	for path, gone := range v.items() {
		if gone != snapshot.Here {
			list = append(list, path+" "+gone.String())
		}
	}
	slices.Sort(list)
	return list
}

func wantTombs(t *testing.T, v *vault, want ...string) {
	t.Helper()
	if got := v.tombs(); !slices.Equal(got, want) {
		t.Errorf("tombstones %q, want %q", got, want)
	}
}

// goneWorld is a home of 20 files whose first snapshot is in the vault.
func goneWorld(t *testing.T) (*world, *vault) {
	t.Helper()
	w := newWorld(t)
	w.cfg.Guard.MaxVanished = 100
	for i := range 10 {
		w.write(fmt.Sprintf("stays/%d", i), 3000, uint64(i))
	}
	for i, name := range []string{"d/a", "d/b", "d/sub/c", "e", "logs/1.log", "logs/2.log"} {
		w.write(name, 3000, uint64(100+i))
	}
	settleClock()
	v := w.newVault()
	w.pack()
	v.take(w.drive)
	return w, v
}

func (w *world) remove(names ...string) {
	w.t.Helper()
	for _, name := range names {
		must(w.t, os.RemoveAll(w.path(name)))
	}
}

// packed packs, and takes what was packed to the vault.
func (w *world) packed(v *vault) PackResult {
	w.t.Helper()
	res := w.pack()
	v.take(w.drive)
	return res
}

func TestWhatIsGoneIsDecidedAtHome(t *testing.T) {
	choose := func(answer string) func(string, []report.Answer) (string, bool) {
		return func(q string, answers []report.Answer) (string, bool) {
			if !slices.ContainsFunc(answers, func(a report.Answer) bool { return a.Word == answer }) || !strings.Contains(q, "6 files") {
				panic(q)
			}
			return answer, true
		}
	}
	for name, c := range map[string]struct {
		set  func(w *world)
		want []string
	}{
		"nobody to ask": {func(w *world) {}, []string{"d undecided", "e undecided", "logs undecided"}},
		"later": {func(w *world) { w.opts.Choose = choose("later") },
			[]string{"d undecided", "e undecided", "logs undecided"}},
		"no answer": {func(w *world) { w.opts.Choose = func(string, []report.Answer) (string, bool) { return "", false } },
			[]string{"d undecided", "e undecided", "logs undecided"}},
		"a person says propagate": {func(w *world) { w.opts.Choose = choose("propagate") }, nil},
		"a person says keep":      {func(w *world) { w.opts.Choose = choose("keep") }, []string{"d kept", "e kept", "logs kept"}},
		"flag propagate":          {func(w *world) { w.opts.Vanished = AnswerPropagate }, nil},
		"flag keep":               {func(w *world) { w.opts.Vanished = AnswerKeep }, []string{"d kept", "e kept", "logs kept"}},
		"setting propagate":       {func(w *world) { w.cfg.Deletions.Vanished = AnswerPropagate }, nil},
		"flag over setting": {func(w *world) { w.cfg.Deletions.Vanished = AnswerPropagate; w.opts.Vanished = AnswerAsk },
			[]string{"d undecided", "e undecided", "logs undecided"}},
		"patterns": {func(w *world) {
			w.cfg.Trees[0].Propagate, w.cfg.Trees[0].Keep = []string{"*.log", "/d/"}, []string{"/d/sub/"}
		}, []string{"d confirmed", "d/sub kept", "e undecided"}},
		"patterns and an answer": {func(w *world) {
			w.cfg.Trees[0].Keep = []string{"b"}
			w.opts.Vanished = AnswerPropagate
		}, []string{"d confirmed", "d/b kept"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, v := goneWorld(t)
			w.remove("d", "e", "logs")
			c.set(w)
			res := w.packed(v)
			wantTombs(t, v, c.want...)
			if res.Vanished.Files != 6 || res.Vanished.Bytes != 18000 {
				t.Errorf("%+v", res.Vanished)
			}
			v.equals()
			// Answered once, it stays so; the undecided come back in the question.
			w.opts.Choose, w.opts.Vanished = nil, ""
			w.cfg.Deletions.Vanished = AnswerAsk
			res = w.packed(v)
			wantTombs(t, v, c.want...)
			undecided := int64(0)
			for _, s := range c.want {
				undecided += map[string]int64{"d undecided": 3, "e undecided": 1, "logs undecided": 2}[s]
			}
			if res.Vanished.OpenFiles != undecided {
				t.Errorf("asked about %d files again, want %d", res.Vanished.OpenFiles, undecided)
			}
			if _, err := w.state.Stat(goneName(&treeState{Tree: w.cfg.Trees[0]})); err == nil {
				t.Error("the list of what is gone was left behind")
			}
		})
	}
}

// What vanishes behind the survey was not shown, so the answer of a person does not cover it; a setting does.
func TestAnAnswerCoversWhatWasShown(t *testing.T) {
	w, v := goneWorld(t)
	w.remove("d")
	w.opts.Choose = func(string, []report.Answer) (string, bool) {
		w.remove("e")
		return "propagate", true
	}
	w.packed(v)
	wantTombs(t, v, "e undecided")

	w, v = goneWorld(t)
	w.remove("d")
	w.opts.Choose = func(string, []report.Answer) (string, bool) {
		w.remove("e")
		return "keep", true
	}
	w.packed(v)
	wantTombs(t, v, "d kept", "e undecided")
}

// A move is no deletion: neither of a file, nor of a directory with all that is in it.
func TestMovedFilesAreNotAskedAbout(t *testing.T) {
	w, v := goneWorld(t)
	must(t, os.Rename(w.path("d"), w.path("d2")))
	must(t, os.Rename(w.path("e"), w.path("stays/e")))
	w.remove("logs/1.log")
	res := w.packed(v)
	if st, err := w.trees["docs"].Stat("e2"); err == nil || res.Moved == 0 && st.BTime.IsZero() {
		t.Skip("this file system knows no time of birth")
	}
	wantTombs(t, v, "logs/1.log undecided")
	if res.Vanished.OpenFiles != 1 || res.Moved != 4 {
		t.Errorf("asked about %d files, %d moved", res.Vanished.OpenFiles, res.Moved)
	}
}

func TestMindsAreChanged(t *testing.T) {
	w, v := goneWorld(t)
	w.remove("d", "e")
	w.opts.Vanished = AnswerKeep
	w.packed(v)
	wantTombs(t, v, "d kept", "e kept")
	// What is kept stays so, whatever is said of the rest.
	w.remove("logs/1.log")
	w.opts.Vanished = AnswerPropagate
	w.packed(v)
	wantTombs(t, v, "d kept", "e kept")
	// Asked about once more, but nobody is there: it stays.
	w.opts.Vanished, w.opts.Reconsider = "", []string{"/d/sub"}
	if res := w.packed(v); res.Vanished.OpenFiles != 1 {
		t.Errorf("%+v", res.Vanished)
	}
	wantTombs(t, v, "d kept", "e kept")
	w.opts.Vanished = AnswerPropagate
	w.packed(v)
	wantTombs(t, v, "d kept", "d/sub kept", "d/sub/c confirmed", "e kept")
	// A pattern in the configuration does it, too, and the other way round.
	w.opts.Reconsider, w.opts.Vanished = nil, ""
	w.cfg.Trees[0].Propagate = []string{"e"}
	w.packed(v)
	wantTombs(t, v, "d kept", "d/sub kept", "d/sub/c confirmed")
}

func TestWhatIsGoneComesBack(t *testing.T) {
	w, v := goneWorld(t)
	w.remove("d", "e")
	w.opts.Vanished = AnswerKeep
	w.packed(v)
	w.opts.Vanished = ""
	// A directory that is there again says nothing of what was kept in it.
	w.write("d/new", 4000, 7)
	w.write("d/b", 3000, 101)
	w.write("e", 5000, 8)
	settleClock()
	w.packed(v)
	wantTombs(t, v, "d/a kept", "d/sub kept")
	v.equals()
	// A file in the place of the directory ends it, and says so.
	w.remove("d")
	w.write("d", 100, 9)
	settleClock()
	w.packed(v)
	wantTombs(t, v)
	if !slices.ContainsFunc(w.rep.Warnings(), func(s string) bool { return strings.Contains(s, "docs/d/a was to stay") }) {
		t.Errorf("%q", w.rep.Warnings())
	}
	v.equals()
}

// What cannot be read makes no tombstone and ends none; a tree that stands still repeats its own.
func TestBlindSpotsDecideNothing(t *testing.T) {
	w, v := goneWorld(t)
	w.remove("d/a")
	w.opts.Vanished = AnswerKeep
	w.packed(v)
	wantTombs(t, v, "d/a kept")
	w.opts.Vanished = AnswerPropagate
	root := w.trees["docs"]
	w.trees["docs"] = &noList{root, "d"}
	w.remove("d/b")
	if res := w.packed(v); res.Unseen == 0 {
		t.Errorf("%+v", res)
	}
	wantTombs(t, v, "d/a kept")
	if v.items()["d/b"] != snapshot.Here {
		t.Error("d/b was not repeated")
	}
	w.trees["docs"] = root
	before := v.newest.Trees[0].Chunks
	w.cfg.Guard.MaxVanished = 0
	w.remove("e")
	if res := w.packed(v); len(res.Stopped) != 1 {
		t.Errorf("%+v", res)
	}
	if !slices.Equal(before, v.newest.Trees[0].Chunks) {
		t.Error("a tree that stood still has another stream")
	}
	wantTombs(t, v, "d/a kept")
}

// noList is a tree with a directory that cannot be listed.
type noList struct {
	disk.FS
	name string
}

func (n *noList) Sub(name string) (disk.FS, error) {
	if name == n.name {
		return nil, os.ErrPermission
	}
	return n.FS.Sub(name)
}

// A tree that is gone on purpose keeps what is to be kept.
func TestAMissingTreeKeepsWhatIsKept(t *testing.T) {
	w, v := goneWorld(t)
	w.remove("e")
	w.opts.Vanished = AnswerKeep
	w.packed(v)
	w.opts.Vanished = ""
	delete(w.trees, "docs")
	w.opts.AllowMissing = []string{"docs"}
	w.cfg.Trees[0].Keep = []string{"b"}
	w.packed(v)
	wantTombs(t, v, "d confirmed", "d/b kept", "e kept")
}

// What is shown is bounded: the largest directories, and a line for the rest.
func TestWhatIsGoneIsShownByDirectory(t *testing.T) {
	g := newGoneTally()
	add := func(path string, size int64) {
		kind := disk.KindFile
		if size < 0 {
			kind, size = disk.KindDir, 0
		}
		g.add(path, &snapshot.Entry{Kind: kind, Size: size}, true)
	}
	add("t/a/1", 10)
	add("t/a/sub", -1)
	add("t/a/sub/deep", -1)
	add("t/a/sub/deep/x", 5)
	add("t/a/sub/y", 5)
	add("t/a/z", 10)
	add("t/empty", -1)
	g.add("t/moved", &snapshot.Entry{Kind: disk.KindFile, Size: 9}, false)
	for i := range 100 {
		add(fmt.Sprintf("t/b%03d", i), -1)
		add(fmt.Sprintf("t/b%03d/x", i), int64(1000+i))
	}
	g.end()
	r := g.result()
	if r.Files != 105 || r.OpenFiles != 104 || r.MoreDirs != 82 || len(r.Dirs) != shownDirs {
		t.Errorf("%+v", r)
	}
	all := r.MoreFiles
	for _, d := range r.Dirs {
		all += d.Files
	}
	if all != r.OpenFiles {
		t.Errorf("%d files shown of %d", all, r.OpenFiles)
	}
	g = newGoneTally()
	add("t/a/1", 10)
	add("t/a/sub", -1)
	add("t/a/sub/deep/x", 5)
	add("t/a/z", 10)
	g.end()
	want := []GoneDir{{"t/a", false, 2, 20}, {"t/a/sub", true, 1, 5}}
	if got := g.result().Dirs; !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
}
