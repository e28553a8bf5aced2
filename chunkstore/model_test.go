package chunkstore

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"waterlock/internal/disk"
	"waterlock/internal/disk/disktest"
	"waterlock/snapshot"
)

// model is what the mirror should look like, and all that ever was in it.
type model struct {
	w     *world
	mem   *disktest.Mem
	files map[string]*snapshot.Entry // what each path shows
	text  map[string]string          // its content
	ever  map[string]bool            // contents that must not be lost
	grows map[string]*snapshot.Entry // what grows for a path
	clock int64
}

// TestRandomHistories installs, links, moves, removes, grows, compacts, crashes and
// rebuilds at random, and holds the store to what always holds.
func TestRandomHistories(t *testing.T) {
	if f := flag.Lookup("rapid.checks"); !long && f.Value.String() == f.DefValue {
		if err := f.Value.Set("20"); err != nil {
			t.Fatal(err)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		mem := disktest.NewMem()
		w := newWorld(t, mem)
		w.size, w.grow = 6000, 1
		if err := w.tryOpen(); err != nil {
			rt.Fatal(err)
		}
		m := &model{w: w, mem: mem, files: map[string]*snapshot.Entry{}, text: map[string]string{}, ever: map[string]bool{},
			grows: map[string]*snapshot.Entry{}}
		defer func() { m.w.discard() }()
		m.batch(rt, []Action{install(dir("")), install(dir("d"))})
		for range rapid.IntRange(3, 10).Draw(rt, "steps") {
			switch rapid.IntRange(0, 13).Draw(rt, "step") {
			case 0:
				awaited := rapid.Bool().Draw(rt, "awaited")
				if _, err := m.w.s.Compact(t.Context(), CompactOptions{Awaited: func(string, string) bool { return awaited }}); err != nil {
					rt.Fatal(err)
				}
			case 12, 13:
				m.grow(rt)
			case 1:
				m.reopen(rt, false)
			case 2:
				m.reopen(rt, true)
			case 3:
				res, err := m.w.s.CheckMirror(t.Context())
				if err != nil || res.Missing+res.Foreign+res.Lost != 0 {
					rt.Fatalf("%+v %v", res, err)
				}
			case 4:
				m.crash(rt)
			default:
				m.batch(rt, m.draw(rt))
			}
			m.check(rt)
		}
		before := m.w.rows()
		if err := m.w.s.Rebuild(t.Context()); err != nil {
			rt.Fatal(err)
		}
		after := m.w.rows()
		for k, v := range before {
			if after[k] != v {
				rt.Fatalf("row %s\n was %s\n  is %s", k, v, after[k])
			}
		}
		for k, v := range after {
			if _, ok := before[k]; !ok {
				rt.Fatalf("row %s is new: %s", k, v)
			}
		}
	})
}

var modelPaths = []string{"d/f", "d/g", "e", "f", "g", "g.1", "h"}

// draw makes a batch: what the next snapshot changes.
func (m *model) draw(rt *rapid.T) (acts []Action) {
	next := maps.Clone(m.files)
	touched := map[string]bool{}
	for range rapid.IntRange(1, 5).Draw(rt, "actions") {
		p := rapid.SampledFrom(modelPaths).Draw(rt, "path")
		if touched[p] {
			continue
		}
		touched[p] = true
		m.clock++
		old := next[p]
		switch rapid.IntRange(0, 7).Draw(rt, "what") {
		case 0:
			delete(next, p)
		case 1: // metadata
			if old != nil && old.LinkGroup == 0 {
				e := old.Clone()
				e.MTime.Sec, e.Mode = 1000+m.clock, 0o600
				next[p] = e
			}
		case 2: // a move from somewhere
			from := rapid.SampledFrom(modelPaths).Draw(rt, "from")
			if e := next[from]; e != nil && e.LinkGroup == 0 && !touched[from] {
				touched[from] = true
				e = e.Clone()
				e.Path = p
				next[p] = e
				delete(next, from)
			}
		case 3: // a link group
			g := uint64(rapid.IntRange(1, 2).Draw(rt, "group"))
			var of *snapshot.Entry
			for _, e := range next {
				if e.LinkGroup == g {
					of = e
				}
			}
			if of == nil {
				of = m.fresh(rt, p)
			}
			e := of.Clone()
			e.Path, e.LinkGroup = p, g
			next[p] = e
		case 4:
			e := symlink(p, fmt.Sprint("t", m.clock), m.clock)
			next[p] = e
		case 5:
			if next[p] = m.grows[p]; next[p] == nil {
				next[p] = m.fresh(rt, p)
			}
		default:
			next[p] = m.fresh(rt, p)
		}
	}
	// A change of one member of a link group is a change of all.
	for _, p := range modelPaths {
		e, old := next[p], m.files[p]
		switch {
		case e == nil && old != nil:
			acts = append(acts, remove(p))
		case e != nil && (old == nil || !e.Same(old)):
			acts = append(acts, install(e))
		}
	}
	return acts
}

// fresh draws a file, of few pieces so that many are shared.
func (m *model) fresh(rt *rapid.T, p string) *snapshot.Entry {
	var b strings.Builder
	for range rapid.IntRange(0, 4).Draw(rt, "pieces") {
		b.WriteString(bytesOf(uint64(rapid.IntRange(1, 6).Draw(rt, "piece")), piece1k))
	}
	if rapid.Bool().Draw(rt, "odd end") {
		b.WriteString("end")
	}
	m.text[string(hashKey(b.String()))] = b.String()
	return m.w.file(p, []byte(b.String()), 1000+m.clock)
}

