package main

import (
	"github.com/urfave/cli/v2"

	"waterlock/internal/exit"
	"waterlock/internal/report"
	"waterlock/internal/vault"
)

func vaultForeignCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "foreign",
		Usage:     "at the vault: list what somebody else wrote into the mirror and was moved aside",
		ArgsUsage: "[TREE[/PATH] ...]",
		Description: describe("A file in the mirror that wl did not write is never destroyed: where it stood in the way of one that\n"+
			"belongs there it was moved to .wl/foreign, by day. This lists those files and where each lies, to be\n"+
			"moved back or copied by hand. No snapshot has them. --remove deletes what is listed, after asking.",
			"wl vault foreign",
			"wl vault foreign photos/2019",
			"wl vault foreign --remove --yes"),
		Flags: []cli.Flag{
			vaultFlag(),
			&cli.BoolFlag{Name: "remove", Usage: "delete what is listed, for good"},
			&cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "do not ask"},
		},
		Action: func(c *cli.Context) error {
			s, err := begin(c, e)
			if err != nil {
				return err
			}
			defer s.Close()
			if c.Bool("yes") && !c.Bool("remove") {
				return exit.Errorf(exit.Usage, "--yes is for --remove: listing asks nothing")
			}
			dir, err := s.vaultPlace()
			if err != nil {
				return err
			}
			ctx, ctrlC := cancelOnInterrupt(s.console)
			defer ctrlC.Release()
			r, err := vault.Foreign(ctx, vault.ForeignOptions{
				Vault:   dir,
				Paths:   c.Args().Slice(),
				Remove:  c.Bool("remove"),
				Yes:     c.Bool("yes"),
				Confirm: s.confirm(e.in, ctrlC.Stop),
				Each: func(f vault.ForeignFile) error {
					s.Item("foreign", foreignItem(f))
					s.Answer("%s  (%s, written %s, moved aside %s)\n  %s", fullName(f.Tree, f.Path), foreignSize(f), when(f.Time), f.Moved, report.Name(f.Where))
					return nil
				},
				Report: s,
			})
			if err != nil {
				return stoppedBy(ctrlC, err)
			}
			s.Rest()
			s.Summary("vault foreign", vaultForeignSummary(r))
			tellForeign(s, r, c.Bool("remove"))
			return end(false, r.Failed > 0)
		},
	}
}

func tellForeign(s *session, r vault.ForeignResult, remove bool) {
	switch {
	case r.Files == 0:
		s.Info("Nothing of somebody else lies in .wl/foreign.")
	case !remove:
		s.Info("%s, %s. To delete them: wl vault foreign --remove", files(r.Files), report.Size(r.Bytes))
	case r.Kept == "nobody to ask":
		s.Info("Nothing was removed: there is nobody to ask. With --yes it is done without asking.")
	case r.Kept != "":
		s.Info("Nothing was removed: %s.", r.Kept)
	default:
		s.Info("Removed: %s, %s.", files(r.Removed), report.Size(r.RemovedBytes))
	}
}

func foreignSize(f vault.ForeignFile) string {
	if f.Kind == "file" {
		return report.Size(f.Size)
	}
	return f.Kind
}
