package chunkstore

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"waterlock/index"
	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/internal/wire"
	"waterlock/snapshot"
)

// TestRebuildOfManyChunks rebuilds a catalog from install records of files that are nothing but holes: a rebuild reads no
// content. In make test of a hundred thousand chunks, to see that all come back; with WL_SOAK of as many as WL_REBUILD_CHUNKS
// says, else two million, and it tells how fast that is and what memory it takes.
func TestRebuildOfManyChunks(t *testing.T) {
	chunks := 100_000
	if os.Getenv("WL_SOAK") != "" {
		chunks = 2_000_000
		if n, err := strconv.Atoi(os.Getenv("WL_REBUILD_CHUNKS")); err == nil {
			chunks = n
		}
	}
	dir := t.TempDir()
	fs, err := disk.Dir(dir)
	must(t, err)
	defer fs.Close()
	w := newWorld(t, fs)
	w.index = filepath.Join(t.TempDir(), "index") // on a disk
	w.open()
	must(t, w.s.Close())
	some := writeRecords(t, dir, chunks, 20_000)
	must(t, os.RemoveAll(w.index))

	peak := watchMemory()
	began := time.Now()
	s, err := Open(context.Background(), w.config())
	must(t, err)
	took := time.Since(began)
	rss := peak()
	t.Logf("%d chunks in %v: %.0f rows a second, peak of resident memory not of files %d MiB", chunks, took.Round(time.Millisecond),
		2*float64(chunks)/took.Seconds(), rss>>20)
	defer s.Close()
	for _, id := range some {
		if has, err := s.Has(id); err != nil || !has {
			t.Fatalf("chunk %s did not come back (%v)", id.Short(), err)
		}
	}
	n := 0
	must(t, s.cat.Chunks(func(chunk.ID) error { n++; return nil }))
	if n != chunks || len(w.rep.Problems()) > 0 {
		t.Fatalf("%d chunks of %d came back; %v", n, chunks, w.rep.Problems())
	}
	if rss > 512<<20 {
		t.Errorf("%d MiB of memory", rss>>20)
	}
}

// writeRecords makes files of holes, and the install records that say which chunks they hold. It returns some of these.
func writeRecords(t *testing.T, dir string, chunks, perFile int) (some []chunk.ID) {
	t.Helper()
	rnd := rand.NewChaCha8([32]byte{7})
	cont := index.ContainerID(1)
	for seq := uint64(1); chunks > 0; seq++ {
		n := min(perFile, chunks)
		chunks -= n
		e := &snapshot.Entry{Path: fmt.Sprintf("f%06d", seq), Kind: disk.KindFile, Mode: 0o644, MTime: disk.Time{Sec: 1_700_000_000}}
		for range n {
			var id chunk.ID
			rnd.Read(id[:])
			e.Content = append(e.Content, snapshot.Extent{ID: id, Length: 1 << 20})
			e.Size += 1 << 20
		}
		some = append(some, e.Content[0].ID, e.Content[n-1].ID)
		binary.BigEndian.PutUint64(e.Hash[:], seq)
		name := filepath.Join(dir, "a", e.Path)
		must(t, os.WriteFile(name, nil, 0o644))
		must(t, os.Truncate(name, e.Size))
		fs, err := disk.Dir(filepath.Dir(name))
		must(t, err)
		st, err := fs.Stat(e.Path)
		must(t, err)
		must(t, fs.Close())
		e.MTime = st.MTime
		rec := &record{seq: seq, next: cont + 2, time: 1_700_000_000, acts: []action{{
			kind: actPlace, old: oldNone, fresh: true, tree: "a", path: e.Path, cont: cont, stage: cont + 1, node: inodeOf(st), entry: e,
		}}}
		cont += 2
		must(t, os.WriteFile(filepath.Join(dir, filepath.FromSlash(recordName(seq, recordExt))), wire.Seal(wire.InstallRecord, testRoute, rec.encode()), 0o600))
	}
	return some
}

// watchMemory samples the process's anonymous resident memory until what it returns is called, which gives the peak; 0 where
// that is not known.
func watchMemory() func() int64 {
	if runtime.GOOS != "linux" {
		return func() int64 { return 0 }
	}
	stop, done := make(chan struct{}), make(chan int64)
	go func() {
		peak := int64(0)
		for {
			peak = max(peak, anonymous())
			select {
			case <-stop:
				done <- peak
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	}()
	return func() int64 { close(stop); return <-done }
}

func anonymous() int64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for _, line := range strings.Split(string(text), "\n") {
		if rest, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			n, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return n << 10
		}
	}
	return 0
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
