package home

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/internal/exit"
)

// smallDrive is a drive that holds so many bytes.
type smallDrive struct {
	disk.FS
	total int64
	lie   int64 // what it says to have more than it has
}

func (d *smallDrive) used() (n int64) {
	var add func(dir string)
	add = func(dir string) {
		names, err := d.FS.ReadDir(dir)
		if err != nil {
			return
		}
		for i := range names.Len() {
			path := names.At(i)
			if dir != "." {
				path = dir + "/" + path
			}
			st, err := d.FS.Stat(path)
			switch {
			case err != nil:
			case st.Kind == disk.KindDir:
				add(path)
			default:
				n += st.Size
			}
		}
	}
	add(".")
	return n
}

func (d *smallDrive) Free() (disk.Space, error) {
	return disk.Space{Avail: max(0, d.total+d.lie-d.used()), Total: d.total + d.lie}, nil
}

func (d *smallDrive) Create(name string, perm uint32) (disk.File, error) {
	f, err := d.FS.Create(name, perm)
	if err != nil {
		return nil, err
	}
	return &smallFile{f, d}, nil
}

type smallFile struct {
	disk.File
	d *smallDrive
}

func (f *smallFile) Write(p []byte) (int, error) {
	if room := f.d.total - f.d.used(); int64(len(p)) > room {
		n, _ := f.File.Write(p[:max(0, room)])
		return n, &os.PathError{Op: "write", Path: f.Name(), Err: syscall.ENOSPC}
	}
	return f.File.Write(p)
}

func (w *world) small(total, lie int64) *smallDrive {
	d := &smallDrive{FS: w.newDrive("small"), total: total, lie: lie}
	w.drive = d
	return d
}

// A new file larger than the room that is left is put behind smaller ones; the last room takes a part of it.
func TestFullDriveDefersLargeNewFiles(t *testing.T) {
	w := newWorld(t)
	w.opts.PackSize = 256 << 10
	d := w.small(1500<<10, 0)
	w.write("a", 300<<10, 1)
	w.write("b-large", 1000<<10, 2)
	w.write("c", 200<<10, 3)
	settleClock()
	res := w.pack()
	if res.Pending != 1 || res.Why != "the drive is full" {
		t.Fatalf("%+v", res)
	}
	if free, _ := d.Free(); free.Avail < receiptRoom || free.Avail > receiptRoom+commitRoom+clusterRoom {
		t.Errorf("%d bytes are left, for a receipt and not much more", free.Avail)
	}
	v := w.newVault()
	v.take(w.drive)
	got := v.entries(v.newest, "docs")
	if e := got["b-large"]; !e.Pending || len(e.Content) != 0 || len(e.Carried) == 0 || e.Size != 1000<<10 || res.PendingBytes != e.Size-length(e.Carried) {
		t.Errorf("%+v", e)
	}
	if got["a"].Pending || got["c"].Pending {
		t.Error("a smaller file is pending")
	}
	w.newDrive("next")
	if next := w.pack(); next.BytesNew != res.PendingBytes || next.Pending != 0 {
		t.Errorf("%d bytes were left, the next trip carried %d: %+v", res.PendingBytes, next.BytesNew, next)
	}
	v.take(w.drive)
	v.equals()
}

// partly are the files of a snapshot that are pending, by how much of them was carried.
func (v *vault) partly() map[string]int64 {
	out := map[string]int64{}
	for path, e := range v.entries(v.newest, "docs") {
		if e.Pending {
			out[path] = length(e.Carried)
		}
	}
	return out
}

