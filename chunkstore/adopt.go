package chunkstore

import (
	"errors"
	"fmt"

	"waterlock/index"
	"waterlock/internal/disk"
	"waterlock/snapshot"
)

// A directory that somebody else has filled can be a tree's place: its files
// are adopted. An adopted file is a container like others from its record on,
// and lies where it lay. What sets it apart is its path: no snapshot has named
// it, so the file is somebody else's. It is never removed, it is a stranger to
// verify, and where a snapshot names the path with other content it moves to
// foreign/, goes on counting there, and is a place of chunks until a person
// deletes it.
//
// Where a snapshot names the path with this content, the path is claimed: the
// inode stays and gets the entry's metadata. One that has several names is
// claimed by the first path, and by the others of that path's link group; a
// path that is a file of its own at home becomes one here.
//
// Nothing is written but the record, so there is one step:
//
//	1  record   disk.Put: these files count, with the chunks they were read as
//	2  rows     enter them into the catalog
//
// What a record tells of is not read again.

// Adoption records the files of one tree that were there before. It is for one
// goroutine, and there is no batch meanwhile.
type Adoption struct {
	s     *Store
	v     *volume
	look  *overlay
	began int64 // unix seconds: nothing that waits was read before
	acts  []action
	size  int // of the record, about
}

// Adopt begins an adoption in a tree.
func (s *Store) Adopt(tree string) (*Adoption, error) {
	if err := s.usable(); err != nil {
		return nil, err
	}
	v := s.vols[tree]
	if v == nil {
		return nil, fmt.Errorf("tree %q has no volume", tree)
	}
	a := &Adoption{s: s, v: v}
	a.begin()
	return a, nil
}

func (a *Adoption) begin() {
	a.look, a.began, a.acts, a.size = newOverlay(a.s.cat), a.s.now().Unix(), nil, 0
}

// ErrNotHere is a path that cannot be adopted under its name.
var ErrNotHere = errors.New("path cannot be adopted")

// Known reports whether the catalog knows the path: the file was recorded, or a
// snapshot put it there. Run CheckMirror before: a file that somebody changed is
// not known any more.
func (a *Adoption) Known(path string) (bool, error) {
	if err := errors.Join(a.v.allowed(path), index.CheckPath(a.v.Tree, path)); err != nil {
		return false, fmt.Errorf("%w: %w", ErrNotHere, err)
	}
	row, err := a.look.row(a.v.Tree, path)
	return row != nil, err
}

// Link records a file as one more name of an inode that was recorded already,
// and reports whether it is one. e is its entry, without content.
func (a *Adoption) Link(e *snapshot.Entry, st disk.Stat) (bool, error) {
	if e.LinkGroup == 0 {
		return false, nil
	}
	id, err := a.look.group(adoptedGroups(a.v.Tree), e.LinkGroup)
	if err != nil || id == 0 {
		return false, err
	}
	c, err := a.look.container(id)
	if err != nil || c == nil || c.Missing || c.Damaged || c.Kind != index.Mirror || !containerInode(*c).is(st) {
		return false, err
	}
	e.Hash = c.Hash
	if e.Content, err = a.contentOf(c); err != nil {
		return false, err
	}
	return true, a.add(e, st, c.ID, false)
}

// contentOf is the content list of a recorded file.
func (a *Adoption) contentOf(c *index.Container) ([]snapshot.Extent, error) {
	for i := range a.acts {
		if act := &a.acts[i]; act.cont == c.ID {
			return act.entry.Content, nil
		}
	}
	list, err := a.s.chunksOf(c.ID)
	if err != nil {
		return nil, err
	}
	var content []snapshot.Extent
	var at int64
	for _, p := range append(list, placed{off: c.Size}) {
		if p.off > at {
			content = append(content, snapshot.Extent{Length: p.off - at, Hole: true})
		}
		if p.len > 0 {
			content = append(content, snapshot.Extent{ID: p.id, Length: p.len})
		}
		at = p.end()
	}
	return content, nil
}

