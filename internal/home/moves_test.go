package home

import (
	"os"
	"strings"
	"testing"
	"time"

	"waterlock/internal/disk"
)

// inodes gives files of a tree inode numbers and times of birth by their names.
type inodes struct {
	disk.FS
	ino   map[string]uint64
	birth map[string]disk.Time // by the first letters of a name
}

func (f *inodes) Stat(name string) (disk.Stat, error) {
	st, err := f.FS.Stat(name)
	if ino, ok := f.ino[name]; ok {
		st.Ino = ino
	}
	for prefix, t := range f.birth {
		if strings.HasPrefix(name, prefix) {
			st.BTime = t
		}
	}
	return st, err
}

// A new file that was given the inode of a deleted one is not taken for it, even if size and mtime are the same.
func TestAReusedInodeIsNoMove(t *testing.T) {
	old := time.Unix(1, 0)
	for name, birth := range map[string]map[string]disk.Time{
		"born later":    {"old": {Sec: 100}, "new": {Sec: 200}},
		"birth unknown": {"old": {}, "new": {}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.trees["docs"] = &inodes{w.trees["docs"], map[string]uint64{"old": 77, "new": 77}, birth}
			w.write("old", 5000, 1)
			must(t, os.Chtimes(w.path("old"), old, old))
			for _, other := range []string{"a", "b", "c", "d", "e", "f"} { // so that one may go
				w.write(other, 100, uint64(other[0]))
			}
			settleClock()
			w.pack()
			must(t, os.Remove(w.path("old")))
			w.write("new", 5000, 2)
			must(t, os.Chtimes(w.path("new"), old, old))
			settleClock()
			if res := w.pack(); res.Moved != 0 || res.BytesRead != 5000 {
				t.Errorf("%+v", res)
			}
			v := w.newVault()
			v.take(w.drive)
			v.equals()
		})
	}
}

// A further link is not a move: the inode may have been written to since, and its first path says so.
func TestANewLinkOfAChangedFileIsNoMove(t *testing.T) {
	old := time.Unix(1, 0)
	w := newWorld(t)
	w.write("old", 5000, 1)
	must(t, os.Chtimes(w.path("old"), old, old))
	settleClock()
	w.pack()
	must(t, os.WriteFile(w.path("old"), random(5000, 2), 0o644))
	must(t, os.Chtimes(w.path("old"), old, old))
	must(t, os.Link(w.path("old"), w.path("a-link")))
	settleClock()
	if res := w.pack(); res.Moved != 0 || res.BytesRead != 5000 {
		t.Errorf("%+v", res)
	}
	v := w.newVault()
	v.take(w.drive)
	v.equals()
}
