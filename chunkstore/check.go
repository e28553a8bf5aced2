package chunkstore

import (
	"context"
	"fmt"
	"strings"

	"waterlock/index"
	"waterlock/internal/chunk"
	"waterlock/internal/disk"
)

// findAbsent notes the shelves that have no directories of ours: new ones, or
// those of a file system that is not mounted.
func (s *Store) findAbsent() {
	s.absent = map[*shelf]bool{}
	for _, sh := range s.shelves {
		if !isDir(sh.fs, sh.stagingDir()) {
			s.absent[sh] = true
		}
	}
}

// errAbsent says that a volume the catalog has files of is not mounted.
func errAbsent(v *volume) error {
	return fmt.Errorf("tree %q: no %s where its files should be; is the file system mounted?", v.Tree, v.Store)
}

// volumesThere refuses to work while a tree's file system is not mounted. What
// is not there for now must not be taken for lost.
func (s *Store) volumesThere() error {
	for tree, v := range s.vols {
		if !s.absent[v.shelf] {
			continue
		}
		it := s.cat.Paths(tree)
		_, _, any := it.Next()
		err := it.Err()
		it.Close()
		if err != nil {
			return err
		}
		if any {
			return errAbsent(v)
		}
	}
	return nil
}

// changes writes catalog rows in batches while it is iterated.
type changes struct {
	s *Store
	b *index.Batch
	n int
}

func (c *changes) batch() *index.Batch {
	if c.b == nil {
		c.b = c.s.cat.Batch()
	}
	c.n++
	return c.b
}

func (c *changes) flush(atLeast int) error {
	if c.n < atLeast || c.b == nil {
		return nil
	}
	b := c.b
	c.b, c.n = nil, 0
	return b.Commit()
}

// CheckMirror compares every path of the mirror and every other container with
// what is recorded of it. The rows of paths that vanished or were changed by
// somebody else are dropped, so that the next Install puts them right; chunks
// that have no place left become wants. Content is read only where a file of
// the recorded size has another time or inode: it was touched, or the vault was
// copied, and the content decides. Run it before unpacking.
func (s *Store) CheckMirror(ctx context.Context) (MirrorCheck, error) {
	var res MirrorCheck
	ch := &changes{s: s}
	missing := map[index.ContainerID]bool{}
	for tree, v := range s.vols {
		if err := s.checkTree(ctx, tree, v, ch, &res, missing); err != nil {
			return res, err
		}
	}
	if err := ch.flush(1); err != nil { // before the rows are read again
		return res, err
	}
	err := s.cat.Containers(func(c index.Container) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if c.Missing {
			missing[c.ID] = true
		}
		if c.Kind == index.Mirror {
			return nil
		}
		st, ok := s.lookAt(c)
		if !ok && (c.Kind == index.Kept || c.Kind == index.Foreign) {
			held, err := s.stillHolds(ctx, &c)
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case err != nil: // nothing can be told
				_, name, _ := s.locate(c)
				s.report.Problem(name, err)
			case held:
				ch.batch().PutContainer(c)
			default:
				missing[c.ID] = true
			}
		} else if !ok {
			missing[c.ID] = true
		} else if st.Ino != 0 && (st.Ino != c.Ino || c.Kind == index.Pack && !containerInode(c).is(st)) {
			// The vault was copied to another disk, and nothing was read there yet.
			c.Ino, c.MSec, c.MNsec, c.ReadAt = st.Ino, st.MTime.Sec, st.MTime.Nsec, 0
			ch.batch().PutContainer(c)
		}
		return ch.flush(1000)
	})
	if err != nil {
		return res, err
	}
	if err := ch.flush(1); err != nil {
		return res, err
	}
	if len(missing) == 0 {
		return res, nil
	}
	if err := s.relocate(ctx, missing); err != nil {
		return res, err
	}
	for id := range missing {
		n, err := s.lose(id)
		if err != nil {
			return res, err
		}
		res.Lost++
		res.Chunks += n
	}
	return res, nil
}

// there reports whether a container is where its row says, as it was recorded.
func (s *Store) there(c index.Container) bool {
	_, ok := s.lookAt(c)
	return ok
}

