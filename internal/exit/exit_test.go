package exit

import (
	"errors"
	"fmt"
	"io"
	"testing"
)

func TestOf(t *testing.T) {
	cases := []struct {
		err  error
		want Code
	}{
		{nil, OK},
		{io.EOF, Fatal},
		{With(Locked, io.EOF), Locked},
		{With(Locked, nil), OK},
		{fmt.Errorf("pack: %w", Errorf(NotFound, "no drive at %q", "/x")), NotFound},
		{With(Corrupt, With(Locked, io.EOF)), Corrupt},
		{errors.Join(io.EOF, With(Interrupted, io.EOF)), Interrupted},
	}
	for _, c := range cases {
		if got := Of(c.err); got != c.want {
			t.Errorf("Of(%v) = %d, want %d", c.err, got, c.want)
		}
	}
}

func TestErrorKeepsItsCause(t *testing.T) {
	err := Errorf(Corrupt, "pack 7: %w", io.ErrUnexpectedEOF)
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%v does not wrap its cause", err)
	}
	if got, want := err.Error(), "pack 7: unexpected EOF"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
	if got, want := (&Error{Code: Locked}).Error(), "locked by another wl"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
}

func TestCodesNeverChange(t *testing.T) {
	want := map[Code]int{OK: 0, Fatal: 1, Usage: 2, Incomplete: 3, NotFound: 10, Locked: 11, WrongKey: 12, Corrupt: 20, Interrupted: 130}
	for c, n := range want {
		if int(c) != n {
			t.Errorf("%s is %d, want %d", c, int(c), n)
		}
	}
}
