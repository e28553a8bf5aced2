package index

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"

	"waterlock/internal/disk"
)

var (
	// ErrNoRoom: there is too little free space for Badger to work safely.
	ErrNoRoom = errors.New("too little free space for the index")
	// ErrFailed: an earlier write failed, or Badger panicked. The index gives
	// no more answers; it will be rebuilt after the next Open.
	ErrFailed = errors.New("the index has failed and will be rebuilt")
	// ErrRow: a row that this version of the program cannot have written.
	ErrRow = errors.New("malformed row in the index")
	// ErrTooLong: a key or a value that is longer than the index can hold.
	ErrTooLong = errors.New("too long for the index")
	// ErrClosed: a use after Close.
	ErrClosed = errors.New("the index is closed")
)

const (
	// MinFree is how much room there must be on the index's file system for
	// it to be opened or written to. Whoever fills that file system should
	// leave more.
	MinFree = 64 << 20

	// MaxMeta is the length of the largest small fact.
	MaxMeta = 16 << 10

	badgerDir = "badger"
	lockName  = "lock"

	// Schema is part of the stamp: raised with every change of the rows or
	// of Badger's own format, so that an older index is rebuilt.
	Schema = 1

	batchRows = 1 << 13 // rows that are gathered, sorted and written together
)

// store is Badger in a directory of ours, under the rules of the package
// comment.
type store struct {
	dir    string
	kind   string
	fs     disk.FS
	lock   *disk.Lock
	db     *badger.DB
	shut   func() error       // closes db
	sound  map[string]fileSum // tables whose hashes Open has checked
	failed atomic.Pointer[error]
	views  views

	mu     sync.Mutex // serialises read-modify-write, and Close
	closed atomic.Bool
}

// row is one change: a nil value deletes.
type row struct{ key, value []byte }

func openStore(dir, kind string) (s *store, fresh bool, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, false, err
	}
	s = &store{dir: dir, kind: kind}
	if s.lock, err = disk.TryLock(filepath.Join(dir, lockName)); err != nil {
		return nil, false, err
	}
	opened := s // s is nil in what a failure returns
	defer func() {
		if err != nil {
			opened.release()
		}
	}()
	if s.fs, err = disk.Dir(dir); err != nil {
		return nil, false, err
	}
	if err = s.room(); err != nil {
		return nil, false, err
	}
	if sums, serr := s.checkStamp(); serr == nil {
		if err = s.removeStamp(); err != nil {
			return nil, false, err
		}
		if s.openBadger() == nil {
			s.sound = sums
			return s, false, nil
		}
	}
	if err = s.wipe(); err != nil {
		return nil, false, err
	}
	if err = s.openBadger(); err != nil {
		return nil, false, fmt.Errorf("index %s: %w", dir, err)
	}
	return s, true, nil
}

// wipe leaves an empty badger/ and no stamp.
func (s *store) wipe() error {
	if err := s.removeStamp(); err != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Join(s.dir, badgerDir)); err != nil {
		return err
	}
	return os.Mkdir(filepath.Join(s.dir, badgerDir), 0o700)
}

// openBadger opens badger/. A panic in Badger's Open is an error as well.
func (s *store) openBadger() (err error) {
	defer func() {
		if r := recover(); r != nil {
			s.db, err = nil, fmt.Errorf("badger: %v", r)
		}
	}()
	// Without compression Badger reads blocks where they lie, in the mapped
	// tables: no block cache, no index cache. What it holds in memory is two
	// or three memtables, and the tables that a compaction builds at once:
	// hence tables of one small size on all levels. A wide first level and a
	// patient level zero save much of the rewriting that random keys cost.
	opt := badger.DefaultOptions(filepath.Join(s.dir, badgerDir)).
		WithLogger(nil).
		WithMetricsEnabled(false).
		WithSyncWrites(false).
		WithDetectConflicts(false).
		WithNumVersionsToKeep(1).
		WithCompression(options.None).
		WithBlockCacheSize(0).
		WithIndexCacheSize(0).
		WithChecksumVerificationMode(options.OnBlockRead).
		WithMemTableSize(8 << 20).
		WithNumMemtables(2).
		WithBaseTableSize(4 << 20).
		WithBaseLevelSize(64 << 20).
		WithNumLevelZeroTables(6).
		WithNumLevelZeroTablesStall(12).
		WithNumCompactors(2).
		WithNumGoroutines(1).
		WithValueThreshold(2 * maxName). // all values stay beside their keys
		WithValueLogFileSize(1 << 20).
		WithBypassLockGuard(true) // s.lock is ours, and is given up even if Open panics
	opt.TableSizeMultiplier = 1
	if s.db, err = badger.Open(opt); err == nil {
		s.shut = s.db.Close
	}
	return err
}

// close closes Badger and, if nothing ever failed, writes the stamp. last is
// called before, while the store can still be written to.
func (s *store) close(last func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed.Load() {
		return nil
	}
	err := s.err()
	if err == nil && last != nil {
		err = last()
	}
	s.closed.Store(true)
	s.views.renew()
	defer s.release()
	if cerr := s.closeBadger(); err == nil {
		err = cerr
	}
	if err == nil {
		err = s.writeStamp()
	}
	if err != nil {
		return fmt.Errorf("index %s: %w", s.dir, err)
	}
	return nil
}

// closePatience is how long Badger may take to flush what it holds: a few
// memtables, seconds on the slowest disk. A variable for its test.
var closePatience = 2 * time.Minute

