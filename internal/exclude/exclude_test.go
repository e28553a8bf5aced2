package exclude

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func rules(t testing.TB, patterns ...string) Rules {
	t.Helper()
	var list Rules
	for _, p := range patterns {
		r, err := Parse(p, "test")
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, r)
	}
	return list
}

func TestPatternsMatchAsInGitignore(t *testing.T) {
	for _, c := range []struct {
		patterns string // separated by commas and a space
		path     string // with a slash at its end: a directory
		out      bool
	}{
		{"*.tmp", "a.tmp", true},
		{"*.tmp", "d/e/a.tmp", true},
		{"*.tmp", "a.tmp.txt", false},
		{"/a", "a", true},
		{"/a", "d/a", false},
		{"d/a", "d/a", true},
		{"d/a", "x/d/a", false},
		{"build/", "build/", true},
		{"build/", "x/build/", true},
		{"build/", "build", false},
		{"**/a", "a", true},
		{"**/a/b", "x/a/a/b", true},
		{"**/a/b", "a/x/a/b", true},
		{"a/**", "a/", false},
		{"a/**", "a/x", true},
		{"a/**", "a/x/y", true},
		{"a/**/b", "a/b", true},
		{"a/**/b", "a/x/y/b", true},
		{"a**b", "axxb", true},
		{"a**b/c", "ax/xb/c", false},
		{"*.o, !keep.o", "keep.o", false},
		{"*.o, !keep.o", "x.o", true},
		{"!keep.o, *.o", "keep.o", true},
		{"/dir/*, !/dir/keep", "dir/keep", false},
		{"/dir/*, !/dir/keep", "dir/other", true},
		{"[a-c]x", "bx", true},
		{"[!a-c]x", "bx", false},
		{"[^a-c]x", "dx", true},
		{"[]x]y", "]y", true},
		{"[[:digit:]]x", "7x", true},
		{"[[:punct:]]x", "[x", true},
		{"x[+-9]y", "x/y", false},
		{"/x[+-9]y", "x/y", false},
		{"/x[!a]y", "x/y", false},
		{"/x[+-9]y", "x.y", true},
		{"/x[+-9]y", "x5y", true},
		{`[\]a-]x`, "-x", true},
		{"[a-]x", "bx", false},
		{"{a,b}", "{a,b}", true},
		{"{a,b}", "a", false},
		{`\!a`, "!a", true},
		{`\#a`, "#a", true},
		{`a\ `, "a ", true},
		{`\*`, "*", true},
		{`\*`, "a", false},
		{"?", "\xff", true},
		{"a\xff*", "a\xff\xfe", true},
		{"a\xff", "a\xfe", false},
		{"\xc3\xa4*", "\xc3\xa4b", true},
		{"**", "anything", true},
	} {
		got := rules(t, strings.Split(c.patterns, ", ")...)
		path, dir := strings.CutSuffix(c.path, "/")
		if out := got.Match(path, dir) != nil; out != c.out {
			t.Errorf("%q leaves out %q: %v, want %v", c.patterns, c.path, out, c.out)
		}
	}
}

