package chunkstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"waterlock/index"
	"waterlock/internal/disk"
	"waterlock/internal/wire"
)

// Scrubbing begins with what was read longest ago, so whatever ends a run, the
// next goes on behind it: each container says when it was read. Within one
// container, which may have terabytes, a cursor in the catalog does: all of it
// before the offset was read, and begun is when its first byte was. A cursor
// holds for the very inode it was made for. Packs are small and read whole.

const metaScrub = "scrubbing"

// cursor is how far scrubbing came within a plain file. Zero: there is none.
type cursor struct {
	id    index.ContainerID
	node  inode
	off   int64
	begun int64 // unix seconds
}

func (c cursor) encode() []byte {
	var w wire.Writer
	w.Uvarint(uint64(c.id))
	c.node.encode(&w)
	w.Uvarint(uint64(c.off))
	w.Varint(c.begun)
	return w.Bytes()
}

// cursor reads where the last run stopped. What does not decode is none.
func (s *Store) cursor() (cursor, error) {
	b, err := s.cat.Meta(metaScrub)
	if err != nil || len(b) == 0 {
		return cursor{}, err
	}
	r := wire.NewReader(b)
	c := cursor{id: index.ContainerID(r.Uvarint()), node: decodeInode(r), off: int64(r.Uvarint()), begun: r.Varint()}
	if r.Done() != nil || c.off <= 0 {
		return cursor{}, nil
	}
	return c, nil
}

func (s *Store) setCursor(c cursor) error {
	b := s.cat.Batch()
	b.SetMeta(metaScrub, c.encode())
	return b.Commit()
}

// resume is where reading a plain file begins, and when its first byte was read:
// behind what an earlier run has read, unless all of it was read since.
func (sc *scrubber) resume(c index.Container) (off, begun int64) {
	if sc.at.id == c.ID && sc.at.node == containerInode(c) && c.ReadAt < sc.at.begun {
		return sc.at.off, sc.at.begun
	}
	return 0, sc.s.now().Unix()
}

// pause keeps how far a plain file was read.
func (sc *scrubber) pause(c index.Container, off, begun int64) error {
	if off == 0 {
		return nil
	}
	return sc.s.setCursor(cursor{c.ID, containerInode(c), off, begun})
}

// errSpent ends a run whose budget is used up.
var errSpent = errors.New("the budget is used up")

// spent tells whether the budget is used up; of a run that is cancelled it is
// the cause.
func (sc *scrubber) spent() error {
	if err := sc.ctx.Err(); err != nil {
		return err
	}
	if sc.opts.Bytes > 0 && sc.res.Bytes >= sc.opts.Bytes || !sc.opts.Until.IsZero() && !sc.s.now().Before(sc.opts.Until) {
		return errSpent
	}
	return nil
}

// stops reports whether an error ends a run and says nothing about what is read.
func stops(err error) bool {
	return errors.Is(err, errSpent) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// empty reads what lies between two chunks of a plain file: a hole, or zeros
// that it reads as. What the file system says is a hole is not read.
func (sc *scrubber) empty(file disk.File, off, end int64) error {
	pb := buffers.Get().(*[]byte)
	defer buffers.Put(pb)
	buf := readBuffer(pb)
	for off < end {
		start, stop, err := file.Data(off)
		if errors.Is(err, io.EOF) || err == nil && start >= end {
			return nil
		}
		if err != nil {
			return err
		}
		for off = start; off < min(stop, end); {
			if err := sc.ctx.Err(); err != nil {
				return err
			}
			part := buf[:min(int64(len(buf)), min(stop, end)-off)]
			if n, err := file.ReadAt(part, off); n < len(part) {
				return cmpErr(err, io.ErrUnexpectedEOF)
			}
			if i := slices.IndexFunc(part, func(b byte) bool { return b != 0 }); i >= 0 {
				return fmt.Errorf("offset %d: there is data where only a chunk could have some", off+int64(i))
			}
			off += int64(len(part))
		}
	}
	return nil
}
