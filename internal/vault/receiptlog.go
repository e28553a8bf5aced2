package vault

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"waterlock/internal/chunk"
	"waterlock/internal/courier"
	"waterlock/internal/disk"
	"waterlock/internal/report"
	"waterlock/internal/wire"
)

// The vault's own receipts are its memory of what it told home: epoch, number, the bits of shipments whose drives are
// long gone, and what it asked for. The newest alone suffices; a few older ones are kept against a damaged sector, and those
// that are to be known again in a commit's basis.

const keptReceipts = 8

var receiptFile = regexp.MustCompile(`^([1-9][0-9]{0,19})-[0-9a-f]{1,64}\.receipt$`)

// ownReceipt is one receipt file of the vault.
type ownReceipt struct {
	number uint64
	name   string
}

// listReceipts returns the vault's own receipts, newest first, by name alone.
func listReceipts(root disk.FS) ([]ownReceipt, error) {
	names, err := root.ReadDir(receiptsDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []ownReceipt
	for i := range names.Len() {
		m := receiptFile.FindStringSubmatch(names.At(i))
		if m == nil {
			continue
		}
		number, err := strconv.ParseUint(m[1], 10, 64)
		if err != nil {
			continue
		}
		list = append(list, ownReceipt{number, receiptsDir + "/" + names.At(i)})
	}
	slices.SortFunc(list, func(a, b ownReceipt) int { return cmp.Compare(b.number, a.number) })
	return list, nil
}

// newestReceipt reads the newest receipt that is whole; nil if there is none. Damaged ones are named, and highest is the
// highest number seen, damaged or not, so that no number is ever given twice.
func newestReceipt(root disk.FS, route wire.RouteID, rep report.Reporter) (newest *courier.Receipt, highest uint64, err error) {
	list, err := listReceipts(root)
	if err != nil {
		return nil, 0, err
	}
	for _, own := range list {
		highest = max(highest, own.number)
		b, err := disk.ReadAll(root, own.name, courier.MaxReceipt)
		if err == nil {
			newest, err = courier.DecodeReceipt(b)
		}
		if err == nil && newest.Route != route {
			err = fmt.Errorf("%w: receipt of route %s", wire.ErrRoute, newest.Route)
		}
		if err != nil {
			rep.Problem(own.name, err)
			newest = nil
			continue
		}
		return newest, highest, nil
	}
	return nil, highest, nil
}

// putReceipt makes a receipt durable on our own disk and drops the oldest ones. It returns the encoded receipt, for the
// drive.
func putReceipt(root disk.FS, r *courier.Receipt) ([]byte, error) {
	b, err := courier.EncodeReceipt(r)
	if err != nil {
		return nil, err
	}
	if err := disk.MkdirAll(root, receiptsDir, 0o755); err != nil {
		return nil, err
	}
	if err := disk.Put(root, receiptsDir+"/"+courier.ReceiptName(r.Number, b), b); err != nil {
		return nil, err
	}
	list, err := listReceipts(root)
	if err != nil {
		return nil, err
	}
	waits := r.Number // the first receipt that condemned what waits still: who shows one of these has read of it
	for _, c := range r.Condemned {
		waits = min(waits, c.Since)
	}
	for _, old := range list[min(keptReceipts, len(list)):] {
		if old.number >= waits {
			continue
		}
		if err := root.Remove(old.name); err != nil {
			return nil, err
		}
	}
	return b, nil
}

const receiptSuffix = ".receipt"

// gave tells whether this vault gave a receipt of that number and digest. known is false where it cannot tell: it keeps
// none of that number any more.
func gave(list []ownReceipt, number uint64, digest chunk.Digest) (gave, known bool) {
	for _, own := range list {
		if own.number == number {
			known = true
			gave = gave || strings.HasSuffix(own.name, "-"+digest.String()+receiptSuffix)
		}
	}
	return gave, known
}

// givenByAnother is the number of a receipt of our newest's epoch that home has read, and that is not the one that we gave
// that number; 0: there is none. It is of a time that this vault was set back from.
func (u *unpacking) givenByAnother(newest *courier.Receipt, onDrive []courier.FoundReceipt) (uint64, error) {
	list, err := listReceipts(u.v.root)
	if err != nil || newest == nil {
		return 0, err
	}
	another := func(epoch courier.Epoch, number uint64, digest chunk.Digest) bool {
		ours, known := gave(list, number, digest)
		return epoch == newest.Epoch && !digest.IsZero() && known && !ours
	}
	for _, found := range onDrive {
		if r := found.Receipt; another(r.Epoch, r.Number, chunk.SumDigest(found.Bytes)) {
			return r.Number, nil
		}
	}
	for _, s := range u.shipments {
		if c := s.commit; another(c.Basis.Epoch, c.Basis.Receipt, c.BasisDigest) {
			return c.Basis.Receipt, nil
		}
	}
	return 0, nil
}
