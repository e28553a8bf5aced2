package disk

import (
	"golang.org/x/sys/unix"
)

const (
	openPath = unix.O_RDONLY
	seekHole = 3
	seekData = 4

	utimeNow = -1
)

// descend opens the directory name below dirfd, over no link.
func descend(dirfd int, name string) (int, error) { return walkDown(dirfd, name) }

func statat(dirfd int, base string) (Stat, error) {
	var s unix.Stat_t
	err := retry(func() error { return unix.Fstatat(dirfd, base, &s, unix.AT_SYMLINK_NOFOLLOW) })
	return statOf(&s), err
}

func statfd(fd int) (Stat, error) {
	var s unix.Stat_t
	err := retry(func() error { return unix.Fstat(fd, &s) })
	return statOf(&s), err
}

func statOf(s *unix.Stat_t) Stat {
	return Stat{
		Kind:  kindOfMode(uint32(s.Mode)),
		Mode:  uint32(s.Mode) & 0o7777,
		UID:   s.Uid,
		GID:   s.Gid,
		Size:  s.Size,
		Alloc: s.Blocks * 512,
		MTime: Time{s.Mtim.Sec, int32(s.Mtim.Nsec)},
		CTime: Time{s.Ctim.Sec, int32(s.Ctim.Nsec)},
		BTime: Time{s.Btim.Sec, int32(s.Btim.Nsec)},
		Ino:   s.Ino,
		Dev:   uint64(uint32(s.Dev)),
		Rdev:  uint64(uint32(s.Rdev)),
		Nlink: uint64(s.Nlink),
	}
}

// quiet does nothing here: there is no O_NOATIME.
type quiet struct{}

func newQuiet() *quiet { return nil }

func (*quiet) openat(dirfd int, base string, flags int) (fd, kept int, err error) {
	fd, err = openat(dirfd, base, flags, 0)
	return fd, 0, err
}

func mkfifoat(int, string, uint32) error { return unix.ENOTSUP }

func mknodat(int, string, uint32, uint64) error { return unix.ENOTSUP }

// fsync asks the drive to empty its cache, too; file systems of others (SMB)
// know only the plain one.
func fsync(fd int) error {
	_, err := unix.FcntlInt(uintptr(fd), unix.F_FULLFSYNC, 0)
	switch err {
	case unix.ENOTSUP, unix.EINVAL, unix.ENOTTY:
		return unix.Fsync(fd)
	}
	return err
}

func startWriteBack(int) {}

func fsType(s *unix.Statfs_t) string { return unix.ByteSliceToString(s.Fstypename[:]) }

func blockUnit(s *unix.Statfs_t) int64 { return int64(s.Bsize) }

func (d *dir) syncMany(names []string) (rest []string, err error) { return names, nil }

// evict keeps further reads out of the cache. What is cached already may
// still answer, so it is never called cold.
func evict(fd int) (Coldness, error) {
	_, err := unix.FcntlInt(uintptr(fd), unix.F_NOCACHE, 1)
	return Warm, err
}
