package vault

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/internal/disk/disktest"
	"waterlock/internal/exit"
	"waterlock/internal/report"
	"waterlock/internal/wire"
	"waterlock/snapshot"
	"waterlock/tests/trees"
)

// old makes the directory that a server has had for years: what home has now, as it was when it was copied.
func (w *world) old() string {
	w.t.Helper()
	dir := filepath.Join(w.dir, "old")
	if out, err := exec.Command("cp", "-a", "--sparse=always", w.src, dir).CombinedOutput(); err != nil {
		w.t.Skipf("cp -a: %v: %s", err, out)
	}
	return dir
}

func (w *world) adopt(dir string) AdoptResult {
	w.t.Helper()
	r, err := Adopt(context.Background(), AdoptOptions{Vault: w.vault, Places: []TreePlace{{"docs", dir}}, Report: w.reporter()})
	must(w.t, err)
	return r
}

func inodes(t testing.TB, dir string) map[string]uint64 {
	list := map[string]uint64{}
	must(t, filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || strings.Contains(p, "/.wl/") {
			return err
		}
		st, err := d.Info()
		must(t, err)
		rel, _ := filepath.Rel(dir, p)
		list[rel] = st.Sys().(*syscall.Stat_t).Ino
		return nil
	}))
	return list
}

var nothing = trip{pending: func(string, string) bool { return true }}

func TestAnOldServerBecomesTheVault(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill()
	dir := w.old()
	p := func(name string) string { return filepath.Join(dir, name) }
	// Years have passed: edits at home, other times and modes here, files of the server's own.
	before, err := os.ReadFile(filepath.Join(w.src, "film"))
	must(t, err)
	edited := append(slices.Clone(before[:150<<10]), append(noiseBytes(900, 99), before[150<<10:]...)...)
	must(t, os.WriteFile(filepath.Join(w.src, "film"), edited, 0o644))
	must(t, os.Chtimes(p("music/copy of song"), at(9), at(9)))
	must(t, os.Chmod(p("nothing"), 0o777))
	noise(t, p("only here/mine"), 9000, 50)
	noise(t, p("old/also mine"), 400, 51)
	must(t, os.Link(p("old/a/d"), p("a third name of d")))
	must(t, os.RemoveAll(p("moved"))) // not copied here
	was := inodes(t, dir)

	// A drive that brings the route and a snapshot, and nothing of any file.
	drive := newTestDrive(t)
	if s := w.home.pack(drive, nothing); s.data != 0 {
		t.Fatalf("%d chunks of files aboard", s.data)
	}
	w.join(drive)
	r := w.adopt(dir)
	if r.Failed != 0 || r.Before != 0 || r.Links == 0 || r.Files != int64(len(was)) {
		t.Errorf("%+v, %d files", r, len(was))
	}
	if again := w.adopt(dir); again.Files != 0 || again.Before != r.Files {
		t.Errorf("the second time: %+v", again)
	}
	u := w.unpack(drive, DeletionsApply)
	if u.Written+u.Deleted+u.Gone+u.Foreign+u.Failed+u.Wants != 0 || u.Pending == 0 {
		t.Errorf("the first unpack: %+v", u)
	}
	for name, ino := range inodes(t, dir) {
		if was[name] != ino {
			t.Errorf("%s is another file", name)
		}
	}

	// The second drive brings what differs.
	for _, id := range w.inventory(drive) { // the receipt brings a list of what is here
		w.home.held[id] = true
	}
	s := w.home.pack(drive, trip{})
	if limit := 14; s.data > limit { // the edit, and what was not copied: 60 KiB in chunks of 1 to 8 KiB
		t.Logf("%d chunks of files aboard", s.data)
		if s.data > 40 {
			t.Error("more is carried than differs")
		}
	}
	u = w.clean(drive, DeletionsApply)
	if u.Deleted+u.Gone != 0 || u.Foreign != 2 || u.Written != 2 { // film, of which old/hardfilm is a link, and moved/one
		t.Errorf("the second unpack: %+v", u)
	}
	w.sameButStrangers(dir)
	now := inodes(t, dir)
	for name, ino := range was {
		if now[name] != ino && name != "film" && name != "old/hardfilm" {
			t.Errorf("%s is another file: inode %d, was %d", name, now[name], ino)
		}
	}
	foreign, err := filepath.Glob(filepath.Join(dir, ".wl/foreign/*/docs/film"))
	must(t, err)
	if len(foreign) != 1 {
		t.Fatalf("the version that was here: %q", foreign)
	}
	if got, err := os.ReadFile(foreign[0]); err != nil || string(got) != string(before) {
		t.Errorf("it is not what it was: %v", err)
	}
	v := w.verify(VerifyOptions{})
	if !v.Sound() || v.Strangers != 3 {
		t.Errorf("%+v", v)
	}

	// Home deletes; the server's own files stay, also with a catalog made anew.
	must(t, os.RemoveAll(filepath.Join(w.src, "old")))
	must(t, os.RemoveAll(filepath.Join(w.vault, indexDir)))
	w.home.importReceipt(drive)
	w.home.pack(drive, trip{})
	u = w.clean(drive, DeletionsApply)
	if u.Deleted == 0 {
		t.Errorf("%+v", u)
	}
	w.sameButStrangers(dir)
	if v := w.verify(VerifyOptions{}); !v.Sound() || v.Strangers != 3 {
		t.Errorf("%+v", v)
	}
}

