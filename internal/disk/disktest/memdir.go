package disktest

import (
	"cmp"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"

	"waterlock/internal/disk"
)

// memDir is a directory of a Mem as a root.
type memDir struct {
	c    *core
	dir  *inode
	path string
}

func (d *memDir) full(name string) string {
	if name == "." {
		return d.path
	}
	return d.path + "/" + name
}

func (d *memDir) err(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: d.full(name), Err: err}
}

// parent finds the directory of a name and the last component of it.
func (d *memDir) parent(name string) (*inode, string, error) {
	if err := disk.CheckName(name); err != nil {
		return nil, "", err
	}
	dir := d.dir
	for {
		i := strings.IndexByte(name, '/')
		if i < 0 {
			if len(name) > 255 {
				return nil, "", syscall.ENAMETOOLONG
			}
			return dir, name, nil
		}
		next := dir.entries[name[:i]]
		switch {
		case next == nil:
			return nil, "", syscall.ENOENT
		case next.kind == disk.KindSymlink:
			return nil, "", syscall.ELOOP
		case next.kind != disk.KindDir:
			return nil, "", syscall.ENOTDIR
		}
		dir, name = next, name[i+1:]
	}
}

// find finds what a name stands for.
func (d *memDir) find(name string) (*inode, error) {
	dir, base, err := d.parent(name)
	if err != nil {
		return nil, err
	}
	if base == "." {
		return dir, nil
	}
	if n := dir.entries[base]; n != nil {
		return n, nil
	}
	return nil, syscall.ENOENT
}

// reading runs one operation that changes nothing, on what name stands for.
func (d *memDir) reading(op, name string, do func(n *inode) error) error {
	d.c.mu.Lock()
	defer d.c.mu.Unlock()
	err := d.c.read()
	var n *inode
	if err == nil {
		n, err = d.find(name)
	}
	if err == nil {
		err = do(n)
	}
	return d.err(op, name, err)
}

// changing runs one change on what name stands for.
func (d *memDir) changing(op, name string, do func(n *inode) error) error {
	d.c.mu.Lock()
	defer d.c.mu.Unlock()
	err := d.c.change()
	var n *inode
	if err == nil {
		n, err = d.find(name)
	}
	if err == nil {
		err = do(n)
	}
	return d.err(op, name, err)
}

// add makes a new entry.
func (d *memDir) add(op, name string, kind disk.Kind, perm uint32) (*inode, error) {
	d.c.mu.Lock()
	defer d.c.mu.Unlock()
	fail := func(err error) (*inode, error) { return nil, d.err(op, name, err) }
	if err := d.c.change(); err != nil {
		return fail(err)
	}
	dir, base, err := d.parent(name)
	if err != nil {
		return fail(err)
	}
	if base == "." || dir.entries[base] != nil {
		return fail(syscall.EEXIST)
	}
	if dir.nlink == 0 { // removed meanwhile
		return fail(syscall.ENOENT)
	}
	n := d.c.newInode(kind, perm)
	d.c.bind(dir, set{base, n})
	return n, nil
}

func (d *memDir) Create(name string, perm uint32) (disk.File, error) {
	n, err := d.add("create", name, disk.KindFile, perm&0o777)
	if err != nil {
		return nil, err
	}
	d.c.mu.Lock()
	defer d.c.mu.Unlock()
	return d.open(name, n, true), nil
}

func (d *memDir) open(name string, n *inode, writable bool) disk.File {
	n.handles++
	return &memFile{c: d.c, n: n, name: name, full: d.full(name), writable: writable}
}

func (d *memDir) openExisting(name string, writable bool) (disk.File, error) {
	var f disk.File
	err := d.reading("open", name, func(n *inode) error {
		if n.kind != disk.KindFile {
			return disk.ErrNotRegular
		}
		f = d.open(name, n, writable)
		return nil
	})
	return f, err
}

func (d *memDir) Open(name string) (disk.File, error)      { return d.openExisting(name, false) }
func (d *memDir) OpenWrite(name string) (disk.File, error) { return d.openExisting(name, true) }

func (d *memDir) Mkdir(name string, perm uint32) error {
	_, err := d.add("mkdir", name, disk.KindDir, perm)
	return err
}

func (d *memDir) Mkfifo(name string, perm uint32) error {
	_, err := d.add("mkfifo", name, disk.KindFifo, perm)
	return err
}

