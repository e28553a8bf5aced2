package index

import (
	"waterlock/internal/chunk"
)

// State says where home may count on a chunk.
type State uint8

const (
	None   State = iota // to be carried
	Aboard              // in a shipment that is neither lost nor missing
	Held                // the vault has acknowledged it
)

func (s State) String() string {
	switch s {
	case None:
		return "none"
	case Aboard:
		return "aboard"
	case Held:
		return "held"
	}
	return "invalid"
}

// ContainerID numbers the containers of a vault from 1. A number is never
// used twice: it is part of file names and of install records.
type ContainerID uint64

// ContainerKind says what sort of file a container is.
type ContainerKind uint8

const (
	Pack    ContainerKind = 1 // a history pack
	Mirror  ContainerKind = 2 // a plain file of the mirror
	Kept    ContainerKind = 3 // an old version of a plain file
	Staging ContainerKind = 4 // a file that is growing in staging
	Foreign ContainerKind = 5 // a file of somebody else that was adopted and gave way: it lies in foreign
)

func (k ContainerKind) String() string {
	switch k {
	case Pack:
		return "pack"
	case Mirror:
		return "mirror"
	case Kept:
		return "kept"
	case Staging:
		return "staging"
	case Foreign:
		return "foreign"
	}
	return "invalid"
}

// Container is an inode of the vault that holds chunks. Its bytes never
// change; it may be moved, which is one row.
type Container struct {
	ID      ContainerID
	Kind    ContainerKind
	Tree    string // "" for packs
	Name    string // path in the tree's mirror, also of a file that grows for it, or the name in kept or packs; of what lies in foreign the name within the file system
	Ino     uint64
	Size    int64
	MSec    int64
	MNsec   int32
	Hash    chunk.ContentHash // of a plain file; zero if unknown
	ReadAt  int64             // all its chunks that count were checked by their IDs at this time or later, unix seconds; 0: some are only recorded
	Damaged bool              // a chunk of it failed its check
	Missing bool              // it is not where this row says
}

// Place says where in a container a chunk lies.
type Place struct {
	Container ContainerID
	Offset    int64  // of the plain bytes, or of the record's header in a pack
	StoredLen uint32 // bytes at Offset; for a plain file equal to PlainLen
	PlainLen  uint32
	Encoding  uint8 // 0: plain bytes of a plain file; otherwise the pack's encoding
	ReadAt    int64 // when its ID was last checked, unix seconds; 0: only recorded
}

// PathRow is what was installed at one path of the mirror, or adopted there.
type PathRow struct {
	Kind      uint8 // disk.Kind
	Adopted   bool  // the file was there before; no snapshot has named it at this path
	Container ContainerID
	Ino       uint64
	Size      int64
	MSec      int64
	MNsec     int32
	LinkGroup uint64
	Digest    [32]byte // snapshot.Entry.Digest of the entry as installed
	Hash      chunk.ContentHash
}

// DrivePlace says where on the drive being unpacked a chunk lies. Pack is the
// caller's number of the file; the rest is a place in it.
type DrivePlace struct {
	ID        chunk.ID
	Pack      uint32
	Number    uint32
	Encoding  uint8
	Offset    int64
	StoredLen uint32
	PlainLen  uint32
}

// Want is a chunk that a snapshot names and the vault lacks or found damaged.
type Want struct {
	Snapshot uint64 // the newest that is known to name it
	Kind     chunk.Kind
}
