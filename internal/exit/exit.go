// Package exit gives an error the code with which the process ends. The codes
// are those that backup tools of this field share, so that scripts can tell
// "something could not be read" from "nothing was done".
package exit

import (
	"errors"
	"fmt"
)

// Code is the exit code of the process. The numbers never change.
type Code int

const (
	OK          Code = 0   // all is done
	Fatal       Code = 1   // the operation as a whole failed
	Usage       Code = 2   // the command line makes no sense
	Incomplete  Code = 3   // finished, but something could not be read, delivered or given back
	Overdue     Code = 4   // all is well so far, but a trip or a verification is overdue
	NotFound    Code = 10  // no such route, drive, vault or snapshot
	Locked      Code = 11  // another wl is at work here
	WrongKey    Code = 12  // the secret does not open what is sealed
	Corrupt     Code = 20  // damage was found
	Interrupted Code = 130 // stopped by the user
)

// Codes are all of them, ascending.
var Codes = []Code{OK, Fatal, Usage, Incomplete, Overdue, NotFound, Locked, WrongKey, Corrupt, Interrupted}

// String names the code in a few plain words.
func (c Code) String() string {
	switch c {
	case OK:
		return "done"
	case Fatal:
		return "failed"
	case Usage:
		return "wrong usage"
	case Incomplete:
		return "finished, but not all could be read or delivered"
	case Overdue:
		return "overdue"
	case NotFound:
		return "not found"
	case Locked:
		return "locked by another wl"
	case WrongKey:
		return "wrong key"
	case Corrupt:
		return "damage found"
	case Interrupted:
		return "interrupted"
	}
	return fmt.Sprintf("code %d", int(c))
}

// Error is an error that knows the exit code it should end the process with.
type Error struct {
	Code Code
	Err  error
}

func (e *Error) Error() string {
	if e.Err == nil {
		return e.Code.String()
	}
	return e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

// With attaches a code to an error; nil stays nil. The outermost code counts,
// so a caller that knows better may attach another.
func With(c Code, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Code: c, Err: err}
}

// Errorf is fmt.Errorf with a code.
func Errorf(c Code, format string, a ...any) error {
	return &Error{Code: c, Err: fmt.Errorf(format, a...)}
}

// Of returns the code of an error: OK for nil, Fatal where none is attached.
func Of(err error) Code {
	if err == nil {
		return OK
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return Fatal
}