// lookAt is there that also returns what was seen. What cannot be told counts
// as there: absence must be seen. A file of the mirror is known by its inode,
// size and time. Nobody else writes to kept files and packs: their names are
// their own, so size and time, of a pack the size, are enough, and they outlive
// a copy of the vault to another disk. Where lookAt says no of a plain file,
// stillHolds has the last word.
func (s *Store) lookAt(c index.Container) (st disk.Stat, ok bool) {
	f, name, err := s.locate(c)
	if err != nil {
		return st, true
	}
	st, found, err := stat(f, name)
	if err != nil {
		return disk.Stat{}, true
	}
	if c.Kind == index.Staging {
		// It grows, and may have grown further than is recorded. Nobody else
		// writes there, and every chunk is checked when it is read.
		return st, found && st.Kind == disk.KindFile && st.Size >= c.Size
	}
	if !found || st.Kind != disk.KindFile || st.Size != c.Size {
		return st, false
	}
	switch c.Kind {
	case index.Pack:
		return st, true
	case index.Kept, index.Foreign:
		return st, sameMTime(containerInode(c).mtime, st.MTime)
	}
	return st, containerInode(c).is(st)
}

// shows reports whether a path shows the file that a container's name shows:
// it is the container's own path, or a link of the inode that is there now.
func (s *Store) shows(c index.Container, v *volume, p string, at disk.Stat) bool {
	if at.Kind != disk.KindFile || at.Size != c.Size {
		return false
	}
	if c.Kind == index.Mirror && c.Tree == v.Tree && c.Name == p {
		return true
	}
	f, name, err := s.locate(c)
	if err != nil || f != v.FS {
		return false
	}
	st, found, err := stat(f, name)
	return err == nil && found && st.Ino == at.Ino
}

// stillHolds reads a plain file whose time or inode is another than recorded,
// and takes them over if its size and content are those of the container. The
// error says that it could not be told.
func (s *Store) stillHolds(ctx context.Context, c *index.Container) (bool, error) {
	f, name, err := s.locate(*c)
	if err != nil {
		return false, err
	}
	st, found, err := stat(f, name)
	if err != nil || !found || st.Kind != disk.KindFile || st.Size != c.Size || c.Hash == (chunk.ContentHash{}) {
		return false, err
	}
	s.handles.forget(c.ID) // it may be another inode
	if err := f.SyncFiles([]string{name}); err != nil {
		return false, err
	}
	began := s.now().Unix()
	sum, err := readSum(ctx, f, name)
	if err != nil || sum != c.Hash {
		return false, err
	}
	now, found, err := stat(f, name)
	if err != nil || !found || !inodeOf(st).is(now) {
		return false, err
	}
	c.Ino, c.MSec, c.MNsec, c.ReadAt = now.Ino, now.MTime.Sec, now.MTime.Nsec, began
	return true, nil
}

