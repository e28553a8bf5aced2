package snapshot

import (
	"errors"
	"io/fs"
	"syscall"

	"waterlock/internal/disk"
)

// second handles everything that is neither directory nor file.
func (r *restorer) second(e *Entry) error {
	switch e.Kind {
	case disk.KindDir, disk.KindFile:
		return nil
	case disk.KindSymlink, disk.KindFifo:
	case disk.KindSocket:
		r.res.Sockets++ // who listens on it makes it
		r.Report.Verbose("%s: a socket is not restored", r.name(e.Path))
		return nil
	default:
		if !r.Privileged {
			r.res.Dropped++
			r.Report.Verbose("%s: a %v is not restored", r.name(e.Path), e.Kind)
			return nil
		}
	}
	switch err := r.other(e); {
	case notMade(e.Kind, err):
		r.unset(e.Path, plurals[e.Kind], err)
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

var plurals = map[disk.Kind]string{disk.KindSymlink: "symlinks", disk.KindFifo: "pipes",
	disk.KindCharDevice: "devices", disk.KindBlockDevice: "devices"}

// makeError says that an entry of this kind could not be made.
type makeError struct{ error }

func (e makeError) Unwrap() error { return e.error }

// notMade tells whether the target does not take entries of this kind at all,
// or not from this user. exFAT through FUSE calls that an I/O error.
func notMade(kind disk.Kind, err error) bool {
	var m makeError
	return errors.As(err, &m) && (errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EPERM) ||
		kind != disk.KindSymlink && errors.Is(err, syscall.EIO))
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
		equal = equal && st.Rdev == e.Rdev
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
	switch e.Kind {
	case disk.KindSymlink:
		err = up.Symlink(e.Target, temp)
	case disk.KindFifo:
		err = up.Mkfifo(temp, 0o600)
	default:
		err = up.Mkdev(temp, e.Kind, e.Rdev, 0o600)
	}
	if err != nil {
		return makeError{err}
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
