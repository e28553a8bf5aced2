package disk

import (
	"errors"
	"strconv"
	"strings"

	"github.com/pkg/xattr"
	"golang.org/x/sys/unix"
)

const errNoXattr = unix.ENODATA

// procPath names what lies below a descriptor, or the thing itself with base
// "". The kernel goes straight to the inode: no link is followed on the way.
func procPath(fd int, base string) string {
	s := "/proc/self/fd/" + strconv.Itoa(fd)
	if base == "" {
		return s
	}
	return s + "/" + base
}

// xattrsAt reads the attributes without opening the entry, which for the most
// part has none: one call tells.
func xattrsAt(dirfd int, base string) ([]Xattr, error) {
	path := procPath(dirfd, base)
	names, err := xattr.LList(path)
	if err != nil {
		if isNoXattr(err) {
			return nil, nil
		}
		return nil, xattrCause(err)
	}
	var xs []Xattr
	for _, name := range names {
		value, err := xattr.LGet(path, name)
		switch {
		case err == nil:
			xs = append(xs, Xattr{name, value})
		case isNoXattr(err): // gone again, or listed but not to be had
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

// metaHandle is an entry of any kind, opened only to be pointed at (O_PATH):
// no right to read it is needed, and no pipe or device notices.
type metaHandle struct {
	fd   int
	path string
	kind Kind
}

func openMeta(dirfd int, base string) (metaHandle, error) {
	fd, err := openat(dirfd, base, unix.O_PATH|unix.O_NOFOLLOW, 0)
	if err != nil {
		return metaHandle{}, err
	}
	var st unix.Stat_t
	if err := retry(func() error { return unix.Fstat(fd, &st) }); err != nil {
		unix.Close(fd)
		return metaHandle{}, err
	}
	return metaHandle{fd, procPath(fd, ""), kindOfMode(st.Mode)}, nil
}

func (h metaHandle) close()                               { unix.Close(h.fd) }
func (h metaHandle) chmod(mode uint32) error              { return unix.Chmod(h.path, mode) }
func (h metaHandle) listXattrs() ([]string, error)        { return xattr.List(h.path) }
func (h metaHandle) setXattr(name string, v []byte) error { return xattr.Set(h.path, name, v) }
func (h metaHandle) removeXattr(name string) error        { return xattr.Remove(h.path, name) }

// mayRemoveXattr: labels that a security module keeps are never ours.
func mayRemoveXattr(name string, privileged bool) bool {
	switch {
	case strings.HasPrefix(name, "user."), strings.HasPrefix(name, aclPrefix):
		return true
	case strings.HasPrefix(name, "trusted."), name == "security.capability":
		return privileged
	}
	return false
}
