package snapshot

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"sort"

	"waterlock/internal/chunk"
)

// Sweep goes through one tree of several snapshots at once, in tree order. A
// stream chunk that several of them have at the same place is read once.
//
// Its memory is the references of all different stream chunks, and the entries
// of those that overlap where it stands: each chunk is read when its first path
// is the next one, and a path is complete once no chunk is left that begins
// before it or with it.
type Sweep struct {
	chunks []sweptChunk
	byID   map[chunk.ID][]int32 // into chunks
	rows   [][]int32            // of each snapshot: its stream chunks, in order
}

type sweptChunk struct {
	ref StreamRef
	in  []Span
}

// Span is a run of snapshots, counted from 0 in the order they were added.
type Span struct{ First, Last int }

// Version is an entry, without its content, as some snapshots have it.
type Version struct {
	Entry *Entry
	In    []Span // ascending
}

// SweepOptions say what a sweep is for.
type SweepOptions struct {
	Get   Getter
	Match func(path string) bool // which paths are wanted
	// Skip tells, by the snapshots that have it, that nothing is wanted of a
	// stream chunk: it is not fetched. Nil: none is skipped.
	Skip func(in []Span) bool
	// Path gets each path that some snapshot has, with its versions by their
	// first snapshot. unknown tells whether a snapshot may have the path all
	// the same, because its stream cannot be read there.
	Path func(path string, versions []Version, unknown func(snapshot int) bool) error
	// Gap is told of each stream chunk that cannot be read.
	Gap func(g *GapError, in []Span)
	// Read is told the size of each stream chunk that was read.
	Read func(bytes int64)
	// Next is asked before each stream chunk; its error ends the sweep.
	Next func() error
}

// Snapshots is how many were added.
func (s *Sweep) Snapshots() int { return len(s.rows) }

// Add appends a snapshot: what of its tree covers the path under, or nothing
// where it does not have the tree.
func (s *Sweep) Add(t *TreeRecord, under string) {
	number := len(s.rows)
	s.rows = append(s.rows, nil)
	if t == nil || len(t.Chunks) == 0 {
		return
	}
	if s.byID == nil {
		s.byID = map[chunk.ID][]int32{}
	}
	for i := ChunkAt(t.Chunks, under); i < len(t.Chunks); i++ {
		ref := t.Chunks[i]
		if ComparePaths(ref.FirstPath, under) > 0 && !Under(ref.FirstPath, under) {
			break
		}
		if i+1 < len(t.Chunks) && ref.Continues && t.Chunks[i+1].Continues && ref.FirstPath == t.Chunks[i+1].FirstPath {
			continue // nothing but a long content list
		}
		s.rows[number] = append(s.rows[number], s.add(number, ref))
	}
}

func (s *Sweep) add(number int, ref StreamRef) int32 {
	for _, i := range s.byID[ref.ID] {
		if c := &s.chunks[i]; c.ref == ref {
			if last := &c.in[len(c.in)-1]; last.Last == number-1 {
				last.Last = number
			} else if last.Last != number {
				c.in = append(c.in, Span{number, number})
			}
			return i
		}
	}
	i := int32(len(s.chunks))
	s.chunks = append(s.chunks, sweptChunk{ref, []Span{{number, number}}})
	s.byID[ref.ID] = append(s.byID[ref.ID], i)
	return i
}

// Bytes is how much a run fetches.
func (s *Sweep) Bytes(skip func(in []Span) bool) (n int64) {
	for i := range s.chunks {
		if c := &s.chunks[i]; skip == nil || !skip(c.in) {
			n += int64(c.ref.Length)
		}
	}
	return n
}

// Run goes through the tree.
func (s *Sweep) Run(o SweepOptions) error {
	order := make([]int32, len(s.chunks))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortStableFunc(order, func(a, b int32) int {
		return ComparePaths(s.chunks[a].ref.FirstPath, s.chunks[b].ref.FirstPath)
	})
	r := &sweeping{Sweep: s, o: o, gaps: make([]GapError, len(s.rows))}
	for _, i := range order {
		c := &s.chunks[i]
		if err := o.Next(); err != nil {
			return err
		}
		if err := r.flush(c.ref.FirstPath, false); err != nil {
			return err
		}
		if o.Skip == nil || !o.Skip(c.in) {
			r.read(c)
		}
	}
	return r.flush("", true)
}

