package home

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"

	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/snapshot"
)

// What the vault asks for goes first: before anything else is read, each file of which a chunk is wanted gives it, as
// long as there is room. Where a chunk lies is known from the last scans: under the path that it had, or under the one
// that the file has now; a copy, in whatever tree, is as good. A file that changed since is looked through: at the place
// where the chunk was, then from its beginning, for what is inserted in front of a chunk only moves it. Whatever is read
// is believed by its ID alone.
//
// What is not found so may lie in a file that home never packed. Where the drive takes all that is new, such a file is
// read in a moment anyhow; where it does not, new files are looked through here, so that nothing that the vault could
// have back loses against what it never had. Files that wait for room since an earlier trip are not looked through again
// on each.

// server looks through one tree.
type server struct {
	r      *run
	pipe   *pipeline
	last   *cursor
	around leftOut
	asked  *asked
}

// serveFirst carries the chunks of files that the vault asks for, as far as they are found.
func (r *run) serveFirst(ctx context.Context) error {
	a, err := r.notKnown()
	if err != nil || a.n == 0 {
		return err
	}
	r.rep.Phase("looking for what the vault asks for", 0, int64(a.n))
	if err := r.serveTrees(ctx, a, (*server).knownFile); err != nil {
		return err
	}
	if !r.short() {
		return nil // the pass reads what is new, and carries what it finds
	}
	return r.serveTrees(ctx, a, (*server).newFile)
}

// serveTrees has every file looked at, in all trees, until nothing is asked for any more.
func (r *run) serveTrees(ctx context.Context, a *asked, look func(*server, *snapshot.Node, *snapshot.ScanEntry) error) error {
	for _, t := range r.trees {
		if t.root == nil {
			continue
		}
		if a.n == 0 || r.packer.left() < int64(r.params.Min) || r.stopRequested() {
			return nil
		}
		if err := r.serveTree(ctx, t, a, look); err != nil {
			r.packer.abandon()
			return err
		}
	}
	return nil
}

// notKnown is what the vault asks for and is neither aboard again nor in a pack of this run.
func (r *run) notKnown() (*asked, error) {
	a := r.books.wanted(chunk.Data)
	for _, id := range a.ids {
		known, err := r.known(id)
		if err != nil {
			return nil, err
		}
		if known {
			a.meet(id)
		}
	}
	return a, nil
}

// short tells whether the drive may have no room for all that is new.
func (r *run) short() bool { return r.res.ToRead+r.res.ToRead>>7 > r.packer.left() }

func (r *run) serveTree(ctx context.Context, t *treeState, a *asked, look func(*server, *snapshot.Node, *snapshot.ScanEntry) error) error {
	last, err := openScan(r.site.state, t.lastScan)
	if err != nil {
		return err
	}
	defer last.close()
	s := &server{r: r, last: last, asked: a, pipe: r.newPipeline(ctx, nil)}
	err = snapshot.Walk(s.pipe.ctx, t.root, r.walkOptions(t), func(n *snapshot.Node) error { return s.visit(n, look) })
	if errors.Is(err, errCut) || err != nil && ctx.Err() == nil && s.pipe.ctx.Err() == nil {
		r.rep.Verbose("%s: %v", t.Name, err) // the pass says what is wrong with the tree
		err = nil
	}
	return s.pipe.finish(err)
}

// visit has one file looked at, beside what the last scan has at its path.
func (s *server) visit(n *snapshot.Node, look func(*server, *snapshot.Node, *snapshot.ScanEntry) error) error {
	if s.asked.n == 0 || s.r.stopRequested() {
		return errCut
	}
	was, err := s.last.seek(n.Entry.Path, nil)
	if err != nil {
		return err
	}
	if s.around.meets(n) || n.Err != nil || n.Entry.Kind != disk.KindFile {
		return nil
	}
	return look(s, n, present(was))
}

// knownFile looks at a file that the last scan knows, under this path or the one that it had then.
func (s *server) knownFile(n *snapshot.Node, was *snapshot.ScanEntry) error {
	from := was
	if !sameInode(n, was) {
		if moved, err := s.r.moves.find(n); err == nil && moved != nil {
			from = moved
		}
	}
	if from == nil {
		return nil
	}
	ranges := s.wanted(from)
	if len(ranges) == 0 {
		return nil
	}
	return s.serve(n, ranges, !unchanged(n, from))
}

// newFile looks through a file that is going to be read for the first time, or as it is now.
func (s *server) newFile(n *snapshot.Node, was *snapshot.ScanEntry) error {
	if n.Entry.Size == 0 || was != nil && unchanged(n, was) {
		return nil
	}
	if moved, err := s.r.moves.find(n); err != nil || moved != nil {
		return nil
	}
	return s.serve(n, nil, true)
}

// wanted are the chunks of a file that are asked for, where they lay.
func (s *server) wanted(e *snapshot.ScanEntry) (out []fileRange) {
	for _, list := range [...][]snapshot.Extent{e.Entry.Content, e.Entry.Carried} {
		off := int64(0)
		for _, x := range list {
			if !x.Hole && s.asked.lacks(x.ID) {
				out = append(out, fileRange{off, x})
			}
			off += x.Length
		}
	}
	return out
}

