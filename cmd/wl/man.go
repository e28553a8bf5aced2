package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"waterlock/internal/exit"
)

// The manual pages are made from the commands themselves, wl.1 and one for each
// command (wl-drive-init.1), by
//
//	wl __man DIR
//
// which is what "make man" runs. The library makes one page of all, without the
// descriptions of the commands and their examples.
const manCommand = "__man"

// writeMan writes all pages into dir, which is made if it is missing.
func writeMan(app *cli.App, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, text := range manPages(app) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// manPages is the text of each page, by its file name.
func manPages(app *cli.App) map[string]string {
	all := leafCommands(app.Commands, "wl")
	pages := map[string]string{"wl.1": mainPage(app, all)}
	for _, c := range all {
		pages[c.page()+".1"] = c.manPage()
	}
	return pages
}

// leaf is a command that can be run, with its full name: "wl drive init".
type leaf struct {
	*cli.Command
	full string
}

func (l leaf) page() string { return strings.ReplaceAll(l.full, " ", "-") }

// leafCommands lists the commands that can be run.
func leafCommands(commands []*cli.Command, parent string) []leaf {
	var list []leaf
	for _, c := range commands {
		full := parent + " " + c.Name
		if len(c.Subcommands) > 0 {
			list = append(list, leafCommands(c.Subcommands, full)...)
			continue
		}
		list = append(list, leaf{c, full})
	}
	return list
}

// roff builds a page.
type roff struct{ strings.Builder }

func newPage(name, usage string) *roff {
	r := &roff{}
	fmt.Fprintf(r, ".TH %s 1 \"\" \"wl %s\" \"Waterlock\"\n", strings.ToUpper(name), version)
	r.section("Name")
	fmt.Fprintf(r, "%s \\- %s\n", escapeRoff(name), escapeRoff(usage))
	return r
}

func (r *roff) section(title string) { fmt.Fprintf(r, ".SH %s\n", strings.ToUpper(title)) }

// item is a term and what it means.
func (r *roff) item(term, text string) { fmt.Fprintf(r, ".TP\n%s\n%s\n", term, escapeRoff(text)) }

// text is paragraphs.
func (r *roff) text(s string) {
	for i, paragraph := range strings.Split(strings.TrimSpace(s), "\n\n") {
		if i > 0 {
			r.WriteString(".PP\n")
		}
		if aligned(paragraph) {
			r.verbatim(paragraph)
			continue
		}
		r.WriteString(escapeRoff(paragraph) + "\n")
	}
}

func (r *roff) verbatim(s string) { fmt.Fprintf(r, ".nf\n%s\n.fi\n", escapeRoff(s)) }

// escapeRoff makes text mean itself.
func escapeRoff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", "").Replace(s)
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, ".") {
			lines[i] = `\&` + l
		}
	}
	return strings.Join(lines, "\n")
}

func bold(s string) string   { return `\fB` + escapeRoff(s) + `\fR` }
func italic(s string) string { return `\fI` + escapeRoff(s) + `\fR` }

func mainPage(app *cli.App, all []leaf) string {
	r := newPage("wl", app.Usage)
	r.section("Synopsis")
	fmt.Fprintf(r, "%s %s [%s] [%s]\n", bold("wl"), italic("command"), italic("options"), italic("arguments"))
	r.section("Description")
	r.text(app.Description)
	r.section("Commands")
	for _, c := range all {
		r.item(bold(c.full)+"(1)", c.Usage)
	}
	r.section("Exit status")
	for _, code := range exit.Codes {
		r.item(bold(fmt.Sprint(int(code))), code.String())
	}
	r.section("Files")
	r.item(italic("~/.local/state/wl/routes/NAME/route.toml"), "the settings of a route, at home")
	r.item(italic("VAULT/.wl/vault.toml"), "the settings of a vault")
	r.item(italic("DRIVE/waterlock/drive.json"), "what makes a directory a courier drive")
	return r.String()
}

func (l leaf) manPage() string {
	r := newPage(l.page(), l.Usage)
	r.section("Synopsis")
	fmt.Fprintf(r, "%s [%s] %s\n", bold(l.full), italic("options"), escapeRoff(l.ArgsUsage))
	text, examples, _ := strings.Cut(l.Description, "\n\nExamples:\n")
	r.section("Description")
	r.text(text)
	r.section("Options")
	for _, f := range l.Flags {
		r.item(flagTerm(f), strings.ReplaceAll(usageOf(f), "\n", " ")+" ["+variableOf(f.Names()[0])+"]")
	}
	r.section("Examples")
	r.verbatim(examples)
	r.section("See also")
	fmt.Fprintf(r, "%s(1)\n", bold("wl"))
	return r.String()
}

// flagTerm is plainTerm for a page.
func flagTerm(f cli.Flag) string {
	var names []string
	for _, name := range flagNames(f) {
		names = append(names, bold(name))
	}
	term := strings.Join(names, ", ")
	if value := placeholderOf(f); value != "" {
		term += " " + italic(value)
	}
	return term
}