// closeBadger closes Badger. On a disk that refuses every write Badger tries
// again each second for ever; it is left alone with that, and without a stamp.
func (s *store) closeBadger() error {
	done := make(chan error, 1)
	go func() {
		defer func() {
			if r := recover(); r != nil {
				done <- fmt.Errorf("badger: %v", r)
			}
		}()
		done <- s.shut()
	}()
	patience, look := time.After(closePatience), time.NewTicker(time.Second)
	defer look.Stop()
	for {
		select {
		case err := <-done:
			return err
		case <-look.C: // on a disk that takes nothing any more Badger tries for ever
			if err := s.takesFiles(); err != nil {
				return s.fail(fmt.Errorf("badger does not close: %w", err))
			}
		case <-patience:
			return s.fail(fmt.Errorf("badger did not close within %v: is the disk failing?", closePatience))
		}
	}
}

// takesFiles makes a file and removes it.
func (s *store) takesFiles() error {
	const name = "probe"
	f, err := s.fs.Create(name, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), s.fs.Remove(name))
}

func (s *store) release() {
	if s.fs != nil {
		s.fs.Close()
	}
	if s.lock != nil {
		s.lock.Unlock()
	}
}

// room asks for MinFree bytes of free space.
func (s *store) room() error {
	space, err := s.fs.Free()
	if err != nil {
		return err
	}
	if space.Avail < MinFree {
		return fmt.Errorf("%s: %w: %d MiB free, %d MiB needed; make room on that disk", s.dir, ErrNoRoom, space.Avail>>20, MinFree>>20)
	}
	return nil
}

// err is why the store can no longer be used, if so.
func (s *store) err() error {
	if p := s.failed.Load(); p != nil {
		return fmt.Errorf("%w: %w", ErrFailed, *p)
	}
	if s.closed.Load() {
		return ErrClosed
	}
	return nil
}

// fail makes sure that no stamp will be written. It returns err.
func (s *store) fail(err error) error {
	s.failed.CompareAndSwap(nil, &err)
	return err
}

// guard turns a panic within Badger into a failed index.
func (s *store) guard(err *error) {
	if r := recover(); r != nil {
		*err = s.fail(fmt.Errorf("badger: %v", r))
	}
}

// write writes rows, sorted by key; of equal keys the last. After an error,
// a lack of room included, some of what the caller means to write is missing:
// the index has failed. Call it with s.mu held.
func (s *store) write(rows []row) (err error) {
	if len(rows) == 0 {
		return nil
	}
	if err := s.err(); err != nil {
		return err
	}
	if err := s.room(); err != nil {
		return s.fail(err)
	}
	defer s.guard(&err)
	sortRows(rows)
	wb := s.db.NewWriteBatch()
	wb.SetMaxPendingTxns(2)
	defer wb.Cancel()
	defer s.views.renew()
	for i, r := range rows {
		if i+1 < len(rows) && bytes.Equal(r.key, rows[i+1].key) {
			continue
		}
		if r.value == nil {
			err = wb.Delete(r.key)
		} else {
			err = wb.Set(r.key, r.value)
		}
		if err != nil {
			return s.fail(err)
		}
	}
	if err := wb.Flush(); err != nil {
		return s.fail(err)
	}
	return nil
}

// get returns a copy of the value of key, nil if there is none.
func (s *store) get(key []byte) (value []byte, err error) {
	err = s.view(func(txn *badger.Txn) error {
		value, err = getIn(txn, key, nil)
		return err
	})
	return value, err
}

// getIn returns the value of key in buf's memory, nil if there is none.
func getIn(txn *badger.Txn, key, buf []byte) ([]byte, error) {
	item, err := txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	value, err := item.ValueCopy(buf)
	if value == nil && err == nil {
		value = []byte{}
	}
	return value, err
}

// each calls fn for all rows of a prefix in the order of their keys. The
// slices are good until fn returns. errStop ends it without an error.
func (s *store) each(prefix []byte, fn func(key, value []byte) error) error {
	return s.view(func(txn *badger.Txn) error { return eachIn(txn, prefix, nil, fn) })
}

var errStop = errors.New("stop")

// eachIn is each from a key on, nil for the first.
func eachIn(txn *badger.Txn, prefix, from []byte, fn func(key, value []byte) error) error {
	it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix})
	defer it.Close()
	for it.Seek(from); it.Valid(); it.Next() {
		item := it.Item()
		err := item.Value(func(v []byte) error { return fn(item.Key(), v) })
		if err == errStop {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// deleteAll deletes all rows of a prefix, a batch at a time. Call it with
// s.mu held. more, if not nil, may add rows that go with a deleted one.
func (s *store) deleteAll(prefix []byte, more func(key, value []byte, rows []row) ([]row, error)) error {
	from := prefix
	for {
		var rows []row
		err := s.view(func(txn *badger.Txn) error {
			return eachIn(txn, prefix, from, func(key, value []byte) (err error) {
				from = bytes.Clone(key) // the next batch need not pass what this one deletes
				rows = append(rows, row{key: from})
				if more != nil {
					rows, err = more(key, value, rows)
				}
				if err == nil && len(rows) >= batchRows {
					err = errStop
				}
				return err
			})
		})
		if err != nil || len(rows) == 0 {
			return err
		}
		if err := s.write(rows); err != nil {
			return err
		}
	}
}

// metaKey is the key of a small fact.
func metaKey(key string) []byte { return append([]byte{'m'}, key...) }

func checkMeta(key string, value []byte) error {
	if len(key) > MaxMeta || len(value) > MaxMeta {
		return fmt.Errorf("fact %.40q of %d bytes: %w", key, len(value), ErrTooLong)
	}
	return nil
}

// notNil makes sure that an empty value is not taken for a deletion.
func notNil(v []byte) []byte {
	if v == nil {
		return []byte{}
	}
	return v
}

func sortRows(rows []row) {
	slices.SortStableFunc(rows, func(a, b row) int { return bytes.Compare(a.key, b.key) })
}
