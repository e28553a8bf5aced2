package chunkstore

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"waterlock/index"
	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/pack"
)

// placeError is a place that does not hold what it should, as opposed to a
// failure that says nothing about the place.
type placeError struct{ err error }

func (e *placeError) Error() string { return e.err.Error() }
func (e *placeError) Unwrap() error { return e.err }

// condemns reports whether an error of reading a place says that the place is
// bad. Too many open files and the like say nothing about it, nor does a name
// that is not there: a file system may be away, and the mirror's check tells.
func condemns(err error) bool {
	if errors.Is(err, fs.ErrNotExist) || isNotDir(err) {
		return false
	}
	var p *placeError
	var r *pack.RecordError
	var f *pack.FormatError
	return errors.As(err, &p) || errors.As(err, &r) || errors.As(err, &f) || disk.IsIOError(err) ||
		errors.Is(err, disk.ErrNotRegular)
}

// AttachDrive adds the drive as a last place to look for chunks: those with a
// drive row in the catalog. Nil takes it away.
func (s *Store) AttachDrive(src DriveSource) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drive = src
}

func (s *Store) driveSource() DriveSource {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.drive
}

// Get returns the plain bytes of a chunk from any good place; they may lie in
// buf. A place that is found bad is dropped, reported, and becomes a want if it
// was the last. It is a snapshot.Getter, safe for concurrent use.
func (s *Store) Get(id chunk.ID, k chunk.Kind, length int64, buf []byte) ([]byte, error) {
	if length <= 0 || length > chunk.MaxSize {
		return nil, &ChunkError{id, fmt.Errorf("%w: length %d", ErrNoPlace, length)}
	}
	plain, last, err := s.fromPlaces(id, k, length, buf, nil)
	if plain != nil || err != nil {
		return plain, err
	}
	if src := s.driveSource(); src != nil {
		dp, ok, err := s.cat.Drive(id)
		if err != nil {
			return nil, err
		}
		if ok && int64(dp.PlainLen) == length {
			plain, err := src.Get(dp, k, buf)
			if err == nil && int64(len(plain)) == length {
				return plain, nil
			}
			last = cmpErr(err, last)
		}
	}
	if last != nil {
		return nil, &ChunkError{id, fmt.Errorf("%w: %w", ErrNoPlace, last)}
	}
	return nil, &ChunkError{id, ErrNoPlace}
}

