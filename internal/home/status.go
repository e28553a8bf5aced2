package home

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"waterlock/index"
	"waterlock/internal/disk"
	"waterlock/internal/exit"
	"waterlock/internal/report"
	"waterlock/snapshot"
)

// Status says how a route stands: what of each tree is held, aboard or pending, and what is on which drive. It needs
// no drive, and reads nothing of the trees: it tells of them as the last pack saw them. While another wl
// works on the route it tells what can be told without waiting.
func Status(ctx context.Context, o StatusOptions) (res StatusResult, err error) {
	dir, err := routeDir(o.State, o.Route)
	if err != nil {
		return res, err
	}
	s, err := openSite(dir, "")
	if exit.Of(err) == exit.Locked {
		return statusAtWork(dir)
	}
	if err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	res, err = s.status(ctx, orDiscard(o.Report))
	res.Config = filepath.Join(dir, configFile)
	return res, err
}

func (s *site) status(ctx context.Context, rep report.Reporter) (res StatusResult, err error) {
	f, err := s.loadFleet(rep)
	if err != nil {
		return res, err
	}
	b, err := s.openBooks(f, rep)
	if err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, b.close(err == nil)) }()
	if res, err = b.standing(); err != nil {
		return res, err
	}
	scans, err := s.lastScans(res.Snapshot)
	if err != nil {
		return res, err
	}
	for i := range res.Trees {
		t := &res.Trees[i]
		if err := b.countTree(ctx, scans[t.Tree], t); err != nil {
			return res, err
		}
	}
	return res, nil
}

// statusAtWork is what can be told while another wl works on the route: all that stands in write-once files. The ledger
// is that wl's alone, so what of each tree is held, aboard or pending is not known.
func statusAtWork(dir string) (res StatusResult, err error) {
	cfg, err := loadConfig(dir)
	if err != nil {
		return res, err
	}
	route, err := cfg.routeID()
	if err != nil {
		return res, err
	}
	s, err := newSite(dir, "", cfg, route)
	if err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	f, err := s.loadFleet(report.Discard) // what the other one is about to write is no damage
	if err != nil {
		return res, err
	}
	b := &books{site: s, fleet: f, rep: report.Discard, times: map[uint64]time.Time{}}
	if err := errors.Join(b.lookBack(report.Discard), b.readAcks()); err != nil {
		return res, err
	}
	if res, err = b.standing(); err != nil {
		return res, err
	}
	res.AtWork, res.Config = true, filepath.Join(dir, configFile)
	for i := range res.Trees {
		t := &res.Trees[i]
		if f.newest == nil {
			continue
		}
		if rec, ok := f.newest.Snapshot.Tree(t.Tree); ok {
			t.Files, t.Bytes, t.Unseen = rec.Totals.Files, rec.Totals.Bytes, rec.Totals.Unseen
		}
	}
	return res, nil
}

// standing is what needs no ledger.
func (b *books) standing() (res StatusResult, err error) {
	s, f := b.site, b.fleet
	res.Route, res.RouteID = s.cfg.Name, s.cfg.RouteID
	if f.newest != nil {
		res.Snapshot, res.SnapshotAt = f.newest.Snapshot.Number, f.newest.Snapshot.Time
	}
	if r := b.receipt; r != nil {
		res.Vault, res.Receipt, res.ReceiptAt, res.Arrived = r.VaultName, r.Number, r.Time, r.NewestArrived
		res.VaultFree, res.VaultTotal, res.Wants = r.Free, r.Total, int64(len(r.Wants))
		res.ReadSince = r.ReadSince
	}
	res.Overdue, res.Asks = b.overdue(), b.horizon.why()
	for _, tree := range s.cfg.Trees {
		t := TreeStatus{Tree: tree.Name, Path: tree.Path}
		if f.newest != nil {
			if rec, ok := f.newest.Snapshot.Tree(tree.Name); ok {
				t.Stopped, t.LastSeen = rec.Stopped, f.newest.Snapshot.Time
			}
		}
		res.Trees = append(res.Trees, t)
	}
	res.Drives, res.Shipments, err = b.drives()
	return res, err
}

// overdue is what should have happened again by now. Of a vault from which nothing has come yet the route's own age counts.
func (b *books) overdue() []report.Overdue {
	trip, verification := b.site.cfg.Created, b.site.now()
	if r := b.receipt; r != nil && r.NewestArrived > 0 {
		verification = r.ReadSince
	}
	for _, sh := range b.fleet.all {
		if b.arrivedOnce(sh.id) && sh.time.After(trip) {
			trip = sh.time
		}
	}
	return b.site.cfg.Overdue.Overdue(b.site.now(), trip, verification)
}

// empty is the state of a file without chunks before its snapshot has arrived.
const empty = index.State(255)

// countTree looks up every chunk of the last scan.
func (b *books) countTree(ctx context.Context, scan string, t *TreeStatus) error {
	live := b.fleet.live(0)
	return eachScanned(b.site.state, scan, func(e *snapshot.ScanEntry) error {
		if e.Entry.Gone != snapshot.Here {
			return nil
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if e.Entry.Unseen {
			t.Unseen++
		}
		if e.Entry.Kind != disk.KindFile {
			return nil
		}
		t.Files++
		t.Bytes += e.Entry.Size
		state := index.Held
		if b.receipt == nil || b.receipt.NewestArrived < b.fleet.newest.Snapshot.Number {
			state = empty // an empty file is as far as the newest snapshot
		}
		if !hasContent(e) && !e.Entry.Unseen {
			state = index.None
		}
		for _, x := range e.Entry.Content {
			if x.Hole || state == index.None {
				continue
			}
			st, err := b.ledger.Known(x.ID, live)
			if err != nil {
				return err
			}
			if state == empty || st < state {
				state = st
			}
		}
		switch state {
		case index.Held:
			t.HeldFiles++
			t.HeldBytes += e.Entry.Size
		case index.Aboard, empty:
			t.AboardFiles++
			t.AboardBytes += e.Entry.Size
		default:
			t.PendingFiles++
			t.PendingBytes += pendingBytes(e)
		}
		return nil
	})
}
