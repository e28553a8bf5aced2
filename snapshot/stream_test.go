package snapshot

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/internal/wire"
)

func sameEntry(t interface{ Fatalf(string, ...any) }, want, got *Entry) {
	if want.Same(got) && want.Pending == got.Pending && want.Unseen == got.Unseen && slices.Equal(want.Carried, got.Carried) {
		return
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("entry differs (-want +got):\n%s", diff)
	}
	t.Fatalf("Same and the comparison field by field differ on %q", want.Path)
}

func readAll(r *StreamReader) (tree []*Entry, gaps []*GapError, err error) {
	for {
		e, err := r.Next()
		var gap *GapError
		switch {
		case err == io.EOF:
			return tree, gaps, nil
		case errors.As(err, &gap):
			gaps = append(gaps, gap)
			if len(gaps) > 10000 {
				return nil, nil, errors.New("no end of gaps")
			}
		case err != nil:
			return nil, nil, err
		default:
			tree = append(tree, e.Clone())
		}
	}
}

func TestStreamRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tree := drawTree(t, 60)
		m := memory{}
		rec, err := m.write(tree)
		if err != nil {
			t.Fatal(err)
		}
		got, gaps, err := readAll(NewStreamReader(rec, m))
		if err != nil || len(gaps) != 0 || len(got) != len(tree) {
			t.Fatalf("%d of %d entries, gaps %v, error %v", len(got), len(tree), gaps, err)
		}
		for i := range tree {
			sameEntry(t, tree[i], got[i])
		}
		at := tree[rapid.IntRange(0, len(tree)-1).Draw(t, "at")].Path
		got, _, err = readAll(NewStreamReaderAt(rec, m, at))
		if err != nil || len(got) == 0 || got[0].Path != at {
			t.Fatalf("reading at %q: %v, %v", at, got, err)
		}
	})
}

func TestEntryAloneRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := drawEntry(t)
		e.Path = drawName(t)
		var w wire.Writer
		EncodeEntry(&w, &e)
		r := wire.NewReader(w.Bytes())
		got, err := DecodeEntry(r)
		if err != nil || r.Done() != nil {
			t.Fatal(err, r.Done())
		}
		sameEntry(t, &e, got)
		if !e.Same(got) || e.Digest() != got.Digest() {
			t.Fatal("not the same")
		}
		other := got.Clone()
		other.Unseen = !other.Unseen
		other.Pending, other.Carried = !other.Pending, nil
		if !other.Same(&e) || other.Digest() != e.Digest() {
			t.Fatal("flags change the digest")
		}
		other.MTime.Sec++
		if other.Same(&e) || other.Digest() == e.Digest() {
			t.Fatal("another time, and the same digest")
		}
	})
}

// synthetic is the i-th of many entries: a file in a directory of a thousand.
func synthetic(i int) *Entry {
	if i == 0 {
		return &Entry{Kind: disk.KindDir, Mode: 0o755}
	}
	dir := fmt.Sprintf("directory-%06d", i/1000)
	if i%1000 == 0 || i == 1 {
		return &Entry{Path: dir, Kind: disk.KindDir, Mode: 0o755, User: "anna", Group: "users", MTime: disk.Time{Sec: int64(i)}}
	}
	e := &Entry{
		Path: fmt.Sprintf("%s/some file name %06d.jpeg", dir, i), Kind: disk.KindFile, Mode: 0o644,
		UID: 1000, GID: 1000, User: "anna", Group: "users",
		MTime: disk.Time{Sec: 1700000000 + int64(i), Nsec: int32(i)}, Size: 4096,
	}
	e.Hash = chunk.SumContent([]byte(e.Path))
	e.Content = []Extent{{ID: chunk.ID(e.Hash), Length: 4096}}
	return e
}

