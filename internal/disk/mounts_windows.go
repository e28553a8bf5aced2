package disk

import "golang.org/x/sys/windows"

// Mounts lists the roots of the disks that have a letter; those of the network
// are left out.
func Mounts() ([]Mount, error) {
	letters, err := windows.GetLogicalDrives()
	if err != nil {
		return nil, err
	}
	var list []Mount
	for i := range 26 {
		if letters&(1<<i) == 0 {
			continue
		}
		root := string(rune('A'+i)) + `:\`
		name, err := windows.UTF16PtrFromString(root)
		if err != nil {
			return nil, err
		}
		switch windows.GetDriveType(name) {
		case windows.DRIVE_FIXED, windows.DRIVE_REMOVABLE, windows.DRIVE_RAMDISK:
			list = append(list, Mount{Path: root, Type: "disk"})
		}
	}
	return list, nil
}
