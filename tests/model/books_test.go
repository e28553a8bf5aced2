//go:build unix

package model

import (
	"cmp"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"waterlock/internal/chunk"
	"waterlock/internal/courier"
	"waterlock/internal/home"
	"waterlock/pack"
	"waterlock/tests/trees"
)

// homeView is what home may count on: the rules of the ledger, without its files. What is held and what is aboard is
// folded anew from lists and receipts whenever something changes.
type homeView struct {
	closed   map[courier.ShipmentID]*shipment
	drive    map[courier.ShipmentID]courier.DriveID // that it was packed onto
	torn     map[courier.ShipmentID]bool            // its commit never was read back on the drive
	missing  map[courier.ShipmentID]bool            // from its drive
	lost     map[courier.ShipmentID]bool            // with its drive, somebody said
	gone     map[packName]bool                      // packs that are no longer on their drive
	order    []courier.ShipmentID                   // as they were packed
	receipts []*courier.Receipt                     // by number
	last     map[string]plain                       // of the newest snapshot
	newest   uint64                                 // its number
	begun    map[courier.DriveID]map[chunk.ID]bool  // what shipments begun and not closed had to carry
	lists    map[uint64][]chunk.ID                  // inventories, by the number of their receipt
	anew     uint64                                 // receipts below this one are not believed: home was rolled back

	held   map[chunk.ID]bool // folded, as the rest
	aboard map[chunk.ID]map[courier.ShipmentID]bool
	acks   map[courier.ShipmentID][]bool // bits acknowledged in this epoch
}

type packName struct {
	ship courier.ShipmentID
	file string
}

func newHomeView() *homeView {
	h := &homeView{
		closed: map[courier.ShipmentID]*shipment{}, drive: map[courier.ShipmentID]courier.DriveID{}, torn: map[courier.ShipmentID]bool{},
		missing: map[courier.ShipmentID]bool{}, lost: map[courier.ShipmentID]bool{}, gone: map[packName]bool{}, last: map[string]plain{},
		begun: map[courier.DriveID]map[chunk.ID]bool{},
	}
	h.fold()
	return h
}

func (h *homeView) clone() *homeView {
	c := *h
	c.closed, c.drive, c.torn, c.missing = maps.Clone(h.closed), maps.Clone(h.drive), maps.Clone(h.torn), maps.Clone(h.missing)
	c.lost, c.gone, c.last = maps.Clone(h.lost), maps.Clone(h.gone), maps.Clone(h.last)
	c.order, c.receipts = slices.Clone(h.order), slices.Clone(h.receipts)
	c.begun = map[courier.DriveID]map[chunk.ID]bool{}
	for id, set := range h.begun {
		c.begun[id] = maps.Clone(set)
	}
	c.fold()
	return &c
}

// off tells whether a shipment does not count.
func (h *homeView) off(id courier.ShipmentID) bool { return h.torn[id] || h.missing[id] || h.lost[id] }

// countsOn tells whether a chunk need not be carried.
func (h *homeView) countsOn(id chunk.ID) bool {
	if h.held[id] {
		return true
	}
	for ship := range h.aboard[id] {
		if !h.off(ship) {
			return true
		}
	}
	return false
}

// ackedInFull tells whether every record of a shipment was acknowledged.
func (h *homeView) ackedInFull(id courier.ShipmentID) bool {
	bits, seen := h.acks[id]
	return seen && !slices.Contains(bits, false)
}

// receipt is the newest.
func (h *homeView) receipt() *courier.Receipt {
	if len(h.receipts) == 0 {
		return nil
	}
	return h.receipts[len(h.receipts)-1]
}

// fold says what is held and what is aboard: shipments and receipts in the order in which they came. What a receipt
// acknowledges is held, if it is believed; what it says did not arrive is no longer aboard; an inventory makes held what it
// lists; what a receipt wants or condemns is neither.
func (h *homeView) fold() {
	h.held, h.aboard, h.acks = map[chunk.ID]bool{}, map[chunk.ID]map[courier.ShipmentID]bool{}, map[courier.ShipmentID][]bool{}
	rest := slices.Clone(h.order)
	slices.SortStableFunc(rest, func(a, b courier.ShipmentID) int {
		return cmp.Compare(h.closed[a].commit.Basis.Receipt, h.closed[b].commit.Basis.Receipt)
	})
	add := func(before uint64) {
		for len(rest) > 0 && h.closed[rest[0]].commit.Basis.Receipt < before {
			if s := h.closed[rest[0]]; !h.missing[s.id] && !h.lost[s.id] {
				for _, id := range s.data {
					if h.aboard[id] == nil {
						h.aboard[id] = map[courier.ShipmentID]bool{}
					}
					h.aboard[id][s.id] = true
				}
			}
			rest = rest[1:]
		}
	}
	first, told, _ := h.horizon()
	for i, r := range h.receipts {
		add(r.Number)
		if i > 0 && h.receipts[i-1].Epoch != r.Epoch {
			clear(h.acks)
		}
		for i := range r.Taken {
			h.acknowledge(&r.Taken[i], r.Epoch == h.receipt().Epoch && r.Number > max(first, told))
		}
		if r.Number == told {
			for _, id := range h.lists[told] {
				h.held[id] = true
			}
		}
		for _, w := range r.Wants {
			h.drop(w.ID)
		}
		for _, c := range r.Condemned {
			h.drop(c.ID)
		}
	}
	add(^uint64(0))
	for name := range h.gone {
		for _, p := range h.closed[name.ship].places[name.file] {
			delete(h.aboard[p.ID], name.ship)
		}
	}
}

