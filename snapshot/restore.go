package snapshot

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"os"
	"strings"

	"waterlock/internal/disk"
	"waterlock/internal/report"
)

// RestoreOptions say what to restore and where to.
type RestoreOptions struct {
	Target     disk.FS // an existing directory that becomes the root of the tree
	Tree       TreeRecord
	Get        Getter
	Paths      []string // only what is under these; none: all of it
	Overwrite  bool     // replace what is there and differs
	DryRun     bool     // write nothing
	Privileged bool     // setuid and setgid bits, security.* and trusted.* attributes too
	Trips      Trips    // nil: all that can be had at all can be had now
	Report     report.Reporter
}

// RestoreResult counts what Restore did.
type RestoreResult struct {
	Files, Dirs, Others int64 // now there as in the snapshot, by kind
	Bytes               int64 // content of the files written
	AlreadyThere        int64 // files and others found equal and left as they are
	Failed              int64 // entries not restored; each is a problem or lies under one
	Gaps                int64 // stream chunks that could not be read: what they name is not restored
	NotFound            int64 // paths asked for that the snapshot does not have
	Pending             int64 // files restored in the last version carried
	Unseen              int64 // entries restored as they were at an earlier reading
	Kept                int64 // entries that were there, with equal content but other metadata, and kept that
	Dropped             int64 // entries without the bits or attributes that need Privileged, and devices not made
	Sockets             int64 // not made: who listens on them makes them
	Unset               []Unset

	// Of content that comes in several trips:
	Earlier                    int64 // files that an earlier trip brought back
	Changed                    int64 // of these, gone or of another size by now: left as they are
	Missing, MissingBytes      int64 // files that wait for a later trip, none of their content there
	Growing                    int64 // files of which some content is there, and grows
	GrowingBytes, GrowingTotal int64 // what is there of them, what they will have
}

// Complete tells whether everything asked for is there now.
func (r *RestoreResult) Complete() bool {
	return r.Failed+r.Gaps+r.NotFound+r.Missing+r.Growing == 0
}

var (
	errDiffers   = errors.New("is there already and differs; it is not overwritten")
	errDirInWay  = errors.New("a directory is in the way; it is not removed")
	errNoContent = errors.New("no content of it has been carried yet")
	errUnread    = errors.New("its content was never read")
	errSnapshot  = errors.New("the snapshot contradicts itself")
	errNotFound  = errors.New("is not in this snapshot")
)

// Restore writes the entries of a tree to a target directory and verifies what
// it wrote:
//
//  1. Directories are made (0700) and files written under temporary names in
//     their own directory; a batch of files is synced, read back from the
//     medium, compared with the hash of the whole content, and renamed.
//     Further links of a file are links.
//  2. Symlinks and pipes: no path leads through them any more.
//  3. Directories are given their metadata, those deepest first.
//  4. Directories are synced.
//
// What is there and equal is left alone. What is there and differs is a
// problem, unless Overwrite; a directory is never removed. Owners are set by
// number, where this user may. One entry that fails stops nothing: Restore
// itself fails only where ctx is cancelled. Progress counts into the phase that
// the caller began.
func Restore(ctx context.Context, o RestoreOptions) (RestoreResult, error) {
	if o.Report == nil {
		o.Report = report.Discard
	}
	paths, err := CleanPaths(o.Paths)
	if err != nil {
		return RestoreResult{}, err
	}
	r := &restorer{
		ctx: ctx, RestoreOptions: o, euid: os.Geteuid(),
		dirs: descent{root: o.Target},
		kept: map[uint64]struct{}{}, seed: maphash.MakeSeed(),
	}
	r.links.r = r
	r.landed.trips = o.Trips
	defer r.dirs.close()
	r.selected = newSelection(o.Tree, o.Get, paths, func(path string) {
		r.res.NotFound++
		o.Report.Problem(r.inTree(path), errNotFound)
	})
	err = r.run()
	r.abandon()
	r.links.remove()
	r.say()
	return r.res, err
}

type restorer struct {
	RestoreOptions
	ctx      context.Context
	euid     int
	selected *Selection
	res      RestoreResult

	dirs    descent // in the target
	batch   []restoring
	batched int64 // bytes in the batch
	links   links
	landed  landed
	buf     []byte              // of the chunk being fetched
	copyBuf []byte              // of the file being read back
	kept    map[uint64]struct{} // hashes of the paths of directories that keep their metadata
	seed    maphash.Seed

	blocked  string // a directory that could not be made
	block    bool   // blocked is set
	under    int64  // entries under it
	gapsSeen bool

	typed bool   // fs was asked for
	fs    string // type of the target's file system
}

func (r *restorer) run() error {
	if err := r.pass(r.first); err != nil {
		return err
	}
	r.unblock()
	if err := r.flush(); err != nil {
		return err
	}
	r.landed.tell()
	if err := r.pass(r.second); err != nil || r.DryRun {
		return err
	}
	r.links.remove()
	d := dirMetas{r: r}
	if err := r.pass(d.add); err != nil {
		return err
	}
	d.finish()
	return r.pass(r.syncDir)
}

