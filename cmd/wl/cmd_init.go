package main

import (
	"strings"

	"github.com/urfave/cli/v2"

	"waterlock/internal/exit"
	"waterlock/internal/home"
	"waterlock/internal/report"
)

func initCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "init",
		Usage:     "at home: make a route over some directories",
		ArgsUsage: "PATH[=TREE] ...",
		Description: describe("Makes a route: a home paired with one vault. Each PATH becomes a tree, named after its last\n"+
			"part or as given behind the equals sign. Nothing in these directories is ever changed. All\n"+
			"settings are written into one commented file, route.toml, which is yours to edit. Where the state\n"+
			"of a home is gone (a new machine, a new disk), --join takes the route from one of its drives: the\n"+
			"vault takes its shipments as before, and once its inventory has come only what it lacks is carried.",
			"wl init /srv/photos /srv/documents",
			"wl init --name attic /home=people /srv/media/films=films",
			"wl init --join /mnt/courier /home=people /srv/media/films=films"),
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "name", Usage: "`NAME` of the route (default: this machine's name)"},
			&cli.BoolFlag{Name: "no-encryption", Usage: "leave what travels on the drives unsealed"},
			&cli.StringFlag{Name: "join", Usage: "make the route again that the `DRIVE` carries: this machine has lost what it knew of it"},
			&cli.StringFlag{Name: "route", Usage: "with --join, `NAME` or id of the route, where the drive carries several"},
		},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 1, -1); err != nil {
				return err
			}
			s, err := begin(c, e)
			if err != nil {
				return err
			}
			defer s.Close()
			if drive := c.String("join"); drive != "" {
				return s.join(drive)
			}
			if c.IsSet("route") {
				return exit.Errorf(exit.Usage, "--route goes with --join; a new route gets its name by --name")
			}
			r, err := home.Init(c.Context, home.InitOptions{
				State:        s.state,
				Name:         c.String("name"),
				Trees:        c.Args().Slice(),
				NoEncryption: c.Bool("no-encryption"),
				Report:       s,
			})
			if err != nil {
				return err
			}
			s.Summary("init", initSummary(r))
			s.Info("Route %s is made (id %s).", r.Route, short(r.RouteID))
			for _, t := range r.Trees {
				s.Info("  tree %s: %s", t.Name, t.Path)
			}
			s.Info("Its settings: %s", r.Config)
			if !c.Bool("no-encryption") {
				s.Warn("this version does not seal what travels yet: whoever holds a drive can read it")
			}
			s.Info("Next: plug in a drive, then: wl drive init DIR")
			return nil
		},
	}
}

// join makes a route again from what a drive knows of it.
func (s *session) join(drive string) error {
	c := s.c
	r, err := home.Join(c.Context, home.JoinOptions{
		State: s.state, Drive: drive, Route: c.String("route"), Name: c.String("name"), Trees: c.Args().Slice(), Report: s,
	})
	if err != nil {
		return err
	}
	s.sawDrive(drive)
	s.Summary("init", joinSummary(r))
	s.Info("Route %s (id %s) is made again, as drive %s knows it. Snapshots go on above %d.", r.Route, short(r.RouteID), report.Name(drive), r.Snapshot)
	for _, t := range r.Trees {
		s.Info("  tree %s: %s", t.Name, t.Path)
	}
	for _, name := range r.New {
		s.Warn("the vault knows no tree %s, only %s: what lies there is carried like a new tree, whatever the vault has under another name", name, report.Name(strings.Join(r.Known, ", ")))
	}
	if len(r.Left) > 0 {
		s.Info("Trees of the vault that are none of these stay there as they are: %s. To add one, write it into %s.", report.Name(strings.Join(r.Left, ", ")), r.Config)
	}
	for _, t := range r.Empty {
		s.Warn("%s is empty: if it is not mounted yet, mount it before the first wl pack, or the vault is told that the files of tree %s are gone", report.Name(t.Path), t.Name)
	}
	s.Info("Its settings: %s. Those of the route that are fixed are as they were; all else (patterns, reserve, priorities) is as for a new one.", r.Config)
	s.Info("What the vault has and these directories lack stays in its mirror, undecided, until somebody says --deletions apply there; to have it here, restore it first (wl restore --from-drive).")
	s.Info("Next: wl pack --drive %s. It carries the list of the files and asks the vault for its inventory; then wl unpack there, and wl pack again.", report.Name(drive))
	return nil
}
