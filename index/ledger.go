package index

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/dgraph-io/badger/v4"

	"waterlock/internal/chunk"
)

// Ledger is home's index: what the vault holds and what is aboard. Its
// methods may be called from several goroutines at once.
type Ledger struct {
	s          *store
	generation atomic.Uint64
}

var generationKey = []byte{'g'}

// OpenLedger opens the ledger in dir, which is created if absent. fresh says
// that it is empty because there was none, or none that could be trusted: the
// caller then rebuilds it from receipts and chunk lists. ErrNoRoom;
// disk.ErrLocked while another process has it open.
func OpenLedger(dir string) (l *Ledger, fresh bool, err error) {
	s, fresh, err := openStore(dir, "ledger")
	if err != nil {
		return nil, false, err
	}
	l = &Ledger{s: s}
	if fresh {
		err = l.Redraw()
	} else {
		err = l.readGeneration()
	}
	if err != nil {
		s.fail(err)
		s.close(nil)
		return nil, false, err
	}
	return l, fresh, nil
}

func (l *Ledger) readGeneration() error {
	v, err := l.s.get(generationKey)
	if err != nil {
		return err
	}
	if len(v) != 8 {
		return fmt.Errorf("generation of %d bytes: %w", len(v), ErrRow)
	}
	l.generation.Store(binary.BigEndian.Uint64(v))
	return nil
}

// Close closes the ledger and writes the stamp of a clean close.
func (l *Ledger) Close() error { return l.s.close(nil) }

// ledgerRow is the value of a 'c' row.
type ledgerRow struct {
	held uint64   // number of the receipt that it became held by; 0: it is not
	ords []uint32 // ascending, without repetition; none if held
}

func decodeLedgerRow(b []byte, ords []uint32) (r ledgerRow, err error) {
	bad := func(what string) error { return fmt.Errorf("ledger row %x: %s: %w", b, what, ErrRow) }
	if len(b) == 0 || b[0] > 1 {
		return r, bad("flags")
	}
	rest := b[1:]
	if b[0] == 1 {
		v, n := binary.Uvarint(rest)
		if n != len(rest) || v == 0 {
			return r, bad("receipt")
		}
		return ledgerRow{held: v, ords: ords[:0]}, nil
	}
	for r.ords = ords[:0]; len(rest) > 0; {
		v, n := binary.Uvarint(rest)
		if n <= 0 || v > 1<<32-1 {
			return r, bad("ordinal")
		}
		r.ords = append(r.ords, uint32(v))
		rest = rest[n:]
	}
	return r, nil
}

// encode returns nil for a row that says nothing.
func (r ledgerRow) encode() []byte {
	if r.held != 0 {
		return binary.AppendUvarint([]byte{1}, r.held)
	}
	if len(r.ords) == 0 {
		return nil
	}
	b := make([]byte, 1, 1+2*len(r.ords))
	for _, o := range r.ords {
		b = binary.AppendUvarint(b, uint64(o))
	}
	return b
}

func chunkKey(prefix byte, id chunk.ID) []byte {
	return append(append(make([]byte, 0, 1+len(id)+8), prefix), id[:]...)
}

// Standing is all that the ledger knows of a chunk.
type Standing struct {
	Receipt   uint64   // number of the receipt by which it became held; 0: it is not
	Shipments []uint32 // ordinals of those that carry it, ascending; none if it is held
}

// State says whether the chunk is held, else whether it is aboard a shipment
// for which live says yes.
func (s Standing) State(live func(ord uint32) bool) State {
	switch {
	case s.Receipt != 0:
		return Held
	case slices.ContainsFunc(s.Shipments, live):
		return Aboard
	}
	return None
}

// Standing returns what is known of id.
func (l *Ledger) Standing(id chunk.ID) (Standing, error) {
	v, err := l.s.get(chunkKey('c', id))
	if err != nil || v == nil {
		return Standing{}, err
	}
	r, err := decodeLedgerRow(v, nil)
	return Standing{r.held, r.ords}, err
}

// Known is the State of id.
func (l *Ledger) Known(id chunk.ID, live func(ord uint32) bool) (State, error) {
	s, err := l.Standing(id)
	if err != nil {
		return None, err
	}
	return s.State(live), nil
}

// AddAboard notes that the shipment ord carries ids. What is held stays held.
func (l *Ledger) AddAboard(ord uint32, ids []chunk.ID) error {
	return l.change(ids, func(r *ledgerRow) (lost bool) {
		if i, found := slices.BinarySearch(r.ords, ord); !found && r.held == 0 {
			r.ords = slices.Insert(r.ords, i, ord)
		}
		return false
	})
}

