package chunkstore

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"waterlock/internal/disk/disktest"
)

// renames is what a person renamed at home between two trips: a vault before
// it, and after. Contents are told by letters; "/" is a directory. Every file
// whose letter was there before must be the inode that it was.
type renames struct {
	name   string
	before map[string]string
	after  map[string]string
	kept   string // letters of old versions that have left the mirror
}

// manyRenames are the renames that came to mind. The last are those that a
// batch cannot do in the order of the tree without a second name for something.
var manyRenames = []renames{
	{name: "a file", before: map[string]string{"a": "A", "k": "K"}, after: map[string]string{"z": "A", "k": "K"}},
	{name: "a file, to before its old name", before: map[string]string{"z": "A", "k": "K"}, after: map[string]string{"a": "A", "k": "K"}},
	{name: "log rotation", before: map[string]string{"log": "C", "log.1": "B", "log.2": "A"},
		after: map[string]string{"log": "D", "log.1": "C", "log.2": "B", "log.3": "A"}},
	{name: "log rotation, the oldest goes", before: map[string]string{"log": "C", "log.1": "B", "log.2": "A"},
		after: map[string]string{"log": "D", "log.1": "C", "log.2": "B"}, kept: "A"},
	{name: "log rotation the other way round", before: map[string]string{"1": "A", "2": "B", "3": "C"},
		after: map[string]string{"0": "A", "1": "B", "2": "C", "3": "D"}},
	{name: "swap", before: map[string]string{"a": "A", "b": "B"}, after: map[string]string{"a": "B", "b": "A"}},
	{name: "cycle of three", before: map[string]string{"a": "A", "b": "B", "c": "C"}, after: map[string]string{"a": "C", "b": "A", "c": "B"}},
	{name: "cycle of three the other way round", before: map[string]string{"a": "A", "b": "B", "c": "C"},
		after: map[string]string{"a": "B", "b": "C", "c": "A"}},
	{name: "two swaps through each other", before: map[string]string{"a": "A", "b": "B", "c": "C", "d": "D"},
		after: map[string]string{"a": "C", "b": "D", "c": "A", "d": "B"}},
	{name: "chain", before: map[string]string{"a": "A", "b": "B", "c": "C"}, after: map[string]string{"b": "A", "c": "B", "d": "C"}},
	{name: "chain over the last", before: map[string]string{"a": "A", "b": "B", "c": "C"}, after: map[string]string{"b": "A", "c": "B"}, kept: "C"},
	{name: "directory", before: map[string]string{"d": "/", "d/a": "A", "d/e": "/", "d/e/b": "B"},
		after: map[string]string{"k": "/", "k/a": "A", "k/e": "/", "k/e/b": "B"}},
	{name: "directory, and a new one under its name", before: map[string]string{"d": "/", "d/a": "A", "d/b": "B"},
		after: map[string]string{"d": "/", "d/a": "C", "k": "/", "k/a": "A", "k/b": "B"}},
	{name: "two directories swapped", before: map[string]string{"d": "/", "d/a": "A", "d/b": "B", "k": "/", "k/a": "C"},
		after: map[string]string{"d": "/", "d/a": "C", "k": "/", "k/a": "A", "k/b": "B"}},
	{name: "into a directory of its own name", before: map[string]string{"f": "A", "k": "K"}, after: map[string]string{"f": "/", "f/f": "A", "k": "K"}},
	{name: "out of a directory, to its name", before: map[string]string{"f": "/", "f/x": "A", "f/y": "B", "k": "K"},
		after: map[string]string{"f": "A", "k": "K", "y": "B"}},
	{name: "directories that are files, and the other way round", before: map[string]string{"a": "/", "a/x": "A", "b": "B"},
		after: map[string]string{"a": "B", "b": "/", "b/x": "A"}},
}

func (r *renames) entries(w *world, paths map[string]string) []Action {
	acts := []Action{install(dir(""))}
	for _, p := range slices.SortedFunc(maps.Keys(paths), strings.Compare) {
		if paths[p] == "/" {
			acts = append(acts, install(dir(p)))
		} else {
			acts = append(acts, install(w.file(p, letter(paths[p]), int64(paths[p][0]))))
		}
	}
	return acts
}

