package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"waterlock/internal/courier"
	"waterlock/internal/exit"
	"waterlock/internal/home"
	"waterlock/internal/machine"
	"waterlock/internal/report"
	"waterlock/internal/vault"
	"waterlock/internal/wire"
)

// A side is what wl run has found out: which drive is here, and whether this
// machine is the home or the vault for it. Exactly one of Route and Vault is
// set.
type side struct {
	drive courier.Found
	route string // of this machine's state: it is the home
	vault string // directory of a vault whose route is on the drive
}

// presentDrive is the drive that --drive names, or the only courier drive that
// is mounted now, or lies where this machine last saw one.
func (s *session) presentDrive() (courier.Found, error) {
	if dir := s.c.String("drive"); dir != "" {
		path, err := filepath.Abs(dir)
		if err != nil {
			return courier.Found{}, err
		}
		d, err := courier.OpenDrive(path)
		if err != nil {
			return courier.Found{}, err
		}
		defer d.Close()
		return courier.Found{ID: d.ID(), Label: d.Label(), Path: path}, nil
	}
	var places []string
	for _, d := range machine.Load(s.state).Drives {
		places = append(places, d.Path)
	}
	found, bad, err := courier.FindDrives(places)
	if err != nil {
		return courier.Found{}, err
	}
	for _, err := range bad {
		s.Problem("a drive that cannot be used", fmt.Errorf("%w; wl drive init makes its drive.json anew, and leaves all else on it as it is", err))
	}
	switch len(found) {
	case 0:
		return courier.Found{}, exit.Errorf(exit.NotFound, "no courier drive is mounted here: plug one in and mount it, or say where it is with --drive DIR")
	case 1:
		return found[0], nil
	}
	var names []string
	for _, f := range found {
		names = append(names, fmt.Sprintf("%s at %s", driveName(f.Label, f.ID.String()), report.Name(f.Path)))
	}
	return courier.Found{}, exit.Errorf(exit.Usage, "several courier drives are here, say which with --drive DIR: %s", strings.Join(names, "; "))
}

// findSide tells which side of the drive this machine is: the home by a route
// of its own state, the vault by a vault it knows whose route is on the drive.
// What --route or --vault names settles it; else both at once, and neither, are
// errors.
func (s *session) findSide(drive courier.Found) (side, error) {
	carried, err := routesOn(drive)
	if err != nil {
		return side{}, err
	}
	routes, err := s.ownRoutes()
	if err != nil {
		return side{}, err
	}
	vaults, away, err := s.ownVaults(carried)
	if err != nil {
		return side{}, err
	}
	wantsRoute, wantsVault := s.c.String("route") != "", s.c.String("vault") != ""
	switch name := driveName(drive.Label, drive.ID.String()); {
	case wantsRoute && wantsVault:
		return side{}, exit.Errorf(exit.Usage, "--route and --vault: give one of them")
	case wantsRoute:
		vaults = nil
	case wantsVault:
		routes = nil
	case len(routes) > 0 && len(vaults)+len(away) > 0:
		return side{}, exit.Errorf(exit.Usage, "this machine is both sides of %s: the home of route %s, and the vault %s whose route is on the drive. "+
			"Nothing was done: say wl pack or wl unpack, or name one with --route or --vault", name, routes[0].Name, report.Name(slices.Concat(vaults, away)[0]))
	}
	switch {
	case len(routes) > 0:
		route, err := chooseRoute(routes, carried)
		return side{drive: drive, route: route}, err
	case len(vaults) == 1:
		return side{drive: drive, vault: vaults[0]}, nil
	case len(vaults) > 1:
		return side{}, exit.Errorf(exit.Usage, "several vaults here take what the drive carries, say which with --vault DIR: %s", strings.Join(vaults, ", "))
	case len(away) > 0:
		return side{}, exit.Errorf(exit.NotFound, "%s: the vault whose route is on the drive is not there; is its disk mounted?", report.Name(away[0]))
	}
	return side{}, exit.Errorf(exit.NotFound, "this machine is neither side of %s: it has no route of its own (wl init), and knows no vault "+
		"whose route is on the drive (wl vault init). Nothing was done", driveName(drive.Label, drive.ID.String()))
}

func routesOn(drive courier.Found) ([]wire.RouteID, error) {
	d, err := courier.OpenDrive(drive.Path)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Routes()
}

// ownRoutes is the routes of which this machine is the home, or the one that
// --route names.
func (s *session) ownRoutes() ([]home.RouteInfo, error) {
	routes, err := home.Routes(s.state)
	name := s.c.String("route")
	if err != nil || name == "" {
		return routes, err
	}
	for _, r := range routes {
		if r.Name == name {
			return []home.RouteInfo{r}, nil
		}
	}
	return nil, exit.Errorf(exit.NotFound, "this machine has no route %q", name)
}

// ownVaults is the vaults that this machine knows, or --vault names, and whose
// route is on the drive: by what their own settings say where they are there.
func (s *session) ownVaults(carried []wire.RouteID) (here, away []string, err error) {
	if dir := s.c.String("vault"); dir != "" {
		path, err := filepath.Abs(dir)
		if err != nil {
			return nil, nil, err
		}
		id, name, err := vault.RouteOf(path)
		if err == nil && !slices.Contains(carried, id) {
			err = exit.Errorf(exit.NotFound, "the drive carries nothing of route %s, whose vault %s is", report.Name(name), report.Name(path))
		}
		return []string{path}, nil, err
	}
	for _, v := range machine.Load(s.state).Vaults {
		id, _, err := vault.RouteOf(v.Path)
		switch {
		case exit.Of(err) == exit.NotFound:
			hint, perr := wire.ParseRouteID(v.Route)
			if perr == nil && slices.Contains(carried, hint) {
				away = append(away, v.Path)
			}
		case err != nil:
			return nil, nil, err
		case slices.Contains(carried, id):
			here = append(here, v.Path)
		}
	}
	return here, away, nil
}

// chooseRoute is the only route, or the only one that the drive carries
// already.
func chooseRoute(routes []home.RouteInfo, carried []wire.RouteID) (string, error) {
	var names, fits []string
	for _, r := range routes {
		names = append(names, r.Name)
		if slices.Contains(carried, r.ID) {
			fits = append(fits, r.Name)
		}
	}
	switch {
	case len(names) == 1:
		return names[0], nil
	case len(fits) == 1:
		return fits[0], nil
	}
	return "", exit.Errorf(exit.Usage, "this machine is the home of several routes, say which with --route NAME: %s", strings.Join(names, ", "))
}
