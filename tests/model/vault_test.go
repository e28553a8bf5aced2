//go:build unix

package model

import (
	"bytes"
	"cmp"
	"context"
	"maps"
	"os"
	"slices"

	"waterlock/internal/chunk"
	"waterlock/internal/courier"
	"waterlock/pack"
)

// vaultView is what the vault can have, in plain maps.
type vaultView struct {
	known   map[courier.ShipmentID]*shipment // whose snapshots it knows
	got     map[chunk.ID]bool                // came in a record that could be read
	rotten  map[chunk.ID]bool                // of these, a place was harmed since all was read: other places may be left
	maybe   map[chunk.ID]bool                // on a drive of which a run was cut off
	receipt *courier.Receipt                 // the newest that it gave

	forgotten map[courier.ShipmentID]*shipment // whose snapshots it has forgotten
	loose     map[chunk.ID]bool                // got, and named by no snapshot since some were forgotten
	hasty     bool                             // somebody did not want to wait until home knew
}

func newVaultView() *vaultView {
	return &vaultView{known: map[courier.ShipmentID]*shipment{}, got: map[chunk.ID]bool{}, rotten: map[chunk.ID]bool{}, maybe: map[chunk.ID]bool{},
		forgotten: map[courier.ShipmentID]*shipment{}, loose: map[chunk.ID]bool{}}
}

func (v *vaultView) clone() *vaultView {
	c := *v
	c.known, c.got, c.rotten, c.maybe = maps.Clone(v.known), maps.Clone(v.got), maps.Clone(v.rotten), maps.Clone(v.maybe)
	c.forgotten, c.loose = maps.Clone(v.forgotten), maps.Clone(v.loose)
	return &c
}

// presence says of a chunk whether the vault has it.
type presence int

const (
	absent presence = iota
	perhaps
	present
)

func (v *vaultView) has(id chunk.ID) presence {
	switch {
	case v.rotten[id], v.maybe[id], v.got[id] && v.loose[id]:
		return perhaps
	case v.got[id]:
		return present
	}
	return absent
}

// named is every chunk that a snapshot names, as far as the vault can know of it,
// and how sure it is that it does.
func (m *model) named() map[chunk.ID]presence {
	all := map[chunk.ID]presence{}
	for _, s := range m.vault.known {
		for id, p := range m.namedBy(s) {
			all[id] = max(all[id], p)
		}
	}
	return all
}

func (m *model) namedBy(s *shipment) map[chunk.ID]presence {
	all := map[chunk.ID]presence{}
	for _, t := range s.commit.Snapshot.Trees {
		for _, ref := range t.Chunks {
			all[ref.ID] = present
			p := m.vault.has(ref.ID)
			if p == absent {
				continue
			}
			for _, id := range m.streams[ref.ID].names {
				all[id] = max(all[id], p)
			}
		}
	}
	return all
}

// namedByAny tells whether a snapshot names a chunk, whatever the vault can know of it.
func (m *model) namedByAny(id chunk.ID) bool {
	for _, s := range m.vault.known {
		for _, t := range s.commit.Snapshot.Trees {
			for _, ref := range t.Chunks {
				if ref.ID == id || slices.Contains(m.streams[ref.ID].names, id) {
					return true
				}
			}
		}
	}
	return false
}

// newest is the snapshot that the mirror follows; nil where none is known.
func (v *vaultView) newest() *shipment {
	var list []*shipment
	for _, s := range v.known {
		list = append(list, s)
	}
	if len(list) == 0 {
		return nil
	}
	return slices.MaxFunc(list, func(a, b *shipment) int {
		return cmp.Or(cmp.Compare(a.number(), b.number()), a.commit.Snapshot.Time.Compare(b.commit.Snapshot.Time), bytes.Compare(a.id[:], b.id[:]))
	})
}

// awaits tells whether a shipment that was out when a snapshot was taken still is.
func (v *vaultView) awaits(s *shipment) bool {
	for _, out := range s.commit.Out {
		if !v.forgotOrKnows(out.Shipment) && !v.lost(out.Shipment, s) {
			return true
		}
	}
	return false
}

// lost tells whether this snapshot or a later one says that a shipment will not come.
func (v *vaultView) lost(id courier.ShipmentID, since *shipment) bool {
	for _, s := range v.known {
		if s.number() < since.number() {
			continue
		}
		for _, out := range s.commit.Out {
			if out.Shipment == id && out.Lost {
				return true
			}
		}
	}
	return false
}

// deliver is what a run of unpack gives the vault. What a shipment brings that came before is taken in only where it is
// wanted: the rest was pruned.
func (m *model) deliver(d *drive) {
	v := m.vault
	m.eachReadable(d, func(s *shipment, id chunk.ID) {
		switch {
		case !v.forgotOrKnows(s.id):
			v.got[id] = true
			delete(v.maybe, id)
			delete(v.loose, id)
		case v.loose[id], !m.namedByAny(id):
			if !v.got[id] {
				v.maybe[id] = true
			}
		default:
			v.got[id] = true
			delete(v.maybe, id)
		}
	})
	for id, c := range d.cargo {
		if !c.noCommit && v.forgotten[id] == nil {
			v.known[id] = m.shipped[id]
		}
	}
}

// deliverPart is what a run that was cut off may have given it.
func (m *model) deliverPart(d *drive) {
	v := m.vault
	for id, c := range d.cargo {
		if s := m.shipped[id]; !c.noCommit && v.forgotten[id] == nil && m.exists("vault", ".wl", "snapshots", snapshotFile(s)) {
			v.known[id] = s
		}
	}
	m.eachReadable(d, func(_ *shipment, id chunk.ID) {
		if v.has(id) != present {
			v.maybe[id] = true
		}
	})
	v.receipt = m.ownReceipt()
}

// eachReadable calls fn for every record of the committed shipments on a drive that can be read.
func (m *model) eachReadable(d *drive, fn func(s *shipment, id chunk.ID)) {
	for id, c := range d.cargo {
		if c.noCommit {
			continue
		}
		for name, places := range m.shipped[id].places {
			for _, p := range places {
				if !c.harm[name].takes(p) {
					fn(m.shipped[id], p.ID)
				}
			}
		}
	}
}

// checkReceipt holds the newest receipt to what the vault has and lacks: the sets must be the same.
func (m *model) checkReceipt(d *drive) {
	v, r := m.vault, m.ownReceipt()
	before := v.receipt
	v.receipt = r
	if d != nil {
		if r.Number <= before.Number {
			m.fail("receipt %d after %d", r.Number, before.Number)
		}
		m.checkBits(d, r)
	}
	if s := v.newest(); d != nil && s != nil && r.HighestSnapshot != s.number() {
		m.fail("receipt %d: highest snapshot %d, the vault knows %d", r.Number, r.HighestSnapshot, s.number())
	}
	named := m.named()
	wanted := map[chunk.ID]bool{}
	for _, w := range r.Wants {
		wanted[w.ID] = true
		switch {
		case v.has(w.ID) == present:
			m.fail("receipt %d wants chunk %s, which the vault has", r.Number, w.ID.Short())
		case !m.namedByAny(w.ID): // be it in a part of a list of files that is lost by now
			m.fail("receipt %d wants chunk %s, which no snapshot names", r.Number, w.ID.Short())
		}
	}
	for _, c := range r.Condemned { // pruned, or lost while no snapshot names them
		if v.has(c.ID) == present || named[c.ID] == present {
			m.fail("receipt %d condemns chunk %s, which the vault has, or a snapshot names", r.Number, c.ID.Short())
		}
	}
	due := m.dueWants(before)
	least, most := 0, 0
	for id, p := range named {
		has := v.has(id)
		if has == present || wanted[id] {
			continue
		}
		most++
		if has == absent && p == present {
			least++
			if why := due[id]; why != "" {
				m.fail("receipt %d does not want chunk %s: %s", r.Number, id.Short(), why)
			}
		}
	}
	if n := int(r.Awaited); n < least || n > most {
		m.fail("receipt %d awaits %d chunks, %d to %d are lacking and not wanted", r.Number, n, least, most)
	}
	m.checkNewestArrived(r)
	for _, set := range []map[chunk.ID]bool{v.rotten, v.maybe} {
		for id := range set {
			if m.askedOrCondemned(r, id) {
				delete(set, id)
				delete(v.got, id)
			}
		}
	}
}

