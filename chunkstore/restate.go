package chunkstore

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"os"

	"waterlock/index"
	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/internal/report"
	"waterlock/internal/wire"
)

// A damaged install record cannot be mended, and nobody else has a copy. But the
// catalog has its rows, and what it had none for any more was adopted or asked
// for since. So the rows that the readable records do not give are written down
// once, in records of their own, and the damaged one is set aside:
//
//	1  fold       the readable records into a catalog of its own, beside the other
//	2  compare    what does the catalog know that the records do not tell?
//	3  write      disk.Put of records that tell it; at least one, since numbers only grow
//	4  set aside  rename the damaged record to <name>.damaged; sync the directory
//
// Each step is durable before the next begins. After a crash before 4 the damaged
// record is still there and named, and all is done once more; what the records of
// step 3 tell already is not written again.
//
// What a record tells of and the catalog lacks is said to be gone if it is not
// there: it was dropped, or found missing or changed, and asked for. Else the
// catalog was rebuilt when that record could not be read for a time, and the
// record goes on telling of it.

const damagedExt = ".damaged"

// RestateResult is what Restate did.
type RestateResult struct {
	Records int64 // damaged records that were set aside
	Rows    int64 // rows of the catalog that were written down
}

// Restate puts what the catalog knows in the place of install records that
// cannot be read, so that the catalog can be rebuilt without them. Run it after
// CheckMirror has compared the catalog with what is there.
func (s *Store) Restate(ctx context.Context) (res RestateResult, err error) {
	if err := s.usable(); err != nil {
		return res, err
	}
	scratch, damaged, err := s.foldReadable(ctx)
	if err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, scratch.discard()) }()
	if len(damaged) == 0 {
		return res, nil
	}
	w := &restater{ctx: ctx, s: s, told: scratch.cat}
	if err := w.compare(); err != nil { // steps 2 and 3
		return res, err
	}
	if err := w.finish(); err != nil {
		return res, err
	}
	res.Rows = w.rows
	for _, seq := range damaged { // step 4
		if err := s.setAside(seq); err != nil {
			return res, err
		}
		res.Records++
		s.report.Info("What %s told of was written down anew; the damaged record is now called %s.",
			recordName(seq, recordExt), recordName(seq, recordExt)+damagedExt)
	}
	return res, s.cfg.Vault.SyncDir(installsDir)
}

// scratchCatalog is a catalog for the time of one comparison.
type scratchCatalog struct {
	cat *index.Catalog
	dir string
}

func (c *scratchCatalog) discard() error { return errors.Join(c.cat.Close(), os.RemoveAll(c.dir)) }

// scratchDir is where it lies. Open removes what a crash has left of one.
func (s *Store) scratchDir() string { return s.cfg.IndexDir + ".scratch" }

// foldReadable makes a catalog of what the readable records tell, and lists the
// others.
func (s *Store) foldReadable(ctx context.Context) (scratch *scratchCatalog, damaged []uint64, err error) {
	dir := s.scratchDir()
	if err := os.RemoveAll(dir); err != nil {
		return nil, nil, err
	}
	cat, _, err := index.OpenCatalog(dir)
	if err != nil {
		return nil, nil, err
	}
	scratch = &scratchCatalog{cat, dir}
	fold := &Store{cfg: s.cfg, report: report.Discard, cat: cat, growing: growing{}}
	in, err := s.listInstalls()
	for i := 0; err == nil && i < len(in.seqs); i++ {
		if err = ctx.Err(); err != nil {
			break
		}
		seq := in.seqs[i]
		rec, void, rerr := s.readRecord(seq, in.void[seq])
		switch {
		case errors.Is(rerr, ErrRecord) || disk.IsIOError(rerr):
			damaged = append(damaged, seq)
		case rerr != nil:
			err = rerr
		default:
			err = fold.apply(rec, void, 0)
		}
	}
	if err != nil {
		return nil, nil, errors.Join(err, scratch.discard())
	}
	return scratch, damaged, nil
}

