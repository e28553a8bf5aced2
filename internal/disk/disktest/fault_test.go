package disktest_test

import (
	"io"
	"strings"
	"syscall"
	"testing"

	"waterlock/internal/disk"
	"waterlock/internal/disk/disktest"
)

func TestFaultFailsAtItsOperation(t *testing.T) {
	m := disktest.NewMem()
	f := disktest.NewFault(m)
	f.FailAt(2, disktest.EIO, false)
	must(t, f.Mkdir("a", 0o755))
	_, err := f.Stat("a") // does not count
	must(t, err)
	wantErr(t, f.Mkdir("b", 0o755), syscall.EIO)
	must(t, f.Mkdir("c", 0o755))
	if got := names(t, m, "."); got != "a c" {
		t.Errorf("%q", got)
	}
	if f.Failed() != "mkdir b" || f.Ops() != 3 {
		t.Errorf("failed %q, %d operations", f.Failed(), f.Ops())
	}

	f.FailAt(1, disktest.LateEIO, false)
	wantErr(t, f.Mkdir("late", 0o755), syscall.EIO)
	if got := names(t, m, "."); got != "a c late" {
		t.Errorf("%q", got)
	}

	f.CountReads(true)
	f.FailAt(2, disktest.ENOSPC, true)
	_, err = f.Stat("a")
	must(t, err)
	_, err = f.ReadDir("a")
	wantErr(t, err, syscall.EIO)
	_, err = f.Create("x", 0o600)
	wantErr(t, err, syscall.ENOSPC)
	wantErr(t, f.Remove("a"), syscall.EIO)
	if f.Failed() != "readdir a" {
		t.Errorf("failed %q", f.Failed())
	}
	f.FailAt(0, 0, false)
	must(t, f.Remove("a"))
}

func TestFaultWritesShort(t *testing.T) {
	f := disktest.NewFault(disktest.NewMem())
	sub, err := f.Sub(".")
	must(t, err)
	file, err := sub.Create("f", 0o600)
	must(t, err)
	f.FailAt(1, disktest.ShortWrite, false)
	n, err := file.Write([]byte("12345678"))
	if n != 4 || !disk.IsNoSpace(err) {
		t.Errorf("%d, %v", n, err)
	}
	wantRead(t, f, "f", "1234")
}

// After a failed sync the next one succeeds, and the data is gone.
func TestFaultLosesWhatFailedToSync(t *testing.T) {
	for _, how := range []string{"file", "files"} {
		f := disktest.NewFault(disktest.NewMem())
		file, err := f.Create("f", 0o600)
		must(t, err)
		mustN(t, 4)(file.Write([]byte("good")))
		must(t, file.Sync())
		mustN(t, 4)(file.Write([]byte("lost")))
		mustN(t, 1)(file.WriteAt([]byte("x"), 1))
		f.FailAt(1, disktest.EIO, false)
		if how == "file" {
			wantErr(t, file.Sync(), syscall.EIO)
			must(t, file.Sync())
		} else {
			wantErr(t, f.SyncFiles([]string{"f"}), syscall.EIO)
			must(t, f.SyncFiles([]string{"f"}))
		}
		wantRead(t, f, "f", "g\x00od\x00\x00\x00\x00")
	}
}

func TestFlipOnReadBack(t *testing.T) {
	m := disktest.NewMem()
	f := disktest.FlipOnReadBack(m, func(name string) bool { return strings.HasPrefix(name, "d/bad") }, 3)
	must(t, f.Mkdir("d", 0o755))
	d, err := f.Sub("d")
	must(t, err)
	must(t, disk.Put(d, "good", []byte("data")))
	wantErr(t, disk.Put(d, "bad", []byte("data")), disk.ErrReadBack)
	_, err = disk.PutFinal(d, "bad", []byte("data"))
	wantErr(t, err, disk.ErrReadBack)
	if got := names(t, m, "d"); got != "good" {
		t.Errorf("left behind: %q", got)
	}
	write(t, d, "bad2", "data")
	var got []byte
	_, err = disk.ReadBack(f, "d/bad2", func(r disk.File) (err error) {
		got, err = io.ReadAll(r)
		return err
	})
	must(t, err)
	if string(got) != "daua" || f.Flipped() != 3 {
		t.Errorf("read %q, flipped %d", got, f.Flipped())
	}
	wantRead(t, d, "bad2", "data")
	must(t, disk.Put(d, "bad", []byte("data")))

	always := disktest.FlipOnReadBack(m, func(name string) bool { return true }, -1)
	for range 10 {
		wantErr(t, disk.Put(always, "x", []byte("data")), disk.ErrReadBack)
	}
}
