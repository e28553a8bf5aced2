// Package exclude knows the patterns that leave paths out of a tree: the syntax of .gitignore, relative to the root of
// the tree.
//
//	*.tmp        every path of that name, at any depth
//	/cache       the one at the root of the tree: so does any pattern with a slash that is not its last byte
//	build/       directories only
//	a/**/b       any number of directories, none too; "**/" at the beginning, "/**" at the end: everything in it
//	!keep.tmp    takes it in again: the last pattern that matches decides
//	# text       a comment, \# a name that begins with #, \! one that begins with !
//
// "*" and "?" match anything but a slash, [a-z], [!a-z] and [[:digit:]] one character. Spaces at the end do not count
// unless they are escaped. Nothing in a directory that is left out can be taken in again, for such a directory is not
// looked into; "/dir/*" and "!/dir/keep" do it.
//
// Names are raw bytes. Where they are UTF-8, "?" is one character; git takes it for one byte. A pattern that git would
// never match because it is malformed is an error here.
//
// One pattern is matched by doublestar; a test compares what comes out with git.
package exclude

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// maxPattern bounds a pattern: a path has 64 KiB.
const maxPattern = 64 << 10

// ErrNothing is a line that is no pattern: empty, or a comment.
var ErrNothing = errors.New("no pattern: empty, or a comment")

// Rule is one pattern and where it stands.
type Rule struct {
	Text  string // as it was written
	Where string // for people: "exclude of tree photos in route.toml"

	glob    string
	negated bool
	dirOnly bool
	byName  bool // matches the last name of a path
}

// Rules are patterns in their order. The zero value matches nothing.
type Rules []Rule

// Parse reads one pattern.
func Parse(text, where string) (Rule, error) {
	r := Rule{Text: text, Where: where}
	p := visible(trimSpaces(text))
	if p == "" || p[0] == '#' {
		return r, ErrNothing
	}
	if len(p) > maxPattern {
		return r, fmt.Errorf("pattern of %d bytes, at most %d allowed", len(p), maxPattern)
	}
	if strings.IndexByte(p, 0) >= 0 {
		return r, errors.New("pattern with a NUL, which no name has")
	}
	if p[0] == '!' {
		r.negated, p = true, p[1:]
	}
	if strings.HasSuffix(p, "/") {
		r.dirOnly, p = true, strings.TrimSuffix(p, "/")
	}
	r.byName = !strings.Contains(p, "/")
	p = strings.TrimPrefix(p, "/")
	if p == "" {
		return r, fmt.Errorf("pattern %q names the root of the tree, which cannot be left out", text)
	}
	for name := range strings.SplitSeq(p, "/") {
		if name == "" || name == "." || name == ".." {
			return r, fmt.Errorf("pattern %q has a part %q, which no path has", text, name)
		}
	}
	var err error
	if r.glob, err = translate(p); err != nil {
		return r, fmt.Errorf("pattern %q: %w", text, err)
	}
	if !doublestar.ValidatePattern(r.glob) {
		return r, fmt.Errorf("pattern %q is malformed: a bracket is not closed, or a backslash stands at the end", text)
	}
	return r, nil
}

// trimSpaces takes off the line's end, and spaces before it that are not escaped.
func trimSpaces(s string) string {
	s = strings.TrimSuffix(strings.TrimSuffix(s, "\n"), "\r")
	for strings.HasSuffix(s, " ") {
		rest := strings.TrimSuffix(s, " ")
		slashes := len(rest) - len(strings.TrimRight(rest, `\`))
		if slashes%2 == 1 {
			break
		}
		s = rest
	}
	return s
}

// ReadList reads a file of patterns, one a line. Errors name the line.
func ReadList(r io.Reader, name string) (Rules, error) {
	var rules Rules
	s := bufio.NewScanner(r)
	s.Buffer(nil, maxPattern+2)
	for n := 1; s.Scan(); n++ {
		rule, err := Parse(s.Text(), fmt.Sprintf("line %d of %s", n, name))
		if errors.Is(err, ErrNothing) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", name, n, err)
		}
		rules = append(rules, rule)
	}
	if err := s.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return rules, nil
}

// Match returns the pattern that leaves a path out, nil if none does. It looks at this path alone: what lies in a
// directory that is left out is not asked about.
func (rules Rules) Match(path string, dir bool) *Rule {
	path = visible(path)
	name := path[strings.LastIndexByte(path, '/')+1:]
	for i := len(rules) - 1; i >= 0; i-- {
		r := &rules[i]
		what := path
		if r.byName {
			what = name
		}
		if r.dirOnly && !dir || !doublestar.MatchUnvalidated(r.glob, what) {
			continue
		}
		if r.negated {
			return nil
		}
		return r
	}
	return nil
}

// Covers is Match for a path or, first, any directory above it.
func (rules Rules) Covers(path string, dir bool) *Rule {
	if len(rules) == 0 {
		return nil
	}
	for i := 0; i < len(path); i++ {
		if path[i] == '/' {
			if r := rules.Match(path[:i], true); r != nil {
				return r
			}
		}
	}
	return rules.Match(path, dir)
}
