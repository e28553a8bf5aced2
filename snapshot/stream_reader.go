package snapshot

import (
	"fmt"
	"io"
	"strings"

	"waterlock/internal/chunk"
	"waterlock/internal/disk"
)

// Getter hands out the plain bytes of a chunk, verified by its ID. The result
// may lie in buf and is valid until the next call with it.
type Getter interface {
	Get(id chunk.ID, k chunk.Kind, length int64, buf []byte) ([]byte, error)
}

// GapError says that the entries of a stream chunk cannot be had. All that is
// missing since the last entry that was returned lies from the path From on
// and before the path To ("" is the end of the tree): where one gap follows
// another, the later one covers both.
type GapError struct {
	From, To string
	ID       chunk.ID
	Err      error
}

func (e *GapError) Error() string {
	return fmt.Sprintf("stream chunk %s cannot be read: %v", e.ID.Short(), e.Err)
}

func (e *GapError) Unwrap() error { return e.Err }

// Covers tells whether path lies in the gap.
func (e *GapError) Covers(path string) bool {
	return ComparePaths(path, e.From) >= 0 && (e.To == "" || ComparePaths(path, e.To) < 0)
}

// StreamReader reads the entries of one tree. Its memory is one stream chunk
// and one entry.
type StreamReader struct {
	chunks []StreamRef
	get    Getter
	at     string // entries before this path are passed over
	heads  bool   // of long content lists only the first item is read, and none is given out

	next    int // index of the chunk after the one in items
	items   *itemDecoder
	buf     []byte
	last    position // of the last entry read whole
	known   bool     // last is the entry before the next chunk
	under   uint64   // what lies deeper is passed over; 0 = nothing is
	skip    bool     // `more` items belong to an entry that was lost: pass over them
	partial bool     // cur is not whole yet
	cur     Entry
	lost    *GapError // since the last entry returned
}

// NewStreamReader reads a tree from its root.
func NewStreamReader(t TreeRecord, g Getter) *StreamReader {
	return &StreamReader{chunks: t.Chunks, get: g, known: true}
}

// NewStreamReaderAt reads a tree from path on, or from the first entry behind
// it, fetching no stream chunk that lies before.
func NewStreamReaderAt(t TreeRecord, g Getter, path string) *StreamReader {
	r := NewStreamReader(t, g)
	if path == "" {
		return r
	}
	r.SkipTo(path)
	return r
}

// Next returns the next entry, valid until the next call unless cloned, and
// io.EOF at the end. After a *GapError reading goes on behind the gap.
// Tombstones are passed over.
func (r *StreamReader) Next() (*Entry, error) {
	for {
		e, err := r.NextItem()
		if err != nil || e.Gone == Here {
			return e, err
		}
	}
}

// NextItem is Next with the tombstones.
func (r *StreamReader) NextItem() (*Entry, error) {
	for {
		e, err := r.read()
		if err != nil {
			return nil, err
		}
		if ComparePaths(e.Path, r.at) >= 0 {
			r.lost = nil
			return e, nil
		}
	}
}

func (r *StreamReader) read() (*Entry, error) {
	for {
		if r.items == nil {
			if !r.partial && r.next == len(r.chunks) {
				return nil, io.EOF
			}
			if err := r.open(); err != nil {
				return nil, r.gap(err)
			}
		}
		if r.under > 0 {
			if err := r.items.passUnder(r.under); err != nil {
				return nil, r.gap(err)
			}
			if r.items.r.Remaining() > 0 {
				r.under = 0
			}
		}
		err := r.items.next()
		if err == io.EOF {
			r.items = nil
			continue
		}
		if err != nil {
			return nil, r.gap(err)
		}
		if whole, err := r.take(r.items); err != nil {
			return nil, r.gap(err)
		} else if whole {
			return &r.cur, nil
		}
	}
}

