package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"waterlock/internal/disk"
	"waterlock/tests/trees"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"wl": main})
}

// TestScripts runs tests/script/*.txtar: the command line as a person sees it,
// and what each command leaves behind. Commands beside those of testscript:
//
//	code N wl ...         wl must exit with N
//	json N wl ...         wl --json must exit with N, say nothing on stderr, and write
//	                      lines as docs/JSON.md has them
//	random FILE SIZE SEED a file of bytes that nothing makes smaller
//	odd DIR               a file in DIR whose name is not UTF-8
//	take DIR NAME         remember the exact state of DIR
//	same DIR NAME         DIR is as it was remembered: content, modes, times, links
//	differs DIR NAME      it is not
//	mtime FILE TIME       set a modification time, RFC 3339
//	flip GLOB OFFSET      change one byte; a negative offset counts from the end
//	maxsize DIR SIZE      all files below DIR together are at most SIZE
//	count GLOB N          so many paths match
//	append FILE OTHER     put what OTHER holds behind FILE
//	edit FILE REGEXP TEXT put TEXT in the place of what matches, which must be there; \n is a line end
//	lock FILE, unlock     hold the lock on FILE as another process would
//
// Where file systems can be mounted (script_linux_test.go):
//
//	mount DIR KIND SIZE   a file system of its own at DIR, where [mount:KIND] is true
//	again DIR             unmount it and mount it again
//	fill FILE LEAVE       a file so large that LEAVE bytes are free beside it
//	rot FILE OFFSET       flip a bit of FILE on the medium
//	asuser N wl ...       as code, run by a user without rights
//	allocated FILE SIZE   FILE takes at most SIZE on its disk
func TestScripts(t *testing.T) { testscript.Run(t, scripts(t)) }

func scripts(t *testing.T) testscript.Params {
	cmds := map[string]func(*testscript.TestScript, bool, []string){
		"code":    scriptCode,
		"json":    scriptJSON(documented(t)),
		"random":  scriptRandom,
		"odd":     scriptOdd,
		"take":    scriptTake,
		"same":    scriptSame,
		"differs": scriptDiffers,
		"mtime":   scriptMtime,
		"flip":    scriptFlip,
		"maxsize": scriptMaxSize,
		"count":   scriptCount,
		"lock":    scriptLock,
		"unlock":  scriptUnlock,
		"append":  scriptAppend,
		"edit":    scriptEdit,
	}
	maps.Copy(cmds, mountCommands)
	return testscript.Params{
		Dir: scriptDir,
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", filepath.Join(e.WorkDir, "user"))
			e.Setenv("WL_RESERVE", "0")
			e.Values[treesKey{}] = map[string]trees.Tree{}
			held := new([]*disk.Lock)
			e.Values[locksKey{}] = held
			prepareMounts(e)
			e.Defer(func() {
				for _, l := range *held {
					_ = l.Unlock() // the script failed while it held them
				}
			})
			return nil
		},
		Cmds: cmds,
		Condition: func(cond string) (bool, error) {
			kind, isMount := strings.CutPrefix(cond, "mount:")
			switch {
			case isMount:
				return canMount(kind), nil
			case cond == "root":
				return os.Geteuid() == 0, nil
			case cond == "soak":
				return soak, nil
			}
			return false, fmt.Errorf("no condition %q", cond)
		},
	}
}

// soak says that the long versions of the tests are wanted: make soak.
var soak = os.Getenv("WL_SOAK") != ""

var scriptDir = filepath.Join("..", "..", "tests", "script")

type (
	treesKey struct{}
	locksKey struct{}
)

func need(ts *testscript.TestScript, neg bool, args []string, n int, usage string) {
	if neg || len(args) < n {
		ts.Fatalf("usage: %s", usage)
	}
}

func scriptCode(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2, "code N wl ARG ...")
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exited *exec.ExitError
	if errors.As(err, &exited) {
		got = exited.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func scriptJSON(tables map[string][]field) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		need(ts, neg, args, 2, "json N wl COMMAND ...")
		scriptCode(ts, false, append(args, "--json"))
		code, err := strconv.Atoi(args[0])
		ts.Check(err)
		if errs := ts.ReadFile("stderr"); errs != "" {
			ts.Fatalf("with --json words on stderr: %s", errs)
		}
		ts.Check(checkLines(tables, ts.ReadFile("stdout"), code))
	}
}

func scriptAppend(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2, "append FILE OTHER")
	f, err := os.OpenFile(ts.MkAbs(args[0]), os.O_APPEND|os.O_WRONLY, 0)
	ts.Check(err)
	_, err = f.WriteString(ts.ReadFile(args[1]))
	ts.Check(errors.Join(err, f.Close()))
}

