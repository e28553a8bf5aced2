package index

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"waterlock/internal/chunk"
	"waterlock/internal/disk"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("rapid.checks"); f != nil && f.Value.String() == f.DefValue {
		f.Value.Set("12") // each check opens and closes Badger several times
	}
	if dir := os.Getenv("WL_INDEX_VICTIM"); dir != "" {
		victim(dir)
	}
	os.Exit(m.Run())
}

// closedLedger leaves a small closed ledger in dir.
func closedLedger(t *testing.T, dir string) {
	t.Helper()
	l := openLedger(t, dir, true)
	must(t, l.AddAboard(1, tids(1, 2, 3)))
	must(t, l.MarkHeld(1, tids(1)))
	must(t, l.Close())
	// Twice, so that there is a table whose hash was kept over a session.
	l = openLedger(t, dir, false)
	must(t, l.AddAboard(2, tids(4)))
	must(t, l.Close())
}

// copyDir copies a flat index directory.
func copyDir(t *testing.T, from, to string) {
	t.Helper()
	must(t, os.RemoveAll(to))
	must(t, os.CopyFS(to, os.DirFS(from)))
}

func filesBelow(t *testing.T, dir string) (names []string) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			names = append(names, path)
		}
		return err
	}))
	return names
}

// expectFresh opens the ledger in dir, sees that it is empty and in order, and
// that it can be closed and opened again.
func expectFresh(t *testing.T, dir, why string) {
	t.Helper()
	l, fresh, err := OpenLedger(dir)
	if err != nil || !fresh {
		t.Fatalf("%s: fresh %v, %v", why, fresh, err)
	}
	st, err := l.Known(tid(1), nil)
	must(t, err)
	if st != None {
		t.Fatalf("%s: chunk 1 is %v", why, st)
	}
	must(t, l.Close())
}

// flips are the offsets to try in a file: all of a small one, otherwise its
// ends and some n of the rest.
func flips(b []byte, n int) (offsets []int) {
	step := 1
	if len(b) > 2048 {
		step = len(b) / n
	}
	for i := 0; i < len(b); i++ {
		if i < 16 || i >= len(b)-16 || i%step == 0 {
			offsets = append(offsets, i)
		}
	}
	return offsets
}

func TestAnyFlippedByteMakesItFresh(t *testing.T) {
	dir, work := t.TempDir(), filepath.Join(t.TempDir(), "x")
	closedLedger(t, dir)
	for _, name := range filesBelow(t, dir) {
		rel, _ := filepath.Rel(dir, name)
		b, err := os.ReadFile(name)
		must(t, err)
		copyDir(t, dir, work)
		if _, err := stampOf(t, work); err != nil {
			t.Fatal(err)
		}
		for i, at := range flips(b, 20) {
			bad := slices.Clone(b)
			bad[at] ^= 1 << (at % 8)
			must(t, os.WriteFile(filepath.Join(work, rel), bad, 0o600))
			// The check alone for most, the whole way for some.
			if _, err := stampOf(t, work); err == nil {
				t.Fatalf("%s, byte %d: the stamp is believed", rel, at)
			}
			if i%100 == 0 {
				expectFresh(t, work, fmt.Sprintf("%s, byte %d", rel, at))
				copyDir(t, dir, work)
			}
		}
	}
}

// stampOf checks the stamp of a closed ledger as Open does.
func stampOf(t *testing.T, dir string) (map[string]fileSum, error) {
	t.Helper()
	fsys, err := disk.Dir(dir)
	must(t, err)
	defer fsys.Close()
	return (&store{dir: dir, kind: "ledger", fs: fsys}).checkStamp()
}

func TestAnyOtherDamageMakesItFresh(t *testing.T) {
	dir, work := t.TempDir(), filepath.Join(t.TempDir(), "x")
	closedLedger(t, dir)
	damage := map[string]func(t *testing.T){
		"a file more":      func(t *testing.T) { must(t, os.WriteFile(filepath.Join(work, badgerDir, "000009.sst"), nil, 0o600)) },
		"no stamp":         func(t *testing.T) { must(t, os.Remove(filepath.Join(work, stampName))) },
		"an empty stamp":   func(t *testing.T) { must(t, os.Truncate(filepath.Join(work, stampName), 0)) },
		"a directory more": func(t *testing.T) { must(t, os.Mkdir(filepath.Join(work, badgerDir, "d"), 0o700)) },
		"no files":         func(t *testing.T) { must(t, os.RemoveAll(filepath.Join(work, badgerDir))) },
		"another kind": func(t *testing.T) {
			c, fresh, err := OpenCatalog(work)
			must(t, err)
			if !fresh {
				t.Fatal("a ledger was taken for a catalog")
			}
			must(t, c.Close())
		},
		"a stamp of an older schema": func(t *testing.T) {
			b, err := os.ReadFile(filepath.Join(work, stampName))
			must(t, err)
			body, _, _ := strings.Cut(strings.Replace(string(b), "index 1 ledger", "index 0 ledger", 1), "checksum")
			body += fmt.Sprintf("checksum %x\n", chunk.Checksum(stampContext, []byte(body)))
			must(t, os.WriteFile(filepath.Join(work, stampName), []byte(body), 0o600))
		},
	}
	for _, name := range filesBelow(t, dir) {
		rel, _ := filepath.Rel(dir, name)
		if rel == lockName {
			continue
		}
		damage["without "+rel] = func(t *testing.T) { must(t, os.Remove(filepath.Join(work, rel))) }
		damage["shorter "+rel] = func(t *testing.T) {
			st, err := os.Stat(filepath.Join(work, rel))
			must(t, err)
			if st.Size() == 0 {
				t.Skip("is empty")
			}
			must(t, os.Truncate(filepath.Join(work, rel), st.Size()-1))
		}
	}
	for name, do := range damage {
		t.Run(name, func(t *testing.T) {
			copyDir(t, dir, work)
			do(t)
			expectFresh(t, work, name)
		})
	}
}

