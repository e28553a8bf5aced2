package main

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v2"

	"waterlock/internal/exit"
	"waterlock/internal/home"
	"waterlock/internal/report"
)

func planCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:  "plan",
		Usage: "at home: what the next trips carry, how many they are, and how long packing takes",
		Description: describe("Looks at what is new or changed since the last snapshot, without reading it, and deals it out to drives:\n"+
			"the one that --drive names, one of a --capacity, or those that were packed before, which take turns.\n"+
			"What is said is the most that it can be: how much of a changed file the vault has already is found out\n"+
			"by reading it. Packing times are those of the last run. Nothing is written onto a drive.",
			"wl plan",
			"wl plan --drive /mnt/courier",
			"wl plan --capacity 4TB"),
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "drive", Usage: "`DIR` where the courier drive of all trips is mounted"},
			&cli.StringFlag{Name: "capacity", Usage: "`SIZE` of the drive of all trips"},
			&cli.StringFlag{Name: "reserve", Usage: "`SIZE` to leave free on a drive (default: 1GiB, or as route.toml says)"},
			routeFlag(),
		},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 0, 0); err != nil {
				return err
			}
			s, err := begin(c, e)
			if err != nil {
				return err
			}
			defer s.Close()
			o := home.PlanOptions{State: s.state, Route: c.String("route"), Drive: c.String("drive"), Report: s}
			if o.Reserve, err = sizeFlag(c, "reserve", -1); err != nil {
				return err
			}
			if o.Capacity, err = sizeFlag(c, "capacity", 0); err != nil {
				return err
			}
			if c.IsSet("capacity") && o.Capacity == 0 {
				return exit.Errorf(exit.Usage, "--capacity 0: a drive of no size takes nothing")
			}
			if e.given["capacity"] && !e.given["drive"] {
				o.Drive = "" // WL_DRIVE is for other commands
			}
			ctx, ctrlC := cancelOnInterrupt(s.console)
			defer ctrlC.Release()
			r, err := home.Plan(ctx, o)
			if err != nil {
				return stoppedBy(ctrlC, err)
			}
			s.Rest()
			s.Summary("plan", planSummary(r))
			s.Answer("%s", strings.TrimRight(planText(r), "\n"))
			return end(false, len(r.Stopped) > 0)
		},
	}
}

func planText(r home.PlanResult) string {
	var b strings.Builder
	since := "Nothing has been packed yet"
	if r.Snapshot > 0 {
		since = fmt.Sprintf("Since snapshot %d of %s", r.Snapshot, when(r.SnapshotAt))
	}
	fmt.Fprintf(&b, "%s: %s new or changed, at most %s to be carried (of %s, %s).\n", since,
		files(r.ToReadFiles), report.Size(r.ToCarry), files(r.Files), report.Size(r.Bytes))
	if r.Wants > 0 {
		fmt.Fprintf(&b, "The vault asks for %s; they go first.\n", chunks(r.Wants))
	}
	if r.Asks != "" {
		fmt.Fprintf(&b, "%s The trips below come after that, and carry less: what the vault has already is not carried.\n", inventoryNeeded(r.Asks))
	}
	if r.Recarried > 0 {
		fmt.Fprintf(&b, "About %s of it are carried again: they are no longer on this drive, and no receipt says that they arrived.\n", report.Size(r.Recarried))
	}
	for _, t := range r.Stopped {
		fmt.Fprintln(&b, stoppedLine(t))
	}
	if len(r.Trees) > 1 {
		w := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
		fmt.Fprintln(w, "\nTREE\tFILES\tTO CARRY")
		for _, t := range r.Trees {
			fmt.Fprintf(w, "%s\t%s\t%s\n", t.Tree, humanize.Comma(t.Files), report.Size(t.Bytes))
		}
		w.Flush()
	}
	fmt.Fprintf(&b, "\n%s\n", planOrder(r))
	if r.ToCarry == 0 {
		fmt.Fprintln(&b, "A trip carries the list of files alone.")
		return b.String()
	}
	if len(r.Drives) == 0 {
		fmt.Fprintln(&b, "How many trips that takes depends on the drive, and none was packed yet: say --drive DIR or --capacity SIZE.")
		return b.String()
	}
	w := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "\nTRIP\tDRIVE\tCARRIES\tPACKING TAKES")
	for i, t := range r.Trips {
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\n", i+1, planDriveName(r, t), report.Size(t.Bytes), lasts(t.Took))
	}
	w.Flush()
	total := int64(len(r.Trips)) + r.More
	if r.More > 0 {
		fmt.Fprintf(&b, "… and %s more.\n", report.Count(r.More, "trip"))
	}
	if r.Took == 0 {
		fmt.Fprintf(&b, "In all %s. How long packing takes is known after a first run that reads 64 MiB or more.\n", report.Count(total, "trip"))
	} else {
		fmt.Fprintf(&b, "In all %s; packing takes %s at the speed of the last run, %s/s.\n", report.Count(total, "trip"), lasts(r.Took), report.Size(int64(r.Drives[0].Speed)))
	}
	if r.Vault != "" && r.ToCarry > r.VaultFree {
		fmt.Fprintf(&b, "Vault %s had %s free on %s: that is %s less than all of it may need.\n",
			report.Name(r.Vault), report.Size(r.VaultFree), when(r.ReceiptAt), report.Size(r.ToCarry-r.VaultFree))
	}
	return b.String()
}

// planOrder says what goes first.
func planOrder(r home.PlanResult) string {
	var parts []string
	for _, c := range r.Classes {
		name := map[home.Priority]string{home.PriorityFirst: "what is to come first", home.PriorityNormal: "the rest", home.PriorityLast: "what is to come last"}[c.Priority]
		parts = append(parts, fmt.Sprintf("%s (%s)", name, report.Size(c.Bytes)))
	}
	by := map[home.Order]string{home.OrderPath: "in the order of trees and paths", home.OrderNewest: "the newest first",
		home.OrderOldest: "the oldest first", home.OrderSmallest: "the smallest first"}[r.Order]
	if len(parts) == 0 {
		return "Order: " + by + "."
	}
	return "Order: " + strings.Join(parts, ", then ") + "; in each " + by + "."
}

func planDriveName(r home.PlanResult, t home.PlanTrip) string {
	if t.ID == "" {
		return "of " + report.Size(r.Drives[0].Size)
	}
	return driveName(t.Label, t.ID)
}

// lasts is how long packing takes, for people.
func lasts(d time.Duration) string {
	if d == 0 {
		return "not known yet"
	}
	return "about " + roughly(d)
}
