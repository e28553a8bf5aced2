package main

import (
	"time"

	"waterlock/internal/courier"
	"waterlock/internal/vault"
)

// The forms of what internal/vault and the check of a drive tell; see json.go.

type vaultInitForm struct {
	pathForm
	Route       string     `json:"route"`
	RouteID     string     `json:"route_id"`
	Trees       []treeForm `json:"trees"`
	ReceiptTold bool       `json:"receipt_told"`
}

func vaultInitSummary(r vault.InitResult) vaultInitForm {
	return vaultInitForm{pathOf(r.Path), textOf(r.Route), r.RouteID, listOf(r.Trees, treePlaceOf), r.DriveTold}
}

func treePlaceOf(t vault.TreePlace) treeForm { return treeForm{textOf(t.Tree), pathOf(t.Path)} }

type vaultAdoptForm struct {
	Trees       []treeForm `json:"trees"`
	Files       int64      `json:"files"`
	Bytes       int64      `json:"bytes"`
	Links       int64      `json:"links"`
	BeforeFiles int64      `json:"before_files"`
	BeforeBytes int64      `json:"before_bytes"`
	Others      int64      `json:"others"`
	Failed      int64      `json:"failed"`
}

func vaultAdoptSummary(r vault.AdoptResult) vaultAdoptForm {
	return vaultAdoptForm{listOf(r.Trees, treePlaceOf), r.Files, r.Bytes, r.Links, r.Before, r.BeforeBytes, r.Others, r.Failed}
}

type unpackForm struct {
	Route           string        `json:"route"`
	Shipments       int           `json:"shipments"`
	ShipmentsAgain  int           `json:"shipments_again"`
	ShipmentsOpen   int           `json:"shipments_open"`
	Snapshot        uint64        `json:"snapshot"`
	SnapshotTime    time.Time     `json:"snapshot_time,omitzero"`
	SnapshotArrived bool          `json:"snapshot_arrived"`
	SnapshotWhole   bool          `json:"snapshot_whole"`
	WrittenFiles    int64         `json:"written_files"`
	WrittenBytes    int64         `json:"written_bytes"`
	Linked          int64         `json:"linked"`
	Metadata        int64         `json:"metadata"`
	Others          int64         `json:"others"`
	BehindFiles     int64         `json:"behind_files"`
	BehindBytes     int64         `json:"behind_bytes"`
	WaitingFiles    int64         `json:"waiting_files"`
	GrowingFiles    int64         `json:"growing_files"`
	GrowingBytes    int64         `json:"growing_bytes"`
	GrowingTotal    int64         `json:"growing_total_bytes"`
	GrownBytes      int64         `json:"grown_bytes"`
	Room            roomForm      `json:"room"`
	Pending         int64         `json:"pending"`
	Unseen          int64         `json:"unseen"`
	Stopped         []string      `json:"stopped"`
	NotKept         int64         `json:"not_kept"`
	GoneFiles       int64         `json:"gone_files"`
	GoneBytes       int64         `json:"gone_bytes"`
	ConfirmedFiles  int64         `json:"confirmed_files"`
	ConfirmedBytes  int64         `json:"confirmed_bytes"`
	StaysFiles      int64         `json:"stays_files"`
	StaysBytes      int64         `json:"stays_bytes"`
	DeletedFiles    int64         `json:"deleted_files"`
	DeletedBytes    int64         `json:"deleted_bytes"`
	GoneKeptWhy     string        `json:"gone_kept_why"`
	ForeignFiles    int64         `json:"foreign_files"`
	ForeignBytes    int64         `json:"foreign_total_bytes"`
	HistoryChunks   int64         `json:"history_chunks"`
	HistoryBytes    int64         `json:"history_bytes"`
	HistoryTotal    int64         `json:"history_total_bytes"`
	Freed           int64         `json:"freed_bytes"`
	Condemned       int64         `json:"condemned_chunks"`
	Damaged         int64         `json:"damaged"`
	FailedFiles     int64         `json:"failed_files"`
	WantedChunks    int64         `json:"wanted_chunks"`
	AwaitedChunks   int64         `json:"awaited_chunks"`
	AwaitedDrives   []awaitedForm `json:"awaited_drives"`
	Receipt         uint64        `json:"receipt"`
	ReceiptTold     bool          `json:"receipt_told"`
	InventoryGiven  bool          `json:"inventory_given"`
	InventoryChunks int64         `json:"inventory_chunks"`
}

