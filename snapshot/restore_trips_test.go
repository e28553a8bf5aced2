package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/internal/disk/disktest"
	"waterlock/internal/report"
)

// fakeTrips is what a new home knows: what a drive brings, what earlier ones
// brought, and what it is told.
type fakeTrips struct {
	memory
	brings map[chunk.ID]bool
	files  []string // of the tree, in order
	came   map[string][]Range
	told   map[string][]Range // nil ranges: whole
	last   string
	bad    string
}

func newTrips(s source) *fakeTrips {
	f := &fakeTrips{memory: s.memory, came: map[string][]Range{}}
	for _, e := range s.tree {
		if e.Kind == disk.KindFile {
			f.files = append(f.files, e.Path)
		}
	}
	return f
}

// next begins a trip that brings these chunks.
func (f *fakeTrips) next(ids []chunk.ID) *fakeTrips {
	n := *f
	n.brings, n.told, n.last = map[chunk.ID]bool{}, map[string][]Range{}, ""
	for _, id := range ids {
		n.brings[id] = true
	}
	return &n
}

// keep believes what was told.
func (f *fakeTrips) keep() { f.came = f.told }

func (f *fakeTrips) Get(id chunk.ID, k chunk.Kind, length int64, buf []byte) ([]byte, error) {
	if k == chunk.Data && !f.brings[id] {
		f.bad = "asked for a chunk that is not at hand"
	}
	return f.memory.Get(id, k, length, buf)
}

func (f *fakeTrips) Came(path string) (bool, []Range) {
	pieces, ok := f.came[path]
	return ok && pieces == nil, pieces
}
func (f *fakeTrips) Has(id chunk.ID) bool { return f.brings[id] }
func (f *fakeTrips) Grows(string) bool    { return true }

func (f *fakeTrips) ascends(path string) {
	if f.last != "" && ComparePaths(f.last, path) >= 0 {
		f.bad = fmt.Sprintf("told %q after %q", path, f.last)
	}
	f.last = path
}

func (f *fakeTrips) Whole(from, to string) {
	f.ascends(from)
	for _, p := range f.files {
		if ComparePaths(from, p) <= 0 && ComparePaths(p, to) <= 0 {
			f.told[p] = nil
		}
	}
	f.last = to
}

func (f *fakeTrips) Pieces(path string, pieces []Range) {
	f.ascends(path)
	f.told[path] = pieces
}
func (f *fakeTrips) Lacks() {}

// truth checks that what was told is so.
func (f *fakeTrips) truth(t testing.TB, root disk.FS, s source, what string) {
	t.Helper()
	if f.bad != "" {
		t.Fatalf("%s: %s", what, f.bad)
	}
	for _, e := range s.tree {
		pieces, ok := f.told[e.Path]
		if e.Kind != disk.KindFile || !ok {
			continue
		}
		name := e.Path
		if pieces != nil {
			name = Join(dirOf(e.Path), tempName(e.Path))
		} else {
			pieces = []Range{{0, e.Size}}
		}
		data, err := disk.ReadAll(root, name, 1<<30)
		if errors.Is(err, fs.ErrNotExist) && name != e.Path {
			data, err = disk.ReadAll(root, e.Path, 1<<30) // whole by now
		}
		if errors.Is(err, fs.ErrPermission) {
			continue
		}
		if err != nil || int64(len(data)) != e.Size {
			t.Fatalf("%s: %q is said to be there: %d of %d bytes, %v", what, e.Path, len(data), e.Size, err)
		}
		offset := int64(0)
		for _, x := range e.Content {
			in := slices.ContainsFunc(pieces, func(r Range) bool { return r.Offset <= offset && offset+x.Length <= r.End() })
			if in && !x.Hole && chunk.Data.ID(data[offset:offset+x.Length]) != x.ID {
				t.Fatalf("%s: %q at %d is said to be there", what, e.Path, offset)
			}
			offset += x.Length
		}
	}
}

func (s source) trip(target disk.FS, f *fakeTrips, rep report.Reporter) RestoreOptions {
	o := s.options(target, rep)
	o.Get, o.Trips = f, f
	return o
}

// chunks are the chunks of all files, each once, in their order.
func (s source) chunks() (ids []chunk.ID) {
	for _, e := range s.tree {
		for _, x := range e.Content {
			if !x.Hole && !slices.Contains(ids, x.ID) {
				ids = append(ids, x.ID)
			}
		}
	}
	return ids
}

