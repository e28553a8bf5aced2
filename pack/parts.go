package pack

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"waterlock/internal/chunk"
)

var le = binary.LittleEndian

// identity is what header and footer both say: enough to check any record.
type identity struct {
	kind chunk.Kind
	id   [16]byte
}

// check is the first check of every part.
func (m magic) check(part error, off int64, b []byte) error {
	if !bytes.Equal(b[:len(m)], m[:]) {
		return &FormatError{part, ErrMagic, off, hex.EncodeToString(m[:]), hex.EncodeToString(b[:len(m)])}
	}
	return nil
}

func checkSum(part error, off int64, expected, found []byte) error {
	if !bytes.Equal(expected, found) {
		return &FormatError{part, ErrChecksum, off, hex.EncodeToString(expected), hex.EncodeToString(found)}
	}
	return nil
}

func checkVersion(part error, off int64, b []byte) error {
	if v := le.Uint16(b); v != Version {
		return &FormatError{part, ErrVersion, off, fmt.Sprint(Version), fmt.Sprint(v)}
	}
	return nil
}

func checkKindAndSeal(part error, off int64, kind, seal byte) error {
	if !chunk.Kind(kind).Valid() {
		return &FormatError{part, ErrField, off, "kind 1 or 2", fmt.Sprint(kind)}
	}
	if seal != sealHash {
		return &FormatError{part, ErrField, off + 1, fmt.Sprintf("seal %d", sealHash), fmt.Sprint(seal)}
	}
	return nil
}

func checkZero(part error, off int64, b []byte) error {
	for i, c := range b {
		if c != 0 {
			return &FormatError{part, ErrField, off + int64(i), "0", fmt.Sprint(c)}
		}
	}
	return nil
}

func appendHeader(b []byte, id identity) []byte {
	at := len(b)
	b = append(b, headerMagic[:]...)
	b = le.AppendUint16(b, Version)
	b = append(b, byte(id.kind), sealHash, 0, 0, 0, 0)
	b = append(b, id.id[:]...)
	sum := chunk.Checksum(headerContext, b[at:])
	return append(b, sum[:]...)
}

func parseHeader(b []byte) (id identity, err error) {
	if err := headerMagic.check(ErrHeader, 0, b); err != nil {
		return id, err
	}
	if err := checkVersion(ErrHeader, 8, b[8:]); err != nil {
		return id, err
	}
	sum := chunk.Checksum(headerContext, b[:32])
	if err := checkSum(ErrHeader, 32, sum[:], b[32:HeaderSize]); err != nil {
		return id, err
	}
	if err := checkKindAndSeal(ErrHeader, 10, b[10], b[11]); err != nil {
		return id, err
	}
	if err := checkZero(ErrHeader, 12, b[12:16]); err != nil {
		return id, err
	}
	return identity{chunk.Kind(b[10]), [16]byte(b[16:32])}, nil
}

// footer is what the last bytes of a pack say.
type footer struct {
	identity
	records     uint32
	tableOffset int64
}

func appendFooter(b []byte, f footer) []byte {
	at := len(b)
	b = append(b, footerMagic[:]...)
	b = le.AppendUint16(b, Version)
	b = append(b, byte(f.kind), sealHash)
	b = le.AppendUint32(b, f.records)
	b = append(b, f.id[:]...)
	b = le.AppendUint64(b, uint64(f.tableOffset))
	b = le.AppendUint64(b, uint64(TableSize(int(f.records))))
	sum := chunk.Checksum(footerContext, b[at:])
	return append(b, sum[:]...)
}

// parseFooter reads the footer of a pack of this size.
func parseFooter(b []byte, size int64) (f footer, err error) {
	off := size - FooterSize
	if err := footerMagic.check(ErrFooter, off, b); err != nil {
		return f, err
	}
	if err := checkVersion(ErrFooter, off+8, b[8:]); err != nil {
		return f, err
	}
	sum := chunk.Checksum(footerContext, b[:48])
	if err := checkSum(ErrFooter, off+48, sum[:], b[48:FooterSize]); err != nil {
		return f, err
	}
	if err := checkKindAndSeal(ErrFooter, off+10, b[10], b[11]); err != nil {
		return f, err
	}
	f.identity = identity{chunk.Kind(b[10]), [16]byte(b[16:32])}
	f.records = le.Uint32(b[12:])
	if f.records > MaxRecords {
		return f, &FormatError{ErrFooter, ErrField, off + 12, fmt.Sprintf("at most %d records", MaxRecords), fmt.Sprint(f.records)}
	}
	length, start := le.Uint64(b[40:]), le.Uint64(b[32:])
	if want := TableSize(int(f.records)); length != uint64(want) {
		return f, &FormatError{ErrFooter, ErrField, off + 40, fmt.Sprintf("a table of %d bytes", want), fmt.Sprint(length)}
	}
	if start < HeaderSize || start > MaxSize {
		return f, &FormatError{ErrFooter, ErrField, off + 32, "a table behind the header", fmt.Sprint(start)}
	}
	f.tableOffset = int64(start)
	if end := f.tableOffset + int64(length) + FooterSize; end != size {
		return f, &FormatError{ErrFooter, ErrLength, off + 32, fmt.Sprintf("a file of %d bytes", end), fmt.Sprint(size)}
	}
	return f, nil
}

