//go:build unix

package model

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"waterlock/internal/chunk"
	"waterlock/internal/courier"
	"waterlock/pack"
	"waterlock/snapshot"
	"waterlock/tests/trees"
)

// content is one content that files had.
type content struct {
	size   int64
	chunks []snapshot.Extent
}

// at is the chunk that lies at an offset.
func (c *content) at(off int64) chunk.ID {
	for _, x := range c.chunks {
		if off < x.Length {
			return x.ID
		}
		off -= x.Length
	}
	return chunk.ID{}
}

// version is what a path was in one snapshot: what a restore gives.
type version struct {
	trees.Facts
	list    []snapshot.Extent // its content
	pending bool              // new metadata over the content last carried
	unseen  bool              // what an earlier snapshot had
	nothing bool              // a file of which no content was ever carried
	loose   bool              // its metadata is not known
}

func (v *version) dir() bool  { return v.Mode.IsDir() }
func (v *version) file() bool { return v.loose || v.Mode.IsRegular() }

// plain is a plain copy of a tree: each path, "." the root itself.
type plain map[string]*version

// streamed is a stream chunk that was carried, and the data chunks that it names.
type streamed struct {
	plain []byte
	names []chunk.ID
}

// shipment is a closed shipment, and its snapshot.
type shipment struct {
	id     courier.ShipmentID
	commit *courier.Commit
	places map[string][]pack.Place // by file
	trees  map[string]plain
	data   []chunk.ID // carried
}

func (s *shipment) number() uint64 { return s.commit.Snapshot.Number }

// takeHome is what home is now. What cannot be read is left out; a tree that is
// away, or of which nothing is left but the root, is nil: it stands still.
func (m *model) takeHome() map[string]trees.Tree {
	now := map[string]trees.Tree{}
	for _, tree := range treeNames {
		if m.unmounted[tree] {
			continue
		}
		root := m.path("home", tree)
		t := m.take(root, func(path string) bool { _, is := m.broken[tree+"/"+path]; return is })
		if names, err := os.ReadDir(root); err == nil && len(names) == 0 {
			continue
		}
		for path, f := range t {
			if f.Mode.IsRegular() {
				m.learnContent(filepath.Join(root, path), f)
			}
		}
		now[tree] = t
	}
	return now
}

// learnContent cuts a content into its chunks.
func (m *model) learnContent(path string, f trees.Facts) {
	if m.contents[f.Content] != nil {
		return
	}
	b, err := os.ReadFile(path)
	m.must(err)
	c := &content{size: int64(len(b))}
	m.splitter.Reset(bytes.NewReader(b))
	for {
		p, err := m.splitter.Next(nil)
		if errors.Is(err, io.EOF) {
			break
		}
		m.must(err)
		id := chunk.Data.ID(p)
		c.chunks = append(c.chunks, snapshot.Extent{ID: id, Length: int64(len(p))})
		if _, known := m.size[id]; !known {
			stored, err := m.encoder.Encode(chunk.Data, p, nil)
			m.must(err)
			m.size[id] = len(stored.Data)
		}
	}
	m.contents[f.Content] = c
}

// closedShipments are the commits that home keeps, by their directory.
func (m *model) closedShipments() map[string]*courier.Commit {
	names, err := filepath.Glob(m.statePath("shipments", "*", "commit"))
	m.must(err)
	out := map[string]*courier.Commit{}
	for _, name := range names {
		b, err := os.ReadFile(name)
		m.must(err)
		c, err := courier.DecodeCommit(b)
		m.must(err)
		out[filepath.Dir(name)] = c
	}
	return out
}

// readShipment reads a shipment that a run of pack has closed, from what home
// keeps of it and from the drive.
func (m *model) readShipment(d *drive, c *courier.Commit, dir string) *shipment {
	s := &shipment{id: c.Shipment, commit: c, places: map[string][]pack.Place{}, trees: map[string]plain{}}
	for _, ref := range c.Files {
		b, err := os.ReadFile(m.shipmentPath(d, s, ref.Name))
		m.must(err)
		r, err := pack.Open(bytes.NewReader(b), int64(len(b)))
		m.must(err)
		s.places[ref.Name] = r.Places()
		for _, p := range r.Places() {
			if ref.Kind == chunk.Data {
				s.data = append(s.data, p.ID)
				continue
			}
			text, err := r.Read(p, nil)
			m.must(err)
			if m.streams[p.ID] == nil {
				m.streams[p.ID] = &streamed{plain: bytes.Clone(text)}
			}
		}
	}
	for _, t := range c.Snapshot.Trees {
		for _, ref := range t.Chunks {
			st := m.streams[ref.ID]
			if st == nil {
				m.fail("snapshot %d names a stream chunk that no shipment carried", c.Snapshot.Number)
			}
			if st.names != nil {
				continue
			}
			st.names = []chunk.ID{}
			m.must(snapshot.StreamChunkIDs(st.plain, ref, func(id chunk.ID, _ int64, _ bool) error {
				st.names = append(st.names, id)
				return nil
			}))
		}
	}
	return s
}

// Get is a snapshot.Getter over the stream chunks that were carried.
func (m *model) Get(id chunk.ID, k chunk.Kind, _ int64, _ []byte) ([]byte, error) {
	if s := m.streams[id]; s != nil && k == chunk.Stream {
		return s.plain, nil
	}
	return nil, fs.ErrNotExist
}

