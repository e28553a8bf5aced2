package home

import (
	"encoding/binary"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"pgregory.net/rapid"

	"waterlock/index"
	"waterlock/internal/chunk"
	"waterlock/internal/courier"
	"waterlock/internal/disk"
	"waterlock/internal/disk/disktest"
	"waterlock/internal/report"
)

// TestMain makes fewer cases where each is slow.
func TestMain(m *testing.M) {
	flag.Parse()
	if raceEnabled || testing.Short() {
		_ = flag.Set("rapid.checks", "15")
	}
	os.Exit(m.Run())
}

func idOf(n int) (id chunk.ID) {
	binary.BigEndian.PutUint32(id[:], uint32(n+1))
	id[31] = 1
	return id
}

// TestRebuiltLedgerEqualsUpdatedOne: whatever comes in whatever order (packs, commits, receipts with bits, wants and
// condemned chunks, new epochs, packs and shipments gone from their drive), the ledger folded anew from the files knows
// of every chunk what the one that was updated all along knows.
func TestRebuiltLedgerEqualsUpdatedOne(t *testing.T) {
	base := newWorld(t)
	rapid.Check(t, func(rt *rapid.T) {
		w := &world{t: t, cfg: base.cfg, route: base.route}
		w.state = disktest.NewMem()
		w.index = tempDir(t)
		defer os.RemoveAll(w.index)
		s := w.site()
		f := &fleet{}
		b, err := s.openBooks(f, report.Discard)
		must(t, err)
		const ids = 40
		epoch, number := courier.Epoch{1}, uint64(0)
		var vault = map[courier.ShipmentID]*courier.Taken{}
		anyIDs := rapid.SliceOfN(rapid.IntRange(0, ids-1), 1, 12)
		for step := range rapid.IntRange(1, 25).Draw(rt, "steps") {
			switch op := rapid.IntRange(0, 11).Draw(rt, "op"); {
			case op <= 3 || len(f.all) == 0: // a shipment with a few packs
				sh := &shipment{ord: f.nextOrdinal(), id: courier.NewShipmentID(), gone: map[string]bool{}}
				sh.dir = fmt.Sprintf("%s/%08d-%s", dirShipments, sh.ord, sh.id)
				must(t, disk.MkdirAll(s.state, sh.dir, 0o700))
				must(t, disk.Put(s.state, sh.dir+"/"+fileOpen, sh.encodeOpen(s.route)))
				f.all = append(f.all, sh)
				for n := range rapid.IntRange(1, 3).Draw(rt, "packs") {
					list := &chunkList{basis: b.basis()}
					for _, i := range anyIDs.Draw(rt, "ids") {
						list.ids = append(list.ids, idOf(i))
					}
					list.ref = courier.FileRef{Name: courier.PackName(n+1, chunk.Data), Kind: chunk.Data, Size: 1000, Records: uint32(len(list.ids)), ReadBack: disk.Cold}
					must(t, s.putList(sh, list))
					must(t, b.ledger.AddAboard(sh.ord, list.ids))
				}
				sh.number, sh.aboard = uint64(step+1), true
			case op <= 6: // a receipt
				number++
				if rapid.IntRange(0, 9).Draw(rt, "epoch") == 0 {
					epoch[1]++
					clear(vault)
				}
				r := &courier.Receipt{Route: w.route, VaultName: "v", Epoch: epoch, Number: number, Time: time.Unix(int64(number), 0)}
				for _, sh := range f.all {
					if rapid.Bool().Draw(rt, "arrives") {
						records := 0
						for _, name := range sh.packs {
							list, err := s.readList(sh, name)
							must(t, err)
							records += len(list.ids)
						}
						taken := &courier.Taken{Number: sh.number, Shipment: sh.id, Records: uint32(records), Bits: make([]byte, (records+7)/8)}
						for i := range records {
							if rapid.IntRange(0, 3).Draw(rt, "bit") > 0 {
								taken.Bits[i/8] |= 1 << (i % 8)
							}
						}
						vault[sh.id] = mergeTaken(vault[sh.id], taken)
					}
					if vault[sh.id] != nil {
						r.Taken = append(r.Taken, *vault[sh.id])
					}
				}
				if rapid.Bool().Draw(rt, "wants") {
					for _, i := range anyIDs.Draw(rt, "wanted") {
						r.Wants = append(r.Wants, courier.Want{ID: idOf(i), Kind: chunk.Data})
					}
				}
				if rapid.IntRange(0, 3).Draw(rt, "condemns") == 0 {
					for _, i := range anyIDs.Draw(rt, "condemned") {
						r.Condemned = append(r.Condemned, courier.Condemned{ID: idOf(i), Since: r.Number})
					}
				}
				data, err := courier.EncodeReceipt(r)
				must(t, err)
				drive := disktest.NewMem()
				d, err := courier.InitDrive(drive, "d")
				must(t, err)
				_, err = d.WriteReceipt(data)
				must(t, err)
				got, err := s.importReceipt(b, d, report.Discard)
				must(t, err)
				if got != number {
					rt.Fatalf("receipt %d was not taken: %d", number, got)
				}
				must(t, d.Close())
			case op == 7: // a shipment is missing
				sh := f.all[rapid.IntRange(0, len(f.all)-1).Draw(rt, "missing")]
				must(t, s.mark(sh, fileMissing))
				sh.missing = true
				must(t, b.dropShipment(sh))
			case op == 8: // a pack is gone
				sh := f.all[rapid.IntRange(0, len(f.all)-1).Draw(rt, "of")]
				must(t, s.mark(sh, sh.packs[0]+goneSuffix))
				sh.gone[sh.packs[0]] = true
				must(t, b.dropPack(sh, sh.packs[0]))
			case op == 10: // a shipment is lost
				sh := f.all[rapid.IntRange(0, len(f.all)-1).Draw(rt, "lost")]
				if !sh.lost && !sh.missing && !b.ackedInFull(sh.id) {
					must(t, b.declareLost(sh, &LostResult{}))
				}
			case op == 11: // a lost one is found again
				for _, sh := range f.all {
					if sh.lost {
						must(t, s.takeBackLost(sh))
						must(t, b.refold())
						break
					}
				}
			case op == 9: // closed and opened again: nothing is folded anew
				gen := b.ledger.Generation()
				must(t, b.close(true))
				b, err = s.openBooks(f, report.Discard)
				must(t, err)
				if b.ledger.Generation() != gen {
					rt.Fatal("the ledger was folded anew for nothing")
				}
			}
		}
		type state struct {
			index.State
			receipt uint64 // by which it became held
		}
		states := func() (out []state) {
			for i := range ids {
				st, err := b.ledger.Standing(idOf(i))
				must(t, err)
				out = append(out, state{st.State(f.live(0)), st.Receipt})
			}
			return out
		}
		updated := states()
		must(t, b.ledger.Close())
		must(t, os.RemoveAll(w.index))
		b, err = s.openBooks(f, report.Discard)
		must(t, err)
		rebuilt := states()
		must(t, b.ledger.Close())
		for i := range ids {
			if updated[i] != rebuilt[i] {
				rt.Fatalf("chunk %d: updated %v, rebuilt %v", i, updated[i], rebuilt[i])
			}
		}
	})
}

// A receipt that was damaged at home is written anew, so that its wants are served once and not at every run.
func TestADamagedReceiptAtHomeIsWrittenAnew(t *testing.T) {
	w := newWorld(t)
	w.write("f", 50_000, 1)
	settleClock()
	w.pack()
	v := w.newVault()
	v.take(w.drive)
	v.wants = []courier.Want{{ID: v.entries(v.newest, "docs")["f"].Content[1].ID, Kind: chunk.Data}}
	v.receipt(w.drive)
	w.pack()
	harm(w, dirReceipts, receiptSuffix, "flipped")
	carried := 0
	for range 3 {
		if res := w.pack(); res.ChunksNew > 0 {
			carried++
		}
	}
	if carried > 1 || len(w.rep.Warnings()) > 0 {
		t.Errorf("carried again %d times; %v", carried, w.rep.Warnings())
	}
}
