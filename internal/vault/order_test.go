package vault

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"waterlock/internal/exit"
	"waterlock/tests/trees"
)

// Shipments unpacked twice, or in any order, end in the same snapshots and, with deletions applied, the same mirror.
func TestAnyOrderEndsInTheSameVault(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		// Three or four trips, each on a drive of its own, with random changes; some files pending or unseen.
		w := newWorld(t)
		names := []string{"a", "b", "c", "d/e", "d/f", "g"}
		var drives []string
		var states []trees.Tree
		trips := rapid.IntRange(2, 4).Draw(rt, "trips")
		for trip := range trips {
			for i, name := range names {
				path := filepath.Join(w.src, name)
				switch rapid.SampledFrom([]string{"write", "edit", "remove", "rename", "chmod", "leave", "leave"}).Draw(rt, name) {
				case "write":
					_ = os.RemoveAll(path)
					noise(t, path, rapid.IntRange(1, 20000).Draw(rt, "size"), uint64(trip*100+i))
				case "edit":
					if b, err := os.ReadFile(path); err == nil {
						must(t, os.WriteFile(path, append(b, 'x'), 0o644))
					}
				case "remove":
					_ = os.Remove(path)
				case "rename":
					_ = os.Rename(path, filepath.Join(w.src, names[(i+1)%len(names)]))
				case "chmod":
					_ = os.Chmod(path, 0o600)
				}
			}
			left := rapid.SampledFrom(append(names, "", "")).Draw(rt, "left behind")
			unread := rapid.SampledFrom(append(names, "", "")).Draw(rt, "unread")
			if trip == trips-1 {
				left, unread = "", ""
			}
			drive := newTestDrive(t)
			drives = append(drives, drive)
			w.home.pack(drive, tripOf(left, unread))
			states = append(states, take(t, w.src))
		}
		order := rapid.Permutation(drives).Draw(rt, "order")
		w.join(order[0])
		for _, drive := range append(order, order[0]) {
			w.unpack(drive, DeletionsApply)
			if rapid.Bool().Draw(rt, "lose the index") {
				must(t, os.RemoveAll(filepath.Join(w.vault, ".wl/index")))
			}
		}
		last := states[len(states)-1]
		if diff := trees.Diff(asMirror(last), take(t, w.mirror())); len(diff) > 0 {
			rt.Fatalf("mirror: %v", diff)
		}
		for _, s := range w.snapshots() {
			if !s.Arrived {
				rt.Fatalf("snapshot %d has not arrived: %+v", s.Number, s)
			}
			if s.Pending+s.Unseen > 0 {
				continue
			}
			if diff := trees.Diff(states[s.Number-1], take(t, filepath.Join(w.restore(fmt.Sprint(s.Number)), "docs"))); len(diff) > 0 {
				rt.Fatalf("snapshot %d: %v", s.Number, diff)
			}
		}
	})
}

func tripOf(left, unread string) trip {
	return trip{
		pending: func(_, path string) bool { return left != "" && path == left },
		unseen:  func(_, path string) bool { return unread != "" && path == unread },
	}
}

// A file that is pending in the newest snapshot shows its last version carried, with that version's metadata, in whichever
// order the shipments came.
func TestPendingFileInAnyOrder(t *testing.T) {
	t.Parallel()
	for _, order := range [][]int{{0, 1, 2}, {0, 2, 1}, {2, 0, 1}, {2, 1, 0}, {1, 2, 0}, {1, 0, 2}} {
		t.Run(fmt.Sprint(order), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			noise(t, filepath.Join(w.src, "film"), 20000, 1)
			var drives []string
			ship := func(o trip) {
				drives = append(drives, newTestDrive(t))
				w.home.pack(drives[len(drives)-1], o)
			}
			ship(trip{})
			noise(t, filepath.Join(w.src, "film"), 20000, 2)
			must(t, os.Chtimes(filepath.Join(w.src, "film"), at(2), at(2)))
			carried := take(t, w.src)
			ship(trip{})
			noise(t, filepath.Join(w.src, "film"), 20000, 3)
			must(t, os.Chmod(filepath.Join(w.src, "film"), 0o600))
			ship(tripOf("film", ""))
			w.join(drives[order[0]])
			for _, i := range order {
				w.unpack(drives[i], DeletionsApply)
			}
			got := take(t, w.mirror())
			if got["film"].Content != carried["film"].Content || got["film"].MTime != carried["film"].MTime || got["film"].Mode != asMirror(carried)["film"].Mode {
				t.Errorf("the mirror shows %+v\nwant %+v", got["film"], carried["film"])
			}
		})
	}
}

