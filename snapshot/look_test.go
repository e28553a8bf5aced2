package snapshot

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"waterlock/internal/chunk"
	"waterlock/internal/disk"
)

// counting is a Getter that counts what is fetched.
type counting struct {
	Getter
	fetched map[chunk.ID]int
	n       int
}

func newCounting(g Getter) *counting { return &counting{Getter: g, fetched: map[chunk.ID]int{}} }

func (c *counting) Get(id chunk.ID, k chunk.Kind, length int64, buf []byte) ([]byte, error) {
	c.fetched[id]++
	c.n++
	return c.Getter.Get(id, k, length, buf)
}

// roomyTree is a tree of many stream chunks (8,000 entries: about 60), with long content lists.
func roomyTree(n int) []*Entry {
	var tree []*Entry
	huge := hugeContent()
	for i := range n {
		e := synthetic(i)
		if i%3000 == 500 {
			_, name := Split(e.Path)
			e.Path = fmt.Sprintf("directory-%06d/%s", i/1000, "huge "+name)
			e.Content = huge[i : i+20_000]
		}
		tree = append(tree, e)
	}
	slices.SortFunc(tree, func(a, b *Entry) int { return ComparePaths(a.Path, b.Path) })
	return tree
}

func headOf(e *Entry) *Entry {
	h := e.Clone()
	h.Content, h.Carried = nil, nil
	return h
}

func list(t testing.TB, o ListOptions) (got []*Entry, found bool) {
	t.Helper()
	o.Entry = func(e *Entry) error { got = append(got, e.Clone()); return nil }
	if o.Gap == nil {
		o.Gap = func(g *GapError) { t.Errorf("gap: %v", g) }
	}
	found, err := List(o)
	if err != nil {
		t.Fatal(err)
	}
	return got, found
}

func TestListIsWhatLiesThere(t *testing.T) {
	all := memory{}
	tree := roomyTree(8000)
	rec, err := all.write(tree)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"", "directory-000003", "directory-000007", "directory-000003/huge some file name 003500.jpeg", "directory", "directory-000003x", "zzz"} {
		for _, recursive := range []bool{false, true} {
			var want []*Entry
			exists := false
			for _, e := range tree {
				exists = exists || e.Path == path
				parent, _ := Split(e.Path)
				if e.Path == path && e.Kind != disk.KindDir || e.Path != path && Under(e.Path, path) && (recursive || parent == path) {
					want = append(want, headOf(e))
				}
			}
			got, found := list(t, ListOptions{Tree: rec, Get: all, Path: path, Recursive: recursive})
			if found != exists || len(got) != len(want) {
				t.Errorf("%q, recursive %v: found %v with %d entries, want %v with %d", path, recursive, found, len(got), exists, len(want))
				continue
			}
			for i := range got {
				sameEntry(t, want[i], got[i])
			}
		}
	}
}

func TestListOfAnyTreeIsWhatLiesThere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tree := drawTree(t, 60)
		m := memory{}
		rec, err := m.write(tree)
		if err != nil {
			t.Fatal(err)
		}
		path := tree[rapid.IntRange(0, len(tree)-1).Draw(t, "at")].Path
		recursive := rapid.Bool().Draw(t, "recursive")
		var want, got []string
		for _, e := range tree {
			parent, _ := Split(e.Path)
			if e.Path == path && e.Kind != disk.KindDir || e.Path != path && Under(e.Path, path) && (recursive || parent == path) {
				want = append(want, e.Path)
			}
		}
		found, err := List(ListOptions{Tree: rec, Get: m, Path: path, Recursive: recursive,
			Entry: func(e *Entry) error { got = append(got, e.Path); return nil },
			Gap:   func(g *GapError) { t.Fatal(g) }})
		if err != nil || !found || !slices.Equal(got, want) {
			t.Fatalf("%q: %q, want %q (found %v, %v)", path, got, want, found, err)
		}
	})
}

