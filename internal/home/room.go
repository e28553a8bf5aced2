package home

import (
	"fmt"

	"waterlock/internal/courier"
	"waterlock/internal/disk"
	"waterlock/internal/exit"
	"waterlock/internal/report"
)

// What is kept free on the drive besides the reserve, from the start: the streams, the commit and the next receipt,
// and something for what a file system needs for itself.
const (
	receiptRoom = 256 << 10
	commitRoom  = 64 << 10
	clusterRoom = 1 << 20 // a few files that each end within a cluster
	streamChunk = 16 << 10
	perStream   = 400 // of a stream chunk: record, table row, reference in the commit, its first path
	slackShift  = 10  // of the free room: a thousandth
)

// closingRoom is an upper bound of what comes behind the packs of chunks.
func (r *run) closingRoom(space disk.Space) int64 {
	room := int64(receiptRoom + commitRoom)
	for _, t := range r.trees {
		meta := t.survey.metaBytes
		room += meta + meta/64 + (meta/streamChunk+1)*perStream
	}
	return room + min(clusterRoom, space.Total/64) + space.Avail>>slackShift
}

// measure says how much may go into packs of chunks now.
func (r *run) measure() (int64, error) {
	space, err := r.drive.FS().Free()
	if err != nil {
		return 0, err
	}
	return space.Avail - r.reserve - r.closing, nil
}

// makeRoom keeps room for the end free and, if what is left is less than what there is to carry, clears shipments that
// a receipt acknowledged in full.
func (r *run) makeRoom() error {
	space, err := r.drive.FS().Free()
	if err != nil {
		return err
	}
	wants, streams, err := r.wantsRoom()
	if err != nil {
		return err
	}
	r.closing = r.closingRoom(space) + streams
	left := space.Avail - r.reserve - r.closing
	need := r.res.ToRead + r.res.ToRead>>7 + wants
	if left < need && !r.o.DryRun { // what a new home has taken has done what it was for
		n, err := r.drive.RemoveTaken(r.site.route)
		if err != nil {
			return err
		}
		if n > 0 {
			if space, err = r.drive.FS().Free(); err != nil {
				return err
			}
			left = space.Avail - r.reserve - r.closing
		}
	}
	if left < need && !r.o.DryRun && !r.waits {
		if err := r.clearForRoom(need - left); err != nil {
			return err
		}
		if left, err = r.measure(); err != nil {
			return err
		}
	}
	r.res.Free = space.Avail
	if left < 0 {
		if space.Avail-r.reserve < 2*receiptRoom+commitRoom && !r.o.DryRun {
			return exit.With(exit.Fatal, fmt.Errorf("the drive is full: %s free, %s to be left free (--reserve)", report.Size(space.Avail), report.Size(r.reserve)))
		}
		left = 0
	}
	r.budget = left
	if r.o.Limit != 0 && r.o.Limit < left {
		r.budget, r.limited = max(0, r.o.Limit), true
	}
	if r.waits {
		r.budget = 0
	}
	return nil
}

// driveName is the drive's label, or the beginning of its id.
func (r *run) driveName() string { return driveNamed(r.drive.Label(), r.drive.ID()) }

func driveNamed(label string, id courier.DriveID) string {
	if label != "" {
		return report.Name(label)
	}
	return id.String()[:8]
}