// Add records a file as it was read: e has its content and the hash of it, st
// is what the file was before and after. Nothing counts before Commit.
func (a *Adoption) Add(e *snapshot.Entry, st disk.Stat) error {
	return a.add(e, st, a.s.number(), true)
}

func (a *Adoption) add(e *snapshot.Entry, st disk.Stat, id index.ContainerID, fresh bool) error {
	act := action{
		kind: actAdopt, old: oldSame, tree: a.v.Tree, path: e.Path, cont: id, fresh: fresh,
		node: inodeOf(st), prev: inodeOf(st), entry: e.Clone(),
	}
	if err := act.entry.Validate(); err != nil {
		return err
	}
	if what := act.wrong(); what != "" {
		return errors.New(what)
	}
	a.acts = append(a.acts, act)
	a.size += 256 + len(e.Path) + 36*len(e.Content)
	return a.look.take(&act)
}

// adoptActions bounds the memory of what waits for Commit.
const adoptActions = 8192

// Full reports that Commit should be called before more is added.
func (a *Adoption) Full() bool { return len(a.acts) >= adoptActions || a.size >= batchRecord }

// Commit records what was added, durably. After an error the store must be
// opened anew; nothing is lost then but the reading.
func (a *Adoption) Commit() error {
	if len(a.acts) == 0 {
		return nil
	}
	rec := &record{time: a.s.now().Unix(), acts: a.acts}
	_, err := a.s.install(rec, a.began)
	a.begin()
	return err
}

// adoptedGroups is the name under which the catalog has the containers of
// inodes with several names in a tree, by their inode numbers. No tree has such
// a name.
func adoptedGroups(tree string) string { return ".adopted/" + tree }

// adopt notes what the record of an adopted file says.
func (o *overlay) adopt(a *action) error {
	if err := o.forsake(a); err != nil {
		return err
	}
	o.path[pathKey{a.tree, a.path}] = &index.PathRow{
		Kind: uint8(a.entry.Kind), Adopted: true, Container: a.cont, Hash: a.entry.Hash,
		Ino: a.node.ino, Size: a.node.size, MSec: a.node.mtime.Sec, MNsec: a.node.mtime.Nsec,
	}
	c, err := o.container(a.cont)
	if err != nil {
		return err
	}
	if c == nil {
		o.cont[a.cont] = &index.Container{
			ID: a.cont, Kind: index.Mirror, Tree: a.tree, Name: a.path, Hash: a.entry.Hash,
			Ino: a.node.ino, Size: a.node.size, MSec: a.node.mtime.Sec, MNsec: a.node.mtime.Nsec,
		}
	}
	if g := a.entry.LinkGroup; g != 0 {
		o.grp[groupKey{adoptedGroups(a.tree), g}] = a.cont
	}
	return nil
}

// unclaimed reports whether an adopted inode is shown by no path that a
// snapshot has named.
func (b *Batch) unclaimed(at *place) bool {
	c := at.cont
	if !at.row.Adopted || c.Kind != index.Mirror {
		return false
	}
	row, err := b.look.row(c.Tree, c.Name)
	return err == nil && row != nil && row.Adopted && row.Container == c.ID
}

// displaceAdopted moves an adopted file that is not what the path is to show to
// foreign/. Where that is the name by which its container is known, the
// container goes along.
func (b *Batch) displaceAdopted(v *volume, at *place, it *item) error {
	if c := at.cont; c.Kind == index.Mirror && c.Tree == v.Tree && c.Name == it.act.path {
		it.act.oldID = c.ID
	}
	it.adopted = true
	return b.displaceForeign(v, at, it)
}

// setAside is an Op of this package's own: an adopted file gives way to what is
// to come in the place of a directory above it.
const setAside Op = 3

func (b *Batch) prepareAside(v *volume, it *item) error {
	at, err := b.look.at(b.s, v, it.act.path)
	if err != nil || at.row == nil || !at.ours {
		return err // what is there goes along with the directory
	}
	it.act.kind, it.do, it.res.Way = actRemove, true, Removed
	it.act.prev = inodeOf(at.st)
	return b.displaceAdopted(v, at, it)
}
