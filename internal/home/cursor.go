package home

import (
	"bufio"
	"errors"
	"io"
	"io/fs"

	"waterlock/internal/disk"
	"waterlock/snapshot"
)

// cursor goes through a scan file in step with a walk. A torn tail is the end: what was read before it is good.
type cursor struct {
	file disk.File
	r    *snapshot.ScanReader
	cur  *snapshot.ScanEntry // nil: at the end
	torn error
}

// openScan opens a scan file; nil where there is none ("") or not even its head is good.
func openScan(state disk.FS, name string) (*cursor, error) {
	if name == "" {
		return nil, nil
	}
	f, err := state.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r, err := snapshot.NewScanReader(bufio.NewReaderSize(f, 256<<10))
	if err != nil {
		return nil, f.Close()
	}
	c := &cursor{file: f, r: r}
	c.next()
	return c, nil
}

func (c *cursor) next() {
	e, err := c.r.Next()
	switch {
	case err == nil:
		c.cur = e
		return
	case !errors.Is(err, io.EOF):
		c.torn = err
	}
	c.cur = nil
}

// seek goes forward to path and returns its entry, nil where there is none. Entries that lie before it, which the walk
// has not met, go to passed, if that is not nil. What is returned is valid until the next call.
func (c *cursor) seek(path string, passed func(*snapshot.ScanEntry) error) (*snapshot.ScanEntry, error) {
	if c == nil {
		return nil, nil
	}
	for c.cur != nil {
		switch order := snapshot.ComparePaths(c.cur.Entry.Path, path); {
		case order == 0:
			return c.cur, nil
		case order > 0:
			return nil, nil
		}
		if passed != nil {
			if err := passed(c.cur); err != nil {
				return nil, err
			}
		}
		c.next()
	}
	return nil, nil
}

// took goes past the entry that seek returned.
func (c *cursor) took(e *snapshot.ScanEntry) {
	if c != nil && e != nil && c.cur == e {
		c.next()
	}
}

// rest hands all entries up to the end to passed.
func (c *cursor) rest(passed func(*snapshot.ScanEntry) error) error {
	if c == nil {
		return nil
	}
	for c.cur != nil {
		if err := passed(c.cur); err != nil {
			return err
		}
		c.next()
	}
	return nil
}

func (c *cursor) close() {
	if c != nil {
		c.file.Close() // was only read
	}
}
