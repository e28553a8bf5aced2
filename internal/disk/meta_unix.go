//go:build linux || darwin

package disk

import (
	"cmp"
	"errors"
	"slices"

	"golang.org/x/sys/unix"
)

// Bits of a mode that hand on somebody's rights.
const modePrivileged = unix.S_ISUID | unix.S_ISGID

func (d *dir) Meta(name string, st Stat) (Meta, error) {
	m := Meta{Mode: st.Mode, UID: st.UID, GID: st.GID, MTime: st.MTime}
	p, base, err := d.parent(name)
	if err != nil {
		return m, d.err("xattr", name, err)
	}
	defer p.close()
	m.Xattrs, err = xattrsAt(p.fd, base)
	if err != nil {
		return m, d.err("xattr", name, cause(err))
	}
	slices.SortFunc(m.Xattrs, func(a, b Xattr) int { return cmp.Compare(a.Name, b.Name) })
	return m, nil
}

// SetMeta: open without following, then chown, chmod, setxattr, utimensat.
// A change of owner takes setuid bits and capabilities away, so it is first;
// setting attributes touches ctime only, but access lists change the mode, so
// they come after it; times are last.
func (d *dir) SetMeta(name string, m Meta, o MetaOptions) error {
	p, base, err := d.parent(name)
	if err != nil {
		return d.err("set metadata", name, err)
	}
	defer p.close()
	h, err := openMeta(p.fd, base)
	if err != nil {
		return d.err("set metadata", name, err)
	}
	defer h.close()

	var problems []MetaProblem
	note := func(what string, err error) bool {
		if err != nil {
			problems = append(problems, MetaProblem{what, xattrCause(err)})
		}
		return err == nil
	}
	owned := false
	if o.Owner {
		owned = note("owner", retry(func() error {
			return unix.Fchownat(p.fd, base, int(m.UID), int(m.GID), unix.AT_SYMLINK_NOFOLLOW)
		}))
	}
	if o.Mode && h.kind != KindSymlink {
		mode := modeWithoutList(m.Mode&0o7777, m.Xattrs)
		if h.kind != KindDir && !(o.Privileged && owned) {
			mode &^= modePrivileged
		}
		note("mode", retry(func() error { return h.chmod(mode) }))
	}
	setXattrs(h, m.Xattrs, o, note)
	// FUSE drivers of libfuse 2 pass over a call that leaves one of the times out.
	times := []unix.Timespec{{Nsec: utimeNow}, unixTime(m.MTime)}
	note("times", retry(func() error {
		return unix.UtimesNanoAt(p.fd, base, times, unix.AT_SYMLINK_NOFOLLOW)
	}))
	if problems != nil {
		return &MetaError{Name: d.at.path(name), Problems: problems}
	}
	return nil
}

func unixTime(t Time) unix.Timespec {
	ts := unix.NsecToTimespec(int64(t.Nsec))
	ts.Sec = t.Sec
	return ts
}

// setXattrs makes the attributes those of want, as far as o goes.
func setXattrs(h metaHandle, want []Xattr, o MetaOptions, note func(string, error) bool) {
	have, err := h.listXattrs()
	if err != nil && !isNoXattr(err) {
		note("attributes", err)
	}
	for _, name := range have {
		if mayRemoveXattr(name, o.Privileged) && !slices.ContainsFunc(want, func(x Xattr) bool { return x.Name == name }) {
			if err := h.removeXattr(name); err != nil && !isNoXattr(err) {
				note(name, err)
			}
		}
	}
	for _, x := range want {
		if o.Privileged || !Trusted(x.Name) {
			note(x.Name, h.setXattr(x.Name, x.Value))
		}
	}
}

// isNoXattr tells whether an error only says that there are no attributes.
func isNoXattr(err error) bool {
	return errors.Is(err, unix.ENOTSUP) || errors.Is(err, errNoXattr)
}
