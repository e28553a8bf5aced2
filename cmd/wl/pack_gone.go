package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"waterlock/internal/home"
	"waterlock/internal/report"
)

// What wl pack leaves out, and what it says of files that are gone.

func goneFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "rehash", Usage: "read every file in full, and name what changed although its size, times and inode did not: it is not carried"},
		&cli.StringSliceFlag{Name: "accept-changed", Usage: "`TREE/PATH` of such a file, or of a directory of such files, whose change is right: carry it"},
		&cli.StringFlag{Name: "vanished", Usage: "`WHAT` becomes in the vault's mirror of files that are gone here: ask, propagate (they may leave it) or keep (default: as route.toml says, which is ask)"},
		&cli.StringFlag{Name: "excluded", Usage: "`WHAT` becomes in the vault's mirror of files that are newly excluded: ask, propagate or keep (default: as route.toml says, which is ask)"},
		&cli.StringSliceFlag{Name: "reconsider", Usage: "`PATTERN` of files gone or excluded earlier whose answer no longer counts: they are asked about once more"},
		&cli.StringSliceFlag{Name: "exclude", Usage: "leave out what matches `PATTERN`, as in .gitignore, from the root of each tree; route.toml is the lasting place"},
		&cli.StringSliceFlag{Name: "exclude-file", Usage: "`FILE` with such patterns, one a line"},
		&cli.BoolFlag{Name: "exclude-caches", Usage: "leave out what lies beside a CACHEDIR.TAG"},
		&cli.StringSliceFlag{Name: "exclude-if-present", Usage: "leave out what lies beside a file of this `NAME` (NAME:TEXT: one that begins with TEXT)"},
		&cli.StringFlag{Name: "exclude-larger-than", Usage: "leave out files larger than `SIZE`"},
		&cli.BoolFlag{Name: "one-file-system", Usage: "leave out what lies on another file system than the root of its tree"},
	}
}

// goneOptions reads them.
func (s *session) goneOptions(o *home.PackOptions) (err error) {
	c := s.c
	o.Exclude = c.StringSlice("exclude")
	o.ExcludeCaches = c.Bool("exclude-caches")
	o.ExcludeIfPresent = c.StringSlice("exclude-if-present")
	o.OneFileSystem = c.Bool("one-file-system")
	o.Rehash = c.Bool("rehash")
	for _, path := range c.StringSlice("accept-changed") {
		o.AcceptChanged = append(o.AcceptChanged, strings.TrimSuffix(path, "/"))
	}
	o.Reconsider = c.StringSlice("reconsider")
	for _, name := range c.StringSlice("exclude-file") {
		if name, err = filepath.Abs(name); err != nil {
			return err
		}
		o.ExcludeFile = append(o.ExcludeFile, name)
	}
	largest, err := sizeFlag(c, "exclude-larger-than", 0)
	if err != nil {
		return err
	}
	o.ExcludeLargerThan = home.Size(largest)
	for _, f := range []struct {
		name string
		to   *home.Answer
	}{{"vanished", &o.Vanished}, {"excluded", &o.Excluded}} {
		if text := c.String(f.name); text != "" {
			if *f.to, err = home.ParseAnswer(text); err != nil {
				return fmt.Errorf("--%s: %w", f.name, err)
			}
		}
	}
	if o.DryRun && s.verbose {
		o.List = func(l home.ListedPath) { tellFound(s, l) }
	}
	return nil
}

// tellFound tells of one path in a dry run: what is in, what is out and why.
func tellFound(s *session, l home.ListedPath) {
	s.Item("listed", listedItem(l))
	name := report.Name(l.Path)
	if l.Dir {
		name += "/"
	}
	if l.Out {
		s.Info("out  %s: %s", name, l.Why)
		return
	}
	s.Info("in   %s (%s)", name, l.Why)
}

// tellVanished says what was decided about files that are gone.
func tellVanished(s *session, r home.PackResult) {
	switch v := r.Vanished; {
	case v.OpenFiles == 0:
	case v.Answer == home.AnswerPropagate:
		s.Info("%s (%s) gone at home: the vault may take them out of its mirror.", files(v.OpenFiles), report.Size(v.OpenBytes))
	case v.Answer == home.AnswerKeep:
		s.Info("%s (%s) gone at home stay in the vault's mirror.", files(v.OpenFiles), report.Size(v.OpenBytes))
	default:
		s.Info("%s (%s) gone at home: undecided, the vault asks or does as its own setting says. To decide here: wl pack --vanished propagate, or keep.",
			files(v.OpenFiles), report.Size(v.OpenBytes))
	}
	switch x := r.Excluded; {
	case x.OpenFiles == 0:
	case x.Answer == home.AnswerPropagate:
		s.Info("%s (%s) newly excluded: the vault may take them out of its mirror.", files(x.OpenFiles), report.Size(x.OpenBytes))
	default:
		s.Info("%s (%s) newly excluded stay in the vault's mirror. To take them out: wl pack --reconsider PATTERN --excluded propagate",
			files(x.OpenFiles), report.Size(x.OpenBytes))
	}
}
