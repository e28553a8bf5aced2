package home

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"waterlock/internal/courier"
	"waterlock/internal/disk"
	"waterlock/internal/exit"
)

// noLists is a home whose chunk lists cannot be written from the n-th on.
type noLists struct {
	disk.FS
	left int
}

func (f *noLists) Create(name string, perm uint32) (disk.File, error) {
	if strings.Contains(name, listSuffix) {
		if f.left--; f.left < 0 {
			return nil, syscall.EIO
		}
	}
	return f.FS.Create(name, perm)
}

// A pack that was complete on the drive but not yet counted when the run ended is read back by the next run and kept:
// what it holds is not read at home again.
func TestACompletePackIsAdopted(t *testing.T) {
	w := newWorld(t)
	for i := range 10 {
		w.write(fmt.Sprintf("f%d", i), 60<<10, uint64(i))
	}
	settleClock()
	good := w.state
	w.state = &noLists{good, 2}
	if _, err := w.tryPack(); err == nil {
		t.Fatal("no error")
	}
	w.state = good
	res := w.pack()
	if !res.Resumed || res.BytesRead > 600<<10-3*(128<<10)+40<<10 {
		t.Errorf("two packs were counted and a third was complete, yet %d bytes are read again", res.BytesRead)
	}
	v := w.newVault()
	v.take(w.drive)
	v.equals()
}

// The drive is emptied between an interrupted run and the next.
func TestAnOpenShipmentWhosePacksAreGone(t *testing.T) {
	w := newWorld(t)
	for i := range 10 {
		w.write(fmt.Sprintf("f%d", i), 60<<10, uint64(i))
	}
	settleClock()
	good := w.state
	w.state = &noLists{good, 3}
	if _, err := w.tryPack(); err == nil {
		t.Fatal("no error")
	}
	w.state = good
	names, err := w.drive.ReadDir("waterlock/" + w.route.String() + "/shipments")
	must(t, err)
	dir := "waterlock/" + w.route.String() + "/shipments/" + names.At(0)
	packs, err := w.drive.ReadDir(dir)
	must(t, err)
	for i := range packs.Len() {
		must(t, w.drive.Remove(dir+"/"+packs.At(i)))
	}
	must(t, w.drive.Remove(dir))
	w.pack()
	v := w.newVault()
	v.take(w.drive)
	v.equals()
}

func TestLocksAndWrongDrives(t *testing.T) {
	state, src, drive := tempDir(t), tempDir(t), tempDir(t)
	must(t, os.WriteFile(filepath.Join(src, "f"), []byte("content"), 0o644))
	_, err := Init(context.Background(), InitOptions{State: state, Name: "r", Trees: []string{src + "=t"}})
	must(t, err)
	o := PackOptions{State: state, Drive: drive}
	_, err = Pack(context.Background(), o)
	wantCode(t, err, exit.NotFound) // an unmounted mount point is never filled
	fs, err := disk.Dir(drive)
	must(t, err)
	defer fs.Close()
	_, err = courier.InitDrive(fs, "d")
	must(t, err)

	s, err := openSite(filepath.Join(state, "routes", "r"), drive)
	must(t, err)
	_, err = Pack(context.Background(), o)
	wantCode(t, err, exit.Locked)
	must(t, s.close())
	d, err := courier.OpenDrive(drive)
	must(t, err)
	must(t, d.Lock())
	_, err = Pack(context.Background(), o)
	wantCode(t, err, exit.Locked)
	must(t, d.Close())
	res, err := Pack(context.Background(), o)
	must(t, err)
	if res.Snapshot != 1 || res.Files != 1 {
		t.Errorf("%+v", res)
	}
	cleared, err := ClearDrive(context.Background(), ClearOptions{State: state, Drive: drive, Yes: true})
	must(t, err)
	if len(cleared.Cleared) != 0 || cleared.Kept != 1 {
		t.Errorf("cleared what nobody acknowledged: %+v", cleared)
	}
}

// A home that was rolled back goes on above every number that the drive or a receipt knows.
func TestNumbersOnlyGrow(t *testing.T) {
	w := newWorld(t)
	w.someFiles()
	w.pack()
	v := w.newVault()
	v.take(w.drive)
	v.newest.Number = 41
	v.receipt(w.drive)
	res := w.pack()
	if res.Snapshot != 42 || len(w.rep.Warnings()) == 0 {
		t.Errorf("%+v", res)
	}
	state, err := disk.Dir(tempDir(t)) // a home that lost all it knew
	must(t, err)
	w.state = state
	must(t, os.RemoveAll(w.index))
	if res := w.pack(); res.Snapshot != 43 {
		t.Errorf("%+v", res)
	}
}
