package home

import (
	"errors"
	"time"

	"waterlock/internal/chunk"
	"waterlock/internal/courier"
	"waterlock/internal/report"
)

// DrivesOptions ask for the drives of a route.
type DrivesOptions struct {
	State  string
	Route  string // name; "" = the only one
	Report report.Reporter
}

// DrivesResult is the drives that carried shipments of a route, in the order in which they first did, and the shipments that no
// receipt has acknowledged in full, oldest first.
type DrivesResult struct {
	Route     string
	Drives    []DriveStatus
	Shipments []ShipmentStatus
}

// Drives lists the drives that a route knows. It reads what home remembers of shipments and receipts, and needs no ledger.
func Drives(o DrivesOptions) (res DrivesResult, err error) {
	dir, err := routeDir(o.State, o.Route)
	if err != nil {
		return res, err
	}
	s, err := openSite(dir, "")
	if err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	rep := orDiscard(o.Report)
	f, err := s.loadFleet(rep)
	if err != nil {
		return res, err
	}
	b := &books{site: s, fleet: f, rep: rep, times: map[uint64]time.Time{}}
	if err := b.readAcks(); err != nil {
		return res, err
	}
	res.Route = s.cfg.Name
	res.Drives, res.Shipments, err = b.drives()
	return res, err
}

// drives lists the drives that carried something, and what is not acknowledged in full.
func (b *books) drives() (drives []DriveStatus, shipments []ShipmentStatus, err error) {
	at := map[courier.DriveID]int{}
	for _, sh := range b.fleet.all {
		if sh.unusable {
			continue
		}
		i, ok := at[sh.drive]
		if !ok {
			i = len(drives)
			at[sh.drive] = i
			drives = append(drives, DriveStatus{ID: sh.drive.String()})
		}
		d := &drives[i]
		packed := sh.packed()
		if !packed.Before(d.LastSeen) {
			d.LastSeen, d.Label = packed, sh.label
		}
		if sh.number != 0 && b.arrivedOnce(sh.id) {
			continue
		}
		st := ShipmentStatus{Snapshot: sh.number, Shipment: sh.id.String(), DriveID: sh.drive.String(), Drive: sh.label,
			Time: packed, Bytes: sh.size, State: b.stateOf(sh)}
		if sh.number == 0 {
			if st.Bytes, err = b.openBytes(sh); err != nil {
				return nil, nil, err
			}
		}
		shipments = append(shipments, st)
		d.count(sh, &st)
	}
	return drives, shipments, nil
}

// count counts a shipment that is not acknowledged in full.
func (d *DriveStatus) count(sh *shipment, st *ShipmentStatus) {
	d.Lost = d.Lost || sh.lost
	switch {
	case sh.lost || sh.missing:
		return
	case sh.number == 0:
		d.Open = true
	case !sh.counts():
		return
	default:
		d.Aboard = append(d.Aboard, sh.number)
		if d.Since.IsZero() || st.Time.Before(d.Since) {
			d.Since = st.Time
		}
	}
	d.Bytes += st.Bytes
}

// packed is when the shipment was closed, or opened if it is not.
func (s *shipment) packed() time.Time {
	if s.number != 0 {
		return s.time
	}
	return s.opened
}

// The states of a shipment that no receipt has acknowledged in full.
const (
	stateOpen       = "open"
	stateUnfinished = "unfinished" // its commit is not on the drive yet
	stateAboard     = "aboard"
	statePartly     = "partly"  // acknowledged in part; what did not arrive is carried again
	stateMissing    = "missing" // the drive came back without it
	stateLost       = "lost"
)

func (b *books) stateOf(sh *shipment) string {
	switch {
	case sh.lost:
		return stateLost
	case sh.missing:
		return stateMissing
	case sh.number == 0:
		return stateOpen
	case !sh.aboard:
		return stateUnfinished
	case b.acks[sh.id] != nil:
		return statePartly
	}
	return stateAboard
}

func (b *books) openBytes(sh *shipment) (n int64, err error) {
	for _, name := range sh.packs {
		if packKind(name) != chunk.Data {
			continue
		}
		list, err := b.site.readList(sh, name)
		if err != nil {
			return 0, err
		}
		n += list.ref.Size
	}
	return n, nil
}
