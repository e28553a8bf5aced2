package snapshot

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"waterlock/internal/chunk"
	"waterlock/internal/disk"
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
	MaxExtents    = 8 << 20  // extents of a content list, and of the carried chunks
	MaxSize       = 1 << 62  // bytes of a file
	MaxHoles      = 1 << 46  // bytes of all holes of a content: zeros are hashed, too, which takes hours here
)

// ErrEntry is an entry that breaks the rules of this package.
var ErrEntry = errors.New("invalid entry")

// Extent is a piece of a file's content: a chunk, or a hole of so many zeros.
// There are never two holes in a row.
type Extent struct {
	ID     chunk.ID
	Length int64
	Hole   bool
}

// Entry is one path of a snapshot.
type Entry struct {
	Path string // raw bytes, names separated by '/'; "" is the root of the tree
	Kind Kind
	Gone Gone // not Here: a tombstone; only what says so returns one
	// Pending: the new content has not been carried in full. Hash and Content
	// are those of the last version that was, empty where there was none;
	// everything else is new, and Carried is what has been carried so far:
	// chunks at their offsets, with holes for all that is not, or is one.
	Pending bool
	// Unseen: it could not be read this time; this is the previous entry.
	Unseen      bool
	Mode        uint32 // the 07777 bits
	UID, GID    uint32
	User, Group string // empty where they have no name
	MTime       disk.Time
	BTime       disk.Time         // zero where the file system knows none
	Size        int64             // of files; zero for all others
	LinkGroup   uint64            // of files: equal in all that are one inode; 0: the only link
	Xattrs      []disk.Xattr      // in the order of their names
	Target      string            // of a symlink
	Rdev        uint64            // of a device
	Hash        chunk.ContentHash // of the whole content; zero: no content is known
	Content     []Extent
	Carried     []Extent
}

// Validate checks everything about an entry that can be checked without its
// neighbours and without its content. Nothing that fails is ever written, and
// what is read is checked the same way.
func (e *Entry) Validate() error {
	if e.Gone != Here {
		return fmt.Errorf("%w: a tombstone", ErrEntry)
	}
	if err := ValidPath(e.Path); err != nil {
		return err
	}
	return e.validateFields()
}

// validateFields is Validate without the path.
func (e *Entry) validateFields() error {
	bad := func(format string, a ...any) error {
		return fmt.Errorf("%w: %s", ErrEntry, fmt.Sprintf(format, a...))
	}
	if !e.Kind.Valid() {
		return bad("kind %d", e.Kind)
	}
	if e.Path == "" && e.Kind != disk.KindDir {
		return bad("the root is no directory")
	}
	if e.Mode&^uint32(0o7777) != 0 {
		return bad("mode %o", e.Mode)
	}
	for _, s := range [...]string{e.User, e.Group} {
		if len(s) > MaxOwner || strings.IndexByte(s, 0) >= 0 {
			return bad("owner's name of %d bytes", len(s))
		}
	}
	if !validTime(e.MTime) || !validTime(e.BTime) {
		return bad("nanoseconds out of range")
	}
	if err := validXattrs(e.Xattrs); err != nil {
		return err
	}
	isDevice := e.Kind == disk.KindCharDevice || e.Kind == disk.KindBlockDevice
	if e.Rdev != 0 && !isDevice {
		return bad("device number on kind %d", e.Kind)
	}
	if isLink := e.Kind == disk.KindSymlink; isLink != (e.Target != "") ||
		len(e.Target) > MaxTarget || strings.IndexByte(e.Target, 0) >= 0 {
		return bad("symlink target of %d bytes on kind %d", len(e.Target), e.Kind)
	}
	if e.Kind != disk.KindFile {
		if e.Pending || e.Size != 0 || e.LinkGroup != 0 || e.Hash != (chunk.ContentHash{}) || len(e.Content)+len(e.Carried) != 0 {
			return bad("content on kind %d", e.Kind)
		}
		return nil
	}
	if e.Size < 0 || e.Size > MaxSize {
		return bad("size %d", e.Size)
	}
	if e.Hash == (chunk.ContentHash{}) && len(e.Content) != 0 {
		return bad("content without its hash")
	}
	if len(e.Carried) != 0 && !e.Pending {
		return bad("carried chunks, but not pending")
	}
	if err := validExtents(e.Content); err != nil {
		return err
	}
	return validExtents(e.Carried)
}

