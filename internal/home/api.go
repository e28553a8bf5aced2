package home

import (
	"time"

	"waterlock/internal/report"
)

// InitOptions says which directories a new route packs.
type InitOptions struct {
	State        string   // this machine's state directory
	Name         string   // of the route; "" = the host's name, else "home"
	Trees        []string // PATH or PATH=TREE
	NoEncryption bool     // accepted from the start; sealing comes later
	Report       report.Reporter
}

// InitResult says what Init made.
type InitResult struct {
	Route   string // name
	RouteID string // 32 hex digits
	Config  string // path of route.toml
	Trees   []TreeRoot
}

// TreeRoot is where a tree lies.
type TreeRoot struct{ Name, Path string }

// PackOptions are the wishes of one run of Pack.
type PackOptions struct {
	State   string // this machine's state directory
	Route   string // name; "" = the only one
	Drive   string // mount point of the courier drive
	Reserve int64  // bytes to leave free on the drive; negative = the setting of route.toml
	Limit   int64  // most bytes of packs of chunks this run may write onto the drive; 0 = as many as fit, negative = none
	For     time.Duration
	DryRun  bool // survey only: nothing is written onto the drive
	Again   bool // do not count on what is aboard other drives: carry it again, as far as there is room

	// What a person has looked at and says is right, by tree; "*" is every tree.
	AllowMissing  []string // the root is gone: its files are deleted
	AllowEmpty    []string // the root is empty where it was not
	AllowDevice   []string // the root lies on another device than last time
	AllowVanished []string // more than a fifth of the files are gone
	AllowLostScan []string // what home knew of the tree is lost: all is read anew, whatever is not there counts as deleted

	// WithoutInventory carries data although home does not know yet what the vault has: see PackResult.Asks.
	WithoutInventory bool

	// What is left out of every tree, beside the settings of route.toml.
	Exclusions
	Vanished   Answer   // what becomes of files that vanished; "" = the setting of route.toml
	Excluded   Answer   // and of those that are newly excluded
	Reconsider []string // patterns of paths that are gone whose earlier answers no longer count

	// Rehash reads every file in full. What changed while its size, times and inode did not is named and not carried,
	// unless it is accepted: TREE/PATH, or a directory for all in it. What is accepted is read in any case.
	Rehash        bool
	AcceptChanged []string

	// List, if not nil, is told of every path that the survey finds, and of what is left out.
	List func(ListedPath)

	Stop     <-chan struct{} // closed by the first Ctrl-C: finish the shipment with what is there
	Confirm  report.Confirm  // nil: nobody to ask
	Choose   report.Choose   // nil: nobody to ask
	Report   report.Reporter
	PackSize int64 // most bytes of one pack; 0 = the setting of route.toml
}

// PackResult says what one run of Pack did. Incomplete decides between exit code 0 and 3.
type PackResult struct {
	Route      string
	RouteID    string
	DriveID    string // 32 hex digits
	DriveLabel string
	DryRun     bool
	Rehash     bool // every file was to be read

	Snapshot       uint64    // number; 0 if nothing was committed
	SnapID         string    // 64 hex digits
	Time           time.Time // of the snapshot
	Shipment       string    // 32 hex digits
	Resumed        bool      // it continued a shipment that an earlier run had begun
	Finished       []uint64  // snapshots of earlier runs whose commit was still to be written
	Receipts       []uint64  // receipts imported
	FoundAgain     int       // shipments on this drive that were declared lost
	Cleared        int       // acknowledged shipments deleted to make room
	Recarried      int       // shipments and packs that are missing from this drive: their chunks are carried again
	RecarriedBytes int64     // about what that is, in plain bytes

	Files, Dirs, Others, Bytes int64 // of the snapshot
	FilesRead, BytesRead       int64 // read at home by this run
	ChunksNew                  int64 // chunks put aboard
	BytesNew                   int64 // their plain bytes
	BytesWritten               int64 // what the shipment takes on the drive
	ToRead, ToReadFiles        int64 // the survey's estimate: bytes and files new or changed
	Moved                      int64 // files found again under another name, not read
	Again                      bool  // what is aboard other drives was to be carried again
	NotAgain                   int64 // of that, about how many plain bytes had no room, and are aboard the others alone

	Pending      int64 // files whose new content is still at home
	PendingBytes int64 // about what is left to carry, in plain bytes
	Unseen       int64 // entries that could not be read
	Rotten       int64 // of the unseen: files that changed while their size, times and inode did not
	Problems     int64 // files named through Report
	Wants        int64 // chunks that the newest receipt asks for
	WantsServed  int64 // of these, aboard a shipment, this one or another that counts
	WantsOpen    int64 // neither, while something at home was not read, or had no room, where they may lie
	WantsGone    int64 // neither, and nothing at home holds them any more
	Unserved     []Unserved
	Stopped      []StoppedTree
	Vanished     GoneFiles // gone since the last snapshot, or still undecided
	Excluded     GoneFiles // newly excluded
	Why          string    // why something is pending, in words: the drive is full, stopped, time is up, limit; "" if nothing is
	Asks         string    // why the vault is asked for its inventory, in words; "" if it is not
	Interrupted  bool      // stopped by the first Ctrl-C, shipment closed

	ReadBack Coldness // how the drive was read back
	Free     int64    // left on the drive
}