// pass goes once through the selected entries. Gaps are named the first time.
// One that comes later is an error where trips were told what is there: it may
// not be durable.
func (r *restorer) pass(do func(*Entry) error) error {
	s := r.selected.Again()
	gaps := int64(0)
	for {
		if r.ctx.Err() != nil {
			return context.Cause(r.ctx)
		}
		e, err := s.Next()
		var gap *GapError
		if errors.As(err, &gap) {
			if gaps++; r.gapsSeen && r.Trips != nil && gaps > r.res.Gaps {
				return fmt.Errorf("%s: the list of files cannot be read any more: %w", r.name(gap.From), err)
			}
			if !r.gapsSeen {
				r.landed.lacks()
				r.res.Gaps++
				r.Report.Problem(r.inTree(gap.From), fmt.Errorf("what the snapshot names from here to %s is lost: %w", r.to(gap), err))
			}
			continue
		}
		if err == io.EOF {
			r.gapsSeen = true
			return nil
		}
		if err != nil {
			return err
		}
		if err := do(e); err != nil {
			return err
		}
	}
}

// first handles directories and files.
func (r *restorer) first(e *Entry) error {
	if r.block {
		if Under(e.Path, r.blocked) {
			r.under++
			if e.Kind == disk.KindFile {
				r.landed.lacks()
			}
			return nil
		}
		r.unblock()
	}
	switch e.Kind {
	case disk.KindDir:
		if err := r.dir(e); err != nil {
			r.fail(e.Path, err)
			r.blocked, r.block, r.under = e.Path, true, 0
			return nil
		}
		r.res.Dirs++
		r.count(e)
	case disk.KindFile:
		r.landed.begin(e.Path)
		err := r.file(e)
		r.landed.end()
		return err
	}
	return nil
}

func (r *restorer) unblock() {
	if r.block && r.under > 0 {
		r.res.Failed += r.under
		r.Report.Warn("%s: %s under it not restored", r.name(r.blocked), report.Count(r.under, "entry"))
	}
	r.block = false
}

// inTree is a path as it is told to people: with its tree.
func (r *restorer) inTree(path string) string {
	if path == "" {
		return r.Tree.Name
	}
	return Join(r.Tree.Name, strings.TrimSuffix(path, "/"))
}

func (r *restorer) name(path string) string { return report.Name(r.inTree(path)) }

// to tells where a gap ends.
func (r *restorer) to(gap *GapError) string {
	if gap.To == "" {
		return "the end of the tree"
	}
	return r.name(gap.To)
}

func (r *restorer) fail(path string, err error) {
	r.res.Failed++
	r.Report.Problem(r.inTree(path), err)
}

// count counts what is special about an entry that was restored.
func (r *restorer) count(e *Entry) {
	if e.Pending {
		r.res.Pending++
		r.Report.Verbose("%s: restored in the last version carried; the newer one has not been carried in full", r.name(e.Path))
	}
	if e.Unseen {
		r.res.Unseen++
		r.Report.Verbose("%s: restored as it was at an earlier reading", r.name(e.Path))
	}
	if !r.Privileged && e.needsPrivilege() {
		r.res.Dropped++
		r.Report.Verbose("%s: restored without privileged bits and attributes", r.name(e.Path))
	}
}

// parent opens the directory of an entry. In a dry run it may not be there:
// then fs is nil.
func (r *restorer) parent(path string) (dir disk.FS, name string, err error) {
	up, name := Split(path)
	if err := NameHere(name); err != nil {
		return nil, name, err
	}
	dir, err = r.dirs.at(up)
	if errors.Is(err, fs.ErrNotExist) {
		if r.DryRun {
			return nil, name, nil
		}
		if r.res.Gaps > 0 { // the entry of its directory is lost
			dir, err = r.makeParents(up)
		}
	}
	return dir, name, err
}

// makeParents makes a directory of which nothing is known but the path, and
// those above it.
func (r *restorer) makeParents(path string) (disk.FS, error) {
	for end := 0; end <= len(path); end++ {
		if end < len(path) && path[end] != '/' {
			continue
		}
		up, name := Split(path[:end])
		dir, err := r.dirs.at(up)
		if err != nil {
			return nil, err
		}
		if err := NameHere(name); err != nil {
			return nil, err
		}
		if err := dir.Mkdir(name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
	}
	return r.dirs.at(path)
}

// look describes what is at name; there is false where nothing is.
func look(dir disk.FS, name string) (st disk.Stat, there bool, err error) {
	if dir == nil {
		return st, false, nil
	}
	st, err = dir.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return st, false, nil
	}
	return st, err == nil, err
}

// say sums up what is worth knowing.
func (r *restorer) say() {
	for _, s := range []struct {
		n    int64
		text string
	}{
		{r.res.Pending, "restored in the last version carried, because the newer one has not been carried in full"},
		{r.res.Unseen, "restored as at an earlier reading, because they could not be read for this snapshot"},
		{r.res.Kept, "there already with equal content but other metadata, which they keep unless overwriting is allowed"},
		{r.res.Dropped, "restored without setuid bits, devices, security.* or trusted.* attributes: --privileged brings them back"},
		{r.res.Sockets, "not made: a socket is made by the program that listens on it"},
	} {
		if s.n > 0 {
			r.Report.Warn("%s %s", report.Count(s.n, "entry"), s.text)
		}
	}
}