// MarkHeld notes that the vault has acknowledged ids by the receipt of this
// number, which is not 0, and forgets which shipments carried them. What was
// held before stays held by the receipt that said so first.
func (l *Ledger) MarkHeld(receipt uint64, ids []chunk.ID) error {
	if receipt == 0 {
		return fmt.Errorf("held by receipt 0: %w", ErrRow)
	}
	return l.change(ids, func(r *ledgerRow) (lost bool) {
		if r.held == 0 {
			*r = ledgerRow{held: receipt}
		}
		return false
	})
}

// Drop makes ids neither held nor aboard: wanted or condemned. It draws a new
// generation even if nothing was known of them: somebody lacks them, so no
// scan that names them is taken at its word.
func (l *Ledger) Drop(ids []chunk.ID) error {
	return l.change(ids, func(r *ledgerRow) (lost bool) {
		*r = ledgerRow{}
		return true
	})
}

// DropAboard forgets that the shipment ord carries ids: lost, missing, or not
// all of it arrived. What is held stays held.
func (l *Ledger) DropAboard(ord uint32, ids []chunk.ID) error {
	return l.change(ids, func(r *ledgerRow) (lost bool) {
		i, found := slices.BinarySearch(r.ords, ord)
		if found {
			r.ords = slices.Delete(r.ords, i, i+1)
		}
		return found && r.held == 0
	})
}

// change reads, changes and writes the rows of ids. edit says whether the
// chunk may have become unknown by it: then a new generation is drawn.
func (l *Ledger) change(ids []chunk.ID, edit func(*ledgerRow) (lost bool)) error {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	for part := range slices.Chunk(ids, batchRows) {
		// Sorted for the index, and each only once: its row is read but once.
		part = slices.Clone(part)
		slices.SortFunc(part, chunk.ID.Compare)
		part = slices.Compact(part)
		rows, lost, err := l.edited(part, edit)
		if err != nil {
			return err
		}
		if lost {
			rows = append(rows, l.redraw())
		}
		if err := l.s.write(rows); err != nil {
			return err
		}
	}
	return nil
}

func (l *Ledger) edited(ids []chunk.ID, edit func(*ledgerRow) (lost bool)) (rows []row, anyLost bool, err error) {
	err = l.s.view(func(txn *badger.Txn) error {
		var buf []byte
		var ords []uint32
		for _, id := range ids {
			key := chunkKey('c', id)
			before, err := getIn(txn, key, buf)
			if err != nil {
				return err
			}
			var r ledgerRow
			if before != nil {
				if r, err = decodeLedgerRow(before, ords); err != nil {
					return err
				}
				buf, ords = before, r.ords
			}
			if edit(&r) {
				anyLost = true
			}
			if after := r.encode(); !bytes.Equal(after, before) {
				rows = append(rows, row{key, after})
			}
		}
		return nil
	})
	return rows, anyLost, err
}

// Generation is a random number that is redrawn whenever a chunk may have
// become unknown, so a scan written under the same generation needs no
// lookups.
func (l *Ledger) Generation() uint64 { return l.generation.Load() }

// Redraw draws a new generation: for callers whose live changes its answer.
func (l *Ledger) Redraw() error {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	return l.s.write([]row{l.redraw()})
}

func (l *Ledger) redraw() row {
	var b [8]byte
	rand.Read(b[:])
	l.generation.Store(binary.BigEndian.Uint64(b[:]))
	return row{generationKey, b[:]}
}

// Reset forgets all chunks and facts.
func (l *Ledger) Reset() error {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	if err := l.s.write([]row{l.redraw()}); err != nil {
		return err
	}
	for _, prefix := range []string{"c", "m"} {
		if err := l.s.deleteAll([]byte(prefix), nil); err != nil {
			return err
		}
	}
	return nil
}

// Count counts the chunks that are held and those that are only aboard
// shipments, by reading all rows.
func (l *Ledger) Count() (held, aboard int64, err error) {
	var ords []uint32
	err = l.s.each([]byte{'c'}, func(_, v []byte) error {
		r, err := decodeLedgerRow(v, ords)
		if r.held != 0 {
			held++
		} else {
			aboard++
		}
		ords = r.ords
		return err
	})
	return held, aboard, err
}

// Meta returns a small fact, nil if it was never set.
func (l *Ledger) Meta(key string) ([]byte, error) { return l.s.get(metaKey(key)) }

// SetMeta keeps a small fact of at most MaxMeta bytes.
func (l *Ledger) SetMeta(key string, value []byte) error {
	if err := checkMeta(key, value); err != nil {
		return err
	}
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	return l.s.write([]row{{metaKey(key), notNil(value)}})
}
