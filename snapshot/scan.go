package snapshot

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"waterlock/internal/chunk"
	"waterlock/internal/wire"
)

// ErrScanTorn: a scan file ends without its end block, or is damaged from here
// on. What was read before it is good.
var ErrScanTorn = errors.New("scan file torn or damaged")

// ErrScan is a file that is no scan file, or one of a version unknown here.
var ErrScan = errors.New("not a scan file")

const (
	scanMagic   = "\x89WLS\r\n\x1a\n"
	ScanVersion = 1
	scanSumSize = 16
	scanBlock   = 64 << 10 // bytes after which a block is closed
	// maxScanBlock holds the largest entry there can be.
	maxScanBlock = 1 << 30

	blockEntries = 1
	blockEnd     = 2

	scanContext = "waterlock 2026-11 scan block"
)

// ScanFlag marks an entry of a scan.
type ScanFlag uint8

// NotRead: the content was not read in this scan.
const NotRead ScanFlag = 1

// goneShift is where the state of a tombstone stands among the flags.
const goneShift = 1

// ScanHeader is the head of a scan file.
type ScanHeader struct {
	Generation uint64 // of the ledger that the scan was written under
	Tree       string
}

// ScanEntry is one entry of a scan file.
type ScanEntry struct {
	Local Local
	Entry Entry
	Flags ScanFlag
	Since uint64 // number of the first snapshot that has the entry as it is here, of a tombstone: in this state; 0: none yet
}

// ScanWriter writes a scan file: the entries of one tree with what only home
// knows of them.
type ScanWriter struct {
	w     io.Writer
	block wire.Writer
	seal  scanSeal
	count uint64
	last  position
	err   error
}

// scanSeal numbers the blocks of one file, so that none is taken for another.
type scanSeal struct {
	head  [32]byte // checksum of the header
	block uint64
}

func (s *scanSeal) next(payload []byte) []byte {
	var number [8]byte
	binary.LittleEndian.PutUint64(number[:], s.block)
	s.block++
	sum := chunk.Checksum(scanContext, s.head[:], number[:], payload)
	return sum[:scanSumSize]
}

func encodeScanHeader(h ScanHeader) []byte {
	var w wire.Writer
	w.Fixed([]byte(scanMagic))
	w.Byte(ScanVersion)
	var generation [8]byte
	binary.LittleEndian.PutUint64(generation[:], h.Generation)
	w.Fixed(generation[:])
	w.String(h.Tree)
	return w.Bytes()
}

// NewScanWriter writes the header.
func NewScanWriter(w io.Writer, h ScanHeader) (*ScanWriter, error) {
	if err := ValidName(h.Tree); err != nil {
		return nil, err
	}
	head := encodeScanHeader(h)
	sum := chunk.Checksum(scanContext, head)
	if _, err := w.Write(append(head, sum[:scanSumSize]...)); err != nil {
		return nil, err
	}
	s := &ScanWriter{w: w, seal: scanSeal{head: sum}}
	s.block.Byte(blockEntries)
	return s, nil
}

// Add appends an entry. Entries come in tree order, each path at most once;
// their parents need not be there.
func (w *ScanWriter) Add(se *ScanEntry) error {
	if w.err != nil {
		return w.err
	}
	l, e, f := &se.Local, &se.Entry, se.Flags
	validate := e.Validate
	if e.Gone != Here {
		validate = e.validateTombstone
	}
	if err := validate(); err != nil {
		return err
	}
	if f&^NotRead != 0 || f != 0 && e.Gone != Here {
		return fmt.Errorf("%w: scan flags %#x", ErrEntry, f)
	}
	if w.last.known && ComparePaths(w.last.path, e.Path) >= 0 {
		return fmt.Errorf("%w: %q after %q", ErrOrder, e.Path, w.last.path)
	}
	w.block.Byte(byte(f) | byte(e.Gone)<<goneShift)
	if e.Gone != Here {
		w.block.String(e.Path)
		w.block.Byte(byte(e.Kind))
		w.block.Uvarint(uint64(e.Size))
		w.block.Uvarint(se.Since)
	} else {
		w.block.Uvarint(l.Dev)
		w.block.Uvarint(l.Ino)
		encodeTime(&w.block, l.CTime)
		w.block.Uvarint(l.Nlink)
		w.block.Uvarint(uint64(l.Holes))
		w.block.Uvarint(se.Since)
		EncodeEntry(&w.block, e)
	}
	w.last = position{path: e.Path, known: true}
	w.count++
	if w.block.Len() >= scanBlock {
		return w.Flush()
	}
	return nil
}

