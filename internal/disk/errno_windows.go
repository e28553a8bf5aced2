package disk

import (
	"errors"
	"syscall"

	"golang.org/x/sys/windows"
)

// IsNoSpace tells whether err says that a disk or a quota is full.
func IsNoSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL) ||
		errors.Is(err, windows.ERROR_DISK_QUOTA_EXCEEDED)
}

// IsIOError tells whether err says that a device failed or went away.
func IsIOError(err error) bool {
	return errors.Is(err, syscall.EIO) || errors.Is(err, windows.ERROR_IO_DEVICE) || errors.Is(err, windows.ERROR_CRC) ||
		errors.Is(err, windows.ERROR_NOT_READY) || errors.Is(err, windows.ERROR_DEV_NOT_EXIST)
}
