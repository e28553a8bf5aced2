package main

import (
	"context"
	"path/filepath"
	"time"

	"waterlock/internal/exit"
	"waterlock/internal/homecoming"
	"waterlock/internal/report"
	"waterlock/internal/vault"
	"waterlock/snapshot"
)

// A homecoming is a restore by drives, for a home that burned down: wl restore
// --to-drive at the vault, wl restore --from-drive at the new home.

// restoreWay is which of its three ways wl restore goes.
func restoreWay(s *session) (to, from bool, err error) {
	to, from = s.c.String("to-drive") != "", s.c.String("from-drive") != ""
	target := s.c.String("target") != ""
	switch {
	case to && from:
		return to, from, exit.Errorf(exit.Usage, "--to-drive is for the vault, --from-drive for the new home: give one of them")
	case to && target && s.e.given["target"]:
		return to, from, exit.Errorf(exit.Usage, "--target is for the new home, where the drive goes: there, wl restore --from-drive DIR --target DIR")
	case to && (s.c.Bool("overwrite") || s.c.Bool("privileged")):
		return to, from, exit.Errorf(exit.Usage, "--overwrite and --privileged are for the new home, where the files are written")
	case from && !target:
		return to, from, exit.Errorf(exit.Usage, "--target DIR is missing: where the files are to be written")
	case from && s.c.NArg() > 0:
		return to, from, exit.Errorf(exit.Usage, "%s: what comes home was chosen at the vault; without paths everything that the drive brings comes", s.c.Args().First())
	case !to && (s.c.Bool("again") || s.c.String("reserve") != "" && s.e.given["reserve"] || s.c.String("limit") != "" && s.e.given["limit"]):
		return to, from, exit.Errorf(exit.Usage, "--again, --reserve and --limit go with --to-drive")
	}
	return to, from, nil
}

// toDrive packs for a new home, and tells what came of it.
func (s *session) toDrive() (err error) {
	c := s.c
	o := vault.ToDriveOptions{
		Snapshot: c.String("snapshot"), Paths: c.Args().Slice(), Again: c.Bool("again"), DryRun: c.Bool("dry-run"), Report: s,
	}
	if o.Reserve, err = sizeFlag(c, "reserve", -1); err != nil {
		return err
	}
	if o.Limit, err = sizeFlag(c, "limit", 0); err != nil {
		return err
	}
	if o.Drive, err = filepath.Abs(c.String("to-drive")); err != nil {
		return err
	}
	if o.Vault, err = s.vaultPlace(); err != nil {
		return err
	}
	ctrlC := catchInterrupts(s.console, "stopping: the return is closed with what is there (Ctrl-C again: at once)", nil)
	defer ctrlC.Release()
	o.Stop = ctrlC.Stop
	r, err := vault.ToDrive(context.Background(), o)
	if err != nil {
		return stoppedBy(ctrlC, err)
	}
	s.Rest()
	s.sawDrive(o.Drive)
	s.sawVault(o.Vault)
	s.Summary("restore to drive", toDriveSummary(r))
	tellToDrive(s, o, r)
	if r.Interrupted {
		return exit.With(exit.Interrupted, errReported)
	}
	return end(r.Damaged > 0, r.Lacking+r.NotFound+r.Gaps > 0)
}