// A directory costs the stream chunks that cover it, the root one for each
// directory in it at most, and long content lists cost nothing.
func TestListReadsOnlyWhatCoversTheDirectory(t *testing.T) {
	all := memory{}
	rec, err := all.write(roomyTree(8000))
	if err != nil {
		t.Fatal(err)
	}
	g := newCounting(all)
	list(t, ListOptions{Tree: rec, Get: g, Path: "directory-000005"})
	covering := 0
	for i, ref := range rec.Chunks {
		if Under(ref.FirstPath, "directory-000005") || i == ChunkAt(rec.Chunks, "directory-000005") {
			covering++
		}
	}
	if g.n == 0 || g.n > covering {
		t.Errorf("%d stream chunks read for one directory, %d cover it, of %d", g.n, covering, len(rec.Chunks))
	}
	g = newCounting(all)
	list(t, ListOptions{Tree: rec, Get: g, Path: ""})
	if g.n > 9 {
		t.Errorf("%d stream chunks read for the root with 8 directories, of %d", g.n, len(rec.Chunks))
	}
	g = newCounting(all)
	list(t, ListOptions{Tree: rec, Get: g, Path: "", Recursive: true})
	continuing := 0
	for i := range rec.Chunks[1:] {
		if rec.Chunks[i].Continues && rec.Chunks[i+1].Continues && rec.Chunks[i].FirstPath == rec.Chunks[i+1].FirstPath {
			continuing++
		}
	}
	if continuing < 10 || g.n != len(rec.Chunks)-continuing {
		t.Errorf("%d of %d stream chunks read for all; %d of them are content lists only", g.n, len(rec.Chunks), continuing)
	}
}

// What cannot be read is a gap where it was asked for, and nothing elsewhere.
func TestListNamesGapsWhereItWasAsked(t *testing.T) {
	all := memory{}
	tree := roomyTree(8000)
	rec, err := all.write(tree)
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		m := maps.Clone(all)
		for _, i := range rapid.SliceOfNDistinct(rapid.IntRange(0, len(rec.Chunks)-1), 1, 5, rapid.ID).Draw(t, "lost") {
			delete(m, rec.Chunks[i].ID)
		}
		dir := fmt.Sprintf("directory-%06d", rapid.IntRange(0, 7).Draw(t, "dir"))
		var gaps []GapError
		got := map[string]bool{}
		_, err := List(ListOptions{Tree: rec, Get: m, Path: dir,
			Entry: func(e *Entry) error { got[e.Path] = true; return nil },
			Gap:   func(g *GapError) { gaps = append(gaps, *g) }})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range tree {
			covered := slices.ContainsFunc(gaps, func(g GapError) bool { return g.Covers(e.Path) })
			if inside := e.Path != dir && Under(e.Path, dir); inside && got[e.Path] == covered {
				t.Fatalf("%q: listed %v, in a gap %v", e.Path, got[e.Path], covered)
			}
		}
	})
}

// edited is a tree after a month: some entries changed, gone, new, renamed.
func edited(t *rapid.T, tree []*Entry) []*Entry {
	var out []*Entry
	from := rapid.IntRange(1, len(tree)-1).Draw(t, "from")
	until := min(len(tree), from+rapid.IntRange(0, 600).Draw(t, "many"))
	how := rapid.IntRange(0, 3).Draw(t, "how")
	for i, e := range tree {
		if i < from || i >= until || e.Kind == disk.KindDir {
			out = append(out, e)
			continue
		}
		e := e.Clone()
		switch how {
		case 0:
			continue
		case 1:
			e.MTime.Sec++
		case 2:
			e.Hash[1]++
		case 3:
			e.Path += "x"
		}
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b *Entry) int { return ComparePaths(a.Path, b.Path) })
	return out
}

