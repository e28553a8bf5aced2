package chunkstore

import (
	"context"
	"fmt"

	"waterlock/index"
	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/snapshot"
)

// prepareFile finds the cheapest safe way to make a path show a file.
func (b *Batch) prepareFile(ctx context.Context, v *volume, at *place, it *item) error {
	e := it.act.entry
	if e.Pending || e.Hash == (chunk.ContentHash{}) || e.ContentSize() != e.Size {
		return fmt.Errorf("%w: the content has not been carried in full", ErrLacking)
	}
	group, err := b.groupContainer(v, e)
	if err != nil {
		return err
	}
	if group != nil && b.forsaken(group) && !sameMTime(e.MTime, disk.Time{Sec: group.MSec, Nsec: group.MNsec}) && !isOf(at, group) {
		group = nil // nothing would give it the new time: an inode of its own begins the group anew
	}
	if at.ours && holds(at.cont, e) {
		switch {
		case group != nil && group.ID != at.cont.ID:
			return b.prepareLink(v, group, it)
		case at.row.Digest == e.Digest() && (e.LinkGroup == 0 || group != nil):
			return nil
		case at.st.Nlink == 1, e.LinkGroup != 0 && group != nil, b.unclaimed(at):
			// The inode is shared with no path of another meaning.
			b.prepareMeta(at, at.cont.ID, it)
			it.act.unkeep, it.res.Way = at.cont.Kind == index.Kept, MetaOnly
			return nil
		}
	} else if group != nil {
		return b.prepareLink(v, group, it)
	} else if ok, err := b.adoptable(ctx, v, at, e); err != nil {
		return err
	} else if ok {
		b.prepareMeta(at, b.s.number(), it)
		it.act.fresh, it.res.Way = true, Adopted
		return nil
	}
	if c, err := b.movable(v, e); err != nil {
		return err
	} else if c != nil {
		return b.prepareMove(v, c, it)
	}
	return b.prepareContent(ctx, v, at, it)
}

// holds reports whether a container has the content of an entry.
func holds(c *index.Container, e *snapshot.Entry) bool {
	return c != nil && !c.Damaged && !c.Missing && c.Hash == e.Hash && c.Size == e.Size
}

// groupContainer is the container that the entry's link group has in the
// mirror, nil if there is none with this content.
func (b *Batch) groupContainer(v *volume, e *snapshot.Entry) (*index.Container, error) {
	if e.LinkGroup == 0 {
		return nil, nil
	}
	id, err := b.look.group(v.Tree, e.LinkGroup)
	if err != nil || id == 0 {
		return nil, whole(err)
	}
	c, err := b.look.container(id)
	if err != nil {
		return nil, whole(err)
	}
	// It may be with the kept versions by name, and shown by other paths still.
	if !holds(c, e) || c.Kind != index.Mirror && c.Kind != index.Kept || c.Tree != v.Tree {
		return nil, nil
	}
	for _, it := range b.items {
		// Its last link has left the group in this batch, with the inode.
		if a := &it.act; it.do && a.kind == actMeta && a.cont == id && a.entry.LinkGroup != e.LinkGroup {
			return nil, nil
		}
	}
	return c, nil
}

// forsaken reports that the path by which a container is known does not show it
// any more, so no action of that path gives the inode new metadata.
func (b *Batch) forsaken(c *index.Container) bool {
	return c.Kind == index.Kept || b.opts.Leaving != nil && b.opts.Leaving(c.Tree, c.Name, c.Hash)
}

func isOf(at *place, c *index.Container) bool { return at.ours && at.cont != nil && at.cont.ID == c.ID }

// prepareMeta gives the inode at the path the entry's metadata in place.
func (b *Batch) prepareMeta(at *place, id index.ContainerID, it *item) {
	a := &it.act
	a.kind, a.old, a.cont, it.do = actMeta, oldSame, id, true
	a.prev = inodeOf(at.st)
	a.node = a.prev
	a.node.mtime = a.entry.MTime
}

// prepareLink stages another name of the link group's inode.
func (b *Batch) prepareLink(v *volume, c *index.Container, it *item) error {
	from, err := b.source(c)
	if err != nil {
		return err
	}
	it.act.unkeep = c.Kind == index.Kept
	if err := b.stageLink(v, c, from, it); err != nil || !b.forsaken(c) {
		return err
	}
	return b.s.setMeta(v.FS, v.shelf.stageName(it.act.stage), it.act.entry)
}

func (b *Batch) stageLink(v *volume, c *index.Container, from string, it *item) error {
	a := &it.act
	a.kind, a.cont, a.stage = actPlace, c.ID, b.s.number()
	name := v.shelf.stageName(a.stage)
	if err := v.FS.Link(from, name); err != nil {
		return err
	}
	st, err := v.FS.Stat(name)
	if err != nil {
		return err
	}
	if !containerInode(*c).is(st) {
		was, ok, err := b.s.cat.Container(c.ID)
		if err != nil {
			return whole(err)
		}
		if !ok || !containerInode(was).is(st) {
			return fmt.Errorf("%s is not what was recorded of container %d", from, c.ID)
		}
	}
	// Metadata that this batch sets in place on the inode comes after: what is
	// recorded last must be what the inode then has.
	a.node, it.do, it.res.Way = containerInode(*c), true, Linked
	return nil
}

