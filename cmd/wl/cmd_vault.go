package main

import (
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"waterlock/internal/exit"
	"waterlock/internal/report"
	"waterlock/internal/vault"
)

func vaultCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:        "vault",
		Usage:       "make a vault, take in what is there already, see what others wrote into it, make its catalog anew",
		Subcommands: []*cli.Command{vaultInitCommand(e), vaultAdoptCommand(e), vaultForeignCommand(e), vaultRebuildCommand(e)},
	}
}

func vaultInitCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "init",
		Usage:     "at the vault: join the route that the drive brings",
		ArgsUsage: "DIR",
		Description: describe("Makes DIR the vault of the route whose shipment lies on the drive. The plain files will lie in\n"+
			"DIR/TREE, or where --tree says, and everything else in DIR/.wl. The file system must know hard\n"+
			"links and atomic renames; that is tried out first.",
			"wl vault init /srv/vault --drive /mnt/courier",
			"wl vault init /srv/vault --drive /mnt/courier --tree films=/media/films"),
		Flags: []cli.Flag{
			driveFlag(),
			&cli.StringFlag{Name: "route", Usage: "`NAME` or id of the route, where the drive carries several"},
			&cli.StringSliceFlag{Name: "tree", Usage: "`TREE=DIR`: where a tree lies, if not in the vault's own directory"},
		},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 1, 1); err != nil {
				return err
			}
			s, err := begin(c, e)
			if err != nil {
				return err
			}
			defer s.Close()
			o := vault.InitOptions{Route: c.String("route"), Report: s}
			if o.Path, err = filepath.Abs(c.Args().First()); err != nil {
				return err
			}
			if o.Trees, err = treePlaces(c.StringSlice("tree")); err != nil {
				return err
			}
			if o.Drive, err = s.drivePlace(); err != nil {
				return err
			}
			ctx, ctrlC := cancelOnInterrupt(s.console)
			defer ctrlC.Release()
			r, err := vault.Init(ctx, o)
			if err != nil {
				return stoppedBy(ctrlC, err)
			}
			s.Rest()
			s.sawDrive(o.Drive)
			s.sawVault(r.Path)
			s.Summary("vault init", vaultInitSummary(r))
			s.Info("%s is the vault of route %s now (id %s).", report.Name(r.Path), r.Route, short(r.RouteID))
			for _, t := range r.Trees {
				s.Info("  tree %s: %s", t.Tree, report.Name(t.Path))
			}
			s.Info("Its settings: %s", report.Name(filepath.Join(r.Path, ".wl", "vault.toml")))
			s.Info("Next: wl unpack")
			s.Info("Where this machine already has a tree, or an older copy of it, first: wl vault adopt TREE=DIR")
			return nil
		},
	}
}

func treePlaces(list []string) (map[string]string, error) {
	places := map[string]string{}
	for _, item := range list {
		tree, dir, ok := strings.Cut(item, "=")
		if !ok || tree == "" || dir == "" {
			return nil, exit.Errorf(exit.Usage, "--tree %q: write it as TREE=DIR", item)
		}
		abs, err := filepath.Abs(dir)
		if err != nil {
			return nil, err
		}
		places[tree] = abs
	}
	return places, nil
}
