package home

import (
	"context"
	"os"
	"testing"
	"time"

	"waterlock/internal/disk"
	"waterlock/snapshot"
)

// TestAFreshlyChangedFileIsReadAgainByAllItsNames: what changed so shortly before it was read that the clock may not tell a further
// change is read again next time, whichever of its names the walk comes to first.
func TestAFreshlyChangedFileIsReadAgainByAllItsNames(t *testing.T) {
	w := newWorld(t)
	w.write("a", 5000, 1)
	must(t, os.Link(w.path("a"), w.path("b")))
	st, err := w.trees["docs"].Stat("a")
	must(t, err)
	s := w.site()
	s.now = func() time.Time { return st.CTime.Time().Add(time.Millisecond) }
	_, err = s.pack(context.Background(), w.opts)
	must(t, err)
	scans, err := s.lastScans(^uint64(0))
	must(t, err)
	must(t, eachScanned(s.state, scans["docs"], func(e *snapshot.ScanEntry) error {
		if e.Entry.Kind == disk.KindFile && e.Local.CTime != (disk.Time{}) {
			t.Errorf("%s is believed to stay as it is", e.Entry.Path)
		}
		return nil
	}))
}
