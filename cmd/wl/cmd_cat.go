package main

import (
	"errors"
	"io"
	"syscall"

	"github.com/urfave/cli/v2"

	"waterlock/internal/exit"
	"waterlock/internal/report"
	"waterlock/internal/vault"
)

func catCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "cat",
		Usage:     "at the vault: write one file of a snapshot to the standard output",
		ArgsUsage: "TREE/PATH",
		Description: describe("Writes the content of a file, each piece verified before it goes out, and checks the whole at the end. Where\n"+
			"damage is met, the output ends before it: what was written is right and the rest is missing, and the exit\n"+
			"code is 20. It is 3 where the content has not come yet in full; then nothing is written. Of a pending file\n"+
			"the version that was carried last is written, which is said, and the exit code is 3.",
			"wl cat documents/will.odt > will.odt",
			"wl cat --snapshot 2026-03-01 documents/notes.txt | less"),
		Flags: []cli.Flag{vaultFlag(), snapshotFlag()},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 1, 1); err != nil {
				return err
			}
			s, err := begin(c, e)
			if err != nil {
				return err
			}
			defer s.Close()
			dir, err := s.vaultPlace()
			if err != nil {
				return err
			}
			// Who reads the output may stop: then the write fails, and the vault is
			// closed as it should be.
			defer keepBrokenPipe()()
			ctx, ctrlC := cancelOnInterrupt(s.console)
			defer ctrlC.Release()
			var out io.Writer = e.out
			if e.json {
				out = &contents{s: s}
			}
			r, err := vault.Cat(ctx, vault.CatOptions{
				Vault:    dir,
				Snapshot: c.String("snapshot"),
				Path:     c.Args().First(),
				Out:      out,
				Report:   s,
			})
			s.Rest()
			if errors.Is(err, syscall.EPIPE) {
				return exit.With(exit.Interrupted, errReported)
			}
			if err != nil {
				return stoppedBy(ctrlC, err)
			}
			s.Summary("cat", catSummary(r))
			tellCat(s, r)
			return end(r.Damaged, r.Incomplete || r.Pending || r.Unseen)
		},
	}
}

// tellCat says on stderr what there is to know about what was written.
func tellCat(s *session, r vault.CatResult) {
	name := fullName(r.Tree, r.Path)
	switch {
	case r.Damaged || r.Incomplete:
		s.Warn("%s of %s of %s were written", report.Size(r.Written), report.Size(r.Size), name)
	case r.Pending:
		s.Warn("%s is pending in snapshot %d: this is the last version that was carried, at home there was a newer one", name, r.Snapshot.Number)
	case r.Unseen:
		s.Warn("%s is unseen in snapshot %d: this is how home could last read it", name, r.Snapshot.Number)
	default:
		s.Verbose("%s, snapshot %d of %s: %s written, hash checked", name, r.Snapshot.Number, when(r.Snapshot.Time), report.Size(r.Written))
	}
}
