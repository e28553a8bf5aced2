package pack

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"waterlock/internal/chunk"
)

// isTyped reports whether an error tells part and check, or the chunk.
func isTyped(err error) bool {
	var f *FormatError
	var c *ChunkError
	return errors.As(err, &f) && f.Expected != "" && f.Found != "" || errors.As(err, &c)
}

// outcome is what Check says of a file.
type outcome struct {
	tableErr error
	err      error
	good     []uint32 // records read
	bad      []uint32 // records found and not read
}

// checkAll checks a file that should hold b and fails the test at any wrong
// byte, wrong place or error without a type.
func checkAll(t testing.TB, b built, file []byte) (o outcome) {
	r, size := reader(file)
	right := func(p Place, plain []byte) {
		if p.Number == 0 || int(p.Number) > len(b.plains) || p != b.Places[p.Number-1] || !bytes.Equal(plain, b.plains[p.Number-1]) {
			t.Fatalf("wrong place or bytes: %+v", p)
		}
	}
	rd, openErr := Open(r, size)
	if openErr != nil && !isTyped(openErr) {
		t.Fatalf("Open: untyped error %v", openErr)
	}
	o.tableErr, o.err = Check(r, size, func(p Place, err error) error {
		switch {
		case err == nil:
			o.good = append(o.good, p.Number)
		default:
			var re *RecordError
			if !isTyped(err) || !errors.As(err, &re) || re.Number != p.Number || re.ID != p.ID || re.Offset != p.Offset {
				t.Fatalf("record %d: untyped error %v", p.Number, err)
			}
			o.bad = append(o.bad, p.Number)
		}
		return nil
	})
	if (openErr == nil) != (o.tableErr == nil) || o.tableErr != nil && !isTyped(o.tableErr) {
		t.Fatalf("Open says %v, Check says %v", openErr, o.tableErr)
	}
	if o.err != nil && !isTyped(o.err) {
		t.Fatalf("Check: untyped error %v", o.err)
	}
	known, err := OpenRecords(r, size)
	if (err == nil) != (o.err == nil) || err != nil && !isTyped(err) {
		t.Fatalf("OpenRecords says %v, Check says %v", err, o.err)
	}
	var recovered []uint32
	err = Recover(r, size, func(p Place) error {
		recovered = append(recovered, p.Number)
		if plain, err := known.Read(p, nil); err == nil {
			right(p, plain)
		}
		return nil
	})
	if (err == nil) != (o.err == nil) || err != nil && !isTyped(err) {
		t.Fatalf("Recover says %v, Check says %v", err, o.err)
	}
	for _, n := range o.good {
		if !slices.Contains(recovered, n) {
			t.Fatalf("record %d can be read but is not found without the table", n)
		}
	}
	if rd != nil {
		for _, p := range rd.Places() {
			if plain, err := rd.Read(p, nil); err == nil {
				right(p, plain)
			}
		}
	}
	return o
}

func numbers(n int) (all []uint32) {
	for i := range n {
		all = append(all, uint32(i+1))
	}
	return all
}

func TestEveryFlippedByteCostsAtMostOneRecord(t *testing.T) {
	for _, kind := range []chunk.Kind{chunk.Data, chunk.Stream} {
		b := smallPack(t, kind)
		all := numbers(len(b.plains))
		records := b.Places[len(b.Places)-1].End()
		for i := range b.file {
			for _, flip := range []byte{0xff, 1 << (i % 8)}[:kind%2+1] { // both for data, one for streams
				file := bytes.Clone(b.file)
				file[i] ^= flip
				o := checkAll(t, b, file)
				if o.err != nil {
					t.Fatalf("byte %d: %v", i, o.err)
				}
				if at := int64(i); at < HeaderSize || at >= records {
					if o.tableErr == nil || !slices.Equal(o.good, all) || len(o.bad) != 0 {
						t.Fatalf("byte %d of header, table or footer: %+v", i, o)
					}
					continue
				}
				hit := slices.IndexFunc(b.Places, func(p Place) bool { return int64(i) < p.End() })
				want := slices.Delete(slices.Clone(all), hit, hit+1)
				if o.tableErr != nil || !slices.Equal(o.good, want) || !slices.Equal(o.bad, all[hit:hit+1]) {
					t.Fatalf("byte %d of record %d: %+v", i, hit+1, o)
				}
			}
		}
	}
}

