package home

import (
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"waterlock/internal/disk"
	"waterlock/internal/disk/disktest"
	"waterlock/internal/exit"
)

// crashWorld is a world whose state and drive are in memory and can lose power, with one trip made and changes since.
type crashWorld struct {
	*world
	state, drive *disktest.Mem
}

func newCrashWorld(t *testing.T) *crashWorld {
	w := newWorld(t)
	w.opts.PackSize = 64 << 10
	state, drive := disktest.NewMem(), disktest.NewMem()
	w.state = state
	w.useDrive(drive, "mem")
	w.write("a", 40<<10, 1)
	w.write("b/c", 90<<10, 2)
	settleClock()
	w.pack()
	v := w.newVault()
	v.take(w.drive)
	v.receipt(w.drive)
	w.write("a", 60<<10, 3)
	w.write("b/d", 70<<10, 4)
	must(t, os.Remove(w.path("b/c")))
	w.write("b/e", 20<<10, 5)
	w.opts.AllowVanished = []string{"*"}
	settleClock()
	syncAll(t, state)
	syncAll(t, drive)
	return &crashWorld{w, state, drive}
}

// again is the same world before anything happened to it, without an index.
func (c *crashWorld) again(t *testing.T) (w *world, state, drive *disktest.Mem) {
	w = &world{t: t, cfg: c.cfg, route: c.route, index: tempDir(t), trees: c.trees, roots: c.roots, opts: c.opts}
	state, drive = c.state.Crashed(disktest.Names, 0), c.drive.Crashed(disktest.Names, 0)
	w.state, w.drive = state, drive
	return w, state, drive
}

// syncAll makes all that was written before the test begins durable.
func syncAll(t *testing.T, m *disktest.Mem) {
	t.Helper()
	var dirs func(dir string)
	dirs = func(dir string) {
		names, err := m.ReadDir(dir)
		must(t, err)
		for i := range names.Len() {
			path := names.At(i)
			if dir != "." {
				path = dir + "/" + path
			}
			st, err := m.Stat(path)
			must(t, err)
			if st.Kind == disk.KindDir {
				dirs(path)
			} else {
				must(t, m.SyncFiles([]string{path}))
			}
		}
		must(t, m.SyncDir(dir))
	}
	dirs(".")
}

// outcome checks what lies on the drive after any end of a run: every commit has its packs, and every file that a
// snapshot calls whole can be put together. Then it runs again and wants the tree as it is.
func (w *world) outcome(what string) {
	w.t.Helper()
	check := func() *vault {
		v := w.newVault()
		v.take(w.drive)
		for number, rec := range v.records {
			for path, e := range v.entries(rec, "docs") {
				if e.Kind == disk.KindFile && !e.Pending && !e.Unseen {
					v.content(e)
				}
				if w.t.Failed() {
					w.t.Fatalf("%s: snapshot %d, %s", what, number, path)
				}
			}
		}
		return v
	}
	check()
	res, err := w.tryPack()
	if err != nil {
		w.t.Fatalf("%s: the next run: %v", what, err)
	}
	if res.Pending != 0 || res.Unseen != 0 {
		w.t.Fatalf("%s: the next run: %+v", what, res)
	}
	check().equals()
	if w.t.Failed() {
		w.t.Fatal(what)
	}
}

// stride makes the slow tests visit fewer operations where time is short; WL_SLOW_TESTS=1 makes them visit all.
func stride(t *testing.T) int {
	switch {
	case os.Getenv("WL_SLOW_TESTS") != "":
		return 1
	case testing.Short() || raceEnabled:
		return 23
	}
	return 7
}

// TestCrashAfterEveryOperation: the power goes after the k-th operation on the state, or on the drive, and comes back
// with what was durable. No commit is ever there without its packs, and the next run ends as if nothing had happened.
func TestCrashAfterEveryOperation(t *testing.T) {
	for _, mode := range []disktest.CrashMode{disktest.Strict, disktest.Names, disktest.Random} {
		for _, which := range []string{"state", "drive"} {
			t.Run(fmt.Sprintf("%s-%d", which, mode), func(t *testing.T) {
				t.Parallel()
				base := newCrashWorld(t)
				for k := int(mode); ; k += stride(t) {
					w, state, drive := base.again(t)
					m := state
					if which == "drive" {
						m = drive
					}
					m.CrashAfter(k)
					_, err := w.tryPack()
					if err == nil {
						if k < 20 {
							t.Fatalf("only %d operations", k)
						}
						break
					}
					w.state, w.drive = state.Crashed(mode, uint64(k)), drive.Crashed(mode, uint64(k))
					if k%2 == 0 {
						must(t, os.RemoveAll(w.index))
					}
					w.outcome(fmt.Sprintf("crash of the %s after operation %d", which, k))
				}
			})
		}
	}
}

// TestKillAtEveryStage: the process dies after the k-th operation; what it wrote stays.
func TestKillAtEveryStage(t *testing.T) {
	for _, which := range []string{"state", "drive"} {
		t.Run(which, func(t *testing.T) {
			t.Parallel()
			base := newCrashWorld(t)
			for k := 0; ; k += stride(t) {
				w, state, drive := base.again(t)
				m := state
				if which == "drive" {
					m = drive
				}
				m.CrashAfter(k)
				_, err := w.tryPack()
				m.CrashAfter(-1)
				if err == nil {
					break
				}
				w.outcome(fmt.Sprintf("killed after operation %d on the %s", k, which))
			}
		})
	}
}

