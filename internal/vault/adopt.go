package vault

import (
	"context"
	"errors"
	"fmt"
	"time"

	"waterlock/chunkstore"
	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/internal/exit"
	"waterlock/internal/report"
	"waterlock/snapshot"
)

// A directory that already holds most of a tree becomes the tree's place: its files are read once, where they lie, and
// count as the vault's from then on. Nothing is copied. In order, each step durable before the next:
//
//	1  settle     the directory is marked as the tree's, then vault.toml says so: place.go
//	2  offer      home is to get an inventory with the next receipt: inventory.go
//	3  read       the files in tree order, some thousand at a time: read cold, cut as home cuts, recorded
//
// Killed at any moment it is run again: what is settled is found settled, and what is recorded is not read again. What the
// records mean is told by package chunkstore, adopt.go.

// AdoptOptions says which directories become the places of which trees.
type AdoptOptions struct {
	Vault  string
	Places []TreePlace
	Report report.Reporter
}

// AdoptResult counts what Adopt found. Failed > 0 means exit code 3.
type AdoptResult struct {
	Trees       []TreePlace // where they lie now
	Files       int64       // recorded by this run
	Bytes       int64       // their content, each inode once
	Links       int64       // of these files, further names of an inode: not read again
	Before      int64       // recorded by an earlier run, or put there by unpack
	BeforeBytes int64
	Others      int64 // links, pipes and the like: nothing to read
	Failed      int64 // files and directories that could not be read, or changed while they were: named
}

// Adopt makes directories the places of trees and records what lies in them.
func Adopt(ctx context.Context, o AdoptOptions) (result AdoptResult, err error) {
	a := &adopting{rep: o.Report, result: &result}
	if a.rep == nil {
		a.rep = report.Discard
	}
	defer func() { err = interrupted(ctx, err) }()
	if a.v, err = openVault(o.Vault, a.rep); err != nil {
		return result, err
	}
	defer a.v.closeInto(&err)

	joined, err := a.v.joined()
	if err != nil {
		return result, err
	}
	a.params = joined.Route.Chunker
	plan, err := a.v.planPlaces(ctx, o.Places, joined)
	if err != nil {
		return result, err
	}
	if err := a.v.settlePlaces(plan); err != nil {
		return result, err
	}
	for _, p := range plan {
		a.v.commits.trees[p.Tree] = true // its volume is opened even if no snapshot is known yet
		result.Trees = append(result.Trees, p.TreePlace)
	}
	if err := a.v.openStore(ctx); err != nil {
		return result, err
	}
	a.rep.Phase("checking the mirror", 0, 0)
	if _, err := a.v.store.CheckMirror(ctx); err != nil {
		return result, err
	}
	if err := errors.Join(a.v.noteAdopted(), offerInventory(a.v.root)); err != nil {
		return result, err
	}
	if err := a.count(ctx, plan); err != nil {
		return result, err
	}
	for _, p := range plan {
		if err := a.tree(ctx, p.Tree); err != nil {
			return result, err
		}
	}
	return result, nil
}

// adopting is one run of Adopt.
type adopting struct {
	v      *vault
	rep    report.Reporter
	result *AdoptResult
	params chunk.Params
}

// files walks the directory of a tree and calls fn for each file, with its name in the volume. What else lies there is
// counted and what cannot be looked at named, if the walk is the one that tells.
func (a *adopting) files(ctx context.Context, vol chunkstore.Volume, tells bool, fn func(e *snapshot.Entry, links uint64) error) error {
	root := vol.FS
	if vol.Mirror != "." {
		sub, err := vol.FS.Sub(vol.Mirror)
		if err != nil {
			return err
		}
		defer sub.Close()
		root = sub
	}
	own := snapshot.WalkOptions{Exclude: func(n *snapshot.Node) (x snapshot.Exclusion) {
		if nameIn(vol, n.Entry.Path) == vol.Store {
			x.Why = "it is the vault's own"
		}
		return x
	}}
	return snapshot.Walk(ctx, root, own, func(n *snapshot.Node) error {
		switch {
		case n.Err != nil:
			if tells {
				a.failed(vol.Tree, n.Entry.Path, n.Err)
			}
		case n.Excluded == snapshot.OtherDevice:
			if tells {
				a.rep.Warn("%s: %s, and is left out", report.Name(snapshot.Join(vol.Tree, n.Entry.Path)), n.Excluded.Why)
			}
		case n.Excluded.Why != "", n.Entry.Kind == disk.KindDir:
		case n.Entry.Kind == disk.KindFile:
			return fn(&n.Entry, n.Local.Nlink)
		case tells:
			a.result.Others++
		}
		return nil
	})
}

// nameIn is the name of a path of a tree within its volume.
func nameIn(vol chunkstore.Volume, path string) string {
	if vol.Mirror == "." {
		return path
	}
	return snapshot.Join(vol.Mirror, path)
}

func (a *adopting) failed(tree, path string, err error) {
	a.result.Failed++
	a.rep.Problem(snapshot.Join(tree, path), err)
}

func (v *vault) volumeOf(tree string) (chunkstore.Volume, error) {
	for _, vol := range v.vols {
		if vol.Tree == tree {
			return vol, nil
		}
	}
	return chunkstore.Volume{}, fmt.Errorf("tree %s has no volume", tree)
}

