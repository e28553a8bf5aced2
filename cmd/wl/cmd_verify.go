package main

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"

	"waterlock/internal/courier"
	"waterlock/internal/exit"
	"waterlock/internal/machine"
	"waterlock/internal/report"
	"waterlock/internal/vault"
)

func verifyCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:  "verify",
		Usage: "read a drive or a vault back and name what is damaged",
		Description: describe("Reads everything back and names each damaged or missing file, chunk and pack. In a vault, what\n"+
			"another place still has is repaired; the rest is asked for on the next receipt. What was read longest\n"+
			"ago comes first, and a run that ends early, by --budget or Ctrl-C, is gone on with by the next.",
			"wl verify --drive /mnt/courier",
			"wl verify --vault /srv/vault --subset 10%",
			"wl verify --vault /srv/vault --budget 2h",
			"wl verify --vault /srv/vault --quick"),
		Flags: []cli.Flag{
			driveFlag(),
			vaultFlag(),
			&cli.StringFlag{Name: "subset", Usage: "read only this `SHARE` of the vault, such as 10%, what was unread longest first"},
			&cli.StringFlag{Name: "budget", Usage: "stop reading the vault after this `TIME-OR-SIZE`, such as 2h or 500GB; the next run goes on there"},
			&cli.BoolFlag{Name: "quick", Usage: "compare sizes, times and tables of the vault; read no content"},
		},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 0, 0); err != nil {
				return err
			}
			s, err := begin(c, e)
			if err != nil {
				return err
			}
			defer s.Close()
			o, err := verifyOptions(c)
			if err != nil {
				return err
			}
			dir, isVault, err := s.whatToVerify()
			if err != nil {
				return err
			}
			if isVault {
				o.Vault, o.Report = dir, s
				return verifyVault(s, o)
			}
			if c.IsSet("subset") || c.IsSet("budget") || c.Bool("quick") {
				return exit.Errorf(exit.Usage, "--subset, --budget and --quick are for a vault: a drive is read whole")
			}
			return verifyDrive(s, dir)
		},
	}
}

// verifyOptions says how much of a vault is read.
func verifyOptions(c *cli.Context) (o vault.VerifyOptions, err error) {
	o.Quick = c.Bool("quick")
	budget := c.String("budget")
	if n := bits(o.Quick) + bits(budget != "") + bits(c.IsSet("subset")); n > 1 {
		return o, exit.Errorf(exit.Usage, "--subset, --budget and --quick: give one of them")
	}
	if o.Fraction, err = shareFlag(c, "subset"); err != nil || budget == "" {
		return o, err
	}
	var byTime, bySize error
	if o.Time, byTime = time.ParseDuration(budget); byTime == nil {
		o.Bytes = 0
	} else {
		o.Bytes, bySize = parseSize(budget)
	}
	if byTime != nil && bySize != nil || o.Time < 0 || o.Time == 0 && o.Bytes == 0 {
		return o, exit.Errorf(exit.Usage, "--budget %q is neither a time nor a size: give one like 2h, 90m or 500GB", budget)
	}
	return o, nil
}

func bits(set bool) int {
	if set {
		return 1
	}
	return 0
}

// whatToVerify is the drive or the vault that the flags name (those on the
// command line before those in the environment), or the only one of either
// that this machine knows.
func (s *session) whatToVerify() (dir string, isVault bool, err error) {
	drive, vault := s.c.String("drive"), s.c.String("vault")
	if s.e.given["drive"] != s.e.given["vault"] {
		if s.e.given["drive"] {
			vault = ""
		} else {
			drive = ""
		}
	}
	switch {
	case drive != "" && vault != "":
		return "", false, exit.Errorf(exit.Usage, "--drive and --vault: give one of them")
	case drive != "":
		dir, err = filepath.Abs(drive)
		return dir, false, err
	case vault != "":
		dir, err = filepath.Abs(vault)
		return dir, true, err
	}
	known := machine.Load(s.state)
	driveDir, driveErr := known.OnlyDrive()
	vaultDir, vaultErr := known.OnlyVault()
	switch {
	case driveErr == nil && vaultErr != nil && len(known.Vaults) == 0:
		return driveDir, false, nil
	case vaultErr == nil && driveErr != nil && len(known.Drives) == 0:
		return vaultDir, true, nil
	}
	return "", false, exit.Errorf(exit.Usage, "say what to verify: --drive DIR or --vault DIR")
}

