package home

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"waterlock/internal/disk"
	"waterlock/internal/exit"
)

// otherDevice is a tree that lies on another device than it did.
type otherDevice struct{ disk.FS }

func (o otherDevice) Stat(name string) (disk.Stat, error) {
	st, err := o.FS.Stat(name)
	st.Dev++
	return st, err
}

func TestGuards(t *testing.T) {
	for _, c := range []struct {
		name   string
		harm   func(w *world)
		reason string
		flag   string
		allow  func(o *PackOptions)
		left   int64 // files in the snapshot once allowed
	}{
		{"missing", func(w *world) { delete(w.trees, "docs") }, "missing", "--allow-missing", func(o *PackOptions) { o.AllowMissing = []string{"docs"} }, 1},
		{"empty", func(w *world) { must(w.t, os.RemoveAll(w.path("d"))) }, "empty", "--allow-empty", func(o *PackOptions) { o.AllowEmpty = []string{"*"} }, 1},
		{"device", func(w *world) { w.trees["docs"] = otherDevice{w.trees["docs"]} }, "another device", "--allow-device", func(o *PackOptions) { o.AllowDevice = []string{"docs"} }, 11},
		{"vanished", func(w *world) {
			for i := range 3 {
				must(w.t, os.Remove(w.path("d", fmt.Sprint(i))))
			}
		}, "3 of its 10 files are gone", "--allow-vanished", func(o *PackOptions) { o.AllowVanished = []string{"docs"} }, 8},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, "docs", "other")
			for i := range 10 {
				w.write(fmt.Sprintf("d/%d", i), 5000, uint64(i))
			}
			must(t, os.WriteFile(w.roots["other"]+"/x", []byte("x"), 0o644))
			settleClock()
			w.pack()
			v := w.newVault()
			v.take(w.drive)
			v.receipt(w.drive)
			c.harm(w)
			res := w.pack()
			if !res.Incomplete() || len(res.Stopped) != 1 || !strings.Contains(res.Stopped[0].Reason, c.reason) || res.Stopped[0].Flag != c.flag {
				t.Fatalf("%+v", res)
			}
			v.take(w.drive)
			before, _ := v.records[1].Tree("docs")
			after, _ := v.newest.Tree("docs")
			if after.Stopped == "" || len(after.Chunks) != len(before.Chunks) || after.Chunks[0] != before.Chunks[0] || after.Totals != before.Totals {
				t.Errorf("the stream is not that of last time: %+v", after)
			}
			if len(v.entries(v.newest, "other")) != 2 {
				t.Error("the other tree is stopped, too")
			}
			if res := w.pack(); len(res.Stopped) != 1 { // and it stays so until somebody decides
				t.Fatalf("%+v", res)
			}
			c.allow(&w.opts)
			res = w.pack()
			if len(res.Stopped) != 0 || res.Files != c.left {
				t.Errorf("%d files, %+v", res.Files, res)
			}
		})
	}
}

func TestGuardsKnowMovesAndFirstTimes(t *testing.T) {
	w := newWorld(t)
	for i := range 10 {
		w.write(fmt.Sprintf("d/%d", i), 5000, uint64(i))
	}
	settleClock()
	w.pack()
	must(t, os.Rename(w.path("d"), w.path("e"))) // nothing is gone
	if res := w.pack(); len(res.Stopped) != 0 || res.BytesRead != 0 || res.Moved != 10 {
		t.Errorf("%+v", res)
	}

	w = newWorld(t, "never")
	delete(w.trees, "never")
	res := w.pack()
	if len(res.Stopped) != 1 || res.Snapshot != 1 {
		t.Errorf("%+v", res)
	}
	w.opts.AllowMissing = []string{"nevr"}
	_, err := w.tryPack()
	wantCode(t, err, exit.Usage)
}

// badRoot is a tree whose root fails.
type badRoot struct{ disk.FS }

func (badRoot) Stat(string) (disk.Stat, error) { return disk.Stat{}, syscall.EIO }

// A root that cannot be read stops its own tree, is not taken for an empty one, and no flag makes it one.
func TestAnUnreadableRootStopsItsTreeAlone(t *testing.T) {
	for name, harm := range map[string]func(fs disk.FS) disk.FS{
		"stat": func(fs disk.FS) disk.FS { return badRoot{fs} },
		"list": func(fs disk.FS) disk.FS { return &failing{FS: fs, dirs: map[string]bool{"": true}} },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "docs", "other")
			w.write("f", 5000, 1)
			must(t, os.WriteFile(w.roots["other"]+"/x", []byte("x"), 0o644))
			settleClock()
			w.pack()
			w.trees["other"] = harm(w.trees["other"])
			w.write("g", 5000, 2)
			settleClock()
			w.opts.AllowEmpty = []string{"*"}
			res := w.pack()
			if len(res.Stopped) != 1 || !strings.Contains(res.Stopped[0].Reason, "cannot be read") || res.Stopped[0].Flag != "" || res.Files != 3 {
				t.Errorf("%+v", res)
			}
			v := w.newVault()
			v.take(w.drive)
			v.equals()
		})
	}
}

// A tree that is gone on purpose is an empty one in the snapshot, and may come back.
func TestATreeThatIsGoneOnPurposeIsEmpty(t *testing.T) {
	w := newWorld(t)
	w.write("f", 5000, 1)
	settleClock()
	w.pack()
	plain := w.trees["docs"]
	delete(w.trees, "docs")
	w.opts.AllowMissing = []string{"docs"}
	w.pack()
	v := w.newVault()
	v.take(w.drive)
	if got := v.entries(v.newest, "docs"); len(got) != 1 || got[""] == nil || got[""].Kind != disk.KindDir {
		t.Errorf("%v", got)
	}
	w.trees["docs"] = plain
	w.opts.AllowMissing = nil
	if res := w.pack(); len(res.Stopped) != 0 || res.Files != 1 {
		t.Errorf("%+v", res)
	}
}

// Further links to files that are still there do not make up for others that are gone; moved ones do, and a link that
// took the place of a file does.
func TestNewLinksDoNotHideDeletions(t *testing.T) {
	w := newWorld(t)
	for i := range 20 {
		w.write(fmt.Sprintf("f%02d", i), 5000, uint64(i))
	}
	settleClock()
	w.pack()
	for i := range 10 {
		must(t, os.Link(w.path(fmt.Sprintf("f%02d", i)), w.path(fmt.Sprintf("l%02d", i))))
	}
	for i := 10; i < 20; i++ {
		must(t, os.Rename(w.path(fmt.Sprintf("f%02d", i)), w.path(fmt.Sprintf("m%02d", i))))
	}
	if res := w.pack(); len(res.Stopped) != 0 || res.Files != 30 {
		t.Errorf("%+v", res)
	}
	for i := range 10 {
		must(t, os.Remove(w.path(fmt.Sprintf("f%02d", i)))) // the other link stays
		must(t, os.Link(w.path(fmt.Sprintf("l%02d", i)), w.path(fmt.Sprintf("n%02d", i))))
		must(t, os.Link(w.path(fmt.Sprintf("l%02d", i)), w.path(fmt.Sprintf("o%02d", i))))
		must(t, os.Remove(w.path(fmt.Sprintf("m%02d", i+10))))
	}
	res := w.pack()
	if len(res.Stopped) != 1 || !strings.Contains(res.Stopped[0].Reason, "10 of its 30 files") {
		t.Errorf("%+v", res)
	}
}
