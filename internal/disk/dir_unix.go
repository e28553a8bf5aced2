//go:build linux || darwin

package disk

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// dir is a directory by its descriptor.
type dir struct {
	fd int
	at ancestry
	// quiet asks not to touch access times (Linux).
	quiet *quiet
}

// Dir opens a directory as a root. The path itself may go over links.
func Dir(path string) (FS, error) {
	d, err := openDir(path)
	if err != nil {
		return nil, err
	}
	return d, nil
}

func openDir(path string) (*dir, error) {
	fd, err := openat(unix.AT_FDCWD, path, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, pathError("open", path, err)
	}
	return &dir{fd: fd, at: ancestry{name: path}, quiet: newQuiet()}, nil
}

func openat(dirfd int, name string, flags int, perm uint32) (fd int, err error) {
	err = retry(func() error {
		fd, err = unix.Openat(dirfd, name, flags|unix.O_CLOEXEC, perm)
		return err
	})
	return fd, err
}

// A parent is the directory in which an operation on a name works.
type parent struct {
	fd  int
	own bool
}

func (p parent) close() {
	if p.own {
		unix.Close(p.fd)
	}
}

// parent finds the directory of name and the last component of it.
func (d *dir) parent(name string) (parent, string, error) {
	dirname, base, err := splitName(name)
	if err != nil {
		return parent{}, "", err
	}
	if dirname == "" {
		return parent{fd: d.fd}, base, nil
	}
	fd, err := descend(d.fd, dirname)
	if err != nil {
		return parent{}, "", err
	}
	return parent{fd, true}, base, nil
}

// walkDown opens a directory below dirfd component by component.
func walkDown(dirfd int, name string) (int, error) {
	fd, own := dirfd, false
	for len(name) > 0 {
		part := name
		name = ""
		for i := range len(part) {
			if part[i] == '/' {
				part, name = part[:i], part[i+1:]
				break
			}
		}
		next, err := openat(fd, part, openPath|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
		if own {
			unix.Close(fd)
		}
		if err != nil {
			return -1, err
		}
		fd, own = next, true
	}
	return fd, nil
}

func (d *dir) err(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return pathError(op, d.at.path(name), err)
}

// do runs one operation on the last component of name within its directory.
func (d *dir) do(op, name string, call func(dirfd int, base string) error) error {
	p, base, err := d.parent(name)
	if err == nil {
		err = retry(func() error { return call(p.fd, base) })
		p.close()
	}
	return d.err(op, name, err)
}

func (d *dir) Close() error {
	fd := d.fd
	d.fd = -1
	if fd < 0 {
		return d.err("close", ".", fs.ErrClosed)
	}
	return d.err("close", ".", unix.Close(fd))
}

func (d *dir) Open(name string) (File, error) {
	return d.openFile(name, unix.O_RDONLY)
}

func (d *dir) OpenWrite(name string) (File, error) {
	return d.openFile(name, unix.O_RDWR)
}

// openFile opens an existing regular file. O_NONBLOCK keeps it from waiting
// at a pipe; it is taken away again, as Go would poll the descriptor else,
// which FUSE answers in its own way.
func (d *dir) openFile(name string, mode int) (File, error) {
	p, base, err := d.parent(name)
	if err != nil {
		return nil, d.err("open", name, err)
	}
	defer p.close()
	flags := mode | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_NOCTTY
	fd, kept, err := d.quiet.openat(p.fd, base, flags)
	switch err {
	case nil:
	case unix.ELOOP, unix.ENXIO, unix.EISDIR, unix.EOPNOTSUPP:
		return nil, d.err("open", name, ErrNotRegular)
	default:
		return nil, d.err("open", name, err)
	}
	var st unix.Stat_t
	err = retry(func() error { return unix.Fstat(fd, &st) })
	if err == nil && st.Mode&unix.S_IFMT != unix.S_IFREG {
		err = ErrNotRegular
	}
	if err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_SETFL, kept)
	}
	if err != nil {
		unix.Close(fd)
		return nil, d.err("open", name, err)
	}
	return newFile(d, fd, name), nil
}

func (d *dir) Create(name string, perm uint32) (File, error) {
	p, base, err := d.parent(name)
	if err != nil {
		return nil, d.err("create", name, err)
	}
	defer p.close()
	fd, err := openat(p.fd, base, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW, perm)
	if err != nil {
		return nil, d.err("create", name, err)
	}
	return newFile(d, fd, name), nil
}

func (d *dir) Mkdir(name string, perm uint32) error {
	return d.do("mkdir", name, func(dirfd int, base string) error { return unix.Mkdirat(dirfd, base, perm) })
}

func (d *dir) Symlink(target, name string) error {
	return d.do("symlink", name, func(dirfd int, base string) error { return unix.Symlinkat(target, dirfd, base) })
}

