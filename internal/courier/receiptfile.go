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
