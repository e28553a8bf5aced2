package home

import (
	"fmt"

	"waterlock/internal/chunk"
	"waterlock/internal/courier"
	"waterlock/internal/disk"
	"waterlock/internal/wire"
	"waterlock/pack"
)

// chunkList is what home remembers of one pack: enough to read the bits of a receipt, to rebuild the ledger, and to
// know the pack again on the drive. It is written once the pack was read back there, and before the ledger counts on
// it.
type chunkList struct {
	ref    courier.FileRef
	packID [16]byte
	basis  courier.Basis // newest receipt that home knew then: the place of this list among the receipts
	plain  int64         // plain bytes of all its chunks
	ids    []chunk.ID    // by record
}

func newChunkList(ref courier.FileRef, sum *pack.Summary, basis courier.Basis) *chunkList {
	l := &chunkList{ref: ref, packID: sum.PackID, basis: basis, ids: make([]chunk.ID, len(sum.Places))}
	for i := range sum.Places {
		l.ids[i] = sum.Places[i].ID
		l.plain += int64(sum.Places[i].PlainLen)
	}
	return l
}

// encode writes the sealed file:
//
//	name (uvarint length, bytes), kind (1), size (uvarint), pack id (16), BLAKE3 of the pack (32), read-back (1: 1 cold,
//	2 warm), basis: epoch (16), receipt (uvarint); plain bytes (uvarint), number of records (uvarint), chunk IDs (32 each)
func (l *chunkList) encode(route wire.RouteID) []byte {
	var w wire.Writer
	w.String(l.ref.Name)
	w.Byte(byte(l.ref.Kind))
	w.Uvarint(uint64(l.ref.Size))
	w.Fixed(l.packID[:])
	w.Fixed(l.ref.Digest[:])
	w.Byte(byte(l.ref.ReadBack))
	w.Fixed(l.basis.Epoch[:])
	w.Uvarint(l.basis.Receipt)
	w.Uvarint(uint64(l.plain))
	w.Uvarint(uint64(len(l.ids)))
	for i := range l.ids {
		w.Fixed(l.ids[i][:])
	}
	return wire.Seal(wire.ChunkList, route, w.Bytes())
}

func decodeChunkList(route wire.RouteID, data []byte) (*chunkList, error) {
	body, err := wire.OpenRoute(wire.ChunkList, route, data)
	if err != nil {
		return nil, err
	}
	r := wire.NewReader(body)
	l := &chunkList{}
	l.ref.Name = r.String(maxPackName)
	l.ref.Kind = chunk.Kind(r.Byte())
	size := r.Uvarint()
	l.packID = fixed16(r)
	l.ref.Digest = fixed32(r)
	l.ref.ReadBack = disk.Coldness(r.Byte())
	l.basis.Epoch = courier.Epoch(fixed16(r))
	l.basis.Receipt = r.Uvarint()
	plain := r.Uvarint()
	n := r.Count(pack.MaxRecords, 32)
	l.ids = make([]chunk.ID, n)
	for i := range l.ids {
		l.ids[i] = fixed32(r)
	}
	if err := r.Done(); err != nil {
		return nil, err
	}
	l.ref.Size, l.ref.Records, l.plain = int64(size), uint32(n), int64(plain)
	switch {
	case !l.ref.Kind.Valid() || packNumber(l.ref.Name) == 0 || l.ref.Name != courier.PackName(packNumber(l.ref.Name), l.ref.Kind):
		return nil, fmt.Errorf("%w: %q is no name of a pack of kind %d", wire.ErrMalformed, l.ref.Name, l.ref.Kind)
	case size < pack.HeaderSize || size > pack.MaxSize:
		return nil, fmt.Errorf("%w: a pack of %d bytes", wire.ErrMalformed, size)
	case l.ref.ReadBack != disk.Cold && l.ref.ReadBack != disk.Warm:
		return nil, fmt.Errorf("%w: read-back %d", wire.ErrMalformed, l.ref.ReadBack)
	case plain > uint64(n)*pack.MaxPlain:
		return nil, fmt.Errorf("%w: %d plain bytes in %d chunks", wire.ErrMalformed, plain, n)
	}
	return l, nil
}

// putList makes a chunk list durable.
func (s *site) putList(sh *shipment, l *chunkList) error {
	if err := disk.Put(s.state, sh.dir+"/"+l.ref.Name+listSuffix, l.encode(s.route)); err != nil {
		return err
	}
	sh.packs = append(sh.packs, l.ref.Name)
	return nil
}

// readList reads the chunk list of one pack of a shipment.
func (s *site) readList(sh *shipment, name string) (*chunkList, error) {
	file := sh.dir + "/" + name + listSuffix
	data, err := disk.ReadAll(s.state, file, maxListBytes)
	if err != nil {
		return nil, err
	}
	l, err := decodeChunkList(s.route, data)
	if err == nil && l.ref.Name != name {
		err = fmt.Errorf("it is the list of %s", l.ref.Name)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return l, nil
}

// removeList forgets one pack of an open shipment; the caller has told the ledger.
func (s *site) removeList(sh *shipment, name string) error {
	if err := s.state.Remove(sh.dir + "/" + name + listSuffix); err != nil {
		return err
	}
	kept := sh.packs[:0]
	for _, p := range sh.packs {
		if p != name {
			kept = append(kept, p)
		}
	}
	sh.packs = kept
	return s.state.SyncDir(sh.dir)
}
