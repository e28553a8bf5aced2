package home

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"slices"
	"syscall"

	"waterlock/internal/disk"
	"waterlock/internal/wire"
	"waterlock/snapshot"
)

// A moved file keeps its inode, size, mtime and time of birth (its ctime changes). The survey remembers the keys of all
// new files (and of new directories, so that one that moved is not taken for deleted); then the last scans are read once more, and the entries with such a key go to a scratch file. In memory
// there are sixteen bytes for each new file, whatever its content list is.
//
// An inode number is given anew once its file is deleted, and unpacked archives bring their mtimes with them. So where
// the file system knows no time of birth nothing is taken for moved but read; nor is it where the inode still lies at
// its old path.

const maxMoveKeys = 4 << 20 // beyond so many new files in one tree, moved ones are read

// inodeKey is short for (device, inode, size, mtime, time of birth); who finds one compares all five.
type inodeKey uint64

func keyOf(l snapshot.Local, e *snapshot.Entry) inodeKey {
	h := uint64(14695981039346656037) // FNV-1a over the words, mixed at the end
	for _, v := range [...]uint64{l.Dev, l.Ino, uint64(e.Size), uint64(e.MTime.Sec), uint64(e.MTime.Nsec),
		uint64(e.BTime.Sec), uint64(e.BTime.Nsec)} {
		h = (h ^ v) * 1099511628211
		h ^= h >> 29
	}
	return inodeKey(h)
}

type movePlace struct {
	key inodeKey
	off int64
}

// moves finds entries of the last scans by inode.
type moves struct {
	trees  []*treeState
	file   disk.File
	places []movePlace // by key
	buf    []byte
}

// findMoves looks in the last scans for the new files of the survey.
func (r *run) findMoves() error {
	var keys []inodeKey
	for _, t := range r.trees {
		keys = append(keys, t.survey.newKeys...)
		t.survey.newKeys = nil
	}
	scans := false
	for _, t := range r.trees {
		scans = scans || t.lastScan != ""
	}
	if len(keys) == 0 || !scans {
		return nil
	}
	slices.Sort(keys)
	r.newKeys = keys
	if err := r.site.state.Remove(fileMoves); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := r.site.state.Create(fileMoves, 0o600)
	if err != nil {
		return err
	}
	m := &moves{trees: r.trees, file: f}
	w := bufio.NewWriterSize(f, 256<<10)
	off := int64(0)
	for i, t := range r.trees {
		err := eachScanned(r.site.state, t.lastScan, func(e *snapshot.ScanEntry) error {
			key := keyOf(e.Local, &e.Entry)
			if _, ok := slices.BinarySearch(keys, key); !ok || e.Entry.Gone != snapshot.Here || !knowsContent(e) {
				return nil
			}
			rec := encodeMove(i, e)
			m.places = append(m.places, movePlace{key, off})
			n, err := w.Write(rec)
			off += int64(n)
			return err
		})
		if err != nil {
			return errors.Join(err, f.Close())
		}
	}
	if err := w.Flush(); err != nil {
		return errors.Join(err, f.Close())
	}
	slices.SortFunc(m.places, func(a, b movePlace) int { return cmp.Compare(a.key, b.key) })
	countFound(r.trees, keys)
	r.moves = m
	return nil
}

// countFound counts the files that are gone from each tree and were found under another name, in whatever tree: each new
// file makes up for one. A further link to a file that is still there makes up for none.
func countFound(trees []*treeState, keys []inodeKey) {
	left := make(map[inodeKey]int)
	for _, t := range trees {
		for _, key := range t.survey.goneFiles {
			left[key] = 0
		}
	}
	for _, key := range keys {
		if n, ok := left[key]; ok {
			left[key] = n + 1
		}
	}
	for _, t := range trees {
		for _, key := range t.survey.goneFiles {
			if left[key] > 0 {
				left[key]--
				t.survey.found++
			}
		}
		t.survey.goneFiles = nil
	}
}

// A record of the scratch file: length (4), which tree (4), device (8), inode (8), the encoded entry.
const moveHead = 24

func encodeMove(tree int, e *snapshot.ScanEntry) []byte {
	var w wire.Writer
	snapshot.EncodeEntry(&w, &e.Entry)
	rec := binary.LittleEndian.AppendUint32(nil, uint32(w.Len()))
	rec = binary.LittleEndian.AppendUint32(rec, uint32(tree))
	rec = binary.LittleEndian.AppendUint64(rec, e.Local.Dev)
	rec = binary.LittleEndian.AppendUint64(rec, e.Local.Ino)
	return append(rec, w.Bytes()...)
}

