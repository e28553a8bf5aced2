//go:build linux || darwin

package disk

import (
	"io"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// writeBackEvery is how many bytes are written before the disk is set to
// work, so that the sync at the end does not find all of them waiting.
const writeBackEvery = 16 << 20

// file is an open regular file.
type file struct {
	f     *os.File
	d     *dir
	name  string
	dirty atomic.Int64 // written since write-back was last started

	mu      sync.Mutex
	syncErr error // of the first sync that failed
}

func newFile(d *dir, fd int, name string) *file {
	return &file{f: os.NewFile(uintptr(fd), d.at.path(name)), d: d, name: name}
}

func (f *file) Name() string                              { return f.name }
func (f *file) Close() error                              { return f.f.Close() }
func (f *file) Read(p []byte) (int, error)                { return f.f.Read(p) }
func (f *file) ReadAt(p []byte, off int64) (int, error)   { return f.f.ReadAt(p, off) }
func (f *file) Seek(off int64, whence int) (int64, error) { return f.f.Seek(off, whence) }
func (f *file) Truncate(size int64) error                 { return f.f.Truncate(size) }

func (f *file) Write(p []byte) (int, error) {
	n, err := f.f.Write(p)
	f.wrote(n)
	return n, err
}

func (f *file) WriteAt(p []byte, off int64) (int, error) {
	n, err := f.f.WriteAt(p, off)
	f.wrote(n)
	return n, err
}

// wrote starts write-back of what is dirty, without waiting for it.
func (f *file) wrote(n int) {
	if f.dirty.Add(int64(n)) >= writeBackEvery {
		f.dirty.Store(0)
		f.control("write back", func(fd int) error { startWriteBack(fd); return nil })
	}
}

// control runs a call on the descriptor.
func (f *file) control(op string, call func(fd int) error) error {
	c, err := f.f.SyscallConn()
	if err != nil {
		return err
	}
	var cerr error
	if err := c.Control(func(fd uintptr) {
		cerr = retry(func() error { return call(int(fd)) })
	}); err != nil {
		return err
	}
	return pathError(op, f.f.Name(), cerr)
}

func (f *file) Sync() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.syncErr == nil {
		f.syncErr = f.control("sync", fsync)
	}
	return f.syncErr
}

func (f *file) Stat() (Stat, error) {
	var st Stat
	err := f.control("stat", func(fd int) (err error) {
		st, err = statfd(fd)
		return err
	})
	return st, err
}

func (f *file) Evict() (Coldness, error) {
	c := Warm
	err := f.control("evict", func(fd int) (err error) {
		c, err = evict(fd)
		return err
	})
	return c, err
}

// Data asks with SEEK_DATA and SEEK_HOLE by a descriptor whose position this
// moves and puts back: not to be used beside Read, Write and Seek of others.
func (f *file) Data(off int64) (start, end int64, err error) {
	err = f.control("seek data", func(fd int) error {
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil {
			return err
		}
		if off >= st.Size {
			return io.EOF
		}
		pos, err := unix.Seek(fd, 0, io.SeekCurrent)
		if err != nil {
			return err
		}
		defer unix.Seek(fd, pos, io.SeekStart)
		start, err = unix.Seek(fd, off, seekData)
		switch err {
		case nil:
		case unix.ENXIO: // only a hole is left
			return io.EOF
		case unix.EINVAL, unix.ENOTSUP:
			start, end = off, st.Size
			return nil
		default:
			return err
		}
		end, err = unix.Seek(fd, start, seekHole)
		if err != nil || end > st.Size {
			end = st.Size
		}
		if end <= start { // shrunk meanwhile
			return io.EOF
		}
		return nil
	})
	if pe := cause(err); pe == io.EOF {
		err = io.EOF
	}
	return start, end, err
}
