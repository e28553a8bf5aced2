package snapshot

import (
	"context"
	"errors"

	"waterlock/internal/disk"
)

// SkipDir, returned by the function given to Walk for a directory, leaves out
// what lies in it.
var SkipDir = errors.New("skip this directory")

// WalkOptions are the choices of a walk.
type WalkOptions struct {
	FollowDevices bool // enter directories on other devices than the root's
}

// Local is what only this machine knows of a file; it never travels.
type Local struct {
	Dev, Ino uint64
	CTime    disk.Time
	Nlink    uint64
}

// Node is one path found by Walk. It is valid until the function returns.
type Node struct {
	Entry Entry // metadata only; Xattrs are empty before Fill
	Local Local
	// Err: it could not be read, or what lies in this directory could not be
	// listed in full; Entry holds only what is known (at least the path).
	Err error
	// NotEntered: a directory on another device than the root, left out.
	NotEntered bool
	// FS.Open(Name) reads the file, while the function runs.
	FS   disk.FS
	Name string
}

// Fill reads the extended attributes into the entry.
func (n *Node) Fill() error { panic("unwritten") }

// Walk calls fn for the root of fs and for everything beneath it, in tree
// order. Links are never followed. What cannot be read is a Node with Err and
// stops nothing; Walk fails where ctx is cancelled or fn returns an error.
func Walk(ctx context.Context, fs disk.FS, opts WalkOptions, fn func(*Node) error) error {
	panic("unwritten")
}
