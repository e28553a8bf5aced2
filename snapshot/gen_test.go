package snapshot

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"pgregory.net/rapid"

	"waterlock/internal/chunk"
	"waterlock/internal/disk"
)

// Generators of valid values, shared by the property tests.

func drawName(t *rapid.T) string {
	return rapid.OneOf(
		rapid.SampledFrom([]string{"a", "a.b", "a b", "...", "\xff\xfe", `..\x`, "é", "\n", "-", "A", "0"}),
		rapid.Custom(func(t *rapid.T) string {
			b := rapid.SliceOfN(rapid.ByteRange(1, 255), 1, 20).Draw(t, "name")
			return strings.ReplaceAll(string(b), "/", "_")
		}),
	).Filter(func(s string) bool { return ValidName(s) == nil }).Draw(t, "name")
}

func drawTime(t *rapid.T) disk.Time {
	return disk.Time{
		Sec:  rapid.Int64().Draw(t, "sec"),
		Nsec: rapid.Int32Range(0, 999999999).Draw(t, "nsec"),
	}
}

func drawExtents(t *rapid.T, maxN int) []Extent {
	var list []Extent
	for range rapid.IntRange(0, maxN).Draw(t, "extents") {
		hole := rapid.IntRange(0, 4).Draw(t, "hole") == 0
		if hole && (len(list) == 0 || !list[len(list)-1].Hole) {
			list = append(list, Extent{Hole: true, Length: rapid.Int64Range(1, 1<<40).Draw(t, "length")})
			continue
		}
		x := Extent{Length: rapid.Int64Range(1, chunk.MaxSize).Draw(t, "length")}
		binary.LittleEndian.PutUint64(x.ID[8:], rapid.Uint64Range(1, 1<<40).Draw(t, "id"))
		if rapid.IntRange(0, 9).Draw(t, "cut") != 0 {
			x.ID[0] = 1
		}
		list = append(list, x)
	}
	return list
}

// drawEntry is an entry of any kind but for the path.
func drawEntry(t *rapid.T) Entry {
	e := Entry{
		Kind:   Kind(rapid.IntRange(1, 7).Draw(t, "kind")),
		Unseen: rapid.Bool().Draw(t, "unseen"),
		Mode:   rapid.Uint32Range(0, 0o7777).Draw(t, "mode"),
		UID:    rapid.Uint32().Draw(t, "uid"),
		GID:    rapid.Uint32().Draw(t, "gid"),
		User:   rapid.SampledFrom([]string{"", "root", "anna"}).Draw(t, "user"),
		Group:  rapid.SampledFrom([]string{"", "wheel"}).Draw(t, "group"),
		MTime:  drawTime(t),
	}
	if rapid.Bool().Draw(t, "born") {
		e.BTime = drawTime(t)
	}
	for _, name := range rapid.SliceOfNDistinct(rapid.StringN(1, 20, 60), 0, 3, rapid.ID).Draw(t, "xattrs") {
		if strings.IndexByte(name, 0) < 0 {
			e.Xattrs = append(e.Xattrs, disk.Xattr{Name: name, Value: rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "value")})
		}
	}
	slices.SortFunc(e.Xattrs, func(a, b disk.Xattr) int { return strings.Compare(a.Name, b.Name) })
	switch e.Kind {
	case disk.KindFile:
		e.Size = rapid.Int64Range(0, MaxSize).Draw(t, "size")
		if rapid.Bool().Draw(t, "known") {
			e.Hash[0] = 7
			e.Content = drawExtents(t, 40)
		}
		if rapid.IntRange(0, 3).Draw(t, "pending") == 0 {
			e.Pending = true
			e.Carried = drawExtents(t, 20)
		}
		if rapid.IntRange(0, 3).Draw(t, "linked") == 0 {
			e.LinkGroup = rapid.Uint64Range(1, 1<<63).Draw(t, "group")
		}
	case disk.KindSymlink:
		e.Target = rapid.SampledFrom([]string{"x", "../../etc", "\xff"}).Draw(t, "target")
	case disk.KindCharDevice, disk.KindBlockDevice:
		e.Rdev = rapid.Uint64().Draw(t, "rdev")
	}
	return e
}

// drawTree is the entries of a tree, in order.
func drawTree(t *rapid.T, maxN int) []*Entry {
	paths := []string{""}
	dirs := []string{""}
	seen := map[string]bool{"": true}
	for range rapid.IntRange(0, maxN).Draw(t, "entries") {
		parent := dirs[rapid.IntRange(0, len(dirs)-1).Draw(t, "parent")]
		p := Join(parent, drawName(t))
		if seen[p] {
			continue
		}
		seen[p] = true
		paths = append(paths, p)
		if rapid.IntRange(0, 2).Draw(t, "isdir") == 0 {
			dirs = append(dirs, p)
		}
	}
	slices.SortFunc(paths, ComparePaths)
	var tree []*Entry
	for _, p := range paths {
		e := drawEntry(t)
		if slices.Contains(dirs, p) {
			e = Entry{Kind: disk.KindDir, Mode: e.Mode, MTime: e.MTime, Xattrs: e.Xattrs}
		}
		e.Path = p
		tree = append(tree, &e)
	}
	return tree
}

// memory keeps chunks by their IDs.
type memory map[chunk.ID][]byte

func (m memory) Get(id chunk.ID, k chunk.Kind, length int64, buf []byte) ([]byte, error) {
	plain, ok := m[id]
	if !ok {
		return nil, fmt.Errorf("no chunk %s", id.Short())
	}
	return append(buf[:0], plain...), nil
}

// write makes a stream of entries.
func (m memory) write(tree []*Entry) (TreeRecord, error) {
	rec := TreeRecord{Name: "tree"}
	w := NewStreamWriter(func(plain []byte, ref StreamRef) error {
		m[ref.ID] = append([]byte{}, plain...)
		rec.Chunks = append(rec.Chunks, ref)
		return nil
	})
	for _, e := range tree {
		if err := w.Add(e); err != nil {
			return rec, fmt.Errorf("%q: %w", e.Path, err)
		}
	}
	var err error
	rec.Totals, err = w.Close()
	return rec, err
}
