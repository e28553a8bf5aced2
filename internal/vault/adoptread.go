package vault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/internal/report"
	"waterlock/snapshot"
)

// fileReader reads files as home reads them: the same ranges of data, cut the same way.
type fileReader struct {
	split  *chunk.Splitter
	params chunk.Params
	hasher *chunk.ContentHasher
	rep    report.Reporter
	buf    []byte
}

func newFileReader(p chunk.Params, rep report.Reporter) *fileReader {
	return &fileReader{split: chunk.NewSplitter(p), params: p, hasher: chunk.NewContentHasher(), rep: rep, buf: make([]byte, 0, p.Max)}
}

// file reads a file cold and gives the entry its content and the hash of it. It returns what the file was, before and
// after; one that changes meanwhile is read once more, and then is an error.
func (r *fileReader) file(ctx context.Context, fsys disk.FS, name string, e *snapshot.Entry) (disk.Stat, error) {
	for try := 1; ; try++ {
		st, steady, err := r.once(ctx, fsys, name, e)
		if err != nil || steady {
			return st, err
		}
		if try == 2 {
			return st, errChanging
		}
	}
}

func (r *fileReader) once(ctx context.Context, fsys disk.FS, name string, e *snapshot.Entry) (before disk.Stat, steady bool, err error) {
	f, err := fsys.Open(name)
	if err != nil {
		return before, false, err
	}
	defer f.Close() // was only read
	if _, err := f.Evict(); err != nil {
		return before, false, err
	}
	if before, err = f.Stat(); err != nil {
		return before, false, err
	}
	size, err := r.content(ctx, f, before.Size, e)
	if err != nil {
		return before, false, err
	}
	after, err := f.Stat()
	steady = size == after.Size && before.Size == after.Size && before.MTime == after.MTime && before.CTime == after.CTime
	return before, steady, err
}

// content reads the first size bytes and returns how many there were.
func (r *fileReader) content(ctx context.Context, f disk.File, size int64, e *snapshot.Entry) (read int64, err error) {
	e.Content, e.Hash = nil, chunk.ContentHash{}
	r.hasher.Reset()
	holes := int64(0)
	take := func(p piece) error {
		if p.hole > 0 {
			if holes += p.hole; holes > snapshot.MaxHoles {
				return fmt.Errorf("its holes add up to more than %s, which is the most that can be hashed", report.Size(snapshot.MaxHoles))
			}
			e.Content = append(e.Content, snapshot.Extent{Hole: true, Length: p.hole})
			read += p.hole
			return snapshot.HashZeros(ctx, r.hasher, p.hole)
		}
		if len(e.Content) >= snapshot.MaxExtents {
			return fmt.Errorf("it has more than %d chunks", snapshot.MaxExtents)
		}
		n := int64(len(p.plain))
		e.Content = append(e.Content, snapshot.Extent{ID: chunk.Data.ID(p.plain), Length: n})
		r.hasher.Write(p.plain)
		r.rep.Add(n, 0)
		read += n
		return nil
	}
	if size <= 2*int64(r.params.Max) {
		err = r.pieces(ctx, f, size, func() ([]byte, error) { return r.buf[:0], nil }, take)
	} else {
		err = r.ahead(ctx, f, size, take)
	}
	e.Hash = r.hasher.Sum()
	return read, err
}

// piece is a chunk of a file, or a hole.
type piece struct {
	plain []byte
	hole  int64
}

// pieces calls take for each chunk and hole of the first size bytes in their order. buffer gives the memory for the next
// chunk. A file that has become shorter ends early.
func (r *fileReader) pieces(ctx context.Context, f disk.File, size int64, buffer func() ([]byte, error), take func(piece) error) error {
	for at := int64(0); at < size; {
		start, end := at, size
		if size > snapshot.MinHole {
			var err error
			if start, end, err = snapshot.DataFrom(f, at, size); err != nil {
				return err
			}
		}
		if start > at {
			if err := take(piece{hole: start - at}); err != nil {
				return err
			}
		}
		r.split.Reset(io.NewSectionReader(f, start, end-start))
		for at = start; at < end; {
			if err := ctx.Err(); err != nil {
				return err
			}
			buf, err := buffer()
			if err != nil {
				return err
			}
			plain, err := r.split.Next(buf)
			if errors.Is(err, io.EOF) {
				return nil // it became shorter
			}
			if err != nil {
				return fmt.Errorf("at offset %d: %w", at, err)
			}
			at += int64(len(plain))
			if err := take(piece{plain: plain}); err != nil {
				return err
			}
		}
	}
	return nil
}

// aheadBuffers is how many chunks wait to be hashed while the next is read.
const aheadBuffers = 3

// ahead is pieces with the reading in a goroutine of its own.
func (r *fileReader) ahead(ctx context.Context, f disk.File, size int64, take func(piece) error) error {
	ctx, cancel := context.WithCancel(ctx)
	ready, free := make(chan piece, aheadBuffers), make(chan []byte, aheadBuffers+2)
	for range cap(free) {
		free <- make([]byte, 0, r.params.Max)
	}
	var wg sync.WaitGroup
	var readErr error
	wg.Go(func() {
		defer close(ready)
		readErr = r.pieces(ctx, f, size, func() ([]byte, error) {
			select {
			case buf := <-free:
				return buf[:0], nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}, func(p piece) error {
			select {
			case ready <- p:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	})
	var err error
	for p := range ready {
		if err == nil {
			if err = take(p); err != nil {
				cancel()
			}
		}
		if p.plain != nil {
			free <- p.plain[:0]
		}
	}
	cancel()
	wg.Wait()
	if err != nil {
		return err
	}
	return readErr
}
