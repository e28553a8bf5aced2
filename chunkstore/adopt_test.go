package chunkstore

import (
	"os"
	"slices"
	"strings"
	"testing"

	"waterlock/index"
	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/internal/disk/disktest"
	"waterlock/snapshot"
)

// found is what an adoption reads at a path of tree a: its entry, and its Stat.
func (w *world) found(p string) (*snapshot.Entry, disk.Stat) {
	w.t.Helper()
	st, err := w.fs.Stat("a/" + p)
	if err != nil {
		w.t.Fatal(err)
	}
	text, _ := read(w.fs, "a/"+p)
	e := w.file(p, []byte(text), st.MTime.Sec)
	e.MTime, e.Mode = st.MTime, st.Mode
	for id := range w.drive { // it is not from the drive
		delete(w.drive, id)
	}
	if st.Nlink > 1 {
		e.LinkGroup = st.Ino
	}
	return e, st
}

// adoptAll adopts these paths of tree a, those that are not known.
func (w *world) adoptAll(paths ...string) error {
	a, err := w.s.Adopt("a")
	if err != nil {
		return err
	}
	for _, p := range paths {
		if known, err := a.Known(p); err != nil || known {
			if err != nil {
				return err
			}
			continue
		}
		e, st := w.found(p)
		linked, err := a.Link(&snapshot.Entry{Path: p, Kind: e.Kind, Mode: e.Mode, MTime: e.MTime, Size: e.Size, LinkGroup: e.LinkGroup}, st)
		if err == nil && !linked {
			err = a.Add(e, st)
		}
		if err != nil {
			return err
		}
	}
	return a.Commit()
}

// adopted is a vault in which these files lay before, by their content.
func adopted(t testing.TB, files map[string]string) *world {
	w := newWorld(t, disktest.NewMem()).open()
	w.fine(install(dir("")), install(dir("d")))
	var paths []string
	for p, text := range files {
		write(t, w.fs, "a/"+p, text)
		paths = append(paths, p)
	}
	slices.Sort(paths)
	if err := w.adoptAll(paths...); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) inode(name string) uint64 {
	w.t.Helper()
	st, err := w.fs.Stat(name)
	if err != nil {
		w.t.Fatal(err)
	}
	return st.Ino
}

func (w *world) isAdopted(p string) bool {
	w.t.Helper()
	row, ok, err := w.s.Catalog().Path("a", p)
	if err != nil {
		w.t.Fatal(err)
	}
	return ok && row.Adopted
}

// rebuilt checks that the records give the same rows again.
func (w *world) rebuilt() {
	w.t.Helper()
	before := w.rows()
	if err := w.s.Rebuild(w.t.(*testing.T).Context()); err != nil {
		w.t.Fatal(err)
	}
	sameRows(w.t, before, w.rows())
}

func (w *world) strangers() (list []string) {
	w.t.Helper()
	err := w.s.Strangers(w.t.(*testing.T).Context(), func(_, p string, _ disk.Stat) { list = append(list, p) })
	if err != nil {
		w.t.Fatal(err)
	}
	return list
}

func TestAnAdoptedFileIsClaimedInPlace(t *testing.T) {
	text := bytesOf(1, 3500)
	w := adopted(t, map[string]string{"f": text, "other": bytesOf(2, 10)})
	w.chunksOf(text)
	w.rebuilt()
	if got := w.strangers(); !slices.Equal(got, []string{"f", "other"}) {
		t.Fatalf("strangers: %q", got)
	}
	ino := w.inode("a/f")
	e := w.file("f", []byte(text), 77)
	e.Mode = 0o600
	clear(w.drive) // nothing of it was carried
	if res := w.fine(install(e)); res[0].Way != MetaOnly {
		t.Fatalf("%+v", res[0])
	}
	st, err := w.fs.Stat("a/f")
	if err != nil || st.Ino != ino || st.MTime.Sec != 77 || st.Mode != 0o600 || w.isAdopted("f") {
		t.Fatalf("%+v %v", st, err)
	}
	if got := w.strangers(); !slices.Equal(got, []string{"other"}) {
		t.Fatalf("strangers: %q", got)
	}
	w.rebuilt()
	w.chunksOf(text)
}

