package home

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"waterlock/internal/exclude"
	"waterlock/snapshot"
)

// What is new is carried in the order of the trees and their paths, which is how a disk is read best. Where the room or the time
// of a trip does not suffice, something else may matter more: patterns and trees that come first or last, and within those
// the newest, the oldest or the smallest. Sorting millions of names for that would cost memory or a sort on disk, and a disk
// that seeks. So each file has a rank, and the survey adds up how much is to be carried of each; the passes then
// take one range of ranks after the other, each in the order of paths. A range ends where its files may not all fit what
// room is left, where a class ends, and after a share of all there is to carry, so that a trip that is cut short has brought
// what came first.

// Order is in which order files of one class are carried.
type Order string

const (
	OrderPath     Order = "path"
	OrderNewest   Order = "newest" // by the time of the last change
	OrderOldest   Order = "oldest"
	OrderSmallest Order = "smallest"
)

func (o Order) check() error {
	if !slices.Contains([]Order{OrderPath, OrderNewest, OrderOldest, OrderSmallest}, o) {
		return fmt.Errorf("order is %q, not path, newest, oldest or smallest", o)
	}
	return nil
}

// Priority is the class of a tree, or of what a pattern matches.
type Priority string

const (
	PriorityFirst  Priority = "first"
	PriorityNormal Priority = ""
	PriorityLast   Priority = "last"
)

func (p Priority) check() error {
	if p != PriorityFirst && p != PriorityNormal && p != PriorityLast {
		return fmt.Errorf("priority is %q, not first or last", p)
	}
	return nil
}

// rank is a file's place in the order, the lower the earlier: the class, then the key.
type rank uint32

const (
	classShift      = 16
	rankAll    rank = math.MaxUint32
)

func (p Priority) rank() rank {
	switch p {
	case PriorityFirst:
		return 0 << classShift
	case PriorityLast:
		return 2 << classShift
	}
	return 1 << classShift
}

// priority is that of a class.
func (k rank) priority() Priority {
	return [...]Priority{PriorityFirst, PriorityNormal, PriorityLast}[min(k>>classShift, 2)]
}

// ranker gives the files of one tree their ranks. now must be the same for a whole run.
type ranker struct {
	first, last exclude.Rules
	tree        Priority
	order       Order
	now         time.Time
}

func newRanker(t Tree, order Order, now time.Time) (*ranker, error) {
	k := &ranker{tree: t.Priority, order: order, now: now}
	var err error
	if k.first, err = patterns(t.First, "first "+inConfig(t)); err != nil {
		return nil, err
	}
	k.last, err = patterns(t.Last, "last "+inConfig(t))
	return k, err
}

func (k *ranker) rank(n *snapshot.Node) rank {
	class := k.tree
	switch {
	case k.first.Covers(n.Entry.Path, false) != nil:
		class = PriorityFirst
	case k.last.Covers(n.Entry.Path, false) != nil:
		class = PriorityLast
	}
	switch age := k.now.Sub(n.Entry.MTime.Time()).Seconds(); k.order {
	case OrderNewest:
		return class.rank() + scale(age)
	case OrderOldest:
		return class.rank() + scaleEnd - scale(age)
	case OrderSmallest:
		return class.rank() + scale(float64(n.DataSize()))
	}
	return class.rank()
}

// scaleEnd is above all that scale gives.
const scaleEnd = 1<<classShift - 1

// scale puts amounts into steps of about one per cent.
func scale(x float64) rank { return rank(min(64*math.Log2(1+max(0, x)), scaleEnd)) }

// schedule is what is to be carried, by rank, and how far the passes have come.
type schedule struct {
	ranks []rank
	bytes []int64
	share int64 // most bytes of one range
	next  int   // the first rank that has not had its turn
	turns int   // ranges so far
	upTo  rank  // what has had its turn, or has it now
}

// A range holds at most so many bytes, or that share of all, if this is more: each costs a walk over all trees. The last
// one takes all that is left, in the order of paths.
const (
	leastRange = 1 << 30
	rangeShare = 8
	maxRanges  = 16
)

func newSchedule(trees []*treeState) *schedule {
	demand := map[rank]int64{}
	total := int64(0)
	for _, t := range trees {
		for k, n := range t.survey.demand {
			demand[k] += n
			total += n
		}
	}
	s := &schedule{ranks: slices.SortedFunc(maps.Keys(demand), cmp.Compare), share: max(leastRange, total/rangeShare)}
	for _, k := range s.ranks {
		s.bytes = append(s.bytes, demand[k])
	}
	return s
}

// done tells whether the passes have come to the end of the order.
func (s *schedule) done() bool { return s.upTo == rankAll }

// advance begins the next range: what comes first of the rest, as far as it fits the room for sure, and at least one rank.
func (s *schedule) advance(room int64) {
	if s.turns++; s.turns == maxRanges {
		s.next = len(s.ranks)
	}
	room = min(room, s.share)
	for begun, sum := s.next, int64(0); s.next < len(s.ranks); s.next++ {
		sum += s.bytes[s.next]
		if s.next > begun && (sum > room || s.ranks[s.next]>>classShift != s.ranks[begun]>>classShift) {
			s.upTo = s.ranks[s.next-1]
			return
		}
	}
	s.upTo = rankAll
}

// classes is what is to be carried of each class.
func (s *schedule) classes() map[Priority]int64 {
	sums := map[Priority]int64{}
	for i, k := range s.ranks {
		sums[k.priority()] += s.bytes[i]
	}
	return sums
}
