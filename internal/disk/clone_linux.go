package disk

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// CloneRange: FICLONERANGE.
func (d *dir) CloneRange(from, to string, off, n int64) error {
	src, err := d.openFile(from, unix.O_RDONLY)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := d.openFile(to, unix.O_RDWR)
	if err != nil {
		return err
	}
	err = dst.(*file).control("clone", func(fd int) error {
		return unix.IoctlFileCloneRange(fd, &unix.FileCloneRange{
			Src_fd: int64(src.(*file).f.Fd()), Src_offset: uint64(off), Src_length: uint64(n), Dest_offset: uint64(off),
		})
	})
	if cerr := dst.Close(); err == nil {
		err = cerr
	}
	for _, no := range []error{unix.EOPNOTSUPP, unix.ENOTTY, unix.EXDEV, unix.EINVAL, unix.ETXTBSY, unix.ENOSYS} {
		if errors.Is(err, no) {
			return fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
		}
	}
	return err
}
