package snapshot

import (
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"slices"

	"waterlock/internal/disk"
)

// UnfinishedDir is the mode of a directory that Restore has made and not given
// its metadata yet: nobody's business, and marked (the sticky bit means nothing
// where only the owner may write) so that a restore run again after an
// interruption knows it for its own.
const UnfinishedDir = 0o1700

// dir makes a directory, or decides about one that is there: an empty one is
// taken as ours; another keeps its metadata if that differs, unless Overwrite.
func (r *restorer) dir(e *Entry) error {
	if e.Path == "" {
		return r.dirThere(e, r.Target, ".")
	}
	if e.Path == linksDir {
		return errReserved
	}
	up, name, err := r.parent(e.Path)
	if err != nil {
		return err
	}
	st, there, err := look(up, name)
	if err != nil {
		return err
	}
	switch {
	case there && st.Kind == disk.KindDir:
		return r.dirThere(e, up, name)
	case there && !r.Overwrite:
		return errDiffers
	case r.DryRun:
		return nil
	case there:
		if err := up.Remove(name); err != nil {
			return err
		}
	}
	return up.Mkdir(name, UnfinishedDir)
}

func (r *restorer) dirThere(e *Entry, up disk.FS, name string) error {
	st, err := up.Stat(name)
	if err != nil {
		return err
	}
	if r.DryRun || st.Mode == UnfinishedDir {
		return nil
	}
	m, err := up.Meta(name, st)
	if err != nil {
		return err
	}
	same := r.sameMeta(e, m)
	if !same && !r.Overwrite {
		sub, err := up.Sub(name)
		if err != nil {
			return err
		}
		names, err := sub.ReadDir(".")
		sub.Close()
		if err != nil {
			return err
		}
		if names.Len() > 0 {
			r.res.Kept++
			r.kept[maphash.String(r.seed, e.Path)] = struct{}{}
			return nil
		}
	}
	if st.Mode&0o300 != 0o300 && r.euid != 0 {
		// It must be written to; it gets its own mode again at the end, or when
		// a restore that was interrupted is run again.
		m.Mode = UnfinishedDir
		return up.SetMeta(name, m, disk.MetaOptions{Mode: true})
	}
	return nil
}

var errManyXattrs = errors.New("the directories above each other have too many")

// maxHeldXattrs bounds the attributes of the directories that lie above each
// other.
const maxHeldXattrs = 64 << 20

// dirMetas gives directories their metadata when everything in them has its
// own: neither do their times change any more then, nor can their modes lock
// anybody out.
type dirMetas struct {
	r     *restorer
	path  string
	stack []Entry // of the directories from the root to path, without paths
	held  int     // bytes of attributes in it
}

func (d *dirMetas) add(e *Entry) error {
	if e.Kind != disk.KindDir {
		return nil
	}
	for len(d.stack) > 0 && !Under(e.Path, d.path) {
		d.leave()
	}
	c := *e.Clone()
	c.Path = ""
	if size := xattrBytes(c.Xattrs); d.held+size > maxHeldXattrs {
		d.r.unset(e.Path, "attributes", errManyXattrs)
		c.Xattrs = nil
	}
	d.held += xattrBytes(c.Xattrs)
	d.stack = append(d.stack, c)
	d.path = e.Path
	// Where directories above were not selected or lost, they are passed by.
	for len(d.stack) < Depth(d.path)+1 {
		d.stack = slices.Insert(d.stack, len(d.stack)-1, Entry{})
	}
	return nil
}

func (d *dirMetas) finish() {
	for len(d.stack) > 0 {
		d.leave()
	}
}

// leave sets the metadata of the directory at path and goes up.
func (d *dirMetas) leave() {
	e := d.stack[len(d.stack)-1]
	e.Path = d.path
	d.stack = d.stack[:len(d.stack)-1]
	d.held -= xattrBytes(e.Xattrs)
	d.path, _ = Split(d.path)
	if _, kept := d.r.kept[maphash.String(d.r.seed, e.Path)]; kept || e.Kind == 0 {
		return
	}
	if err := d.r.dirMeta(&e); err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.r.fail(e.Path, err)
	}
}

func (r *restorer) dirMeta(e *Entry) error {
	if e.Path == "" {
		return r.setMeta(r.Target, ".", e, metaFinal)
	}
	up, name, err := r.parent(e.Path)
	if err != nil {
		return err
	}
	if st, there, err := look(up, name); err != nil || !there || st.Kind != disk.KindDir {
		return err // named in the first pass
	}
	return r.setMeta(up, name, e, metaFinal)
}

// syncDir makes a directory durable. After the first, most find nothing left
// to write. Where trips were told what is there, failing means that it is not.
func (r *restorer) syncDir(e *Entry) error {
	if e.Kind != disk.KindDir {
		return nil
	}
	dir, err := r.dirs.at(e.Path)
	if err == nil {
		err = dir.SyncDir(".")
	}
	switch {
	case err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission):
	case r.Trips != nil:
		return fmt.Errorf("%s: %w", r.name(e.Path), err)
	case disk.IsIOError(err):
		r.fail(e.Path, err)
	}
	return nil
}

func xattrBytes(xattrs []disk.Xattr) (n int) {
	for _, x := range xattrs {
		n += len(x.Name) + len(x.Value)
	}
	return n
}
