package homecoming

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
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

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const piece = 4 << 10

// origin is a tree of a few files, and the streams that tell of it.
type origin struct {
	record  snapshot.Record
	entries []*snapshot.Entry
	plain   map[chunk.ID][]byte
	kinds   map[chunk.ID]chunk.Kind
}

func newOrigin(t testing.TB, tree string) *origin {
	o := &origin{plain: map[chunk.ID][]byte{}, kinds: map[chunk.ID]chunk.Kind{}}
	uid, gid := uint32(max(os.Geteuid(), 0)), uint32(max(os.Getegid(), 0))
	o.entries = []*snapshot.Entry{
		{Kind: disk.KindDir, Mode: 0o755, MTime: disk.Time{Sec: 5}},
		{Path: "a", Kind: disk.KindFile, Mode: 0o644, Size: 3 * piece},
		{Path: "d", Kind: disk.KindDir, Mode: 0o750, MTime: disk.Time{Sec: 6}},
		{Path: "d/b", Kind: disk.KindFile, Mode: 0o600, Size: 6 * piece},
		{Path: "d/c", Kind: disk.KindFile, Mode: 0o600, Size: piece},
		{Path: "e", Kind: disk.KindSymlink, Mode: 0o777, Target: "a"},
	}
	rec := snapshot.TreeRecord{Name: tree, Root: "/srv/" + tree}
	w := snapshot.NewStreamWriter(func(plain []byte, ref snapshot.StreamRef) error {
		o.plain[ref.ID], o.kinds[ref.ID] = bytes.Clone(plain), chunk.Stream
		rec.Chunks = append(rec.Chunks, ref)
		return nil
	})
	for i, e := range o.entries {
		e.UID, e.GID = uid, gid
		if e.Kind == disk.KindFile {
			data := make([]byte, e.Size)
			rand.NewChaCha8([32]byte{byte(i)}).Read(data)
			e.Hash = chunk.SumContent(data)
			for off := 0; off < len(data); off += piece {
				part := data[off : off+piece]
				id := chunk.Data.ID(part)
				o.plain[id], o.kinds[id] = part, chunk.Data
				e.Content = append(e.Content, snapshot.Extent{ID: id, Length: piece})
			}
		}
		must(t, w.Add(e))
	}
	var err error
	rec.Totals, err = w.Close()
	must(t, err)
	o.record = snapshot.Record{Number: 7, Time: time.Unix(1e9, 0).UTC(), Host: "old", Trees: []snapshot.TreeRecord{rec}}
	return o
}

// put writes a pack of these chunks.
func (o *origin) put(t testing.TB, fsys disk.FS, name string, k chunk.Kind, ids []chunk.ID) courier.FileRef {
	t.Helper()
	enc, err := pack.NewEncoder(0)
	must(t, err)
	var b bytes.Buffer
	w, err := pack.NewWriter(&b, k)
	must(t, err)
	for _, id := range ids {
		s, err := enc.Encode(k, o.plain[id], nil)
		must(t, err)
		_, err = w.Append(s)
		must(t, err)
	}
	sum, err := w.Close()
	must(t, err)
	_, err = disk.PutFinal(fsys, name, b.Bytes())
	must(t, err)
	return courier.FileRef{Name: filepath.Base(name), Kind: k, Size: sum.Size, Records: uint32(sum.Records), Digest: sum.Digest, ReadBack: disk.Cold}
}

