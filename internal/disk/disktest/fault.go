package disktest

import (
	"fmt"
	"io"
	"sync"
	"syscall"

	"waterlock/internal/disk"
)

// FaultKind is the kind of a failure.
type FaultKind uint8

const (
	// EIO: the operation has no effect and fails.
	EIO FaultKind = 1
	// ENOSPC: the disk is full. Reads and removals fail with EIO.
	ENOSPC FaultKind = 2
	// ShortWrite: half of the bytes are written, then the disk is full. Other
	// operations fail with EIO.
	ShortWrite FaultKind = 3
	// LateEIO: the operation has its effect and fails all the same.
	LateEIO FaultKind = 4
)

// FaultKinds are all of them.
var FaultKinds = []FaultKind{EIO, ENOSPC, ShortWrite, LateEIO}

func (k FaultKind) String() string {
	return [...]string{"none", "EIO", "ENOSPC", "short write", "late EIO"}[min(k, 4)]
}

// Fault wraps an FS and lets one operation fail. After a failed sync the file
// behaves as on Linux: what was written since the last good sync reads as
// zeros, and the next sync succeeds.
type Fault struct {
	disk.FS
	s *faultState
}

type faultState struct {
	mu      sync.Mutex
	reads   bool
	ops     int
	failAt  int
	kind    FaultKind
	forever bool
	failed  string
	dirty   map[uint64][]byteRange // written since the last good sync, by inode
}

type byteRange struct{ off, len int64 }

// NewFault wraps fs. Nothing fails until FailAt is called.
func NewFault(fs disk.FS) *Fault {
	s := &faultState{dirty: map[uint64][]byteRange{}}
	return &Fault{&faultDir{fs, s, ""}, s}
}

// CountReads makes opening for reading, reads, Stat, ReadDir and the like
// count as operations, too.
func (f *Fault) CountReads(on bool) {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	f.s.reads = on
}

// FailAt makes the k-th operation from now fail (the first is 1), with forever
// also all after it. Zero: none.
func (f *Fault) FailAt(k int, kind FaultKind, forever bool) {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	f.s.failAt, f.s.kind, f.s.forever, f.s.failed = 0, kind, forever, ""
	if k > 0 {
		f.s.failAt = f.s.ops + k
	}
}

// Ops is the number of operations counted so far.
func (f *Fault) Ops() int {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	return f.s.ops
}

// Failed says which operation failed first, "" for none.
func (f *Fault) Failed() string {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	return f.s.failed
}

// opClass tells operations apart for counting and for what can befall them.
type opClass uint8

const (
	reading  opClass = 1
	removing opClass = 2
	growing  opClass = 3
)

// next counts an operation and tells how it fails, if it does.
func (s *faultState) next(class opClass, op, name string) FaultKind {
	s.mu.Lock()
	defer s.mu.Unlock()
	if class == reading && !s.reads {
		return 0
	}
	s.ops++
	if s.failAt == 0 || s.ops != s.failAt && !(s.forever && s.ops > s.failAt) {
		return 0
	}
	if s.failed == "" {
		s.failed = fmt.Sprintf("%s %s", op, name)
	}
	if s.kind == ENOSPC && class != growing || s.kind == ShortWrite && op != "write" {
		return EIO
	}
	return s.kind
}

// run does an operation, or lets it fail.
func (s *faultState) run(class opClass, op, name string, do func() error) error {
	switch s.next(class, op, name) {
	case 0:
		return do()
	case LateEIO:
		do()
	case ENOSPC:
		return &faultError{op, name, syscall.ENOSPC}
	}
	return &faultError{op, name, syscall.EIO}
}

type faultError struct {
	op, name string
	err      error
}

func (e *faultError) Error() string {
	return e.op + " " + e.name + ": " + e.err.Error() + " (injected)"
}
func (e *faultError) Unwrap() error { return e.err }

type faultDir struct {
	fs   disk.FS
	s    *faultState
	path string
}

