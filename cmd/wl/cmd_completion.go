package main

import (
	_ "embed"
	"strings"

	"github.com/urfave/cli/v2"

	"waterlock/internal/exit"
)

var (
	//go:embed completion/wl.bash
	bashScript string
	//go:embed completion/wl.zsh
	zshScript string
	//go:embed completion/wl.fish
	fishScript string
)

// completionForm is a script for a shell.
type completionForm struct {
	Shell  string `json:"shell"`
	Script string `json:"script"`
}

func completionCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "completion",
		Usage:     "print the script by which a shell completes wl's command lines",
		ArgsUsage: "SHELL",
		Description: describe("Prints the script for bash, zsh or fish. It completes commands, flags, and values: routes, trees,\n"+
			"drives and vaults that this machine knows, paths in the mirror, directories and files.",
			"wl completion bash > ~/.local/share/bash-completion/completions/wl",
			"wl completion zsh > ~/.zfunc/_wl    (with ~/.zfunc in fpath, before compinit)",
			"wl completion fish > ~/.config/fish/completions/wl.fish"),
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 1, 1); err != nil {
				return err
			}
			s, err := begin(c, e)
			if err != nil {
				return err
			}
			defer s.Close()
			shell := c.Args().First()
			script, ok := map[string]string{"bash": bashScript, "zsh": zshScript, "fish": fishScript}[shell]
			if !ok {
				return exit.Errorf(exit.Usage, "no completion for the shell %q: it is for bash, zsh and fish", shell)
			}
			s.Summary("completion", completionForm{shell, script})
			s.Answer("%s", strings.TrimRight(script, "\n"))
			return nil
		},
	}
}
