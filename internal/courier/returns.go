package courier

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"

	"waterlock/internal/disk"
	"waterlock/internal/exit"
	"waterlock/internal/wire"
)

// maxHomecomings bounds what is looked at of a route on one drive.
const maxHomecomings = 1024

// keptLandings is how many landings of a homecoming stay on a drive.
const keptLandings = 2

// ReturnInfo is the directory of one return.
type ReturnInfo struct {
	ID       ReturnID
	Path     string  // directory, relative to the drive
	Bytes    []byte  // the sealed return, verbatim; nil: it is open
	Return   *Return // nil: it is open
	Problems []error // what could not be read, and words of completion that fail their check
	Names    []string
}

// Homecomings lists the homecomings of a route that have a directory on the
// drive.
func (d *Drive) Homecomings(route wire.RouteID) ([]HomecomingID, error) {
	var list []HomecomingID
	err := d.eachID(returnsOf(route), maxHomecomings, func(id [16]byte) error {
		list = append(list, HomecomingID(id))
		return nil
	})
	return list, err
}

// Returns lists the returns of a homecoming, the oldest first. One without a
// valid word of completion is open, which is not an error.
func (d *Drive) Returns(route wire.RouteID, of HomecomingID) ([]ReturnInfo, error) {
	var list []ReturnInfo
	budget := int64(maxFoundBytes)
	err := d.eachID(HomecomingDir(route, of), maxShipments, func(id [16]byte) error {
		list = append(list, d.oneReturn(route, of, ReturnID(id), &budget))
		return nil
	})
	slices.SortStableFunc(list, func(a, b ReturnInfo) int {
		if a.Return == nil || b.Return == nil {
			return cmp.Compare(len(b.Bytes), len(a.Bytes)) // open ones last
		}
		return a.Return.Time.Compare(b.Return.Time)
	})
	return list, err
}

// eachID calls do for each directory whose name is an id.
func (d *Drive) eachID(dir string, most int, do func(id [16]byte) error) error {
	names, err := d.list(dir)
	if err != nil {
		return err
	}
	n := 0
	for i := range names.Len() {
		id, err := parse16(names.At(i))
		if err != nil || id == [16]byte{} {
			continue
		}
		if there, err := d.isDir(dir + "/" + names.At(i)); err != nil {
			return err
		} else if !there {
			continue
		}
		if n++; n > most {
			return exit.Errorf(exit.Corrupt, "%s: more than %d directories", dir, most)
		}
		if err := do(id); err != nil {
			return err
		}
	}
	return nil
}

func (d *Drive) oneReturn(route wire.RouteID, of HomecomingID, id ReturnID, budget *int64) ReturnInfo {
	info := ReturnInfo{ID: id, Path: ReturnDir(route, of, id)}
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
		if !returnPattern.MatchString(name) {
			continue
		}
		b, err := d.readBounded(info.Path+"/"+name, MaxReturn, budget)
		var c *Return
		if err == nil {
			c, err = CheckReturn(name, b, route, of, id)
		}
		if err != nil {
			info.Problems = append(info.Problems, fmt.Errorf("%s/%s: %w", info.Path, name, err))
			continue
		}
		if info.Return == nil || c.Time.After(info.Return.Time) {
			info.Bytes, info.Return = b, c
		}
	}
	return info
}

// CheckReturn checks a sealed return and that it belongs where it lies.
func CheckReturn(name string, b []byte, route wire.RouteID, of HomecomingID, id ReturnID) (*Return, error) {
	c, err := DecodeReturn(b)
	switch {
	case err != nil:
		return nil, err
	case ReturnName(b) != name:
		return nil, fmt.Errorf("%w: its name should be %s", ErrReturn, ReturnName(b))
	case c.Route.ID != route:
		return nil, fmt.Errorf("%w: of route %v: %w", ErrReturn, c.Route.ID, wire.ErrRoute)
	case c.Homecoming() != of:
		return nil, fmt.Errorf("%w: of homecoming %v", ErrReturn, c.Homecoming())
	case c.ID != id:
		return nil, fmt.Errorf("%w: it is return %v", ErrReturn, c.ID)
	}
	return c, nil
}

// CreateReturn makes the directory of a return, durably; one that is there
// already is fine. dir is relative to the drive.
func (d *Drive) CreateReturn(route wire.RouteID, of HomecomingID, id ReturnID) (dir string, err error) {
	dir = ReturnDir(route, of, id)
	return dir, disk.MkdirAll(d.fs, dir, dirPerm)
}

// WriteReturn writes the word that a return is complete, whose packs must have
// been written and synced; see writeLast.
func (d *Drive) WriteReturn(b []byte) (disk.Coldness, error) {
	c, err := DecodeReturn(b)
	if err != nil {
		return 0, err
	}
	dir, err := d.CreateReturn(c.Route.ID, c.Homecoming(), c.ID)
	if err != nil {
		return 0, err
	}
	return d.writeLast(dir, c.Files, ReturnName(b), b)
}

// RemoveReturn removes a return, whole or open; see removeComplete.
func (d *Drive) RemoveReturn(route wire.RouteID, of HomecomingID, id ReturnID) error {
	return d.removeComplete(ReturnDir(route, of, id), HomecomingDir(route, of), returnPattern)
}

