package snapshot

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/internal/wire"
)

// Limits of a stream.
const (
	MinStreamChunk = 16 << 10              // no cut before so many bytes
	AvgStreamChunk = 64 << 10              // expected size
	MaxStreamChunk = 512 << 10             // no more than this, unless it is one item
	MaxItem        = 4 << 20               // bytes of one item, its length not counted
	MaxRun         = 4096                  // extents of one item
	maxChunk       = MaxItem + itemLenSize // bytes of any stream chunk
)

// itemLenSize is the size of the length of the largest item.
const itemLenSize = 4

// Types of items. Zero is none.
const (
	itemEntry = 1
	itemMore  = 2
	itemGone  = 3
)

// ErrStream is a stream chunk that breaks the format.
var ErrStream = errors.New("malformed stream")

// cutsRun tells whether a content list is cut behind this extent: by what it
// is and not by where it stands, so that an edit in a huge file changes few
// items.
func (x *Extent) cutsRun() bool {
	return !x.Hole && binary.LittleEndian.Uint16(x.ID[:])&0x3ff == 0
}

// nextRun takes the extents of the next item off the two lists. The content is
// used up before the first carried chunk is taken.
func nextRun(content, carried *[]Extent) (c, d []Extent, continued bool) {
	n, cut := runLength(*content, MaxRun)
	c, *content = (*content)[:n], (*content)[n:]
	if !cut && len(*content) == 0 {
		var m int
		m, _ = runLength(*carried, MaxRun-n)
		d, *carried = (*carried)[:m], (*carried)[m:]
	}
	return c, d, len(*content)+len(*carried) > 0
}

// runLength is the number of extents until a cut or up to room; cut tells
// whether the run ends there.
func runLength(list []Extent, room int) (n int, cut bool) {
	for n < len(list) && n < room {
		n++
		if list[n-1].cutsRun() {
			return n, true
		}
	}
	return n, n == room
}

// encodeItems calls add with each item of an entry: its own, and those that
// continue its content. The item lies in w until the next one.
func encodeItems(w *wire.Writer, e *Entry, add func(item []byte, more bool) error) error {
	content, carried := e.Content, e.Carried
	for more := false; ; more = true {
		c, d, continued := nextRun(&content, &carried)
		w.Reset()
		encodeItem(w, e, c, d, more, continued)
		if w.Len() > MaxItem {
			return fmt.Errorf("%w: item of %d bytes, at most %d allowed", ErrEntry, w.Len(), MaxItem)
		}
		if err := add(w.Bytes(), more); err != nil || !continued {
			return err
		}
	}
}

// encodeItem writes one item: of an entry that is a file, with these extents.
func encodeItem(w *wire.Writer, e *Entry, content, carried []Extent, more, continued bool) {
	var flags byte
	if continued {
		flags = flagContinued
	}
	switch {
	case more:
		w.Byte(itemMore)
		w.Byte(flags)
	case e.Gone != Here:
		_, name := Split(e.Path)
		w.Byte(itemGone)
		w.Uvarint(uint64(Depth(e.Path)))
		w.String(name)
		w.Byte(byte(e.Kind))
		w.Byte(byte(e.Gone))
		return
	default:
		_, name := Split(e.Path)
		w.Byte(itemEntry)
		w.Uvarint(uint64(Depth(e.Path)))
		w.String(name)
		encodeFields(w, e, flags)
	}
	if e.Kind == disk.KindFile {
		encodeExtents(w, content)
		encodeExtents(w, carried)
	}
}

// itemDecoder takes one stream chunk apart.
type itemDecoder struct {
	r     *wire.Reader
	ref   StreamRef
	first bool

	// The item last read. Of a `more` item only the extents are new.
	entry     Entry
	more      bool
	continued bool // a `more` item must follow
	carrying  bool // the carried chunks have begun: no content may follow

	last   position
	owners owners
	run    []Extent // memory of the extents
}