// The last room of a drive takes the first file that waits in part, one a shipment: what was begun is made whole first,
// though others come before it by name, and small files go before it on every trip.
func TestOneFileAShipmentIsCarriedInPart(t *testing.T) {
	w := newWorld(t)
	for i, name := range []string{"k-large", "m-large"} {
		w.write(name, 2000<<10, uint64(1+i))
	}
	v := w.newVault()
	trip, carried := 0, int64(0)
	for ; ; trip++ {
		if trip > 9 {
			t.Fatal("the large files never arrive")
		}
		if trip == 1 {
			w.write("a-large", 2000<<10, 3)
		}
		small := fmt.Sprintf("z-small-%d", trip)
		w.write(small, 100<<10, uint64(10+trip))
		settleClock()
		w.small(1400<<10, 0)
		res := w.pack()
		v.take(w.drive)
		v.receipt(w.drive)
		carried += res.BytesNew
		partly, begun := v.partly(), 0
		for _, n := range partly {
			if n > 0 {
				begun++
			}
		}
		if begun > 1 {
			t.Errorf("trip %d: %d files are carried in part: %v", trip, begun, partly)
		}
		if _, ok := partly[small]; ok {
			t.Errorf("trip %d: a small file waits behind large ones: %v", trip, partly)
		}
		if _, ok := partly["k-large"]; !ok && trip == 0 || ok && (partly["k-large"] == 0 || trip > 3) {
			t.Errorf("trip %d: the file that was begun is not gone on with: %v", trip, partly)
		}
		if len(partly) == 0 {
			break
		}
	}
	if all := int64(3*2000+(trip+1)*100) << 10; carried != all {
		t.Errorf("%d bytes carried in %d trips, there are %d", carried, trip+1, all)
	}
	v.equals()
}

// A huge file that is edited while it travels in parts keeps what was carried; so does one that is edited at the vault
// already, which is read where it stands in order, before files behind it.
func TestAHugeFileIsEditedBetweenTrips(t *testing.T) {
	w := newWorld(t)
	const size = 6000 << 10
	w.write("huge", size, 1)
	v := w.newVault()
	carried, trips := int64(0), 0
	trip := func() (pending bool) {
		trips++
		settleClock()
		w.small(1200<<10, 0)
		res := w.pack()
		v.take(w.drive)
		v.receipt(w.drive)
		carried += res.BytesNew
		return len(v.partly()) > 0
	}
	insert := func(at int, seed uint64) {
		old, err := os.ReadFile(w.path("huge"))
		must(t, err)
		must(t, os.WriteFile(w.path("huge"), slices.Concat(old[:at], random(20<<10, seed), old[at:]), 0o644))
	}
	for trip() {
		if trips > 12 {
			t.Fatalf("it never arrives: %v", v.partly())
		}
		if trips%3 == 1 {
			insert(size/10*trips, uint64(10+trips))
		}
	}
	if trips < 5 || carried > size+size/20 {
		t.Errorf("%d bytes carried in %d trips, there are %d", carried, trips, size)
	}
	v.equals()
	carried = 0
	insert(size/2, 99)
	w.write("later", 1100<<10, 100) // has no room
	if !trip() || v.partly()["later"] >= 1100<<10 {
		t.Errorf("%v", v.partly())
	}
	if _, waits := v.partly()["huge"]; waits {
		t.Errorf("a new part of %d bytes waits behind others: %v", 20<<10, v.partly())
	}
	for trip() {
	}
	v.equals()
}

// A file of which an earlier version was carried goes in order and may end in the middle.
func TestAnEarlierVersionStaysWhilePending(t *testing.T) {
	w := newWorld(t)
	w.write("file", 700<<10, 1)
	settleClock()
	w.pack()
	v := w.newVault()
	v.take(w.drive)
	old := v.entries(v.newest, "docs")["file"]

	w.write("file", 1400<<10, 2)
	w.write("later", 50<<10, 3)
	settleClock()
	w.small(1300<<10, 0)
	res := w.pack()
	v.take(w.drive)
	e := v.entries(v.newest, "docs")["file"]
	if !e.Pending || e.Hash != old.Hash || len(e.Content) != len(old.Content) || len(e.Carried) == 0 || e.Size != 1400<<10 {
		t.Errorf("pending %v, hash kept %v, %d chunks carried, %+v", e.Pending, e.Hash == old.Hash, len(e.Carried), res)
	}
	for _, x := range e.Carried {
		if _, err := v.Get(x.ID, 1, x.Length, nil); err != nil {
			t.Errorf("named as carried: %v", err)
		}
	}
	w.newDrive("next")
	res = w.pack()
	if res.Pending != 0 || res.BytesNew >= 1400<<10 {
		t.Errorf("the rest was %d bytes: %+v", res.BytesNew, res)
	}
	v.take(w.drive)
	v.equals()
}