func (d *dir) Mkfifo(name string, perm uint32) error {
	return d.do("mkfifo", name, func(dirfd int, base string) error { return mkfifoat(dirfd, base, perm) })
}

func (d *dir) Mkdev(name string, kind Kind, rdev uint64, perm uint32) error {
	return d.do("mkdev", name, func(dirfd int, base string) error {
		switch kind {
		case KindCharDevice:
			return mknodat(dirfd, base, unix.S_IFCHR|perm, rdev)
		case KindBlockDevice:
			return mknodat(dirfd, base, unix.S_IFBLK|perm, rdev)
		}
		return unix.EINVAL
	})
}

// Remove tries as for a file first, then as for a directory.
func (d *dir) Remove(name string) error {
	return d.do("remove", name, func(dirfd int, base string) error {
		err := unix.Unlinkat(dirfd, base, 0)
		if err != unix.EISDIR && err != unix.EPERM {
			return err
		}
		if e := unix.Unlinkat(dirfd, base, unix.AT_REMOVEDIR); e != unix.ENOTDIR {
			return e
		}
		return err
	})
}

// two runs an operation on two names, neither of them the root.
func (d *dir) two(op, oldname, newname string, call func(oldfd int, oldbase string, newfd int, newbase string) error) error {
	fail := func(err error) error {
		return &os.LinkError{Op: op, Old: d.at.path(oldname), New: d.at.path(newname), Err: err}
	}
	from, oldbase, err := d.parent(oldname)
	if err != nil {
		return fail(err)
	}
	defer from.close()
	to, newbase, err := d.parent(newname)
	if err != nil {
		return fail(err)
	}
	defer to.close()
	if oldbase == "." || newbase == "." {
		return fail(unix.EINVAL)
	}
	if err := retry(func() error { return call(from.fd, oldbase, to.fd, newbase) }); err != nil {
		return fail(err)
	}
	return nil
}

func (d *dir) Link(oldname, newname string) error {
	return d.two("link", oldname, newname, func(oldfd int, oldbase string, newfd int, newbase string) error {
		return unix.Linkat(oldfd, oldbase, newfd, newbase, 0)
	})
}

func (d *dir) Rename(oldname, newname string) error {
	return d.two("rename", oldname, newname, unix.Renameat)
}

func (d *dir) Readlink(name string) (string, error) {
	var target string
	err := d.do("readlink", name, func(dirfd int, base string) error {
		for size := 256; ; size *= 2 {
			buf := make([]byte, size)
			n, err := unix.Readlinkat(dirfd, base, buf)
			if err != nil {
				return err
			}
			if n < size {
				target = string(buf[:n])
				return nil
			}
		}
	})
	return target, err
}

func (d *dir) Stat(name string) (Stat, error) {
	p, base, err := d.parent(name)
	if err != nil {
		return Stat{}, d.err("stat", name, err)
	}
	defer p.close()
	st, err := statat(p.fd, base)
	return st, d.err("stat", name, err)
}

// ReadDir reads names in batches, so that a directory of a million costs its
// arena and not a million strings.
func (d *dir) ReadDir(name string) (Names, error) {
	p, base, err := d.parent(name)
	if err != nil {
		return Names{}, d.err("readdir", name, err)
	}
	defer p.close()
	fd, _, err := d.quiet.openat(p.fd, base, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW)
	if err != nil {
		return Names{}, d.err("readdir", name, err)
	}
	f := os.NewFile(uintptr(fd), base)
	defer f.Close()
	var b NamesBuilder
	for {
		batch, err := f.Readdirnames(512)
		for _, s := range batch {
			if err := b.Add(s); err != nil {
				return Names{}, d.err("readdir", name, err)
			}
		}
		if err == io.EOF {
			return b.Names(), nil
		}
		if err != nil {
			return Names{}, d.err("readdir", name, cause(err))
		}
	}
}

// cause takes the file name off an error, where a better one is at hand.
func cause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

func (d *dir) Sub(name string) (FS, error) {
	p, base, err := d.parent(name)
	if err != nil {
		return nil, d.err("open", name, err)
	}
	defer p.close()
	fd, err := openat(p.fd, base, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, d.err("open", name, err)
	}
	at := d.at
	if name != "." {
		at = ancestry{&d.at, name}
	}
	return &dir{fd: fd, at: at, quiet: d.quiet}, nil
}

func (d *dir) Free() (Space, error) {
	var s unix.Statfs_t
	if err := retry(func() error { return unix.Fstatfs(d.fd, &s) }); err != nil {
		return Space{}, d.err("statfs", ".", err)
	}
	unit := blockUnit(&s)
	return Space{Avail: int64(s.Bavail) * unit, Total: int64(s.Blocks) * unit, Type: fsType(&s)}, nil
}