// returnOf puts a return onto a drive: the streams, and the chunks with these
// numbers, counted over all files.
func (o *origin) returnOf(t testing.TB, d *courier.Drive, id byte, from, to int, change func(*courier.Return)) string {
	t.Helper()
	params, err := chunk.DefaultParams()
	must(t, err)
	r := &courier.Return{
		Route: courier.RouteInfo{ID: wire.RouteID{1}, Name: "r", Created: time.Unix(1e9, 0).UTC(), Chunker: params},
		ID:    courier.ReturnID{id}, Drive: d.ID(), Time: time.Unix(1e9+int64(id), 0).UTC(), Tool: "test", Vault: "vault", Snapshot: o.record,
	}
	dir, err := d.CreateReturn(r.Route.ID, r.Homecoming(), r.ID)
	must(t, err)
	var streams, chunks []chunk.ID
	for id, k := range o.kinds {
		if k == chunk.Stream {
			streams = append(streams, id)
		}
	}
	var cover courier.CoverBuilder
	n := 0
	for _, e := range o.entries {
		if e.Kind != disk.KindFile {
			continue
		}
		var pieces []snapshot.Range
		for i, x := range e.Content {
			if n >= from && n < to {
				chunks = append(chunks, x.ID)
				pieces = snapshot.AddRange(pieces, snapshot.Range{Offset: int64(i) * piece, Length: piece})
			}
			n++
		}
		if len(pieces) == 1 && pieces[0].Length == e.Size {
			cover.Whole(o.record.Trees[0].Name, e.Path, e.Path)
		} else {
			cover.Part(o.record.Trees[0].Name, e.Path, pieces)
		}
	}
	r.Files = append(r.Files, o.put(t, d.FS(), dir+"/000001.meta", chunk.Stream, streams))
	if len(chunks) > 0 {
		r.Files = append(r.Files, o.put(t, d.FS(), dir+"/000001.pack", chunk.Data, chunks))
	}
	r.Brings = cover.Cover()
	if change != nil {
		change(r)
	}
	b, err := courier.EncodeReturn(r)
	must(t, err)
	_, err = d.WriteReturn(b)
	must(t, err)
	return dir
}

func memDrive(t testing.TB) (*disktest.Mem, *courier.Drive) {
	m := disktest.NewMem()
	d, err := courier.InitDrive(m, "memory")
	must(t, err)
	return m, d
}

// fromTo takes what a drive brings to a target, both of any kind.
func fromTo(drive, target disk.FS, rep report.Reporter) (r Result, err error) {
	d, err := courier.OpenFS(drive, "")
	if err != nil {
		return r, err
	}
	c := &coming{o: Options{Report: rep}, drive: d, result: &r}
	if err := c.choose(); err != nil {
		return r, err
	}
	if c.place, err = readPlace(target, c.o, c.route, c.id); err != nil {
		return r, err
	}
	return r, c.run(context.Background())
}

// newestLanding is the newest valid landing in a directory.
func newestLanding(t testing.TB, fsys disk.FS, dir string, o *origin) *courier.Landing {
	t.Helper()
	list, _, err := courier.ReadLandings(fsys, dir, wire.RouteID{1}, courier.HomecomingOf(&o.record, nil))
	must(t, err)
	if len(list) == 0 {
		return nil
	}
	return list[0].Landing
}

// truth checks that all that a landing says is there is.
func (o *origin) truth(t testing.TB, what string, target disk.FS, l *courier.Landing) {
	t.Helper()
	if l == nil {
		return
	}
	tree := o.record.Trees[0].Name
	for _, e := range o.entries {
		whole, _ := l.There.Of(tree, e.Path)
		if e.Kind != disk.KindFile || !whole {
			continue
		}
		b, err := disk.ReadAll(target, tree+"/"+e.Path, 1<<30)
		if err != nil || chunk.SumContent(b) != e.Hash {
			t.Fatalf("%s: %s is said to be there: %v", what, e.Path, err)
		}
	}
	if l.Complete {
		if st, err := target.Stat(tree + "/e"); err != nil || st.Kind != disk.KindSymlink {
			t.Fatalf("%s: said to be complete: %v", what, err)
		}
	}
}

func (o *origin) dirs() (place, drive string) {
	id := courier.HomecomingOf(&o.record, nil)
	return PlaceDir + "/" + id.String(), courier.HomecomingDir(wire.RouteID{1}, id)
}

