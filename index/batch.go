package index

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"waterlock/internal/chunk"
)

// Batch gathers changes of the catalog and makes them in their order, so that
// of two changes of one row the later counts. What a batch holds is not seen
// by lookups before Commit. Memory is bounded: a large batch is written in
// parts as it grows, the last of them by Commit. An error is kept and returned
// by Commit. A Batch is for one goroutine; a committed one may be used again.
type Batch struct {
	c   *Catalog
	ops []op
	err error
}

// op is a change: a row, or one that must read rows first.
type op struct {
	row
	kind      opKind
	container ContainerID
	offset    int64 // of opDropPlaceAt
}

type opKind uint8

const (
	opRow           opKind = iota
	opDropPlace            // key is that of the place
	opDropPlaceAt          // the same, if it is at the offset; what lies there in any case
	opDropContainer        // with all rows of its chunks
)

// Batch begins a batch.
func (c *Catalog) Batch() *Batch { return &Batch{c: c} }

// Len is the number of changes that wait to be written.
func (b *Batch) Len() int { return len(b.ops) }

func (b *Batch) add(o op) {
	b.ops = append(b.ops, o)
	if len(b.ops) >= batchRows {
		b.flush()
	}
}

func (b *Batch) put(key, value []byte) { b.add(op{row: row{key, notNil(value)}}) }
func (b *Batch) drop(key []byte)       { b.add(op{row: row{key: key}}) }

// fail keeps the first error.
func (b *Batch) fail(err error) {
	if b.err == nil {
		b.err = err
	}
}

// AddPlace notes that a chunk lies at p. Of several places in one container
// lookups find the last that was added.
func (b *Batch) AddPlace(id chunk.ID, p Place) {
	b.put(placeKey(id, p.Container), p.encode())
	b.put(reverseKey(p.Container, p.Offset), reverseValue(id, p.PlainLen))
}

// DropPlace forgets the place of a chunk in a container.
func (b *Batch) DropPlace(id chunk.ID, container ContainerID) {
	b.add(op{kind: opDropPlace, row: row{key: placeKey(id, container)}, container: container})
}

// DropPlaceAt forgets that a chunk lies at one offset of a container.
func (b *Batch) DropPlaceAt(id chunk.ID, container ContainerID, offset int64) {
	b.add(op{kind: opDropPlaceAt, row: row{key: placeKey(id, container)}, container: container, offset: offset})
}

// PutContainer notes a container, or where it lies now.
func (b *Batch) PutContainer(c Container) {
	if len(c.Tree)+len(c.Name) > maxName {
		b.fail(fmt.Errorf("container %d at %.80q…: %w", c.ID, c.Name, ErrTooLong))
		return
	}
	b.c.RaiseContainer(c.ID)
	b.put(containerKey('k', c.ID), c.encode())
}

// DropContainer forgets a container and all places in it.
func (b *Batch) DropContainer(id ContainerID) { b.add(op{kind: opDropContainer, container: id}) }

// PutPath notes what was installed at a path.
func (b *Batch) PutPath(tree, path string, p PathRow) {
	if err := CheckPath(tree, path); err != nil {
		b.fail(err)
		return
	}
	b.put(pathKey(tree, path), p.encode())
}

// DropPath forgets a path.
func (b *Batch) DropPath(tree, path string) {
	if CheckPath(tree, path) == nil {
		b.drop(pathKey(tree, path))
	}
}

// PutGroup notes the container that a hard-link group of a tree shares.
func (b *Batch) PutGroup(tree string, group uint64, id ContainerID) {
	b.put(groupKey(tree, group), binary.BigEndian.AppendUint64(nil, uint64(id)))
}

// DropGroup forgets a hard-link group.
func (b *Batch) DropGroup(tree string, group uint64) { b.drop(groupKey(tree, group)) }

// PutWant notes that the vault wants a chunk.
func (b *Batch) PutWant(id chunk.ID, w Want) { b.put(chunkKey('w', id), w.encode()) }

// DropWant forgets a want.
func (b *Batch) DropWant(id chunk.ID) { b.drop(chunkKey('w', id)) }

// PutChecked notes that a stream chunk was found with all that it names.
func (b *Batch) PutChecked(id chunk.ID) { b.put(chunkKey('t', id), nil) }

// PutArrived notes that a snapshot has arrived.
func (b *Batch) PutArrived(snapshot uint64) { b.put(arrivedKey(snapshot), nil) }

// SetMeta keeps a small fact of at most MaxMeta bytes.
func (b *Batch) SetMeta(key string, value []byte) {
	if err := checkMeta(key, value); err != nil {
		b.fail(err)
		return
	}
	b.put(metaKey(key), slices.Clone(value))
}

// Commit writes what is left of the batch. What was refused as too long is
// left out and is an error (ErrTooLong); all else is written nevertheless.
func (b *Batch) Commit() error {
	b.flush()
	err := b.err
	b.err = nil
	return err
}

// flush makes the changes gathered so far.
func (b *Batch) flush() {
	ops := b.ops
	b.ops = b.ops[:0]
	if b.err != nil && !errors.Is(b.err, ErrTooLong) {
		return
	}
	if err := b.c.apply(ops); err != nil {
		b.err = err
	}
}

// apply makes changes in their order. Rows are gathered, so that they are
// written sorted; a change that must read first sees all that came before it.
func (c *Catalog) apply(ops []op) error {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	rows := make([]row, 0, len(ops))
	flush := func() error {
		err := c.s.write(rows)
		rows = make([]row, 0, len(ops))
		return err
	}
	// added finds a place that an earlier change of this batch has written.
	added := make(map[string]int)
	for _, o := range ops {
		switch o.kind {
		case opRow:
			if o.key[0] == 'c' {
				added[string(o.key)] = len(rows)
			}
			rows = append(rows, o.row)
		case opDropPlace, opDropPlaceAt:
			if o.kind == opDropPlaceAt {
				rows = append(rows, row{key: reverseKey(o.container, o.offset)})
			}
			value, err := []byte(nil), error(nil)
			if i, ok := added[string(o.key)]; ok {
				value = rows[i].value
			} else {
				value, err = c.s.get(o.key)
			}
			if err != nil {
				return err
			}
			if value == nil {
				continue
			}
			p, err := decodePlace(o.key, value)
			if err != nil {
				return err
			}
			if o.kind == opDropPlaceAt && p.Offset != o.offset {
				continue
			}
			added[string(o.key)] = len(rows)
			rows = append(rows, row{key: o.key}, row{key: reverseKey(o.container, p.Offset)})
		case opDropContainer:
			if err := flush(); err != nil {
				return err
			}
			clear(added)
			if err := c.dropContainer(o.container); err != nil {
				return err
			}
		}
	}
	return flush()
}

// dropContainer deletes the container's chunks, a batch at a time, then its
// own row.
func (c *Catalog) dropContainer(id ContainerID) error {
	err := c.s.deleteAll(containerKey('r', id), func(key, value []byte, rows []row) ([]row, error) {
		_, chunkID, _, err := decodeReverse(key, value)
		return append(rows, row{key: placeKey(chunkID, id)}), err
	})
	if err != nil {
		return err
	}
	return c.s.write([]row{{key: containerKey('k', id)}})
}