func TestContentComesInSeveralTrips(t *testing.T) {
	s := newSource(t)
	for seed := range uint64(4) {
		rng := rand.New(rand.NewPCG(seed, 1))
		ids := s.chunks()
		rng.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
		target, dir := newTarget(t)
		must(t, os.Chmod(dir, 0o700|fs.ModeSticky)) // as whoever makes a tree's root does
		f := newTrips(s)
		for len(ids) > 0 {
			n := 1 + rng.IntN(len(ids))
			f = f.next(ids[:n])
			ids = ids[n:]
			var rep report.Recorder
			res := restore(t, s.trip(target, f, &rep))
			what := fmt.Sprintf("seed %d, %d chunks left", seed, len(ids))
			f.truth(t, target, s, what)
			if len(rep.Problems()) > 0 || res.Failed > 0 || res.Complete() != (len(ids) == 0) {
				t.Fatalf("%s: %+v %v", what, res, rep.Problems())
			}
			if got := res.Files + res.Earlier + res.Missing + res.Growing; got != s.rec.Totals.Files {
				t.Fatalf("%s: %d files, %d counted: %+v", what, s.rec.Totals.Files, got, res)
			}
			f.keep()
		}
		sameTrees(t, s.tree, walkAll(t, target))
		sameContent(t, target, s.tree)
		// What was brought is not looked into again.
		f = f.next(nil)
		res := restore(t, s.trip(target, f, nil))
		if !res.Complete() || res.Earlier != s.rec.Totals.Files || res.AlreadyThere > res.Others || res.Changed > 0 {
			t.Fatalf("%+v", res)
		}
		sameTrees(t, s.tree, walkAll(t, target))
	}
}

func TestALaterTripLeavesWhatPeopleDid(t *testing.T) {
	s := newSource(t)
	target, dir := newTarget(t)
	f := newTrips(s).next(s.chunks())
	restore(t, s.trip(target, f, nil))
	f.keep()
	must(t, os.WriteFile(filepath.Join(dir, "executable"), []byte("mine"), 0o600))
	must(t, os.Remove(filepath.Join(dir, "sparse")))
	f = f.next(s.chunks())
	o := s.trip(target, f, nil)
	o.Overwrite = true
	res := restore(t, o)
	if !res.Complete() || res.Changed != 2 {
		t.Fatalf("%+v", res)
	}
	if b, _ := os.ReadFile(filepath.Join(dir, "executable")); string(b) != "mine" {
		t.Errorf("%q", b)
	}
	if _, err := os.Lstat(filepath.Join(dir, "sparse")); err == nil {
		t.Error("a file that was deleted came back")
	}
}

// A chunk that cannot be had after all costs that chunk, and the file is named.
func TestALostChunkCostsItself(t *testing.T) {
	s := tripSource(t)
	m := disktest.NewMem()
	f := newTrips(s).next(s.chunks())
	lost := s.tree[2].Content[1].ID
	var rep report.Recorder
	o := s.trip(m, f, &rep)
	o.Get = getterFunc(func(id chunk.ID, k chunk.Kind, length int64, buf []byte) ([]byte, error) {
		if id == lost {
			delete(f.brings, id)
			return nil, errors.New("rotten")
		}
		return f.Get(id, k, length, buf)
	})
	res := restore(t, o)
	f.truth(t, m, s, "a lost chunk")
	if res.Growing != 1 || res.GrowingBytes != res.GrowingTotal-piece || len(rep.Problems()) != 1 || !strings.Contains(rep.Problems()[0].Path, "a/1") {
		t.Fatalf("%+v %v", res, rep.Problems())
	}
	f.keep()
	f = f.next([]chunk.ID{lost})
	if res = restore(t, s.trip(m, f, nil)); !res.Complete() {
		t.Fatalf("%+v", res)
	}
	f.truth(t, m, s, "the lost chunk")
}

// What a growing file holds is believed by its bytes alone.
func TestAGrowingFileIsBelievedByItsBytes(t *testing.T) {
	s := tripSource(t)
	m := disktest.NewMem()
	e := s.tree[2]
	f := newTrips(s).next([]chunk.ID{e.Content[0].ID, e.Content[2].ID})
	restore(t, s.trip(m, f, nil))
	f.keep()
	temp := Join(dirOf(e.Path), tempName(e.Path))
	file, err := m.OpenWrite(temp)
	must(t, err)
	_, err = file.WriteAt([]byte("rot"), 17)
	must(t, err)
	must(t, file.Sync())
	f = f.next([]chunk.ID{e.Content[1].ID})
	res := restore(t, s.trip(m, f, nil))
	f.truth(t, m, s, "rot in a growing file")
	if res.Growing != 1 || f.told[e.Path][0].Offset != piece {
		t.Fatalf("%+v, %v", res, f.told[e.Path])
	}
	f.keep()
	f = f.next([]chunk.ID{e.Content[0].ID})
	if res = restore(t, s.trip(m, f, nil)); res.Growing != 0 {
		t.Fatalf("%+v", res)
	}
	f.truth(t, m, s, "mended")
}

