//go:build unix

package model

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"waterlock/internal/chunk"
	"waterlock/internal/home"
	"waterlock/pack"
)

// cargoOf draws a committed shipment on a drive; nil if there is none.
func (m *model) cargoOf(d *drive) (*shipment, *cargo) {
	var list []*shipment
	for id, c := range d.cargo {
		if !c.noCommit {
			list = append(list, m.shipped[id])
		}
	}
	if len(list) == 0 {
		return nil, nil
	}
	slices.SortFunc(list, func(a, b *shipment) int { return bytes.Compare(a.id[:], b.id[:]) })
	slices.SortStableFunc(list, func(a, b *shipment) int { return int(a.number()) - int(b.number()) })
	s := pick(m, "shipment", list)
	return s, d.cargo[s.id]
}

// damageDrive harms one file of a shipment: a bit of it is wrong, its end is missing, or it is.
func (m *model) damageDrive() {
	d := m.drawDrive()
	s, c := m.cargoOf(d)
	if s == nil {
		return
	}
	what := pick(m, "harm", []string{"flip", "flip", "flip", "cut", "remove"})
	i := m.between("file", 0, len(s.commit.Files))
	if i == len(s.commit.Files) {
		names, err := filepath.Glob(m.shipmentPath(d, s, "*.commit"))
		m.must(err)
		for _, name := range names {
			m.harmCommit(name, what)
		}
		c.noCommit = true
		m.note("  %s the commit of snapshot %d on %s", what, s.number(), d.name)
		return
	}
	ref := s.commit.Files[i]
	path := m.shipmentPath(d, s, ref.Name)
	h := c.harm[ref.Name]
	if h == nil {
		places := s.places[ref.Name]
		h = &harm{cut: -1, flips: map[int64]bool{}, length: ref.Size, table: places[len(places)-1].End()}
		c.harm[ref.Name] = h
	}
	if h.removed {
		return
	}
	end := h.length
	if h.cut >= 0 {
		end = h.cut
	}
	at := m.offset("at", end)
	switch what {
	case "flip":
		m.flip(path, at)
		h.flips[at] = !h.flips[at]
		if !h.flips[at] {
			delete(h.flips, at)
		}
	case "cut":
		m.must(os.Truncate(path, max(at, 1)))
		h.cut = max(at, 1)
	case "remove":
		m.must(os.Remove(path))
		h.removed = true
	}
	m.note("  %s %s of snapshot %d on %s at %d", what, ref.Name, s.number(), d.name, at)
}

func (m *model) harmCommit(path, what string) {
	switch what {
	case "flip":
		m.flip(path, 50)
	case "cut":
		m.must(os.Truncate(path, 60))
	case "remove":
		m.must(os.Remove(path))
	}
}

// flip flips a bit of a file that keeps its times.
func (m *model) flip(path string, at int64) {
	st, err := os.Stat(path)
	m.must(err)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	m.must(err)
	defer f.Close()
	var b [1]byte
	_, err = f.ReadAt(b[:], at)
	m.must(err)
	b[0] ^= 4
	_, err = f.WriteAt(b[:], at)
	m.must(err)
	m.must(os.Chtimes(path, st.ModTime(), st.ModTime()))
}

// loseDrive lets a drive get lost; another one takes its turn. Home is told, or not yet.
func (m *model) loseDrive() {
	i := m.roll("drive", len(m.drives))
	d := m.drives[i]
	m.attic = append(m.attic, d)
	m.drives[i] = m.newDrive()
	m.note("  %s is lost, %s takes its turn", d.name, m.drives[i].name)
	if m.toss("told") {
		m.declareLost(d)
		m.note("  home is told so")
	}
}

// findDrive lets a drive that was lost turn up.
func (m *model) findDrive() {
	if len(m.attic) == 0 {
		return
	}
	i, j := m.roll("drive", len(m.drives)), m.roll("found", len(m.attic))
	m.drives[i], m.attic[j] = m.attic[j], m.drives[i]
	m.note("  %s turns up, %s is put away", m.drives[i].name, m.attic[j].name)
}

// emptyDrive takes everything of the route off a drive, or everything but the receipts.
func (m *model) emptyDrive() {
	d := m.drawDrive()
	dir := filepath.Join(d.path(m), "waterlock", m.route.String())
	if m.toss("receipts stay") {
		dir = filepath.Join(dir, "shipments")
	}
	m.must(os.RemoveAll(dir))
	clear(d.cargo)
	m.note("  %s is empty", d.name)
}

