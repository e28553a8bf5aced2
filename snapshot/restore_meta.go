package snapshot

import (
	"bytes"
	"errors"
	"slices"

	"waterlock/internal/disk"
)

// Bits of a mode that hand on somebody's rights.
const privilegedBits = 0o6000

// needsPrivilege tells whether an entry loses something without Privileged.
func (e *Entry) needsPrivilege() bool {
	return e.Kind == disk.KindFile && e.Mode&privilegedBits != 0 ||
		slices.ContainsFunc(e.Xattrs, func(x disk.Xattr) bool { return disk.Trusted(x.Name) })
}

// metaStage says whether a file may still have to be read under its temporary
// name.
type metaStage bool

const (
	metaTemporary metaStage = false
	metaFinal     metaStage = true
)

// unreadable tells whether the mode of an entry would keep this user from
// reading the file back.
func (r *restorer) unreadable(e *Entry) bool {
	return r.euid != 0 && e.Kind == disk.KindFile && e.Mode&0o400 == 0
}

func (r *restorer) mayOwn(e *Entry) bool {
	return r.euid == 0 || r.euid > 0 && e.UID == uint32(r.euid)
}

// errNotOwner is why an ordinary user gives nobody else's files back to them.
var errNotOwner = errors.New("only root may give files to others")

// setMeta gives what was written the metadata of its entry. What the target
// does not take, or takes as something else, is counted.
func (r *restorer) setMeta(dir disk.FS, name string, e *Entry, stage metaStage) error {
	m := disk.Meta{Mode: e.Mode, UID: e.UID, GID: e.GID, MTime: e.MTime, Xattrs: e.Xattrs}
	if stage == metaTemporary && r.unreadable(e) {
		m.Mode |= 0o400
		m.Xattrs = disk.GrantOwner(m.Xattrs, 4)
	}
	o := disk.MetaOptions{Owner: r.mayOwn(e), Mode: true, Privileged: r.Privileged}
	err := dir.SetMeta(name, m, o)
	if stage == metaFinal && e.Kind == disk.KindFile {
		return ignoreMeta(err) // the second time: counted at the first
	}
	var failed *disk.MetaError
	if err != nil && !errors.As(err, &failed) {
		return err
	}
	var problems []disk.MetaProblem
	if failed != nil {
		problems = failed.Problems
	}
	if !o.Owner {
		problems = append(problems, disk.MetaProblem{What: "owner", Err: errNotOwner})
	}
	st, err := dir.Stat(name)
	if err != nil {
		return err
	}
	r.unsetMeta(e.Path, append(problems, differing(e.Kind, m, o, st)...))
	return nil
}

func ignoreMeta(err error) error {
	var problems *disk.MetaError
	if errors.As(err, &problems) {
		return nil
	}
	return err
}

// sameMeta tells whether m is what setMeta would make it, but for times of
// directories, which change as they are filled.
func (r *restorer) sameMeta(e *Entry, m disk.Meta) bool {
	mode := e.Mode
	if e.Kind == disk.KindFile && !r.Privileged {
		mode &^= privilegedBits
	}
	if e.Kind != disk.KindSymlink && m.Mode != mode {
		return false
	}
	if r.mayOwn(e) && (m.UID != e.UID || m.GID != e.GID) {
		return false
	}
	if e.Kind != disk.KindDir && m.MTime != e.MTime {
		return false
	}
	return slices.EqualFunc(r.settable(m.Xattrs), r.settable(e.Xattrs), func(a, b disk.Xattr) bool {
		return a.Name == b.Name && bytes.Equal(a.Value, b.Value)
	})
}

// settable is the attributes that setMeta sets.
func (r *restorer) settable(xattrs []disk.Xattr) []disk.Xattr {
	if r.Privileged {
		return xattrs
	}
	return slices.DeleteFunc(slices.Clone(xattrs), func(x disk.Xattr) bool { return disk.Trusted(x.Name) })
}
