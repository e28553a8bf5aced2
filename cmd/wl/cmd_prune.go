package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"waterlock/internal/exit"
	"waterlock/internal/report"
	"waterlock/internal/vault"
)

func pruneCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:  "prune",
		Usage: "at the vault: forget snapshots, and free what only they needed",
		Description: describe("Forgets the snapshots that no --keep keeps, or those that --forget names, for good. The words mean what they\n"+
			"mean to restic forget: --keep-daily 7 keeps the newest snapshot of each of the last 7 days that have one, and so\n"+
			"on; a snapshot stays if any of them keeps it. Without a flag the [retention] of vault.toml counts. The newest\n"+
			"snapshot that has arrived, the one that the mirror follows, and those that have not arrived in full stay unless\n"+
			"--forget names them. The mirror is never touched.\n\n"+
			"Home counts on what the vault has and cannot be asked. So what only forgotten snapshots needed is condemned first:\n"+
			"the next receipt tells home not to count on it, and it is deleted once a shipment has come that home packed after\n"+
			"reading that, and none is under way that it packed before. wl unpack does that by itself, and so does wl prune.\n"+
			"--now deletes at once: if home has packed something meanwhile that counts on it, the vault asks for that again, and\n"+
			"what home no longer has by then is lost.",
			"wl prune --vault /srv/vault --keep-daily 14 --keep-weekly 8 --keep-monthly 24 --dry-run",
			"wl prune --keep-within 1y",
			"wl prune --forget 12 --forget 13",
			"wl prune"),
		Flags: []cli.Flag{
			vaultFlag(),
			&cli.StringFlag{Name: "keep-last", Usage: "keep the newest `N` snapshots"},
			&cli.StringFlag{Name: "keep-daily", Usage: "keep the newest snapshot of each of the last `N` days that have one; or unlimited"},
			&cli.StringFlag{Name: "keep-weekly", Usage: "the same with `N` weeks"},
			&cli.StringFlag{Name: "keep-monthly", Usage: "the same with `N` months"},
			&cli.StringFlag{Name: "keep-yearly", Usage: "the same with `N` years"},
			&cli.StringFlag{Name: "keep-within", Usage: "keep what is at most `TIME` older than the newest, such as 1y6m, 30d or 12h"},
			&cli.StringSliceFlag{Name: "forget", Usage: "forget snapshot `N`, by number or the beginning of its id; may be repeated"},
			&cli.BoolFlag{Name: "now", Usage: "delete at once what home may still count on; see above"},
			&cli.BoolFlag{Name: "dry-run", Aliases: []string{"n"}, Usage: "say what would be forgotten and freed"},
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
			o := vault.PruneOptions{Forget: c.StringSlice("forget"), Now: c.Bool("now"), DryRun: c.Bool("dry-run"), Report: s}
			if o.Keep, err = s.retention(); err != nil {
				return err
			}
			if o.Vault, err = s.vaultPlace(); err != nil {
				return err
			}
			ctx, ctrlC := cancelOnInterrupt(s.console)
			defer ctrlC.Release()
			r, err := vault.Prune(ctx, o)
			if err != nil {
				return stoppedBy(ctrlC, err)
			}
			s.Rest()
			s.Summary("prune", pruneSummary(r))
			tellPruned(s, r)
			return end(len(r.Damaged) > 0, len(r.Unread) > 0)
		},
	}
}

// retention reads the --keep flags.
func (s *session) retention() (r vault.Retention, err error) {
	for name, n := range map[string]*int{
		"keep-last": &r.Last, "keep-daily": &r.Daily, "keep-weekly": &r.Weekly, "keep-monthly": &r.Monthly, "keep-yearly": &r.Yearly,
	} {
		text := s.c.String(name)
		if text == "" {
			continue
		}
		if *n, err = vault.ParseCount(text); err != nil {
			return r, exit.Errorf(exit.Usage, "--%s: %w", name, err)
		}
	}
	r.Within = s.c.String("keep-within")
	return r, nil
}