func tellToDrive(s *session, o vault.ToDriveOptions, r vault.ToDriveResult) {
	drive := driveName(r.DriveLabel, r.DriveID)
	s.Info("Snapshot %d (%s), as of %s, on its way to a new home.", r.Snapshot, short(r.SnapshotID), when(r.SnapshotTime))
	if r.Cleared > 0 {
		s.Info("Taken off the drive, because the new home has it: %s.", report.Count(r.Cleared, "return"))
	}
	if r.Complete {
		s.Info("The new home has said that all of it is there. Nothing was packed.")
		return
	}
	if r.LandedFiles > 0 {
		s.Info("At the new home already: %s (%s).", files(r.LandedFiles), report.Size(r.LandedBytes))
	}
	if r.AboardFiles > 0 {
		s.Info("On %s way: %s (%s), packed before and not heard of yet.", its(r.AboardFiles), files(r.AboardFiles), report.Size(r.AboardBytes))
	}
	part := ""
	if r.Parts > 0 {
		part = " and a part of one more"
	}
	switch {
	case r.DryRun:
		s.Info("Would pack about %s%s (%s) onto %s.", files(r.Files), part, report.Size(r.Bytes), drive)
	case r.Returns > 0:
		s.Info("On %s now: %s%s (%s), read back.", drive, files(r.Files), part, report.Size(r.Bytes))
	default:
		s.Info("There was nothing to pack.")
	}
	if r.Lacking > 0 {
		s.Info("%s cannot be given back, because the vault does not have %s whole; named above.", files(r.Lacking), them(r.Lacking))
	}
	if r.Gaps > 0 {
		s.Info("Of the lists of files %s cannot be read: what they name cannot be given back.", report.Count(r.Gaps, "piece"))
	}
	tellLeft(s, o, r)
	if r.DryRun {
		s.Info("Dry run: nothing was written.")
		return
	}
	if r.ReadBack == "warm" {
		s.Info("What was read back may have come from a cache: unplug the drive, plug it in and run wl verify --drive %s to be sure.", report.Name(o.Drive))
	}
	if r.Returns > 0 {
		s.Info("It is safe to remove the drive: unmount it, and take it to the new home. There: wl restore --from-drive DRIVE --target DIR")
	}
}

func tellLeft(s *session, o vault.ToDriveOptions, r vault.ToDriveResult) {
	switch {
	case r.LeftFiles > 0 && r.Bytes > 0:
		trips := (r.LeftBytes + r.Bytes - 1) / r.Bytes
		s.Info("Left for a later trip: %s (%s), about %s like this one. Bring the drive back, and run: wl restore --vault %s --to-drive %s",
			files(r.LeftFiles), report.Size(r.LeftBytes), report.Count(max(1, trips), "more trip"), report.Name(o.Vault), report.Name(o.Drive))
	case r.LeftFiles > 0:
		s.Info("Left for a later trip: %s (%s). The drive has no room for more.", files(r.LeftFiles), report.Size(r.LeftBytes))
	case r.Returns+int(r.AboardFiles) > 0:
		s.Info("With that, all that can be had of it is on its way.")
		if !o.Again && r.Returns == 0 {
			s.Info("If a drive got lost: --again packs once more what the new home has not acknowledged.")
		}
	}
}

func its(n int64) string {
	if n == 1 {
		return "its"
	}
	return "their"
}

// fromDrive takes at the new home what a drive brings, and tells what came.
func (s *session) fromDrive() (err error) {
	c := s.c
	o := homecoming.Options{
		Snapshot: c.String("snapshot"), Overwrite: c.Bool("overwrite"), DryRun: c.Bool("dry-run"), Privileged: c.Bool("privileged"), Report: s,
	}
	if o.Drive, err = filepath.Abs(c.String("from-drive")); err != nil {
		return err
	}
	if o.Target, err = filepath.Abs(c.String("target")); err != nil {
		return err
	}
	ctx, ctrlC := cancelOnInterrupt(s.console)
	defer ctrlC.Release()
	r, err := homecoming.FromDrive(ctx, o)
	if err != nil {
		return stoppedBy(ctrlC, err)
	}
	s.Rest()
	s.sawDrive(o.Drive)
	s.Summary("restore from drive", fromDriveSummary(o, r))
	tellFromDrive(s, o, r)
	return end(r.Damaged > 0, r.Failed+r.Pending+r.Unseen > 0 || len(r.Unset) > 0 || !r.Told && !o.DryRun)
}

