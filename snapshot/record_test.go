package snapshot

import (
	"bytes"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"waterlock/internal/chunk"
	"waterlock/internal/wire"
)

func TestRecordRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rec := &Record{
			Number: rapid.Uint64Range(1, MaxNumber).Draw(t, "number"),
			Time:   time.Unix(rapid.Int64Range(0, maxSeconds).Draw(t, "sec"), rapid.Int64Range(0, 999999999).Draw(t, "nsec")).UTC(),
			Host:   rapid.SampledFrom([]string{"", "home"}).Draw(t, "host"),
		}
		names := rapid.SliceOfNDistinct(rapid.Custom(drawName), 0, 3, rapid.ID).Draw(t, "trees")
		slices.Sort(names)
		for _, name := range names {
			m := memory{}
			tree, err := m.write(drawTree(t, 10))
			if err != nil {
				t.Fatal(err)
			}
			tree.Name = name
			tree.Root = rapid.SampledFrom([]string{"", "/srv"}).Draw(t, "root")
			rec.Trees = append(rec.Trees, tree)
		}
		if err := rec.Validate(); err != nil {
			t.Fatal(err)
		}
		var w wire.Writer
		rec.Encode(&w)
		r := wire.NewReader(w.Bytes())
		got, err := DecodeRecord(r)
		if err != nil || r.Done() != nil {
			t.Fatal(err, r.Done())
		}
		if diff := cmp.Diff(rec, got); diff != "" || got.ID() != rec.ID() {
			t.Fatal(diff)
		}
	})
}

