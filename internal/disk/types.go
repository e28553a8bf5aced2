package disk

import (
	"cmp"
	"fmt"
	"strings"
	"time"
)

// Kind is the kind of an entry of a directory. Its values are part of the
// formats built on it and never change. Zero is no kind.
type Kind uint8

const (
	KindFile        Kind = 1
	KindDir         Kind = 2
	KindSymlink     Kind = 3
	KindFifo        Kind = 4
	KindSocket      Kind = 5
	KindCharDevice  Kind = 6
	KindBlockDevice Kind = 7
)

var kindNames = [...]string{"unknown", "file", "directory", "symlink", "fifo", "socket", "character device", "block device"}

func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Valid tells whether k is one of the kinds above.
func (k Kind) Valid() bool { return k >= KindFile && k <= KindBlockDevice }

// Time is a time of a file: seconds since 1970 and nanoseconds within them.
type Time struct {
	Sec  int64
	Nsec int32
}

// TimeOf returns t as a file's time.
func TimeOf(t time.Time) Time { return Time{t.Unix(), int32(t.Nanosecond())} }

// Time returns t in UTC.
func (t Time) Time() time.Time { return time.Unix(t.Sec, int64(t.Nsec)).UTC() }

// IsZero tells whether t is the zero value, which a birth time has where none is known.
func (t Time) IsZero() bool { return t == Time{} }

// Compare orders times.
func (t Time) Compare(u Time) int {
	return cmp.Or(cmp.Compare(t.Sec, u.Sec), cmp.Compare(t.Nsec, u.Nsec))
}

// Stat describes an entry of a directory.
type Stat struct {
	Kind     Kind
	Mode     uint32 // permissions, setuid, setgid, sticky: 07777
	UID, GID uint32
	Size     int64
	Alloc    int64 // bytes it takes on the disk, as the file system tells it
	MTime    Time
	CTime    Time
	BTime    Time // of birth; zero where it is not known
	Ino, Dev uint64
	Rdev     uint64 // of device files
	Nlink    uint64
}

// Xattr is an extended attribute.
type Xattr struct {
	Name  string
	Value []byte
}

// Meta is the metadata of an entry that can be set.
type Meta struct {
	Mode     uint32
	UID, GID uint32
	MTime    Time
	Xattrs   []Xattr // sorted by name
}

// MetaOptions says which parts of a Meta to set. Modification time and the
// attributes of users (user.*, access lists) are always set.
type MetaOptions struct {
	Owner bool
	Mode  bool
	// Privileged also sets setuid and setgid bits of files, and attributes
	// that programs trust (security.*, trusted.* and the like).
	Privileged bool
}

// MetaError lists the metadata that an entry could not be given.
type MetaError struct {
	Name     string
	Problems []MetaProblem
}

// MetaProblem is one piece of metadata that could not be set: "owner",
// "mode", "times", or the name of an attribute.
type MetaProblem struct {
	What string
	Err  error
}

func (e *MetaError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: cannot set ", e.Name)
	for i, p := range e.Problems {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s (%v)", p.What, p.Err)
	}
	return b.String()
}

func (e *MetaError) Unwrap() []error {
	errs := make([]error, len(e.Problems))
	for i, p := range e.Problems {
		errs[i] = p.Err
	}
	return errs
}