// What a shipment still out may bring is awaited, not wanted; once it is lost, it is wanted.
func TestAwaitedUntilLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	noise(t, filepath.Join(w.src, "a"), 20000, 1)
	one, two := newTestDrive(t), newTestDrive(t)
	lost := w.home.pack(one, trip{})
	noise(t, filepath.Join(w.src, "b"), 20000, 2)
	w.home.pack(two, trip{})
	w.join(two)
	r := w.unpack(two, DeletionsAsk)
	if r.Wants != 0 || r.Awaited == 0 || r.Behind != 1 || r.Waiting != 1 || r.SnapshotArrived {
		t.Errorf("while it is out: %+v", r)
	}
	if len(r.Drives) != 1 || !slices.Equal(r.Drives[0].Snapshots, []uint64{1}) || r.Drives[0].Time.IsZero() {
		t.Errorf("it waits for %+v", r.Drives)
	}
	if s := w.snapshots(); len(s) != 1 || len(s[0].Drives) != 1 || !strings.Contains(s[0].Waits, " from drive ") {
		t.Errorf("the list says %+v", s)
	}
	receipt := w.home.importReceipt(two)
	if receipt.Awaited == 0 || len(receipt.Wants) != 0 {
		t.Errorf("receipt: %+v", receipt)
	}
	w.home.lose(lost)
	must(t, os.Remove(filepath.Join(w.src, "a"))) // home no longer has it
	w.home.pack(two, trip{})
	r = w.unpack(two, DeletionsApply)
	if r.Awaited != 0 || r.Wants == 0 || !r.SnapshotWhole || len(r.Drives) != 0 {
		t.Errorf("once it is lost: %+v", r)
	}
	// It turns up after all.
	if r = w.unpack(one, DeletionsApply); r.Wants != 0 || r.Awaited != 0 {
		t.Errorf("once it has turned up: %+v", r)
	}
	for _, s := range w.snapshots() {
		if !s.Whole {
			t.Errorf("%+v", s)
		}
	}
}

const childVault, childDrive = "WL_TEST_CHILD_VAULT", "WL_TEST_CHILD_DRIVE"

