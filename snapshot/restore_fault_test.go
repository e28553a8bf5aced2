package snapshot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/internal/disk/disktest"
	"waterlock/internal/report"
)

// linkedSource is a small tree with hard links, a symlink and a pipe.
func linkedSource(t testing.TB) source {
	s := source{memory: memory{}}
	uid, gid := uint32(max(os.Geteuid(), 0)), uint32(max(os.Getegid(), 0))
	s.tree = []*Entry{
		{Kind: disk.KindDir, Mode: 0o750, MTime: disk.Time{Sec: 9}},
		{Path: "a", Kind: disk.KindDir, Mode: 0o555, MTime: disk.Time{Sec: 8}},
		{Path: "a/1", Kind: disk.KindFile, Mode: 0o600, LinkGroup: 7},
		{Path: "a/2", Kind: disk.KindFile, Mode: 0o444},
		{Path: "b", Kind: disk.KindSymlink, Mode: 0o777, Target: "a"},
		{Path: "c", Kind: disk.KindFile, Mode: 0o600, LinkGroup: 7},
		{Path: "d", Kind: disk.KindFifo, Mode: 0o600},
	}
	for _, e := range s.tree {
		e.UID, e.GID = uid, gid
		e.MTime.Nsec = 5
		if e.Kind == disk.KindFile {
			s.setContent(e, bytes.Repeat([]byte{'x', byte(e.LinkGroup)}, 3*piece/2))
		}
	}
	var err error
	s.rec, err = s.write(s.tree)
	must(t, err)
	return s
}

// whole checks that what is at a path of a file is nothing or its whole
// content.
func whole(t testing.TB, root disk.FS, tree []*Entry, what string) (missing int) {
	t.Helper()
	for _, e := range tree {
		if e.Kind != disk.KindFile {
			continue
		}
		data, err := disk.ReadAll(root, e.Path, 1<<30)
		if errors.Is(err, fs.ErrNotExist) {
			missing++
			continue
		}
		must(t, err)
		if chunk.SumContent(data) != e.Hash {
			t.Fatalf("%s: %q has %d bytes of other content", what, e.Path, len(data))
		}
	}
	return missing
}

// Whatever operation fails: a file is there whole or not at all, and success
// is said only where everything is there.
func TestRestoreWithAnyFailingOperation(t *testing.T) {
	s := linkedSource(t)
	for _, kind := range disktest.FaultKinds {
		for k := 1; ; k += faultStep {
			m := disktest.NewMem()
			fault := disktest.NewFault(m)
			fault.CountReads(true)
			fault.FailAt(k, kind, false)
			var rep report.Recorder
			res, err := Restore(context.Background(), s.options(fault, &rep))
			if fault.Failed() == "" {
				if k < 50 || err != nil || !res.Complete() {
					t.Fatalf("%v: %d operations, %+v, %v", kind, k, res, err)
				}
				break
			}
			what := fmt.Sprintf("operation %d, %s, %v", k, fault.Failed(), kind)
			missing := whole(t, m, s.tree, what)
			if err == nil && res.Complete() && missing > 0 {
				t.Fatalf("%s: %d files missing, and it says %+v", what, missing, res)
			}
			if !res.Complete() && len(rep.Problems()) == 0 {
				t.Fatalf("%s: %+v, and no problem is named", what, res)
			}
		}
	}
}

func TestRestoreSurvivesCrash(t *testing.T) {
	s := linkedSource(t)
	for k := 0; ; k += faultStep {
		m := disktest.NewMem()
		m.CrashAfter(k)
		res, err := Restore(context.Background(), s.options(m, nil))
		for _, mode := range disktest.Modes {
			after := m.Crashed(mode, uint64(k))
			what := fmt.Sprintf("crash after %d, %v", k, mode)
			missing := whole(t, after, s.tree, what)
			if !m.DidCrash() && (err != nil || !res.Complete() || missing > 0) {
				t.Fatalf("%s: %+v, %v, %d files missing", what, res, err, missing)
			}
			// Run again, it is all there.
			o := s.options(after, nil)
			o.Overwrite = true
			if res, err := Restore(context.Background(), o); err != nil || !res.Complete() {
				t.Fatalf("%s, again: %+v, %v", what, res, err)
			}
			if missing := whole(t, after, s.tree, what); missing > 0 {
				t.Fatalf("%s, again: %d files missing", what, missing)
			}
			noDroppings(t, after)
		}
		if !m.DidCrash() {
			return
		}
	}
}

