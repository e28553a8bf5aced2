package main

import (
	"time"

	"waterlock/internal/home"
)

// The forms of what internal/home tells; see json.go.

// listOf is the forms of a list, never null.
func listOf[T, F any](in []T, form func(T) F) []F {
	out := make([]F, 0, len(in))
	for _, x := range in {
		out = append(out, form(x))
	}
	return out
}

// numbers is a list of numbers, never null.
func numbers(in []uint64) []uint64 { return append([]uint64{}, in...) }

type treeForm struct {
	Tree string `json:"tree"`
	pathForm
}

type initForm struct {
	Route     string     `json:"route"`
	RouteID   string     `json:"route_id"`
	Config    string     `json:"config"`
	ConfigB64 []byte     `json:"config_b64,omitempty"`
	Trees     []treeForm `json:"trees"`
	Joined    bool       `json:"joined"`
	Snapshot  uint64     `json:"snapshot"`
	Known     []string   `json:"known_trees"`
}

func initSummary(r home.InitResult) initForm {
	return initForm{
		Route: r.Route, RouteID: r.RouteID, Config: textOf(r.Config), ConfigB64: exactly(r.Config),
		Trees: listOf(r.Trees, func(t home.TreeRoot) treeForm { return treeForm{textOf(t.Name), pathOf(t.Path)} }),
		Known: []string{},
	}
}

func joinSummary(r home.JoinResult) initForm {
	f := initSummary(r.InitResult)
	f.Joined, f.Snapshot, f.Known = true, r.Snapshot, listOf(r.Known, textOf)
	return f
}

type packForm struct {
	Route          string        `json:"route"`
	RouteID        string        `json:"route_id"`
	DriveID        string        `json:"drive_id"`
	DriveLabel     string        `json:"drive_label"`
	DryRun         bool          `json:"dry_run"`
	Rehash         bool          `json:"rehash"`
	Snapshot       uint64        `json:"snapshot"`
	SnapshotID     string        `json:"snapshot_id"`
	Time           time.Time     `json:"time,omitzero"`
	Shipment       string        `json:"shipment"`
	Resumed        bool          `json:"resumed"`
	Finished       []uint64      `json:"finished"`
	Receipts       []uint64      `json:"receipts"`
	FoundAgain     int           `json:"found_again"`
	Cleared        int           `json:"cleared"`
	Recarried      int           `json:"recarried"`
	RecarriedBytes int64         `json:"recarried_bytes"`
	Files          int64         `json:"files"`
	Dirs           int64         `json:"dirs"`
	Others         int64         `json:"others"`
	Bytes          int64         `json:"bytes"`
	ToReadFiles    int64         `json:"to_read_files"`
	ToReadBytes    int64         `json:"to_read_bytes"`
	ReadFiles      int64         `json:"read_files"`
	ReadBytes      int64         `json:"read_bytes"`
	MovedFiles     int64         `json:"moved_files"`
	Again          bool          `json:"again"`
	NotAgainBytes  int64         `json:"not_again_bytes"`
	NewChunks      int64         `json:"new_chunks"`
	NewBytes       int64         `json:"new_bytes"`
	ShipmentBytes  int64         `json:"shipment_bytes"`
	PendingFiles   int64         `json:"pending_files"`
	PendingBytes   int64         `json:"pending_bytes"`
	PendingWhy     string        `json:"pending_why"`
	InventoryWhy   string        `json:"inventory_why"`
	Unseen         int64         `json:"unseen"`
	RottenFiles    int64         `json:"rotten_files"`
	Problems       int64         `json:"problems"`
	Wants          int64         `json:"wants"`
	WantsServed    int64         `json:"wants_served"`
	WantsOpen      int64         `json:"wants_open"`
	WantsGone      int64         `json:"wants_gone"`
	Unserved       []lackForm    `json:"unserved"`
	Stopped        []stoppedForm `json:"stopped"`
	Vanished       goneForm      `json:"vanished"`
	Excluded       goneForm      `json:"excluded"`
	Interrupted    bool          `json:"interrupted"`
	ReadBack       string        `json:"read_back"`
	FreeBytes      int64         `json:"free_bytes"`
}

