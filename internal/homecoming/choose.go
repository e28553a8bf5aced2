package homecoming

import (
	"encoding/hex"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"waterlock/internal/courier"
	"waterlock/internal/exit"
	"waterlock/internal/report"
	"waterlock/internal/wire"
)

// coming is one run of FromDrive.
type coming struct {
	o       Options
	drive   *courier.Drive
	result  *Result
	route   wire.RouteID
	id      courier.HomecomingID
	returns []courier.ReturnInfo // complete ones, the oldest first
	place   *place
}

// candidate is a homecoming of which the drive has a complete return.
type candidate struct {
	route   wire.RouteID
	id      courier.HomecomingID
	returns []courier.ReturnInfo
	open    int
	done    bool // all of it is there, as the drive says
}

// last is when its newest return was packed.
func (c *candidate) last() time.Time { return c.returns[len(c.returns)-1].Return.Time }

// choose finds the homecoming that the drive brings, or the one that was asked
// for. Of several, the one that is not there yet is meant; where all are, the
// one that was packed last.
func (c *coming) choose() error {
	all, open, err := c.candidates()
	if err != nil {
		return err
	}
	var fit []candidate
	for _, one := range all {
		if c.fits(&one) {
			fit = append(fit, one)
		}
	}
	if len(fit) > 1 && !slices.ContainsFunc(fit, func(one candidate) bool { return !one.done }) {
		fit = []candidate{slices.MaxFunc(fit, func(a, b candidate) int { return a.last().Compare(b.last()) })}
	}
	if going := slices.DeleteFunc(slices.Clone(fit), func(one candidate) bool { return one.done }); len(going) == 1 {
		fit = going
	}
	switch {
	case len(fit) == 1:
		c.route, c.id, c.returns, c.result.Open = fit[0].route, fit[0].id, fit[0].returns, fit[0].open
		c.describe()
		return nil
	case len(all) == 0 && open > 0:
		return exit.Errorf(exit.NotFound, "%s has nothing complete to bring back: at the vault, run wl restore --to-drive once more, it goes on", c.o.Drive)
	case len(all) == 0:
		return exit.Errorf(exit.NotFound, "%s has nothing to bring back: at the vault, wl restore --to-drive packs it", c.o.Drive)
	case len(fit) == 0:
		return exit.Errorf(exit.NotFound, "%s does not bring %s, but %s", c.o.Drive, c.o.Snapshot, list(all))
	}
	return exit.Errorf(exit.Usage, "%s brings several: %s. Say which by --snapshot", c.o.Drive, list(fit))
}

func (c *coming) candidates() (all []candidate, open int, err error) {
	routes, err := c.drive.Routes()
	if err != nil {
		return nil, 0, err
	}
	for _, route := range routes {
		ids, err := c.drive.Homecomings(route)
		if err != nil {
			return nil, 0, err
		}
		for _, id := range ids {
			found, err := c.drive.Returns(route, id)
			if err != nil {
				return nil, 0, err
			}
			one := candidate{route: route, id: id}
			for _, r := range found {
				for _, p := range r.Problems {
					c.result.Damaged++
					c.o.Report.Problem(filepath.Join(c.o.Drive, r.Path), p)
				}
				if r.Return == nil {
					one.open++
					continue
				}
				one.returns = append(one.returns, r)
			}
			open += one.open
			landings, _, err := c.drive.Landings(route, id)
			if err != nil {
				return nil, 0, err
			}
			one.done = len(landings) > 0 && landings[0].Landing.Complete
			if len(one.returns) > 0 {
				all = append(all, one)
			}
		}
	}
	return all, open, nil
}

// fits tells whether a homecoming is the one asked for.
func (c *coming) fits(one *candidate) bool {
	wanted := strings.ToLower(strings.TrimSpace(c.o.Snapshot))
	if wanted == "" {
		return true
	}
	record := &one.returns[0].Return.Snapshot
	if n, err := strconv.ParseUint(strings.TrimPrefix(wanted, "#"), 10, 64); err == nil && n == record.Number {
		return true
	}
	id := record.ID()
	return len(wanted) >= 4 && (strings.HasPrefix(hex.EncodeToString(id[:]), wanted) || strings.HasPrefix(one.id.String(), wanted))
}

// list names homecomings.
func list(all []candidate) string {
	var names []string
	for _, one := range all {
		r := one.returns[0].Return
		name := fmt.Sprintf("snapshot %d of route %s", r.Snapshot.Number, report.Name(r.Route.Name))
		if len(r.Paths) > 0 {
			name += " (" + report.Name(strings.Join(r.Paths[:min(3, len(r.Paths))], ", ")) + ")"
		}
		names = append(names, name+", "+one.id.Short())
	}
	return strings.Join(names, "; ")
}
