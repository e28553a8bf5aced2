package chunkstore

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"waterlock/index"
	"waterlock/internal/disk"
	"waterlock/snapshot"
)

// Directories and files of the store within the vault's directory.
const (
	storeDir    = ".wl"
	installsDir = storeDir + "/installs"
	packsDir    = storeDir + "/packs"

	recordExt = ".install"
	voidExt   = ".void"
	dataExt   = ".pack" // history packs of data chunks
	streamExt = ".meta" // history packs of stream chunks
	partExt   = ".part" // of a pack that is being written
	linkExt   = ".in"   // of a staged name on its way over a path
	growExt   = ".grow" // of a file that grows over several shipments
)

// shelf is where staging, kept and foreign of one file system lie.
type shelf struct {
	fs    disk.FS
	store string

	apart bool  // files cannot share blocks
	avail int64 // room left by the last look, less what was written since
	looks int   // how often avail may be used before it is asked for again
}

// volume is a Volume with its shelf.
type volume struct {
	Volume
	shelf *shelf
}

func newVolumes(vs []Volume) (map[string]*volume, []*shelf, error) {
	byTree := make(map[string]*volume, len(vs))
	var shelves []*shelf
	for _, v := range vs {
		if v.Tree == "" || v.FS == nil || v.Store == "" {
			return nil, nil, fmt.Errorf("volume of tree %q is incomplete", v.Tree)
		}
		if byTree[v.Tree] != nil {
			return nil, nil, fmt.Errorf("tree %q has two volumes", v.Tree)
		}
		if v.Mirror == "." {
			v.Mirror = ""
		}
		var sh *shelf
		for _, s := range shelves {
			if s.fs == v.FS && s.store == v.Store {
				sh = s
			}
		}
		if sh == nil {
			sh = &shelf{fs: v.FS, store: v.Store}
			shelves = append(shelves, sh)
		}
		byTree[v.Tree] = &volume{v, sh}
	}
	return byTree, shelves, nil
}

// name is the name of a path of the tree within the volume's FS.
func (v *volume) name(p string) string {
	switch {
	case v.Mirror == "" && p == "":
		return "."
	case v.Mirror == "":
		return p
	case p == "":
		return v.Mirror
	}
	return v.Mirror + "/" + p
}

// allowed refuses paths that may not be made here: those of the store itself,
// and names that would mean something else on this machine.
func (v *volume) allowed(p string) error {
	if n := v.name(p); n == v.Store || strings.HasPrefix(n, v.Store+"/") {
		return fmt.Errorf("%w: %s", ErrReserved, v.Store)
	}
	return snapshot.PathHere(p)
}

func hexNumber(n index.ContainerID) string { return fmt.Sprintf("%016x", uint64(n)) }

// parseNumber is the inverse of hexNumber; ok is false for any other spelling.
func parseNumber(s string) (n index.ContainerID, ok bool) {
	if len(s) != 16 || strings.ToLower(s) != s {
		return 0, false
	}
	u, err := strconv.ParseUint(s, 16, 64)
	return index.ContainerID(u), err == nil && u != 0
}

func (sh *shelf) stagingDir() string { return sh.store + "/staging" }

func (sh *shelf) stageName(n index.ContainerID) string { return sh.stagingDir() + "/" + hexNumber(n) }

// growName is where the file of a growing container lies.
func (sh *shelf) growName(n index.ContainerID) string { return sh.stageName(n) + growExt }

// keptRow is the name of a kept file as catalog rows have it: xx/<number>.
func keptRow(n index.ContainerID) string { h := hexNumber(n); return h[14:] + "/" + h }

func (sh *shelf) keptName(n index.ContainerID) string { return sh.store + "/kept/" + keptRow(n) }

func packRow(n index.ContainerID, ext string) string { return keptRow(n) + ext }

func packName(row string) string { return packsDir + "/" + row }

// locate says where a container lies by its row.
func (s *Store) locate(c index.Container) (disk.FS, string, error) {
	if c.Kind == index.Pack {
		return s.cfg.Vault, packName(c.Name), nil
	}
	v := s.vols[c.Tree]
	if v == nil {
		return nil, "", fmt.Errorf("container %d is of tree %q, which has no volume", c.ID, c.Tree)
	}
	switch c.Kind {
	case index.Mirror:
		return v.FS, v.name(c.Name), nil
	case index.Kept:
		return v.FS, v.shelf.store + "/kept/" + c.Name, nil
	case index.Staging:
		return v.FS, v.shelf.growName(c.ID), nil
	case index.Foreign:
		return v.FS, c.Name, nil
	}
	return nil, "", fmt.Errorf("container %d is of unknown kind %d", c.ID, c.Kind)
}

// stat is FS.Stat with found false where nothing is there, which includes a
// path whose parent is missing or no directory.
func stat(f disk.FS, name string) (st disk.Stat, found bool, err error) {
	st, err = f.Stat(name)
	if err == nil {
		return st, true, nil
	}
	if errors.Is(err, fs.ErrNotExist) || isNotDir(err) {
		return disk.Stat{}, false, nil
	}
	return disk.Stat{}, false, err
}

// removeIfThere removes a name that may be gone already.
func removeIfThere(f disk.FS, name string) error {
	if err := f.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) && !isNotDir(err) {
		return err
	}
	return nil
}

// isFile reports whether name is a regular file.
func isFile(f disk.FS, name string) bool {
	st, ok, err := stat(f, name)
	return err == nil && ok && st.Kind == disk.KindFile
}

// isDir reports whether name is a real directory.
func isDir(f disk.FS, name string) bool {
	st, ok, err := stat(f, name)
	return err == nil && ok && st.Kind == disk.KindDir
}

func parent(name string) string { return path.Dir(name) }

// sameMTime compares a recorded time with what a file system gives back, which
// may hold full or tenths of microseconds only.
func sameMTime(recorded, found disk.Time) bool {
	if recorded.Sec != found.Sec {
		return false
	}
	return recorded.Nsec == found.Nsec || found.Nsec == 0 || found.Nsec == recorded.Nsec-recorded.Nsec%100
}

// dirSet gathers directories that are to be synced, each once, in the order
// they were first named.
type dirSet struct {
	seen map[dirKey]bool
	list []dirKey
}

type dirKey struct {
	fs   disk.FS
	name string
}

func (d *dirSet) add(f disk.FS, name string) {
	k := dirKey{f, name}
	if d.seen[k] {
		return
	}
	if d.seen == nil {
		d.seen = map[dirKey]bool{}
	}
	d.seen[k] = true
	d.list = append(d.list, k)
}

// sync makes all of them durable. A directory that is gone meanwhile has
// nothing left to lose.
func (d *dirSet) sync() error {
	for _, k := range d.list {
		if err := k.fs.SyncDir(k.name); err != nil && !errors.Is(err, fs.ErrNotExist) && !isNotDir(err) {
			return err
		}
	}
	*d = dirSet{}
	return nil
}
