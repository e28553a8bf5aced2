package vault

import (
	"waterlock/index"
	"waterlock/internal/chunk"
	"waterlock/internal/courier"
)

// Wants are rows of the catalog. The chunkstore leaves one, without a snapshot, where the last place of a chunk was lost;
// the check of arrivals leaves one for each chunk that a snapshot names and nothing under way brings.

// settleWants drops the wants that have been fulfilled. vanished tells that a chunk was lost since the last check of
// arrivals, so that what was found then no longer counts.
func (v *vault) settleWants() (vanished bool, err error) {
	b, n := v.cat.Batch(), 0
	err = v.cat.Wants(func(id chunk.ID, w index.Want) error {
		has, err := v.store.Has(id)
		switch {
		case err != nil:
			return err
		case has:
			b.DropWant(id)
			n++
		case w.Snapshot == 0:
			vanished = true
		}
		return nil
	})
	if err == nil && n > 0 {
		err = b.Commit()
	}
	return vanished, err
}

// dropUnnamedWants drops the wants of chunks that no snapshot names.
func (v *vault) dropUnnamedWants() error {
	b, n := v.cat.Batch(), 0
	err := v.cat.Wants(func(id chunk.ID, w index.Want) error {
		if w.Snapshot == 0 {
			b.DropWant(id)
			n++
		}
		return nil
	})
	if err == nil && n > 0 {
		err = b.Commit()
	}
	return err
}

// reviseWants runs where the catalog was rebuilt: the rebuild believes what records and tables say, so the chunks that
// the newest receipt asked for are read again. One that still cannot be read is wanted still.
func (v *vault) reviseWants(newest *courier.Receipt) error {
	if newest == nil {
		return nil
	}
	for _, w := range newest.Wants {
		places, err := v.cat.Places(w.ID)
		if err != nil {
			return err
		}
		if len(places) > 0 {
			if _, err := v.store.Get(w.ID, w.Kind, int64(places[0].PlainLen), nil); err == nil {
				continue
			}
		}
		b := v.cat.Batch()
		b.PutWant(w.ID, index.Want{Kind: w.Kind})
		if err := b.Commit(); err != nil {
			return err
		}
	}
	return nil
}

// wants lists what the vault asks home for, as far as one receipt can carry it: the rest is asked for with the next. total
// counts all. Each says which snapshot names it, and the first which path needs it.
func (v *vault) wants(by needs) (list []courier.Want, total int64, err error) {
	err = v.cat.Wants(func(id chunk.ID, w index.Want) error {
		if total++; len(list) < courier.MaxWants {
			list = append(list, courier.Want{ID: id, Kind: w.Kind, Snapshot: w.Snapshot, Path: by[id].path})
		}
		return nil
	})
	return list, total, err
}
