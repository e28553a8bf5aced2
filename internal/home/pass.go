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
	blind    blindSpot
	mounts   mounts
	census   census
	split    bool  // large files may be carried in part
	deferred int64 // files that a pass with split would carry in part
}

// passes goes through all trees until every pack read back is good: where one was lost, another pass carries what it
// held, and reads no more than that. Last come files too large for the room that was left, of which a part is carried.
func (r *run) passes(ctx context.Context) error {
	r.rep.Phase("read", r.res.ToRead, r.res.ToReadFiles)
	for split := false; ; {
		r.pass++
		r.packer.again = false
		deferred := int64(0)
		for _, t := range r.trees {
			if t.root == nil {
				continue
			}
			n, err := r.passTree(ctx, t, split)
			if err != nil {
				r.packer.abandon()
				return err
			}
			deferred += n
		}
		if err := errors.Join(r.packer.finishAll(), context.Cause(ctx)); err != nil {
			r.packer.abandon()
			return err
		}
		r.site.removeSpools(r.rep, r.sh, r.pass-1)
		switch {
		case r.packer.lostSome():
			r.rep.Verbose("another pass carries what was lost")
		case deferred > 0 && !split && !r.stopRequested() && r.packer.left() > int64(r.params.Min):
			split = true
		default:
			return nil
		}
	}
}

// passTree goes through one tree.
func (r *run) passTree(ctx context.Context, t *treeState, split bool) (deferred int64, err error) {
	last, err := openScan(r.site.state, t.lastScan)
	if err != nil {
		return 0, err
	}
	defer last.close()
	r.pass-- // the spools of all passes before this one
	hints, err := r.openHints(t)
	r.pass++
	if err != nil {
		return 0, err
	}
	defer closeHints(hints)
	sp, err := createSpool(r.site.state, spoolName(r.sh, r.pass, t.Name), t.Name, r.books.ledger.Generation())
	if err != nil {
		return 0, err
	}
	p := &pass{r: r, t: t, last: last, hints: hints, split: split, splitter: r.splitter,
		trusted: r.trusts(t, last)}
	p.pipe = r.newPipeline(ctx, sp)
	err = snapshot.Walk(p.pipe.ctx, t.root, r.walkOptions(), p.visit)
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
		return 0, fmt.Errorf("tree %s: %w", t.Name, err)
	}
	if unreadable != nil {
		t.stop(rootUnreadable(unreadable), "")
	} else {
		r.guard(t, p.census)
	}
	if t.stopped != nil {
		r.standStill(t)
		return 0, nil
	}
	return p.deferred, nil
}

// visit decides about one path.
func (p *pass) visit(n *snapshot.Node) error {
	prev, err := p.last.seek(n.Entry.Path, p.passed)
	if err != nil {
		return err
	}
	defer p.last.took(prev)
	p.census.meet(n)
	if p.r.unmounted(p.t, &p.mounts, n, prev) {
		p.blind = blindSpot{n.Entry.Path, true}
		was := *prev
		was.Local.Dev = ^n.Local.Dev // still another than its parent's, whatever numbers come next
		if err := p.unseen(n, &was, errUnmounted); err != nil {
			return err
		}
		return snapshot.SkipDir
	}
	if p.blind.meets(n) {
		return p.unseen(n, prev, n.Err)
	}
	if n.Entry.Kind != disk.KindFile {
		return p.other(n, prev)
	}
	if reusable(n, prev) {
		if p.trusted && !prev.Entry.Unseen { // an unseen entry was repeated without asking for its chunks
			return p.same(n, prev)
		}
		return p.reuse(n, prev, prev)
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
	if moved != nil {
		p.r.res.Moved++
		return p.reuse(n, prev, moved)
	}
	if ok, err := p.admits(n, prev); err != nil || !ok {
		return errors.Join(err, p.notRead(n, prev))
	}
	return p.read(n, prev)
}

// passed gets the entries of the last scan that the walk did not meet: gone, or beneath what could not be read.
func (p *pass) passed(e *snapshot.ScanEntry) error {
	if !p.blind.covers(e.Entry.Path) {
		p.census.miss(e)
		return nil
	}
	return p.repeat(e)
}

// repeat sends an entry of the last scan once more, as unseen.
func (p *pass) repeat(e *snapshot.ScanEntry) error {
	again := snapshot.ScanEntry{Local: e.Local, Entry: *e.Entry.Clone(), Flags: e.Flags}
	again.Entry.Unseen = true
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
	if err := p.pipe.send(&job{kind: jobEntry, entry: p.entry(n)}); err != nil {
		return err
	}
	if p.r.site.skips(n) {
		return snapshot.SkipDir
	}
	return nil
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
	return p.pipe.send(&job{kind: jobFinish, file: w, like: w, entry: p.entry(n)})
}

// notRead leaves a file to a later trip. What an interrupted pass carried of it stays named.
func (p *pass) notRead(n *snapshot.Node, prev *snapshot.ScanEntry) error {
	p.fill(n, prev)
	e := p.entry(n)
	e.Entry.Pending, e.Flags = true, snapshot.NotRead
	for _, c := range p.hints {
		if hint, _ := c.seek(n.Entry.Path, nil); hint != nil && unchanged(n, hint) && len(hint.Entry.Carried) > 0 {
			e.Entry.Carried = slices.Clone(hint.Entry.Carried)
			break
		}
	}
	return p.pipe.send(&job{kind: jobEntry, entry: e})
}

// admits decides whether a file is read now. A new file that is larger than the room left is put behind smaller ones.
// One of which the vault has an earlier version, or that has waited before, or that no drive of this size could take
// at once, goes in order and may end as pending with a part of it carried.
func (p *pass) admits(n *snapshot.Node, prev *snapshot.ScanEntry) (bool, error) {
	if p.r.stopRequested() {
		return false, nil
	}
	size := n.Entry.Size
	if size <= p.pipe.left() {
		return true, nil
	}
	if err := p.pipe.drain(); err != nil {
		return false, err
	}
	left := p.pipe.left()
	switch {
	case size <= left:
		return true, nil
	case left < min(size, int64(p.r.params.Min)):
		p.r.outOfRoom()
		return false, nil
	case hasEarlier(prev) || p.split && p.mayPart(n, prev):
		return true, nil
	}
	p.r.outOfRoom()
	if p.mayPart(n, prev) {
		p.deferred++
	}
	return false, nil
}

// hasEarlier tells whether a version of the file was carried before.
func hasEarlier(prev *snapshot.ScanEntry) bool {
	return prev != nil && prev.Entry.Kind == disk.KindFile && (!prev.Entry.Hash.IsZero() || len(prev.Entry.Carried) > 0)
}

// mayPart tells whether a new file may be split over trips: it has waited once, or no trip of this drive could carry
// it whole.
func (p *pass) mayPart(n *snapshot.Node, prev *snapshot.ScanEntry) bool {
	return prev != nil && prev.Entry.Pending || n.Entry.Size > p.r.capacity
}
