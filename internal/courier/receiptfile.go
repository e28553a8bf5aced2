package courier

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"waterlock/internal/disk"
	"waterlock/internal/exit"
)

// A receipt may travel by itself, by mail or over the network: a file of any name that holds, verbatim, what lies on a drive
// under receipts/. Its seal says all there is to check.

// WriteReceiptFile writes a receipt that EncodeReceipt made into a file of its own, durable and read back. A receipt that lies
// there makes room for it; any other file is left alone (fs.ErrExist).
func WriteReceiptFile(fsys disk.FS, name string, b []byte) error {
	old, err := disk.ReadAll(fsys, name, MaxReceipt)
	if err == nil {
		_, err = DecodeReceipt(old)
	}
	switch {
	case err == nil:
		_, err = put(fsys, name, b)
	case errors.Is(err, fs.ErrNotExist):
		_, err = disk.PutFinal(fsys, name, b)
	default:
		err = fmt.Errorf("what lies there is no receipt, and stays: %w", fs.ErrExist)
	}
	return err
}

// WriteInventoryFile writes the inventory that goes with a receipt into a file of its own beside it, before it. An inventory
// that lies there makes room for it; any other file is left alone (fs.ErrExist).
func WriteInventoryFile(fsys disk.FS, name string, r *Receipt, src io.Reader) error {
	old, err := fsys.Open(name)
	if err == nil {
		_, err = NewInventoryReader(old)
		old.Close() // was only read
		if err != nil {
			return fmt.Errorf("what lies at %s is no inventory, and stays: %w", name, fs.ErrExist)
		}
		if err := fsys.Remove(name); err != nil {
			return err
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	_, err = writeInventory(fsys, name, func(w io.Writer) (InventoryRef, error) {
		return r.Inventory, CheckInventory(io.TeeReader(src, w), r, nil)
	})
	if err != nil {
		return err
	}
	return fsys.SyncDir(".")
}

// ReadReceiptFile reads a receipt that came by itself, and gives its bytes as they are. One that fails its check is an
// ErrReceipt with the exit code of damage.
func ReadReceiptFile(r io.Reader) (b []byte, rc *Receipt, err error) {
	if b, err = io.ReadAll(io.LimitReader(r, MaxReceipt+1)); err != nil {
		return nil, nil, err
	}
	if rc, err = DecodeReceipt(b); err != nil {
		return nil, nil, exit.With(exit.Corrupt, err)
	}
	return b, rc, nil
}