func TestRecordValidate(t *testing.T) {
	for name, spoil := range map[string]func(*Record){
		"number 0":          func(r *Record) { r.Number = 0 },
		"number too high":   func(r *Record) { r.Number = MaxNumber + 1 },
		"before 1970":       func(r *Record) { r.Time = time.Unix(-1, 0) },
		"year 10000":        func(r *Record) { r.Time = time.Unix(maxSeconds+1, 0) },
		"long host":         func(r *Record) { r.Host = string(make([]byte, 256)) },
		"tree named dotdot": func(r *Record) { r.Trees[0].Name = ".." },
		"tree with slash":   func(r *Record) { r.Trees[0].Name = "a/b" },
		"tree without name": func(r *Record) { r.Trees[0].Name = "" },
		"trees in disorder": func(r *Record) { slices.Reverse(r.Trees) },
		"tree twice":        func(r *Record) { r.Trees[1].Name = r.Trees[0].Name },
		"negative total":    func(r *Record) { r.Trees[0].Totals.Bytes = -1 },
		"no chunk ID":       func(r *Record) { r.Trees[0].Chunks[1].ID = chunk.ID{} },
		"empty chunk":       func(r *Record) { r.Trees[0].Chunks[1].Length = 0 },
		"huge chunk":        func(r *Record) { r.Trees[0].Chunks[1].Length = maxChunk + 1 },
		"bad first path":    func(r *Record) { r.Trees[0].Chunks[1].FirstPath = "a/../b" },
		"begins late":       func(r *Record) { r.Trees[0].Chunks = r.Trees[0].Chunks[1:] },
		"begins twice":      func(r *Record) { r.Trees[0].Chunks[1].FirstPath = "" },
		"chunks disordered": func(r *Record) { slices.Reverse(r.Trees[0].Chunks[1:]) },
	} {
		rec := smallRecord()
		must(t, rec.Validate())
		spoil(rec)
		if rec.Validate() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	rec := smallRecord()
	if rec.Whole() {
		t.Error("whole, with a pending file and a stopped tree")
	}
	rec.Trees[0].Totals.Pending, rec.Trees[1].Stopped = 0, ""
	if !rec.Whole() {
		t.Error("not whole")
	}
	if tree, ok := rec.Tree("work"); !ok || tree.Name != "work" {
		t.Error("tree not found")
	}
	if _, ok := rec.Tree("nothing"); ok || rec.Totals().Files != 2 {
		t.Error("another record")
	}
}

func TestEntryValidate(t *testing.T) {
	good := smallTree()
	for name, spoil := range map[string]func(tree []*Entry){
		"kind 0":               func(t []*Entry) { t[1].Kind = 0 },
		"kind 8":               func(t []*Entry) { t[1].Kind = 8 },
		"mode":                 func(t []*Entry) { t[1].Mode = 0o10000 },
		"owner":                func(t []*Entry) { t[1].User = "a\x00" },
		"nanoseconds":          func(t []*Entry) { t[1].MTime.Nsec = 1e9 },
		"negative nanoseconds": func(t []*Entry) { t[1].BTime.Nsec = -1 },
		"pending directory":    func(t []*Entry) { t[1].Pending = true },
		"size of directory":    func(t []*Entry) { t[1].Size = 1 },
		"negative size":        func(t []*Entry) { t[2].Size = -1 },
		"carried, not pending": func(t []*Entry) { t[2].Pending = false },
		"content, no hash":     func(t []*Entry) { t[2].Hash = chunk.ContentHash{} },
		"empty extent":         func(t []*Entry) { t[2].Content[0].Length = 0 },
		"huge extent":          func(t []*Entry) { t[2].Content[0].Length = chunk.MaxSize + 1 },
		"hole with ID":         func(t []*Entry) { t[2].Content[6].ID[0] = 1 },
		"two holes":            func(t []*Entry) { t[2].Content = append(t[2].Content, Extent{Hole: true, Length: 1}) },
		"endless holes":        func(t []*Entry) { t[2].Content[6].Length = MaxHoles + 1 },
		"overflow":             func(t []*Entry) { t[2].Content[6].Length = MaxSize },
		"no target":            func(t []*Entry) { t[3].Target = "" },
		"target with NUL":      func(t []*Entry) { t[3].Target = "a\x00" },
		"target of a file":     func(t []*Entry) { t[4].Target = "x" },
		"attributes disorder":  func(t []*Entry) { slices.Reverse(t[4].Xattrs) },
		"attribute twice":      func(t []*Entry) { t[4].Xattrs[1].Name = t[4].Xattrs[0].Name },
		"attribute no name":    func(t []*Entry) { t[4].Xattrs[0].Name = "" },
		"huge attribute":       func(t []*Entry) { t[4].Xattrs[0].Value = make([]byte, MaxXattrBytes) },
		"device of a pipe":     func(t []*Entry) { t[6].Rdev = 1 },
	} {
		tree := smallTree()
		spoil(tree)
		bad := 0
		for i, e := range tree {
			must(t, good[i].Validate())
			if e.Validate() != nil {
				bad++
			}
		}
		if bad != 1 {
			t.Errorf("%s: %d entries refused", name, bad)
		}
	}
}

func TestScanRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tree := drawTree(t, 60)
		var b bytes.Buffer
		head := ScanHeader{Generation: rapid.Uint64().Draw(t, "generation"), Tree: drawName(t)}
		w, err := NewScanWriter(&b, head)
		if err != nil {
			t.Fatal(err)
		}
		var locals []Local
		for i, e := range tree {
			l := Local{Dev: rapid.Uint64().Draw(t, "dev"), Ino: uint64(i), CTime: drawTime(t), Nlink: 2, Holes: int64(i) << 20}
			locals = append(locals, l)
			if err := w.Add(&ScanEntry{l, *e, ScanFlag(i & 1), uint64(i)}); err != nil {
				t.Fatal(err)
			}
			if rapid.IntRange(0, 9).Draw(t, "flush") == 0 {
				if err := w.Flush(); err != nil {
					t.Fatal(err)
				}
			}
		}
		// Flushed and never closed, all of it is there all the same.
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		open := bytes.Clone(b.Bytes())
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		for i, file := range [][]byte{b.Bytes(), open} {
			r, err := NewScanReader(bytes.NewReader(file))
			if err != nil || r.Header() != head {
				t.Fatal(err)
			}
			for i, e := range tree {
				got, err := r.Next()
				if err != nil {
					t.Fatal(err)
				}
				sameEntry(t, e, &got.Entry)
				if got.Local != locals[i] || got.Flags != ScanFlag(i&1) || got.Since != uint64(i) {
					t.Fatalf("%+v", got)
				}
			}
			if _, err := r.Next(); (err == io.EOF) != (i == 0) {
				t.Fatal(err)
			}
		}
		if err := w.Add(&ScanEntry{Entry: *tree[0]}); err == nil {
			t.Fatal("added after Close")
		}
	})
}
