package home

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"waterlock/internal/chunk"
	"waterlock/internal/courier"
	"waterlock/internal/disk"
	"waterlock/internal/disk/disktest"
	"waterlock/internal/report"
	"waterlock/pack"
)

// calm is a home of ten files that a vault has, with the receipt that says so read.
func calm(t *testing.T) (*world, *vault) {
	t.Helper()
	w := newWorld(t)
	for i := range 10 {
		w.write(fmt.Sprintf("f%d", i), 60<<10, uint64(i))
	}
	settleClock()
	v := w.newVault()
	w.pack()
	v.take(w.drive)
	v.receipt(w.drive)
	w.pack()
	v.take(w.drive)
	v.receipt(w.drive)
	w.clearDrive()
	if again := w.pack(); again.ChunksNew != 0 || again.Asks != "" {
		t.Fatalf("not calm: %+v", again)
	}
	return w, v
}

// clearDrive removes all shipments from the drive.
func (w *world) clearDrive() {
	w.t.Helper()
	d, err := courier.OpenFS(keepOpen{w.drive}, "")
	must(w.t, err)
	infos, err := d.Shipments(w.route)
	must(w.t, err)
	for _, info := range infos {
		must(w.t, d.RemoveShipment(w.route, info.ID))
	}
}

// forget makes the vault lose the data chunks of some files, and says how many those are.
func (v *vault) forget(files ...string) (n int64) {
	v.w.t.Helper()
	for path, e := range v.entries(v.newest, "docs") {
		for _, f := range files {
			if path != f {
				continue
			}
			for _, x := range e.Content {
				delete(v.chunks, x.ID)
				n++
			}
		}
	}
	return n
}

// asks is a run of pack that carries the snapshot and the request alone, and reads nothing.
func (w *world) asks(v *vault) PackResult {
	w.t.Helper()
	res := w.pack()
	if res.Asks == "" || res.ChunksNew != 0 || w.read.Load() != 0 || res.Snapshot == 0 {
		w.t.Fatalf("it should ask for an inventory and do nothing else: %+v, %d bytes read", res, w.read.Load())
	}
	v.take(w.drive)
	if !v.asked {
		w.t.Fatal("the commit does not ask for an inventory")
	}
	return res
}

// carriesExactly is a run of pack that carries so many chunks, knowing what the vault has; nothing changes where the ledger
// is folded anew.
func (w *world) carriesExactly(v *vault, n int64) PackResult {
	w.t.Helper()
	res := w.pack()
	if res.Asks != "" || res.ChunksNew != n || res.Pending != 0 {
		w.t.Fatalf("%d chunks to be carried: %+v", n, res)
	}
	v.take(w.drive)
	v.equals()
	must(w.t, os.RemoveAll(w.index))
	if again := w.pack(); again.Asks != "" || again.ChunksNew != 0 {
		w.t.Fatalf("folded anew: %+v", again)
	}
	v.receipt(w.drive)
	w.pack()
	must(w.t, os.RemoveAll(w.index))
	if again := w.pack(); again.Asks != "" || again.ChunksNew != 0 {
		w.t.Fatalf("folded anew after the receipt: %+v", again)
	}
	return res
}

func TestARolledBackVaultIsAskedForItsInventory(t *testing.T) {
	for _, offered := range []bool{false, true} {
		t.Run(fmt.Sprintf("offered %v", offered), func(t *testing.T) {
			w, v := calm(t)
			lost := v.forget("f3", "f7")
			v.epoch, v.taken = courier.Epoch{2}, nil
			if !offered {
				v.receipt(w.drive)
				res := w.asks(v)
				if res.Pending != 10 || !strings.Contains(res.Why, "inventory") {
					t.Errorf("%+v", res)
				}
				w.asks(v) // it goes on asking
			}
			v.inventory = true
			v.receipt(w.drive)
			v.inventory = false
			w.read.Store(0)
			w.carriesExactly(v, lost)
			if len(v.out) > 2 {
				t.Errorf("%d shipments are said to be out: those of the earlier epoch are not", len(v.out))
			}
		})
	}
}

// What did not change at home is not read again, but for what is carried.
func TestWaitingForAnInventoryCostsNoReading(t *testing.T) {
	w, v := calm(t)
	lost := v.forget("f3")
	v.epoch, v.taken = courier.Epoch{2}, nil
	v.receipt(w.drive)
	w.asks(v)
	must(t, os.Rename(w.path("f4"), w.path("moved")))
	v.inventory = true
	v.receipt(w.drive)
	res := w.pack()
	if res.ChunksNew != lost || w.read.Load() > 70<<10 || res.Moved != 1 {
		t.Errorf("%d bytes read: %+v", w.read.Load(), res)
	}
	v.take(w.drive)
	v.equals()
}

