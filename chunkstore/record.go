package chunkstore

import (
	"fmt"

	"waterlock/index"
	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/internal/wire"
	"waterlock/snapshot"
)

// actKind is what an action of an install record does. The numbers never
// change; zero is none.
type actKind uint8

const (
	actPlace  actKind = 1 // a staged inode takes the path
	actMeta   actKind = 2 // the inode at the path gets new metadata
	actRemove actKind = 3 // the path goes
	actDir    actKind = 4 // the path becomes a directory
	actDrop   actKind = 5 // a container that nobody needs goes
	actGrow   actKind = 6 // chunks of a growing file count from now on, or no longer
	actAdopt  actKind = 7 // the file at the path counts from now on; no snapshot has named it there
)

// oldKind is what lies at the path before the action, and what becomes of it.
// The numbers never change; zero is none.
type oldKind uint8

const (
	oldNone    oldKind = 1 // nothing
	oldKeep    oldKind = 2 // a container, which is linked to its kept name first
	oldShared  oldKind = 3 // a container that has another name in the vault
	oldOther   oldKind = 4 // a symlink, pipe or empty directory of ours
	oldForeign oldKind = 5 // something else, which moves to its foreign name first
	oldSame    oldKind = 6 // the very inode that the action wants there
)

// inode is how a file is recognised.
type inode struct {
	ino   uint64
	size  int64
	mtime disk.Time
}

func inodeOf(st disk.Stat) inode { return inode{st.Ino, st.Size, st.MTime} }

// is reports whether st is this inode, with nothing written to it since.
func (i inode) is(st disk.Stat) bool {
	return i.ino == st.Ino && i.size == st.Size && sameMTime(i.mtime, st.MTime)
}

// action is one action of an install record.
type action struct {
	kind  actKind
	tree  string
	path  string            // of actDrop: the container's name as its row has it; of actGrow: that which it grows for
	cont  index.ContainerID // what the path shows afterwards, or what is dropped; 0: no container
	fresh bool              // the container begins here
	stage index.ContainerID // number of the staged name
	node  inode             // what the path shows afterwards; of actDrop: the container
	old   oldKind
	oldID index.ContainerID // of oldKeep and oldShared; of oldForeign: an adopted file that goes on counting where it goes, else 0
	prev  inode             // what lies at the path before
	// Of oldForeign: the name within the volume's FS that it moves to.
	foreign string
	isDir   bool                // of actRemove: the path is a directory; of oldForeign: what moves is no file
	unkeep  bool                // the container's kept or growing name goes afterwards: it moved into the mirror
	hold    bool                // of oldShared: kept for the time of the batch, since the other name is of this batch
	row     index.ContainerKind // of actDrop: the container's kind
	entry   *snapshot.Entry     // of actPlace, actMeta, actDir and actAdopt; its path is the action's
	gone    []placed            // of actGrow: chunks that are about to be written over
	grown   []placed            // of actGrow: chunks that were written and read back
}

// placed is a chunk at its offset in a plain file.
type placed struct {
	off int64
	id  chunk.ID
	len int64
}

func (p placed) end() int64 { return p.off + p.len }

// record is one install record: one batch.
type record struct {
	seq  uint64
	next index.ContainerID // numbers below this one are used
	time int64             // unix seconds, for people
	acts []action

	restates bool // it has restated rows, and no actions
	rows     []restated
}

// Bodies of install records begin with what they are.
const (
	bodyBatch    = 1
	bodyVoid     = 2 // actions of a batch that were given up
	bodyRestated = 3 // rows of the catalog that a damaged record told of
)

// Limits of install records. They never change.
const (
	maxActions  = 65536
	maxTree     = 255
	maxVaultRef = snapshot.MaxPath + 1024 // a name within a volume
	maxPlaced   = 65536
	minAction   = 21
	minPlaced   = 34
)

// encode writes the body of the record.
func (r *record) encode() []byte {
	var w wire.Writer
	if r.restates {
		w.Byte(bodyRestated)
	} else {
		w.Byte(bodyBatch)
	}
	w.Uvarint(r.seq)
	w.Uvarint(uint64(r.next))
	w.Varint(r.time)
	if r.restates {
		w.Uvarint(uint64(len(r.rows)))
		for i := range r.rows {
			r.rows[i].encode(&w)
		}
		return w.Bytes()
	}
	w.Uvarint(uint64(len(r.acts)))
	for i := range r.acts {
		r.acts[i].encode(&w)
	}
	return w.Bytes()
}