// sameButStrangers compares a mirror with home, and sees that the server's own files are there.
func (w *world) sameButStrangers(dir string) {
	w.t.Helper()
	own := []string{".wl", "only here", "only here/mine", "old/also mine", "a third name of d"}
	for _, name := range own {
		if _, err := os.Lstat(filepath.Join(dir, name)); err != nil {
			w.t.Error(err)
		}
	}
	want := asMirror(take(w.t, w.src))
	_, has := want["old"]
	got, err := trees.Take(dir, trees.Options{Skip: func(path string) bool {
		return slices.Contains(own, path) || path == "old" && !has // it stays, with what lies in it
	}})
	must(w.t, err)
	for _, line := range trees.Diff(want, got) {
		w.t.Errorf("mirror: %s", line)
	}
}

func TestAdoptGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 40 {
		noise(t, filepath.Join(w.src, "d", string(rune('a'+i%26))+string(rune('a'+i/26))), 20<<10, uint64(i+1))
	}
	dir := w.old()
	drive := newTestDrive(t)
	w.home.pack(drive, nothing)
	w.join(drive)
	var read int64
	runs := 0
	for ; ; runs++ {
		ctx, cancel := context.WithCancel(context.Background())
		rep := &stopAfter{Reporter: report.Discard, left: 150 << 10, stop: cancel}
		r, err := Adopt(ctx, AdoptOptions{Vault: w.vault, Places: []TreePlace{{"docs", dir}}, Report: rep})
		read += rep.read
		cancel()
		if err == nil {
			if r.Before+r.Files != 40 || r.Before == 0 {
				t.Errorf("%+v", r)
			}
			break
		}
		if exit.Of(err) != exit.Interrupted {
			t.Fatal(err)
		}
	}
	if runs < 3 || read > 40*20<<10+int64(runs)*(20<<10) { // at most the file at hand is read again
		t.Errorf("%d bytes read in %d runs", read, runs)
	}
}

// stopAfter cancels a run after so many bytes.
type stopAfter struct {
	report.Reporter
	read, left int64
	stop       func()
}

func (r *stopAfter) Add(bytes, _ int64) {
	r.read += bytes
	if r.left -= bytes; bytes > 0 && r.left <= 0 {
		r.stop()
	}
}

func TestAdoptRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	noise(t, filepath.Join(w.src, "a"), 3000, 1)
	second := filepath.Join(w.dir, "second at home")
	must(t, os.Mkdir(second, 0o755))
	w.home.trees["films"] = second
	elsewhere := filepath.Join(w.dir, "films here")
	must(t, os.Mkdir(elsewhere, 0o755))
	drive := newTestDrive(t)
	w.home.pack(drive, trip{})
	_, err := w.init(InitOptions{Drive: drive, Trees: map[string]string{"films": elsewhere}})
	must(t, err)
	mkdir := func(name string) string {
		dir := filepath.Join(w.dir, name)
		must(t, os.MkdirAll(dir, 0o755))
		return dir
	}
	otherVault := mkdir("other vault/.wl")
	must(t, os.WriteFile(filepath.Join(otherVault, "vault.toml"), nil, 0o600))
	marked := mkdir("marked/.wl")
	must(t, os.WriteFile(filepath.Join(marked, "tree"), []byte("waterlock tree\n"), 0o600))
	good := mkdir("good")
	noise(t, filepath.Join(w.vault, "docs/here already"), 100, 2)
	adopt := func(places ...TreePlace) error {
		_, err := Adopt(context.Background(), AdoptOptions{Vault: w.vault, Places: places, Report: w.reporter()})
		return err
	}
	check := func(name, says string, places ...TreePlace) {
		t.Helper()
		settings, err := os.ReadFile(filepath.Join(w.vault, settingsFile))
		must(t, err)
		err = adopt(places...)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", name, err)
		}
		if now, err := os.ReadFile(filepath.Join(w.vault, settingsFile)); err != nil || string(now) != string(settings) {
			t.Fatalf("%s: the settings were changed", name)
		}
	}
	check("unknown tree", "no such tree", TreePlace{"docks", good})
	check("tree .wl", "vault's own", TreePlace{".wl", good})
	check("mapped", "already", TreePlace{"films", good})
	check("no directory", "no such file", TreePlace{"docs", filepath.Join(w.dir, "nowhere")})
	check("a file", "no directory", TreePlace{"docs", filepath.Join(w.src, "a")})
	check("in the vault", "within the vault", TreePlace{"docs", mkdir("vault/elsewhere")})
	check("around the vault", "contains the vault", TreePlace{"docs", w.dir})
	check("in another tree", "within each other", TreePlace{"docs", mkdir("films here/docs")})
	check("around another tree", "within each other", TreePlace{"docs", elsewhere})
	check("a vault", "is a vault itself", TreePlace{"docs", filepath.Dir(otherVault)})
	check("on the drive", "courier drive", TreePlace{"docs", filepath.Join(drive, "waterlock")})
	check("twice", "named twice", TreePlace{"docs", good}, TreePlace{"docs", mkdir("good too")})
	check("files in the present place", "here already", TreePlace{"docs", good})
	must(t, os.RemoveAll(filepath.Join(w.vault, "docs")))
	check("of another route", "another tree or route", TreePlace{"docs", filepath.Dir(marked)})

	w.clean(drive, DeletionsAsk)
	check("content", "in its present place", TreePlace{"docs", good})
	must(t, os.Remove(filepath.Join(w.vault, "docs/a"))) // gone, but recorded
	check("recorded content", "has content", TreePlace{"docs", good})

	// In its own place there is always something to adopt.
	noise(t, filepath.Join(w.vault, "docs/late"), 3000, 5)
	if r := w.adopt(filepath.Join(w.vault, "docs")); r.Files != 1 {
		t.Errorf("%+v", r)
	}
	if err := adopt(TreePlace{"films", elsewhere}); err != nil {
		t.Error(err)
	}
}

// What home packs on this very machine is never taken for a vault's.
func TestAdoptRefusesWhatHomePacks(t *testing.T) {
	t.Parallel()
	host, err := os.Hostname()
	must(t, err)
	w := newWorld(t)
	noise(t, filepath.Join(w.src, "a"), 300, 1)
	w.home.host = host
	drive := newTestDrive(t)
	w.home.pack(drive, trip{})
	w.join(drive)
	_, err = Adopt(context.Background(), AdoptOptions{Vault: w.vault, Places: []TreePlace{{"docs", w.src}}})
	if err == nil || !strings.Contains(err.Error(), "what home packs") {
		t.Error(err)
	}
	if _, err := os.Lstat(filepath.Join(w.src, ".wl")); err == nil {
		t.Error("something was written there")
	}
}

func TestVaultTomlGetsALineAndKeepsTheRest(t *testing.T) {
	head := "format = 1 # ours\nroute = '" + strings.Repeat("ab", 16) + "'\nname = \"far\"\n"
	for text, want := range map[string]string{
		head:                                 head + "\n[trees]\nphotos = '/data/pho\"tos'\n",
		head + "[trees]\n# mine\na = '/a'\n": head + "[trees]\nphotos = '/data/pho\"tos'\n\n# mine\na = '/a'\n",
		head + " [ trees ] # where\nb = '/b' # b": head + " [ trees ] # where\nphotos = '/data/pho\"tos'\n\nb = '/b' # b",
	} {
		got, err := withTree([]byte(text), TreePlace{"photos", `/data/pho"tos`})
		if err != nil || string(got) != want {
			t.Errorf("%v\n%s\nexpected\n%s", err, got, want)
		}
	}
	for _, text := range []string{head + "trees = { a = '/a' }\n", head + "trees.a = '/a'\n", head + "[trees]\nphotos = '/x'\n"} {
		if got, err := withTree([]byte(text), TreePlace{"photos", "/data"}); err == nil || !strings.Contains(err.Error(), "photos = '/data'") {
			t.Errorf("%v\n%s", err, got)
		}
	}
}

