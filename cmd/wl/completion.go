package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"waterlock/internal/home"
	"waterlock/internal/machine"
	"waterlock/internal/vault"
)

// Completion: the shells' scripts (cmd_completion.go) call
//
//	wl __complete WORD ... WORD
//
// with the words behind the program's name up to the cursor, the last of them
// as far as it is typed, and get what may stand there, one candidate a line,
// behind a tab what it means. A line ":dirs" or ":files" says that the shell is
// to complete directories or files as well. The library has a way of its own;
// it does not know arguments before flags, nor values.
//
// Everything comes from the commands themselves: names, flags, and the word in
// backquotes of a flag's usage or in ArgsUsage that says what a value is: DIR,
// FILE, PATH, TREE.
const completeCommand = "__complete"

// wordsOf are values that are one of a few words, by flag.
var wordsOf = map[string][]string{
	"deletions": {"ask", "keep", "confirmed", "apply"},
	"vanished":  {"ask", "propagate", "keep"},
	"excluded":  {"ask", "propagate", "keep"},
	"snapshot":  {"latest"},
}

// completion is a command line that is being typed.
type completion struct {
	state   string            // this machine's
	command *cli.Command      // the one named so far; nil: none
	among   []*cli.Command    // those that may be named now
	args    int               // arguments that stand there already
	values  map[string]string // flags that stand there, and their values
	out     map[string]string // candidates and what they mean
	shell   string            // ":dirs", ":files" or ""
}

// complete writes the candidates for the last word.
func complete(app *cli.App, words []string, out io.Writer) {
	if len(words) == 0 {
		words = []string{""}
	}
	c := &completion{among: app.Commands, values: map[string]string{}, out: map[string]string{}}
	takesValue := valueFlags(app.Commands, map[string]bool{})
	awaited, onlyArgs := "", false // the flag whose value comes next; behind "--"
	for _, word := range words[:len(words)-1] {
		name, value, hasValue := strings.Cut(strings.TrimLeft(word, "-"), "=")
		switch {
		case awaited != "" && word == "=": // bash takes --flag=value apart
		case awaited != "":
			c.values[awaited], awaited = word, ""
		case !onlyArgs && word == "--":
			onlyArgs = true
		case !onlyArgs && len(word) > 1 && word[0] == '-':
			c.values[c.longName(name)] = value
			if takesValue[name] && !hasValue {
				awaited = c.longName(name)
			}
		default:
			c.word(word)
		}
	}
	c.state = c.values["state"]
	if c.state == "" {
		c.state = os.Getenv("WL_STATE")
	}
	if c.state == "" {
		c.state, _ = machine.DefaultState()
	}
	c.last(words[len(words)-1], awaited, onlyArgs)
	if c.shell != "" {
		fmt.Fprintln(out, c.shell)
	}
	for _, value := range slices.Sorted(maps.Keys(c.out)) {
		fmt.Fprintf(out, "%s\t%s\n", value, c.out[value])
	}
}

// word takes a word that is no flag: a command, else an argument.
func (c *completion) word(word string) {
	if next := find(c.among, word); next != nil && c.args == 0 {
		c.command, c.among = next, next.Subcommands
		return
	}
	c.args++
}

// last finds the candidates for the last word.
func (c *completion) last(word, awaited string, onlyArgs bool) {
	if awaited != "" {
		c.flagValue(awaited, strings.TrimPrefix(word, "="))
		return
	}
	if !onlyArgs && strings.HasPrefix(word, "-") {
		if name, value, ok := strings.Cut(strings.TrimLeft(word, "-"), "="); ok {
			c.flagValue(c.longName(name), value)
			return
		}
		c.flags(word)
		return
	}
	if len(c.among) > 0 && c.args == 0 && !onlyArgs {
		for _, sub := range c.among {
			if !sub.Hidden {
				c.offer(word, sub.Name, sub.Usage)
			}
		}
		return
	}
	if c.command != nil {
		c.argument(word)
	}
}

func (c *completion) offer(typed, value, meaning string) {
	if strings.HasPrefix(value, typed) && !strings.ContainsAny(value, "\t\n") {
		c.out[value] = meaning
	}
}

// flags offers the flags of the command that do not stand there yet; those that
// may be given several times are offered again.
func (c *completion) flags(typed string) {
	list := commonFlags()
	if c.command != nil && len(c.command.Subcommands) == 0 {
		list = c.command.Flags
	}
	c.offer(typed, "--help", "show help")
	for _, f := range list {
		name := f.Names()[0]
		_, many := f.(*cli.StringSliceFlag)
		if _, there := c.values[name]; there && !many {
			continue
		}
		c.offer(typed, "--"+name, strings.ReplaceAll(usageOf(f), "`", ""))
	}
}

