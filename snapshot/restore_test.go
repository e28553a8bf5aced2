package snapshot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/internal/report"
)

func TestRestoreEverything(t *testing.T) {
	s := newSource(t)
	target, _ := newTarget(t)
	var rep report.Recorder
	res := restore(t, s.options(target, &rep))
	if !res.Complete() || len(rep.Problems()) != 0 || len(rep.Warnings()) != 0 {
		t.Fatalf("%+v\n%v\n%v", res, rep.Problems(), rep.Warnings())
	}
	if want := s.rec.Totals; res.Files != want.Files || res.Dirs != want.Dirs || res.Others != want.Others {
		t.Fatalf("%+v, want %+v", res, want)
	}
	sameTrees(t, s.tree, walkAll(t, target))
	sameContent(t, target, s.tree)

	// Once more: all of it is there, and nothing changes.
	res = restore(t, s.options(target, &rep))
	if !res.Complete() || res.AlreadyThere != res.Files+res.Others || res.Bytes != 0 || res.Kept != 0 {
		t.Fatalf("again: %+v\n%v", res, rep.Problems())
	}
	sameTrees(t, s.tree, walkAll(t, target))

	// And over itself.
	o := s.options(target, &rep)
	o.Overwrite = true
	if res = restore(t, o); !res.Complete() {
		t.Fatalf("overwriting: %+v\n%v", res, rep.Problems())
	}
	sameTrees(t, s.tree, walkAll(t, target))
}

// A restore that was interrupted anywhere is simply run again: the directories
// it left without their metadata get them.
func TestInterruptedRestoreIsRunAgain(t *testing.T) {
	s := newSource(t)
	for after := 1; ; after += 3 {
		target, dir := newTarget(t)
		must(t, os.Chmod(dir, 0o700|fs.ModeSticky)) // as whoever makes a tree's root does
		ctx, cancel := context.WithCancel(context.Background())
		left := after
		o := s.options(target, nil)
		o.Get = getterFunc(func(id chunk.ID, k chunk.Kind, length int64, buf []byte) ([]byte, error) {
			if left--; left < 0 {
				cancel()
			}
			return s.options(target, nil).Get.Get(id, k, length, buf)
		})
		_, err := Restore(ctx, o)
		cancel()
		var rep report.Recorder
		res := restore(t, s.options(target, &rep))
		if !res.Complete() || res.Kept != 0 {
			t.Fatalf("interrupted after %d reads: %+v\n%v", after, res, rep.Problems())
		}
		sameTrees(t, s.tree, walkAll(t, target))
		if err == nil {
			if after == 1 {
				t.Fatal("nothing was interrupted")
			}
			return
		}
	}
}

func TestRestoreDryRunWritesNothing(t *testing.T) {
	s := newSource(t)
	target, dir := newTarget(t)
	must(t, os.WriteFile(filepath.Join(dir, "plain"), []byte("other"), 0o600))
	before := walkAll(t, target)
	o := s.options(target, nil)
	o.DryRun = true
	res := restore(t, o)
	if res.Failed != 1 || res.Files != s.rec.Totals.Files-1 || res.Dirs != s.rec.Totals.Dirs {
		t.Fatalf("%+v", res)
	}
	sameTrees(t, before, walkAll(t, target))
}

func TestRestoreSomePaths(t *testing.T) {
	s := newSource(t)
	target, _ := newTarget(t)
	var rep report.Recorder
	o := s.options(target, &rep)
	o.Paths = []string{"read-only/file", "empty/", "missing", "read-only/missing/too"}
	res := restore(t, o)
	if res.NotFound != 2 || res.Failed != 0 || len(rep.Problems()) != 2 {
		t.Fatalf("%+v %v", res, rep.Problems())
	}
	var want []*Entry
	for _, e := range s.tree {
		if slices.Contains([]string{"", "read-only", "read-only/file", "empty"}, e.Path) {
			want = append(want, e)
		}
	}
	sameTrees(t, want, walkAll(t, target))
	o.Paths = []string{"../x"}
	if _, err := Restore(context.Background(), o); !errors.Is(err, ErrName) {
		t.Fatal(err)
	}
}

