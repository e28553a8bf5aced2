package index

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"sync/atomic"

	"github.com/dgraph-io/badger/v4"

	"waterlock/internal/chunk"
)

// Catalog is the vault's index: where each chunk lies. Its methods may be
// called from several goroutines at once; changes are made by a Batch.
type Catalog struct {
	s    *store
	last atomic.Uint64 // the highest container number given out or seen
}

// Stats counts the rows of a catalog.
type Stats struct {
	Places, Containers, Paths, Wants, Checked int64
}

var lastContainerKey = []byte{'n'}

// OpenCatalog opens the catalog in dir, which is created if absent. fresh says
// that it is empty because there was none, or none that could be trusted: the
// caller then rebuilds it. ErrNoRoom; disk.ErrLocked while another process has
// it open.
func OpenCatalog(dir string) (c *Catalog, fresh bool, err error) {
	s, fresh, err := openStore(dir, "catalog")
	if err != nil {
		return nil, false, err
	}
	c = &Catalog{s: s}
	v, err := s.get(lastContainerKey)
	if err == nil && v != nil {
		if len(v) != 8 {
			err = fmt.Errorf("container number of %d bytes: %w", len(v), ErrRow)
		} else {
			c.last.Store(binary.BigEndian.Uint64(v))
		}
	}
	if err != nil {
		s.fail(err)
		s.close(nil)
		return nil, false, err
	}
	return c, fresh, nil
}

// Close closes the catalog and writes the stamp of a clean close. Iterators
// must be closed before.
func (c *Catalog) Close() error {
	return c.s.close(func() error {
		return c.s.write([]row{{lastContainerKey, binary.BigEndian.AppendUint64(nil, c.last.Load())}})
	})
}

// Places returns all places of a chunk, in the order of their containers.
func (c *Catalog) Places(id chunk.ID) (places []Place, err error) {
	err = c.eachPlace(id, func(p Place) error {
		places = append(places, p)
		return nil
	})
	return places, err
}

// Has says whether a chunk has a place.
func (c *Catalog) Has(id chunk.ID) (has bool, err error) {
	err = c.eachPlace(id, func(Place) error {
		has = true
		return errStop
	})
	return has, err
}

