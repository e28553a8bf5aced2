package courier

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"

	"waterlock/internal/disk"
	"waterlock/internal/exit"
	"waterlock/internal/wire"
)

// FoundCommit is a commit as it lies on the drive.
type FoundCommit struct {
	Name   string // of the file, <hash>.commit
	Bytes  []byte // verbatim
	Commit *Commit
}

// ShipmentInfo is one shipment directory of a route.
type ShipmentInfo struct {
	Route     wire.RouteID
	ID        ShipmentID
	Path      string        // directory, relative to the drive
	Commits   []FoundCommit // valid ones, the newest attempt first
	Problems  []error       // what could not be read, and commits that fail their check
	Committed bool          // there is a valid commit; without one the shipment is open
	Names     []string      // packs and meta packs that are there, sorted
}

// Routes lists the routes that have a directory on the drive.
func (d *Drive) Routes() ([]wire.RouteID, error) {
	names, err := d.list(topDir)
	if err != nil {
		return nil, err
	}
	var routes []wire.RouteID
	for i := range names.Len() {
		id, err := wire.ParseRouteID(names.At(i))
		if err != nil || id.IsZero() {
			continue
		}
		if there, err := d.isDir(routeDir(id)); err != nil {
			return nil, err
		} else if !there {
			continue
		}
		if len(routes) == maxRoutes {
			return nil, exit.Errorf(exit.Corrupt, "drive %s: more than %d routes", d.path, maxRoutes)
		}
		routes = append(routes, id)
	}
	return routes, nil
}

// Shipments lists the shipments of a route in the order of their ids. A
// shipment without a valid commit is open, which is not an error; a commit that
// fails its check is one of its Problems.
func (d *Drive) Shipments(route wire.RouteID) ([]ShipmentInfo, error) {
	dir := shipmentsOf(route)
	names, err := d.list(dir)
	if err != nil {
		return nil, err
	}
	var list []ShipmentInfo
	budget := int64(maxFoundBytes)
	for i := range names.Len() {
		id, err := ParseShipmentID(names.At(i))
		if err != nil || id == (ShipmentID{}) {
			continue
		}
		there, err := d.isDir(dir + "/" + names.At(i))
		if err == nil && !there {
			continue
		}
		if len(list) == maxShipments {
			return nil, exit.Errorf(exit.Corrupt, "%s: more than %d shipments", dir, maxShipments)
		}
		if err != nil {
			list = append(list, ShipmentInfo{Route: route, ID: id, Path: ShipmentDir(route, id), Problems: []error{err}})
			continue
		}
		list = append(list, d.shipment(route, id, &budget))
	}
	return list, nil
}

// shipment reads one shipment's commits. budget is what may still be read.
func (d *Drive) shipment(route wire.RouteID, id ShipmentID, budget *int64) ShipmentInfo {
	info := ShipmentInfo{Route: route, ID: id, Path: ShipmentDir(route, id)}
	names, err := d.list(info.Path)
	if err != nil {
		info.Problems = append(info.Problems, err)
		return info
	}
	for i := range names.Len() {
		name := names.At(i)
		if _, ok := packNameKind(name); ok {
			info.Names = append(info.Names, name)
		}
		if !commitPattern.MatchString(name) {
			continue
		}
		b, err := d.readBounded(info.Path+"/"+name, MaxCommit, budget)
		var c *Commit
		if err == nil {
			c, err = checkCommit(name, b, route, id)
		}
		if err != nil {
			info.Problems = append(info.Problems, fmt.Errorf("%s/%s: %w", info.Path, name, err))
			continue
		}
		info.Commits = append(info.Commits, FoundCommit{name, b, c})
	}
	slices.SortStableFunc(info.Commits, func(a, b FoundCommit) int { return cmp.Compare(b.Commit.Attempt, a.Commit.Attempt) })
	info.Committed = len(info.Commits) > 0
	return info
}

// checkCommit checks a commit and that it belongs where it lies.
func checkCommit(name string, b []byte, route wire.RouteID, id ShipmentID) (*Commit, error) {
	c, err := DecodeCommit(b)
	switch {
	case err != nil:
		return nil, err
	case CommitName(b) != name:
		return nil, fmt.Errorf("%w: its name should be %s", ErrCommit, CommitName(b))
	case c.Route.ID != route:
		return nil, fmt.Errorf("%w: of route %v: %w", ErrCommit, c.Route.ID, wire.ErrRoute)
	case c.Shipment != id:
		return nil, fmt.Errorf("%w: of shipment %v", ErrCommit, c.Shipment)
	}
	return c, nil
}