func tellFromDrive(s *session, o homecoming.Options, r homecoming.Result) {
	s.Info("Snapshot %d (%s) of route %s, as of %s, packed at %s: %s on this drive.", r.Snapshot, short(r.SnapshotID), r.Route, when(r.SnapshotTime),
		report.Name(r.Vault), report.Count(int64(r.Returns), "return"))
	verb := "Back now"
	if o.DryRun {
		verb = "Would bring back"
	}
	switch {
	case r.Complete && r.Taken == 0:
	case r.Earlier > 0:
		s.Info("%s: %s (%s), in %s. From earlier trips: %s.", verb, files(r.Files), report.Size(r.Bytes), report.Name(o.Target), files(r.Earlier))
	default:
		s.Info("%s: %s (%s), %s and %s, in %s.", verb, files(r.Files), report.Size(r.Bytes),
			report.Count(r.Dirs, "directory"), report.Count(r.Others, "other entry"), report.Name(o.Target))
	}
	if r.AlreadyThere > 0 && r.Earlier == 0 {
		s.Info("Of these, there already and equal, so not written again: %s.", report.Count(r.AlreadyThere, "entry"))
	}
	if r.Changed > 0 {
		s.Info("Of what earlier trips brought, %s gone or of another size by now, and left alone; -v names the files.", are(r.Changed, "file"))
	}
	if r.Pending > 0 {
		s.Info("%s came back in the last version that was carried: at home there was a newer one.", files(r.Pending))
	}
	if r.Unseen > 0 {
		s.Info("%s came back as home last could read them.", report.Count(r.Unseen, "entry"))
	}
	for i := range r.Unset {
		s.Warn("%s", &r.Unset[i])
	}
	if r.Growing > 0 {
		s.Info("Growing beside %s place until the rest comes: %s, %s of %s.", its(r.Growing), files(r.Growing), report.Size(r.GrowingBytes), report.Size(r.GrowingTotal))
	}
	if r.Missing > 0 {
		s.Info("Still missing: %s (%s).", files(r.Missing), report.Size(r.MissingBytes))
	}
	if r.Failed > 0 {
		s.Info("%s did not come back; they are named above.", report.Count(r.Failed, "entry"))
	}
	if r.Damaged > 0 {
		s.Info("Damage was found on the drive, named above. What it cost is carried again with the next trip.")
	}
	tellNextTrip(s, o, r)
}

func tellNextTrip(s *session, o homecoming.Options, r homecoming.Result) {
	switch {
	case o.DryRun:
		s.Info("Dry run: nothing was written.")
	case r.Complete:
		s.Info("All of it is there, read back and right. %s is needed no more.", report.Name(filepath.Join(o.Target, homecoming.PlaceDir)))
		if len(r.Paths) == 0 {
			s.Info("To make it the home of route %s again, once each tree is where it is to stay: wl init --join %s DIR=TREE ...", r.Route, report.Name(o.Drive))
		}
	case !r.Told:
		s.Info("The vault could not be told: run this again if the drive can be mended, before it goes back.")
	case r.Missing+r.Growing > 0 && r.LeftFiles == 0 && r.Damaged+r.Failed == 0:
		s.Info("No more is left at the vault, as this drive knows: what is missing comes on another drive. Else take this one back to the vault. There: wl restore --to-drive DRIVE")
	default:
		s.Info("It is safe to remove the drive. Take it back to the vault for the next trip. There: wl restore --to-drive DRIVE")
	}
}

// The forms of both; see json.go.

type toDriveForm struct {
	Snapshot     uint64    `json:"snapshot"`
	SnapshotID   string    `json:"snapshot_id"`
	SnapshotTime time.Time `json:"snapshot_time,omitzero"`
	Homecoming   string    `json:"homecoming"`
	Paths        []string  `json:"paths"`
	DriveID      string    `json:"drive_id"`
	DriveLabel   string    `json:"drive_label"`
	Returns      int       `json:"returns"`
	Files        int64     `json:"files"`
	Bytes        int64     `json:"bytes"`
	Parts        int64     `json:"parts"`
	BytesWritten int64     `json:"bytes_written"`
	ReadBack     string    `json:"read_back"`
	LandedFiles  int64     `json:"landed_files"`
	LandedBytes  int64     `json:"landed_bytes"`
	AboardFiles  int64     `json:"aboard_files"`
	AboardBytes  int64     `json:"aboard_bytes"`
	LeftFiles    int64     `json:"left_files"`
	LeftBytes    int64     `json:"left_bytes"`
	Lacking      int64     `json:"lacking_files"`
	NotFound     int64     `json:"not_found"`
	Gaps         int64     `json:"gaps"`
	Cleared      int64     `json:"cleared_returns"`
	Vanished     int64     `json:"vanished_returns"`
	Complete     bool      `json:"complete"`
	Interrupted  bool      `json:"interrupted"`
	DryRun       bool      `json:"dry_run"`
	Room         int64     `json:"room_bytes"`
	Damaged      int64     `json:"damaged"`
}