type goneForm struct {
	Files     int64         `json:"files"`
	Bytes     int64         `json:"bytes"`
	OpenFiles int64         `json:"open_files"`
	OpenBytes int64         `json:"open_bytes"`
	Answer    string        `json:"answer"`
	Dirs      []goneDirForm `json:"dirs"`
	MoreDirs  int64         `json:"more_dirs"`
	MoreFiles int64         `json:"more_files"`
	MoreBytes int64         `json:"more_bytes"`
}

type goneDirForm struct {
	pathForm
	Whole bool  `json:"whole"`
	Files int64 `json:"files"`
	Bytes int64 `json:"bytes"`
}

func goneSummary(g home.GoneFiles) goneForm {
	return goneForm{
		Files: g.Files, Bytes: g.Bytes, OpenFiles: g.OpenFiles, OpenBytes: g.OpenBytes, Answer: string(g.Answer),
		Dirs: listOf(g.Dirs, func(d home.GoneDir) goneDirForm {
			return goneDirForm{pathOf(d.Path), d.Whole, d.Files, d.Bytes}
		}),
		MoreDirs: g.MoreDirs, MoreFiles: g.MoreFiles, MoreBytes: g.MoreBytes,
	}
}

// listedForm is one path of a dry run with --verbose.
type listedForm struct {
	pathForm
	Dir bool   `json:"dir"`
	Out bool   `json:"out"`
	Why string `json:"why"`
}

func listedItem(l home.ListedPath) listedForm {
	return listedForm{pathOf(l.Path), l.Dir, l.Out, textOf(l.Why)}
}

type stoppedForm struct {
	Tree   string `json:"tree"`
	Reason string `json:"reason"`
	Flag   string `json:"flag"`
	Never  bool   `json:"never"`
}

func stoppedItem(t home.StoppedTree) stoppedForm {
	return stoppedForm{textOf(t.Tree), textOf(t.Reason), t.Flag, t.Never}
}

func packSummary(r home.PackResult) packForm {
	return packForm{
		Route: r.Route, RouteID: r.RouteID, DriveID: r.DriveID, DriveLabel: textOf(r.DriveLabel), DryRun: r.DryRun, Rehash: r.Rehash,
		Snapshot: r.Snapshot, SnapshotID: r.SnapID, Time: stamp(r.Time), Shipment: r.Shipment, Resumed: r.Resumed,
		Finished: numbers(r.Finished), Receipts: numbers(r.Receipts), FoundAgain: r.FoundAgain, Cleared: r.Cleared, Recarried: r.Recarried, RecarriedBytes: r.RecarriedBytes,
		Files: r.Files, Dirs: r.Dirs, Others: r.Others, Bytes: r.Bytes,
		ToReadFiles: r.ToReadFiles, ToReadBytes: r.ToRead, ReadFiles: r.FilesRead, ReadBytes: r.BytesRead, MovedFiles: r.Moved, Again: r.Again, NotAgainBytes: r.NotAgain,
		NewChunks: r.ChunksNew, NewBytes: r.BytesNew, ShipmentBytes: r.BytesWritten,
		PendingFiles: r.Pending, PendingBytes: r.PendingBytes, PendingWhy: textOf(r.Why),
		InventoryWhy: textOf(r.Asks),
		Unseen:       r.Unseen, RottenFiles: r.Rotten, Problems: r.Problems,
		Wants: r.Wants, WantsServed: r.WantsServed, WantsOpen: r.WantsOpen, WantsGone: r.WantsGone, Unserved: listOf(r.Unserved, unservedItem),
		Stopped:  listOf(r.Stopped, stoppedItem),
		Vanished: goneSummary(r.Vanished), Excluded: goneSummary(r.Excluded),
		Interrupted: r.Interrupted, ReadBack: string(r.ReadBack), FreeBytes: r.Free,
	}
}

