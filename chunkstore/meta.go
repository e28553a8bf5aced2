package chunkstore

import (
	"errors"
	"os"
	"slices"

	"waterlock/internal/disk"
	"waterlock/snapshot"
)

// setMeta gives an entry of the mirror, or one on its way there, the metadata
// of the snapshot. As root owners and modes are exact, but for setuid and
// setgid bits of files and attributes that programs trust: those stay in the
// snapshot. Otherwise owners stay there too, and what lies in the mirror stays
// readable and writable for the vault's user.
func (s *Store) setMeta(f disk.FS, name string, e *snapshot.Entry) error {
	err := f.SetMeta(name, s.meta(e), disk.MetaOptions{Owner: s.root, Mode: true})
	var m *disk.MetaError
	if errors.As(err, &m) {
		// The mirror shows what its file system can hold; the snapshot has it all.
		s.report.Verbose("%v", m)
		for _, p := range m.Problems {
			if disk.IsIOError(p.Err) || disk.IsNoSpace(p.Err) {
				return err
			}
		}
		return nil
	}
	return err
}

// What the vault's user needs of a file and of a directory.
const (
	fileNeeds = 0o600
	dirNeeds  = 0o700
)

func (s *Store) meta(e *snapshot.Entry) disk.Meta {
	m := disk.Meta{Mode: e.Mode, UID: e.UID, GID: e.GID, MTime: e.MTime}
	for _, x := range e.Xattrs {
		if !disk.Trusted(x.Name) {
			m.Xattrs = append(m.Xattrs, x)
		}
	}
	if !s.root {
		m = usable(m, e.Kind)
	}
	return m
}

// usable lets the owner of an entry use it. Where there is an access list, it
// is the list that counts and not the mode.
func usable(m disk.Meta, kind disk.Kind) disk.Meta {
	needs := uint32(fileNeeds)
	if kind == disk.KindDir {
		needs = dirNeeds
	}
	m.Mode |= needs
	m.Xattrs = disk.GrantOwner(m.Xattrs, uint16(needs>>6))
	return m
}

// reopen makes a file or directory of the mirror that somebody closed to the
// vault's user usable again: what lies in it could not be looked at otherwise,
// and nothing new be put there.
func (s *Store) reopen(f disk.FS, name string, st disk.Stat) error {
	closed := st.Kind == disk.KindDir && st.Mode&dirNeeds != dirNeeds || st.Kind == disk.KindFile && st.Mode&fileNeeds != fileNeeds
	if !closed || s.root || st.UID != uint32(os.Geteuid()) {
		return nil
	}
	m, err := f.Meta(name, st)
	if err != nil {
		return err
	}
	return f.SetMeta(name, usable(m, st.Kind), disk.MetaOptions{Mode: true})
}

// SetDirMeta gives a directory of the mirror the metadata of its entry, where
// it differs. It is not recorded and not synced: it can be repeated at any
// time, and every unpack looks at every directory.
func (s *Store) SetDirMeta(tree string, e *snapshot.Entry) (changed bool, err error) {
	v := s.vols[tree]
	if v == nil {
		return false, errors.New("no such tree")
	}
	if e.Kind != disk.KindDir {
		return false, ErrKind
	}
	if err := v.allowed(e.Path); err != nil {
		return false, err
	}
	name := v.name(e.Path)
	st, err := v.FS.Stat(name)
	if err != nil {
		return false, err
	}
	if st.Kind != disk.KindDir {
		return false, ErrBlocked
	}
	m := s.meta(e)
	if st.Mode == m.Mode && sameMTime(m.MTime, st.MTime) && (!s.root || st.UID == m.UID && st.GID == m.GID) {
		have, err := v.FS.Meta(name, st)
		have.Xattrs = slices.DeleteFunc(have.Xattrs, func(x disk.Xattr) bool { return disk.Trusted(x.Name) })
		if err == nil && sameXattrs(have.Xattrs, m.Xattrs) {
			return false, nil
		}
	}
	return true, s.setMeta(v.FS, name, e)
}

func sameXattrs(have, want []disk.Xattr) bool {
	if len(have) != len(want) {
		return false
	}
	for i := range have {
		if have[i].Name != want[i].Name || string(have[i].Value) != string(want[i].Value) {
			return false
		}
	}
	return true
}
