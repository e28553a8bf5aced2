package main

import (
	"path/filepath"

	"github.com/urfave/cli/v2"

	"waterlock/internal/exit"
	"waterlock/internal/report"
	"waterlock/internal/vault"
)

func restoreCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "restore",
		Usage:     "at the vault: bring an earlier state back",
		ArgsUsage: "[TREE/PATH ...]",
		Description: describe("Writes a snapshot, or the given trees, directories and files of it, into DIR/TREE/... and reads\n"+
			"back what it wrote. What is there already and equal is left; what differs is never overwritten\n"+
			"unless --overwrite says so. A snapshot is named by its number, the beginning of its id, the word\n"+
			"latest, or a time: the last snapshot not after it. Of a snapshot that is not whole everything\n"+
			"that can be had comes back, and the rest is named. What DIR cannot hold (owners without root, access\n"+
			"lists, links) is said in one line a kind, with exit code 3; -v names the files.\n"+
			"For a home that is gone, the same goes by drive, over as many trips as it takes: --to-drive packs at\n"+
			"the vault, --from-drive writes to DIR at the new home and says on the drive what has come, so that\n"+
			"the next --to-drive packs what is left. Drives may be several, in any order; a lost one costs what\n"+
			"it carried (--again). Interrupted in any way, either is simply run again.",
			"wl restore --snapshot latest --target /tmp/back",
			"wl restore --vault /srv/vault --snapshot 12 --target /tmp/back photos/2019",
			"wl restore --snapshot 2026-03-01 --target /tmp/back documents/letters/will.odt",
			"wl restore --vault /srv/vault --snapshot latest --to-drive /mnt/courier",
			"wl restore --from-drive /mnt/courier --target /srv/new"),
		Flags: []cli.Flag{
			vaultFlag(),
			snapshotFlag(),
			&cli.StringFlag{Name: "target", Aliases: []string{"t"}, Usage: "`DIR` to write into"},
			&cli.BoolFlag{Name: "overwrite", Usage: "replace files in DIR that differ"},
			&cli.BoolFlag{Name: "dry-run", Aliases: []string{"n"}, Usage: "say what would be restored; write nothing"},
			&cli.BoolFlag{Name: "privileged", Usage: "bring back setuid and setgid bits, devices, security.* and trusted.* attributes too"},
			&cli.StringFlag{Name: "to-drive", Usage: "at the vault: pack it onto the courier drive at `DIR`, for a new home"},
			&cli.StringFlag{Name: "from-drive", Usage: "at the new home: bring back what the courier drive at `DIR` carries"},
			&cli.BoolFlag{Name: "again", Usage: "with --to-drive: what is on its way on other drives is lost; pack it again"},
			&cli.StringFlag{Name: "reserve", Usage: "with --to-drive: `SIZE` to leave free on the drive (default: a hundredth of it, at most 1GiB)"},
			&cli.StringFlag{Name: "limit", Usage: "with --to-drive: put at most `SIZE` of content onto the drive (default: no limit)"},
		},
		Action: func(c *cli.Context) error {
			s, err := begin(c, e)
			if err != nil {
				return err
			}
			defer s.Close()
			switch to, from, err := restoreWay(s); {
			case err != nil:
				return err
			case to:
				return s.toDrive()
			case from:
				return s.fromDrive()
			}
			o := vault.RestoreOptions{
				Snapshot:   c.String("snapshot"),
				Target:     c.String("target"),
				Paths:      c.Args().Slice(),
				Overwrite:  c.Bool("overwrite"),
				DryRun:     c.Bool("dry-run"),
				Privileged: c.Bool("privileged"),
				Report:     s,
			}
			if o.Snapshot == "" {
				return exit.Errorf(exit.Usage, "--snapshot is missing: latest, a number, an id or a time (wl snapshots lists them)")
			}
			if o.Target == "" {
				return exit.Errorf(exit.Usage, "--target DIR is missing: where the files are to be written")
			}
			if o.Target, err = filepath.Abs(o.Target); err != nil {
				return err
			}
			if o.Vault, err = s.vaultPlace(); err != nil {
				return err
			}
			ctx, ctrlC := cancelOnInterrupt(s.console)
			defer ctrlC.Release()
			r, err := vault.Restore(ctx, o)
			if err != nil {
				return stoppedBy(ctrlC, err)
			}
			s.Rest()
			s.Summary("restore", restoreSummary(o, r))
			tellRestored(s, o, r)
			return end(r.Damaged > 0, r.Failed+r.Pending+r.Unseen > 0 || len(r.Unset) > 0)
		},
	}
}

func tellRestored(s *session, o vault.RestoreOptions, r vault.RestoreResult) {
	s.Info("Snapshot %d (%s), as of %s.", r.Snapshot, short(r.SnapshotID), when(r.SnapshotTime))
	verb := "Restored"
	if o.DryRun {
		verb = "Would restore"
	}
	s.Info("%s %s (%s), %s and %s into %s.", verb, files(r.Files), report.Size(r.Bytes),
		report.Count(r.Dirs, "directory"), report.Count(r.Others, "other entry"), report.Name(o.Target))
	if r.AlreadyThere > 0 {
		s.Info("Of these, there already and equal, so not written again: %s.", report.Count(r.AlreadyThere, "entry"))
	}
	if r.Pending > 0 {
		s.Info("%s came back in the last version that was carried: at home there was a newer one.", files(r.Pending))
	}
	if r.Unseen > 0 {
		s.Info("%s came back as home last could read them.", report.Count(r.Unseen, "entry"))
	}
	if r.Damaged > 0 {
		s.Info("Damage was found in the vault while reading. wl verify names it, and what can be repaired is.")
	}
	for i := range r.Unset {
		s.Warn("%s", &r.Unset[i])
	}
	switch {
	case r.Failed > 0:
		s.Info("%s did not come back; they are named above.", report.Count(r.Failed, "entry"))
	case o.DryRun:
		s.Info("Dry run: nothing was written.")
	case len(r.Unset) > 0:
		s.Info("The content was read back and is right. What the target does not take stays in the snapshot; -v names the files.")
	default:
		s.Info("What was written was read back and is right.")
	}
}
