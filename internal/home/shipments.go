package home

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"waterlock/internal/chunk"
	"waterlock/internal/courier"
	"waterlock/internal/disk"
	"waterlock/internal/report"
	"waterlock/internal/wire"
)

// What home remembers of a shipment lies in a directory of its own, shipments/<ordinal>-<id>/, in write-once files:
//
//	open                 sealed: id, ordinal, drive. The first; it opens the shipment.
//	000001.pack.chunks   sealed: one for each pack that was read back on the drive, what it holds
//	000001.meta.chunks   the same of each meta pack
//	commit               verbatim what the drive gets. From here on the shipment is closed.
//	aboard               empty: the commit was read back on the drive
//	missing              empty: the drive came back without it
//	lost                 empty: somebody said that the drive is lost
//	000001.pack.gone     empty: the drive came back without this pack
//
// A shipment's chunks count as aboard from "aboard" on, while neither missing nor lost; those of an open shipment count
// for the run that continues it, and for nobody else.
const (
	fileOpen    = "open"
	fileCommit  = "commit"
	fileAboard  = "aboard"
	fileMissing = "missing"
	fileLost    = "lost"
	listSuffix  = ".chunks"
	goneSuffix  = ".gone"

	maxOpenBytes   = 4 << 10
	maxListBytes   = 4 << 20
	maxCommitBytes = wire.MaxBody + 4096
	maxLabel       = 1 << 10
	maxPackName    = 64
	maxOrdinal     = 1<<32 - 1
)

// shipment is what home remembers of one shipment.
type shipment struct {
	ord    uint32
	id     courier.ShipmentID
	dir    string // within the state
	drive  courier.DriveID
	label  string
	opened time.Time
	packs  []string        // that have a chunk list: data packs by name, then meta packs by name
	gone   map[string]bool // of these, no longer on the drive

	number   uint64 // of its snapshot; 0: open
	time     time.Time
	size     int64             // of its packs, once committed
	files    []courier.FileRef // of its commit: the order of the records in a receipt's bits
	closed   bool              // there is a commit at home, be it a damaged one
	aboard   bool
	missing  bool
	lost     bool
	unusable bool // its records at home are damaged
}

func (s *shipment) open() bool { return s.number == 0 && !s.unusable }

// records is the number of records of its commit.
func (s *shipment) records() (n uint64) {
	for i := range s.files {
		n += uint64(s.files[i].Records)
	}
	return n
}

func (s *shipment) has(pack string) bool { return slices.Contains(s.packs, pack) }

// counts tells whether what it carries may be counted on.
func (s *shipment) counts() bool { return s.aboard && !s.missing && !s.lost }

// fleet is all shipments of a route, and the newest commit.
type fleet struct {
	all    []*shipment // by ordinal
	newest *courier.Commit
	torn   bool // a commit at home is damaged: there was a snapshot that newest says nothing of
}

var shipmentDir = regexp.MustCompile(`^([0-9]{8,10})-([0-9a-f]{32})$`)

// loadFleet reads what home remembers of its shipments.
func (s *site) loadFleet(rep report.Reporter) (*fleet, error) {
	f := &fleet{}
	names, err := s.state.ReadDir(dirShipments)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err != nil {
		return nil, err
	}
	for i := range names.Len() {
		m := shipmentDir.FindStringSubmatch(names.At(i))
		if m == nil {
			continue
		}
		ord, err := strconv.ParseUint(m[1], 10, 32)
		if err != nil {
			continue
		}
		id, err := courier.ParseShipmentID(m[2])
		if err != nil {
			continue
		}
		sh := &shipment{ord: uint32(ord), id: id, dir: dirShipments + "/" + names.At(i), gone: map[string]bool{}}
		commit, err := s.loadShipment(sh)
		if err != nil {
			rep.Warn("what home remembers of shipment %s is damaged, it no longer counts: %v", id.Short(), err)
			sh.unusable = true
			f.torn = f.torn || sh.closed
		}
		if commit != nil && (f.newest == nil || commit.Snapshot.Number > f.newest.Snapshot.Number) {
			f.newest = commit
		}
		f.all = append(f.all, sh)
	}
	slices.SortFunc(f.all, func(a, b *shipment) int { return cmp.Compare(a.ord, b.ord) })
	return f, nil
}

