package home

import (
	"errors"
	"fmt"
	"io/fs"

	"waterlock/index"
	"waterlock/internal/chunk"
	"waterlock/internal/courier"
	"waterlock/internal/disk"
	"waterlock/pack"
	"waterlock/snapshot"
)

// metaPack is a pack of stream chunks at home.
type metaPack struct {
	file string // at home
	sum  pack.Summary
}

// metaWriter gathers stream chunks in meta packs at home.
type metaWriter struct {
	r     *run
	dir   string
	enc   *pack.Encoder
	buf   []byte
	seen  map[chunk.ID]struct{}
	packs []*metaPack
	file  disk.File
	name  string
	w     *pack.Writer
}

func streamsDir(ord uint32) string { return fmt.Sprintf("%s/%08d", dirStreams, ord) }

// newMetaWriter begins in an empty directory: what an interrupted close left there is made anew.
func (r *run) newMetaWriter() (*metaWriter, error) {
	m := &metaWriter{r: r, dir: streamsDir(r.sh.ord), seen: map[chunk.ID]struct{}{}, enc: r.buffers.encoders[0]}
	if err := r.site.removeStreams(r.sh.ord); err != nil {
		return nil, err
	}
	return m, disk.MkdirAll(r.site.state, m.dir, 0o700)
}

// removeStreams removes the stream chunks kept for a shipment.
func (s *site) removeStreams(ord uint32) error {
	dir := streamsDir(ord)
	names, err := s.state.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for i := range names.Len() {
		if err := s.state.Remove(dir + "/" + names.At(i)); err != nil {
			return err
		}
	}
	return s.state.Remove(dir)
}

// add puts a stream chunk into a meta pack unless the vault holds it.
func (m *metaWriter) add(id chunk.ID, plain []byte) error {
	if skip, err := m.skip(id); skip || err != nil {
		return err
	}
	s, err := m.enc.Encode(chunk.Stream, plain, m.buf)
	if err != nil {
		return err
	}
	if s.Encoding != pack.Raw && cap(s.Data) > cap(m.buf) {
		m.buf = s.Data[:0]
	}
	return m.append(s)
}

func (m *metaWriter) skip(id chunk.ID) (bool, error) {
	if _, ok := m.seen[id]; ok {
		return true, nil
	}
	state, err := m.r.books.ledger.Known(id, func(uint32) bool { return false })
	return state == index.Held, err
}

func (m *metaWriter) append(s pack.Stored) error {
	if m.w != nil && !m.w.Fits(len(s.Data), max(m.r.packSize, 2*snapshot.MaxItem)) {
		if err := m.finish(); err != nil {
			return err
		}
	}
	if m.w == nil {
		var err error
		m.name = m.dir + "/" + courier.PackName(len(m.packs)+1, chunk.Stream)
		if m.file, err = m.r.site.state.Create(m.name, 0o600); err != nil {
			return err
		}
		if m.w, err = pack.NewWriter(m.file, chunk.Stream); err != nil {
			return err
		}
	}
	m.seen[s.ID] = struct{}{}
	_, err := m.w.Append(s)
	return err
}

func (m *metaWriter) finish() error {
	if m.w == nil {
		return nil
	}
	sum, err := m.w.Close()
	if err == nil {
		err = m.file.Sync()
	}
	err = errors.Join(err, m.file.Close())
	m.packs = append(m.packs, &metaPack{m.name, sum})
	m.w, m.file = nil, nil
	return err
}

func (m *metaWriter) close() error { return errors.Join(m.finish(), m.r.site.state.SyncDir(m.dir)) }
