package snapshot

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/internal/wire"
)

// Seeds made of real files: the source of this package and what a walk finds.

func seedTree(t testing.TB) (memory, TreeRecord, []*Entry) {
	m := memory{}
	rec, tree := m.take(t, openFS(t, "."))
	return m, rec, tree
}

// smallTree has one of everything, and a file that continues in a second item.
func smallTree() []*Entry {
	huge := &Entry{Path: "a/huge", Kind: disk.KindFile, Pending: true, LinkGroup: 9, Size: 3}
	huge.Hash[3] = 1
	for i := range 6 {
		x := Extent{Length: int64(1000 + i)}
		x.ID[5] = byte(i + 1)
		if i != 2 {
			x.ID[0] = 1
		}
		huge.Content = append(huge.Content, x)
	}
	huge.Content = append(huge.Content, Extent{Hole: true, Length: 1 << 33})
	huge.Carried = huge.Content[:3]
	return []*Entry{
		{Kind: disk.KindDir, Mode: 0o1755, MTime: disk.Time{Sec: -1, Nsec: 5}},
		{Path: "a", Kind: disk.KindDir, Unseen: true, User: "anna", Group: "users", BTime: disk.Time{Sec: 1}},
		huge,
		{Path: "a/link", Kind: disk.KindSymlink, Target: "../x", UID: 1 << 31},
		{Path: "a.b", Kind: disk.KindFile, Xattrs: []disk.Xattr{{Name: "user.a", Value: []byte("1")}, {Name: "user.b", Value: nil}}},
		{Path: "c", Kind: disk.KindCharDevice, Rdev: 0x103},
		{Path: "d", Kind: disk.KindFifo},
	}
}

// graveTree is smallTree with tombstones: of a directory, of one in it, of a
// file.
func graveTree() []*Entry {
	return append(smallTree(),
		&Entry{Path: "e", Kind: disk.KindDir, Gone: Undecided},
		&Entry{Path: "e/kept", Kind: disk.KindFile, Gone: Kept},
		&Entry{Path: "f", Kind: disk.KindFile, Gone: Excluded},
		&Entry{Path: "g", Kind: disk.KindDir})
}

func validItem(e *Entry) error {
	if e.Gone != Here {
		return e.validateTombstone()
	}
	return e.Validate()
}

// checkChunk decodes a stream chunk of any bytes: an error, or items that are
// encoded to the same bytes again.
func checkChunk(t testing.TB, plain []byte, ref StreamRef) (entries int) {
	t.Helper()
	d, err := newItemDecoder(plain, ref, nil)
	if err != nil {
		return 0
	}
	var again bytes.Buffer
	for {
		err := d.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return entries
		}
		if !d.more {
			entries++
			if err := ValidPath(d.entry.Path); err != nil {
				t.Fatal(err)
			}
			if _, name := Split(d.entry.Path); d.entry.Path != "" && ValidName(name) != nil {
				t.Fatalf("name %q", name)
			}
		}
		var item, length wire.Writer
		encodeItem(&item, &d.entry, d.entry.Content, d.entry.Carried, d.more, d.continued)
		length.Uvarint(uint64(item.Len()))
		again.Write(length.Bytes())
		again.Write(item.Bytes())
	}
	if !bytes.Equal(again.Bytes(), plain) {
		t.Fatalf("what decodes is encoded to other bytes\n%x\n%x", plain, again.Bytes())
	}
	if err := StreamChunkIDs(plain, ref, func(chunk.ID, int64, bool) error { return nil }); err != nil {
		t.Fatal(err)
	}
	return entries
}

// readHostile reads a stream chunk of any bytes as a whole tree.
func readHostile(t testing.TB, plain []byte, ref StreamRef) {
	t.Helper()
	ref.Length, ref.ID = uint32(len(plain)), chunk.Stream.ID(plain)
	r := NewStreamReader(TreeRecord{Chunks: []StreamRef{ref, ref}}, oneChunk{plain})
	var last *Entry
	for range len(plain) + 10 {
		e, err := r.NextItem()
		if err == io.EOF {
			return
		}
		var gap *GapError
		if errors.As(err, &gap) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		must(t, validItem(e))
		if last != nil && ComparePaths(last.Path, e.Path) >= 0 {
			t.Fatalf("%q after %q", e.Path, last.Path)
		}
		last = e.Clone()
	}
	t.Fatal("no end")
}

