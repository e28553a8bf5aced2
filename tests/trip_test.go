package tests

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/pkg/xattr"
)

// TestTwoTripsOfRealTrees takes parts of Go's own sources and a large file
// through two trips with renames, edits inside the large file and deletions.
// The mirror and every snapshot must equal what home was at the time.
func TestTwoTripsOfRealTrees(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	src := filepath.Join(w.home, "src")
	for _, p := range []string{"fmt", "strings", "net/http", "encoding", "testdata"} {
		copyGoSource(t, p, filepath.Join(src, p))
	}
	media := filepath.Join(w.home, "media")
	noise(t, filepath.Join(media, "film.mkv"), 24<<20, 1)
	noise(t, filepath.Join(media, "song.ogg"), 3<<20, 2)
	must(t, os.MkdirAll(filepath.Join(media, "empty", "dirs"), 0o711))
	must(t, os.WriteFile(filepath.Join(media, "nothing"), nil, 0o640))
	must(t, os.Symlink("film.mkv", filepath.Join(media, "link")))
	must(t, os.Link(filepath.Join(media, "song.ogg"), filepath.Join(media, "song2.ogg")))
	must(t, os.Link(filepath.Join(src, "fmt", "print.go"), filepath.Join(src, "net", "http", "print.go")))
	sparse(t, filepath.Join(media, "disk.img"))
	_ = xattr.Set(filepath.Join(media, "film.mkv"), "user.note", []byte("seen\x00twice")) // where there are any
	old := time.Date(1999, 12, 31, 23, 59, 59, 999999999, time.UTC)
	must(t, os.Chtimes(filepath.Join(media, "empty"), old, old))

	src1, media1 := w.take("src"), w.take("media")
	w.begin("src", "media")
	w.pack()
	w.joinAndUnpack()
	same(t, "mirror after trip 1", src1, filepath.Join(w.vault, "src"))
	same(t, "mirror after trip 1", media1, filepath.Join(w.vault, "media"))

	insert(t, filepath.Join(media, "film.mkv"), 11<<20, 64<<10, 3)
	must(t, os.Rename(filepath.Join(src, "strings"), filepath.Join(src, "words")))
	must(t, os.Rename(filepath.Join(media, "song.ogg"), filepath.Join(src, "song.ogg")))
	must(t, os.RemoveAll(filepath.Join(src, "encoding", "gob")))
	must(t, os.WriteFile(filepath.Join(src, "encoding", "gob"), []byte("a file where a directory was"), 0o600))
	must(t, os.Remove(filepath.Join(src, "fmt", "print.go")))
	must(t, os.Mkdir(filepath.Join(src, "fmt", "print.go"), 0o755))
	must(t, os.Remove(filepath.Join(media, "link")))
	must(t, os.Symlink("elsewhere", filepath.Join(media, "link")))
	must(t, os.Chmod(filepath.Join(media, "nothing"), 0o600))
	must(t, os.Remove(filepath.Join(media, "empty", "dirs")))
	noise(t, filepath.Join(media, "new", "deep", "photo.jpg"), 2<<20, 4)
	copyFileTo(t, filepath.Join(media, "new", "deep", "photo.jpg"), filepath.Join(media, "copy-of-photo.jpg"))

	src2, media2 := w.take("src"), w.take("media")
	before := size(t, w.drive)
	w.pack()
	if grown := size(t, w.drive) - before; grown > 10<<20 {
		t.Errorf("the second trip took %d bytes: moves and equal files were carried anew", grown)
	}
	same(t, "home", src2, src)
	same(t, "home", media2, media)
	w.unpack()
	same(t, "mirror after trip 2", src2, filepath.Join(w.vault, "src"))
	same(t, "mirror after trip 2", media2, filepath.Join(w.vault, "media"))

	first, second := w.restore("1"), w.restore("2")
	same(t, "snapshot 1", src1, filepath.Join(first, "src"))
	same(t, "snapshot 1", media1, filepath.Join(first, "media"))
	same(t, "snapshot 2", src2, filepath.Join(second, "src"))
	same(t, "snapshot 2", media2, filepath.Join(second, "media"))
	w.atVault("verify", "--vault", w.vault)

	// Either index may be deleted at any time.
	must(t, os.RemoveAll(filepath.Join(w.vault, ".wl", "index")))
	must(t, os.RemoveAll(filepath.Join(w.hState, "routes", "test", "index")))
	w.pack()
	w.unpack()
	same(t, "mirror after the indexes were deleted", media2, filepath.Join(w.vault, "media"))
	same(t, "snapshot 1 after the indexes were deleted", src1, filepath.Join(w.restore("1"), "src"))
	w.atVault("verify", "--vault", w.vault)
}

// TestTwoDrivesInAnyOrder: shipments on two drives, the later one unpacked
// first, end in the same snapshots and the same mirror.
func TestTwoDrivesInAnyOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	noise(t, filepath.Join(w.home, "a", "one"), 2<<20, 1)
	for i := range 8 {
		noise(t, filepath.Join(w.home, "a", fmt.Sprintf("two%d", i)), 200<<10, 2+uint64(i))
	}
	a1 := w.take("a")
	w.begin("a")
	w.pack()
	other := filepath.Join(w.dir, "drive2")
	must(t, os.Mkdir(other, 0o755))
	w.atHome("drive", "init", other)
	must(t, os.Remove(filepath.Join(w.home, "a", "one")))
	noise(t, filepath.Join(w.home, "a", "three"), 2<<20, 30)
	a2 := w.take("a")
	w.atHome("pack", "--drive", other)

	w.atVault("vault", "init", w.vault, "--drive", other)
	w.run(3, w.vState, "unpack", "--drive", other, "--vault", w.vault, "--deletions", "apply")
	w.unpack()
	same(t, "mirror", a2, filepath.Join(w.vault, "a"))
	same(t, "snapshot 1", a1, filepath.Join(w.restore("1"), "a"))
	same(t, "snapshot 2", a2, filepath.Join(w.restore("2"), "a"))
	w.atVault("verify", "--vault", w.vault)
}

func copyGoSource(t *testing.T, sub, to string) {
	t.Helper()
	out, err := exec.Command("go", "env", "GOROOT").Output()
	must(t, err)
	from := filepath.Join(strings.TrimSpace(string(out)), "src", sub)
	if _, err := os.Stat(from); err != nil {
		return
	}
	must(t, filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		dst := filepath.Join(to, rel)
		if d.IsDir() {
			return os.MkdirAll(dst, 0o755)
		}
		if d.Type().IsRegular() {
			copyFileTo(t, path, dst)
		}
		return nil
	}))
}

func copyFileTo(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	must(t, err)
	must(t, os.WriteFile(to, data, 0o644))
}

// sparse makes a file of 40 MiB with a hole between two written ends.
func sparse(t *testing.T, name string) {
	t.Helper()
	f, err := os.Create(name)
	must(t, err)
	_, err = f.WriteAt([]byte("begin"), 0)
	must(t, err)
	if runtime.GOOS != "windows" {
		_, err = f.WriteAt([]byte("end"), 40<<20)
		must(t, err)
	}
	must(t, f.Close())
}
