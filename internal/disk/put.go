package disk

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// TempSuffix is what the name of a file ends in until Put has finished it.
const TempSuffix = ".tmp"

// Put durably writes a new file on one of our own disks. After a crash name
// is whole or not there; name+".tmp" may be left, and is written over by the
// next Put of that name. An existing name is refused (fs.ErrExist): the
// callers hold the lock of the directory. After an error name is not there,
// unless even removing it failed. Only its owner may read it.
//
//	lstat(name)              must not exist
//	unlink(name.tmp)         only if a crash left one
//	open(name.tmp, O_CREAT|O_EXCL), write, fsync
//	fadvise(DONTNEED), read, compare, close
//	rename(name.tmp, name)
//	open(dir), fsync, close
func Put(fsys FS, name string, data []byte) error {
	if _, err := fsys.Stat(name); err == nil {
		return pathError("put", name, fs.ErrExist)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	tmp := name + TempSuffix
	if _, err := writeVerified(fsys, tmp, 0o600, data); errors.Is(err, fs.ErrExist) {
		if err := fsys.Remove(tmp); err != nil {
			return err
		}
		if _, err := writeVerified(fsys, tmp, 0o600, data); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	if err := fsys.Rename(tmp, name); err != nil {
		fsys.Remove(tmp)
		fsys.Remove(name) // was not there before: ours, if it is now
		return err
	}
	if err := fsys.SyncDir(parentOf(name)); err != nil {
		fsys.Remove(name)
		return err
	}
	return nil
}

// PutFinal durably writes a new file on a drive, where nothing is ever
// renamed. After a crash name may be there and not whole: its reader checks a
// checksum. An existing name is refused (fs.ErrExist) and left alone; after
// any other error name is removed again.
//
//	open(name, O_CREAT|O_EXCL), write, fsync
//	fadvise(DONTNEED), read, compare, close
//	open(dir), fsync, close
func PutFinal(fsys FS, name string, data []byte) (Coldness, error) {
	c, err := writeVerified(fsys, name, 0o644, data)
	if err != nil {
		return c, err
	}
	if err := fsys.SyncDir(parentOf(name)); err != nil {
		fsys.Remove(name)
		return c, err
	}
	return c, nil
}

// writeVerified creates a file, writes, syncs and reads it back. On error it
// removes what it created.
func writeVerified(fsys FS, name string, perm uint32, data []byte) (c Coldness, err error) {
	f, err := fsys.Create(name, perm)
	if err != nil {
		return 0, err
	}
	defer func() {
		if e := f.Close(); err == nil {
			err = e
		}
		if err != nil {
			fsys.Remove(name)
		}
	}()
	if n, err := f.Write(data); err != nil {
		return 0, err
	} else if n < len(data) {
		return 0, pathError("write", name, io.ErrShortWrite)
	}
	if err := f.Sync(); err != nil {
		return 0, err
	}
	c, err = f.Evict()
	if err != nil {
		return c, err
	}
	return c, compare(f, name, data)
}

// compare reads a file from its beginning and tells where it differs.
func compare(f File, name string, data []byte) error {
	buf := make([]byte, min(len(data)+1, 1<<20))
	for off := 0; ; {
		n, err := f.ReadAt(buf[:min(len(buf), len(data)+1-off)], int64(off))
		if err != nil && err != io.EOF {
			return err
		}
		if off+n > len(data) {
			return fmt.Errorf("%s: %w: longer than the %d bytes written", name, ErrReadBack, len(data))
		}
		if !bytes.Equal(buf[:n], data[off:off+n]) {
			return fmt.Errorf("%s: %w: at byte %d", name, ErrReadBack, off+firstDifference(buf[:n], data[off:]))
		}
		off += n
		if err == io.EOF {
			if off < len(data) {
				return fmt.Errorf("%s: %w: ends after %d of %d bytes", name, ErrReadBack, off, len(data))
			}
			return nil
		}
	}
}

func firstDifference(a, b []byte) int {
	for i := range a {
		if a[i] != b[i] {
			return i
		}
	}
	return len(a)
}
