package home

import (
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"slices"
	"time"

	"waterlock/internal/courier"
	"waterlock/internal/exit"
	"waterlock/internal/report"
)

// ImportOptions bring a receipt that came by itself, not on a drive.
type ImportOptions struct {
	State   string
	Route   string // name; "" = the route that the receipt is of
	Receipt *courier.Receipt
	Bytes   []byte // verbatim
	// Inventory is the file of the inventory that goes with it, if it names one: it need not be there.
	Inventory string
	Report    report.Reporter
}

// ImportResult says what a receipt changed.
type ImportResult struct {
	Route     string
	RouteID   string
	Vault     string // name
	Receipt   uint64 // its number
	Time      time.Time
	Taken     bool   // it is newer than all that home knew, and counts now
	Known     uint64 // the newest that home knew before; 0 = none
	KnownTime time.Time
	CaughtUp  bool   // home had it without the inventory that goes with it, and has that now
	Why       string // why it changes nothing, in words; "" = it counts
	Arrived   uint64 // newest snapshot that has arrived, by the newest receipt
	Wants     int64  // chunks that the vault asks for, by the newest receipt
	Shipments []AcknowledgedShipment
}

// AcknowledgedShipment is a shipment of which the receipt acknowledges more than those before it.
type AcknowledgedShipment struct {
	Snapshot uint64
	Shipment string // 32 hex digits
	Drive    string // label; "" where home does not know the shipment
	DriveID  string
	All      bool // every record of it
}

// ImportReceipt believes a receipt that came by itself, as one that lay on a drive. One that is not newer than what home
// knows changes nothing, which is said and no error; one of another route is (exit.NotFound).
func ImportReceipt(_ context.Context, o ImportOptions) (res ImportResult, err error) {
	name, err := routeOfReceipt(o)
	if err != nil {
		return res, err
	}
	dir, err := routeDir(o.State, name)
	if err != nil {
		return res, err
	}
	s, err := openSite(dir, "")
	if err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	return s.importAlone(o)
}

// routeOfReceipt finds the route of a receipt among those of this machine.
func routeOfReceipt(o ImportOptions) (string, error) {
	routes, err := Routes(o.State)
	if err != nil {
		return "", err
	}
	if len(routes) == 0 {
		return "", exit.Errorf(exit.NotFound, "no route at home yet: a receipt is imported where wl pack is run")
	}
	for _, r := range routes {
		switch {
		case o.Route != "" && r.Name == o.Route && r.ID != o.Receipt.Route:
			return "", exit.Errorf(exit.NotFound, "the receipt is of another route (%s of vault %s), route %s is %s: nothing changed",
				o.Receipt.Route, report.Name(o.Receipt.VaultName), r.Name, r.ID)
		case r.ID == o.Receipt.Route && (o.Route == "" || r.Name == o.Route):
			return r.Name, nil
		}
	}
	if o.Route != "" {
		return o.Route, nil // there is none of that name
	}
	return "", exit.Errorf(exit.NotFound, "the receipt is of a route that this machine does not have (%s of vault %s): nothing changed",
		o.Receipt.Route, report.Name(o.Receipt.VaultName))
}

func (s *site) importAlone(o ImportOptions) (res ImportResult, err error) {
	rep, r := orDiscard(o.Report), o.Receipt
	f, err := s.loadFleet(rep)
	if err != nil {
		return res, err
	}
	b, err := s.openBooks(f, rep)
	if err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, b.close(err == nil)) }()
	res = ImportResult{Route: s.cfg.Name, RouteID: s.cfg.RouteID, Vault: r.VaultName, Receipt: r.Number, Time: r.Time}
	if b.receipt != nil {
		res.Known, res.KnownTime = b.receipt.Number, b.receipt.Time
	}
	open := func() (io.ReadCloser, error) { return os.Open(o.Inventory) }
	if !b.newer(r) {
		if res.CaughtUp, err = b.catchUp(r, open); err != nil {
			return res, err
		}
		res.Why, err = s.whyNot(b.receipt, o)
		res.Arrived, res.Wants = b.receipt.NewestArrived, int64(len(b.receipt.Wants))
		return res, err
	}
	before := maps.Clone(b.acks)
	if err := b.take(r, o.Bytes, open); err != nil {
		return res, err
	}
	res.Taken, res.Arrived, res.Wants = true, r.NewestArrived, int64(len(r.Wants))
	for i := range r.Taken {
		t := &r.Taken[i]
		after := b.acks[t.Shipment]
		if after == nil || sameTaken(before[t.Shipment], after) {
			continue
		}
		a := AcknowledgedShipment{Snapshot: t.Number, Shipment: t.Shipment.String(), All: after.All}
		if sh := f.byID(t.Shipment); sh != nil {
			a.Drive, a.DriveID = sh.label, sh.drive.String()
		}
		res.Shipments = append(res.Shipments, a)
	}
	return res, nil
}

// whyNot says why a receipt that is not newer changes nothing.
func (s *site) whyNot(known *courier.Receipt, o ImportOptions) (string, error) {
	names, err := s.localReceipts()
	if err != nil {
		return "", err
	}
	name := courier.ReceiptName(o.Receipt.Number, o.Bytes)
	switch {
	case slices.Contains(names, name):
		return "home has it already", nil
	case o.Receipt.Epoch != known.Epoch:
		return "it is of an earlier or another epoch of the vault than the newest that home has", nil
	case o.Receipt.Number == known.Number:
		return "home has another one of that number: the vault was set back, and draws a new epoch when the next drive comes", nil
	}
	return "home has a newer one", nil
}
