package chunk

import (
	"bytes"
	"encoding/hex"
	"fmt"

	"github.com/zeebo/blake3"
)

// MaxSize bounds the plain bytes of every chunk, whatever its kind and
// whatever a route's parameters say.
const MaxSize = 8 << 20

// ID names a chunk by its plain bytes and its kind. The zero ID names nothing.
type ID [32]byte

// String returns the ID as 64 lower-case hex digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// Short returns the first 8 hex digits, for people.
func (id ID) Short() string { return hex.EncodeToString(id[:4]) }

// IsZero reports whether the ID names nothing.
func (id ID) IsZero() bool { return id == ID{} }

// Compare orders IDs bytewise: -1, 0 or 1.
func (id ID) Compare(o ID) int { return bytes.Compare(id[:], o[:]) }

// ParseID reads what String wrote: exactly 64 lower-case hex digits.
func ParseID(s string) (ID, error) {
	var id ID
	if err := parseHex(id[:], s); err != nil {
		return ID{}, fmt.Errorf("chunk id %q: %w", s, err)
	}
	return id, nil
}

func parseHex(dst []byte, s string) error {
	if len(s) != 2*len(dst) {
		return fmt.Errorf("%d hex digits expected, found %d characters", 2*len(dst), len(s))
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return fmt.Errorf("not a lower-case hex digit at %d: %q", i, c)
		}
	}
	_, err := hex.Decode(dst, []byte(s))
	return err
}

// Kind tells what a chunk is a piece of. It is part of what its ID says, so
// chunks of different kinds never share an ID. Zero is no kind.
type Kind uint8

const (
	Data   Kind = 1 // a piece of a file
	Stream Kind = 2 // a piece of a tree's stream: metadata
)

const streamContext = "waterlock 2026-11 stream chunk"

// Valid reports whether the kind is one of those above.
func (k Kind) Valid() bool { return k == Data || k == Stream }

func (k Kind) String() string {
	switch k {
	case Data:
		return "data"
	case Stream:
		return "stream"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// ID returns the name of a chunk of this kind with these plain bytes.
func (k Kind) ID(plain []byte) ID {
	switch k {
	case Data:
		return ID(sum256(plain))
	case Stream:
		return ID(Checksum(streamContext, plain))
	}
	panic("chunk: ID of an unknown kind")
}

// sum256 is plain BLAKE3-256 without an allocation.
func sum256(p []byte) [32]byte {
	return blake3.Sum256(p)
}