// dueWants says of each chunk that must be wanted if it is lacking, why.
func (m *model) dueWants(before *courier.Receipt) map[chunk.ID]string {
	due := map[chunk.ID]string{}
	for _, s := range m.vault.known {
		if m.vault.awaits(s) {
			continue
		}
		for id, p := range m.namedBy(s) {
			if p == present {
				due[id] = "nothing that may bring it is under way for a snapshot that names it"
			}
		}
	}
	for _, w := range before.Wants {
		due[w.ID] = "it was wanted before"
	}
	return due
}

func (m *model) checkNewestArrived(r *courier.Receipt) {
	v := m.vault
	least, most := uint64(0), uint64(0)
	for _, s := range v.known {
		worst := present
		for id, p := range m.namedBy(s) {
			switch {
			case v.has(id) == absent && p == present:
				worst = absent
			case v.has(id) != present:
				worst = min(worst, perhaps)
			}
		}
		if worst == present {
			least = max(least, s.number())
		}
		if worst != absent {
			most = max(most, s.number())
		}
	}
	if r.NewestArrived < least || r.NewestArrived > most {
		m.fail("receipt %d: newest arrived is %d, it can be %d to %d", r.Number, r.NewestArrived, least, most)
	}
}

// checkBits holds the bits of what lies on a drive to what the vault has.
func (m *model) checkBits(d *drive, r *courier.Receipt) {
	for id, c := range d.cargo {
		s := m.shipped[id]
		if c.noCommit {
			continue
		}
		i := slices.IndexFunc(r.Taken, func(t courier.Taken) bool { return t.Shipment == id })
		if i < 0 {
			if s.number() >= m.vault.newest().commit.Floor {
				m.fail("receipt %d does not name the shipment of snapshot %d", r.Number, s.number())
			}
			continue
		}
		n := uint32(0)
		for _, ref := range s.commit.Files {
			for _, p := range s.places[ref.Name] {
				has, said := m.vault.has(p.ID), r.Taken[i].Arrived(n)
				n++
				lost := c.harm[ref.Name].takes(p)
				if has == present && !said && !lost || has == absent && said && !m.askedOrCondemned(r, p.ID) {
					m.fail("receipt %d says of chunk %s of snapshot %d that it arrived: %v, which is not so", r.Number, p.ID.Short(), s.number(), said)
				}
			}
		}
	}
}

// askedOrCondemned tells whether a receipt takes back what it says of a chunk elsewhere.
func (m *model) askedOrCondemned(r *courier.Receipt, id chunk.ID) bool {
	return slices.ContainsFunc(r.Wants, func(w courier.Want) bool { return w.ID == id }) ||
		slices.ContainsFunc(r.Condemned, func(c courier.Condemned) bool { return c.ID == id })
}

// settleRot believes a vault that was read back as a whole: what it does not want of what was harmed is good. That it is
// will be seen when snapshots are restored.
func (m *model) settleRot() {
	wanted := map[chunk.ID]bool{}
	for _, w := range m.ownReceipt().Wants {
		wanted[w.ID] = true
	}
	for id, p := range m.named() {
		if m.vault.rotten[id] && p == present {
			delete(m.vault.rotten, id)
			m.vault.got[id] = !wanted[id]
		}
	}
}

// harm is what is wrong with a file on a drive.
type harm struct {
	removed bool
	cut     int64 // its length now; below zero: whole
	flips   map[int64]bool
	length  int64 // when it was whole
	table   int64 // where the records end
}

// takes tells whether a record can no longer be read: a byte of it is wrong, or is not there, or neither end of the pack
// says what it is.
func (h *harm) takes(p pack.Place) bool {
	if h == nil {
		return false
	}
	end := h.length
	if h.cut >= 0 {
		end = h.cut
	}
	return h.removed || p.End() > end || h.flipped(p.Offset, p.End()) ||
		h.flipped(0, pack.HeaderSize) && (h.cut >= 0 || h.flipped(h.length-pack.FooterSize, h.length))
}

func (h *harm) flipped(from, to int64) bool {
	for at := range h.flips {
		if at >= from && at < to {
			return true
		}
	}
	return false
}

// size tells whether the file has its length.
func (h *harm) size() bool { return !h.removed && h.cut < 0 }

// opens tells whether header, table and footer are good.
func (h *harm) opens() bool {
	return h == nil || h.size() && !h.flipped(0, pack.HeaderSize) && !h.flipped(h.table, h.length)
}

func (m *model) ctx() context.Context { return context.Background() }

func (m *model) exists(parts ...string) bool {
	_, err := os.Lstat(m.path(parts...))
	return err == nil
}
