package index

import (
	"encoding/binary"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"waterlock/internal/chunk"
)

// peaks reads the process's peak memory, and what of it is not pages of files
// now, in MiB.
func peaks(t *testing.T) (peak, anon int) {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip(err)
	}
	for _, line := range strings.Split(string(b), "\n") {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		n, _ := strconv.Atoi(f[1])
		switch f[0] {
		case "VmHWM:":
			peak = n >> 10
		case "RssAnon:":
			anon = n >> 10
		}
	}
	return peak, anon
}

// TestMillions measures; WL_INDEX_ROWS=5000000 for the real thing.
func TestMillions(t *testing.T) {
	n, _ := strconv.Atoi(os.Getenv("WL_INDEX_ROWS"))
	if n == 0 {
		t.Skip("WL_INDEX_ROWS is not set")
	}
	dir := t.TempDir()
	if d := os.Getenv("WL_INDEX_DIR"); d != "" {
		dir = d
	}
	id := func(i int) chunk.ID {
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], uint64(i))
		return chunk.Data.ID(b[:])
	}
	maxAnon := 0
	stop := make(chan bool)
	go func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
				_, a := peaks(t)
				maxAnon = max(maxAnon, a)
			}
		}
	}()
	step := func(what string, fn func()) {
		start := time.Now()
		fn()
		peak, anon := peaks(t)
		t.Logf("%-20s %8v  peak %d MiB, anonymous %d MiB, highest %d", what, time.Since(start).Round(time.Millisecond), peak, anon, maxAnon)
	}
	check := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	var l *Ledger
	var err error
	step("ledger open", func() { l, _, err = OpenLedger(dir + "/ledger"); check(err) })
	step("ledger insert", func() {
		var ids []chunk.ID
		for i := range n {
			if ids = append(ids, id(i)); len(ids) == 65536 || i == n-1 {
				check(l.AddAboard(7, ids))
				ids = ids[:0]
			}
		}
	})
	step("ledger held", func() {
		var ids []chunk.ID
		for i := range n {
			if ids = append(ids, id(i)); len(ids) == 65536 || i == n-1 {
				check(l.MarkHeld(1, ids))
				ids = ids[:0]
			}
		}
	})
	step("100k lookups", func() {
		for i := range 100_000 {
			if st, err := l.Known(id(i*7919%n), nil); st != Held || err != nil {
				t.Fatal(st, err)
			}
		}
	})
	step("100k absent", func() {
		for i := range 100_000 {
			if st, err := l.Known(id(n+i), nil); st != None || err != nil {
				t.Fatal(st, err)
			}
		}
	})
	step("count", func() {
		held, aboard, err := l.Count()
		if held != int64(n) || aboard != 0 || err != nil {
			t.Fatal(held, aboard, err)
		}
	})
	step("ledger close", func() { check(l.Close()) })
	step("ledger reopen", func() {
		var fresh bool
		l, fresh, err = OpenLedger(dir + "/ledger")
		check(err)
		if fresh {
			t.Fatal("fresh")
		}
	})
	step("ledger close", func() { check(l.Close()) })
	var c *Catalog
	step("catalog open", func() { c, _, err = OpenCatalog(dir + "/catalog"); check(err) })
	step("catalog insert", func() {
		b := c.Batch()
		for i := range n {
			k := ContainerID(i/1000 + 1)
			b.AddPlace(id(i), Place{Container: k, Offset: int64(i%1000) << 20, PlainLen: 1 << 20, StoredLen: 1 << 20})
		}
		check(b.Commit())
	})
	step("100k places", func() {
		for i := range 100_000 {
			if p, err := c.Places(id(i * 7919 % n)); len(p) != 1 || err != nil {
				t.Fatal(p, err)
			}
		}
	})
	step("catalog close", func() { check(c.Close()) })
	step("catalog reopen", func() { c, _, err = OpenCatalog(dir + "/catalog"); check(err) })
	step("catalog close", func() { check(c.Close()) })
	close(stop)
}
