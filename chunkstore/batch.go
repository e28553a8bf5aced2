package chunkstore

import (
	"context"
	"errors"
	"fmt"

	"waterlock/index"
	"waterlock/internal/disk"
	"waterlock/snapshot"
)

// Bounds of a batch. One action may exceed those of bytes.
const (
	batchActions = 1024
	batchBytes   = 256 << 20 // assembled
	batchRecord  = 8 << 20   // of the install record
)

// Batch gathers actions and carries them out under one install record.
type Batch struct {
	s     *Store
	opts  BatchOptions
	began int64    // unix seconds: nothing it read was read before
	look  *overlay // what the catalog will say when the batch is done
	items []*item
	dirs  map[pathKey]bool // parents known to be directories when their turn comes
	seen  map[pathKey]bool
	bytes int64
	size  int // of the record, about
	done  bool
}

// item is one action on its way.
type item struct {
	act action
	do  bool // there is something to be done
	// stopgap: not the version that grows for the path
	stopgap bool
	grown   *growth // the file that grew for the path is what is staged
	adopted bool    // what moves to foreign was adopted
	res     Result
}

// NewBatch begins a batch. One batch at a time.
func (s *Store) NewBatch(o BatchOptions) *Batch {
	return &Batch{s: s, opts: o, began: s.now().Unix(), look: newOverlay(s.cat), dirs: map[pathKey]bool{}, seen: map[pathKey]bool{}}
}

// Full reports that the batch should be committed before more is added.
func (b *Batch) Full() bool {
	return len(b.items) >= batchActions || b.bytes >= batchBytes || b.size >= batchRecord
}

// Len returns the number of actions added.
func (b *Batch) Len() int { return len(b.items) }

// Discard drops a batch that was not committed, with what it staged.
func (b *Batch) Discard() {
	if b.done {
		return
	}
	b.done = true
	for _, it := range b.items {
		b.unstage(it)
	}
}

// unstage removes what an item staged; best effort, since the next Open does
// so too.
func (b *Batch) unstage(it *item) {
	if it.act.stage != 0 {
		sh := b.s.vols[it.act.tree].shelf
		_ = removeIfThere(sh.fs, sh.stageName(it.act.stage))
	}
}

// fatal is an error of the batch as a whole.
type fatal struct{ err error }

func (f *fatal) Error() string { return f.err.Error() }
func (f *fatal) Unwrap() error { return f.err }

// whole marks an error as one of the batch as a whole.
func whole(err error) error {
	if err == nil {
		return nil
	}
	return &fatal{err}
}

// Add prepares an action: files are assembled in staging now, with all they
// need. An action that cannot be prepared is a Result with Err, and leaves the
// path as it is. The error is of the batch as a whole: ctx, a failing catalog.
func (b *Batch) Add(ctx context.Context, a Action) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := b.s.usable(); err != nil {
		return err
	}
	if b.done {
		return errors.New("batch is done")
	}
	it := &item{res: Result{Op: a.Op, Tree: a.Tree, Path: a.Path}, stopgap: a.Stopgap}
	if a.Op == Install && a.Entry != nil {
		it.res.Path = a.Entry.Path
	}
	err := b.prepare(ctx, a, it)
	var f *fatal
	if errors.As(err, &f) {
		b.unstage(it)
		return err
	}
	if cerr := ctx.Err(); cerr != nil {
		b.unstage(it)
		return cerr
	}
	if err != nil {
		b.unstage(it)
		it.do, it.res.Err, it.res.Way, it.res.Bytes, it.res.Kept, it.res.Foreign = false, err, Nothing, 0, 0, ""
	}
	b.items = append(b.items, it)
	if it.do {
		b.size += 256 + len(it.act.path)
		if e := it.act.entry; e != nil {
			b.size += 36 * len(e.Content)
			for _, x := range e.Xattrs {
				b.size += len(x.Name) + len(x.Value)
			}
		}
		b.bytes += it.res.Bytes
	}
	return nil
}

