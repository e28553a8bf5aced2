package home

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"waterlock/internal/chunk"
	"waterlock/internal/courier"
	"waterlock/internal/disk"
	"waterlock/internal/disk/disktest"
	"waterlock/internal/exit"
	"waterlock/internal/report"
	"waterlock/internal/wire"
	"waterlock/pack"
	"waterlock/snapshot"
)

// world is a home with its trees and drives, small enough that a run takes milliseconds.
type world struct {
	t     *testing.T
	cfg   *Config
	route wire.RouteID
	state disk.FS
	index string
	drive disk.FS
	trees map[string]disk.FS // by name; absent: missing
	roots map[string]string  // real directories behind them
	read  atomic.Int64       // bytes read of files of the trees
	rep   *report.Recorder
	opts  PackOptions
}

func newWorld(t *testing.T, trees ...string) *world {
	t.Helper()
	pol, err := chunk.DefaultParams()
	must(t, err)
	var route wire.RouteID
	copy(route[:], "route-of-a-test!")
	cfg := defaultConfig()
	cfg.Format, cfg.Name, cfg.RouteID, cfg.Created = ConfigFormat, "r", route.String(), time.Unix(1750000000, 0).UTC()
	cfg.Chunker = chunkerConf{Polynomial: fmt.Sprintf("%x", pol.Polynomial), Min: 2 << 10, Max: 16 << 10, AverageBits: 12}
	w := &world{t: t, cfg: &cfg, route: route, index: filepath.Join(tempDir(t), "index"), trees: map[string]disk.FS{}, roots: map[string]string{}}
	w.opts = PackOptions{PackSize: 128 << 10}
	state, err := disk.Dir(tempDir(t))
	must(t, err)
	w.state = state
	w.newDrive("A")
	if len(trees) == 0 {
		trees = []string{"docs"}
	}
	for _, name := range trees {
		root := filepath.Join(tempDir(t), name)
		must(t, os.Mkdir(root, 0o755))
		w.roots[name] = root
		fs, err := disk.Dir(root)
		must(t, err)
		w.trees[name] = &readCounter{FS: fs, n: &w.read}
		cfg.Trees = append(cfg.Trees, Tree{Name: name, Path: root})
	}
	return w
}

// tempDir is a directory that goes when the test ends, in memory where there is such a place: syncs are many here, and
// what they are for is tested with disks that crash.
func tempDir(t testing.TB) string {
	t.Helper()
	if dir, err := os.MkdirTemp("/dev/shm", "wl-home-"); err == nil {
		t.Cleanup(func() { os.RemoveAll(dir) })
		return dir
	}
	return t.TempDir()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newDrive puts another drive in.
func (w *world) newDrive(label string) disk.FS {
	w.t.Helper()
	fs, err := disk.Dir(tempDir(w.t))
	must(w.t, err)
	w.useDrive(fs, label)
	return fs
}

func (w *world) useDrive(fs disk.FS, label string) {
	w.t.Helper()
	d, err := courier.InitDrive(fs, label)
	must(w.t, err)
	_ = d
	w.drive = fs
}

func (w *world) site() *site {
	return &site{
		cfg: w.cfg, route: w.route, state: w.state, index: w.index, now: time.Now,
		openDrive: func() (*courier.Drive, error) { return courier.OpenFS(keepOpen{w.drive}, "") },
		openTree: func(t Tree) (disk.FS, error) {
			fs, ok := w.trees[t.Name]
			if !ok {
				return nil, os.ErrNotExist
			}
			return keepOpen{fs}, nil
		},
	}
}

// keepOpen is a file system that a run does not close.
type keepOpen struct{ disk.FS }

func (keepOpen) Close() error { return nil }

// pack runs Pack and wants it to succeed.
func (w *world) pack() PackResult {
	w.t.Helper()
	res, err := w.tryPack()
	must(w.t, err)
	return res
}

func (w *world) tryPack() (PackResult, error) { return w.packCtx(context.Background()) }

func (w *world) packCtx(ctx context.Context) (PackResult, error) {
	w.rep = &report.Recorder{}
	o := w.opts
	o.Report = w.rep
	w.read.Store(0)
	return w.site().pack(ctx, o)
}

func (w *world) path(parts ...string) string {
	return filepath.Join(append([]string{w.roots[w.cfg.Trees[0].Name]}, parts...)...)
}

// write makes a file of random bytes in the first tree, with an age, so that it is not taken for freshly changed.
func (w *world) write(name string, size int, seed uint64) {
	w.t.Helper()
	must(w.t, os.MkdirAll(filepath.Dir(w.path(name)), 0o755))
	must(w.t, os.WriteFile(w.path(name), random(size, seed), 0o644))
}

// settleClock waits until what was written does not count as freshly changed any more.
func settleClock() { time.Sleep(2 * freshChange) }

func random(size int, seed uint64) []byte {
	var key [32]byte
	key[0], key[1], key[2] = byte(seed), byte(seed>>8), byte(seed>>16)
	b := make([]byte, size)
	rand.NewChaCha8(key).Read(b)
	return b
}

// readCounter counts the bytes read of files.
type readCounter struct {
	disk.FS
	n *atomic.Int64
}

func (c *readCounter) Open(name string) (disk.File, error) {
	f, err := c.FS.Open(name)
	if err != nil {
		return nil, err
	}
	return &countedFile{f, c.n}, nil
}

func (c *readCounter) Sub(name string) (disk.FS, error) {
	fs, err := c.FS.Sub(name)
	if err != nil {
		return nil, err
	}
	return &readCounter{fs, c.n}, nil
}

type countedFile struct {
	disk.File
	n *atomic.Int64
}

func (f *countedFile) Read(p []byte) (int, error) {
	n, err := f.File.Read(p)
	f.n.Add(int64(n))
	return n, err
}

func (f *countedFile) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.File.ReadAt(p, off)
	f.n.Add(int64(n))
	return n, err
}

