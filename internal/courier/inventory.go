package courier

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"

	"waterlock/internal/chunk"
	"waterlock/internal/wire"
)

// An inventory lists the IDs of all chunks that the vault had, data and stream
// chunks alike, at the moment of one receipt, which names it by its digest.
// Little endian; a block can be checked without the others, so that neither end
// ever holds more than one in memory.
//
//	 0   8  magic 89 57 4c 49 0d 0a 1a 0a
//	 8   2  version, 1
//	10   1  seal: 1 = BLAKE3 checksums; zero is none
//	11   5  zero
//	16  16  route id
//	32  16  epoch
//	48   8  number of the receipt
//	56  16  checksum of the above
//	blocks, each:
//	     4  number n of IDs, 1 to 2,048: only the last may have fewer than 2,048
//	 32·n   IDs, ascending over all blocks, none twice
//	    16  checksum of the header's checksum (32 bytes), the number of the block
//	        from 0 (8 bytes), and the block so far
//	end:
//	     4  zero
//	     8  number of IDs
//	    16  checksum, as that of a block
//
// Nothing follows. Checksums are BLAKE3 in derive-key mode, of which the first 16
// bytes are kept; one list has one encoding.
const (
	inventoryMagic   = "\x89WLI\r\n\x1a\n"
	inventoryVersion = 1
	inventorySeal    = 1
	inventoryHead    = 72
	inventoryBlock   = 2048 // IDs
	inventorySum     = 16
	inventoryContext = "waterlock 2026-11 inventory"
)

// ErrInventory is an inventory that fails a check.
var ErrInventory = errors.New("invalid inventory")

// InventoryHead says of which moment an inventory is: that of one receipt.
type InventoryHead struct {
	Route   wire.RouteID
	Epoch   Epoch
	Receipt uint64 // number
}

// InventoryOf is the head of the inventory that goes with a receipt.
func InventoryOf(r *Receipt) InventoryHead { return InventoryHead{r.Route, r.Epoch, r.Number} }

// InventoryName is the name of the file that holds an inventory.
func InventoryName(receipt uint64, digest chunk.Digest) string {
	return strconv.FormatUint(receipt, 10) + "-" + digest.String() + inventorySuffix
}

// InventorySize is the size of the file that lists so many chunks.
func InventorySize(count uint64) int64 {
	blocks := (count + inventoryBlock - 1) / inventoryBlock
	return inventoryHead + int64(count)*32 + int64(blocks)*(4+inventorySum) + 12 + inventorySum
}

func (h InventoryHead) encode() []byte {
	b := make([]byte, 0, inventoryHead)
	b = append(b, inventoryMagic...)
	b = binary.LittleEndian.AppendUint16(b, inventoryVersion)
	b = append(b, inventorySeal, 0, 0, 0, 0, 0)
	b = append(b, h.Route[:]...)
	b = append(b, h.Epoch[:]...)
	return binary.LittleEndian.AppendUint64(b, h.Receipt)
}

func (h InventoryHead) check() error {
	if h.Route.IsZero() || h.Epoch == (Epoch{}) || h.Receipt == 0 {
		return errors.New("route, epoch or number is zero")
	}
	return nil
}

// inventorySealer numbers the blocks of one file, so that none is taken for
// another.
type inventorySealer struct {
	head  [32]byte
	block uint64
}

func (s *inventorySealer) next(b []byte) []byte {
	var number [8]byte
	binary.LittleEndian.PutUint64(number[:], s.block)
	s.block++
	sum := chunk.Checksum(inventoryContext, s.head[:], number[:], b)
	return sum[:inventorySum]
}

// InventoryWriter writes an inventory.
type InventoryWriter struct {
	w      io.Writer
	digest *chunk.Digester
	seal   inventorySealer
	ids    []byte // of the open block, behind four bytes for their number
	last   chunk.ID
	count  uint64
}

// NewInventoryWriter writes the header.
func NewInventoryWriter(w io.Writer, h InventoryHead) (*InventoryWriter, error) {
	if err := h.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInventory, err)
	}
	i := &InventoryWriter{w: w, digest: chunk.NewDigester(), ids: make([]byte, 4, 4+32*inventoryBlock+inventorySum)}
	head := h.encode()
	i.seal.head = chunk.Checksum(inventoryContext, head)
	return i, i.write(append(head, i.seal.head[:inventorySum]...))
}

