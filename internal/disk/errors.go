package disk

import (
	"errors"
	"io/fs"
	"syscall"
)

var (
	// ErrNotRegular is the cause when something else than a regular file was
	// to be opened.
	ErrNotRegular = errors.New("not a regular file")
	// ErrName is the cause when a name could lead out of its root.
	ErrName = errors.New("invalid name")
	// ErrLocked says that another process holds the lock.
	ErrLocked = errors.New("locked by another process")
	// ErrTooBig says that a file is larger than its reader allows.
	ErrTooBig = errors.New("file too big")
	// ErrReadBack says that a file does not read back as it was written.
	ErrReadBack = errors.New("reads back other than it was written")
)

// IsReadOnly tells whether an error is that of a file system that is mounted
// read-only.
func IsReadOnly(err error) bool { return errors.Is(err, syscall.EROFS) }

func pathError(op, path string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: path, Err: err}
}
