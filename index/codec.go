package index

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"

	"waterlock/internal/chunk"
	"waterlock/internal/wire"
)

// Keys and values of the catalog: the tables of the package comment.

const (
	maxName = 60_000 // of a path, a tree or a container; Badger's keys end at 65,000

	flagDamaged = 1
	flagMissing = 2
)

func containerKey(prefix byte, id ContainerID) []byte {
	b := append(make([]byte, 0, 1+8+8), prefix)
	return binary.BigEndian.AppendUint64(b, uint64(id))
}

func placeKey(id chunk.ID, container ContainerID) []byte {
	return binary.BigEndian.AppendUint64(chunkKey('c', id), uint64(container))
}

func reverseKey(container ContainerID, offset int64) []byte {
	return binary.BigEndian.AppendUint64(containerKey('r', container), uint64(offset))
}

func driveKey(id chunk.ID, pack uint32) []byte {
	return binary.BigEndian.AppendUint32(chunkKey('d', id), pack)
}

func arrivedKey(snapshot uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{'a'}, snapshot)
}

func groupKey(tree string, group uint64) []byte {
	b := append(treePrefix('g', tree), make([]byte, 0, 8)...)
	return binary.BigEndian.AppendUint64(b, group)
}

func treePrefix(prefix byte, tree string) []byte {
	b := append(make([]byte, 0, 2+len(tree)+64), prefix)
	return append(append(b, tree...), 0)
}

// pathKey writes '/' as byte 0: see the package comment.
func pathKey(tree, path string) []byte {
	b := treePrefix('p', tree)
	at := len(b)
	b = append(b, path...)
	swap(b[at:], '/', 0)
	return b
}

func swap(b []byte, from, to byte) {
	for i := range b {
		if b[i] == from {
			b[i] = to
		}
	}
}

// CheckPath says whether the catalog can hold a row for path. What it cannot
// hold is longer than any path of a system call by far.
func CheckPath(tree, path string) error {
	if len(tree)+len(path) > maxName || strings.IndexByte(tree, 0) >= 0 || strings.IndexByte(path, 0) >= 0 {
		return fmt.Errorf("path %.80q… of %d bytes: %w", path, len(path), ErrTooLong)
	}
	return nil
}

// done checks that a row was read to its end.
func done(r *wire.Reader, what string) error {
	if err := r.Done(); err != nil {
		return fmt.Errorf("%s: %w: %w", what, ErrRow, err)
	}
	return nil
}

func u32(r *wire.Reader) uint32 {
	v := r.Uvarint()
	if v > math.MaxUint32 {
		r.Fail("a number below 2^32", fmt.Sprint(v))
	}
	return uint32(v)
}

func nsec(r *wire.Reader) int32 {
	v := u32(r)
	if v >= 1e9 {
		r.Fail("nanoseconds", fmt.Sprint(v))
	}
	return int32(v)
}

func sum(r *wire.Reader) (s [32]byte) {
	copy(s[:], r.Fixed(len(s)))
	return s
}

func (p Place) encode() []byte {
	var w wire.Writer
	w.Uvarint(uint64(p.Offset))
	w.Uvarint(uint64(p.StoredLen))
	w.Uvarint(uint64(p.PlainLen))
	w.Byte(p.Encoding)
	w.Varint(p.ReadAt)
	return w.Bytes()
}

func decodePlace(key, value []byte) (Place, error) {
	if len(key) != 1+32+8 {
		return Place{}, fmt.Errorf("key of a place, %d bytes: %w", len(key), ErrRow)
	}
	r := wire.NewReader(value)
	p := Place{Container: ContainerID(binary.BigEndian.Uint64(key[33:]))}
	p.Offset = int64(r.Uvarint())
	p.StoredLen, p.PlainLen, p.Encoding, p.ReadAt = u32(r), u32(r), r.Byte(), r.Varint()
	return p, done(r, "place")
}

func reverseValue(id chunk.ID, plainLen uint32) []byte {
	b := append(make([]byte, 0, len(id)+4), id[:]...)
	return binary.AppendUvarint(b, uint64(plainLen))
}

