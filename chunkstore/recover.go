package chunkstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"waterlock/index"
	"waterlock/internal/disk"
	"waterlock/pack"
)

// installs is what lies in the directory of install records.
type installs struct {
	seqs []uint64        // of records, rising
	void map[uint64]bool // of these, with a list of given-up actions
}

func (i *installs) last() uint64 {
	if len(i.seqs) == 0 {
		return 0
	}
	return i.seqs[len(i.seqs)-1]
}

// listInstalls lists the install records, and removes what a crash left of
// writing one.
func (s *Store) listInstalls() (*installs, error) {
	names, err := s.cfg.Vault.ReadDir(installsDir)
	if err != nil {
		return nil, err
	}
	in := &installs{void: map[uint64]bool{}}
	for i := range names.Len() {
		name := names.At(i)
		if strings.HasSuffix(name, ".tmp") {
			if err := s.cfg.Vault.Remove(installsDir + "/" + name); err != nil {
				return nil, err
			}
			continue
		}
		if base, ok := strings.CutSuffix(name, recordExt); ok {
			if n, ok := parseNumber(base); ok {
				in.seqs = append(in.seqs, uint64(n))
			}
		} else if base, ok := strings.CutSuffix(name, voidExt); ok {
			if n, ok := parseNumber(base); ok {
				in.void[uint64(n)] = true
			}
		}
	}
	slices.Sort(in.seqs)
	return in, nil
}

// recover brings vault and catalog together after a start: it finishes the last
// batch, rebuilds the catalog if it is not the one that was closed after that
// batch, and removes what staging has left over.
func (s *Store) recover(ctx context.Context) error {
	s.findAbsent()
	if err := s.mkdirsVault(); err != nil {
		return err
	}
	in, err := s.listInstalls()
	if err != nil {
		return err
	}
	s.seq = in.last()
	s.next = s.cat.NextContainer()
	noted, err := s.cat.Meta(metaInstalled)
	if err != nil {
		return err
	}
	clean := !s.rebuilt && (string(noted) == fmt.Sprint(s.seq) || s.seq == 0 && len(noted) == 0)
	sound := true
	if clean {
		if err := s.volumesThere(); err != nil {
			return err
		}
	} else {
		if sound, err = s.finishLast(in); err != nil {
			return err
		}
		if err := s.rebuild(ctx, in); err != nil {
			return err
		}
	}
	if err := s.mkdirsVolumes(); err != nil {
		return err
	}
	if err := s.sweepStaging(sound); err != nil {
		return err
	}
	return s.sweepParts()
}

