package vault

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"golang.org/x/sync/errgroup"

	"waterlock/internal/chunk"
	"waterlock/internal/courier"
	"waterlock/internal/disk"
	"waterlock/pack"
	"waterlock/snapshot"
)

// tally is what one pass over the files found.
type tally struct {
	brings struct {
		Files, Bytes, Parts int64
		cover               courier.CoverBuilder
	}
	LeftFiles, LeftBytes int64
}

// passes goes over the files until no pack was lost on the way: then every chunk of what the return brings lies in a pack
// that was read back.
func (h *sending) passes(ctx context.Context) error {
	for {
		h.packer.lost, h.packer.full, h.packer.recordsFull = false, false, false
		if err := h.pass(ctx); err != nil {
			return err
		}
		if err := h.packer.finish(); err != nil {
			return err
		}
		h.named = true
		if !h.packer.lost {
			h.result.LeftFiles, h.result.LeftBytes = h.LeftFiles, h.LeftBytes
			h.result.Room = max(0, h.packer.budget)
			h.result.Interrupted = h.stopped() && h.LeftFiles > 0
			return nil
		}
	}
}

// pass goes over the files once, in the order of the streams.
func (h *sending) pass(ctx context.Context) error {
	if h.packer.dry {
		h.rep.Phase("what there is to carry", 0, 0)
	} else {
		h.rep.Phase("packing", h.toCarry.bytes, h.toCarry.files)
	}
	h.tally = tally{}
	r := h.result
	r.LandedFiles, r.LandedBytes, r.AboardFiles, r.AboardBytes, r.Lacking = 0, 0, 0, 0, 0
	for i := range h.trees {
		p := &treePass{h: h, tree: h.trees[i].record.Name, groups: map[uint64]bool{}}
		sel := h.trees[i].sel.Again()
		for {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			e, err := sel.Next()
			var gap *snapshot.GapError
			switch {
			case errors.As(err, &gap):
				h.brings.cover.Break() // named when the streams were packed
				continue
			case err == io.EOF:
			case err != nil:
				return err
			case e.Kind != disk.KindFile:
				continue
			default:
				if err := p.file(ctx, e); err != nil {
					return err
				}
				continue
			}
			break
		}
	}
	return nil
}

// treePass is a pass over one tree.
type treePass struct {
	h      *sending
	tree   string
	groups map[uint64]bool // of inodes with several names, of which one is on its way; true: in this return
}

// maxGroups bounds the inodes with several names that are remembered. The content of others goes once for each name.
const maxGroups = 1 << 21

// group notes that one name of an inode is on its way: the new home makes the others when it comes. Where one has come and
// another is not there, making it failed, and its content goes once more.
func (p *treePass) group(e *snapshot.Entry, comes bool) {
	if e.LinkGroup != 0 && len(p.groups) < maxGroups {
		p.groups[e.LinkGroup] = comes
	}
}

// file decides about one file, and packs what of it is needed.
func (p *treePass) file(ctx context.Context, e *snapshot.Entry) error {
	h, size := p.h, e.ContentSize()
	whole, landed := h.inLanding(p.tree, e.Path)
	if whole {
		h.result.LandedFiles++
		h.result.LandedBytes += size
		h.brings.cover.Break()
		return nil
	}
	whole, aboard := inAny(h.aboard, p.tree, e.Path)
	pieces := append(landed, aboard...)
	need := needed(e, pieces)
	comes, link := p.groups[e.LinkGroup]
	if whole || link && !comes || len(pieces) > 0 && !slices.Contains(need, true) {
		h.result.AboardFiles++
		h.result.AboardBytes += size
		h.brings.cover.Break()
		p.group(e, false)
		return nil
	}
	if e.Hash.IsZero() {
		p.lacks(e, errors.New("its content has never been carried to the vault"))
		return nil
	}
	if link {
		p.whole(e, nil)
		return nil
	}
	lacking, err := h.v.lackingOf(e)
	if err != nil {
		return err
	}
	if lacking > 0 {
		p.lacks(e, fmt.Errorf("%d chunks of it are not in the vault", lacking))
		return nil
	}
	complete, err := p.carry(ctx, e, need)
	var bad *unreadable
	switch {
	case errors.As(err, &bad):
		p.lacks(e, err)
	case err != nil:
		return err
	case complete:
		p.whole(e, need)
	default:
		p.part(e, need)
	}
	return nil
}

// whole notes a file of which all that is needed is aboard.
func (p *treePass) whole(e *snapshot.Entry, need []bool) {
	h := p.h
	h.brings.Files++
	for i, needed := range need {
		if needed {
			h.brings.Bytes += e.Content[i].Length
		}
	}
	h.brings.cover.Whole(p.tree, e.Path, e.Path)
	h.rep.Add(0, 1)
	p.group(e, true)
}

