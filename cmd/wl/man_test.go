package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"waterlock/internal/exit"
)

// Each command has a page that names each of its flags, and groff has nothing
// to say about it.
func TestEveryCommandHasAManualPage(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "man")
	var out bytes.Buffer
	if code := run([]string{"wl", manCommand, dir}, nil, &out, &out); code != exit.OK || out.Len() > 0 {
		t.Fatal(code, out.String())
	}
	main, err := os.ReadFile(filepath.Join(dir, "wl.1"))
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range exit.Codes {
		if !strings.Contains(string(main), code.String()) {
			t.Errorf("wl.1 lacks exit code %d", code)
		}
	}
	for _, c := range leafCommands(testApp().Commands, "wl") {
		if !strings.Contains(string(main), bold(c.full)) {
			t.Errorf("wl.1 lacks %s", c.full)
		}
		text, err := os.ReadFile(filepath.Join(dir, c.page()+".1"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range c.Flags {
			for _, name := range f.Names() {
				if !strings.Contains(string(text), `\-`+escapeRoff(name)+`\fR`) {
					t.Errorf("%s lacks --%s", c.page(), name)
				}
			}
		}
		if !strings.Contains(string(text), "\n"+escapeRoff("  "+c.full)) {
			t.Errorf("%s has no example", c.page())
		}
	}
	groff, err := exec.LookPath("groff")
	if err != nil {
		t.Skip("no groff here to read the pages")
	}
	pages, err := filepath.Glob(dir + "/*.1")
	if err != nil || len(pages) < 10 {
		t.Fatal(pages, err)
	}
	for _, p := range pages {
		said, err := exec.Command(groff, "-man", "-ww", "-z", "-Tutf8", p).CombinedOutput()
		if err != nil || len(said) > 0 {
			t.Errorf("%s: %v: %s", p, err, said)
		}
	}
}

func TestTextInAManualPageMeansItself(t *testing.T) {
	for text, want := range map[string]string{
		`a\b`: `a\eb`, ".wl lies\n.there": "\\&.wl lies\n\\&.there", "'x' --y `Z`": `\(aqx\(aq \-\-y Z`,
	} {
		if got := escapeRoff(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
