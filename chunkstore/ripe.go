package chunkstore

import (
	"context"
	"errors"
	"fmt"
	"io"

	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/snapshot"
)

// prepareGrown completes the file that grows for the path and stages it. It is
// false where none grows, or one that is rather another version: that one is
// left alone, and its chunks are read like any others.
func (b *Batch) prepareGrown(ctx context.Context, v *volume, at *place, it *item) (bool, error) {
	a := &it.act
	g := &growth{s: b.s, v: v, path: a.path, id: b.s.growing.of(v.Tree, a.path), at: at}
	if g.id == 0 {
		return false, nil
	}
	var err error
	if g.have, err = b.s.chunksOf(g.id); err != nil {
		return false, whole(err)
	}
	if c := compare(chunksIn(a.entry.Content), g.have); c.kept == 0 || bytesIn(c.clash) > c.kept {
		return false, nil
	}
	if err := g.complete(ctx, a.entry); err != nil {
		return false, assembleError(err)
	}
	a.kind, a.cont, a.fresh, a.unkeep, a.stage = actPlace, g.id, true, true, b.s.number()
	if err := v.FS.Link(g.name(), v.shelf.stageName(a.stage)); err != nil {
		return false, err
	}
	if err := b.s.dress(v, a); err != nil {
		return false, err
	}
	it.grown = g
	it.do, it.res.Way, it.res.Bytes = true, Assembled, a.entry.Size
	return true, nil
}

// complete writes what the growing file does not have yet of the entry. What
// counts in it is not touched, and nothing is recorded: after a crash it is
// written again. The whole is read back like any file's.
func (g *growth) complete(ctx context.Context, e *snapshot.Entry) error {
	c := compare(chunksIn(e.Content), g.have)
	sh, err := g.s.sharingWith(g.v, g.at, c.missing)
	if err != nil {
		return whole(err)
	}
	if err := g.evict(ctx, merged(c.clash, c.loose)); err != nil {
		return err
	}
	f, err := g.v.FS.OpenWrite(g.name())
	if err != nil {
		return err
	}
	sh, err = g.s.share(ctx, g.v, sh, g.name())
	if err == nil {
		err = g.s.fill(ctx, g.v, f, c.missing, sh)
	}
	if err == nil {
		err = zeroHoles(ctx, f, e.Content)
	}
	if err == nil {
		err = f.Truncate(e.Size)
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// mendGrown puts a grown file right that reads back wrong: chunks of it that
// count are read again, and all else is written anew.
func (b *Batch) mendGrown(ctx context.Context, v *volume, it *item) error {
	g := it.grown
	f, err := v.FS.Open(g.name())
	if err != nil {
		return err
	}
	bad, err := g.readBack(ctx, f, g.have)
	f.Close() // was only read
	if err != nil {
		return err
	}
	for _, p := range bad {
		if err := b.s.badPlace(p.id, chunk.Data, g.id, ErrReadBack); err != nil {
			return whole(err)
		}
	}
	g.have = without(g.have, bad)
	if err := b.s.allThere(it.act.entry); err != nil {
		return err
	}
	if err := g.complete(ctx, it.act.entry); err != nil {
		return assembleError(err)
	}
	if err := b.s.dress(v, &it.act); err != nil {
		return err
	}
	for _, o := range b.items {
		if o.do && o.act.cont == g.id {
			o.act.node = it.act.node
		}
	}
	return v.FS.SyncFiles([]string{v.shelf.stageName(it.act.stage)})
}

// dress gives a staged file the metadata of its entry, and notes what it is then.
func (s *Store) dress(v *volume, a *action) error {
	name := v.shelf.stageName(a.stage)
	if err := s.setMeta(v.FS, name, a.entry); err != nil {
		return err
	}
	st, err := v.FS.Stat(name)
	if err == nil {
		a.node = inodeOf(st)
	}
	return err
}

// fill writes chunks at their offsets, but for what the file shares already.
func (s *Store) fill(ctx context.Context, v *volume, f disk.File, list []placed, sh sharing) error {
	if err := s.room(v.shelf, bytesIn(list)-sh.bytes()); err != nil {
		return err
	}
	var content []snapshot.Extent
	var where []placed
	for _, p := range list {
		if len(outside(p, sh.spans)) > 0 {
			content, where = append(content, snapshot.Extent{ID: p.id, Length: p.len}), append(where, p)
		}
	}
	i := 0
	return s.pieces(ctx, content, func(p piece) error {
		if p.err != nil {
			return p.err
		}
		at := where[i]
		i++
		for _, part := range outside(at, sh.spans) {
			plain := p.plain[part.off-at.off : part.end-at.off]
			if n, err := f.WriteAt(plain, part.off); err != nil {
				return err
			} else if n < len(plain) {
				return io.ErrShortWrite
			}
		}
		return nil
	})
}

var zeros [256 << 10]byte

// zeroHoles makes sure that holes of the content read as zeros: chunks may have
// been there that count no longer.
func zeroHoles(ctx context.Context, f disk.File, content []snapshot.Extent) error {
	var off int64
	for _, x := range content {
		end := off + x.Length
		for x.Hole && off < end {
			if err := ctx.Err(); err != nil {
				return err
			}
			from, to, err := f.Data(off)
			if errors.Is(err, io.EOF) || err == nil && from >= end {
				break
			}
			if err != nil {
				return err
			}
			to = min(to, end, from+int64(len(zeros)))
			if _, err := f.WriteAt(zeros[:to-from], from); err != nil {
				return err
			}
			off = to
		}
		off = end
	}
	return nil
}

// assembleError says what went wrong with a file in words of this package.
func assembleError(err error) error {
	var c *ChunkError
	switch {
	case disk.IsNoSpace(err):
		return fmt.Errorf("%w: %w", ErrNoRoom, err)
	case errors.As(err, &c) && errors.Is(err, ErrNoPlace):
		lack := &LackingError{}
		lack.add(c.ID)
		return fmt.Errorf("%w: %w", lack, err)
	}
	return err
}

// merged joins two lists that are in the order of their offsets into one.
func merged(a, b []placed) []placed {
	out := make([]placed, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if a[0].off < b[0].off {
			out, a = append(out, a[0]), a[1:]
		} else {
			out, b = append(out, b[0]), b[1:]
		}
	}
	return append(append(out, a...), b...)
}
