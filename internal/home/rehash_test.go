package home

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"waterlock/internal/chunk"
	"waterlock/internal/courier"
	"waterlock/internal/disk"
	"waterlock/internal/exit"
	"waterlock/snapshot"
)

// rotting is a tree in which files read otherwise than they were written, and nothing else says so.
type rotting struct {
	disk.FS
	prefix string           // of this directory
	flips  map[string]int64 // path → offset of the byte that is flipped
}

func (r *rotting) Sub(name string) (disk.FS, error) {
	fs, err := r.FS.Sub(name)
	if err != nil {
		return nil, err
	}
	return &rotting{fs, r.prefix + name + "/", r.flips}, nil
}

func (r *rotting) Open(name string) (disk.File, error) {
	f, err := r.FS.Open(name)
	if err != nil {
		return nil, err
	}
	if off, ok := r.flips[r.prefix+name]; ok {
		return &rottenFile{f, off}, nil
	}
	return f, nil
}

type rottenFile struct {
	disk.File
	off int64
}

func (f *rottenFile) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.File.ReadAt(p, off)
	if i := f.off - off; i >= 0 && i < int64(n) {
		p[i] ^= 1
	}
	return n, err
}

// rotWorld is a home whose first snapshot is in the vault, and whose files have rotted since.
func rotWorld(t *testing.T) (*world, *vault, *rotting) {
	t.Helper()
	w := newWorld(t)
	w.write("good", 40000, 1)
	w.write("d/rotten", 40000, 2)
	w.write("d/e/rotten", 40000, 3)
	w.write("small", 10, 4)
	must(t, os.WriteFile(w.path("empty"), nil, 0o644))
	must(t, os.Link(w.path("good"), w.path("link")))
	settleClock()
	v := w.newVault()
	w.pack()
	v.take(w.drive)
	v.receipt(w.drive)
	rot := &rotting{FS: w.trees["docs"], flips: map[string]int64{"d/rotten": 30000, "d/e/rotten": 5}}
	w.trees["docs"] = rot
	return w, v, rot
}

// Rehashing reads everything, names what changed without its metadata saying so, and nothing of that travels: the snapshot
// keeps the previous entry.
func TestRotIsNamedAndNotCarried(t *testing.T) {
	w, v, _ := rotWorld(t)
	before := v.entries(v.newest, "docs")

	// Nobody notices without being asked.
	if res := w.packed(v); res.Incomplete() || res.FilesRead != 0 {
		t.Fatalf("%+v", res)
	}
	w.opts.Rehash = true
	res := w.packed(v)
	if res.Rotten != 2 || res.Unseen != 2 || !res.Incomplete() || res.ChunksNew != 0 || res.FilesRead != 3 {
		t.Errorf("rotten %d, unseen %d, new chunks %d, files read %d", res.Rotten, res.Unseen, res.ChunksNew, res.FilesRead)
	}
	if res.ToRead != 40000*4+10 || res.ToReadFiles != 6 {
		t.Errorf("%d bytes of %d files to read", res.ToRead, res.ToReadFiles)
	}
	problems := w.rep.Problems()
	if len(problems) != 2 || problems[0].Path != "docs/d/e/rotten" || problems[1].Path != "docs/d/rotten" ||
		!strings.Contains(problems[1].Err.Error(), "--accept-changed docs/d/rotten") {
		t.Errorf("%v", problems)
	}
	for id, plain := range v.chunks {
		if v.kinds[id] == chunk.Data && bytes.Contains(plain, flipped(t, w.path("d/rotten"), 30000)) {
			t.Error("rotten content is on the drive")
		}
	}
	after := v.entries(v.newest, "docs")
	for path, was := range before {
		now := after[path]
		if now == nil || !slices.Equal(now.Content, was.Content) || now.Hash != was.Hash || now.Unseen != strings.Contains(path, "rotten") {
			t.Errorf("%s: the snapshot has another entry than before, or it is marked otherwise", path)
		}
	}
	// As before without being asked: what was found is in the snapshot, and good.
	w.opts.Rehash = false
	if res := w.packed(v); res.Incomplete() || res.ChunksNew != 0 {
		t.Errorf("%+v", res)
	}
	v.equals()
}

// flipped is a piece of a file around an offset, with the byte there flipped.
func flipped(t *testing.T, path string, off int) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	must(t, err)
	piece := bytes.Clone(data[off-20 : off+20])
	piece[20] ^= 1
	return piece
}

func TestAnAcceptedChangeIsCarried(t *testing.T) {
	for _, accept := range []string{"docs/d/rotten", "docs/d", "docs"} {
		w, v, _ := rotWorld(t)
		w.opts.AcceptChanged = []string{accept}
		res := w.packed(v)
		want := int64(2)
		if accept == "docs/d/rotten" {
			want = 1
		}
		if res.Incomplete() || res.ChunksNew == 0 || res.Rotten != 0 {
			t.Errorf("%s: %+v", accept, res)
		}
		e := v.entries(v.newest, "docs")["d/rotten"]
		data, err := os.ReadFile(w.path("d/rotten"))
		must(t, err)
		data[30000] ^= 1
		if e.Unseen || !bytes.Equal(v.content(e), data) {
			t.Errorf("%s: the change is not in the snapshot", accept)
		}
		// What was not accepted stays.
		w.opts.AcceptChanged, w.opts.Rehash = nil, true
		if res := w.packed(v); res.Rotten != 2-want {
			t.Errorf("%s: %d files are rotten still", accept, res.Rotten)
		}
	}
	w, _, _ := rotWorld(t)
	for _, accept := range []string{"nowhere/x", "", "docs//x", "docsx"} {
		w.opts.AcceptChanged = []string{accept}
		_, err := w.tryPack()
		wantCode(t, err, exit.Usage)
	}
}

