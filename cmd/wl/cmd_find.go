package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"waterlock/internal/disk"
	"waterlock/internal/report"
	"waterlock/internal/vault"
	"waterlock/snapshot"
)

func findCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "find",
		Usage:     "at the vault: which version of a file was there when",
		ArgsUsage: "PATTERN ...",
		Description: describe("Looks for names in all snapshots and shows each path once with its versions: size, time of change, and\n"+
			"the first and the last snapshot that has it so. A pattern without a slash is matched against names,\n"+
			"one with a slash against the end of TREE/PATH, or all of it where it begins with a slash.\n"+
			"* and ? match within a name, ** any names between slashes, [a-z] and {one,two} as in a shell.",
			"wl find will.odt",
			"wl find -i '*.jpg' --snapshot latest",
			"wl find 'letters/**/2019*' '/photos/*/index.html'"),
		Flags: []cli.Flag{
			vaultFlag(),
			snapshotFlag(),
			&cli.BoolFlag{Name: "ignore-case", Aliases: []string{"i"}, Usage: "capitals match small letters"},
		},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 1, -1); err != nil {
				return err
			}
			return atVault(c, e, func(ctx context.Context, s *session, dir string) error {
				r, err := vault.Find(ctx, vault.FindOptions{
					Vault:      dir,
					Patterns:   c.Args().Slice(),
					IgnoreCase: c.Bool("ignore-case"),
					Snapshot:   c.String("snapshot"),
					Path: func(p vault.FoundPath) error {
						s.Item("found", foundItem(p))
						s.Answer("%s", foundText(p))
						return nil
					},
					Report: s,
				})
				if err != nil {
					return err
				}
				s.Rest()
				s.Summary("find", findSummary(r))
				s.Info("%s with %s in %s.", report.Count(r.Paths, "path"), report.Count(r.Versions, "version"), report.Count(int64(r.Snapshots), "snapshot"))
				return end(r.Damaged > 0, r.Lacking > 0)
			})
		},
	}
}

// foundText is a path and below it its versions, one line each.
func foundText(p vault.FoundPath) string {
	var b strings.Builder
	b.WriteString(fullName(p.Tree, p.Path))
	if p.Versions[len(p.Versions)-1].Entry.Kind == disk.KindDir {
		b.WriteByte('/')
	}
	for _, v := range p.Versions {
		fmt.Fprintf(&b, "\n  %10s  %s  %s", whatSize(v.Entry), when(v.Entry.MTime.Time()), stretchText(v))
		if v.Entry.Kind == disk.KindSymlink {
			b.WriteString(" -> " + report.Name(v.Entry.Target))
		}
		if v.Entry.Pending {
			b.WriteString(" (pending: the content is an earlier one, or none)")
		}
	}
	return b.String()
}

func whatSize(e *snapshot.Entry) string {
	if e.Kind == disk.KindFile {
		return report.Size(e.Size)
	}
	return e.Kind.String()
}

// stretchText names a row of snapshots.
func stretchText(v vault.FoundVersion) string {
	day := func(r vault.SnapshotRef) string { return r.Time.Local().Format("2006-01-02") }
	if v.Snapshots == 1 {
		return fmt.Sprintf("in snapshot %d (%s)", v.First.Number, day(v.First))
	}
	return fmt.Sprintf("in snapshots %d to %d (%s to %s)", v.First.Number, v.Last.Number, day(v.First), day(v.Last))
}
