package index

import "waterlock/internal/chunk"

// Ledger is home's index: what the vault holds and what is aboard.
// All methods may be called from several goroutines at once.
type Ledger struct{}

// OpenLedger opens the ledger in dir, which is created if absent. fresh says
// that it is empty because there was none, or none that could be trusted: the
// caller then rebuilds it from receipts and chunk lists.
func OpenLedger(dir string) (l *Ledger, fresh bool, err error) { panic("unwritten") }

// Known says whether id is held, else whether it is aboard a shipment for
// which live says yes.
func (l *Ledger) Known(id chunk.ID, live func(ord uint32) bool) (State, error) { panic("unwritten") }

// AddAboard notes that the shipment ord carries ids. What is held stays held.
func (l *Ledger) AddAboard(ord uint32, ids []chunk.ID) error { panic("unwritten") }

// MarkHeld notes that the vault has acknowledged ids, and forgets which
// shipments carried them.
func (l *Ledger) MarkHeld(ids []chunk.ID) error { panic("unwritten") }

// Drop makes ids neither held nor aboard: wanted or condemned.
func (l *Ledger) Drop(ids []chunk.ID) error { panic("unwritten") }

// DropAboard forgets that the shipment ord carries ids: lost, missing, or not
// all of it arrived.
func (l *Ledger) DropAboard(ord uint32, ids []chunk.ID) error { panic("unwritten") }

// Generation is a random number that is redrawn whenever a chunk may have
// become unknown: a scan written under the same generation needs no lookups.
func (l *Ledger) Generation() uint64 { panic("unwritten") }

// Redraw draws a new generation: for callers whose live changes its answer.
func (l *Ledger) Redraw() error { panic("unwritten") }

// Count counts the chunks that are held and those that are only aboard
// shipments, by reading all rows.
func (l *Ledger) Count() (held, aboard int64, err error) { panic("unwritten") }

// Meta returns a small fact, nil if it was never set.
func (l *Ledger) Meta(key string) ([]byte, error) { panic("unwritten") }

// SetMeta keeps a small fact (at most MaxMeta bytes).
func (l *Ledger) SetMeta(key string, value []byte) error { panic("unwritten") }

// Close closes the ledger and writes the stamp of a clean close.
func (l *Ledger) Close() error { panic("unwritten") }