type routeForm struct {
	Route           string             `json:"route"`
	RouteID         string             `json:"route_id"`
	Config          string             `json:"config"`
	ConfigB64       []byte             `json:"config_b64,omitempty"`
	AtWork          bool               `json:"at_work"`
	Snapshot        uint64             `json:"snapshot"`
	SnapshotTime    time.Time          `json:"snapshot_time,omitzero"`
	ArrivedSnapshot uint64             `json:"arrived_snapshot"`
	Vault           string             `json:"vault"`
	Receipt         uint64             `json:"receipt"`
	ReceiptTime     time.Time          `json:"receipt_time,omitzero"`
	VaultFreeBytes  int64              `json:"vault_free_bytes"`
	VaultTotalBytes int64              `json:"vault_total_bytes"`
	WantedChunks    int64              `json:"wanted_chunks"`
	InventoryWhy    string             `json:"inventory_why"`
	ReadSince       time.Time          `json:"read_since,omitzero"`
	Overdue         []overdueForm      `json:"overdue"`
	Trees           []treeStatusForm   `json:"trees"`
	Drives          []driveStatusForm  `json:"drives"`
	Shipments       []shipmentStatForm `json:"shipments"`
}

type treeStatusForm struct {
	Tree string `json:"tree"`
	pathForm
	Files        int64     `json:"files"`
	Bytes        int64     `json:"bytes"`
	HeldFiles    int64     `json:"held_files"`
	HeldBytes    int64     `json:"held_bytes"`
	AboardFiles  int64     `json:"aboard_files"`
	AboardBytes  int64     `json:"aboard_bytes"`
	PendingFiles int64     `json:"pending_files"`
	PendingBytes int64     `json:"pending_bytes"`
	Unseen       int64     `json:"unseen"`
	Stopped      string    `json:"stopped"`
	LastSeen     time.Time `json:"last_seen,omitzero"`
}

type driveStatusForm struct {
	DriveID         string    `json:"drive_id"`
	DriveLabel      string    `json:"drive_label"`
	LastSeen        time.Time `json:"last_seen,omitzero"`
	AboardSince     time.Time `json:"aboard_since,omitzero"`
	AboardSnapshots []uint64  `json:"aboard_snapshots"`
	AboardBytes     int64     `json:"aboard_bytes"`
	Open            bool      `json:"open"`
	Lost            bool      `json:"lost"`
}

type shipmentStatForm struct {
	Snapshot   uint64    `json:"snapshot"`
	Shipment   string    `json:"shipment"`
	DriveID    string    `json:"drive_id"`
	DriveLabel string    `json:"drive_label"`
	Time       time.Time `json:"time,omitzero"`
	Bytes      int64     `json:"bytes"`
	State      string    `json:"state"`
}

func routeItem(r home.StatusResult) routeForm {
	return routeForm{
		Route: r.Route, RouteID: r.RouteID, Config: textOf(r.Config), ConfigB64: exactly(r.Config), AtWork: r.AtWork,
		Snapshot: r.Snapshot, SnapshotTime: stamp(r.SnapshotAt), ArrivedSnapshot: r.Arrived,
		Vault: textOf(r.Vault), Receipt: r.Receipt, ReceiptTime: stamp(r.ReceiptAt),
		VaultFreeBytes: r.VaultFree, VaultTotalBytes: r.VaultTotal, WantedChunks: r.Wants, InventoryWhy: textOf(r.Asks),
		ReadSince: stamp(r.ReadSince), Overdue: listOf(r.Overdue, overdueOf),
		Trees:     listOf(r.Trees, treeStatusOf),
		Drives:    listOf(r.Drives, driveStatusOf),
		Shipments: listOf(r.Shipments, shipmentStatOf),
	}
}

func treeStatusOf(t home.TreeStatus) treeStatusForm {
	return treeStatusForm{
		Tree: textOf(t.Tree), pathForm: pathOf(t.Path), Files: t.Files, Bytes: t.Bytes,
		HeldFiles: t.HeldFiles, HeldBytes: t.HeldBytes, AboardFiles: t.AboardFiles, AboardBytes: t.AboardBytes,
		PendingFiles: t.PendingFiles, PendingBytes: t.PendingBytes,
		Unseen: t.Unseen, Stopped: textOf(t.Stopped), LastSeen: stamp(t.LastSeen),
	}
}

func driveStatusOf(d home.DriveStatus) driveStatusForm {
	return driveStatusForm{
		DriveID: d.ID, DriveLabel: textOf(d.Label), LastSeen: stamp(d.LastSeen), AboardSince: stamp(d.Since),
		AboardSnapshots: numbers(d.Aboard), AboardBytes: d.Bytes, Open: d.Open, Lost: d.Lost,
	}
}

