package vault

import (
	"path/filepath"

	"waterlock/internal/courier"
	"waterlock/internal/disk"
	"waterlock/internal/exit"
	"waterlock/internal/report"
)

// ExportedReceipt is the newest own receipt of a vault.
type ExportedReceipt struct {
	Route   string // name
	Receipt *courier.Receipt
	Bytes   []byte // verbatim
	Damaged bool   // a newer one is damaged, and was named
	// Inventory is the file in the vault of the inventory that goes with it; "" if none does.
	Inventory string
}

// ExportReceipt reads the newest receipt of the vault at path, as it lies on the vault's own disk, so that it can travel by
// itself. Receipts are write-once files, so nothing is locked: it may be done while somebody unpacks.
func ExportReceipt(path string, rep report.Reporter) (e ExportedReceipt, err error) {
	path, err = filepath.Abs(path)
	if err != nil {
		return e, err
	}
	root, err := disk.Dir(path)
	if err != nil {
		return e, exit.With(exit.NotFound, err)
	}
	defer root.Close()
	s, err := readSettings(root, path)
	if err != nil {
		return e, err
	}
	e.Route = s.RouteName
	problems := &problemCounter{Reporter: rep}
	if e.Receipt, _, err = newestReceipt(root, s.id, problems); err != nil {
		return e, err
	}
	e.Damaged = problems.n.Load() > 0
	if e.Receipt == nil {
		return e, exit.Errorf(exit.NotFound, "%s has no receipt that is whole yet: wl unpack writes one", report.Name(path))
	}
	if r := e.Receipt; !r.Inventory.IsZero() {
		e.Inventory = filepath.Join(path, filepath.FromSlash(receiptsDir), courier.InventoryName(r.Number, r.Inventory.Digest))
	}
	e.Bytes, err = courier.EncodeReceipt(e.Receipt)
	return e, err
}
