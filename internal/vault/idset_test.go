package vault

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"waterlock/internal/chunk"
	"waterlock/internal/disk/disktest"
)

func idOf(n uint64) (id chunk.ID) {
	rand.NewChaCha8([32]byte{byte(n), byte(n >> 8), byte(n >> 16)}).Read(id[:])
	return id
}

// A set of any size answers as a map does, and holds no more in memory than it was given.
func TestASetOfIDsOnDiskIsAMap(t *testing.T) {
	t.Parallel()
	for _, n := range []uint64{0, 1, 99, 100, 101, 5000} {
		mem := disktest.NewMem()
		s, err := newIDSet(mem, 100)
		must(t, err)
		r := rand.New(rand.NewPCG(n, 1))
		in := map[chunk.ID]bool{}
		for range 3 * n { // each comes some three times
			id := idOf(r.Uint64N(n))
			in[id] = true
			must(t, s.add(id))
			if len(s.ids) > 100 {
				t.Fatalf("%d IDs in memory", len(s.ids))
			}
		}
		must(t, s.finish())
		if int(s.n) != len(in) {
			t.Fatalf("%d: %d IDs, expected %d", n, s.n, len(in))
		}
		if n == 5000 && (s.runs < 10 || s.file == nil) {
			t.Fatalf("%d runs", s.runs)
		}
		for i := range 2*n + 1 {
			has, err := s.has(idOf(i))
			if err != nil || has != in[idOf(i)] {
				t.Fatalf("%d: ID %d: %v, %v", n, i, has, err)
			}
		}
		for _, id := range []chunk.ID{{}, {0: 0xff, 31: 0xff}} {
			if has, err := s.has(id); has || err != nil {
				t.Fatalf("%v, %v", has, err)
			}
		}
		s.close()
		if names, err := mem.ReadDir(scratchDir); err != nil || names.Len() != 0 {
			t.Fatalf("left over: %v, %v", names, err)
		}
	}
}

// What a crash leaves of one set does no harm to the next.
func TestASetOfIDsSurvivesACrash(t *testing.T) {
	t.Parallel()
	mem := disktest.NewMem()
	for range 2 {
		s, err := newIDSet(mem, 50)
		must(t, err)
		for i := range uint64(500) {
			var id chunk.ID
			binary.BigEndian.PutUint64(id[:], i)
			must(t, s.add(id))
		}
		must(t, s.finish())
		if s.n != 500 {
			t.Fatalf("%d IDs", s.n)
		}
	}
}
