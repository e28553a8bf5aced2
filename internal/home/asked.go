package home

import (
	"slices"

	"waterlock/internal/chunk"
	"waterlock/internal/courier"
)

// asked is a list of chunks that are looked for, 33 bytes each, and which of them have been met.
type asked struct {
	ids []chunk.ID // sorted
	met []bool
	n   int // not met yet
}

func newAsked(ids []chunk.ID) *asked {
	slices.SortFunc(ids, chunk.ID.Compare)
	ids = slices.Compact(ids)
	return &asked{ids: ids, met: make([]bool, len(ids)), n: len(ids)}
}

// wanted is what the newest receipt asks for, of one kind.
func (b *books) wanted(kind chunk.Kind) *asked {
	n := 0
	b.eachWant(kind, func(*courier.Want) { n++ })
	ids := make([]chunk.ID, 0, n)
	b.eachWant(kind, func(w *courier.Want) { ids = append(ids, w.ID) })
	return newAsked(ids)
}

func (b *books) eachWant(kind chunk.Kind, fn func(*courier.Want)) {
	if b.receipt == nil {
		return
	}
	for i := range b.receipt.Wants {
		if b.receipt.Wants[i].Kind == kind {
			fn(&b.receipt.Wants[i])
		}
	}
}

// lacks tells whether a chunk is looked for and was not met yet.
func (a *asked) lacks(id chunk.ID) bool {
	i, ok := slices.BinarySearchFunc(a.ids, id, chunk.ID.Compare)
	return ok && !a.met[i]
}

// meet notes that a chunk that is looked for was found.
func (a *asked) meet(id chunk.ID) {
	if i, ok := slices.BinarySearchFunc(a.ids, id, chunk.ID.Compare); ok && !a.met[i] {
		a.met[i] = true
		a.n--
	}
}
