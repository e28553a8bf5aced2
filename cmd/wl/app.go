package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"waterlock/internal/exit"
	"waterlock/internal/machine"
	"waterlock/internal/report"
)

// errReported says that the command has told everything itself and only the
// exit code is left.
var errReported = errors.New("reported")

// env is what a command gets beside its flags.
type env struct {
	in       *os.File
	out, err io.Writer
	ask      <-chan os.Signal // somebody wants to see the progress
	json     bool             // --json
	given    map[string]bool  // flags on the command line itself
}

// run is the whole program: it returns the exit code.
func run(args []string, in *os.File, out, errOut io.Writer) exit.Code {
	e := &env{in: in, out: out, err: errOut, ask: progressSignal(), json: wantsJSON(args)}
	app := newApp(e)
	switch {
	case len(args) > 1 && args[1] == completeCommand:
		complete(app, args[2:], out)
		return exit.OK
	case len(args) == 3 && args[1] == manCommand:
		err := writeMan(app, args[2])
		if err != nil {
			e.fail(err)
		}
		return exit.Of(err)
	}
	args, err := permute(app, args)
	if err == nil {
		e.given = given(app, args)
		if e.given["help"] || e.given["h"] {
			fmt.Fprint(out, helpOf(app, args[1:]))
			return exit.OK
		}
		err = app.Run(args)
	}
	if err != nil {
		e.fail(err)
	}
	return exit.Of(err)
}

// fail says why the exit code is not 0.
func (e *env) fail(err error) {
	code := exit.Of(err)
	reported := errors.Is(err, errReported)
	switch {
	case e.json && reported:
		lines{e.out}.write("exit_error", "", exitErrorOf(code, code.String()))
	case e.json:
		lines{e.out}.write("exit_error", "", exitErrorOf(code, err.Error()))
	case !reported:
		for line := range strings.Lines(err.Error()) {
			fmt.Fprintln(e.err, report.Line(wrapped(e.err, "wl: "+strings.TrimRight(line, "\n"))))
		}
	}
}

func newApp(e *env) *cli.App {
	app := &cli.App{
		Name:  "wl",
		Usage: "carry a home server's changes to an offsite vault on a drive, and bring earlier states back",
		Description: "At home:      wl init, wl pack, wl plan, wl status\n" +
			"At the vault: wl vault init, wl unpack, wl snapshots, wl restore, wl verify, wl status\n" +
			"Looking:      wl ls, wl find, wl diff, wl cat\n" +
			"The drives:   wl drive init, wl drive list, wl drive clear, wl drive lost, wl verify\n" +
			"Each trip:    wl run, at either end, once the drive is mounted\n" +
			"Without one:  wl receipt export, wl receipt import\n\n" +
			"Every flag can also be given in the environment: --drive as WL_DRIVE, --dry-run as\n" +
			"WL_DRY_RUN and so on. With --json a command writes objects for programs (docs/JSON.md).\n" +
			"SIGUSR1 shows the progress. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 finished but\n" +
			"something could not be read, delivered or given back, 4 a trip or a verification is overdue, 10 no such\n" +
			"route, drive, vault or snapshot, 11 locked by another wl, 12 wrong key, 20 damage found, 130 interrupted.",
		Commands: []*cli.Command{
			initCommand(e), driveCommand(e), runCommand(e), packCommand(e), planCommand(e),
			vaultCommand(e), unpackCommand(e), snapshotsCommand(e), lsCommand(e), findCommand(e), diffCommand(e), catCommand(e), restoreCommand(e),
			verifyCommand(e), pruneCommand(e), receiptCommand(e), statusCommand(e), completionCommand(e), versionCommand(e),
		},
		Writer:          e.out,
		ErrWriter:       e.err,
		HideVersion:     true,
		HideHelpCommand: true,
		ExitErrHandler:  func(*cli.Context, error) {}, // run decides
		OnUsageError:    usageError,
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return noCommand(c.Args().First(), "wl", c.App.Commands)
			}
			_, err := fmt.Fprint(e.out, mainHelp(c.App))
			return err
		},
	}
	for _, c := range app.Commands {
		finish(e, c, "wl")
		c.HelpName = c.Name // Setup puts the program's name before it
	}
	app.Setup()
	return app
}

