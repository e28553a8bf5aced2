package snapshot

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"

	"waterlock/internal/chunk"
	"waterlock/internal/disk"
)

// A batch is closed at so many files or bytes.
const (
	batchFiles = 256
	batchBytes = 256 << 20
	// batchExtents is the longest content list that waits in a batch.
	batchExtents = 1024
	// writeTries is how often a file is written that does not read back well.
	writeTries = 3
)

const tempContext = "waterlock 2026-11 restore temporary name"

// restoring is a file written under its temporary name.
type restoring struct {
	entry *Entry
	temp  string // path in the target
	old   uint64 // inode that was at the path; 0: none
	had   bool   // something was
	bytes int64  // written; none for a link
	node  *landedFile
}

// file restores one file, up to its place in the batch.
func (r *restorer) file(e *Entry) error {
	if r.came(e) {
		return nil
	}
	if e.Hash.IsZero() {
		err := errUnread
		if e.Pending {
			err = errNoContent
		}
		r.fail(e.Path, err)
		return nil
	}
	if size := e.ContentSize(); !e.Pending && size != e.Size {
		r.fail(e.Path, fmt.Errorf("%w: content of %d bytes, size %d", errSnapshot, size, e.Size))
		return nil
	}
	if r.links.waiting(e) {
		if err := r.flush(); err != nil {
			return err
		}
	}
	err := r.fileAt(e)
	if err != nil && r.ctx.Err() != nil {
		return context.Cause(r.ctx)
	}
	if err != nil {
		r.fail(e.Path, err)
	}
	if len(r.batch) >= batchFiles || r.batched >= batchBytes || len(e.Content) > batchExtents {
		return r.flush()
	}
	return nil
}

func (r *restorer) fileAt(e *Entry) error {
	up, name, err := r.parent(e.Path)
	if err != nil {
		return err
	}
	st, there, err := look(up, name)
	if err != nil {
		return err
	}
	if there {
		done, err := r.fileThere(e, up, name, st)
		if done || err != nil {
			return err
		}
	}
	have := r.atHand(e)
	if r.DryRun {
		if have != all {
			r.wait(e)
			return nil
		}
		r.done(e, e.ContentSize())
		return nil
	}
	temp := tempName(e.Path)
	linked, err := r.links.reuse(e, Join(dirOf(e.Path), temp))
	if err != nil {
		return err
	}
	if linked {
		// Its content was verified under its first name.
		return r.place(restoring{entry: e, temp: Join(dirOf(e.Path), temp), old: st.Ino, had: there, node: r.landed.now})
	}
	item := restoring{entry: e, temp: Join(dirOf(e.Path), temp), old: st.Ino, had: there, bytes: e.ContentSize(), node: r.landed.now}
	_, waits := r.links.growing[e.LinkGroup]
	switch {
	case have == all && !r.begun(e) && !waits:
	case waits || have == none || have == some && !r.begun(e) && !r.Trips.Grows(e.Path):
		r.wait(e)
		return nil
	default:
		return r.grow(item, up, temp)
	}
	if err := r.write(up, temp, e, syncLater); err != nil {
		if r.ctx.Err() == nil && r.atHand(e) == some { // a chunk could not be had after all: the rest is kept
			r.Report.Problem(r.inTree(e.Path), err)
			return r.grow(item, up, temp)
		}
		up.Remove(temp)
		return err
	}
	item.node.wait()
	if len(e.Content) <= batchExtents {
		item.entry = e.Clone()
	} // else the batch is flushed while e is valid
	r.batch = append(r.batch, item)
	r.batched += e.ContentSize()
	return nil
}

// fileThere decides about what is at the path of a file: done where it is
// equal or must stay.
func (r *restorer) fileThere(e *Entry, up disk.FS, name string, st disk.Stat) (done bool, err error) {
	if st.Kind == disk.KindDir {
		return false, errDirInWay
	}
	equal := false
	if st.Kind == disk.KindFile && st.Size == e.ContentSize() {
		hash, err := r.readBack(up, name)
		if err != nil && !r.Overwrite {
			return false, fmt.Errorf("cannot be compared: %w", err)
		}
		equal = err == nil && hash == e.Hash
	}
	if !equal {
		if !r.Overwrite {
			return false, errDiffers
		}
		return false, nil
	}
	m, err := up.Meta(name, st)
	if err != nil {
		return false, err
	}
	if !r.sameMeta(e, m) || !r.links.isOne(e, st) {
		if r.Overwrite {
			return false, nil
		}
		r.res.Kept++
		r.Report.Verbose("%s: there with equal content, keeps its other metadata", r.name(e.Path))
	}
	r.res.AlreadyThere++
	r.res.Files++
	r.count(e)
	r.Report.Add(e.ContentSize(), 1)
	r.landed.now.here()
	if r.begun(e) {
		up.Remove(tempName(e.Path))
	}
	r.links.keep(e)
	return true, nil
}

// done counts a file that is in place.
func (r *restorer) done(e *Entry, bytes int64) {
	r.res.Files++
	r.res.Bytes += bytes
	r.count(e)
	r.Report.Add(0, 1)
}

// syncWhen names the argument of write.
type syncWhen bool

const (
	syncLater syncWhen = false
	syncNow   syncWhen = true
)

