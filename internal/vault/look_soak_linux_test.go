package vault

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"waterlock/internal/chunk"
	"waterlock/internal/courier"
	"waterlock/internal/disk"
	"waterlock/pack"
	"waterlock/snapshot"
)

// One directory of a snapshot of five million entries costs less than a second of CPU and little memory, by the whole wl ls. The
// vault is made of records and streams alone: its mirror is empty.
func TestListingAmongFiveMillionEntriesIsQuick(t *testing.T) {
	if os.Getenv("WL_SOAK") == "" {
		t.Skip("five million entries take a minute to make: WL_SOAK is not set")
	}
	const n = 5_000_000
	w := newWorld(t)
	drive := newTestDrive(t)
	w.home.pack(drive, trip{})
	w.join(drive)
	w.clean(drive, DeletionsAsk)
	commit := w.manyEntries(n)
	bin := filepath.Join(t.TempDir(), "wl")
	if out, err := exec.Command("go", "build", "-o", bin, "waterlock/cmd/wl").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	refs := len(commit.Snapshot.Trees[0].Chunks)
	for _, args := range [][]string{
		{"ls", "--snapshot", "2", "docs/directory-002500"},
		{"ls", "--snapshot", "2", "docs"},
		{"find", "--snapshot", "2", "some file name 2500500.jpeg"},
	} {
		start := time.Now()
		cmd := exec.Command(bin, append(args, "--quiet", "--vault", w.vault, "--state", t.TempDir())...)
		out, err := cmd.Output()
		took := time.Since(start)
		if err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		lines := strings.Count(string(out), "\n")
		peak := cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss / 1024
		cpu := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		t.Logf("wl %s: %d lines in %v (%v of CPU), peak memory %d MiB (%d entries in %d stream chunks)", strings.Join(args, " "), lines, took.Round(time.Millisecond), cpu.Round(time.Millisecond), peak, n, refs)
		if lines == 0 || peak > 256 || args[0] == "ls" && cpu > time.Second {
			t.Errorf("%d lines, %d MiB, %v of CPU", lines, peak, cpu)
		}
	}
}

// manyEntries makes the vault know a snapshot of n entries.
func (w *world) manyEntries(n int) *courier.Commit {
	t := w.t
	v, err := openVault(w.vault, w.reporter())
	must(t, err)
	defer v.close()
	must(t, v.openStore(context.Background()))
	enc, err := pack.NewEncoder(0)
	must(t, err)
	var tree snapshot.TreeRecord
	stream := snapshot.NewStreamWriter(func(plain []byte, ref snapshot.StreamRef) error {
		tree.Chunks = append(tree.Chunks, ref)
		st, err := enc.Encode(chunk.Stream, plain, nil)
		if err != nil {
			return err
		}
		return v.store.PutHistory(st, chunk.Stream)
	})
	for i := range n {
		must(t, stream.Add(oneOfMany(i)))
	}
	tree.Name, tree.Root = "docs", w.src
	tree.Totals, err = stream.Close()
	must(t, err)
	must(t, v.store.FlushHistory())
	last, err := v.commits.load(v.commits.known[0])
	must(t, err)
	commit := *last
	commit.Shipment = courier.NewShipmentID()
	commit.Snapshot = snapshot.Record{Number: 2, Time: time.Now(), Host: "here", Trees: []snapshot.TreeRecord{tree}}
	b, err := courier.EncodeCommit(&commit)
	must(t, err)
	_, err = v.commits.keep(&commit, b)
	must(t, err)
	return &commit
}

// oneOfMany is the i-th entry: a file in a directory of a thousand.
func oneOfMany(i int) *snapshot.Entry {
	if i == 0 {
		return &snapshot.Entry{Kind: disk.KindDir, Mode: 0o755}
	}
	dir := fmt.Sprintf("directory-%06d", i/1000)
	if i%1000 == 0 || i == 1 {
		return &snapshot.Entry{Path: dir, Kind: disk.KindDir, Mode: 0o755}
	}
	e := &snapshot.Entry{Path: fmt.Sprintf("%s/some file name %07d.jpeg", dir, i), Kind: disk.KindFile, Mode: 0o644, UID: 1000, GID: 1000,
		User: "anna", Group: "users", MTime: disk.Time{Sec: 1700000000 + int64(i), Nsec: int32(i)}, Size: 4096}
	e.Hash = chunk.SumContent([]byte(e.Path))
	e.Content = []snapshot.Extent{{ID: chunk.ID(e.Hash), Length: 4096}}
	return e
}
