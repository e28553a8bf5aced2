package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"waterlock/tests/mounts"
)

// fewScripts are those that run on every file system in make test; in make soak
// all do.
var fewScripts = []string{"attributes"}

// scriptDisk is as large as all scripts together need it; its image is sparse.
const scriptDisk = 6 << 30

// TestScriptsOnEveryFileSystem runs the scripts again with everything in them,
// home, drive and vault, on ext4, XFS and Btrfs, and with the drive on exFAT
// through FUSE.
func TestScriptsOnEveryFileSystem(t *testing.T) {
	for _, f := range []mounts.FileSystem{mounts.Ext4, mounts.XFS, mounts.Btrfs} {
		t.Run(f.Name, func(t *testing.T) {
			p := chosenScripts(t)
			p.WorkdirRoot = f.For(t, scriptDisk).Dir
			setup := p.Setup
			p.Setup = func(e *testscript.Env) error {
				e.Defer(func() { emptyOut(t, e.WorkDir) }) // which testscript keeps where it is given a place
				return setup(e)
			}
			testscript.Run(t, p)
		})
	}
	t.Run("drive on "+mounts.ExFAT.Name, func(t *testing.T) {
		if why := mounts.ExFAT.Lacks(); why != "" {
			t.Skip(why)
		}
		p := chosenScripts(t)
		setup := p.Setup
		p.Setup = func(e *testscript.Env) error {
			// The scripts make a directory of this name, which is there then.
			drive, err := mounts.ExFAT.Make(filepath.Join(e.WorkDir, "drive"), 0)
			if err != nil {
				return err
			}
			e.Defer(func() {
				if err := drive.Close(); err != nil {
					t.Error(err)
				}
			})
			return setup(e)
		}
		testscript.Run(t, p)
	})
}

func chosenScripts(t *testing.T) testscript.Params {
	p := scripts(t)
	if soak {
		return p
	}
	for _, name := range fewScripts {
		p.Files = append(p.Files, filepath.Join(p.Dir, name+".txtar"))
	}
	p.Dir = ""
	return p
}

// emptyOut removes a directory, closed ones in it, too.
func emptyOut(t *testing.T, dir string) {
	_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, _ error) error {
		if d != nil && d.IsDir() {
			_ = os.Chmod(path, 0o755)
		}
		return nil
	})
	if err := os.RemoveAll(dir); err != nil {
		t.Error(err)
	}
}

var mountCommands = map[string]func(*testscript.TestScript, bool, []string){
	"mount":     scriptMount,
	"again":     scriptAgain,
	"rot":       scriptRot,
	"fill":      scriptFill,
	"asuser":    scriptAsUser,
	"allocated": scriptAllocated,
}

func canMount(kind string) bool {
	f, ok := mounts.Named(kind)
	return ok && f.Lacks() == ""
}

// mountsKey is for what a script has mounted, by the directory.
type mountsKey struct{}

func prepareMounts(e *testscript.Env) { e.Values[mountsKey{}] = map[string]*mounts.Mounted{} }

func scriptMount(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 3, "mount DIR KIND SIZE")
	f, ok := mounts.Named(args[1])
	if !ok {
		ts.Fatalf("no file system %q", args[1])
	}
	size, err := parseSize(args[2])
	ts.Check(err)
	dir := ts.MkAbs(args[0])
	m, err := f.Make(dir, size)
	ts.Check(err)
	ts.Value(mountsKey{}).(map[string]*mounts.Mounted)[dir] = m
	ts.Defer(func() {
		if err := m.Close(); err != nil {
			ts.Logf("%v", err)
		}
	})
}

// mountOf is what the script mounted above a path.
func mountOf(ts *testscript.TestScript, path string) *mounts.Mounted {
	for dir, m := range ts.Value(mountsKey{}).(map[string]*mounts.Mounted) {
		if path == dir || strings.HasPrefix(path, dir+"/") {
			return m
		}
	}
	ts.Fatalf("nothing is mounted above %s", path)
	return nil
}

func scriptAgain(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 1, "again DIR")
	ts.Check(mountOf(ts, ts.MkAbs(args[0])).Again())
}

func scriptRot(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2, "rot FILE OFFSET")
	offset, err := strconv.Atoi(args[1])
	ts.Check(err)
	file := ts.MkAbs(args[0])
	ts.Check(mountOf(ts, file).Rot(file, offset))
}

func scriptFill(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2, "fill FILE LEAVE")
	leave, err := parseSize(args[1])
	ts.Check(err)
	f, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	defer f.Close()
	var st syscall.Statfs_t
	ts.Check(syscall.Fstatfs(int(f.Fd()), &st))
	ts.Check(syscall.Fallocate(int(f.Fd()), 0, 0, int64(st.Bavail)*st.Bsize-leave))
}

// scriptAsUser runs wl as nobody where the test runs as root, else as it is.
func scriptAsUser(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2, "asuser N wl ARG ...")
	if os.Geteuid() != 0 {
		scriptCode(ts, neg, args)
		return
	}
	wl, err := exec.LookPath(args[1])
	ts.Check(err)
	for _, place := range []string{filepath.Dir(wl), ts.Getenv("WORK")} {
		for dir := place; strings.HasPrefix(dir, os.TempDir()+"/"); dir = filepath.Dir(dir) {
			ts.Check(os.Chmod(dir, 0o755)) // it may be passed through
		}
	}
	scriptCode(ts, neg, append([]string{args[0], "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", wl}, args[2:]...))
}

func scriptAllocated(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2, "allocated FILE SIZE")
	most, err := parseSize(args[1])
	ts.Check(err)
	st, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	if got := st.Sys().(*syscall.Stat_t).Blocks * 512; got > most {
		ts.Fatalf("%s takes %d bytes on the disk, at most %d are right", args[0], got, most)
	}
}