// Unserved is a path of a snapshot, the newest that names them, that needs chunks which the vault asks for and which
// are not carried.
type Unserved struct {
	Snapshot uint64
	Path     string // with the tree; raw bytes
	Chunks   int64
}

// ListedPath is a path that the survey found.
type ListedPath struct {
	Path string // with the tree; raw bytes
	Dir  bool
	Out  bool   // it is left out, or what lies in this directory is
	Why  string // why it is left out; of what is packed: new, changed or unchanged
}

// Incomplete says that something could not be read, or a tree stood still. Pending alone is no failure:
// it is what the next trip is for.
func (r PackResult) Incomplete() bool { return r.Unseen > 0 || r.Problems > 0 || len(r.Stopped) > 0 }

// Coldness tells whether data was read back from the medium ("cold") or perhaps from a cache ("warm").
type Coldness string

// StoppedTree is a tree that a guard has stopped: the snapshot repeats its last stream.
type StoppedTree struct {
	Tree   string
	Reason string
	Flag   string // the flag that overrides the guard: --allow-missing, --allow-empty, --allow-device, --allow-vanished, --allow-lost-scan; "": none does
	Never  bool   // no snapshot has the tree yet, so there is nothing to repeat
}

// StatusOptions asks how a route stands.
type StatusOptions struct {
	State  string
	Route  string // name; "" = the only one
	Report report.Reporter
}

// StatusResult is what wl status shows at home.
type StatusResult struct {
	Route      string
	RouteID    string
	Config     string // path of route.toml
	AtWork     bool   // another wl works on the route: of the trees only Files, Bytes and Unseen of the newest snapshot are known
	Snapshot   uint64 // newest packed; 0 = none
	SnapshotAt time.Time
	Arrived    uint64 // newest snapshot that a receipt says has arrived
	Vault      string // name of the vault, as of the newest receipt; "" = no receipt yet
	Receipt    uint64
	ReceiptAt  time.Time
	VaultFree  int64
	VaultTotal int64
	Wants      int64     // chunks the vault asks for
	Asks       string    // why home needs an inventory of the vault before it carries data, in words; "" if it does not
	ReadSince  time.Time // all that the vault has was read there at this time or later; zero: not known
	Overdue    []report.Overdue
	Trees      []TreeStatus
	Drives     []DriveStatus
	Shipments  []ShipmentStatus // out, lost, missing or open; oldest first
}

// TreeStatus counts the files of one tree by where their content is.
type TreeStatus struct {
	Tree                     string
	Path                     string
	Files, Bytes             int64
	HeldFiles, HeldBytes     int64 // the vault has it
	AboardFiles, AboardBytes int64 // on a drive, or partly held and partly on a drive
	PendingFiles             int64 // still to be carried
	PendingBytes             int64
	Unseen                   int64
	Stopped                  string // reason, if the newest snapshot repeats the tree's last stream
	LastSeen                 time.Time
}

// DriveStatus is one drive that carried shipments of the route.
type DriveStatus struct {
	ID, Label string
	LastSeen  time.Time // it was packed
	Since     time.Time // when the oldest of the shipments aboard was; zero: none is
	Aboard    []uint64  // snapshot numbers of the shipments on it that are not acknowledged in full
	Bytes     int64     // what these take on the drive
	Open      bool      // a shipment begun and not committed lies on it
	Lost      bool      // what it carried is carried again
}

// ShipmentStatus is one shipment that the vault has not acknowledged in full.
type ShipmentStatus struct {
	Snapshot uint64 // 0: open
	Shipment string
	DriveID  string
	Drive    string // label
	Time     time.Time
	Bytes    int64
	State    string // open, unfinished (its commit is not on the drive yet), aboard, partly, missing, lost
}

// ClearOptions says which drive to clear.
type ClearOptions struct {
	State   string
	Route   string // name; "" = every route of this machine
	Drive   string
	Yes     bool           // do not ask
	Confirm report.Confirm // nil: nobody to ask
	Report  report.Reporter
}

// ClearResult says what was deleted.
type ClearResult struct {
	DriveID, DriveLabel string
	Cleared             []ClearedShipment
	Kept                int  // shipments that no receipt acknowledged in full
	Asked, Refused      bool // the question was put; it was answered with no (or nobody was there)
	Freed               int64
	Free                int64
}

// ClearedShipment is a shipment taken off the drive.
type ClearedShipment struct {
	Route    string
	Snapshot uint64
	Shipment string
	Bytes    int64
}
