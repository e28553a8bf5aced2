package chunkstore

import (
	"context"
	"slices"

	"waterlock/index"
	"waterlock/internal/chunk"
)

// CondemnOptions tune Condemnable.
type CondemnOptions struct {
	// Named reports whether a retained snapshot names the chunk.
	Named func(chunk.ID) (bool, error)
	// Awaited is that of CompactOptions.
	Awaited func(tree, path string) bool
	// Most bounds the number of chunks listed. What goes beyond is left for
	// the next time, container by container.
	Most int
}

// Condemnable is what a compaction would do if chunks that no retained snapshot
// names were not needed.
type Condemnable struct {
	Chunks     []chunk.ID // that would leave the vault, by ID
	Later      int64      // chunks beyond Most
	Containers int64      // that would go
	Freed      int64      // bytes of them; less where they share blocks with other files
	Written    int64      // bytes of needed chunks that only they hold, which go to history first
	Room       int64      // bytes that must be free for a moment
}

// Condemnable lists the chunks that no retained snapshot names and that lie only
// in containers that are not worth keeping whole without them: those that a
// Compact which does not need them removes. A chunk that the mirror shows, or that lies in a
// container which stays for the sake of others, costs nothing and is not listed.
// Nothing changes.
func (s *Store) Condemnable(ctx context.Context, o CondemnOptions) (res Condemnable, err error) {
	if err := s.usable(); err != nil {
		return res, err
	}
	if err := s.FlushHistory(); err != nil {
		return res, err
	}
	c := s.newCompactor(CompactOptions{Needed: o.Named, Awaited: o.Awaited})
	ids, gather, err := c.candidates()
	if err != nil {
		return res, err
	}
	var going []index.ContainerID
	var largest int64
	for _, id := range ids {
		if err := ctx.Err(); err != nil {
			return res, err
		}
		w, ok, err := c.weighs(id, gather)
		if err != nil {
			return res, err
		}
		if !ok {
			continue
		}
		c.gone[id] = true
		going = append(going, id)
		size := w.total
		if w.Kind == index.Pack {
			size = w.Size
		}
		res.Containers++
		res.Freed += size
		res.Written += w.only
		largest = max(largest, w.only)
	}
	// A group of containers is written until it has dropBytes, then removed.
	res.Room = min(res.Written, dropBytes+largest)
	for _, id := range going {
		if err := ctx.Err(); err != nil {
			return res, err
		}
		list, err := c.leaving(id)
		if err != nil {
			return res, err
		}
		// The first is listed as far as it goes, be it larger than the list.
		if len(res.Chunks) > 0 && len(res.Chunks)+len(list) > o.Most {
			res.Later += int64(len(list))
			continue
		}
		n := min(len(list), o.Most)
		res.Later += int64(len(list) - n)
		res.Chunks = append(res.Chunks, list[:n]...)
	}
	slices.SortFunc(res.Chunks, chunk.ID.Compare)
	return res, nil
}

// leaving are the chunks that would leave the vault with a container that goes,
// but for those that one of a lower number has, too.
func (c *compactor) leaving(id index.ContainerID) (list []chunk.ID, err error) {
	err = c.s.cat.ContainerChunks(id, func(_ int64, cid chunk.ID, _ uint32) error {
		places, err := c.s.cat.Places(cid)
		if err != nil || len(places) == 0 {
			return err // found bad: it is not here any more
		}
		for _, p := range places {
			if !c.gone[p.Container] || p.Container < id {
				return nil
			}
		}
		if needed, err := c.needed(cid); err != nil || needed {
			return err
		}
		list = append(list, cid)
		return nil
	})
	slices.SortFunc(list, chunk.ID.Compare)
	return slices.Compact(list), err
}
