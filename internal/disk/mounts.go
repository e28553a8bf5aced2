package disk

import "strings"

// Mount is a place where a file system is mounted.
type Mount struct {
	Path string
	Type string // as the system calls it: ext4, exfat, fuseblk, apfs
}

// mayHang says that a file system of this type may let everybody who asks it
// wait for ever: those of a network, and those that mount when they are looked
// at. FUSE has both: the drivers of disks are asked, all else is not.
func mayHang(fsType string) bool {
	name, fuse := strings.CutPrefix(fsType, "fuse.")
	if fuse {
		switch name {
		case "exfat", "ntfs", "ntfs-3g", "lowntfs-3g":
			return false
		}
		return true
	}
	for _, slow := range []string{"nfs", "cifs", "smb", "afp", "webdav", "9p", "afs", "ceph", "lustre", "autofs"} {
		if strings.HasPrefix(name, slow) {
			return true
		}
	}
	return false
}