// RemoveTaken removes the returns of a route that a landing on the drive has
// taken, and says how many: they have done what they were for.
func (d *Drive) RemoveTaken(route wire.RouteID) (n int, err error) {
	homecomings, err := d.Homecomings(route)
	if err != nil {
		return 0, err
	}
	for _, of := range homecomings {
		landings, _, err := d.Landings(route, of)
		if err != nil {
			return n, err
		}
		if len(landings) == 0 {
			continue
		}
		list, err := d.Returns(route, of)
		if err != nil {
			return n, err
		}
		for _, r := range list {
			if r.Return == nil || !landings[0].Landing.Took(r.ID) {
				continue
			}
			if err := d.RemoveReturn(route, of, r.ID); err != nil {
				return n, err
			}
			n++
		}
	}
	return n, nil
}

// FoundLanding is a landing as it lies somewhere.
type FoundLanding struct {
	Name    string
	Bytes   []byte // verbatim
	Landing *Landing
}

// Landings returns the valid landings of a homecoming on the drive, the newest
// first. problems names those that fail their check.
func (d *Drive) Landings(route wire.RouteID, of HomecomingID) (valid []FoundLanding, problems []error, err error) {
	dir := HomecomingDir(route, of)
	if there, err := d.isDir(dir); err != nil || !there {
		return nil, nil, err
	}
	return ReadLandings(d.fs, dir, route, of)
}

// ReadLandings reads the landings of a homecoming in a directory.
func ReadLandings(fsys disk.FS, dir string, route wire.RouteID, of HomecomingID) (valid []FoundLanding, problems []error, err error) {
	names, err := fsys.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	} else if err != nil {
		return nil, nil, err
	}
	budget := int64(maxFoundBytes)
	for i := range names.Len() {
		name := names.At(i)
		if !landingPattern.MatchString(name) {
			continue
		}
		b, err := disk.ReadAll(fsys, dir+"/"+name, min(MaxReturn, budget))
		budget -= int64(len(b))
		var l *Landing
		if err == nil {
			l, err = checkLanding(name, b, route, of)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("%s/%s: %w", dir, name, err))
			continue
		}
		valid = append(valid, FoundLanding{name, b, l})
	}
	slices.SortStableFunc(valid, func(a, b FoundLanding) int { return b.Landing.Compare(a.Landing) })
	return valid, problems, nil
}

func checkLanding(name string, b []byte, route wire.RouteID, of HomecomingID) (*Landing, error) {
	l, err := DecodeLanding(b)
	switch {
	case err != nil:
		return nil, err
	case LandingName(l.Number, b) != name:
		return nil, fmt.Errorf("%w: its name should be %s", ErrLanding, LandingName(l.Number, b))
	case l.Route != route:
		return nil, fmt.Errorf("%w: of route %v: %w", ErrLanding, l.Route, wire.ErrRoute)
	case l.Homecoming != of:
		return nil, fmt.Errorf("%w: of homecoming %v", ErrLanding, l.Homecoming)
	}
	return l, nil
}

// landingNumber is the number in a landing's name, 0 if it is none.
func landingNumber(name string) uint64 {
	m := landingPattern.FindStringSubmatch(name)
	if m == nil {
		return 0
	}
	n, err := strconv.ParseUint(m[1], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// WriteLanding writes a landing that EncodeLanding made, verified. Then the
// landings of the same place before the last are removed, and what is damaged;
// where there is no room before that, they go first.
func (d *Drive) WriteLanding(b []byte) (disk.Coldness, error) {
	l, err := DecodeLanding(b)
	if err != nil {
		return 0, err
	}
	dir := HomecomingDir(l.Route, l.Homecoming)
	if err := disk.MkdirAll(d.fs, dir, dirPerm); err != nil {
		return 0, err
	}
	name := LandingName(l.Number, b)
	c, err := put(d.fs, dir+"/"+name, b)
	if disk.IsNoSpace(err) && PruneLandings(d.fs, dir, l, b) == nil {
		c, err = put(d.fs, dir+"/"+name, b)
	}
	if err != nil {
		return 0, err
	}
	// What could not be removed does no harm, and is removed next time.
	_ = PruneLandings(d.fs, dir, l, b)
	return c, nil
}

// PruneLandings removes what l, whose bytes are b, makes superfluous in a
// directory: older landings of its place but for the last of them, and those
// that are damaged.
func PruneLandings(fsys disk.FS, dir string, l *Landing, b []byte) error {
	valid, problems, err := ReadLandings(fsys, dir, l.Route, l.Homecoming)
	if err != nil {
		return err
	}
	keep := map[string]bool{LandingName(l.Number, b): true}
	older := 0
	for _, v := range valid {
		if bytes.Equal(v.Bytes, b) {
			continue
		}
		if v.Landing.Place == l.Place && v.Landing.Number < l.Number {
			if older++; older >= keptLandings {
				continue
			}
		}
		keep[v.Name] = true
	}
	if len(keep) == len(valid)+1 && len(problems) == 0 {
		return nil
	}
	names, err := fsys.ReadDir(dir)
	if err != nil {
		return err
	}
	var first error
	for i := range names.Len() {
		name := names.At(i)
		if landingNumber(name) == 0 || keep[name] {
			continue
		}
		if err := fsys.Remove(dir + "/" + name); err != nil && !errors.Is(err, fs.ErrNotExist) && first == nil {
			first = err
		}
	}
	return cmp.Or(first, fsys.SyncDir(dir))
}
