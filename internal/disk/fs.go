package disk

import "io"

// FS is a directory of a disk and everything below it.
//
// Names are slash-separated raw bytes relative to the root, "." is the root
// itself. A name with an empty, "." or ".." component or a NUL is refused, and
// no component of a name is ever followed as a link: what lies below the root
// is reached through real directories or not at all. Errors name the file by
// its whole path. An FS is safe for concurrent use.
type FS interface {
	// Open opens a regular file for reading. Links, directories, pipes and
	// devices are refused (ErrNotRegular), without blocking on them.
	Open(name string) (File, error)
	// Create makes a new file, for reading and writing. It never opens one
	// that is there already (fs.ErrExist).
	Create(name string, perm uint32) (File, error)
	// OpenWrite opens an existing regular file for reading and writing.
	OpenWrite(name string) (File, error)

	Mkdir(name string, perm uint32) error
	Link(oldname, newname string) error
	// Rename moves an entry, replacing what is there. Onto another link of
	// the same inode it does nothing: both names stay.
	Rename(oldname, newname string) error
	// Remove removes a file, a link, or an empty directory.
	Remove(name string) error
	Symlink(target, name string) error
	Readlink(name string) (string, error)
	// Mkfifo makes a named pipe; errors.ErrUnsupported where it cannot.
	Mkfifo(name string, perm uint32) error
	// Mkdev makes a device file: KindCharDevice or KindBlockDevice, with the
	// number that Stat gives as Rdev. errors.ErrUnsupported where it cannot.
	Mkdev(name string, kind Kind, rdev uint64, perm uint32) error

	// Stat describes the entry itself, also when it is a link.
	Stat(name string) (Stat, error)
	// ReadDir lists all names of a directory, sorted bytewise.
	ReadDir(name string) (Names, error)

	// Meta returns the metadata of an entry of any kind: what st says, and
	// its extended attributes, sorted by name.
	Meta(name string, st Stat) (Meta, error)
	// SetMeta gives an entry of any kind the metadata of m, in the order
	// owner, mode, extended attributes, times. Attributes that m does not
	// have are removed, within the name spaces that o permits to set. It does
	// all it can; what could not be set is listed in a *MetaError.
	SetMeta(name string, m Meta, o MetaOptions) error

	// SyncDir makes the names in a directory durable. File systems that know
	// no such thing are not an error.
	SyncDir(name string) error
	// SyncFiles makes contents and metadata of these files durable (not their
	// names: see SyncDir).
	SyncFiles(names []string) error

	// CloneRange makes one file share the n bytes at off of another, at the
	// same offset: they take no room, and a write to either leaves the other
	// as it is. off and n are multiples of CloneAlign within the file from;
	// the file to grows where it is shorter. errors.ErrUnsupported where the
	// file system cannot.
	CloneRange(from, to string, off, n int64) error

	// Sub returns a real directory (never a link) as a root of its own, to be
	// closed by the caller. Paths beyond PATH_MAX are reached by descending.
	Sub(name string) (FS, error)
	// Free says how much room there is.
	Free() (Space, error)
	Close() error
}

// CloneAlign is a multiple of the block sizes of file systems that can share
// blocks.
const CloneAlign = 64 << 10

// File is an open regular file. ReadAt, WriteAt and Stat are safe for
// concurrent use.
type File interface {
	io.Reader
	io.ReaderAt
	io.Writer
	io.WriterAt
	io.Seeker
	io.Closer
	// Name is the name the file was opened by.
	Name() string
	Stat() (Stat, error)
	Truncate(size int64) error
	// Sync makes contents and metadata durable. After an error the file is
	// never trusted again: every later Sync returns that error.
	Sync() error
	// Evict makes the next read come from the medium, as far as that can be
	// had. Call it after Sync: nothing evicts what has not been written yet.
	Evict() (Coldness, error)
	// Data returns the next range at or after off that is not a hole, or
	// io.EOF. Where holes are not known all is data.
	Data(off int64) (start, end int64, err error)
}

// Coldness says where a read-back came from.
type Coldness uint8

const (
	// Cold: from the medium, proven as far as the kernel tells.
	Cold Coldness = 1
	// Warm: perhaps from a cache; the next cold check is the first real one.
	Warm Coldness = 2
)

func (c Coldness) String() string {
	switch c {
	case Cold:
		return "cold"
	case Warm:
		return "warm"
	}
	return "unknown"
}

// Space is the room on a file system, in bytes. Avail is what this user may
// still write.
type Space struct {
	Avail, Total int64
	Type         string // of the file system, as people call it; "" where it is not known
}