// write makes a file under a temporary name with the content and metadata of
// its entry. A file left there by an interrupted restore is removed first.
func (r *restorer) write(up disk.FS, temp string, e *Entry, when syncWhen) error {
	f, err := up.Create(temp, 0o600)
	if errors.Is(err, fs.ErrExist) {
		if err := up.Remove(temp); err != nil {
			return err
		}
		f, err = up.Create(temp, 0o600)
	}
	if err != nil {
		return err
	}
	err = r.fillFile(f, e)
	if err == nil && when == syncNow {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	return r.setMeta(up, temp, e, metaTemporary)
}

func (r *restorer) fillFile(f disk.File, e *Entry) error {
	hash := chunk.NewContentHasher()
	size := e.ContentSize()
	for _, x := range e.Content {
		if x.Hole {
			if err := f.Truncate(size); err != nil {
				return err
			}
			break
		}
	}
	var offset int64
	for i := range e.Content {
		x := &e.Content[i]
		if err := r.ctx.Err(); err != nil {
			return err
		}
		if x.Hole {
			if err := HashZeros(r.ctx, hash, x.Length); err != nil {
				return err
			}
		} else {
			if int64(cap(r.buf)) < x.Length {
				r.buf = make([]byte, 0, x.Length)
			}
			plain, err := r.Get.Get(x.ID, chunk.Data, x.Length, r.buf)
			if err != nil {
				return fmt.Errorf("chunk %s: %w", x.ID.Short(), err)
			}
			if int64(len(plain)) != x.Length {
				return fmt.Errorf("%w: chunk %s of %d bytes, named with %d", errSnapshot, x.ID.Short(), len(plain), x.Length)
			}
			hash.Write(plain)
			if _, err := f.WriteAt(plain, offset); err != nil {
				return err
			}
		}
		offset += x.Length
		r.Report.Add(x.Length, 0)
	}
	if got := hash.Sum(); got != e.Hash {
		return fmt.Errorf("%w: content hash %s, named with %s", errSnapshot, got, e.Hash)
	}
	return nil
}

// readBack hashes a file as it is on the medium.
func (r *restorer) readBack(dir disk.FS, name string) (hash chunk.ContentHash, err error) {
	if r.copyBuf == nil {
		r.copyBuf = make([]byte, 256<<10)
	}
	_, err = disk.ReadBack(dir, name, func(f disk.File) (err error) {
		hash, err = HashFile(r.ctx, f, r.copyBuf)
		return err
	})
	return hash, err
}

// flush puts the files of the batch into their places:
//
//	sync all, read each back from the medium, rename each
//
// A file that does not read back as written is written anew.
func (r *restorer) flush() error {
	if len(r.batch) == 0 {
		return nil
	}
	temps := make([]string, len(r.batch))
	for i := range r.batch {
		temps[i] = r.batch[i].temp
	}
	synced := r.Target.SyncFiles(temps) == nil
	for len(r.batch) > 0 {
		item := r.batch[0]
		if r.ctx.Err() != nil {
			return context.Cause(r.ctx)
		}
		r.batch = r.batch[1:]
		err := r.settle(item, synced)
		if err != nil {
			r.Target.Remove(item.temp)
			if r.ctx.Err() != nil {
				return context.Cause(r.ctx)
			}
			r.fail(item.entry.Path, err)
			item.node.lacking()
		}
	}
	r.batch, r.batched = nil, 0
	r.landed.tell()
	return nil
}

// settle verifies one file and renames it. After a failed sync nothing that
// was written is trusted, so it is written anew.
func (r *restorer) settle(item restoring, synced bool) error {
	e := item.entry
	err := errors.New("could not be synced")
	for try := 1; ; try++ {
		if synced {
			var hash chunk.ContentHash
			if hash, err = r.readBack(r.Target, item.temp); err == nil && hash != e.Hash {
				err = fmt.Errorf("%w: content hash %s, written %s", disk.ErrReadBack, hash, e.Hash)
			}
			if err == nil {
				break
			}
		}
		if r.ctx.Err() != nil || try == writeTries {
			return err
		}
		r.Report.Verbose("%s: %v; written anew", r.name(e.Path), err)
		if err = r.Target.Remove(item.temp); err != nil {
			return err
		}
		err = r.write(r.Target, item.temp, e, syncNow)
		synced = err == nil
	}
	if r.unreadable(e) {
		if err := r.setMeta(r.Target, item.temp, e, metaFinal); err != nil {
			return err
		}
	}
	return r.place(item)
}

// place renames a verified file to its path, if there is still what was there
// before: not another file whose name this file system takes for the same.
func (r *restorer) place(item restoring) error {
	e := item.entry
	st, there, err := look(r.Target, e.Path)
	if err == nil && (there != item.had || there && st.Ino != item.old) {
		err = errors.New("something else appeared at its path meanwhile")
	}
	if err == nil {
		err = r.Target.Rename(item.temp, e.Path)
	}
	if err != nil {
		r.Target.Remove(item.temp)
		return err
	}
	// Rename does nothing between two links of one file.
	r.Target.Remove(item.temp)
	r.done(e, item.bytes)
	item.node.here()
	r.links.keep(e)
	return nil
}

// abandon removes what a cancelled run left in the batch.
func (r *restorer) abandon() {
	for _, item := range r.batch {
		r.Target.Remove(item.temp)
	}
	r.batch = nil
}

// tempName is the temporary name of a path, always the same: what an
// interrupted restore left there is found by the next one.
func tempName(path string) string {
	sum := chunk.Checksum(tempContext, []byte(path))
	return ".wl-restore-" + hex.EncodeToString(sum[:8])
}

func dirOf(path string) string {
	dir, _ := Split(path)
	return dir
}
