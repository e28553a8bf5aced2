package chunkstore

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"waterlock/index"
	"waterlock/internal/disk"
	"waterlock/internal/disk/disktest"
)

// scene is a vault before a batch that does everything a batch can do.
type scene struct {
	old, new map[string]string // by name within the vault; absent: nothing there
	contents []string          // of old versions: never lost
	foreign  []string          // contents somebody else wrote: never lost
	acts     func(w *world) []Action
}

func bytesOf(seed uint64, n int) string { return string(random(seed, n)) }

// everything sets up the scene and returns it.
func everything(w *world) *scene {
	in := func(w *world) func(p, b string, sec int64, g uint64) Action {
		return func(p, b string, sec int64, g uint64) Action {
			e := w.file(p, []byte(b), sec)
			e.LinkGroup = g
			return install(e)
		}
	}
	file := in(w)
	a1, a2, b1, c1, h1, m1 := bytesOf(1, 2500), bytesOf(2, 3100), bytesOf(3, 1200), bytesOf(4, 800), bytesOf(5, 1500), bytesOf(6, 1700)
	h2, n1, l2 := bytesOf(7, 1400), bytesOf(8, 999), bytesOf(9, 600)
	w.fine(install(dir("")), install(dir("d")), file("replaced", a1, 10, 0), file("removed", b1, 10, 0), file("meta", c1, 10, 0),
		file("d/h1", h1, 10, 9), file("d/h2", h1, 10, 9), file("d/moved", m1, 10, 0), file("log", l2, 10, 0),
		install(symlink("link", "old", 3)), file("todir", b1, 10, 0))
	write(w.t, w.fs, "a/inway", "somebody wrote this")
	write(w.t, w.fs, "a/equal", n1)
	sc := &scene{
		old: map[string]string{"a/replaced": a1, "a/removed": b1, "a/meta": c1, "a/d/h1": h1, "a/d/h2": h1, "a/d/moved": m1,
			"a/log": l2, "a/link": "-> old", "a/todir": b1, "a/inway": "somebody wrote this", "a/equal": n1},
		new: map[string]string{"a/replaced": a2, "a/meta": c1, "a/d/h1": h2, "a/d/h2": h2, "a/d/h3": h2, "a/moved": m1, "a/new": n1,
			"a/log": n1, "a/log.1": l2, "a/link": "-> new", "a/todir": "dir", "a/todir/in": c1, "a/inway": n1, "a/equal": n1},
		contents: []string{a1, b1, c1, h1, m1, l2},
		foreign:  []string{"somebody wrote this"},
	}
	sc.acts = func(w *world) []Action {
		file := in(w)
		return []Action{
			install(dir("")), install(dir("d")), file("d/h1", h2, 20, 9), file("d/h2", h2, 20, 9), file("d/h3", h2, 20, 9),
			file("equal", n1, 20, 0), file("inway", n1, 20, 0), install(symlink("link", "new", 4)), file("log", n1, 21, 0),
			file("log.1", l2, 10, 0), file("meta", c1, 30, 0), file("moved", m1, 10, 0), file("new", n1, 20, 0), file("replaced", a2, 20, 0),
			install(dir("todir")), file("todir/in", c1, 20, 0), remove("d/moved"), remove("removed"),
		}
	}
	return sc
}

