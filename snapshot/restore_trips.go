package snapshot

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"waterlock/internal/chunk"
	"waterlock/internal/disk"
)

// Trips is what Restore asks where the content of files comes in several parts,
// one a trip, and where it tells what is there afterwards. What is told comes in
// tree order, and is durable once Restore has returned without an error.
//
// A file of which all chunks are at hand is restored like any other. One of
// which some are at hand grows under its temporary name, each chunk at its
// offset with holes between, and is put into place when the last has come. What
// stands in a growing file is believed by its bytes alone: each chunk of it is
// read and compared with its ID.
type Trips interface {
	// Came tells whether an earlier trip brought a file back, or which pieces
	// of it are in the file that grows for it.
	Came(path string) (whole bool, pieces []Range)
	// Has tells whether Get may have a chunk now.
	Has(id chunk.ID) bool
	// Grows tells whether a file of which some chunks are at hand shall grow,
	// rather than wait for a trip that brings it.
	Grows(path string) bool

	// Whole: every file from one path to another is there.
	Whole(from, to string)
	// Pieces: some of a file is there.
	Pieces(path string, pieces []Range)
	// Lacks: behind what was told before lies something that is not there.
	Lacks()
}

// Range is a piece of a file.
type Range struct{ Offset, Length int64 }

// End is the offset behind it.
func (r Range) End() int64 { return r.Offset + r.Length }

// AddRange adds a piece that begins behind the beginning of the last one.
func AddRange(list []Range, r Range) []Range {
	if n := len(list); n > 0 && list[n-1].End() >= r.Offset {
		list[n-1].Length = max(list[n-1].End(), r.End()) - list[n-1].Offset
		return list
	}
	return append(list, r)
}

// hand is how much of a file's content can be had now.
type hand uint8

const (
	none hand = iota
	some
	all
)

func (r *restorer) atHand(e *Entry) hand {
	if r.Trips == nil {
		return all
	}
	has, lacks := false, false
	for i := range e.Content {
		switch x := &e.Content[i]; {
		case x.Hole:
		case r.Trips.Has(x.ID):
			has = true
		default:
			lacks = true
		}
		if has && lacks {
			return some
		}
	}
	if lacks {
		return none
	}
	return all
}

// begun tells whether an earlier trip left pieces of a file.
func (r *restorer) begun(e *Entry) bool {
	if r.Trips == nil {
		return false
	}
	_, pieces := r.Trips.Came(e.Path)
	return len(pieces) > 0
}

// came tells whether an earlier trip brought a file back. What people have done
// to it since is their affair.
func (r *restorer) came(e *Entry) bool {
	if r.Trips == nil {
		return false
	}
	if whole, _ := r.Trips.Came(e.Path); !whole {
		return false
	}
	r.res.Earlier++
	r.landed.now.here()
	up, name, err := r.parent(e.Path)
	if err != nil || up == nil {
		r.changed(e, cmp.Or(err, error(fs.ErrNotExist)))
		return true
	}
	switch st, there, err := look(up, name); {
	case err != nil:
		r.changed(e, err)
	case !there:
		r.changed(e, fs.ErrNotExist)
	case st.Kind != disk.KindFile || st.Size != e.ContentSize():
		r.changed(e, fmt.Errorf("%v of %d bytes, %d were brought back", st.Kind, st.Size, e.ContentSize()))
	default:
		r.links.keep(e)
	}
	return true
}

func (r *restorer) changed(e *Entry, why error) {
	r.res.Changed++
	r.Report.Verbose("%s: brought back by an earlier trip, and changed since: %v", r.name(e.Path), why)
}

// wait leaves a file for a later trip. What an earlier one brought of it stays.
func (r *restorer) wait(e *Entry) {
	_, pieces := r.Trips.Came(e.Path)
	if len(pieces) > 0 {
		if _, there, err := look(r.Target, Join(dirOf(e.Path), tempName(e.Path))); err == nil && there {
			r.grows(e, pieces)
			return
		}
	}
	r.res.Missing++
	r.res.MissingBytes += e.ContentSize()
}

