package courier

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"testing"

	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/internal/disk/disktest"
	"waterlock/internal/report"
	"waterlock/internal/wire"
)

// someIDs are n different IDs in ascending order.
func someIDs(n int) []chunk.ID {
	ids := make([]chunk.ID, n)
	for i := range ids {
		binary.BigEndian.PutUint64(ids[i][:], uint64(i+1))
		copy(ids[i][8:], noise(uint64(i), 24))
	}
	return ids
}

func encodeInventory(t testing.TB, h InventoryHead, ids []chunk.ID) ([]byte, InventoryRef) {
	t.Helper()
	var b bytes.Buffer
	w, err := NewInventoryWriter(&b, h)
	must(t, err)
	for _, id := range ids {
		must(t, w.Add(id))
	}
	ref, err := w.Close()
	must(t, err)
	return b.Bytes(), ref
}

// withInventory is a receipt with an inventory of n chunks, and that inventory.
func withInventory(t testing.TB, number uint64, n int) (*Receipt, []byte) {
	t.Helper()
	r := newReceipt(number)
	b, ref := encodeInventory(t, InventoryOf(r), someIDs(n))
	r.Inventory = ref
	return r, b
}

func readInventory(b []byte) (h InventoryHead, ids []chunk.ID, ref InventoryRef, err error) {
	r, err := NewInventoryReader(bytes.NewReader(b))
	if err != nil {
		return h, nil, ref, err
	}
	for {
		block, err := r.Next()
		if err == io.EOF {
			return r.Head(), ids, r.Ref(), nil
		}
		if err != nil {
			return h, ids, r.Ref(), err
		}
		ids = append(ids, block...)
	}
}

func TestInventoryRoundTrip(t *testing.T) {
	for _, n := range []int{0, 1, 2047, 2048, 2049, 4096, 5000} {
		h := InventoryHead{testRoute, testEpoch, 7}
		want := someIDs(n)
		b, ref := encodeInventory(t, h, want)
		head, ids, got, err := readInventory(b)
		must(t, err)
		if head != h || !slices.Equal(ids, want) || got != ref || ref.Count != uint64(n) || ref.Digest != chunk.SumDigest(b) || ref.IsZero() {
			t.Fatalf("%d chunks: %v, %d, %v", n, head, len(ids), got)
		}
		if int64(len(b)) != InventorySize(uint64(n)) {
			t.Fatalf("%d chunks: %d bytes, %d said", n, len(b), InventorySize(uint64(n)))
		}
	}
	if per := float64(InventorySize(20_000_000)) / 20_000_000; per >= 33 {
		t.Fatalf("%.2f bytes a chunk", per)
	}
}

func TestAnInventoryIsAscending(t *testing.T) {
	w, err := NewInventoryWriter(io.Discard, InventoryHead{testRoute, testEpoch, 7})
	must(t, err)
	must(t, w.Add(chunk.ID{5}))
	for _, id := range []chunk.ID{{5}, {4}, {}} {
		if err := w.Add(id); !errors.Is(err, ErrInventory) {
			t.Fatalf("%v after 05…: %v", id.Short(), err)
		}
	}
	if w, err = NewInventoryWriter(io.Discard, InventoryHead{testRoute, testEpoch, 7}); w.Add(chunk.ID{}) == nil {
		t.Fatal("the zero ID was taken", err)
	}
	for _, h := range []InventoryHead{{wire.RouteID{}, testEpoch, 7}, {testRoute, Epoch{}, 7}, {testRoute, testEpoch, 0}} {
		if _, err := NewInventoryWriter(io.Discard, h); !errors.Is(err, ErrInventory) {
			t.Fatalf("%v: %v", h, err)
		}
	}
}

func TestEveryFlippedByteAndTruncationOfAnInventoryIsFound(t *testing.T) {
	b, _ := encodeInventory(t, InventoryHead{testRoute, testEpoch, 7}, someIDs(2060))
	for i := range b {
		if i > 200 && i < len(b)-700 && i%97 != 0 { // the inside of a block is one like another
			continue
		}
		bad := slices.Clone(b)
		bad[i] ^= 0x10
		if _, _, ref, err := readInventory(bad); !errors.Is(err, ErrInventory) || !ref.IsZero() {
			t.Fatalf("byte %d flipped: %v", i, err)
		}
		if _, _, ref, err := readInventory(b[:i]); !errors.Is(err, ErrInventory) || !ref.IsZero() {
			t.Fatalf("cut at %d: %v", i, err)
		}
	}
	if _, _, _, err := readInventory(append(slices.Clone(b), 0)); !errors.Is(err, ErrInventory) {
		t.Fatal(err)
	}
}

