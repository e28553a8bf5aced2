package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"waterlock/internal/disk"
)

// SkipDir, returned by the function given to Walk for a directory, leaves out
// what lies in it.
var SkipDir = fs.SkipDir

// WalkOptions are the choices of a walk.
type WalkOptions struct {
	FollowDevices bool // enter directories on other devices than the root's
	// Exclude, if not nil, is asked about every path beneath the root, before
	// it is opened. n.FS.Open(n.Name+"/x") reads what lies in a directory.
	Exclude func(n *Node) Exclusion
}

// Exclusion says what is left out of a walk, and why. The zero value: nothing.
type Exclusion struct {
	Why    string // in words
	Inside bool   // not the directory itself, but what lies in it
	Keep   string // name of something in it that is not left out; "": nothing
}

// OtherDevice is the exclusion of what lies in a directory on another device
// than the root's, unless FollowDevices says otherwise.
var OtherDevice = Exclusion{Why: "it lies on another file system", Inside: true}

// Local is what only this machine knows of a file; it never travels.
type Local struct {
	Dev, Ino uint64
	CTime    disk.Time
	Nlink    uint64
	Holes    int64 // bytes of holes in a file, an estimate
}

// Node is one path found by Walk. It is valid until the function returns.
type Node struct {
	Entry Entry // metadata only; Xattrs are empty before Fill
	Local Local
	// Err: it could not be read, or what lies in this directory could not be
	// listed. Entry holds what is known; where Kind is zero that is the path
	// alone, and with ErrName not even that path can stand in a stream.
	Err error
	// Excluded: it is left out, or what lies in it is. Nothing in it is met but
	// what is to be kept.
	Excluded Exclusion
	// FS.Open(Name) reads the file, while the function runs. The root is "."
	FS   disk.FS
	Name string

	stat disk.Stat
}

// smallFile is a size up to which file systems may keep content elsewhere than
// in blocks.
const smallFile = 64 << 10

// DataSize is an estimate of how many bytes of a file are not holes. A file
// system that compresses may have fewer blocks than that.
func (n *Node) DataSize() int64 {
	if n.Entry.Kind != disk.KindFile || n.Entry.Size <= smallFile {
		return n.Entry.Size
	}
	return min(n.Entry.Size, n.stat.Alloc)
}

// Fill reads the extended attributes into the entry. Where it fails, the
// entry has none.
func (n *Node) Fill() error {
	m, err := n.FS.Meta(n.Name, n.stat)
	if err != nil {
		return err
	}
	if err := validXattrs(m.Xattrs); err != nil {
		return err
	}
	n.Entry.Xattrs = m.Xattrs
	return nil
}

// Walk calls fn for the root of fs and for everything beneath it, in tree
// order. Links are never followed. What cannot be read is a Node with Err and
// stops nothing; what vanishes meanwhile is left out. Walk itself fails where
// the root is no directory, ctx is cancelled or fn returns an error.
//
// Its memory is the names of the directories from the root to the current one.
func Walk(ctx context.Context, root disk.FS, opts WalkOptions, fn func(*Node) error) error {
	st, err := root.Stat(".")
	if err != nil {
		return err
	}
	if st.Kind != disk.KindDir {
		return fmt.Errorf("the root is a %v and no directory", st.Kind)
	}
	w := &walker{ctx: ctx, opts: opts, fn: fn, rootDev: st.Dev, dirs: descent{root: root}, owners: newOwnerNames()}
	defer w.dirs.close()
	return w.walk(root, st)
}

type walker struct {
	ctx     context.Context
	opts    WalkOptions
	fn      func(*Node) error
	rootDev uint64
	dirs    descent
	owners  *ownerNames
	stack   []listing
	path    string // of the directory on top of the stack
	node    Node
}

// listing is a directory that is being walked: its names and how far it is.
type listing struct {
	names disk.Names
	only  string // the one name that is looked at, where it is not all
	next  int
}

func (l *listing) len() int {
	if l.only != "" {
		return 1
	}
	return l.names.Len()
}

func (l *listing) at(i int) string {
	if l.only != "" {
		return l.only
	}
	return l.names.At(i)
}

func (w *walker) walk(root disk.FS, st disk.Stat) error {
	w.fill("", root, ".", st)
	if err := w.enter(root); err != nil {
		return err
	}
	for len(w.stack) > 0 {
		if err := w.ctx.Err(); err != nil {
			return context.Cause(w.ctx)
		}
		top := &w.stack[len(w.stack)-1]
		if top.next == top.len() {
			w.stack = w.stack[:len(w.stack)-1]
			w.path, _ = Split(w.path)
			continue
		}
		name := top.at(top.next)
		top.next++
		if err := w.visit(name); err != nil {
			return err
		}
	}
	return nil
}

