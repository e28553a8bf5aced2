package homecoming

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"waterlock/internal/courier"
	"waterlock/internal/disk"
	"waterlock/internal/exit"
	"waterlock/internal/wire"
	"waterlock/snapshot"
)

// PlaceDir is where a target remembers what has come.
const PlaceDir = ".wl-return"

// place is a target.
type place struct {
	root    disk.FS // nil in a dry run where there is no target yet
	lock    *disk.Lock
	route   wire.RouteID
	id      courier.HomecomingID
	dir     string           // of the homecoming's landings
	landing *courier.Landing // newest; nil: none
	bytes   []byte           // of it
}

// openPlace opens a target, or makes one, and reads what it remembers.
func openPlace(o Options, route wire.RouteID, id courier.HomecomingID) (*place, error) {
	if !o.DryRun {
		if err := os.MkdirAll(o.Target, 0o755); err != nil {
			return nil, err
		}
	}
	root, err := disk.Dir(o.Target)
	if o.DryRun && errors.Is(err, fs.ErrNotExist) {
		return &place{}, nil
	}
	if err != nil {
		return nil, err
	}
	p, err := readPlace(root, o, route, id)
	if err == nil && !o.DryRun {
		p.lock, err = disk.TryLock(filepath.Join(o.Target, PlaceDir, "lock"))
		if errors.Is(err, disk.ErrLocked) {
			err = exit.Errorf(exit.Locked, "%s: another wl brings something back there", o.Target)
		}
	}
	if err != nil {
		root.Close()
		return nil, err
	}
	return p, nil
}

// readPlace reads what a target remembers.
func readPlace(root disk.FS, o Options, route wire.RouteID, id courier.HomecomingID) (*place, error) {
	p := &place{root: root, route: route, id: id, dir: PlaceDir + "/" + id.String()}
	if _, err := root.Stat(".wl/vault.toml"); err == nil {
		return nil, exit.Errorf(exit.Usage, "%s is a vault; give a directory of its own", o.Target)
	}
	if !o.DryRun {
		if err := disk.MkdirAll(root, p.dir, 0o700); err != nil {
			return nil, err
		}
	}
	found, problems, err := courier.ReadLandings(root, p.dir, route, id)
	if err != nil {
		return nil, err
	}
	for _, problem := range problems {
		o.Report.Warn("what had come is compared anew: %v", problem)
	}
	if len(found) > 0 {
		p.landing, p.bytes = found[0].Landing, found[0].Bytes
	}
	return p, nil
}

// tree opens the directory of a tree, or makes it.
func (p *place) tree(name string) (disk.FS, error) {
	if err := disk.MkdirAll(p.root, name, snapshot.UnfinishedDir); err != nil {
		return nil, err
	}
	return p.root.Sub(name)
}

func (p *place) close() {
	if p.lock != nil {
		p.lock.Unlock()
	}
	if p.root != nil {
		p.root.Close()
	}
}

// land remembers what is there, after a return was gone through.
func (p *place) land(taken courier.ReturnID, there courier.Cover, complete bool) error {
	now := time.Now().UTC().Truncate(time.Second)
	l := &courier.Landing{Route: p.route, Homecoming: p.id, Begun: now, Number: 1, Time: now, Complete: complete, There: there}
	if p.landing == nil {
		rand.Read(l.Place[:])
	} else {
		l.Place, l.Begun, l.Number = p.landing.Place, p.landing.Begun, p.landing.Number+1
		l.Taken = append(l.Taken, p.landing.Taken...)
	}
	if host, err := os.Hostname(); err == nil && len(host) <= snapshot.MaxHost {
		l.Host = host
	}
	if !l.Took(taken) {
		l.Taken = append(l.Taken, taken)
	}
	b, err := courier.EncodeLanding(l)
	if err != nil {
		return err
	}
	if err := disk.Put(p.root, p.dir+"/"+courier.LandingName(l.Number, b), b); err != nil {
		return fmt.Errorf("what has come could not be written down: %w", err)
	}
	if p.landing, err = courier.DecodeLanding(b); err != nil {
		return err
	}
	p.bytes = b
	_ = courier.PruneLandings(p.root, p.dir, p.landing, b) // what is left over does no harm
	return nil
}
