package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"waterlock/internal/exit"
)

func testApp() *cli.App {
	return newApp(&env{out: new(bytes.Buffer), err: new(bytes.Buffer)})
}

func TestPermute(t *testing.T) {
	cases := []struct{ in, want string }{
		{"wl", "wl"},
		{"wl --help", "wl --help"},
		{"wl help pack", "wl pack --help"},
		{"wl help", "wl --help"},
		{"wl pack --drive D", "wl pack --drive D"},
		{"wl --drive D pack", "wl pack --drive D"},
		{"wl -q drive init DIR --label x", "wl drive init -q --label x -- DIR"},
		{"wl drive init --label=x DIR -v", "wl drive init --label=x -v -- DIR"},
		{"wl drive --yes clear DIR", "wl drive clear --yes -- DIR"},
		{"wl restore a/b --snapshot 1 c --target T", "wl restore --snapshot 1 --target T -- a/b c"},
		{"wl restore --snapshot 1 -- -x --target", "wl restore --snapshot 1 -- -x --target"},
		{"wl restore -s -1 x", "wl restore -s -1 -- x"},
		{"wl init pack drive", "wl init -- pack drive"},
		{"wl pack --frob x", "wl pack --frob -- x"},
		{"wl pack -nv", "wl pack -nv"},
		{"wl restore -", "wl restore -- -"},
		{"wl frob x", "wl -- frob x"},
	}
	for _, c := range cases {
		got, err := permute(testApp(), strings.Fields(c.in))
		if err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("permute(%q) = %q, %v; want %q", c.in, strings.Join(got, " "), err, c.want)
		}
	}
	if _, err := permute(testApp(), []string{"wl", "pack", "--drive"}); exit.Of(err) != exit.Usage {
		t.Errorf("a flag without its value: %v", err)
	}
}

// eachCommand calls fn for every command that does something.
func eachCommand(t *testing.T, fn func(c *cli.Command)) {
	t.Helper()
	n := 0
	var walk func([]*cli.Command)
	walk = func(list []*cli.Command) {
		for _, c := range list {
			if len(c.Subcommands) > 0 {
				walk(c.Subcommands)
				continue
			}
			n++
			fn(c)
		}
	}
	walk(testApp().Commands)
	if n < 16 {
		t.Errorf("%d commands only", n)
	}
}

func TestEveryFlagHasItsEnvironmentVariable(t *testing.T) {
	eachCommand(t, func(c *cli.Command) {
		for _, f := range c.Flags {
			want := "WL_" + strings.ToUpper(strings.ReplaceAll(f.Names()[0], "-", "_"))
			doc, ok := f.(cli.DocGenerationFlag)
			if !ok || !slices.Equal(doc.GetEnvVars(), []string{want}) {
				t.Errorf("%s --%s: environment %v, want %s", c.HelpName, f.Names()[0], doc.GetEnvVars(), want)
			}
		}
	})
}

func TestEveryCommandHasAnExample(t *testing.T) {
	eachCommand(t, func(c *cli.Command) {
		if !strings.Contains(c.Description, "\nExamples:\n  "+c.HelpName) {
			t.Errorf("%s has no example of itself", c.HelpName)
		}
		if c.Usage == "" || c.Action == nil {
			t.Errorf("%s has no usage or no action", c.HelpName)
		}
	})
}

// Flags are told from arguments before the command is known, so a name must
// mean one kind of flag everywhere.
func TestAFlagIsOfOneKindEverywhere(t *testing.T) {
	kind := map[string]bool{}
	eachCommand(t, func(c *cli.Command) {
		for _, f := range c.Flags {
			_, isBool := f.(*cli.BoolFlag)
			for _, n := range f.Names() {
				if was, seen := kind[n]; seen && was != isBool {
					t.Errorf("%s: flag %q takes a value in one command and none in another", c.HelpName, n)
				}
				kind[n] = isBool
			}
		}
	})
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "1": 1, "1GiB": 1 << 30, "500MB": 500e6, "4TB": 4e12, "1.5 GiB": 3 << 29, "2 tib": 2 << 40, "64k": 64e3, "1,000": 1000,
	} {
		if got, err := parseSize(text); err != nil || got != want {
			t.Errorf("parseSize(%q) = %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", " ", "-1", "lots", "1XB", "99999999999999999999", "16EiB", "NaN", "+1", "1e400"} {
		if got, err := parseSize(text); err == nil {
			t.Errorf("parseSize(%q) = %d, want an error", text, got)
		}
	}
}

func TestGiven(t *testing.T) {
	g := given(testApp(), []string{"wl", "verify", "--vault", "x", "-q", "--subset=10%", "--", "--drive"})
	for name, want := range map[string]bool{"vault": true, "q": true, "subset": true, "drive": false} {
		if g[name] != want {
			t.Errorf("given[%q] = %v, want %v", name, g[name], want)
		}
	}
}