func scriptEdit(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 3, "edit FILE REGEXP TEXT")
	re, err := regexp.Compile(args[1])
	ts.Check(err)
	text := ts.ReadFile(args[0])
	if !re.MatchString(text) {
		ts.Fatalf("nothing in %s matches %s", args[0], args[1])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(re.ReplaceAllString(text, strings.ReplaceAll(args[2], `\n`, "\n"))), 0o600))
}

func scriptRandom(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 3, "random FILE SIZE SEED")
	size, err := parseSize(args[1])
	ts.Check(err)
	seed, err := strconv.Atoi(args[2])
	ts.Check(err)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	f, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	_, err = io.CopyN(f, readerFunc(r.Read), size)
	ts.Check(errors.Join(err, f.Close()))
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func scriptOdd(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 1, "odd DIR")
	if runtime.GOOS != "linux" {
		return
	}
	for i, name := range []string{"bad\xff\xfename", "new\nline", "esc\x1b[31m", " ", "back\\slash", "star*?\"<>|:", strings.Repeat("x", 255)} {
		ts.Check(os.WriteFile(filepath.Join(ts.MkAbs(args[0]), name), []byte{byte('a' + i), '\n'}, 0o644))
	}
}

func scriptTake(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2, "take DIR NAME")
	t, err := trees.Take(ts.MkAbs(args[0]), trees.Options{})
	ts.Check(err)
	ts.Value(treesKey{}).(map[string]trees.Tree)[args[1]] = t
}

func diff(ts *testscript.TestScript, args []string) []string {
	want, ok := ts.Value(treesKey{}).(map[string]trees.Tree)[args[1]]
	if !ok {
		ts.Fatalf("no tree %q was taken", args[1])
	}
	got, err := trees.Take(ts.MkAbs(args[0]), trees.Options{Skip: func(path string) bool { return slices.Contains(args[2:], path) }})
	ts.Check(err)
	return trees.Diff(want, got)
}

func scriptSame(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2, "same DIR NAME [PATH-LEFT-OUT ...]")
	if d := diff(ts, args); len(d) > 0 {
		ts.Fatalf("%s differs from %s:\n%s", args[0], args[1], strings.Join(d, "\n"))
	}
}

func scriptDiffers(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2, "differs DIR NAME")
	if len(diff(ts, args)) == 0 {
		ts.Fatalf("%s equals %s", args[0], args[1])
	}
}

func scriptMtime(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2, "mtime FILE TIME")
	at, err := time.Parse(time.RFC3339Nano, args[1])
	ts.Check(err)
	ts.Check(os.Chtimes(ts.MkAbs(args[0]), at, at))
}

func scriptFlip(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2, "flip GLOB OFFSET")
	offset, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	names, err := filepath.Glob(ts.MkAbs(args[0]))
	ts.Check(err)
	if len(names) == 0 {
		ts.Fatalf("nothing matches %s", args[0])
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		ts.Check(err)
		at := offset
		if at < 0 {
			at += int64(len(data))
		}
		data[at] ^= 0x40
		st, err := os.Stat(name)
		ts.Check(err)
		ts.Check(os.Chmod(name, 0o644))
		ts.Check(os.WriteFile(name, data, 0o644))
		ts.Check(os.Chtimes(name, st.ModTime(), st.ModTime()))
		ts.Check(os.Chmod(name, st.Mode().Perm()))
	}
}

func scriptMaxSize(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2, "maxsize DIR SIZE")
	most, err := parseSize(args[1])
	ts.Check(err)
	var total int64
	ts.Check(filepath.WalkDir(ts.MkAbs(args[0]), func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			total += info.Size()
		}
		return err
	}))
	ts.Logf("%s holds %d bytes", args[0], total)
	if total > most {
		ts.Fatalf("%s holds %d bytes, at most %d are right", args[0], total, most)
	}
}

func scriptCount(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2, "count GLOB N")
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	names, err := filepath.Glob(ts.MkAbs(args[0]))
	ts.Check(err)
	names = slices.DeleteFunc(names, func(n string) bool { return bytes.HasPrefix([]byte(filepath.Base(n)), []byte(".")) })
	if len(names) != want {
		ts.Fatalf("%d paths match %s, want %d:\n%s", len(names), args[0], want, strings.Join(names, "\n"))
	}
}

// scriptLock holds a lock in this process; the wl that is run is another one.
func scriptLock(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 1, "lock FILE")
	l, err := disk.TryLock(ts.MkAbs(args[0]))
	ts.Check(err)
	held := ts.Value(locksKey{}).(*[]*disk.Lock)
	*held = append(*held, l)
}

func scriptUnlock(ts *testscript.TestScript, neg bool, args []string) {
	held := ts.Value(locksKey{}).(*[]*disk.Lock)
	for _, l := range *held {
		ts.Check(l.Unlock())
	}
	*held = nil
}
