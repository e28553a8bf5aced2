package home

import (
	"errors"

	"waterlock/internal/disk"
	"waterlock/snapshot"
)

// errUnmounted is said of a directory that a disk was mounted on last time and none is now. What lies on that disk is
// not deleted: the directory is a blind spot, unless --allow-device says otherwise.
var errUnmounted = errors.New("a disk was mounted here last time and none is now (if that is right: " + flagDevice + ")")

// mounts follows a walk and compares where devices change with where they changed last time. Numbers of devices differ
// from one start of the machine to the next; that a directory lies on another device than its parent does not.
type mounts struct {
	dirs []mountedDir // from the root to the current one
}

type mountedDir struct {
	path      string
	dev, last uint64
	known     bool // last was seen
}

// unmounted tells whether a directory lay on another device than its parent and no longer does.
func (m *mounts) unmounted(n *snapshot.Node, prev *snapshot.ScanEntry) bool {
	if n.Err != nil || n.Entry.Kind != disk.KindDir {
		return false
	}
	for len(m.dirs) > 0 && !snapshot.Under(n.Entry.Path, m.dirs[len(m.dirs)-1].path) {
		m.dirs = m.dirs[:len(m.dirs)-1]
	}
	d := mountedDir{path: n.Entry.Path, dev: n.Local.Dev}
	if prev != nil && prev.Entry.Kind == disk.KindDir {
		d.last, d.known = prev.Local.Dev, true
	}
	gone := false
	if len(m.dirs) > 0 && d.known {
		parent := m.dirs[len(m.dirs)-1]
		gone = parent.known && d.last != parent.last && d.dev == parent.dev
	}
	d.known = d.known && !prev.Entry.Unseen // then its number says only that it is another than its parent's
	m.dirs = append(m.dirs, d)
	return gone
}

// unmounted tells whether a directory of a tree is to be left as it was, because its disk is not there.
func (r *run) unmounted(t *treeState, m *mounts, n *snapshot.Node, prev *snapshot.ScanEntry) bool {
	return m.unmounted(n, prev) && !t.excluder.oneFileSystem && !allows(r.o.AllowDevice, t.Name)
}