func (s *site) loadShipment(sh *shipment) (*courier.Commit, error) {
	names, err := s.state.ReadDir(sh.dir)
	if err != nil {
		return nil, err
	}
	for i := range names.Len() {
		switch name := names.At(i); {
		case name == fileCommit:
			sh.closed = true
		case name == fileAboard:
			sh.aboard = true
		case name == fileMissing:
			sh.missing = true
		case name == fileLost:
			sh.lost = true
		case strings.HasSuffix(name, listSuffix):
			sh.packs = append(sh.packs, strings.TrimSuffix(name, listSuffix))
		case strings.HasSuffix(name, goneSuffix):
			sh.gone[strings.TrimSuffix(name, goneSuffix)] = true
		}
	}
	slices.SortFunc(sh.packs, comparePacks)
	data, err := disk.ReadAll(s.state, sh.dir+"/"+fileOpen, maxOpenBytes)
	if errors.Is(err, fs.ErrNotExist) && len(sh.packs) == 0 && !sh.closed {
		sh.unusable = true // power went before it was opened
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := sh.decodeOpen(s.route, data); err != nil {
		return nil, err
	}
	if !sh.closed {
		return nil, nil
	}
	data, err = disk.ReadAll(s.state, sh.dir+"/"+fileCommit, maxCommitBytes)
	if err != nil {
		return nil, err
	}
	c, err := courier.DecodeCommit(data)
	if err != nil {
		return nil, err
	}
	if c.Shipment != sh.id || c.Route.ID != s.route {
		return nil, fmt.Errorf("its commit is that of shipment %s", c.Shipment)
	}
	sh.number, sh.time, sh.files = c.Snapshot.Number, c.Time, c.Files
	for _, ref := range c.Files {
		sh.size += ref.Size
	}
	return c, nil
}

// comparePacks puts data packs before meta packs, each by number: the order of the records in a receipt's bits.
func comparePacks(a, b string) int {
	return cmp.Or(cmp.Compare(packKind(a), packKind(b)), cmp.Compare(a, b))
}

func packKind(name string) chunk.Kind {
	if strings.HasSuffix(name, ".meta") {
		return chunk.Stream
	}
	return chunk.Data
}

// packNumber is the NNNNNN of a pack's name, 0 if it is none.
func packNumber(name string) int {
	stem, _, _ := strings.Cut(name, ".")
	n, err := strconv.Atoi(stem)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// byID finds a shipment.
func (f *fleet) byID(id courier.ShipmentID) *shipment {
	for _, sh := range f.all {
		if sh.id == id {
			return sh
		}
	}
	return nil
}

// live tells whether the ledger may count on the shipment of an ordinal; current is the one being packed.
func (f *fleet) live(current uint32) func(ord uint32) bool {
	counts := make(map[uint32]bool, len(f.all))
	for _, sh := range f.all {
		counts[sh.ord] = sh.counts()
	}
	counts[current] = true
	return func(ord uint32) bool { return counts[ord] }
}

// onDrive is live for the shipments on one drive alone, the one being packed among them.
func (f *fleet) onDrive(drive courier.DriveID) func(ord uint32) bool {
	counts := make(map[uint32]bool, len(f.all))
	for _, sh := range f.all {
		counts[sh.ord] = sh.drive == drive && (sh.counts() || sh.open())
	}
	return func(ord uint32) bool { return counts[ord] }
}

// newestNumber is the number of the newest snapshot that home remembers; 0: none.
func (f *fleet) newestNumber() uint64 {
	if f.newest == nil {
		return 0
	}
	return f.newest.Snapshot.Number
}

// unfinished tells whether a closed shipment's commit never was read back on its drive.
func (f *fleet) unfinished() bool {
	return slices.ContainsFunc(f.all, func(s *shipment) bool { return s.number != 0 && !s.aboard && !s.missing && !s.lost })
}

func (f *fleet) nextOrdinal() uint32 {
	if len(f.all) == 0 {
		return 1
	}
	return f.all[len(f.all)-1].ord + 1
}

// createShipment opens a new shipment: durable at home before anything of it is on the drive.
func (s *site) createShipment(f *fleet, d *courier.Drive) (*shipment, error) {
	sh := &shipment{ord: f.nextOrdinal(), id: courier.NewShipmentID(), drive: d.ID(), label: d.Label(), opened: s.now().UTC().Truncate(time.Second), gone: map[string]bool{}}
	sh.dir = fmt.Sprintf("%s/%08d-%s", dirShipments, sh.ord, sh.id)
	if err := disk.MkdirAll(s.state, sh.dir, 0o700); err != nil {
		return nil, err
	}
	if err := disk.Put(s.state, sh.dir+"/"+fileOpen, sh.encodeOpen(s.route)); err != nil {
		return nil, err
	}
	f.all = append(f.all, sh)
	return sh, nil
}

// mark leaves an empty write-once file in the shipment's directory.
func (s *site) mark(sh *shipment, name string) error {
	err := disk.Put(s.state, sh.dir+"/"+name, nil)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

func (sh *shipment) encodeOpen(route wire.RouteID) []byte {
	var w wire.Writer
	w.Fixed(sh.id[:])
	w.Uvarint(uint64(sh.ord))
	w.Fixed(sh.drive[:])
	w.String(sh.label)
	w.Varint(sh.opened.Unix())
	return wire.Seal(wire.OpenShipment, route, w.Bytes())
}

func (sh *shipment) decodeOpen(route wire.RouteID, data []byte) error {
	body, err := wire.OpenRoute(wire.OpenShipment, route, data)
	if err != nil {
		return err
	}
	r := wire.NewReader(body)
	id, ord := courier.ShipmentID(fixed16(r)), r.Uvarint()
	sh.drive = courier.DriveID(fixed16(r))
	sh.label = r.String(maxLabel)
	sh.opened = time.Unix(r.Varint(), 0).UTC()
	if err := r.Done(); err != nil {
		return err
	}
	if id != sh.id || ord != uint64(sh.ord) {
		return fmt.Errorf("its record is that of shipment %s, ordinal %d", id, ord)
	}
	return nil
}

// fixed16 reads sixteen bytes; zeros after an error.
func fixed16(r *wire.Reader) (b [16]byte) {
	copy(b[:], r.Fixed(16))
	return b
}

func fixed32(r *wire.Reader) (b [32]byte) {
	copy(b[:], r.Fixed(32))
	return b
}
