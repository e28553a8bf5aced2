package snapshot

import (
	"fmt"
	"math"

	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/internal/wire"
)

// Flags of an encoded entry. All other bits are zero.
const (
	flagPending   = 1 << 0
	flagUnseen    = 1 << 1
	flagBTime     = 1 << 2
	flagLinkGroup = 1 << 3
	flagHash      = 1 << 4
	flagContinued = 1 << 5 // items only: a `more` item follows
)

const digestContext = "waterlock 2026-11 entry digest"

// EncodeEntry writes an entry by itself, with its full path and all content.
// The entry must be valid.
func EncodeEntry(w *wire.Writer, e *Entry) {
	w.String(e.Path)
	encodeFields(w, e, 0)
	if e.Kind == disk.KindFile {
		encodeExtents(w, e.Content)
		encodeExtents(w, e.Carried)
	}
}

// DecodeEntry reads what EncodeEntry wrote.
func DecodeEntry(r *wire.Reader) (*Entry, error) {
	e := new(Entry)
	if err := decodeEntry(r, e, new(owners)); err != nil {
		return nil, err
	}
	return e, nil
}

func decodeEntry(r *wire.Reader, e *Entry, names *owners) error {
	content, carried := e.Content[:0], e.Carried[:0]
	*e = Entry{Path: r.String(MaxPath)}
	flags, err := decodeFields(r, e, names)
	if err != nil {
		return err
	}
	if flags&flagContinued != 0 {
		return fmt.Errorf("%w: flags %#x", ErrEntry, flags)
	}
	if e.Kind == disk.KindFile {
		if e.Content, err = decodeExtents(r, content, MaxExtents); err != nil {
			return err
		}
		if e.Carried, err = decodeExtents(r, carried, MaxExtents); err != nil {
			return err
		}
	}
	return e.Validate()
}

// Digest covers all of an entry but Pending, Unseen and Carried.
func (e *Entry) Digest() [32]byte {
	c := *e
	c.Pending, c.Unseen, c.Carried = false, false, nil
	var w wire.Writer
	EncodeEntry(&w, &c)
	return chunk.Checksum(digestContext, w.Bytes())
}

// encodeFields writes what an item and an entry by itself have in common.
func encodeFields(w *wire.Writer, e *Entry, flags byte) {
	if e.Pending {
		flags |= flagPending
	}
	if e.Unseen {
		flags |= flagUnseen
	}
	if !e.BTime.IsZero() {
		flags |= flagBTime
	}
	if e.LinkGroup != 0 {
		flags |= flagLinkGroup
	}
	if e.Hash != (chunk.ContentHash{}) {
		flags |= flagHash
	}
	w.Byte(byte(e.Kind))
	w.Byte(flags)
	w.Uvarint(uint64(e.Mode))
	w.Uvarint(uint64(e.UID))
	w.Uvarint(uint64(e.GID))
	w.String(e.User)
	w.String(e.Group)
	encodeTime(w, e.MTime)
	if !e.BTime.IsZero() {
		encodeTime(w, e.BTime)
	}
	if e.LinkGroup != 0 {
		w.Uvarint(e.LinkGroup)
	}
	w.Uvarint(uint64(len(e.Xattrs)))
	for _, x := range e.Xattrs {
		w.String(x.Name)
		w.Blob(x.Value)
	}
	switch e.Kind {
	case disk.KindFile:
		w.Uvarint(uint64(e.Size))
		if flags&flagHash != 0 {
			w.Fixed(e.Hash[:])
		}
	case disk.KindSymlink:
		w.String(e.Target)
	case disk.KindCharDevice, disk.KindBlockDevice:
		w.Uvarint(e.Rdev)
	}
}