// victim opens the ledger in dir, works, and waits to be killed.
func victim(dir string) {
	l, _, err := OpenLedger(dir)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for ord := uint32(0); ; ord++ {
		var ids []chunk.ID
		for i := range 1000 {
			ids = append(ids, tid(int(ord)*1000+i))
		}
		if err := l.AddAboard(ord, ids); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(ord)
	}
}

func TestAKilledProcessLeavesItFresh(t *testing.T) {
	for _, written := range []string{"0", "7"} {
		dir := t.TempDir()
		closedLedger(t, dir)
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "WL_INDEX_VICTIM="+dir)
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		lines := bufio.NewScanner(out)
		for lines.Scan() && lines.Text() != written {
		}
		if _, _, err := OpenLedger(dir); !errors.Is(err, disk.ErrLocked) {
			t.Errorf("opened beside another process: %v", err)
		}
		must(t, cmd.Process.Kill())
		cmd.Wait()
		expectFresh(t, dir, "killed")
	}
}

func TestAFailedWriteLeavesNoStamp(t *testing.T) {
	dir := t.TempDir()
	l := openLedger(t, dir, true)
	must(t, l.MarkHeld(1, tids(1)))
	l.s.fail(errors.New("a disk error"))
	if _, err := l.Known(tid(1), nil); !errors.Is(err, ErrFailed) {
		t.Fatalf("a failed index answers: %v", err)
	}
	if err := l.MarkHeld(1, tids(2)); !errors.Is(err, ErrFailed) {
		t.Fatal(err)
	}
	if err := l.Close(); !errors.Is(err, ErrFailed) {
		t.Fatal(err)
	}
	expectFresh(t, dir, "failed")
}

func TestAPanicOfBadgerIsAnError(t *testing.T) {
	l := openLedger(t, t.TempDir(), true)
	db := l.s.db
	l.s.db = nil
	if _, err := l.Known(tid(1), nil); err == nil {
		t.Fatal("no error")
	}
	if err := l.MarkHeld(1, tids(1)); !errors.Is(err, ErrFailed) {
		t.Fatal(err)
	}
	l.s.db = db
	if err := l.Close(); !errors.Is(err, ErrFailed) {
		t.Fatal(err)
	}
}

func TestABadgerThatNeverClosesIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	l := openLedger(t, dir, true)
	must(t, l.MarkHeld(1, tids(1)))
	release, shut := make(chan struct{}), l.s.shut
	closed := make(chan struct{})
	l.s.shut = func() error { defer close(closed); <-release; return shut() }
	patience := closePatience
	closePatience = 10 * time.Millisecond
	err := l.Close()
	closePatience = patience
	if err == nil {
		t.Fatal("no error")
	}
	close(release)
	<-closed
	must(t, openLedger(t, dir, true).Close()) // fresh: there is no stamp
}

// deadDisk takes nothing any more.
type deadDisk struct{ disk.FS }

func (deadDisk) Create(string, uint32) (disk.File, error) { return nil, syscall.EIO }

func TestABadgerOnADeadDiskIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	l := openLedger(t, dir, true)
	must(t, l.MarkHeld(1, tids(1)))
	release, shut := make(chan struct{}), l.s.shut
	closed := make(chan struct{})
	l.s.shut = func() error { defer close(closed); <-release; return shut() }
	l.s.fs = deadDisk{l.s.fs}
	if err := l.Close(); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	close(release)
	<-closed
	must(t, openLedger(t, dir, true).Close()) // fresh: there is no stamp
}

func TestAClosedIndexAnswersNothing(t *testing.T) {
	c := openCatalog(t, t.TempDir(), true)
	must(t, c.Close())
	must(t, c.Close())
	if _, err := c.Has(tid(1)); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
	b := c.Batch()
	b.PutArrived(1)
	if err := b.Commit(); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
	it := c.Paths("t")
	if _, _, ok := it.Next(); ok || !errors.Is(it.Err(), ErrClosed) {
		t.Fatal(it.Err())
	}
	it.Close()
}

// noRoom is a file system that is full.
type noRoom struct{ disk.FS }

func (noRoom) Free() (disk.Space, error) { return disk.Space{Avail: MinFree - 1, Total: 1 << 40}, nil }

func TestWithoutRoomNothingIsWritten(t *testing.T) {
	dir := t.TempDir()
	l := openLedger(t, dir, true)
	l.s.fs = noRoom{l.s.fs}
	if err := l.MarkHeld(1, tids(1)); !errors.Is(err, ErrNoRoom) {
		t.Fatal(err)
	}
	if err := l.Close(); !errors.Is(err, ErrNoRoom) {
		t.Fatal(err)
	}
	expectFresh(t, dir, "no room")
}

func TestKeptHashesFindRotWhileOpen(t *testing.T) {
	dir := t.TempDir()
	closedLedger(t, dir)
	l := openLedger(t, dir, false)
	must(t, l.AddAboard(3, tids(5)))
	var table string
	for name := range l.s.sound {
		table = filepath.Join(dir, badgerDir, name)
	}
	b, err := os.ReadFile(table)
	must(t, err)
	b[3] ^= 1
	must(t, os.WriteFile(table, b, 0o600))
	must(t, l.Close())
	expectFresh(t, dir, "rot while open")
}
