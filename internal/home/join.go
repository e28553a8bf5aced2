package home

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"waterlock/internal/courier"
	"waterlock/internal/exit"
	"waterlock/internal/report"
	"waterlock/internal/wire"
)

// JoinOptions ask to make a route again whose state at home is gone.
type JoinOptions struct {
	State  string
	Drive  string   // mount point of a courier drive that carries the route
	Route  string   // name or id of the route; needed only where the drive carries several
	Name   string   // of the route here; "" = as it was called
	Trees  []string // PATH or PATH=TREE
	Report report.Reporter
}

// JoinResult says what Join made.
type JoinResult struct {
	InitResult
	Snapshot uint64     // the highest number that the drive knows of: the next is above it
	Known    []string   // trees of the newest snapshot on the drive
	New      []string   // trees given that are not among them
	Left     []string   // of them, those that were not given
	Empty    []TreeRoot // given, and empty: not mounted?
}

// Join makes a route from what a drive knows of it: with the same id and chunker, so that the vault takes its shipments and
// has the chunks already. The drive is only read. Nothing counts as held until the vault's inventory has come.
func Join(ctx context.Context, o JoinOptions) (JoinResult, error) {
	rep := orDiscard(o.Report)
	d, err := courier.OpenDrive(o.Drive)
	if err != nil {
		return JoinResult{}, err
	}
	defer d.Close() // was only read
	if err := d.Lock(); err != nil {
		return JoinResult{}, err
	}
	known, err := chooseKnown(d, o.Route, rep)
	if err != nil {
		return JoinResult{}, err
	}
	if err := notHereYet(o.State, known.info.ID); err != nil {
		return JoinResult{}, err
	}
	cfg, err := known.config(o)
	if err != nil {
		return JoinResult{}, exit.With(exit.Usage, err)
	}
	if err := ctx.Err(); err != nil {
		return JoinResult{}, exit.With(exit.Interrupted, err)
	}
	res := JoinResult{Snapshot: known.snapshot, Known: known.trees}
	res.InitResult, err = makeRoute(o.State, cfg, rep, func(s *site) error { return s.joinAnew(known.receipt+1, known.snapshot) })
	if err != nil {
		return JoinResult{}, err
	}
	for _, t := range res.Trees {
		if !slices.Contains(known.trees, t.Name) {
			res.New = append(res.New, t.Name)
		}
		if names, err := os.ReadDir(t.Path); err == nil && len(names) == 0 {
			res.Empty = append(res.Empty, t)
		}
	}
	for _, name := range known.trees {
		if !slices.ContainsFunc(res.Trees, func(t TreeRoot) bool { return t.Name == name }) {
			res.Left = append(res.Left, name)
		}
	}
	return res, nil
}

// notHereYet refuses a route that this machine has.
func notHereYet(state string, id wire.RouteID) error {
	routes, err := Routes(state)
	if err != nil {
		return err
	}
	for _, r := range routes {
		if r.ID == id {
			return exit.Errorf(exit.Fatal, "this machine has the route already: %s (%s). Its state is in %s; to join anew, move that directory away first",
				r.Name, r.ID, filepath.Join(state, "routes", r.Name))
		}
	}
	return nil
}

// knownRoute is what a drive knows of a route.
type knownRoute struct {
	info     courier.RouteInfo
	trees    []string // of the newest snapshot
	of       uint64   // number of that
	snapshot uint64   // the highest number of a snapshot that anything speaks of
	receipt  uint64   // and of a receipt
}

// learn takes in a commit, or what is like one.
func (k *knownRoute) learn(info courier.RouteInfo, number uint64, trees []string) {
	if number >= k.of {
		k.info, k.trees, k.of = info, trees, number
	}
	k.snapshot = max(k.snapshot, number)
}

