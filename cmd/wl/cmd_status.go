package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v2"

	"waterlock/internal/exit"
	"waterlock/internal/home"
	"waterlock/internal/machine"
	"waterlock/internal/report"
	"waterlock/internal/vault"
)

func statusCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "status",
		Usage:     "how the route or the vault stands, or whether a path may be deleted at home",
		ArgsUsage: "[PATH ...]",
		Description: describe("At home: what of each tree is held by the vault, aboard a drive, or still to be carried, and the\n"+
			"drives. At the vault: snapshots, what is asked for, and the space of mirror, history and staging.\n"+
			"Without a flag it shows all that this machine knows.\n\n"+
			"With paths, at home: whether the vault has what lies there, so that it may be deleted here, since when,\n"+
			"and when it was last read there; else on which drive it is, or why it is not carried yet. Everything at\n"+
			"and under a path is compared with what the last pack saw, without reading it. The exit code is 0 only if\n"+
			"all of it may be deleted, else 3.\n\n"+
			"Without paths the exit code is 4 where the newest shipment that has arrived, or the last full reading of\n"+
			"the vault, is longer ago than route.toml or vault.toml allow under [overdue]: a word for monitoring.",
			"wl status",
			"wl status /srv/photos/2019 /srv/documents/will.odt",
			"wl status --route attic",
			"wl status --vault /srv/vault"),
		Flags: []cli.Flag{routeFlag(), vaultFlag()},
		Action: func(c *cli.Context) error {
			s, err := begin(c, e)
			if err != nil {
				return err
			}
			defer s.Close()
			if c.NArg() > 0 {
				ctx, ctrlC := cancelOnInterrupt(s.console)
				defer ctrlC.Release()
				return stoppedBy(ctrlC, tellPaths(ctx, s, c.Args().Slice()))
			}
			routes, vaults, err := s.whatStands()
			if err != nil {
				return err
			}
			ctx, ctrlC := cancelOnInterrupt(s.console)
			defer ctrlC.Release()
			return stoppedBy(ctrlC, tellStatus(ctx, s, routes, vaults))
		},
	}
}

// whatStands is which routes and vaults to show: those the flags name, else
// all that this machine knows.
func (s *session) whatStands() (routes, vaults []string, err error) {
	route, dir := s.c.String("route"), s.c.String("vault")
	if route != "" {
		routes = []string{route}
	}
	if dir != "" {
		if dir, err = filepath.Abs(dir); err != nil {
			return nil, nil, err
		}
		vaults = []string{dir}
	}
	if len(routes)+len(vaults) > 0 {
		return routes, vaults, nil
	}
	if routes, err = machine.Routes(s.state); err != nil {
		return nil, nil, err
	}
	for _, v := range machine.Load(s.state).Vaults {
		vaults = append(vaults, v.Path)
	}
	if len(routes)+len(vaults) == 0 {
		return nil, nil, exit.Errorf(exit.NotFound, "this machine knows no route and no vault yet: wl init at home, wl vault init at the vault")
	}
	return routes, vaults, nil
}

// tellStatus shows each; one that cannot be shown does not hide the others.
func tellStatus(ctx context.Context, s *session, routes, vaults []string) error {
	var failed error
	var told statusForm
	first := true
	tell := func(text string, err error) {
		if err != nil {
			if failed != nil {
				failed = fmt.Errorf("%w\n%w", failed, err)
			} else {
				failed = err
			}
			return
		}
		if !first {
			s.Answer("")
		}
		first = false
		s.Answer("%s", strings.TrimRight(text, "\n"))
	}
	for _, name := range routes {
		r, err := home.Status(ctx, home.StatusOptions{State: s.state, Route: name, Report: s})
		s.Rest()
		tell(homeStatus(r), err)
		if err == nil {
			s.Item("route", routeItem(r))
			told.Routes++
			told.Overdue += len(r.Overdue)
		}
	}
	for _, dir := range vaults {
		r, err := vault.Status(ctx, vault.StatusOptions{Vault: dir, Report: s})
		s.Rest()
		tell(vaultStatus(r, s.verbose), err)
		if err == nil {
			s.Item("vault", vaultItem(r))
			told.Vaults++
			told.Overdue += len(r.Overdue)
		}
	}
	s.Summary("status", told)
	if failed == nil && told.Overdue > 0 {
		return exit.With(exit.Overdue, errReported)
	}
	return failed
}

