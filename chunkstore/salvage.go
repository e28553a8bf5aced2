package chunkstore

import (
	"context"
	"errors"

	"waterlock/index"
	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/internal/wire"
)

// Where somebody else writes into a file of the mirror, most of its chunks often
// are still there, and perhaps nowhere else: a large file that was edited in
// place. They are read, and those that are right go on counting as long as the
// file lies at its path, so that it is put right from itself and home carries
// again only what was written over. The file is foreign all the same: it moves
// to foreign/ when its path is taken, and from then on nothing counts on it.
//
// Until then it may take some trips, so the catalog notes the inode that was
// read: as long as the path shows that one, only Scrub reads it again.

const metaEdited = "edited "

// wasRead reports whether a path shows the file of somebody else that was read
// when the container was salvaged.
func (s *Store) wasRead(id index.ContainerID, st disk.Stat) (bool, error) {
	b, err := s.cat.Meta(metaEdited + hexNumber(id))
	if err != nil || len(b) == 0 {
		return false, err
	}
	r := wire.NewReader(b)
	n := decodeInode(r)
	return r.Done() == nil && n.is(st), nil
}

// noteRead notes the file of somebody else that was read.
func noteRead(b *index.Batch, id index.ContainerID, st disk.Stat) {
	var w wire.Writer
	inodeOf(st).encode(&w)
	b.SetMeta(metaEdited+hexNumber(id), w.Bytes())
}

// salvage reads what is left of a container whose file somebody else changed,
// and drops the places that are not right any more; lost counts the chunks that
// then have no place left, and are wants. Where nothing is left it does nothing,
// and some is false.
func (s *Store) salvage(ctx context.Context, c index.Container) (some bool, lost int64, err error) {
	f, name, err := s.locate(c)
	if err != nil {
		return false, 0, err
	}
	before, found, err := stat(f, name)
	if err != nil || !found {
		return false, 0, err
	}
	began := s.now().Unix()
	bad, some, err := s.readLeft(ctx, f, name, c)
	if err != nil || !some {
		return false, 0, err
	}
	b := s.cat.Batch()
	if after, found, err := stat(f, name); err == nil && found && inodeOf(before).is(after) {
		noteRead(b, c.ID, after)
	}
	for _, p := range bad {
		b.DropPlaceAt(p.id, c.ID, p.off)
		left, err := s.placesBut(p.id, c.ID)
		if err != nil {
			return false, 0, err
		}
		if left == 0 {
			lost++
			b.PutWant(p.id, index.Want{Kind: chunk.Data})
		}
	}
	c.Damaged, c.ReadAt = true, began
	b.PutContainer(c)
	return true, lost, b.Commit()
}

// readLeft reads a file cold that somebody else changed and returns the chunks
// that are not there any more, and whether others are.
func (s *Store) readLeft(ctx context.Context, f disk.FS, name string, c index.Container) (bad []placed, some bool, err error) {
	s.handles.forget(c.ID) // it may be another inode
	if err := f.SyncFiles([]string{name}); err != nil {
		return nil, false, err
	}
	file, err := f.Open(name)
	if err != nil {
		return nil, false, err
	}
	defer file.Close()
	if _, err := file.Evict(); err != nil {
		return nil, false, err
	}
	list, err := s.chunksOf(c.ID)
	if err != nil {
		return nil, false, err
	}
	pb := buffers.Get().(*[]byte)
	defer buffers.Put(pb)
	for _, p := range list {
		if err := ctx.Err(); err != nil {
			return nil, false, err
		}
		*pb = roomFor(*pb, p.len)
		_, err := readPlain(file, p.id, index.Place{Offset: p.off, PlainLen: uint32(p.len)}, *pb)
		switch {
		case err == nil:
			some = true
		case condemns(err):
			bad = append(bad, p)
		default:
			return nil, false, err
		}
	}
	return bad, some, nil
}

// settleForeign ends what the containers of foreign files were good for, now
// that these have left their paths: chunks that lie nowhere else are put into
// history. Those that cannot be become wants.
func (s *Store) settleForeign(rec *record, void map[int]bool, was map[int]index.ContainerID) error {
	for i, id := range was {
		c, ok, err := s.cat.Container(id)
		if err != nil {
			return err
		}
		a := &rec.acts[i]
		if !ok || void[i] || !c.Missing {
			continue
		}
		s.handles.forget(id)
		missing := map[index.ContainerID]bool{id: true}
		if err := s.relocate(context.Background(), missing); err != nil {
			return err
		}
		if !missing[id] {
			continue
		}
		if err := s.rescue(s.vols[a.tree].FS, a.foreign, id); err != nil {
			s.report.Verbose("%s: %v", a.foreign, err)
		}
		if _, err := s.lose(id); err != nil {
			return err
		}
	}
	return nil
}

// foreignOf are the containers of the files that a record moves to foreign/.
func (s *Store) foreignOf(rec *record) (map[int]index.ContainerID, error) {
	was := map[int]index.ContainerID{}
	for i := range rec.acts {
		a := &rec.acts[i]
		if a.kind == actGrow || a.kind == actDrop || a.old != oldForeign || a.isDir {
			continue
		}
		row, ok, err := s.cat.Path(a.tree, a.path)
		if err != nil {
			return nil, err
		}
		if ok && row.Container != 0 && row.Container != a.cont {
			was[i] = row.Container
		}
	}
	return was, nil
}

// rescue puts the chunks of a container that lie nowhere else into history, from
// where its file lies now.
func (s *Store) rescue(f disk.FS, name string, id index.ContainerID) error {
	list, err := s.chunksOf(id)
	if err != nil {
		return err
	}
	var file disk.File
	pb := buffers.Get().(*[]byte)
	defer buffers.Put(pb)
	for _, p := range list {
		if n, err := s.placesBut(p.id, id); err != nil {
			return err
		} else if n > 0 {
			continue
		}
		if file == nil {
			if file, err = f.Open(name); err != nil {
				return err
			}
			defer file.Close()
		}
		*pb = roomFor(*pb, p.len)
		plain, err := readPlain(file, p.id, index.Place{Offset: p.off, PlainLen: uint32(p.len)}, *pb)
		if err != nil {
			continue // it becomes a want
		}
		st, err := s.encode(chunk.Data, plain)
		if err != nil {
			return err
		}
		if err := s.putHistory(st, chunk.Data); err != nil {
			return errors.Join(err, s.FlushHistory())
		}
	}
	return s.FlushHistory()
}
