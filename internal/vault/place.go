package vault

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"waterlock/index"
	"waterlock/internal/courier"
	"waterlock/internal/disk"
	"waterlock/internal/exit"
	"waterlock/internal/report"
)

// A tree gets another place than <vault>/<tree> at init, by a person who edits vault.toml, or by adopt. The order of adopt:
//
//  1. the directory gets the mark of the tree, once its file system was probed: a mark alone means nothing
//  2. vault.toml gets a line under [trees], in a new file that is renamed over the old one
//
// The other way round, a tree that a snapshot has named would be looked for, after a crash in between, in a directory
// without its mark, and every command would take its disk for one that is not mounted.

// placing is a tree with the directory that is to be its place.
type placing struct {
	TreePlace
	moves bool // vault.toml does not say so yet
}

// planPlaces checks all that can be checked before anything is changed. joined is what the vault knows of its route.
func (v *vault) planPlaces(ctx context.Context, places []TreePlace, joined *courier.Commit) ([]placing, error) {
	var plan []placing
	for _, place := range places {
		p, err := v.planPlace(place, joined)
		if err != nil {
			return nil, err
		}
		for _, other := range plan {
			if other.Tree == p.Tree {
				return nil, exit.Errorf(exit.Usage, "tree %s is named twice", report.Name(p.Tree))
			}
			if overlap(other.Path, p.Path) {
				return nil, exit.Errorf(exit.Usage, "trees %s and %s would lie within each other: %s, %s", other.Tree, p.Tree, other.Path, p.Path)
			}
		}
		plan = append(plan, p)
	}
	return plan, v.refuseFilled(ctx, plan)
}

func (v *vault) planPlace(place TreePlace, joined *courier.Commit) (placing, error) {
	tree := place.Tree
	bad := func(format string, a ...any) (placing, error) {
		return placing{}, exit.Errorf(exit.Usage, "tree %s: "+format, append([]any{report.Name(tree)}, a...)...)
	}
	if err := treeHere(tree); err != nil {
		return placing{}, exit.With(exit.Usage, err)
	}
	record, known := joined.Snapshot.Tree(tree)
	if !known && !v.commits.trees[tree] {
		var names []string
		for _, t := range joined.Snapshot.Trees {
			names = append(names, t.Name)
		}
		return bad("route %s has no such tree, only %s", report.Name(v.RouteName), report.Name(strings.Join(names, ", ")))
	}
	dir, err := realDir(place.Path)
	if err != nil {
		return placing{}, fmt.Errorf("tree %s: %w", tree, err)
	}
	own, err := filepath.EvalSymlinks(v.path)
	if err != nil {
		return placing{}, err
	}
	p := placing{TreePlace{tree, dir}, true}
	mapped, elsewhere := v.Trees[tree]
	switch {
	case elsewhere && sameDir(mapped, dir):
		return placing{TreePlace{tree, mapped}, false}, nil
	case elsewhere:
		return bad("it lies in %s already (vault.toml); a tree has one place", mapped)
	case sameDir(filepath.Join(v.path, tree), dir):
		p.Path, p.moves = filepath.Join(v.path, tree), false
		return p, v.sameFileSystem(tree)
	case inside(dir, own):
		return bad("%s lies within the vault's own directory; the tree's place there is %s", dir, filepath.Join(v.path, tree))
	case inside(own, dir):
		return bad("%s contains the vault", dir)
	}
	for other, d := range v.Trees {
		if real, err := filepath.EvalSymlinks(d); err == nil {
			d = real
		}
		if other != tree && overlap(d, dir) {
			return bad("%s and tree %s would lie within each other: that is in %s", dir, other, d)
		}
	}
	if _, err := os.Lstat(filepath.Join(dir, filepath.FromSlash(settingsFile))); err == nil {
		return bad("%s is a vault itself", dir)
	}
	for above := dir; ; above = filepath.Dir(above) {
		if _, err := os.Lstat(filepath.Join(above, "waterlock", "drive.json")); err == nil {
			return bad("%s lies on the courier drive %s; a vault belongs on a disk that stays", dir, above)
		}
		if above == filepath.Dir(above) {
			break
		}
	}
	if host, err := os.Hostname(); known && err == nil && host == joined.Snapshot.Host && overlap(record.Root, dir) {
		return bad("%s is what home packs on this machine; its files are only read", dir)
	}
	return p, nil
}

// overlap tells whether two directories are one, or one lies in the other.
func overlap(a, b string) bool { return inside(a, b) || inside(b, a) }

// realDir is the absolute path of a directory without links on the way.
func realDir(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if abs, err = filepath.EvalSymlinks(abs); err != nil {
		return "", err
	}
	st, err := os.Stat(abs)
	if err != nil {
		return "", err
	}
	if !st.IsDir() {
		return "", exit.Errorf(exit.Usage, "%s is no directory", abs)
	}
	return abs, nil
}

// sameDir tells whether path leads to the directory dir, which has no links on the way.
func sameDir(path, dir string) bool {
	real, err := filepath.EvalSymlinks(path)
	return err == nil && real == dir
}

