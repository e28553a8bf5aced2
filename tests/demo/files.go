package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
)

// copyTree copies directories and files, with modes and times. Files of the
// toolchain may be read-only; a home's files are its user's.
func copyTree(from, to string) error {
	type stamp struct {
		path string
		info fs.FileInfo
	}
	var dirs []stamp
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		dst := filepath.Join(to, rel)
		switch {
		case d.IsDir():
			dirs = append(dirs, stamp{dst, info})
			return os.MkdirAll(dst, 0o755)
		case info.Mode().IsRegular():
			return copyFile(path, dst, info)
		}
		return nil
	})
	for i := len(dirs) - 1; i >= 0 && err == nil; i-- {
		err = os.Chtimes(dirs[i].path, dirs[i].info.ModTime(), dirs[i].info.ModTime())
	}
	return err
}

func copyFile(from, to string, info fs.FileInfo) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, info.Mode().Perm()|0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err = errors.Join(err, out.Close()); err != nil {
		return err
	}
	return os.Chtimes(to, info.ModTime(), info.ModTime())
}

// decorate adds to a tree of sources what sources seldom have: a large file, a
// symbolic and a hard link, two equal files, an empty directory, odd names.
func decorate(home string) error {
	dir := filepath.Join(home, "demo")
	if err := os.MkdirAll(filepath.Join(dir, "empty"), 0o750); err != nil {
		return err
	}
	for name, data := range map[string][]byte{
		"large.bin":                        noise(1, 16<<20),
		"twin-a.bin":                       noise(2, 3<<20),
		"twin-b.bin":                       noise(2, 3<<20),
		"spaces and \u00fcml\u00e4uts.txt": []byte("hello\n"),
		"private.txt":                      []byte("mine\n"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			return err
		}
	}
	if runtime.GOOS == "windows" {
		return nil
	}
	if runtime.GOOS == "linux" {
		if err := os.WriteFile(filepath.Join(dir, "bytes-\xff\xfe-\n.txt"), []byte("any bytes\n"), 0o644); err != nil {
			return err
		}
	}
	if err := os.Symlink("large.bin", filepath.Join(dir, "link")); err != nil {
		return err
	}
	if err := os.Link(filepath.Join(dir, "twin-a.bin"), filepath.Join(dir, "twin-c.bin")); err != nil {
		return err
	}
	return os.Chmod(filepath.Join(dir, "private.txt"), 0o600)
}

// noise is n bytes that no compressor makes smaller, the same for a seed.
func noise(seed uint64, n int) []byte {
	r := rand.NewChaCha8([32]byte{byte(seed)})
	b := make([]byte, n)
	_, _ = r.Read(b) // never fails
	return b
}

func sizeOf(dir string) (total int64, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		total += info.Size()
		return nil
	})
	return total, err
}

// removeAll deletes what an earlier demo left, read-only directories included.
func removeAll(dir string) error {
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			_ = os.Chmod(path, 0o755) // RemoveAll names what it cannot delete
		}
		return nil
	})
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("what an earlier demo left: %w", err)
	}
	return nil
}
