package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v2"

	"waterlock/internal/exit"
	"waterlock/internal/report"
	"waterlock/internal/vault"
)

func unpackCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:  "unpack",
		Usage: "at the vault: deliver what the drive brings",
		Description: describe("Checks every byte that the drive brings, puts the new versions of files into place, keeps the\n"+
			"old ones as history, and writes the receipt that home needs onto the drive. Interrupted in any\n"+
			"way, it is simply run again. Files that are gone at home stay unless --deletions apply or a yes\n"+
			"to the question takes them away; in older snapshots they stay in either case.",
			"wl unpack --drive /mnt/courier --vault /srv/vault",
			"wl unpack --deletions apply"),
		Flags: append([]cli.Flag{driveFlag(), vaultFlag()}, unpackFlags()...),
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 0, 0); err != nil {
				return err
			}
			s, err := begin(c, e)
			if err != nil {
				return err
			}
			defer s.Close()
			o, err := s.unpackOptions()
			if err != nil {
				return err
			}
			if o.Drive, err = s.drivePlace(); err != nil {
				return err
			}
			if o.Vault, err = s.vaultPlace(); err != nil {
				return err
			}
			return s.unpack(o)
		},
	}
}

// unpackFlags are the flags of unpack beside the places.
func unpackFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "deletions", Usage: "`WHAT` becomes of files that are gone at home: ask, keep, confirmed (what home has confirmed) or apply (default: as vault.toml says, which is ask)"},
	}
}

// unpackOptions reads all but drive and vault.
func (s *session) unpackOptions() (vault.UnpackOptions, error) {
	o := vault.UnpackOptions{Report: s}
	if text := s.c.String("deletions"); text != "" {
		var err error
		if o.Deletions, err = vault.ParseDeletions(text); err != nil {
			return o, exit.With(exit.Usage, err)
		}
	}
	return o, nil
}

// unpack unpacks and tells what came of it.
func (s *session) unpack(o vault.UnpackOptions) error {
	ctx, ctrlC := cancelOnInterrupt(s.console)
	defer ctrlC.Release()
	o.Confirm = s.confirm(s.e.in, ctrlC.Stop)
	r, err := vault.Unpack(ctx, o)
	if err != nil && ctrlC.Interrupted() && errors.Is(err, context.Canceled) {
		return exit.Errorf(exit.Interrupted, "stopped before the end: each file in the mirror is an old or a new one, whole, but there is no new receipt. Run wl unpack again before the drive goes home")
	}
	if err != nil {
		return stoppedBy(ctrlC, err)
	}
	s.Rest()
	s.sawDrive(o.Drive)
	s.sawVault(o.Vault)
	s.Summary("unpack", unpackSummary(r))
	tellUnpacked(s, r)
	return end(r.Damaged > 0, !r.Complete() || r.Receipt > 0 && !r.Told)
}

func tellUnpacked(s *session, r vault.UnpackResult) {
	if r.Open > 0 {
		s.Info("%s on this drive %s not finished at home and was left alone.", report.Count(int64(r.Open), "shipment"), is(int64(r.Open)))
	}
	if r.Shipments == 0 {
		s.Info("There is no shipment of route %s on this drive.", r.Route)
	} else if r.Again == r.Shipments {
		s.Info("%s on this drive: taken before already.", report.Count(int64(r.Shipments), "shipment"))
	}
	if r.Snapshot == 0 {
		s.Info("No snapshot is known yet.")
	} else {
		s.Info("Snapshot %d of route %s, as of %s: %s.", r.Snapshot, r.Route, when(r.SnapshotTime), arrival(r.SnapshotArrived, r.SnapshotWhole))
	}
	tellInstalled(s, r)
	tellGone(s, r)
	if r.Foreign > 0 {
		s.Info("%s that somebody else wrote stood in the way: moved to .wl/foreign, unharmed. To list them: wl vault foreign", files(r.Foreign))
	}
	if r.NotKept > 0 {
		s.Info("In the snapshot alone, because a mirror makes no sockets and devices: %s.", report.Count(r.NotKept, "special file"))
	}
	if r.HistoryTotal > 0 {
		s.Info("History takes %s: old versions, and the snapshots' lists of files.", report.Size(r.HistoryTotal))
	}
	if r.FreedBytes > 0 {
		s.Info("Freed: %s of history.", report.Size(r.FreedBytes))
	}
	if r.Condemned > 0 {
		s.Info("The receipt tells home not to count on %s that no snapshot needs. They are freed once home shows that it has read that; wl status says what that waits for.", chunks(r.Condemned))
	}
	if r.Pending > 0 {
		s.Info("Waiting for a later trip: %s, with new content that is still at home.", files(r.Pending))
	}
	if r.Growing > 0 {
		s.Info("Growing beside the mirror until the last part comes: %s, %s of %s so far, %s of it new.", files(r.Growing), report.Size(r.GrowingBytes), report.Size(r.GrowingTotal), report.Size(r.GrownBytes))
	}
	if r.Unseen > 0 {
		s.Info("Left as it was, because home could not read it: %s.", report.Count(r.Unseen, "entry"))
	}
	for _, t := range r.Stopped {
		s.Info("This tree stood still at home and was left as it was: %s", t)
	}
	switch {
	case r.Behind > 0 && r.Waiting == r.Behind:
		s.Info("Waiting for %s, still under way: %s (%s). The mirror shows what it had.", awaitedDrives(r.Drives), files(r.Behind), report.Size(r.BehindBytes))
	case r.Behind > 0:
		s.Info("Not in the mirror yet, because chunks of them are lacking: %s (%s). It shows what it had.", files(r.Behind), report.Size(r.BehindBytes))
	}
	tellRoom(s, r)
	if r.Failed > 0 {
		s.Info("%s could not be delivered.", files(r.Failed))
	}
	switch {
	case r.Damaged > 0 && r.Wants+r.Awaited+r.Behind+r.Failed == 0:
		s.Info("Damage was found, named above. Nothing is lacking for it: the vault has all of it from elsewhere.")
	case r.Damaged > 0:
		s.Info("Damage was found, named above. The rest has arrived.")
	}
	if r.Awaited > 0 {
		s.Info("%s %s still awaited from %s.", chunks(r.Awaited), is(r.Awaited), awaitedDrives(r.Drives))
	}
	if r.Wants > 0 {
		s.Info("%s %s asked for on the receipt: the next pack at home carries it again.", chunks(r.Wants), is(r.Wants))
	}
	if r.InventoryGiven {
		s.Info("With the receipt goes an inventory: the list of all %s in the vault, from which home learns what need not be carried.", chunks(r.Inventory))
	}
	switch {
	case r.Told:
		s.Info("Receipt %d is on the drive. It is safe to remove the drive: unmount it, and take it home. There: wl pack", r.Receipt)
	case r.Receipt > 0:
		s.Info("Receipt %d could not be written onto the drive: home does not learn what arrived until a later trip. Run wl unpack again if the drive can be mended, or send the receipt by itself: wl receipt export, and at home wl receipt import.", r.Receipt)
	default:
		s.Info("No receipt was written.")
	}
}

