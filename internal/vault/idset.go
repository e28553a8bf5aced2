package vault

import (
	"bufio"
	"cmp"
	"container/heap"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"waterlock/internal/chunk"
	"waterlock/internal/disk"
)

// An idSet is a set of chunk IDs of any size in bounded memory. IDs are gathered up to a number, sorted, and written as a run to a
// scratch file; at the end the runs are merged into one sorted file, of which every idBlock-th ID is kept in memory. A
// set that fits in memory never sees the disk. The files hold IDs and nothing else; they need not be durable, and what
// a crash leaves of them the next set removes. Memory: 32 MiB while it is made, then 64 KiB a million IDs; scratch space: twice 32 bytes an ID
// that comes in, repetitions within a million of them not counted.
type idSet struct {
	dir    disk.FS
	ids    []chunk.ID // gathered; once the set is closed and small, all of it
	most   int
	runs   int
	n      int64
	file   disk.File
	starts []chunk.ID // the first of each block of the file
	block  []byte     // the block read last
	at     int        // its number
}

const (
	scratchDir = ".wl/scratch"
	idsInRun   = 1 << 20
	idBlock    = 512
	idBytes    = int64(len(chunk.ID{}))
)

func newIDSet(vault disk.FS, most int) (*idSet, error) {
	s := &idSet{dir: vault, most: most, at: -1}
	return s, errors.Join(s.sweep(), disk.MkdirAll(vault, scratchDir, 0o700))
}

