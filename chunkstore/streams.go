package chunkstore

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"waterlock/index"
	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/internal/report"
	"waterlock/pack"
)

// Streams reads stream chunks straight from the history's packs, without the
// catalog: who only looks at lists of files waits neither for the check of a
// large index nor for a rebuild, and changes nothing. It knows what is durable
// at OpenStreams; the vault must stay locked meanwhile. Each chunk is verified
// by its ID. It is for one goroutine.
//
// Its memory is 16 bytes for each stream chunk in the vault, and the tables of
// a few packs.
type Streams struct {
	vault   disk.FS
	packs   []string // names, as catalog rows have them
	spots   []spot   // by prefix
	handles handles
}

// spot is a record that may hold a stream chunk: whether it does, the whole ID
// in the pack's table tells.
type spot struct {
	prefix uint64 // the first bytes of the ID
	pack   uint32
	record uint32
}

func prefixOf(id chunk.ID) uint64 { return binary.BigEndian.Uint64(id[:]) }

func (s spot) compare(o spot) int {
	return cmp.Or(cmp.Compare(s.prefix, o.prefix), cmp.Compare(s.pack, o.pack), cmp.Compare(s.record, o.record))
}

// OpenStreams reads the tables of all packs of stream chunks. A damaged one is
// reported, and read as far as its records can still be found.
func OpenStreams(vault disk.FS, rep report.Reporter) (*Streams, error) {
	s := &Streams{vault: vault}
	err := eachPack(vault, func(name, ext string, _ index.ContainerID) error {
		if ext == streamExt {
			s.packs = append(s.packs, name)
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil // nothing was ever unpacked here
	}
	if err != nil {
		return nil, err
	}
	for i := range s.packs {
		h, damage, err := s.openPack(i)
		if err == nil {
			err = damage
		}
		if err != nil {
			rep.Problem(packName(s.packs[i]), err)
		}
		if h == nil {
			continue
		}
		for record, p := range h.pack.Places() {
			s.spots = append(s.spots, spot{prefixOf(p.ID), uint32(i), uint32(record)})
		}
		h.file.Close() // was only read
	}
	slices.SortFunc(s.spots, spot.compare)
	return s, nil
}

// openPack opens a pack; h is nil where nothing of it can be read.
func (s *Streams) openPack(i int) (h *handle, damage, err error) {
	f, err := s.vault.Open(packName(s.packs[i]))
	if err != nil {
		return nil, nil, err
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	r, damage, err := pack.Salvage(f, st.Size)
	if err == nil && r.Kind() != chunk.Stream {
		err = fmt.Errorf("holds chunks of kind %v", r.Kind())
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return &handle{file: f, pack: r}, damage, nil
}

// Get returns the plain bytes of a stream chunk; they may lie in buf. An
// ErrNoPlace says that no pack has it, any other error that none has it whole.
// It is a snapshot.Getter.
func (s *Streams) Get(id chunk.ID, k chunk.Kind, length int64, buf []byte) ([]byte, error) {
	if k != chunk.Stream {
		return nil, &ChunkError{id, fmt.Errorf("%w: of kind %v, not of a stream", ErrNoPlace, k)}
	}
	at, _ := slices.BinarySearchFunc(s.spots, spot{prefix: prefixOf(id)}, spot.compare)
	last := ErrNoPlace
	for ; at < len(s.spots) && s.spots[at].prefix == prefixOf(id); at++ {
		plain, err := s.read(s.spots[at], id, length, buf)
		if plain != nil {
			return plain, nil
		}
		if err != nil {
			last = err
		}
	}
	return nil, &ChunkError{id, last}
}

// read returns nothing where the spot is that of another chunk.
func (s *Streams) read(at spot, id chunk.ID, length int64, buf []byte) ([]byte, error) {
	h, err := s.handles.get(index.ContainerID(at.pack)+1, func() (*handle, error) {
		h, _, err := s.openPack(int(at.pack)) // damage was reported before
		return h, err
	})
	if err != nil {
		return nil, err
	}
	defer s.handles.put(h)
	places := h.pack.Places()
	if int(at.record) >= len(places) || places[at.record].ID != id || int64(places[at.record].PlainLen) != length {
		return nil, nil
	}
	plain, err := h.pack.Read(places[at.record], buf)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", packName(s.packs[at.pack]), err)
	}
	return plain, nil
}

// Close closes the packs.
func (s *Streams) Close() { s.handles.closeAll() }