func shipmentStatOf(s home.ShipmentStatus) shipmentStatForm {
	return shipmentStatForm{
		Snapshot: s.Snapshot, Shipment: s.Shipment, DriveID: s.DriveID, DriveLabel: textOf(s.Drive),
		Time: stamp(s.Time), Bytes: s.Bytes, State: s.State,
	}
}

type clearForm struct {
	DriveID    string        `json:"drive_id"`
	DriveLabel string        `json:"drive_label"`
	Cleared    []clearedForm `json:"cleared"`
	Kept       int           `json:"kept"`
	Asked      bool          `json:"asked"`
	Refused    bool          `json:"refused"`
	FreedBytes int64         `json:"freed_bytes"`
	FreeBytes  int64         `json:"free_bytes"`
}

type clearedForm struct {
	Route    string `json:"route"`
	Snapshot uint64 `json:"snapshot"`
	Shipment string `json:"shipment"`
	Bytes    int64  `json:"bytes"`
}

func clearSummary(r home.ClearResult) clearForm {
	return clearForm{
		DriveID: r.DriveID, DriveLabel: textOf(r.DriveLabel),
		Cleared: listOf(r.Cleared, func(c home.ClearedShipment) clearedForm {
			return clearedForm{textOf(c.Route), c.Snapshot, c.Shipment, c.Bytes}
		}),
		Kept: r.Kept, Asked: r.Asked, Refused: r.Refused, FreedBytes: r.Freed, FreeBytes: r.Free,
	}
}

// statusForm counts the objects that wl status wrote.
type statusForm struct {
	Routes  int `json:"routes"`
	Vaults  int `json:"vaults"`
	Paths   int `json:"paths"`
	Overdue int `json:"overdue"`
}

// driveInitForm is the drive that wl drive init made.
type driveInitForm struct {
	DriveID    string `json:"drive_id"`
	DriveLabel string `json:"drive_label"`
	pathForm
	Made       bool     `json:"made"`
	Binaries   []string `json:"binaries"`
	Readme     bool     `json:"readme"`
	FreeBytes  int64    `json:"free_bytes,omitempty"`
	TotalBytes int64    `json:"total_bytes,omitempty"`
}

type whereForm struct {
	pathForm
	Route      string          `json:"route"`
	Tree       string          `json:"tree"`
	InTree     string          `json:"in_tree"`
	InTreeB64  []byte          `json:"in_tree_b64,omitempty"`
	Kind       string          `json:"kind"`
	Vault      string          `json:"vault"`
	Snapshot   uint64          `json:"snapshot"`
	PackedTime time.Time       `json:"packed_time,omitzero"`
	MayDelete  bool            `json:"may_delete"`
	HeldSince  time.Time       `json:"held_since,omitzero"`
	ReadSince  time.Time       `json:"read_since,omitzero"`
	Gone       int64           `json:"gone"`
	Standings  []standingForm  `json:"standings"`
	Exceptions []exceptionForm `json:"exceptions"`
}

type standingForm struct {
	Standing string   `json:"standing"`
	Entries  int64    `json:"entries"`
	Bytes    int64    `json:"bytes"`
	Drives   []string `json:"drives"`
}

type exceptionForm struct {
	pathForm
	Standing string   `json:"standing"`
	Why      string   `json:"why"`
	Drives   []string `json:"drives"`
}

func whereItem(r home.WhereResult) whereForm {
	return whereForm{
		pathForm: pathOf(r.Path), Route: textOf(r.Route), Tree: textOf(r.Tree), InTree: textOf(r.InTree), InTreeB64: exactly(r.InTree),
		Kind: r.Kind, Vault: textOf(r.Vault), Snapshot: r.Snapshot, PackedTime: stamp(r.Packed), MayDelete: r.MayDelete,
		HeldSince: stamp(r.HeldSince), ReadSince: stamp(r.ReadSince), Gone: r.Gone,
		Standings: listOf(r.Groups, func(g home.WhereGroup) standingForm {
			return standingForm{string(g.Standing), g.Entries, g.Bytes, listOf(g.Drives, textOf)}
		}),
		Exceptions: listOf(r.Exceptions, func(x home.WhereEntry) exceptionForm {
			return exceptionForm{pathOf(x.Path), string(x.Standing), textOf(x.Why), listOf(x.Drives, textOf)}
		}),
	}
}
