package disktest

import (
	"sync"

	"waterlock/internal/disk"
)

// Flipper is a drive that does not keep what it was given: some files read
// back with one bit flipped, in the byte in their middle.
type Flipper struct {
	disk.FS
	s *flipState
}

type flipState struct {
	mu      sync.Mutex
	match   func(name string) bool
	times   int
	flipped int
}

// FlipOnReadBack wraps fs. Files whose name (from the root of the wrapper)
// matches are read wrong through the first so many handles, counting each
// handle at its first read; always, if times is negative.
func FlipOnReadBack(fs disk.FS, match func(name string) bool, times int) *Flipper {
	s := &flipState{match: match, times: times}
	return &Flipper{flipDir{fs, s, ""}, s}
}

// Flipped is the number of handles that read wrong.
func (f *Flipper) Flipped() int {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	return f.s.flipped
}

// draw decides whether a handle reads wrong.
func (s *flipState) draw(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.times == 0 || !s.match(name) {
		return false
	}
	if s.times > 0 {
		s.times--
	}
	s.flipped++
	return true
}

type flipDir struct {
	disk.FS
	s    *flipState
	path string
}

func (d flipDir) wrap(name string, f disk.File, err error) (disk.File, error) {
	if err != nil {
		return nil, err
	}
	return &flipFile{File: f, s: d.s, path: d.path + name}, nil
}

func (d flipDir) Open(name string) (disk.File, error) {
	f, err := d.FS.Open(name)
	return d.wrap(name, f, err)
}

func (d flipDir) OpenWrite(name string) (disk.File, error) {
	f, err := d.FS.OpenWrite(name)
	return d.wrap(name, f, err)
}

func (d flipDir) Create(name string, perm uint32) (disk.File, error) {
	f, err := d.FS.Create(name, perm)
	return d.wrap(name, f, err)
}

func (d flipDir) Sub(name string) (disk.FS, error) {
	sub, err := d.FS.Sub(name)
	if err != nil {
		return nil, err
	}
	return flipDir{sub, d.s, d.path + name + "/"}, nil
}

type flipFile struct {
	disk.File
	s    *flipState
	path string

	once sync.Once
	bad  bool
}

// flip flips the bit, if the bytes p from off hold it.
func (f *flipFile) flip(p []byte, off int64) {
	if len(p) == 0 {
		return
	}
	f.once.Do(func() { f.bad = f.s.draw(f.path) })
	st, err := f.File.Stat()
	if !f.bad || err != nil {
		return
	}
	if at := st.Size/2 - off; at >= 0 && at < int64(len(p)) {
		p[at] ^= 1
	}
}

func (f *flipFile) Read(p []byte) (int, error) {
	pos, err := f.File.Seek(0, 1)
	if err != nil {
		return 0, err
	}
	n, err := f.File.Read(p)
	f.flip(p[:n], pos)
	return n, err
}

func (f *flipFile) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.File.ReadAt(p, off)
	f.flip(p[:n], off)
	return n, err
}