func (s *Store) checkTree(ctx context.Context, tree string, v *volume, ch *changes, res *MirrorCheck, missing map[index.ContainerID]bool) error {
	it := s.cat.Paths(tree)
	defer it.Close()
	look := newOverlay(s.cat)
	touched := map[index.ContainerID]bool{}
	for n := 0; ; n++ {
		p, row, ok := it.Next()
		if !ok {
			return it.Err()
		}
		if n == 0 && !isDir(v.FS, v.name("")) {
			return fmt.Errorf("tree %q: its directory %s is not there", tree, v.name(""))
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if n%1024 == 1023 {
			look = newOverlay(s.cat) // it is for looking only; bound its memory
		}
		res.Files++
		st, found, err := stat(v.FS, v.name(p))
		if err == nil && found {
			err = s.reopen(v.FS, v.name(p), st)
		}
		if err != nil {
			s.report.Problem(v.name(p), err)
			continue
		}
		c, err := look.container(row.Container)
		if err != nil {
			return err
		}
		ours := false
		if found && uint8(st.Kind) == row.Kind {
			if ours, err = look.matches(&row, c, st); err != nil {
				return err
			}
		}
		edited := false
		if found && !ours && c != nil {
			if edited, err = s.wasRead(c.ID, st); err != nil {
				return err
			}
		}
		if found && !ours && c != nil && !edited && s.shows(*c, v, p, st) {
			if ours, err = s.stillHolds(ctx, c); err != nil {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				s.report.Problem(v.name(p), err)
				continue // nothing can be told
			}
			if ours {
				touched[c.ID] = true
				c.Missing = false
				ch.batch().PutContainer(*c)
			}
		}
		if ours {
			if c != nil && touched[c.ID] && row.Digest != ([32]byte{}) {
				row.Digest = [32]byte{} // the metadata is set anew
				ch.batch().PutPath(tree, p, row)
			}
			if c != nil && c.Damaged && row.Digest != ([32]byte{}) {
				row.Digest = [32]byte{} // no entry is equal to it: it is installed anew
				ch.batch().PutPath(tree, p, row)
			}
		} else {
			if row.Adopted {
				s.report.Verbose("%s was adopted, and is gone or was changed since", v.name(p))
			} else if found {
				res.Foreign++
				s.report.Warn("%s was changed by somebody else", v.name(p))
			} else {
				res.Missing++
				s.report.Warn("%s is missing", v.name(p))
			}
			own := c != nil && c.Kind == index.Mirror && c.Tree == tree && c.Name == p
			if own && edited && !c.Missing {
				continue // its row is as it was left then
			}
			if own && !row.Adopted && found && st.Kind == disk.KindFile && !c.Missing {
				some, lost, err := s.salvage(ctx, *c)
				if ctx.Err() != nil {
					return ctx.Err()
				}
				if err != nil {
					s.report.Problem(v.name(p), err)
					continue // nothing can be told
				}
				if some {
					res.Chunks += lost
					row.Digest = [32]byte{} // no entry is equal to it: it is installed anew
					ch.batch().PutPath(tree, p, row)
					continue
				}
			}
			ch.batch().DropPath(tree, p)
			if own {
				missing[c.ID] = true
				lost := *c
				lost.Missing = true // should this run be stopped before it is settled
				ch.batch().PutContainer(lost)
			}
		}
		if err := ch.flush(1000); err != nil {
			return err
		}
	}
}

// relocate looks for missing containers under other names: their kept name, and
// other links of the inode in the mirror. Those found are taken off the list.
func (s *Store) relocate(ctx context.Context, missing map[index.ContainerID]bool) error {
	move := func(c index.Container, kind index.ContainerKind, tree, name string) error {
		c.Kind, c.Tree, c.Name, c.Missing = kind, tree, name, false
		if !s.there(c) {
			if kind != index.Kept {
				return nil
			}
			held, err := s.stillHolds(ctx, &c)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				_, name, _ := s.locate(c)
				s.report.Problem(name, err)
				delete(missing, c.ID) // nothing can be told
			}
			if !held {
				return nil
			}
		}
		delete(missing, c.ID)
		s.handles.forget(c.ID)
		b := s.cat.Batch()
		b.PutContainer(c)
		return b.Commit()
	}
	for id := range missing {
		c, ok, err := s.cat.Container(id)
		if err != nil {
			return err
		}
		if !ok {
			delete(missing, id)
			continue
		}
		if c.Kind == index.Pack || c.Kind == index.Staging {
			continue
		}
		if err := move(c, index.Kept, c.Tree, keptRow(id)); err != nil {
			return err
		}
	}
	for tree := range s.vols {
		if len(missing) == 0 {
			return nil
		}
		it := s.cat.Paths(tree)
		for {
			p, row, ok := it.Next()
			if !ok || ctx.Err() != nil {
				break
			}
			if row.Container == 0 || !missing[row.Container] {
				continue
			}
			c, ok, err := s.cat.Container(row.Container)
			if err == nil && ok {
				err = move(c, index.Mirror, tree, p)
			}
			if err != nil {
				it.Close()
				return err
			}
		}
		err := it.Err()
		it.Close()
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}

// lose drops a container that is gone. Chunks that have no other place become
// wants; n counts them.
func (s *Store) lose(id index.ContainerID) (n int64, err error) {
	c, ok, err := s.cat.Container(id)
	if err != nil || !ok {
		return 0, err
	}
	if c.Kind != index.Mirror && c.Kind != index.Foreign {
		_, name, _ := s.locate(c)
		s.report.Problem(name, fmt.Errorf("%w: it is missing or was changed", ErrNoPlace))
	}
	ch := &changes{s: s}
	err = s.cat.ContainerChunks(id, func(_ int64, cid chunk.ID, _ uint32) error {
		left, err := s.placesBut(cid, id)
		if err != nil {
			return err
		}
		if left == 0 {
			n++
			ch.batch().PutWant(cid, index.Want{Kind: chunkKind(c)})
		}
		return ch.flush(1000)
	})
	if err != nil {
		return n, err
	}
	ch.batch().DropContainer(id)
	s.handles.forget(id)
	s.growing.drop(id)
	return n, ch.flush(1)
}

// chunkKind is the kind of a container's chunks.
func chunkKind(c index.Container) chunk.Kind {
	if c.Kind == index.Pack && strings.HasSuffix(c.Name, streamExt) {
		return chunk.Stream
	}
	return chunk.Data
}

// touched enters a container's new time and inode, and has the metadata of its
// path set anew by the next unpack.
func (s *Store) touched(c index.Container) error {
	b := s.cat.Batch()
	b.PutContainer(c)
	if c.Kind == index.Mirror {
		row, ok, err := s.cat.Path(c.Tree, c.Name)
		if err != nil {
			return err
		}
		if ok && row.Container == c.ID {
			row.Digest = [32]byte{}
			b.PutPath(c.Tree, c.Name, row)
		}
	}
	return b.Commit()
}
