package pack

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// Recover finds the records of a pack without its table, in the order in which
// they lie, and calls found for each whose header is sound. The payloads are
// not read. It needs a sound header or footer, which tells the pack id: records
// of other packs that lie within payloads are passed over. It stops at an error
// of found and returns it.
func Recover(r io.ReaderAt, size int64, found func(Place) error) error {
	id, err := identify(r, size)
	if err != nil {
		return err
	}
	return recoverRecords(r, size, id, found)
}

func recoverRecords(r io.ReaderAt, size int64, id identity, found func(Place) error) error {
	size = min(size, MaxSize)
	s := scanner{r: r, size: size}
	head := make([]byte, recordHead)
	last := uint32(0) // numbers ascend, which also keeps copies of own records out
	for off := int64(HeaderSize); off+Overhead <= size; {
		if readAt(r, ErrRecord, off, head) == nil {
			p, err := parseRecordHead(head, id, off)
			if err == nil && p.Number > last && p.End() <= size {
				if err := found(p); err != nil {
					return err
				}
				last = p.Number
				off = p.End()
				continue
			}
		}
		next, err := s.find(off + 1)
		if err != nil {
			return err
		}
		off = next
	}
	return nil
}

// Salvage opens a pack that may be damaged. It returns what Open would have
// refused as damage, and a Reader with all places that can still be known:
// from the table, else by scanning for records. There is an error only if
// neither header nor footer tells how the records are sealed, or reading
// fails.
func Salvage(r io.ReaderAt, size int64) (rd *Reader, damage, err error) {
	id, damage := readHeader(r, size)
	header := &id
	if damage != nil {
		header = nil
	}
	rd, tableErr := openTable(r, size, header)
	if tableErr == nil {
		return rd, damage, nil
	}
	if damage == nil {
		damage = tableErr
	}
	if id, err = identify(r, size); err != nil {
		return nil, damage, err
	}
	rd = &Reader{r: r, size: size, id: id}
	err = recoverRecords(r, size, id, func(p Place) error {
		rd.places = append(rd.places, p)
		return nil
	})
	return rd, damage, err
}

// Check reads and decodes every record, in the order in which they lie, and
// calls each with its place and what is wrong with it, or nil. Damage to
// header, table or footer is tableErr; the records are then found as Salvage
// finds them, and those whose own headers are damaged too may be missing. It
// stops at an error of each, or if no records can be found at all, and returns
// that as err.
func Check(r io.ReaderAt, size int64, each func(Place, error) error) (tableErr, err error) {
	rd, tableErr, err := Salvage(r, size)
	if err != nil {
		return tableErr, err
	}
	var buf []byte
	for _, p := range rd.places {
		plain, bad := rd.Read(p, buf)
		if cap(plain) > cap(buf) {
			buf = plain
		}
		if err := each(p, bad); err != nil {
			return tableErr, err
		}
	}
	return tableErr, nil
}

// The scanner reads large windows, and over bad spots in small steps, but not
// over a device that is gone.
const (
	scanWindow  = 1 << 20
	scanStep    = 4 << 10
	maxBadSteps = 1024
)

// scanner finds the magic of records.
type scanner struct {
	r      io.ReaderAt
	size   int64
	window []byte
	start  int64 // offset of the window
	bad    int
}

// find returns the first offset from off on where a record may begin, and one
// past the file where there is none.
func (s *scanner) find(off int64) (int64, error) {
	for off+Overhead <= s.size {
		if off < s.start || off+int64(len(recordMagic)) > s.start+int64(len(s.window)) {
			if err := s.load(&off); err != nil {
				return 0, err
			}
			continue
		}
		if i := bytes.Index(s.window[off-s.start:], recordMagic[:]); i >= 0 {
			return off + int64(i), nil
		}
		off = s.start + int64(len(s.window)) - int64(len(recordMagic)) + 1
	}
	return s.size, nil
}

// load reads the window at off; where nothing can be read it moves off on.
func (s *scanner) load(off *int64) error {
	if s.window == nil {
		s.window = make([]byte, min(scanWindow, s.size))
	}
	want := s.window[:min(int64(cap(s.window)), s.size-*off)]
	n, err := s.r.ReadAt(want, *off)
	if s.start, s.window = *off, want[:max(n, 0)]; len(s.window) >= len(recordMagic) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) { // the file is shorter than size says
		*off = s.size
		return nil
	}
	if s.bad++; s.bad > maxBadSteps {
		return fmt.Errorf("%w: scan at offset %d: %w", ErrRecord, *off, err)
	}
	*off += scanStep - *off%scanStep
	return nil
}