// sweeping is a run of a Sweep.
type sweeping struct {
	*Sweep
	o    SweepOptions
	seen []sighting
	gaps []GapError // of each snapshot, the last: those before it lie behind us
	buf  []byte
}

type sighting struct {
	path string
	Version
}

// read fetches one stream chunk and keeps what is wanted of its entries.
func (r *sweeping) read(c *sweptChunk) {
	if c.ref.Length == 0 || c.ref.Length > maxChunk {
		r.gap(c, c.ref.FirstPath, fmt.Errorf("%w: chunk of %d bytes", ErrStream, c.ref.Length))
		return
	}
	if cap(r.buf) < int(c.ref.Length) {
		r.buf = make([]byte, 0, max(int(c.ref.Length), MaxStreamChunk))
	}
	from := c.ref.FirstPath
	if c.ref.Continues {
		from = after(from)
	}
	plain, err := r.o.Get.Get(c.ref.ID, chunk.Stream, int64(c.ref.Length), r.buf)
	if err == nil {
		r.o.Read(int64(len(plain)))
		err = eachHead(plain, c.ref, func(e *Entry) {
			from = after(e.Path)
			if r.o.Match(e.Path) {
				r.seen = append(r.seen, sighting{e.Path, Version{e.Clone(), c.in}})
			}
		})
	}
	if err != nil {
		r.gap(c, from, err)
	}
}

// eachHead calls fn with each entry that begins in a stream chunk, without its
// content.
func eachHead(plain []byte, ref StreamRef, fn func(*Entry)) error {
	d, err := newItemDecoder(plain, ref, nil)
	for err == nil {
		if err = d.next(); err == nil && !d.more {
			if d.entry.Gone != Here {
				continue
			}
			d.entry.Content, d.entry.Carried = nil, nil
			fn(&d.entry)
		}
	}
	if err == io.EOF {
		return nil
	}
	return err
}

// gap notes what of a stream chunk is missing: up to where each of its
// snapshots goes on.
func (r *sweeping) gap(c *sweptChunk, from string, err error) {
	first := GapError{From: from, ID: c.ref.ID, Err: err}
	for n, in := range c.in {
		for i := in.First; i <= in.Last; i++ {
			g := first
			row := r.rows[i]
			at := sort.Search(len(row), func(k int) bool {
				return ComparePaths(r.chunks[row[k]].ref.FirstPath, c.ref.FirstPath) > 0
			})
			if at < len(row) {
				next := &r.chunks[row[at]].ref
				g.To = next.FirstPath
				if next.Continues {
					g.To = after(g.To)
				}
			}
			r.gaps[i] = g
			if n == 0 && i == in.First {
				first.To = g.To
			}
		}
	}
	r.o.Gap(&first, c.in)
}

// flush hands out the paths before limit, or all.
func (r *sweeping) flush(limit string, all bool) error {
	slices.SortStableFunc(r.seen, func(a, b sighting) int {
		return cmp.Or(ComparePaths(a.path, b.path), cmp.Compare(a.In[0].First, b.In[0].First))
	})
	done := 0
	var versions []Version
	for done < len(r.seen) && (all || ComparePaths(r.seen[done].path, limit) < 0) {
		path := r.seen[done].path
		versions = versions[:0]
		for ; done < len(r.seen) && r.seen[done].path == path; done++ {
			versions = append(versions, r.seen[done].Version)
		}
		err := r.o.Path(path, versions, func(i int) bool { return r.gaps[i].Err != nil && r.gaps[i].Covers(path) })
		if err != nil {
			return err
		}
	}
	r.seen = append(r.seen[:0], r.seen[done:]...)
	return nil
}
