package home

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"waterlock/internal/chunk"
	"waterlock/internal/courier"
	"waterlock/internal/disk"
	"waterlock/internal/report"
)

// An inventory makes held exactly what it lists: the receipts up to its own say nothing more than that. It is a file beside
// the receipts at home, and one of those that the ledger is folded from. The newest is enough, older ones are removed.

// inventorySource opens the inventory that goes with a receipt, wherever that came from; fs.ErrNotExist where it did not
// come with it.
type inventorySource func() (io.ReadCloser, error)

// onDrive is the source of what goes with a receipt on a drive.
func inventoryOn(d *courier.Drive, r *courier.Receipt) inventorySource {
	return func() (io.ReadCloser, error) { return d.OpenInventory(r) }
}

func inventoryFile(r *courier.Receipt) string {
	return dirReceipts + "/" + courier.InventoryName(r.Number, r.Inventory.Digest)
}

// keepInventory makes the inventory that goes with a receipt durable at home, before the receipt is: a receipt at home is
// believed at once. One that is missing or damaged is said to be, and the receipt counts without it.
func (s *site) keepInventory(r *courier.Receipt, open inventorySource, rep report.Reporter) (kept bool, err error) {
	if r.Inventory.IsZero() {
		return false, nil
	}
	if _, err := s.state.Stat(inventoryFile(r)); err == nil {
		return true, nil
	}
	src, err := open()
	if errors.Is(err, fs.ErrNotExist) {
		rep.Warn("the inventory that goes with receipt %d is missing: home asks the vault for another", r.Number)
		return false, nil
	}
	if err != nil {
		rep.Warn("the inventory that goes with receipt %d cannot be read, home asks the vault for another: %v", r.Number, err)
		return false, nil
	}
	defer src.Close() // was only read
	if err := disk.MkdirAll(s.state, dirReceipts, 0o700); err != nil {
		return false, err
	}
	rep.Phase("reading the vault's inventory", 0, int64(r.Inventory.Count))
	var bad error // of what was read, and not of our own disk
	_, err = courier.KeepInventory(s.state, dirReceipts, courier.InventoryOf(r), func(add func(chunk.ID) error) error {
		var own error
		err := courier.CheckInventory(src, r, func(ids []chunk.ID) error {
			for _, id := range ids {
				if own = add(id); own != nil {
					return own
				}
			}
			rep.Add(0, int64(len(ids)))
			return nil
		})
		if own == nil {
			bad = err
		}
		return err
	})
	switch {
	case bad != nil:
		rep.Warn("the inventory that goes with receipt %d is damaged, home asks the vault for another: %v", r.Number, bad)
		return false, nil
	case disk.IsNoSpace(err):
		rep.Warn("there is no room at home for the vault's inventory (%s): home asks for another", report.Size(courier.InventorySize(r.Inventory.Count)))
		return false, nil
	}
	return err == nil, err
}

// holdInventory makes held what the inventory of a receipt lists, one block at a time.
func (b *books) holdInventory(r *courier.Receipt) error {
	b.rep.Phase("folding the vault's inventory", 0, int64(r.Inventory.Count))
	var ids []chunk.ID
	return b.readInventory(r, func(block []chunk.ID) error {
		if ids = append(ids, block...); len(ids) < holdAtOnce {
			return nil
		}
		defer func() { ids = ids[:0] }()
		return b.hold(r, ids)
	}, func() error { return b.hold(r, ids) })
}

// holdAtOnce is how many chunks become held in one batch.
const holdAtOnce = 1 << 15

func (b *books) hold(r *courier.Receipt, ids []chunk.ID) error {
	b.rep.Add(0, int64(len(ids)))
	return b.ledger.MarkHeld(r.Number, ids)
}

// readInventory reads the inventory at home that goes with a receipt; end is called behind the last block.
func (b *books) readInventory(r *courier.Receipt, each func([]chunk.ID) error, end func() error) error {
	f, err := b.site.state.Open(inventoryFile(r))
	if err != nil {
		return err
	}
	defer f.Close() // was only read
	if err := courier.CheckInventory(f, r, each); err != nil {
		return err
	}
	return end()
}

// soundInventory checks the inventory that is to be folded before anything of it is. A damaged one is removed.
func (b *books) soundInventory() error {
	for b.horizon.inventory != "" {
		r, err := b.site.receiptOf(b.horizon.told)
		if err != nil {
			return err
		}
		err = b.readInventory(r, nil, func() error { return nil })
		if err == nil {
			return nil
		}
		if !errors.Is(err, courier.ErrInventory) {
			return err
		}
		b.rep.Warn("the vault's inventory at home is damaged, home asks for another: %v", err)
		if err := b.site.state.Remove(b.horizon.inventory); err != nil {
			return err
		}
		if err := b.site.state.SyncDir(dirReceipts); err != nil {
			return err
		}
		if err := b.lookBack(report.Discard); err != nil {
			return err
		}
	}
	return nil
}

// receiptOf reads the receipt of a number that is known to be at home and sound.
func (s *site) receiptOf(number uint64) (found *courier.Receipt, err error) {
	err = s.eachReceipt(report.Discard, func(r *courier.Receipt) error {
		if r.Number == number {
			found = r
		}
		return nil
	})
	if err == nil && found == nil {
		err = fmt.Errorf("receipt %d: %w", number, fs.ErrNotExist)
	}
	return found, err
}

// lookBack finds out what of the receipts at home is believed.
func (b *books) lookBack(rep report.Reporter) (err error) {
	h := horizon{}
	anew := uint64(0)
	if anew, h.heard, err = b.site.joinedAnew(); err != nil {
		return err
	}
	first := uint64(0) // receipt of the epoch, where it is not the first epoch
	err = b.site.eachReceipt(rep, func(r *courier.Receipt) error {
		if r.Epoch != h.epoch {
			h.another = h.epoch != courier.Epoch{}
			if first = 0; h.another {
				first = r.Number
			}
			h.epoch, h.told, h.inventory, h.missed = r.Epoch, 0, "", 0
		}
		if r.Inventory.IsZero() {
			return nil
		}
		switch _, err := b.site.state.Stat(inventoryFile(r)); {
		case err == nil:
			h.told, h.inventory = r.Number, inventoryFile(r)
		case errors.Is(err, fs.ErrNotExist):
			h.missed = r.Number
		default:
			return err
		}
		return nil
	})
	if err != nil {
		return err
	}
	if h.anew = max(anew, first); h.told < h.anew {
		h.told, h.inventory = 0, ""
	}
	b.horizon = h
	return nil
}

// dropInventories removes what no fold needs: all inventories but the one that is believed.
func (b *books) dropInventories() {
	err := courier.RemoveInventories(b.site.state, dirReceipts, func(_ uint64, name string) bool {
		return dirReceipts+"/"+name != b.horizon.inventory
	})
	if err != nil {
		b.rep.Verbose("%v", err)
	}
}
