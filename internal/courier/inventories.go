package courier

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"

	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/internal/wire"
)

// KeepInventory writes an inventory into a directory of an own disk, durably,
// under the name that InventoryName gives it. list calls its argument for each
// ID in ascending order. After a crash the inventory is whole or not there; an
// unfinished one may be left, and is written over by the next for that receipt.
//
//	unlink(<receipt>.inventory.tmp)       only if a crash left one
//	open(<receipt>.inventory.tmp, O_EXCL), write, fsync
//	fadvise(DONTNEED), read, check, close
//	rename(<receipt>.inventory.tmp, <receipt>-<digest>.inventory)
//	open(dir), fsync, close
func KeepInventory(fsys disk.FS, dir string, h InventoryHead, list func(add func(chunk.ID) error) error) (InventoryRef, error) {
	tmp := dir + "/" + strconv.FormatUint(h.Receipt, 10) + inventorySuffix + disk.TempSuffix
	if err := fsys.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return InventoryRef{}, err
	}
	var ref InventoryRef
	_, err := writeInventory(fsys, tmp, func(w io.Writer) (_ InventoryRef, err error) {
		in, err := NewInventoryWriter(w, h)
		if err == nil {
			err = list(in.Add)
		}
		if err == nil {
			ref, err = in.Close()
		}
		return ref, err
	})
	if err != nil {
		return InventoryRef{}, err
	}
	if err := fsys.Rename(tmp, dir+"/"+InventoryName(h.Receipt, ref.Digest)); err != nil {
		return InventoryRef{}, err
	}
	return ref, fsys.SyncDir(dir)
}

// writeInventory writes a file, syncs and reads it back. After an error it is
// not there.
func writeInventory(fsys disk.FS, name string, fill func(io.Writer) (InventoryRef, error)) (c disk.Coldness, err error) {
	f, err := fsys.Create(name, 0o644)
	if err != nil {
		return 0, err
	}
	ref, err := fill(onlyWriter{f})
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		c, err = readBackInventory(fsys, name, ref)
	}
	if err != nil {
		_ = fsys.Remove(name) // what is left of it is not believed: its name or its digest is wrong
	}
	return c, err
}

// readBackInventory compares the digest of a file, read past the cache.
func readBackInventory(fsys disk.FS, name string, ref InventoryRef) (disk.Coldness, error) {
	digest := chunk.NewDigester()
	c, err := disk.ReadBack(fsys, name, func(f disk.File) error {
		_, err := io.CopyBuffer(digest, onlyReader{f}, make([]byte, 1<<20))
		return err
	})
	if err == nil && digest.Sum() != ref.Digest {
		err = fmt.Errorf("%s: %w", name, disk.ErrReadBack)
	}
	return c, err
}

type onlyWriter struct{ io.Writer }
type onlyReader struct{ io.Reader }

// WriteInventory copies onto the drive the inventory that goes with a receipt,
// verified. It comes before the receipt (see WriteReceipt), so that none ever
// names an inventory that is not there:
//
//	open(<receipt>-<digest>.inventory, O_EXCL), write, fsync
//	fadvise(DONTNEED), read, compare, close
//	open(dir), fsync, close
//
// Where there is no room for it, inventories of earlier receipts go first.
func (d *Drive) WriteInventory(r *Receipt, src io.ReadSeeker) (disk.Coldness, error) {
	dir := receiptsOf(r.Route)
	if err := disk.MkdirAll(d.fs, dir, dirPerm); err != nil {
		return 0, err
	}
	name := dir + "/" + InventoryName(r.Number, r.Inventory.Digest)
	if err := d.fs.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) { // of a run that did not come to its end
		return 0, err
	}
	write := func() (disk.Coldness, error) {
		if _, err := src.Seek(0, io.SeekStart); err != nil {
			return 0, err
		}
		return writeInventory(d.fs, name, func(w io.Writer) (InventoryRef, error) {
			return r.Inventory, CheckInventory(io.TeeReader(src, w), r, nil)
		})
	}
	c, err := write()
	if disk.IsNoSpace(err) && d.removeInventories(r.Route, func(n uint64, _ string) bool { return n < r.Number }) == nil {
		c, err = write()
	}
	if err != nil {
		return 0, err
	}
	if err := d.fs.SyncDir(dir); err != nil {
		_ = d.fs.Remove(name)
		return 0, err
	}
	return c, nil
}

// OpenInventory opens the inventory that a receipt names; fs.ErrNotExist where
// it is not on the drive. Its reader checks it: see CheckInventory.
func (d *Drive) OpenInventory(r *Receipt) (disk.File, error) {
	f, err := d.fs.Open(receiptsOf(r.Route) + "/" + InventoryName(r.Number, r.Inventory.Digest))
	if err != nil {
		return nil, err
	}
	if _, err := f.Evict(); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// removeInventories removes those of a route that are superfluous.
func (d *Drive) removeInventories(route wire.RouteID, superfluous func(receipt uint64, name string) bool) error {
	return RemoveInventories(d.fs, receiptsOf(route), superfluous)
}

// RemoveInventories removes the inventories in a directory, unfinished ones
// included, that are superfluous; receipt is the number in their name.
func RemoveInventories(fsys disk.FS, dir string, superfluous func(receipt uint64, name string) bool) error {
	names, err := fsys.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	removed := false
	for i := range names.Len() {
		name := names.At(i)
		n := inventoryNumber(name)
		if n == 0 || !superfluous(n, name) {
			continue
		}
		if err := fsys.Remove(dir + "/" + name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		removed = true
	}
	if !removed {
		return nil
	}
	return fsys.SyncDir(dir)
}

// inventoryNumber returns the number of the receipt in an inventory's name, 0
// if it is none. One that was never finished counts.
func inventoryNumber(name string) uint64 {
	m := inventoryPattern.FindStringSubmatch(name)
	if m == nil {
		return 0
	}
	n, err := strconv.ParseUint(cmp.Or(m[1], m[2]), 10, 64)
	if err != nil {
		return 0
	}
	return n
}
