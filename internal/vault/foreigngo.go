package vault

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"waterlock/index"
	"waterlock/internal/chunk"
)

// A file that was adopted and gave way to home's version is a place of chunks also in foreign/. Before it is deleted, what
// a snapshot names and only such files hold goes to the history.

// maxLetGo bounds the chunks that are looked for in the snapshots at once.
const maxLetGo = 1 << 20

// letGo prepares the deletion of what was asked for. What cannot be deleted without loss is kept, and named.
func (f *foreign) letGo(ctx context.Context) error {
	var ids []index.ContainerID
	var named map[chunk.ID]bool
	flush := func() error {
		err := f.letGoGroup(ctx, ids, named)
		ids, named = nil, nil
		return err
	}
	var list []index.ContainerID
	err := f.v.cat.Containers(func(c index.Container) error {
		rel, inside := strings.CutPrefix(c.Name, metaDir+"/foreign/")
		if c.Kind != index.Foreign || !inside {
			return nil
		}
		day, rest, _ := strings.Cut(rel, "/")
		tree, path, _ := strings.Cut(rest, "/")
		if f.asked(ForeignFile{Tree: tree, Path: path, Moved: day}) {
			list = append(list, c.ID)
		}
		return nil
	})
	if err != nil || len(list) == 0 {
		return err
	}
	f.v.rep.Phase("keeping what snapshots need", 0, 0)
	for _, id := range list {
		if named == nil {
			named = map[chunk.ID]bool{}
		}
		ids = append(ids, id)
		err := f.v.cat.ContainerChunks(id, func(_ int64, id chunk.ID, _ uint32) error {
			named[id] = false
			return nil
		})
		if err == nil && len(named) >= maxLetGo {
			err = flush()
		}
		if err != nil {
			return err
		}
	}
	return flush()
}

// letGoGroup marks which of the chunks a snapshot names, and keeps those. Where a snapshot cannot be read all are kept.
func (f *foreign) letGoGroup(ctx context.Context, ids []index.ContainerID, named map[chunk.ID]bool) error {
	if len(ids) == 0 {
		return nil
	}
	unread, err := f.v.eachNamed(ctx, f.v.commits.known, func(id chunk.ID) error {
		if _, asked := named[id]; asked {
			named[id] = true
		}
		return nil
	})
	if err != nil {
		return err
	}
	all := len(unread)+len(f.v.commits.damaged) > 0
	kept, err := f.v.store.LetGo(ctx, ids, func(id chunk.ID) (bool, error) { return all || named[id], nil })
	for _, c := range kept {
		place := filepath.Join(f.v.path, filepath.FromSlash(c.Name))
		if dir, elsewhere := f.v.Trees[c.Tree]; elsewhere {
			place = filepath.Join(dir, filepath.FromSlash(c.Name))
		}
		if f.keep == nil {
			f.keep = map[string]bool{}
		}
		f.keep[place] = true
		f.result.Failed++
		f.v.rep.Problem(place, fmt.Errorf("it holds pieces that snapshots need and that cannot be put into the history now, for want of room or since it cannot be read: it stays"))
	}
	return err
}
