package home

import (
	"bytes"
	"fmt"
	"os"
	"syscall"
	"testing"

	"waterlock/internal/disk"
)

// A full file system of the real kind.
func TestFullTmpfs(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs a mount")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=40m"); err != nil {
		t.Skip(err)
	}
	defer syscall.Unmount(dir, 0)
	w := newWorld(t)
	w.cfg.Chunker.Min, w.cfg.Chunker.Max, w.cfg.Chunker.AverageBits = 64<<10, 1<<20, 17
	w.opts.PackSize = 4 << 20
	for i := range 30 {
		w.write(fmt.Sprintf("f%02d", i), 2<<20, uint64(i))
	}
	settleClock()
	fs, err := disk.Dir(dir)
	must(t, err)
	defer fs.Close()
	w.useDrive(fs, "tmpfs")
	res := w.pack()
	if res.Pending == 0 || res.Pending > 14 || res.Free < receiptRoom {
		t.Errorf("%+v", res)
	}
	// Another process fills what was left between the survey and the end.
	w.cfg.Trees[0].Name = "docs"
	v := w.newVault()
	v.take(fs)
	v.receipt(fs)
	must(t, os.WriteFile(dir+"/foreign", bytes.Repeat([]byte{1}, int(res.Free)-300<<10), 0o644))
	w.write("f00", 1<<20, 99)
	settleClock()
	if res, err := w.tryPack(); err == nil && res.Pending == 0 {
		t.Errorf("%+v", res)
	}
}
