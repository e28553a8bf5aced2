package chunkstore

import (
	"context"
	"errors"
	"fmt"

	"waterlock/index"
	"waterlock/internal/disk"
	"waterlock/internal/wire"
)

// Commit carries out the batch, durably, and returns one Result for each action
// in the order they were added. After an error of the batch as a whole the
// store must be opened anew; nothing is lost then.
//
// The order of its steps is that of the package comment.
func (b *Batch) Commit(ctx context.Context) ([]Result, error) {
	if b.done {
		return nil, errors.New("batch is done")
	}
	if err := b.s.usable(); err != nil {
		return nil, err
	}
	b.done = true
	if err := b.seal(ctx); err != nil { // steps 1 to 3
		for _, it := range b.items {
			b.unstage(it)
		}
		return nil, err
	}
	rec := &record{time: b.s.now().Unix()}
	var of []*item
	for _, it := range b.items {
		if it.do {
			rec.acts = append(rec.acts, it.act)
			of = append(of, it)
		}
	}
	if len(rec.acts) > 0 {
		errs, err := b.s.install(rec, b.began) // steps 4 to 11
		if err != nil {
			return nil, err
		}
		for i, err := range errs {
			if err != nil {
				of[i].res.Err, of[i].res.Way, of[i].res.Bytes, of[i].res.Kept, of[i].res.Foreign = err, Nothing, 0, 0, ""
			}
		}
	}
	out := make([]Result, len(b.items))
	for i, it := range b.items {
		out[i] = it.res
		if it.res.Err == nil && it.res.Foreign != "" && it.adopted {
			b.s.report.Verbose("%s was here before and is not what home has: moved to %s", b.s.vols[it.res.Tree].name(it.res.Path), it.res.Foreign)
		} else if it.res.Err == nil && it.res.Foreign != "" {
			b.s.report.Warn("%s was written by somebody else: moved to %s",
				b.s.vols[it.res.Tree].name(it.res.Path), it.res.Foreign)
		}
	}
	return out, nil
}

// seal makes what was staged durable and proves that it reads back as it
// should: steps 1 to 3. What does not is assembled anew under another name, up
// to five times.
func (b *Batch) seal(ctx context.Context) error {
	var files map[disk.FS][]string
	var dirs dirSet
	var fresh []*item
	for _, it := range b.items {
		a := &it.act
		if !it.do || a.stage == 0 {
			continue
		}
		sh := b.s.vols[a.tree].shelf
		dirs.add(sh.fs, sh.stagingDir())
		if a.entry.Kind == disk.KindFile {
			if files == nil {
				files = map[disk.FS][]string{}
			}
			files[sh.fs] = append(files[sh.fs], sh.stageName(a.stage))
		}
		if a.fresh {
			fresh = append(fresh, it)
		}
	}
	for f, names := range files {
		if err := f.SyncFiles(names); err != nil {
			return fmt.Errorf("make staged files durable: %w", err)
		}
	}
	if err := dirs.sync(); err != nil {
		return err
	}
	for _, it := range fresh {
		if err := b.readBack(ctx, it); err != nil {
			var f *fatal
			if ctx.Err() != nil || errors.As(err, &f) {
				return err
			}
			b.giveUp(it.act.cont, err)
		}
	}
	return nil
}

// readBack reads a staged file cold and compares the hash of its content.
func (b *Batch) readBack(ctx context.Context, it *item) error {
	v := b.s.vols[it.act.tree]
	for try := 1; ; try++ {
		sum, err := readSum(ctx, v.FS, v.shelf.stageName(it.act.stage))
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil && sum == it.act.entry.Hash {
			return nil
		}
		if err == nil {
			err = fmt.Errorf("%w: hash %x, expected %x", ErrReadBack, sum[:8], it.act.entry.Hash[:8])
		} else {
			err = fmt.Errorf("%w: %w", ErrReadBack, err)
		}
		if try == assemblies {
			return err
		}
		b.s.report.Warn("%s: %v; assembling it again", v.name(it.act.path), err)
		if it.grown != nil {
			err = b.mendGrown(ctx, v, it)
		} else {
			err = b.assembleAgain(ctx, v, it)
		}
		if err != nil {
			return err
		}
	}
}

