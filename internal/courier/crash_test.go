package courier

import (
	"bytes"
	"fmt"
	"testing"

	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/internal/disk/disktest"
)

// afterPower calls check for every state in which power may come back after a
// crash.
func afterPower(m *disktest.Mem, check func(what string, m *disktest.Mem)) {
	check("strict", m.Crashed(disktest.Strict, 0))
	check("names", m.Crashed(disktest.Names, 0))
	for seed := range uint64(8) {
		check(fmt.Sprintf("random %d", seed), m.Crashed(disktest.Random, seed))
	}
}

// checkWhole says that a committed shipment has all its packs, byte for byte.
func checkWhole(t *testing.T, what string, d *Drive, s ShipmentInfo) {
	t.Helper()
	for _, f := range s.Commits[0].Commit.Files {
		b, err := disk.ReadAll(d.fs, s.Path+"/"+f.Name, f.Size)
		if err != nil || chunk.SumDigest(b) != f.Digest {
			t.Fatalf("%s: committed without %s (%v)", what, f.Name, err)
		}
	}
}

func TestACrashLeavesNoCommitWithoutItsPacks(t *testing.T) {
	for k := 0; ; k++ {
		m, d := newDrive(t)
		b := encodeCommit(t, newShipment(t, d, testShip, 4))
		m.CrashAfter(k)
		_, err := d.WriteCommit(b)
		afterPower(m, func(what string, m *disktest.Mem) {
			what = fmt.Sprintf("crash after %d, %s", k, what)
			d := reopen(t, m)
			list, lerr := d.Shipments(testRoute)
			must(t, lerr)
			committed := false
			for _, s := range list {
				if s.Committed {
					committed = true
					checkWhole(t, what, d, s)
				}
			}
			if err == nil && !committed {
				t.Fatalf("%s: said to be committed, and is not", what)
			}
			// Home tries again where the packs are still there.
			if _, err := d.WriteCommit(b); err == nil {
				s, err := d.Shipments(testRoute)
				must(t, err)
				if !s[0].Committed {
					t.Fatalf("%s: not committed at the second time: %v", what, s[0].Problems)
				}
				checkWhole(t, what, d, s[0])
			} else if committed {
				t.Fatalf("%s: cannot be committed again: %v", what, err)
			}
		})
		if err == nil {
			return
		}
	}
}

func TestACrashLeavesAShipmentWholeOrOpen(t *testing.T) {
	for k := 0; ; k++ {
		m, d := newDrive(t)
		c := newShipment(t, d, testShip, 4)
		_, err := d.WriteCommit(encodeCommit(t, c))
		must(t, err)
		c.Attempt++
		_, err = d.WriteCommit(encodeCommit(t, c))
		must(t, err)
		m.CrashAfter(k)
		err = d.RemoveShipment(testRoute, testShip)
		afterPower(m, func(what string, m *disktest.Mem) {
			what = fmt.Sprintf("crash after %d, %s", k, what)
			d := reopen(t, m)
			list, lerr := d.Shipments(testRoute)
			must(t, lerr)
			for _, s := range list {
				if s.Committed {
					checkWhole(t, what, d, s)
				}
				if err == nil {
					t.Fatalf("%s: still there", what)
				}
			}
			must(t, d.RemoveShipment(testRoute, testShip))
			if list, _ := d.Shipments(testRoute); len(list) > 0 {
				t.Fatalf("%s: still there after the second time", what)
			}
		})
		if err == nil {
			return
		}
	}
}

func TestACrashLeavesAReceipt(t *testing.T) {
	for k := 0; ; k++ {
		m, d := newDrive(t)
		for n := uint64(1); n <= 3; n++ {
			_, err := d.WriteReceipt(encodeReceipt(t, plainReceipt(n)))
			must(t, err)
		}
		next := encodeReceipt(t, plainReceipt(4))
		m.CrashAfter(k)
		_, err := d.WriteReceipt(next)
		crashed := m.DidCrash()
		afterPower(m, func(what string, m *disktest.Mem) {
			what = fmt.Sprintf("crash after %d, %s", k, what)
			d := reopen(t, m)
			valid, _, rerr := d.ReadReceipts(testRoute)
			must(t, rerr)
			if len(valid) == 0 || valid[0].Receipt.Number < 3 {
				t.Fatalf("%s: the newest receipt is gone", what)
			}
			if err == nil && valid[0].Receipt.Number != 4 {
				t.Fatalf("%s: said to be written, and is not", what)
			}
			_, err := d.WriteReceipt(next)
			must(t, err)
			valid, problems, rerr := d.ReadReceipts(testRoute)
			must(t, rerr)
			if len(valid) != 2 || !bytes.Equal(valid[0].Bytes, next) || len(problems) > 0 {
				t.Fatalf("%s: the second time: %d receipts, %v", what, len(valid), problems)
			}
		})
		if err == nil && !crashed {
			return
		}
	}
}

