package disktest_test

import (
	"bytes"
	"errors"
	"testing"

	"waterlock/internal/disk"
	"waterlock/internal/disk/disktest"
)

// Shared blocks take room once, until the last that has them is gone or wrote to them.
func TestMemCountsSharedBlocksOnce(t *testing.T) {
	const k = disk.CloneAlign
	mem := disktest.NewMem()
	mem.SetCapacity(1 << 20)
	used := func() int64 {
		sp, err := mem.Free()
		must(t, err)
		return sp.Total - sp.Avail
	}
	write(t, mem, "a", string(bytes.Repeat([]byte("a"), 4*k)))
	write(t, mem, "b", "")
	must(t, mem.CloneRange("a", "b", 0, 4*k))
	if used() != 4*k {
		t.Fatalf("%d bytes are used", used())
	}
	f, err := mem.OpenWrite("b")
	must(t, err)
	mustN(t, 1)(f.WriteAt([]byte("x"), k))
	must(t, errors.Join(f.Sync(), f.Close(), mem.SyncFiles([]string{"a"}), mem.SyncDir(".")))
	if used() != 4*k+4096 {
		t.Fatalf("%d bytes are used after a write", used())
	}
	mem = mem.Crashed(disktest.Strict, 0)
	if used() != 4*k+4096 {
		t.Fatalf("%d bytes are used after a crash", used())
	}
	must(t, mem.Remove("a"))
	if used() != 4*k {
		t.Fatalf("%d bytes are used when one is gone", used())
	}
	must(t, mem.Remove("b"))
	if used() != 0 {
		t.Fatalf("%d bytes are used when both are", used())
	}
	mem.NoSharing()
	write(t, mem, "c", string(bytes.Repeat([]byte("a"), k)))
	write(t, mem, "d", "")
	wantErr(t, mem.CloneRange("c", "d", 0, k), errors.ErrUnsupported)
}
