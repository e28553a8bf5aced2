package vault

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"waterlock/index"
	"waterlock/tests/mounts"
)

// A vault whose catalog shares its disk never fills that disk so far that the catalog does not open any more. Where others
// fill it, every command says how much must become free and what of the vault may go, and that can be deleted.
func TestACatalogOnAFullDisk(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	place := mounts.TmpFS.For(t, 128<<20).Dir
	w.vault = filepath.Join(place, "vault")
	noise(t, filepath.Join(w.src, "a note"), 500, 9)
	w.home.route.Chunker.Min, w.home.route.Chunker.Max, w.home.route.Chunker.AverageBits = 256<<10, 4<<20, 19
	drive := newTestDrive(t)
	w.home.pack(drive, trip{})
	w.join(drive)
	w.clean(drive, DeletionsAsk)
	must(t, os.WriteFile(filepath.Join(w.mirror(), "a note"), make([]byte, 5<<20), 0o644)) // somebody else did
	if r := w.unpack(drive, DeletionsAsk); r.Foreign != 1 {
		t.Fatalf("%+v", r)
	}

	for i := range 4 {
		noise(t, filepath.Join(w.src, fmt.Sprint("film", i)), 16<<20, uint64(i+1))
	}
	w.home.pack(drive, trip{})
	if r := w.unpack(drive, DeletionsAsk); r.Complete() || r.Written == 0 {
		t.Fatalf("the disk was to become full: %+v", r)
	}
	status := func() error {
		_, err := Status(context.Background(), StatusOptions{Vault: w.vault, Report: w.reporter()})
		return err
	}
	must(t, status())
	if left := free(t, place); left < index.MinFree {
		t.Errorf("%d bytes are left free", left)
	}

	// Somebody fills the disk.
	f, err := os.Create(filepath.Join(place, "filler"))
	must(t, err)
	must(t, syscall.Fallocate(int(f.Fd()), 0, 0, free(t, place)-index.MinFree+4<<20))
	must(t, f.Close())
	err = status()
	if !errors.Is(err, index.ErrNoRoom) || !strings.Contains(err.Error(), "4.0 MiB more must become free") || !strings.Contains(err.Error(), "5.0 MiB of somebody else's") {
		t.Errorf("%v", err)
	}
	if r, _ := w.foreign(ForeignOptions{Remove: true, Yes: true}); r.Files != 1 || r.Removed != 1 {
		t.Errorf("%+v", r)
	}
	must(t, status())
}
