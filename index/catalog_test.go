package index

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"waterlock/internal/chunk"
)

func openCatalog(t rapid.TB, dir string, wantFresh bool) *Catalog {
	t.Helper()
	c, fresh, err := OpenCatalog(dir)
	must(t, err)
	if fresh != wantFresh {
		t.Fatalf("fresh is %v", fresh)
	}
	return c
}

type placeRef struct {
	id        int
	container ContainerID
}

type pathRef struct{ tree, path string }

type offsetRef struct {
	container ContainerID
	offset    int64
}

// catalogModel is what a catalog should say.
type catalogModel struct {
	places     map[placeRef]Place
	reverse    map[offsetRef]int
	containers map[ContainerID]Container
	paths      map[pathRef]PathRow
	groups     map[pathRef]ContainerID // path is the group's number
	wants      map[int]Want
	drive      map[int]map[uint32]DrivePlace
	checked    map[int]bool
	arrived    map[uint64]bool
	last       ContainerID
}

func newCatalogModel() *catalogModel {
	return &catalogModel{map[placeRef]Place{}, map[offsetRef]int{}, map[ContainerID]Container{}, map[pathRef]PathRow{},
		map[pathRef]ContainerID{}, map[int]Want{}, map[int]map[uint32]DrivePlace{}, map[int]bool{}, map[uint64]bool{}, 0}
}

func (m *catalogModel) dropPlace(r placeRef) {
	if p, ok := m.places[r]; ok {
		delete(m.places, r)
		delete(m.reverse, offsetRef{r.container, p.Offset})
	}
}

func (m *catalogModel) dropContainer(id ContainerID) {
	for r, n := range m.reverse {
		if r.container == id {
			delete(m.reverse, r)
			delete(m.places, placeRef{n, id})
		}
	}
	delete(m.containers, id)
}

const (
	modelChunks     = 6
	modelContainers = 4
)

var (
	modelTrees = []string{"a", "ab", "b"}
	modelPaths = []string{"", "x", "x/y", "x/y/z", "x-y", "x.y", "x0", "xy", "\x01", "\xff/\xff", "x/\x01"}
)

// changes draws one change of a batch and makes it in the model too. An
// offset only ever holds the one chunk.
func (m *catalogModel) change(t *rapid.T, b *Batch) {
	id := rapid.IntRange(0, modelChunks-1).Draw(t, "chunk")
	k := ContainerID(rapid.IntRange(1, modelContainers).Draw(t, "container"))
	tree := rapid.SampledFrom(modelTrees).Draw(t, "tree")
	path := rapid.SampledFrom(modelPaths).Draw(t, "path")
	n := rapid.Uint64().Draw(t, "n")
	off := int64(id)<<33 + rapid.Int64Range(0, 1).Draw(t, "where") // a chunk may lie in a container twice
	switch rapid.IntRange(0, 12).Draw(t, "change") {
	case 0, 1, 2:
		p := Place{Container: k, Offset: off, StoredLen: uint32(n), PlainLen: uint32(n >> 32), Encoding: uint8(n % 3), ReadAt: int64(n)}
		b.AddPlace(tid(id), p)
		m.places[placeRef{id, k}] = p
		m.reverse[offsetRef{k, p.Offset}] = id
	case 3:
		b.DropPlace(tid(id), k)
		m.dropPlace(placeRef{id, k})
	case 4:
		c := Container{ID: k, Kind: ContainerKind(n%5 + 1), Tree: tree, Name: path, Ino: n, Size: int64(n >> 1), MSec: int64(n),
			MNsec: int32(n % 1e9), Hash: chunk.SumContent([]byte(path)), ReadAt: int64(n >> 3), Damaged: n%2 == 0, Missing: n%3 == 0}
		b.PutContainer(c)
		m.containers[k] = c
		m.last = max(m.last, k)
	case 5:
		b.DropContainer(k)
		m.dropContainer(k)
	case 6:
		p := PathRow{Kind: uint8(n), Adopted: n%2 == 0, Container: k, Ino: n, Size: int64(n >> 1), MSec: int64(n), MNsec: int32(n % 1e9), LinkGroup: n,
			Digest: tid(id), Hash: chunk.ContentHash(tid(id))}
		b.PutPath(tree, path, p)
		m.paths[pathRef{tree, path}] = p
	case 7:
		b.DropPath(tree, path)
		delete(m.paths, pathRef{tree, path})
	case 8:
		if n%3 == 0 {
			b.DropGroup(tree, uint64(id))
			delete(m.groups, pathRef{tree, string(rune('0' + id))})
		} else {
			b.PutGroup(tree, uint64(id), k)
			m.groups[pathRef{tree, string(rune('0' + id))}] = k
		}
	case 9:
		if n%3 == 0 {
			b.DropWant(tid(id))
			delete(m.wants, id)
		} else {
			w := Want{n, chunk.Kind(n%2 + 1)}
			b.PutWant(tid(id), w)
			m.wants[id] = w
		}
	case 10:
		b.PutChecked(tid(id))
		m.checked[id] = true
	case 11:
		b.PutArrived(n % 5)
		m.arrived[n%5] = true
	case 12:
		b.DropPlaceAt(tid(id), k, off)
		delete(m.reverse, offsetRef{k, off})
		if m.places[placeRef{id, k}].Offset == off {
			delete(m.places, placeRef{id, k})
		}
	}
}

