package courier

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"waterlock/internal/wire"
	"waterlock/snapshot"
)

// Limits of a cover.
const (
	MaxSpans  = 1 << 16 // of all trees
	MaxParts  = 1 << 12 // of all trees
	MaxRanges = 1 << 16 // of all parts

	maxCoverBytes = 16 << 20 // of the paths in it
	minSpanBytes  = 4
	minPartBytes  = 5
)

// Cover says which content of the files of a homecoming is in one place:
// aboard a return, or landed at the new home. It tells of content alone:
// directories, links and the like are in the streams.
type Cover []TreeCover // ascending by name

// TreeCover is what a cover says of one tree.
type TreeCover struct {
	Tree  string
	Spans []Span // ascending, apart from each other
	Parts []Part // ascending by path, none within a span
}

// Span stands for every file of the homecoming from one path to another in
// tree order, both included: all of their content is there.
type Span struct{ From, To string }

// Part is a file of which some is there.
type Part struct {
	Path   string
	Ranges []Range // ascending, not touching
}

// Range is a piece of a file. Holes count as there.
type Range = snapshot.Range

// Of says what is there of a file: all of it, or these ranges.
func (c Cover) Of(tree, path string) (whole bool, ranges []Range) {
	i, ok := slices.BinarySearchFunc(c, tree, func(t TreeCover, name string) int { return strings.Compare(t.Tree, name) })
	if !ok {
		return false, nil
	}
	t := &c[i]
	at, _ := slices.BinarySearchFunc(t.Spans, path, func(s Span, p string) int { return snapshot.ComparePaths(s.To, p) })
	if at < len(t.Spans) && snapshot.ComparePaths(t.Spans[at].From, path) <= 0 {
		return true, nil
	}
	at, ok = slices.BinarySearchFunc(t.Parts, path, func(p Part, path string) int { return snapshot.ComparePaths(p.Path, path) })
	if !ok {
		return false, nil
	}
	return false, t.Parts[at].Ranges
}

// CoverBuilder makes a cover of files that are told to it in their order. What
// exceeds the limits is left out: a cover that says too little costs carrying.
type CoverBuilder struct {
	cover                       Cover
	open                        bool // the last span may go on
	full                        bool
	bytes, spans, parts, ranges int
}

// Whole says that the files from one path to another are there.
func (b *CoverBuilder) Whole(tree, from, to string) {
	t := b.tree(tree)
	if t != nil && b.open {
		b.bytes += len(to) - len(t.Spans[len(t.Spans)-1].To)
		t.Spans[len(t.Spans)-1].To = strings.Clone(to)
		return
	}
	if t == nil || b.spans == MaxSpans || b.over(len(from)+len(to)) {
		b.full = true
		return
	}
	b.spans++
	t.Spans, b.open = append(t.Spans, Span{strings.Clone(from), strings.Clone(to)}), true
}

// Break says that files are not there which come behind those told before.
func (b *CoverBuilder) Break() { b.open = false }

// Part says that some of a file is there.
func (b *CoverBuilder) Part(tree, path string, ranges []Range) {
	b.Break()
	if len(ranges) == 0 {
		return
	}
	t := b.tree(tree)
	if t == nil || b.parts == MaxParts || b.ranges+len(ranges) > MaxRanges || b.over(len(path)) {
		b.full = true
		return
	}
	b.parts, b.ranges = b.parts+1, b.ranges+len(ranges)
	t.Parts = append(t.Parts, Part{strings.Clone(path), slices.Clone(ranges)})
}

// Full says that something was left out.
func (b *CoverBuilder) Full() bool { return b.full }

// Cover is what was told.
func (b *CoverBuilder) Cover() Cover { return b.cover }

func (b *CoverBuilder) over(n int) bool {
	b.bytes += n
	return b.bytes > maxCoverBytes
}

// tree is the tree at hand; nil once the cover is full.
func (b *CoverBuilder) tree(name string) *TreeCover {
	if n := len(b.cover); n == 0 || b.cover[n-1].Tree != name {
		b.open = false
		if b.full || b.over(len(name)) {
			return nil
		}
		b.cover = append(b.cover, TreeCover{Tree: name})
	}
	t := &b.cover[len(b.cover)-1]
	if b.full && !b.open {
		return nil
	}
	return t
}

