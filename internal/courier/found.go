package courier

import (
	"errors"
	"slices"
	"strings"
	"syscall"

	"waterlock/internal/disk"
)

// Found is a courier drive that is there now.
type Found struct {
	ID    DriveID
	Label string
	Path  string
}

// FindDrives looks for courier drives at every mount point of this machine and
// at the places given besides, and says where each is. A directory counts by
// its drive.json alone, and only where that is valid; a drive that is mounted
// twice counts once. Two drives of the same id, as copies of one another have
// it, are two where files have inodes. bad is of the places that have a
// drive.json of which nothing can be made, or cannot be read.
func FindDrives(places []string) (list []Found, bad []error, err error) {
	mounts, err := disk.Mounts()
	if err != nil {
		return nil, nil, err
	}
	for _, m := range mounts {
		places = append(places, m.Path)
	}
	type file struct {
		id       DriveID
		dev, ino uint64
	}
	seen := map[file]bool{}
	tried := map[string]bool{}
	for _, place := range places {
		if tried[place] {
			continue
		}
		tried[place] = true
		d, err := OpenDrive(place)
		if errors.Is(err, ErrDrive) || errors.Is(err, syscall.EIO) {
			bad = append(bad, err)
		}
		if err != nil {
			continue // no drive, or none that can be used
		}
		if st, err := d.fs.Stat(driveFile); err == nil {
			is := file{d.id, st.Dev, st.Ino}
			if !seen[is] {
				seen[is] = true
				list = append(list, Found{d.id, d.label, place})
			}
		}
		d.Close()
	}
	slices.SortFunc(list, func(a, b Found) int { return strings.Compare(a.Path, b.Path) })
	return list, bad, nil
}
