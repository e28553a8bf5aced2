package vault

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"

	"waterlock/chunkstore"
	"waterlock/internal/disk"
	"waterlock/internal/exit"
	"waterlock/internal/report"
	"waterlock/internal/wire"
)

// A tree lies in <vault>/<tree> unless vault.toml maps it elsewhere. A directory elsewhere is marked as the tree's own by
// a file in its .wl: a disk that is not mounted shows an empty directory in its place, and without the mark the whole
// tree would be written onto the wrong disk.

const treeMark = ".wl/tree"

// volumes opens the directories of all trees that are known or mapped. used tells whether a snapshot has named the tree
// already: then the mark must be there.
func volumes(root disk.FS, s settings, path string, used map[string]bool, rep report.Reporter) (list []chunkstore.Volume, closers []disk.FS, err error) {
	trees := map[string]bool{}
	maps.Copy(trees, used)
	for tree := range s.Trees {
		trees[tree] = true
	}
	for _, tree := range slices.Sorted(maps.Keys(trees)) {
		if err := treeHere(tree); err != nil {
			rep.Problem(tree, err)
			continue
		}
		dir, elsewhere := s.Trees[tree]
		if !elsewhere {
			list = append(list, chunkstore.Volume{Tree: tree, FS: root, Mirror: tree, Store: metaDir})
			continue
		}
		if inside(dir, path) {
			return list, closers, fmt.Errorf("tree %s: %s lies within the vault's own directory", tree, dir)
		}
		for other, d := range s.Trees {
			if other != tree && (inside(d, dir) || inside(dir, d)) {
				return list, closers, fmt.Errorf("trees %s and %s lie within each other: %s, %s", tree, other, dir, d)
			}
		}
		vol, err := disk.Dir(dir)
		if err != nil {
			return list, closers, fmt.Errorf("tree %s: %w (is its disk mounted?)", tree, err)
		}
		closers = append(closers, vol)
		if err := checkMark(vol, dir, s.id, tree, used[tree]); err != nil {
			return list, closers, err
		}
		list = append(list, chunkstore.Volume{Tree: tree, FS: vol, Mirror: ".", Store: metaDir})
	}
	return list, closers, nil
}

// inside tells whether path is dir or lies beneath it.
func inside(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && (rel == "." || filepath.IsLocal(rel))
}

func markText(route wire.RouteID, tree string) string {
	return "waterlock tree\nroute " + route.String() + "\ntree " + tree + "\n"
}

// checkMark compares a directory elsewhere with its mark. The first time, it probes the file system and leaves the mark.
func checkMark(vol disk.FS, dir string, route wire.RouteID, tree string, used bool) error {
	text, err := disk.ReadAll(vol, treeMark, 4096)
	switch {
	case err == nil && string(text) == markText(route, tree):
		return nil
	case err == nil:
		return fmt.Errorf("tree %s: %s belongs to another tree or route", tree, dir)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	case used:
		return exit.Errorf(exit.Fatal, "tree %s: %s is not marked as its directory (no %s): is the disk mounted? If you moved the tree, move its .wl too", tree, dir, treeMark)
	}
	if err := disk.MkdirAll(vol, metaDir, 0o755); err != nil {
		return err
	}
	if err := probe(vol, metaDir); err != nil {
		return fmt.Errorf("tree %s: %s: %w", tree, dir, err)
	}
	return disk.Put(vol, treeMark, []byte(markText(route, tree)))
}
