package home

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/internal/exit"
	"waterlock/snapshot"
)

// Rehashing reads files whose size, times and inode say that they did not change, and compares them with what the last
// snapshot has of them. Nothing that is read for that goes down the pipeline. What differs is perhaps rot: the snapshot
// keeps the good version, as an entry that could not be read, until a person accepts the change. A file of which the
// metadata says more (its ctime changed, it moved) is read and carried like any other.

// maxVerified bounds how many inodes with several links are remembered as read: beyond, each link is read.
const maxVerified = 1 << 18

// changedError says where a file differs from the last snapshot although its metadata does not.
type changedError struct {
	off        int64
	want, read string
}

func (e *changedError) Error() string {
	return fmt.Sprintf("at offset %d it holds %s where there was %s, but its size, times and inode are as they were: perhaps it has rotted. "+
		"The snapshot keeps what there was; if the change is right: --accept-changed", e.off, e.read, e.want)
}

// accepts tells whether a person has accepted that a path, or a directory that it lies in, changed in this way.
func (r *run) accepts(t *treeState, path string) bool {
	name := r.name(t, path)
	return slices.ContainsFunc(r.o.AcceptChanged, func(a string) bool { return snapshot.Under(name, a) })
}

// checkAccepted refuses names that are no paths of a tree.
func (r *run) checkAccepted() error {
	for _, a := range r.o.AcceptChanged {
		if err := snapshot.ValidPath(a); err != nil {
			return exit.Errorf(exit.Usage, "--accept-changed %q: %w", a, err)
		}
		if !slices.ContainsFunc(r.trees, func(t *treeState) bool { return snapshot.Under(a, t.Name) }) {
			return exit.Errorf(exit.Usage, "--accept-changed %q: it begins with no tree of route %s", a, r.site.cfg.Name)
		}
	}
	return nil
}

// rehashes tells whether an unchanged file is read all the same.
func (r *run) rehashes(t *treeState, path string) bool {
	return r.o.Rehash || len(r.o.AcceptChanged) > 0 && r.accepts(t, path)
}

// rehash decides about a file that is as it was by its metadata: whether its content is, too. done: it has been dealt
// with; else as says what it is, and where that is nil it is to be read like any other.
func (p *pass) rehash(n *snapshot.Node, prev *snapshot.ScanEntry) (done bool, as *snapshot.ScanEntry, err error) {
	path := n.Entry.Path
	if p.t.rehashed && len(p.hints) > 0 { // by an earlier pass of this run, whose spool says what came of it
		hint, _ := p.hints[0].seek(path, nil)
		switch {
		case hint == nil || !unchanged(n, hint):
		case hint.Entry.Unseen:
			return true, nil, p.repeat(prev)
		case reusable(n, hint):
			return false, hint, nil
		default: // accepted, and without room
			return false, nil, nil
		}
	}
	if p.verified[inodeOf(n.Local)] {
		return false, prev, nil
	}
	err = p.compare(n, prev)
	var changed *changedError
	var bad *readError
	switch {
	case err == nil:
		p.r.res.FilesRead++
		p.r.rep.Add(0, 1)
		if n.Local.Nlink > 1 && len(p.verified) < maxVerified {
			p.verified[inodeOf(n.Local)] = true
		}
		return false, prev, nil
	case errors.Is(err, errCut): // Ctrl-C, or the time is up: it stays unread
		return false, prev, nil
	case errors.Is(err, errBusy):
		return false, nil, nil
	case errors.As(err, &changed):
		if p.r.accepts(p.t, path) {
			p.r.rep.Info("%s changed without its metadata saying so: accepted.", p.r.name(p.t, path))
			return false, nil, nil
		}
		return true, nil, p.rotten(n, prev, changed)
	case errors.As(err, &bad):
		return true, nil, p.unseen(n, prev, bad.err)
	}
	return true, nil, err
}

// rotten names a file whose content changed and nothing else, and keeps the previous entry.
func (p *pass) rotten(n *snapshot.Node, prev *snapshot.ScanEntry, changed *changedError) error {
	p.r.res.Rotten++
	p.r.problem(p.t, n.Entry.Path, fmt.Errorf("%w %s", changed, p.r.name(p.t, n.Entry.Path)))
	return p.repeat(prev)
}

// errBusy: the file changed while it was compared, and its metadata says so.
var errBusy = errors.New("it changes while it is read")

// compare reads a whole file beside the content that it had.
func (p *pass) compare(n *snapshot.Node, prev *snapshot.ScanEntry) error {
	f, err := n.FS.Open(n.Name)
	if err != nil {
		return &readError{err}
	}
	defer f.Close() // was only read
	off := int64(0)
	for _, x := range prev.Entry.Content {
		if x.Hole {
			err = p.compareHole(f, off, off+x.Length)
		} else {
			err = p.compareChunk(f, off, x)
		}
		if err != nil {
			break
		}
		off += x.Length
	}
	st, statErr := f.Stat()
	if statErr != nil {
		return &readError{statErr}
	}
	if st.Size != n.Entry.Size || st.MTime != n.Entry.MTime || st.CTime != n.Local.CTime {
		return errBusy
	}
	return err
}

func (p *pass) compareChunk(f disk.File, off int64, x snapshot.Extent) error {
	buf, err := p.r.buffers.take(p.pipe.ctx, x.Length)
	if err != nil {
		return err
	}
	defer p.r.buffers.give(buf)
	if int64(cap(buf)) < x.Length { // cut by other parameters than the present ones
		buf = make([]byte, x.Length) // not the one that is given back
	}
	plain := buf[:x.Length]
	if err := p.readAt(f, plain, off); err != nil {
		return err
	}
	if id := chunk.Data.ID(plain); id != x.ID {
		return &changedError{off, "chunk " + x.ID.Short(), "chunk " + id.Short()}
	}
	return nil
}

// compareHole finds data in a hole that is not zero. Where the file still has the hole nothing is read.
func (p *pass) compareHole(f disk.File, off, end int64) error {
	for off < end {
		start, stop, err := f.Data(off)
		if errors.Is(err, io.EOF) || err == nil && start >= end {
			p.progress(end - off)
			return nil
		}
		if err != nil {
			return &readError{err}
		}
		p.progress(start - off)
		buf, err := p.r.buffers.take(p.pipe.ctx, smallSize)
		if err != nil {
			return err
		}
		for off = start; off < min(stop, end); {
			part := buf[:min(int64(cap(buf)), min(stop, end)-off)]
			if err = p.readAt(f, part, off); err != nil {
				break
			}
			if i := slices.IndexFunc(part, func(b byte) bool { return b != 0 }); i >= 0 {
				err = &changedError{off + int64(i), "a hole", "data"}
				break
			}
			off += int64(len(part))
		}
		p.r.buffers.give(buf)
		if err != nil {
			return err
		}
	}
	return nil
}

// readAt fills plain from a file. It ends with errCut where no more is to be read.
func (p *pass) readAt(f disk.File, plain []byte, off int64) error {
	if p.r.stopRequested() {
		return errCut
	}
	n, err := f.ReadAt(plain, off)
	p.r.res.BytesRead += int64(n)
	p.progress(int64(n))
	switch {
	case n == len(plain):
		return nil
	case err == nil || errors.Is(err, io.EOF):
		return &changedError{off + int64(n), "data", "the end"}
	}
	return &readError{fmt.Errorf("at offset %d: %w", off+int64(n), err)}
}