// TestBlocksOfAnInventoryAreBound: none is left out, comes twice, or comes from
// another inventory.
func TestBlocksOfAnInventoryAreBound(t *testing.T) {
	h := InventoryHead{testRoute, testEpoch, 7}
	b, _ := encodeInventory(t, h, someIDs(3*inventoryBlock))
	other, _ := encodeInventory(t, InventoryHead{testRoute, testEpoch, 8}, someIDs(3*inventoryBlock))
	const block = 4 + 32*inventoryBlock + inventorySum
	at := func(b []byte, i int) []byte { return b[inventoryHead+i*block:][:block] }
	end := b[inventoryHead+3*block:]
	for name, parts := range map[string][][]byte{
		"one left out":        {b[:inventoryHead], at(b, 0), at(b, 2), end},
		"the last left out":   {b[:inventoryHead], at(b, 0), at(b, 1), end},
		"one of another":      {b[:inventoryHead], at(b, 0), at(other, 1), at(b, 2), end},
		"the end of another":  {b[:inventoryHead], at(b, 0), at(b, 1), at(b, 2), other[inventoryHead+3*block:]},
		"another's header":    {other[:inventoryHead], at(b, 0), at(b, 1), at(b, 2), end},
		"one after the other": {b, other},
	} {
		if _, _, _, err := readInventory(bytes.Join(parts, nil)); !errors.Is(err, ErrInventory) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnInventoryBelongsToOneReceipt(t *testing.T) {
	r, b := withInventory(t, 8, 3000)
	var got []chunk.ID
	must(t, CheckInventory(bytes.NewReader(b), r, func(ids []chunk.ID) error {
		got = append(got, ids...)
		return nil
	}))
	if !slices.Equal(got, someIDs(3000)) {
		t.Fatal(len(got))
	}
	for name, spoil := range map[string]func(r *Receipt){
		"another number": func(r *Receipt) { r.Number++ },
		"another epoch":  func(r *Receipt) { r.Epoch[0]++ },
		"another route":  func(r *Receipt) { r.Route[0]++ },
		"another count":  func(r *Receipt) { r.Inventory.Count++ },
		"another digest": func(r *Receipt) { r.Inventory.Digest[0]++ },
	} {
		other := *r
		spoil(&other)
		if err := CheckInventory(bytes.NewReader(b), &other, nil); !errors.Is(err, ErrInventory) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzInventory(f *testing.F) {
	for _, n := range []int{0, 1, 40, 2049} {
		b, _ := encodeInventory(f, InventoryHead{testRoute, testEpoch, 7}, someIDs(n))
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, ids, ref, err := readInventory(b)
		if err != nil {
			if !errors.Is(err, ErrInventory) {
				t.Fatalf("another error: %v", err)
			}
			return
		}
		again, ref2 := encodeInventory(t, h, ids)
		if !bytes.Equal(again, b) || ref != ref2 {
			t.Fatal("read, and written otherwise")
		}
	})
}

// inventoriesOn lists the inventories on a drive by the numbers of their receipts.
func inventoriesOn(t *testing.T, d *Drive) (numbers []uint64) {
	t.Helper()
	names, err := d.list(receiptsOf(testRoute))
	must(t, err)
	for i := range names.Len() {
		if n := inventoryNumber(names.At(i)); n > 0 {
			numbers = append(numbers, n)
		}
	}
	return numbers
}

// checkTold says that the newest receipt on the drive, if it names an inventory, has it.
func checkTold(t *testing.T, what string, d *Drive) []FoundReceipt {
	t.Helper()
	valid, _, err := d.ReadReceipts(testRoute)
	must(t, err)
	if len(valid) == 0 || valid[0].Receipt.Inventory.IsZero() {
		return valid
	}
	newest := valid[0].Receipt
	f, err := d.OpenInventory(newest)
	if err != nil {
		t.Fatalf("%s: receipt %d names an inventory: %v", what, newest.Number, err)
	}
	if err := CheckInventory(f, newest, nil); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	must(t, f.Close())
	return valid
}

// tell writes a receipt and its inventory, in the vault's order.
func tell(d *Drive, r *Receipt, receipt, inventory []byte) error {
	if _, err := d.WriteInventory(r, bytes.NewReader(inventory)); err != nil {
		return err
	}
	_, err := d.WriteReceipt(receipt)
	return err
}

func plainReceipt(number uint64) *Receipt {
	r := newReceipt(number)
	r.Inventory = InventoryRef{}
	return r
}

// A receipt never comes before its inventory.
func TestNoReceiptWithoutItsInventory(t *testing.T) {
	_, d := newDrive(t)
	r, b := withInventory(t, 1, 10)
	receipt := encodeReceipt(t, r)
	if _, err := d.WriteReceipt(receipt); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	putFile(t, d.fs, receiptsOf(testRoute)+"/"+InventoryName(1, r.Inventory.Digest), b[:100])
	if _, err := d.WriteReceipt(receipt); err == nil {
		t.Fatal("half an inventory was enough")
	}
	if valid, _, err := d.ReadReceipts(testRoute); err != nil || len(valid) > 0 {
		t.Fatal(valid, err)
	}
	must(t, tell(d, r, receipt, b))
}

func TestInventoriesGoWithTheirReceipts(t *testing.T) {
	_, d := newDrive(t)
	write := func(number uint64, n int) {
		t.Helper()
		if n < 0 {
			_, err := d.WriteReceipt(encodeReceipt(t, plainReceipt(number)))
			must(t, err)
		} else {
			r, b := withInventory(t, number, n)
			must(t, tell(d, r, encodeReceipt(t, r), b))
		}
	}
	for _, step := range []struct {
		number uint64
		n      int // of chunks; less than 0: no inventory
		left   []uint64
	}{
		{1, 2100, []uint64{1}}, {2, -1, []uint64{1}}, {3, -1, nil}, {4, 5, []uint64{4}}, {5, 0, []uint64{5}}, {6, -1, []uint64{5}},
	} {
		write(step.number, step.n)
		if got := inventoriesOn(t, d); !slices.Equal(got, step.left) {
			t.Fatalf("after receipt %d: inventories of %v, %v expected", step.number, got, step.left)
		}
	}
	if _, err := d.OpenInventory(plainReceipt(6)); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
}

// TestACrashLeavesNoReceiptWithoutItsInventory holds for every operation of the
// order inventory, receipt, removal of what is older.
func TestACrashLeavesNoReceiptWithoutItsInventory(t *testing.T) {
	r1, b1 := withInventory(t, 1, 10)
	r2, b2 := withInventory(t, 2, 20)
	first, next := encodeReceipt(t, r1), encodeReceipt(t, r2)
	for k := 0; ; k++ {
		m, d := newDrive(t)
		must(t, tell(d, r1, first, b1))
		m.CrashAfter(k)
		err := tell(d, r2, next, b2)
		crashed := m.DidCrash()
		afterPower(m, func(what string, m *disktest.Mem) {
			what = fmt.Sprintf("crash after %d, %s", k, what)
			d := reopen(t, m)
			valid := checkTold(t, what, d)
			if len(valid) == 0 || err == nil && valid[0].Receipt.Number != 2 {
				t.Fatalf("%s: %d receipts, %v", what, len(valid), err)
			}
			must(t, tell(d, r2, next, b2))
			if got := inventoriesOn(t, d); !slices.Equal(got, []uint64{2}) {
				t.Fatalf("%s: the second time: inventories of %v", what, got)
			}
		})
		if err == nil && !crashed {
			return
		}
	}
}

func TestEveryFailingOperationOfAnInventory(t *testing.T) {
	r, b := withInventory(t, 2, 2100)
	receipt := encodeReceipt(t, r)
	for _, kind := range disktest.FaultKinds {
		for _, forever := range []bool{false, true} {
			for k := 1; ; k++ {
				m, d := newDrive(t)
				_, err := d.WriteReceipt(encodeReceipt(t, plainReceipt(1)))
				must(t, err)
				fault := disktest.NewFault(m)
				fault.CountReads(true)
				fault.FailAt(k, kind, forever)
				terr := tell(&Drive{fs: fault, id: d.id}, r, receipt, b)
				failed := fault.Failed()
				what := fmt.Sprintf("%v at %d (%s)", kind, k, failed)
				fault.FailAt(0, 0, false)
				valid := checkTold(t, what, reopen(t, m.Crashed(disktest.Strict, 0)))
				if len(valid) == 0 || terr == nil && valid[0].Receipt.Number != 2 {
					t.Fatalf("%s: %d receipts, %v", what, len(valid), terr)
				}
				if failed == "" {
					break
				}
			}
		}
	}
}

// TestKeptInventoryIsWholeOrNotThere is the same for an own disk, where it gets its name by renaming.
func TestKeptInventoryIsWholeOrNotThere(t *testing.T) {
	h, ids := InventoryHead{testRoute, testEpoch, 7}, someIDs(2100)
	list := func(add func(chunk.ID) error) error {
		for _, id := range ids {
			if err := add(id); err != nil {
				return err
			}
		}
		return nil
	}
	want, ref := encodeInventory(t, h, ids)
	for k := 0; ; k++ {
		m := disktest.NewMem()
		must(t, disk.MkdirAll(m, "r", 0o700))
		m.CrashAfter(k)
		got, err := KeepInventory(m, "r", h, list)
		crashed := m.DidCrash()
		if err == nil && got != ref {
			t.Fatal(got)
		}
		afterPower(m, func(what string, m *disktest.Mem) {
			b, rerr := disk.ReadAll(m, "r/"+InventoryName(7, ref.Digest), int64(len(want)))
			if rerr == nil && !bytes.Equal(b, want) || err == nil && rerr != nil {
				t.Fatalf("crash after %d, %s: %d bytes, %v", k, what, len(b), rerr)
			}
			_, err := KeepInventory(m, "r", h, list)
			must(t, err)
		})
		if err == nil && !crashed {
			break
		}
	}
	m := disktest.NewMem()
	must(t, disk.MkdirAll(m, "r", 0o700))
	bad := disktest.FlipOnReadBack(m, func(n string) bool { return true }, -1)
	if _, err := KeepInventory(bad, "r", h, list); !errors.Is(err, disk.ErrReadBack) {
		t.Fatalf("a medium that lies: %v", err)
	}
	if _, err := KeepInventory(m, "r", h, func(add func(chunk.ID) error) error { return errors.Join(add(ids[1]), add(ids[0])) }); !errors.Is(err, ErrInventory) {
		t.Fatal(err)
	}
	if names, err := m.ReadDir("r"); err != nil || names.Len() > 0 {
		t.Fatal("left behind", names.Len(), err)
	}
}

func TestOlderInventoriesMakeRoom(t *testing.T) {
	m, d := newDrive(t)
	r1, b1 := withInventory(t, 1, 20_000)
	must(t, tell(d, r1, encodeReceipt(t, r1), b1))
	r2, b2 := withInventory(t, 2, 20_001)
	m.SetCapacity(used(t, m) + int64(len(b2))/2)
	must(t, tell(d, r2, encodeReceipt(t, r2), b2))
	if got := inventoriesOn(t, d); !slices.Equal(got, []uint64{2}) {
		t.Fatal(got)
	}
	checkTold(t, "on a tight drive", d)
	// Where there is none even so, it is said, and nothing is left behind.
	r3, b3 := withInventory(t, 3, 60_000)
	if _, err := d.WriteInventory(r3, bytes.NewReader(b3)); !disk.IsNoSpace(err) {
		t.Fatal(err)
	}
	if got := inventoriesOn(t, d); slices.Contains(got, 3) {
		t.Fatal(got)
	}
}

func TestVerifyDriveReadsInventories(t *testing.T) {
	_, d := newDrive(t)
	r, b := withInventory(t, 1, 5000)
	must(t, tell(d, r, encodeReceipt(t, r), b))
	verify := func() (VerifyResult, []report.Problem) {
		t.Helper()
		var rec report.Recorder
		res, err := VerifyDrive(context.Background(), d, &rec)
		must(t, err)
		return res, rec.Problems()
	}
	res, problems := verify()
	if res.Problems != 0 || res.Files != 1 || res.Bytes != int64(len(b)) {
		t.Fatalf("%+v %v", res, problems)
	}
	name := receiptsOf(testRoute) + "/" + InventoryName(1, r.Inventory.Digest)
	flipByte(t, d.fs, name, 70_000)
	if res, problems = verify(); res.DamagedFiles != 1 || res.Problems != 1 {
		t.Fatalf("%+v %v", res, problems)
	}
	must(t, d.fs.Remove(name))
	if res, problems = verify(); res.MissingFiles != 1 || res.Problems != 1 {
		t.Fatalf("%+v %v", res, problems)
	}
}

// TestInventoryVectorV1IsRead reads a file that the first version wrote. With WL_WRITE_VECTORS it writes it where there is
// none.
func TestInventoryVectorV1IsRead(t *testing.T) {
	b, _ := encodeInventory(t, InventoryHead{testRoute, testEpoch, 7}, someIDs(3))
	const name = "testdata/inventory-v1"
	old, err := os.ReadFile(name)
	if os.IsNotExist(err) && os.Getenv("WL_WRITE_VECTORS") != "" {
		must(t, os.WriteFile(name, b, 0o644))
		return
	}
	must(t, err)
	if !bytes.Equal(old, b) {
		t.Errorf("%s is written otherwise now", name)
	}
}
