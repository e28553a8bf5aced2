package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"

	"waterlock/internal/courier"
	"waterlock/internal/disk"
	"waterlock/internal/exit"
	"waterlock/internal/home"
	"waterlock/internal/machine"
	"waterlock/internal/report"
)

func driveCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:        "drive",
		Usage:       "make a courier drive, or clear one",
		Subcommands: []*cli.Command{driveInitCommand(e), driveClearCommand(e)},
	}
}

func driveInitCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "init",
		Usage:     "make a directory the root of a courier drive",
		ArgsUsage: "DIR",
		Description: describe("Writes one small file, waterlock/drive.json, that says: this is a courier drive. Everything else\n"+
			"in DIR stays as it is. pack and unpack refuse a directory without that file, so a mount point\n"+
			"whose drive is not plugged in is never filled.",
			"wl drive init /mnt/courier --label red"),
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "label", Usage: "`TEXT` by which you will know the drive, such as what is written on it"},
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
			fs, err := disk.Dir(dir)
			if err != nil {
				return exit.With(exit.NotFound, err)
			}
			d, err := courier.InitDrive(fs, c.String("label"))
			if err != nil {
				fs.Close()
				if errors.Is(err, os.ErrExist) {
					err = fmt.Errorf("%s is a courier drive already: %w", report.Name(dir), err)
				}
				return err
			}
			id, label := d.ID().String(), d.Label()
			space, spaceErr := fs.Free()
			if err := d.Close(); err != nil {
				return err
			}
			if err := machine.SawDrive(s.state, machine.Drive{ID: id, Label: label, Path: dir, LastSeen: time.Now().UTC()}); err != nil {
				s.Verbose("this drive is not remembered: %v", err)
			}
			s.Summary("drive init", driveInitForm{id, textOf(label), pathOf(dir), space.Avail, space.Total})
			s.Info("%s is a courier drive now: %s.", report.Name(dir), driveName(label, id))
			if spaceErr == nil {
				s.Info("%s free of %s.", report.Size(space.Avail), report.Size(space.Total))
			}
			s.Info("Next, at home: wl pack --drive %s", report.Name(dir))
			return nil
		},
	}
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
