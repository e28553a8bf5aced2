package vault

import (
	"context"
	"errors"
	"fmt"
	"io"

	"waterlock/chunkstore"
	"waterlock/index"
	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/internal/report"
	"waterlock/snapshot"
)

// which says what a delivery looks at.
type which bool

const (
	everyPath    which = true
	blockedPaths which = false // only those that a directory stood in the way of
)

var errStuck = errors.New("a directory of the mirror stands in its place, whose files are gone at home and were kept; --deletions apply takes them out")

// delivery goes through the newest snapshot and the mirror side by side and makes the mirror follow.
type delivery struct {
	*unpacking
	which which
	tree  snapshot.TreeRecord
	batch *chunkstore.Batch

	sizes    map[string]int64   // of the files in the batch
	standing string             // the directory of the mirror where the snapshot has something else, last seen
	olders   map[string]*finder // older snapshots, by file, for pending entries
	gaps     bool               // a part of the tree's stream cannot be read
}

// deliver installs whatever of the newest snapshot is not in the mirror and whose chunks are at hand. A path whose chunks
// are not stays as it is. Nothing is deleted here; what is gone at home is counted.
func (u *unpacking) deliver(ctx context.Context, w which) error {
	return u.trees(func(tree snapshot.TreeRecord) error {
		d := &delivery{unpacking: u, which: w, tree: tree}
		return d.run(ctx)
	})
}

func (d *delivery) run(ctx context.Context) error {
	d.batch = d.newBatch(d.tree)
	d.sizes = map[string]int64{}
	err := d.lockstep(ctx, d.tree, func(path string, e *snapshot.Entry, row *index.PathRow, gone snapshot.Gone) error {
		switch {
		case e == nil:
			d.gone(path, row, gone)
			return nil
		case d.which == everyPath && e.Kind != disk.KindDir && row != nil && row.Kind == uint8(disk.KindDir):
			d.blocked++
			d.standing = path
			return nil
		case d.which == blockedPaths && (e.Kind == disk.KindDir || row == nil || row.Kind != uint8(disk.KindDir)):
			return nil
		case d.which == blockedPaths && d.stuck[d.name(path)]:
			d.result.Behind++
			d.result.BehindBytes += e.Size
			d.awaits(path, e.Size)
			d.rep.Problem(d.name(path), errStuck)
			return nil
		}
		pending := e.Pending
		if err := d.grow(ctx, e); err != nil {
			return err
		}
		e, err := d.wanted(e, row)
		if err != nil || e == nil {
			return err
		}
		d.sizes[e.Path] = e.Size
		install := chunkstore.Action{Op: chunkstore.Install, Tree: d.tree.Name, Entry: e, Stopgap: pending}
		if err := d.batch.Add(ctx, install); err != nil {
			return err
		}
		if d.batch.Full() {
			return d.commit(ctx)
		}
		return nil
	}, d.unknown)
	if err != nil {
		d.batch.Discard()
		return err
	}
	if d.which == everyPath && !d.gaps {
		d.walked[d.tree.Name] = true
	}
	return d.commit(ctx)
}

// unknown names a part of the tree whose entries cannot be read.
func (d *delivery) unknown(gap *snapshot.GapError) {
	if d.which != everyPath {
		return
	}
	d.gaps = true
	to := "its end"
	if gap.To != "" {
		to = report.Name(d.name(gap.To))
	}
	d.failed(gap.From, fmt.Errorf("what lies from here to %s stays as it is in the mirror: %w", to, gap))
}

// lockstep calls fn for every path of a tree that is in the newest snapshot (e) or in the mirror (row). Paths that lie in
// a gap of the stream are passed over: nothing is known of them, nor of what lies in a directory that does, unless it is
// named. A tree without its root is all gap. So is an adopted file that the snapshot does not have: it is somebody else's.
// gone says of a path that is not in the snapshot what home says of it. onGap may be nil.
func (u *unpacking) lockstep(ctx context.Context, tree snapshot.TreeRecord,
	fn func(path string, e *snapshot.Entry, row *index.PathRow, gone snapshot.Gone) error, onGap func(*snapshot.GapError)) error {
	stream := snapshot.NewStreamReader(tree, u.v.store)
	paths := u.v.cat.Paths(tree.Name)
	defer paths.Close()

	var gap *snapshot.GapError
	var graves snapshot.Graves
	var inGap string // directory of the mirror that lies in a gap
	rootSeen := false
	var unseenDir string // directory whose listing home could not read
	var inUnseen bool
	return snapshot.Lockstep(snapshot.Items(stream), pathRows(paths),
		func(path string, e *snapshot.Entry, hasE bool, r *pathRow, hasRow bool) error {
			if err := errors.Join(ctx.Err(), u.packs.there()); err != nil {
				return err
			}
			named := hasE && e.Gone != snapshot.Here
			if named {
				graves.Add(e)
			}
			if !hasE || named {
				covered := gap != nil && gap.Covers(path)
				if covered && hasRow && r.row.Kind == uint8(disk.KindDir) && (inGap == "" || !snapshot.Under(path, inGap)) {
					inGap = path
				}
				covered = covered || inGap != "" && snapshot.Under(path, inGap)
				hidden := hasRow && r.row.Adopted || !rootSeen || covered && !named || inUnseen && snapshot.Under(path, unseenDir)
				if hidden || !hasRow {
					return nil
				}
				return fn(path, nil, &r.row, u.certain(tree.Name, path, &r.row, graves.Over(path)))
			}
			rootSeen = rootSeen || path == ""
			if e.Unseen && e.Kind == disk.KindDir && !(inUnseen && snapshot.Under(path, unseenDir)) {
				unseenDir, inUnseen = path, true
				u.hidden = true
			}
			if !hasRow {
				return fn(path, e, nil, snapshot.Here)
			}
			return fn(path, e, &r.row, snapshot.Here)
		},
		func(err error) error {
			if !errors.As(err, &gap) {
				return err
			}
			if onGap != nil {
				onGap(gap)
			}
			return nil
		})
}

