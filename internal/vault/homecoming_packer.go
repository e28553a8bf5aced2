package vault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"waterlock/internal/chunk"
	"waterlock/internal/courier"
	"waterlock/internal/disk"
	"waterlock/internal/exit"
	"waterlock/internal/report"
	"waterlock/internal/wire"
	"waterlock/pack"
	"waterlock/snapshot"
)

// maxRetries is how often a pack that does not read back is written anew before the drive is declared bad.
const maxRetries = 5

// maxNoSpace is how often a drive may turn out fuller than it said before no more chunks are written onto it.
const maxNoSpace = 3

// Packs begin small, so that what was done is soon safe, and grow with the run.
const (
	firstPackSize = 64 << 20
	maxPackSize   = 1 << 30
	packSizeShare = 8
)

// What is kept free beside the reserve: for the word of completion, the landing, and what a file system needs for itself.
const (
	landingRoom = 256 << 10
	wordRoom    = 128 << 10
	clusterRoom = 1 << 20
	maxReserve  = 1 << 30
)

// maxReturnRecords is a variable for tests alone.
var maxReturnRecords = courier.MaxReturnRecords

// chunkKey is enough of a chunk's ID to know it in one return.
type chunkKey [16]byte

func keyOf(id chunk.ID) chunkKey { return chunkKey(id[:16]) }

// returnPacker writes the packs of one return. A pack counts once it was read back; one that fails is removed, and what it
// held is carried again by another pass.
type returnPacker struct {
	h     *sending
	id    courier.ReturnID
	dir   string
	files []courier.FileRef
	set   map[chunkKey]struct{} // chunks in these and in the open pack
	slots []*slot
	next  map[chunk.Kind]int // number of the next pack

	kind chunk.Kind // of the open pack
	w    *pack.Writer
	file disk.File
	name string
	keys []chunkKey // of the open pack

	budget      int64 // room for packs of chunks, the open one included
	written     int64 // in closed ones
	records     int
	failed      int
	noSpace     int
	lost        bool // a pack was: another pass is needed
	full        bool
	recordsFull bool // it is full of records, the drive is not
	dry         bool
}

// openReturn begins a return, or goes on with one that was begun on this drive.
func (h *sending) openReturn(ctx context.Context) (*returnPacker, error) {
	p := &returnPacker{h: h, set: map[chunkKey]struct{}{}, next: map[chunk.Kind]int{chunk.Data: 1, chunk.Stream: 1}}
	found, err := h.drive.Returns(h.v.id, h.id)
	if err != nil {
		return nil, err
	}
	for _, r := range found {
		if r.Return != nil {
			continue
		}
		if p.id != (courier.ReturnID{}) {
			if err := h.drive.RemoveReturn(h.v.id, h.id, r.ID); err != nil {
				return nil, err
			}
			continue
		}
		p.id, p.dir = r.ID, r.Path
		if err := p.salvage(ctx, r.Names); err != nil {
			return nil, err
		}
	}
	if p.id == (courier.ReturnID{}) {
		p.id = courier.NewReturnID()
	}
	p.dir, err = h.drive.CreateReturn(h.v.id, h.id, p.id)
	return p, err
}

// room is what the drive has for packs now.
func (h *sending) room() (int64, error) {
	space, err := h.drive.FS().Free()
	if err != nil {
		return 0, err
	}
	reserve := h.o.Reserve
	if reserve < 0 {
		reserve = min(maxReserve, space.Total/100)
	}
	var w wire.Writer
	h.commit.Snapshot.Encode(&w)
	closing := int64(w.Len()) + wordRoom + landingRoom + min(clusterRoom, space.Total/64) + space.Avail>>10
	return space.Avail - reserve - closing, nil
}

// measure says how much content may be written, once the lists of files are.
func (p *returnPacker) measure() error {
	room, err := p.h.room()
	if err != nil {
		return err
	}
	if room < 0 {
		return exit.Errorf(exit.Fatal, "drive %s has no room: %s more are needed for the lists of files and what stays free (--reserve)", p.h.driveName(), report.Size(-room))
	}
	p.budget = room
	if limit := p.h.o.Limit; limit > 0 {
		p.budget = min(room, max(0, limit-p.h.result.BytesWritten))
	}
	return nil
}

func (h *sending) driveName() string {
	if label := h.drive.Label(); label != "" {
		return report.Name(label)
	}
	return h.drive.ID().String()[:8]
}

func (p *returnPacker) has(id chunk.ID) bool {
	_, ok := p.set[keyOf(id)]
	return ok
}

// size is how large the open pack may become.
func (p *returnPacker) size() int64 {
	return min(maxPackSize, max(firstPackSize, p.written/packSizeShare))
}