// vaultFiles are the files of the mirror, the kept versions and the history.
func (m *model) vaultFiles() (list []string) {
	for _, top := range []string{"a", "b", ".wl/kept", ".wl/packs"} {
		_ = filepath.WalkDir(m.path("vault", top), func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				list = append(list, path)
			}
			return nil
		})
	}
	return list
}

// harmChunk notes that a place of a chunk was harmed.
func (m *model) harmChunk(id chunk.ID) { m.vault.rotten[id], m.harmed[id] = true, true }

// rot flips a bit of a file in the vault, which keeps its times, or lets one of the history vanish.
func (m *model) rot() {
	files := m.vaultFiles()
	if len(files) == 0 {
		return
	}
	path := pick(m, "rotten", files)
	st, err := os.Stat(path)
	m.must(err)
	if st.Size() == 0 {
		return
	}
	at := m.offset("at", st.Size())
	b, err := os.ReadFile(path)
	m.must(err)
	what := "rots"
	if strings.Contains(path, "/.wl/packs/") {
		r, err := pack.Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return // it is rotten already
		}
		remove := m.between("vanishes", 0, 4) == 0
		hit := false
		for _, p := range r.Places() {
			if remove || at >= p.Offset && at < p.End() {
				m.harmChunk(p.ID)
				hit = true
			}
		}
		if remove {
			m.must(os.Remove(path))
			m.note("  %s vanishes", strings.TrimPrefix(path, m.dir))
			return
		}
		if !hit {
			return // header, table and footer are package chunkstore's to test
		}
	} else {
		c := m.contents[sha(b)]
		if c == nil {
			return // somebody else's, or rotten already
		}
		m.harmChunk(c.at(at))
		b[at] ^= 4
		m.rotten[sha(b)] = true
		what = "rots in chunk " + c.at(at).Short()
	}
	m.flip(path, at)
	m.note("  %s %s", strings.TrimPrefix(path, m.dir), what)
}

// foreign lets somebody else do something in the mirror. (Modes that somebody changes there are not put back.)
func (m *model) foreign() {
	tree := pick(m, "tree", treeNames)
	if !m.exists("vault", tree) {
		return
	}
	name := pick(m, "name", fileNames)
	what := pick(m, "foreign", []string{"new file", "replace", "write into", "append to", "delete", "touch"})
	if what == "new file" {
		name = filepath.Join(filepath.Dir(name), "theirs")
	}
	path := m.path("vault", tree, name)
	old, err := os.ReadFile(path)
	if st, lerr := os.Lstat(path); what != "new file" && (err != nil || lerr != nil || !st.Mode().IsRegular()) {
		return
	}
	if what == "new file" {
		if st, err := os.Stat(filepath.Dir(path)); err != nil || !st.IsDir() || !notThere(lstat(path)) {
			return
		}
	}
	delete(m.theirs, sha(old))
	if c := m.contents[sha(old)]; c != nil && what != "touch" {
		for _, x := range c.chunks {
			m.harmChunk(x.ID)
		}
	}
	fresh := m.fresh(300)
	switch what {
	case "new file":
		m.must(os.WriteFile(path, fresh, 0o644))
	case "replace":
		m.must(os.Remove(path))
		m.must(os.WriteFile(path, fresh, 0o644))
	case "write into":
		at := m.between("at", 0, len(old))
		fresh = append(append(slices.Clone(old[:at]), fresh...), old[min(at+300, len(old)):]...)
		m.must(os.WriteFile(path, fresh, 0o644))
	case "append to":
		fresh = append(slices.Clone(old), fresh...)
		m.must(os.WriteFile(path, fresh, 0o644))
	case "delete":
		m.must(os.Remove(path))
		fresh = nil
	case "touch":
		at := time.Unix(1400000000+int64(len(m.log)), 0)
		m.must(os.Chtimes(path, at, at))
		fresh = nil
	}
	if fresh != nil {
		m.theirs[sha(fresh)] = tree + "/" + name
	}
	m.note("  somebody does in the mirror: %s %s/%s", what, tree, name)
}

func lstat(path string) error {
	_, err := os.Lstat(path)
	return err
}

