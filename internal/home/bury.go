package home

import (
	"waterlock/internal/disk"
	"waterlock/internal/report"
	"waterlock/snapshot"
)

// bury decides what becomes of a path that is gone, or left out, and sends its tombstone if it needs one.
//
// A directory by itself is nothing to decide about: it waits until it is known what becomes of the first thing in it,
// and becomes the same, so that one tombstone stands for all of them in the stream. An empty one needs none.
func (p *pass) bury(e *snapshot.ScanEntry, excluded bool) error {
	path := e.Entry.Path
	if p.around.replaced(path) {
		if e.Entry.Gone.Stays() {
			p.r.rep.Warn("%s was to stay in the vault's mirror, but something else lies in the place of its directory now: it cannot", report.Name(p.r.name(p.t, path)))
		}
		return nil
	}
	for n := len(p.held); n > 0 && !snapshot.Under(path, p.held[n-1].Path); n-- {
		p.held = p.held[:n-1]
	}
	listed, err := p.shown.seek(path, nil)
	if err != nil {
		return err
	}
	f := p.r.fate(p.t, e, excluded)
	if f.cleared {
		return nil // no tombstone, not even below one that is undecided: the mirror has nothing there
	}
	gone := p.r.answers.settle(f, listed != nil)
	if e.Entry.Kind == disk.KindDir && !f.excluded {
		p.held = append(p.held, *snapshot.Tombstone(&e.Entry, gone))
		return nil
	}
	if gone != snapshot.Confirmed {
		for i := range p.held {
			if err := p.entomb(&p.held[i], gone); err != nil {
				return err
			}
		}
	}
	p.held = p.held[:0]
	return p.entomb(&e.Entry, gone)
}

// entomb sends a tombstone, unless all that is above it says the same: gone, and confirmed.
func (p *pass) entomb(e *snapshot.Entry, gone snapshot.Gone) error {
	if gone == snapshot.Confirmed && p.graves.Over(e.Path) == snapshot.Confirmed {
		return nil
	}
	tomb := snapshot.Tombstone(e, gone)
	p.graves.Add(tomb)
	return p.pipe.send(&job{kind: jobEntry, entry: snapshot.ScanEntry{Entry: *tomb}})
}

// vanished is a file that was there when it was listed and is not any more.
func (p *pass) vanished(prev *snapshot.ScanEntry) error {
	if prev == nil {
		return nil
	}
	p.census.miss(prev)
	p.around.solid = ""
	return p.bury(prev, false)
}

// list tells of a path that is packed, if somebody wants to know.
func (r *run) list(t *treeState, n *snapshot.Node, prev *snapshot.ScanEntry) {
	if r.o.List == nil {
		return
	}
	l := ListedPath{Path: r.name(t, n.Entry.Path), Dir: n.Entry.Kind == disk.KindDir, Why: "changed"}
	switch {
	case prev == nil:
		l.Why = "new"
	case unchanged(n, prev):
		l.Why = "unchanged"
	}
	r.o.List(l)
	if n.Excluded.Inside {
		r.o.List(ListedPath{Path: snapshot.Join(l.Path, "*"), Out: true, Why: n.Excluded.Why})
	}
}

// listOut tells of a path that is left out.
func (r *run) listOut(t *treeState, n *snapshot.Node) {
	if r.o.List != nil {
		r.o.List(ListedPath{Path: r.name(t, n.Entry.Path), Dir: n.Entry.Kind == disk.KindDir, Out: true, Why: n.Excluded.Why})
	}
}
