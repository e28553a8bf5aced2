//go:build linux || darwin

package disk

import (
	"errors"

	"golang.org/x/sys/unix"
)

// IsNoSpace tells whether err says that a disk or a quota is full.
func IsNoSpace(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)
}

// IsIOError tells whether err says that a device failed or went away.
func IsIOError(err error) bool {
	return errors.Is(err, unix.EIO) || errors.Is(err, unix.ENXIO) || errors.Is(err, unix.ENODEV) ||
		errors.Is(err, unix.ENOTCONN) // a FUSE driver that is gone
}

// retry repeats a call that a signal interrupted.
func retry(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}