// serve carries what a file holds of the ranges, and of a file that changed whatever else of it is asked for. What
// cannot be read is named by the pass.
func (s *server) serve(n *snapshot.Node, ranges []fileRange, changed bool) error {
	f, err := n.FS.Open(n.Name)
	if err != nil {
		return nil
	}
	defer f.Close() // was only read
	found := 0
	for _, x := range ranges {
		ok, err := s.at(f, x)
		if err != nil {
			return err
		}
		if ok {
			found++
		}
	}
	if !changed || len(ranges) > 0 && found == len(ranges) {
		return nil
	}
	return s.through(f, n)
}

// at carries the chunk that lay at one place of a file, if it still does.
func (s *server) at(f disk.File, x fileRange) (bool, error) {
	buf, err := s.r.buffers.take(s.pipe.ctx, x.Length)
	if err != nil {
		return false, err
	}
	if int64(cap(buf)) < x.Length { // cut by other parameters than the present ones
		s.r.buffers.give(buf)
		return false, nil
	}
	plain := buf[:x.Length]
	k, _ := f.ReadAt(plain, x.off) // the ID tells
	s.r.res.BytesRead += int64(k)
	if k < len(plain) || chunk.Data.ID(plain) != x.ID {
		s.r.buffers.give(buf)
		return false, nil
	}
	return true, s.send(x.ID, buf, plain)
}

// through cuts a file as packing would, and carries what is asked for.
func (s *server) through(f disk.File, n *snapshot.Node) error {
	for at := int64(0); at < n.Entry.Size; {
		start, end, err := snapshot.DataFrom(f, at, n.Entry.Size)
		if err != nil || start >= n.Entry.Size {
			return nil
		}
		s.r.splitter.Reset(io.NewSectionReader(f, start, end-start))
		for {
			if s.asked.n == 0 || s.r.stopRequested() {
				return errCut
			}
			buf, err := s.r.buffers.take(s.pipe.ctx, end-start)
			if err != nil {
				return err
			}
			plain, err := s.r.splitter.Next(buf)
			if err != nil {
				s.r.buffers.give(buf)
				if errors.Is(err, io.EOF) {
					break
				}
				return nil
			}
			s.r.res.BytesRead += int64(len(plain))
			id := chunk.Data.ID(plain)
			if !s.asked.lacks(id) {
				s.r.buffers.give(buf)
				continue
			}
			if err := s.send(id, buf, plain); err != nil {
				return err
			}
		}
		at = end
	}
	return nil
}

// send carries one chunk, if the drive has room for it. Once it has none for any, the search ends.
func (s *server) send(id chunk.ID, buf, plain []byte) error {
	w, sure := &fileWork{}, int64(len(plain)) <= s.pipe.left()
	if err := s.pipe.send(&job{kind: jobChunk, file: w, buf: buf, plain: plain}); err != nil {
		return err
	}
	if !sure {
		if err := s.pipe.drain(); err != nil {
			return err
		}
		if w.cut.Load() {
			return s.room()
		}
	}
	s.asked.meet(id)
	s.r.rep.Add(0, 1)
	return nil
}

// room ends the search where the drive is full.
func (s *server) room() error {
	if s.pipe.left() < int64(s.r.params.Min) {
		s.r.outOfRoom()
		return errCut
	}
	return nil
}

// wantsRoom is about what the chunks take that the vault asks for: those of files by the average, stream chunks by
// what is kept of them.
func (r *run) wantsRoom() (data, streams int64, err error) {
	if r.books.receipt == nil || len(r.books.receipt.Wants) == 0 {
		return 0, 0, nil
	}
	data = int64(r.books.wanted(chunk.Data).n) * averageChunk(r.params)
	a := r.books.wanted(chunk.Stream)
	if a.n == 0 {
		return data, 0, nil
	}
	err = r.eachKept(a, func(k *keptStream) error {
		streams += int64(k.place.StoredLen) + perStream
		a.meet(k.place.ID)
		return nil
	})
	return data, streams, err
}

// countServed says what became of what the vault asks for. What is neither aboard nor held is gone, unless something of
// the trees was not read or not seen, where a chunk may still turn up.
func (r *run) countServed() error {
	b := r.books
	if b.receipt == nil || len(b.receipt.Wants) == 0 {
		return nil
	}
	a, err := r.notKnown()
	if err != nil {
		return err
	}
	left := int64(a.n) + int64(r.streamsGone.n)
	r.res.WantsServed = r.res.Wants - left
	if r.res.Pending > 0 || r.res.Incomplete() {
		r.res.WantsOpen = left
	} else {
		r.res.WantsGone = left
	}
	r.res.Unserved = r.unserved(a)
	return nil
}

// maxUnserved bounds how many paths are named of what the vault asks for in vain. It names no more itself.
const maxUnserved = 10_000

// unserved are the paths of snapshots that need what is not carried, as far as the receipt names them, by snapshot and path.
func (r *run) unserved(data *asked) []Unserved {
	count := map[Unserved]int64{}
	for i := range r.books.receipt.Wants {
		w := &r.books.receipt.Wants[i]
		key := Unserved{Snapshot: w.Snapshot, Path: w.Path}
		if w.Path == "" || !data.lacks(w.ID) && !r.streamsGone.lacks(w.ID) {
			continue
		}
		if _, ok := count[key]; ok || len(count) < maxUnserved {
			count[key]++
		}
	}
	list := make([]Unserved, 0, len(count))
	for u, n := range count {
		u.Chunks = n
		list = append(list, u)
	}
	slices.SortFunc(list, func(a, b Unserved) int {
		return cmp.Or(cmp.Compare(a.Snapshot, b.Snapshot), snapshot.ComparePaths(a.Path, b.Path))
	})
	return list
}
