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
