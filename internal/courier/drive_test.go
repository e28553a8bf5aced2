package courier

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/internal/disk/disktest"
	"waterlock/internal/exit"
	"waterlock/internal/wire"
)

func TestInitAndOpen(t *testing.T) {
	m, d := newDrive(t)
	if d.ID() == (DriveID{}) || d.Label() != "test drive" || d.Created().IsZero() {
		t.Fatal(d)
	}
	if _, err := InitDrive(m, "again"); !errors.Is(err, fs.ErrExist) {
		t.Fatal(err)
	}
	// Durable at once.
	got := reopen(t, m.Crashed(disktest.Strict, 0))
	if got.ID() != d.ID() || got.Label() != d.Label() || !got.Created().Equal(d.Created()) {
		t.Fatal(got, d)
	}
}

func TestNoDriveIsNotFound(t *testing.T) {
	_, err := OpenDrive(t.TempDir())
	if exit.Of(err) != exit.NotFound {
		t.Fatal(err)
	}
	if _, err = OpenDrive(t.TempDir() + "/nothing"); exit.Of(err) != exit.NotFound {
		t.Fatal(err)
	}
}

func TestLabelsArePrintable(t *testing.T) {
	for _, label := range []string{"a\nb", "\x1b[2J", "\xff", strings.Repeat("x", MaxLabel+1)} {
		if _, err := InitDrive(disktest.NewMem(), label); exit.Of(err) != exit.Usage {
			t.Errorf("%q: %v", label, err)
		}
	}
	if _, err := InitDrive(disktest.NewMem(), "Müllers 4 TB"); err != nil {
		t.Error(err)
	}
}

func TestABadDriveFileIsAnErrorAndMadeAnew(t *testing.T) {
	for _, text := range []string{
		"", "{", "[]", `{"format":2,"id":"000102030405060708090a0b0c0d0e0f","label":"","created":"2026-11-22T10:00:00Z"}`,
		`{"format":1,"id":"../../x","label":"","created":"2026-11-22T10:00:00Z"}`,
		`{"format":1,"id":"00000000000000000000000000000000","label":"","created":"2026-11-22T10:00:00Z"}`,
		`{"format":1,"id":"000102030405060708090a0b0c0d0e0f","label":"a\nb","created":"2026-11-22T10:00:00Z"}`,
		`{"format":1,"id":"000102030405060708090a0b0c0d0e0f","label":"","created":"yesterday"}`,
		strings.Repeat(" ", maxDriveFile+1),
	} {
		m := disktest.NewMem()
		must(t, m.Mkdir(topDir, 0o755))
		putFile(t, m, driveFile, []byte(text))
		if _, err := OpenFS(m, ""); !errors.Is(err, ErrDrive) {
			t.Errorf("%.40q: %v", text, err)
		}
		if _, err := InitDrive(m, "new"); err != nil {
			t.Errorf("%.40q: %v", text, err)
		}
	}
}

func TestTheLockKeepsOthersOut(t *testing.T) {
	dir := t.TempDir()
	root, err := disk.Dir(dir)
	must(t, err)
	_, err = InitDrive(root, "")
	must(t, err)
	a, err := OpenDrive(dir)
	must(t, err)
	must(t, a.Lock())
	must(t, a.Lock())
	b, err := OpenDrive(dir)
	must(t, err)
	if err := b.Lock(); exit.Of(err) != exit.Locked {
		t.Fatal(err)
	}
	must(t, a.Close())
	must(t, b.Lock())
	must(t, b.Close())
}

func TestWhatIsWrittenIsFound(t *testing.T) {
	m, d := newDrive(t)
	b := encodeCommit(t, newShipment(t, d, testShip, 4))
	_, err := d.WriteCommit(b)
	must(t, err)
	_, err = d.WriteCommit(b) // again, after an interruption
	must(t, err)
	open := ShipmentID{77}
	dir, err := d.CreateShipment(testRoute, open)
	must(t, err)
	addPack(t, d, dir, "000001.pack", chunk.Data, 1, 1)

	d = reopen(t, m)
	routes, err := d.Routes()
	must(t, err)
	if !slices.Equal(routes, []wire.RouteID{testRoute}) {
		t.Fatal(routes)
	}
	list, err := d.Shipments(testRoute)
	must(t, err)
	if len(list) != 2 {
		t.Fatal(list)
	}
	s := list[0]
	if s.ID != testShip || !s.Committed || len(s.Problems) > 0 || len(s.Commits) != 1 || s.Commits[0].Name != CommitName(b) || string(s.Commits[0].Bytes) != string(b) {
		t.Fatal(s)
	}
	if want := []string{"000001.meta", "000001.pack", "000003.pack"}; !slices.Equal(s.Names, want) || s.Path != ShipmentDir(testRoute, testShip) {
		t.Fatal(s.Names, s.Path)
	}
	if o := list[1]; o.ID != open || o.Committed || len(o.Problems) > 0 || !slices.Equal(o.Names, []string{"000001.pack"}) {
		t.Fatal(o)
	}
	if none, err := d.Shipments(wire.RouteID{99}); len(none) != 0 || err != nil {
		t.Fatal(none, err)
	}
}