func appendTable(b []byte, id identity, places []Place) []byte {
	at := len(b)
	b = append(b, tableMagic[:]...)
	b = le.AppendUint32(b, uint32(len(places)))
	b = le.AppendUint32(b, 0)
	for i := range places {
		p := &places[i]
		b = append(b, byte(p.Encoding))
		b = le.AppendUint32(b, p.StoredLen)
		b = le.AppendUint32(b, p.PlainLen)
		b = append(b, p.ID[:]...)
	}
	sum := chunk.Checksum(tableContext, id.id[:], []byte{byte(id.kind)}, b[at:])
	return append(b, sum[:]...)
}

// parseTable reads the table that the footer tells of; b has the length that
// goes with the number of records.
func parseTable(b []byte, f footer) ([]Place, error) {
	off := f.tableOffset
	if err := tableMagic.check(ErrTable, off, b); err != nil {
		return nil, err
	}
	end := len(b) - tableTail
	sum := chunk.Checksum(tableContext, f.id[:], []byte{byte(f.kind)}, b[:end])
	if err := checkSum(ErrTable, off+int64(end), sum[:], b[end:]); err != nil {
		return nil, err
	}
	if n := le.Uint32(b[8:]); n != f.records {
		return nil, &FormatError{ErrTable, ErrField, off + 8, fmt.Sprintf("%d records", f.records), fmt.Sprint(n)}
	}
	if err := checkZero(ErrTable, off+12, b[12:16]); err != nil {
		return nil, err
	}
	places := make([]Place, f.records)
	next := int64(HeaderSize)
	for i := range places {
		at := tableHead + i*tableRow
		row := b[at : at+tableRow]
		p := Place{
			Number:    uint32(i + 1),
			ID:        chunk.ID(row[9:]),
			Encoding:  Encoding(row[0]),
			Offset:    next,
			StoredLen: le.Uint32(row[1:]),
			PlainLen:  le.Uint32(row[5:]),
		}
		if expected, found, ok := p.check(); !ok {
			return nil, &FormatError{ErrTable, ErrField, off + int64(at), expected, found}
		}
		places[i] = p
		next = p.End()
	}
	if next != f.tableOffset {
		return nil, &FormatError{ErrTable, ErrLength, off, fmt.Sprintf("records up to offset %d", f.tableOffset), fmt.Sprint(next)}
	}
	return places, nil
}

func appendRecordHead(b []byte, id identity, p *Place) []byte {
	at := len(b)
	b = append(b, recordMagic[:]...)
	b = append(b, byte(p.Encoding), 0, 0, 0)
	b = le.AppendUint32(b, p.Number)
	b = le.AppendUint32(b, p.StoredLen)
	b = le.AppendUint32(b, p.PlainLen)
	b = append(b, p.ID[:]...)
	sum := chunk.Checksum(recordHeaderContext, id.id[:], b[at:])
	return append(b, sum[:16]...)
}

// parseRecordHead reads the record header that lies at off.
func parseRecordHead(b []byte, id identity, off int64) (p Place, err error) {
	if err := recordMagic.check(ErrRecord, off, b); err != nil {
		return p, err
	}
	sum := chunk.Checksum(recordHeaderContext, id.id[:], b[:56])
	if err := checkSum(ErrRecord, off+56, sum[:16], b[56:recordHead]); err != nil {
		return p, err
	}
	p = Place{
		Number:    le.Uint32(b[12:]),
		ID:        chunk.ID(b[24:56]),
		Encoding:  Encoding(b[8]),
		Offset:    off,
		StoredLen: le.Uint32(b[16:]),
		PlainLen:  le.Uint32(b[20:]),
	}
	if err := checkZero(ErrRecord, off+9, b[9:12]); err != nil {
		return p, err
	}
	if expected, found, ok := p.check(); !ok {
		return p, &FormatError{ErrRecord, ErrField, off + 8, expected, found}
	}
	return p, nil
}

// recordSum seals a record. Its payload comes in by its own hash, which for a
// raw data chunk is the chunk's ID and need not be computed twice.
func recordSum(id identity, head []byte, payload [32]byte) [32]byte {
	return chunk.Checksum(recordContext, id.id[:], head, payload[:])
}