// plainCopies makes the plain copies of a snapshot out of what home was and of the
// snapshot before it, and holds its entries to them: what is neither pending nor
// unseen must be as it is at home; pending is something only after a run that was
// cut short; and what is unseen could not be read.
func (m *model) plainCopies(s *shipment, now map[string]trees.Tree, short bool) {
	for i := range s.commit.Snapshot.Trees {
		t := &s.commit.Snapshot.Trees[i]
		before := m.home.last[t.Name]
		if now[t.Name] == nil {
			if t.Stopped == "" {
				m.fail("snapshot %d: tree %s is away and did not stand still", s.number(), t.Name)
			}
			s.trees[t.Name] = maps.Clone(before)
			continue
		}
		if t.Stopped != "" {
			m.fail("snapshot %d: tree %s stood still: %s", s.number(), t.Name, t.Stopped)
		}
		s.trees[t.Name] = m.plainTree(s, t, now[t.Name], before, short)
	}
	if len(s.trees) != len(treeNames) {
		m.fail("snapshot %d has %d trees", s.number(), len(s.trees))
	}
}

func (m *model) plainTree(s *shipment, t *snapshot.TreeRecord, now trees.Tree, before plain, short bool) plain {
	out := plain{}
	r := snapshot.NewStreamReader(*t, m)
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		m.must(err)
		path := e.Path
		if path == "" {
			path = "."
		}
		f, here := now[path]
		_, broken := m.broken[t.Name+"/"+path]
		v := &version{Facts: f}
		switch {
		case broken && e.Pending && short: // nobody has tried to read it
			v.loose = true
			m.pendingVersion(s, v, e, t.Name, before[path], short)
		case broken:
			if !e.Unseen {
				m.fail("snapshot %d: %s/%s cannot be read, and is not unseen", s.number(), t.Name, path)
			}
			v = &version{unseen: true, nothing: true}
			if old := before[path]; old != nil && old.file() {
				again := *old
				again.unseen = true
				v = &again
			}
		case !here || e.Unseen:
			m.fail("snapshot %d has %s/%s (unseen %v), at home it is there: %v", s.number(), t.Name, path, e.Unseen, here)
		case e.Pending:
			m.pendingVersion(s, v, e, t.Name, before[path], short)
		case v.file():
			v.list = m.contents[f.Content].chunks
			if !slices.Equal(v.list, e.Content) && len(v.list)+len(e.Content) > 0 {
				m.fail("snapshot %d: %s/%s has another content than at home: %d extents, hash %x, carried %d; at home %d in %d bytes", s.number(), t.Name, path,
					len(e.Content), e.Hash[:4], len(e.Carried), len(v.list), f.Size)
			}
			if id, lacks := m.lacksFor(s, v.list); lacks {
				m.fail("snapshot %d: %s/%s is whole, though nobody may count on chunk %s of it", s.number(), t.Name, path, id.Short())
			}
		}
		out[path] = v
	}
	for path := range now {
		if out[path] == nil {
			m.fail("snapshot %d lacks %s/%s", s.number(), t.Name, path)
		}
	}
	for path, v := range out {
		m.versions[t.Name+"/"+path] = append(m.versions[t.Name+"/"+path], v)
	}
	return out
}

// pendingVersion is an entry whose new content is not carried yet.
func (m *model) pendingVersion(s *shipment, v *version, e *snapshot.Entry, tree string, old *version, short bool) {
	fresh := m.contents[v.Content]
	if !short {
		m.fail("snapshot %d: %s/%s is pending, and the run was not cut short", s.number(), tree, e.Path)
	}
	v.pending, v.Content, v.Size, v.nothing = true, "", 0, true
	if old != nil && old.file() && !old.nothing {
		v.Content, v.Size, v.list, v.nothing = old.Content, old.Size, old.list, false
	}
	if e.Hash.IsZero() != v.nothing || !slices.Equal(v.list, e.Content) && len(v.list)+len(e.Content) > 0 {
		m.fail("snapshot %d: %s/%s is pending, and does not have the content last carried", s.number(), tree, e.Path)
	}
	if fresh == nil {
		return
	}
	off := map[int64]chunk.ID{}
	at := int64(0)
	for _, x := range fresh.chunks {
		off[at] = x.ID
		at += x.Length
	}
	at = 0
	wrong := 0
	for _, x := range e.Carried {
		if !x.Hole && off[at] != x.ID {
			wrong++
		}
		at += x.Length
	}
	// What is carried is of this content, or all of the one before it that was begun.
	if wrong > 0 && !m.carriedBefore(tree, e) {
		m.fail("snapshot %d: %s/%s names %d carried chunks at places where they are not", s.number(), tree, e.Path, wrong)
	}
}

// carriedBefore tells whether what an entry names as carried is of any content
// that the path ever had.
func (m *model) carriedBefore(tree string, e *snapshot.Entry) bool {
	for _, x := range e.Carried {
		if _, known := m.size[x.ID]; !x.Hole && !known {
			return false
		}
	}
	return true
}

// lacksFor tells of a chunk of a list that neither a receipt nor a shipment nor
// this one gives.
func (m *model) lacksFor(s *shipment, list []snapshot.Extent) (chunk.ID, bool) {
	for _, x := range list {
		if !x.Hole && !m.home.countsOn(x.ID) && !slices.Contains(s.data, x.ID) {
			return x.ID, true
		}
	}
	return chunk.ID{}, false
}

// links is the number of names that a file has.
func links(st os.FileInfo) uint64 { return uint64(st.Sys().(*syscall.Stat_t).Nlink) }
