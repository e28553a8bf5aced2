package main

import (
	"context"
	"fmt"

	"github.com/urfave/cli/v2"

	"waterlock/internal/disk"
	"waterlock/internal/report"
	"waterlock/internal/vault"
	"waterlock/snapshot"
)

func diffCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "diff",
		Usage:     "at the vault: what changed from one snapshot to another",
		ArgsUsage: "A B [TREE[/PATH]]",
		Description: describe("Compares two snapshots, named as for wl restore, or a tree, directory or file in them. Each line begins\n"+
			"with what happened to the path:\n"+
			"  +  it is new\n"+
			"  -  it is gone\n"+
			"  M  its content is another\n"+
			"  T  it is of another type: a file where a directory was, and so on\n"+
			"  R  renamed: one path is gone and one is new, with the same content, and no others with that content\n"+
			"  U  its mode, owner, times or attributes are others, its content is the same (with --metadata only)\n"+
			"Contents are compared by their hashes; what both snapshots share is not read.",
			"wl diff 11 12",
			"wl diff 2026-03-01 latest photos/2019"),
		Flags: []cli.Flag{
			vaultFlag(),
			&cli.BoolFlag{Name: "metadata", Usage: "show entries of which only mode, owner, times or attributes changed, too"},
		},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 2, 3); err != nil {
				return err
			}
			return atVault(c, e, func(ctx context.Context, s *session, dir string) error {
				r, err := vault.Diff(ctx, vault.DiffOptions{
					Vault: dir,
					A:     c.Args().Get(0),
					B:     c.Args().Get(1),
					Path:  c.Args().Get(2),
					Begin: func(a, b vault.SnapshotRef) {
						s.Info("From snapshot %d (%s) of %s to snapshot %d (%s) of %s:", a.Number, short(a.ID), when(a.Time), b.Number, short(b.ID), when(b.Time))
					},
					Change: func(ch vault.Change) error {
						if ch.Kind != vault.Metadata || c.Bool("metadata") {
							s.Item("change", changeItem(ch))
							s.Answer("%s", changeLine(ch))
						}
						return nil
					},
					Report: s,
				})
				if err != nil {
					return err
				}
				s.Rest()
				s.Summary("diff", diffSummary(r))
				tellDiff(s, r)
				return end(r.Damaged > 0, r.Lacking > 0)
			})
		},
	}
}

func changeLine(c vault.Change) string {
	name := fullName(c.Tree, c.Path)
	line := fmt.Sprintf("%c  %s", c.Kind, name)
	switch c.Kind {
	case vault.Renamed:
		return fmt.Sprintf("R  %s -> %s%s", fullName(c.FromTree, c.FromPath), name, sizeNote(c.New))
	case vault.Retyped:
		return fmt.Sprintf("%s  (%v, now %v)", line, c.Old.Kind, c.New.Kind)
	case vault.Modified:
		if c.New.Kind == disk.KindFile {
			return fmt.Sprintf("%s  (%s, now %s)%s", line, report.Size(c.Old.Size), report.Size(c.New.Size), pendingNote(c.New))
		}
		if c.New.Kind == disk.KindSymlink {
			return fmt.Sprintf("%s  (to %s, now to %s)", line, report.Name(c.Old.Target), report.Name(c.New.Target))
		}
		return line
	case vault.Gone:
		return line + slash(c.Old) + sizeNote(c.Old)
	case vault.Added:
		if c.Elsewhere {
			return line + sizeNote(c.New) + "  with a content that is gone elsewhere"
		}
		return line + slash(c.New) + sizeNote(c.New)
	}
	return line + slash(c.New)
}

func slash(e *snapshot.Entry) string {
	if e.Kind == disk.KindDir {
		return "/"
	}
	return ""
}

func sizeNote(e *snapshot.Entry) string {
	if e.Kind != disk.KindFile {
		return ""
	}
	return "  (" + report.Size(e.Size) + ")" + pendingNote(e)
}

func pendingNote(e *snapshot.Entry) string {
	if e.Pending {
		return " (pending)"
	}
	return ""
}

func tellDiff(s *session, r vault.DiffResult) {
	tally := func(t vault.Tally) string { return fmt.Sprintf("%s, %s", files(t.Files), report.Size(t.Bytes)) }
	s.Info("Added: %s. Gone: %s. Renamed: %s.", tally(r.Added), tally(r.Gone), tally(r.Renamed))
	s.Info("Modified: %s, now %s. Of another type: %d. Metadata only: %s.", tally(vault.Tally{Files: r.Modified, Bytes: r.BytesBefore}), report.Size(r.BytesAfter), r.Retyped, report.Count(r.Metadata, "entry"))
	if dirs := r.DirsAdded + r.DirsGone; dirs > 0 {
		s.Info("Directories: %d added, %d gone.", r.DirsAdded, r.DirsGone)
	}
	if others := r.OthersAdded + r.OthersGone + r.OthersModified; others > 0 {
		s.Info("Links and special files: %d added, %d gone, %d modified.", r.OthersAdded, r.OthersGone, r.OthersModified)
	}
	for i, list := range [][]string{r.StoppedA, r.StoppedB} {
		for _, t := range list {
			s.Info("In snapshot %d this tree stood still: %s", []vault.SnapshotRef{r.A, r.B}[i].Number, t)
		}
	}
	if r.PendingB > 0 {
		s.Info("%s pending in snapshot %d: the new content is still at home, what is compared is an earlier one, or none.", are(r.PendingB, "file"), r.B.Number)
	}
	if r.PendingA > 0 {
		s.Info("%s pending in snapshot %d.", are(r.PendingA, "file"), r.A.Number)
	}
	if r.RenamesUncertain {
		s.Info("More files are gone and new than can be compared at once: some renames are shown as + and -.")
	}
	if r.Unknown > 0 {
		s.Info("Of %s nothing can be said: a list of files cannot be read there.", report.Count(r.Unknown, "path"))
	}
}
