package home

import (
	"slices"

	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/snapshot"
)

// settle decides how an entry of the spool goes into the snapshot. A file all of whose chunks are held or aboard is
// whole. Else it is pending: it keeps the content of the last version that was carried, and names what has been
// carried of the new one.
func (r *run) settle(e, prev *snapshot.ScanEntry, trusted bool) error {
	if e.Entry.Kind != disk.KindFile || e.Entry.Unseen || e.Entry.Gone != snapshot.Here {
		return nil
	}
	if r.again {
		if err := r.countNotAgain(&e.Entry); err != nil {
			return err
		}
	}
	prev = present(prev)
	if hasContent(e) {
		if trusted && prev != nil && !prev.Entry.Unseen && hasContent(prev) && slices.Equal(prev.Entry.Content, e.Entry.Content) {
			return nil
		}
		whole, err := r.allKnown(e.Entry.Content)
		if err != nil || whole {
			return err
		}
	}
	fresh := e.Entry.Carried
	if len(fresh) == 0 {
		fresh = e.Entry.Content
	}
	carried, err := r.onlyKnown(fresh)
	if err != nil {
		return err
	}
	e.Entry.Pending = true
	if prev == nil || !knowsContent(e) || e.Entry.Hash != prev.Entry.Hash || !slices.Equal(e.Entry.Content, prev.Entry.Content) {
		e.Flags |= snapshot.NotRead
	} // else what stands there for the last version carried is this one: it need not be read again
	e.Entry.Content, e.Entry.Hash, e.Entry.Carried = nil, chunk.ContentHash{}, carried
	if prev == nil || prev.Entry.Kind != disk.KindFile {
		return nil
	}
	e.Entry.Content, e.Entry.Hash = prev.Entry.Content, prev.Entry.Hash
	before, err := r.onlyKnown(prev.Entry.Carried)
	if err != nil {
		return err
	}
	if length(before) > length(carried) { // this time it was read less far
		e.Entry.Carried = before
	}
	return nil
}

// countNotAgain counts what of a file is aboard other drives alone, although it was to be carried again.
func (r *run) countNotAgain(e *snapshot.Entry) error {
	for _, x := range e.Content {
		if x.Hole {
			continue
		}
		here, err := r.carriedHere(x.ID)
		if err != nil {
			return err
		}
		known, err := r.known(x.ID)
		if err != nil {
			return err
		}
		if known && !here {
			r.res.NotAgain += x.Length
		}
	}
	return nil
}

func (r *run) allKnown(content []snapshot.Extent) (bool, error) {
	for _, x := range content {
		if x.Hole {
			continue
		}
		if known, err := r.known(x.ID); err != nil || !known {
			return false, err
		}
	}
	return true, nil
}

// onlyKnown are the chunks of a list that are held or aboard, at their offsets: what lies between them, holes or chunks
// that are to be carried yet, is a hole. The vault puts them where they will be in the whole file.
func (r *run) onlyKnown(content []snapshot.Extent) (out []snapshot.Extent, err error) {
	gap := int64(0)
	for _, x := range content {
		known := false
		if !x.Hole {
			if known, err = r.known(x.ID); err != nil {
				return nil, err
			}
		}
		if !known {
			gap += x.Length
			continue
		}
		if gap > 0 {
			out = append(out, snapshot.Extent{Hole: true, Length: gap})
		}
		out, gap = append(out, x), 0
	}
	return out, nil
}

// length is the number of bytes in the chunks of a list.
func length(content []snapshot.Extent) (n int64) {
	for _, x := range content {
		if !x.Hole {
			n += x.Length
		}
	}
	return n
}