// horizon says which receipts are believed: those behind the first of the epoch, if that is not the first epoch, and
// behind the one where home joined anew; and behind the newest inventory, which says what those before it did. lacks:
// home knows nothing of what the vault has until an inventory comes.
func (h *homeView) horizon() (first, told uint64, lacks bool) {
	missed := uint64(0)
	for i, r := range h.receipts {
		if i > 0 && r.Epoch != h.receipts[i-1].Epoch {
			first, told, missed = r.Number, 0, 0
		}
		if _, there := h.lists[r.Number]; there {
			told = r.Number
		} else if !r.Inventory.IsZero() {
			missed = r.Number
		}
	}
	if first = max(first, h.anew); told < first {
		told = 0
	}
	return first, told, told < max(first, missed)
}

func (h *homeView) drop(id chunk.ID) {
	delete(h.held, id)
	delete(h.aboard, id)
}

// acknowledge lets a receipt's word of one shipment count. What one says that is not believed is neither held nor aboard.
func (h *homeView) acknowledge(t *courier.Taken, believed bool) {
	before, seen := h.acks[t.Shipment]
	bits := make([]bool, t.Records)
	for i := range bits {
		bits[i] = t.Arrived(uint32(i)) || seen && before[i]
	}
	h.acks[t.Shipment] = bits
	s := h.closed[t.Shipment]
	if s == nil {
		return
	}
	i := 0
	for _, ref := range s.commit.Files {
		for _, p := range s.places[ref.Name] {
			fresh := bits[i] && !(seen && before[i])
			if fresh && believed {
				h.held[p.ID] = true
			}
			if !bits[i] && !seen || fresh && !believed {
				delete(h.aboard[p.ID], s.id)
			}
			i++
		}
	}
}

// importReceipt is what pack does first: the newest receipt on the drive, if it is newer than all that home knows. A
// drive that was lost has turned up where a receipt acknowledges more of what it carried.
func (m *model) importReceipt(d *drive) {
	r := m.receiptOn(d)
	h := m.home
	if r == nil || h.receipt() != nil && r.Number <= h.receipt().Number {
		return
	}
	before := h.acks
	h.receipts = append(h.receipts, r)
	h.fold()
	for id := range h.lost {
		if bits, seen := h.acks[id]; seen && !slices.Equal(before[id], bits) {
			delete(h.lost, id)
		}
	}
	h.fold()
}

// receiptOn is the newest receipt on a drive.
func (m *model) receiptOn(d *drive) *courier.Receipt {
	c, err := courier.OpenDrive(d.path(m))
	m.must(err)
	defer c.Close()
	found, _, err := c.ReadReceipts(m.route)
	m.must(err)
	if len(found) == 0 {
		return nil
	}
	return found[0].Receipt
}

// foresee is what pack will find out, as far as neither side was rolled back: then home joins anew, and its own marks are
// taken for right.
func (m *model) foresee(d *drive) *homeView {
	if m.rolled {
		return nil
	}
	now := m.home
	m.home = now.clone()
	m.importReceipt(d)
	m.compareDrive(d)
	now, m.home = m.home, now
	return now
}

// checkForeseen holds home to it.
func (m *model) checkForeseen(want *homeView) {
	h := m.home
	if want != nil && !(maps.Equal(h.missing, want.missing) && maps.Equal(h.lost, want.lost) && maps.Equal(h.gone, want.gone)) {
		m.fail("home takes for missing %v, for lost %v, for gone %v; it should %v, %v, %v", h.missing, h.lost, h.gone, want.missing, want.lost, want.gone)
	}
}