// Flush hands all entries added so far to the underlying writer, so that a
// reader finds them even where Close is never reached.
func (w *ScanWriter) Flush() error {
	if w.err == nil && w.block.Len() > 1 {
		w.err = w.write()
		w.block.Byte(blockEntries)
	}
	return w.err
}

func (w *ScanWriter) write() error {
	payload := w.block.Bytes()
	sum := w.seal.next(payload)
	head := binary.AppendUvarint(nil, uint64(len(payload)))
	for _, part := range [...][]byte{head, payload, sum} {
		if _, err := w.w.Write(part); err != nil {
			return err
		}
	}
	if len(payload) > 16*scanBlock {
		w.block = wire.Writer{} // do not keep the memory of one huge file
	}
	w.block.Reset()
	return nil
}

// Close flushes and writes the end block. It does not close the underlying
// writer.
func (w *ScanWriter) Close() error {
	if err := w.Flush(); err != nil {
		return err
	}
	w.block.Reset()
	w.block.Byte(blockEnd)
	w.block.Uvarint(w.count)
	err := w.write()
	w.err = errors.New("scan file is closed")
	return err
}

// ScanReader reads a scan file. Its memory is one block.
type ScanReader struct {
	r      *bufio.Reader
	header ScanHeader
	seal   scanSeal
	buf    bytes.Buffer
	items  *wire.Reader
	cur    ScanEntry // its lists are used again for the next
	out    ScanEntry // what the caller got
	owners owners
	last   position
	count  uint64
	err    error
}

// NewScanReader reads the header.
func NewScanReader(r io.Reader) (*ScanReader, error) {
	s := &ScanReader{r: bufio.NewReaderSize(r, 16<<10)}
	fixed := make([]byte, len(scanMagic)+1+8)
	if _, err := io.ReadFull(s.r, fixed); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrScan, err)
	}
	if string(fixed[:len(scanMagic)]) != scanMagic {
		return nil, fmt.Errorf("%w: magic %x", ErrScan, fixed[:len(scanMagic)])
	}
	if v := fixed[len(scanMagic)]; v != ScanVersion {
		return nil, fmt.Errorf("%w: version %d, known is %d", ErrScan, v, ScanVersion)
	}
	s.header.Generation = binary.LittleEndian.Uint64(fixed[len(scanMagic)+1:])
	// The length of a name takes one or two bytes, and its checksum follows.
	n, err := readUvarint(s.r, MaxName)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrScan, err)
	}
	rest := make([]byte, int(n)+scanSumSize)
	if _, err := io.ReadFull(s.r, rest); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrScan, err)
	}
	s.header.Tree = string(rest[:n])
	s.seal.head = chunk.Checksum(scanContext, encodeScanHeader(s.header))
	if !bytes.Equal(s.seal.head[:scanSumSize], rest[n:]) {
		return nil, fmt.Errorf("%w: header damaged", ErrScan)
	}
	if err := ValidName(s.header.Tree); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrScan, err)
	}
	return s, nil
}

// Header returns the header.
func (r *ScanReader) Header() ScanHeader { return r.header }

// Next returns the next entry, valid until the next call; io.EOF at the end of
// a complete file, ErrScanTorn at a torn or damaged tail. The entry is the
// caller's to change: what it is made to refer to is never written to.
func (r *ScanReader) Next() (*ScanEntry, error) {
	if r.err == nil {
		r.err = r.read()
		if r.err != nil && r.err != io.EOF {
			r.err = fmt.Errorf("%w: block %d: %w", ErrScanTorn, r.seal.block, r.err)
		}
	}
	if r.err != nil {
		return nil, r.err
	}
	r.out = r.cur
	return &r.out, nil
}