func TestWithoutInventoryDataIsCarried(t *testing.T) {
	w, v := calm(t)
	v.chunks = map[chunk.ID][]byte{}
	v.epoch, v.taken = courier.Epoch{2}, nil
	v.receipt(w.drive)
	w.opts.WithoutInventory = true
	res := w.pack()
	if res.Asks == "" || res.ChunksNew == 0 || res.Pending != 0 {
		t.Fatalf("%+v", res)
	}
	v.take(w.drive)
	v.equals()
	if !v.asked {
		t.Error("it does not ask for an inventory")
	}
	v.receipt(w.drive) // without one: what it newly acknowledges is held
	if again := w.pack(); again.ChunksNew != 0 || again.Asks == "" {
		t.Errorf("%+v", again)
	}
}

// rolledBack lets home pack two more snapshots, and sets it back to before them. It returns the newest of them.
func (w *world) rolledBack(v *vault, between func()) uint64 {
	w.t.Helper()
	before := tempDir(w.t)
	now := filepath.Dir(w.index) // of the ledger; the state is a root of its own
	must(w.t, exec.Command("cp", "-a", now+"/.", before).Run())
	copied := copyFS(w.t, w.state)
	between()
	w.write("new", 30<<10, 99)
	settleClock()
	w.pack()
	v.take(w.drive)
	v.receipt(w.drive)
	w.clearDrive()
	newest := w.pack().Snapshot
	v.take(w.drive)
	v.receipt(w.drive)
	w.state = copied
	must(w.t, os.RemoveAll(now))
	must(w.t, exec.Command("cp", "-a", before, now).Run())
	return newest
}

// copyFS copies a file system into a fresh directory.
func copyFS(t *testing.T, from disk.FS) disk.FS {
	t.Helper()
	to, err := disk.Dir(tempDir(t))
	must(t, err)
	copyInto(t, to, from)
	return to
}

func TestARolledBackHomeJoinsAnew(t *testing.T) {
	for _, by := range []string{"receipt", "commit"} {
		t.Run("noticed by a "+by, func(t *testing.T) {
			w, v := calm(t)
			newest := w.rolledBack(v, func() {})
			lost := v.forget("f3") // condemned and pruned, as far as the home that was forgotten knew
			if by == "commit" {
				names, err := w.drive.ReadDir("waterlock/" + w.route.String() + "/receipts")
				must(t, err)
				for i := range names.Len() {
					must(t, w.drive.Remove("waterlock/"+w.route.String()+"/receipts/"+names.At(i)))
				}
			}
			res := w.asks(v)
			if res.Snapshot <= newest || !strings.Contains(strings.Join(w.rep.Warnings(), "\n"), "rolled back") {
				t.Errorf("snapshot %d after %d; %q", res.Snapshot, newest, w.rep.Warnings())
			}
			v.inventory = true
			v.receipt(w.drive)
			v.inventory = false
			w.carriesExactly(v, lost)
			if warned := strings.Join(w.rep.Warnings(), "\n"); strings.Contains(warned, "rolled back") {
				t.Errorf("said again: %q", warned)
			}
		})
	}
}

// A shipment that home remembers as under way, and that arrived after the image was made, counts for nothing; one that is
// still under way counts.
func TestARolledBackHomeCountsOnNoShipmentThatMayHaveArrived(t *testing.T) {
	w, v := calm(t)
	first := w.drive
	other := w.newDrive("B")
	w.write("b", 40<<10, 200)
	settleClock()
	w.pack() // aboard B when the image is made
	w.drive = first
	w.rolledBack(v, func() {
		v.take(other)
		v.receipt(first)
	})
	for range 3 { // the floor rises beyond B, as that home would have seen it acknowledged
		v.taken = v.taken[1:]
	}
	v.taken = v.taken[len(v.taken)-1:]
	v.receipt(first)
	lost := v.forget("b")
	w.asks(v)
	v.inventory = true
	v.receipt(first)
	v.inventory = false
	w.carriesExactly(v, lost)
}

// The receipt counts without an inventory that did not arrive whole, and home asks for another.
func TestADamagedInventoryIsAskedForAgain(t *testing.T) {
	for _, how := range []string{"missing", "damaged", "cut", "damaged at home"} {
		t.Run(how, func(t *testing.T) {
			w, v := calm(t)
			lost := v.forget("f3")
			v.epoch, v.taken = courier.Epoch{2}, nil
			v.inventory = true
			v.receipt(w.drive)
			dir := "waterlock/" + w.route.String() + "/receipts/"
			name := theInventory(t, w.drive, strings.TrimSuffix(dir, "/"))
			data, err := disk.ReadAll(w.drive, dir+name, 1<<20)
			must(t, err)
			bad := append([]byte{}, data...)
			switch how {
			case "damaged", "damaged at home":
				bad[len(bad)/2] ^= 1
			case "cut":
				bad = bad[:len(bad)-5]
			}
			v.inventory = false
			if how == "damaged at home" {
				w.carriesExactly(v, lost)
				must(t, w.state.Remove(dirReceipts+"/"+name))
				must(t, disk.Put(w.state, dirReceipts+"/"+name, bad))
				must(t, os.RemoveAll(w.index))
				must(t, w.drive.Remove(dir+name))
				w.asks(v)
				return
			}
			must(t, w.drive.Remove(dir+name))
			if how != "missing" {
				must(t, disk.Put(w.drive, dir+name, bad))
			}
			w.asks(v)
			if names := theInventory(t, w.state, dirReceipts); names != "" {
				t.Errorf("%s is left at home", names)
			}
			// It comes after all.
			if how != "missing" {
				must(t, w.drive.Remove(dir+name))
			}
			must(t, disk.Put(w.drive, dir+name, data))
			w.carriesExactly(v, lost)
		})
	}
}

