package chunkstore

import (
	"fmt"
	"slices"
	"sync"

	"waterlock/index"
	"waterlock/internal/disk"
	"waterlock/pack"
)

// openFiles is how many containers are kept open for reading.
const openFiles = 32

// handle is an open container.
type handle struct {
	id   index.ContainerID
	file disk.File
	pack *pack.Reader // nil for plain files
	refs int
	dead bool // closed when the last reader is done
}

// handles keeps the containers that were read last open.
type handles struct {
	mu   sync.Mutex
	list []*handle // the one used last is at the end
}

// get returns the container's handle, opening it where it is not open yet.
// Give it back with put.
func (h *handles) get(id index.ContainerID, open func() (*handle, error)) (*handle, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if i := h.find(id); i >= 0 {
		x := h.list[i]
		h.list = append(slices.Delete(h.list, i, i+1), x)
		x.refs++
		return x, nil
	}
	x, err := open()
	if err != nil {
		return nil, err
	}
	x.id, x.refs = id, 1
	if len(h.list) >= openFiles {
		h.drop(0)
	}
	h.list = append(h.list, x)
	return x, nil
}

func (h *handles) put(x *handle) {
	h.mu.Lock()
	defer h.mu.Unlock()
	x.refs--
	if x.dead && x.refs == 0 {
		x.file.Close()
	}
}

// forget closes a container that is about to go or was found bad.
func (h *handles) forget(id index.ContainerID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if i := h.find(id); i >= 0 {
		h.drop(i)
	}
}

func (h *handles) closeAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.list) > 0 {
		h.drop(0)
	}
}

func (h *handles) find(id index.ContainerID) int {
	return slices.IndexFunc(h.list, func(x *handle) bool { return x.id == id })
}

func (h *handles) drop(i int) {
	x := h.list[i]
	h.list = slices.Delete(h.list, i, i+1)
	x.dead = true
	if x.refs == 0 {
		x.file.Close()
	}
}

// open opens a container for reading, whatever it is.
func (s *Store) open(id index.ContainerID) (*handle, error) {
	c, ok, err := s.cat.Container(id)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, &placeError{fmt.Errorf("container %d is unknown", id)}
	}
	fs, name, err := s.locate(c)
	if err != nil {
		return nil, err
	}
	f, err := fs.Open(name)
	if err != nil {
		return nil, err
	}
	if c.Kind != index.Pack {
		return &handle{file: f}, nil
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	pr, damage, err := pack.Salvage(f, st.Size)
	if err != nil {
		f.Close()
		return nil, &placeError{err}
	}
	if damage != nil {
		s.problem(id, name, damage)
	}
	return &handle{file: f, pack: pr}, nil
}
