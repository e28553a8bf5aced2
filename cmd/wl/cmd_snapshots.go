package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v2"

	"waterlock/internal/report"
	"waterlock/internal/vault"
)

func snapshotsCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:  "snapshots",
		Usage: "at the vault: list the snapshots",
		Description: describe("Lists number, id, time, files and size of each snapshot, and whether it is whole (everything as\n"+
			"it was at home), arrived (every chunk it names is here), or what it waits for.",
			"wl snapshots --vault /srv/vault"),
		Flags: []cli.Flag{vaultFlag()},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 0, 0); err != nil {
				return err
			}
			return atVault(c, e, func(ctx context.Context, s *session, dir string) error {
				list, err := vault.Snapshots(ctx, vault.SnapshotsOptions{Vault: dir, Report: s})
				if err != nil {
					return err
				}
				s.Rest()
				for _, snap := range list {
					s.Item("snapshot", snapshotItem(snap))
				}
				s.Summary("snapshots", snapshotsForm{len(list)})
				if len(list) == 0 {
					s.Info("No snapshot has come yet.")
					return nil
				}
				s.Answer("%s", snapshotTable(list))
				for _, snap := range list {
					for _, t := range snap.Stopped {
						s.Info("Snapshot %d, a tree stood still: %s", snap.Number, t)
					}
				}
				return nil
			})
		},
	}
}

// snapshotTable is the list, oldest first, one line a snapshot.
func snapshotTable(list []vault.SnapshotInfo) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "NUMBER\tID\tTIME\tFILES\tSIZE\tSTATE")
	for _, s := range list {
		state := "whole"
		switch {
		case s.Whole:
		case s.Arrived:
			state = "arrived"
		default:
			state = "incomplete"
		}
		if s.Waits != "" {
			state += ": " + s.Waits
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\n", s.Number, short(s.ID), when(s.Time), humanize.Comma(s.Files), report.Size(s.Bytes), state)
	}
	w.Flush()
	return strings.TrimRight(b.String(), "\n")
}
