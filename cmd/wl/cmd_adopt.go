package main

import (
	"strings"

	"github.com/urfave/cli/v2"

	"waterlock/internal/exit"
	"waterlock/internal/report"
	"waterlock/internal/vault"
)

func vaultAdoptCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "adopt",
		Usage:     "at the vault: take a directory that already holds most of a tree for its place",
		ArgsUsage: "TREE=DIR ...",
		Description: describe("Where this machine already has the files of a tree, or an older copy of them, they need not travel.\n"+
			"DIR becomes the place of TREE: every file in it is read once, where it lies, and nothing is copied or\n"+
			"changed. The next wl unpack takes home a list of what is here, and the wl pack behind that brings only\n"+
			"what differs. A drive that was packed with --limit 0 is enough to begin with.\n"+
			"Interrupted, it goes on where it was when it is run again.\n"+
			"\n"+
			"What is as at home stays the file it is, and gets the modes, times and owners of home. What differs\n"+
			"moves to .wl/foreign when the version of home comes (wl vault foreign), so it takes room twice until\n"+
			"you remove it. What home does not have stays where it is for good.",
			"wl vault adopt photos=/data/photos documents=/data/docs"),
		Flags: []cli.Flag{vaultFlag()},
		Action: func(c *cli.Context) error {
			if c.NArg() == 0 {
				return exit.Errorf(exit.Usage, "say which directory is to be the place of which tree: TREE=DIR")
			}
			s, err := begin(c, e)
			if err != nil {
				return err
			}
			defer s.Close()
			o := vault.AdoptOptions{Report: s}
			for _, arg := range c.Args().Slice() {
				tree, dir, ok := strings.Cut(arg, "=")
				if !ok || tree == "" || dir == "" {
					return exit.Errorf(exit.Usage, "%q: write it as TREE=DIR", arg)
				}
				o.Places = append(o.Places, vault.TreePlace{Tree: tree, Path: dir})
			}
			if o.Vault, err = s.vaultPlace(); err != nil {
				return err
			}
			ctx, ctrlC := cancelOnInterrupt(s.console)
			defer ctrlC.Release()
			r, err := vault.Adopt(ctx, o)
			s.Rest()
			s.Summary("vault adopt", vaultAdoptSummary(r))
			if err != nil {
				if r.Files > 0 {
					s.Info("%s, %s are recorded; run it again to go on.", files(r.Before+r.Files), report.Size(r.Bytes+r.BeforeBytes))
				}
				return stoppedBy(ctrlC, err)
			}
			tellAdopted(s, r)
			return end(false, r.Failed > 0)
		},
	}
}

func tellAdopted(s *session, r vault.AdoptResult) {
	for _, t := range r.Trees {
		s.Info("%s is the place of tree %s.", report.Name(t.Path), report.Name(t.Tree))
	}
	if r.Files > 0 || r.Before == 0 {
		s.Info("Read and recorded: %s, %s. Nothing was copied.", files(r.Files), report.Size(r.Bytes))
	}
	if r.Links > 0 {
		s.Info("Not read again: %s, further names of files that were.", files(r.Links))
	}
	if r.Before > 0 {
		s.Info("Recorded before: %s, %s.", files(r.Before), report.Size(r.BeforeBytes))
	}
	if r.Failed > 0 {
		s.Info("Not recorded: %s, named above. They stay as they are; run it again when they can be read.", files(r.Failed))
	}
	s.Info("Next: wl unpack, which puts a list of what is here onto the drive for home. Then wl pack brings only what differs.")
}
