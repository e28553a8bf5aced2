package home

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"waterlock/internal/exit"
	"waterlock/internal/report"
	"waterlock/snapshot"
)

// in are the paths of the newest snapshot.
func (v *vault) in() (list []string) {
	for path, gone := range v.items() {
		if gone == snapshot.Here && path != "" {
			list = append(list, path)
		}
	}
	slices.Sort(list)
	return list
}

func TestWhatIsExcludedIsNotPacked(t *testing.T) {
	for name, c := range map[string]struct {
		set  func(w *world, x *Exclusions)
		want string // what is in, separated by spaces
	}{
		"patterns": {func(_ *world, x *Exclusions) { x.Exclude = []string{"*.tmp", "!keep.tmp", "/cache", "marked/"} },
			"a big d d/keep.tmp"},
		"nothing is taken in again beneath what is out": {func(_ *world, x *Exclusions) { x.Exclude = []string{"/d", "!/d/keep.tmp", "big", "marked", "cache"} },
			"a"},
		"but in what is not": {func(_ *world, x *Exclusions) { x.Exclude = []string{"/d/*", "!/d/keep.tmp", "big", "marked", "cache"} },
			"a d d/keep.tmp"},
		"a file of patterns": {func(w *world, x *Exclusions) {
			name := filepath.Join(w.t.TempDir(), "list")
			must(w.t, os.WriteFile(name, []byte("# text\n*.tmp\ncache/\nmarked\n"), 0o600))
			x.ExcludeFile, x.Exclude = []string{name}, []string{"!keep.tmp"}
		}, "a big d d/keep.tmp"},
		"caches": {func(_ *world, x *Exclusions) { x.ExcludeCaches = true },
			"a big cache cache/CACHEDIR.TAG d d/keep.tmp d/x.tmp marked marked/.nobackup marked/sub marked/sub/y"},
		"a marker": {func(_ *world, x *Exclusions) { x.ExcludeIfPresent = []string{".nobackup"} },
			"a big cache cache/CACHEDIR.TAG cache/sub cache/sub/x d d/keep.tmp d/x.tmp marked marked/.nobackup"},
		"a marker that begins otherwise": {func(_ *world, x *Exclusions) { x.ExcludeIfPresent = []string{".nobackup:no"} },
			"a big cache cache/CACHEDIR.TAG cache/sub cache/sub/x d d/keep.tmp d/x.tmp marked marked/.nobackup marked/sub marked/sub/y"},
		"size": {func(_ *world, x *Exclusions) { x.ExcludeLargerThan = 5000; x.Exclude = []string{"cache", "marked"} },
			"a d d/keep.tmp d/x.tmp"},
	} {
		for _, asFlag := range []bool{false, true} {
			w := newWorld(t)
			for i, name := range []string{"a", "d/x.tmp", "d/keep.tmp", "cache/sub/x", "marked/sub/y"} {
				w.write(name, 3000, uint64(i))
			}
			w.write("big", 9000, 9)
			must(t, os.WriteFile(w.path("cache/CACHEDIR.TAG"), []byte(cacheSignature+"\n# x"), 0o600))
			must(t, os.WriteFile(w.path("marked/.nobackup"), []byte("yes"), 0o600))
			settleClock()
			x := &w.cfg.Trees[0].Exclusions
			if asFlag {
				x = &w.opts.Exclusions
			}
			c.set(w, x)
			var listed []string
			w.opts.List = func(l ListedPath) {
				if rest, ok := strings.CutPrefix(l.Path, "docs/"); ok && !l.Out {
					listed = append(listed, rest)
				} else if l.Out && l.Why == "" {
					t.Errorf("%s is out, and nobody says why", l.Path)
				}
			}
			v := w.newVault()
			res := w.packed(v)
			slices.Sort(listed)
			if got := strings.Join(v.in(), " "); got != c.want || got != strings.Join(listed, " ") {
				t.Errorf("%s: in is %q, listed %q, want %q", name, got, listed, c.want)
			}
			if res.ToRead != res.BytesRead || res.Problems != 0 {
				t.Errorf("%s: survey and pass do not agree: %d bytes to read, %d read", name, res.ToRead, res.BytesRead)
			}
		}
	}
}

