package vault

import (
	"cmp"
	"context"
	"slices"
	"time"

	"waterlock/internal/chunk"
	"waterlock/internal/courier"
)

// Deleting without contact. Home counts on chunks that the vault acknowledged, and cannot be asked. So wl prune condemns first: our
// next receipt, number k, lists the chunks, and home stops counting on them when it reads it. What home packed before
// may still name them. A chunk that is condemned since receipt k is clear to go once a commit of basis k or later, of
// the present epoch, has come (home has read the receipt), and each shipment that this commit lists as out has come as
// well or is lost: they were packed before. What these and all other retained snapshots name is condemned no longer.
//
// The newest receipt on our own disk is the truth about what is condemned, and since when: it is write-once, and durable
// before anything is deleted. A chunk stays on the list until it is clear and gone, be it deleted earlier (--now),
// and as long as it is listed home does not count on it. Who leaves the list and is condemned again begins anew.

// condemned is the list of the newest own receipt.
type condemned struct {
	list    []courier.Condemned // by ID
	revived []bool              // of these, what is needed after all
	alive   int                 // how many of these
}

// newCondemned takes the list of a receipt, nil for none.
func newCondemned(r *courier.Receipt) *condemned {
	c := &condemned{}
	if r != nil {
		c.list = slices.SortedFunc(slices.Values(r.Condemned), func(a, b courier.Condemned) int { return a.ID.Compare(b.ID) })
	}
	c.revived = make([]bool, len(c.list))
	return c
}

func (c *condemned) find(id chunk.ID) (int, bool) {
	return slices.BinarySearchFunc(c.list, id, func(x courier.Condemned, id chunk.ID) int { return x.ID.Compare(id) })
}

// revive takes a chunk off the list: a retained snapshot names it, or it was carried again.
func (c *condemned) revive(id chunk.ID) {
	if i, found := c.find(id); found && !c.revived[i] {
		c.revived[i] = true
		c.alive++
	}
}

// reviveNamed takes off the list what the known snapshots name. unread are those of which that cannot be told.
func (c *condemned) reviveNamed(ctx context.Context, v *vault) (unread []uint64, err error) {
	if len(c.list) == 0 {
		return nil, nil
	}
	return v.eachNamed(ctx, v.commits.known, func(id chunk.ID) error {
		c.revive(id)
		return nil
	})
}

// mayGo tells whether a chunk is condemned and clear to go.
func (c *condemned) mayGo(id chunk.ID, clear uint64) bool {
	i, found := c.find(id)
	return found && !c.revived[i] && c.list[i].Since <= clear
}

// clearable counts the chunks that are clear to go.
func (c *condemned) clearable(clear uint64) (n int64) {
	for i, x := range c.list {
		if !c.revived[i] && x.Since <= clear {
			n++
		}
	}
	return n
}

// left is what the next receipt lists: all but what was revived, and what is clear and gone. anew, if not zero, is the
// number of that receipt where it begins a new epoch: home has been told nothing in it.
func (c *condemned) left(v *vault, clear, anew uint64) ([]courier.Condemned, error) {
	var list []courier.Condemned
	for i, x := range c.list {
		if c.revived[i] {
			continue
		}
		if x.Since <= clear {
			if has, err := v.store.Has(x.ID); err != nil {
				return nil, err
			} else if !has {
				continue
			}
		}
		x.Since = cmp.Or(anew, x.Since)
		list = append(list, x)
	}
	return list, nil
}

// clearance says what the commits that have come mean for condemned chunks.
type clearance struct {
	clear uint64 // what was condemned by this receipt of the epoch, or an earlier one, is clear to go; 0: nothing is
	known uint64 // the newest receipt of the epoch that home is known to have read
	// missing are shipments that are under way and that home packed no later than it read that receipt.
	missing []courier.OutShipment
}

func (v *vault) clearance(epoch courier.Epoch) (c clearance, err error) {
	all := slices.Concat(v.commits.known, v.commits.forgotten)
	slices.SortFunc(all, func(a, b knownSnapshot) int { return cmp.Compare(b.number, a.number) })
	here := v.commits.arrived()
	given, err := listReceipts(v.root)
	if err != nil {
		return c, err
	}
	for _, k := range all {
		commit, err := v.commits.load(k)
		if err != nil {
			v.rep.Problem(k.file, err)
			continue // it clears nothing
		}
		for _, out := range commit.Out {
			here[out.Shipment] = here[out.Shipment] || out.Lost // so it is for older commits, too
		}
		if ours, _ := gave(given, commit.Basis.Receipt, commit.BasisDigest); commit.Basis.Epoch != epoch || !ours {
			continue // it shows nothing, or a receipt of a time that this vault was set back from
		}
		missing := slices.DeleteFunc(commit.Out, func(out courier.OutShipment) bool { return here[out.Shipment] })
		if c.known == 0 {
			c.known, c.missing = commit.Basis.Receipt, missing
		}
		if len(missing) == 0 {
			c.clear = commit.Basis.Receipt
			return c, nil
		}
	}
	return c, nil
}

// Waits says what must come before condemned chunks are freed.
type Waits struct {
	Receipt uint64      // home is not known to have read this receipt, which condemns; 0: it has
	Drives  []WaitDrive // shipments that home packed before it did, and that are under way
}

// WaitDrive is one shipment under way.
type WaitDrive struct {
	Snapshot uint64
	Drive    string // label, else the beginning of its id
	Time     time.Time
}

// waitsOf says what the last of these chunks waits for.
func (c clearance) waitsOf(list []courier.Condemned) (w Waits) {
	last := uint64(0)
	for _, x := range list {
		last = max(last, x.Since)
	}
	if last <= c.clear {
		return w
	}
	if last > c.known {
		w.Receipt = last
	}
	for _, out := range c.missing {
		w.Drives = append(w.Drives, WaitDrive{out.Number, cmp.Or(out.DriveLabel, out.Drive.String()[:8]), out.Time})
	}
	return w
}
