package home

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strconv"

	"waterlock/internal/courier"
	"waterlock/internal/disk"
)

// Home counts on receipts because each tells what changed since the one before. Three things break that:
//
//	the vault began another epoch       it was rolled back, or made anew on other disks
//	home was rolled back                what it was told by the receipts that it forgot, it may have acted upon: chunks that were
//	                                    condemned then may be deleted by now
//	home's state is gone                wl init --join
//
// In each of them nothing that was said before counts as held, until an inventory of the vault has come: home joins anew. Of
// the first the receipts themselves tell. Of the others there is an empty write-once file beside the receipts,
// <receipt>-<snapshot>.anew: nothing below that receipt is believed, and snapshots up to that number were given by a home
// that this one does not remember.

const anewSuffix = ".anew"

var anewFile = regexp.MustCompile(`^([1-9][0-9]{0,19})-([0-9]{1,20})\.anew$`)

// horizon says what of the receipts is believed.
type horizon struct {
	epoch     courier.Epoch // of the newest receipt
	anew      uint64        // number of the first receipt that can be believed where home joined anew; 0: it did not
	heard     uint64        // snapshots up to this number were given by a home that this one does not remember
	told      uint64        // number of the newest receipt whose inventory is at home and believed; 0: none
	inventory string        // file of that inventory
	missed    uint64        // number of the newest receipt of the epoch whose inventory is not at home
	another   bool          // the epoch is not the first
}

// believes tells whether the bits of a receipt make chunks held. The bits of that at the horizon itself do not: they say of
// earlier shipments what was said before.
func (h *horizon) believes(r *courier.Receipt) bool {
	return r.Epoch == h.epoch && r.Number > max(h.anew, h.told)
}

// lacksInventory tells whether home needs an inventory before it can know what the vault has.
func (h *horizon) lacksInventory() bool { return h.told < max(h.anew, h.missed) }

// why says in words why an inventory is needed.
func (h *horizon) why() string {
	switch {
	case !h.lacksInventory():
		return ""
	case h.told < h.anew && h.heard > 0:
		return "home's memory was lost or rolled back"
	case h.told < h.anew && h.another:
		return "the vault was rolled back or made anew"
	}
	return "the inventory that the vault sent did not arrive whole"
}

// joinAnew makes home believe nothing that receipts below this number said: durable when it returns.
func (s *site) joinAnew(receipt, heard uint64) error {
	if err := disk.MkdirAll(s.state, dirReceipts, 0o700); err != nil {
		return err
	}
	err := disk.Put(s.state, fmt.Sprintf("%s/%d-%d%s", dirReceipts, receipt, heard, anewSuffix), nil)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// joinedAnew is what the files say of joining anew.
func (s *site) joinedAnew() (receipt, heard uint64, err error) {
	names, err := s.state.ReadDir(dirReceipts)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, err
	}
	for i := range names.Len() {
		m := anewFile.FindStringSubmatch(names.At(i))
		if m == nil {
			continue
		}
		r, rerr := strconv.ParseUint(m[1], 10, 64)
		h, herr := strconv.ParseUint(m[2], 10, 64)
		if rerr == nil && herr == nil {
			receipt, heard = max(receipt, r), max(heard, h)
		}
	}
	return receipt, heard, nil
}

// stranger tells whether a shipment that a snapshot of this number went with is one that home never closed, as far as it remembers.
func (b *books) stranger(id courier.ShipmentID, number uint64) bool {
	sh := b.fleet.byID(id)
	return number > b.horizon.heard && (sh == nil || sh.open())
}

// forgotten is the highest snapshot number by which the newest receipt tells that home was rolled back; 0: it does not.
func (b *books) forgotten() (found uint64) {
	if b.receipt == nil {
		return 0
	}
	for i := range b.receipt.Taken {
		if t := &b.receipt.Taken[i]; b.stranger(t.Shipment, t.Number) {
			found = max(found, t.Number)
		}
	}
	if b.receipt.HighestSnapshot > max(b.horizon.heard, b.fleet.newestNumber()) && !b.fleet.torn {
		found = max(found, b.receipt.HighestSnapshot)
	}
	return found
}

// noticeRollback looks for what only a later state of home can have made: a shipment of the receipt or the drive that this
// home never closed, or a snapshot number above its own. Then home joins anew.
func (r *run) noticeRollback() error {
	there, err := r.drive.Shipments(r.site.route)
	if err != nil {
		return err
	}
	h := &r.books.horizon
	found := r.books.forgotten()
	known := r.books.basis().Receipt // by this home, or by the one that it does not remember
	out := map[courier.ShipmentID]bool{}
	for i := range there {
		out[there[i].ID] = true
		if !there[i].Committed {
			continue
		}
		c := there[i].Commits[0].Commit
		if !r.books.stranger(there[i].ID, c.Snapshot.Number) {
			continue
		}
		found, known = max(found, c.Snapshot.Number), max(known, c.Basis.Receipt)
		for _, o := range c.Out {
			out[o.Shipment] = out[o.Shipment] || !o.Lost
		}
	}
	if found == 0 {
		return nil
	}
	own := r.fleet.newestNumber()
	r.rep.Warn("home was rolled back: snapshot %d was packed, and the newest that home remembers is %d. Chunks that it takes for held may be gone from the vault by now, so it counts on none until the vault's inventory has come; numbers go on above %d",
		found, own, found)
	if r.o.DryRun {
		h.anew, h.heard = known+1, found
		return nil
	}
	return r.startAnew(known, max(found, own), out)
}

// startAnew joins anew: first the word of it, durable, then the shipments of which nobody knows any more whether they are
// still out, then the ledger. known is the highest number of a receipt that home has read, as far as anything tells, and out are
// the shipments that may be out.
func (r *run) startAnew(known, heard uint64, out map[courier.ShipmentID]bool) error {
	lowest := ^uint64(0)
	taken := map[courier.ShipmentID]bool{}
	if rc := r.books.receipt; rc != nil {
		for i := range rc.Taken {
			taken[rc.Taken[i].Shipment] = true
			lowest = min(lowest, rc.Taken[i].Number)
		}
	}
	if err := r.site.joinAnew(known+1, heard); err != nil {
		return err
	}
	for _, sh := range r.fleet.all {
		// A receipt names every shipment taken from its lowest number on.
		if !sh.counts() || taken[sh.id] || out[sh.id] || sh.number >= lowest || r.books.ackedInFull(sh.id) {
			continue
		}
		r.rep.Verbose("shipment %s of snapshot %d may have arrived, or may not: it counts no longer", sh.id.Short(), sh.number)
		if err := r.site.mark(sh, fileMissing); err != nil {
			return err
		}
		sh.missing = true
	}
	return r.books.refold()
}