func (m *catalogModel) check(t *rapid.T, c *Catalog) {
	for id := range modelChunks {
		var want []Place
		for k := range ContainerID(modelContainers) {
			if p, ok := m.places[placeRef{id, k + 1}]; ok {
				want = append(want, p)
			}
		}
		got, err := c.Places(tid(id))
		must(t, err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("places of %d: %s", id, diff)
		}
		has, err := c.Has(tid(id))
		must(t, err)
		checked, err := c.Checked(tid(id))
		must(t, err)
		if has != (len(want) > 0) || checked != m.checked[id] {
			t.Fatalf("chunk %d: has %v, checked %v", id, has, checked)
		}
		w, found, err := c.Want(tid(id))
		must(t, err)
		if ww, ok := m.wants[id]; w != ww || found != ok {
			t.Fatalf("want %d: %v %v", id, w, found)
		}
		d, found, err := c.Drive(tid(id))
		must(t, err)
		var dw DrivePlace
		if packs := slices.Sorted(maps.Keys(m.drive[id])); len(packs) > 0 {
			dw = m.drive[id][packs[0]]
		}
		if d != dw || found != (len(m.drive[id]) > 0) {
			t.Fatalf("drive %d: %v %v, want %v", id, d, found, dw)
		}
		for _, tree := range modelTrees {
			g, found, err := c.Group(tree, uint64(id))
			must(t, err)
			if want, ok := m.groups[pathRef{tree, string(rune('0' + id))}]; g != want || found != ok {
				t.Fatalf("group %s/%d: %v %v", tree, id, g, found)
			}
		}
	}
	for k := range ContainerID(modelContainers + 1) {
		got, found, err := c.Container(k)
		must(t, err)
		if want, ok := m.containers[k]; got != want || found != ok {
			t.Fatalf("container %d: %v %v, want %v", k, got, found, want)
		}
		got2, want2 := map[int64]chunk.ID{}, map[int64]chunk.ID{}
		last := int64(-1)
		must(t, c.ContainerChunks(k, func(offset int64, id chunk.ID, n uint32) error {
			if offset <= last {
				t.Fatalf("offset %d after %d", offset, last)
			}
			got2[offset], last = id, offset
			return nil
		}))
		for r, n := range m.reverse {
			if r.container == k {
				want2[r.offset] = tid(n)
			}
		}
		if diff := cmp.Diff(want2, got2); diff != "" {
			t.Fatalf("chunks of container %d: %s", k, diff)
		}
	}
	all := map[ContainerID]Container{}
	must(t, c.Containers(func(k Container) error { all[k.ID] = k; return nil }))
	if diff := cmp.Diff(m.containers, all); diff != "" {
		t.Fatal(diff)
	}
	wants := map[chunk.ID]Want{}
	must(t, c.Wants(func(id chunk.ID, w Want) error { wants[id] = w; return nil }))
	if len(wants) != len(m.wants) {
		t.Fatalf("%d wants, expected %d", len(wants), len(m.wants))
	}
	for _, tree := range modelTrees {
		m.checkPaths(t, c, tree)
	}
	for n := range uint64(5) {
		arrived, err := c.Arrived(n)
		must(t, err)
		if arrived != m.arrived[n] {
			t.Fatalf("arrived %d: %v", n, arrived)
		}
	}
	st, err := c.Stats()
	must(t, err)
	if want := (Stats{int64(len(m.places)), int64(len(m.containers)), int64(len(m.paths)), int64(len(m.wants)), int64(len(m.checked))}); st != want {
		t.Fatalf("%+v, want %+v", st, want)
	}
}

func (m *catalogModel) checkPaths(t *rapid.T, c *Catalog, tree string) {
	var want, got []string
	for r := range m.paths {
		if r.tree == tree {
			want = append(want, r.path)
		}
	}
	slices.SortFunc(want, comparePaths)
	it := c.Paths(tree)
	defer it.Close()
	for {
		path, row, ok := it.Next()
		if !ok {
			break
		}
		got = append(got, path)
		if row != m.paths[pathRef{tree, path}] {
			t.Fatalf("%s/%s: %v", tree, path, row)
		}
		one, found, err := c.Path(tree, path)
		must(t, err)
		if !found || one != row {
			t.Fatalf("%s/%s: %v %v", tree, path, one, found)
		}
	}
	must(t, it.Err())
	if !slices.Equal(got, want) {
		t.Fatalf("paths of %s: %q, want %q", tree, got, want)
	}
}

// comparePaths is the order of a stream, spelled out: '/' before all bytes.
// That snapshot.ComparePaths is the same is tested where both are known.
func comparePaths(a, b string) int {
	return strings.Compare(strings.ReplaceAll(a, "/", "\x00"), strings.ReplaceAll(b, "/", "\x00"))
}

