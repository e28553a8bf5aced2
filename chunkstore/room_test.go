package chunkstore

import (
	"testing"

	"waterlock/index"
)

func TestWhatIsLeftFreeIsEnoughForTheCatalog(t *testing.T) {
	for _, c := range []struct {
		total   int64
		catalog bool
		want    int64
	}{
		{64 << 20, false, 1 << 20},
		{8 << 40, false, 16 << 20},
		{256 << 20, true, index.MinFree + 16<<20},
		{8 << 40, true, index.MinFree + 64<<20},
	} {
		if got := leftFree(c.total, c.catalog); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}
