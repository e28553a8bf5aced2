package chunkstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"waterlock/index"
	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/pack"
)

// scrubber is one run of Scrub.
type scrubber struct {
	s      *Store
	ctx    context.Context
	opts   ScrubOptions
	at     cursor // where the last run stopped
	res    ScrubResult
	broken []index.ContainerID // damaged files of the mirror, to be put right
	bad    map[index.ContainerID]int64
}

// Scrub reads containers and verifies every chunk of them, one container after
// the other, what was read longest ago first. Where another place has what is
// damaged it is repaired, else it becomes a want. What was read before a run is
// cancelled or its budget is used up is not read again by the next. The install
// records are read, too.
func (s *Store) Scrub(ctx context.Context, o ScrubOptions) (ScrubResult, error) {
	sc := &scrubber{s: s, ctx: ctx, opts: o, bad: map[index.ContainerID]int64{}}
	err := s.usable()
	if err == nil {
		sc.at, err = s.cursor()
	}
	if err != nil {
		return sc.res, err
	}
	ids, bytes, err := sc.choose(o)
	if err != nil {
		return sc.res, err
	}
	if o.Quick {
		bytes = 0
	}
	s.report.Phase("verify", bytes, int64(len(ids)))
	for i, id := range ids {
		err := sc.spent()
		if err == nil {
			err = sc.one(id, o.Quick)
		}
		if errors.Is(err, errSpent) {
			sc.res.Left = int64(len(ids) - i)
			break
		}
		if err != nil {
			return sc.res, err
		}
	}
	if err := sc.records(); err != nil {
		return sc.res, err
	}
	return sc.res, sc.repair()
}

// one checks the container of a number, if it is still there.
func (sc *scrubber) one(id index.ContainerID, quick bool) error {
	c, ok, err := sc.s.cat.Container(id)
	if err != nil || !ok {
		return err
	}
	if err := sc.container(c, quick); err != nil {
		return err
	}
	sc.res.Containers++
	sc.s.report.Add(0, 1)
	return nil
}

