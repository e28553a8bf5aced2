//go:build unix

package model

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"waterlock/internal/chunk"
	"waterlock/internal/courier"
	"waterlock/internal/disk"
	"waterlock/internal/home"
	"waterlock/internal/vault"
	"waterlock/internal/wire"
	"waterlock/pack"
	"waterlock/tests/trees"
)

// treeNames are the trees of the home.
var treeNames = []string{"a", "b"}

// model is a home, drives and a vault, and what should be in them.
type model struct {
	t   *rapid.T
	dir string // of everything
	sum tally
	log []string

	route    wire.RouteID
	splitter *chunk.Splitter
	encoder  *pack.Encoder

	contents map[string]*content    // every content that files ever had, by its SHA-256
	size     map[chunk.ID]int       // compressed, of every data chunk of these
	streams  map[chunk.ID]*streamed // every stream chunk that was ever carried
	versions map[string][]*version  // everything that a path of the newest or an older snapshot was
	shipped  map[courier.ShipmentID]*shipment

	broken    map[string][]byte // files at home that cannot be read, and what they hold
	unmounted map[string]bool   // trees that are away
	edited    bool              // something since the last trip
	moved     bool              // a file got another name, or lost one, since the last snapshot
	setBack   bool              // a file was edited and its times were set back, since the last snapshot
	seed      uint64            // of the next piece of noise

	drives []*drive // three that take turns
	attic  []*drive // that got lost
	made   int      // drives made in all

	home     *homeView
	vault    *vaultView
	saved    [2]*savedSide                 // of home, of the vault
	theirs   map[string]string             // what somebody else wrote into the mirror: SHA-256, and where
	rotten   map[string]bool               // contents that rot made
	harmed   map[chunk.ID]bool             // chunks of which a place in the vault was ever harmed
	ordinals map[courier.ShipmentID]string // of shipments, as home counts them
	rolled   bool                          // a side was rolled back
	keeps    bool                          // home wanted something to stay in the mirror
}

// drive is a courier drive and what is wrong with it.
type drive struct {
	name  string
	id    courier.DriveID
	cargo map[courier.ShipmentID]*cargo
}

// cargo is a shipment as it lies on a drive.
type cargo struct {
	noCommit bool // its commit is not there, or damaged
	harm     map[string]*harm
}

func (m *model) path(parts ...string) string {
	return filepath.Join(append([]string{m.dir}, parts...)...)
}

func (d *drive) path(m *model) string { return m.path(d.name) }

func (m *model) shipmentPath(d *drive, s *shipment, file string) string {
	return filepath.Join(d.path(m), filepath.FromSlash(courier.ShipmentDir(m.route, s.id)), file)
}

func (m *model) statePath(parts ...string) string {
	return m.path(append([]string{"state", "routes", "r"}, parts...)...)
}

// must ends the history where the model itself fails.
func (m *model) must(err error) {
	if err != nil {
		m.t.Helper()
		m.fail("the model: %v", err)
	}
}

func (m *model) note(format string, a ...any) { m.log = append(m.log, fmt.Sprintf(format, a...)) }

// fail ends the history and tells what led to it.
func (m *model) fail(format string, a ...any) {
	m.t.Helper()
	m.t.Fatalf("%s\nafter:\n  %s", fmt.Sprintf(format, a...), strings.Join(m.log, "\n  "))
}

// ramDisk is where histories lie, in memory where there is such a place: what
// syncs are for is tested with disks that crash.
func ramDisk() string {
	if st, err := os.Stat("/dev/shm"); err == nil && st.IsDir() {
		return "/dev/shm"
	}
	return ""
}