// tripSource is a small tree of files with several chunks, two of them links of
// one another.
func tripSource(t testing.TB) source {
	s := source{memory: memory{}}
	uid, gid := uint32(max(os.Geteuid(), 0)), uint32(max(os.Getegid(), 0))
	s.tree = []*Entry{
		{Kind: disk.KindDir, Mode: 0o750, MTime: disk.Time{Sec: 9}},
		{Path: "a", Kind: disk.KindDir, Mode: 0o755, MTime: disk.Time{Sec: 8}},
		{Path: "a/1", Kind: disk.KindFile, Mode: 0o600},
		{Path: "a/2", Kind: disk.KindFile, Mode: 0o600, LinkGroup: 7},
		{Path: "b", Kind: disk.KindSymlink, Mode: 0o777, Target: "a"},
		{Path: "c", Kind: disk.KindFile, Mode: 0o600, LinkGroup: 7},
		{Path: "d", Kind: disk.KindFile, Mode: 0o644},
	}
	for i, e := range s.tree {
		e.UID, e.GID = uid, gid
		if e.Kind == disk.KindFile {
			data := make([]byte, 3*piece)
			rand.NewChaCha8([32]byte{byte(i), byte(e.LinkGroup)}).Read(data)
			if e.LinkGroup != 0 {
				rand.NewChaCha8([32]byte{99}).Read(data)
			}
			s.setContent(e, data)
		}
	}
	var err error
	s.rec, err = s.write(s.tree)
	must(t, err)
	return s
}

// inTwoTrips calls trip for each of two trips that bring every other chunk.
func inTwoTrips(s source, trip func(f *fakeTrips) bool) {
	f := newTrips(s)
	ids := s.chunks()
	for part := range 2 {
		var brings []chunk.ID
		for i := part; i < len(ids); i += 2 {
			brings = append(brings, ids[i])
		}
		f = f.next(brings)
		if !trip(f) {
			return
		}
		f.keep()
	}
}

// Wherever the power goes in one of the trips: what was told before is there,
// and the trip is simply made again.
func TestTripsSurviveCrash(t *testing.T) {
	s := tripSource(t)
	for _, second := range []bool{false, true} {
		for k := 0; ; k += faultStep {
			m := disktest.NewMem()
			n, crashed := 0, false
			inTwoTrips(s, func(f *fakeTrips) bool {
				if n++; (n == 2) == second {
					m.CrashAfter(k)
				}
				before := f.came
				_, err := Restore(context.Background(), s.trip(m, f, nil))
				if !m.DidCrash() {
					must(t, err)
					f.truth(t, m.Crashed(disktest.Strict, 0), s, "after a trip")
					return second
				}
				crashed = true
				for _, mode := range disktest.Modes {
					after := m.Crashed(mode, uint64(k))
					what := fmt.Sprintf("second %v, crash after %d, %v", second, k, mode)
					again := f.next(nil)
					again.brings, again.told = f.brings, before
					again.truth(t, after, s, what+", what an earlier trip brought")
					again = f.next(nil)
					again.brings = f.brings
					var rep report.Recorder
					res, err := Restore(context.Background(), s.trip(after, again, &rep))
					must(t, err)
					again.truth(t, after, s, what+", again")
					if second != res.Complete() || len(rep.Problems()) > 0 {
						t.Fatalf("%s: %+v %v", what, res, rep.Problems())
					}
				}
				return false
			})
			if !crashed {
				break
			}
		}
	}
}

// Whatever operation fails: nothing is told that is not durably so.
func TestTripsWithAnyFailingOperation(t *testing.T) {
	s := tripSource(t)
	for _, kind := range disktest.FaultKinds {
		for k := 1; ; k += faultStep {
			m := disktest.NewMem()
			fault := disktest.NewFault(m)
			fault.CountReads(true)
			n := 0
			inTwoTrips(s, func(f *fakeTrips) bool {
				if n++; n == 2 {
					fault.FailAt(k, kind, false)
				}
				var rep report.Recorder
				res, err := Restore(context.Background(), s.trip(fault, f, &rep))
				if err != nil {
					return false
				}
				what := fmt.Sprintf("trip %d, operation %d, %s, %v", n, k, fault.Failed(), kind)
				f.truth(t, m.Crashed(disktest.Strict, 0), s, what)
				if n == 2 && res.Complete() && len(f.told) != len(f.files) {
					t.Fatalf("%s: %+v, and told %v", what, res, f.told)
				}
				return true
			})
			if fault.Failed() == "" {
				break
			}
		}
	}
}
