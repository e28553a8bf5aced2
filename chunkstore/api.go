package chunkstore

import (
	"errors"
	"fmt"
	"time"

	"waterlock/index"
	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/internal/report"
	"waterlock/internal/wire"
	"waterlock/snapshot"
)

// Volume says where one tree lies and where the files beside it are kept.
// Trees within the vault's directory share one FS, rooted at that directory,
// with Mirror the tree's directory and Store ".wl"; a tree mapped elsewhere has
// an FS of its own, rooted there, with Mirror ".". Volumes of one file system
// must hold the same FS value.
type Volume struct {
	Tree   string
	FS     disk.FS
	Mirror string // the tree's directory within FS; "" and "." are the root
	Store  string // directory of staging, kept and foreign within FS
}

// Config is what a Store needs to know. Zero values of the last four mean the
// defaults.
type Config struct {
	Vault    disk.FS // the root of the vault's directory, for packs and install records
	Route    wire.RouteID
	Volumes  []Volume
	IndexDir string // directory of the catalog, on a disk of this machine
	Report   report.Reporter
	PackSize int64            // history packs are closed at this size
	GrowFrom int64            // a file begins to grow with so many bytes; fewer go to history
	Now      func() time.Time // the clock
}

// DriveSource reads chunks from the drive that is being unpacked. Get returns
// the plain bytes, verified by ID; they may lie in buf.
type DriveSource interface {
	Get(p index.DrivePlace, k chunk.Kind, buf []byte) ([]byte, error)
}

// Op is what an Action does to a path.
type Op uint8

const (
	// Install makes the path show the entry, of whatever kind: a directory is
	// made, a link or pipe is made, a file gets its content and metadata by
	// the cheapest safe way.
	Install Op = 1
	// Remove takes the path out of the mirror; the content of a file goes to
	// the kept versions first. A directory must come after all that lies in
	// it, and stays where it is not empty.
	Remove Op = 2
)

// Action is one change of the mirror.
type Action struct {
	Op    Op
	Tree  string
	Path  string          // of Remove; Install takes the entry's
	Entry *snapshot.Entry // of Install; Add keeps no reference to it
	// Stopgap: of Install, an older version that the path shows until the one
	// that grows for it is whole.
	Stopgap bool
}

// Way is how an action was done.
type Way uint8

const (
	Nothing   Way = iota // it was so already, or the action failed
	Assembled            // the content was put together from chunks
	Linked               // an inode that the vault had got another name: hard links and moves
	Adopted              // somebody else had put equal content there
	MetaOnly             // the metadata changed in place
	Made                 // a directory, a symlink or a pipe
	Removed
)

// Result is what became of one action.
type Result struct {
	Op      Op
	Tree    string
	Path    string
	Way     Way
	Bytes   int64  // written, for Assembled
	Grown   int64  // bytes that the file which grows for the path got, where chunks are lacking
	Foreign string // where a file in the way that nobody here wrote was moved
	Kept    int64  // bytes of an old version that left the mirror for the kept ones
	Err     error  // nil when the path is as the action wanted it
}

// BatchOptions tune a batch.
type BatchOptions struct {
	// Leaving reports that the newest snapshot no longer has content of this
	// hash at that path, so that its inode may move to another path instead
	// of being copied. Nil: never.
	Leaving func(tree, path string, hash chunk.ContentHash) bool
}

// What can be wrong with an action. The old version of the path stays.
var (
	// ErrNoRoom: the file system has no room to assemble the file.
	ErrNoRoom = errors.New("no room")
	// ErrReadBack: five assemblies read back wrong.
	ErrReadBack = errors.New("file reads back wrong")
	// ErrLacking: chunks of the file are not at hand; a *LackingError.
	ErrLacking = errors.New("chunks are lacking")
	// ErrNoPlace: a chunk has no place, or none that reads right.
	ErrNoPlace = errors.New("chunk has no good place")
	// ErrReserved: the path belongs to the vault itself.
	ErrReserved = errors.New("name is reserved for the vault")
	// ErrBlocked: a parent of the path is no directory.
	ErrBlocked = errors.New("parent is no directory")
	// ErrRecord: an install record is damaged or makes no sense.
	ErrRecord = errors.New("bad install record")
	// ErrUnfinished: an earlier batch could not be finished; open the store
	// anew.
	ErrUnfinished = errors.New("an install batch is unfinished")
	// ErrKind: entries of this kind are recorded in snapshots but not made.
	ErrKind = errors.New("kind of entry is not made in a mirror")
)

// LackingError names chunks that a file needs and that have no good place.
type LackingError struct {
	Chunks []chunk.ID // at most the first 64
	Count  int
}

func (e *LackingError) Error() string {
	if len(e.Chunks) == 0 {
		return ErrLacking.Error()
	}
	if e.Count == 1 {
		return fmt.Sprintf("chunk %s is lacking", e.Chunks[0].Short())
	}
	return fmt.Sprintf("%d chunks are lacking, first %s", e.Count, e.Chunks[0].Short())
}

func (e *LackingError) Unwrap() error { return ErrLacking }

// ChunkError is a chunk that could not be had.
type ChunkError struct {
	ID  chunk.ID
	Err error
}

func (e *ChunkError) Error() string { return fmt.Sprintf("chunk %s: %v", e.ID.Short(), e.Err) }
func (e *ChunkError) Unwrap() error { return e.Err }

// MirrorCheck is what CheckMirror found.
type MirrorCheck struct {
	Files   int64 // paths looked at
	Missing int64 // paths that are gone
	Foreign int64 // paths that somebody else changed
	Lost    int64 // containers that are no longer where they were
	Chunks  int64 // chunks that have no place left; each is a want now
}

// CompactOptions tune Compact.
type CompactOptions struct {
	// Needed reports whether a retained snapshot names the chunk. Nil: all
	// are needed.
	Needed func(chunk.ID) (bool, error)
	// Awaited reports whether a file that grows for a path may yet be whole
	// one day. Nil: all may.
	Awaited func(tree, path string) bool
}

// CompactResult is what Compact did.
type CompactResult struct {
	Containers int64 // removed
	Freed      int64 // bytes of them
	Written    int64 // bytes of chunks written to history
}

// ScrubOptions tune Scrub.
type ScrubOptions struct {
	Fraction float64   // of the containers, those read longest ago; 0 or 1: all
	Quick    bool      // look at sizes, times and tables, read no content
	Until    time.Time // stop reading then; zero: never
	Bytes    int64     // stop reading after so many bytes; 0: never
}

// ScrubResult is what Scrub found.
type ScrubResult struct {
	Containers int64
	Chunks     int64
	Bytes      int64
	Bad        int64 // damaged chunks and files found
	BadRecords int64 // of these, install records: Restate is the cure
	Repaired   int64 // of these, repaired from another place
	Wanted     int64 // of these, chunks that no place holds: wants now
	Left       int64 // containers that the budget left to the next run, one read in part among them
}

// Space is what the vault's files take.
type Space struct {
	Mirror, History, Kept, Staging, Foreign int64
	MirrorFiles, Packs, KeptFiles           int64
	// Every chunk was checked by its ID at this time or later, unix seconds; 0:
	// of some that is not known. A rebuilt catalog does not know of any.
	ReadSince int64
}
