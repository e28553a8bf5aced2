package home

import (
	"fmt"
	"path/filepath"

	"waterlock/internal/wire"
)

// RouteInfo is a route of which this machine is the home.
type RouteInfo struct {
	Name  string
	ID    wire.RouteID
	Trees []string
}

// Routes lists the routes of which this machine is the home, by their settings
// alone: nothing is locked. One whose settings cannot be read is an error.
func Routes(state string) ([]RouteInfo, error) {
	names, err := routeNames(state)
	if err != nil {
		return nil, err
	}
	var list []RouteInfo
	for _, name := range names {
		cfg, err := loadConfig(filepath.Join(state, "routes", name))
		if err != nil {
			return nil, err
		}
		r := RouteInfo{Name: name}
		if r.ID, err = cfg.routeID(); err != nil {
			return nil, fmt.Errorf("route %s: %w", name, err)
		}
		for _, t := range cfg.Trees {
			r.Trees = append(r.Trees, t.Name)
		}
		list = append(list, r)
	}
	return list, nil
}