// awaitedDrives names the drives that are awaited.
func awaitedDrives(list []vault.AwaitedDrive) string {
	if len(list) == 0 {
		return "a drive under way"
	}
	return vault.DrivesText(list)
}

// tellRoom says what there was no room for, and what could make some.
func tellRoom(s *session, r vault.UnpackResult) {
	if r.Room.Files > 0 {
		s.Info("%s %s behind: arrived, but without room to be put together, which takes %s. The mirror keeps what it had.",
			files(r.Room.Files), is(r.Room.Files), report.Size(r.Room.Needed))
	}
	if r.Room.OnDrive > 0 {
		s.Info("%s stay on the drive for want of room.", report.Size(r.Room.OnDrive))
	}
	if r.Room.Files+r.Room.OnDrive > 0 {
		s.Info("%s", roomNeeded(r.Room, r.HistoryTotal, r.ForeignBytes))
	}
}

// roomNeeded says how much room is missing, and what takes some.
func roomNeeded(room vault.Room, history, foreign int64) string {
	text := fmt.Sprintf("%s more must become free on the vault's disk; then run wl unpack again.", report.Size(room.Missing))
	if room.Missing == 0 {
		text = "There is room by now: run wl unpack again."
	}
	if foreign > 0 {
		text += fmt.Sprintf(" Files of somebody else take %s (wl vault foreign).", report.Size(foreign))
	}
	if history > 0 {
		text += fmt.Sprintf(" Old versions and lists take %s, which older snapshots need.", report.Size(history))
	}
	return text
}

func tellInstalled(s *session, r vault.UnpackResult) {
	if r.Written+r.Linked+r.Metadata+r.Others == 0 {
		s.Info("The mirror needed no change.")
		return
	}
	var parts []string
	for _, part := range []struct {
		n    int64
		text string
	}{
		{r.Written, fmt.Sprintf("%s written (%s)", files(r.Written), report.Size(r.WrittenBytes))},
		{r.Linked, files(r.Linked) + " moved or linked"},
		{r.Metadata, report.Count(r.Metadata, "entry") + " with new metadata"},
		{r.Others, report.Count(r.Others, "other entry")},
	} {
		if part.n > 0 {
			parts = append(parts, part.text)
		}
	}
	s.Info("In the mirror: %s.", strings.Join(parts, ", "))
}

func tellGone(s *session, r vault.UnpackResult) {
	if r.Deleted > 0 {
		s.Info("%s (%s) gone at home left the mirror; older snapshots still have them.", files(r.Deleted), report.Size(r.DeletedBytes))
	}
	if left := r.Gone - r.Deleted; left > 0 {
		why := r.DeletionsNoted
		if why == "" {
			why = "as asked"
		}
		if r.Deleted == 0 && r.Confirmed > 0 && r.Confirmed < r.Gone {
			why += fmt.Sprintf("; home has confirmed %s of them (%s)", humanize.Comma(r.Confirmed), report.Size(r.ConfirmedBytes))
		}
		s.Info("%s (%s) gone at home stay in the mirror: %s.", files(left), report.Size(r.GoneBytes-r.DeletedBytes), why)
		s.Info("To take them out of the mirror: wl unpack --deletions apply")
	}
	if r.Stays > 0 {
		s.Info("%s (%s) gone or excluded at home stay in the mirror, because home says so.", files(r.Stays), report.Size(r.StaysBytes))
	}
}

func arrival(arrived, whole bool) string {
	switch {
	case whole:
		return "whole"
	case arrived:
		return "arrived, but not whole"
	}
	return "not arrived in full"
}
