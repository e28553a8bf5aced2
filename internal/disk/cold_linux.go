package disk

import (
	"bufio"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Types of file systems, as statfs tells them.
const (
	fsExt4     = 0xef53
	fsXFS      = 0x58465342
	fsBtrfs    = 0x9123683e
	fsF2FS     = 0xf2f52010
	fsBcachefs = 0xca451a4e
	fsTmpfs    = 0x01021994
	fsMSDOS    = 0x4d44
	fsExFAT    = 0x2011bab0
	fsNTFS3    = 0x7366746e
	fsHFSPlus  = 0x482b
	fsJFS      = 0x3153464a
	fsUDF      = 0x15013346
	fsFUSE     = 0x65735546
	fsNFS      = 0x6969
	fsSMB2     = 0xfe534d42
	fsCIFS     = 0xff534d42
	fsZFS      = 0x2fc12fc1
	fsOverlay  = 0x794c7630
)

// syncfsWaits tells whether syncfs of this file system is as good as an fsync
// of each file.
func syncfsWaits(t int64) bool {
	switch uint32(t) {
	case fsExt4, fsXFS, fsBtrfs, fsF2FS, fsBcachefs, fsTmpfs:
		return true
	}
	return false
}

// readsDevice tells whether what is not in the page cache comes from a block
// device. Others (ZFS, network file systems, overlays) cache elsewhere.
func readsDevice(t int64) bool {
	switch uint32(t) {
	case fsExt4, fsXFS, fsBtrfs, fsF2FS, fsBcachefs, fsMSDOS, fsExFAT, fsNTFS3, fsHFSPlus, fsJFS, fsUDF:
		return true
	}
	return false
}

// evictTries: pages on their way through the kernel's lists stay at first.
const evictTries = 3

// evict drops a file from the page cache and looks whether it is gone. A FUSE
// driver reads through the cache of its block device: that is dropped, too,
// where we may.
func evict(fd int) (Coldness, error) {
	var s unix.Statfs_t
	if err := unix.Fstatfs(fd, &s); err != nil {
		return Warm, err
	}
	gone, err := drop(fd)
	if err != nil {
		return Warm, err
	}
	switch {
	case !gone:
		return Warm, nil
	case readsDevice(int64(s.Type)):
		return Cold, nil
	case uint32(s.Type) == fsFUSE && dropDeviceUnder(fd):
		return Cold, nil
	}
	return Warm, nil
}

func drop(fd int) (gone bool, err error) {
	for range evictTries {
		if err := unix.Fadvise(fd, 0, 0, unix.FADV_DONTNEED); err != nil {
			return false, err
		}
		if n, err := cachedPages(fd); err != nil || n == 0 {
			return err == nil, nil
		}
	}
	return false, nil
}

// cachedPages counts the pages of a file in the page cache: by cachestat
// (Linux 6.5), else by mincore, which tells only those who may write to it.
func cachedPages(fd int) (uint64, error) {
	var c unix.Cachestat_t
	err := unix.Cachestat(uint(fd), &unix.CachestatRange{}, &c, 0)
	if err == nil {
		return c.Cache, nil
	}
	if err != unix.ENOSYS && err != unix.EPERM {
		return 0, err
	}
	return residentPages(fd)
}

// dropDeviceUnder drops the block device under a FUSE file system.
func dropDeviceUnder(fd int) bool {
	st, err := statfd(fd)
	if err != nil {
		return false
	}
	source := mountSource(st.Dev)
	if !strings.HasPrefix(source, "/dev/") {
		return false
	}
	dev, err := openat(unix.AT_FDCWD, source, unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer unix.Close(dev)
	if st, err := statfd(dev); err != nil || st.Kind != KindBlockDevice {
		return false
	}
	// The driver may have written more than our sync asked of it: nothing
	// evicts what is dirty.
	for range evictTries {
		if unix.Fsync(dev) != nil {
			return false
		}
		if gone, err := drop(dev); err != nil || gone {
			return err == nil
		}
	}
	return false
}

// mountSource finds what is mounted as device dev: "/dev/sdb1".
func mountSource(dev uint64) string {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return ""
	}
	defer f.Close()
	want := strconv.Itoa(int(unix.Major(dev))) + ":" + strconv.Itoa(int(unix.Minor(dev)))
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if source, ok := parseMount(lines.Text(), want); ok {
			return source
		}
	}
	return ""
}

// parseMount reads one line of mountinfo:
//
//	36 35 98:0 /root /mnt rw,noatime master:1 - fuseblk /dev/sdb1 rw
func parseMount(line, dev string) (source string, ok bool) {
	before, after, found := strings.Cut(line, " - ")
	fields := strings.Fields(before)
	if !found || len(fields) < 3 || fields[2] != dev {
		return "", false
	}
	fields = strings.Fields(after)
	if len(fields) < 2 {
		return "", false
	}
	return unescapeMount(fields[1]), true
}

// unescapeMount undoes the octal escapes of blanks in mountinfo.
func unescapeMount(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