// part notes a file of which some fits. Only the first is split: later ones may have some chunks aboard by chance.
func (p *treePass) part(e *snapshot.Entry, need []bool) {
	h := p.h
	h.LeftFiles++
	h.brings.cover.Break()
	var here []courier.Range
	offset, aboard := int64(0), int64(0)
	for i := range e.Content {
		x := &e.Content[i]
		switch has := !x.Hole && h.packer.has(x.ID); {
		case has && need[i]:
			aboard += x.Length
			here = snapshot.AddRange(here, courier.Range{Offset: offset, Length: x.Length})
		case x.Hole:
			here = snapshot.AddRange(here, courier.Range{Offset: offset, Length: x.Length})
		case need[i]:
			h.LeftBytes += x.Length
		}
		offset += x.Length
	}
	if aboard > 0 && h.brings.Parts == 0 {
		h.brings.Parts++
		h.brings.Bytes += aboard
		h.brings.cover.Part(p.tree, e.Path, here)
	}
}

// lacks names a file that the vault cannot give back.
func (p *treePass) lacks(e *snapshot.Entry, err error) {
	p.h.result.Lacking++
	p.h.brings.cover.Break()
	if !p.h.named {
		p.h.rep.Problem(treePath(p.tree, e.Path), err)
	}
}

// needed tells which extents are chunks outside the pieces that have come, or are on their way.
func needed(e *snapshot.Entry, pieces []courier.Range) []bool {
	slices.SortFunc(pieces, func(a, b courier.Range) int { return cmp.Compare(a.Offset, b.Offset) })
	var have []courier.Range
	for _, r := range pieces {
		have = snapshot.AddRange(have, r)
	}
	need := make([]bool, len(e.Content))
	offset := int64(0)
	for i := range e.Content {
		x := &e.Content[i]
		for len(have) > 0 && have[0].End() < offset+x.Length {
			have = have[1:]
		}
		need[i] = !x.Hole && (len(have) == 0 || have[0].Offset > offset)
		offset += x.Length
	}
	return need
}

// unreadable is a chunk that the vault has and cannot read.
type unreadable struct{ err error }

func (u *unreadable) Error() string { return u.err.Error() }
func (u *unreadable) Unwrap() error { return u.err }

// carry packs the chunks of a file that are needed, as far as there is room. A few at once are read and encoded.
func (p *treePass) carry(ctx context.Context, e *snapshot.Entry, need []bool) (complete bool, err error) {
	h := p.h
	complete = true
	var row []*snapshot.Extent
	flush := func() error {
		fits, err := h.packer.encode(ctx, row)
		complete = complete && fits
		row = row[:0]
		return err
	}
	for i := range e.Content {
		x := &e.Content[i]
		if !need[i] || h.packer.has(x.ID) {
			continue
		}
		if h.packer.full || h.stopped() {
			h.packer.full = true
			complete = false
			break
		}
		if row = append(row, x); len(row) == rowSize {
			if err := flush(); err != nil {
				return false, err
			}
		}
	}
	if len(row) > 0 {
		if err := flush(); err != nil {
			return false, err
		}
	}
	return complete, nil
}

// rowSize is how many chunks are read and encoded at once.
const rowSize = 4

// slot is memory and encoder for one chunk at a time.
type slot struct {
	enc           *pack.Encoder
	plain, packed []byte
	stored        pack.Stored
}

// encode reads, encodes and appends a few chunks. fits is false where the drive has no room for one of them.
func (p *returnPacker) encode(ctx context.Context, row []*snapshot.Extent) (fits bool, err error) {
	if p.dry {
		fits = true
		for _, x := range row {
			fits = p.pretend(x.ID, x.Length) && fits
		}
		return fits, nil
	}
	g, ctx := errgroup.WithContext(ctx)
	for i, x := range row {
		if len(p.slots) == i {
			enc, err := pack.NewEncoder(0)
			if err != nil {
				return false, err
			}
			p.slots = append(p.slots, &slot{enc: enc})
		}
		s := p.slots[i]
		g.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			plain, err := p.h.v.store.Get(x.ID, chunk.Data, x.Length, s.plain)
			if err != nil {
				return &unreadable{err}
			}
			s.plain = plain[:0]
			if n := pack.EncodeBound(len(plain)); cap(s.packed) < n {
				s.packed = make([]byte, 0, n)
			}
			s.stored, err = s.enc.Encode(chunk.Data, plain, s.packed)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return false, err
	}
	fits = true
	for i, x := range row {
		ok, err := p.append(p.slots[i].stored)
		if err != nil {
			return false, err
		}
		if ok {
			p.h.rep.Add(x.Length, 0)
		}
		fits = fits && ok
	}
	return fits, nil
}
