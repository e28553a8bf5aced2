package vault

import (
	"waterlock/index"
	"waterlock/internal/disk"
	"waterlock/snapshot"
)

// memory is how far back the home goes whose snapshots come now. A home that joined anew, or was rolled back, does not know
// what it does not see: that a path is missing from its snapshots confirms nothing, unless one of them had it before. The
// first of them is the one that asks for an inventory.
type memory struct {
	begins  bool // with the snapshot of the finders; else home remembers everything
	finders map[string]*finder
}

// certain takes confirmed back to undecided where a file is gone of which home cannot know: the first snapshot that it
// remembers has neither it nor a word of it.
func (u *unpacking) certain(tree, path string, row *index.PathRow, gone snapshot.Gone) snapshot.Gone {
	if gone != snapshot.Confirmed || row.Kind == uint8(disk.KindDir) {
		return gone // a directory is nothing by itself: it stays for what is in it
	}
	if u.memory == nil {
		u.memory = u.remember()
	}
	if !u.memory.begins {
		return gone
	}
	f := u.memory.finders[tree]
	if f == nil {
		return snapshot.Undecided
	}
	if fate, err := f.fate(path); err != nil || fate == snapshot.Confirmed {
		return snapshot.Undecided
	}
	return gone
}

// remember finds the newest snapshot whose commit asks for an inventory.
func (u *unpacking) remember() *memory {
	m := &memory{finders: map[string]*finder{}}
	known := u.v.commits.known
	for i := len(known) - 1; i >= 0; i-- {
		c, err := u.v.commits.load(known[i])
		if err != nil {
			u.rep.Problem(known[i].file, err)
			continue
		}
		if !c.Inventory {
			continue
		}
		m.begins = true
		for _, t := range c.Snapshot.Trees {
			m.finders[t.Name] = &finder{tree: t, get: u.v.store}
		}
		break
	}
	return m
}