// After a crash at any step of giving a tree a place, the settings name no directory without the tree's mark, and the
// same is done by doing it again.
func TestCrashWhileATreeGetsAPlace(t *testing.T) {
	t.Parallel()
	s := settings{Format: 1, Route: strings.Repeat("ab", 16), Name: "far"}
	var err error
	s.id, err = wire.ParseRouteID(s.Route)
	must(t, err)
	text, err := s.encode()
	must(t, err)
	start := disktest.NewMem()
	must(t, disk.MkdirAll(start, "vault/.wl", 0o755))
	must(t, disk.MkdirAll(start, "data", 0o755))
	must(t, disk.Put(start, "vault/"+settingsFile, text))
	place := TreePlace{"photos", "/data"}
	do := func(fs disk.FS) error {
		root, err := fs.Sub("vault")
		if err != nil {
			return err
		}
		defer root.Close()
		vol, err := fs.Sub("data")
		if err != nil {
			return err
		}
		defer vol.Close()
		return settlePlace(root, vol, s, place)
	}
	read := func(fs disk.FS, name string) string {
		b, err := disk.ReadAll(fs, name, 1<<20)
		if errors.Is(err, os.ErrNotExist) {
			return ""
		}
		must(t, err)
		return string(b)
	}
	for k := 0; ; k++ {
		crashed := false
		for seed, mode := range []disktest.CrashMode{disktest.Strict, disktest.Names, disktest.Random, disktest.Random} {
			mem := start.Crashed(disktest.Names, 0)
			mem.CrashAfter(k)
			err := do(mem)
			if crashed = mem.DidCrash(); !crashed {
				must(t, err)
			}
			after := mem.Crashed(mode, uint64(seed+k))
			now, err := decodeSettings([]byte(read(after, "vault/"+settingsFile)))
			if err != nil {
				t.Fatalf("crash after %d operations: %v", k, err)
			}
			mark := read(after, "data/"+treeMark)
			if mark != "" && mark != markText(s.id, "photos") || now.Trees["photos"] != "" && mark == "" {
				t.Fatalf("crash after %d operations: settings say %q, the mark %q", k, now.Trees["photos"], mark)
			}
			if now.Trees["photos"] == "" {
				must(t, do(after))
			}
			if now, err := decodeSettings([]byte(read(after, "vault/"+settingsFile))); err != nil || now.Trees["photos"] != "/data" {
				t.Fatalf("%v %v", now.Trees, err)
			}
		}
		if !crashed {
			t.Logf("%d operations", k)
			return
		}
	}
}

// changing is a file system whose files are written to while they are read, so many times.
type changing struct {
	disk.FS
	left *int
}

type changingFile struct {
	disk.File
	fs   changing
	name string
}

func (c changing) Open(name string) (disk.File, error) {
	f, err := c.FS.Open(name)
	return &changingFile{f, c, name}, err
}

func (f *changingFile) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.File.ReadAt(p, off)
	if *f.fs.left > 0 {
		*f.fs.left--
		w, werr := f.fs.FS.OpenWrite(f.name)
		if werr != nil {
			return 0, werr
		}
		defer w.Close()
		if _, werr := w.WriteAt(p[:1], off); werr != nil {
			return 0, werr
		}
	}
	return n, err
}

func TestAFileThatChangesWhileItIsAdopted(t *testing.T) {
	mem := disktest.NewMem()
	f, err := mem.Create("f", 0o600)
	must(t, err)
	text := noiseBytes(50<<10, 1)
	_, err = f.Write(text)
	must(t, err)
	must(t, f.Close())
	for times, want := range map[int]error{0: nil, 1: nil, 100: errChanging} {
		var e snapshot.Entry
		left := times
		_, err := newFileReader(testPolynomial, report.Discard).file(context.Background(), changing{mem, &left}, "f", &e)
		if !errors.Is(err, want) || err == nil && (e.Hash != chunk.SumContent(text) || e.ContentSize() != 50<<10) {
			t.Errorf("written to %d times: %v", times, err)
		}
	}
}

// What cannot be read is named, and the rest goes on.
func TestAFileThatCannotBeAdopted(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 {
		t.Skip("root reads everything")
	}
	w := newWorld(t)
	noise(t, filepath.Join(w.src, "a"), 3000, 1)
	noise(t, filepath.Join(w.src, "b"), 3000, 2)
	dir := w.old()
	must(t, os.Chmod(filepath.Join(dir, "a"), 0))
	drive := newTestDrive(t)
	w.home.pack(drive, nothing)
	w.join(drive)
	if r := w.adopt(dir); r.Failed != 1 || r.Files != 1 {
		t.Errorf("%+v", r)
	}
	must(t, os.Chmod(filepath.Join(dir, "a"), 0o600))
	if r := w.adopt(dir); r.Failed != 0 || r.Files != 1 || r.Before != 1 {
		t.Errorf("%+v", r)
	}
}

