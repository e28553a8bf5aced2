package chunkstore

import (
	"context"

	"waterlock/index"
	"waterlock/internal/chunk"
	"waterlock/pack"
	"waterlock/snapshot"
)

// Store is the chunk store of one vault.
type Store struct{ cat *index.Catalog }

// Open opens the catalog, finishes the last install batch, and rebuilds the
// catalog where it was not closed cleanly.
func Open(ctx context.Context, cfg Config) (*Store, error) { panic("unwritten") }

// Close flushes nothing: history that was not flushed is not kept. It closes
// the catalog.
func (s *Store) Close() error { panic("unwritten") }

// Catalog is the catalog, for the rows that are not the store's own: wants,
// arrived, checked, drive places; and for reading paths.
func (s *Store) Catalog() *index.Catalog { return s.cat }

// Rebuilt reports whether Open had to rebuild the catalog: rows of wants,
// arrived and checked are gone then.
func (s *Store) Rebuilt() bool { panic("unwritten") }

// AttachDrive adds the drive as a last place to look for chunks: those with a
// drive row in the catalog. Nil takes it away.
func (s *Store) AttachDrive(src DriveSource) { panic("unwritten") }

// Get returns the plain bytes of a chunk from any good place; they may lie in
// buf. A place that is found bad is dropped, reported, and becomes a want if it
// was the last. It is a snapshot.Getter, safe for concurrent use.
func (s *Store) Get(id chunk.ID, k chunk.Kind, length int64, buf []byte) ([]byte, error) {
	panic("unwritten")
}

// Has reports whether the vault has a durable place of the chunk.
func (s *Store) Has(id chunk.ID) (bool, error) { panic("unwritten") }

// HasOrDrive reports whether the vault or the attached drive has the chunk.
func (s *Store) HasOrDrive(id chunk.ID) (bool, error) { panic("unwritten") }

// PutHistory appends a chunk to the open history pack of its kind unless the
// vault has it. It counts (Has) after the next FlushHistory only. ErrNoRoom:
// nothing was written and what was put before is not lost.
func (s *Store) PutHistory(st pack.Stored, k chunk.Kind) error { panic("unwritten") }

// FlushHistory closes the open history packs and makes them durable: read back
// cold, renamed, entered in the catalog.
func (s *Store) FlushHistory() error { panic("unwritten") }

// Batch gathers actions and carries them out under one install record.
type Batch struct{}

// NewBatch begins a batch. One batch at a time.
func (s *Store) NewBatch(o BatchOptions) *Batch { panic("unwritten") }

// Add prepares an action: files are assembled in staging now, with all they
// need. An action that cannot be prepared is a Result with Err, and leaves the
// path as it is. The error is of the batch as a whole: ctx, a failing catalog.
func (b *Batch) Add(ctx context.Context, a Action) error { panic("unwritten") }

// Full reports that the batch should be committed before more is added.
func (b *Batch) Full() bool { panic("unwritten") }

// Len returns the number of actions added.
func (b *Batch) Len() int { panic("unwritten") }

// Commit carries out the batch, durably, and returns one Result for each
// action in the order they were added. After an error of the batch as a whole
// the store must be opened anew; nothing is lost then.
func (b *Batch) Commit(ctx context.Context) ([]Result, error) { panic("unwritten") }

// Discard drops a batch that was not committed, with what it staged.
func (b *Batch) Discard() { panic("unwritten") }

// SetDirMeta gives a directory of the mirror the metadata of its entry, where
// it differs. It is not recorded: it can be repeated at any time.
func (s *Store) SetDirMeta(tree string, e *snapshot.Entry) (changed bool, err error) {
	panic("unwritten")
}

// CheckMirror compares every path of the mirror and every other container with
// what is recorded of it. The rows of paths that vanished or were changed by
// somebody else are dropped, so that the next Install puts them right; chunks
// that have no place left become wants. Run it before unpacking.
func (s *Store) CheckMirror(ctx context.Context) (MirrorCheck, error) { panic("unwritten") }

// Rebuild makes the catalog anew from install records, pack tables and the
// containers' sizes, times and inodes. It reads no content.
func (s *Store) Rebuild(ctx context.Context) error { panic("unwritten") }

// Compact turns kept files and packs that are needed for less than half of
// their bytes into history packs and removes them.
func (s *Store) Compact(ctx context.Context, o CompactOptions) (CompactResult, error) {
	panic("unwritten")
}

// Scrub reads containers and verifies every chunk of them. Where another place
// has what is damaged it is repaired, else it becomes a want.
func (s *Store) Scrub(ctx context.Context, o ScrubOptions) (ScrubResult, error) { panic("unwritten") }

// Space adds up what the vault's files take.
func (s *Store) Space(ctx context.Context) (Space, error) { panic("unwritten") }