// vault is the far end as far as a home can tell: it takes shipments off drives, reads snapshots, writes receipts.
type vault struct {
	w         *world
	number    uint64
	epoch     courier.Epoch
	chunks    map[chunk.ID][]byte
	kinds     map[chunk.ID]chunk.Kind
	taken     []courier.Taken
	newest    *snapshot.Record
	records   map[uint64]*snapshot.Record
	wants     []courier.Want
	readSince time.Time
	inventory bool                  // the next receipts bring one
	list      []byte                // that of the last receipt
	asked     bool                  // the last commit taken asks for one
	out       []courier.OutShipment // of the last commit taken
	cleared   uint64
}

func (w *world) newVault() *vault {
	return &vault{w: w, epoch: courier.Epoch{1}, chunks: map[chunk.ID][]byte{}, kinds: map[chunk.ID]chunk.Kind{}, records: map[uint64]*snapshot.Record{}}
}

// take takes every committed shipment off a drive that it has not taken yet; every record has to be good.
func (v *vault) take(drive disk.FS) {
	v.w.t.Helper()
	t := v.w.t
	d, err := courier.OpenFS(keepOpen{drive}, "")
	must(t, err)
	infos, err := d.Shipments(v.w.route)
	must(t, err)
	for _, info := range infos {
		for _, p := range info.Problems {
			if info.Committed {
				t.Error(p)
			}
		}
		if !info.Committed {
			continue
		}
		c := info.Commits[0].Commit
		if v.newest == nil || c.Snapshot.Number >= v.newest.Number {
			v.asked, v.out = c.Inventory, c.Out
		}
		if slices.ContainsFunc(v.taken, func(t courier.Taken) bool { return t.Shipment == c.Shipment }) {
			continue
		}
		for _, ref := range c.Files {
			data, err := disk.ReadAll(drive, info.Path+"/"+ref.Name, pack.MaxSize)
			must(t, err)
			if chunk.SumDigest(data) != ref.Digest || int64(len(data)) != ref.Size {
				t.Fatalf("%s/%s is not what the commit says", info.Path, ref.Name)
			}
			p, err := pack.Open(bytes.NewReader(data), ref.Size)
			must(t, err)
			for _, place := range p.Places() {
				plain, err := p.Read(place, nil)
				must(t, err)
				v.chunks[place.ID] = bytes.Clone(plain)
				v.kinds[place.ID] = p.Kind()
			}
		}
		rec := c.Snapshot
		v.records[rec.Number] = &rec
		if v.newest == nil || rec.Number > v.newest.Number {
			v.newest = &rec
		}
		taken := courier.Taken{Number: rec.Number, Shipment: c.Shipment, Records: c.Records(), All: true}
		if !slices.ContainsFunc(v.taken, func(t courier.Taken) bool { return t.Shipment == taken.Shipment }) {
			v.taken = append(v.taken, taken)
		}
	}
}

// receipt writes the next receipt onto a drive.
func (v *vault) receipt(drive disk.FS) {
	v.w.t.Helper()
	d, err := courier.OpenFS(keepOpen{drive}, "")
	must(v.w.t, err)
	data := v.nextReceipt()
	if v.list != nil {
		r, err := courier.DecodeReceipt(data)
		must(v.w.t, err)
		_, err = d.WriteInventory(r, bytes.NewReader(v.list))
		must(v.w.t, err)
	}
	_, err = d.WriteReceipt(data)
	must(v.w.t, err)
}

