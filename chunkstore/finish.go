package chunkstore

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"waterlock/index"
	"waterlock/internal/disk"
)

// finisher carries out a record, or what a crash left of it: every step looks
// first at what is there, so that it may be repeated.
type finisher struct {
	s    *Store
	rec  *record
	errs []error
	done []bool // nothing is left to do: finished before a crash, or given up
	dirs dirSet
	at   int   // the action that is being carried out
	meta []int // actions whose file got new metadata that is not durable yet
	// Recovery: some of it may be done already, and what was done may have
	// been changed by others since.
	again bool
}

// finish carries out a durable record: steps 6 to 10 of the package comment.
// errs has one error for each action that could not be done; what lies at its
// path is still there, or has its kept or foreign name. The error is one that
// leaves in doubt what is durable.
func (s *Store) finish(rec *record) (errs []error, err error) {
	f := &finisher{s: s, rec: rec, errs: make([]error, len(rec.acts)), done: make([]bool, len(rec.acts))}
	return f.run()
}

// resume is finish for a record that may be finished in part, or whole.
func (s *Store) resume(rec *record) (errs []error, err error) {
	f := &finisher{s: s, rec: rec, errs: make([]error, len(rec.acts)), done: make([]bool, len(rec.acts)), again: true}
	for i := range rec.acts {
		a := &rec.acts[i]
		if a.kind == actPlace && s.vols[a.tree] != nil {
			// The staged name goes last: without it all was done.
			sh := s.vols[a.tree].shelf
			_, found, err := stat(sh.fs, sh.stageName(a.stage))
			if err != nil {
				return nil, err
			}
			f.done[i] = !found
		}
	}
	return f.run()
}

func (f *finisher) run() ([]error, error) {
	f.each(f.setAside) // step 6
	if err := f.dirs.sync(); err != nil {
		return nil, err
	}
	f.each(f.put) // step 7
	f.syncMeta()
	if err := f.dirs.sync(); err != nil {
		return nil, err
	}
	f.each(f.remove)            // step 8
	for i := range f.rec.acts { // a directory comes after what lies in it
		if a := &f.rec.acts[i]; a.kind == actRemove && a.isDir {
			f.try(i, f.removeDir)
		}
	}
	if err := f.dirs.sync(); err != nil {
		return nil, err
	}
	// All is durable now: a name that cannot be removed any more is left over,
	// for the next Open or for ever, and fails nothing.
	// Nor is their going durable by itself: of an action that was done before a
	// crash, a kept name may be back.
	errs := slices.Clone(f.errs)
	clear(f.done)
	f.each(f.release) // step 9
	f.each(f.unstage) // step 10
	return errs, nil
}

func (f *finisher) each(step func(a *action, v *volume) error) {
	for i := range f.rec.acts {
		f.try(i, step)
	}
}

// metaTogether is the number of files from which on their new metadata is made
// durable by one call.
const metaTogether = 64

// syncMeta makes new metadata durable. Where that fails for many at once nobody
// can say whose is not, and an error of a sync is reported once: all of them are
// given up, and the mirror's check looks at each.
func (f *finisher) syncMeta() {
	byFS := map[disk.FS][]int{}
	for _, i := range f.meta {
		v := f.s.vols[f.rec.acts[i].tree]
		byFS[v.FS] = append(byFS[v.FS], i)
	}
	for fsys, list := range byFS {
		names := make([]string, len(list))
		for k, i := range list {
			a := &f.rec.acts[i]
			names[k] = f.s.vols[a.tree].name(a.path)
		}
		if len(list) < metaTogether {
			for k, i := range list {
				f.errs[i] = fsys.SyncFiles(names[k : k+1])
			}
		} else if err := fsys.SyncFiles(names); err != nil {
			for _, i := range list {
				f.errs[i] = err
			}
		}
	}
}

func (f *finisher) try(i int, step func(a *action, v *volume) error) {
	if f.done[i] || f.errs[i] != nil {
		return
	}
	a := &f.rec.acts[i]
	if a.kind == actGrow || a.kind == actAdopt {
		return // all of it was done before the record
	}
	v := f.s.vols[a.tree]
	if v == nil && !(a.kind == actDrop && a.row == index.Pack) {
		f.errs[i] = fmt.Errorf("tree %q has no volume", a.tree)
		return
	}
	f.at = i
	if f.errs[i] = step(a, v); f.errs[i] != nil && f.asWanted(a, v) {
		f.errs[i] = nil
	}
}

