package snapshot

import (
	"errors"
	"io"
	"slices"
	"strings"

	"waterlock/internal/disk"
)

// Selection reads the entries under some paths of a tree, and the directories
// above those paths, in tree order, as Restore does.
type Selection struct {
	tree  TreeRecord
	get   Getter
	spans []span
	r     *StreamReader // of the first span; nil: not begun
}

// span is one path, alone or with all that lies under it.
type span struct {
	path  string
	whole bool
}

// CleanPaths takes off slashes at the end, sorts, and drops what lies under
// another of the paths. No path at all is the whole tree.
func CleanPaths(paths []string) ([]string, error) {
	var clean []string
	for _, p := range paths {
		p = strings.TrimRight(p, "/")
		if err := ValidPath(p); err != nil {
			return nil, err
		}
		clean = append(clean, p)
	}
	if len(clean) == 0 {
		clean = []string{""}
	}
	slices.SortFunc(clean, ComparePaths)
	kept := clean[:1]
	for _, p := range clean[1:] {
		if !Under(p, kept[len(kept)-1]) {
			kept = append(kept, p)
		}
	}
	return kept, nil
}

// Select selects the entries under these paths; none at all is the whole tree.
// Those that the tree does not have are given to missing and left out.
func Select(t TreeRecord, g Getter, paths []string, missing func(path string)) (*Selection, error) {
	clean, err := CleanPaths(paths)
	if err != nil {
		return nil, err
	}
	return newSelection(t, g, clean, missing), nil
}

// newSelection selects clean paths. Those that the tree does not have are
// given to missing and left out; one in a gap is kept, so that reading it
// reports the gap.
func newSelection(t TreeRecord, g Getter, paths []string, missing func(path string)) *Selection {
	s := &Selection{tree: t, get: g}
	above := map[string]bool{}
	for _, p := range paths {
		if p != "" {
			e, err := NewStreamReaderAt(t, g, p).Next()
			var gap *GapError
			inGap := errors.As(err, &gap) && gap.Covers(p)
			if !inGap && (err != nil || e.Path != p) {
				missing(p)
				continue
			}
		}
		for dir := p; dir != ""; {
			if dir, _ = Split(dir); !above[dir] {
				above[dir] = true
				s.spans = append(s.spans, span{path: dir})
			}
		}
		s.spans = append(s.spans, span{path: p, whole: true})
	}
	slices.SortFunc(s.spans, func(a, b span) int { return ComparePaths(a.path, b.path) })
	return s
}

// Again starts over.
func (s *Selection) Again() *Selection {
	return &Selection{tree: s.tree, get: s.get, spans: s.spans}
}

// Next returns the next selected entry, as StreamReader.Next does.
func (s *Selection) Next() (*Entry, error) {
	for len(s.spans) > 0 {
		sp := s.spans[0]
		if s.r == nil {
			s.r = NewStreamReaderAt(s.tree, s.get, sp.path)
		}
		e, err := s.r.Next()
		var gap *GapError
		switch {
		case err == io.EOF:
			s.advance()
		case errors.As(err, &gap):
			if ComparePaths(gap.From, sp.path) > 0 && !Under(gap.From, sp.path) {
				s.advance() // the gap lies behind
				continue
			}
			if !sp.whole {
				s.advance()
			}
			return nil, err
		case err != nil:
			return nil, err
		case !Under(e.Path, sp.path):
			s.advance()
		case !sp.whole:
			s.advance()
			if e.Path == sp.path && e.Kind == disk.KindDir {
				return e, nil
			}
		default:
			if e.Path == sp.path && e.Kind != disk.KindDir {
				s.advance()
			}
			return e, nil
		}
	}
	return nil, io.EOF
}

func (s *Selection) advance() {
	s.spans, s.r = s.spans[1:], nil
}
