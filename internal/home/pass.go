package home

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/snapshot"
)

// errStopped ends a walk of which nothing is to be kept.
var errStopped = errors.New("stopped")

// pass is one way through one tree: walk beside the last scan and the spools of interrupted passes, read what changed,
// write the new spool.
type pass struct {
	r        *run
	t        *treeState
	pipe     *pipeline
	splitter *chunk.Splitter
	last     *cursor
	trusted  bool // the last scan names no chunk that has become unknown
	hints    []*cursor
	links    linked
	around   surroundings
	shown    *cursor          // the list of what is gone that was shown
	held     []snapshot.Entry // directories that are gone, around the current path
	graves   snapshot.Graves  // of what was sent
	census   census
	verified map[inode]bool // of several links, read and found to be as they were
	part     *part          // the file that the last room takes in part; nil: not chosen yet
	waiting  *part          // of the files without room, the one to be chosen
}

// part is the one file of a shipment that is carried in part, because the room that all others leave does not take it
// whole.
type part struct {
	tree, path string
	begun      bool // some of it was carried before
	rank       rank
}

// passes goes through all trees until every pack read back is good: where one was lost, another pass carries what it
// held, and reads no more than that. What the vault asks for goes first. Each pass takes one range of the order that files
// are carried in. The last room takes a part of the first file that was too large for it; one that was begun on an
// earlier trip comes before others, so that it is whole soon.
func (r *run) passes(ctx context.Context) error {
	for chosen, lost := (*part)(nil), true; ; {
		r.pass++
		r.packer.again = false
		if lost {
			if err := r.serveFirst(ctx); err != nil {
				return err
			}
			r.rep.Phase("read", r.res.ToRead, r.res.ToReadFiles)
		}
		if r.schedule == nil {
			r.schedule = newSchedule(r.trees)
			r.schedule.advance(r.packer.left())
		}
		waiting := (*part)(nil)
		for _, t := range r.trees {
			if t.root == nil {
				continue
			}
			w, err := r.passTree(ctx, t, chosen)
			if err != nil {
				r.packer.abandon()
				return err
			}
			waiting = waiting.or(w)
		}
		if err := errors.Join(r.packer.finishAll(), context.Cause(ctx)); err != nil {
			r.packer.abandon()
			return err
		}
		r.site.removeSpools(r.rep, r.sh, r.pass-1)
		lost = r.packer.lostSome()
		switch {
		case lost:
			r.rep.Verbose("another pass carries what was lost")
		case !r.schedule.done() && !r.stopRequested() && r.packer.left() > 0:
			r.schedule.advance(r.packer.left())
		case waiting != nil && chosen == nil && !r.stopRequested() && r.packer.left() > int64(r.params.Min):
			chosen = waiting
		case r.o.Again && !r.again && !r.stopRequested():
			r.carryAgain()
		default:
			if !r.schedule.done() {
				r.outOfRoom()
			}
			if r.o.Again {
				r.carryAgain() // as far as it came: closing counts what was left
			}
			return nil
		}
	}
}

// or is one of two files: the one that was begun, else the one of lower rank, else the first.
func (w *part) or(o *part) *part {
	switch {
	case o == nil:
		return w
	case w == nil, o.begun && !w.begun, o.begun == w.begun && o.rank < w.rank:
		return o
	}
	return w
}

// passTree goes through one tree. It returns the file that the last room is for.
func (r *run) passTree(ctx context.Context, t *treeState, chosen *part) (waiting *part, err error) {
	last, err := openScan(r.site.state, t.lastScan)
	if err != nil {
		return nil, err
	}
	defer last.close()
	r.pass-- // the spools of all passes before this one
	hints, err := r.openHints(t)
	r.pass++
	if err != nil {
		return nil, err
	}
	defer closeHints(hints)
	sp, err := createSpool(r.site.state, spoolName(r.sh, r.pass, t.Name), t.Name, r.books.ledger.Generation())
	if err != nil {
		return nil, err
	}
	shown, err := openScan(r.site.state, goneName(t))
	if err != nil {
		return nil, errors.Join(err, sp.close())
	}
	defer shown.close()
	p := &pass{r: r, t: t, last: last, hints: hints, shown: shown, verified: map[inode]bool{}, part: chosen, splitter: r.splitter,
		trusted: r.trusts(t, last) && !r.again}
	p.pipe = r.newPipeline(ctx, sp)
	err = snapshot.Walk(p.pipe.ctx, t.root, r.walkOptions(t), p.visit)
	var unreadable error // the root: the survey had read it
	if err != nil && p.census.entries == 0 && ctx.Err() == nil {
		unreadable, err = err, nil
	} else if err == nil {
		err = last.rest(p.passed)
	}
	err = p.pipe.finish(err)
	if cerr := sp.close(); err == nil {
		err = cerr
	}
	if err != nil {
		return nil, fmt.Errorf("tree %s: %w", t.Name, err)
	}
	if unreadable != nil {
		t.stop(rootUnreadable(unreadable), "")
	} else {
		r.guard(t, p.census)
	}
	if t.stopped != nil {
		r.standStill(t)
		return nil, nil
	}
	t.rehashed = true
	return p.waiting, nil
}

