package vault

import (
	"os"
	"path/filepath"
	"testing"

	"waterlock/internal/courier"
	"waterlock/internal/disk"
	"waterlock/internal/homecoming"
	"waterlock/tests/mounts"
)

// A drive of 3 MiB brings back 9 MiB, full to the brim: in memory, and with
// WL_SOAK 8 MiB bring 24 on the file systems that drives have.
func TestASmallDriveBringsAHomeBack(t *testing.T) {
	kinds, size := []mounts.FileSystem{mounts.TmpFS}, int64(3<<20)
	if os.Getenv("WL_SOAK") != "" {
		kinds, size = append(kinds, mounts.ExFAT, mounts.Ext4, mounts.NTFS), 8<<20
	}
	for _, kind := range kinds {
		t.Run(kind.Name, func(t *testing.T) {
			m := kind.For(t, size)
			b := newBurned(t, func(w *world) {
				for i, name := range []string{"b/1", "b/2", "b/3", "c/big"} {
					noise(t, filepath.Join(w.src, name), int(size)*3/4, uint64(60+i))
				}
			})
			root, err := disk.Dir(m.Dir)
			must(t, err)
			_, err = courier.InitDrive(root, "small")
			root.Close()
			must(t, err)
			trips, came := 0, homecoming.Result{}
			for ; trips < 12 && !came.Complete; trips++ {
				o := ToDriveOptions{Drive: m.Dir}
				if trips == 0 {
					o.Snapshot = "latest"
				}
				r := b.toDrive(o)
				if r.LeftFiles > 0 && r.BytesWritten < size/3 {
					t.Errorf("trip %d: %+v", trips, r)
				}
				came = b.fromDrive(m.Dir)
			}
			b.isHome(came)
			if trips < 4 || trips > 8 {
				t.Errorf("%d trips", trips)
			}
			_, err = os.Stat(filepath.Join(b.target, homecoming.PlaceDir))
			must(t, err)
		})
	}
}
