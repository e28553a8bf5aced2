package vault

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"waterlock/index"
	"waterlock/internal/disk"
	"waterlock/internal/report"
	"waterlock/snapshot"
)

// What somebody else wrote into the mirror, and what stood in the way there, was moved to .wl/foreign/<date>/<tree>/<path>
// on the tree's own file system. Nobody but a person removes it. Nothing counts on it but what was adopted before it gave
// way: see foreigngo.go.

// ForeignOptions asks for what lies in foreign/.
type ForeignOptions struct {
	Vault   string
	Paths   []string                // TREE or TREE/PATH; none: everything
	Remove  bool                    // remove it, if Confirm says yes
	Yes     bool                    // do not ask
	Confirm report.Confirm          // nil: nobody to ask
	Each    func(ForeignFile) error // gets each of them, in the order of place, date, tree and path; nil: none
	Report  report.Reporter
}

// ForeignFile is a file that somebody else wrote.
type ForeignFile struct {
	Tree  string
	Path  string // in the tree, with ~2, ~3 … where the name was taken that day
	Moved string // the day it was moved, YYYY-MM-DD, UTC
	Kind  string // file, symlink, …
	Size  int64
	Time  time.Time // when it was last written
	Where string    // absolute
}

// ForeignResult counts what lay in foreign/.
type ForeignResult struct {
	Files        int64
	Bytes        int64
	Removed      int64
	RemovedBytes int64
	Failed       int64  // could not be looked at or removed; named
	Kept         string // why nothing was removed, in words; "" unless that was asked for and refused
}

// Foreign lists what lies in foreign/, and removes it if a person says so.
func Foreign(ctx context.Context, o ForeignOptions) (result ForeignResult, err error) {
	v, err := openVault(o.Vault, o.Report)
	if err != nil {
		return result, err
	}
	defer v.closeInto(&err)
	// An interrupted install is finished first: it may need a name in there. Where there is no room for that, what lies
	// there is looked at, and deleted, all the same: the install goes on without it.
	if err := v.openStore(ctx); err != nil && !errors.Is(err, index.ErrNoRoom) {
		return result, err
	}
	f := &foreign{v: v, o: o, result: &result}
	if err := f.walk(ctx, f.list); err != nil || !o.Remove || result.Files == 0 {
		return result, interrupted(ctx, err)
	}
	if result.Kept = f.refused(); result.Kept != "" {
		return result, nil
	}
	if v.store == nil {
		if result.Kept = v.hasAdopted(); result.Kept != "" {
			return result, nil
		}
		return result, interrupted(ctx, f.walk(ctx, f.remove))
	}
	if err := f.letGo(ctx); err != nil {
		return result, interrupted(ctx, err)
	}
	err = f.walk(ctx, f.remove)
	return result, interrupted(ctx, errors.Join(err, v.store.Deleted(context.WithoutCancel(ctx))))
}

// foreign is one run of Foreign.
type foreign struct {
	v      *vault
	o      ForeignOptions
	result *ForeignResult
	keep   map[string]bool // absolute: what cannot be deleted without loss
}

// foreignShelf is the foreign/ of one file system.
type foreignShelf struct {
	fs   disk.FS
	dir  string // within it
	root string // of it, absolute
}

// name is a name beneath foreign/ within the file system.
func (s foreignShelf) name(rel string) string {
	if rel == "" {
		return s.dir
	}
	return s.dir + "/" + rel
}