// setAside renames a damaged record, and the list of what was given up of it.
func (s *Store) setAside(seq uint64) error {
	for _, ext := range []string{voidExt, recordExt} {
		name := recordName(seq, ext)
		err := s.cfg.Vault.Rename(name, name+damagedExt)
		if err != nil && !(ext == voidExt && errors.Is(err, fs.ErrNotExist)) {
			return err
		}
	}
	return nil
}

// restater writes down what the records do not tell.
type restater struct {
	ctx  context.Context
	s    *Store
	told *index.Catalog // what the readable records tell
	rec  record
	size int64 // about what rec takes
	rows int64
}

// Bounds of one record of restated rows, as of a batch.
var restatedRows = 1024 // tests write more records

const (
	restatedBytes  = 8 << 20
	restatedWhole  = 160 << 20 // of one container, some 4 TB; a larger one takes several records
	restatedChunks = 16384     // of one row
)

func (w *restater) compare() error {
	if err := w.containers(); err != nil {
		return err
	}
	for tree := range w.s.vols {
		if err := w.paths(tree); err != nil {
			return err
		}
	}
	return w.s.cat.Groups(func(tree string, group uint64, id index.ContainerID) error {
		told, ok, err := w.told.Group(tree, group)
		if err != nil || ok && told == id {
			return err
		}
		return w.add(int64(len(tree))+24, restated{kind: rowGroup, tree: tree, group: group, id: id})
	})
}

// containers restates the plain files that are not told of as they are. Packs
// tell of themselves.
func (w *restater) containers() error {
	err := w.told.Containers(func(c index.Container) error {
		_, ok, err := w.s.cat.Container(c.ID)
		if err != nil || ok || w.s.there(c) {
			return err
		}
		return w.add(8, restated{kind: rowNone, id: c.ID})
	})
	if err != nil {
		return err
	}
	return w.s.cat.Containers(func(c index.Container) error {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		if c.Kind == index.Pack || c.Missing {
			return nil
		}
		told, ok, err := w.told.Container(c.ID)
		if err != nil {
			return err
		}
		same := ok && plainRow(told) == plainRow(c)
		if same && c.Kind == index.Staging { // many records tell of its chunks
			same, err = w.sameChunks(c.ID)
		}
		if err != nil || same {
			return err
		}
		return w.container(c)
	})
}

// plainRow is what records say of a container.
func plainRow(c index.Container) index.Container {
	c.ReadAt, c.Damaged, c.Missing = 0, false, false
	return c
}

// container restates a container with all of its chunks, in one record: should
// that be the last one before a crash, no container is told of as having fewer
// chunks than it has.
func (w *restater) container(c index.Container) error {
	rows := []restated{{kind: rowContainer, id: c.ID, cont: plainRow(c)}}
	size := int64(len(c.Tree)+len(c.Name)) + 80
	x := restated{kind: rowChunks, id: c.ID}
	var end int64
	flush := func() error {
		if len(x.chunks) == 0 {
			return nil
		}
		rows, size = append(rows, x), size+int64(len(x.chunks))*40
		x.chunks = nil
		if size < restatedWhole {
			return nil
		}
		err := w.add(size, rows...)
		rows, size = nil, 0
		return err
	}
	err := w.s.cat.ContainerChunks(c.ID, func(off int64, id chunk.ID, n uint32) error {
		if len(x.chunks) == restatedChunks || len(x.chunks) > 0 && off < end {
			if err := flush(); err != nil {
				return err
			}
		}
		x.chunks = append(x.chunks, placed{off, id, int64(n)})
		end = off + int64(n)
		return nil
	})
	if err = errors.Join(err, flush()); err != nil || len(rows) == 0 {
		return err
	}
	return w.add(size, rows...)
}

