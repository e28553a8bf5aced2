package home

import (
	"context"
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
	unsure     bool                 // the last scan may be of a snapshot that was not committed
	stopped    *StoppedTree
	root       disk.FS // nil: missing (and allowed to be), or stopped

	survey survey
}

// survey is what a walk without reading content found.
type survey struct {
	census
	files, bytes        int64
	toReadFiles, toRead int64
	metaBytes           int64      // upper bound of the stream's plain bytes
	lastFiles           int64      // files of the last scan
	lastEntries         int64      // its entries beneath the root
	found               int64      // files of the last scan that are gone and were found again under another name
	lastDev             uint64     // that the root lay on
	scanTorn            bool       // the last scan is damaged: what was behind that place is not known
	newFiles            []inodeKey // that may be moved ones
	goneFiles           []inodeKey // that may have been moved
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
	if e.Entry.Kind == disk.KindFile {
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
	s.averageChunk = averageChunk(r.params)
	blind, mounted := blindSpot{}, mounts{}
	passed := func(e *snapshot.ScanEntry) error {
		s.countLast(e)
		if blind.covers(e.Entry.Path) {
			s.metaBytes += itemBytes(&e.Entry)
			return nil
		}
		s.miss(e)
		if e.Entry.Kind == disk.KindFile && len(s.goneFiles) < maxMoveKeys {
			s.goneFiles = append(s.goneFiles, keyOf(e.Local, &e.Entry))
		}
		return nil
	}
	begun := false
	var unreadable error // the root
	err = snapshot.Walk(ctx, root, r.walkOptions(), func(n *snapshot.Node) error {
		begun = true
		if r.interrupted() {
			return errStopped
		}
		if n.Entry.Path == "" && n.Err != nil {
			unreadable = n.Err
		}
		prev, err := last.seek(n.Entry.Path, passed)
		if err != nil {
			return err
		}
		if prev != nil {
			s.countLast(prev)
			defer last.took(prev)
		}
		s.meet(n)
		if r.unmounted(t, &mounted, n, prev) {
			s.metaBytes += itemBytes(&prev.Entry) + itemSlack
			blind = blindSpot{n.Entry.Path, true}
			return snapshot.SkipDir
		}
		if blind.meets(n) {
			return nil
		}
		s.count(n, prev, r.hinted(hints, n))
		if r.site.skips(n) {
			return snapshot.SkipDir
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
		return fmt.Errorf("tree %s: %w", t.Name, err)
	}
	if err := last.rest(passed); err != nil {
		return err
	}
	s.scanTorn = last != nil && last.torn != nil
	r.rep.Add(0, s.files)
	return nil
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
	if e.Entry.Path == "" {
		s.lastDev = e.Local.Dev
		return
	}
	s.lastEntries++
	if e.Entry.Kind == disk.KindFile {
		s.lastFiles++
	}
}

func (s *survey) count(n *snapshot.Node, prev *snapshot.ScanEntry, hinted bool) {
	if n.Entry.Kind == disk.KindFile {
		s.files++
		s.bytes += n.Entry.Size
	}
	if n.Entry.Kind != disk.KindFile || reusable(n, prev) {
		e := &n.Entry
		if prev != nil {
			e = &prev.Entry
		}
		s.metaBytes += itemBytes(e) + itemSlack
		return
	}
	s.metaBytes += itemBytes(&n.Entry) + itemSlack + extentBytes*(n.DataSize()/s.averageChunk+2)
	if prev != nil {
		s.metaBytes += itemBytes(&prev.Entry) // it may end as pending and keep the previous content
	}
	if !sameInode(n, prev) && len(s.newFiles) < maxMoveKeys { // new, or renamed over what was there
		s.newFiles = append(s.newFiles, keyOf(n.Local, &n.Entry))
	}
	if hinted {
		return
	}
	s.toReadFiles++
	s.toRead += n.Entry.Size
}

// What an entry takes in a stream, at most.
const (
	itemSlack   = 160 // fields of fixed size, owners' names, a few small attributes
	extentBytes = 37
)

// averageChunk is what chunks have on average, a third taken off to be on the safe side.
func averageChunk(p chunk.Params) int64 { return (int64(p.Min) + 1<<p.AverageBits) * 2 / 3 }

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
	return prev != nil && unchanged(n, prev) && hasContent(prev)
}

// sameInode tells whether a path shows the inode that it showed when prev was written.
func sameInode(n *snapshot.Node, prev *snapshot.ScanEntry) bool {
	return prev != nil && n.Local.Dev == prev.Local.Dev && n.Local.Ino == prev.Local.Ino
}

func unchanged(n *snapshot.Node, prev *snapshot.ScanEntry) bool {
	a, b := &n.Entry, &prev.Entry
	return a.Kind == b.Kind && a.Size == b.Size && a.MTime == b.MTime && n.Local.CTime == prev.Local.CTime && n.Local.Ino == prev.Local.Ino
}

func hasContent(e *snapshot.ScanEntry) bool {
	return e.Entry.Kind == disk.KindFile && !e.Entry.Pending && e.Flags&snapshot.NotRead == 0 && !e.Entry.Hash.IsZero() &&
		(len(e.Entry.Content) == 0 || e.Entry.Hash != emptyHash)
}

func (r *run) walkOptions() snapshot.WalkOptions {
	return snapshot.WalkOptions{FollowDevices: !r.site.cfg.Pack.OneFileSystem}
}
