package chunkstore

import (
	"slices"

	"waterlock/index"
	"waterlock/internal/chunk"
	"waterlock/snapshot"
)

// growing knows the file that grows for each path: of several the newest, for
// the others will never be whole.
type growing map[pathKey]index.ContainerID

func (g growing) of(tree, path string) index.ContainerID { return g[pathKey{tree, path}] }

func (g growing) add(tree, path string, id index.ContainerID) {
	key := pathKey{tree, path}
	g[key] = max(g[key], id)
}

func (g growing) drop(id index.ContainerID) {
	for key, have := range g {
		if have == id {
			delete(g, key)
		}
	}
}

// take notes what a finished action means for the growing files.
func (g growing) take(a *action) {
	switch {
	case a.kind == actGrow:
		g.add(a.tree, a.path, a.cont)
	case a.kind == actDrop && a.row == index.Staging, a.kind == actPlace && a.cont != 0:
		g.drop(a.cont)
	}
}

// Growing reports whether a file grows for a path.
func (s *Store) Growing(tree, path string) bool { return s.growing.of(tree, path) != 0 }

// Grown is how many bytes the file that grows for a path has.
func (s *Store) Grown(tree, path string) (int64, error) {
	list, err := s.chunksOf(s.growing.of(tree, path))
	return bytesIn(list), err
}

// chunksOf are the chunks of a container at their offsets, in their order.
func (s *Store) chunksOf(id index.ContainerID) (list []placed, err error) {
	if id == 0 {
		return nil, nil
	}
	err = s.cat.ContainerChunks(id, func(off int64, cid chunk.ID, n uint32) error {
		list = append(list, placed{off, cid, int64(n)})
		return nil
	})
	return list, err
}

// chunksIn are the chunks of a content list at their offsets.
func chunksIn(content []snapshot.Extent) []placed {
	list := make([]placed, 0, len(content))
	var off int64
	for _, x := range content {
		if !x.Hole {
			list = append(list, placed{off, x.ID, x.Length})
		}
		off += x.Length
	}
	return list
}

// comparison is how the chunks that a file has stand to those it is to have.
type comparison struct {
	missing []placed // to be written
	clash   []placed // in the way of chunks that are to be there
	loose   []placed // where no chunk is to be
	kept    int64    // bytes that are there already
}

// compare sets chunks that are to be in a file against those that are there.
// Both lists are in the order of their offsets, and none overlaps the next.
func compare(want, have []placed) comparison {
	var c comparison
	i := 0
	for _, h := range have {
		for i < len(want) && want[i].end() <= h.off {
			c.missing = append(c.missing, want[i])
			i++
		}
		switch {
		case i == len(want) || want[i].off >= h.end():
			c.loose = append(c.loose, h)
		case want[i] == h:
			c.kept += h.len
			i++
		default:
			c.clash = append(c.clash, h)
		}
	}
	c.missing = append(c.missing, want[i:]...)
	return c
}

// overlapping are those of list that overlap one of the others.
func overlapping(list, others []placed) (out []placed) {
	i := 0
	for _, p := range list {
		for i < len(others) && others[i].end() <= p.off {
			i++
		}
		if i < len(others) && others[i].off < p.end() {
			out = append(out, p)
		}
	}
	return out
}

// without is list but for what is in less; both are in the order of their offsets.
func without(list, less []placed) []placed {
	return slices.DeleteFunc(slices.Clone(list), func(p placed) bool {
		_, found := slices.BinarySearchFunc(less, p, byOffset)
		return found
	})
}

func byOffset(a, b placed) int {
	switch {
	case a.off < b.off:
		return -1
	case a.off > b.off:
		return 1
	}
	return 0
}

func bytesIn(list []placed) (n int64) {
	for _, p := range list {
		n += p.len
	}
	return n
}

func endOf(list []placed) int64 {
	if len(list) == 0 {
		return 0
	}
	return list[len(list)-1].end()
}
