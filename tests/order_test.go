package tests

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"waterlock/index"
	"waterlock/snapshot"
)

// TestCatalogPathsComeInStreamOrder: unpack goes through the paths of the
// catalog and the entries of a stream side by side.
func TestCatalogPathsComeInStreamOrder(t *testing.T) {
	paths := rapid.SliceOfNDistinct(rapid.StringMatching(`([ -0ab\x01\x{e4}]{1,3}/){0,3}[ -0ab\x01\x{e4}]{1,3}`), 200, 200, rapid.ID).Example(1)
	paths = append(paths, "", "a", "a/b", "a-b", "a0b", "a.b", "\xff", "\xff/a", "a/\x01", "a\x01")
	paths = slices.DeleteFunc(paths, func(p string) bool { return snapshot.ValidPath(p) != nil })
	slices.SortFunc(paths, snapshot.ComparePaths)
	paths = slices.Compact(paths)
	if len(paths) < 150 {
		t.Fatalf("%d paths only", len(paths))
	}

	c, _, err := index.OpenCatalog(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	b := c.Batch()
	for i := range paths {
		b.PutPath("t", paths[(i*7919)%len(paths)], index.PathRow{})
		b.PutPath("t", paths[i], index.PathRow{})
	}
	if err := b.Commit(); err != nil {
		t.Fatal(err)
	}
	it := c.Paths("t")
	defer it.Close()
	var got []string
	for {
		path, _, ok := it.Next()
		if !ok {
			break
		}
		got = append(got, path)
	}
	if it.Err() != nil || !slices.Equal(got, paths) {
		t.Fatalf("%v\n%q\n%q", it.Err(), got, paths)
	}
}