// CreateShipment makes the directory of a shipment, durably; one that is there
// already is fine. dir is relative to the drive.
func (d *Drive) CreateShipment(route wire.RouteID, id ShipmentID) (dir string, err error) {
	dir = ShipmentDir(route, id)
	return dir, disk.MkdirAll(d.fs, dir, dirPerm)
}

// WriteCommit writes a commit that EncodeCommit made into its shipment, whose
// packs must have been written and synced; see writeLast.
func (d *Drive) WriteCommit(b []byte) (disk.Coldness, error) {
	c, err := DecodeCommit(b)
	if err != nil {
		return 0, err
	}
	dir, err := d.CreateShipment(c.Route.ID, c.Shipment)
	if err != nil {
		return 0, err
	}
	return d.writeLast(dir, c.Files, CommitName(b), b)
}

// writeLast writes the file that makes a directory of packs complete. Only its
// own sync comes after it, so a crash leaves none without its packs:
//
//	lstat(each pack)         there, of the right size
//	open(dir), fsync, close  their names are durable
//	PutFinal(name)           see package disk
func (d *Drive) writeLast(dir string, files []FileRef, name string, b []byte) (disk.Coldness, error) {
	if err := d.HasPacks(dir, files); err != nil {
		return 0, err
	}
	if err := d.fs.SyncDir(dir); err != nil {
		return 0, err
	}
	return put(d.fs, dir+"/"+name, b)
}

// HasPacks returns an error unless each pack is in the directory and of the
// right size.
func (d *Drive) HasPacks(dir string, files []FileRef) error {
	for i := range files {
		f := &files[i]
		st, err := d.fs.Stat(dir + "/" + f.Name)
		if err != nil {
			return err
		}
		if st.Kind != disk.KindFile || st.Size != f.Size {
			return fmt.Errorf("%s/%s: %v of %d bytes, file of %d expected", dir, f.Name, st.Kind, st.Size, f.Size)
		}
	}
	return nil
}

// RemoveShipment removes a shipment, whole or open; see removeComplete. A
// shipment that is not there is fine.
func (d *Drive) RemoveShipment(route wire.RouteID, id ShipmentID) error {
	return d.removeComplete(ShipmentDir(route, id), shipmentsOf(route), commitPattern)
}

// removeComplete removes a directory of packs: the files that make it complete
// first, durably, so that a crash leaves it whole or open, never complete and
// short of a pack. Then packs and meta packs, then the directory if it is empty
// after that. What is not ours is left, and with it the directory.
//
//	for each file that was written last: unlink
//	open(dir), fsync, close
//	for each pack: unlink
//	open(dir), fsync, close
//	rmdir(dir); open(parent), fsync, close
func (d *Drive) removeComplete(dir, parent string, last *regexp.Regexp) error {
	if there, err := d.isDir(dir); err != nil || !there {
		return err
	}
	names, err := d.fs.ReadDir(dir)
	if err != nil {
		return err
	}
	remove := func(match func(name string) bool) error {
		for i := range names.Len() {
			if name := names.At(i); match(name) {
				if err := d.fs.Remove(dir + "/" + name); err != nil && !errors.Is(err, fs.ErrNotExist) {
					return err
				}
			}
		}
		return d.fs.SyncDir(dir)
	}
	if err := remove(last.MatchString); err != nil {
		return err
	}
	if err := remove(isOurs); err != nil {
		return err
	}
	if err := d.fs.Remove(dir); err != nil {
		if left, lerr := d.fs.ReadDir(dir); lerr == nil && left.Len() > 0 {
			return nil // somebody else's files
		}
		return err
	}
	return d.fs.SyncDir(parent)
}

// isOurs matches packs, and what macOS keeps beside files of ours where the
// file system has no attributes.
func isOurs(name string) bool {
	if len(name) > 2 && name[:2] == "._" {
		name = name[2:]
	}
	_, ok := packNameKind(name)
	return ok || commitPattern.MatchString(name) || returnPattern.MatchString(name)
}

// list lists a directory; one that is not there, or is no directory, is empty.
func (d *Drive) list(dir string) (disk.Names, error) {
	if there, err := d.isDir(dir); err != nil || !there {
		return disk.Names{}, err
	}
	return d.fs.ReadDir(dir)
}

// isDir says whether there is a directory of that name.
func (d *Drive) isDir(name string) (bool, error) {
	st, err := d.fs.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && st.Kind == disk.KindDir, err
}

// readBounded reads a small file, and takes its size off the budget.
func (d *Drive) readBounded(name string, max int64, budget *int64) ([]byte, error) {
	b, err := disk.ReadAll(d.fs, name, min(max, *budget))
	*budget -= int64(len(b))
	return b, err
}
