package snapshot

import (
	"fmt"
	"strings"

	"waterlock/internal/disk"
)

// maxOpenDirs bounds the directories that a descent keeps open.
const maxOpenDirs = 64

// descent reaches directories by going down one name at a time, so that
// neither the length of a path nor its depth matters, and keeps those above
// the current one open while they are few. What comes in tree order costs one
// step a directory.
type descent struct {
	root   disk.FS // the caller's; never closed here
	path   string
	levels []dirLevel // one for each name of path
	open   int        // levels with an open directory
}

type dirLevel struct {
	end      int     // of its name in path
	fs       disk.FS // nil: closed to keep few open
	dev, ino uint64
}

// at returns the directory at path, valid until the next call.
func (d *descent) at(path string) (disk.FS, error) {
	if path == d.path {
		return d.current()
	}
	d.cut(path)
	for d.path != path {
		parent, err := d.current()
		if err != nil {
			return nil, err
		}
		start := 0
		if d.path != "" {
			start = len(d.path) + 1
		}
		end := len(path)
		if i := strings.IndexByte(path[start:], '/'); i >= 0 {
			end = start + i
		}
		sub, st, err := openDir(parent, path[start:end])
		if err != nil {
			return nil, err
		}
		d.levels = append(d.levels, dirLevel{end: end, fs: sub, dev: st.Dev, ino: st.Ino})
		d.path = path[:end]
		d.open++
		d.closeFarthest()
	}
	return d.current()
}

// cut leaves the levels that are not above path, nor path itself.
func (d *descent) cut(path string) {
	for len(d.levels) > 0 && !Under(path, d.path) {
		top := d.levels[len(d.levels)-1]
		if top.fs != nil {
			top.fs.Close()
			d.open--
		}
		d.levels = d.levels[:len(d.levels)-1]
		d.path, _ = Split(d.path)
	}
}

// current is the directory at the current path, opened again where it was
// closed: it and as many of those above it as half the bound allows.
func (d *descent) current() (disk.FS, error) {
	n := len(d.levels)
	if n == 0 {
		return d.root, nil
	}
	if fs := d.levels[n-1].fs; fs != nil {
		return fs, nil
	}
	fs, start := d.root, 0
	for i := range d.levels {
		l := &d.levels[i]
		sub, st, err := openDir(fs, d.path[start:l.end])
		if i > 0 && i <= n-maxOpenDirs/2 {
			fs.Close()
			d.levels[i-1].fs = nil
			d.open--
		}
		if err == nil && (st.Dev != l.dev || st.Ino != l.ino) {
			sub.Close()
			err = fmt.Errorf("directory was replaced by another while it was being read")
		}
		if err != nil {
			return nil, err
		}
		l.fs = sub
		d.open++
		fs, start = sub, l.end+1
	}
	return fs, nil
}

// closeFarthest closes the open directory farthest from the current one.
func (d *descent) closeFarthest() {
	for i := 0; d.open > maxOpenDirs && i < len(d.levels)-1; i++ {
		if l := &d.levels[i]; l.fs != nil {
			l.fs.Close()
			l.fs = nil
			d.open--
		}
	}
}

func (d *descent) close() {
	for _, l := range d.levels {
		if l.fs != nil {
			l.fs.Close()
		}
	}
	d.levels, d.path, d.open = nil, "", 0
}

// openDir opens a directory and tells which one it is.
func openDir(parent disk.FS, name string) (disk.FS, disk.Stat, error) {
	sub, err := parent.Sub(name)
	if err != nil {
		return nil, disk.Stat{}, err
	}
	st, err := sub.Stat(".")
	if err != nil {
		sub.Close()
		return nil, disk.Stat{}, err
	}
	return sub, st, nil
}
