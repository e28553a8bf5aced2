package disktest_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"testing"

	"waterlock/internal/disk"
	"waterlock/internal/disk/disktest"
)

// names lists a directory as one string.
func names(t *testing.T, fsys disk.FS, name string) string {
	t.Helper()
	n, err := fsys.ReadDir(name)
	must(t, err)
	var all []string
	for i := range n.Len() {
		all = append(all, n.At(i))
	}
	return strings.Join(all, " ")
}

func content(t *testing.T, fsys disk.FS, name string) string {
	t.Helper()
	data, err := disk.ReadAll(fsys, name, 1<<30)
	must(t, err)
	return string(data)
}

func TestNothingIsDurableUnsynced(t *testing.T) {
	m := disktest.NewMem()
	write(t, m, "a", "one")
	must(t, m.SyncFiles([]string{"a"}))
	if got := names(t, m.Crashed(disktest.Strict, 0), "."); got != "" {
		t.Errorf("syncing a new file made its name durable: %q", got)
	}
	if got := content(t, m.Crashed(disktest.Names, 0), "a"); got != "one" {
		t.Errorf("synced data read back as %q", got)
	}

	must(t, m.SyncDir("."))
	write(t, m, "b", "two")
	must(t, m.SyncDir("."))
	after := m.Crashed(disktest.Strict, 0)
	if got := names(t, after, "."); got != "a b" {
		t.Errorf("names %q", got)
	}
	if got := content(t, after, "b"); got != "" {
		t.Errorf("unsynced data survived: %q", got)
	}

	must(t, m.Remove("a"))
	must(t, m.Rename("b", "c"))
	if got := names(t, m.Crashed(disktest.Strict, 0), "."); got != "a b" {
		t.Errorf("unsynced changes of a directory survived: %q", got)
	}
	if got := names(t, m.Crashed(disktest.Names, 0), "."); got != "c" {
		t.Errorf("names %q", got)
	}
	seen := map[string]bool{}
	for seed := range uint64(100) {
		seen[names(t, m.Crashed(disktest.Random, seed), ".")] = true
	}
	for _, want := range []string{"a b", "b", "c"} {
		if !seen[want] {
			t.Errorf("of 100 crashes none left %q", want)
		}
		delete(seen, want)
	}
	if len(seen) > 0 {
		t.Errorf("crashes left what no order of changes gives: %v", seen)
	}
}

func TestOverwrittenDataMayBeOldNewOrTorn(t *testing.T) {
	m := disktest.NewMem()
	must(t, disk.Put(m, "f", bytes.Repeat([]byte("o"), 5000)))
	f, err := m.OpenWrite("f")
	must(t, err)
	mustN(t, 6000)(f.WriteAt(bytes.Repeat([]byte("n"), 6000), 0))
	must(t, m.SetMeta("f", disk.Meta{Mode: 0o777, MTime: disk.Time{Sec: 1}}, disk.MetaOptions{Mode: true}))

	strict := m.Crashed(disktest.Strict, 0)
	if got := content(t, strict, "f"); got != strings.Repeat("o", 5000) {
		t.Errorf("unsynced data survived")
	}
	if st := stat(t, strict, "f"); st.Mode != 0o600 || st.MTime.Sec == 1 {
		t.Errorf("unsynced metadata survived: %+v", st)
	}
	old, now, torn := 0, 0, 0
	for seed := range uint64(100) {
		got := content(t, m.Crashed(disktest.Random, seed), "f")
		if len(got) < 5000 || len(got) > 6000 {
			t.Fatalf("%d bytes", len(got))
		}
		switch got[:5000] {
		case strings.Repeat("o", 5000):
			old++
		case strings.Repeat("n", 5000):
			now++
		default:
			torn++
		}
		if strings.Trim(got, "on\x00") != "" || strings.Contains(got[:4096], "\x00") {
			t.Fatalf("neither old nor new")
		}
	}
	if old == 0 || now == 0 || torn == 0 {
		t.Errorf("old %d, new %d, torn %d times", old, now, torn)
	}
	must(t, f.Sync())
	for _, mode := range disktest.Modes {
		after := m.Crashed(mode, 7)
		if got := content(t, after, "f"); got != strings.Repeat("n", 6000) {
			t.Errorf("%v: synced data is lost", mode)
		}
		if st := stat(t, after, "f"); st.Mode != 0o777 || st.MTime.Sec != 1 {
			t.Errorf("%v: synced metadata is lost: %+v", mode, st)
		}
	}
}