// compareDrive is what pack does next. A drive at hand is not lost; shipments and packs that are no longer on it do not
// count; a commit that is not there is written again if all packs are good.
func (m *model) compareDrive(d *drive) {
	h := m.home
	defer h.fold()
	for id := range h.lost {
		if h.drive[id] == d.id {
			delete(h.lost, id)
		}
	}
	h.fold()
	for id, s := range h.closed {
		if h.drive[id] != d.id || h.missing[id] || h.ackedInFull(id) {
			continue
		}
		c := d.cargo[id]
		if c != nil && !c.noCommit && !h.torn[id] {
			for _, ref := range s.commit.Files {
				if ref.Kind == chunk.Data && !c.harm[ref.Name].opens() {
					h.gone[packName{id, ref.Name}] = true
				}
			}
			continue
		}
		good := c != nil || len(s.commit.Files) == 0 // nothing of it can be missing but the commit
		for _, ref := range s.commit.Files {
			good = good && c.harm[ref.Name].opens()
		}
		if !good {
			h.missing[id] = true
			continue
		}
		delete(h.torn, id)
	}
}

// sync reads from home's state what it knows: its receipts, and which shipments and packs do not count.
func (m *model) sync() {
	h := m.home
	for id := range h.closed {
		dir := m.statePath("shipments", m.ordinals[id]+"-"+id.String())
		set(h.missing, id, fileIn(dir, "missing"))
		set(h.lost, id, fileIn(dir, "lost"))
		set(h.torn, id, !fileIn(dir, "aboard"))
		for _, ref := range h.closed[id].commit.Files {
			set(h.gone, packName{id, ref.Name}, fileIn(dir, ref.Name+".gone"))
		}
	}
	h.receipts, h.lists, h.anew = nil, map[uint64][]chunk.ID{}, 0
	names, err := filepath.Glob(m.statePath("receipts", "*"))
	m.must(err)
	for _, name := range names {
		number, _, _ := strings.Cut(filepath.Base(name), "-")
		n, err := strconv.ParseUint(number, 10, 64)
		m.must(err)
		switch filepath.Ext(name) {
		case ".receipt":
			b, err := os.ReadFile(name)
			m.must(err)
			r, err := courier.DecodeReceipt(b)
			m.must(err)
			h.receipts = append(h.receipts, r)
		case ".anew":
			h.anew = max(h.anew, n)
		}
	}
	slices.SortFunc(h.receipts, func(a, b *courier.Receipt) int { return cmp.Compare(a.Number, b.Number) })
	for _, r := range h.receipts {
		if r.Inventory.IsZero() {
			continue
		}
		f, err := os.Open(m.statePath("receipts", courier.InventoryName(r.Number, r.Inventory.Digest)))
		if notThere(err) {
			continue
		}
		m.must(err)
		h.lists[r.Number] = []chunk.ID{}
		m.must(courier.CheckInventory(f, r, func(ids []chunk.ID) error {
			h.lists[r.Number] = append(h.lists[r.Number], ids...)
			return nil
		}))
		f.Close()
	}
	h.fold()
}

// lookAtCommits finds out which commits on a drive are there and good.
func (m *model) lookAtCommits(d *drive) {
	c, err := courier.OpenDrive(d.path(m))
	m.must(err)
	defer c.Close()
	there, err := c.Shipments(m.route)
	m.must(err)
	for _, s := range there { // one without packs is finished on a drive that was emptied
		if s.Committed && d.cargo[s.ID] == nil && m.shipped[s.ID] != nil {
			d.cargo[s.ID] = &cargo{harm: map[string]*harm{}}
		}
	}
	for id, cargo := range d.cargo {
		cargo.noCommit = !slices.ContainsFunc(there, func(s courier.ShipmentInfo) bool { return s.ID == id && s.Committed })
	}
}

func set[K comparable](in map[K]bool, key K, is bool) {
	if is {
		in[key] = true
	} else {
		delete(in, key)
	}
}

func fileIn(dir, name string) bool {
	_, err := os.Lstat(filepath.Join(dir, name))
	return err == nil
}

// due is every chunk that home has now and may not count on.
func (m *model) due(now map[string]trees.Tree) map[chunk.ID]bool {
	due := map[chunk.ID]bool{}
	for id := range m.atHome(now) {
		if !m.home.countsOn(id) {
			due[id] = true
		}
	}
	return due
}

// atHome is every chunk of the files at home.
func (m *model) atHome(now map[string]trees.Tree) map[chunk.ID]bool {
	all := map[chunk.ID]bool{}
	for _, t := range now {
		for _, f := range t {
			if c := m.contents[f.Content]; c != nil && f.Mode.IsRegular() {
				for _, x := range c.chunks {
					all[x.ID] = true
				}
			}
		}
	}
	return all
}