// sameChunks reports whether the chunks of a growing file are those told of.
func (w *restater) sameChunks(id index.ContainerID) (bool, error) {
	seed := maphash.MakeSeed()
	sum := func(cat *index.Catalog) (uint64, error) {
		var h maphash.Hash
		h.SetSeed(seed)
		err := cat.ContainerChunks(id, func(off int64, id chunk.ID, n uint32) error {
			_, err := fmt.Fprintf(&h, "%d %d %s\n", off, n, id)
			return err
		})
		return h.Sum64(), err
	}
	here, err := sum(w.s.cat)
	if err != nil {
		return false, err
	}
	told, err := sum(w.told)
	return here == told, err
}

// paths goes through the paths of a tree in both catalogs.
func (w *restater) paths(tree string) error {
	it := w.s.cat.Paths(tree)
	defer it.Close()
	for {
		p, row, ok := it.Next()
		if !ok {
			break
		}
		if err := w.ctx.Err(); err != nil {
			return err
		}
		told, ok, err := w.told.Path(tree, p)
		if err != nil {
			return err
		}
		if row.Digest == ([32]byte{}) {
			told.Digest = row.Digest // it is to be installed anew, whatever is told of it
		}
		if ok && told == row {
			continue
		}
		if err := w.add(int64(len(tree)+len(p))+120, restated{kind: rowPath, tree: tree, path: p, row: row}); err != nil {
			return err
		}
	}
	if err := it.Err(); err != nil {
		return err
	}
	gone := w.told.Paths(tree)
	defer gone.Close()
	for {
		p, row, ok := gone.Next()
		if !ok {
			return gone.Err()
		}
		if _, ok, err := w.s.cat.Path(tree, p); err != nil {
			return err
		} else if ok || w.shows(tree, p, &row) {
			continue
		}
		if err := w.add(int64(len(tree)+len(p))+8, restated{kind: rowNoPath, tree: tree, path: p}); err != nil {
			return err
		}
	}
}

// shows reports whether a path shows the file that was told of. What cannot be
// told counts as there.
func (w *restater) shows(tree, p string, row *index.PathRow) bool {
	if row.Kind != uint8(disk.KindFile) {
		return false
	}
	v := w.s.vols[tree]
	st, found, err := stat(v.FS, v.name(p))
	n := inode{row.Ino, row.Size, disk.Time{Sec: row.MSec, Nsec: row.MNsec}}
	return err != nil || found && n.is(st)
}

// add writes rows, about so many bytes, into the record that is being made: all
// of them into one.
func (w *restater) add(size int64, rows ...restated) error {
	if n := len(w.rec.rows); n > 0 && (n+len(rows) > restatedRows || w.size+size > restatedBytes) {
		if err := w.put(); err != nil {
			return err
		}
	}
	w.rec.rows = append(w.rec.rows, rows...)
	w.size += size
	w.rows += int64(len(rows))
	if len(w.rec.rows) < restatedRows && w.size < restatedBytes {
		return nil
	}
	return w.put()
}

// put makes the record durable. The catalog has its rows.
func (w *restater) put() error {
	s := w.s
	w.rec.restates, w.rec.seq, w.rec.next, w.rec.time = true, s.seq+1, s.nextNumber(), s.now().Unix()
	data := wire.Seal(wire.InstallRecord, s.cfg.Route, w.rec.encode())
	if err := disk.Put(s.cfg.Vault, recordName(w.rec.seq, recordExt), data); err != nil {
		return s.spoil(fmt.Errorf("write down what a damaged record told of: %w", err))
	}
	s.seq = w.rec.seq
	w.rec, w.size = record{}, 0
	b := s.cat.Batch()
	b.SetMeta(metaInstalled, []byte(fmt.Sprint(s.seq)))
	return b.Commit()
}

// finish writes what is left, and a record in any case: numbers only grow, also
// where a damaged record was the last.
func (w *restater) finish() error {
	if w.rows > 0 && len(w.rec.rows) == 0 {
		return nil
	}
	return w.put()
}