// What differs gives way, whole, and is a place of chunks where it goes: nothing
// of it is copied.
func TestAnAdoptedFileThatDiffersGivesWay(t *testing.T) {
	old := bytesOf(1, 5000)
	text := old[:2000] + bytesOf(2, 1000) + old[3000:]
	w := adopted(t, map[string]string{"f": old})
	res := w.fine(install(w.file("f", []byte(text), 9)))
	if res[0].Way != Assembled || res[0].Foreign == "" {
		t.Fatalf("%+v", res[0])
	}
	w.want("a/f", text)
	w.want(res[0].Foreign, old)
	clear(w.drive)
	w.chunksOf(old, text)
	w.rebuilt()
	w.chunksOf(old, text)
	if sp, err := w.s.Space(t.Context()); err != nil || sp.History != 0 || sp.Kept != 0 || sp.Foreign != 5000 {
		t.Fatalf("%+v %v", sp, err)
	}
	if _, err := w.s.Compact(t.Context(), CompactOptions{Needed: func(chunk.ID) (bool, error) { return false, nil }}); err != nil {
		t.Fatal(err)
	}
	w.want(res[0].Foreign, old)
	// Home has that content elsewhere: it is put together from there.
	e := w.file("d/was f", []byte(old), 5)
	clear(w.drive)
	w.fine(install(e))
	w.want("a/d/was f", old)

	// A person may remove it: that is no damage, and what only it held is wanted.
	if err := w.fs.Remove("a/d/was f"); err != nil {
		t.Fatal(err)
	}
	if err := w.fs.Remove(res[0].Foreign); err != nil {
		t.Fatal(err)
	}
	check, err := w.s.CheckMirror(t.Context())
	if err != nil || check.Chunks != 1 || len(w.rep.Problems()) != 0 {
		t.Fatalf("%+v %v %v", check, err, w.rep.Problems())
	}
}

func TestAdoptedFilesAreNeverRemoved(t *testing.T) {
	text, inDir := bytesOf(1, 1500), bytesOf(2, 2500)
	w := adopted(t, map[string]string{"f": text, "d/g": inDir})
	w.fine(remove("f"), remove("d/g"), remove("d"))
	w.want("a/f", text)
	w.want("a/d/g", inDir)
	w.rebuilt()

	// Not even where a file comes in the place of the directory.
	w.fine(install(dir("d")))
	w.fine(install(w.file("d", []byte("a file now"), 4)))
	w.want("a/d", "a file now")
	var aside []string
	for name, c := range all(t, w.fs, ".wl/foreign") {
		if c == inDir && strings.HasSuffix(name, "/a/d/g") {
			aside = append(aside, name)
		}
	}
	if len(aside) != 1 {
		t.Fatalf("%q of %v", aside, all(t, w.fs, ".wl/foreign"))
	}
	clear(w.drive)
	w.chunksOf(text, inDir)
	w.rebuilt()
	w.chunksOf(text, inDir)

	// Nor where a directory comes in the place of a file.
	w.fine(install(dir("f")), install(w.file("f/x", []byte("x"), 1)))
	w.want("a/f/x", "x")
	clear(w.drive)
	w.chunksOf(text)
	w.rebuilt()
}

func link(t testing.TB, fs disk.FS, from, to string) {
	t.Helper()
	if err := fs.Link("a/"+from, "a/"+to); err != nil {
		t.Fatal(err)
	}
	if err := fs.SyncDir("a"); err != nil {
		t.Fatal(err)
	}
}

