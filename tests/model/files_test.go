//go:build unix

package model

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pkg/xattr"
)

// Files at home: few paths, of few pieces each, so that chunks are shared, paths
// change their kind, and names are used again.

var (
	fileNames = []string{"f", "g", "h", "d/f", "d/g", "e/f", "e/d/h"}
	dirNames  = []string{"d", "e", "e/d", "new"}
)

const (
	pieces    = 14       // different pieces of noise that files are made of
	pieceSize = 30 << 10 // on average
	hugeHole  = 65 << 40 // larger than anybody hashes: nobody can read this file
)

func noise(size int, seed uint64) []byte {
	var key [32]byte
	for i := range 8 {
		key[i] = byte(seed >> (8 * i))
	}
	b := make([]byte, size)
	rand.NewChaCha8(key).Read(b)
	return b
}

// fillHome makes the first state.
func (m *model) fillHome() {
	m.edited = true
	for _, tree := range treeNames {
		for _, name := range fileNames[:m.between("files of "+tree, 1, len(fileNames))] {
			m.write(m.path("home", tree, name), m.drawContent())
		}
	}
	if m.toss("long list of files") { // several stream chunks
		for i := range 10 {
			m.must(os.MkdirAll(m.path("home", "a", "links"), 0o755))
			m.must(os.Symlink(fmt.Sprintf("%x", noise(2000, uint64(1000+i))), m.path("home", "a", "links", fmt.Sprint(i))))
		}
	}
}

// drawContent makes a content of pieces that others have, too, and some of its own.
func (m *model) drawContent() (b []byte) {
	for range m.between("pieces", 0, 4) {
		seed := uint64(m.between("piece", 1, pieces))
		b = append(b, noise(pieceSize/2+int(seed)*pieceSize/pieces, seed)...)
	}
	switch m.between("end", 0, 5) {
	case 0:
		b = append(b, strings.Repeat("text that can be compressed, ", 400)...)
	case 1:
		b = append(b, m.fresh(100)...)
	}
	return b
}

// fresh is noise that was never there before.
func (m *model) fresh(n int) []byte {
	m.seed++
	return noise(n, 1<<32+m.seed)
}

func (m *model) write(path string, b []byte) {
	m.must(os.MkdirAll(filepath.Dir(path), 0o755))
	m.must(os.WriteFile(path, b, 0o644))
}

// editSome does a few things to the files at home.
func (m *model) editSome() {
	for range m.between("edits", 1, 4) {
		tree := pick(m, "tree", treeNames)
		if m.unmounted[tree] {
			continue
		}
		what := pick(m, "edit", editKinds)
		name := pick(m, "name", fileNames)
		m.edited = true
		if m.setBack || what == "set back" && (m.moved || m.saved[homeSide] != nil) {
			continue
		}
		if err := m.edit(what, tree, name); err != nil {
			m.note("  %s %s/%s: %v", what, tree, name, err)
			continue
		}
		m.note("  %s %s/%s", what, tree, name)
	}
}

var editKinds = []string{"write", "write", "write", "insert", "insert", "append", "overwrite", "set back", "remove", "remove", "rename", "rename",
	"move to the other tree", "link", "symlink", "mkdir", "remove dir", "rename dir", "chmod", "touch", "attribute", "replace"}

