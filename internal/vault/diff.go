package vault

import (
	"context"
	"fmt"
	"slices"

	"waterlock/internal/chunk"
	"waterlock/internal/courier"
	"waterlock/internal/disk"
	"waterlock/internal/exit"
	"waterlock/internal/report"
	"waterlock/snapshot"
)

// Kinds of a change from one snapshot to another.
const (
	Added    = '+'
	Gone     = '-'
	Modified = 'M' // another content: of a file by its hash, of a link its target, of a device its number
	Retyped  = 'T' // another kind of entry
	Renamed  = 'R' // gone here and new there, with the same content, and no other path gone or new has that content
	Metadata = 'U' // mode, owner, times, attributes, links
)

// Change is one path that differs. Old is nil where it is new, New where it is gone.
type Change struct {
	Kind      rune
	Tree      string
	Path      string
	FromTree  string // of a renamed file
	FromPath  string
	Old, New  *snapshot.Entry // without their contents
	Elsewhere bool            // new: of its content other paths are gone or new, too, so nobody can say which of them it was
}

// DiffOptions say which snapshots to compare.
type DiffOptions struct {
	Vault  string
	A, B   string // as in RestoreOptions.Snapshot
	Path   string // TREE or TREE/PATH; "" = everything
	Begin  func(a, b SnapshotRef)
	Change func(Change) error
	Report report.Reporter
}

// Tally is a number of files and their bytes.
type Tally struct{ Files, Bytes int64 }

func (t *Tally) add(bytes int64) { t.Files++; t.Bytes += bytes }

// DiffResult counts the changes. Bytes are sizes of whole files.
type DiffResult struct {
	A, B             SnapshotRef
	Added, Gone      Tally // files
	Renamed          Tally
	Modified         int64 // files
	BytesBefore      int64 // of these, as they were
	BytesAfter       int64 // as they are
	Retyped          int64
	Metadata         int64 // entries
	DirsAdded        int64
	DirsGone         int64
	OthersAdded      int64 // links and special files
	OthersGone       int64
	OthersModified   int64
	Unknown          int64 // paths that one snapshot has and the other may have: its list cannot be read there
	PendingA         int64 // differing files whose content in A is an earlier one
	PendingB         int64
	RenamesUncertain bool     // too many files are gone and new to compare all of them
	StoppedA         []string // trees compared that stood still, "tree: reason"
	StoppedB         []string
	Unread
}

// Diff compares two snapshots. Stream chunks that both have at the same place are not read.
func Diff(ctx context.Context, o DiffOptions) (result DiffResult, err error) {
	l, err := openLooker(o.Vault, o.Report)
	if err != nil {
		return result, err
	}
	defer l.close()
	d := &differ{ctx: ctx, l: l, o: o, result: &result, moves: map[chunk.ContentHash]*move{}}
	if err := d.load(); err != nil {
		return result, err
	}
	o.Begin(result.A, result.B)
	// Once to see which contents went from one path to another, once to tell.
	for _, pass := range []func(string, string, *snapshot.Entry, *snapshot.Entry) error{d.note, d.tell} {
		l.unread = Unread{}
		if err := d.run(pass); err != nil {
			return result, interrupted(ctx, err)
		}
		d.second = true
	}
	result.Unread = l.unread
	return result, nil
}

type differ struct {
	ctx    context.Context
	l      *looker
	o      DiffOptions
	result *DiffResult
	trees  []diffTree
	moves  map[chunk.ContentHash]*move
	second bool // the pass that tells
}

type diffTree struct {
	name  string
	under string
	sweep *snapshot.Sweep
}

// move is a content of which paths are gone or new: the first of each, and how many.
type move struct {
	from, to   string // TREE/PATH
	fromTree   string
	fromPath   string
	gone, come int
}

// maxMoves bounds the contents that are remembered to find renames.
const maxMoves = 1 << 17

func (d *differ) load() error {
	a, err := d.l.choose(d.o.A)
	if err != nil {
		return err
	}
	b, err := d.l.choose(d.o.B)
	if err != nil {
		return err
	}
	d.result.A, d.result.B = refOf(a), refOf(b)
	only, under, err := d.only(a, b)
	if err != nil {
		return err
	}
	var names []string
	for _, c := range []*courier.Commit{a, b} {
		for _, t := range c.Snapshot.Trees {
			if only == "" || t.Name == only {
				names = append(names, t.Name)
			}
		}
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		t := diffTree{name, under, &snapshot.Sweep{}}
		for i, stopped := range []*[]string{&d.result.StoppedA, &d.result.StoppedB} {
			record, has := []*courier.Commit{a, b}[i].Snapshot.Tree(name)
			t.sweep.Add(record, under)
			if has && record.Stopped != "" {
				*stopped = append(*stopped, stoppedText(record))
			}
		}
		d.trees = append(d.trees, t)
	}
	return nil
}

