// Package courier knows what lies on a courier drive: drive.json, shipments,
// commits and receipts.
package courier

import (
	"context"
	"encoding/hex"
	"time"

	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/internal/report"
	"waterlock/internal/wire"
	"waterlock/snapshot"
)

// DriveID is drawn at "wl drive init".
type DriveID [16]byte

func (id DriveID) String() string { return hex.EncodeToString(id[:]) }

// ShipmentID is drawn when a shipment is opened.
type ShipmentID [16]byte

func (id ShipmentID) String() string { return hex.EncodeToString(id[:]) }

// Short is for people.
func (id ShipmentID) Short() string { return id.String()[:8] }

func NewShipmentID() ShipmentID                    { panic("unwritten") }
func ParseShipmentID(s string) (ShipmentID, error) { panic("unwritten") }

// Epoch is drawn by a vault at init, and whenever it notices that it was
// rolled back.
type Epoch [16]byte

// FileRef names one file of a shipment, as the commit knows it.
type FileRef struct {
	Name     string // NNNNNN.pack or NNNNNN.meta
	Kind     chunk.Kind
	Size     int64
	Records  uint32
	Digest   chunk.Digest
	ReadBack disk.Coldness // how it was read back before the commit
}

// RouteInfo is what a vault must know of the route to join it.
type RouteInfo struct {
	ID        wire.RouteID
	Name      string
	Created   time.Time
	Chunker   chunk.Params
	Encrypted bool
}

// Basis is the newest receipt that home knew; zero if none.
type Basis struct {
	Epoch   Epoch
	Receipt uint64
}

// OutShipment is another shipment of the route that no receipt has
// acknowledged in full.
type OutShipment struct {
	Number     uint64 // of its snapshot
	Shipment   ShipmentID
	Drive      DriveID
	DriveLabel string
	Time       time.Time
	Lost       bool
}

// Commit is the word that a shipment is complete. It is written last.
type Commit struct {
	Route      RouteInfo
	Shipment   ShipmentID
	Attempt    uint32
	Drive      DriveID
	DriveLabel string
	Time       time.Time
	Tool       string
	Files      []FileRef // data packs by name, then meta packs by name
	Snapshot   snapshot.Record
	Basis      Basis
	Floor      uint64 // lowest snapshot number whose shipment home has not seen acknowledged
	Out        []OutShipment
}

// Records is the number of records of all files.
func (c *Commit) Records() uint32 { panic("unwritten") }

func EncodeCommit(c *Commit) ([]byte, error) { panic("unwritten") }
func DecodeCommit(b []byte) (*Commit, error) { panic("unwritten") }
func CommitName(b []byte) string             { panic("unwritten") }

// Taken says what the vault has of one shipment.
type Taken struct {
	Number   uint64 // of its snapshot
	Shipment ShipmentID
	Records  uint32
	All      bool   // every record arrived; Bits is empty
	Bits     []byte // bit i of byte i/8: record i arrived; records in the order of Commit.Files
}

// Arrived says whether record i (from 0) arrived.
func (t *Taken) Arrived(i uint32) bool { panic("unwritten") }

// Want is a chunk that the vault asks for.
type Want struct {
	ID   chunk.ID
	Kind chunk.Kind
}

// Receipt is the vault's whole state towards home.
type Receipt struct {
	Route           wire.RouteID
	VaultName       string
	Epoch           Epoch
	Number          uint64
	Time            time.Time
	Taken           []Taken
	Wants           []Want
	Condemned       []chunk.ID
	Awaited         uint64 // chunks lacking that a shipment still out may bring
	HighestSnapshot uint64
	NewestArrived   uint64
	Free, Total     int64
}

func EncodeReceipt(r *Receipt) ([]byte, error)   { panic("unwritten") }
func DecodeReceipt(b []byte) (*Receipt, error)   { panic("unwritten") }
func ReceiptName(number uint64, b []byte) string { panic("unwritten") }

// Drive is an open courier drive.
type Drive struct{}

// InitDrive makes the root of fs a courier drive.
func InitDrive(fs disk.FS, label string) (*Drive, error) { panic("unwritten") }

// OpenDrive opens the drive mounted at path; exit.NotFound if it is none.
func OpenDrive(path string) (*Drive, error) { panic("unwritten") }

// OpenFS opens the drive whose root is fs. path is for messages and the lock; "" has no lock.
func OpenFS(fs disk.FS, path string) (*Drive, error) { panic("unwritten") }

func (d *Drive) ID() DriveID        { panic("unwritten") }
func (d *Drive) Label() string      { panic("unwritten") }
func (d *Drive) Created() time.Time { panic("unwritten") }
func (d *Drive) Path() string       { panic("unwritten") }
func (d *Drive) FS() disk.FS        { panic("unwritten") }

// Lock locks drive.json until Close; exit.Locked if another process has it.
func (d *Drive) Lock() error  { panic("unwritten") }
func (d *Drive) Close() error { panic("unwritten") }

// Found is a commit or receipt as it lies on the drive.
type FoundCommit struct {
	Name   string // file name, <hash>.commit
	Bytes  []byte // verbatim
	Commit *Commit
}

// ShipmentInfo is one shipment directory of a route.
type ShipmentInfo struct {
	Route     wire.RouteID
	ID        ShipmentID
	Path      string        // directory, relative to the drive
	Commits   []FoundCommit // valid ones, the newest attempt first
	Problems  []error       // commits that fail their check, by name
	Committed bool          // there is a valid commit; without one the shipment is open
	Names     []string      // packs and meta packs that are there, sorted
}

// FoundReceipt is a receipt as it lies on the drive.
type FoundReceipt struct {
	Name    string
	Bytes   []byte
	Receipt *Receipt
}

// PackName is the name of the n-th pack of a kind, from 1.
func PackName(n int, k chunk.Kind) string { panic("unwritten") }

// ShipmentDir is the directory of a shipment, relative to the drive.
func ShipmentDir(route wire.RouteID, id ShipmentID) string { panic("unwritten") }

func (d *Drive) Routes() ([]wire.RouteID, error)                      { panic("unwritten") }
func (d *Drive) Shipments(route wire.RouteID) ([]ShipmentInfo, error) { panic("unwritten") }

// Receipts: valid ones, newest first; problems name those that fail their check.
func (d *Drive) ReadReceipts(route wire.RouteID) (valid []FoundReceipt, problems []error, err error) {
	panic("unwritten")
}
func (d *Drive) CreateShipment(route wire.RouteID, id ShipmentID) (dir string, err error) {
	panic("unwritten")
}
func (d *Drive) WriteCommit(b []byte) (disk.Coldness, error)            { panic("unwritten") }
func (d *Drive) WriteReceipt(b []byte) (disk.Coldness, error)           { panic("unwritten") }
func (d *Drive) RemoveShipment(route wire.RouteID, id ShipmentID) error { panic("unwritten") }

// VerifyResult counts what VerifyDrive read and found.
type VerifyResult struct {
	Shipments     int64 // committed ones
	Open          int64 // without a commit
	Files         int64
	Records       int64
	Bytes         int64
	DamagedFiles  int64
	MissingFiles  int64
	DamagedChunks int64
	Problems      int64 // all that was reported
	Warm          bool  // some file could not be read past the cache
}

// VerifyDrive reads every shipment back: commits, digests, every record.
func VerifyDrive(ctx context.Context, d *Drive, rep report.Reporter) (VerifyResult, error) {
	panic("unwritten")
}
