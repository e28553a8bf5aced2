package home

import (
	"context"
	"errors"
	"fmt"

	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/snapshot"
)

// treeState is one tree in this run: what was known of it, and what the survey found.
type treeState struct {
	Tree
	lastScan   string               // file of the last scan; "" = none
	lastRecord *snapshot.TreeRecord // of the newest snapshot; nil = none
	cleared    uint64               // what was undecided in the snapshot of this number, or earlier, the vault has taken out of its mirror
	unsure     bool                 // the last scan may be of a snapshot that was not committed
	excluder   *excluder
	decider    *decider
	ranker     *ranker
	stopped    *StoppedTree
	rehashed   bool    // a pass of this run has been through
	root       disk.FS // nil: missing (and allowed to be), or stopped

	survey survey
}

// survey is what a walk without reading content found.
type survey struct {
	census
	files, bytes        int64
	toReadFiles, toRead int64
	demand              map[rank]int64 // bytes to be carried, by rank; holes and what was carried of a file do not count
	metaBytes           int64          // upper bound of the stream's plain bytes
	lastFiles           int64          // files of the last scan
	lastEntries         int64          // its entries beneath the root
	found               int64          // files of the last scan that are gone and were found again under another name
	lastDev             uint64         // that the root lay on
	scanTorn            bool           // the last scan is damaged: what was behind that place is not known
	newKeys             []inodeKey     // of new files and directories, which may be moved ones
	goneFiles           []inodeKey     // that may have been moved
	averageChunk        int64
}

// census is what the guards want to know of a walk, be it the survey's or a pass's.
type census struct {
	entries int64  // met, the root included
	gone    int64  // files of the last scan that are not there
	rootDev uint64 // that the root lies on
}

// meet counts a path of the walk.
func (c *census) meet(n *snapshot.Node) {
	c.entries++
	if n.Entry.Path == "" {
		c.rootDev = n.Local.Dev
	}
}

// miss counts an entry of the last scan that the walk did not meet.
func (c *census) miss(e *snapshot.ScanEntry) {
	if e.Entry.Kind == disk.KindFile && e.Entry.Gone == snapshot.Here {
		c.gone++
	}
}

// surveyTree walks a tree beside its last scan and reads metadata only: how much there is to do, how much room the
// stream will need, and what the guards want to know. It is done before anything of the tree is written.
func (r *run) surveyTree(ctx context.Context, t *treeState) error {
	root, err := r.site.openTree(t.Tree)
	if err != nil {
		r.guardRoot(t, err)
		return nil
	}
	t.root = root
	last, err := openScan(r.site.state, t.lastScan)
	if err != nil {
		r.rep.Warn("the last scan of tree %s: %v", t.Name, err)
	}
	if last == nil {
		t.lastScan = "" // not even its head is good
	}
	defer last.close()
	hints, err := r.openHints(t)
	if err != nil {
		return err
	}
	defer closeHints(hints)

	s := &t.survey
	s.averageChunk, s.demand = averageChunk(r.params), map[rank]int64{}
	gone, err := r.newGoneList(t)
	if err != nil {
		return err
	}
	var around surroundings
	passed := func(e *snapshot.ScanEntry) error {
		s.countLast(e)
		if around.blind.covers(e.Entry.Path) {
			s.metaBytes += itemBytes(&e.Entry)
			return nil
		}
		excluded := around.out.covers(e.Entry.Path)
		if !excluded {
			s.miss(e)
			s.mayHaveMoved(e)
		}
		if around.replaced(e.Entry.Path) {
			return nil
		}
		s.metaBytes += tombstoneBytes(&e.Entry)
		return gone.add(e, excluded)
	}
	begun := false
	var unreadable error // the root
	err = snapshot.Walk(ctx, root, r.walkOptions(t), func(n *snapshot.Node) error {
		begun = true
		if r.interrupted() {
			return errStopped
		}
		if n.Entry.Path == "" && n.Err != nil {
			unreadable = n.Err
		}
		was, err := last.seek(n.Entry.Path, passed)
		if err != nil {
			return err
		}
		defer last.took(was)
		s.meet(n)
		if around.out.meets(n) {
			r.listOut(t, n)
			if was != nil {
				return passed(was)
			}
			return nil
		}
		prev := present(was)
		if prev != nil {
			s.countLast(prev)
		}
		if r.unmounted(t, &around.mounts, n, prev) {
			s.metaBytes += itemBytes(&prev.Entry) + itemSlack
			around.blind = blindSpot{n.Entry.Path, true}
			return snapshot.SkipDir
		}
		if around.blind.meets(n) {
			return nil
		}
		around.meets(n)
		r.list(t, n, prev)
		if s.count(n, prev, r.hinted(hints, n), r.rehashes(t, n.Entry.Path)) {
			s.demand[t.ranker.rank(n)] += toCarry(n, prev)
		}
		return nil
	})
	if err != nil && !begun && ctx.Err() == nil {
		unreadable, err = err, nil
	}
	if unreadable != nil {
		t.stop(rootUnreadable(unreadable), "")
	}
	if err != nil {
		return errors.Join(fmt.Errorf("tree %s: %w", t.Name, err), gone.sp.close())
	}
	if err := errors.Join(last.rest(passed), gone.sp.close()); err != nil {
		return err
	}
	s.scanTorn = last != nil && last.torn != nil
	r.rep.Add(0, s.files)
	return nil
}

