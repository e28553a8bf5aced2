package vault

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"waterlock/internal/chunk"
	"waterlock/internal/courier"
	"waterlock/internal/disk"
	"waterlock/internal/exit"
	"waterlock/internal/report"
	"waterlock/snapshot"
)

// A homecoming is a snapshot, or paths of it, on its way to a new home that knows nothing: the old one burned down. It goes
// over as many trips as it takes; what one run puts on one drive is a return (package courier). ToDrive is the vault's end,
// package homecoming the other.
//
//	homecoming_books.go   what has come there, what is on its way
//	homecoming_pass.go    which files, in the order of the streams
//	homecoming_packer.go  packs on the drive, each read back
//
// Each return brings the streams of the whole homecoming, so that it can be read without any other, and the chunks of some
// of its files. A chunk goes once in a return, however many files need it, and again in another return whose files need it,
// too: so a lost drive costs only what it carried. Files with the same inode go once in the homecoming.
//
// In the vault a homecoming leaves write-once files, which can be deleted at any time: that costs carrying.
//
//	.wl/returns/<homecoming>/<return>.return     a return that was packed, verbatim as on the drive
//	                         <return>.missing    empty: it is no longer on its drive
//	                         <number>-<hash>.landing

// ToDriveOptions say what goes where.
type ToDriveOptions struct {
	Vault    string
	Snapshot string // latest, a number, an id prefix, or a time; "": that of the one homecoming that goes on
	Paths    []string
	Drive    string
	Again    bool  // what is under way on other drives counts as lost
	Reserve  int64 // bytes to leave free on the drive; negative: a hundredth, at most 1 GiB
	Limit    int64 // bytes of packs of content to write at most; 0: no limit
	DryRun   bool  // say what would be packed; write nothing
	Stop     <-chan struct{}
	Report   report.Reporter
}

// ToDriveResult says what of a homecoming is where now.
type ToDriveResult struct {
	Snapshot     uint64
	SnapshotID   string
	SnapshotTime time.Time
	Homecoming   string // 32 hex digits
	Paths        []string
	DriveID      string
	DriveLabel   string

	Returns      int   // written by this run
	Files        int64 // brought whole by them
	Bytes        int64 // their content, and that of parts
	Parts        int64 // files of which they bring some
	BytesWritten int64 // onto the drive
	ReadBack     string

	LandedFiles, LandedBytes int64 // at the new home already
	AboardFiles, AboardBytes int64 // on their way in earlier returns
	LeftFiles, LeftBytes     int64 // for a later trip
	Lacking                  int64 // files that the vault cannot give back; named
	NotFound                 int64 // paths that the snapshot does not have; named
	Gaps                     int64 // pieces of the lists of files that cannot be read; named
	Cleared                  int64 // returns taken off the drive because the new home has taken them
	Vanished                 int64 // returns that are no longer on this drive: carried again
	Complete                 bool  // the new home has said that all is there
	Interrupted              bool  // stopped before the drive was full
	DryRun                   bool
	Room                     int64 // left on the drive for content
	Damaged                  int64 // places in the vault found damaged while reading
}

// ToDrive packs what of a homecoming is neither at the new home nor on its way onto a drive, until that is full.
func ToDrive(ctx context.Context, o ToDriveOptions) (result ToDriveResult, err error) {
	v, err := openVault(o.Vault, o.Report)
	if err != nil {
		return result, err
	}
	defer v.closeInto(&err)
	if err := v.openStore(ctx); err != nil {
		return result, err
	}
	a, err := v.checkArrivals(ctx, nil)
	if err != nil {
		return result, interrupted(ctx, err)
	}
	d, err := courier.OpenDrive(o.Drive)
	if err != nil {
		return result, err
	}
	defer d.Close()
	if err := d.Lock(); err != nil {
		return result, err
	}
	return v.toDrive(ctx, o, d, a)
}

func (v *vault) toDrive(ctx context.Context, o ToDriveOptions, d *courier.Drive, a *arrivals) (result ToDriveResult, err error) {
	h := &sending{v: v, drive: d, o: o, rep: v.rep, result: &result}
	err = h.run(ctx, a)
	if lost, e := v.lostSince(); e == nil {
		result.Damaged = lost
	}
	return result, interrupted(ctx, err)
}

// sending is one run of ToDrive.
type sending struct {
	v      *vault
	drive  *courier.Drive
	o      ToDriveOptions
	rep    report.Reporter
	result *ToDriveResult

	commit *courier.Commit // that brought the snapshot
	paths  []string        // asked for, as courier.Return has them
	id     courier.HomecomingID
	trees  []homecomingTree
	dir    string // in the vault

	landing *courier.Landing // newest; nil: none
	known   []*courier.Return
	aboard  []courier.Cover // of returns on their way

	packer  *returnPacker
	named   bool // what is wrong with single files was said
	toCarry struct{ files, bytes int64 }
	tally
}

// homecomingTree is what of one tree comes home.
type homecomingTree struct {
	record snapshot.TreeRecord
	sel    *snapshot.Selection
}