// pretend is append in a dry run: a chunk that is not read takes what it has.
func (p *returnPacker) pretend(id chunk.ID, length int64) bool {
	if p.has(id) {
		return true
	}
	size := pack.ClosedSize(1, length) - pack.ClosedSize(0, 0)
	if p.full || size > p.budget {
		p.full = true
		return false
	}
	p.budget -= size
	p.set[keyOf(id)] = struct{}{}
	return true
}

// append puts a chunk into the open pack; false if there is no room for it.
func (p *returnPacker) append(s pack.Stored) (fits bool, err error) {
	switch {
	case p.has(s.ID):
		return true, nil
	case p.full:
		return false, nil
	case p.records >= maxReturnRecords:
		p.full, p.recordsFull = true, true
		return false, nil
	}
	if p.w != nil && !p.w.Fits(len(s.Data), p.size()) {
		if err := p.finish(); err != nil {
			return false, err
		}
	}
	if p.w == nil && pack.ClosedSize(1, int64(len(s.Data))) > p.budget || p.w != nil && !p.w.Fits(len(s.Data), p.budget) {
		p.full = true
		return false, nil
	}
	if err := p.put(chunk.Data, s); err != nil {
		return false, err
	}
	return p.has(s.ID), nil
}

// addStream packs a chunk of a list of files.
func (p *returnPacker) addStream(plain []byte) error {
	if p.records >= maxReturnRecords {
		return exit.Errorf(exit.Fatal, "the lists of files have more than %d pieces: bring back parts of the snapshot", maxReturnRecords)
	}
	enc, err := p.streamEncoder()
	if err != nil {
		return err
	}
	s, err := enc.enc.Encode(chunk.Stream, plain, enc.packed)
	if err != nil || p.has(s.ID) {
		return err
	}
	if p.w != nil && !p.w.Fits(len(s.Data), firstPackSize) {
		if err := p.finish(); err != nil {
			return err
		}
	}
	return p.put(chunk.Stream, s)
}

func (p *returnPacker) streamEncoder() (*slot, error) {
	if len(p.slots) == 0 {
		enc, err := pack.NewEncoder(0)
		if err != nil {
			return nil, err
		}
		p.slots = append(p.slots, &slot{enc: enc})
	}
	return p.slots[0], nil
}

// put appends to the open pack, or begins one.
func (p *returnPacker) put(k chunk.Kind, s pack.Stored) error {
	if p.w == nil {
		if err := p.begin(k); err != nil {
			return p.giveUp(err)
		}
	}
	if _, err := p.w.Append(s); err != nil {
		return p.giveUp(err)
	}
	key := keyOf(s.ID)
	p.set[key] = struct{}{}
	p.keys = append(p.keys, key)
	p.records++
	return nil
}

func (p *returnPacker) begin(k chunk.Kind) error {
	name := courier.PackName(p.next[k], k)
	p.next[k]++
	f, err := p.h.drive.FS().Create(p.dir+"/"+name, 0o644)
	if err != nil {
		return err
	}
	w, err := pack.NewWriter(f, k)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	p.kind, p.w, p.file, p.name, p.keys = k, w, f, name, nil
	return nil
}

// finish closes the open pack and reads it back:
//
//	write, fsync, close; open(dir), fsync, close
//	fadvise(DONTNEED), read, compare with the BLAKE3 of what was written
func (p *returnPacker) finish() error {
	if p.w == nil {
		return nil
	}
	sum, err := p.w.Close()
	if err == nil {
		err = p.file.Sync()
	}
	if err != nil {
		return p.giveUp(err)
	}
	f := p.file
	p.file = nil
	if err := f.Close(); err != nil {
		return p.giveUp(err)
	}
	fsys := p.h.drive.FS()
	if err := fsys.SyncDir(p.dir); err != nil {
		return p.giveUp(err)
	}
	how, err := disk.ReadBack(fsys, p.dir+"/"+p.name, func(f disk.File) error {
		d := chunk.NewDigester()
		n, err := io.CopyBuffer(struct{ io.Writer }{d}, struct{ io.Reader }{f}, make([]byte, 1<<20))
		if err == nil && (n != sum.Size || d.Sum() != sum.Digest) {
			err = fmt.Errorf("%w: expected %d bytes with BLAKE3 %s, found %d with %s", disk.ErrReadBack, sum.Size, sum.Digest, n, d.Sum())
		}
		return err
	})
	if err != nil {
		return p.giveUp(err)
	}
	p.files = append(p.files, courier.FileRef{Name: p.name, Kind: sum.Kind, Size: sum.Size, Records: uint32(sum.Records), Digest: sum.Digest, ReadBack: how})
	if sum.Kind == chunk.Data {
		p.budget -= sum.Size
		p.written += sum.Size
	}
	p.w, p.name, p.keys, p.failed = nil, "", nil, 0
	return nil
}