// edit does one thing. What makes no sense as things are is an error, and is not done.
func (m *model) edit(what, tree, name string) error {
	path := m.path("home", tree, name)
	if m.hasBroken(tree, name) {
		return fmt.Errorf("cannot be read now")
	}
	switch what {
	case "write":
		if st, err := os.Lstat(path); err == nil && !st.Mode().IsRegular() {
			return fmt.Errorf("is no file")
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		return os.WriteFile(path, m.drawContent(), 0o644)
	case "insert", "append", "overwrite", "set back":
		return m.change(path, what)
	case "remove", "remove dir":
		m.moved = true
		if what == "remove dir" {
			path = m.path("home", tree, pick(m, "dir", dirNames))
			if m.hasBroken(tree, strings.TrimPrefix(path, m.path("home", tree)+"/")) {
				return fmt.Errorf("something in it cannot be read now")
			}
		}
		if _, err := os.Lstat(path); err != nil {
			return err
		}
		return os.RemoveAll(path)
	case "rename", "move to the other tree", "rename dir", "replace":
		return m.rename(what, tree, name)
	case "link":
		m.moved = true
		to := m.path("home", tree, pick(m, "to", fileNames))
		if st, err := os.Lstat(path); err != nil || !st.Mode().IsRegular() {
			return fmt.Errorf("is no file")
		}
		return os.Link(path, to)
	case "symlink":
		_ = os.Remove(path)
		return os.Symlink(fmt.Sprint("to", len(m.log)), path)
	case "mkdir":
		return os.MkdirAll(m.path("home", tree, pick(m, "dir", dirNames)), os.FileMode(pick(m, "mode", []int{0o700, 0o755, 0o750})))
	case "chmod":
		if st, err := os.Lstat(path); err != nil || st.Mode().Type() == os.ModeSymlink {
			return fmt.Errorf("is not there, or a link")
		}
		return os.Chmod(path, os.FileMode(pick(m, "mode", []int{0o600, 0o644, 0o640, 0o444})))
	case "touch":
		if st, err := os.Lstat(path); err != nil || st.Mode().Type() == os.ModeSymlink {
			return fmt.Errorf("is not there, or a link")
		}
		at := time.Unix(1500000000+int64(len(m.log))*1000, 123456789)
		return os.Chtimes(path, at, at)
	case "attribute":
		return xattr.LSet(path, "user.note", []byte(fmt.Sprint(len(m.log))))
	}
	return fmt.Errorf("unknown edit")
}

// change edits a file in place. To set its times back afterwards is what some
// programs do. One that is also renamed between two trips is taken for moved and
// not read, which is a limit that is known: so nothing moves on either side of it.
func (m *model) change(path, what string) error {
	st, err := os.Lstat(path)
	if err != nil || !st.Mode().IsRegular() {
		return fmt.Errorf("is no file")
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	at := m.between("at", 0, len(b))
	switch what {
	case "insert":
		b = slices.Insert(b, at, m.fresh(1+at%3000)...)
	case "append":
		b = append(b, m.fresh(1+at%40000)...)
	default:
		copy(b[at:], m.fresh(200))
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		return err
	}
	if what == "set back" {
		m.setBack = true
		return os.Chtimes(path, st.ModTime(), st.ModTime())
	}
	return nil
}

func (m *model) rename(what, tree, name string) error {
	other, names := tree, fileNames
	switch what {
	case "rename dir":
		name, names = pick(m, "dir", dirNames), dirNames
	case "move to the other tree":
		other = treeNames[1-slices.Index(treeNames, tree)]
		if m.unmounted[other] {
			return fmt.Errorf("the other is away")
		}
	}
	to := pick(m, "to", names)
	if m.hasBroken(tree, name) || m.hasBroken(other, to) {
		return fmt.Errorf("something there cannot be read now")
	}
	from, dest := m.path("home", tree, name), m.path("home", other, to)
	if _, err := os.Lstat(dest); what != "replace" && !notThere(err) {
		return fmt.Errorf("%s is there already", to)
	}
	if err := os.MkdirAll(filepath.Dir(dest), 0o755); err != nil {
		return err
	}
	m.moved = true
	m.note("  %s to %s/%s", name, other, to)
	return os.Rename(from, dest)
}

// hasBroken tells whether a path, or something beneath it, or another name of
// it, is a file that cannot be read now.
func (m *model) hasBroken(tree, name string) bool {
	for b := range m.broken {
		if b == tree+"/"+name || strings.HasPrefix(b, tree+"/"+name+"/") || strings.HasPrefix(tree+"/"+name, b+"/") {
			return true
		}
	}
	return false
}

// unreadable lets a file become one that cannot be read: all hole, and more of it
// than anybody hashes. Or it comes back.
func (m *model) unreadable() {
	if len(m.broken) > 0 && m.toss("mended") {
		m.mend(pick(m, "which", sorted(m.broken)))
		return
	}
	tree := pick(m, "tree", treeNames)
	name := pick(m, "name", fileNames)
	path := m.path("home", tree, name)
	st, err := os.Lstat(path)
	if err != nil || !st.Mode().IsRegular() || links(st) > 1 || m.unmounted[tree] || m.hasBroken(tree, name) {
		return
	}
	b, err := os.ReadFile(path)
	m.must(err)
	m.must(os.Truncate(path, 0))
	if err := os.Truncate(path, hugeHole); err != nil { // not every file system has such files
		m.must(os.WriteFile(path, b, 0o644))
		return
	}
	m.broken[tree+"/"+name] = b
	m.edited = true
	m.note("  %s/%s cannot be read", tree, name)
}

func (m *model) mend(name string) {
	path := m.path("home", name)
	m.must(os.Truncate(path, 0))
	m.must(os.WriteFile(path, m.broken[name], 0o644))
	delete(m.broken, name)
	m.edited = true
	m.note("  %s can be read again", name)
}

// unmount takes a tree away, as an external disk that is not there: an empty
// directory is left, or none. Or it comes back.
func (m *model) unmount() {
	if away := sorted(m.unmounted); len(away) > 0 {
		m.mount(away[0])
		return
	}
	tree := pick(m, "tree", treeNames)
	m.must(os.Rename(m.path("home", tree), m.path("away-"+tree)))
	if m.toss("empty") {
		m.must(os.Mkdir(m.path("home", tree), 0o755))
	}
	m.unmounted[tree] = true
	m.note("  tree %s is away", tree)
}

func (m *model) mount(tree string) {
	if err := os.Remove(m.path("home", tree)); !notThere(err) {
		m.must(err)
	}
	m.must(os.Rename(m.path("away-"+tree), m.path("home", tree)))
	delete(m.unmounted, tree)
	m.note("  tree %s is back", tree)
}

func sha(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