// longName is the first name of a flag, by any of its names.
func (c *completion) longName(name string) string {
	if c.command != nil {
		for _, f := range c.command.Flags {
			if slices.Contains(f.Names(), name) {
				return f.Names()[0]
			}
		}
	}
	return name
}

func usageOf(f cli.Flag) string {
	if doc, ok := f.(cli.DocGenerationFlag); ok {
		return doc.GetUsage()
	}
	return ""
}

var placeholder = regexp.MustCompile("`([^`]+)`")

// flagValue offers values of a flag.
func (c *completion) flagValue(name, typed string) {
	known := machine.Load(c.state)
	for _, w := range wordsOf[name] {
		c.offer(typed, w, "")
	}
	switch name {
	case "drive":
		for _, d := range known.Drives {
			c.offer(typed, d.Path, driveName(d.Label, d.ID))
		}
	case "vault":
		for _, v := range known.Vaults {
			c.offer(typed, v.Path, "vault of route "+v.Name)
		}
	case "route":
		routes, _ := machine.Routes(c.state)
		for _, r := range routes {
			c.offer(typed, r, "route")
		}
	}
	if c.command == nil {
		return
	}
	for _, f := range c.command.Flags {
		if m := placeholder.FindStringSubmatch(usageOf(f)); m != nil && f.Names()[0] == name {
			c.kindOfValue(m[1], typed)
		}
	}
}

// argument offers arguments of the command.
func (c *completion) argument(typed string) {
	usage := strings.Fields(strings.NewReplacer("[", " ", "]", " ").Replace(c.command.ArgsUsage))
	if len(usage) == 0 {
		return
	}
	kind := usage[min(c.args, len(usage)-1)]
	if kind == "..." {
		kind = usage[len(usage)-2]
	}
	c.kindOfValue(kind, typed)
}

// kindOfValue offers what fits the word for a value: DIR, FILE, PATH, TREE,
// TREE=DIR, TREE/PATH, DRIVE (label or id), A or B (snapshots), SHELL.
func (c *completion) kindOfValue(kind, typed string) {
	switch {
	case kind == "DIR":
		c.shell = ":dirs"
	case kind == "FILE", strings.HasPrefix(kind, "PATH"):
		c.shell = ":files"
	case kind == "DRIVE":
		c.drives(typed)
	case kind == "SHELL":
		for _, shell := range []string{"bash", "zsh", "fish"} {
			c.offer(typed, shell, "")
		}
	case kind == "A", kind == "B":
		c.offer(typed, "latest", "the newest snapshot")
	case kind == "TREE=DIR" && strings.Contains(typed, "="):
		c.shell = ":dirs"
	case kind == "TREE=DIR":
		for _, t := range vault.RouteTrees(c.vaultPlace()) {
			c.offer(typed, t+"=", "tree")
		}
	case kind == "TREE":
		routes, _ := home.Routes(c.state)
		for _, r := range routes {
			for _, t := range r.Trees {
				c.offer(typed, t, "tree of route "+r.Name)
			}
		}
	case strings.HasPrefix(kind, "TREE"):
		c.inMirror(typed)
	}
}

// drives offers the labels of the drives that are known, and the ids of those
// that share one or have none.
func (c *completion) drives(typed string) {
	known := machine.Load(c.state).Drives
	named := map[string]int{}
	for _, d := range known {
		named[d.Label]++
	}
	for _, d := range known {
		if d.Label != "" && named[d.Label] == 1 {
			c.offer(typed, d.Label, driveName(d.Label, d.ID))
			continue
		}
		c.offer(typed, short(d.ID), driveName(d.Label, d.ID))
	}
}

// vaultPlace is the vault that the command line means, "" if none is.
func (c *completion) vaultPlace() string {
	if dir := cmp.Or(c.values["vault"], os.Getenv("WL_VAULT")); dir != "" {
		return dir
	}
	dir, _ := machine.Load(c.state).OnlyVault()
	return dir
}

// inMirror offers TREE/PATH by what lies in the mirror now, one level at a time.
func (c *completion) inMirror(typed string) {
	dir := c.vaultPlace()
	if dir == "" {
		return
	}
	places, err := vault.TreePlaces(dir)
	if err != nil {
		return
	}
	parent, _ := path.Split(typed)
	if parent == "" {
		for tree := range places {
			c.offer(typed, tree+"/", "tree")
		}
		return
	}
	tree, below, _ := strings.Cut(parent, "/")
	place, ok := places[tree]
	if !ok {
		return
	}
	entries, _ := os.ReadDir(filepath.Join(place, filepath.FromSlash(below)))
	for _, e := range entries {
		switch {
		case below == "" && e.Name() == ".wl":
		case e.IsDir():
			c.offer(typed, parent+e.Name()+"/", "")
		default:
			c.offer(typed, parent+e.Name(), "")
		}
	}
}
