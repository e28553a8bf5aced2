package tests

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// TestAnInsertionCostsLittle: 64 KiB inserted in the middle of a large file
// cost at most 8 MiB on the drive. 2 GiB in make soak, 64 MiB in make test.
func TestAnInsertionCostsLittle(t *testing.T) {
	t.Parallel()
	length := int64(64 << 20)
	if soak {
		length = 2 << 30
	}
	w := newWorld(t)
	file := filepath.Join(w.home, "t", "large")
	noise(t, file, length, 1)
	w.begin("t")
	w.pack()
	w.joinAndUnpack()
	w.atHome("drive", "clear", w.drive, "--yes")
	if vault := size(t, w.vault); soak && vault > length+length/50 {
		t.Errorf("the vault of %d bytes takes %d, more than 1.02 times as much", length, vault)
	}
	insert(t, file, length/2, 64<<10, 2)
	want := w.take("t")
	before := size(t, w.drive)
	w.pack()
	grown := size(t, w.drive) - before
	t.Logf("the second trip put %d bytes onto the drive", grown)
	if grown > 8<<20 {
		t.Errorf("64 KiB inserted cost %d bytes on the drive", grown)
	}
	w.unpack()
	same(t, "mirror", want, filepath.Join(w.vault, "t"))
}

// TestATripWithoutChangesCostsLittle: at most 256 KiB, over 100,000 files in
// make soak, and 2,000 in make test.
func TestATripWithoutChangesCostsLittle(t *testing.T) {
	t.Parallel()
	files := 2000
	if soak {
		files = 100_000
	}
	w := newWorld(t)
	for i := range files {
		dir := filepath.Join(w.home, "t", fmt.Sprintf("dir%03d", i%400))
		if i < 400 {
			must(t, os.MkdirAll(dir, 0o755))
		}
		must(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("file %d", i)), fmt.Appendf(nil, "content of %d", i), 0o644))
	}
	want := w.take("t")
	w.begin("t")
	w.pack()
	w.joinAndUnpack()
	same(t, "mirror", want, filepath.Join(w.vault, "t"))
	w.atHome("drive", "clear", w.drive, "--yes")
	before := size(t, w.drive)
	w.pack()
	grown := size(t, w.drive) - before
	t.Logf("a trip without changes put %d bytes onto the drive", grown)
	if grown > 256<<10 {
		t.Errorf("a trip without changes cost %d bytes", grown)
	}
	w.unpack()
	same(t, "snapshot 2", want, filepath.Join(w.restore("2"), "t"))
}

// TestAVaultOfMediaTakesHardlyMoreThanItself: at most 1.02 times the size of
// the tree, indexes and all.
func TestAVaultOfMediaTakesHardlyMoreThanItself(t *testing.T) {
	t.Parallel()
	n, each := 8, int64(16<<20)
	if soak {
		n, each = 40, 48<<20
	}
	w := newWorld(t)
	for i := range n {
		noise(t, filepath.Join(w.home, "t", fmt.Sprintf("film%d.mkv", i)), each, uint64(i))
	}
	w.begin("t")
	w.pack()
	w.joinAndUnpack()
	tree, vault := size(t, filepath.Join(w.home, "t")), size(t, w.vault)
	t.Logf("tree %d, vault %d bytes: %.4f times", tree, vault, float64(vault)/float64(tree))
	if vault > tree+tree/50 {
		t.Errorf("the vault of %d bytes takes %d, more than 1.02 times as much", tree, vault)
	}
}
