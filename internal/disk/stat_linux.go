package disk

import (
	"sync/atomic"

	"golang.org/x/sys/unix"
)

const (
	openPath = unix.O_PATH
	seekData = unix.SEEK_DATA
	seekHole = unix.SEEK_HOLE

	utimeNow = unix.UTIME_NOW
)

// noOpenat2 is set once the kernel, or a filter before it, refused openat2.
var noOpenat2 atomic.Bool

// descend opens the directory name below dirfd, over no link.
func descend(dirfd int, name string) (int, error) {
	if noOpenat2.Load() || len(name) >= unix.PathMax {
		return walkDown(dirfd, name)
	}
	how := unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_NO_SYMLINKS,
	}
	var fd int
	err := retry(func() (err error) {
		fd, err = unix.Openat2(dirfd, name, &how)
		return err
	})
	switch err {
	case unix.ENOSYS, unix.EPERM, unix.EAGAIN:
		if err == unix.ENOSYS {
			noOpenat2.Store(true)
		}
		return walkDown(dirfd, name)
	}
	return fd, err
}

// statat is one statx: it tells the time of birth, too.
func statat(dirfd int, base string) (Stat, error) {
	return statx(dirfd, base, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT)
}

func statfd(fd int) (Stat, error) { return statx(fd, "", unix.AT_EMPTY_PATH) }

func statx(dirfd int, base string, flags int) (Stat, error) {
	var s unix.Statx_t
	err := retry(func() error {
		return unix.Statx(dirfd, base, flags, unix.STATX_BASIC_STATS|unix.STATX_BTIME, &s)
	})
	if err != nil {
		return Stat{}, err
	}
	st := Stat{
		Kind:  kindOfMode(uint32(s.Mode)),
		Mode:  uint32(s.Mode) & 0o7777,
		UID:   s.Uid,
		GID:   s.Gid,
		Size:  int64(s.Size),
		Alloc: int64(s.Blocks) * 512,
		MTime: Time{s.Mtime.Sec, int32(s.Mtime.Nsec)},
		CTime: Time{s.Ctime.Sec, int32(s.Ctime.Nsec)},
		Ino:   s.Ino,
		Dev:   unix.Mkdev(s.Dev_major, s.Dev_minor),
		Rdev:  unix.Mkdev(s.Rdev_major, s.Rdev_minor),
		Nlink: uint64(s.Nlink),
	}
	if s.Mask&unix.STATX_BTIME != 0 {
		st.BTime = Time{s.Btime.Sec, int32(s.Btime.Nsec)}
	}
	return st, nil
}

// quiet opens files without touching their access times, as far as the
// kernel lets us: it does so for owners and root.
type quiet struct{ refused atomic.Int32 }

// quietTries is how often in a row the kernel may refuse before we stop asking.
const quietTries = 8

func newQuiet() *quiet { return &quiet{} }

// openat returns the status flags to keep once O_NONBLOCK is taken away.
func (q *quiet) openat(dirfd int, base string, flags int) (fd, kept int, err error) {
	if q.refused.Load() < quietTries {
		fd, err = openat(dirfd, base, flags|unix.O_NOATIME, 0)
		if err != unix.EPERM {
			if err == nil {
				q.refused.Store(0)
			}
			return fd, unix.O_NOATIME, err
		}
		q.refused.Add(1)
	}
	fd, err = openat(dirfd, base, flags, 0)
	return fd, 0, err
}

func mkfifoat(dirfd int, base string, perm uint32) error {
	return unix.Mkfifoat(dirfd, base, perm)
}

func mknodat(dirfd int, base string, mode uint32, rdev uint64) error {
	return unix.Mknodat(dirfd, base, mode, int(rdev))
}

func fsync(fd int) error { return unix.Fsync(fd) }

func startWriteBack(fd int) {
	// A hint: the sync that follows reports errors.
	_ = unix.SyncFileRange(fd, 0, 0, unix.SYNC_FILE_RANGE_WRITE)
}

// fsType names a file system by what statfs says of it.
func fsType(s *unix.Statfs_t) string {
	switch uint32(s.Type) {
	case fsExt4:
		return "ext4"
	case fsXFS:
		return "xfs"
	case fsBtrfs:
		return "btrfs"
	case fsF2FS:
		return "f2fs"
	case fsBcachefs:
		return "bcachefs"
	case fsTmpfs:
		return "tmpfs"
	case fsMSDOS:
		return "vfat"
	case fsExFAT:
		return "exfat"
	case fsNTFS3:
		return "ntfs3"
	case fsHFSPlus:
		return "hfsplus"
	case fsFUSE:
		return "FUSE"
	case fsNFS:
		return "nfs"
	case fsSMB2, fsCIFS:
		return "smb"
	case fsZFS:
		return "zfs"
	case fsOverlay:
		return "overlay"
	}
	return ""
}

func blockUnit(s *unix.Statfs_t) int64 {
	if s.Frsize > 0 {
		return int64(s.Frsize)
	}
	return int64(s.Bsize)
}

// syncMany makes many files durable by one syncfs, and returns those that
// lie elsewhere and are still to be synced one by one. Errors of write-back
// since the directory was opened are reported (Linux 5.8). Only file systems
// known to wait for the medium in syncfs: FUSE, for one, does not.
func (d *dir) syncMany(names []string) (rest []string, err error) {
	var fsStat unix.Statfs_t
	if err := retry(func() error { return unix.Fstatfs(d.fd, &fsStat) }); err != nil {
		return nil, d.err("statfs", ".", err)
	}
	if !syncfsWaits(int64(fsStat.Type)) {
		return names, nil
	}
	root, err := statfd(d.fd)
	if err != nil {
		return nil, d.err("stat", ".", err)
	}
	for _, name := range names {
		st, err := d.Stat(name)
		if err != nil {
			return nil, err
		}
		if st.Kind != KindFile {
			return nil, d.err("sync", name, ErrNotRegular)
		}
		if st.Dev != root.Dev {
			rest = append(rest, name)
		}
	}
	return rest, d.err("syncfs", ".", retry(func() error { return unix.Syncfs(d.fd) }))
}
