package disktest

import (
	"io"
	"io/fs"
	"syscall"

	"waterlock/internal/disk"
)

// memFile is an open file of a Mem.
type memFile struct {
	c        *core
	n        *inode
	name     string
	full     string
	writable bool
	pos      int64
	closed   bool
}

func (f *memFile) Name() string { return f.name }

func (f *memFile) err(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return &fs.PathError{Op: op, Path: f.full, Err: err}
}

// reading runs one operation that changes nothing.
func (f *memFile) reading(op string, do func() error) error {
	f.c.mu.Lock()
	defer f.c.mu.Unlock()
	err := f.c.read()
	if f.closed {
		err = fs.ErrClosed
	}
	if err == nil {
		err = do()
	}
	return f.err(op, err)
}

// changing runs one change or sync.
func (f *memFile) changing(op string, do func() error) error {
	f.c.mu.Lock()
	defer f.c.mu.Unlock()
	err := f.c.change()
	if f.closed {
		err = fs.ErrClosed
	}
	if err == nil {
		err = do()
	}
	return f.err(op, err)
}

func (f *memFile) Read(p []byte) (n int, err error) {
	err = f.reading("read", func() error {
		n = f.n.readAt(p, f.pos)
		f.pos += int64(n)
		if n == 0 && len(p) > 0 {
			return io.EOF
		}
		return nil
	})
	return n, err
}

func (f *memFile) ReadAt(p []byte, off int64) (n int, err error) {
	err = f.reading("read", func() error {
		if off < 0 {
			return syscall.EINVAL
		}
		if n = f.n.readAt(p, off); n < len(p) {
			return io.EOF
		}
		return nil
	})
	return n, err
}

func (f *memFile) Write(p []byte) (n int, err error) {
	err = f.changing("write", func() error {
		if !f.writable {
			return syscall.EBADF
		}
		n, err = f.c.writeAt(f.n, p, f.pos)
		f.pos += int64(n)
		return err
	})
	return n, err
}

func (f *memFile) WriteAt(p []byte, off int64) (n int, err error) {
	err = f.changing("write", func() error {
		if !f.writable {
			return syscall.EBADF
		}
		if off < 0 {
			return syscall.EINVAL
		}
		n, err = f.c.writeAt(f.n, p, off)
		return err
	})
	return n, err
}

func (f *memFile) Seek(off int64, whence int) (pos int64, err error) {
	err = f.reading("seek", func() error {
		switch whence {
		case io.SeekCurrent:
			off += f.pos
		case io.SeekEnd:
			off += f.n.now.size
		}
		if off < 0 {
			return syscall.EINVAL
		}
		f.pos, pos = off, off
		return nil
	})
	return pos, err
}

func (f *memFile) Close() error {
	f.c.mu.Lock()
	defer f.c.mu.Unlock()
	if f.closed {
		return f.err("close", fs.ErrClosed)
	}
	f.closed = true
	f.n.handles--
	f.c.letGo(f.n)
	return nil
}

func (f *memFile) Stat() (st disk.Stat, err error) {
	err = f.reading("stat", func() error {
		st = f.n.stat()
		return nil
	})
	return st, err
}

func (f *memFile) Truncate(size int64) error {
	return f.changing("truncate", func() error {
		if !f.writable || size < 0 {
			return syscall.EINVAL
		}
		return f.c.truncate(f.n, size)
	})
}

func (f *memFile) Sync() error {
	return f.changing("sync", func() error {
		f.n.syncFile()
		return nil
	})
}

// Evict is cold unless something is not synced.
func (f *memFile) Evict() (c disk.Coldness, err error) {
	err = f.reading("evict", func() error {
		if c = disk.Cold; f.n.dirty {
			c = disk.Warm
		}
		return nil
	})
	return c, err
}

func (f *memFile) Data(off int64) (start, end int64, err error) {
	err = f.reading("seek data", func() error {
		size := f.n.now.size
		for start = off; start < size && f.n.page(start/pageSize) == nil; {
			start += pageSize - start%pageSize
		}
		if start >= size {
			return io.EOF
		}
		for end = start; end < size && f.n.page(end/pageSize) != nil; {
			end += pageSize - end%pageSize
		}
		end = min(end, size)
		return nil
	})
	return start, end, err
}
