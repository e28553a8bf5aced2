package chunkstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"waterlock/index"
	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/pack"
	"waterlock/snapshot"
)

// assemblies is how often a file is assembled when it reads back wrong.
const assemblies = 5

// prepareContent assembles a file in staging.
func (b *Batch) prepareContent(ctx context.Context, v *volume, at *place, it *item) error {
	a := &it.act
	if err := b.s.allThere(a.entry); err != nil {
		return b.growInstead(ctx, v, it, err)
	}
	if !it.stopgap {
		if ok, err := b.prepareGrown(ctx, v, at, it); ok || err != nil {
			return err
		}
	}
	if ok, err := b.prepareShared(ctx, v, at, it); ok || err != nil {
		return err
	}
	if err := b.s.room(v.shelf, dataSize(a.entry)); err != nil {
		return err
	}
	a.kind, a.cont, a.fresh = actPlace, b.s.number(), true
	a.stage = a.cont
	if err := b.s.assemble(ctx, v, a); err != nil {
		return err
	}
	it.do, it.res.Way, it.res.Bytes = true, Assembled, a.entry.Size
	return nil
}

// growInstead takes what is at hand of a file that lacks chunks.
func (b *Batch) growInstead(ctx context.Context, v *volume, it *item, lacking error) error {
	if !errors.Is(lacking, ErrLacking) || it.stopgap {
		return lacking
	}
	var err error
	it.res.Grown, err = b.s.grow(ctx, v, it.act.entry, it.act.entry.Content)
	if err != nil && !errors.Is(err, ErrNoRoom) {
		return err
	}
	return lacking
}

// dataSize is the number of bytes of an entry that are not holes.
func dataSize(e *snapshot.Entry) (n int64) {
	for _, x := range e.Content {
		if !x.Hole {
			n += x.Length
		}
	}
	return n
}

// allThere checks that every chunk of an entry is known to be at hand.
func (s *Store) allThere(e *snapshot.Entry) error {
	var lack LackingError
	for _, x := range e.Content {
		if x.Hole {
			continue
		}
		ok, err := s.HasOrDrive(x.ID)
		if err != nil {
			return whole(err)
		}
		if !ok {
			lack.add(x.ID)
		}
	}
	if lack.Count > 0 {
		return &lack
	}
	return nil
}

func (e *LackingError) add(id chunk.ID) {
	e.Count++
	if len(e.Chunks) < 64 {
		e.Chunks = append(e.Chunks, id)
	}
}

// Room that is always left free, for records and directories; on the file
// system of the catalog also for that, which does not open without and grows.
const (
	roomLeft  = 16 << 20
	growsLeft = 64 << 20
	roomLooks = 64
)

// leftFree is what of a file system of so many bytes is left free.
func leftFree(total int64, hasCatalog bool) int64 {
	if hasCatalog {
		return index.MinFree + min(growsLeft, total/16)
	}
	return min(roomLeft, total/64)
}

// hasCatalog reports whether the catalog lies on a file system.
func (s *Store) hasCatalog(f disk.FS) bool {
	st, err := f.Stat(".")
	return err == nil && s.indexDev != 0 && st.Dev == s.indexDev
}

// room checks that n bytes can be written. Small files are counted against the
// last look at the file system.
func (s *Store) room(sh *shelf, n int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sh.looks == 0 || n > 1<<20 {
		avail, err := s.avail(sh.fs)
		if err != nil {
			return err
		}
		sh.avail, sh.looks = avail, roomLooks
	}
	sh.looks--
	if n > sh.avail {
		sh.looks = 0
		return &RoomError{n, max(sh.avail, 0)}
	}
	sh.avail -= n
	return nil
}

// avail is the room of a file system, less what is always left free.
func (s *Store) avail(f disk.FS) (int64, error) {
	sp, err := f.Free()
	if err != nil {
		return 0, err
	}
	return sp.Avail - leftFree(sp.Total, s.hasCatalog(f)), nil
}