// pathRow is a row of the catalog with its path.
type pathRow struct {
	path string
	row  index.PathRow
}

func pathRows(it *index.PathIter) *snapshot.Peeker[*pathRow] {
	var r pathRow
	next := func() (*pathRow, error) {
		var ok bool
		if r.path, r.row, ok = it.Next(); ok {
			return &r, nil
		}
		if err := it.Err(); err != nil {
			return nil, err
		}
		return nil, io.EOF
	}
	return snapshot.NewPeeker(next, func(r *pathRow) string { return r.path })
}

// wanted returns the entry that the path is to show, or nil if it is to stay as it is.
func (d *delivery) wanted(e *snapshot.Entry, row *index.PathRow) (*snapshot.Entry, error) {
	if _, name := snapshot.Split(e.Path); name != "" {
		if err := snapshot.NameHere(name); err != nil {
			d.failed(e.Path, err)
			return nil, nil
		}
	}
	switch e.Kind {
	case disk.KindFile:
	case disk.KindDir:
		if row != nil && row.Kind == uint8(disk.KindDir) {
			return nil, nil // its metadata comes last: directories
		}
	case disk.KindSymlink, disk.KindFifo:
	default:
		d.result.NotKept++
		d.rep.Verbose("%s: a %s stays in the snapshots, the mirror does not make it", d.name(e.Path), e.Kind)
		return nil, nil
	}
	if e.Unseen {
		d.result.Unseen++
	}
	if e.Pending {
		d.result.Pending++
		var err error
		if e, err = d.lastCarried(e); e == nil || err != nil {
			return nil, err
		}
	}
	if e.Kind == disk.KindFile && e.Hash == (chunk.ContentHash{}) {
		return nil, nil // home has never been able to read it
	}
	if row != nil && row.Digest == e.Digest() {
		return nil, nil
	}
	plain := *e
	plain.Unseen = false
	return &plain, nil
}

// commit carries out the batch and counts what became of each action.
func (d *delivery) commit(ctx context.Context) error {
	if d.batch.Len() == 0 {
		d.batch.Discard()
		return nil
	}
	results, err := d.batch.Commit(ctx)
	if err != nil {
		return err
	}
	for i := range results {
		d.count(&results[i])
	}
	clear(d.sizes)
	d.batch = d.newBatch(d.tree)
	return nil
}

func (d *delivery) count(r *chunkstore.Result) {
	if r.Foreign != "" {
		d.result.Foreign++ // said by the store
	}
	if r.Err != nil {
		d.countFailure(r)
		return
	}
	switch r.Way {
	case chunkstore.Assembled:
		d.result.Written++
		d.result.WrittenBytes += r.Bytes
	case chunkstore.Linked:
		d.result.Linked++
	case chunkstore.Adopted, chunkstore.MetaOnly:
		d.result.Metadata++
	case chunkstore.Made:
		d.result.Others++
	}
	d.rep.Add(0, 1)
}

func (d *delivery) countFailure(r *chunkstore.Result) {
	d.awaits(r.Path, d.sizes[r.Path])
	d.result.GrownBytes += r.Grown
	if errors.Is(r.Err, chunkstore.ErrNoRoom) {
		d.lacksRoom(r, d.sizes[r.Path])
		return
	}
	var lacking *chunkstore.LackingError
	if !errors.As(r.Err, &lacking) {
		d.failed(r.Path, r.Err)
		return
	}
	d.result.Behind++
	d.result.BehindBytes += d.sizes[r.Path]
	damaged := false
	for _, id := range lacking.Chunks {
		damaged = damaged || d.packs.lost(id)
	}
	if !damaged && d.out.awaits(d.newest.Snapshot.Number) {
		d.result.Waiting++
		d.rep.Verbose("%s waits for a drive that is still out", d.name(r.Path))
		return
	}
	d.rep.Problem(d.name(r.Path), fmt.Errorf("not delivered, what the mirror had stays: %w; home is asked for them", r.Err))
}

func (d *delivery) failed(path string, err error) {
	d.result.Failed++
	d.rep.Problem(d.name(path), err)
}

// name is a path as people know it.
func (d *delivery) name(path string) string { return snapshot.Join(d.tree.Name, path) }