func TestCatalogIsSomeMaps(t *testing.T) {
	s := &scratch{t: t}
	rapid.Check(t, func(t *rapid.T) {
		dir := s.dir()
		c := openCatalog(t, dir, true)
		defer func() { c.Close() }()
		m := newCatalogModel()
		t.Repeat(map[string]func(*rapid.T){
			"batch": func(t *rapid.T) {
				b := c.Batch()
				for range rapid.IntRange(1, 12).Draw(t, "changes") {
					m.change(t, b)
				}
				must(t, b.Commit())
			},
			"drive": func(t *rapid.T) {
				if rapid.IntRange(0, 3).Draw(t, "clear") == 0 {
					must(t, c.ClearDrive())
					clear(m.drive)
					return
				}
				id, pack := rapid.IntRange(0, modelChunks-1).Draw(t, "chunk"), rapid.Uint32Range(0, 2).Draw(t, "pack")
				if rapid.Bool().Draw(t, "drop") {
					must(t, c.DropDrive(tid(id), pack))
					delete(m.drive[id], pack)
					return
				}
				p := DrivePlace{ID: tid(id), Pack: pack, Number: 1, Encoding: 2, Offset: 1 << 31, StoredLen: 3, PlainLen: 4}
				must(t, c.PutDrive([]DrivePlace{p}))
				if m.drive[id] == nil {
					m.drive[id] = map[uint32]DrivePlace{}
				}
				m.drive[id][pack] = p
			},
			"forget": func(t *rapid.T) {
				must(t, c.ForgetChecks())
				clear(m.checked)
				clear(m.arrived)
			},
			"next": func(t *rapid.T) {
				if k := c.NextContainer(); k <= m.last {
					t.Fatalf("container number %d given out, %d was used", k, m.last)
				} else {
					m.last = k
				}
			},
			"reopen": func(t *rapid.T) {
				if rapid.IntRange(0, 4).Draw(t, "sometimes") == 0 {
					must(t, c.Close())
					c = openCatalog(t, dir, false)
				}
			},
			"": func(t *rapid.T) { m.check(t, c) },
		})
	})
}

func TestALargeBatchIsWrittenInParts(t *testing.T) {
	c := openCatalog(t, t.TempDir(), true)
	defer c.Close()
	b := c.Batch()
	const n = 2*batchRows + 17
	b.PutContainer(Container{ID: 1, Kind: Mirror})
	for i := range n {
		b.AddPlace(tid(i), Place{Container: 1, Offset: int64(i)})
		if b.Len() > batchRows {
			t.Fatalf("%d changes wait", b.Len())
		}
	}
	b.DropPlace(tid(n-1), 1)
	must(t, b.Commit())
	st, err := c.Stats()
	must(t, err)
	if st.Places != n-1 {
		t.Fatalf("%d places", st.Places)
	}
	// Dropping the container takes all of them, and what the batch still holds.
	b.AddPlace(tid(n), Place{Container: 1, Offset: n})
	b.AddPlace(tid(n), Place{Container: 2, Offset: n})
	b.DropContainer(1)
	must(t, b.Commit())
	if st, err = c.Stats(); err != nil || st.Places != 1 || st.Containers != 0 {
		t.Fatal(st, err)
	}
}

func TestAnIteratorSeesWhatWasThereWhenItBegan(t *testing.T) {
	c := openCatalog(t, t.TempDir(), true)
	defer c.Close()
	b := c.Batch()
	for _, p := range []string{"a", "b", "c"} {
		b.PutPath("t", p, PathRow{Kind: 1})
	}
	must(t, b.Commit())
	it := c.Paths("t")
	defer it.Close()
	var got []string
	for {
		path, row, ok := it.Next()
		if !ok {
			break
		}
		got = append(got, path)
		if row.Kind != 1 {
			t.Fatal(row)
		}
		b.DropPath("t", "c")
		b.PutPath("t", "b", PathRow{Kind: 2})
		b.PutPath("t", "bb", PathRow{Kind: 3})
		must(t, b.Commit())
	}
	must(t, it.Err())
	if want := []string{"a", "b", "c"}; !slices.Equal(got, want) {
		t.Fatalf("%q, want %q", got, want)
	}
}

func TestWhatIsTooLongIsRefusedAndTheRestWritten(t *testing.T) {
	c := openCatalog(t, t.TempDir(), true)
	defer c.Close()
	b := c.Batch()
	b.PutPath("t", "a", PathRow{})
	b.PutPath("t", strings.Repeat("x", 70_000), PathRow{})
	b.PutPath("t", strings.Repeat("y", 59_000), PathRow{})
	b.SetMeta("m", make([]byte, MaxMeta+1))
	b.PutPath("t", "b", PathRow{})
	if err := b.Commit(); !errors.Is(err, ErrTooLong) {
		t.Fatal(err)
	}
	must(t, b.Commit())
	st, err := c.Stats()
	must(t, err)
	if st.Paths != 3 {
		t.Fatal(st)
	}
	if _, found, err := c.Path("t", strings.Repeat("x", 70_000)); found || err != nil {
		t.Fatal(found, err)
	}
}
