package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"waterlock/internal/courier"
	"waterlock/internal/disk"
	"waterlock/internal/exit"
	"waterlock/internal/home"
	"waterlock/internal/report"
)

func driveCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:        "drive",
		Usage:       "make a courier drive, list the drives, clear one, or declare one lost",
		Subcommands: []*cli.Command{driveInitCommand(e), driveListCommand(e), driveClearCommand(e), driveLostCommand(e)},
	}
}

func driveInitCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "init",
		Usage:     "make a directory the root of a courier drive",
		ArgsUsage: "DIR",
		Description: describe("Writes one small file, waterlock/drive.json, that says: this is a courier drive. Everything else\n"+
			"in DIR stays as it is. pack and unpack refuse a directory without that file, so a mount point\n"+
			"whose drive is not plugged in is never filled.\n\n"+
			"With --with-binary the drive also carries wl itself for the other side, in waterlock/bin, and a\n"+
			"waterlock/README.txt in plain words for whoever finds it. A drive that is one already gets them\n"+
			"by the same command, again after an update of wl; its id, label and shipments stay.",
			"wl drive init /mnt/courier --label red",
			"wl drive init /mnt/courier --with-binary --contact 'Ada, +44 20 7946 0000'",
			"wl drive init /mnt/courier --binary ./wl-for-arm64"),
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "label", Usage: "`TEXT` by which you will know the drive, such as what is written on it"},
			&cli.BoolFlag{Name: "with-binary", Usage: "put this wl and a README.txt onto the drive"},
			&cli.StringSliceFlag{Name: "binary", Usage: "put the wl in `FILE`, built for another system, and a README.txt onto the drive"},
			&cli.StringFlag{Name: "contact", Usage: "`TEXT` for the README.txt: whom a finder should give the drive back to"},
		},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 1, 1); err != nil {
				return err
			}
			s, err := begin(c, e)
			if err != nil {
				return err
			}
			defer s.Close()
			dir, err := filepath.Abs(c.Args().First())
			if err != nil {
				return err
			}
			carry, err := programs(c.Bool("with-binary"), c.StringSlice("binary"))
			if err != nil {
				return err
			}
			forPeople := len(carry) > 0 || c.String("contact") != ""
			d, made, err := initDrive(dir, c.String("label"), forPeople)
			if err != nil {
				return err
			}
			defer d.Close()
			var put []string
			if forPeople {
				if put, err = s.putForPeople(d, carry, c.String("contact")); err != nil {
					return err
				}
			}
			s.sawDrive(dir)
			id, label := d.ID().String(), d.Label()
			space, spaceErr := d.FS().Free()
			s.Summary("drive init", driveInitForm{id, textOf(label), pathOf(dir), made, listOf(put, textOf), forPeople, space.Avail, space.Total})
			if made {
				s.Info("%s is a courier drive now: %s.", report.Name(dir), driveName(label, id))
			} else {
				s.Info("%s is a courier drive already: %s. Its id and its shipments stay.", report.Name(dir), driveName(label, id))
			}
			for _, name := range put {
				s.Info("It carries waterlock/bin/%s.", name)
			}
			if forPeople {
				s.Info("What it is, and how to go on, stands in waterlock/README.txt on it.")
			}
			if spaceErr == nil {
				s.Info("%s free of %s.", report.Size(space.Avail), report.Size(space.Total))
			}
			if made {
				s.tellNamesake(label, id)
			}
			s.Info("Next, at home: wl pack --drive %s", report.Name(dir))
			return nil
		},
	}
}

// initDrive makes a directory a courier drive, or opens the one that it is
// already where that is allowed and the label is not another one.
func initDrive(dir, label string, mayBeOne bool) (d *courier.Drive, made bool, err error) {
	fsys, err := disk.Dir(dir)
	if err != nil {
		return nil, false, exit.With(exit.NotFound, err)
	}
	d, err = courier.InitDrive(fsys, label)
	if err == nil {
		err = d.Close()
		made = true
	} else {
		fsys.Close()
	}
	if err != nil && !errors.Is(err, os.ErrExist) {
		return nil, false, fmt.Errorf("%w%s", err, courier.WriteHint(err))
	}
	if !made && !mayBeOne {
		return nil, false, fmt.Errorf("%s is a courier drive already: %w", report.Name(dir), err)
	}
	if d, err = courier.OpenDrive(dir); err != nil {
		return nil, false, err
	}
	if !made && label != "" && label != d.Label() {
		d.Close()
		return nil, false, exit.Errorf(exit.Usage, "%s is %s already, and keeps its label", report.Name(dir), driveName(d.Label(), d.ID().String()))
	}
	return d, made, nil
}