// check looks at a vault after a crash or a failure, opened again: every path
// shows one whole version, nothing is lost, no row points nowhere.
func (sc *scene) check(w *world) {
	w.t.Helper()
	names := map[string]bool{}
	for n := range sc.old {
		names[n] = true
	}
	for n := range sc.new {
		names[n] = true
	}
	for n := range names {
		got, found := read(w.fs, n)
		old, wasThere := sc.old[n]
		now, isThere := sc.new[n]
		switch {
		case found && (wasThere && got == old || isThere && got == now):
		case !found && (!wasThere || !isThere):
		case !found && n == "a/todir": // it changes its kind: absent for a moment
		default:
			w.t.Fatalf("%s is neither old nor new: %.30q (%v)", n, got, found)
		}
	}
	w.chunksOf(sc.contents...)
	everywhere := map[string]bool{}
	for _, c := range all(w.t, w.fs, ".") {
		everywhere[c] = true
	}
	for _, f := range sc.foreign {
		if !everywhere[f] {
			w.t.Fatalf("%q is gone", f)
		}
	}
	err := w.s.Catalog().Containers(func(c index.Container) error {
		if !w.s.there(c) {
			return fmt.Errorf("container %d is not at %v %s", c.ID, c.Kind, c.Name)
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// finish runs the batch again and checks that all is as wanted.
func (sc *scene) finish(w *world, rebuild bool) {
	w.t.Helper()
	w.fine(sc.acts(w)...)
	for n := range sc.old {
		if _, ok := sc.new[n]; !ok {
			w.gone(n)
		}
	}
	for n, c := range sc.new {
		w.want(n, c)
	}
	w.chunksOf(sc.contents...)
	for n, links := range map[string]uint64{"a/replaced": 1, "a/d/h1": 3, "a/new": 1, "a/meta": 1} {
		if st, err := w.fs.Stat(n); err != nil || st.Nlink != links {
			w.t.Fatalf("%s: %d links (%v)", n, st.Nlink, err)
		}
	}
	for n := range all(w.t, w.fs, ".wl/staging") {
		w.t.Fatalf("%s is left over", n)
	}
	if got := all(w.t, w.fs, ".wl/foreign"); len(got) != 1 {
		w.t.Fatalf("foreign: %d files", len(got))
	}
	if rebuild {
		w.rebuild(w.rows())
	}
}

// base is the scene's vault, on which each run starts, and the drive.
func base(t *testing.T) (*disktest.Mem, *scene) {
	mem := disktest.NewMem()
	w := newWorld(t, mem).open()
	sc := everything(w)
	w.close()
	return mem.Crashed(disktest.Names, 0), sc
}

// again is a world of its own on a file system.
func again(t testing.TB, fs disk.FS) *world { return newWorld(t, fs) }

// long asks for the whole of what is only sampled otherwise.
var long = os.Getenv("WL_LONG") != ""

// crashEvery runs fn for every number of operations before the crash, until
// one is not reached.
func crashEvery(t *testing.T, fn func(t *testing.T, k int) (crashed bool)) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	next, end := 0, false
	for range 2 {
		wg.Go(func() {
			for {
				mu.Lock()
				k := next
				next++
				stop := end || t.Failed()
				mu.Unlock()
				if stop {
					return
				}
				if !fn(t, k) {
					mu.Lock()
					end = true
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%d operations", next)
}

func TestCrashAtEveryStepOfInstall(t *testing.T) {
	start, sc := base(t)
	modes := []struct {
		mode disktest.CrashMode
		seed uint64
	}{{disktest.Strict, 0}, {disktest.Names, 0}, {disktest.Random, 1}, {disktest.Random, 2}}
	crashEvery(t, func(t *testing.T, k int) bool {
		mem := start.Crashed(disktest.Names, 0)
		w := again(t, mem)
		if err := w.tryOpen(); err != nil {
			t.Error(err)
			return false
		}
		acts := sc.acts(w)
		mem.CrashAfter(k)
		_, err := w.try(acts...)
		crashed := mem.DidCrash()
		if !crashed && err != nil {
			t.Error(err)
		}
		w.close()
		defer os.RemoveAll(w.index)
		for i, m := range modes {
			if !long && k%4 != i {
				continue // a mode for each step; all of them take a minute
			}
			func() {
				defer func() {
					if t.Failed() {
						t.Logf("crash after %d operations, mode %v, seed %d", k, m.mode, m.seed+uint64(k))
					}
				}()
				r := again(t, mem.Crashed(m.mode, m.seed+uint64(k)))
				if i == 0 && k%8 == 0 {
					r.index = w.index // closed well, but perhaps behind the last record
				}
				if err := r.tryOpen(); err != nil {
					t.Error(err)
					return
				}
				defer r.discard()
				for _, p := range r.rep.Problems() {
					t.Error("problem: ", p)
				}
				for _, warn := range r.rep.Warnings() {
					if strings.Contains(warn, "somebody else") || strings.Contains(warn, "missing") {
						t.Error("warning: ", warn)
					}
				}
				sc.check(r)
				sc.finish(r, k%16 == 0)
			}()
		}
		return crashed
	})
}
