package vault

import (
	"errors"
	"io/fs"

	"waterlock/internal/courier"
	"waterlock/internal/disk"
	"waterlock/internal/exit"
)

// joinedFile is the commit by which the vault joined its route, verbatim as the drive brought it. It says how the route
// cuts content and which trees it has before any shipment was taken; it is no snapshot known, for nothing of it was taken.
const joinedFile = ".wl/joined.commit"

// keepJoined leaves the commit in what is about to become a vault. An init that was interrupted may have left another.
func keepJoined(root disk.FS, verbatim []byte) error {
	if err := root.Remove(joinedFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return disk.Put(root, joinedFile, verbatim)
}

// joined is the newest commit that the vault has of its route: of a snapshot known, else the one it joined by.
func (v *vault) joined() (*courier.Commit, error) {
	if head, ok := v.commits.newest(); ok {
		return v.commits.load(head)
	}
	b, err := disk.ReadAll(v.root, joinedFile, courier.MaxCommit)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, exit.Errorf(exit.Fatal, "%s is not there and no snapshot is known, so how the route cuts its chunks is not known: run wl unpack first", joinedFile)
	}
	if err != nil {
		return nil, err
	}
	c, err := courier.DecodeCommit(b)
	if err != nil {
		return nil, exit.Errorf(exit.Corrupt, "%s: %w; run wl unpack first", joinedFile, err)
	}
	if c.Route.ID != v.id {
		return nil, exit.Errorf(exit.Fatal, "%s is of route %s, the vault of %s", joinedFile, c.Route.ID, v.id)
	}
	return c, nil
}

// treesBefore makes the trees known whose directories are there before any snapshot names them: what was adopted in them
// counts. A snapshot that is known may be older than the one by which the vault joined.
func (v *vault) treesBefore() error {
	if len(v.commits.known) > 0 && v.hasAdopted() == "" {
		return nil
	}
	b, err := disk.ReadAll(v.root, joinedFile, courier.MaxCommit)
	if err != nil {
		return nil // nothing was adopted without it
	}
	joined, err := courier.DecodeCommit(b)
	if err != nil || joined.Route.ID != v.id {
		return nil
	}
	for _, t := range joined.Snapshot.Trees {
		if treeHere(t.Name) != nil {
			continue
		}
		st, err := v.root.Stat(t.Name)
		if err == nil && st.Kind == disk.KindDir {
			v.commits.trees[t.Name] = true
		} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// RouteTrees is the trees that the route had when the vault at path joined it; nil where that cannot be told. Nothing is
// locked.
func RouteTrees(path string) (names []string) {
	root, err := disk.Dir(path)
	if err != nil {
		return nil
	}
	defer root.Close()
	b, err := disk.ReadAll(root, joinedFile, courier.MaxCommit)
	if err != nil {
		return nil
	}
	c, err := courier.DecodeCommit(b)
	if err != nil {
		return nil
	}
	for _, t := range c.Snapshot.Trees {
		names = append(names, t.Name)
	}
	return names
}

// adoptedFile is there, empty, once files were adopted: chunks may be needed of what lies in foreign/.
const adoptedFile = ".wl/adopted"

func (v *vault) noteAdopted() error {
	err := disk.Put(v.root, adoptedFile, nil)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// hasAdopted says why nothing of foreign/ can be deleted without the catalog, "" if it can.
func (v *vault) hasAdopted() string {
	if _, err := v.root.Stat(adoptedFile); errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	return "snapshots may need pieces of what was adopted, and there is no room to look them up"
}
