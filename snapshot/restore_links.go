package snapshot

import (
	"encoding/hex"
	"errors"

	"waterlock/internal/disk"
)

// linksDir is a directory in the target that holds one more link of each file
// with several, under a name made of its group, until the restore is done: so
// the next of them is found without remembering paths.
const linksDir = ".wl-restore-links"

var errReserved = errors.New("the name is needed while restoring")

type links struct {
	r       *restorer
	made    bool
	without bool                // the target knows no hard links
	why     error               // of without
	alone   map[uint64]struct{} // groups of which there is a file, then
	growing map[uint64]struct{} // groups of which a file grows: the others wait for it
}

// key names a group by everything its entries must have in common.
func (l *links) key(e *Entry) string {
	c := *e
	c.Path, c.Content = "", nil
	sum := c.Digest()
	return Join(linksDir, hex.EncodeToString(sum[:16]))
}

// waiting tells whether the first of a group lies in the batch.
func (l *links) waiting(e *Entry) bool {
	if e.LinkGroup == 0 {
		return false
	}
	for i := range l.r.batch {
		if l.r.batch[i].entry.LinkGroup == e.LinkGroup {
			return true
		}
	}
	return false
}

// reuse links an earlier file of the group to a temporary name.
func (l *links) reuse(e *Entry, temp string) (bool, error) {
	if e.LinkGroup == 0 || !l.made {
		return false, nil
	}
	key := l.key(e)
	if _, there, err := look(l.r.Target, key); err != nil || !there {
		return false, err
	}
	l.r.Target.Remove(temp) // of an interrupted restore
	if err := l.r.Target.Link(key, temp); err != nil {
		// Too many links of one file: the next ones are of a new one.
		l.r.unset(e.Path, "hard links", err)
		return false, l.r.Target.Remove(key)
	}
	return true, nil
}

// grows notes that a file of the group grows.
func (l *links) grows(e *Entry) {
	if e.LinkGroup != 0 && len(l.growing) < maxAlone {
		if l.growing == nil {
			l.growing = map[uint64]struct{}{}
		}
		l.growing[e.LinkGroup] = struct{}{}
	}
}

// isOne tells whether a file that is there is a link of its group, or the
// first of it.
func (l *links) isOne(e *Entry, st disk.Stat) bool {
	if e.LinkGroup == 0 || !l.made {
		return true
	}
	first, there, err := look(l.r.Target, l.key(e))
	return err != nil || !there || first.Ino == st.Ino && first.Dev == st.Dev
}

// keep remembers a file in place for the others of its group.
func (l *links) keep(e *Entry) {
	if e.LinkGroup == 0 || l.r.DryRun {
		return
	}
	if l.without {
		l.apart(e)
		return
	}
	if !l.made {
		l.made = true
		l.r.Target.Mkdir(linksDir, 0o700)
		l.clear() // of an interrupted restore
	}
	key := l.key(e)
	if _, there, _ := look(l.r.Target, key); there {
		return
	}
	if err := l.r.Target.Link(e.Path, key); err != nil {
		l.without, l.why, l.alone = true, err, map[uint64]struct{}{}
		l.apart(e)
	}
}

// maxAlone bounds the groups that are remembered where there are no hard links.
const maxAlone = 1 << 16

// apart counts the files of a group behind the first: they are files of their own.
func (l *links) apart(e *Entry) {
	if _, again := l.alone[e.LinkGroup]; !again && len(l.alone) < maxAlone {
		l.alone[e.LinkGroup] = struct{}{}
		return
	}
	l.r.unset(e.Path, "hard links", l.why)
}

func (l *links) clear() {
	dir, err := l.r.Target.Sub(linksDir)
	if err != nil {
		return
	}
	defer dir.Close()
	names, err := dir.ReadDir(".")
	if err != nil {
		return
	}
	for i := range names.Len() {
		dir.Remove(names.At(i))
	}
}

func (l *links) remove() {
	if l.made {
		l.clear()
		l.r.Target.Remove(linksDir)
		l.made = false
	}
}
