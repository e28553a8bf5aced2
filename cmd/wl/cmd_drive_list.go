package main

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"waterlock/internal/exit"
	"waterlock/internal/machine"
	"waterlock/internal/report"
)

func driveListCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:  "list",
		Usage: "list the drives, what is aboard each, and since when",
		Description: describe("Lists the drives that this machine has seen, and those that carry shipments of its routes which no\n"+
			"receipt has acknowledged in full: how much, of which snapshots, and since when. A drive that is\n"+
			"lost carries nothing that counts.",
			"wl drive list"),
		Flags: []cli.Flag{routeFlag()},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 0, 0); err != nil {
				return err
			}
			s, err := begin(c, e)
			if err != nil {
				return err
			}
			defer s.Close()
			routes, err := s.routesToAsk()
			if err != nil {
				return err
			}
			list, err := knownDrives(s, routes)
			if err != nil {
				return err
			}
			for _, d := range list {
				s.Item("drive", driveItem(*d))
			}
			s.Summary("drive list", driveListForm{len(list)})
			if len(list) == 0 {
				s.Info("No drive is known here yet. Next: wl drive init DIR")
				return nil
			}
			s.Answer("%s", driveTable(list))
			return nil
		},
	}
}

// routesToAsk is the route that --route names, else all of this machine's.
func (s *session) routesToAsk() ([]string, error) {
	all, err := machine.Routes(s.state)
	name := s.c.String("route")
	if err != nil || name == "" {
		return all, err
	}
	if !slices.Contains(all, name) {
		return nil, exit.Errorf(exit.NotFound, "this machine has no route %q", name)
	}
	return []string{name}, nil
}

func driveTable(list []*knownDrive) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "DRIVE\tLAST SEEN\tPATH\tABOARD\tSINCE\tSNAPSHOTS")
	for _, d := range list {
		path, aboard, since := "-", "-", "-"
		if d.Path != "" {
			path = report.Name(d.Path)
		}
		if d.Bytes > 0 {
			aboard = report.Size(d.Bytes)
		}
		if !d.Since.IsZero() {
			since = when(d.Since)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", driveName(d.Label, d.ID), when(d.LastSeen), path, aboard, since, snapshotsOf(d))
	}
	w.Flush()
	return strings.TrimRight(b.String(), "\n")
}

// snapshotsOf lists what no receipt has acknowledged, by state: "4 5, lost: 2, one not finished".
func snapshotsOf(d *knownDrive) string {
	byState := map[string][]string{}
	for _, sh := range d.Shipments {
		name := fmt.Sprint(sh.Snapshot)
		if sh.Snapshot == 0 {
			name = "not finished"
		}
		byState[sh.State] = append(byState[sh.State], name)
	}
	var parts []string
	for _, state := range []string{"aboard", "unfinished", "open", "partly", "missing", "lost"} {
		switch names := strings.Join(byState[state], " "); {
		case names == "":
		case state == "aboard":
			parts = append(parts, names)
		case state == "open":
			parts = append(parts, fmt.Sprintf("%d not finished", len(byState[state])))
		default:
			parts = append(parts, state+": "+names)
		}
	}
	if len(parts) == 0 {
		return "-"
	}
	return strings.Join(parts, ", ")
}
