package vault

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/internal/disk/disktest"
	"waterlock/internal/report"
)

// memVault is a vault on a disk in memory that may lose power. Its catalog and its lock lie elsewhere.
type memVault struct {
	disk.FS // without its Close
}

func (memVault) Close() error { return nil }

// onMem makes all vaults of this test lie on *mem. The test must not be parallel.
func onMem(t *testing.T, mem **disktest.Mem) {
	openRoot = func(string) (disk.FS, error) { return memVault{*mem}, nil }
	t.Cleanup(func() { openRoot = disk.Dir })
}

// soundAfter looks at a vault whose power failed: all that its snapshots name is there, and what is not there of all that home
// counts on is condemned.
func soundAfter(w *world, when string, also func(v *vault)) {
	w.t.Helper()
	must(w.t, os.RemoveAll(filepath.Join(w.vault, indexDir)))
	w.look(func(v *vault) {
		_, err := v.eachNamed(context.Background(), v.commits.known, func(id chunk.ID) error {
			places, err := v.cat.Places(id)
			if err == nil && len(places) == 0 {
				err = fmt.Errorf("chunk %s is named and gone", id.Short())
			}
			if err == nil {
				_, err = v.store.Get(id, kindOf(w, id), int64(places[0].PlainLen), nil)
			}
			return err
		})
		if err != nil {
			w.t.Errorf("%s: %v", when, err)
		}
		newest, _, err := newestReceipt(v.root, v.id, report.Discard)
		must(w.t, err)
		told := newCondemned(newest)
		for id := range w.home.held {
			has, err := v.store.Has(id)
			must(w.t, err)
			if _, listed := told.find(id); !has && !listed {
				w.t.Errorf("%s: home counts on chunk %s, which is gone", when, id.Short())
			}
		}
		if also != nil {
			also(v)
		}
	})
}

func kindOf(w *world, id chunk.ID) chunk.Kind {
	if _, stream := w.home.plain[id]; stream {
		return chunk.Stream
	}
	return chunk.Data
}

// pruneEverywhere lets the power fail after each operation of what do does to a vault as it is on start. Then the vault is sound, and
// done again, it ends as it should.
func pruneEverywhere(t *testing.T, w *world, mem **disktest.Mem, do func() error, done func(when string, v *vault)) {
	must(t, os.RemoveAll(filepath.Join(w.vault, indexDir)))
	start := *mem
	index := filepath.Join(w.vault, indexDir)
	k := 0
	for crashed := true; crashed; k++ {
		*mem = start.Crashed(disktest.Names, 0)
		must(t, os.RemoveAll(index))
		(*mem).CrashAfter(k)
		err := do()
		if crashed = (*mem).DidCrash(); !crashed && err != nil {
			t.Fatalf("without a crash: %v", err)
		}
		was := *mem
		for i, mode := range disktest.Modes {
			if os.Getenv("WL_SOAK") == "" && (k+i)%len(disktest.Modes) != 0 {
				continue
			}
			when := fmt.Sprintf("crash after %d operations, %v", k, mode)
			*mem = was.Crashed(mode, uint64(k))
			soundAfter(w, when, nil)
			if err := do(); err != nil {
				t.Errorf("%s: done again: %v", when, err)
			}
			soundAfter(w, when+", done again", func(v *vault) { done(when, v) })
			if t.Failed() {
				return
			}
		}
	}
	t.Logf("%d operations", k-1)
}

// crashable is a vault in memory with two snapshots; the first has an old version and history packs to itself.
func crashable(t *testing.T, mem **disktest.Mem) (w *world, drive string) {
	onMem(t, mem)
	if st, err := os.Stat("/dev/shm"); err == nil && st.IsDir() {
		t.Setenv("TMPDIR", "/dev/shm") // the catalog is opened a hundred times
	}
	w, drive = newWorld(t), newTestDrive(t)
	noise(t, filepath.Join(w.src, "film"), 20<<10, 1)
	noise(t, filepath.Join(w.src, "stays"), 5<<10, 2)
	w.home.pack(drive, trip{})
	must(t, os.MkdirAll(filepath.Join(w.vault, metaDir), 0o755))
	w.join(drive)
	w.clean(drive, DeletionsApply)
	w.home.importReceipt(drive)
	noise(t, filepath.Join(w.src, "film"), 10<<10, 3)
	w.home.pack(drive, trip{})
	w.clean(drive, DeletionsApply)
	w.home.importReceipt(drive)
	return w, drive
}

// A prune that does not wait does all steps in one run: forget, condemn, delete.
func TestCrashAtEveryStepOfPrune(t *testing.T) {
	mem := disktest.NewMem()
	w, _ := crashable(t, &mem)
	held := len(w.home.held)
	pruneEverywhere(t, w, &mem, func() error {
		_, err := Prune(context.Background(), PruneOptions{Vault: w.vault, Keep: Retention{Last: 1}, Now: true})
		return err
	}, func(when string, v *vault) {
		gone := 0
		for id := range w.home.held {
			if has, _ := v.store.Has(id); !has {
				gone++
			}
		}
		if len(v.commits.known) != 1 || gone < held/3 {
			t.Errorf("%s: %d snapshots, %d of %d chunks are gone", when, len(v.commits.known), gone, held)
		}
	})
}

// A prune that waits is ended by the unpack that brings the proof that home knows.
func TestCrashAtEveryStepOfFreeing(t *testing.T) {
	mem := disktest.NewMem()
	w, drive := crashable(t, &mem)
	held := len(w.home.held)
	w.prune(PruneOptions{Keep: Retention{Last: 1}})
	w.clean(drive, DeletionsApply)
	receipt := w.home.receipt
	w.home.importReceipt(drive)
	if w.home.receipt == receipt || len(w.home.held) > held*2/3 {
		t.Fatalf("home counts on %d chunks, %d before", len(w.home.held), held)
	}
	w.home.pack(drive, trip{})
	pruneEverywhere(t, w, &mem, func() error {
		// What another run from the same start has told is not of this time.
		must(t, os.RemoveAll(filepath.Join(drive, "waterlock", w.home.route.ID.String(), "receipts")))
		_, err := Unpack(context.Background(), UnpackOptions{Vault: w.vault, Drive: drive, Deletions: DeletionsApply})
		return err
	}, func(when string, v *vault) {
		newest, _, err := newestReceipt(v.root, v.id, report.Discard)
		must(t, err)
		if len(newest.Condemned) > 0 || len(v.commits.known) != 2 {
			t.Errorf("%s: %d condemned, %d snapshots", when, len(newest.Condemned), len(v.commits.known))
		}
	})
}
