package tests

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestEveryPromiseNamesATest holds docs/FORMAT.md to the code: each promise in
// it names a test, and each test it names is there.
func TestEveryPromiseNamesATest(t *testing.T) {
	there := allTests(t)
	data, err := os.ReadFile("../docs/FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z]\w+`).FindAllString(string(data), -1)
	if len(named) < 50 {
		t.Errorf("docs/FORMAT.md names %d tests only", len(named))
	}
	for _, name := range named {
		if !there[name] {
			t.Errorf("docs/FORMAT.md names %s, which is not there", name)
		}
	}
	inPromises, item := false, ""
	check := func() {
		if item != "" && !regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z]`).MatchString(item) {
			t.Errorf("a promise names no test: %s", strings.TrimSpace(item))
		}
		item = ""
	}
	for line := range strings.Lines(string(data)) {
		switch {
		case strings.HasPrefix(line, "Promises"):
			inPromises = true
		case strings.HasPrefix(line, "#"):
			check()
			inPromises = false
		case inPromises && strings.HasPrefix(line, "- "):
			check()
			item = line
		case item != "" && strings.TrimSpace(line) != "":
			item += line
		}
	}
	check()
}

// allTests is the names of all tests of the project.
func allTests(t *testing.T) map[string]bool {
	t.Helper()
	there := map[string]bool{}
	function := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		data, err := os.ReadFile(path)
		for _, m := range function.FindAllSubmatch(data, -1) {
			there[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return there
}

// TestTheTableOfScriptsPromisesWhatIsThere holds tests/script/README.md to the scripts: each
// is in the table, and what the table names is there.
func TestTheTableOfScriptsPromisesWhatIsThere(t *testing.T) {
	data, err := os.ReadFile("script/README.md")
	must(t, err)
	there, listed := allTests(t), map[string]bool{}
	for _, row := range regexp.MustCompile(`(?m)^\| .+ \| (.+) \|(.*)\|$`).FindAllStringSubmatch(string(data), -1) {
		for _, name := range regexp.MustCompile(`[a-z]+`).FindAllString(row[1], -1) {
			listed[name] = true
		}
		for _, name := range regexp.MustCompile(`Test\w+`).FindAllString(row[2], -1) {
			if !there[name] {
				t.Errorf("the table names %s, which is not there", name)
			}
		}
	}
	delete(listed, "scripts") // the heading
	files, err := filepath.Glob("script/*.txtar")
	must(t, err)
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txtar")
		if !listed[name] {
			t.Errorf("%s is not in the table of script/README.md", file)
		}
		delete(listed, name)
	}
	for name := range listed {
		t.Errorf("the table names the script %s, which is not there", name)
	}
}
