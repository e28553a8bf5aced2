package chunkstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"waterlock/index"
	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/snapshot"
)

// Compact gathers kept files below smallKept once there are enough of them:
// an inode each is much for little.
const (
	smallKept      = 256 << 10
	smallKeptCount = 256
	smallKeptBytes = 16 << 20
)

// A place counts as good without reading it again for so long after it was read.
const trustRead = 7 * 24 * time.Hour

// Containers are dropped in groups of so many, or so many bytes written.
const (
	dropCount = 256
	dropBytes = 64 << 20
)

// compactor is one run of Compact.
type compactor struct {
	s       *Store
	opts    CompactOptions
	res     CompactResult
	gone    map[index.ContainerID]bool // about to be dropped: nothing counts on them
	drops   []index.Container
	written int64
	good    map[index.ContainerID]bool // stat agrees with the row
	theirs  map[index.ContainerID]bool // isTheirs
	gaps    map[index.ContainerID]bool // kept files of whose content the catalog does not know all
}

// Compact turns kept files and packs that are needed for less than half of
// their bytes, and damaged ones, into history packs and removes them. A chunk that has another
// place counts as held there only if it was read there lately, or now.
func (s *Store) Compact(ctx context.Context, o CompactOptions) (CompactResult, error) {
	if err := s.usable(); err != nil {
		return CompactResult{}, err
	}
	if err := s.FlushHistory(); err != nil {
		return CompactResult{}, err
	}
	c := s.newCompactor(o)
	ids, gather, err := c.candidates()
	if err != nil {
		return c.res, err
	}
	for _, id := range ids {
		if err := ctx.Err(); err != nil {
			return c.res, err
		}
		if err := c.consider(ctx, id, gather, nil); err != nil {
			return c.res, err
		}
		if len(c.drops) >= dropCount || c.written >= dropBytes {
			if err := c.drop(); err != nil {
				return c.res, err
			}
		}
	}
	if err := c.drop(); err != nil {
		return c.res, err
	}
	return c.res, c.withGaps(ctx, gather)
}

// candidates are the containers that may be compacted, in the order of their
// numbers, and whether small ones are to be gathered.
func (c *compactor) candidates() (ids []index.ContainerID, gather bool, err error) {
	var small int
	var smallBytes int64
	err = c.s.cat.Containers(func(x index.Container) error {
		switch {
		case x.Kind == index.Kept && x.Size < smallKept:
			small++
			smallBytes += x.Size
			ids = append(ids, x.ID)
		case x.Kind == index.Kept || x.Kind == index.Pack || x.Kind == index.Staging && c.abandoned(x):
			ids = append(ids, x.ID)
		}
		return nil
	})
	return ids, small >= smallKeptCount || smallBytes >= smallKeptBytes, err
}

func (s *Store) newCompactor(o CompactOptions) *compactor {
	return &compactor{s: s, opts: o, gone: map[index.ContainerID]bool{}, good: map[index.ContainerID]bool{}, theirs: map[index.ContainerID]bool{}, gaps: map[index.ContainerID]bool{}}
}

// abandoned reports whether a growing file will never be whole: another grows
// in its place, or the newest snapshot has no file of that path that is to come.
func (c *compactor) abandoned(x index.Container) bool {
	return c.s.growing.of(x.Tree, x.Name) != x.ID || c.opts.Awaited != nil && !c.opts.Awaited(x.Tree, x.Name)
}

// weighed is a container that is not worth keeping whole.
type weighed struct {
	index.Container
	name        string // of its file
	only, total int64  // bytes of needed chunks that only it holds, and of all
}

