//go:build linux || darwin

package disk

import (
	"os"

	"golang.org/x/sys/unix"
)

// syncManyFrom is the number of files from which on one sync of the whole
// file system is cheaper than one of each.
const syncManyFrom = 64

// SyncDir: open the directory, fsync, close.
func (d *dir) SyncDir(name string) error {
	if name == "." {
		return d.err("sync", name, ignoreNoDirSync(fsync(d.fd)))
	}
	return d.do("sync", name, func(dirfd int, base string) error {
		fd, err := openat(dirfd, base, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return ignoreNoDirSync(fsync(fd))
	})
}

// ignoreNoDirSync forgives file systems that cannot sync a directory.
func ignoreNoDirSync(err error) error {
	if err == unix.EINVAL || err == unix.ENOTSUP {
		return nil
	}
	return err
}

// SyncFiles: for each file open, fsync, close. Of many files on one of our own
// file systems: one syncfs.
func (d *dir) SyncFiles(names []string) error {
	if len(names) >= syncManyFrom {
		rest, err := d.syncMany(names)
		if err != nil {
			return err
		}
		names = rest
	}
	for _, name := range names {
		if err := d.syncFile(name); err != nil {
			return err
		}
	}
	return nil
}

func (d *dir) syncFile(name string) error {
	f, err := d.openFile(name, unix.O_RDONLY)
	if os.IsPermission(err) {
		f, err = d.openFile(name, unix.O_WRONLY)
	}
	if err != nil {
		return err
	}
	err = f.Sync()
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}
