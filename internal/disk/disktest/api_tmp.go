// Package disktest has doubles of disks: one that loses power, one that fails, one that flips bits.
package disktest

import (
	"errors"

	"waterlock/internal/disk"
)

// ErrCrashed is what every operation returns after the power went.
var ErrCrashed = errors.New("power lost")

// CrashMode says what a crash leaves of that which was not synced.
type CrashMode uint8

const (
	Strict CrashMode = 1 // nothing of it
	Names  CrashMode = 2 // all changes of directories; data is lost or zero
	Random CrashMode = 3 // any part of it, by seed
)

// Mem is a file system in memory that can lose power.
type Mem struct{ disk.FS }

// NewMem returns an empty one.
func NewMem() *Mem { panic("unwritten") }

// SetCapacity bounds the bytes it holds; 0 is without bound.
func (m *Mem) SetCapacity(bytes int64) { panic("unwritten") }

// Ops is the number of changes and syncs so far.
func (m *Mem) Ops() int { panic("unwritten") }

// CrashAfter lets k more changes and syncs happen; from then on everything returns ErrCrashed. Negative: never.
func (m *Mem) CrashAfter(k int) { panic("unwritten") }

// Crashed returns what is there after the power came back.
func (m *Mem) Crashed(mode CrashMode, seed uint64) *Mem { panic("unwritten") }

// FaultKind is the kind of a failure.
type FaultKind uint8

const (
	EIO        FaultKind = 1
	ENOSPC     FaultKind = 2
	ShortWrite FaultKind = 3 // half of the bytes are written, then ENOSPC; other operations fail with EIO
)

// Fault wraps an FS and lets one operation fail.
type Fault struct{ disk.FS }

// NewFault wraps fs. Nothing fails until FailAt is called.
func NewFault(fs disk.FS) *Fault { panic("unwritten") }

// CountReads makes reads and Stat count as operations, too.
func (f *Fault) CountReads(on bool) { panic("unwritten") }

// FailAt makes the k-th operation from now (the first is 1) fail; with forever also all after it.
func (f *Fault) FailAt(k int, kind FaultKind, forever bool) { panic("unwritten") }

// Ops is the number of operations counted so far.
func (f *Fault) Ops() int { panic("unwritten") }

// Failed says which operation failed first, "" for none.
func (f *Fault) Failed() string { panic("unwritten") }

// FlipOnReadBack wraps fs: files whose name matches read back with one bit flipped, the first times times
// that one is opened (always, if times is negative).
func FlipOnReadBack(fs disk.FS, match func(name string) bool, times int) *Flipper { panic("unwritten") }

// Flipper is a drive that does not keep what it was given.
type Flipper struct{ disk.FS }

// Flipped is the number of handles that read back wrong.
func (f *Flipper) Flipped() int { panic("unwritten") }
