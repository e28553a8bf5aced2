package chunkstore

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"waterlock/index"
	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/snapshot"
)

// A file begins to grow with so many bytes that the vault has nowhere else.
// Fewer are put into history: an inode and records are much for little.
const defaultGrowFrom = 16 << 20

// One record counts at most so much of a growing file. A crash costs what was
// written since the last.
const (
	growBytes  = 1 << 30
	growChunks = 16384
)

// Grow takes from the drive what a file of which chunks are still lacking needs
// and the vault does not have: each chunk is written once, at its offset in a
// file that grows in staging for the path, and counts as soon as it was read
// back cold and a record says so. content is what is known of the file: chunks
// at their offsets, with holes for what is not, or not yet. The file takes the
// path when an Install of the whole entry finds the rest at hand.
//
// Of the result only Grown and Err mean something. Little is left to history,
// and Grown is 0. What was written before an error counts all the same.
func (s *Store) Grow(ctx context.Context, tree string, e *snapshot.Entry, content []snapshot.Extent) (Result, error) {
	res := Result{Op: Install, Tree: tree, Path: e.Path}
	if err := s.usable(); err != nil {
		return res, err
	}
	v := s.vols[tree]
	if v == nil {
		res.Err = fmt.Errorf("tree %q has no volume", tree)
		return res, nil
	}
	if res.Err = errors.Join(e.Validate(), v.allowed(e.Path), index.CheckPath(tree, e.Path)); res.Err != nil {
		return res, nil
	}
	res.Grown, res.Err = s.grow(ctx, v, e, content)
	var f *fatal
	if errors.As(res.Err, &f) {
		return res, res.Err
	}
	return res, ctx.Err()
}

// grow is Grow that returns the bytes written. A fatal error is one of the store.
func (s *Store) grow(ctx context.Context, v *volume, e *snapshot.Entry, content []snapshot.Extent) (written int64, err error) {
	want := chunksIn(content)
	fresh, err := s.onlyOnDrive(want, e.Size)
	if err != nil || len(fresh) == 0 {
		return 0, whole(err)
	}
	g := &growth{s: s, v: v, path: e.Path, id: s.growing.of(v.Tree, e.Path)}
	if g.have, err = s.chunksOf(g.id); err != nil {
		return 0, whole(err)
	}
	if c := compare(want, g.have); bytesIn(c.clash) > c.kept {
		g.id, g.have = 0, nil // it is another file by now
	} else if err := g.evict(ctx, overlapping(c.clash, fresh)); err != nil {
		return 0, err
	}
	if g.id == 0 && bytesIn(fresh) < s.cfg.GrowFrom {
		return 0, nil
	}
	for len(fresh) > 0 {
		n := 0
		for bytes := int64(0); n < len(fresh) && n < growChunks && bytes < growBytes; n++ {
			bytes += fresh[n].len
		}
		k, err := g.write(ctx, fresh[:n])
		written += k
		if err != nil {
			return written, err
		}
		fresh = fresh[n:]
	}
	return written, nil
}

// onlyOnDrive are the chunks that the drive has and the vault has not.
func (s *Store) onlyOnDrive(want []placed, size int64) (fresh []placed, err error) {
	if s.driveSource() == nil {
		return nil, nil
	}
	for _, p := range want {
		has, err := s.cat.Has(p.id)
		if err != nil {
			return nil, err
		}
		if has || p.end() > size {
			continue
		}
		d, ok, err := s.cat.Drive(p.id)
		if err != nil {
			return nil, err
		}
		if ok && int64(d.PlainLen) == p.len {
			fresh = append(fresh, p)
		}
	}
	return fresh, nil
}

// growth is a growing file that is being written.
type growth struct {
	s     *Store
	v     *volume
	path  string
	id    index.ContainerID // 0: it has not begun
	have  []placed          // chunks of it that count
	at    *place            // of one that is completed: what the path shows
	began int64             // unix seconds: what is added was read back then or later
}

func (g *growth) name() string { return g.v.shelf.growName(g.id) }

// write adds chunks to the file:
//
//  1. write them at their offsets
//  2. sync the file, and its name if it is new
//  3. read them back cold, each against its ID
//  4. disk.Put of a record: from here on they count
//  5. their rows
//
// A chunk that cannot be read from the drive, or does not read back in five
// tries, is left out. It returns the bytes that count.
func (g *growth) write(ctx context.Context, list []placed) (int64, error) {
	g.began = g.s.now().Unix()
	f, err := g.open()
	if err != nil {
		return 0, noRoom(err)
	}
	defer f.Close()
	done, full, err := g.put(ctx, f, list)
	for try := 1; err == nil && len(done) > 0; try++ {
		if err = f.Sync(); err != nil { // step 2
			break
		}
		if err = g.v.FS.SyncDir(g.v.shelf.stagingDir()); err != nil {
			break
		}
		var bad []placed
		if bad, err = g.readBack(ctx, f, done); err != nil || len(bad) == 0 { // step 3
			break
		}
		if try == assemblies {
			done = without(done, bad)
			break
		}
		g.s.report.Warn("%s: %d chunks of it read back wrong; writing them again", g.v.name(g.path), len(bad))
		_, _, err = g.put(ctx, f, bad)
	}
	if err == nil && len(done) > 0 {
		err = whole(g.record(f, nil, done)) // steps 4 and 5
	}
	if err != nil {
		return 0, noRoom(err)
	}
	return bytesIn(done), full
}