// run is the story. The order on the drive is
//
//  1. the packs of stream chunks, read back
//  2. the packs of chunks, each read back
//  3. the word that the return is complete, read back
//  4. the same at the vault
//
// After a crash before 3 the next run onto this drive goes on with the packs that are whole. After one before 4 it finds
// the return on the drive; if that never comes back, the vault knows nothing of it, and carries again.
func (h *sending) run(ctx context.Context, a *arrivals) error {
	if err := h.choose(a); err != nil {
		return err
	}
	if err := h.openBooks(); err != nil {
		return err
	}
	if h.landing != nil && h.landing.Complete {
		h.result.Complete = true
		h.result.LandedFiles, h.result.LandedBytes = h.totals()
		return nil
	}
	for {
		more, err := h.oneReturn(ctx)
		if err != nil || !more {
			return err
		}
	}
}

// choose finds the snapshot and the paths.
func (h *sending) choose(a *arrivals) (err error) {
	if h.o.Snapshot == "" {
		err = h.goOn()
	} else {
		h.commit, err = h.v.choose(h.o.Snapshot, a)
	}
	if err != nil {
		return err
	}
	record := &h.commit.Snapshot
	if err := h.selectPaths(record); err != nil {
		return err
	}
	h.id = courier.HomecomingOf(record, h.paths)
	h.dir = returnsDir + "/" + h.id.String()
	id := record.ID()
	r := h.result
	r.Snapshot, r.SnapshotID, r.SnapshotTime = record.Number, hex.EncodeToString(id[:]), record.Time
	r.Homecoming, r.Paths, r.DriveID, r.DriveLabel, r.DryRun = h.id.String(), h.paths, h.drive.ID().String(), h.drive.Label(), h.o.DryRun
	return nil
}

// goOn takes snapshot and paths of the one homecoming that has begun and not come to its end.
func (h *sending) goOn() error {
	list, err := h.v.homecomings()
	if err != nil {
		return err
	}
	var open []*courier.Return
	for _, b := range list {
		if b.unfinished() {
			open = append(open, b.known[len(b.known)-1])
		}
	}
	if len(open) != 1 || len(h.o.Paths) > 0 {
		text := "--snapshot is missing: latest, a number, an id or a time (wl snapshots lists them)"
		for _, r := range open {
			text += fmt.Sprintf("; on its way home is snapshot %d%s", r.Snapshot.Number, ofPaths(r.Paths))
		}
		return exit.Errorf(exit.Usage, "%s", text)
	}
	h.o.Paths = open[0].Paths
	h.commit = &courier.Commit{Route: open[0].Route, Snapshot: open[0].Snapshot}
	return nil
}

func ofPaths(paths []string) string {
	if len(paths) == 0 {
		return ""
	}
	return ", of it " + report.Name(strings.Join(paths, ", "))
}

// selectPaths puts the paths asked for in order. Those that the snapshot does not have are named and left out.
func (h *sending) selectPaths(record *snapshot.Record) error {
	p, err := partsOf(record, h.o.Paths)
	if err != nil {
		return err
	}
	slices.SortFunc(p.list, func(a, b part) int { return strings.Compare(a.tree.Name, b.tree.Name) })
	whole := 0
	for _, part := range p.list {
		clean, err := snapshot.CleanPaths(part.paths)
		if err != nil {
			return exit.With(exit.Usage, err)
		}
		var found []string
		sel, err := snapshot.Select(part.tree, h.v.store, clean, func(path string) {
			h.result.NotFound++
			h.rep.Problem(treePath(part.tree.Name, path), fmt.Errorf("is not in snapshot %d", record.Number))
			clean = slices.DeleteFunc(clean, func(p string) bool { return p == path })
		})
		if err != nil {
			return exit.With(exit.Usage, err)
		}
		for _, p := range clean {
			found = append(found, treePath(part.tree.Name, p))
			if p == "" {
				whole++
			}
		}
		if len(found) > 0 {
			h.paths = append(h.paths, found...)
			h.trees = append(h.trees, homecomingTree{part.tree, sel})
		}
	}
	switch {
	case len(h.trees) == 0:
		return exit.Errorf(exit.NotFound, "snapshot %d has nothing of what was asked for", record.Number)
	case whole == len(record.Trees):
		h.paths = nil
	case len(h.paths) > courier.MaxReturnPaths:
		return exit.Errorf(exit.Usage, "%d paths; at most %d go in one homecoming: give the directories they lie in", len(h.paths), courier.MaxReturnPaths)
	}
	return nil
}

// totals are the files of the snapshot, where all of it comes home.
func (h *sending) totals() (files, bytes int64) {
	if h.paths != nil {
		return 0, 0
	}
	t := h.commit.Snapshot.Totals()
	return t.Files, t.Bytes
}

