package disk

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/windows"
)

// dir is a directory as an os.Root. Metadata is kept as far as Windows has
// it: the read-only bit and times; no owners, no attributes.
type dir struct {
	root *os.Root
	path string
}

// Dir opens a directory as a root. The path itself may go over links.
func Dir(path string) (FS, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	return &dir{root, path}, nil
}

func (d *dir) full(name string) string { return filepath.Join(d.path, filepath.FromSlash(name)) }

// check refuses names that Windows reads otherwise than we do, and parents
// that are not real directories: os.Root follows links that stay within it.
func (d *dir) check(op, name string) (string, error) {
	dirname, _, err := splitName(name)
	if err == nil && (strings.ContainsAny(name, `\:`) || !filepath.IsLocal(filepath.FromSlash(name))) {
		err = ErrName
	}
	for i := 0; err == nil && i < len(dirname); {
		if n := strings.IndexByte(dirname[i:], '/'); n >= 0 {
			i += n
		} else {
			i = len(dirname)
		}
		var fi os.FileInfo
		fi, err = d.root.Lstat(filepath.FromSlash(dirname[:i]))
		if err == nil && !fi.IsDir() {
			err = syscall.ENOTDIR
		}
		i++
	}
	if err != nil {
		return "", pathError(op, d.full(name), cause(err))
	}
	return filepath.FromSlash(name), nil
}

func cause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

func (d *dir) err(op, name string, err error) error {
	return pathError(op, d.full(name), cause(err))
}

func (d *dir) do(op, name string, call func(local string) error) error {
	local, err := d.check(op, name)
	if err != nil {
		return err
	}
	if err := call(local); err != nil {
		return d.err(op, name, err)
	}
	return nil
}