func (b *Batch) prepare(ctx context.Context, a Action, it *item) error {
	v := b.s.vols[a.Tree]
	if v == nil {
		return fmt.Errorf("tree %q has no volume", a.Tree)
	}
	p := it.res.Path
	if err := snapshot.ValidPath(p); err != nil {
		return err
	}
	if err := v.allowed(p); err != nil {
		return err
	}
	if err := index.CheckPath(a.Tree, p); err != nil {
		return err
	}
	key := pathKey{a.Tree, p}
	if b.seen[key] {
		return errors.New("path is in this batch already")
	}
	it.act.tree, it.act.path = a.Tree, p
	var err error
	switch a.Op {
	case Install:
		err = b.prepareInstall(ctx, v, a.Entry, it)
	case Remove:
		err = b.prepareRemove(v, it)
	case setAside:
		err = b.prepareAside(v, it)
	default:
		err = fmt.Errorf("unknown action %d", a.Op)
	}
	if err != nil {
		return err
	}
	b.seen[key] = true
	if it.do {
		return whole(b.look.take(&it.act))
	}
	return nil
}

func (b *Batch) prepareInstall(ctx context.Context, v *volume, e *snapshot.Entry, it *item) error {
	if e == nil {
		return errors.New("no entry")
	}
	if err := e.Validate(); err != nil {
		return err
	}
	it.act.entry = e.Clone()
	it.act.entry.Carried = nil
	it.act.entry.Unseen = false
	at, err := b.look.at(b.s, v, e.Path)
	if err != nil {
		return err
	}
	if e.Path != "" {
		if err := b.parentReady(v, e.Path); err != nil {
			return err
		}
	}
	switch e.Kind {
	case disk.KindDir:
		return b.prepareDir(v, at, it)
	case disk.KindSymlink, disk.KindFifo:
		err = b.prepareOther(v, at, it)
	case disk.KindFile:
		err = b.prepareFile(ctx, v, at, it)
	default:
		return fmt.Errorf("%w: %v", ErrKind, e.Kind)
	}
	if err != nil || !it.do || it.act.kind != actPlace {
		return err
	}
	if at.found && at.st.Kind == disk.KindDir {
		// What lies in the directory goes first; a directory that is still
		// not empty then holds what is not ours.
		if err := b.s.clearDir(ctx, v, e.Path); err != nil {
			return err
		}
		if at, err = b.look.at(b.s, v, e.Path); err != nil {
			return err
		}
	}
	return b.displace(v, at, it)
}

// parentReady checks that the parent of a path is a directory, or becomes one
// in this batch.
func (b *Batch) parentReady(v *volume, p string) error {
	dir, _ := snapshot.Split(p)
	key := pathKey{v.Tree, dir}
	if b.dirs[key] {
		return nil
	}
	st, found, err := stat(v.FS, v.name(dir))
	if err != nil {
		return err
	}
	if !found || st.Kind != disk.KindDir {
		return fmt.Errorf("%w: %s", ErrBlocked, v.name(dir))
	}
	b.dirs[key] = true
	return nil
}

func (b *Batch) prepareDir(v *volume, at *place, it *item) error {
	b.dirs[pathKey{v.Tree, it.act.path}] = true
	if at.found && at.st.Kind == disk.KindDir {
		if at.row != nil && at.row.Kind == uint8(disk.KindDir) {
			return nil
		}
		it.act.kind, it.act.old, it.do, it.res.Way = actDir, oldSame, true, Made
		return nil
	}
	it.act.kind, it.do, it.res.Way = actDir, true, Made
	return b.displace(v, at, it)
}

// prepareOther stages a symlink or pipe.
func (b *Batch) prepareOther(v *volume, at *place, it *item) error {
	e := it.act.entry
	if at.ours && at.row.Digest == e.Digest() {
		return nil
	}
	if at.found && at.st.Kind == e.Kind && e.Kind == disk.KindSymlink && !at.ours {
		if t, err := v.FS.Readlink(v.name(e.Path)); err == nil && t == e.Target {
			it.act.kind, it.act.old, it.act.prev = actMeta, oldSame, inodeOf(at.st)
			it.act.node = it.act.prev
			it.act.node.mtime = e.MTime
			it.do, it.res.Way = true, Adopted
			return nil
		}
	}
	it.act.kind, it.act.stage = actPlace, b.s.number()
	name := v.shelf.stageName(it.act.stage)
	var err error
	if e.Kind == disk.KindSymlink {
		err = v.FS.Symlink(e.Target, name)
	} else {
		err = v.FS.Mkfifo(name, 0o600)
	}
	if errors.Is(err, errors.ErrUnsupported) {
		return fmt.Errorf("%w: %v: %w", ErrKind, e.Kind, err)
	}
	if err != nil {
		return err
	}
	if err := b.s.setMeta(v.FS, name, e); err != nil {
		return err
	}
	st, err := v.FS.Stat(name)
	if err != nil {
		return err
	}
	it.act.node, it.do, it.res.Way = inodeOf(st), true, Made
	return nil
}