// newItemDecoder begins a chunk. last is where the stream stands; nil where
// the chunk before is not known, so that the parents named by the reference
// are taken on trust.
func newItemDecoder(plain []byte, ref StreamRef, last *position) (*itemDecoder, error) {
	if len(plain) > maxChunk || len(plain) == 0 {
		return nil, fmt.Errorf("%w: chunk of %d bytes", ErrStream, len(plain))
	}
	if err := ValidPath(ref.FirstPath); err != nil {
		return nil, err
	}
	d := &itemDecoder{r: wire.NewReader(plain), ref: ref, first: true}
	switch {
	case last == nil && ref.Continues:
		d.last = position{path: ref.FirstPath, kind: disk.KindFile, known: true}
	case last == nil && ref.FirstPath != "":
		parent, _ := Split(ref.FirstPath)
		d.last = position{path: parent, kind: disk.KindDir, known: true}
	case last != nil:
		d.last = *last
	}
	return d, nil
}

// position is the last entry of a stream: what comes next must lie behind it
// and in a directory.
type position struct {
	path  string
	kind  Kind
	known bool // false before the root
	// The outermost tombstone that it is or lies beneath; "" is none.
	gone string
}

// step goes on to an entry or a tombstone.
func (p *position) step(e *Entry) {
	gone := ""
	if e.Gone != Here {
		gone = e.Path
		if p.gone != "" && Under(e.Path, p.gone) {
			gone = p.gone
		}
	}
	*p = position{path: e.Path, kind: e.Kind, known: true, gone: gone}
}

// follow checks that an entry may come next. The parents of the last entry are
// directories of this tree, for they were checked in the same way.
func (p *position) follow(path string, gone Gone) error {
	if !p.known {
		if path != "" {
			return fmt.Errorf("%w: begins with %q and not with the root", ErrStream, path)
		}
		return nil
	}
	if ComparePaths(p.path, path) >= 0 {
		return fmt.Errorf("%w: %q after %q", ErrStream, path, p.path)
	}
	parent, _ := Split(path)
	if !Under(p.path, parent) || parent == p.path && p.kind != disk.KindDir {
		return fmt.Errorf("%w: %q lies in no directory", ErrStream, path)
	}
	if gone == Here && p.gone != "" && Under(path, p.gone) {
		return fmt.Errorf("%w: %q lies in %q, which is gone", ErrStream, path, p.gone)
	}
	return nil
}

// next reads the next item, or returns io.EOF.
func (d *itemDecoder) next() error {
	if d.r.Remaining() == 0 {
		return io.EOF
	}
	whole := d.first && d.r.Offset() == 0
	item := d.r.Blob(MaxItem)
	if err := d.r.Err(); err != nil {
		return err
	}
	if whole && d.r.Remaining() > 0 && d.r.Offset()+d.r.Remaining() > MaxStreamChunk {
		return fmt.Errorf("%w: chunk of %d bytes with more than one item", ErrStream, d.r.Offset()+d.r.Remaining())
	}
	r := wire.NewReader(item)
	more, gone := false, false
	switch t := r.Byte(); t {
	case itemEntry:
	case itemMore:
		more = true
	case itemGone:
		gone = true
	default:
		return fmt.Errorf("%w: item of type %d", ErrStream, t)
	}
	if d.first && more != d.ref.Continues || !d.first && more != d.continued {
		return fmt.Errorf("%w: item of type %d out of place", ErrStream, item[0])
	}
	var err error
	if more {
		err = d.readMore(r)
	} else {
		err = d.readEntry(r, gone)
	}
	if err != nil {
		return err
	}
	d.first, d.more = false, more
	return r.Done()
}

// passUnder passes over items for as long as they lie deeper than depth. Of
// these it looks at the type and the depth alone.
func (d *itemDecoder) passUnder(depth uint64) error {
	for d.r.Remaining() > 0 {
		here := *d.r
		item := d.r.Blob(MaxItem)
		if err := d.r.Err(); err != nil {
			return err
		}
		r := wire.NewReader(item)
		if t := r.Byte(); t != itemMore && (r.Uvarint() <= depth || r.Err() != nil) {
			*d.r = here // next reads it, or says what is wrong with it
			return nil
		}
		d.first, d.more, d.continued = false, false, false
	}
	return nil
}