func (m *moves) search(key inodeKey) (int, bool) {
	return slices.BinarySearchFunc(m.places, key, func(p movePlace, k inodeKey) int { return cmp.Compare(p.key, k) })
}

// find returns what the last scan knew of this inode, nil if nothing.
func (m *moves) find(n *snapshot.Node) (*snapshot.ScanEntry, error) {
	if m == nil || n.Entry.Size == 0 || n.Entry.BTime.IsZero() {
		return nil, nil
	}
	key := keyOf(n.Local, &n.Entry)
	i, ok := m.search(key)
	for ; ok && i < len(m.places) && m.places[i].key == key; i++ {
		t, e, err := m.read(m.places[i].off)
		if err != nil {
			return nil, err
		}
		if e.Local.Dev == n.Local.Dev && e.Local.Ino == n.Local.Ino && e.Entry.Size == n.Entry.Size && e.Entry.MTime == n.Entry.MTime &&
			e.Entry.BTime == n.Entry.BTime && left(t, e) {
			return e, nil
		}
	}
	return nil, nil
}

// left tells whether an inode is gone from the path that it had.
func left(t *treeState, e *snapshot.ScanEntry) bool {
	if t.root == nil {
		return false
	}
	st, err := t.root.Stat(e.Entry.Path)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) // a parent of it is a file now
	}
	return st.Ino != e.Local.Ino || st.Dev != e.Local.Dev
}

func (m *moves) read(off int64) (*treeState, *snapshot.ScanEntry, error) {
	var head [moveHead]byte
	if _, err := m.file.ReadAt(head[:], off); err != nil {
		return nil, nil, err
	}
	n := int(binary.LittleEndian.Uint32(head[:]))
	if cap(m.buf) < n {
		m.buf = make([]byte, n)
	}
	if _, err := m.file.ReadAt(m.buf[:n], off+moveHead); err != nil && err != io.EOF {
		return nil, nil, err
	}
	e, err := snapshot.DecodeEntry(wire.NewReader(m.buf[:n]))
	if err != nil {
		return nil, nil, err
	}
	return m.trees[binary.LittleEndian.Uint32(head[4:])], &snapshot.ScanEntry{Entry: *e, Local: snapshot.Local{
		Dev: binary.LittleEndian.Uint64(head[8:]), Ino: binary.LittleEndian.Uint64(head[16:])}}, nil
}

func (m *moves) close(state disk.FS) {
	if m != nil {
		m.file.Close()          // scratch
		state.Remove(fileMoves) // scratch; the next run removes it otherwise
	}
}

// eachScanned calls fn for every entry of a scan file.
func eachScanned(state disk.FS, name string, fn func(*snapshot.ScanEntry) error) error {
	if name == "" {
		return nil
	}
	c, err := openScan(state, name)
	if err != nil || c == nil {
		return err
	}
	defer c.close()
	return c.rest(fn)
}

// linked remembers the content of hard-linked files that this pass has read, so that an inode is read once. It is
// bounded: links that lie far apart are read again, and their chunks are known then.
type linked struct {
	files map[inode]*fileWork
	order []inode
	cost  int64
}

const maxLinkedCost = 24 << 20

func linkCost(w *fileWork) int64 { return 512 + 48*(w.size>>20) }

func (l *linked) get(n *snapshot.Node) *fileWork {
	w := l.files[inodeOf(n.Local)]
	if w == nil || w.size != n.Entry.Size || w.mtime != n.Entry.MTime || w.ctime != n.Local.CTime {
		return nil
	}
	return w
}

func (l *linked) put(n *snapshot.Node, w *fileWork) {
	if l.files == nil {
		l.files = map[inode]*fileWork{}
	}
	key := inodeOf(n.Local)
	if l.files[key] == nil {
		l.order = append(l.order, key)
	} else {
		l.cost -= linkCost(l.files[key])
	}
	l.files[key] = w
	l.cost += linkCost(w)
	for l.cost > maxLinkedCost && len(l.order) > 1 {
		oldest := l.order[0]
		l.order = l.order[1:]
		l.cost -= linkCost(l.files[oldest])
		delete(l.files, oldest)
	}
}
