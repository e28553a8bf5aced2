package disk

import (
	"errors"
	"io/fs"
	"strings"
	"syscall"
)

// MkdirAll durably makes a directory and its parents. What is there already
// must be real directories.
//
//	lstat(each) from the top to the first that is missing
//	fsync(parent) of the deepest that is there: a process that died may have
//	              made it and not come to this sync
//	mkdir, fsync(parent), mkdir, fsync(parent), …
func MkdirAll(fsys FS, name string, perm uint32) error {
	if err := CheckName(name); err != nil {
		return pathError("mkdir", name, err)
	}
	if name == "." {
		return nil
	}
	missing := false
	there := ""
	for end := 0; end < len(name); {
		if i := strings.IndexByte(name[end+1:], '/'); i >= 0 {
			end += 1 + i
		} else {
			end = len(name)
		}
		path := name[:end]
		if !missing {
			st, err := fsys.Stat(path)
			if err == nil && st.Kind != KindDir {
				return pathError("mkdir", path, syscall.ENOTDIR)
			}
			if err == nil {
				there = path
				continue
			}
			if !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			missing = true
			if there != "" {
				if err := fsys.SyncDir(parentOf(there)); err != nil {
					return err
				}
			}
		}
		if err := fsys.Mkdir(path, perm); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if err := fsys.SyncDir(parentOf(path)); err != nil {
			return err
		}
	}
	if !missing {
		return fsys.SyncDir(parentOf(there))
	}
	return nil
}
