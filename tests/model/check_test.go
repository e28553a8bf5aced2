//go:build unix

package model

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"waterlock/chunkstore"
	"waterlock/internal/disk"
	"waterlock/internal/report"
	"waterlock/internal/vault"
	"waterlock/snapshot"
	"waterlock/tests/trees"
)

func snapshotFile(s *shipment) string { return fmt.Sprintf("%d-%s.commit", s.number(), s.id) }

// checkSnapshots restores snapshots that the vault knows and compares them with their plain copies: all, or as many as
// said, the newest and others by turns. The vault's chunks are opened once for all of them.
func (m *model) checkSnapshots(most int) {
	list := slices.SortedFunc(maps.Values(m.vault.known), func(a, b *shipment) int { return cmp.Compare(b.number(), a.number()) })
	if len(list) == 0 {
		return
	}
	for len(list) > most {
		i := 1 + m.sum.restored%(len(list)-1)
		list = slices.Delete(list, i, i+1)
	}
	root, err := disk.Dir(m.path("vault"))
	m.must(err)
	defer root.Close()
	var vols []chunkstore.Volume
	for _, tree := range treeNames {
		vols = append(vols, chunkstore.Volume{Tree: tree, FS: root, Mirror: tree, Store: ".wl"})
	}
	store, err := chunkstore.Open(m.ctx(), chunkstore.Config{Vault: root, Route: m.route, Volumes: vols, IndexDir: m.path("vault", ".wl", "index")})
	m.must(err)
	if store.Rebuilt() {
		m.fail("the catalog was not closed cleanly")
	}
	for _, s := range list {
		for i := range s.commit.Snapshot.Trees {
			t := &s.commit.Snapshot.Trees[i]
			rep := &report.Recorder{}
			m.must(os.MkdirAll(m.path("back", t.Name), 0o755))
			dir, err := disk.Dir(m.path("back", t.Name))
			m.must(err)
			_, err = snapshot.Restore(m.ctx(), snapshot.RestoreOptions{Target: dir, Tree: *t, Get: store, Report: rep})
			m.must(err)
			dir.Close()
			m.checkRestored(s, t, rep)
		}
		m.must(os.RemoveAll(m.path("back")))
		m.sum.restored++
	}
	m.checkFreed(store)
	if err := store.Close(); err != nil {
		m.fail("closing the vault's chunks: %v", err)
	}
}

// restoreNewest is checkSnapshots of the newest snapshot, by the command itself.
func (m *model) restoreNewest() {
	s := m.vault.newest()
	id := s.commit.Snapshot.ID()
	rep := &report.Recorder{}
	_, err := vault.Restore(m.ctx(), vault.RestoreOptions{Vault: m.path("vault"), Snapshot: fmt.Sprintf("%x", id), Target: m.path("back"), Report: rep})
	if err != nil {
		m.fail("restore of snapshot %d: %v", s.number(), err)
	}
	for i := range s.commit.Snapshot.Trees {
		m.checkRestored(s, &s.commit.Snapshot.Trees[i], rep)
	}
	m.must(os.RemoveAll(m.path("back")))
	m.sum.restored++
}

// checkRestored compares a restored tree with its plain copy: what can be there is, and is as it was; what is not there
// could not be; and nothing else is there.
func (m *model) checkRestored(s *shipment, t *snapshot.TreeRecord, rep *report.Recorder) {
	what := fmt.Sprintf("snapshot %d, tree %s", s.number(), t.Name)
	want, got := s.trees[t.Name], m.take(m.path("back", t.Name), nil)
	for path, v := range want {
		g, there := got[path]
		sure := m.sure(s, t, path)
		switch {
		case there && v.nothing:
			m.fail("%s: %s came back, though nothing of it was ever carried", what, path)
		case there:
			m.sameFacts(what, path, v, g, sure, m.linksCount(s, t, v))
		case sure && !v.nothing:
			m.fail("%s: %s did not come back: %v", what, path, rep.Problems())
		}
	}
	for path := range got {
		if want[path] == nil && !(path == "." && !m.sure(s, t, path)) {
			m.fail("%s: %s came back, and was not there", what, path)
		}
	}
}

// sure tells whether all that a path needs is in the vault: the part of the list of files that names it and what it lies
// in, and its chunks.
func (m *model) sure(s *shipment, t *snapshot.TreeRecord, path string) bool {
	for dir := path; ; dir = filepath.Dir(dir) {
		p := dir
		if dir == "." {
			p = ""
		}
		if len(t.Chunks) == 0 || m.vault.has(t.Chunks[snapshot.ChunkAt(t.Chunks, p)].ID) != present {
			return false
		}
		if dir == "." {
			break
		}
	}
	v := s.trees[t.Name][path]
	if v == nil {
		return true
	}
	for _, x := range v.list {
		if !x.Hole && m.vault.has(x.ID) != present {
			return false
		}
	}
	return true
}