func (r *restorer) grows(e *Entry, pieces []Range) {
	if len(pieces) == 0 {
		r.res.Missing++
		r.res.MissingBytes += e.ContentSize()
		return
	}
	r.res.Growing++
	r.res.GrowingTotal += e.ContentSize()
	for _, p := range pieces {
		r.res.GrowingBytes += p.Length
	}
	r.landed.now.pieces(pieces)
	r.links.grows(e)
	r.Report.Verbose("%s: grows until the rest of it comes", r.name(e.Path))
}

// grow writes what can be had of a file into the one that grows for it, and puts
// it into place if that is all:
//
//	sync, evict; chunks that are there are read and compared
//	write the others that are at hand, sync, evict, read each back
//	all there: hash the whole, metadata, sync, rename
func (r *restorer) grow(item restoring, up disk.FS, temp string) error {
	e := item.entry
	g, err := openGrowing(r, e, up, temp)
	if err != nil {
		return err
	}
	err = g.fill()
	if cerr := g.file.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	if !g.whole() {
		r.grows(e, g.pieces())
		return nil
	}
	hash, err := r.readBack(up, temp)
	if err == nil && hash != e.Hash {
		up.Remove(temp)
		err = fmt.Errorf("%w: each chunk is as named, but the content hash is %s, named with %s", errSnapshot, hash, e.Hash)
	}
	if err == nil {
		err = r.setMeta(up, temp, e, metaTemporary)
	}
	if err == nil && r.unreadable(e) {
		err = r.setMeta(up, temp, e, metaFinal)
	}
	if err == nil {
		err = up.SyncFiles([]string{temp})
	}
	if err != nil {
		return err
	}
	return r.place(item)
}

// growing is a file that grows.
type growing struct {
	r    *restorer
	e    *Entry
	file disk.File
	has  []bool // of each extent; holes are there
	old  bool   // it was there before
}

func openGrowing(r *restorer, e *Entry, up disk.FS, temp string) (*growing, error) {
	g := &growing{r: r, e: e, has: make([]bool, len(e.Content)), old: true}
	var err error
	g.file, err = up.OpenWrite(temp)
	if errors.Is(err, disk.ErrNotRegular) {
		if err := up.Remove(temp); err != nil {
			return nil, err
		}
		err = fs.ErrNotExist
	}
	if errors.Is(err, fs.ErrNotExist) {
		g.old = false
		g.file, err = up.Create(temp, 0o600)
	}
	if err != nil {
		return nil, err
	}
	if err := g.file.Truncate(e.ContentSize()); err != nil {
		g.file.Close() // the first error counts
		return nil, err
	}
	return g, nil
}

// fill brings in what is at hand. A chunk that cannot be had after all is named
// by whoever should have it.
func (g *growing) fill() error {
	if g.old { // whoever wrote it may not have come to the sync
		if err := g.file.Sync(); err != nil {
			return err
		}
		if _, err := g.file.Evict(); err != nil {
			return err
		}
	}
	if err := g.check(func(i int) bool { return g.old }); err != nil {
		return err
	}
	for range writeTries {
		wrote, err := g.write()
		if err != nil || !slices.Contains(wrote, true) {
			return err
		}
		if err := g.file.Sync(); err != nil {
			return err
		}
		if _, err := g.file.Evict(); err != nil {
			return err
		}
		if err := g.check(func(i int) bool { return wrote[i] }); err != nil {
			return err
		}
	}
	return nil
}

// check reads some of the extents and notes those that are there.
func (g *growing) check(which func(i int) bool) error {
	offset := int64(0)
	for i := range g.e.Content {
		x := &g.e.Content[i]
		if err := g.r.ctx.Err(); err != nil {
			return err
		}
		switch {
		case x.Hole:
			g.has[i] = true
		case which(i):
			there, err := g.there(x, offset)
			if err != nil {
				return err
			}
			g.has[i] = there
		}
		offset += x.Length
	}
	return nil
}

// there reads a chunk of the growing file. What cannot be read is not there.
func (g *growing) there(x *Extent, offset int64) (bool, error) {
	data, _, err := g.file.Data(offset)
	if errors.Is(err, io.EOF) || err == nil && data >= offset+x.Length {
		return false, nil
	}
	b := g.r.buffer(x.Length)
	if n, err := g.file.ReadAt(b, offset); n < len(b) {
		if err == nil || errors.Is(err, io.EOF) || disk.IsIOError(err) {
			return false, nil
		}
		return false, err
	}
	return chunk.Data.ID(b) == x.ID, nil
}

