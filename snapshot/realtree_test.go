package snapshot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
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

func openFS(t testing.TB, path string) disk.FS {
	t.Helper()
	fs, err := disk.Dir(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { fs.Close() })
	return fs
}

// walkAll returns every entry of a tree, attributes included.
func walkAll(t testing.TB, root disk.FS) (tree []*Entry) {
	t.Helper()
	err := Walk(context.Background(), root, WalkOptions{}, func(n *Node) error {
		if n.Err != nil {
			return fmt.Errorf("%q: %w", n.Entry.Path, n.Err)
		}
		if err := n.Fill(); err != nil {
			return err
		}
		tree = append(tree, n.Entry.Clone())
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// piece is the size of the chunks that the tests cut files into.
const piece = 64 << 10

// take reads a tree with all its content.
func (m memory) take(t testing.TB, root disk.FS) (TreeRecord, []*Entry) {
	t.Helper()
	tree := walkAll(t, root)
	for _, e := range tree {
		if e.Kind != disk.KindFile {
			continue
		}
		f, err := root.Open(e.Path)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		m.setContent(e, data)
	}
	rec, err := m.write(tree)
	if err != nil {
		t.Fatal(err)
	}
	return rec, tree
}

func (m memory) setContent(e *Entry, data []byte) {
	e.Size, e.Hash, e.Content = int64(len(data)), chunk.SumContent(data), nil
	for part := range slices.Chunk(data, piece) {
		x := Extent{Length: int64(len(part))}
		if bytes.Equal(part, make([]byte, len(part))) {
			x.Hole = true
			if n := len(e.Content); n > 0 && e.Content[n-1].Hole {
				e.Content[n-1].Length += x.Length
				continue
			}
		} else {
			x.ID = chunk.Data.ID(part)
			m[x.ID] = part
		}
		e.Content = append(e.Content, x)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func writeFile(t testing.TB, path string, data []byte, mode os.FileMode) {
	t.Helper()
	must(t, os.WriteFile(path, data, 0o600))
	must(t, os.Chmod(path, mode))
}

// makeTree fills a directory with one of everything that this machine has.
func makeTree(t testing.TB, root disk.FS, dir string) {
	t.Helper()
	at := func(name string) string { return filepath.Join(dir, name) }
	random := make([]byte, 5*piece+123)
	rand.NewChaCha8([32]byte{1}).Read(random)
	for _, d := range []string{"empty", "read-only", "locked", "deep"} {
		must(t, os.Mkdir(at(d), 0o755))
	}
	deep := root
	for range 120 { // 120 * 41 bytes: longer than PATH_MAX
		name := strings.Repeat("d", 40)
		must(t, deep.Mkdir(map[bool]string{true: "deep/" + name, false: name}[deep == root], 0o700))
		sub, err := deep.Sub(map[bool]string{true: "deep/" + name, false: name}[deep == root])
		must(t, err)
		if deep != root {
			deep.Close()
		}
		deep = sub
	}
	f, err := deep.Create("leaf", 0o640)
	must(t, err)
	_, err = f.Write([]byte("far down"))
	must(t, err)
	must(t, f.Close())
	deep.Close()

	writeFile(t, at("plain"), random, 0o644)
	writeFile(t, at("nothing in it"), nil, 0o600)
	writeFile(t, at("executable"), []byte("#!/bin/sh\n"), 0o755)
	writeFile(t, at("write-only"), []byte("secret"), 0o200)
	writeFile(t, at("read-only/file"), []byte("x"), 0o444)
	writeFile(t, at("locked/file"), []byte("y"), 0o600)
	sparse := make([]byte, 20*piece)
	copy(sparse[7*piece:], random[:piece])
	writeFile(t, at("sparse"), sparse, 0o600)
	if runtime.GOOS != "windows" {
		if runtime.GOOS != "darwin" {
			writeFile(t, at("bytes \xff\xfe\n"), []byte("z"), 0o600)
			writeFile(t, at(`back\slash`), []byte("z"), 0o600)
		}
		must(t, os.Link(at("plain"), at("read-only/another link of plain")))
		must(t, os.Link(at("plain"), at("third link")))
		must(t, os.Symlink("plain", at("link")))
		must(t, os.Symlink("/nowhere/\xff", at("dangling")))
		must(t, os.Symlink("empty", at("link to a directory")))
		must(t, root.Mkfifo("pipe", 0o640))
	}
	for i, e := range walkAll(t, root) {
		if e.Kind == disk.KindDir {
			continue
		}
		m := disk.Meta{Mode: e.Mode, UID: e.UID, GID: e.GID, Xattrs: e.Xattrs,
			MTime: disk.Time{Sec: 1_000_000_000 + int64(i), Nsec: int32(123456789 + i)}}
		must(t, root.SetMeta(e.Path, m, disk.MetaOptions{Mode: true}))
	}
	if m := (disk.Meta{Mode: 0o644, MTime: disk.Time{Sec: 5, Nsec: 7}, Xattrs: []disk.Xattr{
		{Name: "user.colour", Value: []byte{0, 255}}, {Name: "user.empty", Value: []byte{}},
	}}); root.SetMeta("executable", m, disk.MetaOptions{Mode: true}) != nil {
		t.Log("this file system has no user attributes: they are not tested here")
	}
	for i, d := range []string{"empty", "read-only", "locked", "deep", "."} {
		mode := []uint32{0o711, 0o555, 0o500, 0o1777, 0o750}[i]
		m := disk.Meta{Mode: mode, MTime: disk.Time{Sec: 500_000_000 + int64(i), Nsec: 999999999}}
		must(t, root.SetMeta(d, m, disk.MetaOptions{Mode: true}))
	}
	t.Cleanup(func() { unlock(dir) })
}

// unlock lets a temporary directory be removed.
func unlock(dir string) {
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, _ error) error {
		if d != nil && d.IsDir() {
			os.Chmod(path, 0o700)
		}
		return nil
	})
	os.RemoveAll(dir)
}

// comparable makes entries of two places equal where they may differ: time of
// birth and numbers of inodes, whose groups are numbered in order.
func comparable(tree []*Entry) []*Entry {
	groups := map[uint64]uint64{}
	var out []*Entry
	for _, e := range tree {
		c := e.Clone()
		c.BTime, c.Hash, c.Content = disk.Time{}, chunk.ContentHash{}, nil
		if g := c.LinkGroup; g != 0 {
			if groups[g] == 0 {
				groups[g] = uint64(len(groups) + 1)
			}
			c.LinkGroup = groups[g]
		}
		out = append(out, c)
	}
	return out
}

func sameTrees(t testing.TB, want, got []*Entry) {
	t.Helper()
	want, got = comparable(want), comparable(got)
	for i := range max(len(want), len(got)) {
		switch {
		case i >= len(want):
			t.Fatalf("%q is too many", got[i].Path)
		case i >= len(got):
			t.Fatalf("%q is missing", want[i].Path)
		default:
			sameEntry(t, want[i], got[i])
		}
	}
}

// sameContent compares what lies in the files of a tree with their entries.
func sameContent(t testing.TB, root disk.FS, tree []*Entry) {
	t.Helper()
	for _, e := range tree {
		if e.Kind != disk.KindFile {
			continue
		}
		data, err := disk.ReadAll(root, e.Path, 1<<30)
		if errors.Is(err, fs.ErrPermission) {
			continue
		}
		must(t, err)
		if chunk.SumContent(data) != e.Hash {
			t.Fatalf("%q has other content", e.Path)
		}
	}
}

// source is a real tree, taken into memory.
type source struct {
	memory
	rec  TreeRecord
	tree []*Entry
}

func newSource(t testing.TB) source {
	dir := t.TempDir()
	root := openFS(t, dir)
	makeTree(t, root, dir)
	s := source{memory: memory{}}
	if os.Geteuid() > 0 { // it may not be read
		must(t, os.Chmod(filepath.Join(dir, "write-only"), 0o600))
	}
	s.rec, s.tree = s.take(t, root)
	return s
}

func (s source) options(target disk.FS, r report.Reporter) RestoreOptions {
	return RestoreOptions{Target: target, Tree: s.rec, Get: s.memory, Report: r}
}

// newTarget is an empty directory to restore to.
func newTarget(t testing.TB) (disk.FS, string) {
	dir := t.TempDir()
	t.Cleanup(func() { unlock(dir) })
	return openFS(t, dir), dir
}

func restore(t testing.TB, o RestoreOptions) RestoreResult {
	t.Helper()
	res, err := Restore(context.Background(), o)
	must(t, err)
	return res
}
