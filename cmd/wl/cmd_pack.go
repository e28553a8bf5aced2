package main

import (
	"context"

	"github.com/urfave/cli/v2"

	"waterlock/internal/exit"
	"waterlock/internal/home"
	"waterlock/internal/report"
)

func packCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:  "pack",
		Usage: "at home: put what the vault lacks onto a drive",
		Description: describe("Reads the vault's receipt on the drive, looks for what is new or changed, packs what the vault\n"+
			"lacks until the drive is full down to the reserve, reads everything back from the drive, and\n"+
			"commits. A first Ctrl-C closes the shipment with what is there; a second one stops at once.\n"+
			"Interrupted in any way, it is simply run again and goes on where it was.",
			"wl pack --drive /mnt/courier",
			"wl pack --dry-run",
			"wl pack --drive /mnt/courier --limit 500GB --for 2h"),
		Flags: append([]cli.Flag{driveFlag(), routeFlag()}, packFlags()...),
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 0, 0); err != nil {
				return err
			}
			s, err := begin(c, e)
			if err != nil {
				return err
			}
			defer s.Close()
			o, err := s.packOptions()
			if err != nil {
				return err
			}
			if o.Drive, err = s.drivePlace(); err != nil {
				return err
			}
			return s.pack(o)
		},
	}
}

// packFlags are the flags of pack beside the place.
func packFlags() []cli.Flag {
	return append([]cli.Flag{
		&cli.StringFlag{Name: "reserve", Usage: "`SIZE` to leave free on the drive (default: 1GiB, or as route.toml says)"},
		&cli.StringFlag{Name: "limit", Usage: "put at most `SIZE` of new content onto the drive; 0 is the snapshot alone (default: no limit)"},
		&cli.DurationFlag{Name: "for", Usage: "close the shipment after this `TIME`, such as 2h"},
		&cli.BoolFlag{Name: "again", Usage: "do not count on what is aboard other drives: carry it again, behind all that is new"},
		&cli.BoolFlag{Name: "dry-run", Aliases: []string{"n"}, Usage: "say what would be packed; write nothing onto the drive"},
		&cli.StringSliceFlag{Name: "allow-missing", Usage: "`TREE` whose root is gone on purpose (\"*\": every tree)"},
		&cli.StringSliceFlag{Name: "allow-empty", Usage: "`TREE` that was emptied on purpose"},
		&cli.StringSliceFlag{Name: "allow-device", Usage: "`TREE` that was moved to another device on purpose"},
		&cli.StringSliceFlag{Name: "allow-vanished", Usage: "`TREE` of which more than a fifth of the files were deleted on purpose"},
		&cli.StringSliceFlag{Name: "allow-lost-scan", Usage: "`TREE` of which home lost what it knew: read all anew, take what is not there for deleted"},
		&cli.BoolFlag{Name: "without-inventory", Usage: "carry data although it is not known what the vault has: some of it may be there already"},
		&cli.StringFlag{Name: "pack-size", Usage: "`SIZE` of a pack at most, below 4GiB (default: as route.toml says)"},
	}, goneFlags()...)
}

// packOptions reads all but the drive.
func (s *session) packOptions() (home.PackOptions, error) {
	c := s.c
	o := home.PackOptions{
		State:         s.state,
		Route:         c.String("route"),
		For:           c.Duration("for"),
		DryRun:        c.Bool("dry-run"),
		Again:         c.Bool("again"),
		AllowMissing:  c.StringSlice("allow-missing"),
		AllowEmpty:    c.StringSlice("allow-empty"),
		AllowDevice:   c.StringSlice("allow-device"),
		AllowVanished: c.StringSlice("allow-vanished"),
		AllowLostScan: c.StringSlice("allow-lost-scan"),
		Report:        s,

		WithoutInventory: c.Bool("without-inventory"),
	}
	if o.For < 0 {
		return o, exit.Errorf(exit.Usage, "--for %s is before now", o.For)
	}
	var err error
	if o.Reserve, err = sizeFlag(c, "reserve", -1); err != nil {
		return o, err
	}
	if o.Limit, err = sizeFlag(c, "limit", 0); err != nil {
		return o, err
	}
	if c.IsSet("limit") && o.Limit == 0 {
		o.Limit = -1 // the snapshot alone
	}
	if o.PackSize, err = sizeFlag(c, "pack-size", 0); err != nil {
		return o, err
	}
	err = s.goneOptions(&o)
	return o, err
}

// pack packs and tells what came of it.
func (s *session) pack(o home.PackOptions) error {
	ctrlC := catchInterrupts(s.console, "stopping: the shipment is closed with what is there (Ctrl-C again: at once)", nil)
	defer ctrlC.Release()
	o.Stop = ctrlC.Stop
	o.Confirm = s.confirm(s.e.in, ctrlC.Stop)
	o.Choose = s.choose(s.e.in, ctrlC.Stop)
	r, err := home.Pack(context.Background(), o)
	if err != nil {
		return stoppedBy(ctrlC, err)
	}
	s.Rest()
	s.sawDrive(o.Drive)
	s.Summary("pack", packSummary(r))
	tellPacked(s, r)
	if r.Interrupted {
		return exit.With(exit.Interrupted, errReported)
	}
	return end(false, r.Incomplete())
}