// assembleAgain replaces a staged file by a new one under a new number, and
// what this batch has linked to it.
func (b *Batch) assembleAgain(ctx context.Context, v *volume, it *item) error {
	old := it.act.cont
	oldName := v.shelf.stageName(it.act.stage)
	a := it.act
	a.cont = b.s.number()
	a.stage = a.cont
	if err := b.s.assemble(ctx, v, &a); err != nil {
		return err
	}
	name := v.shelf.stageName(a.stage)
	if err := v.FS.SyncFiles([]string{name}); err != nil {
		_ = removeIfThere(v.FS, name)
		return err
	}
	_ = removeIfThere(v.FS, oldName)
	it.act = a
	for _, o := range b.items {
		if o == it || !o.do || o.act.cont != old {
			continue
		}
		_ = removeIfThere(v.FS, v.shelf.stageName(o.act.stage))
		o.act.cont, o.act.node = a.cont, a.node
		if err := v.FS.Link(name, v.shelf.stageName(o.act.stage)); err != nil {
			b.giveUpOne(o, err)
		}
	}
	return v.FS.SyncDir(v.shelf.stagingDir())
}

// giveUp drops the action that makes a container, and those that link to it.
func (b *Batch) giveUp(id index.ContainerID, err error) {
	for _, it := range b.items {
		if it.do && it.act.cont == id {
			b.giveUpOne(it, err)
		}
	}
}

func (b *Batch) giveUpOne(it *item, err error) {
	b.unstage(it)
	it.do, it.res.Err, it.res.Way, it.res.Bytes, it.res.Kept, it.res.Foreign = false, err, Nothing, 0, 0, ""
}

// install makes a record durable, carries it out and enters its rows: steps 4
// to 11. The errors are one for each action; those were given up. New
// content was read at readAt or later.
func (s *Store) install(rec *record, readAt int64) ([]error, error) {
	if err := s.keptDirs(rec); err != nil { // step 4
		s.unstageAll(rec)
		return nil, err
	}
	rec.seq = s.seq + 1
	rec.next = s.nextNumber()
	body := rec.encode()
	if len(body) > wire.MaxBody {
		s.unstageAll(rec)
		return nil, fmt.Errorf("install record of %d bytes is too large", len(body))
	}
	// Step 5. From here on the batch is finished, now or by the next Open.
	if err := disk.Put(s.cfg.Vault, recordName(rec.seq, recordExt), wire.Seal(wire.InstallRecord, s.cfg.Route, body)); err != nil {
		err = fmt.Errorf("write install record: %w", err)
		if _, found, serr := stat(s.cfg.Vault, recordName(rec.seq, recordExt)); found || serr != nil {
			return nil, s.spoil(err) // it may be durable
		}
		s.unstageAll(rec)
		return nil, err
	}
	s.seq = rec.seq
	s.moves.Lock()
	defer s.moves.Unlock()
	errs, err := s.finish(rec) // steps 6 to 10
	if err != nil {
		return nil, s.spoil(err)
	}
	void, err := s.giveUp(rec, errs)
	if err != nil {
		return nil, s.spoil(err)
	}
	was, err := s.foreignOf(rec)
	if err != nil {
		return nil, s.spoil(err)
	}
	if err := s.apply(rec, void, readAt); err != nil { // step 11
		return nil, s.spoil(err)
	}
	if err := s.settleForeign(rec, void, was); err != nil {
		return nil, s.spoil(err)
	}
	for i := range void {
		if err := s.recheck(&rec.acts[i]); err != nil {
			return nil, s.spoil(err)
		}
	}
	return errs, nil
}

// recheck corrects the rows of a path whose action was given up half-way, as
// the mirror's check would: its old version may be with the kept files.
func (s *Store) recheck(a *action) error {
	v := s.vols[a.tree]
	if v == nil || a.kind == actDrop {
		return nil
	}
	at, err := newOverlay(s.cat).at(s, v, a.path)
	if err != nil || at.row == nil || at.ours {
		return err
	}
	b := s.cat.Batch()
	b.DropPath(a.tree, a.path)
	if err := b.Commit(); err != nil {
		return err
	}
	if c := at.cont; c != nil && c.Kind == index.Mirror && c.Tree == a.tree && c.Name == a.path {
		missing := map[index.ContainerID]bool{c.ID: true}
		if err := s.relocate(context.Background(), missing); err != nil || !missing[c.ID] {
			return err
		}
		_, err = s.lose(c.ID)
	}
	return err
}

