package disk

import (
	"fmt"
	"io"
)

// ReadAll reads a whole file of at most max bytes; a larger one is ErrTooBig
// before anything is allocated for it.
func ReadAll(fsys FS, name string, max int64) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if st.Size > max {
		return nil, fmt.Errorf("%s: %w: %d bytes, at most %d are read", name, ErrTooBig, st.Size, max)
	}
	data := make([]byte, st.Size)
	n, err := io.ReadFull(f, data)
	if err == io.EOF || err == io.ErrUnexpectedEOF { // shrunk meanwhile
		return data[:n], nil
	}
	return data, err
}

// ReadBack hands a file to fn with its contents as they are on the medium, or,
// where that cannot be had, says that the read-back was warm. The file must
// have been synced.
//
//	open, fadvise(DONTNEED), read …, fadvise(DONTNEED), close
//
// The second advice leaves the cache to files that are read again.
func ReadBack(fsys FS, name string, fn func(f File) error) (Coldness, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	c, err := f.Evict()
	if err != nil {
		return c, err
	}
	if err := fn(f); err != nil {
		return c, err
	}
	_, err = f.Evict()
	return c, err
}
