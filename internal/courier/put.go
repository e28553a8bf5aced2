package courier

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"waterlock/internal/disk"
)

// put durably writes a file that may lie there already, from a run that did
// not come to its end: what is equal is synced and read back, all else is
// removed and written anew.
func put(fsys disk.FS, name string, b []byte) (disk.Coldness, error) {
	c, err := disk.PutFinal(fsys, name, b)
	if !errors.Is(err, fs.ErrExist) {
		return c, err
	}
	if c, err = again(fsys, name, b); err == nil {
		return c, nil
	}
	if err := fsys.Remove(name); err != nil {
		return 0, err
	}
	return disk.PutFinal(fsys, name, b)
}

// again makes a file durable that may only be in a cache.
//
//	open(name), fsync, fadvise(DONTNEED), read, compare, close
//	open(dir), fsync, close
func again(fsys disk.FS, name string, b []byte) (c disk.Coldness, err error) {
	f, err := fsys.OpenWrite(name)
	if err != nil {
		return 0, err
	}
	err = f.Sync()
	if err == nil {
		c, err = f.Evict()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return 0, err
	}
	found, err := disk.ReadAll(fsys, name, int64(len(b)))
	if err != nil {
		return 0, err
	}
	if !bytes.Equal(found, b) {
		return 0, fmt.Errorf("%s: %w", name, disk.ErrReadBack)
	}
	return c, fsys.SyncDir(path.Dir(name))
}
