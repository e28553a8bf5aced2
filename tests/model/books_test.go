//go:build unix

package model

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"waterlock/internal/chunk"
	"waterlock/internal/courier"
	"waterlock/internal/home"
	"waterlock/pack"
	"waterlock/tests/trees"
)

// homeView is what home may count on, in plain maps: the rules of the ledger,
// without its files.
type homeView struct {
	closed  map[courier.ShipmentID]*shipment
	drive   map[courier.ShipmentID]courier.DriveID // that it was packed onto
	torn    map[courier.ShipmentID]bool            // its commit never was read back on the drive
	off     map[courier.ShipmentID]bool            // missing from its drive, or lost
	gone    map[string]bool                        // packs that are: shipment and name
	held    map[chunk.ID]bool
	aboard  map[chunk.ID]map[courier.ShipmentID]bool
	acks    map[courier.ShipmentID][]bool // bits acknowledged in this epoch
	receipt *courier.Receipt
	last    map[string]plain                      // of the newest snapshot
	newest  uint64                                // its number
	begun   map[courier.DriveID]map[chunk.ID]bool // what shipments begun and not closed had to carry
}

func newHomeView() *homeView {
	return &homeView{
		closed: map[courier.ShipmentID]*shipment{}, drive: map[courier.ShipmentID]courier.DriveID{}, torn: map[courier.ShipmentID]bool{},
		off: map[courier.ShipmentID]bool{}, gone: map[string]bool{}, held: map[chunk.ID]bool{},
		aboard: map[chunk.ID]map[courier.ShipmentID]bool{}, acks: map[courier.ShipmentID][]bool{}, last: map[string]plain{},
		begun: map[courier.DriveID]map[chunk.ID]bool{},
	}
}

func (h *homeView) clone() *homeView {
	c := *h
	c.closed, c.drive, c.torn, c.off = maps.Clone(h.closed), maps.Clone(h.drive), maps.Clone(h.torn), maps.Clone(h.off)
	c.gone, c.held, c.last = maps.Clone(h.gone), maps.Clone(h.held), maps.Clone(h.last)
	c.aboard, c.acks, c.begun = map[chunk.ID]map[courier.ShipmentID]bool{}, map[courier.ShipmentID][]bool{}, map[courier.DriveID]map[chunk.ID]bool{}
	for id, by := range h.aboard {
		c.aboard[id] = maps.Clone(by)
	}
	for id, bits := range h.acks {
		c.acks[id] = slices.Clone(bits)
	}
	for id, set := range h.begun {
		c.begun[id] = maps.Clone(set)
	}
	return &c
}

// countsOn tells whether a chunk need not be carried.
func (h *homeView) countsOn(id chunk.ID) bool {
	if h.held[id] {
		return true
	}
	for ship := range h.aboard[id] {
		if !h.torn[ship] && !h.off[ship] {
			return true
		}
	}
	return false
}

func (h *homeView) putAboard(s *shipment, id chunk.ID) {
	if h.aboard[id] == nil {
		h.aboard[id] = map[courier.ShipmentID]bool{}
	}
	h.aboard[id][s.id] = true
}

// takeBack stops counting on a shipment, or on one pack of it.
func (h *homeView) takeBack(s *shipment, file string) {
	for name, places := range s.places {
		if file != "" && name != file {
			continue
		}
		for _, p := range places {
			delete(h.aboard[p.ID], s.id)
		}
	}
}

// ackedInFull tells whether every record of a shipment was acknowledged.
func (h *homeView) ackedInFull(id courier.ShipmentID) bool {
	bits, seen := h.acks[id]
	return seen && !slices.Contains(bits, false)
}