// source is the name by which a container can be linked now: in staging where
// this batch has made or moved it, else where it is as yet.
func (b *Batch) source(c *index.Container) (string, error) {
	for i := len(b.items) - 1; i >= 0; i-- {
		if a := &b.items[i].act; b.items[i].do && a.kind == actPlace && a.cont == c.ID {
			return b.s.vols[a.tree].shelf.stageName(a.stage), nil
		}
	}
	was, ok, err := b.s.cat.Container(c.ID)
	if err != nil {
		return "", whole(err)
	}
	if !ok {
		return "", fmt.Errorf("container %d is unknown", c.ID)
	}
	_, name, err := b.s.locate(was)
	return name, err
}

// adoptable reports whether a file that somebody else put at the path has the
// content that is to come there. It is read cold.
func (b *Batch) adoptable(ctx context.Context, v *volume, at *place, e *snapshot.Entry) (bool, error) {
	if !at.found || at.ours || at.st.Kind != disk.KindFile || at.st.Size != e.Size || at.st.Nlink != 1 {
		return false, nil
	}
	name := v.name(e.Path)
	if err := v.FS.SyncFiles([]string{name}); err != nil {
		return false, nil // then it is foreign
	}
	sum, err := readSum(ctx, v.FS, name)
	if err != nil {
		return false, ctx.Err()
	}
	st, found, err := stat(v.FS, name)
	return sum == e.Hash && found && inodeOf(at.st).is(st), err
}

// readSum reads a file cold and returns the hash of its content.
func readSum(ctx context.Context, f disk.FS, name string) (sum chunk.ContentHash, err error) {
	_, err = disk.ReadBack(f, name, func(r disk.File) (err error) {
		pb := buffers.Get().(*[]byte)
		defer buffers.Put(pb)
		sum, err = snapshot.HashFile(ctx, r, readBuffer(pb))
		return err
	})
	return sum, err
}

// maxCandidates bounds how many containers are looked at for a moved file.
const maxCandidates = 16

// movable finds an inode that holds exactly this content and that no path of
// the newest snapshot shows: the file was moved, and so is the inode. It is
// found by the file's first chunk.
func (b *Batch) movable(v *volume, e *snapshot.Entry) (*index.Container, error) {
	if e.LinkGroup != 0 || e.Size == 0 {
		return nil, nil
	}
	var first *snapshot.Extent
	var off int64
	for i := range e.Content {
		if !e.Content[i].Hole {
			first = &e.Content[i]
			break
		}
		off += e.Content[i].Length
	}
	if first == nil {
		return nil, nil
	}
	places, err := b.s.cat.Places(first.ID)
	if err != nil {
		return nil, whole(err)
	}
	looks := 0
	for _, p := range places {
		if p.Encoding != 0 || p.Offset != off {
			continue
		}
		if looks++; looks > maxCandidates {
			break
		}
		c, err := b.look.container(p.Container)
		if err != nil {
			return nil, whole(err)
		}
		if !holds(c, e) || !sameMTime(e.MTime, disk.Time{Sec: c.MSec, Nsec: c.MNsec}) {
			continue
		}
		ok, err := b.leaves(v, c, e)
		if err != nil {
			return nil, err
		}
		if ok {
			return c, nil
		}
	}
	return nil, nil
}

// leaves reports whether a container's inode may take another path: it is a
// kept version, or is being replaced in this batch, or the newest snapshot does not have it where it lies.
func (b *Batch) leaves(v *volume, c *index.Container, e *snapshot.Entry) (bool, error) {
	cv := b.s.vols[c.Tree]
	if cv == nil || cv.shelf != v.shelf {
		return false, nil
	}
	was, ok, err := b.s.cat.Container(c.ID)
	if err != nil {
		return false, whole(err)
	}
	touched := ok && (was.Kind != c.Kind || was.Tree != c.Tree || was.Name != c.Name)
	switch {
	case !ok:
		return false, nil
	case c.Kind == index.Kept: // or becomes so in this batch
	case c.Kind != index.Mirror || touched:
		return false, nil // it stays where this batch puts it
	case b.opts.Leaving == nil || !b.opts.Leaving(c.Tree, c.Name, c.Hash):
		return false, nil
	}
	f, name, err := b.s.locate(was)
	if err != nil {
		return false, nil
	}
	st, found, err := stat(f, name)
	return err == nil && found && st.Kind == disk.KindFile && st.Nlink == 1 && containerInode(*c).is(st), nil
}

// prepareMove stages another name of an inode that leaves its place. The old
// name goes by an action of its own, or stays while deletions are not applied.
func (b *Batch) prepareMove(v *volume, c *index.Container, it *item) error {
	from, err := b.source(c)
	if err != nil {
		return err
	}
	if err := b.stageLink(v, c, from, it); err != nil {
		return err
	}
	it.act.unkeep = true
	name := v.shelf.stageName(it.act.stage)
	if err := b.s.setMeta(v.FS, name, it.act.entry); err != nil {
		return err
	}
	st, err := v.FS.Stat(name)
	if err == nil && !containerInode(*c).is(st) {
		err = fmt.Errorf("%s changed while it was moved", from)
	}
	return err
}