// encode writes
//
//	count of trees:   name
//	  count of spans:   from · to
//	  count of parts:   path, count of ranges: bytes since the end of the one before · length
func (c Cover) encode(w *wire.Writer) {
	w.Uvarint(uint64(len(c)))
	for i := range c {
		t := &c[i]
		w.String(t.Tree)
		w.Uvarint(uint64(len(t.Spans)))
		for _, s := range t.Spans {
			w.String(s.From)
			w.String(s.To)
		}
		w.Uvarint(uint64(len(t.Parts)))
		for _, p := range t.Parts {
			w.String(p.Path)
			w.Uvarint(uint64(len(p.Ranges)))
			end := int64(0)
			for _, r := range p.Ranges {
				w.Uvarint(uint64(r.Offset - end))
				w.Uvarint(uint64(r.Length))
				end = r.End()
			}
		}
	}
}

func decodeCover(r *wire.Reader) (Cover, error) {
	var c Cover
	for range r.Count(snapshot.MaxTrees, 4) {
		t := TreeCover{Tree: r.String(snapshot.MaxName)}
		for range r.Count(MaxSpans, minSpanBytes) {
			t.Spans = append(t.Spans, Span{r.String(snapshot.MaxPath), r.String(snapshot.MaxPath)})
			if r.Err() != nil {
				return nil, r.Err()
			}
		}
		for range r.Count(MaxParts, minPartBytes) {
			p := Part{Path: r.String(snapshot.MaxPath)}
			end := int64(0)
			for range r.Count(MaxRanges, 2) {
				x := Range{Offset: end + min(readInt64(r), snapshot.MaxSize), Length: min(readInt64(r), snapshot.MaxSize)}
				if r.Err() == nil && x.End() > snapshot.MaxSize {
					return nil, fmt.Errorf("a range up to byte %d", x.End())
				}
				if r.Err() != nil {
					return nil, r.Err()
				}
				p.Ranges, end = append(p.Ranges, x), x.End()
			}
			t.Parts = append(t.Parts, p)
		}
		if r.Err() != nil {
			return nil, r.Err()
		}
		c = append(c, t)
	}
	if r.Err() != nil {
		return nil, r.Err()
	}
	return c, c.check()
}

// check holds a cover to its order and limits.
func (c Cover) check() error {
	var spans, parts, ranges int
	for i := range c {
		t := &c[i]
		if err := snapshot.ValidName(t.Tree); err != nil {
			return fmt.Errorf("tree: %w", err)
		}
		if i > 0 && c[i-1].Tree >= t.Tree {
			return fmt.Errorf("tree %q after %q", t.Tree, c[i-1].Tree)
		}
		if err := t.check(); err != nil {
			return err
		}
		spans, parts = spans+len(t.Spans), parts+len(t.Parts)
		for _, p := range t.Parts {
			ranges += len(p.Ranges)
		}
	}
	if spans > MaxSpans || parts > MaxParts || ranges > MaxRanges {
		return fmt.Errorf("%d spans, %d parts, %d ranges", spans, parts, ranges)
	}
	return nil
}

var errEmptyPath = errors.New("the root of a tree is no file")

func validFile(path string) error {
	if path == "" {
		return errEmptyPath
	}
	return snapshot.ValidPath(path)
}

func (t *TreeCover) check() error {
	last := ""
	for _, s := range t.Spans {
		if err := errors.Join(validFile(s.From), validFile(s.To)); err != nil {
			return err
		}
		if snapshot.ComparePaths(s.From, s.To) > 0 || last != "" && snapshot.ComparePaths(last, s.From) >= 0 {
			return fmt.Errorf("span %q to %q behind %q", s.From, s.To, last)
		}
		last = s.To
	}
	for i, p := range t.Parts {
		if err := validFile(p.Path); err != nil {
			return err
		}
		if i > 0 && snapshot.ComparePaths(t.Parts[i-1].Path, p.Path) >= 0 {
			return fmt.Errorf("part %q after %q", p.Path, t.Parts[i-1].Path)
		}
		if len(p.Ranges) == 0 {
			return fmt.Errorf("part %q of nothing", p.Path)
		}
		for j, r := range p.Ranges {
			if r.Length == 0 || j > 0 && r.Offset == p.Ranges[j-1].End() {
				return fmt.Errorf("part %q: range of %d bytes at %d", p.Path, r.Length, r.Offset)
			}
		}
	}
	return nil
}
