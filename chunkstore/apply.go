package chunkstore

import (
	"fmt"

	"waterlock/index"
	"waterlock/internal/disk"
)

// metaInstalled is the catalog's note of the last install record whose rows it
// has: eight hex digits or more.
const metaInstalled = "installed"

// overlay gathers the rows that a record changes, so that later actions of the
// record see what earlier ones did.
type overlay struct {
	cat  *index.Catalog
	cont map[index.ContainerID]*index.Container
	path map[pathKey]*index.PathRow // nil: dropped
	grp  map[groupKey]index.ContainerID
}

type pathKey struct{ tree, path string }

type groupKey struct {
	tree  string
	group uint64
}

func newOverlay(cat *index.Catalog) *overlay {
	return &overlay{cat, map[index.ContainerID]*index.Container{}, map[pathKey]*index.PathRow{}, map[groupKey]index.ContainerID{}}
}

// container returns a container's row; the pointer may be changed in place and
// then counts for what follows.
func (o *overlay) container(id index.ContainerID) (*index.Container, error) {
	if id == 0 {
		return nil, nil
	}
	if c, ok := o.cont[id]; ok {
		return c, nil
	}
	c, ok, err := o.cat.Container(id)
	if err != nil || !ok {
		return nil, err
	}
	o.cont[id] = &c
	return &c, nil
}

func (o *overlay) row(tree, path string) (*index.PathRow, error) {
	if r, ok := o.path[pathKey{tree, path}]; ok {
		return r, nil
	}
	r, ok, err := o.cat.Path(tree, path)
	if err != nil || !ok {
		return nil, err
	}
	return &r, nil
}

func (o *overlay) group(tree string, group uint64) (index.ContainerID, error) {
	if id, ok := o.grp[groupKey{tree, group}]; ok {
		return id, nil
	}
	id, ok, err := o.cat.Group(tree, group)
	if err != nil || !ok {
		return 0, err
	}
	return id, nil
}

// take notes what one action does to containers, paths and groups. Batches use
// it to look ahead, applying a record uses it to write the rows: there is one
// account of what an action means.
func (o *overlay) take(a *action) error {
	if a.kind == actDrop {
		o.cont[a.cont] = nil
		return nil
	}
	if a.kind == actGrow {
		o.cont[a.cont] = &index.Container{
			ID: a.cont, Kind: index.Staging, Tree: a.tree, Name: a.path, Ino: a.node.ino, Size: a.node.size,
			MSec: a.node.mtime.Sec, MNsec: a.node.mtime.Nsec,
		}
		return nil
	}
	if a.old == oldKeep {
		c, err := o.container(a.oldID)
		if err != nil {
			return err
		}
		if c != nil {
			c.Kind, c.Tree, c.Name = index.Kept, a.tree, keptRow(a.oldID)
		}
	}
	if a.old == oldForeign && a.oldID != 0 {
		c, err := o.container(a.oldID)
		if err != nil {
			return err
		}
		if c != nil {
			c.Kind, c.Tree, c.Name = index.Foreign, a.tree, a.foreign
		}
	}
	if a.kind == actAdopt {
		return o.adopt(a)
	}
	if err := o.forsake(a); err != nil {
		return err
	}
	if a.kind == actRemove {
		o.path[pathKey{a.tree, a.path}] = nil
		return nil
	}
	row := &index.PathRow{Kind: uint8(a.entry.Kind)}
	o.path[pathKey{a.tree, a.path}] = row
	if a.kind == actDir {
		return nil
	}
	row.Container, row.Ino, row.Size = a.cont, a.node.ino, a.node.size
	row.MSec, row.MNsec = a.node.mtime.Sec, a.node.mtime.Nsec
	row.LinkGroup, row.Hash, row.Digest = a.entry.LinkGroup, a.entry.Hash, a.entry.Digest()
	if a.cont == 0 {
		return nil
	}
	var c *index.Container
	if !a.fresh {
		var err error
		if c, err = o.container(a.cont); err != nil {
			return err
		}
	}
	if c == nil {
		c = &index.Container{ID: a.cont, Hash: a.entry.Hash}
		o.cont[a.cont] = c
	}
	c.Kind, c.Tree, c.Name, c.Missing = index.Mirror, a.tree, a.path, false
	c.Ino, c.Size = a.node.ino, a.node.size
	c.MSec, c.MNsec = a.node.mtime.Sec, a.node.mtime.Nsec
	if a.entry.LinkGroup != 0 {
		o.grp[groupKey{a.tree, a.entry.LinkGroup}] = a.cont
	}
	return nil
}

