package chunkstore

import (
	"context"
	"maps"
	"slices"

	"waterlock/index"
	"waterlock/internal/disk"
	"waterlock/snapshot"
)

// Strangers calls fn for each file, link and the like in the mirror that was not
// written by this package, adopted ones that no snapshot has named among them:
// others may keep files there, and they are left alone.
func (s *Store) Strangers(ctx context.Context, fn func(tree, path string, st disk.Stat)) error {
	for _, tree := range slices.Sorted(maps.Keys(s.vols)) {
		if err := s.strangersIn(ctx, s.vols[tree], "", fn); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) strangersIn(ctx context.Context, v *volume, dir string, fn func(tree, path string, st disk.Stat)) error {
	names, err := v.FS.ReadDir(v.name(dir))
	if err != nil {
		s.report.Problem(v.name(dir), err)
		return nil
	}
	for i := range names.Len() {
		if err := ctx.Err(); err != nil {
			return err
		}
		p := snapshot.Join(dir, names.At(i))
		if v.name(p) == v.Store {
			continue
		}
		st, found, err := stat(v.FS, v.name(p))
		if err != nil {
			s.report.Problem(v.name(p), err)
		}
		if !found {
			continue
		}
		if st.Kind == disk.KindDir {
			if err := s.strangersIn(ctx, v, p, fn); err != nil {
				return err
			}
			continue
		}
		if index.CheckPath(v.Tree, p) == nil {
			if row, known, err := s.cat.Path(v.Tree, p); err != nil {
				return err
			} else if known && !row.Adopted {
				continue
			}
		}
		fn(v.Tree, p, st)
	}
	return nil
}
