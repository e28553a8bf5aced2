package vault

import (
	"context"
	"slices"

	"waterlock/internal/chunk"
	"waterlock/snapshot"
)

// maxRemembered bounds how many stream chunks are remembered as read. Beyond, one that snapshots share may be read again.
const maxRemembered = 1 << 20

// eachNamed calls fn for the ID of every chunk that these snapshots name: their stream chunks, and the data chunks that
// their entries name, those that were carried of a pending file included. An ID may come many times. unread are the
// snapshots of which a part of the list of files cannot be read: nobody knows what they need.
func (v *vault) eachNamed(ctx context.Context, snapshots []knownSnapshot, fn func(chunk.ID) error) (unread []uint64, err error) {
	read := map[chunk.ID]bool{} // whether it could be
	var buf []byte
	for _, k := range snapshots {
		commit, err := v.commits.load(k)
		if err != nil {
			return unread, err
		}
		whole := true
		for _, tree := range commit.Snapshot.Trees {
			for _, ref := range tree.Chunks {
				if err := ctx.Err(); err != nil {
					return unread, err
				}
				good, known := read[ref.ID]
				if !known {
					if good, err = v.namedBy(ref, &buf, fn); err != nil {
						return unread, err
					}
					if len(read) < maxRemembered {
						read[ref.ID] = good
					}
				}
				whole = whole && good
			}
		}
		if !whole {
			unread = append(unread, k.number)
		}
	}
	return slices.Compact(unread), nil
}

// namedBy calls fn for one stream chunk and all that it names. good is false where it cannot be read.
func (v *vault) namedBy(ref snapshot.StreamRef, buf *[]byte, fn func(chunk.ID) error) (good bool, err error) {
	if err := fn(ref.ID); err != nil {
		return false, err
	}
	plain, err := v.store.Get(ref.ID, chunk.Stream, int64(ref.Length), *buf)
	if err != nil {
		return false, nil
	}
	*buf = plain[:0]
	v.rep.Add(int64(len(plain)), 0)
	var failed error
	err = snapshot.StreamChunkIDs(plain, ref, func(id chunk.ID, _ int64, _ bool) error {
		failed = fn(id)
		return failed
	})
	return err == nil, failed
}
