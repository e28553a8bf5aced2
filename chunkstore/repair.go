package chunkstore

import (
	"errors"

	"waterlock/index"
)

// repair installs damaged files of the mirror anew, where all their chunks have
// a good place. What they are is known from the install records; the damaged
// inode goes to the kept files, where its good chunks still count.
func (sc *scrubber) repair() error {
	if len(sc.broken) == 0 {
		return nil
	}
	s := sc.s
	want := map[pathKey]index.ContainerID{}
	for tree := range s.vols {
		it := s.cat.Paths(tree)
		for {
			p, row, ok := it.Next()
			if !ok {
				break
			}
			if sc.bad[row.Container] > 0 {
				want[pathKey{tree, p}] = row.Container
			}
		}
		err := it.Err()
		it.Close()
		if err != nil {
			return err
		}
	}
	in, err := s.listInstalls()
	if err != nil {
		return err
	}
	for i := len(in.seqs) - 1; i >= 0 && len(want) > 0; i-- {
		if err := sc.ctx.Err(); err != nil {
			return err
		}
		seq := in.seqs[i]
		rec, void, err := s.readRecord(seq, in.void[seq])
		if errors.Is(err, ErrRecord) {
			continue
		}
		if err != nil {
			return err
		}
		if err := sc.repairFrom(rec, void, want); err != nil {
			return err
		}
	}
	return nil
}

// repairFrom installs what one record says of the wanted paths.
func (sc *scrubber) repairFrom(rec *record, void map[int]bool, want map[pathKey]index.ContainerID) error {
	s := sc.s
	b := s.NewBatch(BatchOptions{})
	var of []index.ContainerID
	for i := len(rec.acts) - 1; i >= 0; i-- {
		a := &rec.acts[i]
		key := pathKey{a.tree, a.path}
		id, ok := want[key]
		if void[i] || !ok || a.cont != id || a.kind != actPlace && a.kind != actMeta {
			continue
		}
		delete(want, key)
		if err := b.Add(sc.ctx, Action{Op: Install, Tree: a.tree, Entry: a.entry}); err != nil {
			b.Discard()
			return err
		}
		of = append(of, id)
	}
	res, err := b.Commit(sc.ctx)
	if err != nil {
		return err
	}
	for i, r := range res {
		name := s.vols[r.Tree].name(r.Path)
		if r.Err != nil {
			s.report.Warn("%s cannot be repaired now: %v", name, r.Err)
			continue
		}
		s.report.Info("%s is repaired.", name)
		sc.res.Repaired += sc.bad[of[i]]
		delete(sc.bad, of[i]) // other links of the inode follow along
	}
	return nil
}
