package home

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"waterlock/internal/courier"
	"waterlock/internal/disk"
	"waterlock/internal/exit"
	"waterlock/internal/wire"
	"waterlock/snapshot"
)

// Names within a route's state directory.
const (
	dirIndex     = "index"
	dirScan      = "scan"
	dirStreams   = "streams"
	dirShipments = "shipments"
	dirReceipts  = "receipts"
	fileLock     = "lock"
	fileMoves    = "moves" // found again under another name: of the run that is going on
	fileGone     = "gone"  // what is gone from a tree, for the question: of the run that is going on
)

// site is where a route's things are: its state, the drive, the trees. Tests put them on disks that crash and fail.
type site struct {
	cfg       *Config
	route     wire.RouteID
	state     disk.FS
	index     string // directory of the ledger, on a real disk: Badger does its own I/O
	openDrive func() (*courier.Drive, error)
	openTree  func(Tree) (disk.FS, error)
	skip      []inode // directories that are never entered: our own state, the drive
	now       func() time.Time
	unlock    func() error
}

// inode tells a file of this machine from all others.
type inode struct{ dev, ino uint64 }

func inodeOf(l snapshot.Local) inode { return inode{l.Dev, l.Ino} }

// openSite locks a route's state and opens it. A second wl that works on the same route exits at once.
func openSite(dir, drive string) (*site, error) {
	cfg, err := loadConfig(dir)
	if err != nil {
		return nil, err
	}
	route, err := cfg.routeID()
	if err != nil {
		return nil, err
	}
	lock, err := disk.TryLock(filepath.Join(dir, fileLock))
	if errors.Is(err, disk.ErrLocked) {
		return nil, exit.Errorf(exit.Locked, "another wl works on route %s: run this again when it has ended", cfg.Name)
	}
	if err != nil {
		return nil, err
	}
	s, err := newSite(dir, drive, cfg, route)
	if err != nil {
		return nil, errors.Join(err, lock.Unlock())
	}
	s.unlock = lock.Unlock
	for _, path := range []string{filepath.Dir(filepath.Dir(dir)), drive} {
		if ino, ok := inodeAt(path); ok {
			s.skip = append(s.skip, ino)
		}
	}
	return s, nil
}

// newSite opens a route's state without locking it: what is write-once there may be read.
func newSite(dir, drive string, cfg *Config, route wire.RouteID) (*site, error) {
	state, err := disk.Dir(dir)
	if err != nil {
		return nil, err
	}
	return &site{
		cfg: cfg, route: route, state: state,
		index:     filepath.Join(dir, dirIndex),
		openDrive: func() (*courier.Drive, error) { return courier.OpenDrive(drive) },
		openTree:  openTree,
		now:       time.Now,
	}, nil
}

func (s *site) close() error {
	err := s.state.Close()
	if s.unlock != nil {
		err = errors.Join(err, s.unlock())
	}
	return err
}

// openTree opens the root of a tree. Its path may go over links, as a person wrote it.
func openTree(t Tree) (disk.FS, error) {
	st, err := os.Stat(t.Path)
	if err != nil {
		return nil, err
	}
	if !st.IsDir() {
		return nil, fmt.Errorf("%w: %s is no directory", os.ErrNotExist, t.Path)
	}
	return disk.Dir(t.Path)
}

func inodeAt(path string) (inode, bool) {
	if path == "" {
		return inode{}, false
	}
	fs, err := disk.Dir(path)
	if err != nil {
		return inode{}, false
	}
	defer fs.Close()
	st, err := fs.Stat(".")
	return inode{st.Dev, st.Ino}, err == nil
}

// skips tells whether a directory of a tree is our own state or the drive.
func (s *site) skips(n *snapshot.Node) bool {
	if n.Entry.Kind != disk.KindDir {
		return false
	}
	for _, ino := range s.skip {
		if ino == inodeOf(n.Local) {
			return true
		}
	}
	return false
}
