package vault

import (
	"context"
	"fmt"
	"io"
	"slices"

	"waterlock/internal/disk"
	"waterlock/internal/exit"
	"waterlock/internal/report"
	"waterlock/snapshot"
)

// ListOptions say what of a snapshot to list.
type ListOptions struct {
	Vault     string
	Snapshot  string   // latest, a number, an id prefix, or a time; "" = latest
	Paths     []string // TREE or TREE/PATH: of a directory what lies in it; none = the trees themselves
	Recursive bool
	Begin     func(SnapshotRef) // told the snapshot before the first entry
	Entry     func(tree string, e *snapshot.Entry) error
	Report    report.Reporter
}

// ListResult counts what List gave out.
type ListResult struct {
	Snapshot SnapshotRef
	Files    int64
	Dirs     int64
	Others   int64
	Bytes    int64
	Pending  int64    // files of which the vault has an earlier version only, or none
	Unseen   int64    // entries that home could not read; they are as it saw them before
	Missing  int64    // paths asked for that the snapshot does not have, named through Report
	Stopped  []string // trees asked for that stood still in this snapshot, "tree: reason"
	Unread
}

// List gives out the entries of a directory, reading the stream chunks that cover it and no others. Entries come without
// their contents.
func List(ctx context.Context, o ListOptions) (result ListResult, err error) {
	l, err := openLooker(o.Vault, o.Report)
	if err != nil {
		return result, err
	}
	defer l.close()
	commit, err := l.choose(o.Snapshot)
	if err != nil {
		return result, err
	}
	record := &commit.Snapshot
	result.Snapshot = refOf(commit)
	type part struct {
		tree *snapshot.TreeRecord
		path string
		root bool // the root itself, too
	}
	var parts []part
	for _, path := range o.Paths {
		t, rest, err := inTree(record, path)
		if err != nil {
			return result, err
		}
		parts = append(parts, part{t, rest, false})
	}
	for i := range record.Trees {
		if len(o.Paths) == 0 {
			parts = append(parts, part{&record.Trees[i], "", true})
		}
	}
	o.Begin(result.Snapshot)
	for _, p := range parts {
		if s := stoppedText(p.tree); s != "" && !slices.Contains(result.Stopped, s) {
			result.Stopped = append(result.Stopped, s)
		}
		give := func(e *snapshot.Entry) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			result.count(e)
			return o.Entry(p.tree.Name, e)
		}
		gap := func(g *snapshot.GapError) { l.gap(p.tree.Name, g, fmt.Sprintf("snapshot %d", record.Number)) }
		if p.root {
			if err := l.treeRoot(p.tree, give, gap); err != nil {
				return result, interrupted(ctx, err)
			}
			if !o.Recursive {
				continue
			}
		}
		found, err := snapshot.List(snapshot.ListOptions{Tree: *p.tree, Get: l.streams, Path: p.path, Recursive: o.Recursive, Entry: give, Gap: gap})
		if err != nil {
			return result, interrupted(ctx, err)
		}
		if !found {
			result.Missing++
			l.rep.Problem(treePath(p.tree.Name, p.path), exit.Errorf(exit.NotFound, "not in snapshot %d", record.Number))
		}
	}
	result.Unread = l.unread
	return result, nil
}

// treeRoot gives out the root of a tree alone.
func (l *looker) treeRoot(t *snapshot.TreeRecord, give func(*snapshot.Entry) error, gap func(*snapshot.GapError)) error {
	e, err := snapshot.NewHeadReader(*t, l.streams).Next()
	switch g, isGap := err.(*snapshot.GapError); {
	case isGap:
		gap(g)
		return nil
	case err == io.EOF:
		return nil
	case err != nil:
		return err
	}
	return give(e)
}

func (r *ListResult) count(e *snapshot.Entry) {
	switch e.Kind {
	case disk.KindFile:
		r.Files++
		r.Bytes += e.Size
	case disk.KindDir:
		r.Dirs++
	default:
		r.Others++
	}
	if e.Pending {
		r.Pending++
	}
	if e.Unseen {
		r.Unseen++
	}
}
