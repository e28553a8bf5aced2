package vault

import (
	"cmp"
	"slices"

	"waterlock/internal/chunk"
	"waterlock/internal/courier"
	"waterlock/snapshot"
)

// need says who needs a chunk: the newest snapshot that names it, and a path of that, with the tree before it.
type need struct {
	snapshot uint64
	path     string
}

// needs says it of what is wanted, for people: of so many chunks, and of paths that a receipt has room for.
type needs map[chunk.ID]need

const maxNeeds = 10_000

// add notes who needs a chunk. Snapshots come the oldest first, so the newest stays.
func (n needs) add(id chunk.ID, by need) {
	if len(by.path) > courier.MaxWantPath {
		by.path = ""
	}
	if _, known := n[id]; known || len(n) < maxNeeds {
		n[id] = by
	}
}

// list gathers them by snapshot and path.
func (n needs) list() []Lack {
	count := map[need]int64{}
	for _, by := range n {
		if by.path != "" {
			count[by]++
		}
	}
	list := make([]Lack, 0, len(count))
	for by, chunks := range count {
		list = append(list, Lack{by.snapshot, by.path, chunks})
	}
	slices.SortFunc(list, func(a, b Lack) int {
		return cmp.Or(cmp.Compare(a.Snapshot, b.Snapshot), snapshot.ComparePaths(a.Path, b.Path))
	})
	return list
}