// grow takes a part of a file that is not whole yet: a new one, or one that is
// edited in place or continues what grows.
func (m *model) grow(rt *rapid.T) {
	p := rapid.SampledFrom(modelPaths).Draw(rt, "path")
	m.clock++
	var b []byte
	if e := m.grows[p]; e != nil && rapid.Bool().Draw(rt, "grows on") {
		b = []byte(m.text[string(e.Hash[:])])
		if i := rapid.IntRange(0, 12).Draw(rt, "edited"); i < 9 {
			copy(b[i*piece1k:], bytesOf(uint64(1000+m.clock), piece1k))
		}
	} else {
		for i := range 9 {
			b = append(b, bytesOf(uint64(100*m.clock+int64(i)), piece1k)...)
		}
	}
	e := m.w.file(p, b, 1000+m.clock)
	m.text[string(e.Hash[:])] = string(b)
	i := rapid.IntRange(0, 7).Draw(rt, "from")
	carried := part(e, i, rapid.IntRange(i+1, 9).Draw(rt, "to"))
	m.w.feed()
	if _, err := m.w.tryGrow(pendingOf(e, carried), carried); err != nil {
		rt.Fatal(err)
	}
	m.grows[p] = e
	off := 0
	for _, x := range carried {
		if !x.Hole {
			m.ever[string(b[off:off+int(x.Length)])] = true
		}
		off += int(x.Length)
	}
}

func hashKey(s string) []byte { h := hashOf([]byte(s)); return h[:] }

func (m *model) batch(rt *rapid.T, acts []Action) {
	res, err := m.w.try(acts...)
	if err != nil {
		rt.Fatal(err)
	}
	for i, r := range res {
		if r.Err != nil {
			rt.Fatalf("%s: %v", r.Path, r.Err)
		}
		m.note(acts[i])
	}
}

func (m *model) note(a Action) {
	if a.Op == Remove {
		delete(m.files, a.Path)
		return
	}
	if a.Entry.Kind == disk.KindDir {
		return
	}
	m.files[a.Entry.Path] = a.Entry
	if a.Entry.Kind == disk.KindFile {
		m.ever[m.text[string(a.Entry.Hash[:])]] = true
	}
}

func (m *model) reopen(rt *rapid.T, lose bool) {
	m.w.close()
	if lose {
		m.w.discard()
	}
	if err := m.w.tryOpen(); err != nil {
		rt.Fatal(err)
	}
	if m.w.s.Rebuilt() != lose {
		rt.Fatalf("rebuilt: %v", m.w.s.Rebuilt())
	}
}

// crash starts a batch, loses power at some step, and carries the batch out
// after the next start.
func (m *model) crash(rt *rapid.T) {
	acts := m.draw(rt)
	m.mem.CrashAfter(rapid.IntRange(0, 60).Draw(rt, "crash after"))
	_, _ = m.w.try(acts...)
	mode := rapid.SampledFrom(disktest.Modes).Draw(rt, "mode")
	m.mem = m.mem.Crashed(mode, rapid.Uint64().Draw(rt, "seed"))
	drive := m.w.drive
	m.w.discard()
	w := newWorld(m.w.t, m.mem)
	w.size, w.grow, w.drive = m.w.size, m.w.grow, drive
	m.w = w
	if err := w.tryOpen(); err != nil {
		rt.Fatal(err)
	}
	m.batch(rt, acts)
}

// check compares mirror and model, and asks for every chunk that ever was.
func (m *model) check(rt *rapid.T) {
	for _, p := range modelPaths {
		got, found := read(m.w.fs, "a/"+p)
		e := m.files[p]
		switch {
		case (e != nil) != found:
			rt.Fatalf("%s: there %v, expected %v", p, found, e != nil)
		case e == nil:
		case e.Kind == disk.KindSymlink && got != "-> "+e.Target,
			e.Kind == disk.KindFile && got != m.text[string(e.Hash[:])]:
			rt.Fatalf("%s: wrong content %.20q", p, got)
		default:
			st, err := m.w.fs.Stat("a/" + p)
			if err != nil || st.MTime != e.MTime {
				rt.Fatalf("%s: time %v, expected %v (%v)", p, st.MTime, e.MTime, err)
			}
		}
	}
	// Links: equal groups are one inode, all else is not.
	for _, p := range modelPaths {
		for _, q := range modelPaths {
			a, b := m.files[p], m.files[q]
			if p >= q || a == nil || b == nil || a.Kind != disk.KindFile || b.Kind != disk.KindFile {
				continue
			}
			x, _ := m.w.fs.Stat("a/" + p)
			y, _ := m.w.fs.Stat("a/" + q)
			if one := a.LinkGroup != 0 && a.LinkGroup == b.LinkGroup && a.Hash == b.Hash; one != (x.Ino == y.Ino) {
				rt.Fatalf("%s and %s: one inode %v, expected %v", p, q, x.Ino == y.Ino, one)
			}
		}
	}
	m.w.s.AttachDrive(nil)
	defer m.w.s.AttachDrive(m.w.drive)
	for _, c := range slices.Sorted(maps.Keys(m.ever)) {
		for _, x := range m.w.content([]byte(c)) {
			if _, err := m.w.s.Get(x.ID, 1, x.Length, nil); err != nil {
				rt.Fatalf("chunk of %.20q is lost: %v", c, err)
			}
		}
	}
	if n := len(m.w.rep.Problems()); n != 0 {
		rt.Fatal(m.w.rep.Problems())
	}
	for n := range all(m.w.t, m.w.fs, ".wl/foreign") {
		rt.Fatalf("%s is no foreign file", n)
	}
}
