package vault

import (
	"context"
	"fmt"
	"strings"

	"waterlock/chunkstore"
	"waterlock/index"
	"waterlock/internal/disk"
	"waterlock/internal/report"
	"waterlock/snapshot"
)

// gone counts a path that is in the mirror and no longer in the newest snapshot.
func (d *delivery) gone(path string, row *index.PathRow, gone snapshot.Gone) {
	if d.which != everyPath {
		return
	}
	switch isDir := row.Kind == uint8(disk.KindDir); {
	case gone.Stays() && !isDir:
		d.result.Stays++
		d.result.StaysBytes += row.Size
		return
	case gone.Stays():
		return
	case isDir && gone == snapshot.Confirmed:
		d.goneDirs++
	case !isDir:
		d.result.Gone++
		d.result.GoneBytes += row.Size
		if len(d.goneNames) < namesInQuestion {
			d.goneNames = append(d.goneNames, report.Name(d.name(path)))
		}
		if gone == snapshot.Confirmed {
			d.result.Confirmed++
			d.result.ConfirmedBytes += row.Size
		}
	}
	if dir := d.standing; dir != "" && snapshot.Under(path, dir) {
		d.stuck[d.name(dir)] = true
	}
	d.rep.Verbose("%s is gone at home", d.name(path))
}

// deletions takes out of the mirror what the newest snapshot has no longer, if the policy or a person says so. Every
// byte of it stays: in the history, for the snapshots that name it.
func (u *unpacking) deletions(ctx context.Context) error {
	if u.result.Gone+u.goneDirs == 0 {
		return nil
	}
	if u.result.DeletionsNoted = u.deletionsHeld(); u.result.DeletionsNoted != "" {
		return nil
	}
	u.stuck = nil
	if u.o.Deletions == DeletionsConfirmed && u.result.Confirmed < u.result.Gone {
		u.result.DeletionsNoted = notConfirmed
	}
	return u.trees(func(tree snapshot.TreeRecord) error {
		d := &delivery{unpacking: u, tree: tree}
		return d.deleteGone(ctx)
	})
}

const notConfirmed = "home has not confirmed them, and to take out what it has is the setting"

// deletionsHeld says why the deletions are not applied; "" if they are.
func (u *unpacking) deletionsHeld() string {
	const nobody = "there is nobody to ask, and to ask is the setting"
	switch u.o.Deletions {
	case DeletionsApply:
		return ""
	case DeletionsKeep:
		return "to keep them is the setting"
	case DeletionsConfirmed:
		if u.result.Confirmed+u.goneDirs == 0 {
			return notConfirmed
		}
		return ""
	}
	if u.o.Confirm == nil {
		return nobody
	}
	yes, asked := u.o.Confirm(u.goneQuestion())
	switch {
	case !asked:
		return nobody
	case !yes:
		return "you said no"
	}
	return ""
}

// namesInQuestion is how many of the files that are gone the question names.
const namesInQuestion = 3

// goneQuestion says what is gone, a line each of the first files, and asks.
func (u *unpacking) goneQuestion() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Gone at home, and still in the mirror: %s, %s", report.Count(u.result.Gone, "file"), report.Size(u.result.GoneBytes))
	if u.goneDirs > 0 {
		fmt.Fprintf(&b, ", and %s", report.Count(u.goneDirs, "directory"))
	}
	b.WriteString(".\n")
	for _, name := range u.goneNames {
		b.WriteString("  " + name + "\n")
	}
	if more := u.result.Gone - int64(len(u.goneNames)); more > 0 && len(u.goneNames) > 0 {
		fmt.Fprintf(&b, "  and %s\n", report.Count(more, "more file"))
	}
	switch u.result.Confirmed {
	case u.result.Gone:
		b.WriteString("Home says that this is right.\n")
	case 0:
		b.WriteString("Home has not said yet whether this is right.\n")
	default:
		fmt.Fprintf(&b, "Home says of %s (%s) that this is right, and has said nothing yet of the rest.\n",
			report.Count(u.result.Confirmed, "file"), report.Size(u.result.ConfirmedBytes))
	}
	b.WriteString("Take them out of the mirror? Older snapshots keep them.")
	return b.String()
}