func TestRestoreLeavesWhatDiffers(t *testing.T) {
	s := newSource(t)
	target, dir := newTarget(t)
	at := func(name string) string { return filepath.Join(dir, name) }
	must(t, os.WriteFile(at("plain"), []byte("mine"), 0o600))
	must(t, os.Symlink("mine", at("link")))
	must(t, os.WriteFile(at("empty"), []byte("a file where a directory goes"), 0o600))
	must(t, os.Mkdir(at("executable"), 0o700))
	must(t, os.Mkdir(at("pipe"), 0o700))
	must(t, os.Mkdir(at("read-only"), 0o700))
	must(t, os.WriteFile(at("read-only/mine too"), []byte("mine"), 0o600))
	before := walkAll(t, target)

	var rep report.Recorder
	res := restore(t, s.options(target, &rep))
	var failed []string
	for _, p := range rep.Problems() {
		failed = append(failed, p.Path)
	}
	slices.Sort(failed)
	if want := []string{"tree/empty", "tree/executable", "tree/link", "tree/pipe", "tree/plain"}; !slices.Equal(failed, want) {
		t.Fatalf("problems with %q, want %q", failed, want)
	}
	if res.Complete() || res.Kept != 2 { // the root and read-only
		t.Fatalf("%+v", res)
	}
	after := walkAll(t, target)
	for _, e := range before {
		i := slices.IndexFunc(after, func(a *Entry) bool { return a.Path == e.Path })
		if i < 0 {
			t.Fatalf("%q is gone", e.Path)
		}
		e.BTime = after[i].BTime
		if e.Kind == disk.KindDir {
			e.MTime = after[i].MTime
		}
		sameEntry(t, e, after[i])
	}

	o := s.options(target, &rep)
	o.Overwrite = true
	res = restore(t, o)
	if res.Failed != 2 || res.Kept != 0 { // directories are never removed
		t.Fatalf("%+v", res)
	}
	if got, err := os.ReadFile(at("plain")); err != nil || len(got) != 5*piece+123 {
		t.Fatal(len(got), err)
	}
	if got, err := os.Readlink(at("link")); err != nil || got != "plain" {
		t.Fatal(got, err)
	}
	if st, err := os.Stat(at("empty")); err != nil || !st.IsDir() {
		t.Fatal(st, err)
	}
	if got, err := os.ReadFile(at("read-only/mine too")); err != nil || string(got) != "mine" {
		t.Fatal(got, err)
	}
}

// noDroppings finds temporary names.
func noDroppings(t testing.TB, root disk.FS) {
	t.Helper()
	for _, e := range walkAll(t, root) {
		if strings.Contains(e.Path, ".wl-restore") {
			t.Fatalf("%q is left over", e.Path)
		}
	}
}

func TestRestoreBadContent(t *testing.T) {
	m := memory{}
	file := func(name string) *Entry {
		e := &Entry{Path: name, Kind: disk.KindFile, Mode: 0o600}
		m.setContent(e, bytes.Repeat([]byte(name+"\n"), 50000))
		return e
	}
	good, lost, short, wrong, lying := file("good"), file("lost"), file("short"), file("wrong"), file("lying")
	delete(m, lost.Content[1].ID)
	id := short.Content[1].ID
	m[id] = m[id][1:]
	id = wrong.Content[2].ID
	m[id] = bytes.Clone(m[id])
	m[id][0]++
	lying.Size++
	pendingNew := &Entry{Path: "pending new", Kind: disk.KindFile, Pending: true, Size: 5}
	pending := file("pending")
	pending.Pending, pending.Size = true, 77
	unread := &Entry{Path: "unread", Kind: disk.KindFile, Unseen: true, Size: 5}
	unseen := file("unseen")
	unseen.Unseen = true
	tree := []*Entry{{Kind: disk.KindDir, Mode: 0o700}, good, lost, lying, pending, pendingNew, short, unread, unseen, wrong}
	slices.SortFunc(tree, func(a, b *Entry) int { return ComparePaths(a.Path, b.Path) })
	rec, err := m.write(tree)
	must(t, err)

	target, _ := newTarget(t)
	var rep report.Recorder
	res := restore(t, RestoreOptions{Target: target, Tree: rec, Get: m, Report: &rep})
	if res.Failed != 6 || res.Files != 3 || res.Pending != 1 || res.Unseen != 1 {
		t.Fatalf("%+v\n%v", res, rep.Problems())
	}
	var there []string
	for _, e := range walkAll(t, target) {
		there = append(there, e.Path)
	}
	if want := []string{"", "good", "pending", "unseen"}; !slices.Equal(there, want) {
		t.Fatalf("restored %q, want %q", there, want)
	}
	sameContent(t, target, []*Entry{good, pending, unseen})
}

func TestRestoreOverLostStreamChunk(t *testing.T) {
	m := memory{}
	tree := []*Entry{synthetic(0)}
	for i := 1; i < 1000; i++ {
		e := synthetic(i)
		if e.Kind == disk.KindFile {
			m.setContent(e, []byte(e.Path))
		}
		tree = append(tree, e)
	}
	rec, err := m.write(tree)
	must(t, err)
	if len(rec.Chunks) < 2 {
		t.Fatal("one stream chunk")
	}
	delete(m, rec.Chunks[0].ID) // the root and the directory are in it
	target, _ := newTarget(t)
	var rep report.Recorder
	res := restore(t, RestoreOptions{Target: target, Tree: rec, Get: m, Report: &rep})
	if res.Gaps != 1 || res.Complete() || len(rep.Problems()) == 0 {
		t.Fatalf("%+v %v", res, rep.Problems())
	}
	if res.Files == 0 {
		t.Fatal("nothing of the other stream chunks was restored")
	}
}