// assemble writes the content of an entry into its staged name, with its
// metadata. It is not durable yet.
func (s *Store) assemble(ctx context.Context, v *volume, a *action) error {
	name := v.shelf.stageName(a.stage)
	f, err := v.FS.Create(name, 0o600)
	if err != nil {
		return err
	}
	sum, err := s.writeContent(ctx, f, a.entry)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil && sum != a.entry.Hash {
		err = fmt.Errorf("chunks are right, but the content is not that of hash %x", a.entry.Hash[:8])
	}
	if err == nil {
		err = s.dress(v, a)
	}
	if err == nil {
		return nil
	}
	_ = removeIfThere(v.FS, name)
	return assembleError(err)
}

// piece is a chunk on its way from its place into a file.
type piece struct {
	plain []byte
	buf   []byte // what plain may lie in, to be used again
	hole  int64
	err   error
}

// buffers hold one chunk each.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// writeContent writes chunks and holes one after the other and returns the
// hash of the whole. While one chunk is written the next is read.
func (s *Store) writeContent(ctx context.Context, f disk.File, e *snapshot.Entry) (sum chunk.ContentHash, err error) {
	h := chunk.NewContentHasher()
	var off int64
	put := func(p piece) error {
		if p.err != nil {
			return p.err
		}
		if p.plain == nil {
			off += p.hole
			return snapshot.HashZeros(ctx, h, p.hole)
		}
		if n, err := f.WriteAt(p.plain, off); err != nil {
			return err
		} else if n < len(p.plain) {
			return io.ErrShortWrite
		}
		h.Write(p.plain)
		off += int64(len(p.plain))
		return nil
	}
	if err := s.pieces(ctx, e.Content, put); err != nil {
		return sum, err
	}
	if n := len(e.Content); n > 0 && e.Content[n-1].Hole {
		if err := f.Truncate(off); err != nil {
			return sum, err
		}
	}
	return h.Sum(), nil
}

// aheadFrom is the number of extents from which a file is worth reading ahead.
const aheadFrom = 4

// pieces calls put for each extent in order.
func (s *Store) pieces(ctx context.Context, content []snapshot.Extent, put func(piece) error) error {
	get := func(x *snapshot.Extent, buf []byte) piece {
		if x.Hole {
			return piece{hole: x.Length, buf: buf}
		}
		if err := ctx.Err(); err != nil {
			return piece{err: err}
		}
		plain, err := s.Get(x.ID, chunk.Data, x.Length, roomFor(buf, x.Length))
		if err != nil {
			return piece{err: err}
		}
		if cap(plain) > cap(buf) {
			buf = plain
		}
		return piece{plain: plain, buf: buf}
	}
	if len(content) < aheadFrom {
		pb := buffers.Get().(*[]byte)
		defer buffers.Put(pb)
		for i := range content {
			p := get(&content[i], *pb)
			if p.buf != nil {
				*pb = p.buf[:0]
			}
			if err := put(p); err != nil {
				return err
			}
		}
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	ready, free := make(chan piece, 2), make(chan []byte, 4)
	var wg sync.WaitGroup
	wg.Add(1)
	defer func() { cancel(); wg.Wait() }()
	for range cap(free) {
		free <- nil
	}
	go func() {
		defer wg.Done()
		defer close(ready)
		for i := range content {
			var buf []byte
			select {
			case buf = <-free:
			case <-ctx.Done():
				return
			}
			p := get(&content[i], buf)
			select {
			case ready <- p:
			case <-ctx.Done():
				return
			}
			if p.err != nil {
				return
			}
		}
	}()
	for p := range ready {
		if err := put(p); err != nil {
			return err
		}
		free <- p.buf[:0]
	}
	return ctx.Err()
}

// roomFor returns a buffer that a chunk of n bytes fits in.
func roomFor(buf []byte, n int64) []byte {
	if need := int(n) + pack.ReadSlack; cap(buf) < need {
		return make([]byte, 0, need)
	}
	return buf[:0]
}

// readBuffer is a buffer to read a file with, kept in pb.
func readBuffer(pb *[]byte) []byte {
	if cap(*pb) < 1<<20 {
		*pb = make([]byte, 1<<20)
	}
	return (*pb)[:cap(*pb)]
}

// copyBuffered reads r to its end into w.
func copyBuffered(ctx context.Context, w io.Writer, r io.Reader) error {
	pb := buffers.Get().(*[]byte)
	defer buffers.Put(pb)
	buf := readBuffer(pb)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := r.Read(buf)
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