func (d *memDir) Mkdev(name string, kind disk.Kind, rdev uint64, perm uint32) error {
	n, err := d.add("mkdev", name, kind, perm)
	if err == nil {
		d.c.mu.Lock()
		n.rdev = rdev
		d.c.mu.Unlock()
	}
	return err
}

func (d *memDir) Symlink(target, name string) error {
	n, err := d.add("symlink", name, disk.KindSymlink, 0o777)
	if err == nil {
		d.c.mu.Lock()
		n.target = target
		d.c.mu.Unlock()
	}
	return err
}

func (d *memDir) Remove(name string) error {
	d.c.mu.Lock()
	defer d.c.mu.Unlock()
	return d.err("remove", name, d.remove(name))
}

func (d *memDir) remove(name string) error {
	if err := d.c.change(); err != nil {
		return err
	}
	dir, base, err := d.parent(name)
	if err != nil {
		return err
	}
	n := dir.entries[base]
	switch {
	case base == ".":
		return syscall.EINVAL
	case n == nil:
		return syscall.ENOENT
	case len(n.entries) > 0:
		return syscall.ENOTEMPTY
	}
	d.c.bind(dir, set{base, nil})
	return nil
}

// two runs one change on two names.
func (d *memDir) two(op, oldname, newname string, do func(from *inode, oldbase string, to *inode, newbase string) error) error {
	d.c.mu.Lock()
	defer d.c.mu.Unlock()
	err := d.c.change()
	var from, to *inode
	var oldbase, newbase string
	if err == nil {
		from, oldbase, err = d.parent(oldname)
	}
	if err == nil {
		to, newbase, err = d.parent(newname)
	}
	if err == nil && (oldbase == "." || newbase == ".") {
		err = syscall.EINVAL
	}
	if err == nil && from.entries[oldbase] == nil {
		err = syscall.ENOENT
	}
	if err == nil {
		err = do(from, oldbase, to, newbase)
	}
	if err != nil {
		return &os.LinkError{Op: op, Old: d.full(oldname), New: d.full(newname), Err: err}
	}
	return nil
}

func (d *memDir) Link(oldname, newname string) error {
	return d.two("link", oldname, newname, func(from *inode, oldbase string, to *inode, newbase string) error {
		n := from.entries[oldbase]
		switch {
		case to.entries[newbase] != nil:
			return syscall.EEXIST
		case n.kind == disk.KindDir:
			return syscall.EPERM
		case to.nlink == 0:
			return syscall.ENOENT
		}
		d.c.bind(to, set{newbase, n})
		return nil
	})
}

func (d *memDir) CloneRange(from, to string, off, n int64) error {
	return d.two("clone", from, to, func(src *inode, srcbase string, dst *inode, dstbase string) error {
		a, b := src.entries[srcbase], dst.entries[dstbase]
		switch {
		case b == nil:
			return syscall.ENOENT
		case a.kind != disk.KindFile || b.kind != disk.KindFile:
			return syscall.EINVAL
		}
		return d.c.cloneRange(a, b, off, n)
	})
}

func (d *memDir) Rename(oldname, newname string) error {
	return d.two("rename", oldname, newname, func(from *inode, oldbase string, to *inode, newbase string) error {
		n, over := from.entries[oldbase], to.entries[newbase]
		switch {
		case to.nlink == 0:
			return syscall.ENOENT
		case n == over:
			return nil
		}
		if within(to, n) {
			return syscall.EINVAL
		}
		if over != nil && within(from, over) {
			return syscall.ENOTEMPTY
		}
		if n.kind == disk.KindDir {
			if over != nil && over.kind != disk.KindDir {
				return syscall.ENOTDIR
			}
		} else if over != nil && over.kind == disk.KindDir {
			return syscall.EISDIR
		}
		if over != nil && len(over.entries) > 0 {
			return syscall.ENOTEMPTY
		}
		if from == to {
			d.c.bind(from, set{oldbase, nil}, set{newbase, n})
			return nil
		}
		add := d.c.bind(to, set{newbase, n})
		gone := d.c.bind(from, set{oldbase, nil})
		gone.moved, gone.after = n, add
		return nil
	})
}

// within tells whether a directory is another, or lies below it.
func within(dir, top *inode) bool {
	for ; dir != nil; dir = dir.parent {
		if dir == top {
			return true
		}
	}
	return false
}

