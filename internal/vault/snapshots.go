package vault

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"

	"waterlock/internal/courier"
)

// Snapshots lists the snapshots of a vault, oldest first.
func Snapshots(ctx context.Context, o SnapshotsOptions) (list []SnapshotInfo, err error) {
	v, err := openVault(o.Vault, o.Report)
	if err != nil {
		return nil, err
	}
	defer v.closeInto(&err)
	if err := v.openStore(ctx); err != nil {
		return nil, err
	}
	a, err := v.checkArrivals(ctx, nil)
	if err != nil {
		return nil, interrupted(ctx, err)
	}
	return v.snapshotInfos(a)
}

func (v *vault) snapshotInfos(a *arrivals) ([]SnapshotInfo, error) {
	var list []SnapshotInfo
	for _, k := range v.commits.known {
		c, err := v.commits.load(k)
		if err != nil {
			return nil, err
		}
		list = append(list, snapshotInfo(c, a.of(c), a.out.drives(c.Snapshot.Number)))
	}
	return list, nil
}

// snapshotInfo tells of a snapshot; out are the drives that were under way when it was packed, and still are.
func snapshotInfo(c *courier.Commit, a arrival, out []AwaitedDrive) SnapshotInfo {
	r := &c.Snapshot
	id := r.ID()
	s := SnapshotInfo{
		Number:  r.Number,
		ID:      hex.EncodeToString(id[:]),
		Time:    r.Time,
		Host:    r.Host,
		Arrived: a.arrived,
		Whole:   a.arrived && r.Whole(),
		Lacking: a.lacking,
	}
	for _, t := range r.Trees {
		s.Trees = append(s.Trees, TreeInfo{Tree: t.Name, Source: t.Root, Files: t.Totals.Files, Bytes: t.Totals.Bytes})
		s.Files += t.Totals.Files
		s.Dirs += t.Totals.Dirs
		s.Others += t.Totals.Others
		s.Bytes += t.Totals.Bytes
		s.Pending += t.Totals.Pending
		s.Unseen += t.Totals.Unseen
		if t.Stopped != "" {
			s.Stopped = append(s.Stopped, stoppedText(&t))
		}
	}
	var waits []string
	if a.lacking > 0 {
		lacking := count(a.lacking, "chunk", "chunks")
		if a.lacking > a.wanted {
			s.Drives = out
		}
		if len(s.Drives) > 0 {
			lacking += " from " + DrivesText(s.Drives)
		}
		waits = append(waits, lacking)
	}
	if s.Pending > 0 {
		waits = append(waits, count(s.Pending, "pending file", "pending files"))
	}
	if s.Unseen > 0 {
		waits = append(waits, fmt.Sprintf("%d unseen", s.Unseen))
	}
	if len(s.Stopped) > 0 {
		waits = append(waits, count(int64(len(s.Stopped)), "stopped tree", "stopped trees"))
	}
	s.Waits = strings.Join(waits, ", ")
	return s
}