func TestAdoptedHardLinksBecomeWhatTheyAreAtHome(t *testing.T) {
	text := bytesOf(1, 2500)
	inGroup := func(w *world, p string, g uint64) Action {
		e := w.file(p, []byte(text), 50)
		e.LinkGroup = g
		return install(e)
	}
	linked := func(t *testing.T) *world {
		w := newWorld(t, disktest.NewMem()).open()
		w.fine(install(dir("")))
		write(t, w.fs, "a/one", text)
		link(t, w.fs, "one", "two")
		link(t, w.fs, "one", "zz only here")
		if err := w.adoptAll("one", "two"); err != nil {
			t.Fatal(err)
		}
		if err := w.adoptAll("one", "two", "zz only here"); err != nil { // a second run finds the inode again
			t.Fatal(err)
		}
		if st, err := w.s.Catalog().Stats(); err != nil || st.Containers != 1 {
			t.Fatalf("%+v %v", st, err)
		}
		return w
	}
	t.Run("links as well", func(t *testing.T) {
		w := linked(t)
		ino := w.inode("a/one")
		acts := []Action{inGroup(w, "one", 3), inGroup(w, "two", 3)}
		clear(w.drive)
		for _, r := range w.fine(acts...) {
			if r.Way != MetaOnly {
				t.Fatalf("%+v", r)
			}
		}
		if w.inode("a/one") != ino || w.inode("a/two") != ino || !w.isAdopted("zz only here") || w.isAdopted("two") {
			t.Fatal("not the inode that was there")
		}
		w.rebuilt()
		// A new version leaves the name that home does not have as it is.
		w.fine(install(w.file("one", []byte("new"), 60)), install(w.file("two", []byte("new"), 60)))
		w.want("a/zz only here", text)
		if _, err := w.s.Compact(t.Context(), CompactOptions{Needed: func(chunk.ID) (bool, error) { return false, nil }}); err != nil {
			t.Fatal(err)
		}
		w.want("a/zz only here", text)
		w.rebuilt()
	})
	t.Run("files of their own", func(t *testing.T) {
		w := linked(t)
		ino := w.inode("a/one")
		acts := []Action{install(w.file("one", []byte(text), 50)), install(w.file("two", []byte(text), 51))}
		clear(w.drive)
		w.fine(acts...)
		if w.inode("a/one") != ino || w.inode("a/two") == ino {
			t.Fatal("an inode is shared by two files, or was copied without need")
		}
		w.want("a/two", text)
		if len(all(t, w.fs, ".wl/foreign")) != 0 {
			t.Fatal("what the snapshot has was moved aside")
		}
		w.rebuilt()
	})
	t.Run("separate here", func(t *testing.T) {
		w := adopted(t, map[string]string{"one": text, "two": text})
		acts := []Action{inGroup(w, "one", 3), inGroup(w, "two", 3)}
		clear(w.drive)
		w.fine(acts...)
		if w.inode("a/one") != w.inode("a/two") || len(all(t, w.fs, ".wl/foreign")) != 0 {
			t.Fatal("not one inode")
		}
		w.rebuilt()
	})
}

// What was renamed at home since is not copied: its inode gets the new name
// besides the old one, which home does not have.
func TestAnAdoptedFileFollowsARename(t *testing.T) {
	text := bytesOf(1, 3500)
	w := adopted(t, map[string]string{"f": text})
	st, err := w.fs.Stat("a/f")
	if err != nil {
		t.Fatal(err)
	}
	e := w.file("d/renamed", []byte(text), st.MTime.Sec)
	e.MTime = st.MTime
	clear(w.drive)
	if res := w.fine(install(e), remove("f")); res[0].Way != Linked {
		t.Fatalf("%+v", res[0])
	}
	if w.inode("a/f") != w.inode("a/d/renamed") || !w.isAdopted("f") {
		t.Fatal("the old name is gone, or the content was copied")
	}
	w.rebuilt()
	// And what then comes at the old name does not take the content away.
	w.fine(install(w.file("f", []byte("another"), 5)))
	w.want("a/d/renamed", text)
	if got := all(t, w.fs, ".wl/foreign"); len(got) != 1 {
		t.Fatalf("%v", got)
	}
	w.rebuilt()
}

func TestWhatWasAdoptedAndChangedIsReadAgain(t *testing.T) {
	old, text := bytesOf(1, 2500), bytesOf(2, 2600)
	w := adopted(t, map[string]string{"f": old, "gone": old + "x"})
	write(t, w.fs, "a/f", text)
	if err := w.fs.Remove("a/gone"); err != nil {
		t.Fatal(err)
	}
	check, err := w.s.CheckMirror(t.Context())
	if err != nil || check.Foreign != 0 || check.Missing != 0 {
		t.Fatalf("%+v %v", check, err) // theirs to change
	}
	if err := w.adoptAll("f"); err != nil {
		t.Fatal(err)
	}
	w.chunksOf(text)
	w.rebuilt()
}