// knownOn reads what a drive knows of a route; nil where that is not enough to join it.
func knownOn(d *courier.Drive, id wire.RouteID, rep report.Reporter) (*knownRoute, error) {
	k := &knownRoute{}
	shipments, err := d.Shipments(id)
	if err != nil {
		return nil, err
	}
	for _, s := range shipments {
		for _, problem := range s.Problems {
			rep.Problem(s.Path, problem)
		}
		for _, found := range s.Commits {
			c := found.Commit
			var trees []string
			for _, t := range c.Snapshot.Trees {
				trees = append(trees, t.Name)
			}
			k.learn(c.Route, c.Snapshot.Number, trees)
			k.receipt = max(k.receipt, c.Basis.Receipt)
			for _, out := range c.Out {
				k.snapshot = max(k.snapshot, out.Number)
			}
		}
	}
	if err := k.learnReturns(d, id, rep); err != nil {
		return nil, err
	}
	receipts, problems, err := d.ReadReceipts(id)
	if err != nil {
		return nil, err
	}
	for _, problem := range problems {
		rep.Problem("receipts on the drive", problem)
	}
	for _, found := range receipts {
		r := found.Receipt
		k.receipt, k.snapshot = max(k.receipt, r.Number), max(k.snapshot, r.HighestSnapshot, r.NewestArrived)
		for i := range r.Taken {
			k.snapshot = max(k.snapshot, r.Taken[i].Number)
		}
	}
	if k.info.ID != id {
		return nil, nil
	}
	return k, nil
}

// learnReturns takes in what a vault has packed for a new home: it may be all that is left on the drive.
func (k *knownRoute) learnReturns(d *courier.Drive, id wire.RouteID, rep report.Reporter) error {
	homecomings, err := d.Homecomings(id)
	if err != nil {
		return err
	}
	for _, of := range homecomings {
		returns, err := d.Returns(id, of)
		if err != nil {
			return err
		}
		for _, found := range returns {
			for _, problem := range found.Problems {
				rep.Problem(found.Path, problem)
			}
			if found.Return == nil {
				continue
			}
			var trees []string
			for _, t := range found.Return.Snapshot.Trees {
				trees = append(trees, t.Name)
			}
			k.learn(found.Return.Route, found.Return.Snapshot.Number, trees)
		}
	}
	return nil
}

// chooseKnown picks the route to join: the only one, or the one of that name or id.
func chooseKnown(d *courier.Drive, wanted string, rep report.Reporter) (*knownRoute, error) {
	ids, err := d.Routes()
	if err != nil {
		return nil, err
	}
	var match []*knownRoute
	var names []string
	for _, id := range ids {
		k, err := knownOn(d, id, rep)
		if err != nil {
			return nil, err
		}
		if k == nil {
			continue
		}
		names = append(names, fmt.Sprintf("%s (%s)", report.Name(k.info.Name), id))
		if wanted == "" || wanted == k.info.Name || len(wanted) >= 8 && strings.HasPrefix(id.String(), strings.ToLower(wanted)) {
			match = append(match, k)
		}
	}
	carries := strings.Join(names, ", ")
	switch {
	case len(names) == 0:
		return nil, exit.Errorf(exit.NotFound, "%s carries no route that could be joined: there is no complete shipment on it. Take another drive of the route", d.Path())
	case len(match) == 0:
		return nil, exit.Errorf(exit.NotFound, "%s carries no route %s; it carries %s", d.Path(), report.Name(wanted), carries)
	case len(match) > 1:
		return nil, exit.Errorf(exit.Usage, "%s carries several routes, say which with --route NAME or --route ID: %s", d.Path(), carries)
	}
	return match[0], nil
}

// config is the configuration of the route as it is to be here.
func (k *knownRoute) config(o JoinOptions) (*Config, error) {
	name := o.Name
	if name == "" {
		name = k.info.Name
	}
	cfg, err := newConfig(InitOptions{Name: name, Trees: o.Trees})
	if err != nil {
		return nil, err
	}
	p := k.info.Chunker
	cfg.RouteID, cfg.Created, cfg.Encryption = k.info.ID.String(), k.info.Created.UTC(), k.info.Encrypted
	cfg.Chunker = chunkerConf{Polynomial: fmt.Sprintf("0x%x", p.Polynomial), Min: p.Min, Max: p.Max, AverageBits: p.AverageBits}
	return cfg, nil
}
