package chunkstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"slices"
	"testing"
	"time"

	"waterlock/index"
	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/internal/disk/disktest"
	"waterlock/internal/report"
	"waterlock/internal/wire"
	"waterlock/pack"
	"waterlock/snapshot"
)

var testRoute = wire.RouteID{1, 2, 3}

// drive is a DriveSource in memory.
type drive map[chunk.ID][]byte

func (d drive) Get(p index.DrivePlace, k chunk.Kind, buf []byte) ([]byte, error) {
	b, ok := d[p.ID]
	if !ok {
		return nil, errors.New("not on the drive")
	}
	return append(buf[:0], b...), nil
}

// world is a vault under test, with the drive that feeds it.
type world struct {
	t     testing.TB
	fs    disk.FS
	index string
	rep   *report.Recorder
	drive drive
	s     *Store
	size  int64
	grow  int64 // where files begin to grow
	piece int   // bytes of a chunk; 0: piece1k
	ever  drive // chunks of the files made with big
	later int64 // seconds that the clock has gone on
}

func newWorld(t testing.TB, fs disk.FS) *world {
	return &world{t: t, fs: fs, index: tempDir(t), rep: &report.Recorder{}, drive: drive{}}
}

// tempDir is a directory for a catalog: in memory where there is such a place,
// since these tests open and close hundreds of them.
func tempDir(t testing.TB) string {
	if dir, err := os.MkdirTemp("/dev/shm", "wl"); err == nil {
		t.Cleanup(func() { os.RemoveAll(dir) })
		return dir
	}
	return t.TempDir()
}

func (w *world) config() Config {
	return Config{
		Vault: w.fs, Route: testRoute, IndexDir: w.index, Report: w.rep, PackSize: w.size, GrowFrom: w.grow,
		Volumes: []Volume{{"a", w.fs, "a", ".wl"}, {"b", w.fs, "b", ".wl"}},
		Now:     func() time.Time { return time.Unix(1_800_000_000+w.later, 0) },
	}
}

func (w *world) tryOpen() error {
	s, err := Open(context.Background(), w.config())
	if err != nil {
		return err
	}
	w.s = s
	w.feed()
	return nil
}

// feed enters the drive's chunks into the catalog.
func (w *world) feed() {
	w.s.AttachDrive(w.drive)
	var rows []index.DrivePlace
	for id, b := range w.drive {
		rows = append(rows, index.DrivePlace{ID: id, Pack: 1, Number: 1, Encoding: 1, Offset: 64, StoredLen: uint32(len(b)), PlainLen: uint32(len(b))})
	}
	if err := w.s.Catalog().PutDrive(rows); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) open() *world {
	w.t.Helper()
	if err := w.tryOpen(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { w.close() })
	return w
}

func (w *world) close() {
	if w.s != nil {
		w.s.Close()
		w.s = nil
	}
}

// discard closes a world whose catalog is not needed any more.
func (w *world) discard() {
	w.close()
	os.RemoveAll(w.index)
}

const piece1k = 1000

// content cuts bytes into chunks of a thousand and puts them on the drive.
func (w *world) content(b []byte) []snapshot.Extent {
	var list []snapshot.Extent
	for len(b) > 0 {
		n := min(max(w.piece, piece1k), len(b))
		id := chunk.Data.ID(b[:n])
		w.drive[id] = bytes.Clone(b[:n])
		list = append(list, snapshot.Extent{ID: id, Length: int64(n)})
		b = b[n:]
	}
	return list
}

func hashOf(b []byte) chunk.ContentHash {
	h := chunk.NewContentHasher()
	h.Write(b)
	return h.Sum()
}

func (w *world) file(p string, b []byte, sec int64) *snapshot.Entry {
	return &snapshot.Entry{
		Path: p, Kind: disk.KindFile, Mode: 0o644, MTime: disk.Time{Sec: sec, Nsec: 7},
		Size: int64(len(b)), Hash: hashOf(b), Content: w.content(b),
	}
}

func dir(p string) *snapshot.Entry {
	return &snapshot.Entry{Path: p, Kind: disk.KindDir, Mode: 0o755, MTime: disk.Time{Sec: 5}}
}

func symlink(p, target string, sec int64) *snapshot.Entry {
	return &snapshot.Entry{Path: p, Kind: disk.KindSymlink, Mode: 0o777, MTime: disk.Time{Sec: sec}, Target: target}
}

func install(e *snapshot.Entry) Action { return Action{Op: Install, Tree: "a", Entry: e} }
func remove(p string) Action           { return Action{Op: Remove, Tree: "a", Path: p} }

// do carries out one batch.
func (w *world) do(acts ...Action) []Result {
	w.t.Helper()
	res, err := w.try(acts...)
	if err != nil {
		w.t.Fatal(err)
	}
	return res
}

func (w *world) try(acts ...Action) ([]Result, error) {
	w.feed()
	b := w.s.NewBatch(leavingBy(acts))
	for _, a := range acts {
		if err := b.Add(context.Background(), a); err != nil {
			b.Discard()
			return nil, err
		}
	}
	return b.Commit(context.Background())
}

// leavingBy are the options of batches that carry out the actions: what they
// remove or replace leaves.
func leavingBy(acts []Action) BatchOptions {
	return BatchOptions{Leaving: func(tree, p string, hash chunk.ContentHash) bool {
		for _, a := range acts {
			if a.Tree != tree {
				continue
			}
			if a.Op == Remove && a.Path == p || a.Op == Install && a.Entry.Path == p && a.Entry.Hash != hash {
				return true
			}
		}
		return false
	}}
}

