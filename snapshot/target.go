package snapshot

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"waterlock/internal/disk"
)

// OpenTarget opens <target>/<tree>, making both. A dry run makes nothing: it looks at an empty directory instead.
func OpenTarget(target, tree string, dryRun bool) (dir disk.FS, done func(), err error) {
	if dryRun {
		if dir, err := disk.Dir(filepath.Join(target, tree)); err == nil {
			return dir, func() { dir.Close() }, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, nil, err
		}
		empty, err := os.MkdirTemp("", "wl-dry-run-")
		if err != nil {
			return nil, nil, err
		}
		dir, err := disk.Dir(empty)
		if err != nil {
			os.Remove(empty)
			return nil, nil, err
		}
		return dir, func() { dir.Close(); os.Remove(empty) }, nil
	}
	if err := os.MkdirAll(target, 0o755); err != nil {
		return nil, nil, err
	}
	root, err := disk.Dir(target)
	if err != nil {
		return nil, nil, err
	}
	if err := disk.MkdirAll(root, tree, UnfinishedDir); err != nil {
		root.Close()
		return nil, nil, err
	}
	dir, err = root.Sub(tree)
	if err != nil {
		root.Close()
		return nil, nil, err
	}
	return dir, func() { dir.Close(); root.Close() }, nil
}
