package home

import (
	"fmt"
	"strings"
	"testing"

	"waterlock/internal/disk"
	"waterlock/snapshot"
)

// withMount is a tree with a disk mounted on d/m, if mounted is set, and nothing there else. Its device has the number
// base.
type withMount struct {
	disk.FS
	dir     string
	mounted *bool
	base    *uint64
}

const mountPoint = "d/m"

func (m *withMount) Stat(name string) (disk.Stat, error) {
	st, err := m.FS.Stat(name)
	path := m.dir
	if name != "." {
		path = snapshot.Join(m.dir, name)
	}
	st.Dev = *m.base
	if *m.mounted && (path == mountPoint || snapshot.Under(path, mountPoint)) {
		st.Dev++
	}
	return st, err
}

func (m *withMount) ReadDir(name string) (disk.Names, error) {
	if m.dir == mountPoint && !*m.mounted {
		return disk.Names{}, nil
	}
	return m.FS.ReadDir(name)
}

func (m *withMount) Sub(name string) (disk.FS, error) {
	fs, err := m.FS.Sub(name)
	if err != nil {
		return nil, err
	}
	return &withMount{fs, snapshot.Join(m.dir, name), m.mounted, m.base}, nil
}

// A disk within a tree that is not mounted this time is not a deletion of what lies on it.
func TestADiskThatIsNotMountedIsUnseen(t *testing.T) {
	w := newWorld(t)
	for i := range 20 {
		w.write(fmt.Sprintf("d/f%d", i), 5000, uint64(i))
	}
	w.write("d/m/a", 5000, 100)
	w.write("d/m/b/c", 5000, 101)
	settleClock()
	mounted, base := true, uint64(7)
	w.trees["docs"] = &withMount{w.trees["docs"], "", &mounted, &base}
	w.pack()
	v := w.newVault()
	for range 2 {
		mounted = false
		res := w.pack()
		if res.Files != 22 || res.Unseen != 4 || res.Problems != 1 || !res.Incomplete() {
			t.Fatalf("%+v", res)
		}
		v.take(w.drive)
		if got := v.entries(v.newest, "docs")["d/m/b/c"]; got == nil || !got.Unseen {
			t.Fatalf("%+v", got)
		}
	}
	mounted = true
	if res := w.pack(); res.Files != 22 || res.Incomplete() || res.BytesRead != 0 {
		t.Errorf("%+v", res)
	}
	mounted = false
	w.opts.AllowDevice = []string{"docs"}
	if res := w.pack(); res.Files != 20 || res.Incomplete() {
		t.Errorf("%+v", res)
	}
	w.opts.AllowDevice = nil
	if res := w.pack(); res.Files != 20 || res.Incomplete() || len(w.rep.Problems()) != 0 {
		t.Errorf("%+v", res)
	}
	if !strings.Contains(errUnmounted.Error(), flagDevice) {
		t.Error("the flag is not named")
	}
}