// visit calls fn for one name of the current directory, and enters it.
func (w *walker) visit(name string) error {
	path := Join(w.path, name)
	if err := ValidName(name); err != nil {
		return w.fail(path, err)
	}
	dir, err := w.dirs.at(w.path)
	if err != nil {
		return w.fail(path, err)
	}
	st, err := dir.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return w.fail(path, err)
	}
	w.fill(path, dir, name, st)
	if w.opts.Exclude != nil {
		w.node.Excluded = w.opts.Exclude(&w.node)
	}
	if st.Kind == disk.KindDir && st.Dev != w.rootDev && !w.opts.FollowDevices && w.node.Excluded.Why == "" {
		w.node.Excluded = OtherDevice
	}
	if w.node.Excluded.Why != "" {
		return w.leaveOut()
	}
	switch st.Kind {
	case disk.KindDir:
		return w.visitDir()
	case disk.KindSymlink:
		w.node.Entry.Target, err = dir.Readlink(name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		w.node.Err = err
	}
	if w.node.Err == nil {
		// An odd answer of a file system must not stop a whole stream later.
		w.node.Err = w.node.Entry.validateFields()
	}
	return w.fn(&w.node)
}

// leaveOut calls fn for a path that is left out, and goes on with what is kept
// of a directory.
func (w *walker) leaveOut() error {
	path, keep := w.node.Entry.Path, w.node.Excluded.Keep
	if err := w.fn(&w.node); err != nil {
		return ignoreSkip(err)
	}
	if keep != "" {
		w.stack = append(w.stack, listing{only: keep})
		w.path = path
	}
	return nil
}

func (w *walker) visitDir() error {
	path := w.node.Entry.Path
	if len(path)+1+MaxName > MaxPath {
		w.node.Err = fmt.Errorf("%w: path of %d bytes, too deep to enter", ErrName, len(path))
		return ignoreSkip(w.fn(&w.node))
	}
	sub, err := w.dirs.at(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		w.node.Err = err
		return ignoreSkip(w.fn(&w.node))
	}
	// It may have been replaced since: what counts is what was opened.
	st, err := sub.Stat(".")
	if err != nil {
		w.node.Err = err
		return ignoreSkip(w.fn(&w.node))
	}
	w.fill(path, sub, ".", st)
	return w.enter(sub)
}

// enter lists the directory in w.node, calls fn for it, and makes it the
// current one.
func (w *walker) enter(dir disk.FS) error {
	names, err := dir.ReadDir(".")
	path := w.node.Entry.Path
	w.node.Err = err
	if err := w.fn(&w.node); err != nil {
		return ignoreSkip(err)
	}
	if err == nil {
		w.stack = append(w.stack, listing{names: names})
		w.path = path
	}
	return nil
}

func (w *walker) fail(path string, err error) error {
	w.node = Node{Entry: Entry{Path: path}, Err: err}
	return ignoreSkip(w.fn(&w.node))
}

func ignoreSkip(err error) error {
	if errors.Is(err, SkipDir) {
		return nil
	}
	return err
}

// fill describes a path by its Stat.
func (w *walker) fill(path string, dir disk.FS, name string, st disk.Stat) {
	e := Entry{
		Path: path, Kind: st.Kind, Mode: st.Mode & 0o7777, UID: st.UID, GID: st.GID,
		User: w.owners.user(st.UID), Group: w.owners.group(st.GID),
		MTime: st.MTime, BTime: st.BTime,
	}
	switch st.Kind {
	case disk.KindFile:
		e.Size = st.Size
		if st.Nlink > 1 {
			e.LinkGroup = linkGroup(st, w.rootDev)
		}
	case disk.KindCharDevice, disk.KindBlockDevice:
		e.Rdev = st.Rdev
	}
	w.node = Node{
		Entry: e,
		Local: Local{Dev: st.Dev, Ino: st.Ino, CTime: st.CTime, Nlink: st.Nlink},
		FS:    dir, Name: name, stat: st,
	}
	w.node.Local.Holes = e.Size - w.node.DataSize()
}

// linkGroup tells the links of one inode: by its number alone on the root's
// device, so that it stays the same where devices are numbered anew at each
// start; on another device by a hash with the top bit set.
func linkGroup(st disk.Stat, rootDev uint64) uint64 {
	if st.Dev == rootDev {
		return st.Ino
	}
	return mix64(mix64(st.Dev)^st.Ino) | 1<<63
}
