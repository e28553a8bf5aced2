package home

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/internal/report"
	"waterlock/snapshot"
)

// freshChange is how far apart two changes must be for the coarsest clock of a file system to tell them apart. A file
// that changed so shortly before it was read is read again next time.
const freshChange = 10 * time.Millisecond

// errCut ends the reading of a file that is not going to be carried in full.
var errCut = errors.New("no more of this file is carried")

// read reads a file from its beginning to its end and sends it down the pipeline. A file that changes meanwhile is
// read once more, and then taken as it is.
func (p *pass) read(n *snapshot.Node, prev *snapshot.ScanEntry) error {
	f, err := n.FS.Open(n.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return p.vanished(prev) // since it was listed
	}
	if err != nil {
		return p.unseen(n, prev, err)
	}
	defer f.Close() // was only read
	w := &fileWork{size: n.Entry.Size, mtime: n.Entry.MTime, ctime: n.Local.CTime}
	for try := 1; ; try++ {
		start := p.r.site.now()
		before, err := f.Stat()
		if err != nil {
			return p.unseen(n, prev, err)
		}
		if try == 1 && before.Size > min(int64(p.r.params.Min), snapshot.MinHole) { // as it is now, not as it was listed
			w.hasher = chunk.NewContentHasher()
		}
		size, err := p.content(f, before.Size, w)
		if errors.Is(err, errCut) {
			return p.finish(n, prev, w, false)
		}
		var bad *readError
		if errors.As(err, &bad) {
			return p.unseen(n, prev, bad.err)
		}
		if err != nil {
			return err
		}
		after, err := f.Stat()
		if err != nil {
			return p.unseen(n, prev, err)
		}
		steady := size == after.Size && before.MTime == after.MTime && before.CTime == after.CTime
		if !steady && try == 1 {
			if err := p.pipe.send(&job{kind: jobRestart, file: w}); err != nil {
				return err
			}
			continue
		}
		take(n, after, size)
		if !steady {
			p.r.rep.Warn("%s changes while it is read: packed as it was read", report.Name(p.r.name(p.t, n.Entry.Path)))
		}
		// A ctime ahead of the clock is no fresh change: the clock was put right since.
		ctime := after.CTime.Time()
		fresh := start.Sub(ctime) < freshChange && ctime.Sub(p.r.site.now()) < freshChange
		if w.fresh = fresh; !steady || fresh {
			n.Local.CTime = disk.Time{} // read it again next time
		}
		p.r.res.FilesRead++
		p.r.rep.Add(0, 1)
		if n.Local.Nlink > 1 && steady {
			p.links.put(n, w)
		}
		return p.finish(n, prev, w, true)
	}
}

// take gives the node the metadata that goes with the content as it was read.
func take(n *snapshot.Node, st disk.Stat, size int64) {
	if n.Entry.UID != st.UID || n.Entry.GID != st.GID {
		n.Entry.User, n.Entry.Group = "", ""
	}
	n.Entry.Size, n.Entry.MTime, n.Entry.Mode, n.Entry.UID, n.Entry.GID = size, st.MTime, st.Mode, st.UID, st.GID
	n.Local.CTime = st.CTime
}

func (p *pass) finish(n *snapshot.Node, prev *snapshot.ScanEntry, w *fileWork, whole bool) error {
	p.fill(n, prev)
	return p.pipe.send(&job{kind: jobFinish, file: w, whole: whole, entry: p.entry(n)})
}

// readError is an error of the file and not of the pipeline.
type readError struct{ err error }

func (e *readError) Error() string { return e.err.Error() }
func (e *readError) Unwrap() error { return e.err }

// content sends the first size bytes of a file: each range of data is split on its own, holes go by their length. It
// returns how many bytes there were.
func (p *pass) content(f disk.File, size int64, w *fileWork) (int64, error) {
	at, holes := int64(0), int64(0)
	for at < size {
		start, end := at, size
		if size > snapshot.MinHole {
			var err error
			if start, end, err = snapshot.DataFrom(f, at, size); err != nil {
				return 0, &readError{err}
			}
		}
		if start > at {
			if holes += start - at; holes > snapshot.MaxHoles {
				return 0, &readError{fmt.Errorf("its holes add up to %s or more, at most %s can be hashed; leave the file out or make it smaller",
					report.Size(holes), report.Size(snapshot.MaxHoles))}
			}
			if err := p.pipe.send(&job{kind: jobHole, file: w, length: start - at}); err != nil {
				return 0, err
			}
		}
		if start >= size {
			return size, nil
		}
		n, err := p.data(f, start, end, w)
		if err != nil {
			return 0, err
		}
		at = start + n
		if at < end {
			return at, nil // it became shorter
		}
	}
	return at, nil
}