// letter is a content: of three chunks, and not of any other letter's.
func letter(s string) []byte { return random(uint64(s[0]), 2500) }

// acts are those of an unpack: what is there now, then the deletions, deepest
// first, and then what a directory stood in the way of.
func (r *renames) acts(w *world) (acts []Action) {
	var last []Action
	for _, a := range r.entries(w, r.after) {
		if r.before[a.Entry.Path] == "/" && r.after[a.Entry.Path] != "/" && a.Entry.Path != "" {
			last = append(last, a)
		} else {
			acts = append(acts, a)
		}
	}
	gone := slices.Sorted(maps.Keys(r.before))
	slices.Reverse(gone)
	for _, p := range gone {
		if _, stays := r.after[p]; !stays {
			acts = append(acts, remove(p))
		}
	}
	return append(acts, last...)
}

// old are the contents of the state before.
func (r *renames) old() (all []string) {
	for _, l := range r.before {
		if l != "/" {
			all = append(all, string(letter(l)))
		}
	}
	return all
}

// inodesOf are the inodes of the contents in the state before.
func (r *renames) inodesOf(w *world) map[string]uint64 {
	out := map[string]uint64{}
	for p, l := range r.before {
		st, err := w.fs.Stat("a/" + p)
		if err != nil {
			w.t.Fatal(err)
		}
		out[l] = st.Ino
	}
	return out
}

// done checks that all is as wanted, each inode the one that it was.
func (r *renames) done(w *world, inodes map[string]uint64) {
	w.t.Helper()
	for p, l := range r.after {
		if l == "/" {
			w.want("a/"+p, "dir")
			continue
		}
		w.want("a/"+p, string(letter(l)))
		st, err := w.fs.Stat("a/" + p)
		if ino, was := inodes[l]; err != nil || st.Nlink != 1 || was && st.Ino != ino {
			w.t.Errorf("%s: inode %d with %d links, %s was %d before (%v)", p, st.Ino, st.Nlink, l, ino, err)
		}
	}
	for p := range r.before {
		if _, stays := r.after[p]; !stays {
			w.gone("a/" + p)
		}
	}
	if kept := all(w.t, w.fs, ".wl/kept"); len(kept) != len(r.kept) {
		w.t.Errorf("%d files are kept, expected %d", len(kept), len(r.kept))
	}
	for n := range all(w.t, w.fs, ".wl/staging") {
		w.t.Errorf("%s is left over", n)
	}
	w.chunksOf(r.old()...)
}

// whole checks what holds at every instant: a path shows what it showed, or
// what it will show.
func (r *renames) whole(w *world) {
	w.t.Helper()
	names := maps.Clone(r.before)
	maps.Copy(names, r.after)
	for p := range names {
		got, found := read(w.fs, "a/"+p)
		was, wasThere := r.before[p]
		is, isThere := r.after[p]
		show := func(l string) string {
			if l == "/" {
				return "dir"
			}
			return string(letter(l))
		}
		switch {
		case found && (wasThere && got == show(was) || isThere && got == show(is)):
		case !found && (!wasThere || !isThere):
		case !found && (was == "/") != (is == "/"): // it changes its kind
		default:
			w.t.Fatalf("%s is neither what it was nor what it will be: %.20q (%v)", p, got, found)
		}
	}
	w.chunksOf(r.old()...)
}

// A rename at home is a rename in the vault, whatever is renamed to whatever:
// nothing is assembled that was there, no version is kept that is shown, and
// the inodes are what they were; the drive need not bring a chunk of it.
func TestRenamesAreRenames(t *testing.T) {
	for _, r := range manyRenames {
		for _, together := range []bool{true, false} { // in one batch, or each in its own
			t.Run(fmt.Sprintf("%s, together %v", r.name, together), func(t *testing.T) {
				w := newWorld(t, disktest.NewMem()).open()
				w.fine(r.entries(w, r.before)...)
				inodes := r.inodesOf(w)
				clear(w.drive)
				acts := r.acts(w)
				for l := range inodes {
					if l != "/" {
						for _, x := range w.content(letter(l)) {
							delete(w.drive, x.ID)
						}
					}
				}
				for i, res := range w.inBatches(together, acts) {
					if p := res.Path; res.Way == Assembled && inodes[r.after[p]] != 0 {
						t.Errorf("%s was assembled, but %s was there", p, r.after[p])
					} else if res.Err != nil {
						t.Errorf("action %d, %s: %v", i, p, res.Err)
					}
				}
				r.done(w, inodes)
				w.rebuild(w.rows())
				if c, err := w.s.CheckMirror(t.Context()); err != nil || c.Missing+c.Foreign+c.Lost != 0 {
					t.Errorf("%+v %v", c, err)
				}
			})
		}
	}
}