// TestMain runs Unpack alone when a test has started this program again to kill it.
func TestMain(m *testing.M) {
	if vault := os.Getenv(childVault); vault != "" {
		_, err := Unpack(context.Background(), UnpackOptions{Vault: vault, Drive: os.Getenv(childDrive), Deletions: DeletionsApply})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	// Each check is some ten runs of Unpack, with all their syncs.
	_ = flag.Set("rapid.checks", "3")
	flag.Parse() // -rapid.checks on the command line wins
	os.Exit(m.Run())
}

// Killed at any moment, Unpack is run again and ends as if nothing had happened.
func TestKilledUnpackEndsTheSame(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("no SIGKILL")
	}
	w := newWorld(t)
	w.fill()
	first := take(t, w.src)
	one, two := newTestDrive(t), newTestDrive(t)
	w.home.pack(one, trip{packSize: 100 << 10})
	w.change()
	second := take(t, w.src)
	w.home.pack(two, trip{packSize: 100 << 10})

	kills := 3
	took := 300 * time.Millisecond
	hit := 0
	for i := range kills {
		w.vault = filepath.Join(w.dir, fmt.Sprint("vault", i))
		w.join(one)
		if i%2 == 0 {
			hit += w.killed(one, took*time.Duration(i+1)/time.Duration(kills))
		}
		w.unpack(one, DeletionsApply)
		same(t, "mirror after trip 1", asMirror(first), w.mirror())
		begun := time.Now()
		hit += w.killed(two, took*time.Duration(i+1)/time.Duration(kills))
		w.wholeFiles(first, second)
		hit += w.killed(two, took*time.Duration(kills-i)/time.Duration(kills))
		w.unpack(two, DeletionsApply)
		took = max(took/2, min(time.Since(begun)/3, took*2))
		same(t, "mirror after trip 2", asMirror(second), w.mirror())
		same(t, "snapshot 1", first, filepath.Join(w.restore("1"), "docs"))
		same(t, "snapshot 2", second, filepath.Join(w.restore("2"), "docs"))
		if left, _ := filepath.Glob(filepath.Join(w.vault, ".wl/staging/*")); len(left) > 0 {
			t.Errorf("left in staging: %v", left)
		}
	}
	t.Logf("%d kills hit a running unpack", hit)
}

// killed runs Unpack in a process of its own and kills it after a while.
func (w *world) killed(drive string, after time.Duration) int {
	w.t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVault+"="+w.vault, childDrive+"="+drive)
	var out strings.Builder
	cmd.Stderr = &out
	must(w.t, cmd.Start())
	timer := time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
	err := cmd.Wait()
	timer.Stop()
	if cmd.ProcessState.ExitCode() > 0 {
		w.t.Errorf("unpack failed: %v\n%s", err, out.String())
	}
	if cmd.ProcessState.ExitCode() == -1 {
		return 1
	}
	return 0
}

// wholeFiles holds what is promised at every instant: a path shows one whole version of its file.
func (w *world) wholeFiles(old, new trees.Tree) {
	w.t.Helper()
	for path, f := range take(w.t, w.mirror()) {
		if f.Mode.IsRegular() && f.Content != old[path].Content && f.Content != new[path].Content {
			w.t.Errorf("%s shows neither its old nor its new version", path)
		}
	}
	for path, f := range old {
		if n, stays := new[path]; stays && f.Mode.IsRegular() && n.Mode.IsRegular() {
			if _, err := os.Lstat(filepath.Join(w.mirror(), path)); err != nil {
				w.t.Errorf("%s is absent: %v", path, err)
			}
		}
	}
}

// countdown is a context that is cancelled when it has been asked for the n-th time.
type countdown struct {
	context.Context
	left *int
}

func (c countdown) Err() error {
	if *c.left--; *c.left < 0 {
		return context.Canceled
	}
	return nil
}

// Cancelled at any point, Unpack says so, and is run again.
func TestCancelledUnpackEndsTheSame(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill()
	one := newTestDrive(t)
	w.home.pack(one, trip{})
	w.change()
	second := take(t, w.src)
	two := newTestDrive(t)
	w.home.pack(two, trip{})
	for n := 0; ; n = n*8 + 40 {
		w.vault = filepath.Join(w.dir, fmt.Sprint("vault", n))
		w.join(one)
		ended := true
		for _, drive := range []string{one, two} {
			left := n
			_, err := Unpack(countdown{context.Background(), &left}, UnpackOptions{Vault: w.vault, Drive: drive, Deletions: DeletionsApply})
			if err != nil && (exit.Of(err) != exit.Interrupted || !errors.Is(err, context.Canceled)) {
				t.Fatalf("after %d: %v", n, err)
			}
			ended = ended && err == nil
		}
		w.unpack(one, DeletionsApply)
		w.unpack(two, DeletionsApply)
		same(t, fmt.Sprint("mirror after ", n), asMirror(second), w.mirror())
		if ended {
			return
		}
	}
}