// records reads all install records. The catalog does not need them today, but
// it is rebuilt from them, and one that is damaged is worth knowing while it
// still has its rows.
func (sc *scrubber) records() error {
	s := sc.s
	in, err := s.listInstalls()
	if err != nil {
		return err
	}
	for _, seq := range in.seqs {
		if err := sc.ctx.Err(); err != nil {
			return err
		}
		_, _, err := s.readRecord(seq, in.void[seq])
		if errors.Is(err, ErrRecord) || disk.IsIOError(err) {
			sc.res.Bad++
			sc.res.BadRecords++
			s.report.Problem(recordName(seq, recordExt), err)
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// choose picks the containers to be read, those read longest ago first: all, or
// until they make up the fraction of all bytes that are no holes. One that was
// read in part comes before all others. Containers that were read one after the other come in that
// order again, which is the one in which they were written.
func (sc *scrubber) choose(o ScrubOptions) (ids []index.ContainerID, bytes int64, err error) {
	type row struct {
		id         index.ContainerID
		size, read int64
	}
	var rows []row
	var total int64
	err = sc.s.cat.Containers(func(c index.Container) error {
		r := row{id: c.ID, size: sc.s.dataSize(c), read: c.ReadAt}
		if off, _ := sc.resume(c); off > 0 {
			r.read = -1
			r.size = max(0, r.size-off)
		}
		rows = append(rows, r)
		total += r.size
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	slices.SortStableFunc(rows, func(a, b row) int { return cmp.Compare(a.read, b.read) })
	if o.Fraction > 0 && o.Fraction < 1 && !o.Quick {
		goal := int64(o.Fraction * float64(total))
		var sum int64
		n := 0
		for n < len(rows) && (sum < goal || n == 0) {
			sum += rows[n].size
			n++
		}
		rows, total = rows[:n], sum
	}
	for _, r := range rows {
		ids = append(ids, r.id)
	}
	return ids, total, nil
}

// container checks one container.
func (sc *scrubber) container(c index.Container, quick bool) error {
	s := sc.s
	f, name, err := s.locate(c)
	if err != nil {
		s.report.Problem(fmt.Sprintf("container %d", c.ID), err)
		return nil
	}
	if !s.there(c) {
		edited, err := sc.wasEdited(c, f, name)
		if err != nil {
			return err
		}
		held := false
		if c.Kind != index.Pack && !edited {
			if held, err = s.stillHolds(sc.ctx, &c); err != nil {
				if sc.ctx.Err() != nil {
					return sc.ctx.Err()
				}
				sc.res.Bad++
				s.problem(c.ID, name, err)
				return nil // nothing can be told
			}
		}
		if !held && c.Kind == index.Foreign {
			n, err := s.lose(c.ID) // somebody removed it, as they may
			sc.res.Wanted += n
			return err
		}
		if !held && c.Kind == index.Mirror && c.Damaged && isFile(f, name) {
			return sc.edited(c)
		}
		if !held {
			return sc.away(c, name)
		}
		if err := s.touched(c); err != nil {
			return err
		}
	}
	if quick && c.Kind != index.Pack {
		return nil
	}
	file, err := f.Open(name)
	if err != nil {
		sc.res.Bad++
		s.problem(c.ID, name, err)
		return nil
	}
	defer file.Close()
	if quick {
		if _, err := pack.Open(file, c.Size); err != nil {
			return sc.table(c, name, err)
		}
		return nil
	}
	if _, err := file.Evict(); err != nil {
		return err
	}
	if c.Kind == index.Pack {
		return sc.pack(c, name, file)
	}
	return sc.plain(c, name, file)
}

// wasEdited reports whether the path of a container shows a file of somebody
// else that was read before.
func (sc *scrubber) wasEdited(c index.Container, f disk.FS, name string) (bool, error) {
	if c.Kind != index.Mirror || !c.Damaged {
		return false, nil
	}
	st, found, err := stat(f, name)
	if err != nil || !found {
		return false, err
	}
	return sc.s.wasRead(c.ID, st)
}

// edited reads what is left of ours in a file that somebody else changed, unless
// the mirror's check has just done so.
func (sc *scrubber) edited(c index.Container) error {
	if sc.opts.Quick || c.ReadAt >= sc.s.opened {
		return nil
	}
	_, lost, err := sc.s.salvage(sc.ctx, c)
	sc.res.Bad += lost
	sc.res.Wanted += lost
	return err
}

// away handles a container that is not where it was, or was changed: its chunks
// are looked for under its other names.
func (sc *scrubber) away(c index.Container, name string) error {
	s := sc.s
	missing := map[index.ContainerID]bool{c.ID: true}
	if err := s.relocate(sc.ctx, missing); err != nil {
		return err
	}
	if !missing[c.ID] {
		return nil
	}
	sc.res.Bad++
	s.problem(c.ID, name, fmt.Errorf("it is missing or was changed by somebody else"))
	if c.Kind == index.Mirror {
		if row, ok, err := s.cat.Path(c.Tree, c.Name); err != nil {
			return err
		} else if ok && row.Container == c.ID {
			// The next unpack installs it anew.
			b := s.cat.Batch()
			b.DropPath(c.Tree, c.Name)
			if err := b.Commit(); err != nil {
				return err
			}
		}
	}
	n, err := s.lose(c.ID)
	sc.res.Wanted += n
	return err
}

// table notes a damaged table or header of a pack. Its records stand alone.
func (sc *scrubber) table(c index.Container, name string, err error) error {
	sc.res.Bad++
	sc.s.problem(c.ID, name, err)
	return sc.mark(c)
}

func (sc *scrubber) mark(c index.Container) error {
	c, ok, err := sc.s.cat.Container(c.ID)
	if err != nil || !ok || c.Damaged {
		return err
	}
	c.Damaged = true
	b := sc.s.cat.Batch()
	b.PutContainer(c)
	return b.Commit()
}

// badChunk is a chunk that a container does not hold as it should.
type badChunk struct {
	id  chunk.ID
	err error
}

// maxBad bounds the memory of what is bad in one container: behind it the rest
// is found by the next run.
const maxBad = 1 << 20

// settle drops bad places and enters when the good ones were read.
func (sc *scrubber) settle(c index.Container, bad []badChunk) error {
	n := int64(0)
	for _, b := range bad {
		if ok, err := sc.passed(c, b); err != nil {
			return err
		} else if ok {
			continue
		}
		n++
		sc.res.Bad++
		if err := sc.s.badPlace(b.id, chunkKind(c), c.ID, b.err); err != nil {
			return err
		}
		left, err := sc.s.placesBut(b.id, c.ID)
		if err != nil {
			return err
		}
		switch {
		case left == 0:
			sc.res.Wanted++
		case c.Kind != index.Mirror:
			sc.res.Repaired++ // nothing but the chunk is needed of it
		}
	}
	if c.Kind == index.Mirror && n > 0 {
		sc.broken = append(sc.broken, c.ID)
		sc.bad[c.ID] = n
	}
	return nil
}

// wasRead notes that all of a container that counts was read: what was found
// bad counts no more, unless it was too much to be noted.
func (sc *scrubber) wasRead(id index.ContainerID, bad []badChunk, at int64) error {
	c, ok, err := sc.s.cat.Container(id)
	if err != nil || !ok || len(bad) == maxBad {
		return err
	}
	c.ReadAt = at
	b := sc.s.cat.Batch()
	b.PutContainer(c)
	return b.Commit()
}

// passed reports whether a chunk that could not be read, because the device
// failed, can be read now.
func (sc *scrubber) passed(c index.Container, b badChunk) (bool, error) {
	if !disk.IsIOError(b.err) {
		return false, nil
	}
	places, err := sc.s.cat.Places(b.id)
	for _, p := range places {
		if p.Container == c.ID {
			_, rerr := sc.s.readTwice(b.id, chunkKind(c), p, nil)
			return rerr == nil, err
		}
	}
	return false, err
}

func (sc *scrubber) pack(c index.Container, name string, file disk.File) error {
	ch := &changes{s: sc.s}
	var bad []badChunk
	now := sc.s.now().Unix()
	tableErr, err := pack.Check(file, c.Size, func(p pack.Place, err error) error {
		if cerr := sc.ctx.Err(); cerr != nil {
			return cerr
		}
		sc.res.Chunks++
		sc.res.Bytes += int64(p.StoredLen)
		sc.s.report.Add(int64(p.StoredLen), 0)
		if err != nil {
			if len(bad) < maxBad {
				bad = append(bad, badChunk{p.ID, err})
			}
			return nil
		}
		ch.batch().AddPlace(p.ID, index.Place{
			Container: c.ID, Offset: p.Offset, StoredLen: p.StoredLen, PlainLen: p.PlainLen,
			Encoding: uint8(p.Encoding), ReadAt: now,
		})
		return ch.flush(1000)
	})
	if cerr := sc.ctx.Err(); cerr != nil {
		return cerr
	}
	if err != nil {
		tableErr = cmpErr(tableErr, err)
	}
	if err := ch.flush(1); err != nil {
		return err
	}
	if tableErr != nil {
		if err := sc.table(c, name, tableErr); err != nil {
			return err
		}
		return sc.settle(c, bad) // records that it did not find were not read
	}
	if err := sc.settle(c, bad); err != nil {
		return err
	}
	return sc.wasRead(c.ID, bad, now)
}

// plain reads a plain file, from where an earlier run stopped to its end: each
// chunk against its ID, and that nothing lies between them. What ends the run
// on the way keeps what was read.
func (sc *scrubber) plain(c index.Container, name string, file disk.File) error {
	ch := &changes{s: sc.s}
	var bad []badChunk
	off, begun := sc.resume(c)
	from := off
	pb := buffers.Get().(*[]byte)
	defer buffers.Put(pb)
	var gap error // there is something between the chunks, or it could not be read
	err := sc.s.cat.ContainerChunks(c.ID, func(at int64, id chunk.ID, n uint32) error {
		if at < from {
			return nil
		}
		if err := sc.spent(); err != nil {
			return err
		}
		if err := sc.gap(c, file, off, at, &gap); err != nil {
			return err
		}
		*pb = roomFor(*pb, int64(n))
		p := index.Place{Container: c.ID, Offset: at, StoredLen: n, PlainLen: n, ReadAt: sc.s.now().Unix()}
		_, err := readPlain(file, id, p, *pb)
		sc.res.Chunks++
		sc.res.Bytes += int64(n)
		sc.s.report.Add(int64(n), 0)
		if err != nil && !condemns(err) {
			return err
		}
		off = at + int64(n)
		if err != nil {
			if len(bad) < maxBad {
				bad = append(bad, badChunk{id, err})
			}
			return nil
		}
		ch.batch().AddPlace(id, p)
		return ch.flush(1000)
	})
	if err == nil {
		err = sc.gap(c, file, off, c.Size, &gap)
	}
	if err != nil && !stops(err) {
		return err
	}
	if err := ch.flush(1); err != nil {
		return err
	}
	if err := sc.settle(c, bad); err != nil {
		return err
	}
	if gap != nil {
		if err := sc.filled(c, name, gap); err != nil {
			return err
		}
	}
	if err != nil {
		if len(bad) == maxBad {
			return err // what was too much to be noted is read again
		}
		return cmpErr(sc.pause(c, off, begun), err)
	}
	return sc.wasRead(c.ID, bad, begun)
}

// gap reads what lies between two chunks of a plain file and notes what is wrong
// with it. The error is one that ends the run.
func (sc *scrubber) gap(c index.Container, file disk.File, off, end int64, wrong *error) error {
	if off >= end || c.Kind == index.Staging {
		return nil
	}
	err := sc.empty(file, off, end)
	if stops(err) {
		return err
	}
	sc.s.report.Add(end-off, 0)
	*wrong = cmpErr(*wrong, err)
	return nil
}

// filled notes a file that has something between its chunks: one of them that
// was found bad before, or bytes where a hole should be.
func (sc *scrubber) filled(c index.Container, name string, gap error) error {
	sc.res.Bad++
	sc.s.problem(c.ID, name, gap)
	if c.Kind == index.Mirror && sc.bad[c.ID] == 0 {
		sc.broken = append(sc.broken, c.ID)
		sc.bad[c.ID] = 1
	}
	return sc.mark(c)
}