func (s *Store) unstageAll(rec *record) {
	for i := range rec.acts {
		if a := &rec.acts[i]; a.stage != 0 {
			sh := s.vols[a.tree].shelf
			_ = removeIfThere(sh.fs, sh.stageName(a.stage))
		}
	}
}

// keptDirs makes the directories that old versions will be linked into.
func (s *Store) keptDirs(rec *record) error {
	for i := range rec.acts {
		a := &rec.acts[i]
		if a.old != oldKeep && !a.hold {
			continue
		}
		sh := s.vols[a.tree].shelf
		dir := dirKey{sh.fs, parent(sh.keptName(a.oldID))}
		if s.made[dir] {
			continue
		}
		if err := disk.MkdirAll(dir.fs, dir.name, 0o700); err != nil {
			return err
		}
		s.made[dir] = true
	}
	return nil
}

// giveUp writes down which actions of a record were given up, so that neither
// recovery nor rebuilding believes them, and removes what they staged.
func (s *Store) giveUp(rec *record, errs []error) (map[int]bool, error) {
	var list []int
	for i, err := range errs {
		if err != nil {
			list = append(list, i)
		}
	}
	if len(list) == 0 {
		return nil, nil
	}
	data := wire.Seal(wire.InstallRecord, s.cfg.Route, encodeVoid(rec.seq, list))
	if err := disk.Put(s.cfg.Vault, recordName(rec.seq, voidExt), data); err != nil {
		return nil, fmt.Errorf("write down what was given up: %w", err)
	}
	void := map[int]bool{}
	for _, i := range list {
		void[i] = true
		s.undo(&rec.acts[i])
	}
	return void, nil
}

// undo removes what a given-up action left: its staged name, and the kept name
// of what still lies at the path. Best effort.
func (s *Store) undo(a *action) {
	v := s.vols[a.tree]
	if v == nil {
		return
	}
	if a.stage != 0 {
		_ = removeIfThere(v.FS, v.shelf.stageName(a.stage)+linkExt)
		_ = removeIfThere(v.FS, v.shelf.stageName(a.stage))
	}
	if a.old == oldKeep {
		st, found, err := stat(v.FS, v.name(a.path))
		kept, also, kerr := stat(v.FS, v.shelf.keptName(a.oldID))
		if err == nil && kerr == nil && found && also && st.Ino == kept.Ino && st.Ino == a.prev.ino {
			_ = v.FS.Remove(v.shelf.keptName(a.oldID))
		}
	}
}

// recordName is the name of an install record or of what was given up of it.
func recordName(seq uint64, ext string) string {
	return installsDir + "/" + hexNumber(index.ContainerID(seq)) + ext
}

// sealed opens a sealed record of ours.
func (s *Store) readSealed(name string) ([]byte, error) {
	data, err := disk.ReadAll(s.cfg.Vault, name, wire.MaxSize)
	if err != nil {
		return nil, err
	}
	body, err := wire.OpenRoute(wire.InstallRecord, s.cfg.Route, data)
	if err != nil {
		return nil, fmt.Errorf("%w %s: %w", ErrRecord, name, err)
	}
	return body, nil
}

// readRecord reads the record of a number and what was given up of it.
func (s *Store) readRecord(seq uint64, given bool) (*record, map[int]bool, error) {
	name := recordName(seq, recordExt)
	body, err := s.readSealed(name)
	if err != nil {
		return nil, nil, err
	}
	rec, err := decodeRecord(body)
	if err == nil && rec.seq != seq {
		err = fmt.Errorf("it is record %d", rec.seq)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%w %s: %w", ErrRecord, name, err)
	}
	if !given {
		return rec, nil, nil
	}
	name = recordName(seq, voidExt)
	body, err = s.readSealed(name)
	if err != nil {
		return nil, nil, err
	}
	of, void, err := decodeVoid(body)
	if err == nil && of != seq {
		err = fmt.Errorf("it belongs to record %d", of)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%w %s: %w", ErrRecord, name, err)
	}
	return rec, void, nil
}
