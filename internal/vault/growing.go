package vault

import (
	"context"
	"errors"

	"waterlock/chunkstore"
	"waterlock/snapshot"
)

// A file that does not come on one drive grows in staging, chunk by chunk at the offsets that its entry names, and takes
// its path when it is whole. Of a pending entry these are the chunks carried so far; of one that is whole at home but
// waits for a drive still out, its content (the chunkstore sees to that where it cannot install it).

type pathOf struct{ tree, path string }

// grow takes in what the drive brings of a pending file. Without room for more the rest is tried for the history.
func (d *delivery) grow(ctx context.Context, e *snapshot.Entry) error {
	if !e.Pending {
		return nil
	}
	r, err := d.v.store.Grow(ctx, d.tree.Name, e, e.Carried)
	if err != nil {
		return err
	}
	d.result.GrownBytes += r.Grown
	d.awaits(e.Path, e.Size)
	if r.Err != nil && !errors.Is(r.Err, chunkstore.ErrNoRoom) && snapshot.PathHere(e.Path) == nil {
		d.failed(e.Path, r.Err)
	}
	return nil
}

// awaits notes that the file growing for a path, if there is one, may yet be whole, with so many bytes.
func (d *delivery) awaits(path string, size int64) {
	if d.v.store.Growing(d.tree.Name, path) {
		d.awaited[pathOf{d.tree.Name, path}] = size
	}
}

// growsFor tells whether the file that grows for a path may yet be whole. Of a tree that was not seen in full nothing is
// known.
func (u *unpacking) growsFor(tree, path string) bool {
	_, awaited := u.awaited[pathOf{tree, path}]
	return awaited || !u.walked[tree]
}