func unpackSummary(r vault.UnpackResult) unpackForm {
	return unpackForm{
		Route: textOf(r.Route), Shipments: r.Shipments, ShipmentsAgain: r.Again, ShipmentsOpen: r.Open,
		Snapshot: r.Snapshot, SnapshotTime: stamp(r.SnapshotTime), SnapshotArrived: r.SnapshotArrived, SnapshotWhole: r.SnapshotWhole,
		WrittenFiles: r.Written, WrittenBytes: r.WrittenBytes, Linked: r.Linked, Metadata: r.Metadata, Others: r.Others,
		BehindFiles: r.Behind, BehindBytes: r.BehindBytes, WaitingFiles: r.Waiting,
		GrowingFiles: r.Growing, GrowingBytes: r.GrowingBytes, GrowingTotal: r.GrowingTotal, GrownBytes: r.GrownBytes,
		Room:    roomOf(r.Room),
		Pending: r.Pending, Unseen: r.Unseen, Stopped: listOf(r.Stopped, textOf), NotKept: r.NotKept,
		GoneFiles: r.Gone, GoneBytes: r.GoneBytes, ConfirmedFiles: r.Confirmed, ConfirmedBytes: r.ConfirmedBytes,
		StaysFiles: r.Stays, StaysBytes: r.StaysBytes, DeletedFiles: r.Deleted, DeletedBytes: r.DeletedBytes,
		GoneKeptWhy: textOf(r.DeletionsNoted), ForeignFiles: r.Foreign, ForeignBytes: r.ForeignBytes,
		HistoryChunks: r.History, HistoryBytes: r.HistoryBytes, HistoryTotal: r.HistoryTotal, Freed: r.FreedBytes, Condemned: r.Condemned,
		Damaged: r.Damaged, FailedFiles: r.Failed, WantedChunks: r.Wants, AwaitedChunks: r.Awaited, AwaitedDrives: listOf(r.Drives, awaitedOf),
		Receipt: r.Receipt, ReceiptTold: r.Told, InventoryGiven: r.InventoryGiven, InventoryChunks: r.Inventory,
	}
}

// awaitedForm is a drive that is still under way.
type awaitedForm struct {
	DriveID    string    `json:"drive_id"`
	DriveLabel string    `json:"drive_label"`
	Time       time.Time `json:"time,omitzero"`
	Snapshots  []uint64  `json:"snapshots"`
}

func awaitedOf(d vault.AwaitedDrive) awaitedForm {
	return awaitedForm{d.Drive, textOf(d.Label), stamp(d.Time), numbers(d.Snapshots)}
}

// roomForm is what a vault has no room for.
type roomForm struct {
	BehindFiles  int64 `json:"behind_files"`
	NeededBytes  int64 `json:"needed_bytes"`
	OnDriveBytes int64 `json:"on_drive_bytes"`
	MissingBytes int64 `json:"missing_bytes"`
}

func roomOf(r vault.Room) roomForm { return roomForm{r.Files, r.Needed, r.OnDrive, r.Missing} }

type snapshotForm struct {
	Snapshot      uint64             `json:"snapshot"`
	SnapshotID    string             `json:"snapshot_id"`
	Time          time.Time          `json:"time,omitzero"`
	Host          string             `json:"host"`
	Trees         []snapshotTreeForm `json:"trees"`
	Files         int64              `json:"files"`
	Dirs          int64              `json:"dirs"`
	Others        int64              `json:"others"`
	Bytes         int64              `json:"bytes"`
	Arrived       bool               `json:"arrived"`
	Whole         bool               `json:"whole"`
	Pending       int64              `json:"pending"`
	Unseen        int64              `json:"unseen"`
	Stopped       []string           `json:"stopped"`
	LackingChunks int64              `json:"lacking_chunks"`
	Drives        []awaitedForm      `json:"drives"`
	Waits         string             `json:"waits"`
}

type snapshotTreeForm struct {
	Tree      string `json:"tree"`
	Source    string `json:"source"`
	SourceB64 []byte `json:"source_b64,omitempty"`
	Files     int64  `json:"files"`
	Bytes     int64  `json:"bytes"`
}

func snapshotItem(s vault.SnapshotInfo) snapshotForm {
	return snapshotForm{
		Snapshot: s.Number, SnapshotID: s.ID, Time: stamp(s.Time), Host: textOf(s.Host),
		Trees: listOf(s.Trees, func(t vault.TreeInfo) snapshotTreeForm {
			return snapshotTreeForm{textOf(t.Tree), textOf(t.Source), exactly(t.Source), t.Files, t.Bytes}
		}),
		Files: s.Files, Dirs: s.Dirs, Others: s.Others, Bytes: s.Bytes, Arrived: s.Arrived, Whole: s.Whole,
		Pending: s.Pending, Unseen: s.Unseen, Stopped: listOf(s.Stopped, textOf),
		LackingChunks: s.Lacking, Drives: listOf(s.Drives, awaitedOf), Waits: textOf(s.Waits),
	}
}

