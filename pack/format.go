package pack

import (
	"fmt"

	"waterlock/internal/chunk"
)

// Limits. They never change.
const (
	MaxSize    = 1<<32 - 1     // bytes of a pack: it fits on FAT32
	MaxRecords = 65536         // records of a pack
	MaxPlain   = chunk.MaxSize // plain bytes of a record; its stored bytes are never more
)

// Sizes of the parts.
const (
	HeaderSize = 64
	FooterSize = 80

	// Overhead is what a record adds to its payload in the body of a pack.
	// Its row in the table comes on top of it: see ClosedSize.
	Overhead = recordHead + recordTail

	recordHead = 72
	recordTail = 32

	tableHead = 16
	tableRow  = 41
	tableTail = 32
)

const (
	Version  = 1 // of the format
	sealHash = 1 // the only seal so far: checksums
)

type magic [8]byte

var (
	headerMagic = magic{0x89, 'W', 'L', 'P', 0x0d, 0x0a, 0x1a, 0x0a}
	recordMagic = magic{0xc3, 0x9f, 'W', 'L', 'R', 0xb6, 0xe1, 0x0a}
	tableMagic  = magic{0xc3, 0x9f, 'W', 'L', 'T', 0xb6, 0xe1, 0x0a}
	footerMagic = magic{0xc3, 0x9f, 'W', 'L', 'F', 0xb6, 0xe1, 0x0a}
)

const (
	headerContext       = "waterlock 2026-11 pack header"
	recordHeaderContext = "waterlock 2026-11 pack record header"
	recordContext       = "waterlock 2026-11 pack record"
	tableContext        = "waterlock 2026-11 pack table"
	footerContext       = "waterlock 2026-11 pack footer"
)

// Encoding tells how the payload of a record holds its chunk. Zero is none.
type Encoding uint8

const (
	Raw  Encoding = 1 // the plain bytes
	Zstd Encoding = 2 // one zstd frame of them
)

// Valid reports whether the encoding is one of those above.
func (e Encoding) Valid() bool { return e == Raw || e == Zstd }

func (e Encoding) String() string {
	switch e {
	case Raw:
		return "raw"
	case Zstd:
		return "zstd"
	}
	return fmt.Sprintf("encoding %d", uint8(e))
}

// Place is where a record lies in its pack. With the pack's Reader it is all
// that is needed to read the chunk.
type Place struct {
	Number    uint32 // of the record, from 1
	ID        chunk.ID
	Encoding  Encoding
	Offset    int64 // of the record's header
	StoredLen uint32
	PlainLen  uint32
}

// End is the offset behind the record.
func (p Place) End() int64 { return p.Offset + Overhead + int64(p.StoredLen) }

// TableSize is the length of the table of a pack of so many records.
func TableSize(records int) int64 {
	return tableHead + int64(records)*tableRow + tableTail
}

// ClosedSize is the size of a closed pack of so many records whose payloads
// have so many bytes together.
func ClosedSize(records int, storedBytes int64) int64 {
	return HeaderSize + int64(records)*Overhead + storedBytes + TableSize(records) + FooterSize
}

// check bounds what a record header or a table row claims.
func (p *Place) check() (expected, found string, ok bool) {
	switch {
	case !p.Encoding.Valid():
		return "encoding 1 or 2", fmt.Sprint(uint8(p.Encoding)), false
	case p.PlainLen == 0 || p.PlainLen > MaxPlain:
		return fmt.Sprintf("plain length from 1 to %d", MaxPlain), fmt.Sprint(p.PlainLen), false
	case p.StoredLen == 0 || p.StoredLen > p.PlainLen:
		return fmt.Sprintf("stored length from 1 to the plain length %d", p.PlainLen), fmt.Sprint(p.StoredLen), false
	case p.Encoding == Raw && p.StoredLen != p.PlainLen:
		return fmt.Sprintf("raw stored length %d", p.PlainLen), fmt.Sprint(p.StoredLen), false
	case p.Number == 0 || p.Number > MaxRecords:
		return fmt.Sprintf("record number from 1 to %d", MaxRecords), fmt.Sprint(p.Number), false
	case p.ID.IsZero():
		return "a chunk id", "zero", false
	}
	return "", "", true
}