func (a *action) encode(w *wire.Writer) {
	w.Byte(byte(a.kind))
	w.Byte(byte(a.old))
	w.Bool(a.fresh)
	w.Bool(a.isDir)
	w.Bool(a.unkeep)
	w.Bool(a.hold)
	w.Byte(byte(a.row))
	w.String(a.tree)
	w.String(a.path)
	w.Uvarint(uint64(a.cont))
	w.Uvarint(uint64(a.stage))
	a.node.encode(w)
	w.Uvarint(uint64(a.oldID))
	a.prev.encode(w)
	w.String(a.foreign)
	if a.kind.hasEntry() {
		snapshot.EncodeEntry(w, a.entry)
	}
	if a.kind == actGrow {
		encodePlaced(w, a.gone)
		encodePlaced(w, a.grown)
	}
}

// encodePlaced writes chunks with the gaps between them: they lie in the order
// of their offsets.
func encodePlaced(w *wire.Writer, list []placed) {
	w.Uvarint(uint64(len(list)))
	var at int64
	for _, p := range list {
		w.Uvarint(uint64(p.off - at))
		w.Uvarint(uint64(p.len))
		w.Fixed(p.id[:])
		at = p.end()
	}
}

func decodePlaced(r *wire.Reader) (list []placed) {
	n := r.Count(maxPlaced, minPlaced)
	var at int64
	for i := 0; i < n && r.Err() == nil; i++ {
		gap, length := r.Uvarint(), r.Uvarint()
		var p placed
		copy(p.id[:], r.Fixed(len(p.id)))
		if r.Err() != nil {
			return nil
		}
		if gap > snapshot.MaxSize || length == 0 || length > chunk.MaxSize || p.id.IsZero() || int64(gap) > snapshot.MaxSize-int64(length)-at {
			r.Fail("chunks within a file", fmt.Sprintf("chunk %s of %d bytes", p.id.Short(), length))
			return nil
		}
		p.off, p.len = at+int64(gap), int64(length)
		at = p.end()
		list = append(list, p)
	}
	return list
}

func (k actKind) hasEntry() bool {
	return k == actPlace || k == actMeta || k == actDir || k == actAdopt
}

func (i inode) encode(w *wire.Writer) {
	w.Uvarint(i.ino)
	w.Varint(i.size)
	w.Varint(i.mtime.Sec)
	w.Uvarint(uint64(i.mtime.Nsec))
}

func decodeInode(r *wire.Reader) inode {
	i := inode{ino: r.Uvarint(), size: r.Varint()}
	i.mtime.Sec = r.Varint()
	n := r.Uvarint()
	if r.Err() == nil && (n >= 1e9 || i.size < 0) {
		r.Fail("nanoseconds below 1e9 and a size", fmt.Sprintf("%d, %d", n, i.size))
	}
	i.mtime.Nsec = int32(n % 1e9)
	return i
}

// decodeRecord reads the body of a record: a batch's, or of restated rows.
func decodeRecord(body []byte) (*record, error) {
	r := wire.NewReader(body)
	kind := r.Byte()
	if r.Err() == nil && kind != bodyBatch && kind != bodyRestated {
		r.Fail("a batch or restated rows", fmt.Sprintf("body of kind %d", kind))
	}
	rec := &record{seq: r.Uvarint(), next: index.ContainerID(r.Uvarint()), time: r.Varint(), restates: kind == bodyRestated}
	least := minAction
	if rec.restates {
		least = minRestated
	}
	n := r.Count(maxActions, least)
	if r.Err() == nil && (rec.seq == 0 || rec.next == 0) {
		r.Fail("numbers from 1", "zero")
	}
	for i := 0; rec.restates && i < n && r.Err() == nil; i++ {
		rec.rows = append(rec.rows, decodeRestated(r))
	}
	if rec.restates {
		n = 0
	}
	for i := 0; i < n && r.Err() == nil; i++ {
		a, err := decodeAction(r)
		if err != nil {
			return nil, err
		}
		rec.acts = append(rec.acts, a)
	}
	if err := r.Done(); err != nil {
		return nil, err
	}
	return rec, nil
}