func (f *foreign) shelves() (list []foreignShelf) {
	for _, vol := range f.v.vols {
		root := f.v.path
		if dir, elsewhere := f.v.Trees[vol.Tree]; elsewhere {
			root = dir
		}
		s := foreignShelf{vol.FS, vol.Store + "/foreign", root}
		if !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	slices.SortFunc(list, func(a, b foreignShelf) int { return cmp.Compare(a.root, b.root) })
	return list
}

// walk calls fn for all that lies in foreign/ and was asked for, and for directories after what is in them.
func (f *foreign) walk(ctx context.Context, fn func(s foreignShelf, name string, st disk.Stat, item ForeignFile) error) error {
	for _, s := range f.shelves() {
		if err := f.walkDir(ctx, s, "", fn); err != nil {
			return err
		}
	}
	return nil
}

func (f *foreign) walkDir(ctx context.Context, s foreignShelf, rel string, fn func(s foreignShelf, name string, st disk.Stat, item ForeignFile) error) error {
	names, err := s.fs.ReadDir(s.name(rel))
	if err != nil {
		return f.problem(s, rel, err)
	}
	for i := range names.Len() {
		if err := ctx.Err(); err != nil {
			return err
		}
		rel := snapshot.Join(rel, names.At(i))
		name := s.name(rel)
		st, err := s.fs.Stat(name)
		if err != nil {
			if err := f.problem(s, rel, err); err != nil {
				return err
			}
			continue
		}
		if st.Kind == disk.KindDir {
			if err := f.walkDir(ctx, s, rel, fn); err != nil {
				return err
			}
		}
		item := foreignItem(rel, st)
		item.Where = filepath.Join(s.root, filepath.FromSlash(name))
		if st.Kind != disk.KindDir && (item.Tree == "" || !f.asked(item)) {
			continue
		}
		if err := fn(s, name, st, item); err != nil {
			return err
		}
	}
	return nil
}

// foreignItem tells what a name in foreign/ says: <date>/<tree>/<path>. Tree is empty for the date's own directory.
func foreignItem(rel string, st disk.Stat) ForeignFile {
	day, rest, _ := strings.Cut(rel, "/")
	tree, path, _ := strings.Cut(rest, "/")
	return ForeignFile{Tree: tree, Path: path, Moved: day, Kind: st.Kind.String(), Size: st.Size, Time: st.MTime.Time()}
}

// asked tells whether an item lies under one of the paths asked for.
func (f *foreign) asked(item ForeignFile) bool {
	full := snapshot.Join(item.Tree, item.Path)
	return len(f.o.Paths) == 0 || slices.ContainsFunc(f.o.Paths, func(p string) bool {
		return snapshot.Under(full, strings.Trim(filepath.ToSlash(p), "/"))
	})
}

// problem names what cannot be looked at, and the rest goes on. What is not there is none.
func (f *foreign) problem(s foreignShelf, rel string, err error) error {
	if !errors.Is(err, fs.ErrNotExist) {
		f.result.Failed++
		f.v.rep.Problem(filepath.Join(s.root, filepath.FromSlash(s.name(rel))), err)
	}
	return nil
}

// list shows a file. Directories are nothing but the way to it.
func (f *foreign) list(_ foreignShelf, _ string, st disk.Stat, item ForeignFile) error {
	if st.Kind == disk.KindDir {
		return nil
	}
	f.result.Files++
	f.result.Bytes += item.Size
	if f.o.Each == nil {
		return nil
	}
	return f.o.Each(item)
}

// remove removes a file, and a directory that has become empty.
func (f *foreign) remove(s foreignShelf, name string, st disk.Stat, item ForeignFile) error {
	if f.keep[item.Where] {
		return nil
	}
	err := s.fs.Remove(name)
	switch {
	case st.Kind == disk.KindDir: // it may hold what was not asked for
	case err != nil:
		f.result.Failed++
		f.v.rep.Problem(item.Where, err)
	default:
		f.result.Removed++
		f.result.RemovedBytes += st.Size
	}
	return nil
}

// refused says why nothing is removed; "" if it is.
func (f *foreign) refused() string {
	if f.o.Yes {
		return ""
	}
	if f.o.Confirm == nil {
		return "nobody to ask"
	}
	yes, asked := f.o.Confirm(fmt.Sprintf("Remove %s (%s) for good? No snapshot has them.",
		count(f.result.Files, "file", "files"), report.Size(f.result.Bytes)))
	switch {
	case !asked:
		return "nobody to ask"
	case !yes:
		return "you said no"
	}
	return ""
}