// What is left out is what git leaves out, for random patterns over a tree of names that look alike.
func TestWhatIsLeftOutIsWhatGitLeavesOut(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	root := t.TempDir()
	git := func(in string, args ...string) string {
		cmd := exec.Command("git", args...)
		cmd.Dir, cmd.Stdin = root, strings.NewReader(in)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
		out, err := cmd.Output()
		var exit *exec.ExitError
		if err != nil && !(errors.As(err, &exit) && exit.ExitCode() == 1) { // 1: nothing is ignored
			t.Fatalf("git %v: %v", args, err)
		}
		return string(out)
	}
	git("", "init", "-q")
	files, dirs := []string{"a", "b", "a.b", "]", "-", "!a", "#a", "a ", "{a,b}", "7"}, []string{"d", "ad", "d.d"}
	if raw := filepath.Join(root, "a\xffb"); os.WriteFile(raw, nil, 0o600) == nil {
		files = append(files, "a\xffb", "\xfeb")
	}
	isDir := map[string]bool{}
	var paths []string
	var grow func(dir string, depth int)
	grow = func(dir string, depth int) {
		for _, name := range files {
			p := strings.TrimPrefix(dir+"/"+name, "/")
			if err := os.WriteFile(filepath.Join(root, p), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			paths = append(paths, p)
		}
		for _, name := range dirs {
			p := strings.TrimPrefix(dir+"/"+name, "/")
			if err := os.Mkdir(filepath.Join(root, p), 0o700); err != nil {
				t.Fatal(err)
			}
			paths, isDir[p] = append(paths, p), true
			if depth > 1 {
				grow(p, depth-1)
			}
		}
	}
	grow("", 3)

	halfStars := regexp.MustCompile(`[^/!*]\*\*|\*\*[^/*]`)
	random := rand.New(rand.NewPCG(1, 2))
	pieces := []string{"a", "b", "d", "ad", "d.d", "*", "?", "**", "/", "/", "/**/", "**/", "/**", "[ab]", "[!ab]", "[]-]", "[a-]", "[[:alpha:]]",
		"[^[:alpha:]#]", "*.b", ".d", `\a`, `\*`, "{a,b}", "a\xff", "\xff*", "\xfe", " ", `\ `, "#", "!", `\!`, `\#`, "-", "a*", "7", "[0-9]", "[--9]", "[a-d]"}
	for range 300 {
		var list []string
		for range 1 + random.IntN(3) {
			p := ""
			if random.IntN(4) == 0 {
				p = "!"
			}
			for range 1 + random.IntN(4) {
				p += pieces[random.IntN(len(pieces))]
			}
			if halfStars.MatchString(p) {
				continue // git before 2.40 compares pointers of two strings there
			}
			list = append(list, p)
		}
		var ours Rules
		var theirs []string
		for _, p := range list {
			r, err := Parse(p, "")
			if err == nil {
				ours = append(ours, r)
			}
			if err == nil || errors.Is(err, ErrNothing) {
				theirs = append(theirs, p)
			}
		}
		if err := os.WriteFile(filepath.Join(root, ".git/info/exclude"), []byte(strings.Join(theirs, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		ignored := map[string]bool{}
		for _, p := range strings.Split(git(strings.Join(paths, "\x00")+"\x00", "check-ignore", "--no-index", "-z", "--stdin"), "\x00") {
			ignored[p] = true
		}
		for _, p := range paths {
			if got := ours.Covers(p, isDir[p]) != nil; got != ignored[p] {
				t.Errorf("patterns %q leave out %q: %v, git says %v", theirs, p, got, ignored[p])
			}
		}
		if t.Failed() {
			return
		}
	}
}

func TestMalformedPatternsAreRefused(t *testing.T) {
	for _, p := range []string{"/", "!", "!/", "a//b", "a/../b", "./a", "[a", `a\`, "[[:nothing:]]", "a\x00", "[a/b]", strings.Repeat("a", maxPattern+1)} {
		if r, err := Parse(p, ""); err == nil || errors.Is(err, ErrNothing) {
			t.Errorf("%q was read as %q, %v", p, r.glob, err)
		}
	}
	for _, p := range []string{"", "   ", "# a"} {
		if _, err := Parse(p, ""); !errors.Is(err, ErrNothing) {
			t.Errorf("%q: %v", p, err)
		}
	}
}

func TestAListNamesItsLines(t *testing.T) {
	list, err := ReadList(strings.NewReader("# text\r\n\n*.tmp\r\n!keep.tmp\n"), "list")
	if err != nil || len(list) != 2 || list[0].Where != "line 3 of list" || list.Match("x.tmp", false) == nil || list.Match("keep.tmp", false) != nil {
		t.Errorf("%+v, %v", list, err)
	}
	if _, err := ReadList(strings.NewReader("a\n[b\n"), "list"); err == nil || !strings.Contains(err.Error(), "list, line 2") {
		t.Errorf("%v", err)
	}
	if _, err := ReadList(bytes.NewReader(make([]byte, maxPattern+100)), "list"); err == nil {
		t.Error("a line without end was read")
	}
}

// No pattern and no name makes it panic.
func FuzzMatch(f *testing.F) {
	for _, s := range []string{"*.tmp", "a/**/b", "[!a-z]", `\{`, "!a\xff", "{a,b", "**a**/", "[[:alpha:]]"} {
		f.Add(s, "a/x/b\xff")
	}
	f.Fuzz(func(t *testing.T, pattern, path string) {
		r, err := Parse(pattern, "")
		if err != nil {
			return
		}
		Rules{r}.Covers(strings.Trim(path, "/"), true)
	})
}

func TestFinderMatchesNamesEndsAndWholePaths(t *testing.T) {
	for _, c := range []struct {
		pattern, path string
		fold, want    bool
	}{
		{"will.odt", "docs/letters/will.odt", false, true},
		{"will.odt", "docs/will.odt/x", false, false},
		{"*.JPG", "photos/a.jpg", false, false},
		{"*.JPG", "photos/a.jpg", true, true},
		{"letters/*.odt", "docs/letters/will.odt", false, true},
		{"letters/*.odt", "docs/letters/old/will.odt", false, false},
		{"letters/**/*.odt", "docs/letters/old/will.odt", false, true},
		{"/photos/*/x", "photos/2019/x", false, true},
		{"/photos/*/x", "docs/photos/2019/x", false, false},
		{"2019/", "photos/2019", false, true},
		{"{a,b}", "t/b", false, true},
		{`\*`, "t/*", false, true},
		{`\*`, "t/a", false, false},
	} {
		match, err := Finder([]string{"never", c.pattern}, c.fold)
		if err != nil {
			t.Fatal(err)
		}
		if match(c.path) != c.want {
			t.Errorf("%q and %q: %v", c.pattern, c.path, !c.want)
		}
	}
	for _, p := range []string{"[", "/", "", "{a"} {
		if _, err := Finder([]string{p}, false); err == nil {
			t.Errorf("%q is a pattern", p)
		}
	}
}