// inBatches carries the actions out in one batch or in one each.
func (w *world) inBatches(together bool, acts []Action) (out []Result) {
	w.t.Helper()
	if together {
		return w.do(acts...)
	}
	w.feed()
	for _, a := range acts {
		b := w.s.NewBatch(leavingBy(acts))
		if err := b.Add(w.t.Context(), a); err != nil {
			w.t.Fatal(err)
		}
		res, err := b.Commit(w.t.Context())
		if err != nil {
			w.t.Fatal(err)
		}
		out = append(out, res...)
	}
	return out
}

// A crash after every operation leaves each path with what it showed or what it
// will show, and the next run ends as if nothing had been: the same inodes.
func TestCrashAtEveryStepOfRenames(t *testing.T) {
	modes := []disktest.CrashMode{disktest.Strict, disktest.Names, disktest.Random}
	for i, r := range manyRenames {
		if !long && i%6 != 2 { // log rotation, two swaps, a file that becomes a directory; all of them take a minute
			continue
		}
		t.Run(r.name, func(t *testing.T) {
			mem := disktest.NewMem()
			w := newWorld(t, mem).open()
			w.fine(r.entries(w, r.before)...)
			inodes := r.inodesOf(w)
			w.close()
			start := mem.Crashed(disktest.Names, 0)
			crashEvery(t, func(t *testing.T, k int) bool {
				mem := start.Crashed(disktest.Names, 0)
				w := again(t, mem)
				if err := w.tryOpen(); err != nil {
					t.Error(err)
					return false
				}
				acts := r.acts(w)
				mem.CrashAfter(k)
				_, err := w.try(acts...)
				crashed := mem.DidCrash()
				if !crashed && err != nil {
					t.Error(err)
				}
				w.close()
				os.RemoveAll(w.index)
				mode := modes[k%len(modes)]
				n := again(t, mem.Crashed(mode, uint64(k)))
				if err := n.tryOpen(); err != nil {
					t.Errorf("crash after %d operations, mode %v: %v", k, mode, err)
					return false
				}
				defer n.discard()
				r.whole(n)
				n.fine(r.acts(n)...)
				r.done(n, inodes)
				if t.Failed() {
					t.Logf("crash after %d operations, mode %v", k, mode)
				}
				return crashed
			})
		})
	}
}

// All links of a file are renamed and get other metadata: the mirror shows it.
func TestLinksAreRenamedAndTouched(t *testing.T) {
	for _, c := range []struct {
		name string
		sec  int64
		mode uint32
		one  bool // it stays one inode: a time is part of how it is recognised
	}{{"renamed", 10, 0o644, true}, {"another mode", 10, 0o600, true}, {"another time", 20, 0o644, false}} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, disktest.NewMem()).open()
			link := func(p string, sec int64, mode uint32) Action {
				e := w.file(p, letter("A"), sec)
				e.LinkGroup, e.Mode = 7, mode
				return install(e)
			}
			w.fine(install(dir("")), link("x", 10, 0o644), link("y", 10, 0o644))
			old, _ := w.fs.Stat("a/x")
			w.fine(link("a", c.sec, c.mode), link("b", c.sec, c.mode), remove("x"), remove("y"))
			a, _ := w.fs.Stat("a/a")
			b, _ := w.fs.Stat("a/b")
			if a.Ino != b.Ino || a.Nlink != 2 || a.MTime.Sec != c.sec || a.Mode != c.mode || (a.Ino == old.Ino) != c.one {
				t.Errorf("%+v\n%+v, was inode %d", a, b, old.Ino)
			}
			w.gone("a/x")
			w.rebuild(w.rows())
			if c, err := w.s.CheckMirror(t.Context()); err != nil || c.Missing+c.Foreign+c.Lost != 0 {
				t.Errorf("%+v %v", c, err)
			}
		})
	}
}
