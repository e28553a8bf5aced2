package chunkstore

import (
	"context"
	"errors"
	"fmt"

	"waterlock/index"
	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/pack"
)

// History packs are smaller than those on a drive, so that their tables are
// short and compacting one is a small piece of work.
const (
	defaultPackSize = 256 << 20
	packRecords     = 8192
)

// histKind is the kind of chunks in an open history pack.
type histKind = chunk.Kind

// histPack is a history pack that is being written.
type histPack struct {
	kind    chunk.Kind
	id      index.ContainerID
	name    string // of the part
	file    disk.File
	w       *pack.Writer
	pending map[chunk.ID]bool
}

func extOf(k chunk.Kind) string {
	if k == chunk.Stream {
		return streamExt
	}
	return dataExt
}

// PutHistory appends a chunk to the open history pack of its kind unless the
// vault has it. It counts (Has) after the next FlushHistory only. ErrNoRoom:
// nothing was written and what was put before is not lost. After any other
// error what was put since the last flush is not kept.
func (s *Store) PutHistory(st pack.Stored, k chunk.Kind) error {
	has, err := s.cat.Has(st.ID)
	if err != nil || has {
		return err
	}
	return s.putHistory(st, k)
}

// putHistory is PutHistory for a chunk that is to be written even if the vault
// has it elsewhere.
func (s *Store) putHistory(st pack.Stored, k chunk.Kind) error {
	if !k.Valid() {
		return fmt.Errorf("chunk kind %d", k)
	}
	h := s.history[k]
	if h != nil && h.pending[st.ID] {
		return nil
	}
	if h != nil && (h.w.Records() >= packRecords || h.w.Records() > 0 && !h.w.Fits(len(st.Data), s.cfg.PackSize)) {
		if err := s.flushPack(h); err != nil {
			return err
		}
		h = nil
	}
	if err := s.room(&s.packs, int64(len(st.Data))+4096); err != nil {
		return err
	}
	if h == nil {
		var err error
		if h, err = s.openPack(k); err != nil {
			return err
		}
		s.history[k] = h
	}
	if _, err := h.w.Append(st); err != nil {
		s.dropPack(h)
		return fmt.Errorf("%s: %w", h.name, err)
	}
	h.pending[st.ID] = true
	return nil
}

func noRoom(err error) error {
	if disk.IsNoSpace(err) {
		return fmt.Errorf("%w: %w", ErrNoRoom, err)
	}
	return err
}

// openPack begins a history pack under a new number.
func (s *Store) openPack(k chunk.Kind) (*histPack, error) {
	h := &histPack{kind: k, id: s.number(), pending: map[chunk.ID]bool{}}
	h.name = packName(packRow(h.id, partExt))
	dir := dirKey{s.cfg.Vault, parent(h.name)}
	if !s.made[dir] {
		if err := disk.MkdirAll(dir.fs, dir.name, 0o700); err != nil {
			return nil, noRoom(err)
		}
		s.made[dir] = true
	}
	f, err := s.cfg.Vault.Create(h.name, 0o600)
	if err != nil {
		return nil, noRoom(err)
	}
	h.file = f
	if h.w, err = pack.NewWriter(f, k); err != nil {
		f.Close()
		_ = removeIfThere(s.cfg.Vault, h.name)
		return nil, noRoom(err)
	}
	return h, nil
}

// dropPack forgets an open pack and its file.
func (s *Store) dropPack(h *histPack) {
	h.file.Close()
	_ = removeIfThere(s.cfg.Vault, h.name)
	if s.history[h.kind] == h {
		delete(s.history, h.kind)
	}
}

func (s *Store) dropHistory() {
	for _, h := range s.history {
		s.dropPack(h)
	}
}

// FlushHistory closes the open history packs and makes them durable: read back
// cold, renamed, entered in the catalog.
func (s *Store) FlushHistory() error {
	var errs []error
	for _, k := range []chunk.Kind{chunk.Stream, chunk.Data} {
		if h := s.history[k]; h != nil {
			errs = append(errs, s.flushPack(h))
		}
	}
	return errors.Join(errs...)
}