func TestNoCommitWithoutItsPacks(t *testing.T) {
	for name, spoil := range map[string]func(d *Drive, dir string){
		"missing":   func(d *Drive, dir string) { must(t, d.fs.Remove(dir+"/000003.pack")) },
		"too short": func(d *Drive, dir string) { f, _ := d.fs.OpenWrite(dir + "/000003.pack"); must(t, f.Truncate(9)) },
		"a directory": func(d *Drive, dir string) {
			must(t, d.fs.Remove(dir+"/000003.pack"))
			must(t, d.fs.Mkdir(dir+"/000003.pack", 0o755))
		},
	} {
		_, d := newDrive(t)
		b := encodeCommit(t, newShipment(t, d, testShip, 4))
		spoil(d, ShipmentDir(testRoute, testShip))
		if _, err := d.WriteCommit(b); err == nil {
			t.Errorf("%s: committed", name)
		}
		if list, _ := d.Shipments(testRoute); list[0].Committed {
			t.Errorf("%s: committed", name)
		}
	}
}

func TestTheNewestAttemptComesFirst(t *testing.T) {
	_, d := newDrive(t)
	c := newShipment(t, d, testShip, 4)
	for _, attempt := range []uint32{2, 3, 1} {
		c.Attempt = attempt
		_, err := d.WriteCommit(encodeCommit(t, c))
		must(t, err)
	}
	list, err := d.Shipments(testRoute)
	must(t, err)
	var got []uint32
	for _, f := range list[0].Commits {
		got = append(got, f.Commit.Attempt)
	}
	if !slices.Equal(got, []uint32{3, 2, 1}) {
		t.Fatal(got)
	}
}

func TestACommitThatFailsItsCheckIsNamed(t *testing.T) {
	_, d := newDrive(t)
	b := encodeCommit(t, newShipment(t, d, testShip, 4))
	dir := ShipmentDir(testRoute, testShip)
	name := dir + "/" + CommitName(b)
	_, err := d.WriteCommit(b)
	must(t, err)
	other := ShipmentID{200}
	otherDir, err := d.CreateShipment(testRoute, other)
	must(t, err)
	foreign := wire.RouteID{201}
	foreignDir, err := d.CreateShipment(foreign, testShip)
	must(t, err)

	flipByte(t, d.fs, name, 100)
	putFile(t, d.fs, dir+"/"+strings.Repeat("0", 64)+".commit", b) // another name
	putFile(t, d.fs, otherDir+"/"+CommitName(b), b)                // another shipment
	putFile(t, d.fs, foreignDir+"/"+CommitName(b), b)              // another route
	for _, route := range []wire.RouteID{testRoute, foreign} {
		list, err := d.Shipments(route)
		must(t, err)
		for _, s := range list {
			if s.Committed || len(s.Problems) == 0 {
				t.Errorf("%v: %v", s.Path, s)
			}
			for _, p := range s.Problems {
				if !errors.Is(p, ErrCommit) || !strings.Contains(p.Error(), s.Path) || !strings.Contains(p.Error(), ".commit") {
					t.Error(p)
				}
			}
		}
	}
	// The commit can be written again over the ruins.
	_, err = d.WriteCommit(b)
	must(t, err)
	if list, _ := d.Shipments(testRoute); !list[0].Committed {
		t.Fatal(list[0].Problems)
	}
}

// droppings are what other systems leave on a drive.
var droppings = []string{"._x", "._000001.pack", ".Trash-1000", "System Volume Information", ".fuse_hidden0001", "Thumbs.db", "000001.pack~",
	"000001.PACK", "0000001.pack", "x.commit", "FOUND.000", "desktop.ini", ".DS_Store"}