// data sends one range of data in chunks.
func (p *pass) data(f disk.File, start, end int64, w *fileWork) (int64, error) {
	p.splitter.Reset(io.NewSectionReader(f, start, end-start))
	total := int64(0)
	for {
		if w.cut.Load() || p.r.stopRequested() {
			return 0, errCut
		}
		buf, err := p.r.buffers.take(p.pipe.ctx, end-start)
		if err != nil {
			return 0, err
		}
		plain, err := p.splitter.Next(buf)
		if err != nil {
			p.r.buffers.give(buf)
			if errors.Is(err, io.EOF) {
				return total, nil
			}
			return 0, &readError{err}
		}
		total += int64(len(plain))
		p.progress(int64(len(plain)))
		p.r.res.BytesRead += int64(len(plain))
		if err := p.pipe.send(&job{kind: jobChunk, file: w, buf: buf, plain: plain}); err != nil {
			return 0, err
		}
	}
}

func (p *pass) progress(n int64) { p.r.rep.Add(n, 0) }

// reuse takes the content of a file from what was known of it. Chunks of it that are neither held nor aboard any
// longer, or not yet, are read at their places and carried, and nothing else of the file is read.
func (p *pass) reuse(n *snapshot.Node, prev, from *snapshot.ScanEntry) error {
	lacking, err := p.lacking(from)
	if err != nil {
		return err
	}
	if len(lacking) == 0 {
		return p.same(n, from)
	}
	if ok, err := p.admitsRanges(lacking); err != nil || !ok {
		return errors.Join(err, p.postpone(n, from))
	}
	w := &fileWork{}
	good, err := p.readRanges(n, lacking, w)
	var bad *readError
	var changed *changedError
	switch {
	case errors.As(err, &changed) && from == prev && !p.r.accepts(p.t, n.Entry.Path):
		return p.rotten(n, prev, changed)
	case errors.As(err, &changed):
		good, err = false, nil
	}
	switch {
	case errors.As(err, &bad):
		return p.unseen(n, prev, bad.err)
	case errors.Is(err, errCut):
		return p.postpone(n, from)
	case err != nil:
		return err
	case !good: // same size, times and inode, but other content
		p.r.rep.Warn("%s changed without its times saying so: read anew", report.Name(p.r.name(p.t, n.Entry.Path)))
		return p.read(n, prev)
	}
	p.r.res.FilesRead++
	return p.same(n, from)
}

// postpone keeps the content list of a file although some chunks of it have no room now: closing finds them unknown
// and makes the entry pending. What is aboard another drive is not unknown.
func (p *pass) postpone(n *snapshot.Node, from *snapshot.ScanEntry) error { return p.same(n, from) }

// fileRange is a chunk at its place in a file.
type fileRange struct {
	off int64
	snapshot.Extent
}

func (p *pass) lacking(from *snapshot.ScanEntry) ([]fileRange, error) {
	var out []fileRange
	off := int64(0)
	for _, x := range from.Entry.Content {
		if !x.Hole {
			known, err := p.r.carriedHere(x.ID)
			if err != nil {
				return nil, err
			}
			if !known {
				out = append(out, fileRange{off, x})
			}
		}
		off += x.Length
	}
	return out, nil
}

func (p *pass) admitsRanges(ranges []fileRange) (bool, error) {
	if p.r.stopRequested() {
		return false, nil
	}
	smallest := ranges[0].Length
	for _, x := range ranges {
		smallest = min(smallest, x.Length)
	}
	if smallest <= p.pipe.left() {
		return true, nil
	}
	if err := p.pipe.drain(); err != nil {
		return false, err
	}
	if smallest <= p.pipe.left() {
		return true, nil
	}
	p.r.outOfRoom()
	return false, nil
}

// readRanges reads chunks at their places. Where the content is not what the IDs say it returns a changedError; false
// where a chunk is larger than any of this route can be.
func (p *pass) readRanges(n *snapshot.Node, ranges []fileRange, w *fileWork) (good bool, err error) {
	f, err := n.FS.Open(n.Name)
	if err != nil {
		return false, &readError{err}
	}
	defer f.Close() // was only read
	for _, x := range ranges {
		if w.cut.Load() || p.r.stopRequested() {
			return false, errCut
		}
		buf, err := p.r.buffers.take(p.pipe.ctx, x.Length)
		if err != nil {
			return false, err
		}
		if int64(cap(buf)) < x.Length { // cut by other parameters than the present ones
			p.r.buffers.give(buf)
			return false, nil
		}
		plain := buf[:x.Length]
		k, err := f.ReadAt(plain, x.off)
		p.r.res.BytesRead += int64(k)
		if err != nil && !errors.Is(err, io.EOF) {
			p.r.buffers.give(buf)
			return false, &readError{fmt.Errorf("at offset %d: %w", x.off, err)}
		}
		if id := chunk.Data.ID(plain[:k]); id != x.ID {
			p.r.buffers.give(buf)
			return false, &changedError{x.off, "chunk " + x.ID.Short(), "chunk " + id.Short()}
		}
		p.progress(x.Length)
		if err := p.pipe.send(&job{kind: jobChunk, file: w, buf: buf, plain: plain}); err != nil {
			return false, err
		}
	}
	return true, nil
}