// visit decides about one path.
func (p *pass) visit(n *snapshot.Node) error {
	was, err := p.last.seek(n.Entry.Path, p.passed)
	if err != nil {
		return err
	}
	defer p.last.took(was)
	p.census.meet(n)
	if p.around.out.meets(n) {
		if was != nil {
			return p.passed(was)
		}
		return nil
	}
	prev := present(was)
	if p.r.unmounted(p.t, &p.around.mounts, n, prev) {
		p.around.blind = blindSpot{n.Entry.Path, true}
		was := *prev
		was.Local.Dev = ^n.Local.Dev // still another than its parent's, whatever numbers come next
		if err := p.unseen(n, &was, errUnmounted); err != nil {
			return err
		}
		return snapshot.SkipDir
	}
	if p.around.blind.meets(n) {
		return p.unseen(n, prev, n.Err)
	}
	p.around.meets(n)
	if n.Entry.Kind != disk.KindFile {
		return p.other(n, prev)
	}
	if reusable(n, prev) {
		return p.unchanged(n, prev)
	}
	for _, c := range p.hints {
		hint, err := c.seek(n.Entry.Path, nil)
		if err != nil {
			return err
		}
		if reusable(n, hint) {
			return p.reuse(n, prev, hint)
		}
	}
	if n.Local.Nlink > 1 {
		if w := p.links.get(n); w != nil {
			return p.again(n, prev, w)
		}
	}
	moved, err := p.r.moves.find(n)
	if err != nil {
		p.r.rep.Verbose("%v", err)
	}
	if moved != nil && !p.r.o.Rehash {
		p.r.res.Moved++
		return p.reuse(n, prev, moved)
	}
	return p.readAnew(n, prev)
}

// unchanged is a file that is as it was by its metadata.
func (p *pass) unchanged(n *snapshot.Node, prev *snapshot.ScanEntry) error {
	as := prev
	if p.r.rehashes(p.t, n.Entry.Path) {
		done, found, err := p.rehash(n, prev)
		switch {
		case done || err != nil:
			return err
		case found == nil:
			return p.readAnew(n, prev)
		}
		as = found
	}
	// An unseen entry was repeated without asking for its chunks, and a pending one lacks some.
	if as == prev && p.trusted && !prev.Entry.Unseen && !prev.Entry.Pending {
		return p.same(n, prev)
	}
	return p.reuse(n, prev, as)
}

// readAnew reads a file, if there is room for it.
func (p *pass) readAnew(n *snapshot.Node, prev *snapshot.ScanEntry) error {
	if ok, err := p.admits(n, prev); err != nil || !ok {
		return errors.Join(err, p.notRead(n, prev))
	}
	return p.read(n, prev)
}

// passed gets the entries of the last scan that the walk did not meet: gone, or beneath what could not be read.
func (p *pass) passed(e *snapshot.ScanEntry) error {
	if p.around.blind.covers(e.Entry.Path) {
		return p.repeat(e)
	}
	excluded := p.around.out.covers(e.Entry.Path)
	if !excluded {
		p.census.miss(e)
	}
	return p.bury(e, excluded)
}

// repeat sends an entry of the last scan once more, as unseen.
func (p *pass) repeat(e *snapshot.ScanEntry) error {
	again := snapshot.ScanEntry{Local: e.Local, Entry: *e.Entry.Clone(), Flags: e.Flags}
	again.Entry.Unseen = e.Entry.Gone == snapshot.Here
	return p.pipe.send(&job{kind: jobEntry, entry: again})
}

// unseen names what could not be read and keeps its previous entry.
func (p *pass) unseen(n *snapshot.Node, prev *snapshot.ScanEntry, cause error) error {
	p.r.problem(p.t, n.Entry.Path, cause)
	if prev != nil {
		return p.repeat(prev)
	}
	e := snapshot.ScanEntry{Local: n.Local, Entry: *n.Entry.Clone()}
	e.Entry.Unseen = true
	if e.Entry.Validate() != nil { // not even its kind or its name is known
		p.r.res.Unseen++
		return nil
	}
	return p.pipe.send(&job{kind: jobEntry, entry: e})
}

