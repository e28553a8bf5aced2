package home

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"waterlock/internal/disk"
	"waterlock/internal/exclude"
	"waterlock/internal/report"
	"waterlock/snapshot"
)

// Exclusions are what is not packed of a tree: in route.toml of one tree, as flags of wl pack of every tree.
type Exclusions struct {
	Exclude           []string `toml:"exclude,omitempty"`             // patterns as in .gitignore, from the root of the tree
	ExcludeFile       []string `toml:"exclude_file,omitempty"`        // files of patterns
	ExcludeCaches     bool     `toml:"exclude_caches,omitempty"`      // what lies in a directory with a CACHEDIR.TAG
	ExcludeIfPresent  []string `toml:"exclude_if_present,omitempty"`  // what lies in a directory with such a file: NAME or NAME:BEGINNING
	ExcludeLargerThan Size     `toml:"exclude_larger_than,omitempty"` // files of more bytes; 0: none
	OneFileSystem     bool     `toml:"one_file_system,omitempty"`     // what lies on another file system than the root
}

// The tag of a directory that holds what can be made again: https://bford.info/cachedir/
const (
	cacheTag       = "CACHEDIR.TAG"
	cacheSignature = "Signature: 8a477f597d28d172789f06886806bc55"
)

const maxPatternFile = 16 << 20

// excluder decides what of a tree is left out. It keeps nothing between two paths, so that the survey and every pass
// decide alike.
type excluder struct {
	rules         exclude.Rules
	markers       []marker
	largest       int64
	largestWhere  string
	oneFileSystem bool
	own           func(*snapshot.Node) bool // wl's own state, or the drive
}

// marker is a file whose presence leaves out what lies beside it.
type marker struct {
	name, begins string
	why          string
}

// check finds slips in what stands in route.toml itself.
func (e *Exclusions) check(where string) error {
	if _, err := patterns(e.Exclude, "exclude "+where); err != nil {
		return err
	}
	for _, name := range e.ExcludeFile {
		if !filepath.IsAbs(name) {
			return fmt.Errorf("exclude_file %s: %q is not an absolute path", where, name)
		}
	}
	_, err := markers(e.ExcludeIfPresent, "exclude_if_present "+where)
	return err
}

func markers(list []string, where string) (all []marker, err error) {
	for _, text := range list {
		name, begins, _ := strings.Cut(text, ":")
		if err := snapshot.ValidName(name); err != nil {
			return nil, fmt.Errorf("%s: %w", where, err)
		}
		all = append(all, marker{name, begins, report.Name(name) + " lies in it (" + where + ")"})
	}
	return all, nil
}

// newExcluder reads the settings of a tree, and the flags, which come behind them.
func newExcluder(t Tree, flags Exclusions, own func(*snapshot.Node) bool) (*excluder, error) {
	x := &excluder{own: own}
	here := inConfig(t)
	for _, from := range []struct {
		Exclusions
		list, file, marker, larger string // where they stand
	}{
		{t.Exclusions, "exclude " + here, "exclude_file " + here, "exclude_if_present " + here, "exclude_larger_than " + here},
		{flags, "--exclude", "--exclude-file", "--exclude-if-present", "--exclude-larger-than"},
	} {
		for _, name := range from.ExcludeFile {
			rules, err := readPatterns(name)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", from.file, err)
			}
			x.rules = append(x.rules, rules...)
		}
		rules, err := patterns(from.Exclude, from.list)
		if err != nil {
			return nil, err
		}
		x.rules = append(x.rules, rules...)
		if from.ExcludeCaches {
			x.markers = append(x.markers, marker{cacheTag, cacheSignature, "it is tagged as a cache (" + cacheTag + ")"})
		}
		marks, err := markers(from.ExcludeIfPresent, from.marker)
		if err != nil {
			return nil, err
		}
		x.markers = append(x.markers, marks...)
		if n := int64(from.ExcludeLargerThan); n > 0 && (x.largest == 0 || n < x.largest) {
			x.largest, x.largestWhere = n, from.larger
		}
		x.oneFileSystem = x.oneFileSystem || from.OneFileSystem
	}
	return x, notFromRoot(t, x.rules)
}

// inConfig says where the settings of a tree stand.
func inConfig(t Tree) string { return "of tree " + t.Name + " in " + configFile }

// notFromRoot refuses patterns that were meant from the root of the machine.
func notFromRoot(t Tree, rules exclude.Rules) error {
	for _, r := range rules {
		rest, is := strings.CutPrefix(strings.TrimPrefix(r.Text, "!"), filepath.ToSlash(t.Path)+"/")
		if is && t.Path != "/" {
			return fmt.Errorf("pattern %q (%s) begins with the path of tree %s, but patterns are read from its root: write /%s", r.Text, r.Where, t.Name, rest)
		}
	}
	return nil
}

func patterns(list []string, where string) (exclude.Rules, error) {
	var rules exclude.Rules
	for _, text := range list {
		r, err := exclude.Parse(text, where)
		if err != nil {
			return nil, fmt.Errorf("%s: %q: %w", where, text, err)
		}
		rules = append(rules, r)
	}
	return rules, nil
}

func readPatterns(name string) (exclude.Rules, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() // was only read
	return exclude.ReadList(io.LimitReader(f, maxPatternFile), name)
}

// exclude is the decision about one path.
func (x *excluder) exclude(n *snapshot.Node) snapshot.Exclusion {
	e := &n.Entry
	if r := x.rules.Match(e.Path, e.Kind == disk.KindDir); r != nil {
		return snapshot.Exclusion{Why: fmt.Sprintf("pattern %s (%s)", report.Name(r.Text), r.Where)}
	}
	switch {
	case e.Kind == disk.KindFile && x.largest > 0 && e.Size > x.largest:
		return snapshot.Exclusion{Why: fmt.Sprintf("it is larger than %s (%s)", report.Size(x.largest), x.largestWhere)}
	case e.Kind != disk.KindDir:
		return snapshot.Exclusion{}
	case x.own != nil && x.own(n):
		return snapshot.Exclusion{Why: "it is wl's own", Inside: true}
	}
	for _, m := range x.markers {
		if m.lies(n) {
			return snapshot.Exclusion{Why: m.why, Inside: true, Keep: m.name}
		}
	}
	return snapshot.Exclusion{}
}

// lies tells whether the marker is in a directory. One that cannot be read leaves nothing out.
func (m *marker) lies(dir *snapshot.Node) bool {
	name := dir.Name + "/" + m.name
	if m.begins == "" {
		_, err := dir.FS.Stat(name)
		return err == nil
	}
	f, err := dir.FS.Open(name)
	if err != nil {
		return false
	}
	defer f.Close() // was only read
	head := make([]byte, len(m.begins))
	_, err = io.ReadFull(f, head)
	return err == nil && string(head) == m.begins
}

// leftOut follows a walk and tells what of the last scan lies where the walk leaves everything out.
type leftOut struct {
	path string
	on   bool
}

// meets takes a node that is left out. It tells whether that is the node itself, and not only what lies in it.
func (l *leftOut) meets(n *snapshot.Node) bool {
	if n.Excluded.Why == "" {
		return false
	}
	l.path, l.on = n.Entry.Path, true
	return !n.Excluded.Inside
}

func (l *leftOut) covers(path string) bool { return l.on && snapshot.Under(path, l.path) }

func (r *run) walkOptions(t *treeState) snapshot.WalkOptions {
	return snapshot.WalkOptions{FollowDevices: !t.excluder.oneFileSystem, Exclude: t.excluder.exclude}
}
