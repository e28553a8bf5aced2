package vault

import "waterlock/snapshot"

// A receipt says up to which snapshot the mirror has followed every deletion, so that home may forget what nobody there has
// decided about: such a path is plain absence in the next snapshot, and a vault that takes out what is confirmed would take it
// out, decided or not. So it is said only where there is nothing left to take out.

// clearedUpTo is the newest snapshot of which the mirror has no file any more that is gone from it, confirmed or undecided; what
// home wants to stay is not among them. It is the newest one known, if all of it could be read and all that was gone went. Else it
// is what was said before: what was taken out then has not come back, for the mirror only ever shows what the newest snapshot has.
// Where that is of the same number it may be of a home that was rolled back since, and says nothing of this snapshot.
func (u *unpacking) clearedUpTo() uint64 {
	if u.newest == nil {
		return 0
	}
	number, before := u.newest.Snapshot.Number, uint64(0)
	if u.own.newest != nil && u.own.newest.Epoch == u.own.epoch {
		before = u.own.newest.Cleared
	}
	if u.followed() {
		return number
	}
	return min(before, number-1)
}

// followed tells whether the mirror has followed every deletion of the newest snapshot.
func (u *unpacking) followed() bool {
	all := u.result.Gone == u.result.Deleted && !u.hidden
	_ = u.trees(func(tree snapshot.TreeRecord) error { // no error can come
		all = all && u.walked[tree.Name]
		return nil
	})
	return all
}