func theInventory(t *testing.T, fs disk.FS, dir string) (found string) {
	t.Helper()
	names, err := fs.ReadDir(dir)
	must(t, err)
	for i := range names.Len() {
		if strings.Contains(names.At(i), ".inventory") {
			found = names.At(i)
		}
	}
	return found
}

// TestACrashLeavesNoReceiptWithoutItsInventoryAtHome holds for each step of the import: a receipt at home is believed at once,
// and without its inventory it would be one that did not arrive whole.
func TestACrashLeavesNoReceiptWithoutItsInventoryAtHome(t *testing.T) {
	w, v := calm(t)
	v.epoch, v.taken, v.inventory = courier.Epoch{2}, nil, true
	v.receipt(w.drive)
	for k := 0; ; k++ {
		mem := disktest.NewMem()
		copyInto(t, mem, w.state)
		s := w.site()
		s.state, s.index = mem, filepath.Join(tempDir(t), "index")
		d, err := s.openDrive()
		must(t, err)
		f, err := s.loadFleet(report.Discard)
		must(t, err)
		b, err := s.openBooks(f, report.Discard)
		must(t, err)
		mem.CrashAfter(k)
		_, err = s.importReceipt(b, d, report.Discard)
		crashed := mem.DidCrash()
		b.close(false)
		for _, mode := range []disktest.CrashMode{disktest.Strict, disktest.Names} {
			after := *s
			after.state = mem.Crashed(mode, 0)
			b := &books{site: &after, fleet: f, rep: report.Discard}
			must(t, b.lookBack(report.Discard))
			if b.horizon.missed != 0 || err == nil && b.horizon.told == 0 {
				t.Fatalf("crash after %d, %v: %+v", k, mode, b.horizon)
			}
		}
		if err == nil && !crashed {
			return
		}
		if k > 300 {
			t.Fatal("no end")
		}
	}
}

func copyInto(t *testing.T, to, from disk.FS) {
	t.Helper()
	var walk func(dir string)
	walk = func(dir string) {
		names, err := from.ReadDir(dir)
		must(t, err)
		for i := range names.Len() {
			name := strings.TrimPrefix(dir+"/"+names.At(i), "./")
			st, err := from.Stat(name)
			must(t, err)
			if st.Kind == disk.KindDir {
				must(t, disk.MkdirAll(to, name, 0o700))
				walk(name)
				continue
			}
			data, err := disk.ReadAll(from, name, pack.MaxSize)
			must(t, err)
			must(t, disk.Put(to, name, data))
		}
	}
	walk(".")
}

// TestARolledBackHomeBelievesNoReceiptThatTheForgottenOneHadRead: the drive has none of them, but a commit on it says up to which
// that home had read; one of those comes later, from another drive.
func TestARolledBackHomeBelievesNoReceiptThatTheForgottenOneHadRead(t *testing.T) {
	w, v := calm(t)
	first := w.drive
	w.write("g", 40<<10, 300)
	settleClock()
	other := w.newDrive("B")
	w.pack() // g is aboard B when the image is made
	late := w.newDrive("C")
	w.drive = first
	w.rolledBack(v, func() {
		v.nextReceipt()
		v.take(other)
		v.receipt(late) // it says that g has arrived
		v.receipt(first)
		w.pack()
		v.take(first)
	})
	v.forget("g") // condemned later, and the home that was forgotten knew
	dir := "waterlock/" + w.route.String() + "/receipts"
	names, err := first.ReadDir(dir)
	must(t, err)
	for i := range names.Len() {
		must(t, first.Remove(dir+"/"+names.At(i)))
	}
	w.asks(v)
	w.drive = late
	w.takeReceipt()
	s := w.site()
	f, err := s.loadFleet(report.Discard)
	must(t, err)
	b, err := s.openBooks(f, report.Discard)
	must(t, err)
	defer b.close(true)
	held, _, err := b.ledger.Count()
	must(t, err)
	if held != 0 {
		t.Errorf("%d chunks are held by a receipt that is older than what home had been told", held)
	}
}