func (r *ScanReader) read() error {
	for r.items == nil || r.items.Remaining() == 0 {
		if end, err := r.readBlock(); err != nil {
			return err
		} else if end {
			return io.EOF
		}
	}
	in, e := r.items, &r.cur
	flags := in.Byte()
	e.Flags = ScanFlag(flags) & NotRead
	if flags>>goneShift != 0 {
		return r.readTombstone(Gone(flags >> goneShift))
	}
	e.Local.Dev, e.Local.Ino = in.Uvarint(), in.Uvarint()
	var err error
	if e.Local.CTime, err = decodeTime(in); err != nil {
		return err
	}
	nlink, holes, since := in.Uvarint(), in.Uvarint(), in.Uvarint()
	if holes > MaxSize {
		return fmt.Errorf("%w: holes of %d bytes", ErrEntry, holes)
	}
	e.Local.Nlink, e.Local.Holes, e.Since = nlink, int64(holes), since
	if err := decodeEntry(in, &e.Entry, &r.owners); err != nil {
		return err
	}
	return r.step()
}

func (r *ScanReader) readTombstone(gone Gone) error {
	in, e := r.items, &r.cur
	content, carried := e.Entry.Content[:0], e.Entry.Carried[:0]
	path, kind, size, since := in.String(MaxPath), Kind(in.Byte()), in.Uvarint(), in.Uvarint()
	if err := in.Err(); err != nil {
		return err
	}
	if size > MaxSize || e.Flags != 0 {
		return fmt.Errorf("%w: tombstone of size %d, flags %#x", ErrEntry, size, e.Flags)
	}
	e.Local, e.Since = Local{}, since
	e.Entry = Entry{Path: path, Kind: kind, Gone: gone, Size: int64(size), Content: content, Carried: carried}
	if err := e.Entry.validateTombstone(); err != nil {
		return err
	}
	return r.step()
}

// step checks that the entry just read comes behind the one before.
func (r *ScanReader) step() error {
	e := &r.cur
	if r.last.known && ComparePaths(r.last.path, e.Entry.Path) >= 0 {
		return fmt.Errorf("%w: %q after %q", ErrOrder, e.Entry.Path, r.last.path)
	}
	r.last = position{path: e.Entry.Path, known: true}
	r.count++
	return nil
}

// readBlock reads and checks the next block; end tells that it is the last and
// that nothing follows.
func (r *ScanReader) readBlock() (end bool, err error) {
	n, err := readUvarint(r.r, maxScanBlock)
	if err != nil {
		return false, err
	}
	r.buf.Reset()
	// The buffer grows with what is there, not with what the length claims.
	if _, err := io.CopyN(&r.buf, r.r, int64(n)+scanSumSize); err != nil {
		return false, noEOF(err)
	}
	payload := r.buf.Bytes()[:n]
	if !bytes.Equal(r.seal.next(payload), r.buf.Bytes()[n:]) {
		return false, errors.New("checksum mismatch")
	}
	r.items = wire.NewReader(payload)
	switch t := r.items.Byte(); t {
	case blockEntries:
		if r.items.Remaining() == 0 {
			return false, errors.New("empty block")
		}
		return false, nil
	case blockEnd:
		if count := r.items.Uvarint(); r.items.Err() == nil && count != r.count {
			return false, fmt.Errorf("%d entries where %d were written", r.count, count)
		}
		if err := r.items.Done(); err != nil {
			return false, err
		}
		if _, err := r.r.ReadByte(); err != io.EOF {
			return false, errors.New("bytes behind the end")
		}
		return true, nil
	default:
		return false, fmt.Errorf("block of type %d", t)
	}
}

// readUvarint reads a number of at least 1 in its shortest form.
func readUvarint(r io.ByteReader, limit uint64) (uint64, error) {
	var b [binary.MaxVarintLen64]byte
	for i := range b {
		c, err := r.ReadByte()
		if err != nil {
			return 0, noEOF(err)
		}
		b[i] = c
		if c < 0x80 {
			in := wire.NewReader(b[:i+1])
			n := in.Uvarint()
			if err := in.Err(); err != nil {
				return 0, err
			}
			if n == 0 || n > limit {
				return 0, fmt.Errorf("length %d", n)
			}
			return n, nil
		}
	}
	return 0, errors.New("length of more than 64 bits")
}

func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
