package disk

import "strings"

// splitName checks a name and cuts off its last component. dir is "" when the
// name has but one.
func splitName(name string) (dir, base string, err error) {
	if name == "." {
		return "", ".", nil
	}
	start := 0
	for i := 0; i <= len(name); i++ {
		if i < len(name) && name[i] != '/' {
			if name[i] == 0 {
				return "", "", ErrName
			}
			continue
		}
		switch name[start:i] {
		case "", ".", "..":
			return "", "", ErrName
		}
		if i < len(name) {
			start = i + 1
		}
	}
	if start == 0 {
		return "", name, nil
	}
	return name[:start-1], name[start:], nil
}

// CheckName returns ErrName for a name that no FS accepts.
func CheckName(name string) error {
	_, _, err := splitName(name)
	return err
}

// parentOf is the directory that holds name; "." for a single component.
func parentOf(name string) string {
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		return name[:i]
	}
	return "."
}

// ancestry is the place of an FS below the directory that Dir opened. Its
// path is put together only for errors: in a very deep tree each level would
// else cost the whole path.
type ancestry struct {
	parent *ancestry
	name   string
}

func (a *ancestry) path(name string) string {
	var parts []string
	if name != "." {
		parts = append(parts, name)
	}
	for ; a != nil; a = a.parent {
		parts = append(parts, a.name)
	}
	var b strings.Builder
	for i := len(parts) - 1; i >= 0; i-- {
		b.WriteString(parts[i])
		if i > 0 && !strings.HasSuffix(parts[i], "/") {
			b.WriteByte('/')
		}
	}
	return b.String()
}
