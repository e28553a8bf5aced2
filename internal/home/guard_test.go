package home

import (
	"fmt"
	"os"
	"strings"
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
