// Package report is how long operations speak to the person who started them:
// what phase they are in, how far they are, what is wrong, what came of it.
// It decides nothing about where the words go; cmd/wl does.
package report

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/dustin/go-humanize"
)

// Reporter receives what an operation has to say. All methods are safe for
// concurrent use and none of them blocks for long.
type Reporter interface {
	// Phase begins a new phase. Totals of zero are unknown.
	Phase(name string, totalBytes, totalFiles int64)
	// Add counts progress within the phase.
	Add(bytes, files int64)
	// Problem names one bad file, chunk or pack. The run goes on; the problem
	// is printed now and again at the end.
	Problem(path string, err error)
	// Warn tells what is worth knowing and is not a problem.
	Warn(format string, a ...any)
	// Info tells a result to people.
	Info(format string, a ...any)
	// Verbose tells a detail that only -v shows.
	Verbose(format string, a ...any)
}

// Confirm asks a yes-or-no question. asked is false where there is nobody to
// ask; then yes is false too.
type Confirm func(question string) (yes bool, asked bool)

// Choose asks a question that has several answers and returns the word of one
// of them. asked is false where there is nobody to ask, or where there came no
// answer.
type Choose func(question string, answers []Answer) (word string, asked bool)

// Answer is a word to answer with, and what it means.
type Answer struct{ Word, Means string }

// Discard is a Reporter that says nothing.
var Discard Reporter = discard{}

type discard struct{}

func (discard) Phase(string, int64, int64) {}
func (discard) Add(int64, int64)           {}
func (discard) Problem(string, error)      {}
func (discard) Warn(string, ...any)        {}
func (discard) Info(string, ...any)        {}
func (discard) Verbose(string, ...any)     {}

// Problem is one thing that went wrong without stopping the run.
type Problem struct {
	Path string
	Err  error
}

func (p Problem) String() string { return Name(p.Path) + ": " + p.Err.Error() }

// Recorder is a Reporter that keeps everything it is told, for tests.
type Recorder struct {
	mu       sync.Mutex
	phases   []string
	problems []Problem
	warnings []string
	infos    []string
	details  []string
	bytes    int64
	files    int64
}

func (r *Recorder) Phase(name string, totalBytes, totalFiles int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.phases = append(r.phases, name)
}

func (r *Recorder) Add(bytes, files int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bytes += bytes
	r.files += files
}

func (r *Recorder) Problem(path string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.problems = append(r.problems, Problem{path, err})
}

func (r *Recorder) Warn(format string, a ...any)    { r.keep(&r.warnings, format, a) }
func (r *Recorder) Info(format string, a ...any)    { r.keep(&r.infos, format, a) }
func (r *Recorder) Verbose(format string, a ...any) { r.keep(&r.details, format, a) }

func (r *Recorder) keep(list *[]string, format string, a []any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	*list = append(*list, fmt.Sprintf(format, a...))
}

// Phases returns the names of the phases in the order they began.
func (r *Recorder) Phases() []string { return copied(r, &r.phases) }

// Problems returns every problem reported so far.
func (r *Recorder) Problems() []Problem { return copied(r, &r.problems) }

// Warnings returns every warning so far.
func (r *Recorder) Warnings() []string { return copied(r, &r.warnings) }

// Infos returns every result line so far.
func (r *Recorder) Infos() []string { return copied(r, &r.infos) }

// Details returns every verbose line so far.
func (r *Recorder) Details() []string { return copied(r, &r.details) }

// Added returns the progress counted so far, over all phases.
func (r *Recorder) Added() (bytes, files int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.bytes, r.files
}

func copied[T any](r *Recorder, list *[]T) []T {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]T(nil), *list...)
}

// Name makes a path of any bytes safe to print on one line of a terminal:
// control characters, invalid UTF-8, characters that turn the direction of the
// text and the backslash are written as escapes. Names of ordinary letters stay
// as they are.
func Name(raw string) string {
	plain := true
	for _, r := range raw {
		if r == '\\' || r == utf8.RuneError || !printable(r) {
			plain = false
			break
		}
	}
	if plain {
		return raw
	}
	var b strings.Builder
	for i := 0; i < len(raw); {
		r, n := utf8.DecodeRuneInString(raw[i:])
		switch {
		case r == utf8.RuneError && n <= 1:
			fmt.Fprintf(&b, `\x%02x`, raw[i])
		case r == '\\':
			b.WriteString(`\\`)
		case printable(r):
			b.WriteRune(r)
		default:
			q := strconv.QuoteRuneToASCII(r)
			b.WriteString(q[1 : len(q)-1])
		}
		i += n
	}
	return b.String()
}

// Line makes a whole line of output safe: what Name escapes is escaped, but for
// backslashes, line ends and tabs, so that names that are escaped already stay
// as they are.
func Line(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); {
		j := strings.IndexAny(text[i:], "\\\n\t")
		if j < 0 {
			b.WriteString(Name(text[i:]))
			break
		}
		b.WriteString(Name(text[i : i+j]))
		b.WriteByte(text[i+j])
		i += j + 1
	}
	return b.String()
}

func printable(r rune) bool { return r == ' ' || unicode.IsGraphic(r) && !unicode.Is(unicode.Zs, r) }

// Size writes a number of bytes in binary units: "1.5 GiB".
func Size(n int64) string {
	if n < 0 {
		return "-" + humanize.IBytes(uint64(-n))
	}
	return humanize.IBytes(uint64(n))
}

// Count writes a number with its noun: Count(1, "file") is "1 file",
// Count(1200, "file") is "1,200 files".
func Count(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	switch {
	case strings.HasSuffix(noun, "y") && !strings.HasSuffix(noun, "ay") && !strings.HasSuffix(noun, "ey"):
		noun = noun[:len(noun)-1] + "ies"
	default:
		noun += "s"
	}
	return humanize.Comma(n) + " " + noun
}