func (d *dir) open(op, name string, flags int, perm uint32) (File, error) {
	var f *os.File
	err := d.do(op, name, func(local string) (err error) {
		if flags&os.O_CREATE == 0 {
			fi, err := d.root.Lstat(local)
			if err != nil {
				return err
			}
			if !fi.Mode().IsRegular() {
				return ErrNotRegular
			}
		}
		f, err = d.root.OpenFile(local, flags, os.FileMode(perm)&0o777)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &file{File: f, name: name}, nil
}

func (d *dir) Open(name string) (File, error)      { return d.open("open", name, os.O_RDONLY, 0) }
func (d *dir) OpenWrite(name string) (File, error) { return d.open("open", name, os.O_RDWR, 0) }
func (d *dir) Create(name string, perm uint32) (File, error) {
	return d.open("create", name, os.O_RDWR|os.O_CREATE|os.O_EXCL, perm)
}

func (d *dir) Mkdir(name string, perm uint32) error {
	return d.do("mkdir", name, func(local string) error { return d.root.Mkdir(local, os.FileMode(perm)&0o777) })
}

func (d *dir) Remove(name string) error { return d.do("remove", name, d.root.Remove) }

func (d *dir) Symlink(target, name string) error {
	return d.do("symlink", name, func(local string) error { return d.root.Symlink(target, local) })
}

func (d *dir) Mkfifo(name string, _ uint32) error {
	return d.err("mkfifo", name, errors.ErrUnsupported)
}

func (d *dir) Mkdev(name string, _ Kind, _ uint64, _ uint32) error {
	return d.err("mkdev", name, errors.ErrUnsupported)
}

func (d *dir) two(op, oldname, newname string, call func(o, n string) error) error {
	o, err := d.check(op, oldname)
	if err != nil {
		return err
	}
	n, err := d.check(op, newname)
	if err != nil {
		return err
	}
	if err := call(o, n); err != nil {
		var le *os.LinkError
		if errors.As(err, &le) {
			err = le.Err
		}
		return &os.LinkError{Op: op, Old: d.full(oldname), New: d.full(newname), Err: err}
	}
	return nil
}

func (d *dir) Link(oldname, newname string) error {
	return d.two("link", oldname, newname, d.root.Link)
}

func (d *dir) Rename(oldname, newname string) error {
	return d.two("rename", oldname, newname, d.root.Rename)
}

func (d *dir) Readlink(name string) (target string, err error) {
	err = d.do("readlink", name, func(local string) (err error) {
		target, err = d.root.Readlink(local)
		return err
	})
	return target, err
}

func (d *dir) Stat(name string) (st Stat, err error) {
	err = d.do("stat", name, func(local string) error {
		fi, err := d.root.Lstat(local)
		if err == nil {
			st = statOf(fi)
		}
		return err
	})
	return st, err
}

// statOf has no inode: Windows gives it only to open files.
func statOf(fi os.FileInfo) Stat {
	st := Stat{Mode: uint32(fi.Mode().Perm()), Size: fi.Size(), Alloc: fi.Size(), MTime: TimeOf(fi.ModTime()), Nlink: 1}
	st.CTime = st.MTime
	if sys, ok := fi.Sys().(*syscall.Win32FileAttributeData); ok {
		ns := sys.CreationTime.Nanoseconds()
		st.BTime = Time{ns / 1e9, int32(ns % 1e9)}
	}
	switch {
	case fi.Mode().IsRegular():
		st.Kind = KindFile
	case fi.IsDir():
		st.Kind = KindDir
	case fi.Mode()&os.ModeSymlink != 0:
		st.Kind = KindSymlink
	case fi.Mode()&os.ModeNamedPipe != 0:
		st.Kind = KindFifo
	case fi.Mode()&os.ModeSocket != 0:
		st.Kind = KindSocket
	default:
		st.Kind = KindCharDevice
	}
	return st
}

func (d *dir) ReadDir(name string) (Names, error) {
	var b NamesBuilder
	err := d.do("readdir", name, func(local string) error {
		f, err := d.root.Open(local)
		if err != nil {
			return err
		}
		defer f.Close()
		for {
			batch, err := f.Readdirnames(512)
			for _, s := range batch {
				if err := b.Add(s); err != nil {
					return err
				}
			}
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return err
			}
		}
	})
	if err != nil {
		return Names{}, err
	}
	return b.Names(), nil
}

func (d *dir) Meta(_ string, st Stat) (Meta, error) {
	return Meta{Mode: st.Mode, UID: st.UID, GID: st.GID, MTime: st.MTime}, nil
}

// SetMeta sets the times of files and directories, and the read-only bit.
func (d *dir) SetMeta(name string, m Meta, o MetaOptions) error {
	st, err := d.Stat(name)
	if err != nil {
		return err
	}
	var problems []MetaProblem
	for _, x := range m.Xattrs {
		problems = append(problems, MetaProblem{x.Name, errors.ErrUnsupported})
	}
	local := filepath.FromSlash(name)
	if st.Kind == KindFile || st.Kind == KindDir {
		t := m.MTime.Time()
		if err := d.root.Chtimes(local, t, t); err != nil {
			problems = append(problems, MetaProblem{"times", cause(err)})
		}
		if o.Mode && st.Kind == KindFile {
			if err := d.root.Chmod(local, os.FileMode(m.Mode)&0o777); err != nil {
				problems = append(problems, MetaProblem{"mode", cause(err)})
			}
		}
	}
	if problems != nil {
		return &MetaError{Name: d.full(name), Problems: problems}
	}
	return nil
}

// SyncDir does nothing: Windows has no such thing.
func (d *dir) SyncDir(name string) error {
	return d.do("sync", name, func(local string) error {
		_, err := d.root.Lstat(local)
		return err
	})
}

// SyncFiles: for each file open for writing, FlushFileBuffers, close.
func (d *dir) SyncFiles(names []string) error {
	for _, name := range names {
		f, err := d.OpenWrite(name)
		if err != nil {
			return err
		}
		err = f.Sync()
		if e := f.Close(); err == nil {
			err = e
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *dir) Sub(name string) (sub FS, err error) {
	err = d.do("open", name, func(local string) error {
		fi, err := d.root.Lstat(local)
		if err != nil {
			return err
		}
		if !fi.IsDir() {
			return syscall.ENOTDIR
		}
		root, err := d.root.OpenRoot(local)
		if err == nil {
			sub = &dir{root, d.full(name)}
		}
		return err
	})
	return sub, err
}

func (d *dir) Free() (s Space, err error) {
	path, err := windows.UTF16PtrFromString(d.path)
	if err != nil {
		return s, err
	}
	var avail, total uint64
	if err := windows.GetDiskFreeSpaceEx(path, &avail, &total, nil); err != nil {
		return s, d.err("free space", ".", err)
	}
	return Space{Avail: int64(avail), Total: int64(total)}, nil
}

func (d *dir) Close() error { return d.root.Close() }
