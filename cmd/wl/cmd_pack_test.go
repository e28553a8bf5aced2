package main

import (
	"bytes"
	"strings"
	"testing"

	"waterlock/internal/home"
)

func TestWhatIsSaidOfAStoppedTree(t *testing.T) {
	for want, tree := range map[string]home.StoppedTree{
		"Tree docs was left as it was in the last snapshot: its root is empty. If that is right, run again with --allow-empty docs.":    {Tree: "docs", Reason: "its root is empty", Flag: "--allow-empty"},
		"Tree docs was left as it was in the last snapshot: its root cannot be read.":                                                   {Tree: "docs", Reason: "its root cannot be read"},
		"Tree docs is in no snapshot yet, nor in this one: its root is missing. If that is right, run again with --allow-missing docs.": {Tree: "docs", Reason: "its root is missing", Flag: "--allow-missing", Never: true},
	} {
		if got := stoppedLine(tree); got != want {
			t.Errorf("%s", got)
		}
	}
}

// The vault is said to have everything only where that is so.
func TestWhatIsSaidOfNoNewContent(t *testing.T) {
	const everything = "the vault has everything"
	for name, c := range map[string]struct {
		res    home.PackResult
		all    bool
		phrase string
	}{
		"nothing new":   {home.PackResult{}, true, "carries the snapshot alone"},
		"full drive":    {home.PackResult{Pending: 3, Why: "the drive is full"}, false, "the drive is full"},
		"stopped tree":  {home.PackResult{Stopped: []home.StoppedTree{{Tree: "docs"}}}, false, "carries the snapshot alone"},
		"after a crash": {home.PackResult{Resumed: true}, false, "an earlier one had packed"},
		"wants in vain": {home.PackResult{WantsGone: 1}, false, "1 chunk that the vault asks for is no longer at home: snapshots that name it stay incomplete"},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			c.res.Snapshot = 1
			s := &session{console: newConsole(&env{out: &out, err: &out}, false, false)}
			tellPacked(s, c.res)
			s.Close()
			if got := out.String(); strings.Contains(got, everything) != c.all || !strings.Contains(got, c.phrase) {
				t.Error(got)
			}
		})
	}
}

func TestHelpNamesTheProgramOnce(t *testing.T) {
	for _, args := range [][]string{{"pack"}, {"drive"}, {"drive", "init"}} {
		var out bytes.Buffer
		run(append(append([]string{"wl"}, args...), "--help"), nil, &out, &out)
		if got := out.String(); strings.Contains(got, "wl wl") || !strings.Contains(got, "wl "+strings.Join(args, " ")+" - ") {
			t.Error(got)
		}
	}
}