func TestNamesOfTheStoreAreNotAdopted(t *testing.T) {
	w := newWorld(t, disktest.NewMem()).open()
	w.s.vols["a"].Mirror = ""
	a, err := w.s.Adopt("a")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{".wl/kept/00/0000000000000001", strings.Repeat("x/", 30000) + "x"} {
		if _, err := a.Known(p); err == nil {
			t.Errorf("%.40s may be adopted", p)
		}
	}
}

// adoptScene is a vault whose tree somebody else has filled.
func adoptScene(w *world) *scene {
	same, differs, under, linked, renamed := bytesOf(1, 2500), bytesOf(2, 3000), bytesOf(3, 1800), bytesOf(4, 1200), bytesOf(5, 2200)
	next := differs[:1000] + bytesOf(6, 1000) + differs[2000:]
	w.fine(install(dir("")), install(dir("d")))
	for p, text := range map[string]string{"same": same, "differs": differs, "d/under": under, "l1": linked, "renamed": renamed, "only here": "theirs"} {
		write(w.t, w.fs, "a/"+p, text)
	}
	link(w.t, w.fs, "l1", "l2")
	st, _ := w.fs.Stat("a/renamed")
	sc := &scene{
		old: map[string]string{"a/same": same, "a/differs": differs, "a/d/under": under, "a/l1": linked, "a/l2": linked,
			"a/renamed": renamed, "a/only here": "theirs"},
		new: map[string]string{"a/same": same, "a/differs": next, "a/d": "a file", "a/l1": linked, "a/l2": linked,
			"a/renamed": renamed, "a/renamed to": renamed, "a/only here": "theirs"},
		contents: []string{same, differs, under, linked, renamed},
		foreign:  []string{differs, under, "theirs"},
	}
	sc.acts = func(w *world) []Action {
		group := func(p string) Action {
			e := w.file(p, []byte(linked), 33)
			e.LinkGroup = 8
			return install(e)
		}
		moved := w.file("renamed to", []byte(renamed), 1)
		moved.MTime = st.MTime
		return []Action{install(dir("")), install(w.file("d", []byte("a file"), 2)), install(w.file("differs", []byte(next), 20)),
			group("l1"), group("l2"), install(moved), remove("only here"), remove("renamed"), install(w.file("same", []byte(same), 31))}
	}
	return sc
}

var adoptPaths = []string{"d/under", "differs", "l1", "l2", "only here", "renamed", "same"}

// After a crash or a failure at any step of adopting, and of the first batch
// behind it, what was adopted lies where it lay or in foreign/, counts, and the
// work is done by doing it again.
func TestCrashAtEveryStepOfAdopting(t *testing.T) {
	start := disktest.NewMem()
	w := newWorld(t, start).open()
	sc := adoptScene(w)
	w.close()
	start = start.Crashed(disktest.Names, 0)
	modes := []disktest.CrashMode{disktest.Strict, disktest.Names, disktest.Random, disktest.Random}
	crashEvery(t, func(t *testing.T, k int) bool {
		mem := start.Crashed(disktest.Names, 0)
		w := again(t, mem)
		if err := w.tryOpen(); err != nil {
			t.Error(err)
			return false
		}
		mem.CrashAfter(k)
		err := w.adoptAll(adoptPaths...)
		if err == nil {
			acts := sc.acts(w)
			_, err = w.try(acts...)
		}
		crashed := mem.DidCrash()
		if !crashed && err != nil {
			t.Error(err)
		}
		w.close()
		os.RemoveAll(w.index)
		r := again(t, mem.Crashed(modes[k%4], uint64(k)))
		if err := r.tryOpen(); err != nil {
			t.Error(err)
			return false
		}
		defer r.discard()
		sc.checkAdopted(r)
		return crashed
	})
}