func homeStatus(r home.StatusResult) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Route %s (%s), settings in %s\n", r.Route, short(r.RouteID), report.Name(r.Config))
	if r.AtWork {
		fmt.Fprintln(&b, "Another wl works on this route now. What of each tree is held, aboard or pending can be told when it has ended;")
		fmt.Fprintln(&b, "the rest is as of the last snapshot. kill -USR1 makes that wl say how far it is.")
	}
	if r.Snapshot == 0 {
		fmt.Fprintln(&b, "Nothing has been packed yet. Next: wl pack")
	} else {
		fmt.Fprintf(&b, "Newest snapshot: %d, %s. ", r.Snapshot, when(r.SnapshotAt))
		switch {
		case r.Arrived == r.Snapshot:
			fmt.Fprintln(&b, "It has arrived.")
		case r.Arrived > 0:
			fmt.Fprintf(&b, "Newest known to have arrived: %d.\n", r.Arrived)
		default:
			fmt.Fprintln(&b, "None is known to have arrived yet.")
		}
	}
	if r.Vault == "" {
		fmt.Fprintln(&b, "No receipt of a vault has come yet.")
	} else {
		fmt.Fprintf(&b, "Vault %s: receipt %d of %s, %s free of %s", report.Name(r.Vault), r.Receipt, when(r.ReceiptAt), report.Size(r.VaultFree), report.Size(r.VaultTotal))
		if r.Wants > 0 {
			fmt.Fprintf(&b, "; it asks for %s", chunks(r.Wants))
		}
		fmt.Fprintln(&b, ".")
	}
	if r.Asks != "" {
		fmt.Fprintln(&b, inventoryNeeded(r.Asks))
	}
	w := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "\nTREE\tFILES\tSIZE\tHELD\tABOARD\tPENDING\tUNSEEN\tPATH")
	for _, t := range r.Trees {
		held, aboard, pending := part(t.HeldFiles, t.HeldBytes), part(t.AboardFiles, t.AboardBytes), part(t.PendingFiles, t.PendingBytes)
		if r.AtWork {
			held, aboard, pending = "?", "?", "?"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", t.Tree, humanize.Comma(t.Files), report.Size(t.Bytes), held, aboard, pending,
			humanize.Comma(t.Unseen), report.Name(t.Path))
	}
	w.Flush()
	for _, t := range r.Trees {
		if t.Stopped != "" {
			fmt.Fprintf(&b, "Tree %s stands still: %s\n", t.Tree, t.Stopped)
		}
	}
	writeDrives(&b, r)
	for _, o := range r.Overdue {
		b.WriteString(overdueLine(o, homeOverdue))
	}
	return b.String()
}

// inventoryNeeded says what home is waiting for before it carries data.
func inventoryNeeded(why string) string {
	return "Needed: the vault's inventory, since " + why + ". Until it has come nothing counts as held, and wl pack carries the snapshot and the request alone."
}

// writeDrives says which drives are out, since when, and with how much.
func writeDrives(b *strings.Builder, r home.StatusResult) {
	if len(r.Drives) > 0 {
		w := tabwriter.NewWriter(b, 0, 8, 2, ' ', 0)
		fmt.Fprintln(w, "\nDRIVE\tLAST SEEN\tABOARD\tSINCE\tSNAPSHOTS")
		for _, d := range r.Drives {
			numbers, since := "-", "-"
			if len(d.Aboard) > 0 {
				numbers = strings.Trim(fmt.Sprint(d.Aboard), "[]")
			}
			if !d.Since.IsZero() {
				since = when(d.Since)
			}
			if d.Open {
				numbers += " (and one not finished)"
			}
			if d.Lost {
				numbers += " (lost)"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", driveName(d.Label, d.ID), when(d.LastSeen), report.Size(d.Bytes), since, numbers)
		}
		w.Flush()
	}
	for _, sh := range r.Shipments {
		if sh.State == "missing" || sh.State == "lost" || sh.State == "partly" {
			fmt.Fprintf(b, "Shipment %s (snapshot %d, %s): %s\n", short(sh.Shipment), sh.Snapshot, driveName(sh.Drive, sh.DriveID), sh.State)
		}
	}
}

func part(n, bytes int64) string {
	if n == 0 {
		return "-"
	}
	return humanize.Comma(n) + " (" + report.Size(bytes) + ")"
}

func vaultStatus(r vault.StatusResult, verbose bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Vault %s of route %s (%s)\n", report.Name(r.Path), r.Route, short(r.RouteID))
	for _, t := range r.Trees {
		fmt.Fprintf(&b, "  tree %s: %s\n", t.Tree, report.Name(t.Path))
	}
	if len(r.Snapshots) == 0 {
		fmt.Fprintln(&b, "No snapshot has come yet.")
	} else {
		fmt.Fprintf(&b, "\n%s\n\n", snapshotTable(r.Snapshots))
	}
	if r.Receipt > 0 {
		fmt.Fprintf(&b, "Newest receipt: %d, %s.\n", r.Receipt, when(r.ReceiptAt))
	}
	if r.Wants > 0 {
		fmt.Fprintf(&b, "%s %s asked for from home. What needs %s:\n", chunks(r.Wants), is(r.Wants), them(r.Wants))
		for _, line := range lackLines(listOf(r.Lacks, lackItem), verbose) {
			fmt.Fprintln(&b, line)
		}
	} else {
		fmt.Fprintln(&b, "Nothing is asked for from home.")
	}
	if r.Awaited > 0 {
		fmt.Fprintf(&b, "%s %s awaited from %s.\n", chunks(r.Awaited), is(r.Awaited), awaitedDrives(r.Drives))
	}
	if r.Room.Files > 0 {
		fmt.Fprintf(&b, "%s %s behind for want of room, which the last unpack found; to be put together takes %s.\n",
			files(r.Room.Files), is(r.Room.Files), report.Size(r.Room.Needed))
	}
	if r.Room.Files+r.Room.OnDrive > 0 {
		fmt.Fprintln(&b, roomNeeded(r.Room, r.History+r.Kept, r.Foreign))
	}
	fmt.Fprintln(&b, readSinceLine(r.ReadSince))
	fmt.Fprintf(&b, "Space: mirror %s, history %s, old versions kept whole %s, staging %s, foreign %s; %s free of %s.\n",
		report.Size(r.Mirror), report.Size(r.History), report.Size(r.Kept), report.Size(r.Staging), report.Size(r.Foreign),
		report.Size(r.Free), report.Size(r.Total))
	b.WriteString(pruneStatusText(r))
	for _, o := range r.Overdue {
		b.WriteString(overdueLine(o, vaultOverdue))
	}
	return b.String()
}