func TestEveryTruncationLeavesTheRecordsBeforeIt(t *testing.T) {
	b := smallPack(t, chunk.Data)
	for n := range b.file {
		o := checkAll(t, b, b.file[:n])
		if o.tableErr == nil || (o.err == nil) != (n >= HeaderSize) {
			t.Fatalf("cut to %d: %+v", n, o)
		}
		whole := 0
		for _, p := range b.Places {
			if p.End() <= int64(n) && n >= HeaderSize {
				whole++
			}
		}
		if !slices.Equal(o.good, numbers(whole)) || len(o.bad) != 0 {
			t.Fatalf("cut to %d: %+v, want %d records", n, o, whole)
		}
	}
}

// Either of header and footer is enough to find all records without the table;
// without both there is nothing to check them by.
func TestHeaderOrFooterIsEnough(t *testing.T) {
	b := smallPack(t, chunk.Data)
	header, table, foot := 20, int(b.Places[5].End())+20, len(b.file)-20
	for _, c := range []struct {
		hit  []int
		lost bool
	}{{[]int{header, table}, false}, {[]int{table, foot}, false}, {[]int{header, foot}, true}} {
		file := bytes.Clone(b.file)
		for _, at := range c.hit {
			file[at] ^= 4
		}
		o := checkAll(t, b, file)
		if o.tableErr == nil || (o.err != nil) != c.lost || len(o.good) != len(b.plains) && !c.lost {
			t.Errorf("damage at %v: %+v", c.hit, o)
		}
	}
}

func TestTrailingBytesAreRefused(t *testing.T) {
	b := smallPack(t, chunk.Data)
	for _, tail := range [][]byte{{0}, {0x0a}, make([]byte, 4096), b.file[len(b.file)-FooterSize:], b.file} {
		o := checkAll(t, b, append(bytes.Clone(b.file), tail...))
		if o.tableErr == nil || o.err != nil || !slices.Equal(o.good, numbers(len(b.plains))) {
			t.Errorf("%d bytes more: %+v", len(tail), o)
		}
	}
}

func TestZeroedAndForeignFilesAreNoPacks(t *testing.T) {
	b := smallPack(t, chunk.Data)
	for name, file := range map[string][]byte{
		"empty":  nil,
		"zeros":  make([]byte, 10_000),
		"text":   text(10_000),
		"record": b.file[HeaderSize:],
	} {
		o := checkAll(t, b, file)
		if name == "record" { // the footer does not fit the size, the header is gone
			if o.err == nil {
				t.Errorf("%s: %+v", name, o)
			}
			continue
		}
		if !errors.Is(o.err, ErrHeader) || o.tableErr == nil || o.good != nil {
			t.Errorf("%s: %+v", name, o)
		}
	}
	for at := int64(0); at < int64(len(b.file)); at += 512 {
		file := bytes.Clone(b.file)
		clear(file[at:min(at+512, int64(len(file)))])
		checkAll(t, b, file)
	}
}

// A pack within a raw payload is content, whatever happens around it.
func TestRecordsOfANestedPackAreNeverTakenForOwn(t *testing.T) {
	inner := build(t, chunk.Data, [16]byte{'i', 'n'}, random(5, 300), random(6, 400))
	noise := append(random(7, 6000), inner.file...)
	outer := build(t, chunk.Data, testID, random(1, 100), noise, random(2, 100))
	if outer.Places[1].Encoding != Raw {
		t.Fatal("the nested pack is not stored raw")
	}
	for i := range outer.file {
		if int64(i) >= outer.Places[1].Offset+recordHead && int64(i) < outer.Places[2].Offset {
			continue
		}
		file := bytes.Clone(outer.file)
		file[i] ^= 0x10
		checkAll(t, outer, file) // compares each place and byte with outer's
	}
	for n := range outer.file {
		checkAll(t, outer, outer.file[:n])
	}
}

// A copy of an own record within a later payload is not found twice.
func TestACopyOfAnOwnRecordIsNotFoundTwice(t *testing.T) {
	var file bytes.Buffer
	w, err := newWriter(&file, identity{chunk.Data, testID})
	if err != nil {
		t.Fatal(err)
	}
	first := random(1, 200)
	p, _ := w.Append(Stored{chunk.Data.ID(first), Raw, 200, first})
	second := append(random(2, 60), w.buf[p.Offset:p.End()]...)
	q, err := w.Append(Stored{chunk.Data.ID(second), Raw, uint32(len(second)), second})
	if err != nil {
		t.Fatal(err)
	}
	sum, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	b := built{sum, file.Bytes(), [][]byte{first, second}}
	bad := bytes.Clone(b.file)
	bad[q.Offset+30] ^= 1            // the second record's header
	bad[len(bad)-FooterSize-10] ^= 1 // the table
	o := checkAll(t, b, bad)
	if !slices.Equal(o.good, []uint32{1}) || o.tableErr == nil {
		t.Errorf("%+v", o)
	}
}

