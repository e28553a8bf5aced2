package wire

import (
	"errors"
	"fmt"
)

// What can be wrong, in the order of the checks. Every error of this package
// is an *Error that wraps one of these.
var (
	ErrMagic     = errors.New("not a sealed object")
	ErrVersion   = errors.New("unknown version")
	ErrKind      = errors.New("another kind of object")
	ErrSeal      = errors.New("unknown seal")
	ErrLength    = errors.New("wrong length")
	ErrChecksum  = errors.New("checksum mismatch")
	ErrRoute     = errors.New("object of another route")
	ErrMalformed = errors.New("malformed")
)

// Error tells what is wrong, where, and what was expected instead.
type Error struct {
	Err      error // one of the above
	Offset   int64 // in the object for an envelope, in the body for a Reader
	Expected string
	Found    string
}

func (e *Error) Error() string {
	s := fmt.Sprintf("%v at offset %d", e.Err, e.Offset)
	if e.Expected != "" {
		s += ": expected " + e.Expected
	}
	if e.Found != "" {
		s += ", found " + e.Found
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }
