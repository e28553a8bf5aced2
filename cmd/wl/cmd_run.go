package main

import (
	"slices"

	"github.com/urfave/cli/v2"

	"waterlock/internal/exit"
	"waterlock/internal/report"
)

func runCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:  "run",
		Usage: "pack or unpack, whichever side of the drive this machine is",
		Description: describe("Looks for the courier drive among what is mounted, and for the side that this machine is: the\n"+
			"home, if it has a route of its own (then it packs), or the vault, if it knows a vault whose route\n"+
			"the drive carries (then it unpacks). Ids decide, never the names of directories. Where several\n"+
			"drives are here, or the machine is both sides or neither, it says so and does nothing. Flags of\n"+
			"pack and unpack are for the side they belong to.",
			"wl run",
			"wl run --drive /mnt/courier --for 2h"),
		Flags: slices.Concat([]cli.Flag{driveFlag(), routeFlag(), vaultFlag()}, packFlags(), unpackFlags()),
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 0, 0); err != nil {
				return err
			}
			s, err := begin(c, e)
			if err != nil {
				return err
			}
			defer s.Close()
			pack, err := s.packOptions()
			if err != nil {
				return err
			}
			unpack, err := s.unpackOptions()
			if err != nil {
				return err
			}
			drive, err := s.presentDrive()
			if err != nil {
				return err
			}
			found, err := s.findSide(drive)
			if err != nil {
				return err
			}
			s.Item("run", runItem(found))
			name := driveName(drive.Label, drive.ID.String())
			if found.vault == "" {
				s.Info("Here is %s at %s, and this machine is the home of route %s: packing.", name, report.Name(drive.Path), found.route)
				pack.Drive, pack.Route = drive.Path, found.route
				return s.pack(pack)
			}
			if pack.DryRun {
				return exit.Errorf(exit.Usage, "--dry-run is for packing: unpacking has none, and nothing was done")
			}
			s.Info("Here is %s at %s, and this machine has its vault, %s: unpacking.", name, report.Name(drive.Path), report.Name(found.vault))
			unpack.Drive, unpack.Vault = drive.Path, found.vault
			return s.unpack(unpack)
		},
	}
}

// runForm is what wl run has found out.
type runForm struct {
	Command    string `json:"command"`
	DriveID    string `json:"drive_id"`
	DriveLabel string `json:"drive_label"`
	pathForm
	Route    string `json:"route,omitempty"`
	Vault    string `json:"vault,omitempty"`
	VaultB64 []byte `json:"vault_b64,omitempty"`
}

func runItem(s side) runForm {
	f := runForm{
		Command: "pack", DriveID: s.drive.ID.String(), DriveLabel: textOf(s.drive.Label), pathForm: pathOf(s.drive.Path),
		Route: s.route, Vault: textOf(s.vault), VaultB64: exactly(s.vault),
	}
	if s.vault != "" {
		f.Command = "unpack"
	}
	return f
}