func (d *memDir) Readlink(name string) (target string, err error) {
	err = d.reading("readlink", name, func(n *inode) error {
		if n.kind != disk.KindSymlink {
			return syscall.EINVAL
		}
		target = n.target
		return nil
	})
	return target, err
}

func (d *memDir) Stat(name string) (st disk.Stat, err error) {
	err = d.reading("stat", name, func(n *inode) error {
		st = n.stat()
		return nil
	})
	return st, err
}

func (d *memDir) ReadDir(name string) (disk.Names, error) {
	var b disk.NamesBuilder
	err := d.reading("readdir", name, func(n *inode) error {
		if n.kind != disk.KindDir {
			return syscall.ENOTDIR
		}
		for name := range n.entries {
			if err := b.Add(name); err != nil {
				return err
			}
		}
		return nil
	})
	return b.Names(), err
}

func (d *memDir) Meta(name string, st disk.Stat) (m disk.Meta, err error) {
	m = disk.Meta{Mode: st.Mode, UID: st.UID, GID: st.GID, MTime: st.MTime}
	err = d.reading("xattr", name, func(n *inode) error {
		m.Xattrs = slices.Clone(n.now.xattrs)
		return nil
	})
	return m, err
}

func (d *memDir) SetMeta(name string, m disk.Meta, o disk.MetaOptions) error {
	var problems []disk.MetaProblem
	err := d.changing("set metadata", name, func(n *inode) error {
		if o.Owner {
			n.now.uid, n.now.gid = m.UID, m.GID
		}
		if o.Mode && n.kind != disk.KindSymlink {
			n.now.mode = m.Mode & 0o7777
			if n.kind != disk.KindDir && !(o.Privileged && o.Owner) {
				n.now.mode &^= 0o6000
			}
		}
		n.now.xattrs, problems = setXattrs(n, m.Xattrs, o.Privileged)
		n.now.mtime, n.ctime = m.MTime, d.c.tick()
		if n.kind != disk.KindFile && n.kind != disk.KindDir { // there is no sync for them
			n.synced = n.now
		}
		return nil
	})
	if err == nil && problems != nil {
		return &disk.MetaError{Name: d.full(name), Problems: problems}
	}
	return err
}

// setXattrs does as Linux: user attributes are for files and directories.
func setXattrs(n *inode, want []disk.Xattr, privileged bool) (xs []disk.Xattr, problems []disk.MetaProblem) {
	trusted := func(x disk.Xattr) bool { return !strings.HasPrefix(x.Name, "user.") }
	for _, x := range n.now.xattrs {
		if trusted(x) && !privileged {
			xs = append(xs, x)
		}
	}
	for _, x := range want {
		switch {
		case trusted(x) && !privileged:
		case !trusted(x) && n.kind != disk.KindFile && n.kind != disk.KindDir:
			problems = append(problems, disk.MetaProblem{What: x.Name, Err: syscall.EPERM})
		default:
			xs = append(xs, disk.Xattr{Name: x.Name, Value: slices.Clone(x.Value)})
		}
	}
	slices.SortFunc(xs, func(a, b disk.Xattr) int { return cmp.Compare(a.Name, b.Name) })
	return xs, problems
}

func (d *memDir) SyncDir(name string) error {
	return d.changing("sync", name, func(n *inode) error {
		if n.kind != disk.KindDir {
			return syscall.ENOTDIR
		}
		n.syncDir()
		return nil
	})
}

// SyncFiles is one operation a file: a crash may come between two.
func (d *memDir) SyncFiles(names []string) error {
	for _, name := range names {
		err := d.changing("sync", name, func(n *inode) error {
			if n.kind != disk.KindFile {
				return disk.ErrNotRegular
			}
			n.syncFile()
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *memDir) Sub(name string) (sub disk.FS, err error) {
	err = d.reading("open", name, func(n *inode) error {
		if n.kind != disk.KindDir {
			return syscall.ENOTDIR
		}
		sub = &memDir{d.c, n, d.full(name)}
		return nil
	})
	return sub, err
}

// Free of a Mem without bound is a TiB.
func (d *memDir) Free() (disk.Space, error) {
	d.c.mu.Lock()
	defer d.c.mu.Unlock()
	if err := d.c.read(); err != nil {
		return disk.Space{}, d.err("statfs", ".", err)
	}
	total := d.c.capacity
	if total == 0 {
		total = 1 << 40
	}
	return disk.Space{Avail: max(0, total-d.c.used), Total: total}, nil
}

func (d *memDir) Close() error { return nil }
