package disktest

import (
	"maps"
	"math/rand/v2"
	"slices"

	"waterlock/internal/disk"
)

// CrashMode says what a crash leaves of what was not synced.
type CrashMode uint8

const (
	// Strict: nothing.
	Strict CrashMode = 1
	// Names: all changes of directories, but of files only what was synced;
	// where one grew, it ends where it did or goes on in zeros.
	Names CrashMode = 2
	// Random: of each directory's changes a number from the first on, of each
	// file's contents any 512 bytes, old or new or zero, and any size between.
	Random CrashMode = 3
)

// Modes are all of them.
var Modes = []CrashMode{Strict, Names, Random}

func (m CrashMode) String() string {
	return [...]string{"unknown", "strict", "names", "random"}[min(m, 3)]
}

// Crashed returns the file system after the power came back. m itself stays
// as it is, and may crash again in another mode.
func (m *Mem) Crashed(mode CrashMode, seed uint64) *Mem {
	m.c.mu.Lock()
	defer m.c.mu.Unlock()
	rng := rand.New(rand.NewPCG(seed, uint64(mode)))
	all, root := clone(m.c.root)

	for _, n := range all {
		switch {
		case mode == Strict:
		case n.kind != disk.KindDir:
			n.now = surviving(n, mode, rng)
			continue
		case mode == Names:
			n.durable = n.entries
		case mode == Random:
			for _, ch := range n.pending[:rng.IntN(len(n.pending)+1)] {
				ch.synced = true
			}
			if rng.IntN(2) == 0 {
				n.synced = n.now
			}
		}
		n.now = n.synced
	}
	if mode == Random {
		for _, n := range all {
			settle(n)
		}
	}
	c := &core{crashAt: -1, root: root, clock: m.c.clock, capacity: m.c.capacity, lastIno: m.c.lastIno,
		apart: m.c.apart, shared: map[*page]int{}}
	c.recover(all)
	return newMem(c)
}

// clone copies everything that could be there after a crash, in the order of
// inodes' creation or any other that does not change from run to run.
func clone(root *inode) (all []*inode, copied *inode) {
	copies := map[*inode]*inode{}
	changes := map[*change]*change{}
	var of func(n *inode) *inode
	ofChange := func(ch *change) *change {
		if ch == nil {
			return nil
		}
		if changes[ch] == nil {
			changes[ch] = &change{}
		}
		return changes[ch]
	}
	ofEntries := func(entries map[string]*inode) map[string]*inode {
		out := map[string]*inode{}
		for _, name := range slices.Sorted(maps.Keys(entries)) {
			out[name] = of(entries[name])
		}
		return out
	}
	of = func(n *inode) *inode {
		if n == nil {
			return nil
		}
		if c := copies[n]; c != nil {
			return c
		}
		c := new(inode)
		copies[n] = c
		all = append(all, c)
		*c = *n
		c.waits = nil
		for _, dir := range n.waits {
			c.waits = append(c.waits, of(dir))
		}
		c.now.pages, c.synced.pages = slices.Clone(n.now.pages), slices.Clone(n.synced.pages)
		if n.kind != disk.KindDir {
			return c
		}
		c.parent = of(n.parent)
		c.durable = ofEntries(n.durable)
		c.entries = ofEntries(n.entries)
		c.pending = nil
		for _, ch := range n.pending {
			cc := ofChange(ch)
			*cc = change{dir: c, moved: of(ch.moved), after: ofChange(ch.after), synced: ch.synced}
			for _, s := range ch.sets {
				cc.sets = append(cc.sets, set{s.name, of(s.to)})
			}
			c.pending = append(c.pending, cc)
		}
		return c
	}
	copied = of(root)
	// A change may wait for one that is durable already, or whose directory
	// is gone.
	for ch, cc := range changes {
		cc.dir, cc.done = copies[ch.dir], ch.done
		if cc.dir == nil {
			cc.dir = &inode{}
		}
	}
	return all, copied
}

// surviving picks what a crash leaves of a file.
func surviving(n *inode, mode CrashMode, rng *rand.Rand) state {
	s := n.synced
	if mode == Names {
		if n.now.size > s.size && rng.IntN(2) == 0 {
			s.size = n.now.size
		}
		return s
	}
	if rng.IntN(2) == 0 {
		s.mode, s.uid, s.gid, s.mtime, s.xattrs = n.now.mode, n.now.uid, n.now.gid, n.now.mtime, n.now.xattrs
	}
	switch lo, hi := min(s.size, n.now.size), max(s.size, n.now.size); rng.IntN(3) {
	case 0:
		s.size = n.now.size
	case 1:
		s.size = lo + rng.Int64N(hi-lo+1)
	}
	pages := make([]*page, (s.size+pageSize-1)/pageSize)
	for i := range pages {
		pages[i] = survivingPage(at(n.synced.pages, i), at(n.now.pages, i), rng)
	}
	s.pages = pages
	if past := s.size % pageSize; past != 0 && pages[len(pages)-1] != nil {
		last := *pages[len(pages)-1]
		clear(last[past:])
		pages[len(pages)-1] = &last
	}
	return s
}

func at(pages []*page, i int) *page {
	if i < len(pages) {
		return pages[i]
	}
	return nil
}

// survivingPage picks old or new for each sector; what is not written yet
// reads as zero.
func survivingPage(old, now *page, rng *rand.Rand) *page {
	if old == now {
		return old
	}
	var zero page
	if old == nil {
		old = &zero
	}
	if now == nil {
		now = &zero
	}
	out := new(page)
	from := rng.IntN(4) // 0: all old, 1: all new, else torn
	for s := 0; s < pageSize; s += sectorSize {
		src := old
		if from == 1 || from > 1 && rng.IntN(2) == 0 {
			src = now
		}
		copy(out[s:s+sectorSize], src[s:])
	}
	return out
}

// recover makes what is durable all there is, and counts it.
func (c *core) recover(all []*inode) {
	for _, n := range all {
		n.nlink, n.handles, n.names, n.coming, n.waits = 0, 0, 0, 0, nil
	}
	c.root.nlink = 1
	seen, taken := map[*inode]bool{}, map[*page]bool{}
	var walk func(n *inode)
	walk = func(n *inode) {
		if seen[n] {
			return
		}
		seen[n] = true
		n.synced, n.dirty = n.now, false
		n.synced.pages = slices.Clone(n.now.pages)
		for _, p := range n.now.pages {
			switch {
			case p == nil:
			case taken[p]:
				c.shared[p]++
			default:
				taken[p] = true
				c.used += pageSize
			}
		}
		n.pending = nil
		n.entries = maps.Clone(n.durable)
		for _, name := range slices.Sorted(maps.Keys(n.entries)) {
			e := n.entries[name]
			if e.kind == disk.KindDir && seen[e] { // never under two names
				delete(n.entries, name)
				delete(n.durable, name)
				continue
			}
			e.nlink++
			e.names++
			if e.kind == disk.KindDir {
				e.parent = n
			}
			walk(e)
		}
	}
	walk(c.root)
}
