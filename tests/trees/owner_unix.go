//go:build unix

package trees

import (
	"io/fs"
	"syscall"
)

// owner fills in the owner and returns what tells the file from others, and
// its number of names.
func owner(st fs.FileInfo, f *Facts) (id [2]uint64, links uint64) {
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !ok {
		return id, 1
	}
	f.UID, f.GID = sys.Uid, sys.Gid
	return [2]uint64{uint64(sys.Dev), sys.Ino}, uint64(sys.Nlink)
}
