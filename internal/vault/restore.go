package vault

import (
	"context"
	"encoding/hex"
	"path/filepath"
	"strings"
	"sync/atomic"

	"waterlock/internal/exit"
	"waterlock/internal/report"
	"waterlock/snapshot"
)

// Restore writes a snapshot, or parts of it, to <target>/<tree>/…. What cannot be had is named; the rest comes back.
func Restore(ctx context.Context, o RestoreOptions) (result RestoreResult, err error) {
	if o.Target == "" {
		return result, exit.Errorf(exit.Usage, "restore needs a target directory")
	}
	rep := &problemCounter{Reporter: o.Report}
	if rep.Reporter == nil {
		rep.Reporter = report.Discard
	}
	v, err := openVault(o.Vault, rep)
	if err != nil {
		return result, err
	}
	defer v.closeInto(&err)
	target, err := filepath.Abs(o.Target)
	if err != nil {
		return result, err
	}
	if err := v.outside(target); err != nil {
		return result, err
	}
	if err := v.openStore(ctx); err != nil {
		return result, err
	}
	a, err := v.checkArrivals(ctx, nil)
	if err != nil {
		return result, interrupted(ctx, err)
	}
	commit, err := v.choose(o.Snapshot, a)
	if err != nil {
		return result, err
	}
	record := &commit.Snapshot
	id := record.ID()
	result.Snapshot, result.SnapshotID, result.SnapshotTime = record.Number, hex.EncodeToString(id[:]), record.Time

	parts, err := partsOf(record, o.Paths)
	if err != nil {
		return result, err
	}
	rep.n.Store(0) // from here on problems are of this restore
	rep.Phase("restoring", parts.bytes, parts.files)
	for _, part := range parts.list {
		r, err := v.restoreTree(ctx, part, target, o, rep)
		if err != nil {
			return result, interrupted(ctx, err)
		}
		result.Files += r.Files
		result.Dirs += r.Dirs
		result.Others += r.Others
		result.Bytes += r.Bytes
		result.AlreadyThere += r.AlreadyThere
		result.Failed += r.Failed + r.NotFound + r.Gaps
		result.Pending += r.Pending
		result.Unseen += r.Unseen
		result.Unset = snapshot.AddUnset(result.Unset, r.Unset)
	}
	result.Damaged, err = v.lostSince()
	return result, err
}

// outside refuses a target that would write into the mirror or the vault's own files: only installs may.
func (v *vault) outside(target string) error {
	target = resolved(target)
	own := []string{filepath.Join(resolved(v.path), metaDir)}
	for _, tree := range v.treePlaces() {
		own = append(own, resolved(tree.Path))
	}
	for _, tree := range v.treePlaces() {
		into := resolved(filepath.Join(target, tree.Tree))
		for _, dir := range own {
			if inside(into, dir) || inside(dir, into) || inside(target, dir) {
				return exit.Errorf(exit.Usage, "restoring to %s would write into %s, which is the vault's own; give a directory of its own", target, dir)
			}
		}
	}
	return nil
}

// resolved follows the links in as much of a path as is there.
func resolved(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	parent := filepath.Dir(path)
	if parent == path {
		return path
	}
	return filepath.Join(resolved(parent), filepath.Base(path))
}

// lostSince counts the chunks that turned out to be lost since the last check of arrivals.
func (v *vault) lostSince() (n int64, err error) {
	err = v.cat.Wants(countLost(&n))
	return n, err
}

// part is what of one tree is to be restored; no paths means all of it.
type part struct {
	tree  snapshot.TreeRecord
	paths []string
}

type parts struct {
	list         []part
	bytes, files int64 // 0 where only paths are asked for
}

// partsOf sorts the paths asked for by tree. A path begins with the name of its tree.
func partsOf(record *snapshot.Record, paths []string) (parts, error) {
	var p parts
	if len(paths) == 0 {
		for _, t := range record.Trees {
			p.list = append(p.list, part{tree: t})
			p.bytes += t.Totals.Bytes
			p.files += t.Totals.Files
		}
		return p, nil
	}
	at := map[string]int{}
	whole := map[string]bool{}
	for _, path := range paths {
		t, rest, err := inTree(record, path)
		if err != nil {
			return p, err
		}
		name := t.Name
		i, seen := at[name]
		if !seen {
			i = len(p.list)
			at[name] = i
			p.list = append(p.list, part{tree: *t})
		}
		if rest == "" {
			whole[name] = true
			continue
		}
		p.list[i].paths = append(p.list[i].paths, rest)
	}
	for i := range p.list {
		if whole[p.list[i].tree.Name] {
			p.list[i].paths = nil
		}
	}
	return p, nil
}

// inTree finds the tree that a path begins with, and the path within it.
func inTree(record *snapshot.Record, path string) (t *snapshot.TreeRecord, rest string, err error) {
	name, rest, _ := strings.Cut(strings.Trim(filepath.ToSlash(path), "/"), "/")
	t, ok := record.Tree(name)
	if !ok {
		var names []string
		for _, t := range record.Trees {
			names = append(names, report.Name(t.Name))
		}
		return nil, "", exit.Errorf(exit.NotFound, "snapshot %d has no tree %s; paths begin with a tree: %s", record.Number, report.Name(name), strings.Join(names, ", "))
	}
	rest = strings.Trim(rest, "/")
	return t, rest, exit.With(exit.Usage, snapshot.ValidPath(rest))
}

func (v *vault) restoreTree(ctx context.Context, p part, target string, o RestoreOptions, rep report.Reporter) (snapshot.RestoreResult, error) {
	if err := treeHere(p.tree.Name); err != nil {
		rep.Problem(p.tree.Name, err)
		return snapshot.RestoreResult{Failed: 1}, nil
	}
	dir, done, err := snapshot.OpenTarget(target, p.tree.Name, o.DryRun)
	if err != nil {
		return snapshot.RestoreResult{}, err
	}
	defer done()
	return snapshot.Restore(ctx, snapshot.RestoreOptions{
		Target:     dir,
		Tree:       p.tree,
		Get:        v.store,
		Paths:      p.paths,
		Overwrite:  o.Overwrite,
		DryRun:     o.DryRun,
		Privileged: o.Privileged,
		Report:     rep,
	})
}

// problemCounter counts the problems that pass through it.
type problemCounter struct {
	report.Reporter
	n atomic.Int64
}

func (c *problemCounter) Problem(path string, err error) {
	c.n.Add(1)
	c.Reporter.Problem(path, err)
}