func (d *faultDir) open(class opClass, op, name string, open func() (disk.File, error)) (f disk.File, err error) {
	err = d.s.run(class, op, d.path+name, func() (err error) {
		f, err = open()
		return err
	})
	if err != nil {
		if f != nil {
			f.Close()
		}
		return nil, err
	}
	return &faultFile{f, d.s, d.path + name}, nil
}

func (d *faultDir) Open(name string) (disk.File, error) {
	return d.open(reading, "open", name, func() (disk.File, error) { return d.fs.Open(name) })
}

func (d *faultDir) OpenWrite(name string) (disk.File, error) {
	return d.open(reading, "open", name, func() (disk.File, error) { return d.fs.OpenWrite(name) })
}

func (d *faultDir) Create(name string, perm uint32) (disk.File, error) {
	return d.open(growing, "create", name, func() (disk.File, error) { return d.fs.Create(name, perm) })
}

func (d *faultDir) Mkdir(name string, perm uint32) error {
	return d.s.run(growing, "mkdir", d.path+name, func() error { return d.fs.Mkdir(name, perm) })
}

func (d *faultDir) Mkfifo(name string, perm uint32) error {
	return d.s.run(growing, "mkfifo", d.path+name, func() error { return d.fs.Mkfifo(name, perm) })
}

func (d *faultDir) Mkdev(name string, kind disk.Kind, rdev uint64, perm uint32) error {
	return d.s.run(growing, "mkdev", d.path+name, func() error { return d.fs.Mkdev(name, kind, rdev, perm) })
}

func (d *faultDir) Symlink(target, name string) error {
	return d.s.run(growing, "symlink", d.path+name, func() error { return d.fs.Symlink(target, name) })
}

func (d *faultDir) Link(oldname, newname string) error {
	return d.s.run(growing, "link", d.path+newname, func() error { return d.fs.Link(oldname, newname) })
}

func (d *faultDir) Rename(oldname, newname string) error {
	return d.s.run(growing, "rename", d.path+newname, func() error { return d.fs.Rename(oldname, newname) })
}

func (d *faultDir) Remove(name string) error {
	return d.s.run(removing, "remove", d.path+name, func() error { return d.fs.Remove(name) })
}

func (d *faultDir) Readlink(name string) (target string, err error) {
	err = d.s.run(reading, "readlink", d.path+name, func() (err error) {
		target, err = d.fs.Readlink(name)
		return err
	})
	return target, err
}

func (d *faultDir) Stat(name string) (st disk.Stat, err error) {
	err = d.s.run(reading, "stat", d.path+name, func() (err error) {
		st, err = d.fs.Stat(name)
		return err
	})
	return st, err
}

func (d *faultDir) ReadDir(name string) (names disk.Names, err error) {
	err = d.s.run(reading, "readdir", d.path+name, func() (err error) {
		names, err = d.fs.ReadDir(name)
		return err
	})
	return names, err
}

func (d *faultDir) Meta(name string, st disk.Stat) (m disk.Meta, err error) {
	err = d.s.run(reading, "xattr", d.path+name, func() (err error) {
		m, err = d.fs.Meta(name, st)
		return err
	})
	return m, err
}

func (d *faultDir) SetMeta(name string, m disk.Meta, o disk.MetaOptions) error {
	return d.s.run(growing, "set metadata", d.path+name, func() error { return d.fs.SetMeta(name, m, o) })
}

func (d *faultDir) SyncDir(name string) error {
	return d.s.run(growing, "sync", d.path+name, func() error { return d.fs.SyncDir(name) })
}

// SyncFiles is one operation a file.
func (d *faultDir) SyncFiles(names []string) error {
	for _, name := range names {
		st, err := d.fs.Stat(name)
		if err != nil {
			return err
		}
		err = d.s.run(growing, "sync", d.path+name, func() error { return d.fs.SyncFiles([]string{name}) })
		if lost := d.s.takeDirty(st.Ino); err != nil {
			loseIn(d.fs, name, lost)
			return err
		}
	}
	return nil
}

// CloneRange counts as a write.
func (d *faultDir) CloneRange(from, to string, off, n int64) error {
	return d.s.run(growing, "clone", d.path+to, func() error { return d.fs.CloneRange(from, to, off, n) })
}