// sameFileSystem refuses a directory <vault>/<tree> that is a link or another file system: the vault could not put
// anything there by a rename.
func (v *vault) sameFileSystem(tree string) error {
	st, err := v.root.Stat(tree)
	if err != nil {
		return err
	}
	own, err := v.root.Stat(metaDir)
	if err != nil {
		return err
	}
	if st.Kind != disk.KindDir || st.Dev != own.Dev {
		return exit.Errorf(exit.Fatal, "tree %s: %s is a %s of another file system than the vault; mount it outside the vault's directory and adopt it there",
			tree, filepath.Join(v.path, tree), st.Kind)
	}
	return nil
}

// refuseFilled refuses to give another place to a tree that has content in its present one.
func (v *vault) refuseFilled(ctx context.Context, plan []placing) (err error) {
	if !slices.ContainsFunc(plan, func(p placing) bool { return p.moves }) {
		return nil
	}
	for _, p := range plan {
		if p.moves {
			if err := onlyDirs(filepath.Join(v.path, p.Tree)); err != nil {
				return exit.Errorf(exit.Fatal, "tree %s: %w; move that away, or adopt %s", p.Tree, err, filepath.Join(v.path, p.Tree))
			}
		}
	}
	if err := v.openStore(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, v.closeStore()) }()
	for _, p := range plan {
		if !p.moves {
			continue
		}
		if err := v.refuseRecorded(p.Tree); err != nil {
			return err
		}
		// The store has made the directory for a tree that a snapshot has named.
		_ = os.Remove(filepath.Join(v.path, p.Tree))
	}
	return nil
}

func (v *vault) refuseRecorded(tree string) error {
	filled := exit.Errorf(exit.Fatal, "tree %s has content in %s already; another directory cannot become its place", tree, filepath.Join(v.path, tree))
	rows := v.cat.Paths(tree)
	defer rows.Close()
	for {
		_, row, ok := rows.Next()
		if !ok {
			break
		}
		if row.Kind != uint8(disk.KindDir) {
			return filled
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return v.cat.Containers(func(c index.Container) error {
		if c.Tree == tree && c.Kind != index.Pack {
			return filled // kept versions, or a file that grows
		}
		return nil
	})
}

// onlyDirs tells what lies in a directory that is no directory; a directory that is not there is fine.
func onlyDirs(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && !d.IsDir() {
			err = fmt.Errorf("there is %s in its present place", path)
		}
		return err
	})
}

// settlePlaces makes directories the places of their trees.
func (v *vault) settlePlaces(plan []placing) error {
	for _, p := range plan {
		if !p.moves {
			continue
		}
		vol, err := disk.Dir(p.Path)
		if err != nil {
			return err
		}
		err = settlePlace(v.root, vol, v.settings, p.TreePlace)
		vol.Close()
		if err != nil {
			return err
		}
		if v.settings, err = readSettings(v.root, v.path); err != nil {
			return err
		}
		v.rep.Info("Tree %s lies in %s from now on: %s says so.", report.Name(p.Tree), report.Name(p.Path), filepath.Join(v.path, filepath.FromSlash(settingsFile)))
	}
	return nil
}

// settlePlace makes the directory vol the place of a tree: the mark first, then the settings.
func settlePlace(root, vol disk.FS, s settings, p TreePlace) error {
	if err := checkMark(vol, p.Path, s.id, p.Tree, false); err != nil {
		return err
	}
	text, err := disk.ReadAll(root, settingsFile, maxSettingsSize)
	if err != nil {
		return err
	}
	if text, err = withTree(text, p); err != nil {
		return err
	}
	return replaceSettings(root, text)
}

// replaceSettings puts a new text of vault.toml in the place of the old one: whole or not at all.
func replaceSettings(root disk.FS, text []byte) error {
	const next = settingsFile + ".new"
	if err := root.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := disk.Put(root, next, text); err != nil {
		return err
	}
	if err := root.Rename(next, settingsFile); err != nil {
		return err
	}
	return root.SyncDir(metaDir)
}

var treesTable = regexp.MustCompile(`(?m)^[ \t]*\[[ \t]*trees[ \t]*\][ \t]*(#.*)?$`)

// withTree adds a line for a tree to the text of vault.toml and leaves all else as people wrote it. Where that does not
// come out as it should, the error says what to write by hand.
func withTree(text []byte, p TreePlace) ([]byte, error) {
	line, err := toml.Marshal(map[string]string{p.Tree: p.Path})
	if err != nil {
		return nil, err
	}
	byHand := exit.Errorf(exit.Fatal, "%s cannot be changed by the program: write under [trees]:\n%sthen run this again", settingsFile, line)
	was, err := decodeSettings(text)
	if err != nil {
		return nil, err
	}
	var next []byte
	if at := treesTable.FindIndex(text); at != nil {
		next = slices.Concat(text[:at[1]], []byte("\n"), line, text[at[1]:])
	} else {
		next = slices.Concat(text, []byte("\n[trees]\n"), line)
	}
	got, err := decodeSettings(next)
	if err != nil {
		return nil, byHand
	}
	want := maps.Clone(was.Trees)
	if want == nil {
		want = map[string]string{}
	}
	want[p.Tree] = p.Path
	if !maps.Equal(got.Trees, want) {
		return nil, byHand
	}
	was.Trees, got.Trees = nil, nil
	a, aerr := was.encode()
	b, berr := got.encode()
	if aerr != nil || berr != nil || string(a) != string(b) {
		return nil, byHand
	}
	return next, nil
}
