package vault

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"waterlock/internal/chunk"
	"waterlock/internal/courier"
	"waterlock/internal/disk"
	"waterlock/internal/report"
)

// An inventory goes with a receipt where home asks for one in its newest commit, and where the vault offers one by
// itself: it has drawn a new epoch after an earlier one, or has adopted files. Each receipt brings another until a commit
// shows that home has read one.
//
// That the vault offers one is an empty write-once file beside its receipts, <number>.offer: the receipts from that
// number on are to bring an inventory.

const offerSuffix = ".offer"

// offerInventory makes sure that home gets an inventory with the next receipt: durable when it returns.
func offerInventory(root disk.FS) error {
	list, err := listReceipts(root)
	if err != nil {
		return err
	}
	next := uint64(1)
	if len(list) > 0 {
		next = list[0].number + 1
	}
	if err := disk.MkdirAll(root, receiptsDir, 0o755); err != nil {
		return err
	}
	err = disk.Put(root, receiptsDir+"/"+strconv.FormatUint(next, 10)+offerSuffix, nil)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// offers lists what the vault has offered: names of files, and the highest number among them, 0 if there is none.
func offers(root disk.FS) (names []string, highest uint64, err error) {
	all, err := root.ReadDir(receiptsDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	for i := range all.Len() {
		digits, ok := strings.CutSuffix(all.At(i), offerSuffix)
		n, err := strconv.ParseUint(digits, 10, 64)
		if !ok || err != nil || n == 0 {
			continue
		}
		names, highest = append(names, receiptsDir+"/"+all.At(i)), max(highest, n)
	}
	return names, highest, nil
}

// inventoryOwed tells whether the receipt is to bring an inventory. An offer that home has taken is forgotten.
func (u *unpacking) inventoryOwed() (bool, error) {
	if u.newest != nil && u.newest.Inventory {
		return true, nil
	}
	names, since, err := offers(u.v.root)
	if err != nil || since == 0 {
		return false, err
	}
	taken, err := u.offerTaken(since)
	if err != nil || !taken {
		return err == nil, err
	}
	for _, name := range names {
		if err := u.v.root.Remove(name); err != nil {
			return false, err
		}
	}
	return false, u.v.root.SyncDir(receiptsDir)
}

// offerTaken tells whether the newest commit was made by a home that has read an inventory of the present epoch, of a
// receipt from the number since on: it knew such a receipt, and asks for none.
func (u *unpacking) offerTaken(since uint64) (bool, error) {
	if u.newest == nil || u.newest.Basis.Epoch != u.own.epoch || u.newest.Basis.Receipt < since {
		return false, nil
	}
	list, err := listReceipts(u.v.root)
	if err != nil {
		return false, err
	}
	for _, own := range list {
		if own.number < since || own.number > u.newest.Basis.Receipt {
			continue
		}
		b, err := disk.ReadAll(u.v.root, own.name, courier.MaxReceipt)
		if err != nil {
			return false, err
		}
		r, err := courier.DecodeReceipt(b)
		if err == nil && r.Epoch == u.own.epoch && !r.Inventory.IsZero() {
			return true, nil
		}
	}
	return false, nil
}

// takeInventory lists all chunks of the vault, for the receipt that is about to be written, if home is to get such a list.
// It lies beside our own receipt first, for wl receipt export, then on the drive. Both come before the receipt:
//
//	KeepInventory, receipts/<number>-<digest>.inventory
//	WriteInventory onto the drive
//	the receipt, beside ours and then onto the drive: see writeReceipt
//	what earlier receipts brought goes
//
// Where there is no room for it the receipt goes without, and the next will have one.
func (u *unpacking) takeInventory(ctx context.Context, r *courier.Receipt) error {
	owed, err := u.inventoryOwed()
	if err != nil || !owed {
		return err
	}
	u.rep.Phase("listing all chunks for home", 0, 0)
	if r.Inventory, err = u.keepInventory(ctx, r); err != nil {
		if disk.IsNoSpace(err) {
			u.rep.Warn("the vault has no room for the inventory that home needs (33 bytes a chunk): the receipt goes without it, and the next will bring one: %v", err)
			return nil
		}
		return err
	}
	err = u.carryInventory(r)
	switch {
	case disk.IsNoSpace(err):
		u.rep.Warn("the drive has no room for the inventory that home needs: %s. The receipt goes without it, and the next will bring one.", report.Size(courier.InventorySize(r.Inventory.Count)))
		r.Inventory = courier.InventoryRef{}
	case err != nil:
		u.untold = err
	}
	return nil
}

func (u *unpacking) keepInventory(ctx context.Context, r *courier.Receipt) (courier.InventoryRef, error) {
	if err := disk.MkdirAll(u.v.root, receiptsDir, 0o755); err != nil {
		return courier.InventoryRef{}, err
	}
	return courier.KeepInventory(u.v.root, receiptsDir, courier.InventoryOf(r), func(add func(chunk.ID) error) error {
		return u.v.cat.Chunks(func(id chunk.ID) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			u.rep.Add(0, 1)
			return add(id)
		})
	})
}

// carryInventory copies onto the drive the inventory that lies beside our own receipt.
func (u *unpacking) carryInventory(r *courier.Receipt) error {
	f, err := u.v.root.Open(path.Join(receiptsDir, courier.InventoryName(r.Number, r.Inventory.Digest)))
	if err != nil {
		return err
	}
	defer f.Close() // was only read
	_, err = u.courier.WriteInventory(r, f)
	return err
}

// dropInventories removes from our own disk all inventories but that of the receipt just written.
func (u *unpacking) dropInventories(r *courier.Receipt) error {
	own := courier.InventoryName(r.Number, r.Inventory.Digest)
	return courier.RemoveInventories(u.v.root, receiptsDir, func(_ uint64, name string) bool { return name != own })
}
