package vault

import (
	"time"

	"waterlock/internal/report"
	"waterlock/snapshot"
)

// InitOptions says where a new vault is to lie and which drive brings its route.
type InitOptions struct {
	Path   string            // directory of the vault; made if it is missing
	Drive  string            // mount point of the courier drive
	Route  string            // name or id of the route; needed only where the drive carries several
	Trees  map[string]string // tree → directory outside the vault; trees not named lie in <vault>/<tree>
	Report report.Reporter   // nil: report.Discard
}

// InitResult says what Init made.
type InitResult struct {
	Path      string // absolute
	Route     string // name
	RouteID   string // 32 hex digits
	Trees     []TreePlace
	DriveTold bool // the first receipt lies on the drive too
}

// TreePlace is where a tree of the route lies.
type TreePlace struct {
	Tree string
	Path string
}

// Deletions is what Unpack does with a path that is in the mirror and no longer in the newest snapshot.
// The zero value takes the setting of vault.toml, which is "ask" unless a person changed it. What home wants to stay in
// the mirror stays whatever is said here.
type Deletions string

const (
	DeletionsAsk   Deletions = "ask"   // show count and size and ask; nobody to ask means keep
	DeletionsKeep  Deletions = "keep"  // leave them in the mirror
	DeletionsApply Deletions = "apply" // take them out of the mirror; they stay in older snapshots
	// DeletionsConfirmed takes out what home has confirmed, and leaves what nobody there has decided yet.
	DeletionsConfirmed Deletions = "confirmed"
)

// ParseDeletions accepts ask, keep, confirmed and apply.
func ParseDeletions(s string) (Deletions, error) { return parseDeletions(s) }

// UnpackOptions are the wishes of one run of Unpack.
type UnpackOptions struct {
	Vault     string
	Drive     string
	Deletions Deletions
	Confirm   report.Confirm // nil: nobody to ask
	Report    report.Reporter
}

// UnpackResult counts what one run did. Damaged and Undelivered decide the exit code (20 and 3).
type UnpackResult struct {
	Route     string
	Shipments int // committed shipments of the route on the drive
	Again     int // of these, taken before already
	Open      int // shipments without a commit: not finished at home, left alone

	Snapshot        uint64    // newest snapshot known now; 0 = none
	SnapshotTime    time.Time //
	SnapshotArrived bool      // every chunk it names is in the vault
	SnapshotWhole   bool      // arrived, no tree stood still, and nothing in it is pending or unseen

	Written      int64 // files written or replaced in the mirror
	WrittenBytes int64 // their content
	Linked       int64 // hard links and moves: no content written
	Metadata     int64 // files and directories that got new metadata only
	Others       int64 // symlinks, pipes, new directories
	Behind       int64 // files whose old version (or none) stays, because chunks are lacking
	BehindBytes  int64
	Growing      int64    // files that do not come on one drive: they grow beside the mirror until they are whole
	GrowingBytes int64    // what they have so far
	GrowingTotal int64    // what they will have
	GrownBytes   int64    // of what they have, written in this run
	Pending      int64    // entries whose new content is still at home
	Unseen       int64    // entries that home could not read
	Stopped      []string // trees that stood still in the newest snapshot, "tree: reason"
	Waiting      int64    // of these, files that wait for chunks on a drive still out
	NotKept      int64    // special files that a mirror does not make

	Gone           int64 // files in the mirror that the newest snapshot has no longer, those that stay not counted
	GoneBytes      int64
	Confirmed      int64 // of these, what home has confirmed
	ConfirmedBytes int64
	Stays          int64 // files gone at home, or excluded there, that home wants to stay in the mirror
	StaysBytes     int64
	Deleted        int64 // of these, taken out of the mirror in this run
	DeletedBytes   int64
	DeletionsNoted string // why they were kept, in words; "" if none were or all went
	Foreign        int64  // files of somebody else that stood in the way and were moved to foreign/

	History      int64 // chunks put into the history by this run
	HistoryBytes int64 // bytes as stored
	HistoryTotal int64 // what the history takes now: packs and kept versions
	FreedBytes   int64 // old versions and packs that this run removed
	Condemned    int64 // chunks that home must not count on, to be freed later

	Damaged int64 // records, packs and commits found damaged on the drive or in the vault
	Failed  int64 // files that could not be delivered for another reason

	Room         Room  // what there was no room for
	ForeignBytes int64 // what somebody else's files take that were moved to foreign/

	Wants   int64          // chunks that a snapshot names, the vault lacks and nothing under way brings
	Awaited int64          // chunks lacking that a shipment still out may bring
	Drives  []AwaitedDrive // that may bring what the newest snapshot lacks
	Receipt uint64         // number of the receipt written; 0 if none
	Told    bool           // the receipt lies on the drive, verified
	// InventoryGiven: the receipt brings a list of all chunks in the vault, Inventory of them.
	InventoryGiven bool
	Inventory      int64
}

// Complete says that everything the drive brought arrived.
func (r UnpackResult) Complete() bool {
	return r.Damaged == 0 && r.Failed == 0 && r.Behind == 0 && r.Room.Files == 0
}

// SnapshotsOptions asks for the list of snapshots.
type SnapshotsOptions struct {
	Vault  string
	Report report.Reporter
}

