package exclude

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// Finder tells which paths match one of some patterns, which are not those of .gitignore but those that people look for
// files with: one without a slash is matched against names, one with a slash against the end of a path, or against all of
// it where it begins with a slash. * and ? match within a name, ** any names, [a-z] and {one,two} as in a shell; a
// backslash takes the next character as it is.
func Finder(patterns []string, ignoreCase bool) (match func(path string) bool, err error) {
	fold := func(s string) string { return s }
	if ignoreCase {
		fold = strings.ToLower
	}
	var names, paths []string
	for _, p := range patterns {
		if !doublestar.ValidatePattern(p) || strings.Trim(p, "/") == "" {
			return nil, fmt.Errorf("pattern %q makes no sense: * and ? match within a name, ** any names, [a-z] and {one,two} as usual", p)
		}
		switch clean := fold(strings.TrimRight(p, "/")); {
		case clean[0] == '/':
			paths = append(paths, clean[1:])
		case strings.Contains(clean, "/"):
			paths = append(paths, "**/"+clean)
		default:
			names = append(names, clean)
		}
	}
	return func(path string) bool {
		path = fold(path)
		name := path[strings.LastIndexByte(path, '/')+1:]
		return slices.ContainsFunc(names, func(p string) bool { return doublestar.MatchUnvalidated(p, name) }) ||
			slices.ContainsFunc(paths, func(p string) bool { return doublestar.MatchUnvalidated(p, path) })
	}, nil
}
