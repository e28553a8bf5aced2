package chunkstore

import (
	"errors"

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

func (s *Store) meta(e *snapshot.Entry) disk.Meta {
	m := disk.Meta{Mode: e.Mode, UID: e.UID, GID: e.GID, MTime: e.MTime, Xattrs: e.Xattrs}
	if !s.root {
		if e.Kind == disk.KindDir {
			m.Mode |= 0o700
		} else {
			m.Mode |= 0o600
		}
	}
	return m
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
