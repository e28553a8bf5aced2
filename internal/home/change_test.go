package home

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/snapshot"
)

// onRead does something each time a piece of a file of this name is read.
type onRead struct {
	disk.FS
	name string
	do   func()
}

func (o *onRead) Open(name string) (disk.File, error) {
	f, err := o.FS.Open(name)
	if err != nil || name != o.name {
		return f, err
	}
	return &onReadFile{f, o.do}, nil
}

type onReadFile struct {
	disk.File
	do func()
}

func (f *onReadFile) ReadAt(p []byte, off int64) (int, error) {
	f.do()
	return f.File.ReadAt(p, off)
}

// A file that changes once while it is read is read again and is good; one that goes on changing is packed as it was
// read, with a warning, and read again next time.
func TestAFileThatChangesWhileItIsRead(t *testing.T) {
	for _, always := range []bool{false, true} {
		w := newWorld(t)
		w.write("busy", 200_000, 1)
		w.write("calm", 1000, 2)
		settleClock()
		plain := w.trees["docs"]
		times := 0
		w.trees["docs"] = &onRead{plain, "busy", func() {
			if times++; always && times < 50 || times == 3 {
				must(t, os.WriteFile(w.path("busy"), random(150_000+1000*times, uint64(times)), 0o644))
				settleClock()
			}
		}}
		res := w.pack()
		v := w.newVault()
		v.take(w.drive)
		e := v.entries(v.newest, "docs")["busy"]
		v.content(e)
		if got := len(w.rep.Warnings()); (got == 1) != always {
			t.Errorf("always %v: %d warnings", always, got)
		}
		if res.Pending != 0 || e.Pending {
			t.Errorf("%+v", res)
		}
		w.trees["docs"] = plain
		settleClock()
		res = w.pack()
		if (res.BytesRead > 0) != always {
			t.Errorf("always %v: read %d bytes at the next pack", always, res.BytesRead)
		}
		v.take(w.drive)
		v.equals()
	}
}

// New content under the old size and mtime shows by its ctime.
func TestSameSizeAndTimeIsSeen(t *testing.T) {
	w := newWorld(t)
	w.write("f", 5000, 1)
	old := time.Now().Add(-time.Hour)
	must(t, os.Chtimes(w.path("f"), old, old))
	settleClock()
	w.pack()
	must(t, os.WriteFile(w.path("f"), random(5000, 2), 0o644))
	must(t, os.Chtimes(w.path("f"), old, old))
	settleClock()
	w.pack()
	v := w.newVault()
	v.take(w.drive)
	v.equals()
}

// A ctime ahead of the clock, which was put right since, does not make a file be read at every pack.
func TestAClockThatWasAhead(t *testing.T) {
	w := newWorld(t)
	w.write("f", 5000, 1)
	settleClock()
	for _, read := range []int64{5000, 0} {
		s := w.site()
		s.now = func() time.Time { return time.Now().Add(-24 * time.Hour) }
		res, err := s.pack(t.Context(), w.opts)
		must(t, err)
		if res.BytesRead != read {
			t.Errorf("read %d bytes, expected %d", res.BytesRead, read)
		}
	}
}

func TestSparseFilesKeepTheirHoles(t *testing.T) {
	w := newWorld(t)
	f, err := os.Create(w.path("sparse"))
	must(t, err)
	_, err = f.WriteAt(random(100_000, 1), 4<<20)
	must(t, err)
	_, err = f.WriteAt(random(50_000, 2), 9<<20)
	must(t, err)
	must(t, f.Truncate(12<<20))
	must(t, f.Close())
	f, err = os.Create(w.path("all-hole"))
	must(t, err)
	must(t, f.Truncate(3<<20))
	must(t, f.Close())
	settleClock()
	res := w.pack()
	v := w.newVault()
	v.take(w.drive)
	v.equals()
	holes := int64(0)
	for _, x := range v.entries(v.newest, "docs")["sparse"].Content {
		if x.Hole {
			holes += x.Length
		}
	}
	if holes < 10<<20 || res.BytesRead > 1<<20 {
		t.Skipf("this file system keeps no holes: %d bytes in holes, %d read", holes, res.BytesRead)
	}
}

