package disk

import (
	"errors"
	"os"
	"strings"

	"github.com/pkg/xattr"
	"golang.org/x/sys/unix"
)

const errNoXattr = unix.ENOATTR

// openEntry opens an entry of any kind, a link itself included.
func openEntry(dirfd int, base string) (*os.File, error) {
	fd, err := openat(dirfd, base, unix.O_RDONLY|unix.O_SYMLINK|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	unix.SetNonblock(fd, false)
	return os.NewFile(uintptr(fd), base), nil
}

func xattrsAt(dirfd int, base string) ([]Xattr, error) {
	f, err := openEntry(dirfd, base)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := xattr.FList(f)
	if err != nil {
		if isNoXattr(err) {
			return nil, nil
		}
		return nil, xattrCause(err)
	}
	var xs []Xattr
	for _, name := range names {
		value, err := xattr.FGet(f, name)
		switch {
		case err == nil:
			xs = append(xs, Xattr{name, value})
		case isNoXattr(err):
		default:
			return xs, xattrCause(err)
		}
	}
	return xs, nil
}

func xattrCause(err error) error {
	var xe *xattr.Error
	if errors.As(err, &xe) {
		return xe.Err
	}
	return err
}

// metaHandle is an entry; f is nil where we may not open it.
type metaHandle struct {
	f       *os.File
	openErr error
	dirfd   int
	base    string
	kind    Kind
}

func openMeta(dirfd int, base string) (metaHandle, error) {
	var st unix.Stat_t
	if err := retry(func() error { return unix.Fstatat(dirfd, base, &st, unix.AT_SYMLINK_NOFOLLOW) }); err != nil {
		return metaHandle{}, err
	}
	f, err := openEntry(dirfd, base)
	return metaHandle{f, err, dirfd, base, kindOfMode(uint32(st.Mode))}, nil
}

func (h metaHandle) close() {
	if h.f != nil {
		h.f.Close()
	}
}

func (h metaHandle) chmod(mode uint32) error {
	return unix.Fchmodat(h.dirfd, h.base, mode, unix.AT_SYMLINK_NOFOLLOW)
}

func (h metaHandle) listXattrs() ([]string, error) {
	if h.f == nil {
		return nil, h.openErr
	}
	return xattr.FList(h.f)
}

func (h metaHandle) setXattr(name string, v []byte) error {
	if h.f == nil {
		return h.openErr
	}
	return xattr.FSet(h.f, name, v)
}

func (h metaHandle) removeXattr(name string) error { return xattr.FRemove(h.f, name) }

// mayRemoveXattr: what the system keeps is never ours.
func mayRemoveXattr(name string, _ bool) bool { return !strings.HasPrefix(name, "com.apple.") }