// open opens the growing file, and begins one where there is none.
func (g *growth) open() (disk.File, error) {
	if g.id != 0 {
		return g.v.FS.OpenWrite(g.name())
	}
	g.id = g.s.number()
	return g.v.FS.Create(g.name(), 0o600)
}

// put writes chunks at their offsets. done are those that were written; full
// says that there is no room for the others.
func (g *growth) put(ctx context.Context, f disk.File, list []placed) (done []placed, full, err error) {
	pb := buffers.Get().(*[]byte)
	defer buffers.Put(pb)
	for _, p := range list {
		if err := ctx.Err(); err != nil {
			return done, nil, err
		}
		if err := g.s.room(g.v.shelf, p.len); err != nil {
			return done, err, nil
		}
		*pb = roomFor(*pb, p.len)
		plain, err := g.s.Get(p.id, chunk.Data, p.len, *pb)
		var lost *ChunkError
		if errors.As(err, &lost) {
			continue // named by the drive
		}
		if err != nil {
			return done, nil, err
		}
		if _, err := f.WriteAt(plain, p.off); disk.IsNoSpace(err) {
			return done, noRoom(err), nil
		} else if err != nil {
			return done, nil, err
		}
		done = append(done, p)
	}
	return done, nil, nil
}

// readBack reads chunks cold and returns those that are not what they should be.
func (g *growth) readBack(ctx context.Context, f disk.File, list []placed) (bad []placed, err error) {
	if _, err := f.Evict(); err != nil {
		return nil, err
	}
	pb := buffers.Get().(*[]byte)
	defer buffers.Put(pb)
	for _, p := range list {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		*pb = roomFor(*pb, p.len)
		if _, err := readPlain(f, p.id, index.Place{Offset: p.off, PlainLen: uint32(p.len)}, *pb); err != nil {
			bad = append(bad, p)
		}
	}
	_, err = f.Evict()
	return bad, err
}

// record makes a record of what became of the file, and enters its rows.
func (g *growth) record(f disk.File, gone, grown []placed) error {
	st, err := f.Stat()
	if err != nil {
		return err
	}
	have := append(without(g.have, gone), grown...)
	slices.SortFunc(have, byOffset)
	a := action{
		kind: actGrow, old: oldNone, tree: g.v.Tree, path: g.path, cont: g.id, fresh: len(g.have) == 0,
		node: inode{st.Ino, endOf(have), st.MTime}, gone: gone, grown: grown,
	}
	if _, err := g.s.install(&record{time: g.s.now().Unix(), acts: []action{a}}, g.began); err != nil {
		return err
	}
	g.have = have
	return nil
}

// evict takes chunks out of the file, so that others can be written in their
// place: those that the vault has nowhere else go to history first.
//
//  1. write them to history, durably
//  2. disk.Put of a record: from here on they do not count here
//  3. their rows
func (g *growth) evict(ctx context.Context, list []placed) error {
	if len(list) == 0 {
		return nil
	}
	c := g.s.newCompactor(CompactOptions{})
	c.gone[g.id] = true
	pb := buffers.Get().(*[]byte)
	defer buffers.Put(pb)
	for _, p := range list {
		if err := ctx.Err(); err != nil {
			return err
		}
		if ok, err := c.heldElsewhere(p.id, chunk.Data, p.len, pb); err != nil {
			return err
		} else if ok {
			continue
		}
		*pb = roomFor(*pb, p.len)
		place := index.Place{Container: g.id, Offset: p.off, StoredLen: uint32(p.len), PlainLen: uint32(p.len)}
		plain, err := g.s.readTwice(p.id, chunk.Data, place, *pb)
		if err != nil && condemns(err) {
			if err := g.s.badPlace(p.id, chunk.Data, g.id, err); err != nil {
				return whole(err)
			}
			continue
		}
		if err != nil {
			return err
		}
		st, err := g.s.encode(chunk.Data, plain)
		if err != nil {
			return err
		}
		if err := g.s.putHistory(st, chunk.Data); err != nil {
			return err
		}
	}
	if err := g.s.FlushHistory(); err != nil {
		return err
	}
	f, err := g.v.FS.Open(g.name())
	if err != nil {
		return err
	}
	defer f.Close()
	for len(list) > 0 {
		n := min(len(list), maxPlaced)
		if err := g.record(f, list[:n], nil); err != nil {
			return whole(err)
		}
		list = list[n:]
	}
	return nil
}
