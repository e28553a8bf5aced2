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

// Verify reads a vault back: the paths of the mirror, every container or a share of them, and the lists of all snapshots. What is damaged is
// repaired from another place in the vault; the rest becomes a want, which a receipt on our own disk remembers until the
// next drive takes it home.
func Verify(ctx context.Context, o VerifyOptions) (result VerifyResult, err error) {
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
	scrub, err := v.store.Scrub(ctx, chunkstore.ScrubOptions{Fraction: o.Fraction, Quick: o.Quick})
	result.Containers, result.Chunks, result.Bytes = scrub.Containers, scrub.Chunks, scrub.Bytes
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
	result.Lacks = a.needs.list()
	wants, total, err := v.wants(a.needs)
	if err != nil {
		return result, err
	}
	result.Wants = total
	return result, v.rememberWants(ctx, wants, a)
}

// rememberWants writes a receipt where the wants have changed: a catalog that is lost before the next unpack would not
// know which places have been found bad.
func (v *vault) rememberWants(ctx context.Context, wants []courier.Want, a *arrivals) error {
	newest, highest, err := newestReceipt(v.root, v.id, v.rep)
	if err != nil || newest == nil {
		return err
	}
	if slices.Equal(newest.Wants, wants) { // both by ID
		return nil
	}
	since, err := v.readSince(ctx)
	if err != nil {
		return err
	}
	next := *newest
	next.ReadSince = since
	next.Number = highest + 1
	next.Time = time.Now()
	next.Wants = wants
	next.Awaited = a.awaited
	next.NewestArrived = a.newest
	_, err = putReceipt(v.root, &next)
	return err
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
