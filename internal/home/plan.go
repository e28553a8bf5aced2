package home

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"time"

	"waterlock/internal/courier"
	"waterlock/internal/disk"
	"waterlock/internal/exit"
	"waterlock/internal/report"
)

// PlanOptions ask how the next trips will be.
type PlanOptions struct {
	State    string
	Route    string // name; "" = the only one
	Drive    string // mount point of a courier drive that all trips are made with; "" = none
	Capacity int64  // or the size of a drive; with neither, the drives that were packed take turns
	Reserve  int64  // bytes to leave free on a drive; negative = the setting of route.toml
	Report   report.Reporter
}

// PlanResult says how the next trips will be. All bytes are upper bounds: what of a changed file the vault has already is
// found out by reading it, and nothing was read.
type PlanResult struct {
	Route      string
	RouteID    string
	Snapshot   uint64 // the newest; 0 = none
	SnapshotAt time.Time

	Files, Bytes        int64  // of all trees
	ToReadFiles, ToRead int64  // new or changed since, or not carried yet
	ToCarry             int64  // of these: without holes and what was carried of them
	Recarried           int64  // about what is no longer on the drive given, and so carried again
	Wants               int64  // chunks that the vault asks for, which go first
	Asks                string // why the next trip carries no data and asks for the vault's inventory, in words; "" if it does not
	Order               Order
	Classes             []PlanClass // where there is more than one: in the order in which they are carried
	Trees               []PlanTree
	Stopped             []StoppedTree

	Vault     string // name of the vault; "" = no receipt yet
	VaultFree int64  // as of the newest receipt
	ReceiptAt time.Time

	Drives []PlanDrive // that take turns, in their order; none: no drive is known, and so no trips
	Trips  []PlanTrip  // the first of them
	More   int64       // trips behind these
	Took   time.Duration
}

// PlanClass is what is to be carried of one class.
type PlanClass struct {
	Priority Priority
	Bytes    int64
}

// PlanTree is what is to be carried of one tree.
type PlanTree struct {
	Tree         string
	Files, Bytes int64
}

// PlanDrive is a drive and how much a trip of it takes.
type PlanDrive struct {
	ID, Label string // empty where only a capacity was given
	Size      int64
	First     int64 // what fits on it now, after what the vault has acknowledged is cleared
	Later     int64 // what fits on it once it comes back
	LastSeen  time.Time
	Speed     float64 // bytes a second of its last run, else of the last run with any drive; 0 = not measured

	aboard int64 // what it carries that the vault has not acknowledged takes so much
	lost   bool  // somebody said so
}

// PlanTrip is one trip.
type PlanTrip struct {
	ID, Label string
	Bytes     int64
	Took      time.Duration // that packing takes; 0 = not known
}

const (
	maxPlanTrips  = 12
	maxPlanRounds = 10_000
)

// Plan says what is new and how many trips it takes. It reads no file, and writes nothing onto a drive.
func Plan(ctx context.Context, o PlanOptions) (res PlanResult, err error) {
	dir, err := routeDir(o.State, o.Route)
	if err != nil {
		return res, err
	}
	if o.Drive != "" && o.Capacity > 0 {
		return res, exit.Errorf(exit.Usage, "a drive or a capacity: give one of them")
	}
	drive := ""
	if o.Drive != "" {
		if drive, err = filepath.Abs(o.Drive); err != nil {
			return res, err
		}
	}
	s, err := openSite(dir, drive)
	if err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	return s.plan(ctx, o)
}

func (s *site) plan(ctx context.Context, o PlanOptions) (res PlanResult, err error) {
	var survey PackResult
	r, err := s.newRun(PackOptions{DryRun: true, Reserve: o.Reserve, Report: o.Report}, &survey)
	if err != nil {
		return res, err
	}
	if r.fleet, err = s.loadFleet(r.rep); err != nil {
		return res, err
	}
	if r.books, err = s.openBooks(r.fleet, r.rep); err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, r.books.close(err == nil)) }()
	if o.Drive != "" {
		if err := r.takeDrive(); err != nil {
			return res, err
		}
		defer func() { err = errors.Join(err, r.drive.Close()) }()
		if err := r.lookAtDrive(); err != nil {
			return res, err
		}
	}
	if err := r.loadTrees(); err != nil {
		return res, err
	}
	defer r.closeTrees()
	if err := r.surveyAll(ctx); err != nil {
		return res, err
	}
	r.tellPlan(&res)
	if res.Drives, err = r.planDrives(o.Capacity); err != nil {
		return res, err
	}
	return res, res.planTrips()
}

// tellPlan copies what the survey found.
func (r *run) tellPlan(res *PlanResult) {
	res.Asks = r.books.horizon.why()
	res.Route, res.RouteID, res.Order = r.res.Route, r.res.RouteID, r.site.cfg.Pack.Order
	if c := r.fleet.newest; c != nil {
		res.Snapshot, res.SnapshotAt = c.Snapshot.Number, c.Snapshot.Time
	}
	if b := r.books.receipt; b != nil {
		res.Vault, res.VaultFree, res.ReceiptAt, res.Wants = b.VaultName, b.Free, b.Time, int64(len(b.Wants))
	}
	res.ToReadFiles, res.ToRead, res.Recarried, res.Stopped = r.res.ToReadFiles, r.res.ToRead, r.res.RecarriedBytes, r.res.Stopped
	for _, t := range r.trees {
		if t.stopped != nil {
			continue
		}
		res.Files += t.survey.files
		res.Bytes += t.survey.bytes
		tree := PlanTree{Tree: t.Name, Files: t.survey.toReadFiles}
		for _, n := range t.survey.demand {
			tree.Bytes += n
		}
		res.ToCarry += tree.Bytes
		res.Trees = append(res.Trees, tree)
	}
	res.ToCarry += res.Recarried
	sums := newSchedule(r.trees).classes()
	for _, p := range []Priority{PriorityFirst, PriorityNormal, PriorityLast} {
		if n, ok := sums[p]; ok && len(sums) > 1 {
			res.Classes = append(res.Classes, PlanClass{p, n})
		}
	}
}

