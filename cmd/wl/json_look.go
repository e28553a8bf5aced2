package main

import (
	"time"

	"waterlock/internal/disk"
	"waterlock/internal/vault"
	"waterlock/snapshot"
)

// The forms of what looking at snapshots tells; see json.go.

// rawName is a path as people name it, TREE/PATH, in its own bytes.
func rawName(tree, path string) string {
	if path == "" {
		return tree
	}
	return tree + "/" + path
}

// hashOf is the hash of a file's content, "" where none is known.
func hashOf(e *snapshot.Entry) string {
	if e.Hash.IsZero() {
		return ""
	}
	return e.Hash.String()
}

func btimeOf(e *snapshot.Entry) time.Time {
	if e.BTime.IsZero() {
		return time.Time{}
	}
	return stamp(e.BTime.Time())
}

func mtimeOf(e *snapshot.Entry) time.Time { return stamp(e.MTime.Time()) }

type entryForm struct {
	pathForm
	Kind      string    `json:"kind"`
	Mode      uint64    `json:"mode"`
	UID       uint64    `json:"uid"`
	GID       uint64    `json:"gid"`
	User      string    `json:"user"`
	Group     string    `json:"group"`
	MTime     time.Time `json:"mtime"`
	BTime     time.Time `json:"btime,omitzero"`
	Xattrs    []string  `json:"xattrs"`
	Bytes     int64     `json:"bytes"`
	Hash      string    `json:"hash"`
	Target    string    `json:"target,omitempty"`
	TargetB64 []byte    `json:"target_b64,omitempty"`
	Pending   bool      `json:"pending"`
	Unseen    bool      `json:"unseen"`
}

func entryItem(tree string, e *snapshot.Entry) entryForm {
	return entryForm{
		pathForm: pathOf(rawName(tree, e.Path)), Kind: e.Kind.String(), Mode: uint64(e.Mode), UID: uint64(e.UID), GID: uint64(e.GID),
		User: textOf(e.User), Group: textOf(e.Group), MTime: mtimeOf(e), BTime: btimeOf(e), Bytes: e.Size, Hash: hashOf(e),
		Xattrs: listOf(e.Xattrs, func(x disk.Xattr) string { return textOf(x.Name) }),
		Target: textOf(e.Target), TargetB64: exactly(e.Target), Pending: e.Pending, Unseen: e.Unseen,
	}
}

type lsForm struct {
	Snapshot     uint64    `json:"snapshot"`
	SnapshotID   string    `json:"snapshot_id"`
	SnapshotTime time.Time `json:"snapshot_time,omitzero"`
	Files        int64     `json:"files"`
	Dirs         int64     `json:"dirs"`
	Others       int64     `json:"others"`
	Bytes        int64     `json:"bytes"`
	Pending      int64     `json:"pending"`
	Unseen       int64     `json:"unseen"`
	MissingPaths int64     `json:"missing_paths"`
	Stopped      []string  `json:"stopped"`
	DamagedLists int64     `json:"damaged_lists"`
	LackingLists int64     `json:"lacking_lists"`
}

func lsSummary(r vault.ListResult) lsForm {
	return lsForm{
		Snapshot: r.Snapshot.Number, SnapshotID: r.Snapshot.ID, SnapshotTime: stamp(r.Snapshot.Time),
		Files: r.Files, Dirs: r.Dirs, Others: r.Others, Bytes: r.Bytes, Pending: r.Pending, Unseen: r.Unseen,
		MissingPaths: r.Missing, Stopped: listOf(r.Stopped, textOf), DamagedLists: r.Damaged, LackingLists: r.Lacking,
	}
}

type foundForm struct {
	pathForm
	Versions []versionOfForm `json:"versions"`
}

type versionOfForm struct {
	Kind      string    `json:"kind"`
	MTime     time.Time `json:"mtime"`
	Bytes     int64     `json:"bytes"`
	Hash      string    `json:"hash"`
	Target    string    `json:"target,omitempty"`
	TargetB64 []byte    `json:"target_b64,omitempty"`
	Pending   bool      `json:"pending"`
	First     refForm   `json:"first"`
	Last      refForm   `json:"last"`
	Snapshots int       `json:"snapshots"`
}

type refForm struct {
	Snapshot   uint64    `json:"snapshot"`
	SnapshotID string    `json:"snapshot_id"`
	Time       time.Time `json:"time,omitzero"`
}

func refOf(r vault.SnapshotRef) refForm { return refForm{r.Number, r.ID, stamp(r.Time)} }

func foundItem(p vault.FoundPath) foundForm {
	return foundForm{pathOf(rawName(p.Tree, p.Path)), listOf(p.Versions, func(v vault.FoundVersion) versionOfForm {
		e := v.Entry
		return versionOfForm{
			Kind: e.Kind.String(), MTime: mtimeOf(e), Bytes: e.Size, Hash: hashOf(e), Target: textOf(e.Target), TargetB64: exactly(e.Target),
			Pending: e.Pending, First: refOf(v.First), Last: refOf(v.Last), Snapshots: v.Snapshots,
		}
	})}
}

type findForm struct {
	Snapshots    int   `json:"snapshots"`
	Paths        int64 `json:"paths"`
	Versions     int64 `json:"versions"`
	DamagedLists int64 `json:"damaged_lists"`
	LackingLists int64 `json:"lacking_lists"`
}

func findSummary(r vault.FindResult) findForm {
	return findForm{r.Snapshots, r.Paths, r.Versions, r.Damaged, r.Lacking}
}

