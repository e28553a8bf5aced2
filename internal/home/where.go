package home

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"waterlock/internal/disk"
	"waterlock/internal/report"
	"waterlock/snapshot"
)

// Standing says how it stands with an entry of a tree. The statement that something may be deleted here is made of held
// alone, and strictly: the entry on the disk is the one that the last scan saw, by kind, size, times and inode, every chunk
// of it is held, and so is the list of files that names it, in a snapshot that the vault knows.
type Standing string

const (
	IsHeld     Standing = "held"     // the vault has it: it may be deleted here
	IsAboard   Standing = "aboard"   // it, or the list of files that names it, is on a drive
	IsPending  Standing = "pending"  // it, or a part of it, has still to be carried
	IsChanged  Standing = "changed"  // it is not as the last pack saw it
	IsNew      Standing = "new"      // the last pack did not see it
	IsUnseen   Standing = "unseen"   // the last pack could not read it
	IsUnread   Standing = "unread"   // it cannot be looked at now
	IsExcluded Standing = "excluded" // it is not packed
)

// standings is the order in which they are told.
var standings = []Standing{IsHeld, IsAboard, IsPending, IsChanged, IsNew, IsUnseen, IsUnread, IsExcluded}

// WhereOptions ask how it stands with paths.
type WhereOptions struct {
	State  string
	Route  string   // name; "" = the only one
	Paths  []string // absolute
	Report report.Reporter
}

// WhereResult is what a route knows of a path.
type WhereResult struct {
	Path     string
	Route    string
	Tree     string // "" = it lies in no tree of this route
	InTree   string // its path within the tree
	Kind     string // of what is there now; "" = nothing
	Vault    string // name, as of the newest receipt
	Snapshot uint64 // that the answer rests on: the last that saw the tree; 0 = none
	Packed   time.Time

	Groups     []WhereGroup // by standing, those that occur
	Gone       int64        // entries of that snapshot that are not on the disk now
	Exceptions []WhereEntry // the first that may not be deleted
	MayDelete  bool         // everything that is there is held

	HeldSince time.Time // of all that is held, the last to come: time of the receipt that told of it
	// ReadSince: the vault has read everything that it holds on this time or later, after it came. Zero: that is not known.
	ReadSince time.Time
}

// WhereGroup counts the entries of one standing.
type WhereGroup struct {
	Standing Standing
	Entries  int64
	Bytes    int64 // of files
	Drives   []string
}

// WhereEntry is one entry that may not be deleted, and why.
type WhereEntry struct {
	Path     string // as InTree
	Standing Standing
	Why      string
	Drives   []string
}

// maxExceptions bounds how many entries are named.
const maxExceptions = 10

// Where says of paths at home whether the vault has what is there now. Nothing of their content is read.
func Where(ctx context.Context, o WhereOptions) (list []WhereResult, err error) {
	dir, err := routeDir(o.State, o.Route)
	if err != nil {
		return nil, err
	}
	s, err := openSite(dir, "")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	return s.where(ctx, o.Paths, orDiscard(o.Report))
}

func (s *site) where(ctx context.Context, paths []string, rep report.Reporter) (list []WhereResult, err error) {
	f, err := s.loadFleet(rep)
	if err != nil {
		return nil, err
	}
	b, err := s.openBooks(f, rep)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.close(err == nil)) }()
	scans, err := s.lastScans(f.newestNumber())
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		r := WhereResult{Path: path, Route: s.cfg.Name}
		if tree, in, ok := s.treeOf(path); ok {
			r.Tree, r.InTree = tree.Name, in
			w := &looking{b: b, tree: tree, scan: scans[tree.Name], res: &r, groups: map[Standing]*WhereGroup{}, rep: rep}
			if err := w.look(ctx); err != nil {
				return nil, err
			}
		}
		list = append(list, r)
	}
	return list, nil
}

// treeOf finds the tree that a path lies in, and its path there. Links are followed as far as the directory that the path
// lies in; the path itself may be one.
func (s *site) treeOf(path string) (Tree, string, bool) {
	parent, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		parent = filepath.Dir(path)
	}
	real := filepath.Join(parent, filepath.Base(path))
	for _, t := range s.cfg.Trees {
		root, err := filepath.EvalSymlinks(t.Path)
		if err != nil {
			root = t.Path
		}
		if path == t.Path || real == root {
			return t, "", true
		}
		if within(real, root) {
			rel, err := filepath.Rel(root, real)
			return t, filepath.ToSlash(rel), err == nil
		}
	}
	return Tree{}, "", false
}

// looking is one answer in the making.
type looking struct {
	b             *books
	tree          Tree
	scan          string
	res           *WhereResult
	groups        map[Standing]*WhereGroup
	rep           report.Reporter
	judge         *judge
	since, listed time.Time // of all that is held
}