func count(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// takesOut tells whether a path that is gone leaves the mirror: never what home wants to stay there.
func (u *unpacking) takesOut(gone snapshot.Gone) bool {
	return gone == snapshot.Confirmed || gone == snapshot.Undecided && u.o.Deletions != DeletionsConfirmed
}

// deleteGone removes the gone paths of one tree: what lies in a directory before the directory itself, and no directory
// in which something stays.
func (d *delivery) deleteGone(ctx context.Context) error {
	d.batch = d.newBatch(d.tree)
	d.sizes = map[string]int64{}
	var dirs []string // gone directories that are still to be removed, the innermost last
	upTo := func(path string, all bool) error {
		for len(dirs) > 0 && (all || !snapshot.Under(path, dirs[len(dirs)-1])) {
			if err := d.remove(ctx, dirs[len(dirs)-1]); err != nil {
				return err
			}
			dirs = dirs[:len(dirs)-1]
		}
		return nil
	}
	err := d.lockstep(ctx, d.tree, func(path string, e *snapshot.Entry, row *index.PathRow, gone snapshot.Gone) error {
		if err := upTo(path, false); err != nil {
			return err
		}
		switch {
		case e != nil:
			return nil
		case !d.takesOut(gone):
			dirs = dirs[:0] // all of them are above this path
			return nil
		case row.Kind == uint8(disk.KindDir):
			dirs = append(dirs, path)
			return nil
		}
		d.sizes[path] = row.Size
		return d.remove(ctx, path)
	}, nil)
	if err == nil {
		err = upTo("", true)
	}
	if err != nil {
		d.batch.Discard()
		return err
	}
	return d.commitRemovals(ctx)
}

func (d *delivery) remove(ctx context.Context, path string) error {
	if err := d.batch.Add(ctx, chunkstore.Action{Op: chunkstore.Remove, Tree: d.tree.Name, Path: path}); err != nil {
		return err
	}
	if d.batch.Full() {
		return d.commitRemovals(ctx)
	}
	return nil
}

func (d *delivery) commitRemovals(ctx context.Context) error {
	if d.batch.Len() == 0 {
		d.batch.Discard()
		return nil
	}
	results, err := d.batch.Commit(ctx)
	if err != nil {
		return err
	}
	for i := range results {
		r := &results[i]
		switch {
		case r.Err != nil:
			d.failed(r.Path, r.Err)
		case r.Way == chunkstore.Removed:
			if size, isFile := d.sizes[r.Path]; isFile {
				d.result.Deleted++
				d.result.DeletedBytes += size
				d.rep.Add(0, 1)
			}
		default:
			d.rep.Verbose("%s stays: something in it was not written by wl", d.name(r.Path))
		}
		if r.Foreign != "" {
			d.result.Foreign++ // said by the store
		}
	}
	clear(d.sizes)
	d.batch = d.newBatch(d.tree)
	return nil
}

// directories gives the directories of the mirror their metadata, when nothing changes in them any more.
func (u *unpacking) directories(ctx context.Context) error {
	return u.trees(func(tree snapshot.TreeRecord) error {
		d := &delivery{unpacking: u, tree: tree}
		return u.lockstep(ctx, tree, func(path string, e *snapshot.Entry, row *index.PathRow, _ snapshot.Gone) error {
			if e == nil || e.Kind != disk.KindDir || row == nil || row.Kind != uint8(disk.KindDir) {
				return nil
			}
			changed, err := u.v.store.SetDirMeta(tree.Name, e)
			if err != nil {
				d.failed(path, err)
			}
			if changed {
				u.result.Metadata++
			}
			return nil
		}, nil)
	})
}