// forsake marks the container that the path showed by its record, when what the
// action found there was something else: it is gone, or has another name that
// the mirror's check finds.
func (o *overlay) forsake(a *action) error {
	if a.old == oldKeep || a.old == oldShared {
		return nil
	}
	row, err := o.row(a.tree, a.path)
	if err != nil || row == nil || row.Container == a.cont {
		return err
	}
	c, err := o.container(row.Container)
	if err == nil && c != nil && c.Kind == index.Mirror && c.Tree == a.tree && c.Name == a.path {
		c.Missing = true
	}
	return err
}

// apply enters a finished record into the catalog. It looks at the record and
// the catalog alone, so that rebuilding gives the rows that were written when
// the batch was installed. The new content was read at readAt or later.
func (s *Store) apply(rec *record, void map[int]bool, readAt int64) error {
	if rec.restates {
		return s.restate(rec)
	}
	o, b := newOverlay(s.cat), s.cat.Batch()
	for i := range rec.acts {
		a := &rec.acts[i]
		if void[i] {
			continue
		}
		if a.hold && !rec.places(a.oldID, void) {
			kept := *a
			kept.old, a = oldKeep, &kept // its other name did not come about
		}
		was, err := o.container(a.cont)
		if err != nil {
			return err
		}
		if err := o.take(a); err != nil {
			return err
		}
		if c := o.cont[a.cont]; c != nil && a.fresh {
			c.ReadAt = readAt
		} else if c != nil && a.kind == actGrow && was != nil {
			c.ReadAt = was.ReadAt // what was there before was read then
		}
		switch {
		case a.kind == actDrop:
			b.DropContainer(a.cont)
		case a.kind == actGrow:
			addGrown(b, a, readAt)
		case a.fresh:
			addContent(b, a, readAt)
		case a.cont != 0 && was == nil:
			// The record that it began with cannot be read, or it was lost
			// since: what it holds is said here, too.
			addContent(b, a, 0)
		}
	}
	for _, c := range o.cont {
		if c != nil {
			b.PutContainer(*c)
		}
	}
	for k, r := range o.path {
		if r == nil {
			b.DropPath(k.tree, k.path)
		} else {
			b.PutPath(k.tree, k.path, *r)
		}
	}
	for k, id := range o.grp {
		b.PutGroup(k.tree, k.group, id)
	}
	b.SetMeta(metaInstalled, []byte(fmt.Sprint(rec.seq)))
	if err := b.Commit(); err != nil {
		return err
	}
	for i := range rec.acts {
		if !void[i] {
			s.growing.take(&rec.acts[i])
		}
	}
	if rec.next > 1 {
		s.cat.RaiseContainer(rec.next - 1)
	}
	return nil
}

// places reports whether the record puts a container at a path.
func (r *record) places(id index.ContainerID, void map[int]bool) bool {
	for i := range r.acts {
		if a := &r.acts[i]; a.kind == actPlace && a.cont == id && !void[i] {
			return true
		}
	}
	return false
}

// addContent enters the chunks of a new plain file.
func addContent(b *index.Batch, a *action, readAt int64) {
	if a.entry.Kind != disk.KindFile {
		return
	}
	var off int64
	for _, x := range a.entry.Content {
		if !x.Hole {
			n := uint32(x.Length)
			b.AddPlace(x.ID, index.Place{Container: a.cont, Offset: off, StoredLen: n, PlainLen: n, ReadAt: readAt})
		}
		off += x.Length
	}
}

// addGrown enters what became of a growing file.
func addGrown(b *index.Batch, a *action, readAt int64) {
	for _, p := range a.gone {
		b.DropPlaceAt(p.id, a.cont, p.off)
	}
	for _, p := range a.grown {
		n := uint32(p.len)
		b.AddPlace(p.id, index.Place{Container: a.cont, Offset: p.off, StoredLen: n, PlainLen: n, ReadAt: readAt})
	}
}
