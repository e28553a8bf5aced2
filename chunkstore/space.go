package chunkstore

import (
	"context"

	"waterlock/index"
	"waterlock/internal/chunk"
	"waterlock/internal/disk"
)

// smallFile is a size up to which file systems may keep content elsewhere than in blocks.
const smallFile = 64 << 10

// dataSize is an estimate of how many bytes of a container are not holes.
func (s *Store) dataSize(c index.Container) int64 {
	if c.Kind == index.Pack || c.Size <= smallFile {
		return c.Size
	}
	f, name, err := s.locate(c)
	if err != nil {
		return c.Size
	}
	st, found, err := stat(f, name)
	if err != nil || !found {
		return c.Size
	}
	return min(c.Size, st.Alloc)
}

// Space adds up what the vault's files take, without their holes; a kept file whose inode the mirror still shows takes
// nothing.
func (s *Store) Space(ctx context.Context) (Space, error) {
	var sp Space
	err := s.cat.Containers(func(c index.Container) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if c.Size > 0 {
			sp.read(c.ReadAt)
		}
		switch c.Kind {
		case index.Pack:
			sp.History += c.Size
			sp.Packs++
		case index.Mirror:
			sp.Mirror += s.dataSize(c)
			sp.MirrorFiles++
		case index.Kept:
			if f, name, err := s.locate(c); err == nil {
				if st, found, err := stat(f, name); err == nil && found && st.Nlink > 1 {
					sp.Mirror += min(c.Size, max(st.Alloc, smallFile))
					return nil
				}
			}
			sp.Kept += s.dataSize(c)
			sp.KeptFiles++
		case index.Staging:
			return s.cat.ContainerChunks(c.ID, func(_ int64, _ chunk.ID, n uint32) error {
				sp.Staging += int64(n)
				return nil
			})
		}
		return nil
	})
	if err != nil {
		return sp, err
	}
	sp.ReadSince = max(0, sp.ReadSince)
	for _, sh := range s.shelves {
		if err := addTree(ctx, sh.fs, sh.store+"/foreign", &sp.Foreign); err != nil {
			return sp, err
		}
	}
	return sp, nil
}

// Missing is how many bytes must become free, that so many more can be written
// in the trees and to history.
func (s *Store) Missing(trees map[string]int64, history int64) (missing int64, err error) {
	need := map[disk.FS]int64{s.cfg.Vault: history}
	for tree, n := range trees {
		if v := s.vols[tree]; v != nil {
			need[v.FS] += n
		}
	}
	for f, n := range need {
		if n == 0 {
			continue
		}
		avail, err := s.avail(f)
		if err != nil {
			return 0, err
		}
		missing += max(0, n-max(avail, 0))
	}
	return missing, nil
}

// read notes when one container was read; -1 is never.
func (sp *Space) read(at int64) {
	switch {
	case at == 0:
		sp.ReadSince = -1
	case sp.ReadSince == 0:
		sp.ReadSince = at
	case sp.ReadSince > 0:
		sp.ReadSince = min(sp.ReadSince, at)
	}
}

// addTree adds up the files beneath a directory.
func addTree(ctx context.Context, f disk.FS, dir string, sum *int64) error {
	names, err := f.ReadDir(dir)
	if err != nil {
		return err
	}
	for i := range names.Len() {
		if err := ctx.Err(); err != nil {
			return err
		}
		name := dir + "/" + names.At(i)
		st, found, err := stat(f, name)
		if err != nil {
			return err
		}
		switch {
		case !found:
		case st.Kind == disk.KindDir:
			if err := addTree(ctx, f, name, sum); err != nil {
				return err
			}
		case st.Kind == disk.KindFile:
			*sum += st.Size
		}
	}
	return nil
}
