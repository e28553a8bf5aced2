package vault

import (
	"context"
	"slices"

	"waterlock/chunkstore"
	"waterlock/internal/chunk"
	"waterlock/internal/courier"
)

// What an unpack does about condemned chunks: those that the drive names or carries again are revived, and those that are clear
// to go leave the vault, before the drive's new content needs the room.

// takenBefore tells whether a shipment was taken in full earlier, and home told so, so that what the vault does not have of it any more is
// either wanted or was pruned.
func (u *unpacking) takenBefore(s *shipment) bool {
	newest := u.own.newest
	if newest == nil || newest.Epoch != u.own.epoch || s.isNew {
		return false
	}
	i := slices.IndexFunc(newest.Taken, func(t courier.Taken) bool { return t.Shipment == s.commit.Shipment })
	if i >= 0 {
		return newest.Taken[i].All
	}
	return u.newest != nil && u.newest.Basis.Epoch == u.own.epoch && s.commit.Snapshot.Number < u.newest.Floor
}

// leftOut tells whether a record is not taken in though the vault lacks its chunk: it was pruned, or belongs to a snapshot
// that was forgotten. What is wanted is always taken.
func (u *unpacking) leftOut(s *shipment, id chunk.ID) (bool, error) {
	if !s.forgotten && !u.takenBefore(s) {
		return false, nil
	}
	_, wanted, err := u.v.cat.Want(id)
	return !wanted, err
}

// reviveCarried takes off the list of the condemned what a shipment carries: home counts on it again once the receipt
// acknowledges the shipment.
func (u *unpacking) reviveCarried(s *shipment, id chunk.ID) {
	if !s.forgotten && !u.takenBefore(s) {
		u.condemned.revive(id)
	}
}

// free deletes what is condemned and clear to go. What the snapshots name is looked up anew, those that this drive brings
// included; where one cannot be read in full, nothing goes.
func (u *unpacking) free(ctx context.Context) error {
	if len(u.condemned.list) == 0 {
		return nil
	}
	u.rep.Phase("checking what is condemned", 0, 0)
	unread, err := u.condemned.reviveNamed(ctx, u.v)
	if err != nil {
		return err
	}
	if len(unread)+len(u.v.commits.damaged) > 0 {
		u.rep.Warn("Nothing is freed: %s", u.v.unknownNeeds(unread))
		return nil
	}
	cleared, err := u.v.clearance(u.own.epoch)
	if err != nil {
		return err
	}
	u.clear = cleared.clear
	if u.condemned.clearable(u.clear) == 0 {
		return nil
	}
	// What was found to be complete may name what goes, in a snapshot that is forgotten, and may come again with another.
	if err := u.v.cat.ForgetChecks(); err != nil {
		return err
	}
	u.rep.Phase("freeing what is condemned", 0, 0)
	r, err := u.v.store.Compact(ctx, chunkstore.CompactOptions{Needed: u.needed, Awaited: u.v.mayGrow})
	u.result.FreedBytes += r.Freed
	return err
}

// needed tells whether a chunk must stay in the vault: all must but those that are condemned and clear to go.
func (u *unpacking) needed(id chunk.ID) (bool, error) {
	return !u.condemned.mayGo(id, u.clear), nil
}

// takeWanted takes in what the check of arrivals found to be lacking and a shipment taken earlier still carries.
func (u *unpacking) takeWanted(ctx context.Context) error {
	there, err := u.v.wantedFrom(u.v.cat.Drive)
	if err != nil || !there {
		return err
	}
	if err := u.takeStreams(ctx); err != nil {
		return err
	}
	if err := u.takeData(ctx); err != nil {
		return err
	}
	return u.checkArrivals(ctx)
}

// mayGrow tells whether the file that grows for a path may yet be whole: the newest snapshot has a file there, or that
// cannot be told.
func (v *vault) mayGrow(tree, path string) bool {
	head, ok := v.commits.newest()
	if !ok {
		return true
	}
	commit, err := v.commits.load(head)
	if err != nil {
		return true
	}
	record, has := commit.Snapshot.Tree(tree)
	if !has {
		return false
	}
	e, err := (&finder{tree: *record, get: v.store}).find(path)
	return err != nil || e != nil
}