// finish gives a command what all commands have: the common flags, the
// environment variable of each flag, the example in its help, and errors that
// exit 2.
func finish(e *env, c *cli.Command, parent string) {
	c.HelpName = parent + " " + c.Name
	c.OnUsageError = usageError
	c.HideHelpCommand = true
	if len(c.Subcommands) > 0 {
		for _, sub := range c.Subcommands {
			finish(e, sub, c.HelpName)
		}
		c.Action = func(ctx *cli.Context) error {
			if ctx.NArg() > 0 {
				return noCommand(ctx.Args().First(), c.HelpName, c.Subcommands)
			}
			_, err := fmt.Fprint(e.out, groupHelp(leaf{c, c.HelpName}))
			return err
		}
		return
	}
	c.UseShortOptionHandling = true
	c.Flags = append(c.Flags, commonFlags()...)
	for _, f := range c.Flags {
		name := variableOf(f.Names()[0])
		switch f := f.(type) {
		case *cli.StringFlag:
			f.EnvVars = []string{name}
		case *cli.StringSliceFlag:
			f.EnvVars = []string{name}
		case *cli.BoolFlag:
			f.EnvVars = []string{name}
		case *cli.DurationFlag:
			f.EnvVars = []string{name}
		default:
			panic(fmt.Sprintf("flag --%s: no environment variable for a %T", f.Names()[0], f))
		}
	}
}

func commonFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "state", Usage: "`DIR` with what this machine knows (default: $XDG_STATE_HOME/wl, else ~/.local/state/wl)"},
		&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "say only what is wrong, and what was asked for"},
		&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "say more"},
		&cli.BoolFlag{Name: "json", Usage: "one JSON object a line on stdout instead of words; nobody is asked (see docs/JSON.md)"},
	}
}

func usageError(c *cli.Context, err error, _ bool) error {
	see := "wl --help"
	var names []string
	if c.Command != nil && c.Command.HelpName != "" {
		see = c.Command.HelpName + " --help"
		for _, f := range c.Command.Flags {
			names = append(names, f.Names()...)
		}
	}
	name, unknown := strings.CutPrefix(err.Error(), "flag provided but not defined: -")
	if !unknown {
		return exit.Errorf(exit.Usage, "%w: see %s", err, see)
	}
	if meant := nearest(name, names); meant != "" {
		return exit.Errorf(exit.Usage, "no option --%s; --%s perhaps? See %s", name, meant, see)
	}
	return exit.Errorf(exit.Usage, "no option --%s: see %s", name, see)
}

// noCommand is the error of a word where a command of the group is expected.
func noCommand(word, group string, commands []*cli.Command) error {
	var names []string
	for _, c := range commands {
		names = append(names, c.Name)
	}
	if meant := nearest(word, names); meant != "" {
		return exit.Errorf(exit.Usage, "no command %q; %s %s perhaps? See %s --help", word, group, meant, group)
	}
	return exit.Errorf(exit.Usage, "no command %q: see %s --help", word, group)
}

// describe writes the description of a command: what it does, and examples.
func describe(text string, examples ...string) string {
	var b strings.Builder
	b.WriteString(strings.TrimSpace(text))
	b.WriteString("\n\nExamples:\n")
	for _, e := range examples {
		b.WriteString("  " + e + "\n")
	}
	return strings.TrimRight(b.String(), "\n")
}

// wantArgs refuses a number of arguments that makes no sense.
func wantArgs(c *cli.Context, least, most int) error {
	n := c.NArg()
	switch {
	case n < least:
		return exit.Errorf(exit.Usage, "an argument is missing: %s: see %s --help", c.Command.ArgsUsage, c.Command.HelpName)
	case most >= 0 && n > most:
		return exit.Errorf(exit.Usage, "too many arguments from %q on: see %s --help", c.Args().Get(most), c.Command.HelpName)
	}
	return nil
}

// stateDir is where this machine's state lies, absolute.
func stateDir(c *cli.Context) (string, error) {
	if dir := c.String("state"); dir != "" {
		return filepath.Abs(dir)
	}
	return machine.DefaultState()
}
