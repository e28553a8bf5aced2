package snapshot

import (
	"fmt"

	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/internal/wire"
)

// Gone says of a path what became of it where it is no longer part of its tree.
//
// An entry that is gone is a tombstone: it has a path, a kind (what was there)
// and in a scan file a size, and nothing else. That of a directory stands for
// all beneath it that has none of its own. A path without entry and without
// tombstone is gone, too, and that is confirmed.
type Gone uint8

const (
	Here      Gone = 0 // an entry: not gone
	Confirmed Gone = 1 // deleted, and home has said so; only above a tombstone of another state
	Undecided Gone = 2 // deleted, and nobody at home has been asked or has answered
	Kept      Gone = 3 // deleted, and home wants the vault to keep it in its mirror
	Excluded  Gone = 4 // still at home, perhaps, but excluded; the vault is to keep what it has
)

var goneNames = [...]string{"here", "confirmed", "undecided", "kept", "excluded"}

func (g Gone) String() string {
	if int(g) < len(goneNames) {
		return goneNames[g]
	}
	return fmt.Sprintf("gone %d", uint8(g))
}

// Stays tells whether deletions never take the path out of the mirror.
func (g Gone) Stays() bool { return g == Kept || g == Excluded }

// Tombstone is what is left of an entry.
func Tombstone(e *Entry, g Gone) *Entry {
	t := &Entry{Path: e.Path, Kind: e.Kind, Gone: g}
	if e.Kind == disk.KindFile {
		t.Size = e.Size
	}
	return t
}

// validateTombstone is Validate for one.
func (e *Entry) validateTombstone() error {
	if err := ValidPath(e.Path); err != nil {
		return err
	}
	if e.Path == "" || e.Gone == Here || e.Gone > Excluded || !e.Kind.Valid() ||
		e.Size < 0 || e.Size > MaxSize || e.Size != 0 && e.Kind != disk.KindFile {
		return fmt.Errorf("%w: tombstone %v of kind %d, size %d", ErrEntry, e.Gone, e.Kind, e.Size)
	}
	if e.Pending || e.Unseen || e.Mode != 0 || e.LinkGroup != 0 || e.Target != "" || e.Hash != (chunk.ContentHash{}) ||
		len(e.Content)+len(e.Carried)+len(e.Xattrs) != 0 {
		return fmt.Errorf("%w: tombstone with more than a path", ErrEntry)
	}
	return nil
}

// addGone appends a tombstone. What another one above it says already is left
// out, and so is what is confirmed and stands for nothing else; directories
// above it that are gone without a tombstone get one.
func (w *StreamWriter) addGone(e *Entry) error {
	if err := e.validateTombstone(); err != nil {
		return err
	}
	above := w.graves.Over(e.Path)
	if e.Gone == above {
		return nil
	}
	for i := range len(e.Path) {
		if dir := e.Path[:i]; e.Path[i] == '/' && !Under(w.last.path, dir) {
			if err := w.addTombstone(&Entry{Path: dir, Kind: disk.KindDir, Gone: above}); err != nil {
				return err
			}
		}
	}
	if err := w.addTombstone(e); err != nil {
		return err
	}
	w.graves.Add(e)
	return nil
}

// Graves follows the tombstones of a tree, in tree order, and knows which of
// them lie around the current path. Its memory is as deep as the path.
type Graves struct{ around []grave }

type grave struct {
	path string
	gone Gone
}

// Add takes a tombstone.
func (g *Graves) Add(e *Entry) {
	g.leave(e.Path)
	g.around = append(g.around, grave{e.Path, e.Gone})
}

// Over is what a path is that is not there and has no tombstone of its own:
// what the innermost tombstone above it says, or confirmed.
func (g *Graves) Over(path string) Gone {
	g.leave(path)
	if n := len(g.around); n > 0 {
		return g.around[n-1].gone
	}
	return Confirmed
}

func (g *Graves) leave(path string) {
	for len(g.around) > 0 && !Under(path, g.around[len(g.around)-1].path) {
		g.around = g.around[:len(g.around)-1]
	}
}

func (w *StreamWriter) addTombstone(e *Entry) error {
	if err := w.last.follow(e.Path, e.Gone); err != nil {
		return err
	}
	w.item.Reset()
	encodeItem(&w.item, e, nil, nil, false, false)
	if w.err = w.addItem(w.item.Bytes(), e.Path, false); w.err != nil {
		return w.err
	}
	w.last.step(e)
	return nil
}

// readTombstone reads an item of that type behind its path.
func readTombstone(r *wire.Reader, e *Entry) error {
	e.Kind, e.Gone = Kind(r.Byte()), Gone(r.Byte())
	if err := r.Err(); err != nil {
		return err
	}
	return e.validateTombstone()
}