// snapshotsForm counts the objects that wl snapshots wrote.
type snapshotsForm struct {
	Snapshots int `json:"snapshots"`
}

type restoreForm struct {
	Snapshot     uint64      `json:"snapshot"`
	SnapshotID   string      `json:"snapshot_id"`
	SnapshotTime time.Time   `json:"snapshot_time,omitzero"`
	Target       string      `json:"target"`
	TargetB64    []byte      `json:"target_b64,omitempty"`
	DryRun       bool        `json:"dry_run"`
	Files        int64       `json:"files"`
	Dirs         int64       `json:"dirs"`
	Others       int64       `json:"others"`
	Bytes        int64       `json:"bytes"`
	AlreadyThere int64       `json:"already_there"`
	Failed       int64       `json:"failed"`
	Pending      int64       `json:"pending"`
	Unseen       int64       `json:"unseen"`
	Damaged      int64       `json:"damaged"`
	Unset        []unsetForm `json:"unset"`
}

type unsetForm struct {
	What       string `json:"what"`
	FileSystem string `json:"file_system"`
	Entries    int64  `json:"entries"`
	Why        string `json:"why"`
}

func restoreSummary(o vault.RestoreOptions, r vault.RestoreResult) restoreForm {
	return restoreForm{
		Snapshot: r.Snapshot, SnapshotID: r.SnapshotID, SnapshotTime: stamp(r.SnapshotTime),
		Target: textOf(o.Target), TargetB64: exactly(o.Target), DryRun: o.DryRun,
		Files: r.Files, Dirs: r.Dirs, Others: r.Others, Bytes: r.Bytes, AlreadyThere: r.AlreadyThere,
		Failed: r.Failed, Pending: r.Pending, Unseen: r.Unseen, Damaged: r.Damaged,
		Unset: listOf(r.Unset, func(u vault.Unset) unsetForm { return unsetForm{u.What, u.FS, u.Entries, textOf(u.Why)} }),
	}
}

type verifyVaultForm struct {
	Sound               bool       `json:"sound"`
	Containers          int64      `json:"containers"`
	Chunks              int64      `json:"chunks"`
	Bytes               int64      `json:"bytes"`
	Damaged             int64      `json:"damaged"`
	Repaired            int64      `json:"repaired"`
	MissingPaths        int64      `json:"missing_paths"`
	ForeignPaths        int64      `json:"foreign_paths"`
	StrangerFiles       int64      `json:"stranger_files"`
	Snapshots           int64      `json:"snapshots"`
	UnreadableSnapshots int64      `json:"unreadable_snapshots"`
	LackingChunks       int64      `json:"lacking_chunks"`
	WantedChunks        int64      `json:"wanted_chunks"`
	LeftContainers      int64      `json:"left_containers"`
	ReadSince           time.Time  `json:"read_since,omitzero"`
	DamagedSnapshots    []uint64   `json:"damaged_snapshots"`
	Lacks               []lackForm `json:"lacks"`
}

func verifyVaultSummary(r vault.VerifyResult) verifyVaultForm {
	return verifyVaultForm{
		Sound: r.Sound(), Containers: r.Containers, Chunks: r.Chunks, Bytes: r.Bytes, Damaged: r.Damaged, Repaired: r.Repaired,
		MissingPaths: r.Missing, ForeignPaths: r.Foreign, StrangerFiles: r.Strangers, Snapshots: r.Snapshots, UnreadableSnapshots: r.Unreadable,
		LackingChunks: r.Lacking, WantedChunks: r.Wants, LeftContainers: r.Left, ReadSince: stamp(r.ReadSince),
		DamagedSnapshots: numbers(r.DamagedSnapshots), Lacks: listOf(r.Lacks, lackItem),
	}
}

type verifyDriveForm struct {
	Sound         bool   `json:"sound"`
	DriveID       string `json:"drive_id"`
	DriveLabel    string `json:"drive_label"`
	Shipments     int64  `json:"shipments"`
	ShipmentsOpen int64  `json:"shipments_open"`
	Returns       int64  `json:"returns"`
	Files         int64  `json:"files"`
	Records       int64  `json:"records"`
	Bytes         int64  `json:"bytes"`
	DamagedFiles  int64  `json:"damaged_files"`
	MissingFiles  int64  `json:"missing_files"`
	DamagedChunks int64  `json:"damaged_chunks"`
	Problems      int64  `json:"problems"`
	ReadBack      string `json:"read_back"`
}

