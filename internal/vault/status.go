package vault

import (
	"context"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"waterlock/internal/report"
)

// Status says how a vault stands.
func Status(ctx context.Context, o StatusOptions) (result StatusResult, err error) {
	v, err := openVault(o.Vault, o.Report)
	if err != nil {
		return result, err
	}
	defer v.closeInto(&err)
	if err := v.openStore(ctx); err != nil {
		return result, err
	}
	a, err := v.checkArrivals(ctx, nil)
	if err != nil {
		return result, interrupted(ctx, err)
	}
	result = StatusResult{Path: v.path, Route: v.RouteName, RouteID: v.Route, Trees: v.treePlaces(), Awaited: int64(a.awaited), Lacks: a.needs.list()}
	if result.Snapshots, err = v.snapshotInfos(a); err != nil {
		return result, err
	}
	if n := len(result.Snapshots); n > 0 {
		result.Drives = result.Snapshots[n-1].Drives
	}
	newest, _, err := newestReceipt(v.root, v.id, v.rep)
	if err != nil {
		return result, err
	}
	if newest != nil {
		result.Receipt, result.ReceiptAt = newest.Number, newest.Time
	}
	if result.Prune, err = v.pruneStatus(newest); err != nil {
		return result, err
	}
	if _, result.Wants, err = v.wants(a.needs); err != nil {
		return result, err
	}
	space, err := v.store.Space(ctx)
	if err != nil {
		return result, interrupted(ctx, err)
	}
	result.Mirror, result.History, result.Kept = space.Mirror, space.History, space.Kept
	result.Staging, result.Foreign = space.Staging, space.Foreign
	if result.Room, err = v.roomLacking(); err != nil {
		return result, err
	}
	if space.ReadSince != 0 {
		result.ReadSince = time.Unix(space.ReadSince, 0)
	}
	if result.Overdue, err = v.overdue(result); err != nil {
		return result, err
	}
	free, err := v.root.Free()
	if err != nil {
		return result, err
	}
	result.Free, result.Total = free.Avail, free.Total
	return result, nil
}

// overdue is what should have happened again by now. While nothing has come, the vault's own age counts, and there is
// nothing to verify.
func (v *vault) overdue(r StatusResult) ([]report.Overdue, error) {
	trip, verification := v.Created, time.Now()
	if head, ok := v.commits.newest(); ok {
		c, err := v.commits.load(head)
		if err != nil {
			return nil, err
		}
		trip, verification = c.Time, r.ReadSince
	}
	return v.Overdue.Overdue(time.Now(), trip, verification), nil
}

// treePlaces says where each tree lies.
func (v *vault) treePlaces() []TreePlace {
	trees := maps.Clone(v.commits.trees)
	for tree := range v.Trees {
		trees[tree] = true
	}
	var list []TreePlace
	for _, tree := range slices.Sorted(maps.Keys(trees)) {
		if treeHere(tree) != nil {
			continue
		}
		path, elsewhere := v.Trees[tree]
		if !elsewhere {
			path = filepath.Join(v.path, tree)
		}
		list = append(list, TreePlace{tree, path})
	}
	return list
}
