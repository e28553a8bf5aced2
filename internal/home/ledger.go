package home

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"waterlock/index"
	"waterlock/internal/chunk"
	"waterlock/internal/courier"
	"waterlock/internal/report"
)

const (
	metaFolded    = "folded"
	foldedContext = "waterlock 2026-11 ledger folded from"
)

// books is the ledger together with what it was made of. The ledger is a fold over write-once files: chunk lists and
// receipts, in the order in which they came. Each list says which receipt was the newest when it was written, so the
// order is known again when the ledger is rebuilt, and rebuilding gives what updating gave.
type books struct {
	site    *site
	fleet   *fleet
	rep     report.Reporter
	ledger  *index.Ledger
	receipt *courier.Receipt                      // the newest
	acks    map[courier.ShipmentID]*courier.Taken // all that was acknowledged in the present epoch
	torn    bool                                  // a receipt speaks of a pack whose chunk list is damaged
	earlier map[courier.ShipmentID]bool           // acknowledged in full, in an epoch that is over
	times   map[uint64]time.Time                  // of all receipts at home, by number
	horizon horizon
}

// openBooks opens the ledger and rebuilds it if it is fresh or was not folded from exactly the files that are here.
func (s *site) openBooks(f *fleet, rep report.Reporter) (*books, error) {
	b := &books{site: s, fleet: f, rep: rep, times: map[uint64]time.Time{}}
	l, fresh, err := index.OpenLedger(s.index)
	if err != nil {
		return nil, err
	}
	b.ledger = l
	if err = b.lookBack(report.Discard); err == nil && !fresh {
		fresh, err = b.foreign()
	}
	if err == nil && fresh {
		err = b.refold()
	} else if err == nil {
		err = b.readAcks()
	}
	if err != nil {
		return nil, errors.Join(err, b.ledger.Close())
	}
	return b, nil
}

// close writes down what the ledger was folded from and closes it. After a failed run the note stays as it was: it
// then fits only if the files are as they were.
func (b *books) close(good bool) error {
	var err error
	if good {
		var print []byte
		if print, err = b.fingerprint(); err == nil {
			err = b.ledger.SetMeta(metaFolded, print)
		}
	}
	return errors.Join(err, b.ledger.Close())
}

// foreign tells whether the ledger was folded from other files than those that are here.
func (b *books) foreign() (bool, error) {
	noted, err := b.ledger.Meta(metaFolded)
	if err != nil {
		return false, err
	}
	here, err := b.fingerprint()
	return !bytes.Equal(noted, here), err
}

// fingerprint names all files that the ledger is folded from. They are write-once, so names suffice.
func (b *books) fingerprint() ([]byte, error) {
	receipts, err := b.site.localReceipts()
	if err != nil {
		return nil, err
	}
	var names bytes.Buffer
	for _, r := range receipts {
		names.WriteString(r + "\n")
	}
	fmt.Fprintf(&names, "%s\nbelieved from %d\n", b.horizon.inventory, b.horizon.anew)
	for _, sh := range b.fleet.all {
		if sh.unusable {
			continue
		}
		for _, p := range sh.packs {
			names.WriteString(sh.dir + "/" + p + "\n")
		}
		for _, p := range sh.packs {
			if sh.gone[p] {
				names.WriteString(sh.dir + "/" + p + " gone\n")
			}
		}
		if sh.missing || sh.lost {
			names.WriteString(sh.dir + " gone\n")
		}
	}
	sum := chunk.Checksum(foldedContext, names.Bytes())
	return sum[:], nil
}

// readAcks reads from the receipts what was acknowledged; the ledger knows the rest already.
func (b *books) readAcks() error {
	b.acks, b.earlier = map[courier.ShipmentID]*courier.Taken{}, map[courier.ShipmentID]bool{}
	return b.site.eachReceipt(b.rep, func(r *courier.Receipt) error {
		b.enter(r)
		for i := range r.Taken {
			t := &r.Taken[i]
			b.acks[t.Shipment] = mergeTaken(b.acks[t.Shipment], t)
		}
		b.receipt = r
		return nil
	})
}

// enter notes the time of a receipt, and forgets what an earlier epoch acknowledged.
func (b *books) enter(r *courier.Receipt) {
	b.times[r.Number] = r.Time
	if b.receipt == nil || b.receipt.Epoch == r.Epoch {
		return
	}
	for id, t := range b.acks {
		if t.All {
			b.earlier[id] = true
		}
	}
	clear(b.acks)
}

