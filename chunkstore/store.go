package chunkstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"waterlock/index"
	"waterlock/internal/disk"
	"waterlock/internal/report"
	"waterlock/pack"
)

// Store is the chunk store of one vault. Batches, history, Compact, Scrub and
// CheckMirror are for one goroutine; Get and Has are for any.
type Store struct {
	cfg     Config
	report  report.Reporter
	vols    map[string]*volume
	shelves []*shelf
	root    bool // owners can be set

	cat      *index.Catalog
	indexDev uint64 // the device that the catalog lies on; 0: not known
	rebuilt  bool
	opened   int64  // when, unix seconds
	seq      uint64 // of the last install record
	broken   error  // a batch could not be finished

	absent map[*shelf]bool // at Open: shelves without our directories

	handles handles
	moves   sync.RWMutex // held while containers change their names
	made    map[dirKey]bool
	history map[histKind]*histPack
	growing growing
	packs   shelf // for the room of packs only
	encoder *pack.Encoder

	mu       sync.Mutex // guards what follows, and the shelves' room
	next     index.ContainerID
	drive    DriveSource
	reported map[index.ContainerID]bool
}

// Open opens the catalog, finishes the last install batch, and rebuilds the
// catalog where it was not closed cleanly.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if cfg.Vault == nil || cfg.IndexDir == "" {
		return nil, errors.New("vault and index directory are needed")
	}
	if cfg.Report == nil {
		cfg.Report = report.Discard
	}
	if cfg.PackSize <= 0 {
		cfg.PackSize = defaultPackSize
	}
	if cfg.GrowFrom <= 0 {
		cfg.GrowFrom = defaultGrowFrom
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Store{
		cfg: cfg, report: cfg.Report, root: os.Geteuid() == 0,
		made: map[dirKey]bool{}, reported: map[index.ContainerID]bool{}, history: map[histKind]*histPack{}, growing: growing{},
	}
	s.packs.fs, s.opened = cfg.Vault, s.now().Unix()
	var err error
	if s.vols, s.shelves, err = newVolumes(cfg.Volumes); err != nil {
		return nil, err
	}
	if err := s.openCatalog(); err != nil {
		return nil, err
	}
	if err := s.recover(ctx); err != nil {
		s.handles.closeAll()
		return nil, errors.Join(err, s.cat.Close())
	}
	return s, nil
}

func (s *Store) openCatalog() error {
	if err := os.RemoveAll(s.scratchDir()); err != nil {
		return err
	}
	cat, fresh, err := index.OpenCatalog(s.cfg.IndexDir)
	if err != nil {
		return err
	}
	s.cat, s.rebuilt = cat, fresh
	if d, err := disk.Dir(s.cfg.IndexDir); err == nil {
		defer d.Close()
		if st, err := d.Stat("."); err == nil {
			s.indexDev = st.Dev
		}
	}
	return nil
}

// Close closes the catalog. History that was not flushed is not kept.
func (s *Store) Close() error {
	s.dropHistory()
	s.handles.closeAll()
	return s.cat.Close()
}

// Catalog is the catalog, for the rows that are not the store's own: wants,
// arrived, checked, drive places; and for reading paths. Rebuild replaces it.
func (s *Store) Catalog() *index.Catalog { return s.cat }

// Rebuilt reports whether the catalog was rebuilt: rows of wants, arrived and
// checked are gone then.
func (s *Store) Rebuilt() bool { return s.rebuilt }

func (s *Store) now() time.Time { return s.cfg.Now() }

// number takes the next container number.
func (s *Store) number() index.ContainerID {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.next
	s.next++
	return n
}

// nextNumber is the number that will be taken next: all below it are used.
func (s *Store) nextNumber() index.ContainerID {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.next
}

// usable refuses work while a batch is unfinished.
func (s *Store) usable() error {
	if s.broken != nil {
		return fmt.Errorf("%w: %w", ErrUnfinished, s.broken)
	}
	return nil
}

// spoil notes that a batch could not be finished. The next Open finishes it.
func (s *Store) spoil(err error) error {
	s.broken = err
	return err
}

// mkdirsVault makes the store's directories in the vault.
func (s *Store) mkdirsVault() error {
	for _, d := range []string{installsDir, packsDir} {
		if err := disk.MkdirAll(s.cfg.Vault, d, 0o700); err != nil {
			return err
		}
	}
	return nil
}

// mkdirsVolumes makes the store's directories on the trees' file systems, and
// the trees' own.
func (s *Store) mkdirsVolumes() error {
	for _, sh := range s.shelves {
		for _, d := range []string{"/staging", "/kept", "/foreign"} {
			if err := disk.MkdirAll(sh.fs, sh.store+d, 0o700); err != nil {
				return err
			}
		}
	}
	for _, v := range s.vols {
		if v.Mirror == "" {
			continue
		}
		if err := disk.MkdirAll(v.FS, v.Mirror, 0o755); err != nil {
			return err
		}
	}
	s.absent = nil
	return nil
}