// loseIndex lets an index be lost, or be left as by a process that was killed.
func (m *model) loseIndex() {
	dir, side := m.statePath("index"), "home"
	if m.toss("vault's") {
		dir, side = m.path("vault", ".wl", "index"), "the vault"
	}
	if m.toss("all") {
		m.must(os.RemoveAll(dir))
	} else if err := os.Remove(filepath.Join(dir, "clean")); !notThere(err) {
		m.must(err)
	}
	m.note("  %s loses its index", side)
}

// savedSide is an image of a side, and what was known of it.
type savedSide struct {
	dir    string
	home   *homeView
	vault  *vaultView
	theirs map[string]string
}

const (
	homeSide  = 0
	vaultSide = 1
)

func sideDir(side int) string { return []string{"state", "vault"}[side] }

// saveSide makes an image of home's state or of the vault.
func (m *model) saveSide() {
	side := m.roll("side", 2)
	if side == homeSide && m.setBack {
		return
	}
	if old := m.saved[side]; old != nil {
		m.must(os.RemoveAll(old.dir))
	}
	s := &savedSide{dir: m.path("image-" + sideDir(side)), home: m.home.clone(), vault: m.vault.clone(), theirs: map[string]string{}}
	for sum, where := range m.theirs {
		s.theirs[sum] = where
	}
	m.copyTree(m.path(sideDir(side)), s.dir)
	m.saved[side] = s
	m.note("  an image of %s is made", sideDir(side))
}

// rollBackSide puts an image back: the files have other inodes then.
func (m *model) rollBackSide() {
	side := m.roll("side", 2)
	s := m.saved[side]
	if s == nil {
		return
	}
	m.must(os.RemoveAll(m.path(sideDir(side))))
	m.must(os.Rename(s.dir, m.path(sideDir(side))))
	m.saved[side] = nil
	m.rolled = true
	if side == homeSide {
		m.home = s.home
	} else {
		m.vault, m.theirs = s.vault, s.theirs
	}
	m.note("  %s is as in its image again", sideDir(side))
}

// heal lets everything work again. What is under way is delivered, each drive makes one trip more, and the last of them
// another: that makes whole what home still has.
func (m *model) heal() {
	m.note("everything works again")
	for _, tree := range sorted(m.unmounted) {
		m.mount(tree)
	}
	for _, name := range sorted(m.broken) {
		m.mend(name)
	}
	for _, d := range m.attic {
		m.declareLost(d)
	}
	if len(m.vault.rotten)+len(m.vault.maybe) > 0 {
		m.verify()
	}
	for _, d := range m.drives {
		if m.undelivered(d) {
			m.unpack(d, toTheEnd, 0)
		}
	}
	last := m.drives[len(m.drives)-1]
	for _, d := range append(slices.Clone(m.drives), last) {
		m.pack(d, trip{vanished: home.AnswerPropagate, reconsider: true})
		m.unpack(d, toTheEnd, 0)
	}
	m.keeps = false
	m.verify()
	m.checkMirror(strict)
	m.checkSnapshots(len(m.vault.known))
	m.restoreNewest()
	m.checkHealed()
}

// undelivered tells whether a drive carries a snapshot that the vault does not know.
func (m *model) undelivered(d *drive) bool {
	for id, c := range d.cargo {
		if !c.noCommit && m.vault.known[id] == nil {
			return true
		}
	}
	return false
}

// checkHealed holds the vault, after the last trips, to have all that home has, and the newest snapshot to be home.
func (m *model) checkHealed() {
	now := m.takeHome()
	s := m.vault.newest()
	for _, tree := range treeNames {
		for path, v := range s.trees[tree] {
			if v.pending || v.unseen || !m.sure(s, must2(s.commit.Snapshot.Tree(tree)), path) {
				m.fail("snapshot %d, %s/%s: not whole after the last trips", s.number(), tree, path)
			}
		}
	}
	have := m.atHome(now)
	r := m.ownReceipt()
	for _, w := range r.Wants {
		if have[w.ID] {
			m.fail("chunk %s is wanted after the last trips, and home has it", w.ID.Short())
		}
		m.sum.unhealed++
	}
	if r.Awaited > 0 {
		m.fail("%d chunks are awaited after the last trips: from whom?", r.Awaited)
	}
}

func must2[T any](v T, _ bool) T { return v }
