package home

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"waterlock/internal/report"
)

const maxTreeName = 100 // bytes; the name becomes part of names of files

// parseTree reads PATH or PATH=TREE. A path may hold '=' itself: what follows the last one is a name only if it could
// be one and the whole is not a directory.
func parseTree(arg string) (Tree, error) {
	path, name := arg, ""
	if i := strings.LastIndexByte(arg, '='); i > 0 && !strings.ContainsAny(arg[i+1:], `/\`) && !isDir(arg) {
		path, name = arg[:i], arg[i+1:]
		if name == "" {
			return Tree{}, fmt.Errorf("%s: no name after '='", report.Name(arg))
		}
	}
	if path == "" {
		return Tree{}, fmt.Errorf("a tree needs a path")
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return Tree{}, err
	}
	st, err := os.Stat(abs)
	if err != nil {
		return Tree{}, err
	}
	if !st.IsDir() {
		return Tree{}, fmt.Errorf("%s is not a directory", report.Name(abs))
	}
	if !utf8.ValidString(abs) {
		return Tree{}, fmt.Errorf("%s: the path of a tree itself must be UTF-8, to be written into %s", report.Name(abs), configFile)
	}
	if name == "" {
		name = filepath.Base(abs)
		if err := validTreeName(name); err != nil {
			return Tree{}, fmt.Errorf("%w; name it: %s=NAME", err, report.Name(abs))
		}
	}
	return Tree{Name: name, Path: abs}, validTreeName(name)
}

func isDir(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.IsDir()
}

// validTreeName holds names to what is a directory of its own on every system a vault may run on.
func validTreeName(name string) error {
	bad := func(why string) error { return fmt.Errorf("tree name %q: %s", name, why) }
	switch {
	case name == "":
		return bad("empty")
	case len(name) > maxTreeName:
		return bad(fmt.Sprintf("longer than %d bytes", maxTreeName))
	case !utf8.ValidString(name):
		return bad("not UTF-8")
	case name[0] == '.':
		return bad("starts with a dot")
	case strings.HasSuffix(name, ".") || strings.HasSuffix(name, " ") || name[0] == ' ':
		return bad("begins with a space or ends with a dot or a space")
	case name == "*":
		return bad("means every tree")
	case strings.ContainsAny(name, `/\:*?"<>|`):
		return bad(`holds one of / \ : * ? " < > |`)
	}
	for _, r := range name {
		if unicode.IsControl(r) {
			return bad("holds a control character")
		}
	}
	stem, _, _ := strings.Cut(strings.ToUpper(name), ".")
	switch stem {
	case "CON", "PRN", "AUX", "NUL", "COM1", "COM2", "COM3", "COM4", "COM5", "COM6", "COM7", "COM8", "COM9",
		"LPT1", "LPT2", "LPT3", "LPT4", "LPT5", "LPT6", "LPT7", "LPT8", "LPT9":
		return bad("is a device on Windows")
	}
	return nil
}

// validRouteName is for names of directories of our own: plain ASCII.
func validRouteName(name string) error {
	if name == "" || len(name) > 64 || name[0] == '.' || name[0] == '-' {
		return fmt.Errorf("route name %q: 1 to 64 letters, digits, '.', '_' and '-', the first a letter or a digit", name)
	}
	for _, r := range name {
		ok := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '_' || r == '-'
		if !ok {
			return fmt.Errorf("route name %q holds %q; letters, digits, '.', '_' and '-' are allowed", name, r)
		}
	}
	return nil
}

// checkTrees refuses names that are equal (or would be on a file system that does not tell capitals), paths that are
// equal and paths that lie within one another. Links are followed for the comparison where the path exists.
func checkTrees(trees []Tree) error {
	real := make([]string, len(trees))
	for i, t := range trees {
		if err := validTreeName(t.Name); err != nil {
			return err
		}
		if !filepath.IsAbs(t.Path) {
			return fmt.Errorf("tree %q: %s is not an absolute path", t.Name, report.Name(t.Path))
		}
		real[i] = filepath.Clean(t.Path)
		if p, err := filepath.EvalSymlinks(t.Path); err == nil {
			real[i] = p
		}
	}
	for i, a := range trees {
		for j, b := range trees[:i] {
			switch {
			case real[i] == real[j]:
				return fmt.Errorf("%s is named twice: a directory belongs to one tree", report.Name(a.Path))
			case within(real[i], real[j]):
				return fmt.Errorf("%s lies in %s: trees must not be nested", report.Name(a.Path), report.Name(b.Path))
			case within(real[j], real[i]):
				return fmt.Errorf("%s lies in %s: trees must not be nested", report.Name(b.Path), report.Name(a.Path))
			case a.Name == b.Name:
				return fmt.Errorf("%s and %s would both be tree %q: give one another name with PATH=NAME", report.Name(b.Path), report.Name(a.Path), a.Name)
			case strings.EqualFold(a.Name, b.Name):
				return fmt.Errorf("trees %q and %q differ by capitals only, which not every file system tells apart: name one anew with PATH=NAME", b.Name, a.Name)
			}
		}
	}
	return nil
}

// within tells whether path lies below dir.
func within(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != "." && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}