func (w *InventoryWriter) write(b []byte) error {
	w.digest.Write(b)
	n, err := w.w.Write(b)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	return err
}

// Add appends an ID. They come in ascending order, each once.
func (w *InventoryWriter) Add(id chunk.ID) error {
	if w.last.Compare(id) >= 0 { // the first is above the zero ID, too: that names nothing
		return fmt.Errorf("%w: chunk %v after %v", ErrInventory, id, w.last)
	}
	w.ids, w.last = append(w.ids, id[:]...), id
	w.count++
	if len(w.ids) < 4+32*inventoryBlock {
		return nil
	}
	return w.flush()
}

func (w *InventoryWriter) flush() error {
	n := (len(w.ids) - 4) / 32
	if n == 0 {
		return nil
	}
	binary.LittleEndian.PutUint32(w.ids, uint32(n))
	err := w.write(append(w.ids, w.seal.next(w.ids)...))
	w.ids = w.ids[:4]
	return err
}

// Close writes the last block and the end, and returns what a receipt says of
// the inventory. It does not close the underlying writer.
func (w *InventoryWriter) Close() (InventoryRef, error) {
	if err := w.flush(); err != nil {
		return InventoryRef{}, err
	}
	end := binary.LittleEndian.AppendUint64(make([]byte, 4, 12+inventorySum), w.count)
	if err := w.write(append(end, w.seal.next(end)...)); err != nil {
		return InventoryRef{}, err
	}
	return InventoryRef{Count: w.count, Digest: w.digest.Sum()}, nil
}

// InventoryReader reads an inventory, one block at a time.
type InventoryReader struct {
	r      *bufio.Reader
	digest *chunk.Digester
	head   InventoryHead
	seal   inventorySealer
	buf    []byte
	ids    []chunk.ID
	last   chunk.ID
	count  uint64
	at     int64
	err    error
}

// NewInventoryReader reads the header. Every error is an ErrInventory, also
// one of the medium.
func NewInventoryReader(r io.Reader) (*InventoryReader, error) {
	i := &InventoryReader{r: bufio.NewReaderSize(r, 1<<17), digest: chunk.NewDigester()}
	if err := i.readHead(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInventory, err)
	}
	return i, nil
}

func (r *InventoryReader) readHead() error {
	b, err := r.read(inventoryHead)
	if err != nil {
		return err
	}
	if string(b[:8]) != inventoryMagic {
		return &wire.Error{Err: wire.ErrMagic, Expected: hex.EncodeToString([]byte(inventoryMagic)), Found: hex.EncodeToString(b[:8])}
	}
	if v := binary.LittleEndian.Uint16(b[8:]); v != inventoryVersion {
		return &wire.Error{Err: wire.ErrVersion, Offset: 8, Expected: fmt.Sprint(inventoryVersion), Found: fmt.Sprint(v)}
	}
	if b[10] != inventorySeal {
		return &wire.Error{Err: wire.ErrSeal, Offset: 10, Expected: fmt.Sprint(inventorySeal), Found: fmt.Sprint(b[10])}
	}
	r.seal.head = chunk.Checksum(inventoryContext, b[:56])
	if !bytes.Equal(r.seal.head[:inventorySum], b[56:]) {
		return &wire.Error{Err: wire.ErrChecksum, Offset: 56, Expected: hex.EncodeToString(r.seal.head[:inventorySum]), Found: hex.EncodeToString(b[56:])}
	}
	if [5]byte(b[11:]) != [5]byte{} {
		return &wire.Error{Err: wire.ErrMalformed, Offset: 11, Expected: "zero", Found: hex.EncodeToString(b[11:16])}
	}
	r.head = InventoryHead{wire.RouteID(b[16:32]), Epoch(b[32:48]), binary.LittleEndian.Uint64(b[48:])}
	return r.head.check()
}

// Head says of which receipt the inventory is.
func (r *InventoryReader) Head() InventoryHead { return r.head }