// SnapshotInfo is one snapshot in the list, oldest first.
type SnapshotInfo struct {
	Number  uint64
	ID      string // 64 hex digits
	Time    time.Time
	Host    string
	Trees   []TreeInfo
	Files   int64
	Dirs    int64
	Others  int64
	Bytes   int64
	Arrived bool
	Whole   bool
	Pending int64
	Unseen  int64
	Stopped []string       // trees that stood still in this snapshot, "tree: reason"
	Lacking int64          // chunks it names that the vault lacks, as far as counted
	Drives  []AwaitedDrive // that may bring what it lacks
	Waits   string         // what it waits for, in words; "" when whole
}

// TreeInfo is one tree of a snapshot.
type TreeInfo struct {
	Tree   string
	Source string // directory at home
	Files  int64
	Bytes  int64
}

// RestoreOptions says which state of what comes back where.
type RestoreOptions struct {
	Vault      string
	Snapshot   string // latest, a number, an id prefix, or a time; "" = latest
	Target     string
	Paths      []string // TREE or TREE/PATH; none = everything
	Overwrite  bool
	DryRun     bool
	Privileged bool // setuid bits, security.* and trusted.* attributes
	Report     report.Reporter
}

// RestoreResult counts what Restore did. Failed > 0 means exit code 3, or 20 where Damaged says so.
type RestoreResult struct {
	Snapshot     uint64
	SnapshotID   string
	SnapshotTime time.Time
	Files        int64
	Dirs         int64
	Others       int64
	Bytes        int64
	AlreadyThere int64
	Failed       int64   // named through Report; the rest came back
	Pending      int64   // restored in the last version carried
	Unseen       int64   // restored as home last saw them
	Unset        []Unset // what the target could not be given
	Damaged      int64   // places in the vault found damaged while reading
}

// Unset is one kind of thing that restored entries were to have and did not get.
type Unset = snapshot.Unset

// VerifyOptions says how much of a vault is read back.
type VerifyOptions struct {
	Vault    string
	Fraction float64       // share of the containers to read, the longest unread first; 0 = all
	Time     time.Duration // stop reading after so long, and go on there the next time; 0 = never
	Bytes    int64         // the same after so many bytes
	Quick    bool          // compare sizes, times and tables only, read no content of files
	Report   report.Reporter
}

// VerifyResult counts what Verify found. Unless it is Sound the exit code is 20.
type VerifyResult struct {
	Containers int64 // read
	Chunks     int64
	Bytes      int64
	Damaged    int64 // chunks and tables found damaged or missing
	Missing    int64 // paths of the mirror that are gone; the next unpack puts them right
	Foreign    int64 // paths of the mirror that somebody else changed
	Strangers  int64 // files in the mirror that are somebody else's: left alone, and no fault
	Repaired   int64 // of these, repaired from another place
	Wants      int64 // chunks that home has to carry again, all in all
	Snapshots  int64 // looked at
	Unreadable int64 // snapshots whose list of entries has gaps
	Lacking    int64 // chunks that a snapshot names and the vault lacks

	Left      int64     // containers left to the next run, since the budget was used up
	ReadSince time.Time // every chunk was read at this time or later; zero: of some that is not known

	DamagedSnapshots []uint64 // that name what is wanted, ascending
	Lacks            []Lack   // who needs what is wanted
}

// Lack is a path that needs chunks which the vault wants, in the newest snapshot that names them. Of the first ten
// thousand chunks that is known.
type Lack struct {
	Snapshot uint64
	Path     string // with the tree; raw bytes
	Chunks   int64
}

// Sound says that all that was looked at is as it should be. What a drive still under way may bring is not missing.
func (r VerifyResult) Sound() bool {
	return r.Damaged+r.Missing+r.Foreign+r.Unreadable+r.Wants == 0
}

// StatusOptions asks how a vault stands.
type StatusOptions struct {
	Vault  string
	Report report.Reporter
}

// PruneStatus is what waits to be freed.
type PruneStatus struct {
	Condemned int64     // chunks that home must not count on
	Waiting   int64     // bytes that are freed once they may go, as the last prune found; 0: not known, since the catalog was rebuilt
	Later     int64     // chunks that no snapshot needs either and that a later prune condemns
	Waits     Waits     // what they wait for; zero: the next prune or unpack frees them
	Would     int64     // bytes that the last dry run would have freed
	WouldAt   time.Time // when that was; zero: none is known
}

// StatusResult is what wl status shows at the vault.
type StatusResult struct {
	Path      string
	Route     string
	RouteID   string
	Trees     []TreePlace
	Snapshots []SnapshotInfo // oldest first
	Receipt   uint64         // newest receipt written
	ReceiptAt time.Time
	Wants     int64          // chunks wanted from home
	Awaited   int64          // chunks lacking that a shipment still out may bring (as of the newest receipt)
	Drives    []AwaitedDrive // that may bring what the newest snapshot lacks
	Lacks     []Lack         // who needs what is wanted
	Mirror    int64          // bytes of plain files
	History   int64          // packs of the history
	Kept      int64          // old versions kept whole
	Staging   int64          // files growing
	Foreign   int64          // somebody else's files moved aside
	Room      Room           // what the last unpack had no room for
	Prune     PruneStatus
	ReadSince time.Time // every chunk was read at this time or later; zero: of some that is not known
	Overdue   []report.Overdue
	Free      int64 // of the vault's file system
	Total     int64
}