func TestHeaderAndFooterOfTwoPacksDoNotMix(t *testing.T) {
	a := build(t, chunk.Data, [16]byte{1}, random(1, 100))
	b := build(t, chunk.Data, [16]byte{2}, random(2, 100))
	mixed := append(bytes.Clone(a.file[:a.Places[0].End()]), b.file[b.Places[0].End():]...)
	o := checkAll(t, a, mixed)
	if !errors.Is(o.tableErr, ErrFooter) || !errors.Is(o.tableErr, ErrField) || !slices.Equal(o.good, []uint32{1}) {
		t.Errorf("%+v", o)
	}
}

// The first check that fails names the error, whatever else is wrong.
func TestChecksComeInOrder(t *testing.T) {
	b := smallPack(t, chunk.Data)
	end := len(b.file)
	for name, c := range map[string]struct {
		part  error
		steps []int // offsets to damage, the last check first
	}{
		"header": {ErrHeader, []int{20, 8, 0}},
		"footer": {ErrFooter, []int{end - 10, end - FooterSize + 8, end - FooterSize}},
	} {
		file := bytes.Clone(b.file)
		for i, want := range []error{ErrChecksum, ErrVersion, ErrMagic} {
			file[c.steps[i]] ^= 2
			_, err := Open(reader(file))
			var f *FormatError
			if !errors.Is(err, c.part) || !errors.Is(err, want) || !errors.As(err, &f) {
				t.Errorf("%s: want %v, found %v", name, want, err)
			}
		}
	}
	table := b.Places[len(b.Places)-1].End()
	file := bytes.Clone(b.file)
	for i, want := range []error{ErrChecksum, ErrMagic} {
		file[table+[]int64{9, 0}[i]] ^= 2
		if _, err := Open(reader(file)); !errors.Is(err, ErrTable) || !errors.Is(err, want) {
			t.Errorf("table: want %v, found %v", want, err)
		}
	}
	rd, err := Open(reader(b.file))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []error{ErrChecksum, ErrMagic} {
		b.file[b.Places[1].Offset+[]int64{9, 0}[i]] ^= 2
		if _, err := rd.Read(b.Places[1], nil); !errors.Is(err, ErrRecord) || !errors.Is(err, want) {
			t.Errorf("record: want %v, found %v", want, err)
		}
	}
}