// Next returns the IDs of the next block, good until the next call; io.EOF
// behind the last, once the end was found to be right. Every other error is an
// ErrInventory.
func (r *InventoryReader) Next() ([]chunk.ID, error) {
	if r.err == nil {
		at := r.at
		r.err = r.readBlock()
		if r.err != nil && r.err != io.EOF {
			r.err = fmt.Errorf("%w: block %d at offset %d: %w", ErrInventory, r.seal.block, at, r.err)
		}
	}
	if r.err != nil {
		return nil, r.err
	}
	return r.ids, nil
}

// Ref is what a receipt says of the inventory. It is known behind the end.
func (r *InventoryReader) Ref() InventoryRef {
	if r.err != io.EOF {
		return InventoryRef{}
	}
	return InventoryRef{Count: r.count, Digest: r.digest.Sum()}
}

// read reads n bytes, which are good until the next read.
func (r *InventoryReader) read(n int) ([]byte, error) {
	if cap(r.buf) < n {
		r.buf = make([]byte, n)
	}
	r.buf = r.buf[:n]
	if _, err := io.ReadFull(r.r, r.buf); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	r.digest.Write(r.buf)
	r.at += int64(n)
	return r.buf, nil
}

func (r *InventoryReader) readBlock() error {
	if r.count%inventoryBlock != 0 {
		return r.readEnd()
	}
	head, err := r.r.Peek(4)
	if err != nil {
		return io.ErrUnexpectedEOF
	}
	n := int(binary.LittleEndian.Uint32(head))
	if n == 0 {
		return r.readEnd()
	}
	if n > inventoryBlock {
		return fmt.Errorf("%d chunks, at most %d allowed", n, inventoryBlock)
	}
	b, err := r.read(4 + 32*n + inventorySum)
	if err != nil {
		return err
	}
	body := b[:4+32*n]
	if !bytes.Equal(r.seal.next(body), b[len(body):]) {
		return wire.ErrChecksum
	}
	r.ids = r.ids[:0]
	for rest := body[4:]; len(rest) > 0; rest = rest[32:] {
		id := chunk.ID(rest[:32])
		if r.last.Compare(id) >= 0 {
			return fmt.Errorf("chunk %v after %v", id, r.last)
		}
		r.ids, r.last = append(r.ids, id), id
	}
	r.count += uint64(n)
	return nil
}

func (r *InventoryReader) readEnd() error {
	b, err := r.read(12 + inventorySum)
	if err != nil {
		return err
	}
	if !bytes.Equal(r.seal.next(b[:12]), b[12:]) {
		return wire.ErrChecksum
	}
	if z, n := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint64(b[4:]); z != 0 || n != r.count {
		return fmt.Errorf("the end counts %d chunks, %d were read", n, r.count)
	}
	if _, err := r.r.ReadByte(); err == nil {
		return errors.New("bytes behind the end")
	} else if err != io.EOF {
		return err
	}
	return io.EOF
}

// CheckInventory reads a whole inventory, and compares it with what a receipt
// says of it. each, if not nil, is called for each block; its error ends the
// reading and is returned as it is. What is handed to it is the inventory's only
// if CheckInventory succeeds.
func CheckInventory(src io.Reader, r *Receipt, each func([]chunk.ID) error) error {
	in, err := NewInventoryReader(src)
	if err != nil {
		return err
	}
	if h := InventoryOf(r); in.Head() != h {
		return fmt.Errorf("%w: of receipt %d of epoch %v and route %v, that of receipt %d of epoch %v and route %v expected",
			ErrInventory, in.head.Receipt, in.head.Epoch, in.head.Route, h.Receipt, h.Epoch, h.Route)
	}
	for {
		ids, err := in.Next()
		if err == io.EOF {
			break
		}
		if err == nil && each != nil {
			err = each(ids)
		}
		if err != nil {
			return err
		}
	}
	if got := in.Ref(); got != r.Inventory {
		return fmt.Errorf("%w: %d chunks with digest %v, the receipt says %d with %v", ErrInventory, got.Count, got.Digest, r.Inventory.Count, r.Inventory.Digest)
	}
	return nil
}
