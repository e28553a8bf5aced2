package home

import (
	"errors"
	"io/fs"

	"waterlock/internal/chunk"
	"waterlock/pack"
	"waterlock/snapshot"
)

// serveWants adds the stream chunks that the vault asks for and that no stream of today has any more: from what is kept
// of earlier shipments, or made again from the last scans.
func (r *run) serveWants(meta *metaWriter) error {
	r.streamsGone = r.books.wanted(chunk.Stream)
	for id := range meta.seen {
		r.streamsGone.meet(id)
	}
	if err := r.serveKeptStreams(r.streamsGone, meta); err != nil {
		return err
	}
	for _, t := range r.trees {
		if err := r.serveScanned(t, r.streamsGone, meta); err != nil {
			return err
		}
	}
	return nil
}

// serveScanned adds the stream chunks of a list that the last scan of a tree makes again: those of the last snapshot.
func (r *run) serveScanned(t *treeState, a *asked, meta *metaWriter) error {
	if a.n == 0 {
		return nil
	}
	stream := snapshot.NewStreamWriter(func(plain []byte, ref snapshot.StreamRef) error {
		if !a.lacks(ref.ID) {
			return nil
		}
		a.meet(ref.ID)
		return meta.add(ref.ID, plain)
	})
	err := eachScanned(r.site.state, t.lastScan, func(e *snapshot.ScanEntry) error { return stream.Add(&e.Entry) })
	if err != nil {
		return err
	}
	_, err = stream.Close()
	return err
}

// serveKeptStreams adds the stream chunks of a list that are kept of earlier shipments.
func (r *run) serveKeptStreams(a *asked, meta *metaWriter) error {
	return r.eachKept(a, func(k *keptStream) error {
		plain, err := k.pack.Read(k.place, nil)
		if err != nil {
			r.rep.Verbose("%s: %v", k.file, err)
			return nil
		}
		if err := meta.add(k.place.ID, plain); err != nil {
			return err
		}
		a.meet(k.place.ID)
		return nil
	})
}

// keptStream is a stream chunk that is kept at home.
type keptStream struct {
	file  string
	pack  *pack.Reader
	place pack.Place
}

// eachKept calls fn for the stream chunks that a list lacks and earlier shipments, the newest first, have at home. What
// cannot be read is passed over.
func (r *run) eachKept(a *asked, fn func(*keptStream) error) error {
	for i := len(r.fleet.all) - 1; i >= 0 && a.n > 0; i-- {
		ord := r.fleet.all[i].ord
		if r.sh != nil && ord == r.sh.ord {
			continue
		}
		names, err := r.site.state.ReadDir(streamsDir(ord))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		for j := range names.Len() {
			if err := r.eachKeptIn(streamsDir(ord)+"/"+names.At(j), a, fn); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *run) eachKeptIn(name string, a *asked, fn func(*keptStream) error) error {
	f, err := r.site.state.Open(name)
	if err != nil {
		r.rep.Verbose("%v", err)
		return nil
	}
	defer f.Close() // was only read
	st, err := f.Stat()
	if err != nil {
		return err
	}
	p, err := pack.Open(f, st.Size)
	if err != nil {
		r.rep.Verbose("%s: %v", name, err)
		return nil
	}
	for _, place := range p.Places() {
		if !a.lacks(place.ID) {
			continue
		}
		if err := fn(&keptStream{name, p, place}); err != nil {
			return err
		}
	}
	return nil
}
