package chunkstore

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"waterlock/internal/chunk"
	"waterlock/internal/disk/disktest"
	"waterlock/pack"
)

func (w *world) put(b []byte, k chunk.Kind) chunk.ID {
	w.t.Helper()
	st := pack.Stored{ID: k.ID(b), Encoding: pack.Raw, PlainLen: uint32(len(b)), Data: b}
	if err := w.s.PutHistory(st, k); err != nil {
		w.t.Fatal(err)
	}
	return st.ID
}

func TestHistory(t *testing.T) {
	w := newWorld(t, disktest.NewMem())
	w.size = 4096
	w.open()
	var ids []chunk.ID
	var plain [][]byte
	for i := range 20 {
		b := random(uint64(i), 500+i)
		ids, plain = append(ids, w.put(b, chunk.Data)), append(plain, b)
	}
	meta := w.put([]byte("a stream chunk"), chunk.Stream)
	w.put(plain[19], chunk.Data) // twice
	if ok, _ := w.s.Has(ids[19]); ok {
		t.Fatal("counts before it is durable")
	}
	if err := w.s.FlushHistory(); err != nil {
		t.Fatal(err)
	}
	w.put(plain[3], chunk.Data) // the vault has it
	if err := w.s.FlushHistory(); err != nil {
		t.Fatal(err)
	}
	check := func() {
		t.Helper()
		for i, id := range ids {
			got, err := w.s.Get(id, chunk.Data, int64(len(plain[i])), nil)
			if err != nil || !bytes.Equal(got, plain[i]) {
				t.Fatalf("chunk %d: %v", i, err)
			}
		}
		got, err := w.s.Get(meta, chunk.Stream, 14, nil)
		if err != nil || string(got) != "a stream chunk" {
			t.Fatal(err)
		}
	}
	check()
	// The kinds are kept apart, and lengths are believed by nobody.
	if _, err := w.s.Get(meta, chunk.Data, 14, nil); !errors.Is(err, ErrNoPlace) {
		t.Fatal(err)
	}
	if _, err := w.s.Get(ids[0], chunk.Data, 501, nil); !errors.Is(err, ErrNoPlace) {
		t.Fatal(err)
	}
	w.rebuild(w.rows())
	check()
	sp, err := w.s.Space(t.Context())
	if err != nil || sp.Packs < 4 || sp.History < 10000 {
		t.Fatalf("%+v %v", sp, err)
	}
	for n := range all(t, w.fs, packsDir) {
		if strings.HasSuffix(n, partExt) {
			t.Fatalf("%s is left over", n)
		}
	}
}

func TestHistoryReadsBackWrong(t *testing.T) {
	for _, times := range []int{1, 3, -1} {
		mem := disktest.NewMem()
		w := newWorld(t, mem).open()
		w.fs.Mkdir("a", 0o755)
		w.close()
		w.fs = disktest.FlipOnReadBack(mem, func(n string) bool { return strings.HasSuffix(n, partExt) }, times)
		w.open()
		b := random(1, 5000)
		id := w.put(b, chunk.Data)
		w.drive[id] = b
		w.feed()
		err := w.s.FlushHistory()
		has, _ := w.s.Has(id)
		if times < 0 {
			if !errors.Is(err, ErrReadBack) || has {
				t.Fatalf("%v, %v", err, has)
			}
		} else if err != nil || !has {
			t.Fatalf("%d: %v, %v", times, err, has)
		}
		w.close()
	}
}

// After every crash the packs are whole or not there, and nothing is said to be
// held that is not.
func TestCrashAtEveryStepOfHistory(t *testing.T) {
	start := disktest.NewMem()
	w := newWorld(t, start).open()
	w.close()
	b1, b2 := random(1, 900), random(2, 1900)
	crashEvery(t, func(t *testing.T, k int) bool {
		mem := start.Crashed(disktest.Names, 0)
		w := again(t, mem)
		if err := w.tryOpen(); err != nil {
			t.Error(err)
			return false
		}
		mem.CrashAfter(k)
		err := w.s.PutHistory(stored(b1), chunk.Data)
		if err == nil {
			err = w.s.PutHistory(stored(b2), chunk.Data)
		}
		if err == nil {
			err = w.s.FlushHistory()
		}
		crashed := mem.DidCrash()
		w.discard()
		for _, mode := range disktest.Modes {
			r := again(t, mem.Crashed(mode, uint64(k)))
			if err := r.tryOpen(); err != nil {
				t.Error(err)
				return false
			}
			for _, b := range [][]byte{b1, b2} {
				has, _ := r.s.Has(chunk.Data.ID(b))
				got, gerr := r.s.Get(chunk.Data.ID(b), chunk.Data, int64(len(b)), nil)
				if has != (gerr == nil) || has && !bytes.Equal(got, b) || err == nil && !has {
					t.Errorf("k %d, %v: flushed %v, has %v, %v", k, mode, err == nil, has, gerr)
				}
			}
			if n := len(r.rep.Problems()); n != 0 {
				t.Error(r.rep.Problems())
			}
			for n := range all(t, r.fs, packsDir) {
				if strings.HasSuffix(n, partExt) {
					t.Errorf("%s is left over", n)
				}
			}
			r.discard()
		}
		return crashed
	})
}
