package disktest

import (
	"slices"
	"syscall"

	"waterlock/internal/disk"
)

const (
	pageSize   = 4096
	sectorSize = 512
)

type page [pageSize]byte

// inode is a file, a directory, a link, or a pipe.
type inode struct {
	ino    uint64
	kind   disk.Kind
	btime  disk.Time
	ctime  disk.Time
	target string // of a link
	rdev   uint64 // of a device

	now    state // what a process sees
	synced state // what survives
	dirty  bool  // contents changed since the last sync

	// Of a directory:
	parent  *inode
	entries map[string]*inode // what a process sees
	durable map[string]*inode // what survives
	pending []*change         // what leads from durable to entries, in order

	nlink   int      // names in entries
	handles int      // open files
	names   int      // names in durable
	coming  int      // names in pending changes
	waits   []*inode // directories that keep an old name of it until a new one is durable
}

// state is that part of an inode which a sync makes durable. Its slices and
// pages are shared: they are copied before they are changed.
type state struct {
	mode     uint32
	uid, gid uint32
	mtime    disk.Time
	xattrs   []disk.Xattr
	size     int64
	pages    []*page // nil is a hole
}

// change is one change of a directory's names.
type change struct {
	dir    *inode
	sets   []set
	moved  *inode  // of a rename to another directory: what loses a name here
	after  *change // and the change there, which is durable first
	synced bool    // its directory was synced
	done   bool    // it is durable
}

// set binds a name to an inode, or to none.
type set struct {
	name string
	to   *inode
}

func (c *core) newInode(kind disk.Kind, perm uint32) *inode {
	t := c.tick()
	n := &inode{ino: c.freeIno(), kind: kind, btime: t, ctime: t}
	n.now = state{mode: perm & 0o7777, mtime: t}
	n.synced = n.now
	if kind == disk.KindDir {
		n.entries = map[string]*inode{}
		n.durable = map[string]*inode{}
	}
	return n
}

// freeIno takes the number of a file that is durably gone, else a new one.
func (c *core) freeIno() uint64 {
	for i := len(c.dead) - 1; i >= max(0, len(c.dead)-16); i-- {
		if n := c.dead[i]; n.names+n.coming == 0 {
			c.dead = slices.Delete(c.dead, i, i+1)
			return n.ino
		}
	}
	c.lastIno++
	return c.lastIno
}

// letGo frees an inode that has neither name nor handle any more. What of it
// is durable stays: a crash may bring its name back.
func (c *core) letGo(n *inode) {
	if n.nlink == 0 && n.handles == 0 {
		for _, p := range n.now.pages {
			c.freePage(p)
		}
		c.dead = append(c.dead, n)
	}
}

// bind changes names of a directory as a process sees them, and notes the
// change for the next sync.
func (c *core) bind(dir *inode, sets ...set) *change {
	t := c.tick()
	for _, s := range sets {
		if old := dir.entries[s.name]; old != nil {
			old.nlink--
			old.ctime = t
			defer c.letGo(old)
			for _, ch := range old.pending { // of a directory that is gone
				for _, s := range ch.sets {
					if s.to != nil {
						defer s.to.settleWaits()
					}
				}
			}
		}
		if s.to == nil {
			delete(dir.entries, s.name)
			continue
		}
		dir.entries[s.name] = s.to
		s.to.nlink++
		s.to.coming++
		s.to.ctime = t
		if s.to.kind == disk.KindDir {
			s.to.parent = dir
		}
	}
	dir.now.mtime, dir.ctime = t, t
	ch := &change{dir: dir, sets: sets}
	dir.pending = append(dir.pending, ch)
	return ch
}

// settle makes the synced changes of a directory durable, in their order. One
// that waits for the other directory of its rename holds up those of the same
// names after it.
func settle(dir *inode) {
	var left []*change
	held := map[string]bool{}
	for _, ch := range dir.pending {
		wait := !ch.synced || ch.mustWait()
		for _, s := range ch.sets {
			wait = wait || held[s.name]
		}
		if wait {
			left = append(left, ch)
			for _, s := range ch.sets {
				held[s.name] = true
			}
			if ch.moved != nil && !slices.Contains(ch.moved.waits, dir) {
				ch.moved.waits = append(ch.moved.waits, dir)
			}
			continue
		}
		for _, s := range ch.sets {
			if old := dir.durable[s.name]; old != nil {
				old.names--
			}
			if s.to == nil {
				delete(dir.durable, s.name)
				continue
			}
			dir.durable[s.name] = s.to
			s.to.names++
			s.to.coming--
			defer s.to.settleWaits()
		}
		ch.done = true
	}
	dir.pending = left
}

// mustWait tells whether a change would take the last durable name from a
// file that was moved to another directory. When that directory is gone
// meanwhile, any other name will do.
func (ch *change) mustWait() bool {
	if ch.after == nil || ch.after.done {
		return false
	}
	if ch.after.dir.nlink > 0 {
		return true
	}
	others := ch.moved.names
	if ch.dir.durable[ch.sets[0].name] == ch.moved {
		others--
	}
	return ch.moved.nlink > 0 && others == 0
}

// settleWaits looks again at the changes that waited for a name of n.
func (n *inode) settleWaits() {
	dirs := n.waits
	n.waits = nil
	for _, dir := range dirs {
		settle(dir)
	}
}

