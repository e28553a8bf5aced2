package chunkstore

import (
	"fmt"

	"waterlock/index"
	"waterlock/internal/disk"
	"waterlock/internal/wire"
	"waterlock/snapshot"
)

// A record of restated rows says what the catalog knew when a record before it
// was found damaged: Restate writes it. It moves no file.

// rowKind is what a restated row is. The numbers never change; zero is none.
type rowKind uint8

const (
	rowContainer rowKind = 1 // a container; its chunks follow, and all that was said of it before counts no more
	rowChunks    rowKind = 2 // chunks of a container
	rowPath      rowKind = 3 // what was installed or adopted at a path
	rowNoPath    rowKind = 4 // nothing was, or it is gone
	rowGroup     rowKind = 5 // the container of a hard-link group
	rowNone      rowKind = 6 // a container that is gone
)

// restated is one row as it was in the catalog. Places and times of reading are
// no part of it.
type restated struct {
	kind   rowKind
	id     index.ContainerID
	cont   index.Container // of rowContainer; its ID is id
	chunks []placed        // of rowChunks
	tree   string          // of the others
	path   string
	row    index.PathRow // of rowPath
	group  uint64        // of rowGroup; its container is id
}

const minRestated = 2

// maxGroupTree bounds the tree of rowGroup: adoptedGroups puts more before it.
const maxGroupTree = maxTree + 32

func (x *restated) encode(w *wire.Writer) {
	w.Byte(byte(x.kind))
	switch x.kind {
	case rowContainer:
		w.Uvarint(uint64(x.id))
		w.Byte(byte(x.cont.Kind))
		w.String(x.cont.Tree)
		w.String(x.cont.Name)
		containerInode(x.cont).encode(w)
		w.Fixed(x.cont.Hash[:])
	case rowChunks:
		w.Uvarint(uint64(x.id))
		encodePlaced(w, x.chunks)
	case rowPath:
		w.String(x.tree)
		w.String(x.path)
		w.Byte(x.row.Kind)
		w.Bool(x.row.Adopted)
		w.Uvarint(uint64(x.row.Container))
		inode{x.row.Ino, x.row.Size, disk.Time{Sec: x.row.MSec, Nsec: x.row.MNsec}}.encode(w)
		w.Uvarint(x.row.LinkGroup)
		w.Fixed(x.row.Digest[:])
		w.Fixed(x.row.Hash[:])
	case rowNoPath:
		w.String(x.tree)
		w.String(x.path)
	case rowNone:
		w.Uvarint(uint64(x.id))
	case rowGroup:
		w.String(x.tree)
		w.Uvarint(x.group)
		w.Uvarint(uint64(x.id))
	}
}

func decodeRestated(r *wire.Reader) (x restated) {
	x.kind = rowKind(r.Byte())
	switch x.kind {
	case rowContainer:
		x.id = index.ContainerID(r.Uvarint())
		x.cont = index.Container{ID: x.id, Kind: index.ContainerKind(r.Byte()), Tree: r.String(maxTree), Name: r.String(maxVaultRef)}
		n := decodeInode(r)
		x.cont.Ino, x.cont.Size, x.cont.MSec, x.cont.MNsec = n.ino, n.size, n.mtime.Sec, n.mtime.Nsec
		copy(x.cont.Hash[:], r.Fixed(len(x.cont.Hash)))
	case rowChunks:
		x.id = index.ContainerID(r.Uvarint())
		x.chunks = decodePlaced(r)
	case rowPath:
		x.tree, x.path = r.String(maxTree), r.String(maxVaultRef)
		x.row.Kind, x.row.Adopted, x.row.Container = r.Byte(), r.Bool(), index.ContainerID(r.Uvarint())
		n := decodeInode(r)
		x.row.Ino, x.row.Size, x.row.MSec, x.row.MNsec = n.ino, n.size, n.mtime.Sec, n.mtime.Nsec
		x.row.LinkGroup = r.Uvarint()
		copy(x.row.Digest[:], r.Fixed(len(x.row.Digest)))
		copy(x.row.Hash[:], r.Fixed(len(x.row.Hash)))
	case rowNoPath:
		x.tree, x.path = r.String(maxTree), r.String(maxVaultRef)
	case rowNone:
		x.id = index.ContainerID(r.Uvarint())
	case rowGroup:
		x.tree, x.group, x.id = r.String(maxGroupTree), r.Uvarint(), index.ContainerID(r.Uvarint())
	}
	if r.Err() != nil {
		return x
	}
	if what := x.wrong(); what != "" {
		r.Fail("a row that makes sense", what)
	}
	return x
}

// wrong says what makes no sense about a row, "" if nothing.
func (x *restated) wrong() string {
	switch x.kind {
	case rowContainer:
		c := &x.cont
		switch {
		case c.ID == 0 || c.Tree == "":
			return "container without a number or a tree"
		case c.Kind < index.Mirror || c.Kind > index.Foreign:
			return fmt.Sprintf("container of kind %d", c.Kind)
		case c.Kind == index.Kept && c.Name != keptRow(c.ID):
			return "kept file of another name"
		}
		return errorText(snapshot.ValidPath(c.Name))
	case rowChunks:
		if x.id == 0 || len(x.chunks) == 0 {
			return "chunks of no container, or none"
		}
		return ""
	case rowNone:
		if x.id == 0 {
			return "container without a number"
		}
		return ""
	case rowPath, rowNoPath:
		if x.tree == "" {
			return "no tree"
		}
		if x.kind == rowPath && !disk.Kind(x.row.Kind).Valid() {
			return fmt.Sprintf("path of kind %d", x.row.Kind)
		}
		if x.kind == rowPath && disk.Kind(x.row.Kind) == disk.KindFile && x.row.Container == 0 {
			return "file without a container"
		}
		return errorText(snapshot.ValidPath(x.path))
	case rowGroup:
		if x.tree == "" || x.group == 0 || x.id == 0 {
			return "no group"
		}
		return ""
	}
	return fmt.Sprintf("row of kind %d", x.kind)
}

func errorText(err error) string {
	if err != nil {
		return err.Error()
	}
	return ""
}

// restate enters restated rows into the catalog.
func (s *Store) restate(rec *record) error {
	b := s.cat.Batch()
	for i := range rec.rows {
		x := &rec.rows[i]
		switch x.kind {
		case rowContainer:
			b.DropContainer(x.id)
			b.PutContainer(x.cont)
			s.growing.drop(x.id)
			if x.cont.Kind == index.Staging {
				s.growing.add(x.cont.Tree, x.cont.Name, x.id)
			}
		case rowNone:
			b.DropContainer(x.id)
			s.growing.drop(x.id)
		case rowChunks:
			for _, p := range x.chunks {
				n := uint32(p.len)
				b.AddPlace(p.id, index.Place{Container: x.id, Offset: p.off, StoredLen: n, PlainLen: n})
			}
		case rowPath:
			b.PutPath(x.tree, x.path, x.row)
		case rowNoPath:
			b.DropPath(x.tree, x.path)
		case rowGroup:
			b.PutGroup(x.tree, x.group, x.id)
		}
	}
	b.SetMeta(metaInstalled, []byte(fmt.Sprint(rec.seq)))
	if err := b.Commit(); err != nil {
		return err
	}
	if rec.next > 1 {
		s.cat.RaiseContainer(rec.next - 1)
	}
	return nil
}