// What a pending file names as carried stands at its offset, also behind a hole: there the vault lets the file grow.
func TestCarriedChunksStandAtTheirOffsets(t *testing.T) {
	w := newWorld(t)
	w.write("file", 100<<10, 1)
	settleClock()
	w.pack()
	w.write("file", 500<<10, 2)
	f, err := os.OpenFile(w.path("file"), os.O_RDWR, 0)
	must(t, err)
	_, err = f.WriteAt(random(1000<<10, 3), 3<<19)
	must(t, errors.Join(err, f.Close()))
	whole, err := os.ReadFile(w.path("file"))
	must(t, err)
	settleClock()
	w.small(1300<<10, 0)
	w.pack()
	v := w.newVault()
	v.take(w.drive)
	e := v.entries(v.newest, "docs")["file"]
	off, behind := int64(0), 0
	for _, x := range e.Carried {
		if !x.Hole && chunk.Data.ID(whole[off:off+x.Length]) != x.ID {
			t.Errorf("another chunk lies at %d", off)
		}
		if off += x.Length; off > 3<<19 {
			behind++
		}
	}
	if !e.Pending || behind == 0 || off >= e.Size || length(e.Carried) > 1300<<10 {
		t.Errorf("pending %v, %d chunks behind the hole, up to %d of %d", e.Pending, behind, off, e.Size)
	}
}

// A drive that is fuller than it says fails a write: the shipment is closed with what is there.
func TestNoSpaceAtAnyWrite(t *testing.T) {
	for _, lie := range []int64{200 << 10, 450 << 10, 600 << 10, 2 << 20} {
		t.Run(fmt.Sprint(lie), func(t *testing.T) {
			w := newWorld(t)
			for i := range 30 {
				w.write(fmt.Sprintf("d%d/f%d", i%3, i), 60<<10, uint64(i))
			}
			settleClock()
			d := w.small(1200<<10, lie)
			res, err := w.tryPack()
			if err != nil {
				t.Fatalf("%v (%d used)", err, d.used())
			}
			if res.Pending == 0 || res.Snapshot != 1 {
				t.Fatalf("%+v", res)
			}
			v := w.newVault()
			v.take(w.drive)
			for path, e := range v.entries(v.newest, "docs") {
				if e.Kind == disk.KindFile && !e.Pending {
					v.content(e)
				} else if e.Pending && len(e.Content) > 0 {
					t.Errorf("%s", path)
				}
			}
			v.receipt(w.drive)
			w.newDrive("next")
			w.pack()
			v.take(w.drive)
			v.equals()
		})
	}
}

// otherWriter takes room of a drive in the middle of a pack.
type otherWriter struct {
	*smallDrive
	after, grab int64
	wrote       int64
}

func (d *otherWriter) Create(name string, perm uint32) (disk.File, error) {
	f, err := d.smallDrive.Create(name, perm)
	if err != nil {
		return nil, err
	}
	return &otherWriterFile{f, d}, nil
}

type otherWriterFile struct {
	disk.File
	d *otherWriter
}

func (f *otherWriterFile) Write(p []byte) (int, error) {
	if f.d.wrote += int64(len(p)); f.d.wrote > f.d.after {
		f.d.total, f.d.grab = f.d.total-f.d.grab, 0
	}
	return f.File.Write(p)
}

// The room that another program leaves on the drive is used, and what the result says is what went aboard.
func TestAnotherProgramFillsTheDrive(t *testing.T) {
	w := newWorld(t)
	w.cfg.Pack.Reserve = 0
	w.opts.PackSize = 64 << 20 // one pack
	for i := range 100 {
		w.write(fmt.Sprintf("f%03d", i), 60<<10, uint64(i))
	}
	settleClock()
	w.drive = &otherWriter{smallDrive: w.small(8<<20, 0), after: 2 << 20, grab: 4 << 20}
	res := w.pack()
	if res.Free > 2<<20 || res.Pending == 0 || res.Pending == 100 {
		t.Errorf("%d bytes are left, %d of 100 files pending", res.Free, res.Pending)
	}
	v := w.newVault()
	v.take(w.drive)
	data := int64(0)
	for id, k := range v.kinds {
		if k == chunk.Data {
			data += int64(len(v.chunks[id]))
		}
	}
	if res.BytesNew != data {
		t.Errorf("%d bytes are said to be aboard, there are %d", res.BytesNew, data)
	}
}