func (n *inode) syncDir() {
	n.synced = n.now
	for _, ch := range n.pending {
		ch.synced = true
	}
	settle(n)
}

func (n *inode) syncFile() {
	n.synced = n.now
	n.synced.pages = slices.Clone(n.now.pages)
	n.dirty = false
}

func (n *inode) stat() disk.Stat {
	st := disk.Stat{
		Kind: n.kind, Mode: n.now.mode, UID: n.now.uid, GID: n.now.gid, Size: n.now.size,
		MTime: n.now.mtime, CTime: n.ctime, BTime: n.btime, Ino: n.ino, Dev: 1, Rdev: n.rdev, Nlink: uint64(n.nlink),
	}
	for _, p := range n.now.pages {
		if p != nil {
			st.Alloc += pageSize
		}
	}
	switch n.kind {
	case disk.KindSymlink:
		st.Size = int64(len(n.target))
	case disk.KindDir:
		st.Nlink++
		for _, e := range n.entries {
			if e.kind == disk.KindDir {
				st.Nlink++
			}
		}
	}
	return st
}

// readAt reads at most to the end of the file.
func (n *inode) readAt(p []byte, off int64) int {
	if off >= n.now.size {
		return 0
	}
	p = p[:min(int64(len(p)), n.now.size-off)]
	for done := 0; done < len(p); {
		i, at := (off+int64(done))/pageSize, int((off+int64(done))%pageSize)
		part := p[done:min(len(p), done+pageSize-at)]
		if pg := n.page(i); pg != nil {
			copy(part, pg[at:])
		} else {
			clear(part)
		}
		done += len(part)
	}
	return len(p)
}

func (n *inode) page(i int64) *page {
	if i < int64(len(n.now.pages)) {
		return n.now.pages[i]
	}
	return nil
}

// writeAt writes until the capacity is used up.
func (c *core) writeAt(n *inode, p []byte, off int64) (int, error) {
	done := 0
	var err error
	for done < len(p) {
		pos := off + int64(done)
		pg := c.ownPage(n, pos/pageSize)
		if pg == nil {
			err = syscall.ENOSPC
			break
		}
		done += copy(pg[pos%pageSize:], p[done:])
	}
	if done > 0 {
		n.now.size = max(n.now.size, off+int64(done))
		c.touch(n)
	}
	return done, err
}

// touch notes that the contents changed.
func (c *core) touch(n *inode) {
	t := c.tick()
	n.now.mtime, n.ctime, n.dirty = t, t, true
}

// ownPage returns a page to write to: never one that a sync made durable. It
// returns nil when there is no room for it.
func (c *core) ownPage(n *inode, i int64) *page {
	old := n.page(i)
	if old != nil && c.shared[old] == 0 && (i >= int64(len(n.synced.pages)) || n.synced.pages[i] != old) {
		return old
	}
	pg := new(page)
	if old != nil {
		*pg = *old
	}
	if old == nil || c.shared[old] > 0 {
		if c.capacity > 0 && c.used+pageSize > c.capacity {
			return nil
		}
		c.used += pageSize
		c.freePage(old)
	}
	if grow := i + 1 - int64(len(n.now.pages)); grow > 0 {
		n.now.pages = append(n.now.pages, make([]*page, grow)...)
	}
	n.now.pages[i] = pg
	return pg
}

// freePage gives back the room of a page that a file has no longer.
func (c *core) freePage(p *page) {
	switch {
	case p == nil:
	case c.shared[p] > 1:
		c.shared[p]--
	case c.shared[p] == 1:
		delete(c.shared, p)
	default:
		c.used -= pageSize
	}
}

// cloneRange makes to share pages of from.
func (c *core) cloneRange(from, to *inode, off, n int64) error {
	switch {
	case c.apart:
		return syscall.EOPNOTSUPP
	case off%disk.CloneAlign != 0 || n%disk.CloneAlign != 0 || n <= 0 || off+n > from.now.size || from == to:
		return syscall.EINVAL
	}
	last := (off + n) / pageSize
	if grow := last - int64(len(to.now.pages)); grow > 0 {
		to.now.pages = append(to.now.pages, make([]*page, grow)...)
	}
	for i := off / pageSize; i < last; i++ {
		pg := from.page(i)
		if pg == to.now.pages[i] {
			continue
		}
		if pg != nil {
			c.shared[pg]++
		}
		c.freePage(to.now.pages[i])
		to.now.pages[i] = pg
	}
	to.now.size = max(to.now.size, off+n)
	c.touch(to)
	return nil
}

func (c *core) truncate(n *inode, size int64) error {
	if size < n.now.size {
		keep := (size + pageSize - 1) / pageSize
		for i := keep; i < int64(len(n.now.pages)); i++ {
			c.freePage(n.now.pages[i])
		}
		if keep < int64(len(n.now.pages)) {
			n.now.pages = slices.Clone(n.now.pages[:keep])
		}
		if at := size % pageSize; at != 0 && n.page(size/pageSize) != nil {
			clear(c.ownPage(n, size/pageSize)[at:])
		}
	}
	n.now.size = size
	c.touch(n)
	return nil
}
