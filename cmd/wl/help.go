package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// Help is made from the commands, as the manual pages are; the library's own
// puts a flag, its default and its variable into one line that no terminal is
// wide enough for.

const (
	helpWidth  = 80
	helpIndent = 22 // where the meaning of a flag or command begins
)

// helpOf is the help of the command that a command line names: of the program
// where it names none, of all commands below where it names a group.
func helpOf(app *cli.App, path []string) string {
	commands, full := app.Commands, "wl"
	var command *cli.Command
	for _, name := range path {
		next := find(commands, name)
		if next == nil {
			break
		}
		command, commands, full = next, next.Subcommands, full+" "+next.Name
	}
	switch {
	case command == nil:
		return mainHelp(app)
	case len(commands) > 0:
		return groupHelp(leaf{command, full})
	}
	return commandHelp(leaf{command, full})
}

func mainHelp(app *cli.App) string {
	var b strings.Builder
	fmt.Fprintf(&b, "wl - %s\n\nUsage: wl COMMAND [OPTIONS] [ARGUMENTS]\n\n%s\n\nCommands:\n", app.Usage, app.Description)
	writeCommands(&b, leafCommands(app.Commands, "wl"))
	b.WriteString("\nwl COMMAND --help tells more of each.\n")
	return b.String()
}

func groupHelp(l leaf) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s - %s\n\nUsage: %s COMMAND [OPTIONS] [ARGUMENTS]\n\nCommands:\n", l.full, l.Usage, l.full)
	writeCommands(&b, leafCommands(l.Subcommands, l.full))
	fmt.Fprintf(&b, "\n%s COMMAND --help tells more of each.\n", l.full)
	return b.String()
}

func writeCommands(b *strings.Builder, list []leaf) {
	for _, c := range list {
		writeItem(b, strings.TrimPrefix(c.full, "wl "), c.Usage)
	}
}

func commandHelp(l leaf) string {
	var b strings.Builder
	text, examples, _ := strings.Cut(l.Description, "\n\nExamples:\n")
	usage := l.full + " [OPTIONS]"
	if l.ArgsUsage != "" {
		usage += " " + l.ArgsUsage
	}
	fmt.Fprintf(&b, "%s - %s\n\nUsage: %s\n\n", l.full, l.Usage, usage)
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		if !aligned(paragraph) {
			paragraph = strings.Join(wrap(paragraph, helpWidth), "\n")
		}
		b.WriteString(paragraph + "\n\n")
	}
	b.WriteString("Options:\n")
	for _, f := range l.Flags {
		meaning := usageOf(f)
		if m := placeholder.FindStringIndex(meaning); m != nil && m[0] == 0 {
			meaning = strings.TrimLeft(meaning[m[1]:], ": ") // the term ends in that word
		}
		writeItem(&b, plainTerm(f), strings.ReplaceAll(meaning, "`", ""))
	}
	first := l.Flags[0].Names()[0]
	fmt.Fprintf(&b, "\nThe environment does what options do: --%s is %s, and so on.\n\nExamples:\n%s\n",
		first, variableOf(first), examples)
	return b.String()
}

// writeItem writes a term and what it means, in two columns.
func writeItem(b *strings.Builder, term, meaning string) {
	lines := wrap(meaning, helpWidth-helpIndent)
	if len(term)+4 > helpIndent {
		fmt.Fprintf(b, "  %s\n", term)
	} else {
		fmt.Fprintf(b, "  %-*s%s\n", helpIndent-2, term, lines[0])
		lines = lines[1:]
	}
	for _, line := range lines {
		fmt.Fprintf(b, "%*s%s\n", helpIndent, "", line)
	}
}

// aligned says that the lines of a paragraph are a table, to be left as they
// are.
func aligned(paragraph string) bool { return strings.Contains(paragraph, "  ") }

// wrap breaks text between words; there is at least one line.
func wrap(text string, width int) []string {
	lines := []string{""}
	for _, word := range strings.Fields(text) {
		last := &lines[len(lines)-1]
		switch {
		case *last == "":
			*last = word
		case len(*last)+1+len(word) > width:
			lines = append(lines, word)
		default:
			*last += " " + word
		}
	}
	return lines
}

// flagNames are the names of a flag as they are typed, short ones first.
func flagNames(f cli.Flag) []string {
	var names []string
	for _, name := range slices.Backward(f.Names()) {
		if len(name) == 1 {
			names = append(names, "-"+name)
			continue
		}
		names = append(names, "--"+name)
	}
	return names
}

// placeholderOf is the word for the value of a flag, "" where it takes none.
func placeholderOf(f cli.Flag) string {
	if m := placeholder.FindStringSubmatch(usageOf(f)); m != nil {
		return m[1]
	}
	return ""
}

// plainTerm is "--drive DIR", "-q, --quiet".
func plainTerm(f cli.Flag) string {
	return strings.TrimRight(strings.Join(flagNames(f), ", ")+" "+placeholderOf(f), " ")
}

// variableOf is the environment variable of a flag.
func variableOf(name string) string {
	return "WL_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// nearest is the name that somebody who typed word may have meant, "" if none
// is like it.
func nearest(word string, names []string) string {
	best, least := "", 3 // letters that are wrong at most, and fewer than half
	for _, name := range names {
		d := distance(word, name)
		if len(word) > 1 && strings.HasPrefix(name, word) {
			d = 1
		}
		if d < least && 2*d <= len(name) {
			best, least = name, d
		}
	}
	return best
}

// distance is how many letters must be put in, taken out or changed.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := before
			if a[i] != b[j] {
				change++
			}
			before = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