// surroundings are what a walk knows of the places around the current path: what cannot be read, what is left out, and
// where something lies that is no directory.
type surroundings struct {
	blind  blindSpot
	mounts mounts
	out    leftOut
	solid  string // the last path met that is no directory; "": none yet
}

func (s *surroundings) meets(n *snapshot.Node) {
	if n.Entry.Kind != disk.KindDir {
		s.solid = n.Entry.Path
	}
}

// replaced tells whether a path lay in a directory in whose place there is now something else: so it is gone, and
// nothing can be said of it.
func (s *surroundings) replaced(path string) bool {
	return s.solid != "" && snapshot.Under(path, s.solid)
}

// present is an entry of the last scan, nil where that is a tombstone.
func present(e *snapshot.ScanEntry) *snapshot.ScanEntry {
	if e == nil || e.Entry.Gone != snapshot.Here {
		return nil
	}
	return e
}

// blindSpot is the place in a walk that could not be read: what the last scan knows beneath it is repeated as unseen.
type blindSpot struct {
	path string
	on   bool
}

// meets takes a node that could not be read for a blind spot. Only directories and what could not even be named by
// its kind have anything beneath them.
func (b *blindSpot) meets(n *snapshot.Node) bool {
	if n.Err == nil {
		return false
	}
	if n.Entry.Kind == 0 || n.Entry.Kind == disk.KindDir {
		b.path, b.on = n.Entry.Path, true
	}
	return true
}

func (b *blindSpot) covers(path string) bool { return b.on && snapshot.Under(path, b.path) }

func (s *survey) countLast(e *snapshot.ScanEntry) {
	if e.Entry.Gone != snapshot.Here {
		return
	}
	if e.Entry.Path == "" {
		s.lastDev = e.Local.Dev
		return
	}
	s.lastEntries++
	if e.Entry.Kind == disk.KindFile {
		s.lastFiles++
	}
}

// count counts a path; carry: its content is new, changed, or was not carried yet.
func (s *survey) count(n *snapshot.Node, prev *snapshot.ScanEntry, hinted, rehash bool) (carry bool) {
	if n.Entry.Kind == disk.KindFile {
		s.files++
		s.bytes += n.Entry.Size
	}
	if prev == nil && n.Entry.Kind == disk.KindDir {
		s.isNew(n)
	}
	if n.Entry.Kind != disk.KindFile || reusable(n, prev) {
		e := &n.Entry
		if prev != nil {
			e = &prev.Entry
		}
		s.metaBytes += itemBytes(e) + itemSlack
		if rehash && n.Entry.Kind == disk.KindFile {
			s.toReadFiles++
			s.toRead += n.Entry.Size
		} else if n.Entry.Kind == disk.KindFile && prev.Entry.Pending && !hinted { // what it lacks is read at its places
			s.toReadFiles++
			s.toRead += toCarry(n, prev)
			return true
		}
		return false
	}
	s.metaBytes += itemBytes(&n.Entry) + itemSlack + extentBytes*(n.DataSize()/s.averageChunk+2)
	if prev != nil {
		s.metaBytes += itemBytes(&prev.Entry) // it may end as pending and keep the previous content
	}
	if !sameInode(n, prev) { // new, or renamed over what was there
		s.isNew(n)
	}
	if hinted {
		return false
	}
	s.toReadFiles++
	s.toRead += n.Entry.Size
	return true
}

