package main

import (
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

// The words that a flag's value may be are those that its usage names.
func TestCompletedWordsAreThoseOfTheUsage(t *testing.T) {
	seen := map[string]bool{}
	eachCommand(t, func(c *cli.Command) {
		for _, f := range c.Flags {
			words, ok := wordsOf[f.Names()[0]]
			if !ok {
				continue
			}
			seen[f.Names()[0]] = true
			for _, w := range words {
				if !strings.Contains(usageOf(f), w) {
					t.Errorf("%s --%s: usage does not name %q", c.HelpName, f.Names()[0], w)
				}
			}
		}
	})
	for name := range wordsOf {
		if !seen[name] {
			t.Errorf("no flag --%s", name)
		}
	}
}
