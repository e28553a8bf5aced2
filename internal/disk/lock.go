package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/gofrs/flock"
)

// Lock is a lock on a file, held until Unlock or the end of the process,
// however it ends.
type Lock struct{ f *flock.Flock }

// TryLock locks the file at path at once, or returns ErrLocked. A missing
// file is made and stays; on a read-only file system an existing one is
// locked.
//
//	open(path, O_CREAT|O_RDWR), or open(path, O_RDONLY) where that is refused
//	flock(LOCK_EX|LOCK_NB)
func TryLock(path string) (*Lock, error) {
	f := flock.New(path, flock.SetFlag(os.O_CREATE|os.O_RDWR), flock.SetPermissions(0o600))
	ok, err := f.TryLock()
	if IsReadOnly(err) || errors.Is(err, fs.ErrPermission) {
		f = flock.New(path, flock.SetFlag(os.O_RDONLY))
		ok, err = f.TryLock()
	}
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	if !ok {
		return nil, fmt.Errorf("lock %s: %w", path, ErrLocked)
	}
	return &Lock{f}, nil
}

// Unlock releases the lock. The file stays: removing it would let two hold
// "the" lock.
func (l *Lock) Unlock() error { return l.f.Close() }
