package pack

import (
	"errors"
	"fmt"

	"waterlock/internal/chunk"
)

// Which part of a pack is damaged. Compare with errors.Is.
var (
	ErrHeader = errors.New("pack header")
	ErrFooter = errors.New("pack footer")
	ErrTable  = errors.New("pack table")
	ErrRecord = errors.New("pack record")
	ErrChunk  = errors.New("chunk") // the record is sound, what it holds is not
)

// Which check failed, in the order of the checks. Compare with errors.Is.
var (
	ErrMagic    = errors.New("wrong magic")
	ErrVersion  = errors.New("unknown version")
	ErrChecksum = errors.New("checksum mismatch")
	ErrField    = errors.New("field out of bounds") // under a good checksum: made by other rules
	ErrLength   = errors.New("wrong length")        // the file is shorter or longer than it says
)

// FormatError is damage to a part of a pack.
type FormatError struct {
	Part     error // ErrHeader, ErrFooter, ErrTable or ErrRecord
	Check    error // ErrMagic, ErrVersion, ErrChecksum, ErrField or ErrLength
	Offset   int64 // in the file, of the bytes that were checked
	Expected string
	Found    string
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("%v at offset %d: %v: expected %s, found %s", e.Part, e.Offset, e.Check, e.Expected, e.Found)
}

func (e *FormatError) Unwrap() []error { return []error{e.Part, e.Check} }

// ChunkError is a chunk that its stored bytes do not give.
type ChunkError struct {
	ID    chunk.ID // expected
	Found chunk.ID // zero where nothing could be decoded
	Err   error    // why nothing could be decoded, nil where the ID differs
}

func (e *ChunkError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("chunk %v: %v", e.ID, e.Err)
	}
	return fmt.Sprintf("chunk %v: content has the ID %v", e.ID, e.Found)
}

func (e *ChunkError) Unwrap() []error {
	if e.Err != nil {
		return []error{ErrChunk, e.Err}
	}
	return []error{ErrChunk}
}

// RecordError names the record that Err is about: a *FormatError, a
// *ChunkError or what the medium said.
type RecordError struct {
	Offset int64 // of the record header
	Number uint32
	ID     chunk.ID
	Err    error
}

func (e *RecordError) Error() string {
	return fmt.Sprintf("record %d at offset %d, chunk %s: %v", e.Number, e.Offset, e.ID.Short(), e.Err)
}

func (e *RecordError) Unwrap() error { return e.Err }

// ErrFull refuses a record that a pack has no room for.
var ErrFull = errors.New("pack is full")
