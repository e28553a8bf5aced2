package home

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"waterlock/internal/chunk"
	"waterlock/internal/courier"
	"waterlock/internal/disk/disktest"
	"waterlock/internal/exit"
	"waterlock/internal/report"
	"waterlock/internal/wire"
)

// importAlone brings a receipt by itself.
func (w *world) importAlone(data []byte) (ImportResult, error) {
	w.t.Helper()
	b, r, err := courier.ReadReceiptFile(bytes.NewReader(data))
	if err != nil {
		return ImportResult{}, err
	}
	w.rep = &report.Recorder{}
	return w.site().importAlone(ImportOptions{Receipt: r, Bytes: b, Report: w.rep})
}

// TestAReceiptByItselfIsBelieved: it does what the same one on a drive would do, before the drive is back.
func TestAReceiptByItselfIsBelieved(t *testing.T) {
	w := newWorld(t)
	w.write("f", 90_000, 1)
	settleClock()
	first := w.pack()
	v := w.newVault()
	v.take(w.drive)
	v.wants = []courier.Want{{ID: v.entries(v.newest, "docs")["f"].Content[1].ID, Kind: chunk.Data}}
	mailed := v.nextReceipt()

	res, err := w.importAlone(mailed)
	must(t, err)
	if !res.Taken || res.Why != "" || res.Receipt != 1 || res.Known != 0 || res.Arrived != 1 || res.Wants != 1 {
		t.Errorf("%+v", res)
	}
	if len(res.Shipments) != 1 || res.Shipments[0].Shipment != first.Shipment || res.Shipments[0].Drive != "A" || !res.Shipments[0].All {
		t.Errorf("arrived: %+v", res.Shipments)
	}
	w.ledgerFits("after the import")
	d, err := courier.OpenFS(keepOpen{w.drive}, "")
	must(t, err)
	_, err = d.WriteReceipt(mailed) // the drive brings it, too
	must(t, err)
	w.newDrive("B")
	if again := w.pack(); again.ChunksNew != 1 || len(again.Receipts) != 0 {
		t.Errorf("one chunk is wanted, all else held: %+v", again)
	}
}

// TestOnlyTheNewestReceiptCounts: an old one, a repeated one, one of the same number or of another epoch changes nothing and
// says why; a damaged one and one of another route are errors.
func TestOnlyTheNewestReceiptCounts(t *testing.T) {
	w := newWorld(t)
	w.write("f", 90_000, 1)
	settleClock()
	w.pack()
	v := w.newVault()
	old := v.nextReceipt() // before anything arrived
	v.take(w.drive)
	newest := v.nextReceipt()
	other := *v
	other.epoch, other.number = courier.Epoch{2}, 0
	earlier := other.nextReceipt()
	other.epoch, other.readSince = v.epoch, time.Unix(1750000000, 0)
	twin := other.nextReceipt()
	if _, err := w.importAlone(newest); err != nil {
		t.Fatal(err)
	}
	before := w.drivesNow()["A"]
	for _, c := range []struct {
		name string
		data []byte
		why  string
	}{
		{"old", old, "home has a newer one"},
		{"repeated", newest, "home has it already"},
		{"another epoch", earlier, "another epoch"},
		{"another of that number", twin, "the vault was set back"},
	} {
		res, err := w.importAlone(c.data)
		if err != nil || res.Taken || !strings.Contains(res.Why, c.why) || res.Known != 2 {
			t.Errorf("%s: %+v, %v", c.name, res, err)
		}
	}
	flipped := bytes.Clone(newest)
	flipped[len(flipped)/2] ^= 1
	for name, data := range map[string][]byte{"flipped": flipped, "cut": newest[:len(newest)-1], "empty": nil, "text": []byte("Dear home,")} {
		if _, err := w.importAlone(data); exit.Of(err) != exit.Corrupt {
			t.Errorf("%s: %v", name, err)
		}
	}
	if now := w.drivesNow()["A"]; fmt.Sprint(now) != fmt.Sprint(before) {
		t.Errorf("before %+v, now %+v", before, now)
	}
	if names, err := w.site().localReceipts(); err != nil || len(names) != 1 {
		t.Errorf("kept at home: %v, %v", names, err)
	}
}

// TestAReceiptFindsItsRoute: a receipt is of the route that it says, whatever the person says.
func TestAReceiptFindsItsRoute(t *testing.T) {
	state, src, other := tempDir(t), tempDir(t), tempDir(t)
	one, err := Init(t.Context(), InitOptions{State: state, Name: "one", Trees: []string{src + "=docs"}})
	must(t, err)
	_, err = Init(t.Context(), InitOptions{State: state, Name: "two", Trees: []string{other + "=docs"}})
	must(t, err)
	id, err := wire.ParseRouteID(one.RouteID)
	must(t, err)
	r := &courier.Receipt{Route: id, VaultName: "v", Epoch: courier.Epoch{1}, Number: 1}
	data, err := courier.EncodeReceipt(r)
	must(t, err)
	for _, c := range []struct {
		state, route string
		code         exit.Code
	}{
		{state, "two", exit.NotFound},
		{state, "three", exit.NotFound},
		{tempDir(t), "", exit.NotFound},
		{state, "", exit.OK},
		{state, "one", exit.OK},
	} {
		res, err := ImportReceipt(t.Context(), ImportOptions{State: c.state, Route: c.route, Receipt: r, Bytes: data})
		if exit.Of(err) != c.code || err == nil && res.Route != "one" {
			t.Errorf("--route %q: %+v, %v", c.route, res, err)
		}
	}
	r.Route[0] ^= 1
	if _, err := ImportReceipt(t.Context(), ImportOptions{State: state, Receipt: r}); exit.Of(err) != exit.NotFound {
		t.Errorf("a route that is not here: %v", err)
	}
}

// TestCrashWhileAReceiptIsImported: the power goes after the k-th operation on the state while a receipt comes by itself. What
// is held is what receipts at home acknowledge, at once and after it was imported again.
func TestCrashWhileAReceiptIsImported(t *testing.T) {
	base := newCrashWorld(t)
	base.pack()
	v := base.newVault()
	v.number = 1
	v.take(base.drive)
	mailed := v.nextReceipt()
	syncAll(t, base.state)
	syncAll(t, base.drive)
	for k := 0; ; k++ {
		w, state, _ := base.again(t)
		w.drivesNow() // the ledger is there, and fits
		state.CrashAfter(k)
		_, err := w.importAlone(mailed)
		if err == nil {
			if k < 3 {
				t.Fatalf("only %d operations", k)
			}
			return
		}
		w.state = state.Crashed(disktest.Random, uint64(k))
		what := fmt.Sprintf("crash after operation %d", k)
		w.ledgerFits(what)
		res, err := w.importAlone(mailed)
		must(t, err)
		if !res.Taken && res.Why != "home has it already" {
			t.Errorf("%s: again: %+v", what, res)
		}
		w.ledgerFits(what + ", and again")
		if res := w.pack(); res.ChunksNew != 0 {
			t.Errorf("%s: what has arrived is carried again: %+v", what, res)
		}
	}
}
