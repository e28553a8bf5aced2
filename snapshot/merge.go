package snapshot

// Peeker lets the next item of a sequence in tree order be looked at before it
// is taken. Items stay valid until the item after them is peeked at.
type Peeker[T any] struct {
	next func() (T, error)
	path func(T) string
}

// NewPeeker wraps next, which returns io.EOF at the end.
func NewPeeker[T any](next func() (T, error), path func(T) string) *Peeker[T] { panic("unwritten") }

// Peek returns the next item and its path; ok is false at the end. An error
// is returned once; peeking again goes on behind it.
func (p *Peeker[T]) Peek() (item T, path string, ok bool, err error) { panic("unwritten") }

// Take consumes the item last peeked at.
func (p *Peeker[T]) Take() { panic("unwritten") }

// Lockstep goes through two sequences in tree order side by side and calls fn
// once for every path that occurs in either, with hasA and hasB telling in
// which. An error of a sequence goes to fail, which says whether to go on: for
// a *GapError that means that paths it covers may be missing from that
// sequence, and it is called before fn sees any of them.
func Lockstep[A, B any](a *Peeker[A], b *Peeker[B],
	fn func(path string, a A, hasA bool, b B, hasB bool) error, fail func(error) error) error {
	panic("unwritten")
}
