package snapshot

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
)

// Limits of names and paths.
const (
	MaxName = 255      // bytes of one name
	MaxPath = 64 << 10 // bytes of a path within its tree
)

// ErrName is a name that no entry may have.
var ErrName = errors.New("invalid name")

// ValidName checks the name of one entry, a single component of a path. Names
// are raw bytes: anything but NUL and '/' is legal, backslashes and invalid
// UTF-8 included, except the empty name, "." and "..".
func ValidName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("%w: empty", ErrName)
	case len(name) > MaxName:
		return fmt.Errorf("%w: %d bytes, at most %d allowed", ErrName, len(name), MaxName)
	case name == "." || name == "..":
		return fmt.Errorf("%w: %q", ErrName, name)
	case strings.IndexByte(name, 0) >= 0:
		return fmt.Errorf("%w: NUL in %q", ErrName, name)
	case strings.IndexByte(name, '/') >= 0:
		return fmt.Errorf("%w: slash in %q", ErrName, name)
	}
	return nil
}

// ValidPath checks the path of an entry within its tree: "" for the root, else
// valid names with single slashes between them.
func ValidPath(path string) error {
	if len(path) > MaxPath {
		return fmt.Errorf("%w: path of %d bytes, at most %d allowed", ErrName, len(path), MaxPath)
	}
	for path != "" {
		name, rest, more := strings.Cut(path, "/")
		if err := ValidName(name); err != nil {
			return err
		}
		if more && rest == "" {
			return fmt.Errorf("%w: trailing slash", ErrName)
		}
		path = rest
	}
	return nil
}

// NameHere checks whether a valid name can be created on this machine without
// meaning something else here: on Windows backslashes, colons, device names
// and the like are refused, for there `..\name` is a way out of the tree.
// Whatever creates paths from a snapshot asks this first.
func NameHere(name string) error {
	if err := ValidName(name); err != nil {
		return err
	}
	if runtime.GOOS == "windows" {
		return nameOnWindows(name)
	}
	return nil
}

// PathHere is NameHere for each name of a path.
func PathHere(path string) error {
	if err := ValidPath(path); err != nil {
		return err
	}
	if runtime.GOOS != "windows" {
		return nil
	}
	for path != "" {
		var name string
		name, path, _ = strings.Cut(path, "/")
		if err := nameOnWindows(name); err != nil {
			return err
		}
	}
	return nil
}

// nameOnWindows refuses what Windows reads as something other than one plain
// name: separators, drive and stream colons, wildcards, control characters,
// trailing dots and spaces (which it strips), and device names with or without
// an extension.
func nameOnWindows(name string) error {
	for i := 0; i < len(name); i++ {
		if c := name[i]; c < 0x20 || strings.IndexByte(`\/:*?"<>|`, c) >= 0 {
			return fmt.Errorf("%w on Windows: %q", ErrName, name)
		}
	}
	if last := name[len(name)-1]; last == '.' || last == ' ' {
		return fmt.Errorf("%w on Windows: %q", ErrName, name)
	}
	stem, _, _ := strings.Cut(name, ".")
	stem = strings.ToUpper(strings.TrimRight(stem, " "))
	switch stem {
	case "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$":
		return fmt.Errorf("%w on Windows: device %q", ErrName, name)
	}
	for _, port := range [...]string{"COM", "LPT"} {
		digit, is := strings.CutPrefix(stem, port)
		switch digit {
		case "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "¹", "²", "³":
			if is {
				return fmt.Errorf("%w on Windows: device %q", ErrName, name)
			}
		}
	}
	return nil
}

// ComparePaths compares two paths in tree order: a directory before its
// children, depth first, names bytewise. It is the bytewise order with '/'
// taken as zero.
func ComparePaths(a, b string) int {
	n := min(len(a), len(b))
	for i := 0; i < n; i++ {
		x, y := a[i], b[i]
		if x == y {
			continue
		}
		if x == '/' {
			return -1
		}
		if y == '/' {
			return 1
		}
		if x < y {
			return -1
		}
		return 1
	}
	return len(a) - len(b)
}

// Under tells whether path is dir or lies beneath it. Everything is under "".
func Under(path, dir string) bool {
	if dir == "" || path == dir {
		return true
	}
	return len(path) > len(dir) && path[len(dir)] == '/' && path[:len(dir)] == dir
}

// Split cuts a path into that of its parent directory and its name. The root
// has neither.
func Split(path string) (parent, name string) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return "", path
	}
	return path[:i], path[i+1:]
}

// Join is the path of name within the directory parent.
func Join(parent, name string) string {
	if parent == "" {
		return name
	}
	return parent + "/" + name
}

// Depth is the number of names in a path: zero for the root.
func Depth(path string) int {
	if path == "" {
		return 0
	}
	return strings.Count(path, "/") + 1
}
