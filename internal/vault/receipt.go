package vault

import (
	"bytes"
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"waterlock/internal/courier"
)

// ownState is what the vault told home last.
type ownState struct {
	newest *courier.Receipt // nil: nothing is left of it
	epoch  courier.Epoch
	number uint64 // the next receipt's
}

// ownState reads the newest own receipt. Where the drive knows of a higher number than the vault ever gave, the vault was
// set back to an older state: then a new epoch tells home to believe nothing that it was told before, and the number goes
// on above.
func (u *unpacking) ownState() (*ownState, error) {
	newest, highest, err := newestReceipt(u.v.root, u.v.id, u.rep)
	if err != nil {
		return nil, err
	}
	onDrive, problems, err := u.courier.ReadReceipts(u.v.id)
	if err != nil {
		return nil, err
	}
	for _, p := range problems {
		u.rep.Warn("a receipt on the drive is damaged, it will be replaced: %v", p)
	}
	told := uint64(0)
	for _, found := range onDrive {
		r := found.Receipt
		told = max(told, r.Number)
		// Our own copy is damaged, the drive's is whole.
		if newest != nil && r.Epoch == newest.Epoch && r.Number > newest.Number && r.Number <= highest {
			newest = r
		}
	}
	for _, s := range u.shipments {
		told = max(told, s.commit.Basis.Receipt)
	}
	own := &ownState{newest: newest, number: max(highest, told) + 1}
	other, err := u.givenByAnother(newest, onDrive)
	if err != nil {
		return nil, err
	}
	if newest != nil && told <= highest && other == 0 {
		own.epoch = newest.Epoch
		return own, nil
	}
	if err := offerInventory(u.v.root); err != nil {
		return nil, err
	}
	own.epoch = drawEpoch()
	if other > 0 {
		u.rep.Warn("home has read another receipt %d than the one that this vault gave: the vault was set back. Home will be told so.", other)
		return own, u.v.cat.ForgetChecks()
	}
	u.rep.Warn("home has been told more than this vault knows (receipt %d, ours is %d): the vault was set back, or is new for this route. Home will be told so.", told, highest)
	return own, u.v.cat.ForgetChecks()
}

// writeReceipt tells home the whole state: on our own disk first, then on the drive.
func (u *unpacking) writeReceipt(ctx context.Context) error {
	wants, total, err := u.v.wants(u.arrivals.needs)
	if err != nil {
		return err
	}
	u.result.Wants, u.result.Awaited = total, int64(u.arrivals.awaited)
	since, err := u.v.readSince(ctx)
	if err != nil {
		return err
	}
	anew := uint64(0)
	if u.own.newest != nil && u.own.newest.Epoch != u.own.epoch {
		anew = u.own.number
	}
	condemned, err := u.condemned.left(u.v, u.clear, anew)
	if err != nil {
		return err
	}
	lost, err := u.v.lostUnnamed()
	if err != nil {
		return err
	}
	condemned, lost = withLost(condemned, lost, u.own.number)
	r := &courier.Receipt{
		Route:         u.v.id,
		VaultName:     u.v.Name,
		Epoch:         u.own.epoch,
		Number:        u.own.number,
		Time:          time.Now(),
		Taken:         u.taken(),
		Wants:         wants,
		Condemned:     condemned,
		Awaited:       u.arrivals.awaited,
		NewestArrived: u.arrivals.newest,
		Cleared:       u.clearedUpTo(),
		ReadSince:     since,
	}
	r.HighestSnapshot = u.v.commits.highest()
	if space, err := u.v.root.Free(); err == nil {
		r.Free, r.Total = space.Avail, space.Total
	}
	if err := u.takeInventory(ctx, r); err != nil {
		return err
	}
	b, err := putReceipt(u.v.root, r)
	if err != nil {
		return err
	}
	if err := u.v.dropWants(lost); err != nil {
		return err
	}
	u.result.Receipt, u.result.Condemned, u.result.Inventory = r.Number, int64(len(r.Condemned)), int64(r.Inventory.Count)
	u.result.InventoryGiven = !r.Inventory.IsZero()
	if err := u.dropInventories(r); err != nil {
		return err
	}
	if err = u.untold; err == nil {
		_, err = u.courier.WriteReceipt(b)
	}
	if err != nil {
		u.rep.Warn("the receipt could not be written onto the drive, it is kept in the vault and comes with the next drive: %v%s", err, courier.WriteHint(err))
		return nil
	}
	u.result.Told = true
	return nil
}

// taken lists the shipments that home may not have seen acknowledged: those of earlier receipts, and of this run.
func (u *unpacking) taken() []courier.Taken {
	all := map[courier.ShipmentID]courier.Taken{}
	if u.own.newest != nil {
		for _, t := range u.own.newest.Taken {
			all[t.Shipment] = t
		}
	}
	for _, s := range u.shipments {
		if s.kept {
			all[s.commit.Shipment] = withEarlier(s.taken(), all[s.commit.Shipment])
		}
	}
	floor := uint64(0)
	if u.newest != nil {
		floor = u.newest.Floor
	}
	maps.DeleteFunc(all, func(_ courier.ShipmentID, t courier.Taken) bool { return t.Number < floor })
	return slices.SortedFunc(maps.Values(all), func(a, b courier.Taken) int {
		return cmp.Or(cmp.Compare(a.Number, b.Number), bytes.Compare(a.Shipment[:], b.Shipment[:]))
	})
}

// withEarlier adds what an earlier receipt said of the shipment: what is lacking since is wanted or condemned.
func withEarlier(t, earlier courier.Taken) courier.Taken {
	switch {
	case t.All || earlier.Records != t.Records:
		return t
	case earlier.All:
		return earlier
	}
	for i := range t.Bits {
		t.Bits[i] |= earlier.Bits[i]
	}
	return t
}

// readSince is the time at which, or after which, every chunk in the vault was read; zero where that is not known of all.
func (v *vault) readSince(ctx context.Context) (time.Time, error) {
	space, err := v.store.Space(ctx)
	if err != nil || space.ReadSince == 0 {
		return time.Time{}, err
	}
	return time.Unix(space.ReadSince, 0), nil
}