// hollow has one file that is nothing but a hole.
type hollow struct {
	disk.FS
	name string
	size int64
}

func (h *hollow) Stat(name string) (disk.Stat, error) {
	st, err := h.FS.Stat(name)
	if name == h.name {
		st.Size = h.size
	}
	return st, err
}

func (h *hollow) Open(name string) (disk.File, error) {
	f, err := h.FS.Open(name)
	if err != nil || name != h.name {
		return f, err
	}
	return &hollowFile{f, h.size}, nil
}

type hollowFile struct {
	disk.File
	size int64
}

func (f *hollowFile) Stat() (disk.Stat, error) {
	st, err := f.File.Stat()
	st.Size = f.size
	return st, err
}

func (f *hollowFile) Data(int64) (int64, int64, error) { return 0, 0, io.EOF }

// A file whose zeros would take days to hash is named and holds up nothing.
func TestAnEndlessHoleStopsNothing(t *testing.T) {
	w := newWorld(t)
	w.write("endless", 0, 1)
	w.write("other", 5000, 2)
	w.trees["docs"] = &hollow{w.trees["docs"], "endless", snapshot.MaxHoles + 1}
	settleClock()
	res := w.pack()
	if res.Problems != 1 || res.Unseen != 1 {
		t.Errorf("%d problems, %d unseen: %v", res.Problems, res.Unseen, w.rep.Problems())
	}
	v := w.newVault()
	v.take(w.drive)
	if e := v.entries(v.newest, "docs"); !e["endless"].Unseen || e["other"].Hash.IsZero() {
		t.Errorf("%+v, %+v", e["endless"], e["other"])
	}
}

// A hole may be most of a file that is smaller than the smallest chunk of a route.
func TestShortSparseFilesAreHashed(t *testing.T) {
	w := newWorld(t)
	w.cfg.Chunker = chunkerConf{Polynomial: w.cfg.Chunker.Polynomial, Min: 512 << 10, Max: 8 << 20, AverageBits: 20}
	must(t, os.WriteFile(w.path("hole"), nil, 0o644))
	must(t, os.Truncate(w.path("hole"), 400<<10))
	w.write("data, then a hole", 100<<10, 1)
	must(t, os.Truncate(w.path("data, then a hole"), 450<<10))
	f, err := os.Create(w.path("a hole, then data"))
	must(t, err)
	_, err = f.WriteAt(random(50<<10, 2), 300<<10)
	must(t, err)
	must(t, f.Close())
	w.write("data", 400<<10, 3)
	must(t, os.WriteFile(w.path("empty"), nil, 0o644))
	settleClock()
	w.pack()
	v := w.newVault()
	v.take(w.drive)
	v.equals()
}

// An entry that says of content that it is empty is not believed: the file is read.
func TestAWrongEmptyHashIsNotReused(t *testing.T) {
	e := &snapshot.ScanEntry{Entry: snapshot.Entry{Kind: disk.KindFile, Hash: chunk.SumContent(nil)}}
	if !hasContent(e) {
		t.Error("an empty file has no content that is known")
	}
	e.Entry.Content = []snapshot.Extent{{Hole: true, Length: 400 << 10}}
	if hasContent(e) {
		t.Error("a hole is taken for an empty file")
	}
}

// beforeOpen does something before a file of this name is opened.
type beforeOpen struct {
	disk.FS
	name string
	do   func()
}

func (b *beforeOpen) Open(name string) (disk.File, error) {
	if name == b.name {
		b.do()
	}
	return b.FS.Open(name)
}

