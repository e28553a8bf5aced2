package main

import (
	"github.com/urfave/cli/v2"

	"waterlock/internal/home"
)

func initCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "init",
		Usage:     "at home: make a route over some directories",
		ArgsUsage: "PATH[=TREE] ...",
		Description: describe("Makes a route: a home paired with one vault. Each PATH becomes a tree, named after its last\n"+
			"part or as given behind the equals sign. Nothing in these directories is ever changed. All\n"+
			"settings are written into one commented file, route.toml, which is yours to edit.",
			"wl init /srv/photos /srv/documents",
			"wl init --name attic /home=people /srv/media/films=films"),
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "name", Usage: "`NAME` of the route (default: this machine's name)"},
			&cli.BoolFlag{Name: "no-encryption", Usage: "leave what travels on the drives unsealed"},
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