func (d *faultDir) Sub(name string) (sub disk.FS, err error) {
	err = d.s.run(reading, "open", d.path+name, func() (err error) {
		sub, err = d.fs.Sub(name)
		return err
	})
	if err != nil {
		if sub != nil {
			sub.Close()
		}
		return nil, err
	}
	return &faultDir{sub, d.s, d.path + name + "/"}, nil
}

func (d *faultDir) Free() (disk.Space, error) { return d.fs.Free() }
func (d *faultDir) Close() error              { return d.fs.Close() }

type faultFile struct {
	disk.File
	s    *faultState
	path string
}

func (f *faultFile) Read(p []byte) (n int, err error) {
	err = f.s.run(reading, "read", f.path, func() (err error) {
		n, err = f.File.Read(p)
		return err
	})
	return n, err
}

func (f *faultFile) ReadAt(p []byte, off int64) (n int, err error) {
	err = f.s.run(reading, "read", f.path, func() (err error) {
		n, err = f.File.ReadAt(p, off)
		return err
	})
	return n, err
}

func (f *faultFile) Write(p []byte) (int, error) {
	return f.write(p, f.File.Write, func(n int) int64 {
		pos, _ := f.File.Seek(0, io.SeekCurrent)
		return pos - int64(n)
	})
}

func (f *faultFile) WriteAt(p []byte, off int64) (int, error) {
	return f.write(p, func(p []byte) (int, error) { return f.File.WriteAt(p, off) }, func(int) int64 { return off })
}

func (f *faultFile) write(p []byte, write func([]byte) (int, error), begin func(n int) int64) (n int, err error) {
	kind := f.s.next(growing, "write", f.path)
	switch kind {
	case EIO:
		return 0, &faultError{"write", f.path, syscall.EIO}
	case ENOSPC:
		return 0, &faultError{"write", f.path, syscall.ENOSPC}
	case ShortWrite:
		p = p[:len(p)/2]
	}
	n, err = write(p)
	if n > 0 {
		if st, e := f.File.Stat(); e == nil {
			f.s.mu.Lock()
			f.s.dirty[st.Ino] = append(f.s.dirty[st.Ino], byteRange{begin(n), int64(n)})
			f.s.mu.Unlock()
		}
	}
	switch {
	case err != nil:
	case kind == ShortWrite:
		err = &faultError{"write", f.path, syscall.ENOSPC}
	case kind == LateEIO:
		err = &faultError{"write", f.path, syscall.EIO}
	}
	return n, err
}

func (f *faultFile) Truncate(size int64) error {
	return f.s.run(growing, "truncate", f.path, func() error { return f.File.Truncate(size) })
}

func (f *faultFile) Sync() error {
	err := f.s.run(growing, "sync", f.path, f.File.Sync)
	st, e := f.File.Stat()
	if e != nil {
		return err
	}
	if lost := f.s.takeDirty(st.Ino); err != nil {
		lose(f.File, lost)
	}
	return err
}

func (f *faultFile) Stat() (st disk.Stat, err error) {
	err = f.s.run(reading, "stat", f.path, func() (err error) {
		st, err = f.File.Stat()
		return err
	})
	return st, err
}

func (f *faultFile) Evict() (c disk.Coldness, err error) {
	err = f.s.run(reading, "evict", f.path, func() (err error) {
		c, err = f.File.Evict()
		return err
	})
	return c, err
}

// takeDirty returns what was written to an inode since its last good sync,
// and forgets it.
func (s *faultState) takeDirty(ino uint64) []byteRange {
	s.mu.Lock()
	defer s.mu.Unlock()
	lost := s.dirty[ino]
	delete(s.dirty, ino)
	return lost
}

// lose writes zeros where writes were lost.
func lose(f disk.File, lost []byteRange) {
	st, err := f.Stat()
	for _, r := range lost {
		if err == nil && r.off < st.Size {
			f.WriteAt(make([]byte, min(r.len, st.Size-r.off)), r.off)
		}
	}
}

func loseIn(fs disk.FS, name string, lost []byteRange) {
	if f, err := fs.OpenWrite(name); err == nil {
		lose(f, lost)
		f.Close()
	}
}
