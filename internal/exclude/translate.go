package exclude

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// classes are the named classes of characters, as ranges of a bracket. None has the slash.
var classes = map[string]string{
	"alnum": "a-zA-Z0-9", "alpha": "a-zA-Z", "blank": " \t", "cntrl": "\x01-\x1f\x7f", "digit": "0-9",
	"graph": `\!-.0-~`, "lower": "a-z", "print": " -.0-~", "punct": "\\!-.:-@\\[-`{-~", "space": " \t-\r",
	"upper": "A-Z", "xdigit": "0-9a-fA-F",
}

// translate writes a pattern of git's in the syntax of doublestar: there a brace opens a list of alternatives, "a/**"
// matches a itself, and a bracket knows no named classes. More than one star is "**" where it is a whole name, else "*".
func translate(p string) (string, error) {
	var out strings.Builder
	for i := 0; i < len(p); i++ {
		switch c := p[i]; c {
		case '\\':
			if i+1 == len(p) {
				return "", errors.New("a backslash at the end")
			}
			i++
			out.WriteByte('\\')
			out.WriteByte(p[i])
		case '{', '}':
			out.WriteByte('\\')
			out.WriteByte(c)
		case '*':
			n := len(p[i:]) - len(strings.TrimLeft(p[i:], "*"))
			starts, ends := i == 0 || p[i-1] == '/', i+n == len(p) || p[i+n] == '/'
			if i += n - 1; n > 1 && starts && ends {
				out.WriteString("**")
			} else {
				out.WriteByte('*')
			}
		case '[':
			n, err := bracket(&out, p[i:])
			if err != nil {
				return "", err
			}
			i += n - 1
		default:
			out.WriteByte(c)
		}
	}
	glob := out.String()
	if strings.HasSuffix(glob, "/**") {
		glob += "/*"
	}
	return glob, nil
}

// bracket writes one bracket, at the beginning of p, and returns its length. A bracket never matches a slash.
func bracket(out *strings.Builder, p string) (int, error) {
	notClosed := errors.New("a bracket that is not closed")
	i := 1
	out.WriteByte('[')
	if i < len(p) && (p[i] == '!' || p[i] == '^') {
		out.WriteString("^/")
		i++
	}
	for first := true; ; first = false {
		switch {
		case i >= len(p):
			return 0, notClosed
		case p[i] == ']' && !first:
			out.WriteByte(']')
			return i + 1, nil
		case strings.HasPrefix(p[i:], "[:"):
			name, _, closed := strings.Cut(p[i+2:], ":]")
			ranges, known := classes[name]
			if !closed || !known {
				return 0, errors.New("a bracket with a class that nobody knows")
			}
			out.WriteString(ranges)
			i += len("[:") + len(name) + len(":]")
			continue
		}
		low, n := bracketRune(p[i:])
		i += n
		high := low
		if n > 0 && i+1 < len(p) && p[i] == '-' && p[i+1] != ']' {
			high, n = bracketRune(p[i+1:])
			i += 1 + n
		}
		if n == 0 {
			return 0, notClosed
		}
		if low == '/' && high == '/' {
			return 0, errors.New("a slash in a bracket")
		}
		writeRange(out, low, min(high, '/'-1))
		writeRange(out, max(low, '/'+1), high)
	}
}

// bracketRune is the first character of p, which may be escaped; 0 bytes where there is none.
func bracketRune(p string) (rune, int) {
	escaped := 0
	if strings.HasPrefix(p, `\`) {
		escaped = 1
	}
	r, n := utf8.DecodeRuneInString(p[escaped:])
	if n == 0 {
		return 0, 0
	}
	return r, escaped + n
}

func writeRange(out *strings.Builder, low, high rune) {
	if low > high {
		return // nothing, as in git
	}
	out.WriteByte('\\')
	out.WriteRune(low)
	if low < high {
		out.WriteString(`-\`)
		out.WriteRune(high)
	}
}

// visible makes text of raw bytes: a byte that belongs to no character becomes one that nobody uses, so that it is told
// from all others.
func visible(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	var out strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && n == 1 {
			r = 0x10ff00 + rune(s[0])
		}
		out.WriteRune(r)
		s = s[n:]
	}
	return out.String()
}
