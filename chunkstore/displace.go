package chunkstore

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"time"

	"waterlock/index"
	"waterlock/internal/disk"
)

// displace decides what becomes of what lies at a path before the action takes
// the path: nothing that is needed or not ours is ever lost.
func (b *Batch) displace(v *volume, at *place, it *item) error {
	a := &it.act
	if !at.found {
		a.old = oldNone
		return nil
	}
	a.prev = inodeOf(at.st)
	switch {
	case a.kind == actPlace && a.node.ino == at.st.Ino && at.st.Kind == a.entry.Kind:
		a.old = oldSame
		return nil
	case at.ours && at.row.Adopted && (a.entry == nil || !holds(at.cont, a.entry)):
		return b.displaceAdopted(v, at, it)
	case at.ours && at.st.Kind == disk.KindFile:
		return b.displaceOurs(v, at, it)
	case at.ours && at.st.Kind == disk.KindDir:
		names, err := v.FS.ReadDir(v.name(a.path))
		if err != nil {
			return err
		}
		if names.Len() == 0 {
			a.old, a.isDir = oldOther, true
			return nil
		}
	case at.ours:
		a.old = oldOther
		return nil
	}
	return b.displaceForeign(v, at, it)
}

// displaceOurs handles an old version of ours.
func (b *Batch) displaceOurs(v *volume, at *place, it *item) error {
	a, c := &it.act, at.cont
	a.oldID = c.ID
	if c.Kind == index.Mirror && c.Tree == v.Tree && c.Name == a.path {
		a.old, it.res.Kept = oldKeep, c.Size
		return nil
	}
	// The container has another name. It may be one of this batch, which is
	// not on disk yet.
	was, ok, err := b.s.cat.Container(c.ID)
	if err != nil {
		return whole(err)
	}
	if !ok || was.Kind != c.Kind || was.Tree != c.Tree || was.Name != c.Name {
		a.old, a.hold = oldShared, c.Kind == index.Mirror
		return nil
	}
	f, name, err := b.s.locate(*c)
	if err != nil {
		return err
	}
	if st, found, err := stat(f, name); err != nil {
		return err
	} else if found && st.Ino == at.st.Ino && f == v.FS {
		a.old = oldShared
		return nil
	}
	a.old, it.res.Kept = oldKeep, c.Size
	return nil
}

// displaceForeign finds a name for what nobody here wrote.
func (b *Batch) displaceForeign(v *volume, at *place, it *item) error {
	a := &it.act
	a.old, a.isDir = oldForeign, at.st.Kind != disk.KindFile
	day := v.shelf.store + "/foreign/" + b.s.now().UTC().Format(time.DateOnly)
	base := day + "/" + v.Tree
	if a.path != "" {
		base += "/" + a.path
	}
	name, err := freeName(v.FS, base)
	if err != nil {
		// The path does not fit in there: something of another kind has a
		// name of it.
		if name, err = freeName(v.FS, day+"/"+hexNumber(b.s.number())); err != nil {
			return err
		}
	}
	a.foreign = name
	it.res.Foreign = name
	return nil
}

// freeName makes the parents of base and returns it, or it with a number if it
// is taken.
func freeName(f disk.FS, base string) (string, error) {
	if err := disk.MkdirAll(f, path.Dir(base), 0o755); err != nil {
		return "", err
	}
	for i := 1; i < 10000; i++ {
		name := base
		if i > 1 {
			name = base + "~" + strconv.Itoa(i)
		}
		_, err := f.Stat(name)
		if errors.Is(err, fs.ErrNotExist) {
			return name, nil
		}
		if err != nil {
			return "", err
		}
	}
	return "", fmt.Errorf("%s and ten thousand names like it are taken", base)
}
