package snapshot

import (
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

	"waterlock/internal/disk"
	"waterlock/internal/disk/disktest"
)

func TestWalkFindsEverythingInOrder(t *testing.T) {
	dir := t.TempDir()
	root := openFS(t, dir)
	makeTree(t, root, dir)
	tree := walkAll(t, root)
	for i, e := range tree {
		must(t, e.Validate())
		if i > 0 && ComparePaths(tree[i-1].Path, e.Path) >= 0 {
			t.Fatalf("%q after %q", e.Path, tree[i-1].Path)
		}
	}
	find := func(path string) *Entry {
		i := slices.IndexFunc(tree, func(e *Entry) bool { return e.Path == path })
		if i < 0 {
			t.Fatalf("%q not found", path)
		}
		return tree[i]
	}
	deepest := "deep" + strings.Repeat("/"+strings.Repeat("d", 40), 120) + "/leaf"
	if e := find(deepest); e.Kind != disk.KindFile || e.Size != 8 || e.Mode != 0o640 {
		t.Errorf("%+v", e)
	}
	if e := find("empty"); e.Kind != disk.KindDir || e.Mode != 0o711 || e.Size != 0 || e.MTime != (disk.Time{Sec: 500000000, Nsec: 999999999}) {
		t.Errorf("%+v", e)
	}
	if runtime.GOOS == "windows" {
		return
	}
	if e := find("dangling"); e.Kind != disk.KindSymlink || e.Target != "/nowhere/\xff" {
		t.Errorf("%+v", e)
	}
	if find("pipe").Kind != disk.KindFifo {
		t.Error("no pipe")
	}
	if g := find("plain").LinkGroup; g == 0 || find("third link").LinkGroup != g ||
		find("read-only/another link of plain").LinkGroup != g || find("sparse").LinkGroup != 0 {
		t.Error("hard links are not told")
	}
	if e := find("plain"); e.UID != uint32(os.Geteuid()) {
		t.Errorf("%+v", e)
	}
	// A link to a directory is not entered.
	if i := slices.IndexFunc(tree, func(e *Entry) bool { return strings.HasPrefix(e.Path, "link to a directory/") }); i >= 0 {
		t.Errorf("%q found", tree[i].Path)
	}
}

// walkMem walks a file system and returns the paths, and those with an error.
func walkPaths(t testing.TB, root disk.FS) (paths, bad []string) {
	t.Helper()
	err := Walk(context.Background(), root, WalkOptions{}, func(n *Node) error {
		if n.Err != nil {
			bad = append(bad, n.Entry.Path)
		} else {
			paths = append(paths, n.Entry.Path)
		}
		return nil
	})
	must(t, err)
	return paths, bad
}

func TestWalkGoesOnBehindWhatCannotBeRead(t *testing.T) {
	m := disktest.NewMem()
	for _, d := range []string{"a", "a/b", "c"} {
		must(t, m.Mkdir(d, 0o700))
	}
	for _, name := range []string{"a/1", "a/b/2", "c/3", "d"} {
		f, err := m.Create(name, 0o600)
		must(t, err)
		must(t, f.Close())
	}
	must(t, m.Symlink("x", "a/l"))
	all, bad := walkPaths(t, m)
	if len(all) != 9 || len(bad) != 0 {
		t.Fatalf("%q %q", all, bad)
	}
	for k := 1; ; k++ {
		fault := disktest.NewFault(m)
		fault.CountReads(true)
		fault.FailAt(k, disktest.EIO, false)
		var paths, bad []string
		err := Walk(context.Background(), fault, WalkOptions{}, func(n *Node) error {
			if n.Err != nil {
				bad = append(bad, n.Entry.Path)
			} else {
				paths = append(paths, n.Entry.Path)
			}
			return nil
		})
		if fault.Failed() == "" {
			if k < 20 {
				t.Fatalf("only %d operations", k)
			}
			break
		}
		if err != nil {
			if k > 1 { // the root itself
				t.Fatalf("operation %d, %s: %v", k, fault.Failed(), err)
			}
			continue
		}
		if len(bad) == 0 {
			t.Fatalf("operation %d, %s: nothing is said", k, fault.Failed())
		}
		// Whatever is missing is said to be, or lies under what is.
		for _, p := range all {
			said := slices.ContainsFunc(bad, func(b string) bool { return Under(p, b) })
			if !said && !slices.Contains(paths, p) {
				t.Fatalf("operation %d, %s: %q is missing, bad are %q", k, fault.Failed(), p, bad)
			}
		}
	}
}

