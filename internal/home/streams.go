package home

import (
	"errors"
	"fmt"
	"os"

	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/internal/report"
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
		return r.repeatStream(t, rec, stream, meta)
	}
	sc, err := r.newScan(t, number)
	if err != nil {
		return nil, err
	}
	add := func(e *snapshot.ScanEntry) error {
		r.tally(e)
		if e.Since == 0 {
			e.Since = number
		}
		return errors.Join(stream.Add(&e.Entry), sc.add(e))
	}
	if t.root == nil { // gone on purpose: an empty tree, which is not the same as no entries at all
		err = r.emptied(t, add)
	} else {
		err = r.mergeSpool(t, add)
	}
	if err == nil {
		rec.Totals, err = stream.Close()
	}
	return rec, errors.Join(err, sc.close())
}

// emptied makes the entries of a tree whose directory is gone on purpose: its bare root, and tombstones of what is to
// stay in the vault's mirror nevertheless.
func (r *run) emptied(t *treeState, add func(*snapshot.ScanEntry) error) error {
	if err := add(r.bareRoot(t)); err != nil {
		return err
	}
	var graves snapshot.Graves
	return eachScanned(r.site.state, t.lastScan, func(e *snapshot.ScanEntry) error {
		f := r.fate(t, e, false)
		gone := f.gone
		if f.open && !gone.Stays() {
			gone = snapshot.Confirmed // --allow-missing says so
		}
		if e.Entry.Path == "" || f.cleared || gone == snapshot.Confirmed && graves.Over(e.Entry.Path) == snapshot.Confirmed {
			return nil
		}
		tomb := snapshot.ScanEntry{Entry: *snapshot.Tombstone(&e.Entry, gone)}
		if gone == e.Entry.Gone {
			tomb.Since = e.Since
		}
		graves.Add(&tomb.Entry)
		return add(&tomb)
	})
}

// bareRoot is the root of a tree whose directory is gone on purpose: as it was, with nothing in it and on no device.
func (r *run) bareRoot(t *treeState) *snapshot.ScanEntry {
	root := &snapshot.ScanEntry{Entry: snapshot.Entry{Kind: disk.KindDir, Mode: 0o755}}
	if last, err := openScan(r.site.state, t.lastScan); err == nil && last != nil {
		defer last.close()
		if prev, err := last.seek("", nil); err == nil && prev != nil && prev.Entry.Kind == disk.KindDir {
			root.Entry = *prev.Entry.Clone()
			root.Entry.Unseen = false
		}
	}
	return root
}

// mergeSpool goes through the spool of a tree beside its last scan and settles every entry.
func (r *run) mergeSpool(t *treeState, fn func(*snapshot.ScanEntry) error) error {
	last, err := openScan(r.site.state, t.lastScan)
	if err != nil {
		return err
	}
	defer last.close()
	trusted := r.trusts(t, last)
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
		if prev != nil && as(prev, e) {
			e.Since = prev.Since
		}
		return fn(e)
	})
	if err == nil {
		err = sp.torn
	}
	return err
}

// as tells whether a path is in this snapshot as it was in the one of the last scan.
func as(prev, e *snapshot.ScanEntry) bool {
	if e.Entry.Gone != snapshot.Here {
		return prev.Entry.Gone == e.Entry.Gone
	}
	return prev.Entry.Gone == snapshot.Here && prev.Entry.Pending == e.Entry.Pending && prev.Entry.Same(&e.Entry)
}

// trusts tells whether no chunk that a last scan names can have become unknown since it was written.
func (r *run) trusts(t *treeState, last *cursor) bool {
	return r.trusted && last != nil && !t.unsure && last.r.Header().Generation == r.books.ledger.Generation()
}

// repeatStream is the stream of a tree that a guard stopped: that of last time, chunk for chunk. It is made again from
// the last scan, for what the vault does not hold has to go along; where the scan is lost, that comes from the streams
// that are kept until they have arrived. Where the record is lost, the scan alone says what it was.
func (r *run) repeatStream(t *treeState, rec *snapshot.TreeRecord, stream *snapshot.StreamWriter, meta *metaWriter) (*snapshot.TreeRecord, error) {
	err := eachScanned(r.site.state, t.lastScan, func(e *snapshot.ScanEntry) error { return stream.Add(&e.Entry) })
	if err != nil {
		return nil, err
	}
	if rec.Totals, err = stream.Close(); err != nil {
		return nil, err
	}
	rec.Stopped = t.stopped.Reason
	switch {
	case t.lastRecord != nil:
		rec.Root, rec.Chunks, rec.Totals = t.lastRecord.Root, t.lastRecord.Chunks, t.lastRecord.Totals
	case t.lastScan == "":
		rec.Chunks, rec.Totals = nil, snapshot.Totals{}
	}
	r.res.Files += rec.Totals.Files
	r.res.Dirs += rec.Totals.Dirs
	r.res.Others += rec.Totals.Others
	r.res.Bytes += rec.Totals.Bytes
	return rec, r.serveKept(t, rec, meta)
}

// serveKept adds the chunks of a repeated stream that its scan did not give and that the vault does not hold.
func (r *run) serveKept(t *treeState, rec *snapshot.TreeRecord, meta *metaWriter) error {
	var ids []chunk.ID
	for _, c := range rec.Chunks {
		skip, err := meta.skip(c.ID)
		if err != nil {
			return err
		}
		if !skip {
			ids = append(ids, c.ID)
		}
	}
	a := newAsked(ids)
	if err := r.serveKeptStreams(a, meta); err != nil {
		return err
	}
	if a.n > 0 {
		r.rep.Warn("tree %s: %s of its last list of files are no longer at home: until the vault has them from elsewhere, the snapshot is incomplete",
			t.Name, report.Count(int64(a.n), "chunk"))
	}
	return nil
}

// tally counts an entry of the snapshot for the summary.
func (r *run) tally(se *snapshot.ScanEntry) {
	e := &se.Entry
	if e.Gone != snapshot.Here {
		return
	}
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
		r.res.PendingBytes += pendingBytes(se)
	}
}

// pendingBytes is about how much of a pending file is still to be carried.
func pendingBytes(e *snapshot.ScanEntry) int64 {
	return max(0, e.Entry.Size-e.Local.Holes-length(e.Entry.Carried))
}

func hostName() string {
	host, err := os.Hostname()
	if err != nil {
		return ""
	}
	return host
}