func decodeAction(r *wire.Reader) (action, error) {
	a := action{kind: actKind(r.Byte()), old: oldKind(r.Byte()), fresh: r.Bool(), isDir: r.Bool(), unkeep: r.Bool(), hold: r.Bool()}
	a.row = index.ContainerKind(r.Byte())
	a.tree = r.String(maxTree)
	a.path = r.String(maxVaultRef)
	a.cont = index.ContainerID(r.Uvarint())
	a.stage = index.ContainerID(r.Uvarint())
	a.node = decodeInode(r)
	a.oldID = index.ContainerID(r.Uvarint())
	a.prev = decodeInode(r)
	a.foreign = r.String(maxVaultRef)
	if r.Err() == nil && a.kind.hasEntry() {
		e, err := snapshot.DecodeEntry(r)
		if err != nil {
			return a, err
		}
		a.entry = e
	}
	if r.Err() == nil && a.kind == actGrow {
		a.gone, a.grown = decodePlaced(r), decodePlaced(r)
	}
	if r.Err() == nil {
		if what := a.wrong(); what != "" {
			r.Fail("an action that makes sense", what)
		}
	}
	return a, r.Err()
}

// wrong says what makes no sense about an action, "" if nothing.
func (a *action) wrong() string {
	switch {
	case a.kind < actPlace || a.kind > actAdopt:
		return fmt.Sprintf("kind %d", a.kind)
	case a.old < oldNone || a.old > oldSame:
		return fmt.Sprintf("old kind %d", a.old)
	case a.kind.hasEntry() && a.entry.Path != a.path:
		return "entry of another path"
	case a.kind == actDir && a.entry.Kind != disk.KindDir:
		return "directory with an entry of " + a.entry.Kind.String()
	case a.kind == actPlace && a.stage == 0:
		return "nothing staged"
	case a.kind == actMeta && a.entry.Kind == disk.KindFile && a.cont == 0:
		return "file without a container"
	case a.kind == actPlace && a.entry.Kind == disk.KindFile && a.cont == 0:
		return "file without a container"
	case a.kind == actGrow && (a.cont == 0 || a.old != oldNone):
		return "growing file without a container"
	case a.kind == actAdopt && (a.entry.Kind != disk.KindFile || a.cont == 0 || a.old != oldSame):
		return "adopted, and no file of a container at its path"
	case (a.old == oldKeep || a.old == oldShared) && a.oldID == 0:
		return "old version without a container"
	case a.old == oldForeign && a.foreign == "":
		return "foreign file without a name to go to"
	case a.kind == actDrop:
		if a.cont == 0 || a.row != index.Pack && a.row != index.Kept && a.row != index.Staging {
			return "dropped container of no such kind"
		}
		if a.row == index.Staging {
			break
		}
		if a.row == index.Kept && a.path != keptRow(a.cont) {
			return "dropped container of another name"
		}
		if a.row == index.Pack && a.path != packRow(a.cont, dataExt) && a.path != packRow(a.cont, streamExt) {
			return "dropped pack of another name"
		}
		return ""
	}
	if a.tree == "" {
		return "no tree"
	}
	if err := snapshot.ValidPath(a.path); err != nil {
		return err.Error()
	}
	if a.foreign != "" {
		if err := snapshot.ValidPath(a.foreign); err != nil {
			return err.Error()
		}
	}
	return ""
}

// encodeVoid writes the body of a void record: the actions of the batch seq
// that were given up.
func encodeVoid(seq uint64, void []int) []byte {
	var w wire.Writer
	w.Byte(bodyVoid)
	w.Uvarint(seq)
	w.Uvarint(uint64(len(void)))
	for _, i := range void {
		w.Uvarint(uint64(i))
	}
	return w.Bytes()
}

func decodeVoid(body []byte) (seq uint64, void map[int]bool, err error) {
	r := wire.NewReader(body)
	if k := r.Byte(); r.Err() == nil && k != bodyVoid {
		r.Fail("a list of given-up actions", fmt.Sprintf("body of kind %d", k))
	}
	seq = r.Uvarint()
	n := r.Count(maxActions, 1)
	void = make(map[int]bool, n)
	last := -1
	for i := 0; i < n && r.Err() == nil; i++ {
		k := r.Uvarint()
		if r.Err() == nil && (k >= maxActions || int(k) <= last) {
			r.Fail("rising numbers of actions", fmt.Sprint(k))
			break
		}
		last = int(k)
		void[last] = true
	}
	return seq, void, r.Done()
}
