package chunkstore

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/internal/disk/disktest"
	"waterlock/internal/report"
)

// Stream chunks are read without the catalog, verified; one that is damaged is
// told from one that is not there.
func TestStreamsAreReadWithoutTheCatalog(t *testing.T) {
	w := newWorld(t, disktest.NewMem())
	w.size = 64 << 10
	w.open()
	var ids []chunk.ID
	var plain [][]byte
	for i := range 200 {
		b := random(uint64(i), 1000+i)
		ids, plain = append(ids, w.put(b, chunk.Stream)), append(plain, b)
	}
	data := w.put(random(777, 100), chunk.Data)
	if err := w.s.FlushHistory(); err != nil {
		t.Fatal(err)
	}
	w.close()
	open := func() (*Streams, *report.Recorder) {
		rep := &report.Recorder{}
		s, err := OpenStreams(w.fs, rep)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		return s, rep
	}
	s, rep := open()
	if len(s.packs) < 3 || len(rep.Problems()) > 0 {
		t.Fatalf("%d packs, %v", len(s.packs), rep.Problems())
	}
	for i, id := range ids {
		got, err := s.Get(id, chunk.Stream, int64(len(plain[i])), nil)
		if err != nil || !bytes.Equal(got, plain[i]) {
			t.Fatalf("chunk %d: %v", i, err)
		}
	}
	for _, err := range []error{
		second(s.Get(data, chunk.Data, 100, nil)),
		second(s.Get(chunk.Stream.ID([]byte("x")), chunk.Stream, 1, nil)),
		second(s.Get(ids[0], chunk.Stream, 5, nil)), // nobody believes a length
	} {
		if !errors.Is(err, ErrNoPlace) {
			t.Errorf("%v, want %v", err, ErrNoPlace)
		}
	}

	// One byte of a record, and the table of another pack.
	flipAt(t, w.fs, packName(s.packs[0]), func(size int64) int64 { return 300 })
	flipAt(t, w.fs, packName(s.packs[1]), func(size int64) int64 { return size - 200 })
	s, rep = open()
	bad := 0
	for i, id := range ids {
		got, err := s.Get(id, chunk.Stream, int64(len(plain[i])), nil)
		if err == nil && bytes.Equal(got, plain[i]) {
			continue
		}
		bad++
		if got != nil || errors.Is(err, ErrNoPlace) || !strings.Contains(err.Error(), s.packs[0]) {
			t.Errorf("chunk %d: %v", i, err)
		}
	}
	if bad != 1 {
		t.Errorf("%d chunks cannot be read, want the one of the damaged record", bad)
	}
	if p := rep.Problems(); len(p) != 1 || !strings.Contains(p[0].Path, s.packs[1]) {
		t.Errorf("problems: %v, want one of the damaged table", p)
	}
}

func TestStreamsOfAVaultThatHasNone(t *testing.T) {
	s, err := OpenStreams(disktest.NewMem(), report.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(chunk.Stream.ID([]byte("x")), chunk.Stream, 1, nil); !errors.Is(err, ErrNoPlace) {
		t.Fatal(err)
	}
}

func second(_ []byte, err error) error { return err }

func flipAt(t *testing.T, f disk.FS, name string, at func(size int64) int64) {
	t.Helper()
	b, err := disk.ReadAll(f, name, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	b[at(int64(len(b)))] ^= 1
	if err := f.Remove(name); err != nil {
		t.Fatal(err)
	}
	if err := disk.Put(f, name, b); err != nil {
		t.Fatal(err)
	}
}