// asWanted reports whether an action that failed has had its effect all the
// same: what counts is what is there.
func (f *finisher) asWanted(a *action, v *volume) bool {
	if v == nil || a.kind == actMeta || a.kind == actDrop {
		return false
	}
	st, found, err := stat(v.FS, v.name(a.path))
	switch {
	case err != nil:
		return false
	case a.kind == actRemove:
		return !found
	case a.kind == actDir:
		return found && st.Kind == disk.KindDir
	}
	return found && st.Ino == a.node.ino && st.Kind == a.entry.Kind
}

// aside is the name that what lies in the way gets, "" for none.
func aside(a *action, v *volume) string {
	switch {
	case a.old == oldKeep || a.old == oldShared && a.hold:
		return v.shelf.keptName(a.oldID)
	case a.old == oldForeign:
		return a.foreign
	}
	return ""
}

// setAside gives what lies in the way the name it will have: a link from kept
// or foreign. Both names are there until the next step, and this one is durable
// by then.
func (f *finisher) setAside(a *action, v *volume) error {
	to := aside(a, v)
	if to == "" {
		return nil
	}
	name := v.name(a.path)
	st, found, err := stat(v.FS, name)
	if err != nil {
		return err
	}
	if !found || a.kind == actPlace && st.Ino == a.node.ino {
		return nil // it went on before a crash
	}
	if f.again && a.kind == actDir && st.Kind == disk.KindDir {
		return nil
	}
	if !a.prev.is(st) && !(a.old == oldForeign && st.Ino == a.prev.ino) {
		if f.again && a.kind == actRemove {
			return nil
		}
		return fmt.Errorf("%s was changed by somebody else meanwhile", name)
	}
	if a.old == oldForeign && a.isDir {
		// Directories and links cannot have two names: this is a rename,
		// durable on both ends before anything takes the path.
		if err := v.FS.Rename(name, to); err != nil {
			return err
		}
		f.dirs.add(v.FS, parent(to))
		f.dirs.add(v.FS, parent(name))
		return nil
	}
	err = v.FS.Link(name, to)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if got, err := v.FS.Stat(to); err != nil {
		return err
	} else if got.Ino != st.Ino {
		return fmt.Errorf("%s is taken by another file", to)
	}
	f.dirs.add(v.FS, parent(to))
	return nil
}

// put makes the path show what it should.
func (f *finisher) put(a *action, v *volume) error {
	if a.kind == actDrop {
		return nil // a pack has no volume
	}
	name := v.name(a.path)
	switch a.kind {
	case actDir:
		return f.putDir(a, v, name)
	case actMeta:
		return f.putMeta(a, v, name)
	case actPlace:
	default:
		return nil
	}
	stage := v.shelf.stageName(a.stage)
	f.dirs.add(v.FS, parent(name))
	st, found, err := stat(v.FS, name)
	if err != nil {
		return err
	}
	if found && st.Ino == a.node.ino && st.Kind == a.entry.Kind {
		return nil
	}
	if found && st.Kind == disk.KindDir {
		if err := v.FS.Remove(name); err != nil {
			return err
		}
		found = false
	}
	if !found {
		// Nobody's file is ever replaced this way.
		err := v.FS.Link(stage, name)
		if err == nil || !linksUnsupported(err) {
			return err
		}
		return v.FS.Rename(stage, name) // symlinks and pipes of some systems
	}
	if !f.again && a.old == oldNone {
		return fmt.Errorf("%s was written by somebody else meanwhile", name)
	}
	if a.prev.ino != st.Ino {
		return fmt.Errorf("%s was changed by somebody else meanwhile", name)
	}
	if err := f.held(a, v, st); err != nil {
		return err
	}
	// The staged name stays until the path is durable: a second link of it
	// goes over the path.
	over := stage + linkExt
	if err := removeIfThere(v.FS, over); err != nil {
		return err
	}
	if err := v.FS.Link(stage, over); err != nil {
		if linksUnsupported(err) {
			return v.FS.Rename(stage, name)
		}
		return err
	}
	return v.FS.Rename(over, name)
}

// linksUnsupported reports that something cannot have two names here.
func linksUnsupported(err error) bool {
	return errors.Is(err, errors.ErrUnsupported) || errors.Is(err, fs.ErrPermission)
}

func (f *finisher) putDir(a *action, v *volume, name string) error {
	st, found, err := stat(v.FS, name)
	if err != nil {
		return err
	}
	if found && st.Kind == disk.KindDir {
		return nil
	}
	f.dirs.add(v.FS, parent(name))
	if found {
		if a.old == oldNone || st.Ino != a.prev.ino {
			return fmt.Errorf("%s was written by somebody else meanwhile", name)
		}
		if err := f.held(a, v, st); err != nil {
			return err
		}
		if err := v.FS.Remove(name); err != nil {
			return err
		}
	}
	return v.FS.Mkdir(name, 0o755)
}