// weighs looks at one container; ok: it is not worth keeping whole.
func (c *compactor) weighs(id index.ContainerID, gather bool) (w weighed, ok bool, err error) {
	x, ok, err := c.s.cat.Container(id)
	if err != nil || !ok {
		return w, false, err
	}
	f, name, err := c.s.locate(x)
	if err != nil {
		return w, false, nil // a tree without a volume: leave it
	}
	st, found, err := stat(f, name)
	if err == nil && found && x.Kind == index.Staging {
		x.Ino, x.Size, x.MSec, x.MNsec = st.Ino, st.Size, st.MTime.Sec, st.MTime.Nsec // it may have grown beyond its record
	}
	if err != nil || !found || !containerInode(x).is(st) || x.Kind != index.Pack && st.Nlink != 1 {
		return w, false, nil // CheckMirror's business, or a path still shows the inode
	}
	whole := !(gather && x.Kind == index.Kept && x.Size < smallKept || x.Damaged)
	w = weighed{Container: x, name: name}
	w.only, w.total, err = c.weigh(id)
	return w, err == nil && !(whole && w.only > 0 && 2*w.only >= w.total), err
}

// consider takes one container apart if it is not worth keeping whole. content
// is what an install record says of it, where that was looked up.
func (c *compactor) consider(ctx context.Context, id index.ContainerID, gather bool, content []snapshot.Extent) error {
	s := c.s
	w, ok, err := c.weighs(id, gather)
	if err != nil || !ok {
		return err
	}
	x, name, only, total := w.Container, w.name, w.only, w.total
	if x.Kind == index.Kept && total < x.Size || x.Kind == index.Staging {
		if content == nil {
			c.gaps[id] = true // holes, chunks found bad, or rows that are lost: the records tell
			return nil
		}
		if ok, err := c.nothingLost(x, content); err != nil || !ok {
			return err
		}
	}
	if x.Kind == index.Pack {
		if ok, err := c.packSpared(x, name); err != nil || !ok {
			return err
		}
	}
	if err := s.room(&s.packs, only); errors.Is(err, ErrNoRoom) {
		return nil
	}
	c.gone[id] = true
	saved, err := c.save(ctx, x)
	if err != nil {
		return err
	}
	if !saved {
		delete(c.gone, id)
		return nil
	}
	c.drops = append(c.drops, x)
	return nil
}

// weigh adds up the bytes of needed chunks that only this container holds, and
// of all its chunks.
func (c *compactor) weigh(id index.ContainerID) (only, total int64, err error) {
	err = c.s.cat.ContainerChunks(id, func(_ int64, cid chunk.ID, n uint32) error {
		total += int64(n)
		places, err := c.s.cat.Places(cid)
		if err != nil {
			return err
		}
		for _, p := range places {
			if p.Container == id || c.gone[p.Container] {
				continue
			}
			if theirs, err := c.isTheirs(p.Container); err != nil || !theirs {
				return err
			}
		}
		need, err := c.needed(cid)
		if need {
			only += int64(n)
		}
		return err
	})
	return only, total, err
}

func (c *compactor) needed(id chunk.ID) (bool, error) {
	if c.opts.Needed == nil {
		return true, nil
	}
	return c.opts.Needed(id)
}

// save makes sure that every needed chunk of a container is held elsewhere,
// writing to history what is not. saved is false if a chunk could not be read:
// then the container stays.
func (c *compactor) save(ctx context.Context, x index.Container) (saved bool, err error) {
	s, kind := c.s, chunkKind(x)
	pb := buffers.Get().(*[]byte)
	defer buffers.Put(pb)
	stop := errors.New("stop")
	err = s.cat.ContainerChunks(x.ID, func(off int64, id chunk.ID, n uint32) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if need, err := c.needed(id); err != nil || !need {
			return err
		}
		if ok, err := c.heldElsewhere(id, kind, int64(n), pb); err != nil || ok {
			return err
		}
		p, ok, err := c.placeIn(id, x.ID)
		if err != nil {
			return err
		}
		if !ok {
			return nil // found bad before; nothing is lost with it
		}
		*pb = roomFor(*pb, int64(n))
		plain, err := s.readPlace(id, kind, p, *pb)
		if err != nil {
			return stop
		}
		st, err := s.encode(kind, plain)
		if err != nil {
			return err
		}
		c.written += int64(len(st.Data))
		c.res.Written += int64(len(st.Data))
		return s.putHistory(st, kind)
	})
	if err == stop || errors.Is(err, ErrNoRoom) {
		return false, nil
	}
	return err == nil, err
}

