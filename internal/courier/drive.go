package courier

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"waterlock/internal/disk"
	"waterlock/internal/exit"
)

const (
	DriveFormat   = 1
	maxDriveFile  = 4 << 10
	dirPerm       = 0o755
	maxRoutes     = 1024
	maxShipments  = 4096
	maxFoundBytes = 256 << 20 // of all commits, or all receipts, of a route on one drive
)

// ErrDrive is a drive.json that cannot be read.
var ErrDrive = errors.New("invalid drive.json")

// Drive is an open courier drive.
type Drive struct {
	fs      disk.FS
	path    string
	lock    *disk.Lock
	id      DriveID
	label   string
	created time.Time
}

// driveJSON is drive.json.
type driveJSON struct {
	Format  int    `json:"format"`
	ID      string `json:"id"`
	Label   string `json:"label"`
	Created string `json:"created"`
}

// InitDrive makes the root of fs a courier drive. One that is a courier drive
// already is refused (fs.ErrExist). A drive.json that cannot be read is made
// anew: nothing else on the drive is touched, and no shipment needs it.
func InitDrive(fsys disk.FS, label string) (*Drive, error) {
	if err := checkLabel(label); err != nil {
		return nil, err
	}
	if d, err := OpenFS(fsys, ""); err == nil {
		return nil, fmt.Errorf("drive %q (%v): %w", d.label, d.id, fs.ErrExist)
	} else if errors.Is(err, ErrDrive) {
		if err := fsys.Remove(driveFile); err != nil {
			return nil, err
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	d := &Drive{fs: fsys, label: label, created: time.Now().UTC().Truncate(time.Second)}
	rand.Read(d.id[:])
	b, err := json.MarshalIndent(driveJSON{DriveFormat, d.id.String(), label, d.created.Format(time.RFC3339)}, "", "  ")
	if err != nil {
		return nil, err
	}
	if err := disk.MkdirAll(fsys, topDir, dirPerm); err != nil {
		return nil, err
	}
	if _, err := disk.PutFinal(fsys, driveFile, append(b, '\n')); err != nil {
		return nil, err
	}
	return d, nil
}

// OpenDrive opens the drive mounted at path; exit.NotFound if it is none.
func OpenDrive(path string) (*Drive, error) {
	fsys, err := disk.Dir(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, exit.With(exit.NotFound, err)
	} else if err != nil {
		return nil, err
	}
	d, err := OpenFS(fsys, path)
	if err != nil {
		fsys.Close()
	}
	return d, err
}

// OpenFS opens the drive whose root is fsys, which it closes at Close. path is
// for the lock; without it there is none.
func OpenFS(fsys disk.FS, path string) (*Drive, error) {
	b, err := disk.ReadAll(fsys, driveFile, maxDriveFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, exit.With(exit.NotFound, fmt.Errorf("%s is not a courier drive (is it mounted? \"wl drive init\" makes it one): %w", path, err))
	} else if errors.Is(err, disk.ErrTooBig) {
		return nil, fmt.Errorf("%w: %w", ErrDrive, err)
	} else if err != nil {
		return nil, err
	}
	d := &Drive{fs: fsys, path: path}
	if err := d.parse(b); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", filepath.Join(path, filepath.FromSlash(driveFile)), ErrDrive, err)
	}
	return d, nil
}

func (d *Drive) parse(b []byte) error {
	var j driveJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	if j.Format != DriveFormat {
		return fmt.Errorf("format %d, this version knows %d", j.Format, DriveFormat)
	}
	id, err := parse16(j.ID)
	if err != nil {
		return err
	}
	if d.id = DriveID(id); d.id == (DriveID{}) {
		return errors.New("id is zero")
	}
	if err := checkLabel(j.Label); err != nil {
		return err
	}
	d.label = j.Label
	if d.created, err = time.Parse(time.RFC3339, j.Created); err != nil {
		return err
	}
	return nil
}

func checkLabel(label string) error {
	if len(label) > MaxLabel || !utf8.ValidString(label) || strings.ContainsFunc(label, unicode.IsControl) {
		return exit.Errorf(exit.Usage, "label %q: at most %d bytes of printable text", label, MaxLabel)
	}
	return nil
}

// WriteHint says what a person can do where a drive does not let itself be
// written, to stand behind the error; "" where nothing is known.
func WriteHint(err error) string {
	switch {
	case disk.IsReadOnly(err):
		return "; the drive is mounted read-only, by choice, or by the system after errors on it: mount it for writing"
	case errors.Is(err, fs.ErrPermission):
		return "; give this user the right to write in that directory, which is needed once for each drive and route"
	}
	return ""
}

// ID returns the drive's id.
func (d *Drive) ID() DriveID { return d.id }

// Label returns the name that people gave the drive.
func (d *Drive) Label() string { return d.label }

// Created is when the drive was made a courier drive.
func (d *Drive) Created() time.Time { return d.created }

// Path is where the drive is mounted.
func (d *Drive) Path() string { return d.path }

// FS is the drive itself.
func (d *Drive) FS() disk.FS { return d.fs }

// Lock locks drive.json until Close; exit.Locked if another process has it.
func (d *Drive) Lock() error {
	if d.lock != nil || d.path == "" {
		return nil
	}
	lock, err := disk.TryLock(filepath.Join(d.path, filepath.FromSlash(driveFile)))
	if errors.Is(err, disk.ErrLocked) {
		return exit.With(exit.Locked, fmt.Errorf("drive %s: %w", d.path, err))
	} else if err != nil {
		return err
	}
	d.lock = lock
	return nil
}

// Close releases the lock and the drive.
func (d *Drive) Close() error {
	var err error
	if d.lock != nil {
		err = d.lock.Unlock()
		d.lock = nil
	}
	if cerr := d.fs.Close(); err == nil {
		err = cerr
	}
	return err
}