// finishLast finishes the last batch, as far as the crash left it undone. A
// batch begins only when the one before is finished, so no other can be open.
// sound is false when the record cannot be read.
func (s *Store) finishLast(in *installs) (sound bool, err error) {
	seq := in.last()
	if seq == 0 || in.void[seq] {
		return true, nil // the list of given-up actions comes after all steps
	}
	rec, _, err := s.readRecord(seq, false)
	if errors.Is(err, ErrRecord) {
		s.report.Problem(recordName(seq, recordExt), err)
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for i := range rec.acts {
		if v := s.vols[rec.acts[i].tree]; v != nil && s.absent[v.shelf] {
			return false, errAbsent(v)
		}
	}
	if err := s.keptDirs(rec); err != nil {
		return false, err
	}
	errs, err := s.resume(rec)
	if err != nil {
		return false, fmt.Errorf("finish install batch %d: %w", seq, err)
	}
	for i, err := range errs {
		if err != nil {
			s.report.Warn("%s: %v; its old version stays until the next unpack", rec.acts[i].path, err)
		}
	}
	void, err := s.giveUp(rec, errs)
	if err != nil {
		return false, err
	}
	if void != nil {
		in.void[seq] = true
	}
	return true, nil
}

// sweepStaging finds the growing files and removes all other staged names: no
// batch is open. When a record may be open that cannot be read, all of it stays.
func (s *Store) sweepStaging(sound bool) error {
	for _, sh := range s.shelves {
		names, err := sh.fs.ReadDir(sh.stagingDir())
		if err != nil {
			return err
		}
		for i := range names.Len() {
			base, grows := strings.CutSuffix(names.At(i), growExt)
			n, ok := parseNumber(strings.TrimSuffix(base, linkExt))
			if !ok {
				continue
			}
			if grows {
				c, ok, err := s.cat.Container(n)
				if err != nil {
					return err
				}
				if ok && c.Kind == index.Staging {
					s.growing.add(c.Tree, c.Name, n)
					continue
				}
			}
			if !sound {
				continue
			}
			if err := removeIfThere(sh.fs, sh.stagingDir()+"/"+names.At(i)); err != nil {
				return err
			}
		}
	}
	return nil
}

// sweepParts removes packs that were never finished: nothing counts on them.
func (s *Store) sweepParts() error {
	return eachPack(s.cfg.Vault, func(name, ext string, n index.ContainerID) error {
		if ext != partExt {
			return nil
		}
		return s.cfg.Vault.Remove(packName(name))
	})
}

// eachPack calls fn for each file of the packs directory that has a name of
// ours; name is as catalog rows have it.
func eachPack(vault disk.FS, fn func(name, ext string, n index.ContainerID) error) error {
	dirs, err := vault.ReadDir(packsDir)
	if err != nil {
		return err
	}
	for i := range dirs.Len() {
		dir := dirs.At(i)
		if len(dir) != 2 || !isDir(vault, packsDir+"/"+dir) {
			continue
		}
		names, err := vault.ReadDir(packsDir + "/" + dir)
		if err != nil {
			return err
		}
		for j := range names.Len() {
			name := names.At(j)
			ext := filepath.Ext(name)
			n, ok := parseNumber(strings.TrimSuffix(name, ext))
			if !ok || packRow(n, ext) != dir+"/"+name || ext != dataExt && ext != streamExt && ext != partExt {
				continue
			}
			if err := fn(dir+"/"+name, ext, n); err != nil {
				return err
			}
		}
	}
	return nil
}

// Rebuild makes the catalog anew from install records, pack tables and the
// containers' sizes, times and inodes. It reads content only of files that were touched or copied.
func (s *Store) Rebuild(ctx context.Context) error {
	if err := s.usable(); err != nil {
		return err
	}
	s.dropHistory()
	s.handles.closeAll()
	if err := s.cat.Close(); err != nil {
		return err
	}
	if err := s.openFresh(); err != nil {
		return err
	}
	in, err := s.listInstalls()
	if err != nil {
		return err
	}
	return s.rebuild(ctx, in)
}

// openFresh opens an empty catalog in place of the closed one.
func (s *Store) openFresh() error {
	if err := os.RemoveAll(s.cfg.IndexDir); err != nil {
		return err
	}
	if err := s.openCatalog(); err != nil {
		return err
	}
	s.rebuilt = true
	return nil
}

// rebuild fills the catalog.
func (s *Store) rebuild(ctx context.Context, in *installs) error {
	if !s.rebuilt { // it has rows, of another history
		if err := s.cat.Close(); err != nil {
			return err
		}
		if err := s.openFresh(); err != nil {
			return err
		}
	}
	if len(in.seqs) > 0 {
		s.report.Info("The catalog is rebuilt from %d install records.", len(in.seqs))
	}
	s.report.Phase("rebuilding the catalog from install records", 0, int64(len(in.seqs)))
	for _, seq := range in.seqs {
		if err := ctx.Err(); err != nil {
			return err
		}
		s.report.Add(0, 1)
		rec, void, err := s.readRecord(seq, in.void[seq])
		if errors.Is(err, ErrRecord) || disk.IsIOError(err) {
			// The files it named look foreign now; where they are as they
			// should be the next unpack adopts them.
			s.report.Problem(recordName(seq, recordExt), err)
			continue
		}
		if err != nil {
			return err
		}
		if err := s.apply(rec, void, 0); err != nil {
			return err
		}
	}
	s.report.Phase("rebuilding the catalog from the tables of packs", 0, 0)
	if err := s.rebuildPacks(ctx); err != nil {
		return err
	}
	s.report.Phase("comparing the catalog with what lies there", 0, 0)
	if err := s.volumesThere(); err != nil {
		return err
	}
	if err := s.mkdirsVolumes(); err != nil {
		return err
	}
	if err := s.raiseFromNames(); err != nil {
		return err
	}
	b := s.cat.Batch()
	b.SetMeta(metaInstalled, []byte(fmt.Sprint(in.last())))
	if err := b.Commit(); err != nil {
		return err
	}
	s.mu.Lock()
	s.next = max(s.next, s.cat.NextContainer())
	s.mu.Unlock()
	if _, err := s.CheckMirror(ctx); err != nil {
		return err
	}
	return nil
}

// rebuildPacks enters the history packs by their tables.
func (s *Store) rebuildPacks(ctx context.Context) error {
	return eachPack(s.cfg.Vault, func(name, ext string, n index.ContainerID) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if ext == partExt {
			return nil
		}
		f, err := s.cfg.Vault.Open(packName(name))
		if err != nil {
			s.report.Problem(packName(name), err)
			return nil
		}
		defer f.Close()
		st, err := f.Stat()
		if err != nil {
			return err
		}
		s.report.Add(0, 1)
		r, damage, err := pack.Salvage(f, st.Size)
		if err == nil && damage != nil {
			s.report.Problem(packName(name), damage)
		}
		if err != nil {
			s.report.Problem(packName(name), err)
			s.cat.RaiseContainer(n)
			return nil
		}
		return s.enterPack(n, name, st, r.Places(), 0, damage != nil)
	})
}

// enterPack enters a history pack into the catalog.
func (s *Store) enterPack(n index.ContainerID, name string, st disk.Stat, places []pack.Place, readAt int64, damaged bool) error {
	b := s.cat.Batch()
	b.PutContainer(index.Container{
		ID: n, Kind: index.Pack, Name: name, Ino: st.Ino, Size: st.Size,
		MSec: st.MTime.Sec, MNsec: st.MTime.Nsec, Damaged: damaged, ReadAt: readAt,
	})
	for _, p := range places {
		b.AddPlace(p.ID, index.Place{
			Container: n, Offset: p.Offset, StoredLen: p.StoredLen, PlainLen: p.PlainLen,
			Encoding: uint8(p.Encoding), ReadAt: readAt,
		})
	}
	return b.Commit()
}

// raiseFromNames makes sure that no number that is part of a name is used again,
// should the record that tells of it be unreadable.
func (s *Store) raiseFromNames() error {
	for _, sh := range s.shelves {
		dirs, err := sh.fs.ReadDir(sh.store + "/kept")
		if err != nil {
			return err
		}
		for i := range dirs.Len() {
			d := sh.store + "/kept/" + dirs.At(i)
			if !isDir(sh.fs, d) {
				continue
			}
			names, err := sh.fs.ReadDir(d)
			if err != nil {
				return err
			}
			for j := range names.Len() {
				if n, ok := parseNumber(names.At(j)); ok {
					s.cat.RaiseContainer(n)
				}
			}
		}
	}
	return nil
}