func verifyDrive(s *session, dir string) error {
	d, err := courier.OpenDrive(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Lock(); err != nil {
		return err
	}
	ctx, ctrlC := cancelOnInterrupt(s.console)
	defer ctrlC.Release()
	r, err := courier.VerifyDrive(ctx, d, s)
	if err != nil {
		return stoppedBy(ctrlC, err)
	}
	s.Rest()
	s.Summary("verify drive", verifyDriveSummary(d.ID().String(), d.Label(), r))
	what := report.Count(r.Shipments, "shipment")
	if r.Returns > 0 {
		what += " and " + report.Count(r.Returns, "return")
	}
	s.Info("%s: read %s in %s, %s, %s.", driveName(d.Label(), d.ID().String()), what, files(r.Files), report.Count(r.Records, "record"), report.Size(r.Bytes))
	if r.Open > 0 {
		s.Info("%s on it %s not finished yet; whoever packs onto it goes on.", report.Count(r.Open, "shipment"), is(r.Open))
	}
	if r.Warm {
		s.Info("Some of it may have come from a cache: unplug the drive, plug it in and run this again to be sure.")
	}
	if r.Problems > 0 {
		s.Info("Damage was found: %s damaged and %d missing, %s damaged. They are named above.",
			files(r.DamagedFiles), r.MissingFiles, chunks(r.DamagedChunks))
		s.Info("The rest can be unpacked; the vault asks for what is lacking, and the next pack carries it again.")
	} else {
		s.Info("No damage.")
	}
	return end(r.Problems > 0, false)
}

func verifyVault(s *session, o vault.VerifyOptions) error {
	ctx, ctrlC := cancelOnInterrupt(s.console)
	defer ctrlC.Release()
	r, err := vault.Verify(ctx, o)
	if err != nil {
		return stoppedBy(ctrlC, err)
	}
	s.Rest()
	s.Summary("verify vault", verifyVaultSummary(r))
	s.Info("Read %s with %s, %s, and looked through %s.", report.Count(r.Containers, "container"), chunks(r.Chunks),
		report.Size(r.Bytes), report.Count(r.Snapshots, "snapshot"))
	if r.Left > 0 {
		s.Info("The budget is used up: %s %s left to the next run, which goes on there.", report.Count(r.Left, "container"), is(r.Left))
	}
	s.Info("%s", readSinceLine(r.ReadSince))
	if r.Damaged > 0 {
		s.Info("Damage was found in %s: %d repaired from another place, the rest is asked for on the next receipt.", report.Count(r.Damaged, "place"), r.Repaired)
	}
	if r.Unreadable > 0 {
		s.Info("%s cannot be read in full.", report.Count(r.Unreadable, "snapshot"))
	}
	if r.Lacking > 0 {
		s.Info("%s that snapshots name %s not in the vault.", chunks(r.Lacking), is(r.Lacking))
	}
	if len(r.DamagedSnapshots) > 0 {
		s.Info("Damaged %s: %s.", nounOf(len(r.DamagedSnapshots), "snapshot"), someNumbers(r.DamagedSnapshots, s.verbose))
		s.tellLacks(listOf(r.Lacks, lackItem))
	}
	if r.Wants > 0 {
		s.Info("%s %s asked for. Next: wl unpack writes a receipt that says so, and the pack at home carries it.", chunks(r.Wants), is(r.Wants))
	}
	if r.Missing+r.Foreign > 0 {
		s.Info("In the mirror %s gone and %s changed by somebody else; the next unpack puts right what it can.",
			are(r.Missing, "path"), are(r.Foreign, "path"))
	}
	if r.Strangers > 0 {
		s.Info("In the mirror %s that somebody else put there, left alone; -v names them.", lie(r.Strangers))
	}
	if r.Sound() {
		s.Info("No damage.")
	}
	return end(!r.Sound(), false)
}

// readSinceLine says how old the oldest check of a vault is.
func readSinceLine(since time.Time) string {
	if since.IsZero() {
		return "Not all that is here is known to have been read back since it came or since the catalog was rebuilt: wl verify reads it."
	}
	return fmt.Sprintf("All that is here was read back on %s or later%s.", when(since), ago(time.Since(since)))
}

// ago is a length of time up to now, in days; "" below one.
func ago(d time.Duration) string {
	if days := int64(d / (24 * time.Hour)); days > 0 {
		return ", at most " + report.Count(days, "day") + " ago"
	}
	return ""
}
