package home

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"waterlock/internal/disk"
)

// carriedWhole are the files of the newest snapshot that are not pending, as tree/path.
func (w *world) carriedWhole() (whole []string) {
	w.t.Helper()
	v := w.newVault()
	v.take(w.drive)
	for _, tree := range w.cfg.Trees {
		for path, e := range v.entries(v.newest, tree.Name) {
			if e.Kind == disk.KindFile && !e.Pending {
				whole = append(whole, tree.Name+"/"+path)
			}
		}
	}
	slices.Sort(whole)
	return whole
}

// Four files of 200 KiB, and room for two of them.
func TestWhatComesFirstIsCarriedFirst(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(*Config)
		want string
	}{
		{"paths", func(*Config) {}, "docs/a docs/b"},
		{"a pattern first", func(c *Config) { c.Trees[0].First = []string{"/c"} }, "docs/a docs/c"},
		{"a pattern of a later tree first", func(c *Config) { c.Trees[1].First = []string{"d"} }, "docs/a films/d"},
		{"a pattern last", func(c *Config) { c.Trees[0].Last = []string{"/[ab]"} }, "docs/c films/d"},
		{"a tree first", func(c *Config) { c.Trees[1].Priority = PriorityFirst }, "docs/a films/d"},
		{"a tree last, a pattern of it first", func(c *Config) {
			c.Trees[0].Priority, c.Trees[0].First = PriorityLast, []string{"c"}
		}, "docs/c films/d"},
		{"first wins over last", func(c *Config) { c.Trees[0].First, c.Trees[0].Last = []string{"b"}, []string{"b", "a"} }, "docs/b docs/c"},
		{"the newest", func(c *Config) { c.Pack.Order = OrderNewest }, "docs/c films/d"},
		{"the oldest", func(c *Config) { c.Pack.Order = OrderOldest }, "docs/a docs/b"},
		{"the newest within a class", func(c *Config) {
			c.Pack.Order, c.Trees[0].First = OrderNewest, []string{"/a", "/b"}
		}, "docs/a docs/b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, "docs", "films")
			w.opts.PackSize = 64 << 10
			w.small(900<<10, 0)
			begun := time.Now()
			for i, name := range []string{"docs/a", "docs/b", "docs/c", "films/d"} {
				tree, base := filepath.Split(name)
				path := filepath.Join(w.roots[strings.TrimSuffix(tree, "/")], base)
				must(t, os.WriteFile(path, random(200<<10, uint64(i)), 0o644))
				then := begun.AddDate(0, 0, i-40)
				must(t, os.Chtimes(path, then, then))
			}
			settleClock()
			c.set(w.cfg)
			res := w.pack()
			if got := strings.Join(w.carriedWhole(), " "); got != c.want {
				t.Errorf("carried whole: %s, not %s", got, c.want)
			}
			if res.Pending != 2 || res.Why != "the drive is full" {
				t.Errorf("%d pending: %s", res.Pending, res.Why)
			}
			w.newDrive("next")
			if next := w.pack(); next.Pending != 0 {
				t.Errorf("%d files are still pending after a trip with room for all", next.Pending)
			}
		})
	}
}

func TestTheSmallestAreCarriedFirst(t *testing.T) {
	w := newWorld(t)
	w.cfg.Pack.Order = OrderSmallest
	w.opts.PackSize = 64 << 10
	w.small(900<<10, 0)
	for i, name := range []string{"a", "b", "c", "d"} {
		w.write(name, (400-100*i)<<10, uint64(i))
	}
	settleClock()
	w.pack()
	if got := strings.Join(w.carriedWhole(), " "); got != "docs/c docs/d" {
		t.Errorf("carried whole: %s", got)
	}
}

// A run that is stopped has brought what comes first, whatever the paths are.
func TestAStoppedRunHasCarriedWhatComesFirst(t *testing.T) {
	w := newWorld(t)
	w.opts.PackSize = 64 << 10
	w.cfg.Trees[0].First = []string{"z*"}
	for i := range 8 {
		w.write("a"+string(rune('0'+i)), 100<<10, uint64(i))
		w.write("z"+string(rune('0'+i)), 100<<10, uint64(100+i))
	}
	settleClock()
	stop := make(chan struct{})
	w.opts.Stop = stop
	w.drive = &stopAfter{FS: w.drive, name: "000010.pack", stop: stop}
	res := w.pack()
	if !res.Interrupted || res.Pending == 0 {
		t.Fatalf("%+v", res)
	}
	w.drive = w.drive.(*stopAfter).FS
	whole := w.carriedWhole()
	if n := len(whole); n < 2 || !strings.HasPrefix(whole[n-1], "docs/z") || strings.HasPrefix(whole[0], "docs/a") && n < 9 {
		t.Errorf("carried whole: %v", whole)
	}
}

// stopAfter stops the run when a file of that name is created.
type stopAfter struct {
	disk.FS
	name string
	stop chan struct{}
}

func (s *stopAfter) Create(name string, perm uint32) (disk.File, error) {
	if filepath.Base(name) == s.name && s.stop != nil {
		close(s.stop)
		s.stop = nil
	}
	return s.FS.Create(name, perm)
}

// The ranges cover every rank once, in order, never two classes, and never more than fits but for a single rank.
func TestRangesCoverTheOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := &schedule{share: rapid.Int64Range(1, 1000).Draw(rt, "share")}
		for k := rank(0); len(s.ranks) < 40; k += rank(rapid.IntRange(1, 1<<14).Draw(rt, "step")) {
			s.ranks, s.bytes = append(s.ranks, k), append(s.bytes, rapid.Int64Range(0, 300).Draw(rt, "bytes"))
		}
		for !s.done() {
			from := s.next
			room := rapid.Int64Range(0, 1000).Draw(rt, "room")
			s.advance(room)
			sum := int64(0)
			for i := from; i < s.next; i++ {
				sum += s.bytes[i]
				if s.turns < maxRanges && s.ranks[i]>>classShift != s.ranks[from]>>classShift {
					rt.Fatal("a range of two classes")
				}
			}
			if s.turns == maxRanges {
				if !s.done() {
					rt.Fatal("the last range is not the last")
				}
				break
			}
			if s.next <= from {
				rt.Fatalf("no progress at rank %d", from)
			}
			if sum > min(room, s.share) && s.next-from > 1 {
				rt.Fatalf("%d bytes in a range, room %d, share %d", sum, room, s.share)
			}
			if want := s.ranks[s.next-1]; !s.done() && s.upTo != want {
				rt.Fatalf("up to %x, not %x", s.upTo, want)
			}
		}
		if s.next != len(s.ranks) {
			rt.Fatal("ranks are left out")
		}
	})
}

func TestSlipsInPrioritiesAreRefused(t *testing.T) {
	for name, set := range map[string]func(*Config){
		"order":    func(c *Config) { c.Pack.Order = "random" },
		"priority": func(c *Config) { c.Trees[0].Priority = "soon" },
		"pattern":  func(c *Config) { c.Trees[0].First = []string{"[a"} },
	} {
		w := newWorld(t)
		if err := w.cfg.validate(); err != nil {
			t.Fatal(err)
		}
		set(w.cfg)
		if err := w.cfg.validate(); err == nil || !strings.Contains(err.Error(), name) && name != "pattern" {
			t.Errorf("%s: %v", name, err)
		}
	}
}
