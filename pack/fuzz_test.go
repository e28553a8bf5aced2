package pack

import (
	"bytes"
	"os"
	"testing"

	"waterlock/internal/chunk"
)

// seed adds the vectors, whole, cut and with one byte changed.
func seed(f *testing.F) {
	for _, name := range []string{"testdata/v1-data.pack", "testdata/v1-stream.pack"} {
		file, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(file)
		f.Add(file[:len(file)/2])
		for _, at := range []int{3, 12, 70, 300, len(file) - 200, len(file) - 20} {
			bad := bytes.Clone(file)
			bad[at] ^= 0x20
			f.Add(bad)
		}
	}
	f.Add([]byte{})
}

// readAll reads what is found and holds it to its IDs.
func readAll(t *testing.T, rd *Reader) {
	for i, p := range rd.Places() {
		if i > 100 {
			break
		}
		plain, err := rd.Read(p, nil)
		if err != nil {
			if !isTyped(err) {
				t.Fatalf("untyped error %v", err)
			}
			continue
		}
		if rd.Kind().ID(plain) != p.ID || len(plain) != int(p.PlainLen) {
			t.Fatalf("wrong bytes at %+v", p)
		}
	}
}

// reseal makes all checksums of header, table, footer and record headers
// right, so that what they cover is looked at.
func reseal(file []byte) []byte {
	size := int64(len(file))
	if size < ClosedSize(0, 0) {
		return file
	}
	file = bytes.Clone(file)
	put := func(at int64, sum [32]byte, n int) { copy(file[at:], sum[:n]) }
	put(32, chunk.Checksum(headerContext, file[:32]), 32)
	foot := size - FooterSize
	put(foot+48, chunk.Checksum(footerContext, file[foot:foot+48]), 32)
	var id identity
	copy(id.id[:], file[16:32])
	for at := int64(HeaderSize); at+Overhead <= size; at++ {
		if bytes.HasPrefix(file[at:], recordMagic[:]) {
			put(at+56, chunk.Checksum(recordHeaderContext, id.id[:], file[at:at+56]), 16)
		}
	}
	start := le.Uint64(file[foot+32:])
	if end := foot - tableTail; start < uint64(end) {
		put(end, chunk.Checksum(tableContext, file[foot+16:foot+32], file[foot+10:foot+11], file[start:end]), 32)
	}
	return file
}

func FuzzOpenPack(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, file []byte) {
		openAny(t, file)
		openAny(t, reseal(file))
	})
}

func openAny(t *testing.T, file []byte) {
	rd, err := Open(reader(file))
	if err != nil {
		if !isTyped(err) {
			t.Fatalf("untyped error %v", err)
		}
		return
	}
	end := int64(HeaderSize)
	for _, p := range rd.Places() {
		if p.Offset != end {
			t.Fatalf("a gap before %+v", p)
		}
		end = p.End()
	}
	if end+TableSize(len(rd.Places()))+FooterSize != int64(len(file)) {
		t.Fatal("bytes that belong to nothing")
	}
	readAll(t, rd)
}

func FuzzRecover(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, file []byte) {
		recoverAny(t, file)
		recoverAny(t, reseal(file))
	})
}

func recoverAny(t *testing.T, file []byte) {
	r, size := reader(file)
	end, last, found := int64(HeaderSize), uint32(0), 0
	err := Recover(r, size, func(p Place) error {
		if p.Offset < end || p.Number <= last || p.End() > size {
			t.Fatalf("%+v after record %d up to %d", p, last, end)
		}
		end, last = p.End(), p.Number
		found++
		return nil
	})
	rd, damage, salvageErr := Salvage(r, size)
	if (err == nil) != (salvageErr == nil) {
		t.Fatalf("Recover says %v, Salvage says %v", err, salvageErr)
	}
	for _, err := range []error{err, damage, salvageErr} {
		if err != nil && !isTyped(err) {
			t.Fatalf("untyped error %v", err)
		}
	}
	if salvageErr != nil {
		return
	}
	if len(rd.Places()) < found {
		t.Fatalf("%d places salvaged, %d recovered", len(rd.Places()), found)
	}
	readAll(t, rd)
}

// FuzzDecodeStored lets the input be a payload.
func FuzzDecodeStored(f *testing.F) {
	e := newEncoder(f, 0)
	for _, plain := range [][]byte{text(1000), make([]byte, 100_000), random(1, 100)} {
		s, err := e.Encode(chunk.Data, plain, nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(byte(s.Encoding), s.PlainLen, s.Data)
	}
	f.Add(byte(Zstd), uint32(MaxPlain), bomb(MaxPlain, 0x00, 0x58))
	f.Fuzz(func(t *testing.T, enc byte, plainLen uint32, data []byte) {
		id := chunk.Data.ID([]byte("unlike anything"))
		_, err := DecodeStored(chunk.Data, Stored{id, Encoding(enc), plainLen, data}, nil)
		if !isTyped(err) {
			t.Fatalf("%v", err)
		}
	})
}