// toCarry is an upper bound of what is to be carried of a file: its bytes without holes and without what was carried of it.
func toCarry(n *snapshot.Node, prev *snapshot.ScanEntry) int64 {
	need := n.DataSize()
	if prev != nil && prev.Entry.Pending && unchanged(n, prev) {
		need -= length(prev.Entry.Carried)
	}
	return max(0, need)
}

func (s *survey) mayHaveMoved(e *snapshot.ScanEntry) {
	if e.Entry.Kind == disk.KindFile && e.Entry.Gone == snapshot.Here && len(s.goneFiles) < maxMoveKeys {
		s.goneFiles = append(s.goneFiles, keyOf(e.Local, &e.Entry))
	}
}

// isNew notes what may be something that moved.
func (s *survey) isNew(n *snapshot.Node) {
	if len(s.newKeys) < maxMoveKeys {
		s.newKeys = append(s.newKeys, keyOf(n.Local, &n.Entry))
	}
}

// What an entry takes in a stream, at most.
const (
	itemSlack   = 160 // fields of fixed size, owners' names, a few small attributes
	extentBytes = 37
)

// averageChunk is what chunks have on average, a third taken off to be on the safe side.
func averageChunk(p chunk.Params) int64 { return (int64(p.Min) + 1<<p.AverageBits) * 2 / 3 }

// tombstoneBytes is what a tombstone takes in a stream, at most, with the directories that it needs above it.
func tombstoneBytes(e *snapshot.Entry) int64 {
	return int64(len(e.Path)) + 8*int64(snapshot.Depth(e.Path)+1)
}

func itemBytes(e *snapshot.Entry) int64 {
	_, name := snapshot.Split(e.Path)
	n := int64(len(name)) + int64(len(e.Target)) + extentBytes*int64(len(e.Content)+len(e.Carried))
	for i := range e.Xattrs {
		n += int64(len(e.Xattrs[i].Name) + len(e.Xattrs[i].Value) + 4)
	}
	return n
}

// reusable tells whether a file is as it was when prev was written: same size, mtime, ctime and inode, and its whole
// content is known.
func reusable(n *snapshot.Node, prev *snapshot.ScanEntry) bool {
	return prev != nil && unchanged(n, prev) && knowsContent(prev)
}

// sameInode tells whether a path shows the inode that it showed when prev was written.
func sameInode(n *snapshot.Node, prev *snapshot.ScanEntry) bool {
	return prev != nil && n.Local.Dev == prev.Local.Dev && n.Local.Ino == prev.Local.Ino
}

func unchanged(n *snapshot.Node, prev *snapshot.ScanEntry) bool {
	a, b := &n.Entry, &prev.Entry
	return b.Gone == snapshot.Here && a.Kind == b.Kind && a.Size == b.Size && a.MTime == b.MTime && n.Local.CTime == prev.Local.CTime && n.Local.Ino == prev.Local.Ino
}

// hasContent tells whether an entry is whole: the content that it lists is its own, and known to be carried.
func hasContent(e *snapshot.ScanEntry) bool { return !e.Entry.Pending && knowsContent(e) }

// knowsContent tells whether the content that an entry lists is its own: that of a pending one is that of an earlier version,
// unless it was read.
func knowsContent(e *snapshot.ScanEntry) bool {
	return e.Entry.Kind == disk.KindFile && e.Flags&snapshot.NotRead == 0 && !e.Entry.Hash.IsZero() &&
		(len(e.Entry.Content) == 0 || e.Entry.Hash != emptyHash)
}
