package vault

import (
	"fmt"
	"strings"

	"waterlock/internal/courier"
	"waterlock/internal/exit"
	"waterlock/internal/report"
	"waterlock/internal/wire"
)

// broughtRoute is a route as the drive brings it: what its newest valid commit says.
type broughtRoute struct {
	info    courier.RouteInfo
	trees   []string // of the newest snapshot
	commit  []byte   // verbatim
	highest uint64   // basis: the newest receipt that any of its commits knew
}

// routesOn lists the routes that have at least one valid commit on the drive. Commits that fail their check are named.
func routesOn(d *courier.Drive, rep report.Reporter) ([]broughtRoute, error) {
	ids, err := d.Routes()
	if err != nil {
		return nil, err
	}
	var list []broughtRoute
	for _, id := range ids {
		shipments, err := d.Shipments(id)
		if err != nil {
			return nil, err
		}
		var newest *courier.Commit
		var verbatim []byte
		var highest uint64
		for _, s := range shipments {
			for _, problem := range s.Problems {
				rep.Problem(s.Path, problem)
			}
			for _, found := range s.Commits {
				c := found.Commit
				if c.Route.ID != id {
					continue
				}
				highest = max(highest, c.Basis.Receipt)
				if newest == nil || c.Snapshot.Number > newest.Snapshot.Number {
					newest, verbatim = c, found.Bytes
				}
			}
		}
		if newest == nil {
			continue
		}
		r := broughtRoute{info: newest.Route, highest: highest, commit: verbatim}
		for _, t := range newest.Snapshot.Trees {
			r.trees = append(r.trees, t.Name)
		}
		list = append(list, r)
	}
	return list, nil
}

// chooseRoute picks the route to join: the only one, or the one of that name or id.
func chooseRoute(list []broughtRoute, wanted, drive string) (broughtRoute, error) {
	if len(list) == 0 {
		return broughtRoute{}, exit.Errorf(exit.NotFound, "%s brings no route: there is no complete shipment on it", drive)
	}
	var names []string
	var match []broughtRoute
	for _, r := range list {
		names = append(names, fmt.Sprintf("%s (%s)", report.Name(r.info.Name), r.info.ID))
		if wanted == "" || wanted == r.info.Name || idPrefix(r.info.ID, wanted) {
			match = append(match, r)
		}
	}
	brings := strings.Join(names, ", ")
	switch {
	case len(match) == 1:
		return match[0], nil
	case len(match) == 0:
		return broughtRoute{}, exit.Errorf(exit.NotFound, "%s brings no route %s; it brings %s", drive, report.Name(wanted), brings)
	case wanted == "":
		return broughtRoute{}, exit.Errorf(exit.Usage, "%s brings several routes, say which by name or id: %s", drive, brings)
	}
	return broughtRoute{}, exit.Errorf(exit.Usage, "%s fits several routes, give the id: %s", report.Name(wanted), brings)
}

// idPrefix tells whether s is the id or at least 8 digits of its beginning.
func idPrefix(id wire.RouteID, s string) bool {
	return len(s) >= 8 && strings.HasPrefix(id.String(), strings.ToLower(s))
}