// count looks at what is there and what of it is to be read.
func (a *adopting) count(ctx context.Context, plan []placing) error {
	a.rep.Phase("looking at what is there", 0, 0)
	var files, bytes int64
	for _, p := range plan {
		vol, err := a.v.volumeOf(p.Tree)
		if err != nil {
			return err
		}
		known, err := a.v.store.Adopt(p.Tree)
		if err != nil {
			return err
		}
		err = a.files(ctx, vol, false, func(e *snapshot.Entry, links uint64) error {
			is, err := known.Known(e.Path)
			switch {
			case errors.Is(err, chunkstore.ErrNotHere) || is:
				return nil
			case err != nil:
				return err
			}
			files++
			bytes += e.Size / int64(max(1, links)) // of each inode once, about
			a.rep.Add(0, 1)
			return nil
		})
		if err != nil {
			return err
		}
	}
	a.rep.Phase("reading", bytes, files)
	return nil
}

// Files are made durable, read and recorded in groups: of so many, and recorded at least so often.
const (
	adoptGroup = 1024
	adoptEvery = 30 * time.Second
)

// tree reads and records the files of one tree.
func (a *adopting) tree(ctx context.Context, tree string) error {
	vol, err := a.v.volumeOf(tree)
	if err != nil {
		return err
	}
	record, err := a.v.store.Adopt(tree)
	if err != nil {
		return err
	}
	t := &adoptingTree{adopting: a, vol: vol, record: record, read: newFileReader(a.params, a.rep), since: time.Now()}
	err = a.files(ctx, vol, true, func(e *snapshot.Entry, _ uint64) error { return t.take(ctx, e) })
	if err == nil {
		err = t.group(ctx)
	}
	// What was read so far is not to be read again.
	return errors.Join(err, record.Commit())
}

// adoptingTree is the reading of one tree.
type adoptingTree struct {
	*adopting
	vol    chunkstore.Volume
	record *chunkstore.Adoption
	read   *fileReader
	next   []snapshot.Entry // to be read
	since  time.Time        // of the last record
}

// take puts a file into the next group.
func (t *adoptingTree) take(ctx context.Context, e *snapshot.Entry) error {
	known, err := t.record.Known(e.Path)
	switch {
	case errors.Is(err, chunkstore.ErrNotHere):
		t.failed(t.vol.Tree, e.Path, err)
		return nil
	case err != nil:
		return err
	case known:
		t.result.Before++
		t.result.BeforeBytes += e.Size
		return nil
	}
	t.next = append(t.next, snapshot.Entry{Path: e.Path, Kind: e.Kind, Mode: e.Mode, LinkGroup: e.LinkGroup})
	if len(t.next) < adoptGroup {
		return nil
	}
	return t.group(ctx)
}

// group makes the files of a group durable, since what counts here is on the medium, and reads them.
func (t *adoptingTree) group(ctx context.Context) error {
	names := make([]string, 0, len(t.next))
	for i := range t.next {
		names = append(names, nameIn(t.vol, t.next[i].Path))
	}
	together := t.vol.FS.SyncFiles(names) == nil // else some of them are gone or fail: each by itself
	for i := range t.next {
		if err := ctx.Err(); err != nil {
			return err
		}
		var err error
		if !together {
			err = t.vol.FS.SyncFiles(names[i : i+1])
		}
		if err == nil {
			err = t.file(ctx, &t.next[i], names[i])
		}
		var stop *stopError
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, &stop):
			return stop.error
		case err != nil:
			t.failed(t.vol.Tree, t.next[i].Path, err)
		}
	}
	t.next = t.next[:0]
	return nil
}

// stopError ends the run; other errors are of one file.
type stopError struct{ error }

// stops marks an error as one that ends the run.
func stops(err error) error {
	if err == nil {
		return nil
	}
	return &stopError{err}
}

// file reads one file and records it.
func (t *adoptingTree) file(ctx context.Context, e *snapshot.Entry, name string) error {
	st, err := t.vol.FS.Stat(name)
	if err != nil {
		return err
	}
	if st.Kind != disk.KindFile {
		return errors.New("it is no file any more")
	}
	describe(e, st)
	if linked, err := t.record.Link(e, st); err != nil {
		return stops(err)
	} else if linked {
		t.result.Links++
		return t.recorded(e, 0)
	}
	if st, err = t.read.file(ctx, t.vol.FS, name, e); err != nil {
		return err
	}
	describe(e, st)
	if err := t.record.Add(e, st); err != nil {
		return stops(err)
	}
	return t.recorded(e, e.Size)
}

// describe gives an entry what counts of a file as it was read.
func describe(e *snapshot.Entry, st disk.Stat) {
	e.Size, e.Mode, e.MTime = st.Size, st.Mode, st.MTime
	if st.Nlink < 2 {
		e.LinkGroup = 0
	}
}

func (t *adoptingTree) recorded(e *snapshot.Entry, read int64) error {
	t.result.Files++
	t.result.Bytes += read
	t.rep.Add(0, 1)
	t.rep.Verbose("%s", report.Name(snapshot.Join(t.vol.Tree, e.Path)))
	if !t.record.Full() && time.Since(t.since) < adoptEvery {
		return nil
	}
	t.since = time.Now()
	return stops(t.record.Commit())
}

var errChanging = exit.Errorf(exit.Incomplete, "it changed while it was read: run wl vault adopt again when it is at rest")