// learn takes note of what a run of pack left behind, and counts what it carried.
func (m *model) learn(d *drive, now map[string]trees.Tree, due map[chunk.ID]bool, short, done bool) {
	h := m.home
	found := 0
	for dir, c := range m.closedShipments() {
		if h.closed[c.Shipment] != nil {
			continue
		}
		found++
		s := m.readShipment(d, c, dir)
		m.shipped[s.id] = s
		_, err := os.Stat(filepath.Join(dir, "aboard"))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			m.must(err)
		}
		if s.number() <= h.newest {
			m.fail("snapshot %d comes after %d", s.number(), h.newest)
		}
		m.plainCopies(s, now, short)
		m.account(d, s, due, short)
		h.closed[s.id], h.drive[s.id] = s, d.id
		h.order = append(h.order, s.id)
		m.ordinals[s.id], _, _ = strings.Cut(filepath.Base(dir), "-")
		d.cargo[s.id] = &cargo{harm: map[string]*harm{}}
		if err != nil {
			h.torn[s.id] = true
			d.cargo[s.id].noCommit = !m.commitOn(d, s)
		}
		h.last, h.newest = s.trees, s.number()
		m.moved, m.setBack = len(m.unmounted) > 0, m.setBack && len(m.unmounted) > 0
		delete(h.begun, d.id)
		h.fold()
	}
	switch {
	case found > 1:
		m.fail("one run closed %d shipments", found)
	case done && found == 0:
		m.fail("pack said nothing is wrong, and closed no shipment")
	case found == 0:
		if h.begun[d.id] == nil {
			h.begun[d.id] = map[chunk.ID]bool{}
		}
		maps.Copy(h.begun[d.id], due)
	}
}

func (m *model) commitOn(d *drive, s *shipment) bool {
	names, err := filepath.Glob(m.shipmentPath(d, s, "*.commit"))
	m.must(err)
	return len(names) > 0
}

// wanted tells whether the newest receipt that home has asks for a chunk that it may not count on. It is carried
// wherever it is found, be that not as a chunk of a file.
func (m *model) wanted(id chunk.ID) bool {
	r := m.home.receipt()
	return r != nil && !m.home.countsOn(id) && slices.ContainsFunc(r.Wants, func(w courier.Want) bool { return w.ID == id })
}

// account holds a shipment to what it should carry: each chunk once, each one that
// home has and may not count on, or could not when the shipment was begun, and no
// other; and unless it was cut short, all of them.
func (m *model) account(d *drive, s *shipment, due map[chunk.ID]bool, short bool) {
	m.sum.shipments++
	seen := map[chunk.ID]bool{}
	stored := int64(0)
	for _, id := range s.data {
		if seen[id] {
			m.fail("snapshot %d: its shipment carries chunk %s twice", s.number(), id.Short())
		}
		seen[id] = true
		if !due[id] && !m.home.begun[d.id][id] && !m.wanted(id) {
			m.fail("snapshot %d: its shipment carries chunk %s, which is held or aboard, or not at home", s.number(), id.Short())
		}
		stored += int64(m.size[id])
	}
	for id := range due {
		if !seen[id] && !short {
			m.fail("snapshot %d: its shipment does not carry chunk %s, and was not cut short", s.number(), id.Short())
		}
	}
	for _, ref := range s.commit.Files {
		if ref.Kind == chunk.Stream {
			m.sum.streams += ref.Size
			continue
		}
		sum := int64(0)
		for _, p := range s.places[ref.Name] {
			sum += int64(m.size[p.ID])
		}
		if ref.Size > pack.ClosedSize(int(ref.Records), sum) {
			m.fail("%s of snapshot %d has %d bytes, %d chunks of %d bytes in all", ref.Name, s.number(), ref.Size, ref.Records, sum)
		}
		m.sum.data += ref.Size
		m.sum.records += int64(ref.Records)
	}
	m.sum.needed += stored
}

// declareLost says at home that what is aboard a drive will not come.
func (m *model) declareLost(d *drive) {
	_, err := home.DriveLost(m.ctx(), home.LostOptions{State: m.path("state"), Drive: d.id.String()})
	m.must(err)
	m.sync()
}

// clearDrive deletes from a drive what was acknowledged in full.
func (m *model) clearDrive() {
	d := m.drawDrive()
	res, err := home.ClearDrive(m.ctx(), home.ClearOptions{State: m.path("state"), Drive: d.path(m), Yes: true, Report: newWords(0, nil)})
	m.must(err)
	m.note("  %s: %d shipments cleared", d.name, len(res.Cleared))
	m.sync()
	for id, c := range d.cargo {
		if m.home.ackedInFull(id) && !c.noCommit {
			delete(d.cargo, id)
		}
	}
}