func toDriveSummary(r vault.ToDriveResult) toDriveForm {
	return toDriveForm{
		Snapshot: r.Snapshot, SnapshotID: r.SnapshotID, SnapshotTime: stamp(r.SnapshotTime), Homecoming: r.Homecoming,
		Paths: listOf(r.Paths, textOf), DriveID: r.DriveID, DriveLabel: textOf(r.DriveLabel),
		Returns: r.Returns, Files: r.Files, Bytes: r.Bytes, Parts: r.Parts, BytesWritten: r.BytesWritten, ReadBack: r.ReadBack,
		LandedFiles: r.LandedFiles, LandedBytes: r.LandedBytes, AboardFiles: r.AboardFiles, AboardBytes: r.AboardBytes,
		LeftFiles: r.LeftFiles, LeftBytes: r.LeftBytes, Lacking: r.Lacking, NotFound: r.NotFound, Gaps: r.Gaps,
		Cleared: r.Cleared, Vanished: r.Vanished, Complete: r.Complete, Interrupted: r.Interrupted, DryRun: r.DryRun,
		Room: r.Room, Damaged: r.Damaged,
	}
}

type fromDriveForm struct {
	Route        string      `json:"route"`
	Vault        string      `json:"vault"`
	Snapshot     uint64      `json:"snapshot"`
	SnapshotID   string      `json:"snapshot_id"`
	SnapshotTime time.Time   `json:"snapshot_time,omitzero"`
	Homecoming   string      `json:"homecoming"`
	Paths        []string    `json:"paths"`
	Trees        []string    `json:"trees"`
	DriveID      string      `json:"drive_id"`
	DriveLabel   string      `json:"drive_label"`
	Target       string      `json:"target"`
	TargetB64    []byte      `json:"target_b64,omitempty"`
	DryRun       bool        `json:"dry_run"`
	Returns      int         `json:"returns"`
	ReturnsTaken int         `json:"returns_taken"`
	ReturnsOpen  int         `json:"returns_open"`
	Files        int64       `json:"files"`
	Dirs         int64       `json:"dirs"`
	Others       int64       `json:"others"`
	Bytes        int64       `json:"bytes"`
	AlreadyThere int64       `json:"already_there"`
	Earlier      int64       `json:"earlier_files"`
	Changed      int64       `json:"changed_files"`
	Failed       int64       `json:"failed"`
	Pending      int64       `json:"pending"`
	Unseen       int64       `json:"unseen"`
	Unset        []unsetForm `json:"unset"`
	MissingFiles int64       `json:"missing_files"`
	MissingBytes int64       `json:"missing_bytes"`
	GrowingFiles int64       `json:"growing_files"`
	GrowingBytes int64       `json:"growing_bytes"`
	GrowingTotal int64       `json:"growing_total_bytes"`
	LeftFiles    int64       `json:"left_files"`
	LeftBytes    int64       `json:"left_bytes"`
	Damaged      int64       `json:"damaged"`
	Complete     bool        `json:"complete"`
	Landing      uint64      `json:"landing"`
	LandingTold  bool        `json:"landing_told"`
}

func fromDriveSummary(o homecoming.Options, r homecoming.Result) fromDriveForm {
	return fromDriveForm{
		Route: textOf(r.Route), Vault: textOf(r.Vault), Snapshot: r.Snapshot, SnapshotID: r.SnapshotID, SnapshotTime: stamp(r.SnapshotTime),
		Homecoming: r.Homecoming, Paths: listOf(r.Paths, textOf), Trees: listOf(r.Trees, textOf), DriveID: r.DriveID, DriveLabel: textOf(r.DriveLabel),
		Target: textOf(o.Target), TargetB64: exactly(o.Target), DryRun: o.DryRun,
		Returns: r.Returns, ReturnsTaken: r.Taken, ReturnsOpen: r.Open,
		Files: r.Files, Dirs: r.Dirs, Others: r.Others, Bytes: r.Bytes, AlreadyThere: r.AlreadyThere, Earlier: r.Earlier, Changed: r.Changed,
		Failed: r.Failed, Pending: r.Pending, Unseen: r.Unseen,
		Unset:        listOf(r.Unset, func(u snapshot.Unset) unsetForm { return unsetForm{u.What, u.FS, u.Entries, textOf(u.Why)} }),
		MissingFiles: r.Missing, MissingBytes: r.MissingBytes, GrowingFiles: r.Growing, GrowingBytes: r.GrowingBytes, GrowingTotal: r.GrowingTotal,
		LeftFiles: r.LeftFiles, LeftBytes: r.LeftBytes, Damaged: r.Damaged, Complete: r.Complete, Landing: r.Landing, LandingTold: r.Told,
	}
}
