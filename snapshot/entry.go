package snapshot

import (
	"errors"

	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/internal/wire"
)

// Kind is what an entry is: a file, a directory, a symlink or a special file.
type Kind = disk.Kind

// Limits of an entry.
const (
	MaxOwner      = 255      // bytes of an owner's or group's name
	MaxTarget     = 64 << 10 // bytes of a symlink's target
	MaxXattrs     = 4096     // extended attributes of an entry
	MaxXattrName  = 255      // bytes of an attribute's name
	MaxXattrBytes = 2 << 20  // bytes of all attributes of an entry, names included
	MaxExtents    = 8 << 20  // extents of one content list
)

// ErrEntry is an entry that breaks the rules of this package.
var ErrEntry = errors.New("invalid entry")

// Extent is a piece of a file's content: a chunk, or a hole of so many zeros.
type Extent struct {
	ID     chunk.ID
	Length int64
	Hole   bool
}

// Entry is one path of a snapshot.
type Entry struct {
	Path string // raw bytes, names separated by '/'; "" is the root of the tree
	Kind Kind
	// Pending: the new content has not been carried in full. Hash and Content
	// are those of the last version that was, empty where there was none;
	// everything else is new, and Carried is what has been carried so far.
	Pending bool
	// Unseen: it could not be read this time; this is the previous entry.
	Unseen      bool
	Mode        uint32 // the 07777 bits
	UID, GID    uint32
	User, Group string // empty where they have no name
	MTime       disk.Time
	BTime       *disk.Time // nil where the file system knows none
	Size        int64      // of files; zero for all others
	LinkGroup   uint64     // equal in all files of a tree that are one inode; 0: a link of its own
	Xattrs      []disk.Xattr
	Target      string            // of a symlink
	Rdev        uint64            // of a device
	Hash        chunk.ContentHash // of the whole content; zero: no content is known
	Content     []Extent
	Carried     []Extent
}

// Validate checks everything about an entry that can be checked without its
// neighbours. The codec refuses to write or to read an entry that fails.
func (e *Entry) Validate() error { panic("unwritten") }

// Clone copies an entry with all it refers to.
func (e *Entry) Clone() *Entry { panic("unwritten") }

// ContentSize is the number of bytes that Content adds up to: of a pending
// entry, the size of the last version carried.
func (e *Entry) ContentSize() int64 { panic("unwritten") }

// SameMeta tells whether two entries are equal but for content (Hash, Content,
// Carried) and the flags Pending and Unseen.
func (e *Entry) SameMeta(o *Entry) bool { panic("unwritten") }

// Same tells whether two entries are equal in everything that Digest covers.
func (e *Entry) Same(o *Entry) bool { panic("unwritten") }

// Digest covers all of an entry but Pending, Unseen and Carried.
func (e *Entry) Digest() [32]byte { panic("unwritten") }

// EncodeEntry writes an entry by itself, with its full path and all content.
// The entry must be valid.
func EncodeEntry(w *wire.Writer, e *Entry) { panic("unwritten") }

// DecodeEntry reads what EncodeEntry wrote.
func DecodeEntry(r *wire.Reader) (*Entry, error) { panic("unwritten") }