// fine is do where nothing may fail.
func (w *world) fine(acts ...Action) []Result {
	w.t.Helper()
	res := w.do(acts...)
	for _, r := range res {
		if r.Err != nil {
			w.t.Fatalf("%s: %v", r.Path, r.Err)
		}
	}
	return res
}

// read returns what lies at a name of the vault: content of a file, target of a
// link; "" and false for nothing.
func read(fs disk.FS, name string) (string, bool) {
	st, err := fs.Stat(name)
	if err != nil {
		return "", false
	}
	switch st.Kind {
	case disk.KindSymlink:
		t, _ := fs.Readlink(name)
		return "-> " + t, true
	case disk.KindDir:
		return "dir", true
	}
	f, err := fs.Open(name)
	if err != nil {
		return err.Error(), true
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		return err.Error(), true
	}
	return string(b), true
}

func (w *world) want(name, content string) {
	w.t.Helper()
	got, ok := read(w.fs, name)
	if !ok || got != content {
		w.t.Fatalf("%s: %.40q (%v), expected %.40q", name, got, ok, content)
	}
}

func (w *world) gone(name string) {
	w.t.Helper()
	if got, ok := read(w.fs, name); ok {
		w.t.Fatalf("%s is there: %.40q", name, got)
	}
}

func write(t testing.TB, fs disk.FS, name, content string) {
	t.Helper()
	fs.Remove(name)
	f, err := fs.Create(name, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if err := fs.SyncDir(path.Dir(name)); err != nil {
		t.Fatal(err)
	}
}

// all returns every file beneath a directory by name.
func all(t testing.TB, fs disk.FS, dir string) map[string]string {
	out := map[string]string{}
	var walk func(d string)
	walk = func(d string) {
		names, err := fs.ReadDir(d)
		if err != nil {
			t.Fatal(err)
		}
		for i := range names.Len() {
			n := path.Join(d, names.At(i))
			got, _ := read(fs, n)
			if got == "dir" {
				walk(n)
			} else {
				out[n] = got
			}
		}
	}
	walk(dir)
	return out
}

// rows is the whole catalog but for the times of reading.
func (w *world) rows() map[string]string {
	w.t.Helper()
	out := map[string]string{}
	cat := w.s.Catalog()
	var cs []index.Container
	if err := cat.Containers(func(c index.Container) error { cs = append(cs, c); return nil }); err != nil {
		w.t.Fatal(err)
	}
	for _, c := range cs {
		c.ReadAt = 0
		out[fmt.Sprintf("k %d", c.ID)] = fmt.Sprintf("%+v", c)
		err := cat.ContainerChunks(c.ID, func(off int64, id chunk.ID, n uint32) error {
			out[fmt.Sprintf("r %d %d", c.ID, off)] = fmt.Sprintf("%v %d", id, n)
			ps, err := cat.Places(id)
			for _, p := range ps {
				p.ReadAt = 0
				out[fmt.Sprintf("c %v %d", id, p.Container)] = fmt.Sprintf("%+v", p)
			}
			return err
		})
		if err != nil {
			w.t.Fatal(err)
		}
	}
	for _, tree := range []string{"a", "b"} {
		it := cat.Paths(tree)
		for {
			p, row, ok := it.Next()
			if !ok {
				break
			}
			out["p "+tree+" "+p] = fmt.Sprintf("%+v", row)
			if row.LinkGroup != 0 {
				g, ok, err := cat.Group(tree, row.LinkGroup)
				if err != nil {
					w.t.Fatal(err)
				}
				out[fmt.Sprintf("g %s %d", tree, row.LinkGroup)] = fmt.Sprint(g, ok)
			}
		}
		if err := it.Err(); err != nil {
			w.t.Fatal(err)
		}
		it.Close()
	}
	return out
}

func sameRows(t testing.TB, before, after map[string]string) {
	t.Helper()
	for _, k := range slices.Sorted(maps.Keys(before)) {
		if before[k] != after[k] {
			t.Errorf("row %s\n was %s\n  is %s", k, before[k], after[k])
		}
	}
	for k, v := range after {
		if _, ok := before[k]; !ok {
			t.Errorf("row %s is new: %s", k, v)
		}
	}
	if t.Failed() {
		t.FailNow()
	}
}

func random(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// chunksOf checks that every chunk of the contents can be had from the vault
// alone.
func (w *world) chunksOf(contents ...string) {
	w.t.Helper()
	w.s.AttachDrive(nil)
	defer w.s.AttachDrive(w.drive)
	for _, c := range contents {
		for _, x := range w.content([]byte(c)) {
			if b, err := w.s.Get(x.ID, chunk.Data, x.Length, nil); err != nil || chunk.Data.ID(b) != x.ID {
				w.t.Fatalf("chunk of %.20q is lost: %v", c, err)
			}
		}
	}
}

func stored(b []byte) pack.Stored {
	return pack.Stored{ID: chunk.Data.ID(b), Encoding: pack.Raw, PlainLen: uint32(len(b)), Data: b}
}

var _ = disktest.NewMem

var snapshotSocket = snapshot.Entry{Path: "sock", Kind: disk.KindSocket, Mode: 0o600}

func hole(n int64) snapshot.Extent { return snapshot.Extent{Hole: true, Length: n} }

type entry = snapshot.Entry

func extent(id chunk.ID, n int) snapshot.Extent { return snapshot.Extent{ID: id, Length: int64(n)} }