func TestNoRoomAtAll(t *testing.T) {
	w := newWorld(t)
	w.someFiles()
	w.small(100<<10, 0)
	_, err := w.tryPack()
	wantCode(t, err, exit.Fatal)
	w.newDrive("B")
	w.pack()
}

func TestStopAndTimeCloseTheShipment(t *testing.T) {
	for _, how := range []string{"stop", "for"} {
		w := newWorld(t)
		for i := range 20 {
			w.write(fmt.Sprintf("f%02d", i), 100<<10, uint64(i))
		}
		settleClock()
		stop := make(chan struct{})
		w.opts.Stop = stop
		at := &afterBytes{readCounter: w.trees["docs"].(*readCounter), limit: 700 << 10}
		if how == "stop" {
			at.do = func() { close(stop) }
		} else {
			w.opts.For = time.Minute
		}
		w.trees["docs"] = at
		s := w.site()
		if how == "for" {
			start := time.Now()
			late := false
			at.do = func() { late = true }
			s.now = func() time.Time {
				if late {
					return start.Add(time.Hour)
				}
				return start
			}
		}
		o := w.opts
		res, err := s.pack(context.Background(), o)
		must(t, err)
		if res.Pending == 0 || res.Pending == 20 || res.Snapshot != 1 || res.Interrupted != (how == "stop") || res.Why == "" {
			t.Errorf("%s: %+v", how, res)
		}
		v := w.newVault()
		v.take(w.drive)
		w.opts.Stop, w.opts.For = nil, 0
		w.trees["docs"] = at.readCounter
		res = w.pack()
		if res.Pending != 0 {
			t.Errorf("%+v", res)
		}
		v.take(w.drive)
		v.equals()
	}
}

func TestLimit(t *testing.T) {
	w := newWorld(t)
	for i := range 20 {
		w.write(fmt.Sprintf("f%02d", i), 100<<10, uint64(i))
	}
	settleClock()
	w.opts.Limit = 500 << 10
	res := w.pack()
	if res.Pending != 16 || res.Why != "the limit is reached" {
		t.Errorf("%+v", res)
	}
}

// A second Ctrl-C ends the run at once; the next one goes on.
func TestCancelLeavesAnOpenShipment(t *testing.T) {
	w := newWorld(t)
	for i := range 30 {
		w.write(fmt.Sprintf("f%02d", i), 100<<10, uint64(i))
	}
	settleClock()
	plain := w.trees["docs"].(*readCounter)
	ctx, cancel := context.WithCancel(context.Background())
	w.trees["docs"] = &afterBytes{readCounter: plain, limit: 2 << 20, do: cancel}
	if _, err := w.packCtx(ctx); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	read := plain.n.Load()
	w.trees["docs"] = plain
	res := w.pack()
	if !res.Resumed || res.Pending != 0 {
		t.Errorf("%+v", res)
	}
	if again := read + res.BytesRead - 3000<<10; again > 400<<10 {
		t.Errorf("%d bytes were read again", again)
	}
	v := w.newVault()
	v.take(w.drive)
	v.equals()
}

// noRoomForCommits is a drive that takes a commit only if a fifth of it is free.
type noRoomForCommits struct{ *smallDrive }

func (d noRoomForCommits) Create(name string, perm uint32) (disk.File, error) {
	if strings.Contains(name, commitSuffix) && d.total-d.used() < d.total/5 {
		return nil, &os.PathError{Op: "open", Path: name, Err: syscall.ENOSPC}
	}
	return d.smallDrive.Create(name, perm)
}

// Where the room for the commit is gone in the end, a pack of chunks makes room for it.
func TestADriveWithoutRoomForTheCommit(t *testing.T) {
	w := newWorld(t)
	w.cfg.Pack.Reserve = 0
	for i := range 40 {
		w.write(fmt.Sprintf("f%02d", i), 60<<10, uint64(i))
	}
	settleClock()
	w.drive = noRoomForCommits{w.small(3<<20, 0)}
	res := w.pack()
	if res.Snapshot != 1 || res.Pending == 0 || res.ChunksNew == 0 {
		t.Errorf("%+v", res)
	}
	v := w.newVault()
	v.take(w.drive)
	w.newDrive("B")
	if res := w.pack(); res.Pending != 0 {
		t.Errorf("%+v", res)
	}
	v.take(w.drive)
	v.equals()
}
