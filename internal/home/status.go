package home

import (
	"context"
	"errors"
	"path/filepath"

	"waterlock/index"
	"waterlock/internal/disk"
	"waterlock/internal/report"
	"waterlock/snapshot"
)

// Status says how a route stands: what of each tree is held, aboard or pending, and what is on which drive. It needs
// no drive, and reads nothing of the trees: it tells of them as the last pack saw them.
func Status(ctx context.Context, o StatusOptions) (res StatusResult, err error) {
	dir, err := routeDir(o.State, o.Route)
	if err != nil {
		return res, err
	}
	s, err := openSite(dir, "")
	if err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	res, err = s.status(ctx, orDiscard(o.Report))
	res.Config = filepath.Join(dir, configFile)
	return res, err
}

func (s *site) status(ctx context.Context, rep report.Reporter) (res StatusResult, err error) {
	res.Route, res.RouteID = s.cfg.Name, s.cfg.RouteID
	f, err := s.loadFleet(rep)
	if err != nil {
		return res, err
	}
	b, err := s.openBooks(f, rep)
	if err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, b.close(err == nil)) }()
	newest := uint64(0)
	if f.newest != nil {
		newest = f.newest.Snapshot.Number
		res.Snapshot, res.SnapshotAt = newest, f.newest.Snapshot.Time
	}
	if r := b.receipt; r != nil {
		res.Vault, res.Receipt, res.ReceiptAt, res.Arrived = r.VaultName, r.Number, r.Time, r.NewestArrived
		res.VaultFree, res.VaultTotal, res.Wants = r.Free, r.Total, int64(len(r.Wants))
		res.ReadSince = r.ReadSince
	}
	res.Overdue, res.Asks = b.overdue(), b.horizon.why()
	scans, err := s.lastScans(newest)
	if err != nil {
		return res, err
	}
	for _, tree := range s.cfg.Trees {
		t := TreeStatus{Tree: tree.Name, Path: tree.Path}
		if f.newest != nil {
			if rec, ok := f.newest.Snapshot.Tree(tree.Name); ok {
				t.Stopped, t.LastSeen = rec.Stopped, f.newest.Snapshot.Time
			}
		}
		if err := b.countTree(ctx, scans[tree.Name], &t); err != nil {
			return res, err
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
			t.PendingBytes += max(0, e.Entry.Size-length(e.Entry.Carried))
		}
		return nil
	})
}
