package home

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"

	"waterlock/internal/chunk"
	"waterlock/internal/courier"
	"waterlock/internal/disk"
	"waterlock/internal/report"
	"waterlock/internal/wire"
	"waterlock/snapshot"
)

const (
	receiptSuffix   = ".receipt"
	maxReceiptBytes = wire.MaxBody + 4096
)

// localReceipts lists the receipts kept at home by their numbers, the oldest first.
func (s *site) localReceipts() ([]string, error) {
	names, err := s.state.ReadDir(dirReceipts)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []string
	for i := range names.Len() {
		if _, ok := receiptNumber(names.At(i)); ok {
			list = append(list, names.At(i))
		}
	}
	slices.SortStableFunc(list, func(a, b string) int {
		x, _ := receiptNumber(a)
		y, _ := receiptNumber(b)
		if x < y {
			return -1
		}
		return int(min(x-y, 1))
	})
	return list, nil
}

// receiptNumber reads the number of <number>-<hash>.receipt.
func receiptNumber(name string) (uint64, bool) {
	stem, ok := strings.CutSuffix(name, receiptSuffix)
	digits, hash, found := strings.Cut(stem, "-")
	if !ok || !found || len(hash) != 64 {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	return n, err == nil && n > 0
}

func (s *site) readReceipt(name string) (*courier.Receipt, error) {
	data, err := disk.ReadAll(s.state, dirReceipts+"/"+name, maxReceiptBytes)
	if err != nil {
		return nil, err
	}
	r, err := courier.DecodeReceipt(data)
	if err == nil && r.Route != s.route {
		err = wire.ErrRoute
	}
	if err != nil {
		return nil, fmt.Errorf("receipt %s: %w", name, err)
	}
	return r, nil
}

// eachReceipt calls fn for the receipts kept at home, the oldest first. A damaged one is named and left out: the vault
// says it all again with the next.
func (s *site) eachReceipt(rep report.Reporter, fn func(*courier.Receipt) error) error {
	names, err := s.localReceipts()
	if err != nil {
		return err
	}
	for _, name := range names {
		r, err := s.readReceipt(name)
		if err != nil {
			rep.Warn("%v", err)
			continue
		}
		if err := fn(r); err != nil {
			return err
		}
	}
	return nil
}

// importReceipt takes the newest receipt on the drive, if it is newer than all that home knows, and returns its number.
func (s *site) importReceipt(b *books, d *courier.Drive, rep report.Reporter) (uint64, error) {
	found, problems, err := d.ReadReceipts(s.route)
	for _, p := range problems {
		rep.Warn("a receipt on the drive is damaged and left aside: %v", p)
	}
	if err != nil || len(found) == 0 {
		return 0, err
	}
	newest := found[0]
	if !b.newer(newest.Receipt) {
		_, err := b.catchUp(newest.Receipt, inventoryOn(d, newest.Receipt))
		return 0, err
	}
	for _, older := range slices.Backward(found[1:]) { // whose inventory is the last there is
		if r := older.Receipt; newest.Receipt.Inventory.IsZero() && !r.Inventory.IsZero() && r.Epoch == newest.Receipt.Epoch && b.newer(r) {
			if err := b.take(r, older.Bytes, inventoryOn(d, r)); err != nil {
				return 0, err
			}
		}
	}
	return newest.Receipt.Number, b.take(newest.Receipt, newest.Bytes, inventoryOn(d, newest.Receipt))
}

// newer tells whether a receipt is newer than all that home knows. A receipt is the vault's whole state, so the newest
// alone suffices.
func (b *books) newer(r *courier.Receipt) bool {
	return r.Route == b.site.route && (b.receipt == nil || r.Number > b.receipt.Number)
}

// cleared is the newest snapshot of which the vault says that its mirror has followed every deletion; nil where there is none, or
// where that is not sure to be the snapshot that home knows by this number, which may have been given twice. It says nothing of
// trees that are not in it.
func (b *books) cleared() *snapshot.Record {
	if b.receipt == nil || b.receipt.Cleared == 0 {
		return nil
	}
	for _, sh := range b.fleet.all {
		if sh.number != b.receipt.Cleared || sh.number <= b.horizon.heard || b.acks[sh.id] == nil {
			continue
		}
		commit, err := b.site.readCommit(sh)
		if err != nil {
			b.rep.Verbose("%v", err)
			return nil
		}
		return &commit.Snapshot
	}
	return nil
}

// take believes a receipt that is newer, however it came. The order is
//
//  1. the inventory that goes with it, durable at home: from the next step on it is believed
//  2. the receipt, durable at home
//  3. the ledger: a run that ends in between finds one that does not fit its files, and folds them anew
//  4. drives that were lost and have turned up are lost no longer
func (b *books) take(r *courier.Receipt, data []byte, open inventorySource) error {
	inventory, err := b.site.keepInventory(r, open, b.rep)
	if err != nil {
		return err
	}
	if err := disk.MkdirAll(b.site.state, dirReceipts, 0o700); err != nil {
		return err
	}
	if err := b.site.keepReceipt(dirReceipts+"/"+courier.ReceiptName(r.Number, data), data); err != nil {
		return err
	}
	before := maps.Clone(b.acks)
	another := b.receipt != nil && b.receipt.Epoch != r.Epoch
	if another {
		b.rep.Warn("the vault begins a new epoch with receipt %d: it was rolled back or made anew. Home counts on its inventory, and on nothing that it was told before", r.Number)
	}
	if another || inventory {
		if err := b.refold(); err != nil {
			return err
		}
		return b.turnedUp(before)
	}
	if err := b.lookBack(report.Discard); err != nil {
		return err
	}
	b.torn = false
	b.times[r.Number] = r.Time
	if err := b.apply(r); err != nil {
		return err
	}
	if b.torn { // what the damaged list named no longer counts as aboard
		if err := b.refold(); err != nil {
			return err
		}
	}
	return b.turnedUp(before)
}

// catchUp takes the inventory that goes with the newest receipt that home knows, where it did not come with it.
func (b *books) catchUp(r *courier.Receipt, open inventorySource) (bool, error) {
	if b.receipt == nil || r.Number != b.receipt.Number || r.Inventory != b.receipt.Inventory || b.horizon.missed != r.Number {
		return false, nil
	}
	if kept, err := b.site.keepInventory(r, open, b.rep); err != nil || !kept {
		return false, err
	}
	return true, b.refold()
}

// keepReceipt makes a receipt durable at home. One that is there already and is damaged is written anew.
func (s *site) keepReceipt(name string, data []byte) error {
	err := disk.Put(s.state, name, data)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	if there, err := disk.ReadAll(s.state, name, maxReceiptBytes); err == nil && bytes.Equal(there, data) {
		return nil
	}
	if err := s.state.Remove(name); err != nil {
		return err
	}
	return disk.Put(s.state, name, data)
}

// apply lets a receipt change the ledger: bits that are newly set make chunks held; bits of a shipment seen for the
// first time that are clear put their chunks back on the list; an inventory makes held what it lists; what is wanted or
// condemned is neither held nor aboard.
func (b *books) apply(r *courier.Receipt) error {
	for i := range r.Taken {
		if err := b.applyTaken(r, &r.Taken[i]); err != nil {
			return err
		}
	}
	if r.Number == b.horizon.told && r.Epoch == b.horizon.epoch {
		if err := b.holdInventory(r); err != nil {
			return err
		}
	}
	var drop []chunk.ID
	for _, c := range r.Condemned {
		drop = append(drop, c.ID)
	}
	for _, w := range r.Wants {
		drop = append(drop, w.ID)
	}
	if len(drop) > 0 {
		if err := b.ledger.Drop(drop); err != nil {
			return err
		}
	}
	b.receipt = r
	return nil
}

// applyTaken lets what a receipt says of one shipment change the ledger. What is acknowledged by a receipt that is not
// believed is neither aboard nor held: an inventory says whether the vault has it.
func (b *books) applyTaken(r *courier.Receipt, t *courier.Taken) error {
	before, seen := b.acks[t.Shipment]
	if seen && before.All {
		return nil
	}
	after := mergeTaken(before, t)
	sh := b.fleet.byID(t.Shipment)
	if sh == nil || sh.number == 0 { // or home was rolled back to when it was open: no list is sure to be what was committed
		b.acks[t.Shipment] = after
		return nil
	}
	if n := sh.records(); n != uint64(t.Records) {
		b.rep.Warn("receipt of shipment %s cannot be read: it counts %d records, home packed %d", sh.id.Short(), t.Records, n)
		return nil
	}
	base := uint32(0)
	for _, ref := range sh.files {
		first := base
		base += ref.Records
		list, err := b.site.readList(sh, ref.Name)
		if err == nil && len(list.ids) != int(ref.Records) {
			err = fmt.Errorf("%s names %d chunks, the commit %d", ref.Name, len(list.ids), ref.Records)
		}
		if err != nil {
			b.rep.Warn("a chunk list is damaged, its chunks are carried again: %v", err)
			b.torn = true
			continue
		}
		var held, back []chunk.ID
		for i, id := range list.ids {
			now := t.Arrived(first + uint32(i))
			was := seen && before.Arrived(first+uint32(i))
			switch {
			case now && !was:
				held = append(held, id)
			case !now && !seen:
				back = append(back, id)
			}
		}
		if !b.horizon.believes(r) {
			back, held = append(back, held...), nil
		}
		if err := errors.Join(b.ledger.MarkHeld(r.Number, held), b.ledger.DropAboard(sh.ord, back)); err != nil {
			return err
		}
	}
	b.acks[t.Shipment] = after
	return nil
}

// mergeTaken is all that two receipts acknowledge of one shipment.
func mergeTaken(a *courier.Taken, b *courier.Taken) *courier.Taken {
	out := &courier.Taken{Number: b.Number, Shipment: b.Shipment, Records: b.Records, All: b.All}
	if a != nil && a.All {
		out.All = true
	}
	if out.All {
		return out
	}
	out.Bits = slices.Clone(b.Bits)
	if a != nil && len(a.Bits) == len(out.Bits) {
		for i := range out.Bits {
			out.Bits[i] |= a.Bits[i]
		}
	}
	for i := range out.Records {
		if !out.Arrived(i) {
			return out
		}
	}
	out.All, out.Bits = true, nil
	return out
}
