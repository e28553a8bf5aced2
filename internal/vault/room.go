package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"waterlock/chunkstore"
	"waterlock/index"
	"waterlock/internal/report"
)

// Room says what the vault has no room for. A file that is behind for want of room has arrived: its chunks are in the
// vault and every snapshot can be restored, but the mirror shows the old version, since the new one takes room of its own.
type Room struct {
	Files   int64 `json:"files"`    // behind for want of room
	Needed  int64 `json:"needed"`   // bytes that they take when they are put together
	OnDrive int64 `json:"on_drive"` // bytes of chunks that stay on the drive for want of room
	Missing int64 `json:"missing"`  // bytes that must become free for all of this
}

// metaRoom is the catalog's note of the room that the last unpack lacked.
const metaRoom = "room"

// lacksRoom notes that a file is behind for want of room, and says so. size is what it takes where the store does not say.
func (d *delivery) lacksRoom(r *chunkstore.Result, size int64) {
	var room *chunkstore.RoomError
	if errors.As(r.Err, &room) {
		size = room.Need
	}
	d.result.Room.Files++
	d.result.Room.Needed += size
	d.needs[d.tree.Name] += size
	d.rep.Problem(d.name(r.Path), fmt.Errorf("has arrived, but the mirror keeps what it had: %s of room are needed to put it together", report.Size(size)))
}

// noRoom says once that the vault is full. What still lies on the drive is not acknowledged, so home keeps it on its list.
func (u *unpacking) noRoom(err error) {
	if u.full {
		return
	}
	u.full = true
	u.result.Failed = max(u.result.Failed, 1)
	u.rep.Problem(u.v.path, fmt.Errorf("the rest of what the drive brings stays on it: %w", err))
}

// countRoom says how much room is missing, and leaves a note of it for status.
func (u *unpacking) countRoom(context.Context) (err error) {
	room := &u.result.Room
	if room.Missing, err = u.v.store.Missing(u.needs, room.OnDrive); err != nil {
		return err
	}
	note, err := json.Marshal(room)
	if err != nil {
		return err
	}
	b := u.v.cat.Batch()
	b.SetMeta(metaRoom, note)
	return b.Commit()
}

// roomLacking is the note of the last unpack. Where the catalog was rebuilt since there is none, and nothing is said.
func (v *vault) roomLacking() (room Room, err error) {
	note, err := v.cat.Meta(metaRoom)
	if err == nil && note != nil {
		err = json.Unmarshal(note, &room)
	}
	return room, err
}

// whatTakesRoom says, where the catalog cannot be opened for want of room, how much must become free and what of the vault
// a person can delete for that.
func (v *vault) whatTakesRoom(ctx context.Context, err error) error {
	if !errors.Is(err, index.ErrNoRoom) {
		return err
	}
	free, ferr := v.root.Free()
	if ferr != nil {
		return err
	}
	missing := max(0, index.MinFree-free.Avail)
	result := ForeignResult{}
	f := &foreign{v: v, result: &result}
	if werr := f.walk(ctx, f.list); werr != nil {
		return err
	}
	what := "nothing that wl vault foreign --remove could delete"
	if result.Files > 0 {
		what = fmt.Sprintf("%s of somebody else's files, which wl vault foreign --remove deletes also now", report.Size(result.Bytes))
	}
	return fmt.Errorf("%w. %s more must become free there. Of the vault, .wl/foreign holds %s", err, report.Size(missing), what)
}
