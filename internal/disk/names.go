package disk

import (
	"cmp"
	"errors"
	"math"
	"slices"
	"strings"
)

// Names is a sorted list of names. A million of them cost their bytes and
// eight more each: one arena and the places within it.
type Names struct {
	arena string
	at    []span
}

type span struct{ off, len uint32 }

// Len is the number of names.
func (n Names) Len() int { return len(n.at) }

// At returns the i-th name. It shares the arena: clone what is kept for long.
func (n Names) At(i int) string {
	s := n.at[i]
	return n.arena[s.off : s.off+s.len]
}

// Find tells where name stands, or would stand.
func (n Names) Find(name string) (int, bool) {
	return slices.BinarySearchFunc(n.at, name, func(s span, name string) int {
		return cmp.Compare(n.arena[s.off:s.off+s.len], name)
	})
}

// NamesBuilder gathers names in any order. The zero value is ready.
type NamesBuilder struct {
	arena strings.Builder
	at    []span
}

var errTooManyNames = errors.New("more than 4 GiB of names in one directory")

// Add adds one name.
func (b *NamesBuilder) Add(name string) error {
	if uint64(b.arena.Len())+uint64(len(name)) > math.MaxUint32 {
		return errTooManyNames
	}
	b.at = append(b.at, span{uint32(b.arena.Len()), uint32(len(name))})
	b.arena.WriteString(name)
	return nil
}

// Names returns what was added, sorted. The builder is used up.
func (b *NamesBuilder) Names() Names {
	n := Names{b.arena.String(), b.at}
	*b = NamesBuilder{}
	slices.SortFunc(n.at, func(x, y span) int {
		return cmp.Compare(n.arena[x.off:x.off+x.len], n.arena[y.off:y.off+y.len])
	})
	return n
}