func TestRestoreOnDiskThatReadsBackWrong(t *testing.T) {
	s := linkedSource(t)
	temporary := func(name string) bool { return strings.Contains(name, ".wl-restore-") }
	m := disktest.NewMem()
	var rep report.Recorder
	res := restore(t, s.options(disktest.FlipOnReadBack(m, temporary, 1), &rep))
	if !res.Complete() || res.Files != 3 || whole(t, m, s.tree, "once") != 0 {
		t.Fatalf("once: %+v %v", res, rep.Problems())
	}
	m = disktest.NewMem()
	res = restore(t, s.options(disktest.FlipOnReadBack(m, temporary, -1), &rep))
	if res.Failed != 3 || !errors.Is(rep.Problems()[0].Err, disk.ErrReadBack) || whole(t, m, s.tree, "always") != 3 {
		t.Fatalf("always: %+v %v", res, rep.Problems())
	}
	noDroppings(t, m)
}

func TestRestoreOnFullDisk(t *testing.T) {
	m := memory{}
	tree := []*Entry{{Kind: disk.KindDir, Mode: 0o700}}
	for i, size := range []int{1000, 1 << 20, 3000} {
		e := &Entry{Path: fmt.Sprint(i), Kind: disk.KindFile, Mode: 0o600}
		m.setContent(e, bytes.Repeat([]byte("x"), size))
		tree = append(tree, e)
	}
	rec, err := m.write(tree)
	must(t, err)
	target := disktest.NewMem()
	target.SetCapacity(100 << 10)
	var rep report.Recorder
	res := restore(t, RestoreOptions{Target: target, Tree: rec, Get: m, Report: &rep})
	if res.Failed != 1 || res.Files != 2 || !disk.IsNoSpace(rep.Problems()[0].Err) {
		t.Fatalf("%+v %v", res, rep.Problems())
	}
	if whole(t, target, tree, "full") != 1 {
		t.Fatal("another number of files")
	}
	noDroppings(t, target)
}

// A hostile snapshot leads nowhere outside of the target.
func TestRestoreDoesNotFollowLinks(t *testing.T) {
	m := memory{}
	inside := &Entry{Path: "link/file", Kind: disk.KindFile, Mode: 0o600}
	m.setContent(inside, []byte("x"))
	// The codec refuses it: a stream is made of two chunks that each decode
	// alone, the parents of the second taken on trust.
	first, err := m.write([]*Entry{{Kind: disk.KindDir, Mode: 0o700}, {Path: "link", Kind: disk.KindSymlink, Target: "/"}})
	must(t, err)
	second, err := m.write([]*Entry{{Kind: disk.KindDir}, {Path: "link", Kind: disk.KindDir}, inside})
	must(t, err)
	plain := m[second.Chunks[0].ID]
	for at := range plain { // cut off all but the last item
		ref := StreamRef{FirstPath: "link/file", ID: chunk.Stream.ID(plain[at:]), Length: uint32(len(plain) - at)}
		if checkChunk(t, plain[at:], ref) == 1 {
			m[ref.ID] = plain[at:]
			first.Chunks = append(first.Chunks, ref)
			break
		}
	}
	if len(first.Chunks) != 2 {
		t.Fatal("no second chunk")
	}
	outside := t.TempDir()
	target, dir := newTarget(t)
	must(t, os.Symlink(outside, filepath.Join(dir, "link")))
	for _, overwrite := range []bool{false, true} {
		var rep report.Recorder
		res := restore(t, RestoreOptions{Target: target, Tree: first, Get: m, Report: &rep, Overwrite: overwrite})
		if res.Complete() {
			t.Fatalf("%+v", res)
		}
		if names, err := os.ReadDir(outside); err != nil || len(names) != 0 {
			t.Fatal(names, err)
		}
	}
	// With the chunk between them lost, nothing is known of "link".
	first.Chunks[0].ID[0]++
	restore(t, RestoreOptions{Target: target, Tree: first, Get: m, Overwrite: true})
	if names, err := os.ReadDir(outside); err != nil || len(names) != 0 {
		t.Fatal(names, err)
	}
}

// Everything about real files once more as a user without rights.
func TestAsOrdinaryUser(t *testing.T) {
	if os.Geteuid() != 0 || os.Getenv("WL_TEST_AS_USER") != "" {
		t.Skip("the other tests run as such a user already")
	}
	self, err := os.Executable()
	must(t, err)
	dir, err := os.MkdirTemp("", "")
	must(t, err)
	defer unlock(dir)
	data, err := os.ReadFile(self)
	must(t, err)
	program, home := filepath.Join(dir, "test"), filepath.Join(dir, "tmp")
	writeFile(t, program, data, 0o755)
	must(t, os.Mkdir(home, 0o755))
	must(t, os.Chown(home, 65534, 65534))
	must(t, os.Chmod(dir, 0o755))
	cmd := exec.Command(program, "-test.run=^(TestRestore(Everything|DryRun|Leaves|Drops|Owners|BadContent)|TestWalk)", "-test.v")
	cmd.Dir = home
	cmd.Env = slices.Concat(os.Environ(), []string{"TMPDIR=" + home, "WL_TEST_AS_USER=1"})
	if !asNobody(cmd) {
		t.Skip("no other user here")
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