func TestSweepSeesEveryPathOfEverySnapshot(t *testing.T) {
	base := roomyTree(2000)
	rapid.Check(t, func(t *rapid.T) {
		all := memory{}
		trees := [][]*Entry{base}
		for range rapid.IntRange(0, 3).Draw(t, "snapshots") {
			trees = append(trees, edited(t, trees[rapid.IntRange(0, len(trees)-1).Draw(t, "after")]))
		}
		under := rapid.SampledFrom([]string{"", "directory-000000", "directory-000001", "none"}).Draw(t, "under")
		var sweep Sweep
		var recs []TreeRecord
		for _, tree := range trees {
			rec, err := all.write(tree)
			if err != nil {
				t.Fatal(err)
			}
			recs = append(recs, rec)
		}
		lost := map[chunk.ID]bool{}
		for range rapid.IntRange(0, 2).Draw(t, "lost") {
			rec := recs[rapid.IntRange(0, len(recs)-1).Draw(t, "of")]
			lost[rec.Chunks[rapid.IntRange(0, len(rec.Chunks)-1).Draw(t, "chunk")].ID] = true
		}
		g := newCounting(all)
		for id := range lost {
			delete(all, id)
		}
		for i := range recs {
			sweep.Add(&recs[i], under)
		}
		match := func(path string) bool { return Under(path, under) && len(path)%3 != 0 }
		want := map[string]map[int]*Entry{}
		for i, tree := range trees {
			for _, e := range tree {
				if match(e.Path) {
					if want[e.Path] == nil {
						want[e.Path] = map[int]*Entry{}
					}
					want[e.Path][i] = headOf(e)
				}
			}
		}
		last := ""
		var bytes int64
		seen := map[string]bool{}
		missing := func(path string, i int, unknown bool) {
			if want[path][i] != nil && !unknown {
				t.Fatalf("%q of snapshot %d was not seen and is not said to be unknown", path, i)
			}
		}
		var gaps [][]GapError
		for range trees {
			gaps = append(gaps, nil)
		}
		err := sweep.Run(SweepOptions{Get: g, Match: match, Next: never,
			Read: func(n int64) { bytes += n },
			Gap: func(gap *GapError, in []Span) {
				if !lost[gap.ID] {
					t.Fatalf("gap of a chunk that is there: %v", gap)
				}
				for _, s := range in {
					for i := s.First; i <= s.Last; i++ {
						gaps[i] = append(gaps[i], *gap)
					}
				}
			},
			Path: func(path string, versions []Version, unknown func(int) bool) error {
				if seen[path] || last != "" && ComparePaths(last, path) >= 0 {
					t.Fatalf("%q after %q", path, last)
				}
				last, seen[path] = path, true
				in := map[int]bool{}
				for _, v := range versions {
					for _, s := range v.In {
						for i := s.First; i <= s.Last; i++ {
							if in[i] || want[path][i] == nil {
								t.Fatalf("%q in snapshot %d: twice, or not at all", path, i)
							}
							in[i] = true
							if !v.Entry.Same(want[path][i]) {
								t.Fatalf("%q in snapshot %d is another entry", path, i)
							}
						}
					}
				}
				for i := range trees {
					if !in[i] {
						missing(path, i, unknown(i))
					}
				}
				return nil
			}})
		if err != nil {
			t.Fatal(err)
		}
		for path := range want {
			if !seen[path] && len(lost) == 0 {
				t.Fatalf("%q was not seen", path)
			}
		}
		places := map[StreamRef]bool{}
		for _, rec := range recs {
			for _, ref := range rec.Chunks {
				places[ref] = true
			}
		}
		for ref := range places {
			g.fetched[ref.ID]-- // a renamed file may have its content list at two places
		}
		for id, n := range g.fetched {
			if n > 0 {
				t.Fatalf("stream chunk %s was fetched too often, by %d", id.Short(), n)
			}
		}
		if len(lost) == 0 && bytes != sweep.Bytes(nil) {
			t.Fatalf("%d bytes read, %d announced", bytes, sweep.Bytes(nil))
		}
	})
}

func never() error { return nil }

