package home

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"waterlock/index"
	"waterlock/internal/chunk"
	"waterlock/internal/courier"
	"waterlock/internal/disk"
	"waterlock/pack"
	"waterlock/snapshot"
)

// writeStreams makes the streams of all trees out of the spools, and beside them the scans for the next time. Stream
// chunks that the vault does not hold go into meta packs in streams/<ordinal>/ at home, where they stay until the
// snapshot has arrived, and from there onto the drive. A chunk that is merely aboard elsewhere goes along once more:
// so a snapshot can be read wherever its own shipment arrives.
func (r *run) writeStreams(number uint64) (*snapshot.Record, []*metaPack, error) {
	meta, err := r.newMetaWriter()
	if err != nil {
		return nil, nil, err
	}
	rec := &snapshot.Record{Number: number, Time: r.site.now().UTC(), Host: hostName()}
	for _, t := range r.trees {
		tree, err := r.writeStream(t, number, meta)
		if err != nil {
			return nil, nil, errors.Join(fmt.Errorf("tree %s: %w", t.Name, err), meta.close())
		}
		rec.Trees = append(rec.Trees, *tree)
	}
	if err := r.serveWants(meta); err != nil {
		return nil, nil, errors.Join(err, meta.close())
	}
	if err := meta.close(); err != nil {
		return nil, nil, err
	}
	sortTrees(rec)
	return rec, meta.packs, nil
}

func (r *run) writeStream(t *treeState, number uint64, meta *metaWriter) (*snapshot.TreeRecord, error) {
	rec := &snapshot.TreeRecord{Name: t.Name, Root: t.Path}
	stream := snapshot.NewStreamWriter(func(plain []byte, ref snapshot.StreamRef) error {
		rec.Chunks = append(rec.Chunks, ref)
		return meta.add(ref.ID, plain)
	})
	if t.stopped != nil {
		return r.repeatStream(t, rec, stream)
	}
	sc, err := r.newScan(t, number)
	if err != nil {
		return nil, err
	}
	if t.root != nil {
		err = r.mergeSpool(t, func(e *snapshot.ScanEntry) error {
			r.tally(&e.Entry)
			return errors.Join(stream.Add(&e.Entry), sc.add(e))
		})
	}
	if err == nil {
		rec.Totals, err = stream.Close()
	}
	return rec, errors.Join(err, sc.close())
}

// mergeSpool goes through the spool of a tree beside its last scan and settles every entry.
func (r *run) mergeSpool(t *treeState, fn func(*snapshot.ScanEntry) error) error {
	last, err := openScan(r.site.state, t.lastScan)
	if err != nil {
		return err
	}
	defer last.close()
	trusted := r.trusted && last != nil && last.r.Header().Generation == r.books.ledger.Generation()
	sp, err := openScan(r.site.state, spoolName(r.sh, r.pass, t.Name))
	if err != nil {
		return err
	}
	if sp == nil {
		return errors.New("the spool cannot be read")
	}
	defer sp.close()
	err = sp.rest(func(e *snapshot.ScanEntry) error {
		prev, err := last.seek(e.Entry.Path, nil)
		if err != nil {
			return err
		}
		if err := r.settle(e, prev, trusted); err != nil {
			return err
		}
		return fn(e)
	})
	if err == nil {
		err = sp.torn
	}
	return err
}

// repeatStream is the stream of a tree that a guard stopped: that of last time, chunk for chunk. It is made again from
// the last scan, for what the vault does not hold has to go along.
func (r *run) repeatStream(t *treeState, rec *snapshot.TreeRecord, stream *snapshot.StreamWriter) (*snapshot.TreeRecord, error) {
	err := eachScanned(r.site.state, t.lastScan, func(e *snapshot.ScanEntry) error { return stream.Add(&e.Entry) })
	if err != nil {
		return nil, err
	}
	if _, err := stream.Close(); err != nil {
		return nil, err
	}
	rec.Stopped, rec.Chunks = t.stopped.Reason, nil
	if t.lastRecord != nil {
		rec.Root, rec.Chunks, rec.Totals = t.lastRecord.Root, t.lastRecord.Chunks, t.lastRecord.Totals
		r.res.Files += rec.Totals.Files
		r.res.Dirs += rec.Totals.Dirs
		r.res.Others += rec.Totals.Others
		r.res.Bytes += rec.Totals.Bytes
	}
	return rec, nil
}

// tally counts an entry of the snapshot for the summary.
func (r *run) tally(e *snapshot.Entry) {
	switch e.Kind {
	case disk.KindFile:
		r.res.Files++
		r.res.Bytes += e.Size
	case disk.KindDir:
		r.res.Dirs++
	default:
		r.res.Others++
	}
	if e.Unseen {
		r.res.Unseen++
	}
	if e.Pending {
		r.res.Pending++
		r.res.PendingBytes += max(0, e.Size-length(e.Carried))
	}
}

// scan is a scan file being written; it is durable before the commit that makes it count.
type scan struct {
	state disk.FS
	file  disk.File
	buf   *bufio.Writer
	w     *snapshot.ScanWriter
}

func (r *run) newScan(t *treeState, number uint64) (*scan, error) {
	state, name := r.site.state, scanName(t.Name, number)
	if err := disk.MkdirAll(state, dirScan, 0o700); err != nil {
		return nil, err
	}
	if err := state.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) { // of a run that did not commit
		return nil, err
	}
	f, err := state.Create(name, 0o600)
	if err != nil {
		return nil, err
	}
	s := &scan{state: state, file: f, buf: bufio.NewWriterSize(f, 256<<10)}
	s.w, err = snapshot.NewScanWriter(s.buf, snapshot.ScanHeader{Generation: r.books.ledger.Generation(), Tree: t.Name})
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return s, nil
}

func (s *scan) add(e *snapshot.ScanEntry) error { return s.w.Add(e.Local, &e.Entry, e.Flags) }

func (s *scan) close() error {
	err := errors.Join(s.w.Close(), s.buf.Flush())
	if err == nil {
		err = s.file.Sync()
	}
	return errors.Join(err, s.file.Close(), s.state.SyncDir(dirScan))
}

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

func hostName() string {
	host, err := os.Hostname()
	if err != nil {
		return ""
	}
	return host
}
