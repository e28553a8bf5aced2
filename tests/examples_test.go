//go:build unix

package tests

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestExamplesOfTheDocs runs the pages of the docs that are sessions. Blocks of
// the language "console" are a session at two machines: a line "home$ …" or
// "vault$ …" is a command, the lines behind it are what it says, where "…"
// stands for what was left out: within a line for a part of it, alone for any
// number of lines. Sizes, times, ids, numbers of chunks and inodes differ from
// run to run and are compared as such only. Each section of a page begins anew,
// or with what the section "Where each example begins" does; /srv and /mnt lie
// in a directory of its own, and so does the state of each machine, home and
// vault.
func TestExamplesOfTheDocs(t *testing.T) {
	t.Parallel()
	for page, least := range map[string]int{"EXAMPLES.md": 4, "WHEN-THINGS-GO-WRONG.md": 11} {
		t.Run(page, func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(filepath.Join("../docs", page))
			must(t, err)
			if ran := runPage(t, string(data)); ran < least {
				t.Errorf("the page has %d examples only", ran)
			}
		})
	}
}

func runPage(t *testing.T, page string) (ran int) {
	t.Helper()
	var begin []step
	for _, s := range strings.Split(page, "\n## ")[1:] {
		title, _, _ := strings.Cut(s, "\n")
		steps := stepsOf(t, s)
		if title == "Where each example begins" {
			begin = steps
			continue
		}
		if len(steps) == 0 {
			continue
		}
		ran++
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			m := newMachines(t)
			for _, step := range slices.Concat(begin, steps) {
				m.do(step)
			}
		})
	}
	return ran
}

// step is a command of the page and what it says.
type step struct {
	machine, command string
	says             []string
}

var prompt = regexp.MustCompile(`^(home|vault)\$ (.*)$`)

func stepsOf(t *testing.T, section string) (steps []step) {
	t.Helper()
	console := false
	for line := range strings.Lines(section) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "```") {
			console = line == "```console"
			continue
		}
		if !console {
			continue
		}
		if m := prompt.FindStringSubmatch(line); m != nil {
			steps = append(steps, step{machine: m[1], command: m[2]})
			continue
		}
		if len(steps) == 0 {
			t.Fatalf("output before any command: %s", line)
		}
		last := &steps[len(steps)-1]
		last.says = append(last.says, line)
	}
	return steps
}

// machines are the two machines of an example.
type machines struct {
	t    *testing.T
	root string
	path string // with wl in it
}

func newMachines(t *testing.T) *machines {
	t.Helper()
	name, err := binary()
	must(t, err)
	m := &machines{t: t, root: memoryDir(t), path: filepath.Dir(name) + ":" + os.Getenv("PATH")}
	for _, dir := range []string{"srv", "mnt"} {
		must(t, os.Mkdir(filepath.Join(m.root, dir), 0o755))
	}
	return m
}

// places are the directories of the page that lie elsewhere here.
var places = regexp.MustCompile(`(^|[\s=])/(srv|mnt)\b`)

func (m *machines) do(s step) {
	t := m.t
	t.Helper()
	if strings.HasPrefix(s.command, "mount ") {
		needRootHere(t)
		dir := strings.Fields(s.command)
		at := m.root + dir[len(dir)-1]
		t.Cleanup(func() {
			if out, err := exec.Command("umount", at).CombinedOutput(); err != nil {
				t.Errorf("umount %s: %v: %s", at, err, out)
			}
		})
	}
	cmd := exec.Command("sh", "-c", places.ReplaceAllString(s.command, "${1}"+m.root+"/${2}"))
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "WL_") && !strings.HasPrefix(e, "PATH=") {
			cmd.Env = append(cmd.Env, e)
		}
	}
	cmd.Env = append(cmd.Env, "PATH="+m.path, "WL_STATE="+filepath.Join(m.root, s.machine))
	cmd.Dir = m.root
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s$ %s: %v", s.machine, s.command, err)
	}
	said := strings.ReplaceAll(string(out), m.root, "")
	said = strings.ReplaceAll(said, "wl: note: this version does not seal what travels yet: whoever holds a drive can read it\n", "")
	said = strings.TrimSuffix(said, "\n")
	if said == "" && len(s.says) == 0 && err == nil {
		return
	}
	if want := expect(s.says); !want.MatchString(plain(said)) {
		t.Fatalf("%s$ %s\nthe page says:\n%s\n\nwl says (%v):\n%s", s.machine, s.command, strings.Join(s.says, "\n"), err, said)
	}
}

func needRootHere(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("the example mounts a drive, which needs root")
	}
}

// what differs from run to run, and what stands for it.
var varying = []struct {
	what *regexp.Regexp
	is   string
}{
	{regexp.MustCompile(`(?m)^ *\d{4,} `), "INODE "},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?`), "TIME"},
	{regexp.MustCompile(`\b\d+(\.\d+)? ([KMGT]i)?B\b`), "SIZE"},
	{regexp.MustCompile(`\b[0-9a-f]{8}\b`), "ID"},
	{regexp.MustCompile(`\b[\d,]+ chunks?\b`), "CHUNKS"},
	{regexp.MustCompile(`\bvault \S+ was on`), "vault NAME was on"},
	{regexp.MustCompile(` {2,}`), "  "}, // columns are as wide as what is in them
}

func plain(s string) string {
	for _, v := range varying {
		s = v.what.ReplaceAllString(s, v.is)
	}
	return s
}

// expect makes a pattern of the lines of the page.
func expect(lines []string) *regexp.Regexp {
	var b strings.Builder
	b.WriteString(`\A`)
	for i, line := range lines {
		end := `\n`
		if i == len(lines)-1 {
			end = `\z`
		}
		if line == "…" {
			b.WriteString(`(?s:.*)`)
			if end == `\z` {
				b.WriteString(end)
			}
			continue
		}
		for j, part := range strings.Split(plain(line), "…") {
			if j > 0 {
				b.WriteString(`.*`)
			}
			b.WriteString(regexp.QuoteMeta(part))
		}
		if end == `\n` && lines[i+1] == "…" && i+1 == len(lines)-1 {
			end = `(\n|\z)`
		}
		b.WriteString(end)
	}
	if len(lines) == 0 {
		b.WriteString(`\z`)
	}
	return regexp.MustCompile(b.String())
}