// refold makes the ledger anew from chunk lists and receipts.
func (b *books) refold() error {
	b.rep.Verbose("folding the ledger from chunk lists and receipts")
	if err := b.lookBack(report.Discard); err != nil {
		return err
	}
	if err := b.soundInventory(); err != nil {
		return err
	}
	if err := b.ledger.Close(); err != nil {
		b.rep.Verbose("the old ledger does not close: %v", err)
	}
	if err := os.RemoveAll(b.site.index); err != nil {
		return err
	}
	l, _, err := index.OpenLedger(b.site.index)
	if err != nil {
		return err
	}
	b.ledger, b.receipt = l, nil
	b.acks, b.earlier = map[courier.ShipmentID]*courier.Taken{}, map[courier.ShipmentID]bool{}

	lists, err := b.listOrder()
	if err != nil {
		return err
	}
	err = b.site.eachReceipt(b.rep, func(r *courier.Receipt) error {
		if lists, err = b.addLists(lists, r.Number); err != nil {
			return err
		}
		b.enter(r)
		return b.apply(r)
	})
	if err != nil {
		return err
	}
	if _, err = b.addLists(lists, ^uint64(0)); err != nil {
		return err
	}
	return b.dropGone()
}

// dropGone takes back what packs carried that are no longer on their drive. They went after their shipment was closed,
// so after all lists of it.
func (b *books) dropGone() error {
	for _, sh := range b.fleet.all {
		for _, name := range sh.packs {
			if !sh.gone[name] || sh.unusable || sh.missing || sh.lost {
				continue
			}
			if err := b.dropPack(sh, name); err != nil {
				return err
			}
		}
	}
	return nil
}

type listRef struct {
	sh    *shipment
	name  string
	basis uint64
}

// listOrder is the order in which the chunk lists of data packs came, seen from the receipts. Stream chunks count only
// once they are held, so lists of meta packs are left out.
func (b *books) listOrder() ([]listRef, error) {
	var refs []listRef
	for _, sh := range b.fleet.all {
		if sh.unusable || sh.missing || sh.lost {
			continue
		}
		for _, name := range sh.packs {
			if packKind(name) != chunk.Data {
				continue
			}
			list, err := b.site.readList(sh, name)
			if err != nil {
				b.rep.Warn("a chunk list is damaged, its chunks are carried again: %v", err)
				continue
			}
			refs = append(refs, listRef{sh, name, list.basis.Receipt})
		}
	}
	slices.SortStableFunc(refs, func(x, y listRef) int { return cmp.Compare(x.basis, y.basis) })
	return refs, nil
}

// addLists adds the lists that were written before the receipt of this number came, and returns the others.
func (b *books) addLists(refs []listRef, before uint64) ([]listRef, error) {
	for len(refs) > 0 && refs[0].basis < before {
		list, err := b.site.readList(refs[0].sh, refs[0].name)
		if err != nil {
			return nil, err
		}
		if err := b.ledger.AddAboard(refs[0].sh.ord, list.ids); err != nil {
			return nil, err
		}
		refs = refs[1:]
	}
	return refs, nil
}

// basis is the newest receipt that home knows.
func (b *books) basis() courier.Basis {
	if b.receipt == nil {
		return courier.Basis{}
	}
	return courier.Basis{Epoch: b.receipt.Epoch, Receipt: b.receipt.Number}
}

// basisDigest is the digest of that receipt's file.
func (b *books) basisDigest() (d chunk.Digest, err error) {
	if b.receipt == nil {
		return d, nil
	}
	data, err := courier.EncodeReceipt(b.receipt) // there is one encoding
	if err != nil {
		return d, err
	}
	return chunk.SumDigest(data), nil
}

// ackedInFull tells whether the vault has acknowledged every record of a shipment.
func (b *books) ackedInFull(id courier.ShipmentID) bool {
	t := b.acks[id]
	return t != nil && t.All
}

// arrivedOnce tells the same of any epoch: such a shipment is not under way, whether the vault still has it or not.
func (b *books) arrivedOnce(id courier.ShipmentID) bool { return b.ackedInFull(id) || b.earlier[id] }

// dropShipment takes back all that a shipment carries: it is not where it should be.
func (b *books) dropShipment(sh *shipment) error {
	for _, name := range sh.packs {
		if err := b.dropPack(sh, name); err != nil {
			return err
		}
	}
	return nil
}

// dropPack takes back what one pack carries. A damaged list was not folded in, or its shipment no longer counts.
func (b *books) dropPack(sh *shipment, name string) error {
	if packKind(name) != chunk.Data {
		return nil
	}
	list, err := b.site.readList(sh, name)
	if err != nil {
		b.rep.Warn("a chunk list is damaged, its chunks are carried again: %v", err)
		return b.ledger.Redraw()
	}
	return b.ledger.DropAboard(sh.ord, list.ids)
}