func TestWalkStops(t *testing.T) {
	m := disktest.NewMem()
	must(t, m.Mkdir("a", 0o700))
	must(t, m.Mkdir("a/b", 0o700))
	must(t, m.Mkdir("c", 0o700))
	ctx, cancel := context.WithCancel(context.Background())
	n := 0
	err := Walk(ctx, m, WalkOptions{}, func(*Node) error {
		n++
		cancel()
		return nil
	})
	if !errors.Is(err, context.Canceled) || n != 1 {
		t.Fatal(n, err)
	}
	own := errors.New("own")
	if err := Walk(context.Background(), m, WalkOptions{}, func(n *Node) error {
		if n.Entry.Path == "a" {
			return own
		}
		return nil
	}); err != own {
		t.Fatal(err)
	}
	var paths []string
	must(t, Walk(context.Background(), m, WalkOptions{}, func(n *Node) error {
		paths = append(paths, n.Entry.Path)
		if n.Entry.Path == "a" {
			return SkipDir
		}
		return nil
	}))
	if want := []string{"", "a", "c"}; !slices.Equal(paths, want) {
		t.Fatalf("%q", paths)
	}
}

func TestWalkVanishingFiles(t *testing.T) {
	m := disktest.NewMem()
	must(t, m.Mkdir("a", 0o700))
	must(t, m.Mkdir("b", 0o700))
	var paths []string
	must(t, Walk(context.Background(), m, WalkOptions{}, func(n *Node) error {
		if n.Err != nil {
			t.Errorf("%q: %v", n.Entry.Path, n.Err)
		}
		if paths = append(paths, n.Entry.Path); n.Entry.Path == "a" {
			return m.Remove("b")
		}
		return nil
	}))
	if want := []string{"", "a"}; !slices.Equal(paths, want) {
		t.Fatalf("%q", paths)
	}
	if err := Walk(context.Background(), m, WalkOptions{}, func(n *Node) error { return fs.ErrInvalid }); err != fs.ErrInvalid {
		t.Fatal(err)
	}
}

// A thousand levels deep, few descriptors are open, and the way up is found.
func TestWalkVeryDeep(t *testing.T) {
	m := disktest.NewMem()
	const levels = 1000
	var dir disk.FS = m
	for range levels {
		must(t, dir.Mkdir("d", 0o700))
		f, err := dir.Create("z", 0o600)
		must(t, err)
		must(t, f.Close())
		dir, err = dir.Sub("d")
		must(t, err)
	}
	counted := &subCounter{FS: m, open: new(int), most: new(int)}
	files, last := 0, ""
	must(t, Walk(context.Background(), counted, WalkOptions{}, func(n *Node) error {
		if n.Err != nil {
			return fmt.Errorf("%q: %w", n.Entry.Path, n.Err)
		}
		if n.Entry.Kind == disk.KindFile {
			files++
		}
		last = n.Entry.Path
		return nil
	}))
	if files != levels || last != "z" {
		t.Fatalf("%d files, last %q", files, last)
	}
	if *counted.most > maxOpenDirs+2 || *counted.open != 0 {
		t.Fatalf("%d directories open at once, %d at the end", *counted.most, *counted.open)
	}
}

// subCounter counts the directories that are open.
type subCounter struct {
	disk.FS
	open, most *int
	sub        bool
}

func (s *subCounter) Sub(name string) (disk.FS, error) {
	sub, err := s.FS.Sub(name)
	if err != nil {
		return nil, err
	}
	*s.open++
	*s.most = max(*s.most, *s.open)
	return &subCounter{FS: sub, open: s.open, most: s.most, sub: true}, nil
}

func (s *subCounter) Close() error {
	if s.sub {
		*s.open--
	}
	return s.FS.Close()
}

func TestWalkOtherDevice(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs /dev, a file system of its own on Linux")
	}
	if _, err := os.Stat("/dev/pts"); err != nil {
		t.Skip(err)
	}
	root := openFS(t, "/dev")
	for _, follow := range []bool{false, true} {
		var entered, left bool
		err := Walk(context.Background(), root, WalkOptions{FollowDevices: follow}, func(n *Node) error {
			if n.Entry.Path == "pts" {
				left = n.Excluded == OtherDevice
			}
			entered = entered || strings.HasPrefix(n.Entry.Path, "pts/")
			return nil
		})
		must(t, err)
		if left == follow || entered != follow {
			t.Errorf("follow %v: entered %v, left out %v", follow, entered, left)
		}
	}
}

func TestWalkUnreadableDirectory(t *testing.T) {
	if os.Geteuid() <= 0 {
		t.Skip("this user may read everything")
	}
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "a"), 0o755))
	must(t, os.Mkdir(filepath.Join(dir, "b"), 0o000))
	must(t, os.WriteFile(filepath.Join(dir, "c"), nil, 0o600))
	paths, bad := walkPaths(t, openFS(t, dir))
	if !slices.Equal(paths, []string{"", "a", "c"}) || !slices.Equal(bad, []string{"b"}) {
		t.Fatalf("%q %q", paths, bad)
	}
}
