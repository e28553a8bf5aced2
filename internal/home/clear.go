package home

import (
	"cmp"
	"context"
	"errors"
	"path/filepath"
	"slices"

	"waterlock/internal/courier"
	"waterlock/internal/disk"
	"waterlock/internal/exit"
	"waterlock/internal/report"
)

// ClearDrive deletes the shipments on a drive that a receipt acknowledged in full, after asking. One that is not
// acknowledged in full is never deleted, and neither is one that this home knows nothing of.
func ClearDrive(ctx context.Context, o ClearOptions) (res ClearResult, err error) {
	rep := orDiscard(o.Report)
	path, err := filepath.Abs(o.Drive)
	if err != nil {
		return res, err
	}
	d, err := courier.OpenDrive(path)
	if err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	if err := d.Lock(); err != nil {
		return res, err
	}
	res.DriveID, res.DriveLabel = d.ID().String(), d.Label()
	names := []string{o.Route}
	if o.Route == "" {
		if names, err = routeNames(o.State); err != nil {
			return res, err
		}
		if len(names) == 0 {
			return res, exit.Errorf(exit.NotFound, "no route at home yet: nothing is known of what has arrived")
		}
	}
	for _, name := range names {
		if err := clearRoute(ctx, o, name, d, rep, &res); err != nil {
			return res, err
		}
	}
	space, err := d.FS().Free()
	res.Free = space.Avail
	return res, err
}

func clearRoute(ctx context.Context, o ClearOptions, name string, d *courier.Drive, rep report.Reporter, res *ClearResult) (err error) {
	dir, err := routeDir(o.State, name)
	if err != nil {
		return err
	}
	site, err := openSite(dir, "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, site.close()) }()
	f, err := site.loadFleet(rep)
	if err != nil {
		return err
	}
	b, err := site.openBooks(f, rep)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close(err == nil)) }()
	if _, err := site.importReceipt(b, d, rep); err != nil {
		return err
	}
	acked, kept, err := b.clearable(d)
	if err != nil {
		return err
	}
	res.Kept += kept
	if len(acked) == 0 {
		return nil
	}
	if !o.Yes {
		yes, asked := false, false
		if o.Confirm != nil {
			yes, asked = o.Confirm(clearQuestion(acked, d))
		}
		res.Asked = res.Asked || asked
		if !yes {
			res.Refused = true
			res.Kept += len(acked)
			return nil
		}
	}
	for _, c := range acked {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := d.RemoveShipment(site.route, c.id); err != nil {
			return err
		}
		res.Freed += c.bytes
		res.Cleared = append(res.Cleared, ClearedShipment{Route: site.cfg.Name, Snapshot: c.number, Shipment: c.id.String(), Bytes: c.bytes})
	}
	return nil
}

// acknowledged is a shipment on a drive of which the vault has every record.
type acknowledged struct {
	id     courier.ShipmentID
	number uint64
	bytes  int64
}

// clearable finds the shipments on a drive that a receipt of the present epoch acknowledged in full.
func (b *books) clearable(d *courier.Drive) (acked []acknowledged, kept int, err error) {
	there, err := d.Shipments(b.site.route)
	if err != nil {
		return nil, 0, err
	}
	for i := range there {
		info := &there[i]
		t := b.acks[info.ID]
		if t == nil || !t.All || !info.Committed {
			kept++
			continue
		}
		a := acknowledged{id: info.ID, number: t.Number}
		for _, name := range info.Names {
			if st, err := d.FS().Stat(info.Path + "/" + name); err == nil && st.Kind == disk.KindFile {
				a.bytes += st.Size
			}
		}
		acked = append(acked, a)
	}
	slices.SortFunc(acked, func(a, b acknowledged) int { return cmp.Compare(a.number, b.number) })
	return acked, kept, nil
}

func clearQuestion(acked []acknowledged, d *courier.Drive) string {
	bytes := int64(0)
	for _, a := range acked {
		bytes += a.bytes
	}
	return "The vault has everything of " + report.Count(int64(len(acked)), "shipment") + " on drive " + report.Name(d.Label()) +
		" (" + report.Size(bytes) + "). Delete?"
}

// clearForRoom clears acknowledged shipments when a pack needs their room, as the settings say.
func (r *run) clearForRoom(need int64) error {
	setting := r.site.cfg.Pack.ClearAcknowledged
	acked, _, err := r.books.clearable(r.drive)
	if err != nil || len(acked) == 0 || setting == clearNever {
		return err
	}
	if setting == clearAsk {
		yes, asked := false, false
		if r.o.Confirm != nil {
			yes, asked = r.o.Confirm(report.Size(need) + " more room is needed. " + clearQuestion(acked, r.drive))
		}
		if !asked {
			r.rep.Info("%s on the drive could be deleted to make room: wl drive clear, or clear_acknowledged in %s.", report.Count(int64(len(acked)), "acknowledged shipment"), configFile)
		}
		if !yes {
			return nil
		}
	}
	for _, a := range acked {
		if need <= 0 {
			break
		}
		if err := r.drive.RemoveShipment(r.site.route, a.id); err != nil {
			return err
		}
		need -= a.bytes
		r.res.Cleared++
		r.rep.Info("Deleted the acknowledged shipment of snapshot %d: %s.", a.number, report.Size(a.bytes))
	}
	return nil
}
