package tests

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"waterlock/tests/mounts"
	"waterlock/tests/trees"
)

// smallHome makes a tree with one of everything, and names that some file
// systems of drives would not take.
func smallHome(t testing.TB, dir string) {
	t.Helper()
	for i := range 20 {
		noise(t, filepath.Join(dir, fmt.Sprintf("d%d", i%3), fmt.Sprintf("f%d", i)), int64(i)*3001, 100+uint64(i))
	}
	for i, name := range []string{"log", "log.1", "log.2", "a", "b", "A", "what? a:b*", "trailing. ", "\xff\xfe", "con"} {
		noise(t, filepath.Join(dir, name), 40_000+int64(i), 200+uint64(i))
	}
	noise(t, filepath.Join(dir, "film"), 5<<20, 300)
	must(t, os.WriteFile(filepath.Join(dir, "empty"), nil, 0o600))
	must(t, os.Link(filepath.Join(dir, "d0", "f3"), filepath.Join(dir, "d1", "link")))
	must(t, os.Symlink("../film", filepath.Join(dir, "d2", "soft")))
	must(t, os.Chmod(filepath.Join(dir, "d2"), 0o710))
	old := time.Date(2001, 2, 3, 4, 5, 6, 7, time.UTC)
	must(t, os.Chtimes(filepath.Join(dir, "d2"), old, old))
}

// renamed are the files of smallHome that changeSmall only renames: new names
// by old ones.
var renamed = map[string]string{
	"log": "log.1", "log.1": "log.2", "log.2": "log.3", "a": "b", "b": "a", "d1/f4": "k/f4", "d1/f19": "k/f19",
	"con": "con/con", "d0/f6": "d2/f6",
}

// changeSmall edits, deletes, renames: rotates logs, swaps two files, renames a
// directory and makes a new one under its name.
func changeSmall(t testing.TB, dir string) {
	t.Helper()
	in := func(name string) string { return filepath.Join(dir, name) }
	move := func(names ...string) {
		for i := 0; i+1 < len(names); i += 2 {
			must(t, os.Rename(in(names[i]), in(names[i+1])))
		}
	}
	insert(t, in("film"), 2<<20, 64<<10, 400)
	move("log.2", "log.3", "log.1", "log.2", "log", "log.1")
	noise(t, in("log"), 40_000, 401)
	move("a", "tmp", "b", "a", "tmp", "b")
	move("d1", "k")
	noise(t, in("d1/f4"), 5000, 402)
	move("con", "tmp")
	must(t, os.Mkdir(in("con"), 0o700))
	move("tmp", "con/con", "d0/f6", "d2/f6")
	must(t, os.Remove(in("d0/f9")))
	must(t, os.Remove(in("d2/soft")))
	must(t, os.Mkdir(in("d2/soft"), 0o755))
}

// twoTrips takes small trees through two trips and back to the first state.
// place is mounted anew while the drive travels.
func (w *world) twoTrips(place *mounts.Mounted) {
	t := w.t
	t.Helper()
	between := func() { t.Helper(); must(t, place.Again()) }
	home, mirror := filepath.Join(w.home, "t"), filepath.Join(w.vault, "t")
	smallHome(t, home)
	first := w.take("t")
	w.begin("t")
	w.pack()
	between()
	w.atHome("verify", "--drive", w.drive)
	w.joinAndUnpack()
	same(t, "mirror after trip 1", first, mirror)
	inodes := inodesOf(t, mirror)

	changeSmall(t, home)
	second := w.take("t")
	between()
	w.pack()
	between()
	w.atHome("verify", "--drive", w.drive)
	w.unpack()
	between()
	same(t, "mirror after trip 2", second, mirror)
	same(t, "home", second, home)
	for from, to := range renamed {
		if now := inodesOf(t, mirror)[to]; now != inodes[from] {
			t.Errorf("%s was renamed to %s at home, but in the mirror that is inode %d and not %d", from, to, now, inodes[from])
		}
	}
	same(t, "snapshot 1", first, filepath.Join(w.restore("1"), "t"))
	same(t, "snapshot 2", second, filepath.Join(w.restore("2"), "t"))
	w.atVault("verify", "--vault", w.vault)
}

func inodesOf(t testing.TB, dir string) map[string]uint64 {
	t.Helper()
	out := map[string]uint64{}
	must(t, filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		out[rel] = info.Sys().(*syscall.Stat_t).Ino
		return err
	}))
	return out
}