func TestDroppingsAreIgnored(t *testing.T) {
	_, d := newDrive(t)
	b := encodeCommit(t, newShipment(t, d, testShip, 4))
	_, err := d.WriteCommit(b)
	must(t, err)
	r := encodeReceipt(t, plainReceipt(8))
	_, err = d.WriteReceipt(r)
	must(t, err)
	before := look(t, d)
	for _, dir := range []string{".", topDir, routeDir(testRoute), shipmentsOf(testRoute), ShipmentDir(testRoute, testShip), receiptsOf(testRoute)} {
		for i, name := range droppings {
			if dir != "." {
				name = dir + "/" + name
			}
			if i%2 == 0 {
				putFile(t, d.fs, name, []byte("x"))
			} else {
				must(t, d.fs.Mkdir(name, 0o755))
			}
		}
	}
	// Names of the right form and the wrong kind.
	putFile(t, d.fs, topDir+"/"+wire.RouteID{9}.String(), nil)
	putFile(t, d.fs, shipmentsOf(testRoute)+"/"+ShipmentID{9}.String(), nil)
	must(t, d.fs.Symlink("/etc", topDir+"/"+wire.RouteID{10}.String()))
	must(t, d.fs.Symlink("/etc", shipmentsOf(testRoute)+"/"+ShipmentID{10}.String()))
	if diff := cmp.Diff(before, look(t, d)); diff != "" {
		t.Fatal(diff)
	}
	// A shipment goes, but nobody else's file with it.
	must(t, d.RemoveShipment(testRoute, testShip))
	left, err := d.fs.ReadDir(ShipmentDir(testRoute, testShip))
	must(t, err)
	for i := range left.Len() {
		if !slices.Contains(droppings, left.At(i)) {
			t.Errorf("%s is left", left.At(i))
		}
	}
	if left.Len() < len(droppings)-1 {
		t.Errorf("%d of %d droppings are left", left.Len(), len(droppings))
	}
}

// look is all that there is to see on a drive.
func look(t *testing.T, d *Drive) (seen []any) {
	t.Helper()
	routes, err := d.Routes()
	must(t, err)
	for _, r := range routes {
		s, err := d.Shipments(r)
		must(t, err)
		valid, problems, err := d.ReadReceipts(r)
		must(t, err)
		seen = append(seen, r.String(), s, valid, problems)
	}
	return seen
}

func TestOnlyTheNewestReceiptsStay(t *testing.T) {
	_, d := newDrive(t)
	numbers := func() (n []uint64) {
		t.Helper()
		valid, problems, err := d.ReadReceipts(testRoute)
		must(t, err)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		for _, f := range valid {
			n = append(n, f.Receipt.Number)
		}
		return n
	}
	for n := uint64(8); n < 13; n++ {
		b := encodeReceipt(t, plainReceipt(n))
		_, err := d.WriteReceipt(b)
		must(t, err)
		_, err = d.WriteReceipt(b)
		must(t, err)
	}
	if got := numbers(); !slices.Equal(got, []uint64{12, 11}) {
		t.Fatal(got)
	}
	// One below does not drive out those above.
	_, err := d.WriteReceipt(encodeReceipt(t, plainReceipt(10)))
	must(t, err)
	if got := numbers(); !slices.Equal(got, []uint64{12, 11, 10}) {
		t.Fatal(got)
	}
	// A damaged one does not count as the second, is named, and goes.
	flipByte(t, d.fs, receiptsOf(testRoute)+"/"+ReceiptName(12, encodeReceipt(t, plainReceipt(12))), 100)
	valid, problems, err := d.ReadReceipts(testRoute)
	must(t, err)
	if len(valid) != 2 || len(problems) != 1 || !errors.Is(problems[0], ErrReceipt) || !strings.Contains(problems[0].Error(), "/12-") {
		t.Fatal(valid, problems)
	}
	_, err = d.WriteReceipt(encodeReceipt(t, plainReceipt(13)))
	must(t, err)
	if got := numbers(); !slices.Equal(got, []uint64{13, 11}) {
		t.Fatal(got)
	}
}

func TestOlderReceiptsMakeRoom(t *testing.T) {
	m, d := newDrive(t)
	for n := uint64(1); n <= 2; n++ {
		_, err := d.WriteReceipt(encodeReceipt(t, plainReceipt(n)))
		must(t, err)
	}
	m.SetCapacity(used(t, m))
	_, err := d.WriteReceipt(encodeReceipt(t, plainReceipt(3)))
	must(t, err)
	valid, _, err := d.ReadReceipts(testRoute)
	must(t, err)
	if len(valid) != 2 || valid[0].Receipt.Number != 3 || valid[1].Receipt.Number != 2 {
		t.Fatal(valid)
	}
}

// used is what all files take, in pages.
func used(t *testing.T, m disk.FS) (n int64) {
	t.Helper()
	var walk func(dir string)
	walk = func(dir string) {
		names, err := m.ReadDir(dir)
		must(t, err)
		for i := range names.Len() {
			name := dir + "/" + names.At(i)
			if dir == "." {
				name = names.At(i)
			}
			st, err := m.Stat(name)
			must(t, err)
			if st.Kind == disk.KindDir {
				walk(name)
			}
			n += (st.Size + 4095) / 4096 * 4096
		}
	}
	walk(".")
	return n
}
