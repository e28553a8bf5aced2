package home

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"waterlock/internal/disk"
)

// leaving is a tree whose disk goes away between the survey and the pass: the second time its root is looked at, it is
// as gone makes it.
type leaving struct {
	disk.FS
	gone  func(disk.FS) disk.FS
	stats int
}

func (l *leaving) now() disk.FS {
	if l.stats > 1 {
		return l.gone(l.FS)
	}
	return l.FS
}

func (l *leaving) Stat(name string) (disk.Stat, error) {
	if name == "." {
		l.stats++
	}
	return l.now().Stat(name)
}

func (l *leaving) ReadDir(name string) (disk.Names, error) { return l.now().ReadDir(name) }
func (l *leaving) Sub(name string) (disk.FS, error)        { return l.now().Sub(name) }

// bare is a directory with nothing in it.
type bare struct{ disk.FS }

func (bare) ReadDir(string) (disk.Names, error) { return disk.Names{}, nil }

// A disk that goes away behind the survey is noticed by the guards all the same: nothing of its tree counts as deleted.
func TestGuardsLookAgainAfterThePass(t *testing.T) {
	for name, c := range map[string]struct {
		gone   func(disk.FS) disk.FS
		reason string
	}{
		"empty":      {func(fs disk.FS) disk.FS { return bare{fs} }, "empty"},
		"device":     {func(fs disk.FS) disk.FS { return otherDevice{fs} }, "another device"},
		"unreadable": {func(fs disk.FS) disk.FS { return badRoot{fs} }, syscall.EIO.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "docs", "other")
			for i := range 10 {
				w.write(fmt.Sprintf("d/%d", i), 5000, uint64(i))
			}
			settleClock()
			w.pack()
			v := w.newVault()
			v.take(w.drive)
			v.receipt(w.drive)
			sound := w.trees["docs"]
			w.trees["docs"] = &leaving{FS: sound, gone: c.gone}
			res := w.pack()
			if len(res.Stopped) != 1 || res.Stopped[0].Tree != "docs" || !strings.Contains(res.Stopped[0].Reason, c.reason) {
				t.Fatalf("%+v", res)
			}
			v.take(w.drive)
			before, _ := v.records[1].Tree("docs")
			after, _ := v.newest.Tree("docs")
			if after.Stopped == "" || after.Totals != before.Totals || len(after.Chunks) != len(before.Chunks) || after.Chunks[0] != before.Chunks[0] {
				t.Errorf("the stream is not that of last time: %+v", after)
			}
			w.trees["docs"] = sound
			if res := w.pack(); len(res.Stopped) != 0 || res.Files != 10 || res.BytesRead != 0 {
				t.Errorf("with the disk back: %+v", res)
			}
		})
	}
}
