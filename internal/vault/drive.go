package vault

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"waterlock/index"
	"waterlock/internal/chunk"
	"waterlock/internal/courier"
	"waterlock/internal/disk"
	"waterlock/internal/report"
	"waterlock/pack"
)

var errElsewhere = errors.New("commit belongs to another shipment or route")

// drivePack is one pack of a shipment. Its place in drivePacks.list is the number by which catalog rows name it.
type drivePack struct {
	ship *shipment
	ref  courier.FileRef
	path string // relative to the drive
	base uint32 // bit of its first record
	bad  bool   // it cannot be opened at all; said already
	said bool   // its damage was said already
}

// drivePacks reads chunks off the drive, record by record; each is verified by its seal and its ID. It is the last place
// where the chunkstore looks for a chunk. What cannot be read is named once and counted, and costs nothing else.
type drivePacks struct {
	fs     disk.FS
	cat    *index.Catalog
	rep    report.Reporter
	list   []*drivePack
	mu     sync.Mutex
	open   []*openPack // most recently used first
	bad    map[badRecord]bool
	ids    map[chunk.ID]bool // of the bad records: nothing else under way brings them
	damage int64
	gone   error // the drive itself cannot be read any more
}

type openPack struct {
	number uint32
	file   disk.File
	reader *pack.Reader
	users  int  // reads going on
	gone   bool // crowded out: the last user closes it
}

type badRecord struct{ pack, number uint32 }

// driveMark is the file that makes a disk a courier drive.
const driveMark = "waterlock/drive.json"

// maxOpenPacks bounds the open files. Chunks come in stream order, so a few suffice.
const maxOpenPacks = 8

func newDrivePacks(d *courier.Drive, cat *index.Catalog, shipments []*shipment, rep report.Reporter) *drivePacks {
	p := &drivePacks{fs: d.FS(), cat: cat, rep: rep, bad: map[badRecord]bool{}, ids: map[chunk.ID]bool{}}
	for _, s := range shipments {
		base := uint32(0)
		for _, ref := range s.commit.Files {
			p.list = append(p.list, &drivePack{ship: s, ref: ref, path: s.dir + "/" + ref.Name, base: base})
			base += ref.Records
		}
	}
	return p
}

// Get reads one chunk: it is the chunkstore's DriveSource. Where several packs of the drive have the chunk, one that reads
// right is enough.
func (p *drivePacks) Get(at index.DrivePlace, k chunk.Kind, buf []byte) ([]byte, error) {
	for {
		plain, err := p.read(at, k, buf)
		if err == nil {
			p.rep.Add(int64(len(plain)), 0)
			return plain, nil
		}
		next, ok, e := p.cat.Drive(at.ID)
		if e != nil || !ok || next.Pack == at.Pack && next.Number == at.Number {
			return nil, err
		}
		at = next
	}
}

// read reads the chunk of one record.
func (p *drivePacks) read(at index.DrivePlace, k chunk.Kind, buf []byte) ([]byte, error) {
	place := pack.Place{
		Number: at.Number, ID: at.ID, Encoding: pack.Encoding(at.Encoding),
		Offset: at.Offset, StoredLen: at.StoredLen, PlainLen: at.PlainLen,
	}
	o, err := p.acquire(at.Pack)
	if err != nil {
		p.recordBad(at.Pack, place, err)
		return nil, err
	}
	defer p.release(o)
	if o.reader.Kind() != k {
		err = fmt.Errorf("chunk %s lies in a pack of the other kind", at.ID.Short())
	} else {
		var plain []byte
		if plain, err = o.reader.Read(place, buf); err == nil {
			return plain, nil
		}
	}
	p.recordBad(at.Pack, place, err)
	return nil, err
}

// stored reads one record as it is, for the history.
func (p *drivePacks) stored(number uint32, place pack.Place, buf []byte) (pack.Stored, error) {
	o, err := p.acquire(number)
	if err != nil {
		p.recordBad(number, place, err)
		return pack.Stored{}, err
	}
	defer p.release(o)
	s, err := o.reader.ReadStored(place, buf)
	if err == nil {
		_, err = pack.DecodeStored(o.reader.Kind(), s, nil)
	}
	if err != nil {
		p.recordBad(number, place, err)
		return pack.Stored{}, err
	}
	p.rep.Add(int64(place.PlainLen), 0)
	return s, nil
}

