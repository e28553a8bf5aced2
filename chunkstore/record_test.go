package chunkstore

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/internal/disk/disktest"
	"waterlock/internal/wire"
	"waterlock/snapshot"
)

// recordsOf returns the install records and lists of given-up actions of a
// vault that has done everything.
func recordsOf(t testing.TB) (names []string, data [][]byte, w *world) {
	w = growingWorld(t, disktest.NewMem())
	w.open()
	sc := everything(w)
	w.fine(sc.acts(w)...)
	one := random(11, 5500)
	grows := w.big("grows", one, 10)
	w.load(grows.Content)
	w.growTo(grows, part(grows, 1, 4))
	copy(one[2000:3000], random(12, 1000))
	grows = w.big("grows", one, 20)
	w.load(grows.Content)
	w.growTo(grows, part(grows, 1, 4))
	write(t, w.fs, "a/was here", bytesOf(13, 2500))
	if err := w.adoptAll("was here"); err != nil {
		t.Fatal(err)
	}
	fault := disktest.NewFault(w.fs)
	w.close()
	w.fs = fault
	w.open()
	// One action fails after the record: a directory stands where another
	// file came meanwhile.
	late := install(w.file("late", []byte("late"), 1))
	w.feed()
	b := w.s.NewBatch(BatchOptions{})
	if err := b.Add(t.Context(), late); err != nil {
		t.Fatal(err)
	}
	write(t, w.fs, "a/late", "earlier")
	res, err := b.Commit(t.Context())
	if err != nil || res[0].Err == nil {
		t.Fatalf("%v %v", res, err)
	}
	list, err := w.fs.ReadDir(installsDir)
	if err != nil {
		t.Fatal(err)
	}
	for i := range list.Len() {
		b, err := disk.ReadAll(w.fs, installsDir+"/"+list.At(i), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		names, data = append(names, list.At(i)), append(data, b)
	}
	return names, data, w
}

func TestInstallRecordRoundTrip(t *testing.T) {
	names, data, _ := recordsOf(t)
	voids := 0
	for i, sealed := range data {
		body, err := wire.OpenRoute(wire.InstallRecord, testRoute, sealed)
		if err != nil {
			t.Fatal(err)
		}
		if body[0] == bodyVoid {
			voids++
			seq, void, err := decodeVoid(body)
			if err != nil || !bytes.Equal(encodeVoid(seq, []int{0}), body) || !void[0] {
				t.Fatalf("%s: %v", names[i], err)
			}
			continue
		}
		rec, err := decodeRecord(body)
		if err != nil {
			t.Fatal(err)
		}
		if again := rec.encode(); !bytes.Equal(again, body) {
			t.Fatalf("%s: another encoding", names[i])
		}
	}
	if voids != 1 || len(data) != 8 {
		t.Fatalf("%d records, %d of them of what was given up", len(data), voids)
	}
}

// Every byte flipped and every truncation of a record is a typed error.
func TestInstallRecordDamage(t *testing.T) {
	names, data, w := recordsOf(t)
	seq, smallest := uint64(0), 0
	for i := range data {
		if n, ok := parseNumber(names[i][:16]); ok && names[i][16:] == recordExt && (seq == 0 || len(data[i]) < len(data[smallest])) {
			seq, smallest = uint64(n), i
		}
	}
	name, good := installsDir+"/"+names[smallest], data[smallest]
	put := func(b []byte) {
		w.fs.Remove(name)
		f, err := w.fs.Create(name, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		f.Write(b)
		f.Close()
	}
	typed := func(what string, i int, b []byte) {
		put(b)
		if _, _, err := w.s.readRecord(seq, false); !errors.Is(err, ErrRecord) {
			t.Fatalf("%s at %d: %v", what, i, err)
		}
	}
	for i := range good {
		b := bytes.Clone(good)
		b[i] ^= 1 << (i % 8)
		typed("flip", i, b)
		typed("truncation", i, good[:i])
	}
	typed("more", len(good), append(bytes.Clone(good), 0))
	other := wire.RouteID{9}
	body, _ := wire.OpenRoute(wire.InstallRecord, testRoute, good)
	typed("route", 0, wire.Seal(wire.InstallRecord, other, body))
	typed("kind", 0, wire.Seal(wire.Commit, testRoute, body))
	// Under a good seal the body is still hostile.
	for i := range body {
		put(wire.Seal(wire.InstallRecord, testRoute, body[:i]))
		if _, _, err := w.s.readRecord(seq, false); !errors.Is(err, ErrRecord) {
			t.Fatalf("body cut at %d: %v", i, err)
		}
	}
	put(good)
	if _, _, err := w.s.readRecord(seq, false); err != nil {
		t.Fatal(err)
	}
	// A vault with a damaged record opens, says so, and the next unpack adopts
	// what the record told of.
	bad := bytes.Clone(good)
	bad[len(bad)/2] ^= 1
	put(bad)
	if err := w.s.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(w.rep.Problems()) == 0 {
		t.Fatal("nothing was said")
	}
}

func FuzzInstallRecord(f *testing.F) {
	_, data, w := recordsOf(f)
	w.close()
	for _, sealed := range data {
		body, err := wire.OpenRoute(wire.InstallRecord, testRoute, sealed)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	f.Add(allRows().encode())
	f.Fuzz(func(t *testing.T, body []byte) {
		if rec, err := decodeRecord(body); err == nil {
			again := rec.encode()
			if !bytes.Equal(again, body) {
				t.Fatalf("%x\n%x: two encodings of one record", body, again)
			}
			twice, err := decodeRecord(again)
			if err != nil || !reflect.DeepEqual(rec, twice) {
				t.Fatalf("%v", err)
			}
		}
		if seq, void, err := decodeVoid(body); err == nil && len(void) > maxActions {
			t.Fatalf("%d of %d", len(void), seq)
		}
	})
}

// Chunks that would lie beyond the largest file are refused, whatever the sum
// of their lengths does.
func TestPlacedChunksBeyondAFileAreRefused(t *testing.T) {
	id := chunk.Data.ID([]byte("x"))
	for _, gaps := range [][]uint64{{snapshot.MaxSize + 1}, {snapshot.MaxSize}, {snapshot.MaxSize - 8, snapshot.MaxSize}, {snapshot.MaxSize - 8, snapshot.MaxSize - 8, snapshot.MaxSize}} {
		var w wire.Writer
		w.Uvarint(uint64(len(gaps)))
		for _, gap := range gaps {
			w.Uvarint(gap)
			w.Uvarint(8)
			w.Fixed(id[:])
		}
		r := wire.NewReader(w.Bytes())
		if list := decodePlaced(r); r.Err() == nil {
			t.Errorf("gaps %d: %+v", gaps, list)
		}
	}
}
