package vault

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"waterlock/internal/chunk"
	"waterlock/internal/courier"
	"waterlock/internal/disk"
	"waterlock/internal/wire"
	"waterlock/pack"
	"waterlock/snapshot"
)

// testHome is a small home: it packs directories onto drives with the real formats and none of internal/home, so that
// tests decide what is pending, unseen, stopped, lost or damaged.
type testHome struct {
	t       testing.TB
	route   courier.RouteInfo
	trees   map[string]string // tree → directory
	host    string            // "": one that this machine is not called
	number  uint64
	epoch   courier.Epoch
	receipt uint64
	digest  chunk.Digest
	held    map[chunk.ID]bool
	aboard  map[chunk.ID]bool
	sent    []*sentShipment
	room    int                                   // left on the drive
	last    map[string]map[string]*snapshot.Entry // tree → path → entry of the last stream
	dead    map[string]*snapshot.Entry            // tree/path → what was there once
	streams map[string]snapshot.TreeRecord
	plain   map[chunk.ID][]byte // stream chunks, for wants
}

type sentShipment struct {
	id     courier.ShipmentID
	number uint64
	ids    []chunk.ID // in the order of the bits
	data   int        // of these, chunks of files
	drive  string
	lost   bool
	acked  bool
}

// trip is what is special about one run of pack.
type trip struct {
	packSize int64                           // 0: one pack
	room     int                             // bytes of chunks that fit; 0: all
	pending  func(tree, path string) bool    // new content stays at home
	unseen   func(tree, path string) bool    // cannot be read
	stopped  map[string]string               // tree → reason
	gone     func(path string) snapshot.Gone // what home says of what is gone; nil: all is confirmed
	asks     bool                            // for an inventory
}

var testPolynomial = mustParams()

func mustParams() chunk.Params {
	p, err := chunk.DefaultParams()
	if err != nil {
		panic(err)
	}
	p.Min, p.Max, p.AverageBits = 1<<10, 8<<10, 11
	return p
}

func newTestHome(t testing.TB, trees map[string]string) *testHome {
	h := &testHome{
		t: t, trees: trees,
		held: map[chunk.ID]bool{}, aboard: map[chunk.ID]bool{},
		last: map[string]map[string]*snapshot.Entry{}, streams: map[string]snapshot.TreeRecord{},
		plain: map[chunk.ID][]byte{}, dead: map[string]*snapshot.Entry{},
	}
	h.route = courier.RouteInfo{ID: wire.RouteID(courier.NewShipmentID()), Name: "test", Created: time.Now(), Chunker: testPolynomial}
	return h
}