// A rename over two directories needs both synced; before that the file is
// seen under either name or both, never under none.
func TestRenameAcrossDirectories(t *testing.T) {
	setup := func() *disktest.Mem {
		m := disktest.NewMem()
		must(t, disk.MkdirAll(m, "a", 0o755))
		must(t, disk.MkdirAll(m, "b", 0o755))
		must(t, disk.Put(m, "a/f", []byte("x")))
		must(t, m.Rename("a/f", "b/g"))
		return m
	}
	look := func(m *disktest.Mem) string { return names(t, m, "a") + "|" + names(t, m, "b") }
	for _, c := range []struct {
		sync []string
		want string
	}{
		{nil, "f|"},
		{[]string{"a"}, "f|"},
		{[]string{"b"}, "f|g"},
		{[]string{"a", "b"}, "|g"},
		{[]string{"b", "a"}, "|g"},
	} {
		m := setup()
		for _, dir := range c.sync {
			must(t, m.SyncDir(dir))
		}
		after := m.Crashed(disktest.Strict, 0)
		if got := look(after); got != c.want {
			t.Errorf("synced %v: %q, want %q", c.sync, got, c.want)
		}
		if c.want == "f|g" {
			if st := stat(t, after, "b/g"); st.Nlink != 2 || st.Ino != stat(t, after, "a/f").Ino {
				t.Errorf("two names, but %+v", st)
			}
		}
	}
	seen := map[string]bool{}
	for seed := range uint64(100) {
		seen[look(setup().Crashed(disktest.Random, seed))] = true
	}
	if !seen["f|"] || !seen["f|g"] || !seen["|g"] || len(seen) != 3 {
		t.Errorf("seen %v", seen)
	}
}

// Changes of a name that come after a rename that waits do not overtake it.
func TestChangesOfANameKeepTheirOrder(t *testing.T) {
	m := disktest.NewMem()
	must(t, disk.MkdirAll(m, "a", 0o755))
	must(t, disk.MkdirAll(m, "b", 0o755))
	must(t, disk.Put(m, "a/f", []byte("first")))
	must(t, m.Rename("a/f", "b/f"))
	must(t, disk.Put(m, "a/f", []byte("second")))
	after := m.Crashed(disktest.Strict, 0)
	if got := content(t, after, "a/f"); got != "first" {
		t.Errorf("a/f is %q though its rename is not synced", got)
	}
	must(t, m.SyncDir("b"))
	after = m.Crashed(disktest.Strict, 0)
	if a, b := content(t, after, "a/f"), content(t, after, "b/f"); a != "second" || b != "first" {
		t.Errorf("%q, %q", a, b)
	}
}

func TestInodeNumbers(t *testing.T) {
	m := disktest.NewMem()
	must(t, disk.Put(m, "a", []byte("x")))
	ino := stat(t, m, "a").Ino
	must(t, m.Rename("a", "b"))
	must(t, m.SyncDir("."))
	for _, mode := range disktest.Modes {
		if got := stat(t, m.Crashed(mode, 1), "b").Ino; got != ino {
			t.Errorf("%v: number %d after a crash, was %d", mode, got, ino)
		}
	}
	must(t, m.Remove("b"))
	write(t, m, "c", "")
	if got := stat(t, m, "c").Ino; got == ino {
		t.Error("the number was used again while a crash could bring its file back")
	}
	if got := content(t, m.Crashed(disktest.Strict, 0), "b"); got != "x" {
		t.Errorf("removed, not synced: %q", got)
	}
	must(t, m.SyncDir("."))
	write(t, m, "d", "")
	if got := stat(t, m, "d").Ino; got != ino {
		t.Errorf("number %d is not used again, as file systems do; got %d", ino, got)
	}
}