// Content is cut as home cuts it: large files, read ahead, and files with holes included.
func TestFilesAreReadAsHomeReadsThem(t *testing.T) {
	mem := disktest.NewMem()
	for name, parts := range map[string][]struct {
		off  int64
		text []byte
	}{
		"empty": nil,
		"small": {{0, noiseBytes(700, 1)}},
		"large": {{0, noiseBytes(300<<10, 2)}},
		"holes": {{400 << 10, noiseBytes(20<<10, 3)}, {420<<10 + 100, noiseBytes(30<<10, 4)}, {1 << 20, []byte("end")}},
	} {
		f, err := mem.Create(name, 0o600)
		must(t, err)
		for _, p := range parts {
			_, err = f.WriteAt(p.text, p.off)
			must(t, err)
		}
		must(t, f.Close())
		var e snapshot.Entry
		_, err = newFileReader(testPolynomial, report.Discard).file(context.Background(), mem, name, &e)
		must(t, err)
		want := homeCuts(t, mem, name)
		if !slices.Equal(e.Content, want) {
			t.Errorf("%s: %v\nexpected %v", name, e.Content, want)
		}
	}
}

// homeCuts is the content list of a file as home makes it: each range of data by itself.
func homeCuts(t testing.TB, fs disk.FS, name string) (list []snapshot.Extent) {
	f, err := fs.Open(name)
	must(t, err)
	defer f.Close()
	st, err := f.Stat()
	must(t, err)
	for at := int64(0); at < st.Size; {
		start, end, err := snapshot.DataFrom(f, at, st.Size)
		must(t, err)
		if start > at {
			list = append(list, snapshot.Extent{Hole: true, Length: start - at})
		}
		split := chunk.NewSplitter(testPolynomial)
		split.Reset(io.NewSectionReader(f, start, end-start))
		for {
			plain, err := split.Next(nil)
			if err == io.EOF {
				break
			}
			must(t, err)
			list = append(list, snapshot.Extent{ID: chunk.Data.ID(plain), Length: int64(len(plain))})
		}
		at = end
	}
	return list
}

// What a snapshot needs of a file in foreign/ is in the history before the file is deleted.
func TestForeignFilesThatWereAdoptedAreDeletedWithoutLoss(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	noise(t, filepath.Join(w.src, "film"), 200<<10, 1)
	dir := w.old()
	drive := newTestDrive(t)
	// The film was edited, and home has the old one in a file that comes later than the vault can put it together.
	before, err := os.ReadFile(filepath.Join(w.src, "film"))
	must(t, err)
	noise(t, filepath.Join(w.src, "film"), 100<<10, 2)
	must(t, os.WriteFile(filepath.Join(w.src, "was film"), before, 0o644))
	w.home.pack(drive, nothing)
	w.join(drive)
	w.adopt(dir)
	w.unpack(drive, DeletionsAsk)
	for _, id := range w.inventory(drive) {
		w.home.held[id] = true
	}
	w.home.pack(drive, trip{})
	w.clean(drive, DeletionsAsk)
	must(t, os.Remove(filepath.Join(w.src, "was film")))
	next := newTestDrive(t)
	w.home.importReceipt(drive)
	w.home.pack(next, trip{})
	w.clean(next, DeletionsApply)
	// Now the snapshots 2 needs it from the kept version and the foreign one; the kept one is lost to rot.
	kept, err := filepath.Glob(filepath.Join(dir, ".wl/kept/*/*"))
	must(t, err)
	for _, k := range kept {
		if st, err := os.Stat(k); err == nil && st.Size() == 200<<10 {
			flip(t, k, 1000)
		}
	}
	if v := w.verify(VerifyOptions{}); v.Damaged == 0 || v.Wants != 0 {
		t.Fatalf("%+v", v)
	}
	if r, _ := w.foreign(ForeignOptions{Remove: true, Yes: true}); r.Removed != 1 || r.Failed != 0 {
		t.Errorf("%+v", r)
	}
	must(t, os.RemoveAll(filepath.Join(w.vault, indexDir)))
	if v := w.verify(VerifyOptions{}); v.Wants != 0 {
		t.Errorf("%+v", v)
	}
	back := w.restore("2", "docs/was film")
	if got, err := os.ReadFile(filepath.Join(back, "docs/was film")); err != nil || string(got) != string(before) {
		t.Error("snapshot 2 has lost a file", err)
	}
}
