package index

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"waterlock/internal/chunk"
)

// tid is a chunk ID for tests; equal numbers make equal IDs.
func tid(n int) chunk.ID {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(n))
	return chunk.Data.ID(b[:])
}

func tids(n ...int) (ids []chunk.ID) {
	for _, n := range n {
		ids = append(ids, tid(n))
	}
	return ids
}

func must(t interface {
	Helper()
	Fatal(...any)
}, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// scratch is a directory for one round of a model test.
type scratch struct {
	t *testing.T
	n int
}

func (s *scratch) dir() string { s.n++; return fmt.Sprintf("%s/%d", s.t.TempDir(), s.n) }

func openLedger(t rapid.TB, dir string, wantFresh bool) *Ledger {
	t.Helper()
	l, fresh, err := OpenLedger(dir)
	must(t, err)
	if fresh != wantFresh {
		t.Fatalf("fresh is %v", fresh)
	}
	return l
}

// ledgerModel is what a ledger should say.
type ledgerModel struct {
	held   map[int]uint64
	aboard map[int]map[uint32]bool
	meta   map[string]string
}

func (m *ledgerModel) known(id int, live func(uint32) bool) State {
	if m.held[id] != 0 {
		return Held
	}
	for ord := range m.aboard[id] {
		if live(ord) {
			return Aboard
		}
	}
	return None
}

func TestLedgerIsAMap(t *testing.T) {
	s := &scratch{t: t}
	rapid.Check(t, func(t *rapid.T) {
		dir := s.dir()
		l := openLedger(t, dir, true)
		defer func() { l.Close() }()
		m := ledgerModel{map[int]uint64{}, map[int]map[uint32]bool{}, map[string]string{}}
		const chunks = 12
		drawIDs := func(t *rapid.T) []int {
			return rapid.SliceOfN(rapid.IntRange(0, chunks-1), 0, 8).Draw(t, "ids") // repeats wanted
		}
		drawOrd := func(t *rapid.T) uint32 {
			return rapid.SampledFrom([]uint32{0, 1, 2, 127, 128, 1<<32 - 1}).Draw(t, "ord")
		}
		// step runs a change and says whether the generation had to change.
		step := func(t *rapid.T, change func() error, lost bool) {
			before := l.Generation()
			must(t, change())
			if lost && l.Generation() == before {
				t.Fatal("a chunk became unknown, or was dropped, under the same generation")
			}
			if !lost && l.Generation() != before {
				t.Fatal("a new generation for nothing")
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				ids, ord := drawIDs(t), drawOrd(t)
				step(t, func() error { return l.AddAboard(ord, tids(ids...)) }, false)
				for _, id := range ids {
					if m.held[id] != 0 {
						continue
					}
					if m.aboard[id] == nil {
						m.aboard[id] = map[uint32]bool{}
					}
					m.aboard[id][ord] = true
				}
			},
			"held": func(t *rapid.T) {
				ids, receipt := drawIDs(t), rapid.SampledFrom([]uint64{1, 2, 127, 128, 1 << 62}).Draw(t, "receipt")
				step(t, func() error { return l.MarkHeld(receipt, tids(ids...)) }, false)
				for _, id := range ids {
					if m.held[id] == 0 {
						m.held[id] = receipt
					}
					delete(m.aboard, id)
				}
			},
			"drop": func(t *rapid.T) {
				ids := drawIDs(t)
				for _, id := range ids {
					delete(m.held, id)
					delete(m.aboard, id)
				}
				step(t, func() error { return l.Drop(tids(ids...)) }, len(ids) > 0)
			},
			"dropAboard": func(t *rapid.T) {
				ids, ord, lost := drawIDs(t), drawOrd(t), false
				for _, id := range ids {
					lost = lost || m.aboard[id][ord]
					delete(m.aboard[id], ord)
				}
				step(t, func() error { return l.DropAboard(ord, tids(ids...)) }, lost)
			},
			"meta": func(t *rapid.T) {
				k := rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "key")
				v := rapid.SampledFrom([]string{"", "x", "yy"}).Draw(t, "value")
				must(t, l.SetMeta(k, []byte(v)))
				m.meta[k] = v
			},
			"reset": func(t *rapid.T) {
				if rapid.IntRange(0, 9).Draw(t, "rarely") == 0 {
					step(t, l.Reset, true)
					clear(m.held)
					clear(m.aboard)
					clear(m.meta)
				}
			},
			"reopen": func(t *rapid.T) {
				if rapid.IntRange(0, 4).Draw(t, "sometimes") == 0 {
					g := l.Generation()
					must(t, l.Close())
					l = openLedger(t, dir, false)
					if l.Generation() != g {
						t.Fatal("another generation after reopening")
					}
				}
			},
			"": func(t *rapid.T) {
				all := func(uint32) bool { return true }
				even := func(ord uint32) bool { return ord%2 == 0 }
				var held, aboard int64
				for id := range chunks {
					for _, live := range []func(uint32) bool{all, even} {
						got, err := l.Known(tid(id), live)
						must(t, err)
						if want := m.known(id, live); got != want {
							t.Fatalf("chunk %d: %v, want %v", id, got, want)
						}
					}
					if s, err := l.Standing(tid(id)); err != nil || s.Receipt != m.held[id] || len(s.Shipments) != len(m.aboard[id]) {
						t.Fatalf("chunk %d: %+v, %v; held by %d, aboard %v", id, s, err, m.held[id], m.aboard[id])
					}
					switch m.known(id, all) {
					case Held:
						held++
					case Aboard:
						aboard++
					}
				}
				h, a, err := l.Count()
				must(t, err)
				if h != held || a != aboard {
					t.Fatalf("%d held, %d aboard, want %d, %d", h, a, held, aboard)
				}
				for _, k := range []string{"", "a", "b"} {
					got, err := l.Meta(k)
					must(t, err)
					want, set := m.meta[k]
					if string(got) != want || (got != nil) != set {
						t.Fatalf("fact %q: %q, want %q", k, got, want)
					}
				}
			},
		})
	})
}

func TestABatchReadsEachRowOnce(t *testing.T) {
	l := openLedger(t, t.TempDir(), true)
	defer l.Close()
	// More IDs than one batch, and each of them three times, far apart.
	var ids []chunk.ID
	for range 3 {
		for i := range batchRows {
			ids = append(ids, tid(i))
		}
	}
	before := slices.Clone(ids)
	must(t, l.AddAboard(1, ids))
	must(t, l.AddAboard(2, ids))
	must(t, l.DropAboard(1, ids))
	if !slices.Equal(ids, before) {
		t.Fatal("the caller's slice was changed")
	}
	held, aboard, err := l.Count()
	must(t, err)
	if held != 0 || aboard != batchRows {
		t.Fatalf("%d held, %d aboard", held, aboard)
	}
	must(t, l.DropAboard(2, ids))
	if _, aboard, _ = l.Count(); aboard != 0 {
		t.Fatalf("%d aboard", aboard)
	}
}

func TestKnownAsksForEachShipment(t *testing.T) {
	l := openLedger(t, t.TempDir(), true)
	defer l.Close()
	for _, ord := range []uint32{9, 3, 300, 3} {
		must(t, l.AddAboard(ord, tids(1)))
	}
	asked := map[uint32]int{}
	st, err := l.Known(tid(1), func(ord uint32) bool { asked[ord]++; return false })
	must(t, err)
	if st != None || !maps.Equal(asked, map[uint32]int{3: 1, 9: 1, 300: 1}) {
		t.Fatal(st, asked)
	}
}