// A file of which the metadata says more is read like any other, and carried.
func TestRehashLeavesOrdinaryChangesAlone(t *testing.T) {
	w, v, rot := rotWorld(t)
	must(t, os.Chmod(w.path("d/rotten"), 0o600)) // its ctime alone changes
	old := time.Unix(1700000000, 0)
	must(t, os.Chtimes(w.path("d/e/rotten"), old, old))
	w.opts.Rehash = true
	res := w.packed(v)
	if res.Rotten != 0 || res.Incomplete() || res.ChunksNew == 0 {
		t.Errorf("%+v", res)
	}
	if rot.flips["d/rotten"] != 30000 || !bytes.Contains(v.content(v.entries(v.newest, "docs")["d/rotten"]), flipped(t, w.path("d/rotten"), 30000)) {
		t.Error("the file whose mode changed was not carried as it is")
	}
}

// What the vault asks for and has rotted at home is not replaced by what it is now.
func TestAWantedChunkThatRottedIsNotReplaced(t *testing.T) {
	w, v, _ := rotWorld(t)
	before := v.entries(v.newest, "docs")["d/rotten"]
	for _, x := range slices.SortedFunc(slices.Values(before.Content), func(a, b snapshot.Extent) int { return bytes.Compare(a.ID[:], b.ID[:]) }) {
		v.wants = append(v.wants, courier.Want{ID: x.ID, Kind: chunk.Data})
	}
	v.receipt(w.drive)
	res := w.pack()
	if res.Rotten != 1 || !res.Incomplete() {
		t.Errorf("%+v", res)
	}
	v.take(w.drive)
	after := v.entries(v.newest, "docs")["d/rotten"]
	if !after.Unseen || !slices.Equal(after.Content, before.Content) {
		t.Errorf("unseen %v, content %v", after.Unseen, after.Content)
	}
}

// Data in what was a hole is rot, too; the hole itself is not read.
func TestRotInAHoleIsFound(t *testing.T) {
	w := newWorld(t)
	f, err := os.Create(w.path("sparse"))
	must(t, err)
	_, err = f.WriteAt(random(20000, 1), 4<<20)
	must(t, err)
	must(t, f.Truncate(8<<20))
	must(t, f.Close())
	settleClock()
	v := w.newVault()
	w.packed(v)
	w.opts.Rehash = true
	if res := w.packed(v); res.Rotten != 0 || res.BytesRead > 1<<20 {
		t.Errorf("%+v", res)
	}
	w.trees["docs"] = &filled{w.trees["docs"]}
	res := w.packed(v)
	if res.Rotten != 1 || !strings.Contains(w.rep.Problems()[0].Err.Error(), "at offset 1000 it holds data where there was a hole") {
		t.Errorf("%+v, %v", res, w.rep.Problems())
	}
}

// filled is a tree whose files have data everywhere, and a byte at 1000 that nobody wrote.
type filled struct{ disk.FS }

func (f *filled) Open(name string) (disk.File, error) {
	file, err := f.FS.Open(name)
	return &filledFile{rottenFile{file, 1000}}, err
}

type filledFile struct{ rottenFile }

func (f *filledFile) Data(off int64) (int64, int64, error) {
	st, err := f.Stat()
	return off, st.Size, err
}

// A second pass, where a pack was lost, reads nothing once more and finds nothing anew.
func TestASecondPassKeepsWhatRehashingFound(t *testing.T) {
	w, v, _ := rotWorld(t)
	w.write("new", 50000, 9)
	settleClock()
	good := w.drive
	flip := &flipping{FS: good}
	flip.left.Store(1)
	w.drive = flip
	w.opts.Rehash, w.opts.AcceptChanged = true, []string{"docs/d/e"}
	res := w.pack()
	w.drive = good
	if flip.hits.Load() != 1 {
		t.Fatal("no pack was lost")
	}
	if res.Rotten != 1 || res.Unseen != 1 || res.Problems != 1 || res.Pending != 0 {
		t.Errorf("%+v", res)
	}
	v.take(w.drive)
	entries := v.entries(v.newest, "docs")
	if !entries["d/rotten"].Unseen || !bytes.Contains(v.content(entries["d/e/rotten"]), flippedAt5(t, w.path("d/e/rotten"))) {
		t.Error("the second pass has forgotten what the first one found")
	}
	v.content(entries["d/rotten"])
}

func flippedAt5(t *testing.T, path string) []byte {
	data, err := os.ReadFile(path)
	must(t, err)
	data[5] ^= 1
	return data[:40]
}