// decodeFields reads what encodeFields wrote. It checks what would otherwise
// make two encodings of one entry; Validate checks the rest.
func decodeFields(r *wire.Reader, e *Entry, names *owners) (flags byte, err error) {
	e.Kind = Kind(r.Byte())
	flags = r.Byte()
	if flags >= flagContinued<<1 {
		return 0, fmt.Errorf("%w: flags %#x", ErrEntry, flags)
	}
	e.Pending, e.Unseen = flags&flagPending != 0, flags&flagUnseen != 0
	mode, uid, gid := r.Uvarint(), r.Uvarint(), r.Uvarint()
	if mode > 0o7777 || uid > math.MaxUint32 || gid > math.MaxUint32 {
		return 0, fmt.Errorf("%w: mode %o, owner %d, group %d", ErrEntry, mode, uid, gid)
	}
	e.Mode, e.UID, e.GID = uint32(mode), uint32(uid), uint32(gid)
	e.User = names.intern(r.Blob(MaxOwner))
	e.Group = names.intern(r.Blob(MaxOwner))
	if e.MTime, err = decodeTime(r); err != nil {
		return 0, err
	}
	if flags&flagBTime != 0 {
		if e.BTime, err = decodeTime(r); err != nil {
			return 0, err
		}
		if e.BTime.IsZero() {
			return 0, orMalformed(r, "time of birth zero")
		}
	}
	if flags&flagLinkGroup != 0 {
		if e.LinkGroup = r.Uvarint(); e.LinkGroup == 0 {
			return 0, orMalformed(r, "link group zero")
		}
	}
	if n := r.Count(MaxXattrs, 2); n > 0 {
		e.Xattrs = make([]disk.Xattr, n)
		for i := range e.Xattrs {
			e.Xattrs[i].Name = r.String(MaxXattrName)
			e.Xattrs[i].Value = append([]byte{}, r.Blob(MaxXattrBytes)...)
		}
	}
	switch e.Kind {
	case disk.KindFile:
		size := r.Uvarint()
		if size > MaxSize {
			return 0, fmt.Errorf("%w: size %d", ErrEntry, size)
		}
		e.Size = int64(size)
		if flags&flagHash != 0 {
			copy(e.Hash[:], r.Fixed(len(e.Hash)))
			if e.Hash == (chunk.ContentHash{}) {
				return 0, orMalformed(r, "hash zero")
			}
		}
	case disk.KindSymlink:
		e.Target = r.String(MaxTarget)
	case disk.KindCharDevice, disk.KindBlockDevice:
		e.Rdev = r.Uvarint()
	}
	// Flags of files on anything else would be lost in encoding it again.
	if e.Kind != disk.KindFile && flags&(flagHash|flagContinued) != 0 {
		return 0, fmt.Errorf("%w: flags %#x on kind %d", ErrEntry, flags, e.Kind)
	}
	return flags, r.Err()
}

// orMalformed is the reader's own error where it has one (it then returns
// zeros), else an invalid entry.
func orMalformed(r *wire.Reader, what string) error {
	if err := r.Err(); err != nil {
		return err
	}
	return fmt.Errorf("%w: %s", ErrEntry, what)
}

func encodeTime(w *wire.Writer, t disk.Time) {
	w.Varint(t.Sec)
	w.Uvarint(uint64(t.Nsec))
}

func decodeTime(r *wire.Reader) (disk.Time, error) {
	sec, nsec := r.Varint(), r.Uvarint()
	if nsec >= 1e9 {
		return disk.Time{}, fmt.Errorf("%w: %d nanoseconds", ErrEntry, nsec)
	}
	return disk.Time{Sec: sec, Nsec: int32(nsec)}, nil
}

func encodeExtents(w *wire.Writer, list []Extent) {
	w.Uvarint(uint64(len(list)))
	for i := range list {
		x := &list[i]
		if x.Hole {
			w.Uvarint(uint64(x.Length)<<1 | 1)
			continue
		}
		w.Uvarint(uint64(x.Length) << 1)
		w.Fixed(x.ID[:])
	}
}

// decodeExtents appends a list to dst, of at most limit extents.
func decodeExtents(r *wire.Reader, dst []Extent, limit int) ([]Extent, error) {
	for range r.Count(limit, 1) {
		v := r.Uvarint()
		x := Extent{Length: int64(v >> 1), Hole: v&1 != 0}
		if !x.Hole {
			copy(x.ID[:], r.Fixed(len(x.ID)))
		}
		if err := r.Err(); err != nil {
			return dst, err
		}
		if err := x.validate(); err != nil {
			return dst, err
		}
		dst = append(dst, x)
	}
	return dst, r.Err()
}

// owners keeps the last few names of users and groups, so that a million
// entries of one owner do not hold his name a million times.
type owners struct {
	last [4]string
	next int
}

func (o *owners) intern(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	for _, s := range o.last {
		if s == string(b) {
			return s
		}
	}
	s := string(b)
	o.last[o.next] = s
	o.next = (o.next + 1) % len(o.last)
	return s
}
