package vault

import (
	"errors"
	"io"

	"waterlock/chunkstore"
	"waterlock/internal/chunk"
	"waterlock/snapshot"
)

// finder finds single entries of one tree of one snapshot. Paths that are asked for in tree order are found by reading
// on, others by starting anew at their stream chunk.
type finder struct {
	tree snapshot.TreeRecord
	get  snapshot.Getter
	r    *snapshot.StreamReader
	at   *snapshot.Entry // the reader's last entry or tombstone

	dir  string // directory last asked about, and what its paths are that have no word of their own
	gone snapshot.Gone
}

// readOn is how many entries are read before starting anew is cheaper.
const readOn = 512

// find returns the entry at a path, valid until the next call; nil if there is none. A gap in the stream is an error.
func (f *finder) find(path string) (*snapshot.Entry, error) {
	e, err := f.item(path)
	if e != nil && e.Gone != snapshot.Here {
		return nil, err
	}
	return e, err
}

// fate says what a path is: here, or gone, and in which way.
func (f *finder) fate(path string) (snapshot.Gone, error) {
	e, err := f.item(path)
	switch {
	case err != nil:
		return 0, err
	case e != nil:
		return e.Gone, nil
	case path == "":
		return snapshot.Confirmed, nil
	}
	dir, _ := snapshot.Split(path)
	if f.gone == snapshot.Here || f.dir != dir {
		gone, err := f.fate(dir)
		if err != nil {
			return 0, err
		}
		if gone == snapshot.Here {
			gone = snapshot.Confirmed // the directory is there, and this is not in it
		}
		f.dir, f.gone = dir, gone
	}
	return f.gone, nil
}

// item is find with the tombstones.
func (f *finder) item(path string) (*snapshot.Entry, error) {
	if f.at != nil && snapshot.ComparePaths(f.at.Path, path) <= 0 {
		for range readOn {
			if snapshot.ComparePaths(f.at.Path, path) >= 0 {
				return f.match(path), nil
			}
			if err := f.step(); err != nil {
				return nil, notEOF(err)
			}
		}
	}
	f.r = snapshot.NewStreamReaderAt(f.tree, f.get, path)
	if err := f.step(); err != nil {
		return nil, notEOF(err)
	}
	return f.match(path), nil
}

func (f *finder) step() (err error) {
	if f.at, err = f.r.NextItem(); err != nil {
		f.at = nil
	}
	return err
}

func (f *finder) match(path string) *snapshot.Entry {
	if f.at.Path == path {
		return f.at
	}
	return nil
}

func notEOF(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}

// newBatch begins a batch that may move inodes whose path has left the newest snapshot, instead of copying their content.
func (u *unpacking) newBatch(tree snapshot.TreeRecord) *chunkstore.Batch {
	return u.v.store.NewBatch(chunkstore.BatchOptions{Leaving: u.leaving})
}

// leaving tells whether the newest snapshot no longer has content of this hash at that path, nor wants it to stay there.
// In doubt it has.
func (u *unpacking) leaving(tree, path string, hash chunk.ContentHash) bool {
	f, ok := u.finders[tree]
	if !ok {
		record, has := u.newest.Snapshot.Tree(tree)
		if !has {
			return false
		}
		f = &finder{tree: *record, get: u.v.store}
		u.finders[tree] = f
	}
	e, err := f.find(path)
	if err != nil || e != nil {
		return err == nil && e.Hash != hash
	}
	gone, err := f.fate(path)
	return err == nil && !gone.Stays()
}

// maxLookBack bounds in how many older snapshots the entry of a pending file is looked for.
const maxLookBack = 32

// lastCarried returns the entry that a pending one had when its content was last carried whole, nil if that is not known.
// The pending entry itself has new metadata over old content, which the mirror never shows.
func (d *delivery) lastCarried(e *snapshot.Entry) (*snapshot.Entry, error) {
	if e.Hash == (chunk.ContentHash{}) {
		return nil, nil
	}
	known := d.v.commits.known
	for back := range min(maxLookBack, len(known)-1) {
		f, err := d.older(known[len(known)-2-back])
		if err != nil {
			return nil, err
		}
		if f == nil {
			continue
		}
		old, err := f.find(e.Path)
		var gap *snapshot.GapError
		if err != nil && !errors.As(err, &gap) {
			return nil, err
		}
		if old != nil && !old.Pending && old.Kind == e.Kind && old.Hash == e.Hash {
			return old, nil
		}
	}
	return nil, nil
}

// older is a finder for this tree in an older snapshot; nil if the snapshot has no such tree or cannot be read.
func (d *delivery) older(k knownSnapshot) (*finder, error) {
	if f, ok := d.olders[k.file]; ok {
		return f, nil
	}
	if d.olders == nil {
		d.olders = map[string]*finder{}
	}
	var f *finder
	commit, err := d.v.commits.load(k)
	if err != nil {
		d.rep.Problem(k.file, err)
	} else if record, has := commit.Snapshot.Tree(d.tree.Name); has {
		f = &finder{tree: *record, get: d.v.store}
	}
	d.olders[k.file] = f
	return f, nil
}
