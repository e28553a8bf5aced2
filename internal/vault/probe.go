package vault

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"

	"waterlock/internal/disk"
)

// probe refuses a file system that cannot hold a vault. What the vault relies on:
//
//  1. a file can have two names, and both are the same file;
//  2. renaming over a name replaces it in one step, and leaves the old file's other name alone;
//  3. a directory can be synced.
//
// exFAT and FAT have no 1. That a rename is atomic when the power fails cannot be probed, only that it replaces.
func probe(root disk.FS, dir string) (err error) {
	var random [4]byte
	rand.Read(random[:])
	dir += "/probe-" + hex.EncodeToString(random[:])
	if err := root.Mkdir(dir, 0o700); err != nil {
		return err
	}
	oldFile, kept, newFile := dir+"/old", dir+"/kept", dir+"/new"
	defer func() {
		for _, name := range []string{oldFile, kept, newFile, dir} {
			if e := root.Remove(name); e != nil && name == dir && err == nil {
				err = e
			}
		}
	}()
	if err := write(root, oldFile, "old"); err != nil {
		return err
	}
	if err := write(root, newFile, "new"); err != nil {
		return err
	}
	if err := root.Link(oldFile, kept); err != nil {
		return fmt.Errorf("this file system has no hard links, a vault cannot lie on it: %w", err)
	}
	if err := root.Rename(newFile, oldFile); err != nil {
		return fmt.Errorf("this file system cannot rename over a file, a vault cannot lie on it: %w", err)
	}
	if err := root.SyncDir(dir); err != nil {
		return fmt.Errorf("this file system cannot sync a directory, a vault cannot lie on it: %w", err)
	}
	for name, want := range map[string]string{oldFile: "new", kept: "old"} {
		got, err := disk.ReadAll(root, name, 16)
		if err != nil {
			return err
		}
		if string(got) != want {
			return fmt.Errorf("this file system does not keep apart what was linked and renamed over (%q instead of %q): a vault cannot lie on it", got, want)
		}
	}
	return nil
}

func write(root disk.FS, name, text string) error {
	f, err := root.Create(name, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.Write([]byte(text)); err != nil {
		f.Close()
		return err
	}
	if err := f.Sync(); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
