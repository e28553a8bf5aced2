package snapshot

import (
	"errors"
	"fmt"
	"io"
)

// ErrOrder is a sequence that is not in tree order.
var ErrOrder = errors.New("paths out of order")

// Peeker lets the next item of a sequence in tree order be looked at before it
// is taken. An item is valid until the one behind it is peeked at.
type Peeker[T any] struct {
	next func() (T, error)
	path func(T) string

	item    T
	at      string // path of item
	full    bool   // item has not been taken
	ended   bool
	started bool
}

// NewPeeker wraps next, which returns io.EOF at the end.
func NewPeeker[T any](next func() (T, error), path func(T) string) *Peeker[T] {
	return &Peeker[T]{next: next, path: path}
}

// Entries is a Peeker over the entries of a stream.
func Entries(r *StreamReader) *Peeker[*Entry] {
	return NewPeeker(r.Next, func(e *Entry) string { return e.Path })
}

// Items is a Peeker over the entries and tombstones of a stream.
func Items(r *StreamReader) *Peeker[*Entry] {
	return NewPeeker(r.NextItem, func(e *Entry) string { return e.Path })
}

// Scanned is a Peeker over the entries of a scan file.
func Scanned(r *ScanReader) *Peeker[*ScanEntry] {
	return NewPeeker(r.Next, func(e *ScanEntry) string { return e.Entry.Path })
}

// Peek returns the next item and its path; ok is false at the end. An error
// is returned once; peeking again goes on behind it.
func (p *Peeker[T]) Peek() (item T, path string, ok bool, err error) {
	var zero T
	if p.full {
		return p.item, p.at, true, nil
	}
	if p.ended {
		return zero, "", false, nil
	}
	item, err = p.next()
	if err == io.EOF {
		p.ended = true
		return zero, "", false, nil
	}
	if err != nil {
		return zero, "", false, err
	}
	path = p.path(item)
	if p.started && ComparePaths(p.at, path) >= 0 {
		p.ended = true // a merge that went on would take one path for two
		return zero, "", false, fmt.Errorf("%w: %q after %q", ErrOrder, path, p.at)
	}
	p.item, p.at, p.full, p.started = item, path, true, true
	return item, path, true, nil
}

// Take consumes the item last peeked at. It stays valid until the next Peek.
func (p *Peeker[T]) Take() { p.full = false }

// Lockstep goes through two sequences in tree order side by side and calls fn
// once for every path that occurs in either, with hasA and hasB telling in
// which. An error of a sequence goes to fail, which says whether to go on (nil)
// or how to end: a *GapError means that the paths it covers may be missing
// from that sequence, and fail is called before fn sees any of them.
func Lockstep[A, B any](a *Peeker[A], b *Peeker[B],
	fn func(path string, a A, hasA bool, b B, hasB bool) error, fail func(error) error) error {
	for {
		itemA, pathA, hasA, err := a.Peek()
		if err == nil {
			var itemB B
			var pathB string
			var hasB bool
			itemB, pathB, hasB, err = b.Peek()
			if err == nil {
				if !hasA && !hasB {
					return nil
				}
				path := pathA
				if hasA && hasB {
					c := ComparePaths(pathA, pathB)
					hasA, hasB = c <= 0, c >= 0
				}
				if !hasA {
					path = pathB
				}
				if err := step(fn, path, itemA, hasA, itemB, hasB); err != nil {
					return err
				}
				if hasA {
					a.Take()
				}
				if hasB {
					b.Take()
				}
				continue
			}
		}
		if err := fail(err); err != nil {
			return err
		}
	}
}

// step calls fn with the zero value for an item that does not belong to path.
func step[A, B any](fn func(string, A, bool, B, bool) error, path string, a A, hasA bool, b B, hasB bool) error {
	var noA A
	var noB B
	if !hasA {
		a = noA
	}
	if !hasB {
		b = noB
	}
	return fn(path, a, hasA, b, hasB)
}