// flushPack makes one pack durable: table and footer, sync, read back cold,
// rename, sync of the directory, rows. A pack that reads back wrong is written
// anew under another number, up to five times.
func (s *Store) flushPack(h *histPack) error {
	if h.w.Records() == 0 {
		s.dropPack(h)
		return nil
	}
	delete(s.history, h.kind)
	for try := 1; ; try++ {
		sum, err := h.close()
		if err != nil {
			s.dropPack(h)
			return fmt.Errorf("%s: %w", h.name, err)
		}
		began := s.now().Unix()
		err = s.checkPack(h, sum)
		if err == nil {
			return s.finishPack(h, sum, began)
		}
		if try == assemblies {
			s.dropPack(h)
			return fmt.Errorf("%s: %w: %w", h.name, ErrReadBack, err)
		}
		s.report.Warn("%s: %v; writing it again", h.name, err)
		next, err := s.copyPack(h, sum)
		s.dropPack(h)
		if err != nil {
			return err
		}
		h = next
	}
}

// close writes the tail of the pack and makes the file durable.
func (h *histPack) close() (pack.Summary, error) {
	sum, err := h.w.Close()
	if err == nil {
		err = h.file.Sync()
	}
	return sum, err
}

// checkPack reads the pack cold and compares its digest.
func (s *Store) checkPack(h *histPack, sum pack.Summary) error {
	_, err := disk.ReadBack(s.cfg.Vault, h.name, func(r disk.File) error {
		d := chunk.NewDigester()
		if err := copyBuffered(context.Background(), d, r); err != nil {
			return err
		}
		if found := d.Sum(); found != sum.Digest {
			return fmt.Errorf("digest %x, expected %x", found[:8], sum.Digest[:8])
		}
		return nil
	})
	return err
}

// finishPack puts a pack in its place that was read at readAt.
func (s *Store) finishPack(h *histPack, sum pack.Summary, readAt int64) error {
	row := packRow(h.id, extOf(h.kind))
	name := packName(row)
	st, err := h.file.Stat()
	if cerr := h.file.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = s.cfg.Vault.Rename(h.name, name)
	}
	if err == nil {
		err = s.cfg.Vault.SyncDir(parent(name))
	}
	if err != nil {
		return err
	}
	return s.enterPack(h.id, row, st, sum.Places, readAt, false)
}

// copyPack writes a pack anew from the one that reads back wrong: its good
// records, and the chunks of the others from wherever they can be had.
func (s *Store) copyPack(h *histPack, sum pack.Summary) (*histPack, error) {
	next, err := s.openPack(h.kind)
	if err != nil {
		return nil, err
	}
	fail := func(err error) (*histPack, error) {
		s.dropPack(next)
		return nil, err
	}
	f, err := s.cfg.Vault.Open(h.name)
	if err != nil {
		return fail(err)
	}
	defer f.Close()
	r, err := pack.OpenRecords(f, sum.Size)
	if err != nil {
		return fail(fmt.Errorf("%w: %w", ErrReadBack, err))
	}
	for _, p := range sum.Places {
		st, err := r.ReadStored(p, nil)
		if err == nil {
			_, err = pack.DecodeStored(h.kind, st, nil)
		}
		if err != nil {
			if st, err = s.encodeAgain(p.ID, h.kind, int64(p.PlainLen)); err != nil {
				return fail(err)
			}
		}
		if _, err := next.w.Append(st); err != nil {
			return fail(err)
		}
		next.pending[p.ID] = true
	}
	return next, nil
}

// encodeAgain gets a chunk from any place and encodes it for a history pack.
func (s *Store) encodeAgain(id chunk.ID, k chunk.Kind, length int64) (pack.Stored, error) {
	plain, err := s.Get(id, k, length, nil)
	if err != nil {
		return pack.Stored{}, err
	}
	return s.encode(k, plain)
}

func (s *Store) encode(k chunk.Kind, plain []byte) (pack.Stored, error) {
	if s.encoder == nil {
		e, err := pack.NewEncoder(0)
		if err != nil {
			return pack.Stored{}, err
		}
		s.encoder = e
	}
	return s.encoder.Encode(k, plain, nil)
}
