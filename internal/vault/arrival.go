package vault

import (
	"context"
	"errors"
	"strconv"

	"waterlock/index"
	"waterlock/internal/chunk"
	"waterlock/internal/courier"
	"waterlock/snapshot"
)

// arrival says how far one snapshot has come.
type arrival struct {
	arrived bool  // every chunk it names is here
	lacking int64 // chunks it names that are not
	wanted  int64 // of these, what nothing under way brings
	streams int64 // of these, stream chunks: entries that cannot be listed
}

// arrivals says it for all snapshots known, and what the vault lacks in all.
type arrivals struct {
	by      map[string]arrival // by file of the commit
	newest  uint64             // newest snapshot that has arrived
	awaited uint64             // chunks lacking that a shipment still out may bring
	needs   needs              // who needs what is wanted
	out     outstanding        // shipments still under way
}

func (a *arrivals) of(c *courier.Commit) arrival { return a.by[commitFileName(c)] }

// checkArrivals looks up what the snapshots name. A stream chunk whose every chunk was found is not looked at again, nor a
// snapshot that has arrived, unless a chunk was lost since. What is lacking becomes a want, or is awaited from a shipment
// still out; lost tells of chunks that a damaged record was to bring.
func (v *vault) checkArrivals(ctx context.Context, lost func(chunk.ID) bool) (*arrivals, error) {
	vanished, err := v.settleWants()
	if err != nil {
		return nil, err
	}
	if vanished {
		if err := v.cat.ForgetChecks(); err != nil {
			return nil, err
		}
	}
	out, err := v.outstanding()
	if err != nil {
		return nil, err
	}
	if lost == nil {
		lost = func(chunk.ID) bool { return false }
	}
	all := &arrivals{by: map[string]arrival{}, needs: needs{}, out: out}
	check := &arrivalCheck{v: v, all: all, out: out, lost: lost, rows: v.cat.Batch(), awaited: map[chunk.ID]struct{}{}}
	for _, k := range v.commits.known {
		if err := check.snapshot(ctx, k); err != nil {
			return nil, err
		}
	}
	if err := check.flush(); err != nil {
		return nil, err
	}
	lacks := map[uint64]bool{} // numbers; home means one snapshot by each, and this cannot tell which
	for _, k := range v.commits.known {
		lacks[k.number] = lacks[k.number] || !all.by[k.file].arrived
	}
	for number, lacks := range lacks {
		if !lacks {
			all.newest = max(all.newest, number)
		}
	}
	return all, nil
}

type arrivalCheck struct {
	v       *vault
	all     *arrivals
	out     outstanding
	lost    func(chunk.ID) bool
	rows    *index.Batch
	n       int                   // rows in it
	awaited map[chunk.ID]struct{} // counted already
	buf     []byte
}

func (c *arrivalCheck) flush() error {
	if c.n == 0 {
		return nil
	}
	err := c.rows.Commit()
	c.rows, c.n = c.v.cat.Batch(), 0
	return err
}

func (c *arrivalCheck) snapshot(ctx context.Context, k knownSnapshot) error {
	// What is noted is noted of a number: where two snapshots have it (home was set back), each is looked at each time.
	shared := c.v.commits.shared(k.number)
	arrived, err := c.v.cat.Arrived(k.number)
	if err != nil {
		return err
	}
	arrived = arrived && !shared
	var a arrival
	if !arrived {
		commit, err := c.v.commits.load(k)
		if err != nil {
			return err
		}
		for _, tree := range commit.Snapshot.Trees {
			for _, ref := range tree.Chunks {
				if err := ctx.Err(); err != nil {
					return err
				}
				if err := c.streamChunk(tree.Name, ref, k.number, &a); err != nil {
					return err
				}
			}
		}
		if a.lacking == 0 && !shared {
			c.rows.PutArrived(k.number)
			c.n++
		}
	}
	a.arrived = a.lacking == 0
	c.all.by[k.file] = a
	return c.flush()
}

// streamChunk looks up every chunk that one stream chunk names.
func (c *arrivalCheck) streamChunk(tree string, ref snapshot.StreamRef, number uint64, a *arrival) error {
	checked, err := c.v.cat.Checked(ref.ID)
	if err != nil || checked {
		return err
	}
	has, err := c.v.store.Has(ref.ID)
	if err != nil {
		return err
	}
	var plain []byte
	if has {
		plain, err = c.v.store.Get(ref.ID, chunk.Stream, int64(ref.Length), c.buf)
	}
	if !has || err != nil {
		a.streams++
		return c.lack(ref.ID, chunk.Stream, need{number, snapshot.Join(tree, ref.FirstPath)}, a)
	}
	c.buf = plain[:0]
	before := a.lacking
	err = snapshot.StreamChunkPaths(plain, ref, func(path string, x snapshot.Extent, _ bool) error {
		has, err := c.v.store.Has(x.ID)
		if err != nil {
			return lookupError{err}
		}
		if has {
			return nil
		}
		return c.lack(x.ID, chunk.Data, need{number, snapshot.Join(tree, path)}, a)
	})
	var lookup lookupError
	if errors.As(err, &lookup) {
		return lookup.error
	}
	if err != nil {
		// Home wrote it so: asking for it again would bring the same, and the snapshot never arrives.
		c.v.rep.Problem("snapshot "+strconv.FormatUint(number, 10), err)
		a.streams++
		a.lacking++
		return nil
	}
	if a.lacking > before {
		return nil
	}
	c.rows.PutChecked(ref.ID)
	c.n++
	if c.n >= 4096 {
		return c.flush()
	}
	return nil
}

// lookupError tells a failing catalog from a stream chunk that makes no sense.
type lookupError struct{ error }

// lack counts one chunk that is named and not here.
func (c *arrivalCheck) lack(id chunk.ID, kind chunk.Kind, by need, a *arrival) error {
	a.lacking++
	_, wanted, err := c.v.cat.Want(id)
	if err != nil {
		return err
	}
	if c.out.awaits(by.snapshot) && !wanted && !c.lost(id) {
		c.await(id)
		return nil
	}
	a.wanted++
	c.all.needs.add(id, by)
	c.rows.PutWant(id, index.Want{Snapshot: by.snapshot, Kind: kind})
	c.n++
	if c.n >= 4096 {
		return c.flush()
	}
	return nil
}

// maxCounted bounds the memory of what was counted: beyond, a chunk that two snapshots name may count twice.
const maxCounted = 1 << 18

func (c *arrivalCheck) await(id chunk.ID) {
	if _, counted := c.awaited[id]; counted {
		return
	}
	c.all.awaited++
	if len(c.awaited) < maxCounted {
		c.awaited[id] = struct{}{}
	}
}