// linksCount tells whether the other names of a file must be links of it: all of them are there, as they were.
func (m *model) linksCount(s *shipment, t *snapshot.TreeRecord, v *version) bool {
	if v.unseen || v.pending {
		return false
	}
	if v.Links == "" {
		return true
	}
	for _, name := range strings.Split(v.Links, "\x00") {
		o := s.trees[t.Name][name]
		if o == nil || o.unseen || o.pending || o.nothing || o.Links != v.Links || !m.sure(s, t, name) {
			return false
		}
	}
	return true
}

// sameFacts compares a path with what it was. A directory of which not all is known has metadata of its own.
func (m *model) sameFacts(what, path string, v *version, g trees.Facts, sure, linked bool) {
	w := v.Facts
	if !linked {
		w.Links, g.Links = "", ""
	}
	if v.dir() && !sure {
		return
	}
	if v.loose {
		w.Mode, w.UID, w.GID, w.MTime, w.Xattrs = g.Mode, g.UID, g.GID, g.MTime, g.Xattrs
	}
	if diff := trees.Diff(trees.Tree{path: w}, trees.Tree{path: g}); len(diff) > 0 {
		m.fail("%s: %v", what, diff)
	}
}

// strictness says what a mirror is held to.
type strictness bool

const (
	lenient strictness = false
	strict  strictness = true // everything works again: nothing is gone at home and still here
)

// checkMirror compares the mirror with the newest snapshot: each path that can be as it is there is so; each other one
// shows a version that it had.
func (m *model) checkMirror(how strictness) {
	s := m.vault.newest()
	if s == nil {
		return
	}
	all := map[string]bool{} // contents that are somewhere
	for i := range s.commit.Snapshot.Trees {
		t := &s.commit.Snapshot.Trees[i]
		if !m.exists("vault", t.Name) {
			if m.sure(s, t, ".") && how == strict {
				m.fail("tree %s is not in the mirror", t.Name)
			}
			continue
		}
		got := m.take(m.path("vault", t.Name), nil)
		for _, g := range got {
			all[g.Content] = true
		}
		m.checkMirrorTree(s, t, got, how)
	}
	if m.exists("vault", ".wl", "foreign") {
		for _, g := range m.take(m.path("vault", ".wl", "foreign"), nil) {
			all[g.Content] = true
		}
	}
	for sum, where := range m.theirs {
		if !all[sum] {
			m.fail("what somebody else wrote to %s is nowhere", where)
		}
	}
}

func (m *model) checkMirrorTree(s *shipment, t *snapshot.TreeRecord, got trees.Tree, how strictness) {
	what := fmt.Sprintf("mirror of snapshot %d, tree %s", s.number(), t.Name)
	want := s.trees[t.Name]
	gap := slices.ContainsFunc(t.Chunks, func(r snapshot.StreamRef) bool { return m.vault.has(r.ID) != present })
	for path, v := range want {
		g, there := got[path]
		switch sure := m.sure(s, t, path); {
		case v.dir():
			if sure && !there {
				m.fail("%s: directory %s is not there", what, path)
			}
			if sure && !m.holdsForeign(t.Name, path, got) && !gap {
				m.sameFacts(what, path, v, g, sure, true)
			}
		case v.pending, v.nothing, !sure:
			if there {
				m.aVersion(what, t.Name, path, g)
			}
		case !there:
			m.fail("%s: %s is not there", what, path)
		default:
			m.sameFacts(what, path, v, g, sure, m.linksCount(s, t, v) && !m.keeps)
		}
	}
	for path, g := range got {
		if want[path] != nil || m.theirs[g.Content] != "" || m.holdsForeign(t.Name, path, got) {
			continue
		}
		if how == strict || !gap && !m.keeps {
			m.fail("%s: %s is there, and gone at home", what, path)
		}
		m.aVersion(what, t.Name, path, g)
	}
}

// aVersion holds a path to be a version that it had, or what rot or somebody else made of one.
func (m *model) aVersion(what, tree, path string, g trees.Facts) {
	if !g.Mode.IsRegular() || m.rotten[g.Content] || m.theirs[g.Content] != "" {
		return
	}
	for _, v := range m.versions[tree+"/"+path] {
		if v.Content == g.Content {
			return
		}
	}
	m.fail("%s: %s shows a content that it never had", what, path)
}

// holdsForeign tells whether something of somebody else's lies in a directory.
func (m *model) holdsForeign(tree, dir string, got trees.Tree) bool {
	if !got[dir].Mode.IsDir() {
		return false
	}
	for path, g := range got {
		if m.theirs[g.Content] != "" && (dir == "." || strings.HasPrefix(path, dir+"/")) {
			return true
		}
	}
	return false
}