// planDrives are the drives that the trips are made with.
func (r *run) planDrives(capacity int64) ([]PlanDrive, error) {
	known, err := r.knownDrives()
	if err != nil {
		return nil, err
	}
	switch {
	case capacity > 0:
		room := r.roomOn(disk.Space{Total: capacity, Avail: capacity})
		return []PlanDrive{{Size: capacity, First: room, Later: room, Speed: lastSpeed(known)}}, nil
	case r.drive != nil:
		d, err := r.planDrive()
		d.Speed = lastSpeed(known)
		for _, k := range known {
			if k.ID == d.ID && k.Speed > 0 {
				d.Speed = k.Speed
			}
		}
		return []PlanDrive{d}, err
	}
	return slices.DeleteFunc(known, func(d PlanDrive) bool { return d.lost }), nil
}

// planDrive is the drive that is here.
func (r *run) planDrive() (PlanDrive, error) {
	space, err := r.drive.FS().Free()
	if err != nil {
		return PlanDrive{}, err
	}
	acked, _, err := r.books.clearable(r.drive)
	if err != nil {
		return PlanDrive{}, err
	}
	later := r.roomOn(disk.Space{Total: space.Total, Avail: space.Total})
	for _, a := range acked {
		space.Avail += a.bytes
	}
	return PlanDrive{ID: r.drive.ID().String(), Label: r.drive.Label(), Size: space.Total, First: r.roomOn(space), Later: later, LastSeen: r.began}, nil
}

// knownDrives are those that were packed, those first that carry nothing, and of these the one that has rested longest.
func (r *run) knownDrives() (drives []PlanDrive, err error) {
	at := map[courier.DriveID]int{}
	for _, sh := range r.fleet.all {
		if sh.unusable {
			continue
		}
		i, ok := at[sh.drive]
		if !ok {
			p, err := r.books.pace(sh.drive)
			if err != nil {
				return nil, err
			}
			if p == nil {
				continue
			}
			i, at[sh.drive] = len(drives), len(drives)
			drives = append(drives, PlanDrive{ID: sh.drive.String(), Size: p.Total, LastSeen: p.At, Speed: p.speed(),
				Later: r.roomOn(disk.Space{Total: p.Total, Avail: p.Total})})
		}
		d := &drives[i]
		d.Label, d.lost = sh.label, sh.lost // the last word counts
		if sh.counts() && !r.books.arrivedOnce(sh.id) {
			d.aboard += sh.size
		}
	}
	speed := lastSpeed(drives)
	for i := range drives {
		drives[i].First = r.roomOn(disk.Space{Total: drives[i].Size, Avail: drives[i].Size - drives[i].aboard})
		if drives[i].Speed == 0 {
			drives[i].Speed = speed
		}
	}
	slices.SortStableFunc(drives, func(a, b PlanDrive) int {
		switch {
		case a.aboard > 0 && b.aboard == 0:
			return 1
		case b.aboard > 0 && a.aboard == 0:
			return -1
		}
		return a.LastSeen.Compare(b.LastSeen)
	})
	return drives, nil
}

// lastSpeed is the speed that was measured last.
func lastSpeed(drives []PlanDrive) (speed float64) {
	var at time.Time
	for _, d := range drives {
		if d.Speed > 0 && d.LastSeen.After(at) {
			speed, at = d.Speed, d.LastSeen
		}
	}
	return speed
}

// roomOn is how much of chunks fits into so much space; 0 where it is not even one.
func (r *run) roomOn(space disk.Space) int64 {
	if room := space.Avail - r.reserve - r.closingRoom(space); room >= int64(r.params.Min) {
		return room
	}
	return 0
}

// planTrips deals what is to be carried out to the drives. Each takes its turn; what is aboard on the first round is gone
// on the next.
func (res *PlanResult) planTrips() error {
	left := res.ToCarry
	for round := 0; left > 0 && len(res.Drives) > 0 && round < maxPlanRounds; round++ {
		before := left
		for _, d := range res.Drives {
			room := d.Later
			if round == 0 {
				room = d.First
			}
			carried := min(left, room)
			if carried <= 0 {
				continue
			}
			left -= carried
			trip := PlanTrip{ID: d.ID, Label: d.Label, Bytes: carried}
			if d.Speed > 0 {
				trip.Took = time.Duration(float64(carried) / d.Speed * float64(time.Second)).Round(time.Second)
			}
			res.Took += trip.Took
			if len(res.Trips) < maxPlanTrips {
				res.Trips = append(res.Trips, trip)
			} else {
				res.More++
			}
		}
		if left == before && round > 0 {
			return exit.Errorf(exit.Fatal, "no drive has room for anything beside the reserve (--reserve) and the lists of files")
		}
	}
	return nil
}
