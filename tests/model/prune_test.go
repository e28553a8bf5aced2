//go:build unix

package model

import (
	"fmt"
	"maps"
	"slices"

	"waterlock/chunkstore"
	"waterlock/internal/chunk"
	"waterlock/internal/courier"
	"waterlock/internal/home"
	"waterlock/internal/report"
	"waterlock/internal/vault"
)

// prune forgets some snapshots, or goes on with what waits. What no snapshot names any more may be gone from now on, but
// never while home counts on it.
func (m *model) prune() {
	v := m.vault
	newest := v.newest()
	if newest == nil {
		return
	}
	o := vault.PruneOptions{Vault: m.path("vault"), Report: newWords(0, nil), Now: m.roll("now", 6) == 0, DryRun: m.roll("dry run", 8) == 0}
	switch m.roll("policy", 3) {
	case 0:
		o.Keep.Last = m.between("keep last", 1, 3)
	case 1:
		for _, s := range m.knownInOrder() {
			if s != newest && m.toss("forget") {
				id := s.commit.Snapshot.ID()
				o.Forget = append(o.Forget, fmt.Sprintf("%x", id))
			}
		}
	}
	res, err := vault.Prune(m.ctx(), o)
	m.note("  prune keep %d, forget %d, now %v, dry run %v: forgotten %d, condemned %d, freed %d, unread %v, err %v", o.Keep.Last, len(o.Forget), o.Now, o.DryRun,
		res.Forgotten, res.Condemned, res.Freed, res.Unread, err)
	if err != nil {
		m.fail("prune: %v", err)
	}
	if o.DryRun {
		return
	}
	for _, s := range m.knownInOrder() {
		i := slices.IndexFunc(res.Snapshots, func(p vault.PrunedSnapshot) bool { return p.ID == fmt.Sprintf("%x", s.commit.Snapshot.ID()) })
		if i < 0 {
			m.fail("prune does not speak of snapshot %d", s.number())
		}
		if res.Snapshots[i].Forgotten {
			if s == newest {
				m.fail("prune forgot the snapshot that the mirror follows")
			}
			delete(v.known, s.id)
			v.forgotten[s.id] = s
		}
	}
	v.hasty = v.hasty || o.Now
	m.loosen()
	m.checkReceipt(nil)
	m.checkSnapshots(3)
}

func (m *model) knownInOrder() []*shipment {
	return slices.SortedFunc(maps.Values(m.vault.known), func(a, b *shipment) int {
		return slices.Compare([]byte(snapshotFile(a)), []byte(snapshotFile(b)))
	})
}

// loosen says of every chunk that no snapshot names any more that it may be freed.
func (m *model) loosen() {
	for id := range m.vault.got {
		if !m.namedByAny(id) {
			m.vault.loose[id] = true
		}
	}
}

// checkFreed holds what was freed to be what nobody counts on: not home, by the newest receipt that it knows, and no
// snapshot that is under way without bringing it. Unless somebody did not want to wait.
func (m *model) checkFreed(store *chunkstore.Store) {
	v, h := m.vault, m.home
	if v.hasty || m.rolled {
		return
	}
	for id := range v.loose {
		if v.rotten[id] || v.maybe[id] || m.harmed[id] || !v.got[id] {
			continue
		}
		has, err := store.Has(id)
		m.must(err)
		if has {
			continue
		}
		if h.held[id] {
			m.fail("the vault has freed chunk %s, and home counts on it: it knows receipt %d", id.Short(), h.receipt().Number)
		}
		for ship, s := range h.closed {
			if v.known[ship] == nil && v.forgotten[ship] == nil && !h.off(ship) && names(m, s, id) && !slices.Contains(s.data, id) {
				m.fail("the vault has freed chunk %s, and snapshot %d, which is under way, names it", id.Short(), s.number())
			}
		}
	}
}

func names(m *model, s *shipment, id chunk.ID) bool {
	for _, t := range s.commit.Snapshot.Trees {
		for _, ref := range t.Chunks {
			if ref.ID == id || slices.Contains(m.streams[ref.ID].names, id) {
				return true
			}
		}
	}
	return false
}

// mailReceipt brings home a receipt by itself, while the drives are wherever they are.
func (m *model) mailReceipt() {
	e, err := vault.ExportReceipt(m.path("vault"), &report.Recorder{})
	m.must(err)
	res, err := home.ImportReceipt(m.ctx(), home.ImportOptions{State: m.path("state"), Receipt: e.Receipt, Bytes: e.Bytes, Report: newWords(0, nil)})
	m.note("  receipt %d is mailed: taken %v, %s, err %v", e.Receipt.Number, res.Taken, res.Why, err)
	if err != nil {
		m.fail("import of a receipt: %v", err)
	}
	if newer := m.home.receipt() == nil || e.Receipt.Number > m.home.receipt().Number; newer != res.Taken {
		m.fail("receipt %d was taken: %v", e.Receipt.Number, res.Taken)
	}
	m.sync()
}

// forgotOrKnows tells whether a shipment has come, whatever became of its snapshot.
func (v *vaultView) forgotOrKnows(id courier.ShipmentID) bool {
	return v.known[id] != nil || v.forgotten[id] != nil
}