func TestAFileThatGrowsBeforeItIsOpened(t *testing.T) {
	w := newWorld(t)
	w.write("f", 100, 1)
	settleClock()
	w.trees["docs"] = &beforeOpen{w.trees["docs"], "f", func() {
		must(t, os.WriteFile(w.path("f"), random(50_000, 9), 0o644))
		settleClock()
	}}
	w.pack()
	v := w.newVault()
	v.take(w.drive)
	v.equals()
}

// A no-change pack over many files costs little on the drive, and reads nothing.
func TestNothingChangedCostsLittle(t *testing.T) {
	files := 20_000
	if testing.Short() || raceEnabled {
		files = 5_000
	}
	w := newWorld(t)
	for i := range files {
		if i%500 == 0 {
			must(t, os.MkdirAll(w.path(fmt.Sprintf("directory-%03d", i/500)), 0o755))
		}
		must(t, os.WriteFile(w.path(fmt.Sprintf("directory-%03d/file-%06d", i/500, i)), []byte(fmt.Sprint("content ", i)), 0o644))
	}
	settleClock()
	w.pack()
	v := w.newVault()
	v.take(w.drive)
	v.receipt(w.drive)
	res := w.pack()
	if res.BytesWritten > 256<<10 || res.BytesRead != 0 || res.Files != int64(files) {
		t.Errorf("%d bytes on the drive: %+v", res.BytesWritten, res)
	}
	must(t, os.WriteFile(w.path("directory-000/new"), []byte("new"), 0o644))
	settleClock()
	if res := w.pack(); res.BytesWritten > 256<<10 || res.BytesRead != 3 {
		t.Errorf("%d bytes on the drive: %+v", res.BytesWritten, res)
	}
}

// What goes away between being listed and being opened is gone, and no problem.
func TestAFileThatVanishes(t *testing.T) {
	w := newWorld(t)
	w.someFiles()
	w.trees["docs"] = &vanishing{w.trees["docs"]}
	res := w.pack()
	if res.Incomplete() || res.Files != 5 {
		t.Errorf("%+v", res)
	}
}

type vanishing struct{ disk.FS }

func (v *vanishing) Open(name string) (disk.File, error) {
	if name == "b" {
		return nil, os.ErrNotExist
	}
	return v.FS.Open(name)
}

// A shorter read than last time does not forget what an earlier trip carried of a file.
func TestCarriedIsNotForgotten(t *testing.T) {
	w := newWorld(t)
	w.write("file", 400<<10, 1)
	settleClock()
	w.pack()
	w.write("file", 900<<10, 2)
	settleClock()
	w.small(900<<10, 0)
	w.pack()
	v := w.newVault()
	v.take(w.drive)
	before := length(v.entries(v.newest, "docs")["file"].Carried)
	stop := make(chan struct{})
	w.opts.Stop = stop
	w.trees["docs"] = &onRead{w.trees["docs"], "file", func() {
		select {
		case <-stop:
		default:
			close(stop)
		}
	}}
	w.newDrive("C")
	w.pack()
	v.take(w.drive)
	after := length(v.entries(v.newest, "docs")["file"].Carried)
	if before == 0 || after < before {
		t.Errorf("carried %d bytes, then %d", before, after)
	}
}

// Names of any bytes, and what this package says about them.
func TestOddNames(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"new\nline", "back\\slash", "\xff\xfe", "-dash", "spa ce", "ü"} {
		if os.WriteFile(w.path(name), []byte(name), 0o644) != nil {
			t.Skipf("no file %q here", name)
		}
	}
	settleClock()
	w.trees["docs"] = &failing{FS: w.trees["docs"], files: map[string]bool{"\xff\xfe": true}}
	res := w.pack()
	if res.Problems != 1 || !strings.Contains(w.rep.Problems()[0].String(), `\xff`) {
		t.Errorf("%v", w.rep.Problems())
	}
	v := w.newVault()
	v.take(w.drive)
	got := v.entries(v.newest, "docs")
	if e := got["new\nline"]; e == nil || !bytes.Equal(v.content(e), []byte("new\nline")) {
		t.Errorf("%+v", e)
	}
}