// open fetches the next chunk and checks that it fits behind the last entry.
func (r *StreamReader) open() error {
	if r.next == len(r.chunks) {
		return fmt.Errorf("%w: ends within the content of %q", ErrStream, r.cur.Path)
	}
	ref := r.chunks[r.next]
	r.next++
	if ref.Length == 0 || ref.Length > maxChunk {
		return fmt.Errorf("%w: chunk of %d bytes", ErrStream, ref.Length)
	}
	if r.partial && (!ref.Continues || ref.FirstPath != r.cur.Path) {
		r.next-- // the chunk is good for what follows
		return fmt.Errorf("%w: the content of %q does not continue", ErrStream, r.cur.Path)
	}
	if !r.partial && ref.Continues && !r.skip {
		return fmt.Errorf("%w: continues %q, which has no beginning", ErrStream, ref.FirstPath)
	}
	if c := ComparePaths(r.last.path, ref.FirstPath); r.last.known && !ref.Continues && c >= 0 {
		return fmt.Errorf("%w: %q after %q", ErrStream, ref.FirstPath, r.last.path)
	}
	if !r.known && r.last.known && r.last.kind != disk.KindDir && strings.HasPrefix(ref.FirstPath, after(r.last.path)) {
		return fmt.Errorf("%w: %q lies in no directory", ErrStream, ref.FirstPath)
	}
	if cap(r.buf) < int(ref.Length) {
		r.buf = make([]byte, 0, max(int(ref.Length), min(2*cap(r.buf), MaxStreamChunk)))
	}
	plain, err := r.get.Get(ref.ID, chunk.Stream, int64(ref.Length), r.buf)
	if err != nil {
		return err
	}
	if len(plain) != int(ref.Length) || chunk.Stream.ID(plain) != ref.ID {
		return fmt.Errorf("%w: %d bytes where %d were named, or other bytes", ErrStream, len(plain), ref.Length)
	}
	last := &r.last
	if !r.known {
		last = nil
	}
	r.items, err = newItemDecoder(plain, ref, last)
	return err
}

// take adds the item just read to the current entry and tells whether that is
// whole now.
func (r *StreamReader) take(d *itemDecoder) (whole bool, err error) {
	if d.more && r.skip {
		return false, nil
	}
	if !d.more {
		content, carried := r.cur.Content[:0], r.cur.Carried[:0]
		r.cur = d.entry
		r.cur.Content, r.cur.Carried = content, carried
		r.skip, r.known, r.partial = false, true, d.entry.Gone == Here
		if d.entry.Gone != Here {
			r.last = d.last
			return true, nil
		}
	}
	if len(d.entry.Content) > 0 && len(r.cur.Carried) > 0 {
		return false, fmt.Errorf("%w: content behind carried chunks", ErrStream)
	}
	r.cur.Content = append(r.cur.Content, d.entry.Content...)
	r.cur.Carried = append(r.cur.Carried, d.entry.Carried...)
	if len(r.cur.Content) > MaxExtents || len(r.cur.Carried) > MaxExtents {
		return false, fmt.Errorf("%w: more than %d extents", ErrEntry, MaxExtents)
	}
	r.last = d.last
	if d.continued && r.heads {
		r.passContent()
	} else if d.continued {
		return false, nil
	}
	if err := r.cur.validateFields(); err != nil {
		return false, err
	}
	r.partial = false
	if r.heads {
		r.cur.Content, r.cur.Carried = r.cur.Content[:0], r.cur.Carried[:0]
	}
	return true, nil
}

// gap gives up the rest of the current chunk, and the current entry with it,
// and says what is missing.
func (r *StreamReader) gap(err error) error {
	g := &GapError{Err: err}
	if r.next > 0 {
		ref := r.chunks[r.next-1]
		g.ID, g.From = ref.ID, ref.FirstPath
	}
	if r.last.known && ComparePaths(r.last.path, g.From) >= 0 {
		g.From = after(r.last.path)
	}
	if r.partial {
		g.From = r.cur.Path
	}
	r.items, r.partial, r.known, r.under = nil, false, false, 0
	r.skip = r.next < len(r.chunks) && r.chunks[r.next].Continues
	if r.next < len(r.chunks) {
		g.To = r.chunks[r.next].FirstPath
		if r.skip {
			g.To = after(g.To)
		}
	}
	if r.at != "" && ComparePaths(g.From, r.at) < 0 {
		g.From = r.at
	}
	if r.lost != nil {
		g.From = r.lost.From
	}
	r.lost = g
	return g
}

// after is the first path that can come behind that of an entry: the '/' is
// the smallest byte in tree order.
func after(path string) string { return path + "/" }