// sweep removes what lies in the scratch directory.
func (s *idSet) sweep() error {
	names, err := s.dir.ReadDir(scratchDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for i := range names.Len() {
		if err := s.dir.Remove(scratchDir + "/" + names.At(i)); err != nil {
			return err
		}
	}
	return nil
}

func runName(n int) string { return fmt.Sprintf("%s/ids-%d", scratchDir, n) }

func (s *idSet) add(id chunk.ID) error {
	if len(s.ids) >= s.most {
		if err := s.spill(); err != nil {
			return err
		}
	}
	if len(s.ids) == cap(s.ids) && len(s.ids) > s.most/16 {
		s.ids = slices.Grow(s.ids, s.most-len(s.ids)) // at once: growing by and by takes three times as much
	}
	s.ids = append(s.ids, id)
	return nil
}

func (s *idSet) sort() {
	slices.SortFunc(s.ids, chunk.ID.Compare)
	s.ids = slices.Compact(s.ids)
}

// spill makes room for more: where sorting out repetitions does not, what is there becomes a run.
func (s *idSet) spill() error {
	s.sort()
	if len(s.ids) <= s.most/2 {
		return nil
	}
	w, err := createIDs(s.dir, runName(s.runs))
	if err != nil {
		return err
	}
	for _, id := range s.ids {
		if err := w.put(id); err != nil {
			return errors.Join(err, w.f.Close())
		}
	}
	s.ids = s.ids[:0]
	s.runs++
	return w.close()
}

// finish ends adding. From then on has answers.
func (s *idSet) finish() error {
	if s.runs == 0 {
		s.sort()
		s.n = int64(len(s.ids))
		return nil
	}
	s.sort()
	if err := s.merge(); err != nil {
		return err
	}
	s.ids = nil
	f, err := s.dir.Open(scratchDir + "/ids")
	s.file = f
	return err
}

// merge merges the runs, and what is in memory, into one file.
func (s *idSet) merge() error {
	var heads idHeap
	defer func() {
		for _, h := range heads {
			h.close()
		}
	}()
	for i := range s.runs {
		f, err := s.dir.Open(runName(i))
		if err != nil {
			return err
		}
		heads = append(heads, &idRun{f: f, r: bufio.NewReaderSize(f, 256<<10)})
	}
	heads = append(heads, &idRun{list: s.ids})
	for _, h := range slices.Clone(heads) {
		if ok, err := h.next(); err != nil {
			return err
		} else if !ok {
			h.close()
			heads = slices.DeleteFunc(heads, func(o *idRun) bool { return o == h })
		}
	}
	heap.Init(&heads)
	w, err := createIDs(s.dir, scratchDir+"/ids")
	if err != nil {
		return err
	}
	var last chunk.ID
	for len(heads) > 0 {
		if id := heads[0].id; s.n == 0 || id != last {
			if s.n%idBlock == 0 {
				s.starts = append(s.starts, id)
			}
			if err := w.put(id); err != nil {
				return errors.Join(err, w.f.Close())
			}
			last = id
			s.n++
		}
		switch ok, err := heads[0].next(); {
		case err != nil:
			return errors.Join(err, w.f.Close())
		case ok:
			heap.Fix(&heads, 0)
		default:
			heap.Pop(&heads).(*idRun).close()
		}
	}
	return w.close()
}

// has tells whether an ID is in the set. It is for one goroutine.
func (s *idSet) has(id chunk.ID) (bool, error) {
	if s.file == nil {
		_, found := slices.BinarySearchFunc(s.ids, id, chunk.ID.Compare)
		return found, nil
	}
	i, found := slices.BinarySearchFunc(s.starts, id, chunk.ID.Compare)
	if found || i == 0 {
		return found, nil
	}
	if err := s.read(i - 1); err != nil {
		return false, err
	}
	lo, hi := 0, len(s.block)/int(idBytes)
	for lo < hi {
		mid := (lo + hi) / 2
		switch c := chunk.ID(s.block[mid*int(idBytes):][:idBytes]).Compare(id); {
		case c == 0:
			return true, nil
		case c < 0:
			lo = mid + 1
		default:
			hi = mid
		}
	}
	return false, nil
}

// read reads one block of the file.
func (s *idSet) read(block int) error {
	if s.at == block {
		return nil
	}
	n := min(idBlock, s.n-int64(block)*idBlock) * idBytes
	s.at = -1
	s.block = slices.Grow(s.block[:0], int(n))[:n]
	if m, err := s.file.ReadAt(s.block, int64(block)*idBlock*idBytes); int64(m) < n {
		return fmt.Errorf("%s: %w", s.file.Name(), cmp.Or(err, io.ErrUnexpectedEOF))
	}
	s.at = block
	return nil
}

// close removes the files.
func (s *idSet) close() {
	if s.file != nil {
		s.file.Close() // was only read
	}
	_ = s.sweep() // scratch; the next set removes it otherwise
}

// idWriter writes IDs to a scratch file.
type idWriter struct {
	f disk.File
	w *bufio.Writer
}

func createIDs(dir disk.FS, name string) (*idWriter, error) {
	f, err := dir.Create(name, 0o600)
	if err != nil {
		return nil, err
	}
	return &idWriter{f, bufio.NewWriterSize(f, 256<<10)}, nil
}

func (w *idWriter) put(id chunk.ID) error {
	_, err := w.w.Write(id[:])
	return err
}

func (w *idWriter) close() error { return errors.Join(w.w.Flush(), w.f.Close()) }

// idRun is a sorted run of which the first ID is at hand.
type idRun struct {
	id   chunk.ID
	f    disk.File
	r    *bufio.Reader
	list []chunk.ID // where it never went to a file
}

func (r *idRun) next() (bool, error) {
	if r.f == nil {
		if len(r.list) == 0 {
			return false, nil
		}
		r.id, r.list = r.list[0], r.list[1:]
		return true, nil
	}
	switch _, err := io.ReadFull(r.r, r.id[:]); err {
	case nil:
		return true, nil
	case io.EOF:
		return false, nil
	default:
		return false, fmt.Errorf("%s: %w", r.f.Name(), err)
	}
}

func (r *idRun) close() {
	if r.f != nil {
		r.f.Close() // was only read
	}
}

type idHeap []*idRun

func (h idHeap) Len() int           { return len(h) }
func (h idHeap) Less(i, j int) bool { return h[i].id.Compare(h[j].id) < 0 }
func (h idHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *idHeap) Push(x any)        { *h = append(*h, x.(*idRun)) }
func (h *idHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}
