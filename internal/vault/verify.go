package vault

import (
	"context"
	"slices"
	"time"

	"waterlock/chunkstore"
	"waterlock/index"
	"waterlock/internal/chunk"
	"waterlock/internal/courier"
	"waterlock/internal/disk"
	"waterlock/internal/report"
	"waterlock/snapshot"
)

// Verify reads a vault back: the paths of the mirror, every container or as many as were asked for, and the lists of all
// snapshots. What is damaged is repaired from another place in the vault; the rest becomes a want, which a receipt on our own
// disk remembers until the next drive takes it home.
func Verify(ctx context.Context, o VerifyOptions) (result VerifyResult, err error) {
	reading := chunkstore.ScrubOptions{Fraction: o.Fraction, Quick: o.Quick, Bytes: o.Bytes}
	if o.Time > 0 {
		reading.Until = time.Now().Add(o.Time)
	}
	v, err := openVault(o.Vault, o.Report)
	if err != nil {
		return result, err
	}
	defer v.closeInto(&err)
	if err := v.openStore(ctx); err != nil {
		return result, err
	}
	// First, since a path that somebody else changed is forgotten by the check.
	err = v.store.Strangers(ctx, func(tree, path string, st disk.Stat) {
		result.Strangers++
		v.rep.Verbose("%s was not written by wl and is left alone (%s, %s)", snapshot.Join(tree, path), st.Kind, report.Size(st.Size))
	})
	if err != nil {
		return result, interrupted(ctx, err)
	}
	mirror, err := v.store.CheckMirror(ctx)
	result.Missing, result.Foreign = mirror.Missing, mirror.Foreign
	if err != nil {
		return result, interrupted(ctx, err)
	}
	scrub, err := v.store.Scrub(ctx, reading)
	result.Containers, result.Chunks, result.Bytes, result.Left = scrub.Containers, scrub.Chunks, scrub.Bytes, scrub.Left
	result.Damaged, result.Repaired = scrub.Bad, scrub.Repaired
	if err != nil {
		return result, interrupted(ctx, err)
	}

	// Every stream chunk is read once more, and every chunk that it names looked up.
	if err := v.cat.ForgetChecks(); err != nil {
		return result, err
	}
	a, err := v.checkArrivals(ctx, nil)
	if err != nil {
		return result, interrupted(ctx, err)
	}
	for _, k := range v.commits.known {
		s := a.by[k.file]
		result.Snapshots++
		if s.streams > 0 {
			result.Unreadable++
		}
		if s.wanted > 0 {
			result.DamagedSnapshots = append(result.DamagedSnapshots, k.number)
		}
		result.Lacking = max(result.Lacking, s.lacking)
	}
	if scrub.BadRecords > 0 { // what they told of was compared with what is there, and looked up
		done, err := v.store.Restate(ctx)
		if err != nil {
			return result, interrupted(ctx, err)
		}
		result.Repaired += done.Records
	}
	result.Lacks = a.needs.list()
	wants, total, err := v.wants(a.needs)
	if err != nil {
		return result, err
	}
	result.Wants = total
	if result.ReadSince, err = v.readSince(ctx); err != nil {
		return result, interrupted(ctx, err)
	}
	return result, v.rememberWants(ctx, wants, a)
}

// rememberWants writes a receipt where the wants have changed, or a chunk is lost that no snapshot names: a catalog that is
// lost before the next unpack would not know which places have been found bad.
func (v *vault) rememberWants(ctx context.Context, wants []courier.Want, a *arrivals) error {
	newest, highest, err := newestReceipt(v.root, v.id, v.rep)
	if err != nil || newest == nil {
		return err
	}
	lost, err := v.lostUnnamed()
	if err != nil {
		return err
	}
	list, lost := withLost(newCondemned(newest).list, lost, highest+1)
	if _, err := v.amend(ctx, newest, highest+1, wants, list, a); err != nil {
		return err
	}
	return v.dropWants(lost)
}

// amend writes a receipt of that number, on our own disk alone, that says what the newest said but for wants and condemned.
// Where these are the same it writes none. told is the newest receipt then.
func (v *vault) amend(ctx context.Context, newest *courier.Receipt, number uint64, wants []courier.Want, condemned []courier.Condemned,
	a *arrivals) (told *courier.Receipt, err error) {
	if slices.Equal(newest.Wants, wants) && // both by ID
		slices.Equal(newCondemned(newest).list, newCondemned(&courier.Receipt{Condemned: condemned}).list) {
		return newest, nil
	}
	since, err := v.readSince(ctx)
	if err != nil {
		return nil, err
	}
	next := *newest
	next.ReadSince = since
	next.Inventory = courier.InventoryRef{} // it goes with the receipt that it was made for
	next.Number = number
	next.Time = time.Now()
	next.Wants = wants
	next.Condemned = condemned
	next.Awaited = a.awaited
	next.NewestArrived = a.newest
	_, err = putReceipt(v.root, &next)
	return &next, err
}

// countLost counts wants that the chunkstore left since the last check of arrivals.
func countLost(n *int64) func(chunk.ID, index.Want) error {
	return func(_ chunk.ID, w index.Want) error {
		if w.Snapshot == 0 {
			*n++
		}
		return nil
	}
}
