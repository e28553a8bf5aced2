package chunkstore

import (
	"errors"
	"syscall"
)

// isNotDir reports that a parent of a name is no directory: a file, or a link
// that is never followed.
func isNotDir(err error) bool {
	return errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ELOOP)
}

// isNotEmpty reports that a directory could not be removed because something
// is in it.
func isNotEmpty(err error) bool {
	return errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, syscall.EEXIST)
}
