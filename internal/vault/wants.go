package vault

import (
	"errors"
	"slices"

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

// lostUnnamed are chunks that were lost and that no snapshot names, as found by the check of arrivals. Home may count on
// them all the same: a receipt condemns them, and only then are they forgotten (dropWants).
func (v *vault) lostUnnamed() (list []chunk.ID, err error) {
	err = v.cat.Wants(func(id chunk.ID, w index.Want) error {
		if w.Snapshot == 0 && len(list) < courier.MaxCondemned {
			list = append(list, id)
		}
		return nil
	})
	return list, err
}

// withLost adds chunks that were lost to what a receipt of that number condemns, as far as it has room. told are those that
// home hears of by it: the others are told with a later one.
func withLost(list []courier.Condemned, lost []chunk.ID, number uint64) (all []courier.Condemned, told []chunk.ID) {
	have := condemned{list: slices.Clone(list)}
	for _, id := range lost {
		if _, listed := have.find(id); !listed {
			if len(list) >= courier.MaxCondemned {
				continue
			}
			list = append(list, courier.Condemned{ID: id, Since: number})
		}
		told = append(told, id)
	}
	return list, told
}

// dropWants forgets that these chunks are wanted.
func (v *vault) dropWants(list []chunk.ID) error {
	if len(list) == 0 {
		return nil
	}
	b := v.cat.Batch()
	for _, id := range list {
		b.DropWant(id)
	}
	return b.Commit()
}

// doubtWants makes the next check of arrivals find out whether a snapshot still names what is wanted: some were forgotten.
func (v *vault) doubtWants() error {
	b := v.cat.Batch()
	err := v.cat.Wants(func(id chunk.ID, w index.Want) error {
		w.Snapshot = 0
		b.PutWant(id, w)
		return nil
	})
	return errors.Join(err, b.Commit())
}

// wantedFrom tells whether something that is wanted has a place there.
func (v *vault) wantedFrom(find func(chunk.ID) (index.DrivePlace, bool, error)) (there bool, err error) {
	err = v.cat.Wants(func(id chunk.ID, _ index.Want) error {
		if there {
			return nil
		}
		var err error
		_, there, err = find(id)
		return err
	})
	return there, err
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
		if w.Snapshot == 0 {
			return nil // no snapshot names it: it is condemned instead
		}
		if total++; len(list) < courier.MaxWants {
			list = append(list, courier.Want{ID: id, Kind: w.Kind, Snapshot: w.Snapshot, Path: by[id].path})
		}
		return nil
	})
	return list, total, err
}