func tellPruned(s *session, r vault.PruneResult) {
	s.Answer("%s", prunedTable(r.Snapshots))
	forgotten := report.Count(r.Forgotten, "snapshot")
	switch {
	case r.Forgotten == 0 && r.NoPolicy:
		s.Info("No snapshot is forgotten: nothing says which to keep. Give --keep-daily and the like, or [retention] in vault.toml, or name some with --forget.")
	case r.Forgotten == 0:
		s.Info("No snapshot is forgotten.")
	case r.DryRun:
		s.Info("%s would be forgotten. This is a dry run: nothing has changed.", forgotten)
	default:
		s.Info("%s %s forgotten.", forgotten, is(r.Forgotten))
	}
	for _, n := range r.Unread {
		s.Info("The list of files of snapshot %d is not here in full, so nobody knows what it needs.", n)
	}
	for _, name := range r.Damaged {
		s.Info("%s is damaged, so nobody knows what that snapshot needs.", name)
	}
	if len(r.Unread)+len(r.Damaged) > 0 {
		s.Info("Nothing is freed until it comes again with a drive, or is forgotten: wl prune --forget N")
		return
	}
	if r.DryRun {
		if r.Freeable == 0 {
			s.Info("That would free nothing.")
			return
		}
		s.Info("It would free %s in the end. Moving what is needed takes up to %s of room for a moment.", report.Size(r.Freeable), report.Size(r.Room))
		return
	}
	if r.Freed > 0 {
		s.Info("Freed: %s. %s of it was needed, and moved to the history.", report.Size(r.Freed), report.Size(r.Written))
	}
	if r.Condemned > 0 && r.Waiting > 0 {
		s.Info("%s %s to be freed: %s.", chunks(r.Condemned), is(r.Condemned), report.Size(r.Waiting))
	}
	if r.Condemned > 0 {
		s.Info("%s", strings.TrimSpace(waitText(r.Waits)))
	}
	if r.Later > 0 {
		s.Info("%s more %s needed by no snapshot; a receipt has no room for them. Run wl prune again once these are freed.", chunks(r.Later), is(r.Later))
	}
}

// pruneStatusText says what history costs, and what waits to be freed.
func pruneStatusText(r vault.StatusResult) string {
	var b strings.Builder
	p := r.Prune
	if p.Condemned > 0 {
		fmt.Fprintf(&b, "Condemned: %s that no snapshot needs", chunks(p.Condemned))
		if p.Waiting > 0 {
			fmt.Fprintf(&b, ", %s to be freed", report.Size(p.Waiting))
		}
		fmt.Fprintf(&b, ".\n%s", waitText(p.Waits))
	}
	if p.Later > 0 {
		fmt.Fprintf(&b, "%s more need a further wl prune once these are freed.\n", chunks(p.Later))
	}
	if history := r.History + r.Kept; history > 0 {
		fmt.Fprintf(&b, "History costs %s: old versions of files, and the snapshots' lists of files. ", report.Size(history))
		if p.WouldAt.IsZero() {
			fmt.Fprintln(&b, "What forgetting snapshots would free: wl prune --dry-run")
		} else {
			fmt.Fprintf(&b, "The dry run of %s would have freed %s.\n", when(p.WouldAt), report.Size(p.Would))
		}
	}
	return b.String()
}

// waitText says in sentences what condemned chunks wait for.
func waitText(w vault.Waits) string {
	var b strings.Builder
	if w.Receipt > 0 {
		fmt.Fprintf(&b, "They are freed by the wl unpack of a shipment that home packs after it has read receipt %d or a later one. The next wl unpack writes one onto its drive.\n", w.Receipt)
	}
	for _, d := range w.Drives {
		fmt.Fprintf(&b, "They wait for snapshot %d, which home packed onto drive %s on %s and which may count on them: it must come, or home declare that drive lost (wl drive lost).\n", d.Snapshot, report.Name(d.Drive), when(d.Time))
	}
	if b.Len() == 0 {
		return "They may go: the next wl prune or wl unpack frees them.\n"
	}
	return b.String()
}

// prunedTable lists the snapshots, oldest first, and what becomes of each.
func prunedTable(list []vault.PrunedSnapshot) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "NUMBER\tID\tTIME\tWHAT\tWHY")
	for _, s := range list {
		what := "keep"
		if s.Forgotten {
			what = "forget"
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\n", s.Number, short(s.ID), when(s.Time), what, s.Why)
	}
	w.Flush()
	return strings.TrimRight(b.String(), "\n")
}