func newModel(t *rapid.T) *model {
	dir, err := os.MkdirTemp(ramDisk(), "wl-model-")
	if err != nil {
		t.Fatal(err)
	}
	m := &model{
		t: t, dir: dir, sum: tally{done: map[string]int{}},
		contents: map[string]*content{}, size: map[chunk.ID]int{}, streams: map[chunk.ID]*streamed{},
		versions: map[string][]*version{}, shipped: map[courier.ShipmentID]*shipment{},
		broken: map[string][]byte{}, unmounted: map[string]bool{}, home: newHomeView(), vault: newVaultView(),
		theirs: map[string]string{}, rotten: map[string]bool{}, harmed: map[chunk.ID]bool{}, ordinals: map[courier.ShipmentID]string{},
	}
	m.makeRoute()
	for range 3 {
		m.drives = append(m.drives, m.newDrive())
	}
	return m
}

func (m *model) remove() { os.RemoveAll(m.dir) }

// makeRoute makes the trees and the route, with chunks small enough that a few
// files have many.
func (m *model) makeRoute() {
	var roots []string
	for _, name := range treeNames {
		m.must(os.MkdirAll(m.path("home", name), 0o755))
		roots = append(roots, m.path("home", name))
	}
	res, err := home.Init(context.Background(), home.InitOptions{State: m.path("state"), Name: "r", Trees: roots})
	m.must(err)
	m.route, err = wire.ParseRouteID(res.RouteID)
	m.must(err)
	params := chunk.Params{Polynomial: 0x3DA3358B4DC173, Min: 8 << 10, Max: 64 << 10, AverageBits: 14}
	m.splitter = chunk.NewSplitter(params)
	m.encoder, err = pack.NewEncoder(0)
	m.must(err)
	text, err := os.ReadFile(res.Config)
	m.must(err)
	lines := strings.Split(string(text), "\n")
	for i, line := range lines {
		key, _, _ := strings.Cut(line, " = ")
		switch key {
		case "polynomial":
			lines[i] = fmt.Sprintf("polynomial = '0x%x'", params.Polynomial)
		case "min":
			lines[i] = fmt.Sprintf("min = %d", params.Min)
		case "max":
			lines[i] = fmt.Sprintf("max = %d", params.Max)
		case "average_bits":
			lines[i] = fmt.Sprintf("average_bits = %d", params.AverageBits)
		case "max_vanished":
			lines[i] = "max_vanished = 100"
		}
	}
	m.must(os.WriteFile(res.Config, []byte(strings.Join(lines, "\n")), 0o600))
}

func (m *model) newDrive() *drive {
	m.made++
	d := &drive{name: fmt.Sprintf("drive%d", m.made), cargo: map[courier.ShipmentID]*cargo{}}
	m.must(os.Mkdir(d.path(m), 0o755))
	dir, err := disk.Dir(d.path(m))
	m.must(err)
	defer dir.Close()
	c, err := courier.InitDrive(dir, d.name)
	m.must(err)
	d.id = c.ID()
	return d
}

// trip is what is special about one run of pack.
type trip struct {
	limit      int64 // bytes of packs; 0: all that is to be carried
	packSize   int64
	how        cut
	at         int // so many words to its reporter
	vanished   home.Answer
	reconsider bool // earlier answers no longer count
	hasty      bool // carries data without an inventory, where one is due
}

func (m *model) drawTrip() trip {
	o := trip{hasty: m.roll("hasty", 3) == 0, packSize: pick(m, "pack size", []int64{0, 64 << 10, 200 << 10}),
		vanished: pick(m, "vanished", []home.Answer{home.AnswerPropagate, home.AnswerPropagate, home.AnswerKeep, home.AnswerAsk})}
	switch m.between("cut short", 0, 5) {
	case 0:
		o.limit = 20<<10 + m.offset("limit", 280<<10)
	case 1:
		o.how, o.at = stop, m.drawMoment()
	case 2:
		o.limit = -1 // a snapshot and no data
	}
	return o
}