func decodeReverse(key, value []byte) (offset int64, id chunk.ID, plainLen uint32, err error) {
	if len(key) != 1+8+8 {
		return 0, id, 0, fmt.Errorf("key of a container's chunk, %d bytes: %w", len(key), ErrRow)
	}
	r := wire.NewReader(value)
	id, plainLen = sum(r), u32(r)
	return int64(binary.BigEndian.Uint64(key[9:])), id, plainLen, done(r, "container's chunk")
}

func (c Container) encode() []byte {
	var w wire.Writer
	w.Byte(byte(c.Kind))
	var flags byte
	if c.Damaged {
		flags |= flagDamaged
	}
	if c.Missing {
		flags |= flagMissing
	}
	w.Byte(flags)
	w.String(c.Tree)
	w.String(c.Name)
	w.Uvarint(c.Ino)
	w.Varint(c.Size)
	w.Varint(c.MSec)
	w.Uvarint(uint64(c.MNsec))
	w.Fixed(c.Hash[:])
	w.Varint(c.ReadAt)
	return w.Bytes()
}

func decodeContainer(key, value []byte) (Container, error) {
	if len(key) != 1+8 {
		return Container{}, fmt.Errorf("key of a container, %d bytes: %w", len(key), ErrRow)
	}
	r := wire.NewReader(value)
	c := Container{ID: ContainerID(binary.BigEndian.Uint64(key[1:])), Kind: ContainerKind(r.Byte())}
	flags := r.Byte()
	c.Damaged, c.Missing = flags&flagDamaged != 0, flags&flagMissing != 0
	c.Tree, c.Name = r.String(maxName), r.String(maxName)
	c.Ino, c.Size, c.MSec, c.MNsec, c.Hash = r.Uvarint(), r.Varint(), r.Varint(), nsec(r), sum(r)
	c.ReadAt = r.Varint()
	return c, done(r, "container")
}

func (p PathRow) encode() []byte {
	var w wire.Writer
	w.Byte(p.Kind)
	w.Bool(p.Adopted)
	w.Uvarint(uint64(p.Container))
	w.Uvarint(p.Ino)
	w.Varint(p.Size)
	w.Varint(p.MSec)
	w.Uvarint(uint64(p.MNsec))
	w.Uvarint(p.LinkGroup)
	w.Fixed(p.Digest[:])
	w.Fixed(p.Hash[:])
	return w.Bytes()
}

func decodePathRow(value []byte) (PathRow, error) {
	r := wire.NewReader(value)
	p := PathRow{Kind: r.Byte(), Adopted: r.Bool(), Container: ContainerID(r.Uvarint()), Ino: r.Uvarint(), Size: r.Varint(),
		MSec: r.Varint(), MNsec: nsec(r), LinkGroup: r.Uvarint(), Digest: sum(r), Hash: sum(r)}
	return p, done(r, "path")
}

func (p DrivePlace) row() row {
	var w wire.Writer
	w.Uvarint(uint64(p.Number))
	w.Byte(p.Encoding)
	w.Uvarint(uint64(p.Offset))
	w.Uvarint(uint64(p.StoredLen))
	w.Uvarint(uint64(p.PlainLen))
	return row{driveKey(p.ID, p.Pack), w.Bytes()}
}

func decodeDrive(key, value []byte) (DrivePlace, error) {
	if len(key) != 1+32+4 {
		return DrivePlace{}, fmt.Errorf("key of a place on the drive, %d bytes: %w", len(key), ErrRow)
	}
	r := wire.NewReader(value)
	p := DrivePlace{ID: chunk.ID(key[1:33]), Pack: binary.BigEndian.Uint32(key[33:])}
	p.Number, p.Encoding, p.Offset = u32(r), r.Byte(), int64(r.Uvarint())
	p.StoredLen, p.PlainLen = u32(r), u32(r)
	return p, done(r, "place on the drive")
}

func (w Want) encode() []byte {
	var out wire.Writer
	out.Uvarint(w.Snapshot)
	out.Byte(byte(w.Kind))
	return out.Bytes()
}

func decodeWant(key, value []byte) (chunk.ID, Want, error) {
	if len(key) != 1+32 {
		return chunk.ID{}, Want{}, fmt.Errorf("key of a want, %d bytes: %w", len(key), ErrRow)
	}
	r := wire.NewReader(value)
	w := Want{Snapshot: r.Uvarint(), Kind: chunk.Kind(r.Byte())}
	return chunk.ID(key[1:]), w, done(r, "want")
}