// A directory that is left out is not even opened, so it may be unreadable; a tag that is none leaves nothing out.
func TestWhatIsExcludedIsNotLookedInto(t *testing.T) {
	w := newWorld(t)
	w.write("secret/x", 3000, 1)
	w.write("cache/x", 3000, 2)
	w.write("cache/CACHEDIR.TAG", 100, 3)
	settleClock()
	w.trees["docs"] = &noList{w.trees["docs"], "secret"}
	w.cfg.Trees[0].Exclude, w.cfg.Trees[0].ExcludeCaches = []string{"secret/"}, true
	v := w.newVault()
	if res := w.packed(v); res.Problems != 0 || res.Unseen != 0 {
		t.Errorf("%+v", res)
	}
	if got := v.in(); !slices.Equal(got, []string{"cache", "cache/CACHEDIR.TAG", "cache/x"}) {
		t.Errorf("%q", got)
	}
}

// What is newly excluded is no deletion: no guard stops the tree, and the vault is to keep what it has, until somebody
// says otherwise. Taken in again, it is as any other file, and not read where it did not change.
func TestNewlyExcludedIsNoDeletion(t *testing.T) {
	w, v := goneWorld(t)
	w.cfg.Guard.MaxVanished = 20
	w.cfg.Trees[0].Exclude = []string{"stays/", "*.log"}
	w.remove("e")
	res := w.packed(v)
	wantTombs(t, v, "e undecided", "logs/1.log excluded", "logs/2.log excluded", "stays excluded")
	if len(res.Stopped) != 0 || res.Excluded.OpenFiles != 12 || res.Vanished.OpenFiles != 1 {
		t.Errorf("%+v", res)
	}
	// Asked about once, apart from what is gone.
	questions := 0
	w.opts.Choose = func(q string, answers []report.Answer) (string, bool) {
		if questions++; !strings.Contains(q, "gone at home (1 file)") {
			t.Error(q)
		}
		return "keep", true
	}
	w.packed(v)
	if questions != 1 {
		t.Errorf("%d questions", questions)
	}
	wantTombs(t, v, "e kept", "logs/1.log excluded", "logs/2.log excluded", "stays excluded")
	w.opts.Choose = nil
	w.remove("logs/1.log") // it would be excluded still
	w.packed(v)
	wantTombs(t, v, "e kept", "logs/1.log excluded", "logs/2.log excluded", "stays excluded")
	w.opts.Reconsider, w.opts.Excluded = []string{"*.log"}, AnswerPropagate
	w.packed(v)
	wantTombs(t, v, "e kept", "stays excluded")
	w.opts.Reconsider, w.opts.Excluded = nil, ""
	w.cfg.Trees[0].Exclude = nil
	w.remove("stays/1")
	res = w.packed(v)
	wantTombs(t, v, "e kept", "stays/1 undecided")
	v.equals()
}

func TestNewlyExcludedFollowsItsSetting(t *testing.T) {
	w, v := goneWorld(t)
	w.cfg.Trees[0].Exclude, w.cfg.Deletions.Excluded = []string{"stays/", "*.log"}, AnswerPropagate
	w.packed(v)
	wantTombs(t, v)
	w, v = goneWorld(t)
	w.cfg.Trees[0].Exclude = []string{"stays/", "*.log"}
	w.opts.Choose = func(q string, answers []report.Answer) (string, bool) {
		return "propagate", strings.Contains(q, "excluded")
	}
	w.packed(v)
	wantTombs(t, v)
}

func TestSlipsInPatternsAreRefused(t *testing.T) {
	w := newWorld(t)
	for _, set := range []func(t *Tree){
		func(t *Tree) { t.Exclude = []string{"[a"} },
		func(t *Tree) { t.Exclude = []string{"# text"} },
		func(t *Tree) { t.Exclude = []string{w.path("x")} },
		func(t *Tree) { t.ExcludeIfPresent = []string{"a/b"} },
		func(t *Tree) { t.ExcludeFile = []string{"/there/is/none"} },
		func(t *Tree) { t.Keep = []string{"//"} },
		func(t *Tree) { t.Propagate = []string{"/"} },
	} {
		was := w.cfg.Trees[0]
		set(&w.cfg.Trees[0])
		_, err := w.tryPack()
		wantCode(t, err, exit.Usage)
		w.cfg.Trees[0] = was
	}
}
