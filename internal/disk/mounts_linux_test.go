package disk

import (
	"os"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

func TestMountsAreReadFromTheTable(t *testing.T) {
	for line, want := range map[string]Mount{
		"36 35 98:0 /root /mnt rw,noatime master:1 - fuseblk /dev/sdb1 rw":     {"/mnt", "fuseblk"},
		`36 35 98:0 / /media/my\040drive rw - exfat /dev/sdc1 rw`:              {"/media/my drive", "exfat"},
		`36 35 98:0 / /media/tab\011back\134slash rw shared:2 master:3 - a /b`: {"/media/tab\tback\\slash", "a"},
	} {
		if got, ok := mountOf(line); !ok || got != want {
			t.Errorf("%s: %+v, %v", line, got, ok)
		}
	}
	for _, line := range []string{"", "36", "36 35 98:0 / /mnt rw", " - ", "36 35 98:0 / /mnt rw - "} {
		if got, ok := mountOf(line); ok {
			t.Errorf("%q: %+v", line, got)
		}
	}
}

func TestFileSystemsThatMayHangAreNotAsked(t *testing.T) {
	for fsType, want := range map[string]bool{
		"ext4": false, "exfat": false, "vfat": false, "ntfs3": false, "fuseblk": false, "fuse.exfat": false, "tmpfs": false,
		"btrfs": false, "apfs": false, "msdos": false,
		"nfs4": true, "cifs": true, "smb3": true, "smbfs": true, "autofs": true, "fuse.sshfs": true, "fuse.rclone": true,
	} {
		if mayHang(fsType) != want {
			t.Errorf("%s: %v", fsType, !want)
		}
	}
}

func TestANewMountIsInTheList(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("mounting needs root")
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("no tmpfs can be mounted here: %v", err)
	}
	defer unix.Unmount(dir, 0)
	list, err := Mounts()
	if err != nil || !slices.Contains(list, Mount{dir, "tmpfs"}) {
		t.Errorf("%v, %v", list, err)
	}
}
