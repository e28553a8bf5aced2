package main

import (
	"bytes"
	"strings"
	"testing"

	"waterlock/internal/exit"
)

func TestHelpNamesEveryCommandAndFlagAndFitsATerminal(t *testing.T) {
	help := func(args ...string) string {
		var out, errs bytes.Buffer
		if code := run(append([]string{"wl"}, args...), nil, &out, &errs); code != exit.OK || errs.Len() > 0 {
			t.Fatalf("%q: code %d, %s", args, code, &errs)
		}
		return out.String()
	}
	all := leafCommands(testApp().Commands, "wl")
	main := help("--help")
	if main != help() {
		t.Error("wl and wl --help differ")
	}
	for _, c := range all {
		if !strings.Contains(main, "\n  "+strings.TrimPrefix(c.full, "wl ")+" ") {
			t.Errorf("wl --help lacks %s", c.full)
		}
		words := strings.Fields(c.full)[1:]
		text := help(append(words, "--help")...)
		if text != help(append(words, "-h", "x", "--json")...) || text != help(append([]string{"help"}, words...)...) {
			t.Errorf("%s: --help differs from -h or help", c.full)
		}
		if !strings.HasPrefix(text, c.full+" - ") || !strings.Contains(text, "\nExamples:\n  "+c.full) {
			t.Errorf("help of %s:\n%s", c.full, text)
		}
		for _, f := range c.Flags {
			if !strings.Contains(text, "  "+plainTerm(f)) {
				t.Errorf("help of %s lacks %s", c.full, plainTerm(f))
			}
		}
		for line := range strings.Lines(text) {
			if len(line) > 120 {
				t.Errorf("help of %s: a line of %d letters: %s", c.full, len(line), line)
			}
		}
	}
	if text := help("drive", "--help"); !strings.Contains(text, "  drive clear ") || strings.Contains(text, "unpack") {
		t.Error(text)
	}
}

func TestAValueThatLooksLikeHelpIsAValue(t *testing.T) {
	if g := given(testApp(), []string{"wl", "drive", "init", "--label", "--help", "-y"}); g["help"] || !g["label"] || !g["y"] {
		t.Error(g)
	}
}

func TestNearestIsWhatSomebodyMayHaveMeant(t *testing.T) {
	names := []string{"init", "pack", "unpack", "snapshots", "verify", "ls"}
	for word, want := range map[string]string{
		"pac": "pack", "inti": "init", "snap": "snapshots", "snapshot": "snapshots", "verfy": "verify", "unpak": "unpack",
		"frobnicate": "", "x": "", "": "", "sl": "",
	} {
		if got := nearest(word, names); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
}
