package vault

import (
	"context"
	"errors"

	"waterlock/chunkstore"
	"waterlock/index"
	"waterlock/internal/chunk"
	"waterlock/pack"
)

// keepCommits makes the vault know the snapshots that the drive brings.
func (u *unpacking) keepCommits(context.Context) error {
	for _, s := range u.shipments {
		if u.v.commits.wasForgotten(s.commit) {
			s.kept, s.forgotten = true, true
			u.result.Again++
			continue
		}
		isNew, err := u.v.commits.keep(s.commit, s.bytes)
		if err != nil {
			u.rep.Problem(s.dir, err)
			u.result.Failed++
			continue
		}
		s.kept, s.isNew = true, isNew
		if !isNew {
			u.result.Again++
		}
	}
	return nil
}

// loadTables enters every record of the drive into the catalog, as the last place to look for a chunk.
func (u *unpacking) loadTables(ctx context.Context) error {
	if err := u.v.cat.ClearDrive(); err != nil {
		return err
	}
	var rows []index.DrivePlace
	for number := range u.packs.list {
		if err := errors.Join(ctx.Err(), u.packs.there()); err != nil {
			return err
		}
		rows = rows[:0]
		for _, p := range u.packs.places(uint32(number)) {
			u.reviveCarried(u.packs.list[number].ship, p.ID)
			rows = append(rows, index.DrivePlace{
				ID: p.ID, Pack: uint32(number), Number: p.Number, Encoding: uint8(p.Encoding),
				Offset: p.Offset, StoredLen: p.StoredLen, PlainLen: p.PlainLen,
			})
			u.plainBytes += int64(p.PlainLen)
		}
		if err := u.v.cat.PutDrive(rows); err != nil {
			return err
		}
	}
	return nil
}

// takeIn puts every record of a kind that the vault has no place for into the history. A record that cannot be read is
// named and left out; a vault without room takes what it can.
func (u *unpacking) takeIn(ctx context.Context, kind chunk.Kind) error {
	var buf []byte
	for number, dp := range u.packs.list {
		if dp.ref.Kind != kind || u.full {
			continue
		}
		for _, place := range u.packs.places(uint32(number)) {
			if err := errors.Join(ctx.Err(), u.packs.there()); err != nil {
				return err
			}
			has, err := u.v.store.Has(place.ID)
			if err != nil {
				return err
			}
			if has || u.packs.isBad(uint32(number), place.Number) {
				continue
			}
			if out, err := u.leftOut(dp.ship, place.ID); err != nil {
				return err
			} else if out {
				continue
			}
			if need := int(place.StoredLen) + pack.ReadSlack; cap(buf) < need && place.StoredLen <= chunk.MaxSize {
				buf = make([]byte, 0, need)
			}
			stored, err := u.packs.stored(uint32(number), place, buf)
			if err != nil {
				continue // named by the drive
			}
			if err := u.v.store.PutHistory(stored, kind); err != nil {
				if errors.Is(err, chunkstore.ErrNoRoom) {
					u.noRoom(err)
					break
				}
				return err
			}
			u.result.History++
			u.result.HistoryBytes += int64(len(stored.Data))
		}
	}
	return u.v.store.FlushHistory()
}

// countRecords sets one bit for each record whose chunk the vault has. It comes last, so a bit is the word of the catalog
// after everything is durable.
func (u *unpacking) countRecords(ctx context.Context) error {
	for number, dp := range u.packs.list {
		for _, place := range u.packs.places(uint32(number)) {
			if err := errors.Join(ctx.Err(), u.packs.there()); err != nil {
				return err
			}
			has, err := u.v.store.Has(place.ID)
			if err != nil {
				return err
			}
			switch {
			case has:
				dp.ship.bits.set(dp.base + place.Number - 1)
			case u.full && !u.packs.isBad(uint32(number), place.Number):
				u.result.Room.OnDrive += int64(place.StoredLen)
			}
		}
	}
	return nil
}