func (d *itemDecoder) readEntry(r *wire.Reader, gone bool) error {
	depth, name := r.Uvarint(), r.String(MaxName)
	if err := r.Err(); err != nil {
		return err
	}
	path, err := pathAt(d.last.path, depth, name)
	if err != nil {
		return err
	}
	if d.first && path != d.ref.FirstPath {
		return fmt.Errorf("%w: begins with %q and not with %q", ErrStream, path, d.ref.FirstPath)
	}
	d.entry = Entry{Path: path}
	if gone {
		d.continued, d.carrying = false, false
		if err := readTombstone(r, &d.entry); err != nil {
			return err
		}
	}
	if err := d.last.follow(path, d.entry.Gone); err != nil {
		return err
	}
	if gone {
		d.last.step(&d.entry)
		return nil
	}
	flags, err := decodeFields(r, &d.entry, &d.owners)
	if err != nil {
		return err
	}
	d.carrying = false
	if d.entry.Kind == disk.KindFile {
		if err := d.readRun(r, flags, true); err != nil {
			return err
		}
	} else {
		d.continued = false
	}
	if err := d.entry.validateFields(); err != nil {
		return err
	}
	d.last.step(&d.entry)
	return nil
}

func (d *itemDecoder) readMore(r *wire.Reader) error {
	if d.first {
		d.entry = Entry{Path: d.ref.FirstPath, Kind: disk.KindFile}
	}
	flags := r.Byte()
	if flags&^flagContinued != 0 {
		return fmt.Errorf("%w: flags %#x of a continuing item", ErrStream, flags)
	}
	return d.readRun(r, flags, false)
}

// readRun reads the extents of an item and checks that they were cut where
// nextRun cuts them.
func (d *itemDecoder) readRun(r *wire.Reader, flags byte, mayBeEmpty bool) (err error) {
	d.continued = flags&flagContinued != 0
	if d.run, err = decodeExtents(r, d.run[:0], MaxRun); err != nil {
		return err
	}
	n := len(d.run)
	if d.run, err = decodeExtents(r, d.run, MaxRun-n); err != nil {
		return err
	}
	run := d.run
	d.entry.Content, d.entry.Carried = run[:n:n], run[n:]
	if n > 0 && d.carrying {
		return fmt.Errorf("%w: content behind carried chunks", ErrStream)
	}
	d.carrying = n < len(run)
	if len(run) == 0 {
		if d.continued || !mayBeEmpty {
			return fmt.Errorf("%w: continued without extents", ErrStream)
		}
		return nil
	}
	for i := range run[:len(run)-1] {
		if run[i].cutsRun() {
			return fmt.Errorf("%w: extents not cut where they must be", ErrStream)
		}
	}
	if d.continued && len(run) < MaxRun && !run[len(run)-1].cutsRun() {
		return fmt.Errorf("%w: extents cut where they must not be", ErrStream)
	}
	return nil
}

// pathAt is the path of name at a depth, given the path of the entry before
// it.
func pathAt(last string, depth uint64, name string) (string, error) {
	if depth == 0 {
		if name != "" {
			return "", fmt.Errorf("%w: root named %q", ErrStream, name)
		}
		return "", nil
	}
	if err := ValidName(name); err != nil {
		return "", err
	}
	have := Depth(last)
	if depth > uint64(have)+1 {
		return "", fmt.Errorf("%w: depth %d after %d", ErrStream, depth, have)
	}
	for ; uint64(have) >= depth; have-- {
		last, _ = Split(last)
	}
	if len(last)+1+len(name) > MaxPath {
		return "", fmt.Errorf("%w: path longer than %d bytes", ErrName, MaxPath)
	}
	return Join(last, name), nil
}

// StreamChunkIDs calls each for every data chunk that one stream chunk names,
// those of content and those carried.
func StreamChunkIDs(plain []byte, ref StreamRef, each func(id chunk.ID, length int64, carried bool) error) error {
	return StreamChunkPaths(plain, ref, func(_ string, x Extent, carried bool) error { return each(x.ID, x.Length, carried) })
}

// StreamChunkPaths is StreamChunkIDs that says of each data chunk which path of
// the tree needs it.
func StreamChunkPaths(plain []byte, ref StreamRef, each func(path string, x Extent, carried bool) error) error {
	d, err := newItemDecoder(plain, ref, nil)
	if err != nil {
		return err
	}
	for {
		if err := d.next(); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		for i, list := range [...][]Extent{d.entry.Content, d.entry.Carried} {
			for _, x := range list {
				if x.Hole {
					continue
				}
				if err := each(d.entry.Path, x, i == 1); err != nil {
					return err
				}
			}
		}
	}
}