func (w *looking) look(ctx context.Context) error {
	s := w.b.site
	w.res.Snapshot = scanNumber(w.scan)
	if r := w.b.receipt; r != nil {
		w.res.Vault, w.res.ReadSince = r.VaultName, r.ReadSince
	}
	var err error
	if w.judge, err = w.b.newJudge(w.tree.Name, w.res.Snapshot, w.rep); err != nil {
		return err
	}
	w.res.Packed = w.judge.time
	last, err := openScan(s.state, w.scan)
	if err != nil {
		w.rep.Warn("the last scan of tree %s: %v", w.tree.Name, err)
	}
	defer last.close()
	root, err := s.openTree(w.tree)
	if err != nil {
		return fmt.Errorf("tree %s: %w", w.tree.Name, err)
	}
	defer root.Close()
	w.rep.Phase("looking", 0, 0)
	excluder, err := newExcluder(w.tree, Exclusions{}, s.skips)
	if err != nil {
		return err
	}
	options := snapshot.WalkOptions{FollowDevices: !excluder.oneFileSystem, Exclude: excluder.exclude}
	err = snapshot.Walk(ctx, root, options, func(n *snapshot.Node) error {
		return w.visit(n, last)
	})
	if err != nil {
		return err
	}
	if err := last.rest(w.passed); err != nil {
		return err
	}
	if last != nil && last.torn != nil {
		w.rep.Warn("the last scan of tree %s is damaged, what lies behind that place counts as new: %v", w.tree.Name, last.torn)
	}
	w.finish()
	return nil
}

// visit goes down to what was asked for, and judges all of it.
func (w *looking) visit(n *snapshot.Node, last *cursor) error {
	path := n.Entry.Path
	if !snapshot.Under(path, w.res.InTree) {
		if !snapshot.Under(w.res.InTree, path) {
			return skipDir(n)
		}
		return w.above(n)
	}
	prev, err := last.seek(path, w.passed)
	if err != nil {
		return err
	}
	defer last.took(prev)
	if path == w.res.InTree {
		w.res.Kind = n.Entry.Kind.String()
	}
	v, err := w.judge.of(n, prev)
	if err != nil {
		return err
	}
	w.rep.Add(0, 1)
	w.count(&n.Entry, v)
	return nil
}

// skipDir leaves out what lies in a directory.
func skipDir(n *snapshot.Node) error {
	if n.Err == nil && n.Entry.Kind == disk.KindDir {
		return snapshot.SkipDir
	}
	return nil
}

// above looks at a directory above what was asked for. If that is left out, or cannot be read, so is what was asked for.
func (w *looking) above(n *snapshot.Node) error {
	v := verdict{standing: IsUnread}
	name := report.Name(treeName(w.tree, n.Entry.Path))
	keeps := n.Excluded.Keep != "" && snapshot.Under(w.res.InTree, snapshot.Join(n.Entry.Path, n.Excluded.Keep))
	switch {
	case n.Err != nil:
		v.why = fmt.Sprintf("%s cannot be read: %v", name, n.Err)
	case n.Excluded.Why != "" && !keeps:
		v = verdict{standing: IsExcluded, why: fmt.Sprintf("%s is: %s", name, n.Excluded.Why)}
	default:
		return nil
	}
	st, err := os.Lstat(w.res.Path)
	if err != nil {
		return nil // nothing is there
	}
	e := snapshot.Entry{Path: w.res.InTree, Kind: disk.KindFile, Size: st.Size()}
	if st.IsDir() {
		e.Kind, e.Size = disk.KindDir, 0
	}
	w.res.Kind = e.Kind.String()
	w.count(&e, v)
	return nil
}

// treeName is how people name a path of a tree.
func treeName(t Tree, path string) string {
	if path == "" {
		return t.Name
	}
	return t.Name + "/" + path
}

// passed gets what the last scan has and the disk has not.
func (w *looking) passed(e *snapshot.ScanEntry) error {
	if e.Entry.Gone == snapshot.Here && snapshot.Under(e.Entry.Path, w.res.InTree) {
		w.res.Gone++
	}
	return nil
}

func (w *looking) count(e *snapshot.Entry, v verdict) {
	g := w.groups[v.standing]
	if g == nil {
		g = &WhereGroup{Standing: v.standing}
		w.groups[v.standing] = g
	}
	g.Entries++
	if e.Kind == disk.KindFile {
		g.Bytes += e.Size
	}
	for _, d := range v.drives {
		if !slices.Contains(g.Drives, d) {
			g.Drives = append(g.Drives, d)
		}
	}
	if v.standing == IsHeld {
		w.since, w.listed = later(w.since, v.since), later(w.listed, v.listed)
		return
	}
	if len(w.res.Exceptions) < maxExceptions {
		w.res.Exceptions = append(w.res.Exceptions, WhereEntry{e.Path, v.standing, v.why, v.drives})
	}
}

func (w *looking) finish() {
	for _, s := range standings {
		if g := w.groups[s]; g != nil {
			w.res.Groups = append(w.res.Groups, *g)
		}
	}
	if w.res.HeldSince = w.since; w.since.IsZero() {
		w.res.HeldSince = w.listed // nothing there has content
	}
	w.res.MayDelete = len(w.res.Groups) == 1 && w.res.Groups[0].Standing == IsHeld
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