// refsOf writes a stream and returns its chunk IDs.
func refsOf(t testing.TB, n int, entry func(i int) *Entry) (ids []chunk.ID, bytes int) {
	w := NewStreamWriter(func(plain []byte, ref StreamRef) error {
		ids = append(ids, ref.ID)
		bytes += len(plain)
		return nil
	})
	for i := range n {
		if e := entry(i); e != nil {
			if err := w.Add(e); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return ids, bytes
}

func newIDs(before, after []chunk.ID) (n int) {
	for _, id := range after {
		if !slices.Contains(before, id) {
			n++
		}
	}
	return n
}

func TestEditChangesFewStreamChunks(t *testing.T) {
	const n = 100_000
	before, size := refsOf(t, n, synthetic)
	if avg := size / len(before); avg < AvgStreamChunk/2 || avg > AvgStreamChunk*3/2 {
		t.Errorf("stream chunks of %d bytes on average, want about %d", avg, AvgStreamChunk)
	}
	for name, change := range map[string]func(i int) *Entry{
		"edit": func(i int) *Entry {
			e := synthetic(i)
			if i == n/2+1 {
				e.MTime.Sec++
				e.Size++
				e.Hash[0]++
			}
			return e
		},
		"rename": func(i int) *Entry { // a file that moves far away
			if i == 77_777 {
				return nil
			}
			e := synthetic(i)
			if i == n-1 {
				e = synthetic(77_777)
				e.Path = "moved"
			}
			return e
		},
		"rename directory": func(i int) *Entry {
			e := synthetic(i)
			if i >= n-1000 {
				_, name := Split(e.Path)
				if i == n-1000 {
					name = ""
				}
				e.Path = Join("renamed", name)
				if name == "" {
					e.Path = "renamed"
				}
			}
			return e
		},
		"delete": func(i int) *Entry {
			if i == 50_001 {
				return nil
			}
			return synthetic(i)
		},
	} {
		after, _ := refsOf(t, n, change)
		if got := newIDs(before, after); got == 0 || got > 4 {
			t.Errorf("%s: %d of %d stream chunks are new, want 1 to 4", name, got, len(after))
		}
	}
}

// hugeContent is the content list of a file of 200 GiB.
func hugeContent() []Extent {
	list := make([]Extent, 200<<30/(1536<<10))
	var number [8]byte
	for i := range list {
		binary.LittleEndian.PutUint64(number[:], uint64(i))
		list[i] = Extent{ID: chunk.Data.ID(number[:]), Length: 1536 << 10}
	}
	return list
}

func TestInsertIntoHugeFileChangesFewStreamChunks(t *testing.T) {
	list := hugeContent()
	file := func(content []Extent) func(i int) *Entry {
		return func(i int) *Entry {
			if i == 0 {
				return synthetic(0)
			}
			e := &Entry{Path: "huge", Kind: disk.KindFile, Content: content}
			e.Size = e.ContentSize()
			e.Hash[0] = byte(len(content))
			return e
		}
	}
	before, size := refsOf(t, 2, file(list))
	if avg := size / len(before); avg > 2*AvgStreamChunk {
		t.Errorf("stream chunks of %d bytes on average", avg)
	}
	changed := slices.Insert(slices.Clone(list), len(list)/2, Extent{ID: chunk.Data.ID([]byte("new")), Length: 64 << 10})
	after, _ := refsOf(t, 2, file(changed))
	if got := newIDs(before, after); got == 0 || got > 4 {
		t.Errorf("%d of %d stream chunks are new, want 1 to 4", got, len(after))
	}
}

func TestHugeFileRoundTrip(t *testing.T) {
	content := hugeContent()
	if raceEnabled { // it is slow with large slices
		content = content[:20000]
	}
	e := &Entry{Path: "huge", Kind: disk.KindFile, Pending: true, Content: content}
	e.Carried = append(slices.Clone(e.Content[:5000]), Extent{Hole: true, Length: 1 << 45})
	e.Hash[0], e.Size = 1, e.ContentSize()
	m := memory{}
	tree := []*Entry{synthetic(0), e, {Path: "small", Kind: disk.KindFile}}
	rec, err := m.write(tree)
	if err != nil {
		t.Fatal(err)
	}
	got, gaps, err := readAll(NewStreamReader(rec, m))
	if err != nil || len(gaps) != 0 || len(got) != 3 {
		t.Fatal(len(got), gaps, err)
	}
	if !got[1].Same(e) || !slices.Equal(got[1].Carried, e.Carried) || got[2].Path != "small" {
		t.Fatal("other entries came back")
	}
	var ids, carried int
	for _, ref := range rec.Chunks {
		err := StreamChunkIDs(m[ref.ID], ref, func(_ chunk.ID, _ int64, isCarried bool) error {
			if isCarried {
				carried++
			} else {
				ids++
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if ids != len(e.Content) || carried != 5000 {
		t.Fatalf("%d chunks of content, %d carried", ids, carried)
	}

	// Any chunk of it lost: the file is gone, its neighbours are not.
	for i := range rec.Chunks {
		if i%faultStep != 0 && i != len(rec.Chunks)-1 {
			continue
		}
		plain := m[rec.Chunks[i].ID]
		delete(m, rec.Chunks[i].ID)
		got, gaps, err := readAll(NewStreamReader(rec, m))
		m[rec.Chunks[i].ID] = plain
		if err != nil || len(gaps) != 1 {
			t.Fatal(i, gaps, err)
		}
		for _, e := range tree {
			has := slices.ContainsFunc(got, func(g *Entry) bool { return g.Path == e.Path })
			if has == gaps[0].Covers(e.Path) {
				t.Fatalf("chunk %d: %q is there: %v, in the gap from %q to %q: %v", i, e.Path, has, gaps[0].From, gaps[0].To, !has)
			}
		}
		if last := i == len(rec.Chunks)-1; !last && got[len(got)-1].Path != "small" {
			t.Fatalf("chunk %d: the entry behind is lost", i)
		}
	}
}

func TestLostStreamChunksAreGaps(t *testing.T) {
	const n = 1000
	var tree []*Entry
	for i := range n {
		e := synthetic(i)
		if i == 500 {
			e = &Entry{Path: "directory-000000/huge", Kind: disk.KindFile, Content: hugeContent()[:6000]}
			e.Hash[0] = 1
		}
		tree = append(tree, e)
	}
	slices.SortFunc(tree, func(a, b *Entry) int { return ComparePaths(a.Path, b.Path) })
	all := memory{}
	rec, err := all.write(tree)
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		m := maps.Clone(all)
		lost := rapid.SliceOfNDistinct(rapid.IntRange(0, len(rec.Chunks)-1), 1, 4, rapid.ID).Draw(t, "lost")
		for _, i := range lost {
			delete(m, rec.Chunks[i].ID)
		}
		got, gaps, err := readAll(NewStreamReader(rec, m))
		if err != nil || len(gaps) == 0 {
			t.Fatal(gaps, err)
		}
		at := 0
		for _, e := range tree {
			covered := slices.ContainsFunc(gaps, func(g *GapError) bool { return g.Covers(e.Path) })
			if at < len(got) && got[at].Path == e.Path {
				if covered {
					t.Fatalf("%q was read and is in a gap", e.Path)
				}
				at++
			} else if !covered {
				t.Fatalf("%q is missing and in no gap", e.Path)
			}
		}
		if at != len(got) {
			t.Fatalf("entries out of order behind %d", at)
		}
	})
}

// Merged with another sequence, the newest gap alone tells what may be missing,
// also where several chunks in a row are lost.
func TestLockstepOverGaps(t *testing.T) {
	m := memory{}
	var tree []*Entry
	var paths []string
	for i := range 3000 {
		tree = append(tree, synthetic(i))
		paths = append(paths, tree[i].Path)
	}
	rec, err := m.write(tree)
	must(t, err)
	for lost := range 1 << len(rec.Chunks) {
		if lost >= 256 {
			break
		}
		some := maps.Clone(m)
		for i, ref := range rec.Chunks {
			if lost>>i&1 != 0 {
				delete(some, ref.ID)
			}
		}
		var gap *GapError
		missing := 0
		must(t, Lockstep(Entries(NewStreamReader(rec, some)), pathsOf(paths, -1, nil),
			func(path string, _ *Entry, hasA bool, _ string, hasB bool) error {
				if !hasB || !hasA && (gap == nil || !gap.Covers(path)) {
					return fmt.Errorf("lost %b: %q is missing", lost, path)
				}
				if !hasA {
					missing++
				}
				return nil
			}, func(err error) error {
				if !errors.As(err, &gap) {
					return err
				}
				return nil
			}))
		if (missing > 0) != (lost > 0) {
			t.Fatalf("lost %b: %d missing", lost, missing)
		}
	}
}

func TestWriterRefuses(t *testing.T) {
	dir := func(p string) *Entry { return &Entry{Path: p, Kind: disk.KindDir} }
	file := func(p string) *Entry { return &Entry{Path: p, Kind: disk.KindFile} }
	for name, tree := range map[string][]*Entry{
		"no root":          {dir("a")},
		"root is a file":   {file("")},
		"two roots":        {dir(""), dir("")},
		"twice":            {dir(""), dir("a"), dir("a")},
		"out of order":     {dir(""), dir("b"), dir("a")},
		"parent missing":   {dir(""), dir("a/b")},
		"parent is a file": {dir(""), file("a"), file("a/b")},
		"parent passed":    {dir(""), dir("a"), dir("b"), file("a/b")},
		"dot dot":          {dir(""), dir("..")},
		"dot":              {dir(""), dir("."), file("./a")},
		"empty name":       {dir(""), dir("a"), file("a//b")},
		"absolute":         {dir(""), file("/a")},
		"trailing slash":   {dir(""), file("a/")},
		"NUL":              {dir(""), file("a\x00b")},
	} {
		if _, err := (memory{}).write(tree); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	// A refused entry changes nothing.
	var got []byte
	w := NewStreamWriter(func(plain []byte, _ StreamRef) error { got = slices.Clone(plain); return nil })
	for _, e := range []*Entry{dir(""), file("b")} {
		if err := w.Add(e); err != nil {
			t.Fatal(err)
		}
		if err := w.Add(file("a")); e.Path != "" && err == nil {
			t.Fatal("accepted")
		} else if e.Path == "" && err != nil {
			t.Fatal(err)
		}
	}
	if totals, err := w.Close(); err != nil || totals.Files != 2 || len(got) == 0 {
		t.Fatal(totals, err)
	}
}

// A million entries pass through writer and reader in the memory of a chunk.
func TestStreamOfAMillionEntriesStaysSmall(t *testing.T) {
	n := 1_000_000
	if raceEnabled || testing.Short() {
		n = 100_000
	}
	heap := func() uint64 {
		var s runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&s)
		return s.HeapAlloc
	}
	start := heap()
	var most uint64
	var refs []StreamRef
	var kept []byte
	i := 0
	next := 0
	w := NewStreamWriter(func(plain []byte, ref StreamRef) error {
		refs = append(refs, ref)
		kept = append(kept[:0], plain...)
		chunks := []StreamRef{{}, ref} // the reader begins at the second
		if ref.FirstPath == "" {
			chunks = chunks[1:]
		}
		r := NewStreamReaderAt(TreeRecord{Chunks: chunks}, oneChunk{kept}, ref.FirstPath)
		for {
			_, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				return err
			}
			next++
		}
		if len(refs)%50 == 0 {
			most = max(most, heap()-start)
		}
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
	if next != n {
		t.Fatalf("%d of %d entries read again", next, n)
	}
	// Chunk, item and decoder, and the references of what was emitted.
	if limit := uint64(4<<20 + 200*len(refs)); most > limit {
		t.Errorf("%d bytes of heap, want at most %d", most, limit)
	}
}

// oneChunk hands out the same bytes for every ID.
type oneChunk struct{ plain []byte }

func (o oneChunk) Get(_ chunk.ID, _ chunk.Kind, _ int64, buf []byte) ([]byte, error) {
	return append(buf[:0], o.plain...), nil
}

func TestTotalsOfSparseFilesDoNotOverflow(t *testing.T) {
	var sum Totals
	for range 3 {
		sum.count(&Entry{Kind: disk.KindFile, Size: MaxSize})
	}
	if err := sum.validate(); err != nil || sum.Bytes != MaxSize || sum.Files != 3 {
		t.Errorf("%+v: %v", sum, err)
	}
}