// oneReturn makes one return. more tells that the drive has room for another: the records of a return are bounded.
func (h *sending) oneReturn(ctx context.Context) (more bool, err error) {
	if any, err := h.look(ctx); err != nil || !any {
		return false, err
	}
	if h.o.DryRun {
		return false, h.pretend(ctx)
	}
	if h.packer, err = h.openReturn(ctx); err != nil {
		return false, err
	}
	defer func() { h.packer.abandon() }()
	if err := h.streams(ctx); err != nil {
		return false, err
	}
	if err := h.packer.measure(); err != nil {
		return false, err
	}
	for {
		if err := h.passes(ctx); err != nil {
			return false, err
		}
		if h.brings.Files+h.brings.Parts == 0 && !h.first() {
			return false, h.drive.RemoveReturn(h.v.id, h.id, h.packer.id)
		}
		if err := h.packer.checkEnds(); err != nil {
			return false, err
		}
		err := h.finish()
		if disk.IsNoSpace(err) && h.packer.giveBack() {
			continue
		}
		if err != nil {
			return false, err
		}
		return h.packer.recordsFull && !h.stopped() && h.LeftFiles > 0, nil
	}
}

// first tells whether nothing of this homecoming has gone yet: then a return goes even if it brings no file.
func (h *sending) first() bool {
	return len(h.known) == 0 && h.landing == nil && h.result.Returns == 0
}

// look goes over the files without packing any, and tells whether there is anything to carry.
func (h *sending) look(ctx context.Context) (any bool, err error) {
	h.packer = &returnPacker{h: h, dry: true}
	err = h.passes(ctx)
	h.toCarry.files, h.toCarry.bytes = h.brings.Files+h.LeftFiles, h.LeftBytes
	return h.toCarry.files > 0 || h.first(), err
}

// pretend says what would be packed.
func (h *sending) pretend(ctx context.Context) (err error) {
	h.packer = &returnPacker{h: h, dry: true, set: map[chunkKey]struct{}{}}
	if err := h.packer.measure(); err != nil {
		return err
	}
	if err := h.passes(ctx); err != nil {
		return err
	}
	h.result.Files, h.result.Bytes, h.result.Parts = h.brings.Files, h.brings.Bytes, h.brings.Parts
	return nil
}

// finish is steps 3 and 4.
func (h *sending) finish() error {
	how := disk.Cold
	for _, f := range h.packer.files {
		if f.ReadBack == disk.Warm {
			how = disk.Warm
		}
	}
	r := &courier.Return{
		Route: h.commit.Route, ID: h.packer.id, Drive: h.drive.ID(), DriveLabel: h.drive.Label(),
		Time: time.Now().UTC().Truncate(time.Second), Tool: "wl", Vault: h.v.Name, Files: h.packer.files,
		Snapshot: h.commit.Snapshot, Paths: h.paths, Brings: h.brings.cover.Cover(), LeftFiles: h.LeftFiles, LeftBytes: h.LeftBytes,
	}
	b, err := courier.EncodeReturn(r)
	if err != nil {
		return err
	}
	if _, err := h.drive.WriteReturn(b); err != nil {
		return err
	}
	if err := h.remember(r, b); err != nil {
		return err
	}
	h.aboard = append(h.aboard, r.Brings)
	res := h.result
	res.Returns++
	res.Files += h.brings.Files
	res.Bytes += h.brings.Bytes
	res.Parts += h.brings.Parts
	res.BytesWritten += r.Bytes() + int64(len(b))
	res.ReadBack = cmp.Or(res.ReadBack, how.String())
	if how == disk.Warm {
		res.ReadBack = how.String()
	}
	return nil
}

func (h *sending) stopped() bool {
	select {
	case <-h.o.Stop:
		return true
	default:
		return false
	}
}

// streams packs the stream chunks that whoever reads the homecoming will ask for.
func (h *sending) streams(ctx context.Context) error {
	h.rep.Phase("lists of files", 0, 0)
	for range maxRetries {
		h.packer.lost = false
		h.result.Gaps = 0
		for i := range h.trees {
			if err := h.streamsOf(ctx, &h.trees[i].record); err != nil {
				return err
			}
		}
		if err := h.packer.finish(); err != nil || !h.packer.lost {
			return err
		}
		if h.packer.noSpace > 0 {
			break
		}
		if err := h.packer.dropStreams(); err != nil {
			return err
		}
	}
	return exit.Errorf(exit.Fatal, "drive %s has no room for the lists of files, or does not keep them", h.driveName())
}

// streamsOf reads the entries of a tree as the new home will, and packs what that asks for.
func (h *sending) streamsOf(ctx context.Context, t *snapshot.TreeRecord) error {
	asked := &recorder{get: h.v.store, keep: h.packer.addStream, seen: map[chunk.ID]bool{}}
	paths, _ := courier.PathsIn(h.paths, t.Name)
	sel, err := snapshot.Select(*t, asked, paths, func(string) {})
	if err != nil {
		return err
	}
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		_, err := sel.Next()
		if asked.err != nil {
			return asked.err
		}
		var gap *snapshot.GapError
		if errors.As(err, &gap) {
			h.result.Gaps++
			h.rep.Problem(treePath(t.Name, gap.From), fmt.Errorf("what the snapshot names from here on is lost: %w", gap))
			continue
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