// pack runs wl pack and holds the shipment to what it should carry.
func (m *model) pack(d *drive, o trip) {
	m.age()
	now := m.takeHome()
	want := m.foresee(d)
	j := job{State: m.path("state"), Drive: d.path(m), Limit: o.limit, PackSize: o.packSize, Vanished: o.vanished, Hasty: o.hasty, At: o.at, How: o.how}
	if o.reconsider {
		j.Reconsider = []string{"*"}
	}
	m.keeps = m.keeps || o.vanished == home.AnswerKeep
	out, err := m.run(j)
	m.note("  pack onto %s %+v: snapshot %d, finished %v, pending %d, unseen %d, why %q, err %v%s", d.name, o, out.pack.Snapshot, out.pack.Finished,
		out.pack.Pending, out.pack.Unseen, out.pack.Why, err, out.said)
	stopped := o.how == stop && out.pack.Interrupted && out.pack.Snapshot == 0
	if err != nil && !errors.Is(err, errCut) && !stopped {
		m.fail("pack: %v", err)
	}
	m.sync()
	m.lookAtCommits(d)
	if err == nil {
		m.checkForeseen(want)
		if r := m.receiptOn(d); r != nil && r.Number > m.home.receipt().Number {
			m.fail("receipt %d was on the drive, home knows %d", r.Number, m.home.receipt().Number)
		}
	}
	_, _, lacks := m.home.horizon()
	m.learn(d, now, m.due(now), o.limit != 0 || o.how != toTheEnd || lacks, err == nil)
}

// age lets what was edited just now become old enough to be believed unchanged the next time.
func (m *model) age() {
	if m.edited {
		time.Sleep(12 * time.Millisecond)
	}
	m.edited = false
}

// join makes the vault of what the first drive brings.
func (m *model) join(d *drive) {
	_, err := vault.Init(context.Background(), vault.InitOptions{Path: m.path("vault"), Drive: d.path(m)})
	m.must(err)
	m.vault.receipt = m.ownReceipt()
}

// unpack runs wl unpack, cut off or not, and holds the vault to what it should have.
func (m *model) unpack(d *drive, how cut, at int) {
	out, err := m.run(job{Vault: m.path("vault"), Drive: d.path(m), At: at, How: how})
	m.note("  unpack of %s, %v at %d: snapshot %d, receipt %d, wants %d, awaited %d, err %v%s", d.name, how, at, out.unpack.Snapshot, out.unpack.Receipt,
		out.unpack.Wants, out.unpack.Awaited, err, out.said)
	if errors.Is(err, errCut) {
		m.deliverPart(d)
		return
	}
	if err != nil {
		m.fail("unpack: %v", err)
	}
	m.deliver(d)
	m.checkReceipt(d)
	m.checkMirror(lenient)
	m.checkSnapshots(3)
}

// verify reads the whole vault back.
func (m *model) verify() {
	w := newWords(0, nil)
	res, err := vault.Verify(context.Background(), vault.VerifyOptions{Vault: m.path("vault"), Report: w})
	m.note("  verify: %+v, err %v%s", res, err, w.said())
	if err != nil {
		m.fail("verify: %v", err)
	}
	m.settleRot()
	m.checkReceipt(nil)
	m.checkSnapshots(3)
}

// ownReceipt is the newest receipt that the vault has kept.
func (m *model) ownReceipt() *courier.Receipt {
	names, err := filepath.Glob(m.path("vault", ".wl", "receipts", "*.receipt"))
	m.must(err)
	var newest *courier.Receipt
	for _, name := range names {
		b, err := os.ReadFile(name)
		m.must(err)
		r, err := courier.DecodeReceipt(b)
		m.must(err)
		if newest == nil || r.Number > newest.Number {
			newest = r
		}
	}
	return newest
}

// take is the exact state of a directory.
func (m *model) take(dir string, skip func(string) bool) trees.Tree {
	t, err := trees.Take(dir, trees.Options{Skip: skip})
	m.must(err)
	return t
}

// copyTree copies everything about a directory, hard links and times too.
func (m *model) copyTree(from, to string) {
	out, err := exec.Command("cp", "-a", from, to).CombinedOutput()
	if err != nil {
		m.fail("cp -a %s %s: %v %s", from, to, err, out)
	}
}

func sorted[K ~string, V any](set map[K]V) []K { return slices.Sorted(maps.Keys(set)) }

func notThere(err error) bool { return errors.Is(err, fs.ErrNotExist) }
