package chunkstore

import (
	"context"
	"errors"

	"waterlock/index"
	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/pack"
	"waterlock/snapshot"
)

// withGaps considers the kept files whose chunks in the catalog do not make up
// their size: they have holes, chunks that were found bad, or rows that are
// lost; and the abandoned growing files. What they hold is known from the
// install records. One that no readable record tells of stays.
func (c *compactor) withGaps(ctx context.Context, gather bool) error {
	if len(c.gaps) == 0 {
		return nil
	}
	s := c.s
	in, err := s.listInstalls()
	if err != nil {
		return err
	}
	grown, allRead := map[index.ContainerID][]snapshot.Extent{}, true
	for i := len(in.seqs) - 1; i >= 0 && len(c.gaps) > 0; i-- {
		if err := ctx.Err(); err != nil {
			return err
		}
		seq := in.seqs[i]
		rec, void, err := s.readRecord(seq, in.void[seq])
		if errors.Is(err, ErrRecord) || disk.IsIOError(err) {
			allRead = false
			continue
		}
		if err != nil {
			return err
		}
		for j := range rec.rows {
			if x := &rec.rows[j]; x.kind == rowChunks && c.gaps[x.id] {
				for _, p := range x.chunks {
					grown[x.id] = append(grown[x.id], snapshot.Extent{ID: p.id, Length: p.len})
				}
			}
		}
		for j := range rec.acts {
			a := &rec.acts[j]
			if a.kind == actGrow && c.gaps[a.cont] { // many records tell of it
				for _, p := range a.grown {
					grown[a.cont] = append(grown[a.cont], snapshot.Extent{ID: p.id, Length: p.len})
				}
				continue
			}
			if void[j] || a.entry == nil || len(a.entry.Content) == 0 || !c.gaps[a.cont] {
				continue
			}
			delete(c.gaps, a.cont)
			if err := c.consider(ctx, a.cont, gather, a.entry.Content); err != nil {
				return err
			}
		}
		if len(c.drops) >= dropCount || c.written >= dropBytes {
			if err := c.drop(); err != nil {
				return err
			}
		}
	}
	for id, content := range grown {
		if !allRead {
			break // a record that cannot be read may tell of more
		}
		if !c.gaps[id] {
			continue // an entry told all of it
		}
		if err := c.consider(ctx, id, gather, content); err != nil {
			return err
		}
	}
	return c.drop()
}

// nothingLost reports whether a kept or abandoned file may go as far as its gaps
// are concerned: what the records say of it makes up a kept file, and no needed
// chunk of that is lost with it.
func (c *compactor) nothingLost(x index.Container, content []snapshot.Extent) (bool, error) {
	var size int64
	for _, e := range content {
		size += e.Length
	}
	if x.Kind == index.Kept && size != x.Size {
		return false, nil
	}
	for _, e := range content {
		if e.Hole {
			continue
		}
		if ok, err := c.spared(x, e.ID, e.Length); err != nil || !ok {
			return false, err
		}
	}
	return true, nil
}

// packSpared reports whether all records of a pack are known, and no needed
// chunk of them is lost with it.
func (c *compactor) packSpared(x index.Container, name string) (bool, error) {
	f, err := c.s.cfg.Vault.Open(name)
	if err != nil {
		return false, nil
	}
	defer f.Close()
	r, _, err := pack.Salvage(f, x.Size)
	if err != nil {
		return false, nil
	}
	var stored int64
	for _, p := range r.Places() {
		stored += int64(p.StoredLen)
	}
	if pack.ClosedSize(len(r.Places()), stored) != x.Size {
		return false, nil // a record whose header and row are damaged
	}
	for _, p := range r.Places() {
		if ok, err := c.spared(x, p.ID, int64(p.PlainLen)); err != nil || !ok {
			return false, err
		}
	}
	return true, nil
}

// spared reports whether a chunk is not lost with a container: it is not
// needed, or the catalog has it there, so that save sees to it, or it has a good
// place elsewhere. One that was found bad there and is held nowhere else may yet
// be read one day.
func (c *compactor) spared(x index.Container, id chunk.ID, n int64) (bool, error) {
	if need, err := c.needed(id); err != nil || !need {
		return err == nil, err
	}
	if _, ok, err := c.placeIn(id, x.ID); err != nil || ok {
		return ok, err
	}
	pb := buffers.Get().(*[]byte)
	defer buffers.Put(pb)
	return c.heldElsewhere(id, chunkKind(x), n, pb)
}
