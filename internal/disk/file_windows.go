package disk

import (
	"io"
	"os"
	"sync"
)

type file struct {
	*os.File
	name string

	mu      sync.Mutex
	syncErr error
}

func (f *file) Name() string { return f.name }

func (f *file) Sync() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.syncErr == nil {
		f.syncErr = f.File.Sync()
	}
	return f.syncErr
}

func (f *file) Stat() (Stat, error) {
	fi, err := f.File.Stat()
	if err != nil {
		return Stat{}, err
	}
	return statOf(fi), nil
}

// Evict cannot: a file is uncached only as long as nobody has it open with a
// cache.
func (f *file) Evict() (Coldness, error) { return Warm, nil }

func (f *file) Data(off int64) (start, end int64, err error) {
	fi, err := f.File.Stat()
	if err != nil {
		return 0, 0, err
	}
	if off >= fi.Size() {
		return 0, 0, io.EOF
	}
	return off, fi.Size(), nil
}
