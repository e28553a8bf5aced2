package index

import (
	"bytes"
	"fmt"

	"github.com/dgraph-io/badger/v4"
)

// Path returns what was installed at a path.
func (c *Catalog) Path(tree, path string) (PathRow, bool, error) {
	if CheckPath(tree, path) != nil {
		return PathRow{}, false, nil
	}
	v, err := c.s.get(pathKey(tree, path))
	if err != nil || v == nil {
		return PathRow{}, false, err
	}
	p, err := decodePathRow(v)
	return p, err == nil, err
}

// PathIter goes through the paths of one tree in tree order. It sees what was
// committed when it began, whatever is committed meanwhile. It is for one
// goroutine, and must be closed before the catalog.
type PathIter struct {
	txn    *badger.Txn
	it     *badger.Iterator
	s      *store
	prefix []byte
	err    error
	begun  bool
}

// Paths begins at the first path of a tree.
func (c *Catalog) Paths(tree string) (it *PathIter) {
	it = &PathIter{s: c.s, prefix: treePrefix('p', tree)}
	if it.err = c.s.err(); it.err != nil {
		return it
	}
	defer c.s.guard(&it.err)
	it.txn = c.s.db.NewTransaction(false)
	it.it = it.txn.NewIterator(badger.IteratorOptions{Prefix: it.prefix})
	return it
}

// Next returns the next path; ok is false at the end or after an error.
func (it *PathIter) Next() (path string, row PathRow, ok bool) {
	if it.err != nil || it.it == nil {
		return "", PathRow{}, false
	}
	if it.err = it.s.err(); it.err != nil {
		return "", PathRow{}, false
	}
	defer it.s.guard(&it.err)
	if it.begun {
		it.it.Next()
	} else {
		it.it.Rewind()
		it.begun = true
	}
	if !it.it.Valid() {
		return "", PathRow{}, false
	}
	item := it.it.Item()
	key := bytes.Clone(item.Key()[len(it.prefix):])
	swap(key, 0, '/')
	it.err = item.Value(func(v []byte) (err error) {
		row, err = decodePathRow(v)
		return err
	})
	if it.err != nil {
		it.err = fmt.Errorf("path %q: %w", key, it.err)
		return "", PathRow{}, false
	}
	return string(key), row, true
}

// Err is why Next ended early, if it did.
func (it *PathIter) Err() error { return it.err }

// Close ends the iteration. Closing twice is fine.
func (it *PathIter) Close() {
	if it.it == nil {
		return
	}
	defer it.s.guard(&it.err)
	it.it.Close()
	it.txn.Discard()
	it.it, it.txn = nil, nil
}