type changeForm struct {
	Change string `json:"change"`
	pathForm
	FromPath    string    `json:"from_path,omitempty"`
	FromPathB64 []byte    `json:"from_path_b64,omitempty"`
	Elsewhere   bool      `json:"elsewhere"`
	Old         *sideForm `json:"old,omitempty"`
	New         *sideForm `json:"new,omitempty"`
}

type sideForm struct {
	Kind      string    `json:"kind"`
	Mode      uint64    `json:"mode"`
	MTime     time.Time `json:"mtime"`
	Bytes     int64     `json:"bytes"`
	Hash      string    `json:"hash"`
	Target    string    `json:"target,omitempty"`
	TargetB64 []byte    `json:"target_b64,omitempty"`
	Pending   bool      `json:"pending"`
}

func sideOf(e *snapshot.Entry) *sideForm {
	if e == nil {
		return nil
	}
	return &sideForm{
		Kind: e.Kind.String(), Mode: uint64(e.Mode), MTime: mtimeOf(e), Bytes: e.Size, Hash: hashOf(e),
		Target: textOf(e.Target), TargetB64: exactly(e.Target), Pending: e.Pending,
	}
}

func changeItem(c vault.Change) changeForm {
	f := changeForm{Change: string(c.Kind), pathForm: pathOf(rawName(c.Tree, c.Path)), Elsewhere: c.Elsewhere, Old: sideOf(c.Old), New: sideOf(c.New)}
	if c.Kind == vault.Renamed {
		from := rawName(c.FromTree, c.FromPath)
		f.FromPath, f.FromPathB64 = textOf(from), exactly(from)
	}
	return f
}

type diffForm struct {
	From             refForm  `json:"from"`
	To               refForm  `json:"to"`
	AddedFiles       int64    `json:"added_files"`
	AddedBytes       int64    `json:"added_bytes"`
	GoneFiles        int64    `json:"gone_files"`
	GoneBytes        int64    `json:"gone_bytes"`
	RenamedFiles     int64    `json:"renamed_files"`
	RenamedBytes     int64    `json:"renamed_bytes"`
	ModifiedFiles    int64    `json:"modified_files"`
	BytesBefore      int64    `json:"modified_bytes_before"`
	BytesAfter       int64    `json:"modified_bytes_after"`
	Retyped          int64    `json:"retyped"`
	Metadata         int64    `json:"metadata"`
	AddedDirs        int64    `json:"added_dirs"`
	GoneDirs         int64    `json:"gone_dirs"`
	AddedOthers      int64    `json:"added_others"`
	GoneOthers       int64    `json:"gone_others"`
	ModifiedOthers   int64    `json:"modified_others"`
	Unknown          int64    `json:"unknown"`
	PendingFrom      int64    `json:"pending_from"`
	PendingTo        int64    `json:"pending_to"`
	RenamesUncertain bool     `json:"renames_uncertain"`
	StoppedFrom      []string `json:"stopped_from"`
	StoppedTo        []string `json:"stopped_to"`
	DamagedLists     int64    `json:"damaged_lists"`
	LackingLists     int64    `json:"lacking_lists"`
}

func diffSummary(r vault.DiffResult) diffForm {
	return diffForm{
		From: refOf(r.A), To: refOf(r.B), AddedFiles: r.Added.Files, AddedBytes: r.Added.Bytes, GoneFiles: r.Gone.Files, GoneBytes: r.Gone.Bytes,
		RenamedFiles: r.Renamed.Files, RenamedBytes: r.Renamed.Bytes, ModifiedFiles: r.Modified, BytesBefore: r.BytesBefore,
		BytesAfter: r.BytesAfter, Retyped: r.Retyped, Metadata: r.Metadata, AddedDirs: r.DirsAdded, GoneDirs: r.DirsGone,
		AddedOthers: r.OthersAdded, GoneOthers: r.OthersGone, ModifiedOthers: r.OthersModified, Unknown: r.Unknown,
		PendingFrom: r.PendingA, PendingTo: r.PendingB, RenamesUncertain: r.RenamesUncertain,
		StoppedFrom: listOf(r.StoppedA, textOf), StoppedTo: listOf(r.StoppedB, textOf), DamagedLists: r.Damaged, LackingLists: r.Lacking,
	}
}

// contentForm is a piece of a file that wl cat writes.
type contentForm struct {
	Offset int64  `json:"offset"`
	Data   []byte `json:"data"`
}

// contents writes the pieces of a file as objects.
type contents struct {
	s      *session
	offset int64
}

func (c *contents) Write(b []byte) (int, error) {
	c.s.Item("content", contentForm{c.offset, b})
	c.offset += int64(len(b))
	return len(b), nil
}

type catForm struct {
	Snapshot     uint64    `json:"snapshot"`
	SnapshotID   string    `json:"snapshot_id"`
	SnapshotTime time.Time `json:"snapshot_time,omitzero"`
	Tree         string    `json:"tree"`
	pathForm
	Bytes      int64 `json:"bytes"`
	Written    int64 `json:"written_bytes"`
	Damaged    bool  `json:"damaged"`
	Incomplete bool  `json:"incomplete"`
	Pending    bool  `json:"pending"`
	Unseen     bool  `json:"unseen"`
}

func catSummary(r vault.CatResult) catForm {
	return catForm{
		Snapshot: r.Snapshot.Number, SnapshotID: r.Snapshot.ID, SnapshotTime: stamp(r.Snapshot.Time), Tree: textOf(r.Tree),
		pathForm: pathOf(rawName(r.Tree, r.Path)), Bytes: r.Size, Written: r.Written,
		Damaged: r.Damaged, Incomplete: r.Incomplete, Pending: r.Pending, Unseen: r.Unseen,
	}
}
