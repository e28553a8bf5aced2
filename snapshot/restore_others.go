package snapshot

import (
	"errors"
	"io/fs"

	"waterlock/internal/disk"
)

// second handles everything that is neither directory nor file.
func (r *restorer) second(e *Entry) error {
	switch e.Kind {
	case disk.KindDir, disk.KindFile:
		return nil
	case disk.KindSymlink, disk.KindFifo:
	default:
		// A socket is made by who listens on it; devices are made by the system.
		r.res.Dropped++
		r.Report.Verbose("%s: a %v is not restored", r.name(e.Path), e.Kind)
		return nil
	}
	switch err := r.other(e); {
	case errors.Is(err, errNoParent):
		r.res.Failed++ // its directory was named in the first pass
		r.Report.Verbose("%s: %v", r.name(e.Path), err)
	case err != nil:
		r.fail(e.Path, err)
	default:
		r.res.Others++
		r.count(e)
	}
	return nil
}

var errNoParent = errors.New("its directory is not there")

func (r *restorer) other(e *Entry) error {
	up, name, err := r.parent(e.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return errNoParent
	}
	if err != nil {
		return err
	}
	st, there, err := look(up, name)
	if err != nil {
		return err
	}
	if there {
		equal := st.Kind == e.Kind
		if equal && e.Kind == disk.KindSymlink {
			target, err := up.Readlink(name)
			if err != nil {
				return err
			}
			equal = target == e.Target
		}
		switch {
		case equal && !r.Overwrite:
			m, err := up.Meta(name, st)
			if err != nil {
				return err
			}
			if r.sameMeta(e, m) {
				r.res.AlreadyThere++
			} else {
				r.res.Kept++
			}
			return nil
		case st.Kind == disk.KindDir:
			return errDirInWay
		case !r.Overwrite:
			return errDiffers
		}
	}
	if r.DryRun {
		return nil
	}
	temp := tempName(e.Path)
	up.Remove(temp) // of an interrupted restore
	if e.Kind == disk.KindSymlink {
		err = up.Symlink(e.Target, temp)
	} else {
		err = up.Mkfifo(temp, 0o600)
	}
	if err != nil {
		return err
	}
	if err := r.setMeta(up, temp, e, metaFinal); err != nil {
		up.Remove(temp)
		return err
	}
	if !there {
		// Look once more: names may differ and still be one on this file system.
		if _, now, _ := look(up, name); now {
			up.Remove(temp)
			return errDiffers
		}
	}
	if err := up.Rename(temp, name); err != nil {
		up.Remove(temp)
		return err
	}
	return nil
}