func (b *Batch) prepareRemove(v *volume, it *item) error {
	at, err := b.look.at(b.s, v, it.act.path)
	if err != nil {
		return err
	}
	if at.row == nil || at.row.Adopted {
		return nil // not of any snapshot: it is not ours to remove
	}
	it.act.kind, it.do, it.res.Way = actRemove, true, Removed
	it.act.isDir = at.row.Kind == uint8(disk.KindDir)
	if it.act.isDir && (!at.found || at.st.Kind == disk.KindDir) {
		it.act.old = oldOther
		return nil
	}
	it.act.isDir = false
	return b.displace(v, at, it)
}

// maxDirActions bounds the batches that empty a directory.
const maxDirActions = 256

// clearDir empties a directory of ours that is to give way to something else:
// what is ours in it is removed by batches of its own, and what was adopted goes
// to foreign, where it goes on counting.
func (s *Store) clearDir(ctx context.Context, v *volume, dir string) error {
	var dirs []string
	it := s.cat.Paths(v.Tree)
	defer it.Close()
	b := s.NewBatch(BatchOptions{})
	add := func(op Op, p string) error {
		if err := b.Add(ctx, Action{Op: op, Tree: v.Tree, Path: p}); err != nil {
			return err
		}
		if b.Len() < maxDirActions {
			return nil
		}
		_, err := b.Commit(ctx)
		b = s.NewBatch(BatchOptions{})
		return whole(err)
	}
	for {
		p, row, ok := it.Next()
		if !ok {
			break
		}
		if p == dir || !snapshot.Under(p, dir) {
			continue
		}
		if row.Kind == uint8(disk.KindDir) {
			dirs = append(dirs, p)
			continue
		}
		op := Remove
		if row.Adopted {
			op = setAside
		}
		if err := add(op, p); err != nil {
			return err
		}
	}
	if err := it.Err(); err != nil {
		return whole(err)
	}
	for i := len(dirs) - 1; i >= 0; i-- {
		if err := add(Remove, dirs[i]); err != nil {
			return err
		}
	}
	if _, err := b.Commit(ctx); err != nil {
		return whole(err)
	}
	return nil
}

// place is what is known of a path before an action.
type place struct {
	path  string
	st    disk.Stat
	found bool
	row   *index.PathRow
	cont  *index.Container // of the row
	ours  bool             // what is there is what the row says
}

// at looks at a path: what lies there, and what the catalog says of it.
func (o *overlay) at(s *Store, v *volume, p string) (*place, error) {
	at := place{path: p}
	var err error
	if at.st, at.found, err = stat(v.FS, v.name(p)); err != nil {
		return nil, err
	}
	if at.row, err = o.row(v.Tree, p); err != nil {
		return nil, whole(err)
	}
	if at.row == nil {
		return &at, nil
	}
	if at.cont, err = o.container(at.row.Container); err != nil {
		return nil, whole(err)
	}
	if at.found && uint8(at.st.Kind) == at.row.Kind {
		at.ours, err = o.matches(at.row, at.cont, at.st)
	}
	return &at, whole(err)
}

// matches reports whether what lies at a path is what is recorded of it. Of a
// file that is what is recorded of its container, which counts for all links of
// the inode; within a batch the metadata may be that before or after it.
func (o *overlay) matches(row *index.PathRow, c *index.Container, st disk.Stat) (bool, error) {
	switch disk.Kind(row.Kind) {
	case disk.KindDir:
		return true, nil
	case disk.KindFile:
		if c == nil {
			return false, nil
		}
		if containerInode(*c).is(st) {
			return true, nil
		}
		was, ok, err := o.cat.Container(c.ID)
		return ok && containerInode(was).is(st), err
	}
	return inode{row.Ino, row.Size, disk.Time{Sec: row.MSec, Nsec: row.MNsec}}.is(st), nil
}

func containerInode(c index.Container) inode {
	return inode{c.Ino, c.Size, disk.Time{Sec: c.MSec, Nsec: c.MNsec}}
}