// giveUp abandons the open pack. A drive that is full had less room than it said; one that fails otherwise too often is bad.
func (p *returnPacker) giveUp(cause error) error {
	wrote := int64(0)
	if p.w != nil {
		wrote = p.w.Size()
	}
	name := p.name
	p.drop()
	if _, err := p.h.drive.FS().Stat(driveMark); err != nil {
		return exit.Errorf(exit.Fatal, "drive %s is gone, or does not answer any more: plug it in again, and run this again; it goes on from there: %w", p.h.driveName(), err)
	}
	p.lost = true
	if disk.IsNoSpace(cause) {
		p.noSpace++
		p.budget = max(0, wrote-wrote/16-landingRoom-wordRoom)
		if p.noSpace >= maxNoSpace {
			p.budget = 0
		}
		p.full = true
		p.h.rep.Verbose("the drive is fuller than it said: %v", cause)
		return nil
	}
	if p.failed++; p.failed > maxRetries {
		return exit.Errorf(exit.Fatal, "drive %s is bad: %d packs in a row could not be written and read back; this return is not complete: %w", p.h.driveName(), p.failed, cause)
	}
	p.h.rep.Warn("pack %s failed on drive %s and is written anew: %v", name, p.h.driveName(), cause)
	return nil
}

// drop forgets the open pack.
func (p *returnPacker) drop() {
	if p.file != nil {
		p.file.Close() // it is given up
	}
	if p.name != "" {
		if err := p.h.drive.FS().Remove(p.dir + "/" + p.name); err != nil {
			p.h.rep.Verbose("%v", err) // the next run onto this drive removes it
		}
	}
	p.forget(p.keys)
	p.w, p.file, p.name, p.keys = nil, nil, "", nil
}

func (p *returnPacker) forget(keys []chunkKey) {
	for _, k := range keys {
		delete(p.set, k)
	}
	p.records -= len(keys)
}

// abandon ends a run that did not come to its end: what is whole stays for the next.
func (p *returnPacker) abandon() {
	if p.w != nil {
		p.drop()
	}
}

// dropStreams takes the lists of files away again.
func (p *returnPacker) dropStreams() error {
	for _, f := range slices.Clone(p.files) {
		if f.Kind == chunk.Stream {
			if err := p.takeBack(f); err != nil {
				return err
			}
		}
	}
	return nil
}

// giveBack takes the newest pack of chunks off the drive, where the word of completion has no room.
func (p *returnPacker) giveBack() bool {
	for i := len(p.files) - 1; i >= 0; i-- {
		if p.files[i].Kind == chunk.Data {
			p.budget = 0
			return p.takeBack(p.files[i]) == nil
		}
	}
	return false
}

func (p *returnPacker) takeBack(ref courier.FileRef) error {
	name := p.dir + "/" + ref.Name
	keys, err := p.keysOf(name, ref)
	if err != nil {
		return err
	}
	if err := p.h.drive.FS().Remove(name); err != nil {
		return err
	}
	p.forget(keys)
	p.files = slices.DeleteFunc(p.files, func(f courier.FileRef) bool { return f.Name == ref.Name })
	return p.h.drive.FS().SyncDir(p.dir)
}

// keysOf reads which chunks a pack has.
func (p *returnPacker) keysOf(name string, ref courier.FileRef) (keys []chunkKey, err error) {
	f, err := p.h.drive.FS().Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() // was only read
	r, err := pack.Open(f, ref.Size)
	if err != nil {
		return nil, err
	}
	for _, place := range r.Places() {
		keys = append(keys, keyOf(place.ID))
	}
	return keys, nil
}

// checkEnds reads head and tail of every pack once more, cold: a stick of false capacity writes over what it has.
func (p *returnPacker) checkEnds() error {
	for _, ref := range p.files {
		_, err := disk.ReadBack(p.h.drive.FS(), p.dir+"/"+ref.Name, func(f disk.File) error {
			st, err := f.Stat()
			if err != nil {
				return err
			}
			r, err := pack.Open(f, st.Size)
			if err == nil && (st.Size != ref.Size || len(r.Places()) != int(ref.Records)) {
				err = errors.New("it is another pack")
			}
			return err
		})
		if err != nil {
			return exit.Errorf(exit.Fatal, "drive %s is bad: pack %s was good when it was read back and is not any more; this return is not complete: %w", p.h.driveName(), ref.Name, err)
		}
	}
	return nil
}

// recorder hands out stream chunks and shows each once.
type recorder struct {
	get  snapshot.Getter
	keep func(plain []byte) error
	seen map[chunk.ID]bool
	err  error // of keep
}

func (r *recorder) Get(id chunk.ID, k chunk.Kind, length int64, buf []byte) ([]byte, error) {
	plain, err := r.get.Get(id, k, length, buf)
	if err != nil || r.seen[id] || r.err != nil {
		return plain, err
	}
	r.seen[id] = true
	r.err = r.keep(plain)
	return plain, nil
}
