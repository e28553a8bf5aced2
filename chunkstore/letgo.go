package chunkstore

import (
	"context"
	"errors"

	"waterlock/index"
	"waterlock/internal/chunk"
)

// A file that was adopted and gave way lies in foreign/, for a person to delete,
// and is a place of chunks as long as it does. When it is deleted, first what
// only it has goes to history, then the file, then its rows. A crash in between
// costs rows that the mirror's check drops.

// LetGo makes sure that no needed chunk is lost with containers in foreign/ that
// are about to be deleted: what only they hold, or files that somebody else may
// delete as well, is written to history, durably. kept are those of which that
// could not be done, for want of room or because they cannot be read.
func (s *Store) LetGo(ctx context.Context, ids []index.ContainerID, needed func(chunk.ID) (bool, error)) (kept []index.Container, err error) {
	if err := s.usable(); err != nil {
		return nil, err
	}
	c := s.newCompactor(CompactOptions{Needed: needed})
	for _, id := range ids {
		c.gone[id] = true
	}
	for _, id := range ids {
		x, ok, err := s.cat.Container(id)
		if err != nil {
			return kept, err
		}
		if !ok || x.Kind != index.Foreign {
			continue
		}
		saved, err := c.save(ctx, x)
		if err != nil {
			return kept, errors.Join(err, s.FlushHistory())
		}
		if !saved {
			kept = append(kept, x)
		}
	}
	return kept, s.FlushHistory()
}

// Deleted drops the rows of containers in foreign/ whose files a person has
// deleted, after LetGo. A chunk that has no place left becomes a want like one
// that was lost otherwise: nothing here needs it, but home may count on it, and
// must hear of it.
func (s *Store) Deleted(ctx context.Context) error {
	var gone []index.ContainerID
	err := s.cat.Containers(func(c index.Container) error {
		if err := ctx.Err(); err != nil || c.Kind != index.Foreign {
			return err
		}
		f, name, err := s.locate(c)
		if err != nil {
			return nil // a tree without a volume: leave it
		}
		_, found, err := stat(f, name)
		if err == nil && !found {
			gone = append(gone, c.ID)
		}
		return err
	})
	for i := 0; err == nil && i < len(gone); i++ {
		_, err = s.lose(gone[i])
	}
	return err
}
