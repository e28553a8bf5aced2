package vault

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"waterlock/internal/exclude"
	"waterlock/internal/exit"
	"waterlock/internal/report"
	"waterlock/snapshot"
)

// FindOptions say what to look for. A pattern without a slash is matched against names, one with a slash against the end
// of TREE/PATH, or against all of it where it begins with a slash. * and ? match within a name, ** any names, [a-z] and
// {one,two} as usual; a backslash takes the next character as it is.
type FindOptions struct {
	Vault      string
	Patterns   []string
	IgnoreCase bool
	Snapshot   string // only this one; "" = all
	Path       func(FoundPath) error
	Report     report.Reporter
}

// FoundPath is a path that matches, with its versions, the oldest first.
type FoundPath struct {
	Tree, Path string
	Versions   []FoundVersion
}

// FoundVersion is what some snapshots in a row have at a path: content, size and time of change are the same in all of
// them.
type FoundVersion struct {
	Entry       *snapshot.Entry // of the first, without its content
	First, Last SnapshotRef
	Snapshots   int // how many, First and Last included
}

// FindResult counts what Find gave out.
type FindResult struct {
	Snapshots int // looked at
	Paths     int64
	Versions  int64
	Unread
}

// Find goes through all snapshots at once, each stream chunk being read once however many of them have it.
func Find(ctx context.Context, o FindOptions) (result FindResult, err error) {
	if len(o.Patterns) == 0 {
		return result, exit.Errorf(exit.Usage, "a pattern is missing")
	}
	match, err := exclude.Finder(o.Patterns, o.IgnoreCase)
	if err != nil {
		return result, exit.With(exit.Usage, err)
	}
	l, err := openLooker(o.Vault, o.Report)
	if err != nil {
		return result, err
	}
	defer l.close()
	f := &finding{ctx: ctx, l: l, o: o, match: match, result: &result, sweeps: map[string]*snapshot.Sweep{}}
	if err := f.load(); err != nil {
		return result, err
	}
	if err := f.run(); err != nil {
		return result, interrupted(ctx, err)
	}
	result.Unread = l.unread
	return result, nil
}

type finding struct {
	ctx    context.Context
	l      *looker
	o      FindOptions
	match  func(path string) bool
	result *FindResult
	refs   []SnapshotRef
	sweeps map[string]*snapshot.Sweep // by tree
}

// load reads the records, one after the other: only the references of their different stream chunks stay in memory.
func (f *finding) load() error {
	if f.o.Snapshot != "" {
		c, err := f.l.choose(f.o.Snapshot)
		if err != nil {
			return err
		}
		for i := range c.Snapshot.Trees {
			f.add(&c.Snapshot.Trees[i])
		}
		f.refs = append(f.refs, refOf(c))
		return nil
	}
	if len(f.l.commits.known) == 0 {
		return exit.Errorf(exit.NotFound, "%s has no snapshot yet", f.l.path)
	}
	f.l.unread.Damaged += f.l.lost
	for _, k := range f.l.commits.known {
		c, err := f.l.commits.load(k)
		if err != nil {
			return err
		}
		for i := range c.Snapshot.Trees {
			f.add(&c.Snapshot.Trees[i])
		}
		f.refs = append(f.refs, refOf(c))
	}
	return nil
}

func (f *finding) add(t *snapshot.TreeRecord) {
	s := f.sweeps[t.Name]
	if s == nil {
		s = &snapshot.Sweep{}
		f.sweeps[t.Name] = s
	}
	for range len(f.refs) - s.Snapshots() { // snapshots that do not have this tree
		s.Add(nil, "")
	}
	s.Add(t, "")
}

func (f *finding) run() error {
	f.result.Snapshots = len(f.refs)
	var names []string
	bytes := int64(0)
	for name, s := range f.sweeps {
		names = append(names, name)
		bytes += s.Bytes(nil)
	}
	slices.Sort(names)
	f.l.rep.Phase("searching", bytes, 0)
	for _, tree := range names {
		err := f.sweeps[tree].Run(snapshot.SweepOptions{
			Get:   f.l.streams,
			Match: func(path string) bool { return f.match(treePath(tree, path)) },
			Path: func(path string, versions []snapshot.Version, _ func(int) bool) error {
				return f.found(tree, path, versions)
			},
			Gap:  func(g *snapshot.GapError, in []snapshot.Span) { f.l.gap(tree, g, f.which(in)) },
			Read: func(n int64) { f.l.rep.Add(n, 0) },
			Next: f.ctx.Err,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// which names snapshots: "snapshots 3 to 7, 9".
func (f *finding) which(in []snapshot.Span) string {
	var b strings.Builder
	for i, s := range in {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprint(&b, f.refs[s.First].Number)
		if s.Last > s.First {
			fmt.Fprintf(&b, " to %d", f.refs[s.Last].Number)
		}
	}
	if len(in) == 1 && in[0].First == in[0].Last {
		return "snapshot " + b.String()
	}
	return "snapshots " + b.String()
}

func (f *finding) found(tree, path string, versions []snapshot.Version) error {
	p := FoundPath{Tree: tree, Path: path}
	last := -1 // snapshot of the last version
	for _, s := range inOrder(versions) {
		ref := f.refs[s.in.Last]
		if n := len(p.Versions); n > 0 && s.in.First == last+1 && sameVersion(p.Versions[n-1].Entry, s.entry) {
			v := &p.Versions[n-1]
			v.Last, v.Snapshots = ref, v.Snapshots+s.in.Last-s.in.First+1
		} else {
			p.Versions = append(p.Versions, FoundVersion{s.entry, f.refs[s.in.First], ref, s.in.Last - s.in.First + 1})
		}
		last = s.in.Last
	}
	f.result.Paths++
	f.result.Versions += int64(len(p.Versions))
	return f.o.Path(p)
}

type stretch struct {
	in    snapshot.Span
	entry *snapshot.Entry
}

// inOrder takes versions apart into runs of snapshots, in the order of the snapshots.
func inOrder(versions []snapshot.Version) (list []stretch) {
	for _, v := range versions {
		for _, in := range v.In {
			list = append(list, stretch{in, v.Entry})
		}
	}
	slices.SortFunc(list, func(a, b stretch) int { return a.in.First - b.in.First })
	return list
}

// sameVersion tells whether two entries show the same: kind, content, size and time of change. A pending entry shows the
// content of an earlier version.
func sameVersion(a, b *snapshot.Entry) bool {
	return a.Kind == b.Kind && a.Hash == b.Hash && a.Size == b.Size && a.MTime == b.MTime && a.Pending == b.Pending &&
		a.Target == b.Target && a.Rdev == b.Rdev
}