// TestTripsOnDrivesOfEveryFileSystem: two trips with drives as people have
// them; between the ends the drive is unmounted and mounted.
func TestTripsOnDrivesOfEveryFileSystem(t *testing.T) {
	t.Parallel()
	for _, f := range []mounts.FileSystem{mounts.Ext4, mounts.XFS, mounts.Btrfs, mounts.ExFAT, mounts.NTFS} {
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()
			drive := f.For(t, 0)
			w := newWorld(t)
			w.drive = drive.Dir
			w.twoTrips(drive)
		})
	}
}

// TestTripsToVaultsOfEveryFileSystem: two trips to a vault on each of the file
// systems that can hold one.
func TestTripsToVaultsOfEveryFileSystem(t *testing.T) {
	t.Parallel()
	for _, f := range []mounts.FileSystem{mounts.Ext4, mounts.XFS, mounts.Btrfs} {
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()
			disk := f.For(t, 0)
			w := newWorld(t)
			w.vault = filepath.Join(disk.Dir, "vault")
			w.twoTrips(disk)
		})
	}
}

// TestAVaultNeedsHardLinks: a file system without them is refused, and no
// vault is there.
func TestAVaultNeedsHardLinks(t *testing.T) {
	t.Parallel()
	disk := mounts.ExFAT.For(t, 0)
	w := newWorld(t)
	noise(t, filepath.Join(w.home, "t", "f"), 1000, 1)
	w.begin("t")
	w.pack()
	w.vault = filepath.Join(disk.Dir, "vault")
	out := w.run(1, w.vState, "vault", "init", w.vault, "--drive", w.drive)
	if !strings.Contains(out, "hard link") {
		t.Errorf("wl does not say that hard links are lacking:\n%s", out)
	}
	if left, err := os.ReadDir(disk.Dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func needXFSIO(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("xfs_io"); err != nil {
		t.Skip("xfs_io, which cuts the power, is not installed: ", err)
	}
}

// cuts is how often the power fails in each of the tests below.
func cuts() int {
	if soak {
		return 25
	}
	return 1
}

// longest is how long wl may run before the power is cut: about what it takes.
const longest = 200 * time.Millisecond

// unplugged runs wl, and cuts the power of a drive at a random moment, or right
// behind the end. wl must notice and end by itself. Then the drive is mounted
// again.
func (w *world) unplugged(drive *mounts.Mounted, state string, args ...string) (hit bool) {
	w.t.Helper()
	out, err, hit := w.cut(drive, state, func(*os.Process) error { return drive.PowerCut() }, args...)
	if err != nil && !hit {
		w.t.Fatalf("wl %s: %v\n%s", args[0], err, out)
	}
	if hit && strings.Contains(out, "safe to remove") {
		w.t.Errorf("wl %s says so of a drive that is gone:\n%s", args[0], out)
	}
	if strings.Contains(out, "goroutine ") {
		w.t.Errorf("wl %s does not take it well:\n%s", args[0], out)
	}
	return hit
}

// blackout is unplugged of a disk within the machine: wl is gone, too.
func (w *world) blackout(disk *mounts.Mounted, state string, args ...string) (hit bool) {
	w.t.Helper()
	out, err, hit := w.cut(disk, state, func(p *os.Process) error {
		err := disk.PowerCut()
		_ = p.Kill() // it may have ended
		return err
	}, args...)
	if err != nil && !hit {
		w.t.Fatalf("wl %s: %v\n%s", args[0], err, out)
	}
	return hit
}

// cut runs wl and fails the disk beneath it; hit says that wl had not ended
// before.
func (w *world) cut(disk *mounts.Mounted, state string, fail func(*os.Process) error, args ...string) (said string, err error, hit bool) {
	w.t.Helper()
	var out strings.Builder
	cmd := w.cmd(state, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	must(w.t, cmd.Start())
	failed := make(chan error, 1)
	timer := time.AfterFunc(time.Duration(rand.Int64N(int64(longest))), func() { failed <- fail(cmd.Process) })
	err = cmd.Wait()
	if timer.Stop() {
		failed <- fail(cmd.Process)
	} else {
		hit = err != nil
	}
	must(w.t, <-failed)
	must(w.t, disk.Again())
	return out.String(), err, hit
}

// TestPowerCutOnTheDrive: the power of the drive fails while it is packed, or
// as soon as wl says that it is safe to remove; the next run goes on, and the
// vault gets what it gets without.
func TestPowerCutOnTheDrive(t *testing.T) {
	t.Parallel()
	for _, f := range []mounts.FileSystem{mounts.Ext4, mounts.XFS} {
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()
			needXFSIO(t)
			during := 0
			for range cuts() {
				drive := f.For(t, 0)
				w := newWorld(t)
				w.drive = drive.Dir
				home, mirror := filepath.Join(w.home, "t"), filepath.Join(w.vault, "t")
				smallHome(t, home)
				noise(t, filepath.Join(home, "more"), 12<<20, 7)
				first := w.take("t")
				w.begin("t")
				pack := []string{"pack", "--drive", w.drive, "--pack-size", "4MiB"}
				for range 2 {
					if w.unplugged(drive, w.hState, pack...) {
						during++
					}
				}
				number := snapshotNumber(t, w.atHome(pack...))
				w.atHome("verify", "--drive", w.drive)
				w.joinAndUnpack()
				same(t, "mirror after trip 1", first, mirror)

				changeSmall(t, home)
				second := w.take("t")
				if w.unplugged(drive, w.hState, pack...) {
					during++
				}
				w.atHome(pack...)
				must(t, drive.Again())
				w.unpack()
				same(t, "mirror after trip 2", second, mirror)
				same(t, "the first snapshot", first, filepath.Join(w.restore(number), "t"))
				must(t, drive.Unmount())
			}
			t.Logf("%d of %d power cuts hit a running pack", during, 3*cuts())
		})
	}
}

var packedAs = regexp.MustCompile(`(?m)^Snapshot (\d+) of route`)

// snapshotNumber is the number that a pack gave: one that was interrupted may
// have used up a number.
func snapshotNumber(t testing.TB, said string) string {
	t.Helper()
	m := packedAs.FindStringSubmatch(said)
	if m == nil {
		t.Fatalf("no snapshot:\n%s", said)
	}
	return m[1]
}

// TestPowerCutAtTheVault: the power of the vault fails while it unpacks, or
// right behind that: each path shows an old or a new whole file, and the next
// run ends as without.
func TestPowerCutAtTheVault(t *testing.T) {
	t.Parallel()
	for _, f := range []mounts.FileSystem{mounts.Ext4, mounts.XFS} {
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()
			needXFSIO(t)
			during := 0
			for range cuts() {
				disk := f.For(t, 0)
				w := newWorld(t)
				w.vault = filepath.Join(disk.Dir, "vault")
				home, mirror := filepath.Join(w.home, "t"), filepath.Join(w.vault, "t")
				smallHome(t, home)
				first := w.take("t")
				w.begin("t")
				w.pack()
				w.atVault("vault", "init", w.vault, "--drive", w.drive)
				unpack := []string{"unpack", "--drive", w.drive, "--vault", w.vault, "--deletions", "apply"}
				if w.blackout(disk, w.vState, unpack...) {
					during++
				}
				if _, err := os.Lstat(mirror); err == nil {
					wholeFilesOnly(t, mirror, trees.Tree{}, first)
				}
				w.unpack()
				same(t, "mirror after trip 1", first, mirror)

				changeSmall(t, home)
				second := w.take("t")
				w.pack()
				for range 2 {
					if w.blackout(disk, w.vState, unpack...) {
						during++
					}
					wholeFilesOnly(t, mirror, first, second)
				}
				w.unpack()
				same(t, "mirror after trip 2", second, mirror)
				same(t, "snapshot 1", first, filepath.Join(w.restore("1"), "t"))
				same(t, "snapshot 2", second, filepath.Join(w.restore("2"), "t"))
				w.atVault("verify", "--vault", w.vault)
				must(t, disk.Unmount())
			}
			t.Logf("%d of %d power cuts hit a running unpack", during, 3*cuts())
		})
	}
}

// A drive that is mounted read-only is called that, and nothing is packed.
func TestAReadOnlyDriveIsCalledThat(t *testing.T) {
	t.Parallel()
	drive := mounts.TmpFS.For(t, 0)
	w := newWorld(t)
	w.drive = drive.Dir
	noise(t, filepath.Join(w.home, "t", "f"), 1000, 1)
	w.begin("t")
	w.pack()
	must(t, os.WriteFile(filepath.Join(w.home, "t", "g"), []byte("new"), 0o600))
	must(t, drive.ReadOnly(true))
	if out := w.run(1, w.hState, "pack", "--drive", w.drive); !strings.Contains(out, "mounted read-only") {
		t.Errorf("wl does not say that the drive is read-only:\n%s", out)
	}
	w.atHome("verify", "--drive", w.drive)
	must(t, drive.ReadOnly(false))
	w.pack()
}
