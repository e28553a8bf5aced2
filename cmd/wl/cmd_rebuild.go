package main

import (
	"context"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v2"

	"waterlock/internal/report"
	"waterlock/internal/vault"
)

func vaultRebuildCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:  "rebuild",
		Usage: "at the vault: make the catalog anew from what lies there",
		Description: describe("The catalog says where each chunk lies. It is a cache: one that is missing, damaged, or was not closed\n"+
			"cleanly is made anew by the next command that needs it. This does so at once, from install records,\n"+
			"the tables of packs, and the lists of files; no content is read but of files that were touched. When\n"+
			"everything was read last is not known afterwards, until wl verify has read it again.",
			"wl vault rebuild --vault /srv/vault"),
		Flags: []cli.Flag{vaultFlag()},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 0, 0); err != nil {
				return err
			}
			return atVault(c, e, func(ctx context.Context, s *session, dir string) error {
				r, err := vault.Rebuild(ctx, vault.RebuildOptions{Vault: dir, Report: s})
				if err != nil {
					return err
				}
				s.Rest()
				s.sawVault(r.Path)
				s.Summary("vault rebuild", vaultRebuildSummary(r))
				s.Info("The catalog of %s is made anew in %s: %s of chunks in %s, %s of the mirror.", report.Name(r.Path), r.Took.Round(10*time.Millisecond),
					report.Count(r.Places, "place"), report.Count(r.Containers, "container"), report.Count(r.Paths, "path"))
				s.Info("%s of %s snapshots have arrived.", humanize.Comma(int64(r.Arrived)), humanize.Comma(int64(r.Snapshots)))
				if r.Wants > 0 {
					s.Info("%s %s lacking: the next receipt asks for what no drive under way brings.", chunks(r.Wants), is(r.Wants))
				}
				return nil
			})
		},
	}
}
