package main

import (
	"time"

	"waterlock/internal/courier"
	"waterlock/internal/home"
	"waterlock/internal/vault"
)

// The forms of what is said of receipts that travel by themselves; see json.go.

type receiptExportForm struct {
	pathForm
	Bytes   int       `json:"bytes"`
	Route   string    `json:"route"`
	RouteID string    `json:"route_id"`
	Vault   string    `json:"vault"`
	Receipt uint64    `json:"receipt"`
	Time    time.Time `json:"time,omitzero"`
	Damaged bool      `json:"damaged"`
	With    bool      `json:"with_inventory"`
}

func receiptExportSummary(file string, r vault.ExportedReceipt) receiptExportForm {
	return receiptExportForm{
		pathForm: pathOf(file), Bytes: len(r.Bytes), Route: textOf(r.Route), RouteID: r.Receipt.Route.String(),
		Vault: textOf(r.Receipt.VaultName), Receipt: r.Receipt.Number, Time: stamp(r.Receipt.Time), Damaged: r.Damaged,
		With: r.Inventory != "" && file != "-",
	}
}

type receiptImportForm struct {
	Route            string             `json:"route"`
	RouteID          string             `json:"route_id"`
	Vault            string             `json:"vault"`
	Receipt          uint64             `json:"receipt"`
	Time             time.Time          `json:"time,omitzero"`
	Taken            bool               `json:"taken"`
	Why              string             `json:"why"`
	CaughtUp         bool               `json:"caught_up"`
	KnownReceipt     uint64             `json:"known_receipt"`
	KnownReceiptTime time.Time          `json:"known_receipt_time,omitzero"`
	ArrivedSnapshot  uint64             `json:"arrived_snapshot"`
	WantedChunks     int64              `json:"wanted_chunks"`
	Shipments        []acknowledgedForm `json:"shipments"`
}

type acknowledgedForm struct {
	Snapshot   uint64 `json:"snapshot"`
	Shipment   string `json:"shipment"`
	DriveID    string `json:"drive_id"`
	DriveLabel string `json:"drive_label"`
	All        bool   `json:"all"`
}

func receiptImportSummary(r home.ImportResult) receiptImportForm {
	return receiptImportForm{
		Route: textOf(r.Route), RouteID: r.RouteID, Vault: textOf(r.Vault), Receipt: r.Receipt, Time: stamp(r.Time),
		Taken: r.Taken, CaughtUp: r.CaughtUp, Why: r.Why, KnownReceipt: r.Known, KnownReceiptTime: stamp(r.KnownTime), ArrivedSnapshot: r.Arrived, WantedChunks: r.Wants,
		Shipments: listOf(r.Shipments, func(a home.AcknowledgedShipment) acknowledgedForm {
			return acknowledgedForm{a.Snapshot, a.Shipment, a.DriveID, textOf(a.Drive), a.All}
		}),
	}
}

type receiptShowForm struct {
	RouteID         string      `json:"route_id"`
	Vault           string      `json:"vault"`
	Epoch           string      `json:"epoch"`
	Receipt         uint64      `json:"receipt"`
	Time            time.Time   `json:"time,omitzero"`
	HighestSnapshot uint64      `json:"highest_snapshot"`
	ArrivedSnapshot uint64      `json:"arrived_snapshot"`
	ClearedSnapshot uint64      `json:"cleared_snapshot"`
	Shipments       []takenForm `json:"shipments"`
	Wants           []wantForm  `json:"wants"`
	Condemned       int         `json:"condemned_chunks"`
	AwaitedChunks   uint64      `json:"awaited_chunks"`
	InventoryChunks uint64      `json:"inventory_chunks"`
	Inventory       string      `json:"inventory"`
	ReadSince       time.Time   `json:"read_since,omitzero"`
	FreeBytes       int64       `json:"free_bytes"`
	TotalBytes      int64       `json:"total_bytes"`
}

type takenForm struct {
	Snapshot uint64 `json:"snapshot"`
	Shipment string `json:"shipment"`
	Records  int64  `json:"records"`
	Arrived  int64  `json:"arrived_records"`
}

type wantForm struct {
	Chunk    string `json:"chunk"`
	Kind     string `json:"kind"`
	Snapshot uint64 `json:"snapshot"`
	pathForm
}

func receiptShowSummary(r *courier.Receipt) receiptShowForm {
	f := receiptShowForm{
		RouteID: r.Route.String(), Vault: textOf(r.VaultName), Epoch: r.Epoch.String(), Receipt: r.Number, Time: stamp(r.Time),
		HighestSnapshot: r.HighestSnapshot, ArrivedSnapshot: r.NewestArrived, ClearedSnapshot: r.Cleared,
		Shipments: make([]takenForm, 0, len(r.Taken)),
		Wants: listOf(r.Wants, func(w courier.Want) wantForm {
			return wantForm{w.ID.String(), w.Kind.String(), w.Snapshot, pathOf(w.Path)}
		}),
		Condemned: len(r.Condemned), AwaitedChunks: r.Awaited, InventoryChunks: r.Inventory.Count,
		ReadSince: stamp(r.ReadSince), FreeBytes: r.Free, TotalBytes: r.Total,
	}
	for i := range r.Taken {
		t := &r.Taken[i]
		f.Shipments = append(f.Shipments, takenForm{t.Number, t.Shipment.String(), int64(t.Records), arrivedRecords(t)})
	}
	if !r.Inventory.IsZero() {
		f.Inventory = r.Inventory.Digest.String()
	}
	return f
}
