package home

import (
	"errors"
	"io/fs"

	"waterlock/internal/chunk"
	"waterlock/pack"
)

// serveWants adds the stream chunks that the vault asks for and that no stream of today has any more, from what is
// kept of earlier shipments.
func (r *run) serveWants(meta *metaWriter) error {
	wanted := map[chunk.ID]bool{}
	if r.books.receipt != nil {
		for _, w := range r.books.receipt.Wants {
			if _, seen := meta.seen[w.ID]; w.Kind == chunk.Stream && !seen {
				wanted[w.ID] = true
			}
		}
	}
	defer func() { r.streamsGone = int64(len(wanted)) }()
	for i := len(r.fleet.all) - 1; i >= 0 && len(wanted) > 0; i-- {
		if r.fleet.all[i].ord == r.sh.ord {
			continue
		}
		if err := r.serveFrom(streamsDir(r.fleet.all[i].ord), wanted, meta); err != nil {
			r.rep.Verbose("%v", err)
		}
	}
	return nil
}

// countWantsGone counts what the vault asks for and will not get: its file was changed or deleted. While something of
// the trees was not read or not seen, a chunk may still turn up there.
func (r *run) countWantsGone() error {
	if r.books.receipt == nil || r.res.Pending > 0 || r.res.Incomplete() {
		return nil
	}
	r.res.WantsGone = r.streamsGone
	for _, w := range r.books.receipt.Wants {
		if w.Kind != chunk.Data {
			continue
		}
		known, err := r.known(w.ID)
		if err != nil {
			return err
		}
		if !known {
			r.res.WantsGone++
		}
	}
	return nil
}

func (r *run) serveFrom(dir string, wanted map[chunk.ID]bool, meta *metaWriter) error {
	names, err := r.site.state.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for i := range names.Len() {
		if err := r.serveFile(dir+"/"+names.At(i), wanted, meta); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) serveFile(name string, wanted map[chunk.ID]bool, meta *metaWriter) error {
	f, err := r.site.state.Open(name)
	if err != nil {
		return err
	}
	defer f.Close() // was only read
	st, err := f.Stat()
	if err != nil {
		return err
	}
	p, err := pack.Open(f, st.Size)
	if err != nil {
		return err
	}
	for _, place := range p.Places() {
		if !wanted[place.ID] {
			continue
		}
		plain, err := p.Read(place, nil)
		if err != nil {
			return err
		}
		if err := meta.add(place.ID, plain); err != nil {
			return err
		}
		delete(wanted, place.ID)
	}
	return nil
}
