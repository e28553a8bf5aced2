package main

import (
	"os"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"waterlock/internal/exit"
)

// permute puts a command line into the order that the cli library reads:
// command, flags, "--", arguments. So flags work before the command, before
// the arguments and after them. What stands behind "--" is an argument,
// whatever it looks like. A flag nobody knows is left for the library to name.
// "wl help pack" is "wl pack --help", "wl --version" is "wl version".
func permute(app *cli.App, args []string) ([]string, error) {
	if len(args) == 0 {
		return args, nil
	}
	if len(args) > 1 && args[1] == "help" {
		args = append(append([]string{args[0]}, args[2:]...), "--help")
	}
	if len(args) > 1 && args[1] == "--version" {
		args = append([]string{args[0], "version"}, args[2:]...)
	}
	takesValue := valueFlags(app.Commands, map[string]bool{})
	commands := app.Commands
	path := []string{args[0]}
	var flags, rest []string
	for i := 1; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			rest = append(rest, args[i+1:]...)
			break
		}
		if len(arg) > 1 && arg[0] == '-' {
			flags = append(flags, arg)
			name := strings.TrimLeft(arg, "-")
			if strings.Contains(name, "=") || !takesValue[name] {
				continue
			}
			if i+1 == len(args) {
				return nil, exit.Errorf(exit.Usage, "%s needs a value", arg)
			}
			i++
			flags = append(flags, args[i])
			continue
		}
		if len(rest) == 0 && len(commands) > 0 {
			if c := find(commands, arg); c != nil {
				path = append(path, c.Name)
				commands = c.Subcommands
				continue
			}
		}
		rest = append(rest, arg)
	}
	if len(path) == 1 && len(flags) > 0 {
		for _, f := range flags {
			if name := strings.TrimLeft(f, "-"); name == "help" || name == "h" {
				return append(path, f), nil
			}
		}
		if len(rest) == 0 {
			return nil, exit.Errorf(exit.Usage, "a command is missing: see wl --help")
		}
		return nil, noCommand(rest[0], "wl", app.Commands)
	}
	out := append(path, flags...)
	if len(rest) > 0 {
		out = append(append(out, "--"), rest...)
	}
	return out, nil
}

func find(commands []*cli.Command, name string) *cli.Command {
	for _, c := range commands {
		if c.HasName(name) {
			return c
		}
	}
	return nil
}

// valueFlags collects the names of all flags that take a value. A name means
// the same kind of flag in every command; a test holds that.
func valueFlags(commands []*cli.Command, names map[string]bool) map[string]bool {
	for _, c := range commands {
		for _, f := range c.Flags {
			if _, isBool := f.(*cli.BoolFlag); isBool {
				continue
			}
			for _, n := range f.Names() {
				names[n] = true
			}
		}
		valueFlags(c.Subcommands, names)
	}
	return names
}

// given is the set of flags that stand on a command line put into order.
func given(app *cli.App, args []string) map[string]bool {
	takesValue := valueFlags(app.Commands, map[string]bool{})
	names := map[string]bool{}
	for i := 0; i < len(args) && args[i] != "--"; i++ {
		if len(args[i]) < 2 || args[i][0] != '-' {
			continue
		}
		name, _, hasValue := strings.Cut(strings.TrimLeft(args[i], "-"), "=")
		names[name] = true
		if takesValue[name] && !hasValue {
			i++ // its value, whatever it looks like
		}
	}
	return names
}

// wantsJSON says whether a command line asks for --json, as far as can be seen
// before it is understood: for errors of the command line itself.
func wantsJSON(args []string) bool {
	wants, _ := strconv.ParseBool(os.Getenv("WL_JSON"))
	for _, arg := range args {
		if arg == "--" {
			break
		}
		name, value, hasValue := strings.Cut(arg, "=")
		if name != "--json" && name != "-json" {
			continue
		}
		on, err := strconv.ParseBool(value)
		wants = !hasValue || on || err != nil
	}
	return wants
}