// other is a directory, a link or a special file: metadata is all there is to it.
func (p *pass) other(n *snapshot.Node, prev *snapshot.ScanEntry) error {
	p.fill(n, prev)
	return p.pipe.send(&job{kind: jobEntry, entry: p.entry(n)})
}

// fill gives a node its extended attributes: those of last time if the inode did not change since.
func (p *pass) fill(n *snapshot.Node, prev *snapshot.ScanEntry) {
	if prev != nil && unchanged(n, prev) {
		n.Entry.Xattrs = prev.Entry.Xattrs
		return
	}
	if err := n.Fill(); err != nil {
		p.r.problem(p.t, n.Entry.Path, fmt.Errorf("its extended attributes cannot be read: %w", err))
		if prev != nil {
			n.Entry.Xattrs = prev.Entry.Xattrs
		}
	}
}

// entry copies what a node says, for it is valid only during the visit.
func (p *pass) entry(n *snapshot.Node) snapshot.ScanEntry {
	return snapshot.ScanEntry{Local: n.Local, Entry: *n.Entry.Clone()}
}

// same repeats the content of an unchanged file.
func (p *pass) same(n *snapshot.Node, from *snapshot.ScanEntry) error {
	p.fill(n, from)
	e := p.entry(n)
	e.Entry.Content, e.Entry.Hash = slices.Clone(from.Entry.Content), from.Entry.Hash
	return p.pipe.send(&job{kind: jobEntry, entry: e})
}

// again is a further link to an inode that this pass has read.
func (p *pass) again(n *snapshot.Node, prev *snapshot.ScanEntry, w *fileWork) error {
	p.fill(n, prev)
	if w.fresh {
		n.Local.CTime = disk.Time{} // as its first name
	}
	return p.pipe.send(&job{kind: jobFinish, file: w, like: w, entry: p.entry(n)})
}

// notRead leaves a file to a later trip. What an interrupted pass carried of it stays named.
func (p *pass) notRead(n *snapshot.Node, prev *snapshot.ScanEntry) error {
	p.fill(n, prev)
	e := p.entry(n)
	e.Entry.Pending, e.Flags = true, snapshot.NotRead
	if hint := p.partHint(n); hint != nil {
		e.Entry.Carried = slices.Clone(hint.Entry.Carried)
	}
	return p.pipe.send(&job{kind: jobEntry, entry: e})
}

// partHint is the entry of an interrupted pass that carried a part of the file as it is now, nil if there is none.
func (p *pass) partHint(n *snapshot.Node) *snapshot.ScanEntry {
	for _, c := range p.hints {
		if hint, _ := c.seek(n.Entry.Path, nil); hint != nil && unchanged(n, hint) && len(hint.Entry.Carried) > 0 {
			return hint
		}
	}
	return nil
}

// carried is how many bytes of the file as it is now were carried already, as far as is known without reading it.
func (p *pass) carried(n *snapshot.Node, prev *snapshot.ScanEntry) (bytes int64) {
	if prev != nil && prev.Entry.Pending && unchanged(n, prev) {
		bytes = length(prev.Entry.Carried)
	}
	if hint := p.partHint(n); hint != nil {
		bytes = max(bytes, length(hint.Entry.Carried))
	}
	return bytes
}

// admits decides whether a file is read now. A new one of which more is to be carried than there is room for is put
// behind smaller ones, to be carried in part in the room that they leave, or to wait. One of which the vault has an
// earlier version goes in order, since its new part may be small; it may end as pending.
func (p *pass) admits(n *snapshot.Node, prev *snapshot.ScanEntry) (bool, error) {
	if p.r.stopRequested() {
		return false, nil
	}
	rank := p.t.ranker.rank(n)
	if rank > p.r.schedule.upTo {
		return false, nil // its turn comes with another pass
	}
	need := n.DataSize()
	if need <= p.pipe.left() {
		return true, nil
	}
	if err := p.pipe.drain(); err != nil {
		return false, err
	}
	carried := p.carried(n, prev)
	need -= carried
	left := p.pipe.left()
	switch {
	case need <= left:
		return true, nil
	case left < min(need, int64(p.r.params.Min)):
		p.r.outOfRoom()
		return false, nil
	case hasEarlier(prev), p.part != nil && p.part.tree == p.t.Name && p.part.path == n.Entry.Path:
		return true, nil
	}
	p.r.outOfRoom()
	p.waiting = p.waiting.or(&part{p.t.Name, n.Entry.Path, carried > 0, rank})
	return false, nil
}

// hasEarlier tells whether a version of the file was carried whole before.
func hasEarlier(prev *snapshot.ScanEntry) bool {
	return prev != nil && prev.Entry.Kind == disk.KindFile && !prev.Entry.Hash.IsZero()
}
