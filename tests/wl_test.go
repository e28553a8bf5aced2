// Package tests runs the built wl binary as its users do: whole trips, killed
// processes, large files, memory. The scripts of the command line are in
// script/ and run from cmd/wl.
package tests

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"waterlock/tests/trees"
)

// soak says that the long versions of the tests are wanted: make soak.
var soak = os.Getenv("WL_SOAK") != ""

// binary builds wl once.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "wl-bin-")
	if err != nil {
		return "", err
	}
	name := filepath.Join(dir, "wl")
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	binaryDir = dir
	if out, err := exec.Command("go", "build", "-o", name, "waterlock/cmd/wl").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return name, nil
})

var binaryDir string // to be removed at the end

func TestMain(m *testing.M) {
	code := m.Run()
	if binaryDir != "" {
		os.RemoveAll(binaryDir)
	}
	os.Exit(code)
}

// world is a home, a drive and a vault in a directory of their own.
type world struct {
	t                                       testing.TB
	dir, home, drive, vault, hState, vState string
}

func newWorld(t testing.TB) *world {
	t.Helper()
	return newWorldIn(t, t.TempDir())
}

// newWorldInMemory is a world where syncs cost nothing.
func newWorldInMemory(t testing.TB) *world {
	t.Helper()
	return newWorldIn(t, memoryDir(t))
}

// memoryDir is a directory in memory, if there is such a place.
func memoryDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "wl-tests-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func newWorldIn(t testing.TB, dir string) *world {
	t.Helper()
	w := &world{
		t: t, dir: dir,
		home:   filepath.Join(dir, "home"),
		drive:  filepath.Join(dir, "drive"),
		vault:  filepath.Join(dir, "vault"),
		hState: filepath.Join(dir, "home-state"),
		vState: filepath.Join(dir, "vault-state"),
	}
	for _, d := range []string{w.home, w.drive} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// cmd is wl with one of the two states.
func (w *world) cmd(state string, args ...string) *exec.Cmd {
	w.t.Helper()
	name, err := binary()
	if err != nil {
		w.t.Fatal(err)
	}
	cmd := exec.Command(name, args...)
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "WL_") {
			cmd.Env = append(cmd.Env, e)
		}
	}
	cmd.Env = append(cmd.Env, "WL_STATE="+state, "WL_RESERVE=0")
	return cmd
}

// run runs wl and fails the test unless it exits with the code.
func (w *world) run(code int, state string, args ...string) string {
	w.t.Helper()
	return w.finish(code, w.cmd(state, args...))
}

// finish runs a command of wl and fails the test unless it exits with the code.
func (w *world) finish(code int, cmd *exec.Cmd) string {
	w.t.Helper()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != code {
		w.t.Fatalf("wl %s: %v, want exit code %d\n%s", strings.Join(cmd.Args[1:], " "), err, code, out.String())
	}
	return out.String()
}

// atHome and atVault run wl, which must succeed.
func (w *world) atHome(args ...string) string  { w.t.Helper(); return w.run(0, w.hState, args...) }
func (w *world) atVault(args ...string) string { w.t.Helper(); return w.run(0, w.vState, args...) }

// begin makes the route over home/<tree> directories and the drive.
func (w *world) begin(names ...string) {
	w.t.Helper()
	args := []string{"init", "--name", "test"}
	for _, n := range names {
		args = append(args, filepath.Join(w.home, n))
	}
	w.atHome(args...)
	w.atHome("drive", "init", w.drive)
}

func (w *world) pack(args ...string) string {
	w.t.Helper()
	return w.atHome(append([]string{"pack", "--drive", w.drive}, args...)...)
}

func (w *world) joinAndUnpack() {
	w.t.Helper()
	w.atVault("vault", "init", w.vault, "--drive", w.drive)
	w.unpack()
}

func (w *world) unpack() string {
	w.t.Helper()
	return w.atVault("unpack", "--drive", w.drive, "--vault", w.vault, "--deletions", "apply")
}

func (w *world) restore(snapshot string) string {
	w.t.Helper()
	target := filepath.Join(w.dir, fmt.Sprintf("restored-%s-%d", snapshot, rand.Uint64()))
	w.atVault("restore", "--vault", w.vault, "--snapshot", snapshot, "--target", target)
	return target
}

// take is the exact state of a tree at home.
func (w *world) take(tree string) trees.Tree {
	w.t.Helper()
	return takeDir(w.t, filepath.Join(w.home, tree))
}

func takeDir(t testing.TB, dir string) trees.Tree {
	t.Helper()
	got, err := trees.Take(dir, trees.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// same fails unless dir is exactly as wanted.
func same(t testing.TB, what string, want trees.Tree, dir string) {
	t.Helper()
	if diff := trees.Diff(want, takeDir(t, dir)); len(diff) > 0 {
		t.Fatalf("%s: %d paths differ:\n  %s", what, len(diff), strings.Join(diff[:min(len(diff), 20)], "\n  "))
	}
}

// noise writes a file that no compressor makes smaller, the same for a seed.
func noise(t testing.TB, name string, size int64, seed uint64) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.CopyN(f, noiseReader(seed), size)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

func noiseReader(seed uint64) io.Reader {
	var key [32]byte
	for i := range 8 {
		key[i] = byte(seed >> (8 * i))
	}
	return rand.NewChaCha8(key)
}

// insert puts n bytes of noise into a file at an offset.
func insert(t testing.TB, name string, at, n int64, seed uint64) {
	t.Helper()
	in, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.Create(name + ".new")
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(out, io.MultiReader(io.LimitReader(in, at), io.LimitReader(noiseReader(seed), n)))
	if err == nil {
		_, err = io.Copy(out, in)
	}
	if err := errors.Join(err, out.Close()); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		t.Fatal(err)
	}
}

// size is the sum of all file sizes below dir.
func size(t testing.TB, dir string) (total int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			total += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return total
}

// copyDir copies a drive or a state: plain files and directories.
func copyDir(t testing.TB, from, to string) {
	t.Helper()
	if err := os.RemoveAll(to); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