// TestFaultAtEveryOperation: the k-th operation fails, once or from then on. The run ends in an error or with the
// right result, never in false success; and without the fault the next run ends well.
func TestFaultAtEveryOperation(t *testing.T) {
	for _, kind := range []disktest.FaultKind{disktest.EIO, disktest.ENOSPC, disktest.ShortWrite} {
		for _, which := range []string{"state", "drive"} {
			t.Run(fmt.Sprintf("%s-%d", which, kind), func(t *testing.T) {
				t.Parallel()
				base := newCrashWorld(t)
				for k := 1; ; k += stride(t) {
					w, state, drive := base.again(t)
					var fault *disktest.Fault
					if which == "state" {
						fault = disktest.NewFault(state)
						w.state = fault
					} else {
						fault = disktest.NewFault(drive)
						w.drive = fault
					}
					fault.CountReads(k%2 == 0)
					fault.FailAt(k, kind, k%3 == 0)
					_, err := w.tryPack()
					if err == nil && fault.Failed() == "" {
						break
					}
					w.state, w.drive = state, drive
					w.outcome(fmt.Sprintf("fault %d at operation %d on the %s (%s, ended with %v)", kind, k, which, fault.Failed(), err))
				}
			})
		}
	}
}

// flipping is a drive of which the first so many packs that are read back are not as they were written; always, if
// negative.
type flipping struct {
	disk.FS
	left atomic.Int64
	hits atomic.Int64
}

func (d *flipping) Open(name string) (disk.File, error) {
	f, err := d.FS.Open(name)
	if err != nil || !strings.HasSuffix(name, ".pack") && !strings.HasSuffix(name, ".meta") || d.left.Load() == 0 {
		return f, err
	}
	d.left.Add(-1)
	d.hits.Add(1)
	return &flippedFile{f}, nil
}

type flippedFile struct{ disk.File }

func (f *flippedFile) Read(p []byte) (int, error) {
	n, err := f.File.Read(p)
	if n > 10 {
		p[n/2] ^= 4
	}
	return n, err
}

// TestBadDrive: packs that read back wrong are written anew under a new name; a drive that does so always is bad, and
// nothing is committed on it.
func TestBadDrive(t *testing.T) {
	for _, times := range []int64{1, 5, -1} {
		w := newWorld(t)
		w.opts.PackSize = 64 << 10
		w.write("a", 150<<10, 1)
		settleClock()
		good := w.drive
		flip := &flipping{FS: good}
		flip.left.Store(times)
		w.drive = flip
		res, err := w.tryPack()
		w.drive = good
		v := w.newVault()
		if times < 0 {
			wantCode(t, err, exit.Fatal)
			if v.take(w.drive); len(v.records) != 0 || flip.hits.Load() != maxRetries+1 {
				t.Errorf("%d commits on a bad drive, %d tries", len(v.records), flip.hits.Load())
			}
			w.pack()
		} else {
			must(t, err)
			if res.Pending != 0 || flip.hits.Load() != times || len(w.rep.Warnings()) == 0 {
				t.Errorf("%d flips: %+v", flip.hits.Load(), res)
			}
		}
		v.take(w.drive)
		v.equals()
	}
}

// yanked is a drive that is pulled out after so many writes.
type yanked struct {
	disk.FS
	left *atomic.Int64
}

func (y yanked) err() error {
	if y.left.Load() > 0 {
		return nil
	}
	return syscall.ENODEV
}

func (y yanked) Free() (disk.Space, error) {
	if err := y.err(); err != nil {
		return disk.Space{}, err
	}
	return y.FS.Free()
}

func (y yanked) Create(name string, perm uint32) (disk.File, error) {
	if err := y.err(); err != nil {
		return nil, err
	}
	f, err := y.FS.Create(name, perm)
	return yankedFile{f, y}, err
}

type yankedFile struct {
	disk.File
	y yanked
}

func (f yankedFile) Write(p []byte) (int, error) {
	f.y.left.Add(-1)
	if err := f.y.err(); err != nil {
		return 0, err
	}
	return f.File.Write(p)
}

// A drive that is pulled out while it is packed is called gone, once, and not bad; put in again, the next run goes on.
func TestADriveThatIsPulledOut(t *testing.T) {
	w := newWorld(t)
	w.opts.PackSize = 64 << 10
	for i := range 10 {
		w.write(fmt.Sprint("f", i), 50<<10, uint64(i))
	}
	settleClock()
	good := w.drive
	left := new(atomic.Int64)
	left.Store(5)
	w.drive = yanked{good, left}
	_, err := w.tryPack()
	wantCode(t, err, exit.Fatal)
	if !strings.Contains(err.Error(), "is gone") || len(w.rep.Warnings()) > 1 {
		t.Errorf("%v\n%q", err, w.rep.Warnings())
	}
	w.drive = good
	if res := w.pack(); !res.Resumed || res.Pending != 0 {
		t.Errorf("%+v", res)
	}
	v := w.newVault()
	v.take(w.drive)
	v.equals()
}
