package vault

import (
	"fmt"
	"strings"
	"time"

	"waterlock/internal/courier"
	"waterlock/internal/report"
)

// outstanding knows which shipments are still under way: named by a commit as out, not lost, and not seen here.
type outstanding struct {
	after map[uint64][]courier.OutShipment // when the snapshot of that number was taken
}

// awaits tells whether a shipment that was under way when that snapshot was taken still is.
func (o outstanding) awaits(snapshot uint64) bool { return len(o.after[snapshot]) > 0 }

// maxAwaited bounds how many shipments are remembered of each commit: they are for people, one is enough to wait for.
const maxAwaited = 64

func (v *vault) outstanding() (outstanding, error) {
	seen := v.commits.arrived()
	o := outstanding{map[uint64][]courier.OutShipment{}}
	for i := len(v.commits.known) - 1; i >= 0; i-- {
		c, err := v.commits.load(v.commits.known[i])
		if err != nil {
			return o, err
		}
		for _, out := range c.Out {
			if out.Lost {
				seen[out.Shipment] = true // lost for the older snapshots, too
			}
		}
		var still []courier.OutShipment
		for _, out := range c.Out {
			if !seen[out.Shipment] && len(still) < maxAwaited {
				still = append(still, out)
			}
		}
		if len(still) > 0 {
			o.after[c.Snapshot.Number] = still
		}
	}
	return o, nil
}

// AwaitedDrive is a drive that is still under way, by what home said when it packed another one. A snapshot that waits gets what
// it lacks from one of them.
type AwaitedDrive struct {
	Drive     string // id, 32 hex digits
	Label     string
	Time      time.Time // when it was packed last
	Snapshots []uint64  // of the shipments on it
}

// drives lists the drives that a snapshot waits for, in the order in which their shipments were packed.
func (o outstanding) drives(snapshot uint64) (list []AwaitedDrive) {
	at := map[courier.DriveID]int{}
	for _, out := range o.after[snapshot] {
		i, ok := at[out.Drive]
		if !ok {
			i = len(list)
			at[out.Drive] = i
			list = append(list, AwaitedDrive{Drive: out.Drive.String()})
		}
		d := &list[i]
		d.Snapshots = append(d.Snapshots, out.Number)
		if !out.Time.Before(d.Time) {
			d.Time, d.Label = out.Time, out.DriveLabel
		}
	}
	return list
}

// namedDrives is how many drives a sentence names.
const namedDrives = 3

// DrivesText names drives that are awaited: "drive red of 2026-11-25, or drive blue of 2026-12-01".
func DrivesText(list []AwaitedDrive) string {
	var names []string
	for i, d := range list {
		if i == namedDrives {
			names = append(names, fmt.Sprintf("one of %d more", len(list)-i))
			break
		}
		name := "drive " + d.Drive[:8]
		if d.Label != "" {
			name = "drive " + report.Name(d.Label)
		}
		names = append(names, name+" of "+d.Time.Local().Format(time.DateOnly))
	}
	return strings.Join(names, ", or ")
}