// flips are what each byte is flipped with.
var flips = []byte{0x01, 0x80, 0xff}

func TestEveryFlippedByteOfAStreamChunk(t *testing.T) {
	m := memory{}
	rec, err := m.write(graveTree())
	must(t, err)
	if len(rec.Chunks) != 1 {
		t.Fatal(len(rec.Chunks))
	}
	ref := rec.Chunks[0]
	plain := m[ref.ID]
	if n := checkChunk(t, plain, ref); n != len(graveTree()) {
		t.Fatalf("%d entries", n)
	}
	for i := range plain {
		for _, mask := range flips {
			bad := bytes.Clone(plain)
			bad[i] ^= mask
			checkChunk(t, bad, ref)
			readHostile(t, bad, ref)
			// Under its own ID it is refused whole.
			got, gaps, err := readAll(NewStreamReader(rec, oneChunk{bad}))
			if err != nil || len(got) != 0 || len(gaps) != 1 || !errors.Is(gaps[0], ErrStream) {
				t.Fatalf("byte %d: %d entries, %v, %v", i, len(got), gaps, err)
			}
		}
	}
	for n := range plain {
		checkChunk(t, plain[:n], ref)
		readHostile(t, plain[:n], ref)
		got, gaps, err := readAll(NewStreamReader(rec, oneChunk{plain[:n]}))
		if err != nil || len(got) != 0 || len(gaps) != 1 || !errors.Is(gaps[0], ErrStream) {
			t.Fatalf("%d bytes: %d entries, %v, %v", n, len(got), gaps, err)
		}
	}
	checkChunk(t, append(bytes.Clone(plain), 0), ref)
}

func smallRecord() *Record {
	return &Record{
		Number: 3, Time: time.Unix(1_900_000_000, 5).UTC(), Host: "home",
		Trees: []TreeRecord{
			{Name: "photos", Root: "/srv/photos", Totals: Totals{Files: 2, Bytes: 1 << 40, Pending: 1}, Chunks: []StreamRef{
				{ID: chunk.ID{1}, Length: 100}, {ID: chunk.ID{2}, Length: MaxStreamChunk, FirstPath: "a/b"},
				{ID: chunk.ID{3}, Length: 5, FirstPath: "a/b", Continues: true}, {ID: chunk.ID{3}, Length: 5, FirstPath: "a/\xff", Continues: true},
			}},
			{Name: "work", Stopped: "its root is empty"},
		},
	}
}

// checkRecord decodes a record of any bytes.
func checkRecord(t testing.TB, b []byte) bool {
	t.Helper()
	r := wire.NewReader(b)
	rec, err := DecodeRecord(r)
	if err != nil || r.Done() != nil {
		return false
	}
	var w wire.Writer
	rec.Encode(&w)
	if !bytes.Equal(w.Bytes(), b) {
		t.Fatalf("what decodes is encoded to other bytes\n%x\n%x", b, w.Bytes())
	}
	return true
}

func TestEveryFlippedByteOfARecord(t *testing.T) {
	var w wire.Writer
	rec := smallRecord()
	must(t, rec.Validate())
	rec.Encode(&w)
	plain := w.Bytes()
	if !checkRecord(t, plain) {
		t.Fatal("the record itself is refused")
	}
	for i := range plain {
		for _, mask := range flips {
			bad := bytes.Clone(plain)
			bad[i] ^= mask
			r := wire.NewReader(bad)
			if got, err := DecodeRecord(r); err == nil && got.ID() == rec.ID() {
				t.Fatalf("byte %d: another record with the same ID", i)
			}
			checkRecord(t, bad)
		}
	}
	for n := range plain {
		if checkRecord(t, plain[:n]) {
			t.Fatalf("%d of %d bytes decode", n, len(plain))
		}
	}
}

