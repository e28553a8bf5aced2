package home

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"time"

	"waterlock/index"
	"waterlock/internal/chunk"
	"waterlock/internal/courier"
	"waterlock/internal/exit"
	"waterlock/internal/report"
)

// A person says that a drive is lost: what it carried and no receipt has acknowledged counts no longer. Each such shipment gets
// the word of it, a file of its own, before the ledger forgets what the shipment carries; so a ledger that forgot less, or
// nothing, does not fit its files and is folded anew.
//
// The word is taken back, that is, the file is removed, when the drive turns up: a receipt acknowledges more of the shipment than
// the ones before, or somebody packs with the drive. In the first case the ledger is as it would be if the drive had never been
// declared lost, for what the receipt acknowledges is held and the rest of the shipment no longer aboard; in the second it is
// folded anew, since a receipt that came in between may have asked for what is aboard.

// LostOptions say which drive is lost.
type LostOptions struct {
	State  string
	Route  string // name; "" = every route of this machine
	Drive  string // id, 32 hex digits
	Report report.Reporter
}

// LostResult says what is carried again.
type LostResult struct {
	Shipments []LostShipment // declared lost now, oldest first
	Before    int            // shipments on the drive that were lost already
	Chunks    int64          // chunks that are back on the list
	Bytes     int64          // about what they are, in plain bytes
}

// LostShipment is a shipment that was on a lost drive.
type LostShipment struct {
	Route    string
	Snapshot uint64 // 0: it was not finished
	Shipment string // 32 hex digits
	Time     time.Time
	Bytes    int64 // what it takes on the drive
	Chunks   int64 // chunks of it that are back on the list
}

// DriveLost declares a drive lost.
func DriveLost(ctx context.Context, o LostOptions) (res LostResult, err error) {
	names := []string{o.Route}
	if o.Route == "" {
		if names, err = routeNames(o.State); err != nil {
			return res, err
		}
		if len(names) == 0 {
			return res, exit.Errorf(exit.NotFound, "no route at home yet: no drive carries anything")
		}
	}
	id, err := courier.ParseDriveID(o.Drive)
	if err != nil {
		return res, exit.With(exit.Usage, err)
	}
	for _, name := range names {
		if err := lostIn(ctx, o, name, id, &res); err != nil {
			return res, err
		}
	}
	return res, nil
}

func lostIn(ctx context.Context, o LostOptions, name string, drive courier.DriveID, res *LostResult) (err error) {
	dir, err := routeDir(o.State, name)
	if err != nil {
		return err
	}
	s, err := openSite(dir, "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	return s.driveLost(ctx, drive, orDiscard(o.Report), res)
}

func (s *site) driveLost(ctx context.Context, drive courier.DriveID, rep report.Reporter, res *LostResult) (err error) {
	f, err := s.loadFleet(rep)
	if err != nil {
		return err
	}
	b, err := s.openBooks(f, rep)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close(err == nil)) }()
	for _, sh := range f.all {
		if sh.drive != drive || sh.unusable || sh.missing || b.arrivedOnce(sh.id) {
			continue
		}
		if sh.lost {
			res.Before++
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := b.declareLost(sh, res); err != nil {
			return err
		}
	}
	return nil
}

// declareLost stops counting on a shipment: first the word of it, durable, then the ledger.
func (b *books) declareLost(sh *shipment, res *LostResult) error {
	lost := LostShipment{Route: b.site.cfg.Name, Snapshot: sh.number, Shipment: sh.id.String(), Time: sh.packed(), Bytes: sh.size}
	if sh.number == 0 {
		var err error
		if lost.Bytes, err = b.openBytes(sh); err != nil {
			b.rep.Verbose("%v", err)
		}
	}
	counted := b.fleet.live(0)
	if err := b.site.mark(sh, fileLost); err != nil {
		return err
	}
	sh.lost = true
	still := b.fleet.live(0)
	for _, name := range sh.packs {
		if packKind(name) != chunk.Data || sh.gone[name] {
			continue
		}
		chunks, bytes, err := b.countBack(sh, name, counted, still)
		if err != nil {
			return err
		}
		lost.Chunks += chunks
		res.Bytes += bytes
		if err := b.dropPack(sh, name); err != nil {
			return err
		}
	}
	res.Chunks += lost.Chunks
	res.Shipments = append(res.Shipments, lost)
	return nil
}

// countBack counts the chunks of a pack that were counted on and are on the list again without its shipment.
func (b *books) countBack(sh *shipment, name string, counted, still func(uint32) bool) (chunks, bytes int64, err error) {
	list, err := b.site.readList(sh, name)
	if err != nil {
		return 0, 0, nil // named by dropPack; nothing of it was counted on
	}
	for _, id := range list.ids {
		st, err := b.ledger.Standing(id)
		if err != nil {
			return 0, 0, err
		}
		if st.State(counted) == index.Aboard && st.State(still) == index.None {
			chunks++
		}
	}
	return chunks, list.plain * chunks / max(1, int64(len(list.ids))), nil
}

// welcome takes back that the drive at hand is lost. What it carries counts again, as far as it is still there, which is
// looked at next.
func (r *run) welcome() error {
	for _, sh := range r.fleet.all {
		if !sh.lost || sh.drive != r.drive.ID() {
			continue
		}
		r.res.FoundAgain++
		if r.o.DryRun {
			continue
		}
		if err := r.site.takeBackLost(sh); err != nil {
			return err
		}
	}
	switch {
	case r.res.FoundAgain == 0:
		return nil
	case r.o.DryRun:
		r.rep.Info("Drive %s was declared lost, and is here again: a run that is not dry takes that back.", r.driveName())
		return nil
	}
	r.rep.Info("Drive %s was declared lost, and is here again: what it carries counts again, unless it was carried since.", r.driveName())
	return r.books.refold()
}

// takeBackLost removes the word that a shipment is lost, durably.
func (s *site) takeBackLost(sh *shipment) error {
	if err := s.state.Remove(sh.dir + "/" + fileLost); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := s.state.SyncDir(sh.dir); err != nil {
		return err
	}
	sh.lost = false
	return nil
}

// turnedUp takes back that shipments are lost of which a receipt acknowledged more than those before it. The receipt must be
// durable at home: a word that nothing has replaced is not taken back.
func (b *books) turnedUp(before map[courier.ShipmentID]*courier.Taken) error {
	for _, sh := range b.fleet.all {
		after := b.acks[sh.id]
		if !sh.lost || after == nil || sameTaken(before[sh.id], after) {
			continue
		}
		b.rep.Info("Drive %s was declared lost, and has turned up: the vault has taken snapshot %d from it.", driveNamed(sh.label, sh.drive), after.Number)
		if err := b.site.takeBackLost(sh); err != nil {
			return err
		}
	}
	return nil
}

func sameTaken(a, b *courier.Taken) bool {
	return a != nil && a.All == b.All && slices.Equal(a.Bits, b.Bits)
}
