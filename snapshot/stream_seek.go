package snapshot

import (
	"errors"
	"io"
	"sort"

	"waterlock/internal/disk"
)

// ChunkAt is the index of the stream chunk in which the entry at path begins, if
// there is one: the last that begins before it, or with it.
func ChunkAt(chunks []StreamRef, path string) int {
	n := sort.Search(len(chunks), func(i int) bool {
		c := ComparePaths(chunks[i].FirstPath, path)
		return c > 0 || c == 0 && chunks[i].Continues
	})
	return max(0, n-1)
}

// behind is the first path that can come behind all that lies under path: NUL
// is in no name, and '/' counts as that.
func behind(path string) string { return path + "\x01" }

// NewHeadReader reads the entries of a tree without their contents: Content
// and Carried are empty, and the stream chunks that hold nothing but a long
// content list are not fetched.
func NewHeadReader(t TreeRecord, g Getter) *StreamReader {
	r := NewStreamReader(t, g)
	r.heads = true
	return r
}

// SkipTo passes over all entries before path, fetching no stream chunk that
// holds none but those. It never goes back.
func (r *StreamReader) SkipTo(path string) {
	if ComparePaths(path, r.at) <= 0 {
		return
	}
	r.at, r.lost = path, nil
	if i := ChunkAt(r.chunks, path); i > 0 && i >= r.next {
		r.next, r.items, r.known, r.partial, r.skip = i, nil, false, false, true
	}
}

// SkipUnder passes over all that lies under the entry just returned, a
// directory other than the root: what has to be fetched of it is not decoded.
func (r *StreamReader) SkipUnder() {
	dir := r.cur.Path
	r.SkipTo(behind(dir))
	r.under, r.skip = uint64(Depth(dir)), true
}

// passContent gives up the rest of the current entry's content list.
func (r *StreamReader) passContent() {
	r.skip = true
	for r.next+1 < len(r.chunks) && r.chunks[r.next+1].Continues && r.chunks[r.next+1].FirstPath == r.cur.Path {
		r.next++ // the last of them holds what comes behind it, too
		r.items = nil
	}
}

// ListOptions say what of a tree to list.
type ListOptions struct {
	Tree      TreeRecord
	Get       Getter
	Path      string // a directory: what lies in it; anything else: itself
	Recursive bool   // all that lies under a directory, not only in it
	Entry     func(*Entry) error
	// Gap is told of what cannot be read and lies, or may lie, where was asked.
	Gap func(*GapError)
}

// List goes through the entries at a path in tree order, without their
// contents. It fetches the stream chunks that cover them, and where it does not
// go into directories those between them are passed over. found is false where
// the tree has nothing at the path.
func List(o ListOptions) (found bool, err error) {
	r := NewHeadReader(o.Tree, o.Get)
	r.SkipTo(o.Path)
	for {
		if found && !r.goesOn(o.Path) {
			return true, nil
		}
		e, err := r.Next()
		var gap *GapError
		switch {
		case err == io.EOF:
			return found, nil
		case errors.As(err, &gap):
			if ComparePaths(gap.From, o.Path) > 0 && !Under(gap.From, o.Path) {
				return found, nil // it lies behind
			}
			found = true // nobody can say that it is not there
			o.Gap(gap)
			continue
		case err != nil:
			return found, err
		case !Under(e.Path, o.Path):
			return found, nil
		}
		found = true
		isDir := e.Kind == disk.KindDir
		if e.Path != o.Path || !isDir {
			if err := o.Entry(e); err != nil {
				return true, err
			}
		}
		if isDir && e.Path != o.Path && !o.Recursive {
			r.SkipUnder()
		}
	}
}

// goesOn tells whether more of what lies under dir can come: false where the
// next stream chunk has to be fetched and begins behind it.
func (r *StreamReader) goesOn(dir string) bool {
	return r.items != nil && r.items.r.Remaining() > 0 || r.next < len(r.chunks) && Under(r.chunks[r.next].FirstPath, dir)
}