func validTime(t disk.Time) bool { return t.Nsec >= 0 && t.Nsec < 1e9 }

func validXattrs(xattrs []disk.Xattr) error {
	if len(xattrs) > MaxXattrs {
		return fmt.Errorf("%w: %d attributes, at most %d allowed", ErrEntry, len(xattrs), MaxXattrs)
	}
	total := 0
	for i, x := range xattrs {
		if x.Name == "" || len(x.Name) > MaxXattrName || strings.IndexByte(x.Name, 0) >= 0 {
			return fmt.Errorf("%w: attribute's name %q", ErrEntry, x.Name)
		}
		if i > 0 && xattrs[i-1].Name >= x.Name {
			return fmt.Errorf("%w: attributes %q and %q out of order", ErrEntry, xattrs[i-1].Name, x.Name)
		}
		total += len(x.Name) + len(x.Value)
	}
	if total > MaxXattrBytes {
		return fmt.Errorf("%w: attributes of %d bytes, at most %d allowed", ErrEntry, total, MaxXattrBytes)
	}
	return nil
}

func validExtents(list []Extent) error {
	if len(list) > MaxExtents {
		return fmt.Errorf("%w: %d extents, at most %d allowed", ErrEntry, len(list), MaxExtents)
	}
	var total, holes int64
	for i, x := range list {
		if err := x.validate(); err != nil {
			return err
		}
		if i > 0 && x.Hole && list[i-1].Hole {
			return fmt.Errorf("%w: two holes in a row", ErrEntry)
		}
		if total += x.Length; total > MaxSize {
			return fmt.Errorf("%w: extents of more than %d bytes", ErrEntry, int64(MaxSize))
		}
		if x.Hole {
			holes += x.Length
		}
	}
	if holes > MaxHoles {
		return fmt.Errorf("%w: holes of %d bytes, at most %d allowed", ErrEntry, holes, int64(MaxHoles))
	}
	return nil
}

func (x Extent) validate() error {
	switch {
	case x.Hole && (x.Length < 1 || x.Length > MaxHoles || !x.ID.IsZero()):
		return fmt.Errorf("%w: hole of %d bytes", ErrEntry, x.Length)
	case !x.Hole && (x.Length < 1 || x.Length > chunk.MaxSize || x.ID.IsZero()):
		return fmt.Errorf("%w: chunk %s of %d bytes", ErrEntry, x.ID, x.Length)
	}
	return nil
}

// Clone copies an entry with all it refers to.
func (e *Entry) Clone() *Entry {
	c := *e
	c.Xattrs = slices.Clone(e.Xattrs)
	for i := range c.Xattrs {
		c.Xattrs[i].Value = bytes.Clone(c.Xattrs[i].Value)
	}
	c.Content = slices.Clone(e.Content)
	c.Carried = slices.Clone(e.Carried)
	return &c
}

// ContentSize is the number of bytes that Content adds up to: of a pending
// entry, the size of the last version carried.
func (e *Entry) ContentSize() int64 {
	var n int64
	for _, x := range e.Content {
		n += x.Length
	}
	return n
}

// SameMeta tells whether two entries are equal but for content (Hash, Content,
// Carried) and the flags Pending and Unseen.
func (e *Entry) SameMeta(o *Entry) bool {
	return e.Path == o.Path && e.Kind == o.Kind && e.Mode == o.Mode && e.UID == o.UID && e.GID == o.GID &&
		e.User == o.User && e.Group == o.Group && e.MTime == o.MTime && e.BTime == o.BTime && e.Size == o.Size &&
		e.LinkGroup == o.LinkGroup && e.Target == o.Target && e.Rdev == o.Rdev &&
		slices.EqualFunc(e.Xattrs, o.Xattrs, func(a, b disk.Xattr) bool {
			return a.Name == b.Name && bytes.Equal(a.Value, b.Value)
		})
}

// Same tells whether two entries are equal in everything that Digest covers:
// all but Pending, Unseen and Carried.
func (e *Entry) Same(o *Entry) bool {
	return e.SameMeta(o) && e.Hash == o.Hash && slices.Equal(e.Content, o.Content)
}
