package disk

import (
	"bufio"
	"os"
	"strings"
)

// Mounts lists the mount points of this process whose file systems can be asked
// without waiting for somebody else.
func Mounts() ([]Mount, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var list []Mount
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if m, ok := mountOf(lines.Text()); ok && !mayHang(m.Type) {
			list = append(list, m)
		}
	}
	return list, lines.Err()
}

// mountOf reads place and type in one line of mountinfo:
//
//	36 35 98:0 /root /mnt rw,noatime master:1 - fuseblk /dev/sdb1 rw
func mountOf(line string) (m Mount, ok bool) {
	before, after, found := strings.Cut(line, " - ")
	fields := strings.Fields(before)
	fsType, _, _ := strings.Cut(after, " ")
	if !found || len(fields) < 5 || fsType == "" {
		return Mount{}, false
	}
	return Mount{Path: unescapeMount(fields[4]), Type: fsType}, true
}
