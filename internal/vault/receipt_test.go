package vault

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A receipt says since when every chunk in the vault was read there, and says nothing where that is not known.
func TestReceiptTellsSinceWhenAllWasRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill()
	drive := newTestDrive(t)
	trip1 := func() time.Time {
		w.home.pack(drive, trip{})
		w.clean(drive, DeletionsApply)
		return w.home.importReceipt(drive).ReadSince
	}
	begun := time.Now().Truncate(time.Second)
	w.home.pack(drive, trip{})
	w.join(drive)
	first := trip1()
	if first.Before(begun) || first.After(time.Now()) {
		t.Errorf("read since %v, begun at %v", first, begun)
	}
	w.change()
	if since := trip1(); !since.Equal(first) {
		t.Errorf("read since %v, though what came first was read at %v only", since, first)
	}
	must(t, os.RemoveAll(filepath.Join(w.vault, indexDir)))
	if since := trip1(); !since.IsZero() {
		t.Errorf("read since %v, of which a rebuilt catalog knows nothing", since)
	}
	begun = time.Now().Truncate(time.Second)
	w.verify(VerifyOptions{})
	if since := trip1(); since.Before(begun) {
		t.Errorf("read since %v, and all was read at %v", since, begun)
	}
}
