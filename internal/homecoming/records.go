package homecoming

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"sync"

	"waterlock/internal/chunk"
	"waterlock/internal/courier"
	"waterlock/internal/disk"
	"waterlock/internal/exit"
	"waterlock/internal/report"
	"waterlock/pack"
)

// driveMark is the file that makes a disk a courier drive.
const driveMark = "waterlock/drive.json"

// maxOpenPacks bounds the open packs, each with its table of at most 4 MiB.
const maxOpenPacks = 8

var (
	errNotAboard = errors.New("is not aboard this return")
	errOther     = errors.New("is another chunk, with an id that begins alike")
)

// records finds the chunks of one return. A record is known by the first eight
// bytes of its chunk's ID and where it lies, 16 bytes in memory; what is read is
// verified by its seal and the whole ID. What cannot be read is named once, and
// is not at hand any more.
type records struct {
	fs     disk.FS
	drive  string
	dir    string
	files  []courier.FileRef
	rep    report.Reporter
	gone   context.CancelCauseFunc // called when the drive is
	list   []record                // by key
	mu     sync.Mutex
	open   []*openPack // most recently used first
	damage int64
	plain  int64 // bytes of all chunks of files
}

type record struct {
	key  uint64
	file uint32 // index in files; lost: it cannot be read
	at   uint32 // index among the places of the pack
}

const lost = math.MaxUint32

type openPack struct {
	file   uint32
	handle disk.File
	reader *pack.Reader
}

func keyOf(id chunk.ID) uint64 { return binary.LittleEndian.Uint64(id[:]) }

// openRecords reads the tables of all packs of a return. Damaged packs are named,
// and used as far as they go.
func (c *coming) openRecords(ctx context.Context, ret *courier.Return, dir string, gone context.CancelCauseFunc) (*records, error) {
	r := &records{fs: c.drive.FS(), drive: c.o.Drive, dir: dir, files: ret.Files, rep: c.o.Report, gone: gone}
	c.o.Report.Phase("looking through the packs", 0, int64(len(ret.Files)))
	for i := range ret.Files {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		p, err := r.openFile(uint32(i), sayDamage)
		if err != nil {
			if r.left(err) {
				return nil, context.Cause(ctx)
			}
			continue // named
		}
		for at, place := range p.reader.Places() {
			if len(r.list) == courier.MaxReturnRecords {
				break
			}
			r.list = append(r.list, record{keyOf(place.ID), uint32(i), uint32(at)})
			if p.reader.Kind() == chunk.Data {
				r.plain += int64(place.PlainLen)
			}
		}
		p.handle.Close() // was only read
		c.o.Report.Add(0, 1)
	}
	slices.SortFunc(r.list, func(a, b record) int {
		return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.file, b.file), cmp.Compare(a.at, b.at))
	})
	return r, nil
}

// saying names the argument of openFile.
type saying bool

const (
	sayDamage   saying = true
	sayNoDamage saying = false
)

// openFile opens a pack so that it is read from the medium.
func (r *records) openFile(file uint32, say saying) (*openPack, error) {
	ref := r.files[file]
	f, err := r.fs.Open(r.dir + "/" + ref.Name)
	var st disk.Stat
	if err == nil {
		if st, err = f.Stat(); err == nil {
			_, err = f.Evict()
		}
	}
	if err != nil {
		if f != nil {
			f.Close() // the first error counts
		}
		return nil, r.bad(ref, err, say)
	}
	reader, damage, err := pack.Salvage(f, st.Size)
	if err == nil && reader.Kind() != ref.Kind {
		err = errors.New("it is a pack of the other kind")
	}
	if err != nil {
		f.Close() // the first error counts
		return nil, r.bad(ref, err, say)
	}
	if damage == nil && st.Size != ref.Size {
		damage = fmt.Errorf("%d bytes, %d expected", st.Size, ref.Size)
	}
	if damage != nil {
		r.bad(ref, damage, say)
	}
	return &openPack{file, f, reader}, nil
}

// bad names a damaged pack.
func (r *records) bad(ref courier.FileRef, err error, say saying) error {
	if say == sayDamage && !r.left(err) {
		r.damage++
		r.rep.Problem(r.name(ref), err)
	}
	return err
}

func (r *records) name(ref courier.FileRef) string { return filepath.Join(r.drive, r.dir, ref.Name) }

// left tells whether err means that the drive has been unplugged: then it is not
// damage, and the run ends.
func (r *records) left(err error) bool {
	if _, e := r.fs.Stat(driveMark); e != nil {
		r.gone(exit.Errorf(exit.Fatal, "the drive cannot be read any more; plug it in and run this again, it goes on from there: %w", errors.Join(e, err)))
		return true
	}
	return false
}

// find returns the first record of a chunk, and past the last one.
func (r *records) find(id chunk.ID) (from, to int) {
	key := keyOf(id)
	from, _ = slices.BinarySearchFunc(r.list, key, func(x record, key uint64) int { return cmp.Compare(x.key, key) })
	for to = from; to < len(r.list) && r.list[to].key == key; to++ {
	}
	return from, to
}

// Has tells whether the return has a chunk that was not found damaged.
func (r *records) Has(id chunk.ID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	from, to := r.find(id)
	for _, x := range r.list[from:to] {
		if x.file != lost {
			return true
		}
	}
	return false
}

// Get reads a chunk: it is the snapshot.Getter of a trip.
func (r *records) Get(id chunk.ID, k chunk.Kind, length int64, buf []byte) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	from, to := r.find(id)
	err := errNotAboard
	for i := from; i < to; i++ {
		x := r.list[i]
		if x.file == lost {
			continue
		}
		plain, e := r.read(x, id, k, buf)
		if disk.IsIOError(e) { // a failure that passes says nothing about the record
			r.close()
			plain, e = r.read(x, id, k, buf)
		}
		if e == nil && int64(len(plain)) == length {
			return plain, nil
		}
		if e == nil {
			e = fmt.Errorf("chunk %s has %d bytes, named with %d", id.Short(), len(plain), length)
		}
		if err = e; errors.Is(e, errOther) {
			continue
		}
		if r.left(e) {
			return nil, e
		}
		r.list[i].file = lost
		r.damage++
		r.rep.Problem(r.name(r.files[x.file]), e)
	}
	return nil, err
}

func (r *records) read(x record, id chunk.ID, k chunk.Kind, buf []byte) ([]byte, error) {
	p, err := r.acquire(x.file)
	if err != nil {
		return nil, err
	}
	places := p.reader.Places()
	if int(x.at) >= len(places) || places[x.at].ID != id {
		return nil, errOther
	}
	if p.reader.Kind() != k {
		return nil, fmt.Errorf("chunk %s lies in a pack of the other kind", id.Short())
	}
	return p.reader.Read(places[x.at], buf)
}

// acquire returns an open pack; the one that was not used for longest is closed.
func (r *records) acquire(file uint32) (*openPack, error) {
	for i, p := range r.open {
		if p.file == file {
			copy(r.open[1:i+1], r.open[:i])
			r.open[0] = p
			return p, nil
		}
	}
	p, err := r.openFile(file, sayNoDamage)
	if err != nil {
		return nil, err
	}
	if len(r.open) == maxOpenPacks {
		r.open[maxOpenPacks-1].handle.Close() // was only read
		r.open = r.open[:maxOpenPacks-1]
	}
	r.open = append([]*openPack{p}, r.open...)
	return p, nil
}

func (r *records) close() {
	for _, p := range r.open {
		p.handle.Close() // was only read
	}
	r.open = nil
}