// places returns the records of a pack: from its table, else found one by one. Damage is named; what is left is used.
func (p *drivePacks) places(number uint32) []pack.Place {
	dp := p.list[number]
	if dp.bad {
		return nil
	}
	f, size, err := p.openFile(dp)
	if err != nil {
		p.packBad(dp, err)
		return nil
	}
	defer f.Close()
	if size != dp.ref.Size {
		p.packDamaged(dp, fmt.Errorf("%d bytes long where the commit says %d", size, dp.ref.Size))
	}
	r, damage, err := pack.Salvage(f, size)
	if err != nil {
		p.packBad(dp, err)
		return nil
	}
	if damage != nil {
		p.packDamaged(dp, damage)
	}
	if r.Kind() != dp.ref.Kind {
		p.packBad(dp, fmt.Errorf("a pack of the other kind than the commit says"))
		return nil
	}
	places := r.Places()
	for i, place := range places {
		if place.Number == 0 || place.Number > dp.ref.Records {
			p.packDamaged(dp, fmt.Errorf("record %d where the commit says %d records", place.Number, dp.ref.Records))
			return places[:i]
		}
	}
	return places
}

// acquire returns an open pack, whose records are known from the catalog. It stays open until others crowd it out.
func (p *drivePacks) acquire(number uint32) (*openPack, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, o := range p.open {
		if o.number == number {
			copy(p.open[1:i+1], p.open[:i])
			p.open[0] = o
			o.users++
			return o, nil
		}
	}
	if int(number) >= len(p.list) {
		return nil, fmt.Errorf("pack %d of the drive is not known", number)
	}
	f, size, err := p.openFile(p.list[number])
	if err != nil {
		return nil, err
	}
	r, err := pack.OpenRecords(f, size)
	if err != nil {
		f.Close()
		return nil, err
	}
	if len(p.open) == maxOpenPacks {
		last := p.open[maxOpenPacks-1]
		p.open = p.open[:maxOpenPacks-1]
		last.gone = true
		if last.users == 0 {
			last.file.Close()
		}
	}
	o := &openPack{number: number, file: f, reader: r, users: 1}
	p.open = append([]*openPack{o}, p.open...)
	return o, nil
}

func (p *drivePacks) release(o *openPack) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if o.users--; o.users == 0 && o.gone {
		o.file.Close()
	}
}

// openFile opens a pack so that it is read from the medium: this is the check on arrival.
func (p *drivePacks) openFile(dp *drivePack) (disk.File, int64, error) {
	f, err := p.fs.Open(dp.path)
	if err != nil {
		return nil, 0, err
	}
	st, err := f.Stat()
	if err == nil {
		_, err = f.Evict()
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, st.Size, nil
}

func (p *drivePacks) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, o := range p.open {
		o.file.Close()
	}
	p.open = nil
}

// recordBad names a record that cannot be read, once, and takes it out of the catalog's rows of the drive.
func (p *drivePacks) recordBad(number uint32, place pack.Place, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := badRecord{number, place.Number}
	if p.bad[key] || p.left(err) {
		return
	}
	p.bad[key] = true
	p.ids[place.ID] = true
	p.damage++
	if e := p.cat.DropDrive(place.ID, number); e != nil {
		err = errors.Join(err, e)
	}
	p.rep.Problem(p.list[number].path, err)
}

// left tells whether err means that the drive has been unplugged: then it is not damage, and the run ends.
func (p *drivePacks) left(err error) bool {
	if p.gone == nil && (disk.IsIOError(err) || errors.Is(err, fs.ErrNotExist)) {
		if _, e := p.fs.Stat(driveMark); e != nil {
			p.gone = fmt.Errorf("the drive cannot be read any more: %w", e)
		}
	}
	return p.gone != nil
}

// there returns an error once the drive is gone.
func (p *drivePacks) there() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.gone
}

func (p *drivePacks) isBad(number, record uint32) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.bad[badRecord{number, record}]
}

// lost tells whether a damaged record was to bring the chunk.
func (p *drivePacks) lost(id chunk.ID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ids[id]
}

func (p *drivePacks) packBad(dp *drivePack, err error) {
	dp.bad = true
	p.packDamaged(dp, err)
}

func (p *drivePacks) packDamaged(dp *drivePack, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if dp.said || p.left(err) {
		return
	}
	dp.said = true
	p.damage++
	p.rep.Problem(dp.path, err)
}