func TestRestoreCancelled(t *testing.T) {
	s := newSource(t)
	target, _ := newTarget(t)
	ctx, cancel := context.WithCancel(context.Background())
	n := 0
	o := s.options(target, nil)
	o.Get = getterFunc(func(id chunk.ID, k chunk.Kind, length int64, buf []byte) ([]byte, error) {
		if n++; n == 8 {
			cancel()
		}
		return s.Get(id, k, length, buf)
	})
	if _, err := Restore(ctx, o); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	noDroppings(t, target)
	// And then in full.
	o.Get, o.Overwrite = s.memory, true
	if res := restore(t, o); !res.Complete() {
		t.Fatalf("%+v", res)
	}
	sameTrees(t, s.tree, walkAll(t, target))
}

type getterFunc func(chunk.ID, chunk.Kind, int64, []byte) ([]byte, error)

func (f getterFunc) Get(id chunk.ID, k chunk.Kind, length int64, buf []byte) ([]byte, error) {
	return f(id, k, length, buf)
}

func TestRestoreDropsPrivileges(t *testing.T) {
	m := memory{}
	uid, gid := uint32(max(os.Geteuid(), 0)), uint32(max(os.Getegid(), 0))
	e := &Entry{Path: "setuid", Kind: disk.KindFile, Mode: 0o6755, UID: uid, GID: gid,
		Xattrs: []disk.Xattr{{Name: "trusted.x", Value: []byte("y")}}}
	m.setContent(e, []byte("x"))
	rec, err := m.write([]*Entry{{Kind: disk.KindDir, Mode: 0o755, UID: uid, GID: gid},
		{Path: "disk", Kind: disk.KindBlockDevice, Mode: 0o600, Rdev: 0x800}, e, {Path: "socket", Kind: disk.KindSocket}})
	must(t, err)
	target, _ := newTarget(t)
	var rep report.Recorder
	res := restore(t, RestoreOptions{Target: target, Tree: rec, Get: m, Report: &rep})
	if res.Dropped != 2 || res.Sockets != 1 || len(res.Unset) != 0 || !res.Complete() {
		t.Fatalf("%+v %v", res, rep.Problems())
	}
	if st, err := target.Stat("setuid"); err != nil || st.Mode != 0o755 {
		t.Fatalf("mode %o, %v", st.Mode, err)
	}
	for _, name := range []string{"disk", "socket"} {
		if _, err := target.Stat(name); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("%s: %v", name, err)
		}
	}
	if !slices.ContainsFunc(rep.Warnings(), func(s string) bool { return strings.Contains(s, "setuid") }) {
		t.Fatalf("not said: %v", rep.Warnings())
	}
}

// Owners that this user may not set are said once, and the files come back.
func TestRestoreOwners(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no owners here")
	}
	m := memory{}
	tree := []*Entry{{Kind: disk.KindDir, Mode: 0o700, UID: 4711, GID: 4712}}
	for i := range 10 {
		e := &Entry{Path: fmt.Sprint(i), Kind: disk.KindFile, Mode: 0o600, UID: 4711, GID: 4712}
		m.setContent(e, []byte("x"))
		tree = append(tree, e)
	}
	rec, err := m.write(tree)
	must(t, err)
	target, _ := newTarget(t)
	var rep report.Recorder
	res := restore(t, RestoreOptions{Target: target, Tree: rec, Get: m, Report: &rep})
	if !res.Complete() {
		t.Fatalf("%+v %v", res, rep.Problems())
	}
	st, err := target.Stat("3")
	must(t, err)
	if os.Geteuid() == 0 {
		if st.UID != 4711 || st.GID != 4712 || len(res.Unset) != 0 {
			t.Fatalf("%+v %+v", st, res)
		}
		return
	}
	if st.UID != uint32(os.Geteuid()) || len(res.Unset) != 1 || res.Unset[0].What != "owners" || res.Unset[0].Entries != 11 {
		t.Fatalf("%+v %+v %v", st, res, rep.Warnings())
	}
}

func TestRestoreUserAttributes(t *testing.T) {
	target, _ := newTarget(t)
	f, err := target.Create("probe", 0o600)
	must(t, err)
	must(t, f.Close())
	want := []disk.Xattr{{Name: "user.colour", Value: []byte{0, 255}}, {Name: "user.empty", Value: []byte{}}}
	if err := target.SetMeta("probe", disk.Meta{Mode: 0o600, Xattrs: want}, disk.MetaOptions{}); err != nil {
		t.Skip("this file system has no user attributes:", err)
	}
	must(t, target.Remove("probe"))
	s := newSource(t)
	if res := restore(t, s.options(target, nil)); !res.Complete() || len(res.Unset) != 0 {
		t.Fatalf("%+v", res)
	}
	for _, e := range walkAll(t, target) {
		if e.Path == "executable" && (len(e.Xattrs) != 2 || !bytes.Equal(e.Xattrs[0].Value, want[0].Value)) {
			t.Fatalf("%+v", e.Xattrs)
		}
	}
}
