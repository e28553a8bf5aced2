package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"waterlock/internal/courier"
	"waterlock/internal/exit"
	"waterlock/internal/home"
	"waterlock/internal/machine"
	"waterlock/internal/report"
)

func driveLostCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "lost",
		Usage:     "at home: a drive is lost, what was aboard and has not arrived is carried again",
		ArgsUsage: "DRIVE",
		Description: describe("DRIVE is the label of the drive, or its id or the beginning of it (wl drive list shows both). What\n"+
			"the drive carried and no receipt has acknowledged is put back on the list: the next wl pack, with\n"+
			"any drive, carries it again. Nothing else is.\n\n"+
			"If the drive was lost on its way home, bring a receipt from the vault first (wl receipt export there,\n"+
			"wl receipt import here): then nothing is carried again that has arrived.\n\n"+
			"If it turns up after all, it is welcome: wl unpack takes what is on it, its receipt counts, and packing\n"+
			"with it goes on from what lies there.",
			"wl drive lost red",
			"wl drive lost 9da77898"),
		Flags: []cli.Flag{routeFlag()},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 1, 1); err != nil {
				return err
			}
			s, err := begin(c, e)
			if err != nil {
				return err
			}
			defer s.Close()
			routes, err := s.routesToAsk()
			if err != nil {
				return err
			}
			if len(routes) == 0 {
				return exit.Errorf(exit.NotFound, "this machine is the home of no route: drives are declared lost at home, where wl pack is run")
			}
			list, err := knownDrives(s, routes)
			if err != nil {
				return err
			}
			drive, err := pickDrive(list, c.Args().First())
			if err != nil {
				return err
			}
			ctx, ctrlC := cancelOnInterrupt(s.console)
			defer ctrlC.Release()
			r, err := home.DriveLost(ctx, home.LostOptions{State: s.state, Route: c.String("route"), Drive: drive.ID, Report: s})
			if err != nil {
				return stoppedBy(ctrlC, err)
			}
			s.Rest()
			here := isThere(drive)
			if !here {
				s.forget(drive)
			}
			s.Summary("drive lost", driveLostSummary(drive.ID, drive.Label, r))
			tellLost(s, drive, r, here)
			return nil
		},
	}
}

// isThere tells whether the drive lies where this machine last saw it.
func isThere(drive *knownDrive) bool {
	if drive.Path == "" {
		return false
	}
	d, err := courier.OpenDrive(drive.Path)
	if err != nil {
		return false
	}
	defer d.Close()
	return d.ID().String() == drive.ID
}

// forget forgets a drive, so that it is not taken for the only one known.
func (s *session) forget(drive *knownDrive) {
	if err := machine.ForgetDrive(s.state, drive.ID); err != nil {
		s.Verbose("this drive is not forgotten: %v", err)
	}
}

func tellLost(s *session, drive *knownDrive, r home.LostResult, here bool) {
	name := driveName(drive.Label, drive.ID)
	switch {
	case len(r.Shipments) > 0:
		s.Info("%s is lost.", capital(name))
		for _, sh := range r.Shipments {
			what := fmt.Sprintf("snapshot %d of route %s, packed %s", sh.Snapshot, sh.Route, when(sh.Time))
			if sh.Snapshot == 0 {
				what = fmt.Sprintf("a shipment of route %s that was not finished, begun %s", sh.Route, when(sh.Time))
			}
			s.Info("  %s: %s, %s back on the list", what, report.Size(sh.Bytes), chunks(sh.Chunks))
		}
		if r.Chunks == 0 {
			s.Info("Nothing has to be carried again: all that was aboard is at the vault, or aboard another drive.")
		} else {
			s.Info("%s, about %s, %s carried again by the next wl pack, as far as home still has %s.", chunks(r.Chunks), report.Size(r.Bytes), is(r.Chunks), them(r.Chunks))
		}
		s.Info("If the drive turns up after all, it is welcome at either end.")
	case r.Before > 0:
		s.Info("%s was declared lost before: nothing changed.", capital(name))
	default:
		s.Info("Nothing undelivered was aboard %s: nothing has to be carried again.", name)
	}
	if here {
		s.Warn("%s is at %s now: the next wl pack with it takes this back", name, report.Name(drive.Path))
	}
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return string(s[0]-'a'+'A') + s[1:]
}