func TestACrashLeavesADriveOrNone(t *testing.T) {
	for k := 0; ; k++ {
		m := disktest.NewMem()
		m.CrashAfter(k)
		_, err := InitDrive(m, "x")
		afterPower(m, func(what string, m *disktest.Mem) {
			d, oerr := OpenFS(m, "")
			if err == nil && oerr != nil {
				t.Fatalf("crash after %d, %s: %v", k, what, oerr)
			}
			if oerr == nil && d.Label() != "x" {
				t.Fatal(d)
			}
			if oerr != nil {
				_, ierr := InitDrive(m, "x")
				must(t, ierr)
			}
		})
		if err == nil {
			return
		}
	}
}

// TestEveryFailingOperation lets every operation of a commit, a receipt and a
// removal fail in every way: no success is ever false.
func TestEveryFailingOperation(t *testing.T) {
	for _, kind := range disktest.FaultKinds {
		for _, forever := range []bool{false, true} {
			for k := 1; ; k++ {
				m, d := newDrive(t)
				old := encodeReceipt(t, plainReceipt(1))
				_, err := d.WriteReceipt(old)
				must(t, err)
				b, r := encodeCommit(t, newShipment(t, d, testShip, 4)), encodeReceipt(t, plainReceipt(2))
				fault := disktest.NewFault(m)
				fault.CountReads(true)
				fd := &Drive{fs: fault, id: d.id}
				fault.FailAt(k, kind, forever)
				_, cerr := fd.WriteCommit(b)
				_, rerr := fd.WriteReceipt(r)
				failed := fault.Failed()
				what := fmt.Sprintf("%v at %d (%s)", kind, k, failed)
				fault.FailAt(0, 0, false)

				after := reopen(t, m.Crashed(disktest.Strict, 0))
				list, err := after.Shipments(testRoute)
				must(t, err)
				committed := len(list) > 0 && list[0].Committed
				if committed {
					checkWhole(t, what, after, list[0])
				}
				if cerr == nil && !committed {
					t.Fatalf("%s: said to be committed, and is not", what)
				}
				valid, _, err := after.ReadReceipts(testRoute)
				must(t, err)
				if len(valid) == 0 || rerr == nil && !bytes.Equal(valid[0].Bytes, r) {
					t.Fatalf("%s: %d receipts, %v", what, len(valid), rerr)
				}

				// What is there now can be removed, or else it is an error.
				fault.FailAt(k, kind, forever)
				derr := fd.RemoveShipment(testRoute, testShip)
				gone := fault.Failed()
				after = reopen(t, m.Crashed(disktest.Strict, 0))
				list, err = after.Shipments(testRoute)
				must(t, err)
				if derr == nil && len(list) > 0 {
					t.Fatalf("%v at %d (%s): said to be removed, and is not", kind, k, gone)
				}
				if len(list) > 0 && list[0].Committed {
					checkWhole(t, what, after, list[0])
				}
				if failed == "" && gone == "" {
					break
				}
			}
		}
	}
}

func TestAStickThatLiesIsFoundOut(t *testing.T) {
	m, d := newDrive(t)
	b := encodeCommit(t, newShipment(t, d, testShip, 4))
	for _, name := range []string{ShipmentDir(testRoute, testShip) + "/" + CommitName(b)} {
		bad := disktest.FlipOnReadBack(m, func(n string) bool { return n == name }, -1)
		if _, err := (&Drive{fs: bad, id: d.id}).WriteCommit(b); err == nil {
			t.Fatal("believed")
		}
	}
	if list, _ := d.Shipments(testRoute); list[0].Committed {
		t.Fatal("left behind")
	}
}