func newTestDrive(t testing.TB) string {
	dir := filepath.Join(t.TempDir(), "drive")
	must(t, os.Mkdir(dir, 0o755))
	fs, err := disk.Dir(dir)
	must(t, err)
	defer fs.Close()
	_, err = courier.InitDrive(fs, "test drive")
	must(t, err)
	return dir
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// importReceipt believes the newest receipt on the drive.
func (h *testHome) importReceipt(drive string) *courier.Receipt {
	h.t.Helper()
	d, err := courier.OpenDrive(drive)
	must(h.t, err)
	defer d.Close()
	list, problems, err := d.ReadReceipts(h.route.ID)
	must(h.t, err)
	if len(problems) > 0 {
		h.t.Fatal(problems)
	}
	if len(list) == 0 {
		return nil
	}
	r := list[0].Receipt
	if r.Number <= h.receipt {
		return r
	}
	h.epoch, h.receipt, h.digest = r.Epoch, r.Number, chunk.SumDigest(list[0].Bytes)
	for _, taken := range r.Taken {
		for _, s := range h.sent {
			if s.id != taken.Shipment {
				continue
			}
			s.acked = true
			if int(taken.Records) != len(s.ids) {
				h.t.Fatalf("receipt counts %d records, %d were sent", taken.Records, len(s.ids))
			}
			for i, id := range s.ids {
				delete(h.aboard, id)
				if taken.Arrived(uint32(i)) {
					h.held[id] = true
				}
			}
		}
	}
	for _, w := range r.Wants {
		delete(h.held, w.ID)
		delete(h.aboard, w.ID)
	}
	for _, c := range r.Condemned {
		delete(h.held, c.ID)
		delete(h.aboard, c.ID)
	}
	return r
}

// lose declares a shipment lost.
func (h *testHome) lose(s *sentShipment) {
	s.lost = true
	for _, id := range s.ids {
		delete(h.aboard, id)
	}
}

// shipmentWriter writes the packs of one kind.
type shipmentWriter struct {
	h     *testHome
	dir   string
	kind  chunk.Kind
	limit int64
	enc   *pack.Encoder
	buf   *bytes.Buffer
	w     *pack.Writer
	files []courier.FileRef
	ids   []chunk.ID
	put   map[chunk.ID]bool
}

func (h *testHome) newShipmentWriter(dir string, k chunk.Kind, limit int64) *shipmentWriter {
	enc, err := pack.NewEncoder(0)
	must(h.t, err)
	if limit == 0 {
		limit = 1 << 30
	}
	return &shipmentWriter{h: h, dir: dir, kind: k, limit: limit, enc: enc, put: map[chunk.ID]bool{}}
}

func (s *shipmentWriter) add(plain []byte) {
	stored, err := s.enc.Encode(s.kind, plain, nil)
	must(s.h.t, err)
	if s.put[stored.ID] {
		return
	}
	if s.w != nil && !s.w.Fits(len(stored.Data), s.limit) {
		s.close()
	}
	if s.w == nil {
		s.buf = &bytes.Buffer{}
		s.w, err = pack.NewWriter(s.buf, s.kind)
		must(s.h.t, err)
	}
	_, err = s.w.Append(stored)
	must(s.h.t, err)
	s.put[stored.ID] = true
	s.ids = append(s.ids, stored.ID)
}

func (s *shipmentWriter) close() {
	if s.w == nil {
		return
	}
	sum, err := s.w.Close()
	must(s.h.t, err)
	name := courier.PackName(len(s.files)+1, s.kind)
	must(s.h.t, os.WriteFile(filepath.Join(s.dir, name), s.buf.Bytes(), 0o644))
	s.files = append(s.files, courier.FileRef{
		Name: name, Kind: s.kind, Size: sum.Size, Records: uint32(sum.Records), Digest: sum.Digest, ReadBack: disk.Warm,
	})
	s.w = nil
}

// pack makes a shipment of everything the vault is not known to have.
func (h *testHome) pack(drive string, o trip) *sentShipment {
	h.t.Helper()
	d, err := courier.OpenDrive(drive)
	must(h.t, err)
	defer d.Close()
	id := courier.NewShipmentID()
	rel, err := d.CreateShipment(h.route.ID, id)
	must(h.t, err)
	dir := filepath.Join(drive, filepath.FromSlash(rel))

	h.number++
	h.room = o.room
	if h.room == 0 {
		h.room = 1 << 40
	}
	data := h.newShipmentWriter(dir, chunk.Data, o.packSize)
	meta := h.newShipmentWriter(dir, chunk.Stream, 0)
	record := snapshot.Record{Number: h.number, Time: time.Now(), Host: cmp.Or(h.host, "here")}
	for _, tree := range slices.Sorted(maps.Keys(h.trees)) {
		if reason, stopped := o.stopped[tree]; stopped {
			r := h.streams[tree]
			r.Name, r.Root, r.Stopped = tree, h.trees[tree], reason
			record.Trees = append(record.Trees, r)
			for _, ref := range r.Chunks {
				if !h.held[ref.ID] {
					meta.add(h.plain[ref.ID])
				}
			}
			continue
		}
		record.Trees = append(record.Trees, h.packTree(tree, data, meta, o))
	}
	data.close()
	meta.close()

	commit := &courier.Commit{
		Route: h.route, Shipment: id, Attempt: 1, Drive: d.ID(), DriveLabel: d.Label(), Time: time.Now(), Tool: "test",
		Files: append(data.files, meta.files...), Snapshot: record,
		Basis: courier.Basis{Epoch: h.epoch, Receipt: h.receipt}, BasisDigest: h.digest, Floor: h.number, Inventory: o.asks,
	}
	for _, s := range h.sent {
		if !s.acked {
			commit.Floor = min(commit.Floor, s.number)
			commit.Out = append(commit.Out, courier.OutShipment{Number: s.number, Shipment: s.id, Drive: d.ID(), Time: time.Now(), Lost: s.lost})
		}
	}
	b, err := courier.EncodeCommit(commit)
	must(h.t, err)
	_, err = d.WriteCommit(b)
	must(h.t, err)
	s := &sentShipment{id: id, number: h.number, data: len(data.ids), ids: append(data.ids, meta.ids...), drive: drive}
	for _, id := range s.ids {
		h.aboard[id] = true
	}
	h.sent = append(h.sent, s)
	return s
}

func (h *testHome) packTree(tree string, data, meta *shipmentWriter, o trip) snapshot.TreeRecord {
	record := snapshot.TreeRecord{Name: tree, Root: h.trees[tree]}
	last, now := h.last[tree], map[string]*snapshot.Entry{}
	var items []*snapshot.Entry
	w := snapshot.NewStreamWriter(func(plain []byte, ref snapshot.StreamRef) error {
		record.Chunks = append(record.Chunks, ref)
		h.plain[ref.ID] = bytes.Clone(plain)
		if !h.held[ref.ID] {
			meta.add(plain)
		}
		return nil
	})
	fs, err := disk.Dir(h.trees[tree])
	must(h.t, err)
	defer fs.Close()
	must(h.t, snapshot.Walk(context.Background(), fs, snapshot.WalkOptions{}, func(n *snapshot.Node) error {
		if n.Err != nil {
			return n.Err
		}
		if err := n.Fill(); err != nil {
			return err
		}
		e := n.Entry.Clone()
		old := last[e.Path]
		switch {
		case o.unseen != nil && o.unseen(tree, e.Path):
			if old == nil {
				e.Unseen, e.Hash, e.Content = true, chunk.ContentHash{}, nil
				break
			}
			e = old.Clone()
			e.Unseen = true
		case e.Kind == disk.KindFile:
			h.read(n, e, data, func() bool { return o.pending != nil && o.pending(tree, e.Path) }, old)
		}
		now[e.Path] = e
		items = append(items, e)
		return nil
	}))
	for path, e := range last {
		if now[path] == nil {
			h.dead[tree+"/"+path] = e
		}
	}
	for path, e := range h.dead {
		path, own := strings.CutPrefix(path, tree+"/")
		if own && now[path] == nil && o.gone != nil && o.gone(path) != snapshot.Here {
			items = append(items, snapshot.Tombstone(e, o.gone(path)))
		}
	}
	slices.SortFunc(items, func(a, b *snapshot.Entry) int { return snapshot.ComparePaths(a.Path, b.Path) })
	for _, e := range items {
		must(h.t, w.Add(e))
	}
	record.Totals, err = w.Close()
	must(h.t, err)
	h.last[tree], h.streams[tree] = now, record
	return record
}

// read fills in the content of a file and packs what is not known to be at the vault.
func (h *testHome) read(n *snapshot.Node, e *snapshot.Entry, data *shipmentWriter, pending func() bool, old *snapshot.Entry) {
	f, err := n.FS.Open(n.Name)
	must(h.t, err)
	defer f.Close()
	whole, err := io.ReadAll(f)
	must(h.t, err)
	var content []snapshot.Extent
	var chunks [][]byte
	split := chunk.NewSplitter(h.route.Chunker)
	for off := int64(0); off < int64(len(whole)); {
		start, end, err := f.Data(off)
		if err == io.EOF {
			start, end = int64(len(whole)), int64(len(whole))
		} else {
			must(h.t, err)
		}
		if start > off {
			content = append(content, snapshot.Extent{Length: start - off, Hole: true})
		}
		split.Reset(bytes.NewReader(whole[start:end]))
		for start < end {
			c, err := split.Next(nil)
			if err == io.EOF {
				break
			}
			must(h.t, err)
			content = append(content, snapshot.Extent{ID: chunk.Data.ID(c), Length: int64(len(c))})
			chunks = append(chunks, bytes.Clone(c))
		}
		off = end
	}
	hash := chunk.SumContent(whole)
	if pending() && (old == nil || old.Hash != hash) {
		e.Pending = true
		if old != nil {
			e.Hash, e.Content = old.Hash, old.Content
		}
		return
	}
	e.Size = int64(len(whole))
	carried, all := h.carry(content, chunks, data)
	if all {
		e.Hash, e.Content = hash, content
		return
	}
	e.Pending, e.Carried = true, carried
	if old != nil {
		e.Hash, e.Content = old.Hash, old.Content
	}
}

// carry packs the chunks of a file that have room. Those carried stand at their offsets.
func (h *testHome) carry(content []snapshot.Extent, chunks [][]byte, data *shipmentWriter) (carried []snapshot.Extent, all bool) {
	all = true
	gap, i := int64(0), 0
	for _, x := range content {
		if !x.Hole {
			c := chunks[i]
			i++
			known := h.held[x.ID] || h.aboard[x.ID] || data.put[x.ID]
			if !known && h.room >= len(c) {
				h.room -= len(c)
				data.add(c)
				known = true
			}
			if known {
				if gap > 0 {
					carried = append(carried, snapshot.Extent{Length: gap, Hole: true})
				}
				carried, gap = append(carried, x), 0
				continue
			}
			all = false
		}
		gap += x.Length
	}
	return carried, all
}