func (f *finisher) putMeta(a *action, v *volume, name string) error {
	st, found, err := stat(v.FS, name)
	if err != nil {
		return err
	}
	if !found || !a.prev.is(st) && !a.node.is(st) {
		if f.again {
			return nil // somebody else changed it since; the mirror's check says so
		}
		return fmt.Errorf("%s was changed by somebody else meanwhile", name)
	}
	if err := f.s.setMeta(v.FS, name, a.entry); err != nil {
		return err
	}
	if a.entry.Kind == disk.KindFile {
		f.meta = append(f.meta, f.at)
	}
	return nil
}

// remove takes a path out of the mirror. Its content has another durable name.
func (f *finisher) remove(a *action, v *volume) error {
	if a.kind == actDrop {
		return f.drop(a)
	}
	if a.kind != actRemove || a.isDir && a.old == oldOther {
		return nil
	}
	name := v.name(a.path)
	st, found, err := stat(v.FS, name)
	if err != nil || !found {
		return err
	}
	if st.Ino != a.prev.ino {
		if f.again {
			return nil
		}
		return fmt.Errorf("%s was changed by somebody else meanwhile", name)
	}
	if err := f.held(a, v, st); err != nil {
		return err
	}
	f.dirs.add(v.FS, parent(name))
	return v.FS.Remove(name)
}

// held makes sure that an inode that loses a path has another name: the last
// line of defence before a file is unlinked or replaced.
func (f *finisher) held(a *action, v *volume, st disk.Stat) error {
	if st.Kind != disk.KindFile {
		return nil
	}
	if to := aside(a, v); to != "" {
		o, found, err := stat(v.FS, to)
		if err != nil {
			return err
		}
		if !found || o.Ino != st.Ino {
			return fmt.Errorf("%s is not linked to %s", v.name(a.path), to)
		}
		return nil
	}
	if st.Nlink < 2 {
		return fmt.Errorf("%s would lose its last name", v.name(a.path))
	}
	return nil
}

func (f *finisher) drop(a *action) error {
	fsys, name := f.s.cfg.Vault, packName(a.path)
	switch v := f.s.vols[a.tree]; a.row {
	case index.Kept:
		fsys, name = v.FS, v.shelf.store+"/kept/"+a.path
	case index.Staging:
		fsys, name = v.FS, v.shelf.growName(a.cont)
	}
	st, found, err := stat(fsys, name)
	if err != nil || !found {
		return err
	}
	if !a.node.is(st) || a.row != index.Pack && st.Nlink != 1 {
		return fmt.Errorf("%s is not what was recorded of it", name)
	}
	f.dirs.add(fsys, parent(name))
	return fsys.Remove(name)
}

// removeDir removes a directory unless something is left in it.
func (f *finisher) removeDir(a *action, v *volume) error {
	if a.old != oldOther {
		return nil
	}
	name := v.name(a.path)
	if !isDir(v.FS, name) {
		return nil
	}
	if err := v.FS.Remove(name); err != nil && !isNotEmpty(err) {
		return err
	}
	f.dirs.add(v.FS, parent(name))
	return nil
}

// release takes away kept names that were needed for the time of the batch, and
// names of inodes that went into the mirror.
func (f *finisher) release(a *action, v *volume) error {
	if a.unkeep {
		return errors.Join(f.releaseName(v, v.shelf.keptName(a.cont), v.name(a.path), a.node.ino),
			f.releaseName(v, v.shelf.growName(a.cont), v.name(a.path), a.node.ino))
	}
	if a.old != oldShared || !a.hold {
		return nil
	}
	for i := range f.rec.acts {
		o := &f.rec.acts[i]
		if o.kind == actPlace && o.cont == a.oldID && f.errs[i] == nil {
			ov := f.s.vols[o.tree]
			return f.releaseName(v, v.shelf.keptName(a.oldID), ov.name(o.path), a.prev.ino)
		}
	}
	return nil
}

func (f *finisher) releaseName(v *volume, name, other string, ino uint64) error {
	st, found, err := stat(v.FS, name)
	if err != nil || !found || st.Ino != ino {
		return err
	}
	if o, found, err := stat(v.FS, other); err != nil || !found || o.Ino != ino {
		return err // it stays: a name more costs nothing
	}
	return v.FS.Remove(name)
}

// unstage removes the staged names: the sign that an action is done.
func (f *finisher) unstage(a *action, v *volume) error {
	if a.kind != actPlace {
		return nil
	}
	stage := v.shelf.stageName(a.stage)
	// The rename of a link over another link of its inode leaves both names.
	if err := removeIfThere(v.FS, stage+linkExt); err != nil {
		return err
	}
	return removeIfThere(v.FS, stage)
}
