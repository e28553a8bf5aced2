package tests

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"waterlock/tests/mounts"
	"waterlock/tests/trees"
)

// Restoring onto a file system that holds less than home's says what it does not
// take, in one line a kind of thing; all content comes back all the same.
func TestRestoreOntoAFileSystemThatHoldsLess(t *testing.T) {
	t.Parallel()
	needAccessLists(t)
	target := mounts.ExFAT.For(t, 0)
	w := newWorld(t)
	home := filepath.Join(w.home, "t")
	must(t, os.MkdirAll(home, 0o750))
	attributes(t, home)
	must(t, os.Lchown(filepath.Join(home, "kind"), 1234, 1234))
	old := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	must(t, os.Chtimes(filepath.Join(home, "kind"), old, old))
	w.begin("t")
	w.pack()
	w.joinAndUnpack()

	restore := func(dir string, code int, more ...string) string {
		return w.run(code, w.vState, append([]string{"restore", "--vault", w.vault, "--snapshot", "1", "--target", dir}, more...)...)
	}
	out := restore(target.Dir, 3)
	for _, line := range []string{
		`owners of 1 entry`, `modes of \d+ entries`, `times of \d+ entries`, `access lists of \d entries`, `user\.\* attributes of 1 entry`,
		`hard links of 2 entries`, `1 symlink not made`, `1 pipe not made`,
	} {
		if n := len(regexp.MustCompile(line).FindAllString(out, -1)); n != 1 {
			t.Errorf("%s is said %d times", line, n)
		}
	}
	if strings.Contains(out, "problem") || !strings.Contains(out, "on FUSE") {
		t.Errorf("%s", out)
	}
	want, err := trees.Take(home, trees.Options{NoTimes: true, NoOwners: true})
	must(t, err)
	got, err := trees.Take(filepath.Join(target.Dir, "t"), trees.Options{NoTimes: true, NoOwners: true})
	must(t, err)
	for name, f := range want {
		if f.Mode.IsRegular() && got[name].Content != f.Content {
			t.Errorf("%s has other content", name)
		}
		// Times come back as far as the file system tells them apart.
		now, err := os.Stat(filepath.Join(target.Dir, "t", name))
		was, _ := os.Lstat(filepath.Join(home, name))
		if err == nil && was.Mode().Type() == now.Mode().Type() && now.ModTime().Sub(was.ModTime()).Abs() > 2*time.Second && was.ModTime().Year() >= 1980 {
			t.Errorf("%s: changed %v, was %v", name, now.ModTime(), was.ModTime())
		}
	}
	// The names are there for who asks.
	if out := restore(filepath.Join(target.Dir, "again"), 3, "-v"); !strings.Contains(out, "t/links/two/b: hard links") {
		t.Errorf("no names with -v:\n%s", out)
	}

	// Memory holds everything.
	memory := mounts.TmpFS.For(t, 0)
	restore(memory.Dir, 0)
	same(t, "on tmpfs", takeDir(t, home), filepath.Join(memory.Dir, "t"))
	must(t, os.Chmod(filepath.Join(memory.Dir, "t/closed"), 0o755))
}
