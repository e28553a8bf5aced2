package courier

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"waterlock/internal/disk"
	"waterlock/internal/wire"
)

// FoundReceipt is a receipt as it lies on the drive.
type FoundReceipt struct {
	Name    string // of the file, <number>-<hash>.receipt
	Bytes   []byte // verbatim
	Receipt *Receipt
}

// keptReceipts is how many receipts of a route stay on the drive: the newest,
// and the one before it should that one rot.
const keptReceipts = 2

// ReadReceipts returns the valid receipts of a route, the newest first.
// problems names those that fail their check.
func (d *Drive) ReadReceipts(route wire.RouteID) (valid []FoundReceipt, problems []error, err error) {
	dir := receiptsOf(route)
	names, err := d.receiptNames(route)
	if err != nil {
		return nil, nil, err
	}
	budget := int64(maxFoundBytes)
	for _, name := range names {
		b, err := d.readBounded(dir+"/"+name, MaxReceipt, &budget)
		var r *Receipt
		if err == nil {
			r, err = checkReceipt(name, b, route)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("%s/%s: %w", dir, name, err))
			continue
		}
		valid = append(valid, FoundReceipt{name, b, r})
	}
	return valid, problems, nil
}

// receiptNames lists what is named as a receipt, the highest number first.
func (d *Drive) receiptNames(route wire.RouteID) ([]string, error) {
	all, err := d.list(receiptsOf(route))
	if err != nil {
		return nil, err
	}
	var names []string
	for i := range all.Len() {
		if receiptNumber(all.At(i)) != 0 {
			names = append(names, all.At(i))
		}
	}
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(receiptNumber(b), receiptNumber(a)) })
	return names, nil
}

// checkReceipt checks a receipt and that it belongs where it lies.
func checkReceipt(name string, b []byte, route wire.RouteID) (*Receipt, error) {
	r, err := DecodeReceipt(b)
	switch {
	case err != nil:
		return nil, err
	case ReceiptName(r.Number, b) != name:
		return nil, fmt.Errorf("%w: its name should be %s", ErrReceipt, ReceiptName(r.Number, b))
	case r.Route != route:
		return nil, fmt.Errorf("%w: of route %v: %w", ErrReceipt, r.Route, wire.ErrRoute)
	}
	return r, nil
}

// WriteReceipt writes a receipt that EncodeReceipt made, verified. The inventory
// that it names must lie there already, see WriteInventory; so a crash leaves no
// new receipt without it. Then older
// receipts of the route, damaged ones included, are removed, all but the newest
// valid one; where there is no room before that, all but the newest valid one
// go first.
func (d *Drive) WriteReceipt(b []byte) (disk.Coldness, error) {
	r, err := DecodeReceipt(b)
	if err != nil {
		return 0, err
	}
	dir := receiptsOf(r.Route)
	if err := disk.MkdirAll(d.fs, dir, dirPerm); err != nil {
		return 0, err
	}
	if !r.Inventory.IsZero() {
		inventory := dir + "/" + InventoryName(r.Number, r.Inventory.Digest)
		st, err := d.fs.Stat(inventory)
		if err != nil {
			return 0, err
		}
		if want := InventorySize(r.Inventory.Count); st.Kind != disk.KindFile || st.Size != want {
			return 0, fmt.Errorf("%s: %v of %d bytes, file of %d expected", inventory, st.Kind, st.Size, want)
		}
	}
	name := ReceiptName(r.Number, b)
	c, err := put(d.fs, dir+"/"+name, b)
	if disk.IsNoSpace(err) && d.prune(r, name, keptReceipts-1) == nil {
		c, err = put(d.fs, dir+"/"+name, b)
	}
	if err != nil {
		return 0, err
	}
	// What could not be removed does no harm, and is removed next time.
	_ = d.prune(r, name, keptReceipts-1)
	_ = d.pruneInventories(r)
	return c, nil
}

// prune removes receipts of r's route with numbers up to r's, but for the
// newest keep valid ones and the file called name.
func (d *Drive) prune(r *Receipt, name string, keep int) error {
	dir := receiptsOf(r.Route)
	names, err := d.receiptNames(r.Route)
	if err != nil {
		return err
	}
	var first error
	for _, old := range names {
		if old == name || receiptNumber(old) > r.Number {
			continue
		}
		if keep > 0 {
			b, err := disk.ReadAll(d.fs, dir+"/"+old, MaxReceipt)
			if err == nil {
				_, err = checkReceipt(old, b, r.Route)
			}
			if err == nil {
				keep--
				continue
			}
		}
		if err := d.fs.Remove(dir + "/" + old); err != nil && !errors.Is(err, fs.ErrNotExist) && first == nil {
			first = err
		}
	}
	if err := d.fs.SyncDir(dir); first == nil {
		first = err
	}
	return first
}

// pruneInventories removes the inventories that no receipt needs any more: that
// of the newest receipt is enough, and where it has none, that of the one before
// stays as long as that.
func (d *Drive) pruneInventories(r *Receipt) error {
	names, err := d.receiptNames(r.Route)
	if err != nil {
		return err
	}
	kept := map[uint64]bool{}
	for _, name := range names {
		kept[receiptNumber(name)] = true
	}
	own := InventoryName(r.Number, r.Inventory.Digest)
	return d.removeInventories(r.Route, func(n uint64, name string) bool {
		return n == r.Number && name != own || n < r.Number && (!kept[n] || !r.Inventory.IsZero())
	})
}
