package disktest

import (
	"errors"
	"sync"

	"waterlock/internal/disk"
)

// ErrCrashed is what every operation returns once the power is gone.
var ErrCrashed = errors.New("power lost")

// Mem is a file system in memory. It keeps apart what a process sees and what
// would survive a loss of power, by the rules that package disk assumes of our
// own disks, no kinder: the contents and metadata of a file are durable from
// its sync, the names in a directory from the sync of that directory. Within
// one directory changes become durable in their order, over several in any. A
// rename over two directories that is not synced in both may leave both names.
// Inode numbers are used again as soon as the file is durably gone.
//
// It is safe for concurrent use. Times come from a clock that ticks once a
// change. Permissions are kept, not enforced.
type Mem struct {
	disk.FS
	c *core
}

// core is what all directories and files of a Mem share; its mutex guards all
// of them.
type core struct {
	mu       sync.Mutex
	root     *inode
	lastIno  uint64
	dead     []*inode // without a name or a handle; their numbers may be free
	clock    int64
	ops      int
	crashAt  int // ops from which on the power is gone; negative: never
	used     int64
	capacity int64
	apart    bool          // blocks are not shared
	shared   map[*page]int // pages that files share: how many have it but one
}

// startOfTime is the clock's first second, in 2026.
const startOfTime = 1_767_225_600

// NewMem returns an empty file system.
func NewMem() *Mem {
	c := &core{crashAt: -1, shared: map[*page]int{}}
	c.root = c.newInode(disk.KindDir, 0o755)
	c.root.nlink = 1
	c.root.synced = c.root.now
	return newMem(c)
}

func newMem(c *core) *Mem {
	return &Mem{FS: &memDir{c: c, dir: c.root, path: "mem:"}, c: c}
}

// SetCapacity bounds the bytes of all files, counted in pages of 4 KiB; 0 is
// without bound.
func (m *Mem) SetCapacity(bytes int64) {
	m.c.mu.Lock()
	defer m.c.mu.Unlock()
	m.c.capacity = bytes
}

// NoSharing makes it a file system whose files cannot share blocks.
func (m *Mem) NoSharing() {
	m.c.mu.Lock()
	defer m.c.mu.Unlock()
	m.c.apart = true
}

// Ops is the number of changes and syncs so far, failed ones included.
func (m *Mem) Ops() int {
	m.c.mu.Lock()
	defer m.c.mu.Unlock()
	return m.c.ops
}

// CrashAfter lets k more changes and syncs happen. The next one has no effect
// any more, and from it on everything, reading too, returns ErrCrashed.
// Negative: never.
func (m *Mem) CrashAfter(k int) {
	m.c.mu.Lock()
	defer m.c.mu.Unlock()
	if m.c.crashAt = -1; k >= 0 {
		m.c.crashAt = m.c.ops + k
	}
}

// DidCrash tells whether the power went.
func (m *Mem) DidCrash() bool {
	m.c.mu.Lock()
	defer m.c.mu.Unlock()
	return m.c.crashed()
}

// crashed: the operation that went one too far has been counted.
func (c *core) crashed() bool { return c.crashAt >= 0 && c.ops > c.crashAt }

// change counts a change or a sync, or says that the power is gone.
func (c *core) change() error {
	if !c.crashed() {
		c.ops++
	}
	return c.read()
}

// read says whether the power is gone.
func (c *core) read() error {
	if c.crashed() {
		return ErrCrashed
	}
	return nil
}

func (c *core) tick() disk.Time {
	c.clock++
	const perSecond = 1000
	return disk.Time{Sec: startOfTime + c.clock/perSecond, Nsec: int32(c.clock % perSecond * (1e9 / perSecond))}
}
