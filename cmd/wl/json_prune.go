package main

import (
	"time"

	"waterlock/internal/vault"
)

// The forms of what wl prune tells; see json.go.

type pruneForm struct {
	DryRun         bool         `json:"dry_run"`
	Snapshots      []prunedForm `json:"snapshots"`
	Forgotten      int64        `json:"forgotten"`
	NoPolicy       bool         `json:"no_policy"`
	Unread         []uint64     `json:"unread_snapshots"`
	Damaged        []string     `json:"damaged_commits"`
	Condemned      int64        `json:"condemned_chunks"`
	New            int64        `json:"newly_condemned_chunks"`
	Later          int64        `json:"later_chunks"`
	Freeable       int64        `json:"freeable_bytes"`
	Waiting        int64        `json:"waiting_bytes"`
	Receipt        uint64       `json:"receipt"`
	Waits          waitsForm    `json:"waits"`
	Freed          int64        `json:"freed_bytes"`
	Containers     int64        `json:"removed_files"`
	Written        int64        `json:"moved_bytes"`
	RoomForAMoment int64        `json:"room_bytes"`
}

type prunedForm struct {
	Snapshot   uint64    `json:"snapshot"`
	SnapshotID string    `json:"snapshot_id"`
	Time       time.Time `json:"time,omitzero"`
	Forgotten  bool      `json:"forgotten"`
	Why        string    `json:"why"`
}

type waitsForm struct {
	Receipt uint64         `json:"receipt"`
	Drives  []waitingDrive `json:"drives"`
}

type waitingDrive struct {
	Snapshot uint64    `json:"snapshot"`
	Drive    string    `json:"drive"`
	Time     time.Time `json:"time,omitzero"`
}

func waitsOf(w vault.Waits) waitsForm {
	return waitsForm{w.Receipt, listOf(w.Drives, func(d vault.WaitDrive) waitingDrive {
		return waitingDrive{d.Snapshot, textOf(d.Drive), stamp(d.Time)}
	})}
}

func pruneSummary(r vault.PruneResult) pruneForm {
	return pruneForm{
		DryRun: r.DryRun,
		Snapshots: listOf(r.Snapshots, func(s vault.PrunedSnapshot) prunedForm {
			return prunedForm{s.Number, s.ID, stamp(s.Time), s.Forgotten, textOf(s.Why)}
		}),
		Forgotten: r.Forgotten, NoPolicy: r.NoPolicy, Unread: listOf(r.Unread, func(n uint64) uint64 { return n }), Damaged: listOf(r.Damaged, textOf),
		Condemned: r.Condemned, New: r.New, Later: r.Later, Freeable: r.Freeable, Waiting: r.Waiting, Receipt: r.Receipt, Waits: waitsOf(r.Waits),
		Freed: r.Freed, Containers: r.Containers, Written: r.Written, RoomForAMoment: r.Room,
	}
}

// pruneStatusForm is what waits to be freed in a vault.
type pruneStatusForm struct {
	Condemned int64     `json:"condemned_chunks"`
	Waiting   int64     `json:"waiting_bytes"`
	Later     int64     `json:"later_chunks"`
	Waits     waitsForm `json:"waits"`
	Would     int64     `json:"dry_run_bytes"`
	WouldAt   time.Time `json:"dry_run_time,omitzero"`
}

func pruneStatusOf(p vault.PruneStatus) pruneStatusForm {
	return pruneStatusForm{p.Condemned, p.Waiting, p.Later, waitsOf(p.Waits), p.Would, stamp(p.WouldAt)}
}