func TestCapacity(t *testing.T) {
	m := disktest.NewMem()
	m.SetCapacity(5 * 4096)
	f, err := m.Create("f", 0o600)
	must(t, err)
	n, err := f.Write(make([]byte, 100_000))
	if n != 5*4096 || !disk.IsNoSpace(err) {
		t.Errorf("wrote %d, %v", n, err)
	}
	mustN(t, 100)(f.WriteAt(make([]byte, 100), 0))
	if s, _ := m.Free(); s != (disk.Space{Avail: 0, Total: 5 * 4096}) {
		t.Errorf("%+v", s)
	}
	must(t, m.Remove("f"))
	if s, _ := m.Free(); s.Avail != 0 {
		t.Error("an open file takes no room once it is removed")
	}
	must(t, f.Close())
	must(t, disk.Put(m, "g", make([]byte, 5*4096)))
	must(t, m.Link("g", "h"))
	must(t, m.Remove("g"))
	f, err = m.OpenWrite("h")
	must(t, err)
	must(t, f.Truncate(4096))
	must(t, f.Close())
	if s, _ := m.Crashed(disktest.Names, 0).Free(); s.Avail != 0 {
		t.Errorf("%+v: the truncation was not synced", s)
	}
	if s, _ := m.Free(); s.Avail != 4*4096 {
		t.Errorf("%+v", s)
	}
}

func TestCrashAfter(t *testing.T) {
	m := disktest.NewMem()
	write(t, m, "a", "x")
	f, err := m.OpenWrite("a")
	must(t, err)
	before := m.Ops()
	m.CrashAfter(2)
	must(t, m.Mkdir("d", 0o755))
	must(t, f.Sync())
	if m.DidCrash() || m.Ops() != before+2 {
		t.Errorf("%d operations", m.Ops()-before)
	}
	wantErr(t, m.Remove("a"), disktest.ErrCrashed)
	_, err = m.Stat("a")
	wantErr(t, err, disktest.ErrCrashed)
	_, err = f.Read(make([]byte, 1))
	wantErr(t, err, disktest.ErrCrashed)
	wantErr(t, f.Sync(), disktest.ErrCrashed)
	_, err = m.Free()
	wantErr(t, err, disktest.ErrCrashed)
	if !m.DidCrash() {
		t.Error("it did not crash")
	}
	after := m.Crashed(disktest.Names, 0)
	if got := names(t, after, "."); got != "a d" {
		t.Errorf("%q", got)
	}
	must(t, after.Remove("a"))
}

// One crashed copy is not changed by what goes on in another.
func TestCrashedCopiesAreApart(t *testing.T) {
	m := disktest.NewMem()
	must(t, disk.Put(m, "f", []byte("old")))
	one, two := m.Crashed(disktest.Strict, 0), m.Crashed(disktest.Random, 0)
	for i, fsys := range []disk.FS{m, one, two} {
		f, err := fsys.OpenWrite("f")
		must(t, err)
		mustN(t, 1)(f.WriteAt([]byte{byte('0' + i)}, 0))
		write(t, fsys, fmt.Sprint(i), "")
	}
	for i, fsys := range []disk.FS{m, one, two} {
		if got := content(t, fsys, "f"); got != fmt.Sprintf("%dld", i) {
			t.Errorf("%q", got)
		}
		if got := names(t, fsys, "."); got != fmt.Sprintf("%d f", i) {
			t.Errorf("%q", got)
		}
	}
	if got := content(t, m.Crashed(disktest.Strict, 0), "f"); got != "old" {
		t.Errorf("%q", got)
	}
}

func TestMemIsSafeForConcurrentUse(t *testing.T) {
	m := disktest.NewMem()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			dir := fmt.Sprint(i % 4)
			if err := m.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
				t.Error(err)
			}
			for j := range 50 {
				name := fmt.Sprintf("%s/%d-%d", dir, i, j)
				if err := disk.Put(m, name, []byte(name)); err != nil {
					t.Error(err)
				}
				if j%10 == 0 {
					m.Crashed(disktest.Random, uint64(j))
				}
			}
		})
	}
	wg.Wait()
	for i := range 4 {
		if n, err := m.ReadDir(fmt.Sprint(i)); err != nil || n.Len() != 100 {
			t.Errorf("%d names, %v", n.Len(), err)
		}
	}
}