// write writes the chunks that are at hand and not there yet.
func (g *growing) write() (wrote []bool, err error) {
	wrote = make([]bool, len(g.has))
	offset := int64(0)
	for i := range g.e.Content {
		x := &g.e.Content[i]
		if err := g.r.ctx.Err(); err != nil {
			return nil, err
		}
		if !g.has[i] && g.r.Trips.Has(x.ID) {
			plain, err := g.r.Get.Get(x.ID, chunk.Data, x.Length, g.r.buffer(x.Length)[:0])
			if err == nil && int64(len(plain)) == x.Length {
				if _, err := g.file.WriteAt(plain, offset); err != nil {
					return nil, err
				}
				wrote[i] = true
				g.r.Report.Add(x.Length, 0)
			}
		}
		offset += x.Length
	}
	return wrote, nil
}

func (g *growing) whole() bool { return !slices.Contains(g.has, false) }

// pieces is what is there, holes included; none where there are only holes.
func (g *growing) pieces() (list []Range) {
	offset, chunks := int64(0), false
	for i := range g.e.Content {
		x := &g.e.Content[i]
		if g.has[i] {
			list = AddRange(list, Range{offset, x.Length})
			chunks = chunks || !x.Hole
		}
		offset += x.Length
	}
	if !chunks {
		return nil
	}
	return list
}

// buffer is memory for one chunk.
func (r *restorer) buffer(n int64) []byte {
	if int64(cap(r.buf)) < n {
		r.buf = make([]byte, n)
	}
	return r.buf[:n]
}

// landed tells Trips in tree order what is there. Files of a batch are decided
// later than those behind them, so what is known waits in a queue: neighbours
// that are equally decided are one, so it is not longer than two batches.
type landed struct {
	trips Trips
	queue []*landedFile
	now   *landedFile // the file at hand; nil without trips
}

// landedFile is one file, or a row of files that are all there, or some that are
// not.
type landedFile struct {
	from, to string
	state    landedState
	ranges   []Range
}

type landedState uint8

const (
	undecided landedState = iota
	inBatch
	isHere
	inPieces
	isLacking
)

func (f *landedFile) here() {
	if f != nil {
		f.state = isHere
	}
}

// wait is a file that lies in the batch.
func (f *landedFile) wait() {
	if f != nil {
		f.state = inBatch
	}
}

func (f *landedFile) lacking() {
	if f != nil {
		f.state = isLacking
	}
}

func (f *landedFile) pieces(list []Range) {
	if f != nil {
		f.state, f.ranges = inPieces, list
	}
}

func (l *landed) begin(path string) {
	if l.trips == nil {
		return
	}
	path = strings.Clone(path)
	l.now = &landedFile{from: path, to: path}
	l.queue = append(l.queue, l.now)
}

// end decides about the file at hand, unless it lies in the batch.
func (l *landed) end() {
	if l.trips == nil {
		return
	}
	if l.now.state == undecided {
		l.now.state = isLacking
	}
	if n := len(l.queue); n > 1 && l.queue[n-1] == l.now {
		before := l.queue[n-2]
		if before.state == l.now.state && (before.state == isHere || before.state == isLacking) {
			before.to = l.now.to
			l.queue = l.queue[:n-1]
		}
	}
	l.now = nil
	if len(l.queue) > 0 && l.queue[0].state > inBatch {
		l.tell()
	}
}

// lacks notes that something lies here which is not there.
func (l *landed) lacks() {
	if l.trips == nil {
		return
	}
	l.begin("")
	l.now.lacking()
	l.end()
}

// tell tells what is decided.
func (l *landed) tell() {
	for len(l.queue) > 0 {
		switch f := l.queue[0]; f.state {
		case isHere:
			l.trips.Whole(f.from, f.to)
		case inPieces:
			l.trips.Pieces(f.from, f.ranges)
		case isLacking:
			l.trips.Lacks()
		default:
			return
		}
		l.queue = l.queue[1:]
	}
}