// Chunks calls fn for each chunk that has a place, in ascending order, each
// once, as it was when Chunks was called. It reads keys alone.
func (c *Catalog) Chunks(fn func(chunk.ID) error) error {
	return c.s.view(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{'c'}})
		defer it.Close()
		var last chunk.ID
		for it.Rewind(); it.Valid(); it.Next() {
			key := it.Item().Key()
			if len(key) != 1+len(last)+8 {
				return fmt.Errorf("place %x: %w", key, ErrRow)
			}
			if id := chunk.ID(key[1 : 1+len(last)]); id != last {
				last = id
				if err := fn(id); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func (c *Catalog) eachPlace(id chunk.ID, fn func(Place) error) error {
	return c.s.each(chunkKey('c', id), func(key, value []byte) error {
		p, err := decodePlace(key, value)
		if err != nil {
			return err
		}
		return fn(p)
	})
}

// Container returns the row of a container.
func (c *Catalog) Container(id ContainerID) (Container, bool, error) {
	key := containerKey('k', id)
	v, err := c.s.get(key)
	if err != nil || v == nil {
		return Container{}, false, err
	}
	k, err := decodeContainer(key, v)
	return k, err == nil, err
}

// Containers calls fn for each container in the order of their numbers.
func (c *Catalog) Containers(fn func(Container) error) error {
	return c.s.each([]byte{'k'}, func(key, value []byte) error {
		k, err := decodeContainer(key, value)
		if err != nil {
			return err
		}
		return fn(k)
	})
}

// ContainerChunks calls fn for each chunk of a container in the order of
// their offsets. A chunk that lies in it twice comes twice, and may have lost
// its place meanwhile: the ID is checked where it is read.
func (c *Catalog) ContainerChunks(id ContainerID, fn func(offset int64, id chunk.ID, plainLen uint32) error) error {
	return c.s.each(containerKey('r', id), func(key, value []byte) error {
		offset, chunkID, n, err := decodeReverse(key, value)
		if err != nil {
			return err
		}
		return fn(offset, chunkID, n)
	})
}

// Group returns the container that a hard-link group of a tree shares.
func (c *Catalog) Group(tree string, group uint64) (ContainerID, bool, error) {
	v, err := c.s.get(groupKey(tree, group))
	if err != nil || v == nil {
		return 0, false, err
	}
	if len(v) != 8 {
		return 0, false, fmt.Errorf("group %d of tree %q: %w", group, tree, ErrRow)
	}
	return ContainerID(binary.BigEndian.Uint64(v)), true, nil
}

// Groups calls fn for each hard-link group, tree by tree.
func (c *Catalog) Groups(fn func(tree string, group uint64, id ContainerID) error) error {
	return c.s.each([]byte{'g'}, func(key, value []byte) error {
		tree, number, ok := bytes.Cut(key[1:], []byte{0})
		if !ok || len(number) != 8 || len(value) != 8 {
			return fmt.Errorf("row of a group, %d and %d bytes: %w", len(key), len(value), ErrRow)
		}
		return fn(string(tree), binary.BigEndian.Uint64(number), ContainerID(binary.BigEndian.Uint64(value)))
	})
}

// Wants calls fn for each want in the order of the IDs.
func (c *Catalog) Wants(fn func(chunk.ID, Want) error) error {
	return c.s.each([]byte{'w'}, func(key, value []byte) error {
		id, w, err := decodeWant(key, value)
		if err != nil {
			return err
		}
		return fn(id, w)
	})
}

// Want returns the want of a chunk.
func (c *Catalog) Want(id chunk.ID) (Want, bool, error) {
	key := chunkKey('w', id)
	v, err := c.s.get(key)
	if err != nil || v == nil {
		return Want{}, false, err
	}
	_, w, err := decodeWant(key, v)
	return w, err == nil, err
}

// PutDrive notes where on the drive chunks lie, in addition to what is noted
// already.
func (c *Catalog) PutDrive(places []DrivePlace) error {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	rows := make([]row, 0, min(len(places), batchRows))
	for i := range places {
		rows = append(rows, places[i].row())
		if len(rows) == batchRows || i == len(places)-1 {
			if err := c.s.write(rows); err != nil {
				return err
			}
			rows = rows[:0]
		}
	}
	return nil
}

// Drive returns a place of a chunk on the drive: of several, that in the pack
// with the lowest number.
func (c *Catalog) Drive(id chunk.ID) (p DrivePlace, found bool, err error) {
	err = c.s.each(chunkKey('d', id), func(key, value []byte) error {
		found = true
		if p, err = decodeDrive(key, value); err != nil {
			return err
		}
		return errStop
	})
	return p, found && err == nil, err
}

// DropDrive forgets one place on the drive: it could not be read. Drive then
// finds the next.
func (c *Catalog) DropDrive(id chunk.ID, pack uint32) error {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	return c.s.write([]row{{key: driveKey(id, pack)}})
}

// ClearDrive forgets all places on the drive.
func (c *Catalog) ClearDrive() error {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	return c.s.deleteAll([]byte{'d'}, nil)
}

// Checked says whether a stream chunk was once found with all that it names.
func (c *Catalog) Checked(id chunk.ID) (bool, error) {
	v, err := c.s.get(chunkKey('t', id))
	return v != nil, err
}

// Arrived says whether a snapshot was once found to have arrived.
func (c *Catalog) Arrived(snapshot uint64) (bool, error) {
	v, err := c.s.get(arrivedKey(snapshot))
	return v != nil, err
}

// ForgetChecks forgets what was checked and what has arrived.
func (c *Catalog) ForgetChecks() error {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if err := c.s.deleteAll([]byte{'a'}, nil); err != nil {
		return err
	}
	return c.s.deleteAll([]byte{'t'}, nil)
}

// NextContainer gives out a container number, one above all that were given
// out or seen before.
func (c *Catalog) NextContainer() ContainerID { return ContainerID(c.last.Add(1)) }

// RaiseContainer makes sure that id is not given out again. PutContainer does
// so by itself.
func (c *Catalog) RaiseContainer(id ContainerID) {
	for {
		last := c.last.Load()
		if uint64(id) <= last || c.last.CompareAndSwap(last, uint64(id)) {
			return
		}
	}
}

// Meta returns a small fact, nil if it was never set.
func (c *Catalog) Meta(key string) ([]byte, error) { return c.s.get(metaKey(key)) }

// Stats counts rows, by reading all of their keys.
func (c *Catalog) Stats() (st Stats, err error) {
	err = c.s.view(func(txn *badger.Txn) error {
		for prefix, n := range map[string]*int64{
			"c": &st.Places, "k": &st.Containers, "p": &st.Paths, "w": &st.Wants, "t": &st.Checked,
		} {
			err := eachIn(txn, []byte(prefix), nil, func(_, _ []byte) error { *n++; return nil })
			if err != nil {
				return err
			}
		}
		return nil
	})
	return st, err
}
