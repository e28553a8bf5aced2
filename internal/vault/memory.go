package vault

import (
	"cmp"
	"slices"

	"waterlock/index"
	"waterlock/internal/courier"
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

// remember finds the newest snapshot whose commit asks for an inventory, be it forgotten since. Where that cannot be read any more,
// the oldest one after it is what home is known to have remembered. A commit that cannot be read may have asked.
func (u *unpacking) remember() *memory {
	m := &memory{finders: map[string]*finder{}}
	c := u.v.commits
	all := slices.Concat(c.known, c.forgotten, c.damaged)
	slices.SortStableFunc(all, func(a, b knownSnapshot) int { return cmp.Compare(b.number, a.number) })
	var since *courier.Commit // the oldest known so far
	for _, k := range all {
		commit, err := c.load(k)
		switch {
		case err != nil && !slices.Contains(c.damaged, k):
			u.rep.Problem(k.file, err)
		case err == nil && slices.Contains(c.known, k):
			since = commit
		}
		if err == nil && !commit.Inventory {
			continue
		}
		m.begins = true
		if since != nil {
			for _, t := range since.Snapshot.Trees {
				m.finders[t.Name] = &finder{tree: t, get: u.v.store}
			}
		}
		break
	}
	return m
}