// nextReceipt makes the next receipt.
func (v *vault) nextReceipt() []byte {
	v.w.t.Helper()
	v.number++
	r := &courier.Receipt{Route: v.w.route, VaultName: "v", Epoch: v.epoch, Number: v.number, Time: time.Unix(1750000000+int64(v.number), 0).UTC(),
		Taken: v.taken, Wants: v.wants, ReadSince: v.readSince, Cleared: v.cleared}
	if v.newest != nil {
		r.HighestSnapshot, r.NewestArrived = v.newest.Number, v.newest.Number
	}
	v.list = nil
	if v.inventory {
		v.makeInventory(r)
	}
	data, err := courier.EncodeReceipt(r)
	must(v.w.t, err)
	return data
}

// makeInventory lists all chunks, and names the list in the receipt.
func (v *vault) makeInventory(r *courier.Receipt) {
	v.w.t.Helper()
	var b bytes.Buffer
	in, err := courier.NewInventoryWriter(&b, courier.InventoryOf(r))
	must(v.w.t, err)
	for _, id := range slices.SortedFunc(maps.Keys(v.chunks), chunk.ID.Compare) {
		must(v.w.t, in.Add(id))
	}
	r.Inventory, err = in.Close()
	must(v.w.t, err)
	v.list = b.Bytes()
}

// Get is a snapshot.Getter over all that was taken.
func (v *vault) Get(id chunk.ID, k chunk.Kind, length int64, buf []byte) ([]byte, error) {
	b, ok := v.chunks[id]
	if !ok || v.kinds[id] != k {
		return nil, fmt.Errorf("no chunk %s", id)
	}
	return b, nil
}

// entries reads one tree of a snapshot.
func (v *vault) entries(rec *snapshot.Record, tree string) map[string]*snapshot.Entry {
	v.w.t.Helper()
	tr, ok := rec.Tree(tree)
	if !ok {
		v.w.t.Fatalf("no tree %s in snapshot %d", tree, rec.Number)
	}
	out := map[string]*snapshot.Entry{}
	sr := snapshot.NewStreamReader(*tr, v)
	for {
		e, err := sr.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		must(v.w.t, err)
		out[e.Path] = e.Clone()
	}
}

// content puts a file together.
func (v *vault) content(e *snapshot.Entry) []byte {
	v.w.t.Helper()
	var out []byte
	for _, x := range e.Content {
		if x.Hole {
			out = append(out, make([]byte, x.Length)...)
			continue
		}
		b, err := v.Get(x.ID, chunk.Data, x.Length, nil)
		if err != nil {
			v.w.t.Fatalf("%s: %v", e.Path, err)
		}
		out = append(out, b...)
	}
	if chunk.SumContent(out) != e.Hash {
		v.w.t.Errorf("%s: the hash is not that of the content", e.Path)
	}
	return out
}

// equals compares the newest snapshot with the first tree as it is now, every file and its size, mode and times.
func (v *vault) equals() {
	v.w.t.Helper()
	t, w := v.w.t, v.w
	got := v.entries(v.newest, w.cfg.Trees[0].Name)
	root := w.path()
	count := 0
	must(t, filepath.Walk(root, func(path string, info os.FileInfo, err error) error {
		must(t, err)
		rel, _ := filepath.Rel(root, path)
		if rel == "." {
			rel = ""
		}
		count++
		e := got[filepath.ToSlash(rel)]
		if e == nil {
			t.Errorf("%s is not in the snapshot", rel)
			return nil
		}
		if e.Pending || e.Unseen {
			t.Errorf("%s: pending %v, unseen %v", rel, e.Pending, e.Unseen)
		}
		if e.MTime.Time().UnixNano() != info.ModTime().UnixNano() || e.Mode&0o777 != uint32(info.Mode().Perm()) {
			t.Errorf("%s: mtime or mode differ", rel)
		}
		if !info.Mode().IsRegular() {
			return nil
		}
		want, err := os.ReadFile(path)
		must(t, err)
		if !bytes.Equal(want, v.content(e)) {
			t.Errorf("%s: content differs", rel)
		}
		return nil
	}))
	if count != len(got) {
		t.Errorf("the snapshot has %d entries, the tree %d", len(got), count)
	}
}

func wantCode(t *testing.T, err error, code exit.Code) {
	t.Helper()
	if exit.Of(err) != code {
		t.Fatalf("exit code %d, expected %d: %v", exit.Of(err), code, err)
	}
}

var _ = disktest.NewMem

func walkFiles(dir string, fn func(path string) error) error {
	return filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err != nil || !info.Mode().IsRegular() {
			return err
		}
		return fn(path)
	})
}

// afterBytes does something once so many bytes were read.
type afterBytes struct {
	*readCounter
	limit int64
	do    func()
	done  bool
}

func (a *afterBytes) Open(name string) (disk.File, error) {
	if a.n.Load() >= a.limit && !a.done {
		a.done = true
		a.do()
	}
	return a.readCounter.Open(name)
}