// The power goes at any moment at the new home: what a landing says is there, the
// drive never knows more than the target, and the run is simply made again.
func TestCrashAtEveryStepAtTheNewHome(t *testing.T) {
	o := newOrigin(t, "docs")
	placeDir, driveDir := o.dirs()
	for k := 0; ; k++ {
		drive, d := memDrive(t)
		o.returnOf(t, d, 1, 0, 5, nil)
		o.returnOf(t, d, 2, 5, 99, nil)
		m := disktest.NewMem()
		m.CrashAfter(k)
		r, err := fromTo(drive, m, report.Discard)
		told := newestLanding(t, drive, driveDir, o)
		for _, mode := range disktest.Modes {
			what := fmt.Sprintf("crash after %d, %v", k, mode)
			after := m.Crashed(mode, uint64(k))
			l := newestLanding(t, after, placeDir, o)
			o.truth(t, what, after, l)
			if told != nil && (l == nil || l.Number < told.Number) {
				t.Fatalf("%s: the drive knows landing %d, the target does not", what, told.Number)
			}
			if !m.DidCrash() && (err != nil || !r.Complete || !r.Told || l == nil || !l.Complete) {
				t.Fatalf("%s: %+v, %v", what, r, err)
			}
			if k%5 != 0 && m.DidCrash() {
				continue
			}
			if r, err := fromTo(drive, after, report.Discard); err != nil || !r.Complete {
				t.Fatalf("%s, again: %+v, %v", what, r, err)
			}
			o.truth(t, what+", again", after, newestLanding(t, after, placeDir, o))
		}
		if !m.DidCrash() {
			return
		}
	}
}

// Any operation fails, at the target or on the drive: nothing is said to be there
// that is not.
func TestFaultAtEveryStepAtTheNewHome(t *testing.T) {
	o := newOrigin(t, "docs")
	placeDir, driveDir := o.dirs()
	for _, onDrive := range []bool{false, true} {
		for _, kind := range disktest.FaultKinds {
			for k := 1 + int(kind); ; k += 5 {
				drive, d := memDrive(t)
				o.returnOf(t, d, 1, 0, 99, nil)
				m := disktest.NewMem()
				fault := disktest.NewFault(m)
				var from, to disk.FS = drive, fault
				if onDrive {
					fault = disktest.NewFault(drive)
					from, to = fault, m
				}
				fault.CountReads(true)
				fault.FailAt(k, kind, false)
				var rep report.Recorder
				r, err := fromTo(from, to, &rep)
				what := fmt.Sprintf("drive %v, %v at %d (%s)", onDrive, kind, k, fault.Failed())
				after := m.Crashed(disktest.Strict, 0)
				l := newestLanding(t, after, placeDir, o)
				o.truth(t, what, after, l)
				if err == nil && r.Complete && (l == nil || !l.Complete) {
					t.Fatalf("%s: said to be complete: %+v", what, r)
				}
				if err == nil && r.Told && newestLanding(t, drive.Crashed(disktest.Strict, 0), driveDir, o) == nil {
					t.Fatalf("%s: said to be told: %+v", what, r)
				}
				if err == nil && !r.Complete && len(rep.Problems()) == 0 {
					t.Fatalf("%s: not complete, and nothing is named: %+v", what, r)
				}
				if fault.Failed() == "" {
					if err != nil || !r.Complete || !r.Told {
						t.Fatalf("%s: %+v, %v", what, r, err)
					}
					break
				}
			}
		}
	}
}

func TestADriveThatIsPulledOutIsNoDamage(t *testing.T) {
	o := newOrigin(t, "docs")
	placeDir, _ := o.dirs()
	for reads := 1; reads < 40; reads += 3 {
		drive, d := memDrive(t)
		o.returnOf(t, d, 1, 0, 99, nil)
		m := disktest.NewMem()
		var rep report.Recorder
		_, err := fromTo(&pulled{FS: drive, left: reads}, m, &rep)
		if err == nil {
			return
		}
		if !strings.Contains(err.Error(), "plug it in") && reads > 8 {
			t.Errorf("after %d: %v", reads, err)
		}
		if newestLanding(t, m, placeDir, o) != nil {
			t.Errorf("after %d: something is said to have come", reads)
		}
	}
}

// pulled is a drive that answers so many opens.
type pulled struct {
	disk.FS
	left int
}

var errPulled = errors.New("no such device")

func (p *pulled) Open(name string) (disk.File, error) {
	if p.left--; p.left < 0 {
		return nil, errPulled
	}
	return p.FS.Open(name)
}