func verifyDriveSummary(id, label string, r courier.VerifyResult) verifyDriveForm {
	readBack := "cold"
	if r.Warm {
		readBack = "warm"
	}
	return verifyDriveForm{
		Sound: r.Problems == 0, DriveID: id, DriveLabel: textOf(label),
		Shipments: r.Shipments, ShipmentsOpen: r.Open, Returns: r.Returns, Files: r.Files, Records: r.Records, Bytes: r.Bytes,
		DamagedFiles: r.DamagedFiles, MissingFiles: r.MissingFiles, DamagedChunks: r.DamagedChunks,
		Problems: r.Problems, ReadBack: readBack,
	}
}

type vaultForm struct {
	pathForm
	Route         string          `json:"route"`
	RouteID       string          `json:"route_id"`
	Trees         []treeForm      `json:"trees"`
	Snapshots     []snapshotForm  `json:"snapshots"`
	Receipt       uint64          `json:"receipt"`
	ReceiptTime   time.Time       `json:"receipt_time,omitzero"`
	WantedChunks  int64           `json:"wanted_chunks"`
	AwaitedChunks int64           `json:"awaited_chunks"`
	AwaitedDrives []awaitedForm   `json:"awaited_drives"`
	Lacks         []lackForm      `json:"lacks"`
	ReadSince     time.Time       `json:"read_since,omitzero"`
	MirrorBytes   int64           `json:"mirror_bytes"`
	HistoryBytes  int64           `json:"history_bytes"`
	KeptBytes     int64           `json:"kept_bytes"`
	StagingBytes  int64           `json:"staging_bytes"`
	ForeignBytes  int64           `json:"foreign_bytes"`
	Room          roomForm        `json:"room"`
	Prune         pruneStatusForm `json:"prune"`
	Overdue       []overdueForm   `json:"overdue"`
	FreeBytes     int64           `json:"free_bytes"`
	TotalBytes    int64           `json:"total_bytes"`
}

func vaultItem(r vault.StatusResult) vaultForm {
	return vaultForm{
		pathForm: pathOf(r.Path), Route: textOf(r.Route), RouteID: r.RouteID,
		Trees: listOf(r.Trees, treePlaceOf), Snapshots: listOf(r.Snapshots, snapshotItem),
		Receipt: r.Receipt, ReceiptTime: stamp(r.ReceiptAt), WantedChunks: r.Wants, AwaitedChunks: r.Awaited, AwaitedDrives: listOf(r.Drives, awaitedOf), Lacks: listOf(r.Lacks, lackItem),
		ReadSince:   stamp(r.ReadSince),
		MirrorBytes: r.Mirror, HistoryBytes: r.History, KeptBytes: r.Kept, StagingBytes: r.Staging, ForeignBytes: r.Foreign,
		Room: roomOf(r.Room), Prune: pruneStatusOf(r.Prune), Overdue: listOf(r.Overdue, overdueOf), FreeBytes: r.Free, TotalBytes: r.Total,
	}
}

// foreignForm is a file that somebody else wrote and that was moved aside.
type foreignForm struct {
	pathForm
	Kind     string    `json:"kind"`
	Bytes    int64     `json:"bytes"`
	MTime    time.Time `json:"mtime,omitzero"`
	Moved    string    `json:"moved"`
	Where    string    `json:"where"`
	WhereB64 []byte    `json:"where_b64,omitempty"`
}

func foreignItem(f vault.ForeignFile) foreignForm {
	return foreignForm{
		pathForm: pathOf(rawName(f.Tree, f.Path)), Kind: f.Kind, Bytes: f.Size, MTime: stamp(f.Time), Moved: textOf(f.Moved),
		Where: textOf(f.Where), WhereB64: exactly(f.Where),
	}
}

type vaultForeignForm struct {
	Files        int64  `json:"files"`
	Bytes        int64  `json:"bytes"`
	RemovedFiles int64  `json:"removed_files"`
	RemovedBytes int64  `json:"removed_bytes"`
	Failed       int64  `json:"failed"`
	KeptWhy      string `json:"kept_why"`
}

func vaultForeignSummary(r vault.ForeignResult) vaultForeignForm {
	return vaultForeignForm{r.Files, r.Bytes, r.Removed, r.RemovedBytes, r.Failed, textOf(r.Kept)}
}

type vaultRebuildForm struct {
	pathForm
	Route      string  `json:"route"`
	Places     int64   `json:"places"`
	Containers int64   `json:"containers"`
	Paths      int64   `json:"paths"`
	Lacking    int64   `json:"lacking_chunks"`
	Snapshots  int     `json:"snapshots"`
	Arrived    int     `json:"arrived_snapshots"`
	Seconds    float64 `json:"seconds"`
}

func vaultRebuildSummary(r vault.RebuildResult) vaultRebuildForm {
	return vaultRebuildForm{pathOf(r.Path), textOf(r.Route), r.Places, r.Containers, r.Paths, r.Wants, r.Snapshots, r.Arrived, r.Took.Seconds()}
}
