package main

import (
	"time"

	"waterlock/internal/home"
)

// The forms of what is said of drives; see json.go.

type driveForm struct {
	DriveID    string `json:"drive_id"`
	DriveLabel string `json:"drive_label"`
	pathForm
	LastSeen    time.Time           `json:"last_seen,omitzero"`
	AboardSince time.Time           `json:"aboard_since,omitzero"`
	AboardBytes int64               `json:"aboard_bytes"`
	Lost        bool                `json:"lost"`
	Shipments   []driveShipmentForm `json:"shipments"`
}

type driveShipmentForm struct {
	Route    string    `json:"route"`
	Snapshot uint64    `json:"snapshot"`
	Shipment string    `json:"shipment"`
	Time     time.Time `json:"time,omitzero"`
	Bytes    int64     `json:"bytes"`
	State    string    `json:"state"`
}

func driveItem(d knownDrive) driveForm {
	return driveForm{
		DriveID: d.ID, DriveLabel: textOf(d.Label), pathForm: pathOf(d.Path), LastSeen: stamp(d.LastSeen),
		AboardSince: stamp(d.Since), AboardBytes: d.Bytes, Lost: d.Lost,
		Shipments: listOf(d.Shipments, func(sh driveShipment) driveShipmentForm {
			return driveShipmentForm{textOf(sh.Route), sh.Snapshot, sh.Shipment, stamp(sh.Time), sh.Bytes, sh.State}
		}),
	}
}

// driveListForm counts the objects that wl drive list wrote.
type driveListForm struct {
	Drives int `json:"drives"`
}

type driveLostForm struct {
	DriveID       string             `json:"drive_id"`
	DriveLabel    string             `json:"drive_label"`
	Shipments     []lostShipmentForm `json:"shipments"`
	LostBefore    int                `json:"lost_before"`
	RecarryChunks int64              `json:"recarry_chunks"`
	RecarryBytes  int64              `json:"recarry_bytes"`
}

type lostShipmentForm struct {
	Route    string    `json:"route"`
	Snapshot uint64    `json:"snapshot"`
	Shipment string    `json:"shipment"`
	Time     time.Time `json:"time,omitzero"`
	Bytes    int64     `json:"bytes"`
	Chunks   int64     `json:"chunks"`
}

func driveLostSummary(id, label string, r home.LostResult) driveLostForm {
	return driveLostForm{
		DriveID: id, DriveLabel: textOf(label),
		Shipments: listOf(r.Shipments, func(sh home.LostShipment) lostShipmentForm {
			return lostShipmentForm{textOf(sh.Route), sh.Snapshot, sh.Shipment, stamp(sh.Time), sh.Bytes, sh.Chunks}
		}),
		LostBefore: r.Before, RecarryChunks: r.Chunks, RecarryBytes: r.Bytes,
	}
}