func (p *pulled) Stat(name string) (disk.Stat, error) {
	if p.left--; p.left < 0 {
		return disk.Stat{}, errPulled
	}
	return p.FS.Stat(name)
}

func TestHostileReturnsWriteNothingElsewhere(t *testing.T) {
	for name, c := range map[string]struct {
		tree    string
		change  func(r *courier.Return)
		prepare func(dir, outside string)
	}{
		"a tree of our own name": {tree: PlaceDir},
		"the same in capitals":   {tree: strings.ToUpper(PlaceDir)},
		"a link in the place of the tree": {tree: "docs", prepare: func(dir, outside string) {
			must(t, os.Symlink(outside, filepath.Join(dir, "docs")))
		}},
		"a link in the place of a directory": {tree: "docs", prepare: func(dir, outside string) {
			must(t, os.Mkdir(filepath.Join(dir, "docs"), 0o755))
			must(t, os.Symlink(outside, filepath.Join(dir, "docs/d")))
		}},
		"a link in the place of what grows": {tree: "docs", prepare: func(dir, outside string) {
			must(t, os.MkdirAll(filepath.Join(dir, "docs/d"), 0o755))
			for i := range 16 {
				must(t, os.Symlink(filepath.Join(outside, "victim"), filepath.Join(dir, "docs/d", fmt.Sprintf(".wl-restore-%016x", i))))
			}
		}},
		"more files than there are": {tree: "docs", change: func(r *courier.Return) {
			r.Brings = courier.Cover{{Tree: "docs", Spans: []courier.Span{{From: "a", To: "zzz"}}}}
		}},
		"fewer records than there are": {tree: "docs", change: func(r *courier.Return) { r.Files[1].Records = 1 }},
	} {
		o := newOrigin(t, c.tree)
		drive := t.TempDir()
		root, err := disk.Dir(drive)
		must(t, err)
		d, err := courier.InitDrive(root, "hostile")
		must(t, err)
		o.returnOf(t, d, 1, 0, 99, c.change)
		target, outside := t.TempDir(), t.TempDir()
		must(t, os.WriteFile(filepath.Join(outside, "victim"), []byte("victim"), 0o600))
		if c.prepare != nil {
			c.prepare(target, outside)
		}
		r, err := FromDrive(context.Background(), Options{Drive: drive, Target: target})
		names, _ := os.ReadDir(outside)
		b, _ := os.ReadFile(filepath.Join(outside, "victim"))
		if len(names) != 1 || string(b) != "victim" {
			t.Errorf("%s: wrote elsewhere: %v, %+v, %v", name, names, r, err)
		}
		if c.prepare == nil && c.change == nil && r.Complete {
			t.Errorf("%s: %+v", name, r)
		}
		if _, err := os.Lstat(filepath.Join(target, PlaceDir, "d")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: wrote into %s", name, PlaceDir)
		}
		root.Close()
	}
}

func TestOneAtATimeAtATarget(t *testing.T) {
	o := newOrigin(t, "docs")
	drive, target := t.TempDir(), t.TempDir()
	root, err := disk.Dir(drive)
	must(t, err)
	defer root.Close()
	d, err := courier.InitDrive(root, "")
	must(t, err)
	o.returnOf(t, d, 1, 0, 99, nil)
	must(t, os.Mkdir(filepath.Join(target, PlaceDir), 0o700))
	lock, err := disk.TryLock(filepath.Join(target, PlaceDir, "lock"))
	must(t, err)
	if _, err := FromDrive(context.Background(), Options{Drive: drive, Target: target}); exit.Of(err) != exit.Locked {
		t.Errorf("%v", err)
	}
	must(t, lock.Unlock())
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := FromDrive(ctx, Options{Drive: drive, Target: target}); exit.Of(err) != exit.Interrupted {
		t.Errorf("%v", err)
	}
	if r, err := FromDrive(context.Background(), Options{Drive: drive, Target: target, Snapshot: "7"}); err != nil || !r.Complete {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := FromDrive(context.Background(), Options{Drive: drive, Target: target, Snapshot: "8"}); exit.Of(err) != exit.NotFound {
		t.Errorf("%v", err)
	}
}
