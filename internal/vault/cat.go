package vault

import (
	"context"
	"errors"
	"fmt"
	"io"

	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/internal/exit"
	"waterlock/internal/report"
	"waterlock/snapshot"
)

// CatOptions say which file to write out.
type CatOptions struct {
	Vault    string
	Snapshot string // latest, a number, an id prefix, or a time; "" = latest
	Path     string // TREE/PATH
	Out      io.Writer
	Report   report.Reporter
}

// CatResult says what Cat wrote. Everything that was written is right, up to Written; where Damaged or Incomplete is set,
// the rest is missing.
type CatResult struct {
	Snapshot   SnapshotRef
	Tree, Path string
	Size       int64 // of the content that the snapshot has
	Written    int64
	Damaged    bool // exit code 20
	Incomplete bool // exit code 3: nothing of it has come, or not all of it
	Pending    bool // what was written is an earlier version: the newer one has not been carried yet
	Unseen     bool // what was written is as home could last read it
}

// Cat writes the content of one file, each chunk verified by its ID before it goes out, and checks the hash of the whole
// at the end.
func Cat(ctx context.Context, o CatOptions) (result CatResult, err error) {
	rep := o.Report
	if rep == nil {
		rep = report.Discard
	}
	v, err := openVault(o.Vault, rep)
	if err != nil {
		return result, err
	}
	defer v.closeInto(&err)
	if err := v.openStore(ctx); err != nil {
		return result, err
	}
	a, err := v.checkArrivals(ctx, nil)
	if err != nil {
		return result, interrupted(ctx, err)
	}
	commit, err := v.choose(o.Snapshot, a)
	if err != nil {
		return result, err
	}
	tree, path, err := inTree(&commit.Snapshot, o.Path)
	if err != nil {
		return result, err
	}
	result.Snapshot, result.Tree, result.Path = refOf(commit), tree.Name, path
	name := treePath(tree.Name, path)
	e, err := v.fileAt(tree, path, result.Snapshot.Number)
	var gap *snapshot.GapError
	switch {
	case errors.As(err, &gap):
		rep.Problem(name, fmt.Errorf("snapshot %d: the list of files cannot be read here: %w", result.Snapshot.Number, gap))
		result.Incomplete = true
		result.Damaged, err = v.someLost()
		return result, err
	case err != nil:
		return result, err
	}
	result.Pending, result.Unseen, result.Size = e.Pending, e.Unseen, e.ContentSize()
	if e.Hash.IsZero() {
		result.Incomplete = true
		rep.Problem(name, fmt.Errorf("snapshot %d: its content has not been carried yet", result.Snapshot.Number))
		return result, nil
	}
	if lacking, err := v.lackingOf(e); err != nil {
		return result, err
	} else if lacking > 0 {
		result.Incomplete = true
		rep.Problem(name, fmt.Errorf("snapshot %d: %s of it have not come yet, or are lost; nothing was written", result.Snapshot.Number, report.Count(lacking, "chunk")))
		return result, nil
	}
	err = v.writeOut(ctx, e, o.Out, &result)
	var bad *badContent
	if errors.As(err, &bad) {
		result.Damaged = true
		rep.Problem(name, fmt.Errorf("snapshot %d: %w", result.Snapshot.Number, bad.err))
		return result, nil
	}
	return result, interrupted(ctx, err)
}

// someLost tells whether chunks turned out to be damaged since the last check of arrivals.
func (v *vault) someLost() (bool, error) {
	n, err := v.lostSince()
	return n > 0, err
}

// fileAt finds a file in a snapshot. What is no file has no content to write out.
func (v *vault) fileAt(t *snapshot.TreeRecord, path string, number uint64) (*snapshot.Entry, error) {
	e, err := snapshot.NewStreamReaderAt(*t, v.store, path).Next()
	name := report.Name(treePath(t.Name, path))
	switch {
	case err == io.EOF || err == nil && e.Path != path:
		return nil, exit.Errorf(exit.NotFound, "%s is not in snapshot %d", name, number)
	case err != nil:
		return nil, err
	case e.Kind == disk.KindDir:
		return nil, exit.Errorf(exit.Usage, "%s is a directory: wl ls lists it, wl restore brings it back", name)
	case e.Kind == disk.KindSymlink:
		return nil, exit.Errorf(exit.Usage, "%s is a symbolic link to %s", name, report.Name(e.Target))
	case e.Kind != disk.KindFile:
		return nil, exit.Errorf(exit.Usage, "%s is a %v and has no content", name, e.Kind)
	}
	return e, nil
}

// lackingOf counts the chunks of a file that have no place in the vault.
func (v *vault) lackingOf(e *snapshot.Entry) (n int64, err error) {
	for _, x := range e.Content {
		if x.Hole {
			continue
		}
		has, err := v.store.Has(x.ID)
		if err != nil {
			return 0, err
		}
		if !has {
			n++
		}
	}
	return n, nil
}

// badContent is damage that ends the writing.
type badContent struct{ err error }

func (e *badContent) Error() string { return e.err.Error() }

// zeros are what a hole reads as.
var zeros [256 << 10]byte

func (v *vault) writeOut(ctx context.Context, e *snapshot.Entry, out io.Writer, r *CatResult) error {
	v.rep.Phase("writing", r.Size, 0)
	whole := chunk.NewContentHasher()
	out = io.MultiWriter(whole, out)
	write := func(b []byte) error {
		n, err := out.Write(b)
		r.Written += int64(n)
		v.rep.Add(int64(n), 0)
		return err
	}
	var buf []byte
	for _, x := range e.Content {
		if err := ctx.Err(); err != nil {
			return err
		}
		if x.Hole {
			for left := x.Length; left > 0; {
				n := min(left, int64(len(zeros)))
				if err := write(zeros[:n]); err != nil {
					return err
				}
				if err := ctx.Err(); err != nil {
					return err
				}
				left -= n
			}
			continue
		}
		plain, err := v.store.Get(x.ID, chunk.Data, x.Length, buf)
		if err != nil {
			return &badContent{fmt.Errorf("offset %d of %d: %w; what was written before is right, nothing of the rest was written", r.Written, r.Size, err)}
		}
		if err := write(plain); err != nil {
			return err
		}
		buf = plain[:0]
	}
	if sum := whole.Sum(); sum != e.Hash {
		return &badContent{fmt.Errorf("each chunk is what the snapshot names, but the whole is not: its hash is %s, expected %s; do not use what was written", sum, e.Hash)}
	}
	return nil
}