// only is the tree and the path in it that was asked for; one of the snapshots must have the tree.
func (d *differ) only(a, b *courier.Commit) (tree, under string, err error) {
	if d.o.Path == "" {
		return "", "", nil
	}
	t, under, err := inTree(&b.Snapshot, d.o.Path)
	if exit.Of(err) == exit.NotFound {
		t, under, err = inTree(&a.Snapshot, d.o.Path)
	}
	if err != nil {
		return "", "", err
	}
	return t.Name, under, nil
}

// both tells that both snapshots have a stream chunk.
func both(in []snapshot.Span) bool { return in[0] == snapshot.Span{First: 0, Last: 1} }

// run gives fn each path that differs or may differ, with what either snapshot has.
func (d *differ) run(fn func(tree, path string, old, new *snapshot.Entry) error) error {
	bytes := int64(0)
	for _, t := range d.trees {
		bytes += t.sweep.Bytes(both)
	}
	phase := "looking for renames"
	if d.second {
		phase = "comparing"
	}
	d.l.rep.Phase(phase, bytes, 0)
	for _, t := range d.trees {
		err := t.sweep.Run(snapshot.SweepOptions{
			Get:   d.l.streams,
			Match: func(path string) bool { return snapshot.Under(path, t.under) },
			Skip:  both,
			Path: func(path string, versions []snapshot.Version, unknown func(int) bool) error {
				var side [2]*snapshot.Entry
				for _, v := range versions {
					side[v.In[0].First] = v.Entry
				}
				for i := range side {
					if side[i] == nil && unknown(i) {
						if d.second {
							d.result.Unknown++
						}
						return nil
					}
				}
				return fn(t.name, path, side[0], side[1])
			},
			Gap: func(g *snapshot.GapError, in []snapshot.Span) {
				if !d.second {
					return // it comes again
				}
				which := d.result.A.Number
				if in[0].First == 1 {
					which = d.result.B.Number
				}
				d.l.gap(t.name, g, fmt.Sprintf("snapshot %d", which))
			},
			Read: func(n int64) { d.l.rep.Add(n, 0) },
			Next: d.ctx.Err,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// movable tells whether a file's content says something about where it went: it is all there, and not empty.
func movable(e *snapshot.Entry) bool {
	return e != nil && e.Kind == disk.KindFile && !e.Pending && e.Size > 0 && !e.Hash.IsZero()
}

// note remembers contents that are gone from a path or new at one.
func (d *differ) note(tree, path string, old, new *snapshot.Entry) error {
	if old != nil && new != nil || !movable(old) && !movable(new) {
		return nil
	}
	hash := chunk.ContentHash{}
	if new != nil {
		hash = new.Hash
	} else {
		hash = old.Hash
	}
	m := d.moves[hash]
	if m == nil {
		if len(d.moves) >= maxMoves {
			d.result.RenamesUncertain = true
			return nil
		}
		m = &move{}
		d.moves[hash] = m
	}
	if new != nil {
		m.come++
		m.to = treePath(tree, path)
	} else {
		m.gone++
		m.from, m.fromTree, m.fromPath = treePath(tree, path), tree, path
	}
	return nil
}

// renamed is the move of a content that went from one path to one other.
func (d *differ) renamed(e *snapshot.Entry) *move {
	if !movable(e) {
		return nil
	}
	if m := d.moves[e.Hash]; m != nil && m.gone == 1 && m.come == 1 {
		return m
	}
	return nil
}

// tell says what differs at a path.
func (d *differ) tell(tree, path string, old, new *snapshot.Entry) error {
	c := Change{Tree: tree, Path: path, Old: old, New: new}
	r := d.result
	switch {
	case old == nil:
		c.Kind = Added
		if m := d.renamed(new); m != nil {
			c.Kind, c.FromTree, c.FromPath = Renamed, m.fromTree, m.fromPath
			r.Renamed.add(new.Size)
			return d.o.Change(c)
		}
		if m := d.moves[new.Hash]; movable(new) && m != nil {
			c.Elsewhere = m.gone > 0
		}
		tallyKind(new, &r.Added, &r.DirsAdded, &r.OthersAdded)
	case new == nil:
		if d.renamed(old) != nil {
			return nil // told at its new path
		}
		c.Kind = Gone
		tallyKind(old, &r.Gone, &r.DirsGone, &r.OthersGone)
	case old.Kind != new.Kind:
		c.Kind = Retyped
		r.Retyped++
	case old.Hash != new.Hash || old.Target != new.Target || old.Rdev != new.Rdev:
		c.Kind = Modified
		if new.Kind != disk.KindFile {
			r.OthersModified++
			break
		}
		r.Modified++
		r.BytesBefore += old.Size
		r.BytesAfter += new.Size
	case !old.SameMeta(new):
		c.Kind = Metadata
		r.Metadata++
	default:
		return nil // the same in stream chunks that differ elsewhere
	}
	if old != nil && old.Pending {
		r.PendingA++
	}
	if new != nil && new.Pending {
		r.PendingB++
	}
	return d.o.Change(c)
}

func tallyKind(e *snapshot.Entry, files *Tally, dirs, others *int64) {
	switch e.Kind {
	case disk.KindFile:
		files.add(e.Size)
	case disk.KindDir:
		*dirs++
	default:
		*others++
	}
}
