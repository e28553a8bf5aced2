// Package trees takes the exact state of a directory tree and compares two of
// them, for tests and the demo. It knows nothing of wl: it reads with the
// standard library and hashes with SHA-256, so that an error of ours cannot
// hide itself.
package trees

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"github.com/pkg/xattr"
)

// Tree is the state of a directory: one line of facts a path. "." is the
// directory itself.
type Tree map[string]Facts

// Facts are what is compared of one path.
type Facts struct {
	Mode    fs.FileMode
	UID     uint32
	GID     uint32
	MTime   int64 // ns; of symlinks too
	Size    int64 // of regular files
	Content string
	Target  string
	Links   string   // the other names of the same file within the tree, joined
	Xattrs  []string // user.* and access lists, "name=value"
}

// Options leave out what a target cannot have or a test does not mean.
type Options struct {
	NoTimes  bool // modification times
	NoOwners bool
	Skip     func(path string) bool // paths that do not count, with all below them
}

// Take reads the state of everything below root.
func Take(root string, o Options) (Tree, error) {
	t := Tree{}
	groups := map[[2]uint64][]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if rel != "." && o.Skip != nil && o.Skip(rel) {
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		st, err := os.Lstat(path)
		if err != nil {
			return err
		}
		f := Facts{Mode: st.Mode(), MTime: st.ModTime().UnixNano()}
		if o.NoTimes {
			f.MTime = 0
		}
		id, links := owner(st, &f)
		if o.NoOwners {
			f.UID, f.GID = 0, 0
		}
		switch {
		case st.Mode().IsRegular():
			f.Size = st.Size()
			if f.Content, err = hash(path); err != nil {
				return err
			}
			if links > 1 {
				groups[id] = append(groups[id], rel)
			}
		case st.Mode()&fs.ModeSymlink != 0:
			if f.Target, err = os.Readlink(path); err != nil {
				return err
			}
		}
		if f.Xattrs, err = xattrs(path); err != nil {
			return err
		}
		t[rel] = f
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, names := range groups {
		if len(names) < 2 {
			continue // its other names lie elsewhere
		}
		sort.Strings(names)
		for _, n := range names {
			f := t[n]
			f.Links = strings.Join(names, "\x00")
			t[n] = f
		}
	}
	return t, nil
}

func hash(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func xattrs(path string) ([]string, error) {
	if !xattr.XATTR_SUPPORTED {
		return nil, nil
	}
	names, err := xattr.LList(path)
	if err != nil {
		return nil, nil // the file system has none
	}
	var list []string
	for _, n := range names {
		if !strings.HasPrefix(n, "user.") && !strings.HasPrefix(n, "system.posix_acl_") {
			continue
		}
		v, err := xattr.LGet(path, n)
		if err != nil {
			return nil, err
		}
		list = append(list, n+"="+string(v))
	}
	sort.Strings(list)
	return list, nil
}

// Diff names every difference between the tree that was wanted and the one
// that came, by path.
func Diff(want, got Tree) []string {
	var out []string
	for path, w := range want {
		g, ok := got[path]
		if !ok {
			out = append(out, fmt.Sprintf("%q is missing", path))
			continue
		}
		var d []string
		add := func(what string, a, b any) { d = append(d, fmt.Sprintf("%s %v, want %v", what, b, a)) }
		if w.Mode != g.Mode {
			add("mode", w.Mode, g.Mode)
		}
		if w.UID != g.UID || w.GID != g.GID {
			add("owner", [2]uint32{w.UID, w.GID}, [2]uint32{g.UID, g.GID})
		}
		if w.MTime != g.MTime {
			add("mtime", w.MTime, g.MTime)
		}
		if w.Size != g.Size {
			add("size", w.Size, g.Size)
		}
		if w.Content != g.Content {
			d = append(d, "content differs")
		}
		if w.Target != g.Target {
			add("target", w.Target, g.Target)
		}
		if w.Links != g.Links {
			add("hard links", fmt.Sprintf("%q", w.Links), fmt.Sprintf("%q", g.Links))
		}
		if !slices.Equal(w.Xattrs, g.Xattrs) {
			add("xattrs", fmt.Sprintf("%q", w.Xattrs), fmt.Sprintf("%q", g.Xattrs))
		}
		if len(d) > 0 {
			out = append(out, fmt.Sprintf("%q: %s", path, strings.Join(d, "; ")))
		}
	}
	for path := range got {
		if _, ok := want[path]; !ok {
			out = append(out, fmt.Sprintf("%q should not be there", path))
		}
	}
	sort.Strings(out)
	return out
}

// Count counts the regular files of a tree and their bytes.
func (t Tree) Count() (files int, bytes int64) {
	for _, f := range t {
		if f.Mode.IsRegular() {
			files++
			bytes += f.Size
		}
	}
	return files, bytes
}