// What two snapshots share is not fetched to compare them.
func TestSweepSkipsWhatSnapshotsShare(t *testing.T) {
	all := memory{}
	tree := roomyTree(8000)
	before, err := all.write(tree)
	if err != nil {
		t.Fatal(err)
	}
	tree[4000] = tree[4000].Clone()
	tree[4000].Mode = 0o600
	now, err := all.write(tree)
	if err != nil {
		t.Fatal(err)
	}
	var sweep Sweep
	sweep.Add(&before, "")
	sweep.Add(&now, "")
	g := newCounting(all)
	var changed []string
	err = sweep.Run(SweepOptions{Get: g, Match: func(string) bool { return true }, Next: never,
		Skip: func(in []Span) bool { return in[0] == Span{0, 1} },
		Read: func(int64) {}, Gap: func(g *GapError, _ []Span) { t.Error(g) },
		Path: func(path string, v []Version, _ func(int) bool) error {
			if len(v) != 2 || !v[0].Entry.Same(v[1].Entry) {
				changed = append(changed, path)
			}
			return nil
		}})
	if err != nil || !slices.Equal(changed, []string{tree[4000].Path}) {
		t.Fatal(changed, err)
	}
	if g.n != 2 {
		t.Errorf("%d stream chunks read to compare snapshots that differ in one", g.n)
	}
}

// remade gives out stream chunks of a synthetic tree by making them anew: five
// million entries need no memory and no disk. A chunk is found by its ID.
type remade struct {
	n     int
	from  map[chunk.ID]int // first entry of each chunk
	spent time.Duration    // to make them, which is no part of reading
}

func (r *remade) Get(id chunk.ID, _ chunk.Kind, _ int64, buf []byte) (plain []byte, err error) {
	start := time.Now()
	defer func() { r.spent += time.Since(start) }()
	w := NewStreamWriter(func(b []byte, ref StreamRef) error {
		if ref.ID == id {
			plain = append(buf[:0], b...)
		}
		return nil
	})
	i, ok := r.from[id]
	if !ok {
		return nil, fmt.Errorf("no chunk %s", id.Short())
	}
	w.last = position{path: "", kind: disk.KindDir, known: i > 0}
	if i > 0 {
		parent, _ := Split(synthetic(i).Path)
		w.last = position{path: parent, kind: disk.KindDir, known: true}
	}
	for ; i < r.n && plain == nil; i++ {
		if err := w.Add(synthetic(i)); err != nil {
			return nil, err
		}
	}
	if plain == nil {
		_, err = w.Close()
	}
	return plain, err
}

// One directory of five million entries costs the few stream chunks that cover
// it. The long version has five million, the short one 200,000.
func TestListingOneOfManyDirectoriesReadsFewChunks(t *testing.T) {
	n := 200_000
	if os.Getenv("WL_SOAK") != "" {
		n = 5_000_000
	}
	src := &remade{n: n, from: map[chunk.ID]int{}}
	var rec TreeRecord
	first := 0
	i := 0
	w := NewStreamWriter(func(plain []byte, ref StreamRef) error {
		src.from[ref.ID] = first
		first = i + 1 // cuts are made behind items
		rec.Chunks = append(rec.Chunks, ref)
		return nil
	})
	for ; i < n; i++ {
		if err := w.Add(synthetic(i)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	g := newCounting(src)
	dir := fmt.Sprintf("directory-%06d", n/2000)
	start := time.Now()
	got, found := list(t, ListOptions{Tree: rec, Get: g, Path: dir})
	if !found || len(got) != 999 {
		t.Fatalf("%d entries, found %v", len(got), found)
	}
	if g.n > 8 {
		t.Errorf("%d of %d stream chunks read for one directory", g.n, len(rec.Chunks))
	}
	t.Logf("%d entries in %d stream chunks: %d of them read for a directory of %d, in %v", n, len(rec.Chunks), g.n, len(got), time.Since(start)-src.spent)
}