func cmpErr(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// fromPlaces reads the chunk from the vault's own places, but for those in the
// containers of not. last is why the last
// of them failed; err is a failure of the catalog.
func (s *Store) fromPlaces(id chunk.ID, k chunk.Kind, length int64, buf []byte, not map[index.ContainerID]bool) (plain []byte, last, err error) {
	s.moves.RLock()
	defer s.moves.RUnlock()
	places, err := s.cat.Places(id)
	if err != nil {
		return nil, nil, err
	}
	// Plain files first: they need no decoding.
	slices.SortStableFunc(places, func(a, b index.Place) int {
		return cmp.Compare(min(a.Encoding, 1), min(b.Encoding, 1))
	})
	for _, p := range places {
		if not[p.Container] || int64(p.PlainLen) != length || (p.Encoding == 0 && k != chunk.Data) {
			continue
		}
		plain, err := s.readTwice(id, k, p, buf)
		if err == nil {
			return plain, nil, nil
		}
		last = err
		if condemns(err) {
			if err := s.badPlace(id, k, p.Container, err); err != nil {
				return nil, nil, err
			}
		}
	}
	return nil, last, nil
}

// readTwice is readPlace that opens the container again and reads once more
// when the device failed: a failure that passes says nothing about the place.
func (s *Store) readTwice(id chunk.ID, k chunk.Kind, p index.Place, buf []byte) ([]byte, error) {
	plain, err := s.readPlace(id, k, p, buf)
	if disk.IsIOError(err) {
		s.handles.forget(p.Container)
		plain, err = s.readPlace(id, k, p, buf)
	}
	return plain, err
}

// readPlace reads and verifies a chunk at one place.
func (s *Store) readPlace(id chunk.ID, k chunk.Kind, p index.Place, buf []byte) ([]byte, error) {
	h, err := s.handles.get(p.Container, func() (*handle, error) { return s.open(p.Container) })
	if err != nil {
		return nil, err
	}
	defer s.handles.put(h)
	if h.pack == nil {
		return readPlain(h.file, id, p, buf)
	}
	if h.pack.Kind() != k {
		return nil, fmt.Errorf("it is a chunk of kind %v", h.pack.Kind()) // the asker is wrong, not the place
	}
	rows := h.pack.Places()
	i, ok := slices.BinarySearchFunc(rows, p.Offset, func(r pack.Place, off int64) int { return cmp.Compare(r.Offset, off) })
	if !ok || rows[i].ID != id {
		return nil, &placeError{fmt.Errorf("no record of chunk %s at offset %d", id.Short(), p.Offset)}
	}
	return h.pack.Read(rows[i], buf)
}

// readPlain reads a chunk from a plain file.
func readPlain(r io.ReaderAt, id chunk.ID, p index.Place, buf []byte) ([]byte, error) {
	n := int(p.PlainLen)
	if cap(buf) < n {
		buf = make([]byte, n, n+pack.ReadSlack)
	}
	buf = buf[:n]
	if m, err := r.ReadAt(buf, p.Offset); m < n {
		if err == nil || err == io.EOF {
			return nil, &placeError{fmt.Errorf("offset %d: %w", p.Offset, io.ErrUnexpectedEOF)}
		}
		return nil, err
	}
	if found := chunk.Data.ID(buf); found != id {
		return nil, &placeError{fmt.Errorf("offset %d: chunk %s reads as %s", p.Offset, id.Short(), found.Short())}
	}
	return buf, nil
}

// badPlace drops a place that was found bad, marks its container, and makes the
// chunk a want where it has no place left.
func (s *Store) badPlace(id chunk.ID, k chunk.Kind, cid index.ContainerID, cause error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.cat.Batch()
	b.DropPlace(id, cid)
	c, ok, err := s.cat.Container(cid)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("container %d", cid)
	if ok {
		if _, n, err := s.locate(c); err == nil {
			name = n
		}
		if !c.Damaged {
			c.Damaged = true
			b.PutContainer(c)
		}
	}
	left, err := s.placesBut(id, cid)
	if err != nil {
		return err
	}
	if left == 0 {
		b.PutWant(id, index.Want{Kind: k})
	}
	if err := b.Commit(); err != nil {
		return err
	}
	s.reportOnce(cid, name, cause)
	return nil
}

// placesBut counts the places of a chunk outside one container.
func (s *Store) placesBut(id chunk.ID, cid index.ContainerID) (int, error) {
	places, err := s.cat.Places(id)
	n := 0
	for _, p := range places {
		if p.Container != cid {
			n++
		}
	}
	return n, err
}

// problem reports a damaged container, once for each.
func (s *Store) problem(id index.ContainerID, name string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reportOnce(id, name, err)
}

// maxReported bounds the memory of what was reported.
const maxReported = 4096

func (s *Store) reportOnce(id index.ContainerID, name string, err error) {
	if s.reported[id] || len(s.reported) >= maxReported {
		return
	}
	s.reported[id] = true
	s.report.Problem(name, err)
}

// Has reports whether the vault has a durable place of the chunk.
func (s *Store) Has(id chunk.ID) (bool, error) { return s.cat.Has(id) }

// HasOrDrive reports whether the vault or the attached drive has the chunk.
func (s *Store) HasOrDrive(id chunk.ID) (bool, error) {
	ok, err := s.cat.Has(id)
	if ok || err != nil || s.driveSource() == nil {
		return ok, err
	}
	_, ok, err = s.cat.Drive(id)
	return ok, err
}