// checkAdopted looks at a vault after a crash, adopts and installs again, and
// checks that all is as if there had been none.
func (sc *scene) checkAdopted(w *world) {
	w.t.Helper()
	if _, ok, _ := w.s.Catalog().Path("a", "renamed to"); !ok { // else it was installed already
		if err := w.adoptAll(slices.DeleteFunc(slices.Clone(adoptPaths), func(p string) bool {
			_, found := read(w.fs, "a/"+p)
			return !found || p == "differs" && w.changed(sc, p)
		})...); err != nil {
			w.t.Fatal(err)
		}
	}
	have := all(w.t, w.fs, ".")
	for _, c := range sc.foreign {
		if !slices.Contains(slices.Collect(valuesOf(have)), c) {
			w.t.Fatalf("%.20q is gone", c)
		}
	}
	w.fine(sc.acts(w)...)
	for n, c := range sc.new {
		w.want(n, c)
	}
	clear(w.drive)
	w.chunksOf(sc.contents...)
	if w.inode("a/l1") != w.inode("a/l2") || w.inode("a/renamed") != w.inode("a/renamed to") {
		w.t.Fatal("links have come apart")
	}
	err := w.s.Catalog().Containers(func(c index.Container) error {
		if !w.s.there(c) {
			w.t.Errorf("container %d is not at %v %s", c.ID, c.Kind, c.Name)
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	for n := range all(w.t, w.fs, ".wl/staging") {
		w.t.Fatalf("%s is left over", n)
	}
}

// changed reports whether a path shows its new version.
func (w *world) changed(sc *scene, p string) bool {
	got, _ := read(w.fs, "a/"+p)
	return got == sc.new["a/"+p]
}

func valuesOf(m map[string]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for _, v := range m {
			if !yield(v) {
				return
			}
		}
	}
}

// What somebody else may delete is no reason to drop what the vault has itself.
func TestNothingGoesForTheSakeOfTheirs(t *testing.T) {
	text := bytesOf(1, 3000)
	w := adopted(t, map[string]string{"theirs": text, "gives way": text})
	w.fine(install(w.file("f", []byte(text), 3)), install(w.file("gives way", []byte("home's"), 3)))
	w.fine(install(w.file("f", []byte("new"), 4)))
	if sp, err := w.s.Space(t.Context()); err != nil || sp.KeptFiles != 1 || sp.Foreign != 3000 {
		t.Fatalf("%+v %v", sp, err)
	}
	if res, err := w.s.Compact(t.Context(), CompactOptions{}); err != nil || res.Containers != 0 {
		t.Fatalf("%+v %v", res, err)
	}
	for name := range all(t, w.fs, ".wl/foreign") {
		if err := w.fs.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.fs.Remove("a/theirs"); err != nil {
		t.Fatal(err)
	}
	if check, err := w.s.CheckMirror(t.Context()); err != nil || check.Chunks != 0 {
		t.Fatalf("%+v %v", check, err)
	}
	clear(w.drive)
	w.chunksOf(text)
}

func TestWhatIsNeededOfForeignFilesGoesToHistory(t *testing.T) {
	one, two := bytesOf(1, 3000), bytesOf(2, 2000)
	w := adopted(t, map[string]string{"f": one + two, "g": one})
	w.fine(install(w.file("f", []byte("f of home"), 3)), install(w.file("g", []byte("g of home"), 3)))
	var ids []index.ContainerID
	err := w.s.Catalog().Containers(func(c index.Container) error {
		if c.Kind == index.Foreign {
			ids = append(ids, c.ID)
		}
		return nil
	})
	if err != nil || len(ids) != 2 {
		t.Fatal(ids, err)
	}
	needs := map[chunk.ID]bool{}
	for _, x := range w.content([]byte(one)) { // both have it, and both go
		needs[x.ID] = true
	}
	clear(w.drive)
	kept, err := w.s.LetGo(t.Context(), ids, func(id chunk.ID) (bool, error) { return needs[id], nil })
	if err != nil || len(kept) != 0 {
		t.Fatal(kept, err)
	}
	for name := range all(t, w.fs, ".wl/foreign") {
		if err := w.fs.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.s.Deleted(t.Context()); err != nil {
		t.Fatal(err)
	}
	if sp, err := w.s.Space(t.Context()); err != nil || sp.Packs != 1 || sp.History > 3700 {
		t.Fatalf("%+v %v: what nobody needs was kept", sp, err)
	}
	if check, err := w.s.CheckMirror(t.Context()); err != nil || check.Chunks+check.Lost != 0 {
		t.Fatalf("%+v %v", check, err)
	}
	w.chunksOf(one)
	w.rebuilt()
}