func (c *compactor) placeIn(id chunk.ID, in index.ContainerID) (index.Place, bool, error) {
	places, err := c.s.cat.Places(id)
	for _, p := range places {
		if p.Container == in {
			return p, true, nil
		}
	}
	return index.Place{}, false, err
}

// heldElsewhere reports whether a chunk has a good place outside the containers
// that are about to go and outside somebody else's files. An index alone is not believed: the place was read
// lately and its container still is as recorded, or it is read now.
func (c *compactor) heldElsewhere(id chunk.ID, k chunk.Kind, n int64, pb *[]byte) (bool, error) {
	places, err := c.s.cat.Places(id)
	if err != nil {
		return false, err
	}
	any, not := false, c.gone
	for _, p := range places {
		if c.gone[p.Container] || int64(p.PlainLen) != n {
			continue
		}
		theirs, err := c.isTheirs(p.Container)
		if err != nil {
			return false, err
		}
		if theirs {
			not = maps.Clone(not)
			not[p.Container] = true
			continue
		}
		any = true
		if p.ReadAt > c.s.now().Add(-trustRead).Unix() {
			ok, err := c.unchanged(p.Container)
			if ok || err != nil {
				return ok, err
			}
		}
	}
	if !any {
		return false, nil
	}
	*pb = roomFor(*pb, n)
	plain, _, err := c.s.fromPlaces(id, k, n, *pb, not)
	return plain != nil, err
}

// isTheirs reports whether a container is a file of somebody else that was
// adopted: it lies in foreign, or at a path that no snapshot has named. Who may
// delete it may take the chunks along, so nothing of ours goes for its sake.
func (c *compactor) isTheirs(id index.ContainerID) (bool, error) {
	if is, known := c.theirs[id]; known {
		return is, nil
	}
	x, ok, err := c.s.cat.Container(id)
	if err != nil || !ok {
		return false, err
	}
	is := x.Kind == index.Foreign
	if x.Kind == index.Mirror {
		row, ok, err := c.s.cat.Path(x.Tree, x.Name)
		if err != nil {
			return false, err
		}
		is = ok && row.Adopted
	}
	if len(c.theirs) >= maxGood {
		clear(c.theirs)
	}
	c.theirs[id] = is
	return is, nil
}

// maxGood bounds the memory of what was looked at.
const maxGood = 1 << 16

func (c *compactor) unchanged(id index.ContainerID) (bool, error) {
	if ok, known := c.good[id]; known {
		return ok, nil
	}
	x, ok, err := c.s.cat.Container(id)
	if err != nil {
		return false, err
	}
	if ok {
		f, name, lerr := c.s.locate(x)
		ok = false
		if lerr == nil && !x.Damaged && !x.Missing {
			st, found, serr := stat(f, name)
			ok = serr == nil && found && st.Kind == disk.KindFile && containerInode(x).is(st)
		}
	}
	if len(c.good) >= maxGood {
		clear(c.good)
	}
	c.good[id] = ok
	return ok, nil
}

// drop makes what was saved durable and removes the containers, by the word of
// an install record.
func (c *compactor) drop() error {
	s := c.s
	if err := s.FlushHistory(); err != nil {
		return fmt.Errorf("compact: %w", err)
	}
	if len(c.drops) == 0 {
		return nil
	}
	rec := &record{time: s.now().Unix()}
	for _, x := range c.drops {
		s.handles.forget(x.ID)
		tree := x.Tree
		if x.Kind == index.Pack {
			tree = ""
		}
		rec.acts = append(rec.acts, action{
			kind: actDrop, old: oldNone, tree: tree, path: x.Name, cont: x.ID, row: x.Kind, node: containerInode(x),
		})
	}
	errs, err := s.install(rec, rec.time)
	if err != nil {
		return err
	}
	for i, err := range errs {
		if err != nil {
			s.report.Warn("compact: %v", err)
			continue
		}
		c.res.Containers++
		c.res.Freed += c.drops[i].Size
	}
	c.drops, c.written = nil, 0
	clear(c.gone)
	return nil
}
