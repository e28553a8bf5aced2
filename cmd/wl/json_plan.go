package main

import (
	"time"

	"waterlock/internal/home"
)

// The forms of what wl plan tells; see json.go.

type planForm struct {
	Route           string          `json:"route"`
	RouteID         string          `json:"route_id"`
	Snapshot        uint64          `json:"snapshot"`
	SnapshotTime    time.Time       `json:"snapshot_time,omitzero"`
	Files           int64           `json:"files"`
	Bytes           int64           `json:"bytes"`
	ToReadFiles     int64           `json:"to_read_files"`
	ToReadBytes     int64           `json:"to_read_bytes"`
	ToCarryBytes    int64           `json:"to_carry_bytes"`
	RecarriedBytes  int64           `json:"recarried_bytes"`
	WantedChunks    int64           `json:"wanted_chunks"`
	InventoryWhy    string          `json:"inventory_why"`
	Order           string          `json:"order"`
	Classes         []planClassForm `json:"classes"`
	Trees           []planTreeForm  `json:"trees"`
	Stopped         []stoppedForm   `json:"stopped"`
	Vault           string          `json:"vault"`
	VaultFreeBytes  int64           `json:"vault_free_bytes"`
	ReceiptTime     time.Time       `json:"receipt_time,omitzero"`
	Drives          []planDriveForm `json:"drives"`
	Trips           []planTripForm  `json:"trips"`
	MoreTrips       int64           `json:"more_trips"`
	SecondsEstimate float64         `json:"seconds_estimate"`
}

type planClassForm struct {
	Priority string `json:"priority"`
	Bytes    int64  `json:"bytes"`
}

type planTreeForm struct {
	Tree  string `json:"tree"`
	Files int64  `json:"files"`
	Bytes int64  `json:"bytes"`
}

type planDriveForm struct {
	DriveID        string    `json:"drive_id"`
	DriveLabel     string    `json:"drive_label"`
	SizeBytes      int64     `json:"size_bytes"`
	FirstBytes     int64     `json:"first_bytes"`
	LaterBytes     int64     `json:"later_bytes"`
	LastSeen       time.Time `json:"last_seen,omitzero"`
	BytesPerSecond float64   `json:"bytes_per_second"`
}

type planTripForm struct {
	DriveID         string  `json:"drive_id"`
	DriveLabel      string  `json:"drive_label"`
	Bytes           int64   `json:"bytes"`
	SecondsEstimate float64 `json:"seconds_estimate"`
}

func planSummary(r home.PlanResult) planForm {
	return planForm{
		Route: r.Route, RouteID: r.RouteID, Snapshot: r.Snapshot, SnapshotTime: stamp(r.SnapshotAt),
		Files: r.Files, Bytes: r.Bytes, ToReadFiles: r.ToReadFiles, ToReadBytes: r.ToRead, ToCarryBytes: r.ToCarry,
		RecarriedBytes: r.Recarried, WantedChunks: r.Wants, InventoryWhy: textOf(r.Asks), Order: string(r.Order),
		Classes: listOf(r.Classes, func(c home.PlanClass) planClassForm { return planClassForm{string(c.Priority), c.Bytes} }),
		Trees:   listOf(r.Trees, func(t home.PlanTree) planTreeForm { return planTreeForm{textOf(t.Tree), t.Files, t.Bytes} }),
		Stopped: listOf(r.Stopped, stoppedItem),
		Vault:   textOf(r.Vault), VaultFreeBytes: r.VaultFree, ReceiptTime: stamp(r.ReceiptAt),
		Drives: listOf(r.Drives, func(d home.PlanDrive) planDriveForm {
			return planDriveForm{d.ID, textOf(d.Label), d.Size, d.First, d.Later, stamp(d.LastSeen), d.Speed}
		}),
		Trips: listOf(r.Trips, func(t home.PlanTrip) planTripForm {
			return planTripForm{t.ID, textOf(t.Label), t.Bytes, t.Took.Seconds()}
		}),
		MoreTrips: r.More, SecondsEstimate: r.Took.Seconds(),
	}
}