// putForPeople puts binaries and README.txt onto a drive and returns the names
// of the binaries.
func (s *session) putForPeople(d *courier.Drive, carry []courier.Program, contact string) (names []string, err error) {
	if err := d.Lock(); err != nil {
		return nil, err
	}
	for _, p := range carry {
		s.Phase("writing "+p.Name(), 0, 0)
		cold, err := d.PutProgram(p)
		if err != nil {
			return nil, fmt.Errorf("%w%s", err, courier.WriteHint(err))
		}
		if cold == disk.Warm {
			s.Warn("%s was read back, but perhaps from a cache: wl verify --drive after a re-plug makes sure", p.Name())
		}
		names = append(names, p.Name())
	}
	s.Rest()
	return names, d.PutReadme(contact)
}

func driveClearCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "clear",
		Usage:     "delete the shipments that the vault has acknowledged in full",
		ArgsUsage: "DIR",
		Description: describe("Deletes from the drive what a receipt says has arrived, down to the last chunk, after asking.\n"+
			"A shipment that is not acknowledged in full is never deleted.",
			"wl drive clear /mnt/courier",
			"wl drive clear /mnt/courier --yes"),
		Flags: []cli.Flag{
			routeFlag(),
			&cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "do not ask"},
		},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 1, 1); err != nil {
				return err
			}
			s, err := begin(c, e)
			if err != nil {
				return err
			}
			defer s.Close()
			dir, err := filepath.Abs(c.Args().First())
			if err != nil {
				return err
			}
			ctx, ctrlC := cancelOnInterrupt(s.console)
			defer ctrlC.Release()
			r, err := home.ClearDrive(ctx, home.ClearOptions{
				State:   s.state,
				Route:   c.String("route"),
				Drive:   dir,
				Yes:     c.Bool("yes"),
				Confirm: s.confirm(e.in, ctrlC.Stop),
				Report:  s,
			})
			if err != nil {
				return stoppedBy(ctrlC, err)
			}
			s.Rest()
			s.sawDrive(dir)
			s.Summary("drive clear", clearSummary(r))
			tellCleared(s, r)
			return nil
		},
	}
}

func tellCleared(s *session, r home.ClearResult) {
	name := driveName(r.DriveLabel, r.DriveID)
	switch {
	case r.Refused && !r.Asked:
		s.Info("Nothing was deleted: there is nobody to ask. With --yes it is done without asking.")
	case r.Refused:
		s.Info("Nothing was deleted.")
	case len(r.Cleared) == 0 && r.Kept == 0:
		s.Info("There is no shipment on %s: nothing to delete.", name)
	case len(r.Cleared) == 0:
		s.Info("Nothing was deleted: of what lies on %s nothing is acknowledged in full yet.", name)
	default:
		for _, sh := range r.Cleared {
			s.Info("Deleted: shipment %s (snapshot %d of %s), %s.", short(sh.Shipment), sh.Snapshot, sh.Route, report.Size(sh.Bytes))
		}
		s.Info("%s freed on %s.", report.Size(r.Freed), name)
	}
	if r.Kept > 0 && !r.Refused {
		s.Info("Not deleted: %s that no receipt has acknowledged in full yet.", report.Count(int64(r.Kept), "shipment"))
	}
	if r.Free > 0 {
		s.Info("%s free now.", report.Size(r.Free))
	}
}

// driveName is how a drive is called in sentences.
func driveName(label, id string) string {
	if label == "" {
		return "drive " + short(id)
	}
	return "drive " + report.Name(label) + " (" + short(id) + ")"
}

func driveFlag() cli.Flag {
	return &cli.StringFlag{Name: "drive", Usage: "`DIR` where the courier drive is mounted (default: the only one known)"}
}

func vaultFlag() cli.Flag {
	return &cli.StringFlag{Name: "vault", Usage: "`DIR` of the vault (default: the only one known)"}
}

func routeFlag() cli.Flag {
	return &cli.StringFlag{Name: "route", Usage: "`NAME` of the route (default: the only one)"}
}