func TestReadRefusesAPlaceThatIsNotTheRecords(t *testing.T) {
	b := smallPack(t, chunk.Data)
	rd, err := Open(reader(b.file))
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Place){
		"number":           func(p *Place) { p.Number++ },
		"no number":        func(p *Place) { p.Number = 0 },
		"id":               func(p *Place) { p.ID[0] ^= 1 },
		"encoding":         func(p *Place) { p.Encoding = Raw; p.StoredLen = p.PlainLen },
		"stored length":    func(p *Place) { p.StoredLen-- },
		"plain length":     func(p *Place) { p.PlainLen++ },
		"huge":             func(p *Place) { p.PlainLen, p.StoredLen = 1<<32-1, 1<<32-1 },
		"offset":           func(p *Place) { p.Offset++ },
		"in the header":    func(p *Place) { p.Offset = 0 },
		"negative offset":  func(p *Place) { p.Offset = -1 << 62 },
		"behind the end":   func(p *Place) { p.Offset = int64(len(b.file)) },
		"far behind":       func(p *Place) { p.Offset = 1<<63 - 1 },
		"of another place": func(p *Place) { p.Offset = b.Places[0].Offset },
	} {
		p := b.Places[4]
		change(&p)
		plain, err := rd.Read(p, nil)
		var re *RecordError
		if plain != nil || !isTyped(err) || !errors.As(err, &re) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A record whose seal is right and whose chunk is not names the chunk.
func TestAWrongChunkUnderARightSealIsFound(t *testing.T) {
	e := newEncoder(t, 0)
	for _, plain := range [][]byte{random(1, 500), text(500)} {
		for _, kind := range []chunk.Kind{chunk.Data, chunk.Stream} {
			s, err := e.Encode(kind, plain, nil)
			if err != nil {
				t.Fatal(err)
			}
			s.ID[0] ^= 1
			var file bytes.Buffer
			w, _ := newWriter(&file, identity{kind, testID})
			p, err := w.Append(s)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Close(); err != nil {
				t.Fatal(err)
			}
			rd, err := Open(reader(file.Bytes()))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := rd.Read(p, nil); !isTyped(err) || !errors.Is(err, ErrChunk) && !errors.Is(err, ErrRecord) {
				t.Errorf("%v %v: %v", kind, s.Encoding, err)
			}
		}
	}
}

// A checksum does not make a field true.
func TestFieldsUnderAGoodChecksumAreBounded(t *testing.T) {
	b := smallPack(t, chunk.Data)
	size := int64(len(b.file))
	foot, table := size-FooterSize, b.Places[len(b.Places)-1].End()
	for name, c := range map[string]struct {
		at    int64
		bytes []byte
		part  error
		check error
	}{
		"header: no kind":          {10, []byte{0}, ErrHeader, ErrField},
		"header: unknown kind":     {10, []byte{3}, ErrHeader, ErrField},
		"header: no seal":          {11, []byte{0}, ErrHeader, ErrField},
		"header: a later seal":     {11, []byte{2}, ErrHeader, ErrField},
		"header: reserved bytes":   {15, []byte{1}, ErrHeader, ErrField},
		"header: another kind":     {10, []byte{2}, ErrFooter, ErrField},
		"footer: no kind":          {foot + 10, []byte{0}, ErrFooter, ErrField},
		"footer: a later seal":     {foot + 11, []byte{2}, ErrFooter, ErrField},
		"footer: more records":     {foot + 12, []byte{7}, ErrFooter, ErrField},
		"footer: too many records": {foot + 12, []byte{1, 0, 1, 0}, ErrFooter, ErrField},
		"footer: 2^32-1 records":   {foot + 12, []byte{255, 255, 255, 255}, ErrFooter, ErrField},
		"footer: another pack":     {foot + 16, []byte{9}, ErrFooter, ErrField},
		"footer: table elsewhere":  {foot + 32, []byte{byte(table + 1)}, ErrFooter, ErrLength},
		"footer: table in header":  {foot + 32, make([]byte, 8), ErrFooter, ErrField},
		"footer: table far away":   {foot + 39, []byte{0x7f}, ErrFooter, ErrField},
		"footer: longer table":     {foot + 40, []byte{255}, ErrFooter, ErrField},
		"table: other count":       {table + 8, []byte{5}, ErrTable, ErrField},
		"table: reserved bytes":    {table + 12, []byte{1}, ErrTable, ErrField},
		"table: no encoding":       {table + tableHead, []byte{0}, ErrTable, ErrField},
		"table: stored is more":    {table + tableHead + 4, []byte{255}, ErrTable, ErrField},
		"table: stored is less":    {table + tableHead + tableRow + 1, []byte{1}, ErrTable, ErrLength},
		"table: plain over 8 MiB":  {table + tableHead + tableRow + 8, []byte{1}, ErrTable, ErrField},
		"table: no chunk id":       {table + tableHead + 9, make([]byte, 32), ErrTable, ErrField},
	} {
		file := bytes.Clone(b.file)
		copy(file[c.at:], c.bytes)
		_, err := Open(reader(reseal(file)))
		if !errors.Is(err, c.part) || !errors.Is(err, c.check) || !isTyped(err) {
			t.Errorf("%s: want %v, %v; found %v", name, c.part, c.check, err)
		}
	}
	rd, err := Open(reader(reseal(b.file)))
	if err != nil {
		t.Fatal(err)
	}
	p := b.Places[1]
	for name, c := range map[string]struct {
		at    int64
		bytes []byte
	}{
		"no encoding":      {8, []byte{0}},
		"reserved bytes":   {9, []byte{1}},
		"no number":        {12, []byte{0}},
		"number too large": {14, []byte{255}},
		"no stored length": {16, make([]byte, 4)},
		"stored 4 GiB":     {16, []byte{255, 255, 255, 255}},
		"no plain length":  {20, make([]byte, 4)},
		"plain 4 GiB":      {20, []byte{255, 255, 255, 255}},
		"no chunk id":      {24, make([]byte, 32)},
	} {
		file := bytes.Clone(b.file)
		copy(file[p.Offset+c.at:], c.bytes)
		rd.r = bytes.NewReader(reseal(file))
		if _, err := rd.Read(p, nil); !errors.Is(err, ErrRecord) || !errors.Is(err, ErrField) {
			t.Errorf("record, %s: %v", name, err)
		}
	}
}