func tellPacked(s *session, r home.PackResult) {
	drive := driveName(r.DriveLabel, r.DriveID)
	if r.DryRun {
		s.Info("Dry run: nothing was written onto the drive.")
		what := "are new or changed and would be read"
		switch {
		case r.Rehash:
			what = "would be read"
		case r.Again:
			what = "are new or changed, or aboard another drive, and would be read"
		}
		s.Info("%s, %s, %s%s.", files(r.ToReadFiles), report.Size(r.ToRead), what, movedToo(r.Moved))
		if r.RecarriedBytes > 0 {
			s.Info("About %s more are carried again: they are no longer on this drive, and no receipt says that they arrived.", report.Size(r.RecarriedBytes))
		}
		if r.Wants > 0 {
			s.Info("%s that the vault asks for again would go first, as far as home still has %s.", chunks(r.Wants), them(r.Wants))
		}
		tellStopped(s, r.Stopped)
		return
	}
	if r.Snapshot == 0 {
		s.Info("No snapshot was committed: nothing on this drive counts as carried.")
		tellStopped(s, r.Stopped)
		return
	}
	s.Info("Snapshot %d of route %s: %s, %s, as of %s.", r.Snapshot, r.Route, files(r.Files), report.Size(r.Bytes), when(r.Time))
	switch {
	case r.ChunksNew > 0:
		s.Info("Packed %s with %s of new content%s; the shipment takes %s on %s.",
			chunks(r.ChunksNew), report.Size(r.BytesNew), movedToo(r.Moved), report.Size(r.BytesWritten), drive)
	case r.Resumed:
		s.Info("This run added no content to what an earlier one had packed; the shipment takes %s on %s.", report.Size(r.BytesWritten), drive)
	case r.Pending > 0 || r.Incomplete():
		s.Info("No new content was packed: the shipment of %s carries the snapshot alone.", report.Size(r.BytesWritten))
	case r.WantsGone > 0:
		s.Info("No new content: what is at home the vault has, or it is under way. The shipment of %s carries the snapshot alone.", report.Size(r.BytesWritten))
	default:
		s.Info("No new content: the vault has everything, or it is under way. The shipment of %s carries the snapshot alone.", report.Size(r.BytesWritten))
	}
	tellWants(s, r)
	if r.NotAgain > 0 {
		s.Info("Not carried again: about %s that are aboard other drives.", report.Size(r.NotAgain))
	}
	tellStopped(s, r.Stopped)
	tellVanished(s, r)
	if n := r.Unseen - r.Rotten; n > 0 {
		s.Info("%s could not be read and keep the state of the last snapshot.", report.Count(n, "entry"))
	}
	if r.Rotten > 0 {
		s.Info("%s changed although size, times and inode are as they were, and %s perhaps rotten: the snapshot keeps what there was. Compare with the vault's; if a change is right: wl pack --accept-changed TREE/PATH",
			files(r.Rotten), is(r.Rotten))
	}
	switch {
	case r.Asks != "" && r.ChunksNew == 0:
		s.Info("It asks the vault for its inventory, the list of all chunks there. Left until that has come: %s, about %s at most.", files(r.Pending), report.Size(r.PendingBytes))
	case r.Pending > 0:
		why := r.Why
		if why == "" {
			why = "not all could be carried"
		}
		s.Info("Left for the next trip: %s, about %s (%s).", files(r.Pending), report.Size(r.PendingBytes), why)
	case !r.Incomplete():
		s.Info("Nothing is left for the next trip.")
	}
	if r.Interrupted {
		s.Info("You stopped it: what is packed stays packed. To go on with the rest, on this drive or another: wl pack")
	}
	if r.ReadBack == "warm" {
		s.Info("The drive was read back, but perhaps from a cache: unplug it, plug it in again, and run wl verify --drive to be sure.")
	} else {
		s.Info("Everything was read back from the drive and is right.")
	}
	s.Info("It is safe to remove the drive: unmount it, and take it to the vault. There: wl unpack")
}

// tellWants says what became of what the vault asks for.
func tellWants(s *session, r home.PackResult) {
	if r.WantsServed > 0 {
		s.Info("Of %s that the vault asks for again, %s %s on the way to it.", chunks(r.Wants), report.Count(r.WantsServed, "chunk"), is(r.WantsServed))
	}
	if r.WantsOpen > 0 {
		s.Info("%s that the vault asks for %s not carried yet: %s may lie in what had no room or could not be read.",
			chunks(r.WantsOpen), is(r.WantsOpen), they(r.WantsOpen))
	}
	if r.WantsGone > 0 {
		s.Info("%s that the vault asks for %s no longer at home: snapshots that name %s stay incomplete.",
			chunks(r.WantsGone), is(r.WantsGone), them(r.WantsGone))
	}
	if len(r.Unserved) > 0 {
		s.Info("What needs them:")
		s.tellLacks(listOf(r.Unserved, unservedItem))
	}
	if r.WantsGone > 0 {
		s.Info("If the content turns up, under whatever name, the next pack carries it. To give it up, at the vault: wl prune --forget N")
	}
}

func movedToo(n int64) string {
	if n == 0 {
		return ""
	}
	return " (" + files(n) + " only moved)"
}

func tellStopped(s *session, stopped []home.StoppedTree) {
	for _, t := range stopped {
		s.Info("%s", stoppedLine(t))
	}
}

// stoppedLine says what became of a tree that stands still, and what a person can do about it.
func stoppedLine(t home.StoppedTree) string {
	line := "Tree " + t.Tree + " was left as it was in the last snapshot: " + t.Reason + "."
	if t.Never {
		line = "Tree " + t.Tree + " is in no snapshot yet, nor in this one: " + t.Reason + "."
	}
	if t.Flag != "" {
		line += " If that is right, run again with " + t.Flag + " " + t.Tree + "."
	}
	return line
}