// checkEntry decodes an entry of any bytes.
func checkEntry(t testing.TB, b []byte) bool {
	t.Helper()
	r := wire.NewReader(b)
	e, err := DecodeEntry(r)
	if err != nil || r.Done() != nil {
		return false
	}
	must(t, e.Validate())
	var w wire.Writer
	EncodeEntry(&w, e)
	if !bytes.Equal(w.Bytes(), b) {
		t.Fatalf("what decodes is encoded to other bytes\n%x\n%x", b, w.Bytes())
	}
	return true
}

func TestEveryFlippedByteOfAnEntry(t *testing.T) {
	for _, e := range smallTree() {
		var w wire.Writer
		EncodeEntry(&w, e)
		plain := w.Bytes()
		if !checkEntry(t, plain) {
			t.Fatalf("%q is refused", e.Path)
		}
		for i := range plain {
			for _, mask := range flips {
				bad := bytes.Clone(plain)
				bad[i] ^= mask
				checkEntry(t, bad)
			}
			if checkEntry(t, plain[:i]) {
				t.Fatalf("%d of %d bytes decode", i, len(plain))
			}
		}
	}
}

func scanOf(t testing.TB, tree []*Entry, flushEach bool) []byte {
	var b bytes.Buffer
	w, err := NewScanWriter(&b, ScanHeader{Generation: 77, Tree: "tree"})
	must(t, err)
	for i, e := range tree {
		flag := ScanFlag(i % 2)
		if e.Gone != Here {
			flag = 0
		}
		se := ScanEntry{Local: Local{Dev: 1, Ino: uint64(i), CTime: disk.Time{Sec: int64(i), Nsec: 1}, Nlink: 1, Holes: int64(i) << 10}, Entry: *e, Flags: flag, Since: uint64(100 * i)}
		must(t, w.Add(&se))
		if flushEach {
			must(t, w.Flush())
		}
	}
	must(t, w.Close())
	return b.Bytes()
}

// checkScan reads a scan file of any bytes and returns the entries, and how it
// ended.
func checkScan(t testing.TB, b []byte) (tree []*Entry, err error) {
	t.Helper()
	r, err := NewScanReader(bytes.NewReader(b))
	if err != nil {
		if !errors.Is(err, ErrScan) {
			t.Fatalf("untyped error %v", err)
		}
		return nil, err
	}
	for range len(b) + 1 {
		e, err := r.Next()
		if err != nil {
			if err != io.EOF && !errors.Is(err, ErrScanTorn) {
				t.Fatalf("untyped error %v", err)
			}
			if _, again := r.Next(); again != err {
				t.Fatalf("%v, then %v", err, again)
			}
			return tree, err
		}
		must(t, validItem(&e.Entry))
		tree = append(tree, e.Entry.Clone())
	}
	t.Fatal("no end")
	return nil, nil
}

func TestEveryFlippedByteOfAScanFile(t *testing.T) {
	tree := graveTree()
	plain := scanOf(t, tree, true)
	check := func(what string, i int, bad []byte) {
		got, err := checkScan(t, bad)
		if err == nil || err == io.EOF {
			t.Fatalf("%s %d: read to its end", what, i)
		}
		// What comes out before the damage is what was written.
		for i := range got {
			sameEntry(t, tree[i], got[i])
		}
	}
	for i := range plain {
		for _, mask := range flips {
			bad := bytes.Clone(plain)
			bad[i] ^= mask
			check("byte", i, bad)
		}
		check("length", i, plain[:i])
	}
	check("longer", 1, append(bytes.Clone(plain), 0))
}

