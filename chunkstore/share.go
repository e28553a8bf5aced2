package chunkstore

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"waterlock/internal/disk"
)

// A file that was edited in place shares blocks with its old version where the
// file system can: only what changed takes room and is written. Chunks are cut
// by content, so it is the inside of runs of chunks at unchanged offsets that is
// shared, down to whole blocks; the rest of them is written. What was shared is
// believed as little as what was written: the whole is read back cold.

// span is a range of a file.
type span struct{ off, end int64 }

// shareStep is how much is shared by one call.
const shareStep = 1 << 30

// shareable are the ranges of what is wanted that can be shared with a file that
// has chunks: both lists are in the order of their offsets.
func shareable(want, have []placed) (list []span) {
	var run span
	flush := func() {
		s := span{(run.off + disk.CloneAlign - 1) / disk.CloneAlign * disk.CloneAlign, run.end / disk.CloneAlign * disk.CloneAlign}
		for ; s.off < s.end; s.off += shareStep {
			list = append(list, span{s.off, min(s.end, s.off+shareStep)})
		}
	}
	i := 0
	for _, p := range want {
		for i < len(have) && have[i].off < p.off {
			i++
		}
		if i == len(have) || have[i] != p {
			continue
		}
		if p.off != run.end {
			flush()
			run.off = p.off
		}
		run.end = p.end()
	}
	flush()
	return list
}

// outside are the parts of a chunk that none of the spans covers.
func outside(p placed, spans []span) (parts []span) {
	i, _ := slices.BinarySearchFunc(spans, p.off, func(s span, off int64) int {
		if s.end <= off {
			return -1
		}
		return 1
	})
	at := p.off
	for ; i < len(spans) && spans[i].off < p.end(); i++ {
		if spans[i].off > at {
			parts = append(parts, span{at, spans[i].off})
		}
		at = spans[i].end
	}
	if at < p.end() {
		parts = append(parts, span{at, p.end()})
	}
	return parts
}

// sharing is what a file being assembled shares with the one at its path.
type sharing struct {
	from  string
	spans []span
}

// bytes is how much is shared.
func (sh sharing) bytes() (n int64) {
	for _, s := range sh.spans {
		n += s.end - s.off
	}
	return n
}

// sharingWith finds what can be shared with the version that the path shows.
func (s *Store) sharingWith(v *volume, at *place, want []placed) (sh sharing, err error) {
	if !at.ours || at.cont == nil || at.cont.Damaged || at.st.Kind != disk.KindFile || v.shelf.apart {
		return sh, nil
	}
	have, err := s.chunksOf(at.cont.ID)
	return sharing{v.name(at.path), shareable(want, have)}, err
}

// share makes the file to share what it can. Where the file system cannot share
// blocks after all, nothing is shared and it is not tried again.
func (s *Store) share(ctx context.Context, v *volume, sh sharing, to string) (sharing, error) {
	for _, r := range sh.spans {
		if err := ctx.Err(); err != nil {
			return sh, err
		}
		err := v.FS.CloneRange(sh.from, to, r.off, r.end-r.off)
		if errors.Is(err, errors.ErrUnsupported) {
			v.shelf.apart = true
			return sharing{}, nil
		}
		if err != nil {
			return sh, err
		}
	}
	return sh, nil
}

// prepareShared assembles a file from shared blocks of its old version and what
// is new. It is false where there is nothing to share.
func (b *Batch) prepareShared(ctx context.Context, v *volume, at *place, it *item) (bool, error) {
	a := &it.act
	want := chunksIn(a.entry.Content)
	sh, err := b.s.sharingWith(v, at, want)
	if err != nil || len(sh.spans) == 0 {
		return false, whole(err)
	}
	a.kind, a.cont, a.fresh = actPlace, b.s.number(), true
	a.stage = a.cont
	name := v.shelf.stageName(a.stage)
	f, err := v.FS.Create(name, 0o600)
	if err != nil {
		return false, err
	}
	sh, err = b.s.share(ctx, v, sh, name)
	if err == nil && len(sh.spans) > 0 {
		err = b.s.fill(ctx, v, f, want, sh)
	}
	if err == nil {
		err = f.Truncate(a.entry.Size)
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil && len(sh.spans) > 0 {
		err = b.s.dress(v, a)
	}
	if err != nil || len(sh.spans) == 0 {
		_ = removeIfThere(v.FS, name)
		it.act.stage = 0
		return false, assembleError(err)
	}
	it.do, it.res.Way, it.res.Bytes = true, Assembled, a.entry.Size
	return true, nil
}

// RoomError says how much room an action needs and how much there is.
type RoomError struct {
	Need, Free int64
}

func (e *RoomError) Error() string {
	return fmt.Sprintf("%v: %d bytes are needed, %d are free", ErrNoRoom, e.Need, e.Free)
}

func (e *RoomError) Unwrap() error { return ErrNoRoom }
