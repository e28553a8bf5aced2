package vault

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"runtime"
	"testing"

	"waterlock/internal/chunk"
	"waterlock/internal/disk"
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

// What 20 million chunks are named takes the memory that is promised.
func TestTwentyMillionIDsStaySmall(t *testing.T) {
	if os.Getenv("WL_SOAK") == "" {
		t.Skip("20 million IDs take a minute and 1.3 GB of disk: WL_SOAK is not set")
	}
	fs, err := disk.Dir(t.TempDir())
	must(t, err)
	defer fs.Close()
	s, err := newIDSet(fs, idsInRun)
	must(t, err)
	const n = 20_000_000
	r := rand.NewChaCha8([32]byte{1})
	var id, sample chunk.ID
	var most, before uint64
	measure := func() {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		most = max(most, m.HeapInuse)
		if before == 0 {
			before = m.HeapInuse
		}
	}
	measure()
	for i := range n {
		r.Read(id[:])
		must(t, s.add(id))
		if i%(n/50) == 0 {
			sample = id
			measure()
		}
	}
	must(t, s.finish())
	measure()
	for range 100_000 {
		r.Read(id[:])
		if has, err := s.has(id); has || err != nil {
			t.Fatal(has, err)
		}
	}
	if has, err := s.has(sample); !has || err != nil || s.n != n {
		t.Fatal(has, err, s.n)
	}
	s.close()
	t.Logf("%d MiB", (most-before)>>20)
	if most-before > 80<<20 {
		t.Errorf("%d MiB in use", (most-before)>>20)
	}
}