// Blocks of one file do not fit into another, nor elsewhere in their own.
func TestScanBlocksAreBound(t *testing.T) {
	tree := smallTree()[:3]
	plain := scanOf(t, tree, true)
	var b bytes.Buffer
	w, err := NewScanWriter(&b, ScanHeader{Generation: 78, Tree: "tree"})
	must(t, err)
	must(t, w.Close())
	head := len(scanMagic) + 1 + 8 + 1 + len("tree") + scanSumSize
	other := append(bytes.Clone(b.Bytes()[:head]), plain[head:]...)
	if got, err := checkScan(t, other); len(got) != 0 || !errors.Is(err, ErrScanTorn) {
		t.Fatal(got, err)
	}
	n := int(plain[head]) + 1 + scanSumSize // the first block
	missing := append(bytes.Clone(plain[:head]), plain[head+n:]...)
	if got, err := checkScan(t, missing); len(got) != 0 || !errors.Is(err, ErrScanTorn) {
		t.Fatal(got, err)
	}
}

func FuzzStreamChunk(f *testing.F) {
	m, _, tree := seedTree(f)
	rec, err := m.write(tree[:min(len(tree), 12)])
	must(f, err)
	small := memory{}
	smallRec, err := small.write(graveTree())
	must(f, err)
	for _, ref := range rec.Chunks {
		f.Add(m[ref.ID], ref.FirstPath, ref.Continues)
	}
	plain := small[smallRec.Chunks[0].ID]
	f.Add(plain, "", false)
	d, err := newItemDecoder(plain, StreamRef{}, nil)
	must(f, err)
	for at := 0; d.next() == nil; at = d.r.Offset() {
		f.Add(plain[at:], d.entry.Path, d.more)
	}
	f.Fuzz(func(t *testing.T, plain []byte, firstPath string, continues bool) {
		ref := StreamRef{FirstPath: firstPath, Continues: continues}
		checkChunk(t, plain, ref)
		readHostile(t, plain, ref)
	})
}

func FuzzRecord(f *testing.F) {
	_, rec, _ := seedTree(f)
	for _, r := range []*Record{smallRecord(), {Number: 1, Trees: []TreeRecord{rec}}, {Number: 1 << 60}} {
		var w wire.Writer
		r.Encode(&w)
		f.Add(slices.Clone(w.Bytes()))
	}
	f.Fuzz(func(t *testing.T, b []byte) { checkRecord(t, b) })
}

func FuzzEntry(f *testing.F) {
	_, _, tree := seedTree(f)
	for _, e := range append(smallTree(), tree...) {
		var w wire.Writer
		EncodeEntry(&w, e)
		f.Add(slices.Clone(w.Bytes()))
	}
	f.Fuzz(func(t *testing.T, b []byte) { checkEntry(t, b) })
}

func FuzzScan(f *testing.F) {
	_, _, tree := seedTree(f)
	f.Add(scanOf(f, graveTree(), true))
	f.Add(scanOf(f, tree, false))
	f.Fuzz(func(t *testing.T, b []byte) {
		checkScan(t, b)
		// Behind a good checksum, too.
		var file bytes.Buffer
		w, err := NewScanWriter(&file, ScanHeader{Tree: "t"})
		must(t, err)
		if len(b) == 0 {
			return
		}
		w.block.Reset()
		w.block.Fixed(b)
		must(t, w.write())
		checkScan(t, file.Bytes())
	})
}

// Old files are read for ever.
func TestFormatVectors(t *testing.T) {
	m := memory{}
	rec, err := m.write(graveTree())
	must(t, err)
	var record wire.Writer
	smallRecord().Encode(&record)
	for name, want := range map[string][]byte{
		"stream.chunk": m[rec.Chunks[0].ID], "record.body": record.Bytes(), "tree.scan": scanOf(t, graveTree(), true),
	} {
		path := filepath.Join("testdata", name)
		if os.Getenv("WRITE_VECTORS") != "" {
			must(t, os.MkdirAll("testdata", 0o755))
			must(t, os.WriteFile(path, want, 0o644))
		}
		got, err := os.ReadFile(path)
		must(t, err)
		if !bytes.Equal(got, want) {
			t.Errorf("%s: what is written has changed", name)
		}
	}
}