// importReceipt is what pack does first: the newest receipt on the drive, if it is
// newer than all that home knows.
func (m *model) importReceipt(d *drive) {
	c, err := courier.OpenDrive(d.path(m))
	m.must(err)
	defer c.Close()
	found, _, err := c.ReadReceipts(m.route)
	m.must(err)
	if len(found) == 0 || m.home.receipt != nil && found[0].Receipt.Number <= m.home.receipt.Number {
		return
	}
	r := found[0].Receipt
	h := m.home
	if h.receipt != nil && h.receipt.Epoch != r.Epoch { // what an epoch that is over acknowledged counts no longer
		clear(h.held)
		for _, t := range h.receipt.Taken {
			m.takeBackTaken(&t)
		}
		for id := range h.acks {
			if s := h.closed[id]; s != nil {
				h.takeBack(s, "")
			}
		}
		clear(h.acks)
	}
	for i := range r.Taken {
		m.acknowledge(&r.Taken[i])
	}
	for _, w := range r.Wants {
		delete(h.held, w.ID)
		delete(h.aboard, w.ID)
	}
	for _, c := range r.Condemned {
		delete(h.held, c.ID)
		delete(h.aboard, c.ID)
	}
	h.receipt = r
}

func (m *model) takeBackTaken(t *courier.Taken) {
	if s := m.home.closed[t.Shipment]; s != nil {
		m.home.takeBack(s, "")
	}
}

// acknowledge lets a receipt's word of one shipment change what home counts on.
func (m *model) acknowledge(t *courier.Taken) {
	h := m.home
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
			switch now := t.Arrived(uint32(i)); {
			case now && !(seen && before[i]):
				h.held[p.ID] = true
			case !now && !seen:
				delete(h.aboard[p.ID], s.id)
			}
			i++
		}
	}
}

// compareDrive is what pack does next: shipments and packs that are no longer on
// their drive no longer count; a commit that is not there is written again if all
// packs are good.
func (m *model) compareDrive(d *drive) {
	h := m.home
	for id, s := range h.closed {
		if h.drive[id] != d.id || h.off[id] || h.ackedInFull(id) {
			continue
		}
		c := d.cargo[id]
		if c != nil && !c.noCommit && !h.torn[id] {
			for _, ref := range s.commit.Files {
				if hm := c.harm[ref.Name]; ref.Kind == chunk.Data && hm != nil && !hm.size() {
					h.gone[id.String()+ref.Name] = true
					h.takeBack(s, ref.Name)
				}
			}
			continue
		}
		good := c != nil
		for _, ref := range s.commit.Files {
			good = good && (c.harm[ref.Name] == nil || c.harm[ref.Name].opens())
		}
		if !good {
			h.off[id] = true
			h.takeBack(s, "")
			continue
		}
		c.noCommit = false
		delete(h.torn, id)
	}
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
func (m *model) learn(d *drive, now map[string]trees.Tree, due map[chunk.ID]bool, before *homeView, short, done bool) {
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
		for _, id := range s.data {
			h.putAboard(s, id)
		}
		d.cargo[s.id] = &cargo{harm: map[string]*harm{}}
		if err != nil {
			h.torn[s.id] = true
			d.cargo[s.id].noCommit = !m.commitOn(d, s)
		}
		h.last, h.newest = s.trees, s.number()
		m.moved, m.setBack = len(m.unmounted) > 0, m.setBack && len(m.unmounted) > 0
		delete(h.begun, d.id)
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
	_ = before
}

func (m *model) commitOn(d *drive, s *shipment) bool {
	names, err := filepath.Glob(m.shipmentPath(d, s, "*.commit"))
	m.must(err)
	return len(names) > 0
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
		if !due[id] && !m.home.begun[d.id][id] {
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
func (m *model) declareLost(id courier.DriveID) {
	for dir, c := range m.closedShipments() {
		if c.Drive != id || m.home.off[c.Shipment] || m.home.ackedInFull(c.Shipment) {
			continue
		}
		m.must(os.WriteFile(filepath.Join(dir, "lost"), nil, 0o600))
		m.home.off[c.Shipment] = true
		m.home.takeBack(m.home.closed[c.Shipment], "")
	}
}

// clearDrive deletes from a drive what was acknowledged in full.
func (m *model) clearDrive() {
	d := m.drawDrive()
	m.importReceipt(d)
	res, err := home.ClearDrive(m.ctx(), home.ClearOptions{State: m.path("state"), Drive: d.path(m), Yes: true, Report: newWords(0, nil)})
	m.must(err)
	m.note("  %s: %d shipments cleared", d.name, len(res.Cleared))
	for id, c := range d.cargo {
		if m.home.ackedInFull(id) && !c.noCommit {
			delete(d.cargo, id)
		}
	}
}
