package index

import (
	"sync"
	"testing"

	"github.com/dgraph-io/badger/v4"
)

// Between two writes all lookups share one transaction; a view that was begun
// before a write does not see it, one begun after it does; a transaction goes
// with its last user.
func TestAViewLastsUntilTheNextWrite(t *testing.T) {
	s, _, err := openStore(t.TempDir(), "test")
	if err != nil {
		t.Fatal(err)
	}
	put := func(value string) {
		t.Helper()
		s.mu.Lock()
		defer s.mu.Unlock()
		if err := s.write([]row{{[]byte("k"), []byte(value)}}); err != nil {
			t.Fatal(err)
		}
	}
	want := func(txn *badger.Txn, value string) {
		t.Helper()
		if got, err := getIn(txn, []byte("k"), nil); err != nil || string(got) != value {
			t.Errorf("%q, %v, expected %q", got, err, value)
		}
	}
	put("old")
	a, b := s.views.begin(s.db), s.views.begin(s.db)
	if a != b {
		t.Error("two transactions where one serves")
	}
	put("new")
	want(a.txn, "old")
	c := s.views.begin(s.db)
	want(c.txn, "new")
	s.views.end(a)
	want(b.txn, "old")
	s.views.end(b)
	if _, err := b.txn.Get([]byte("k")); err != badger.ErrDiscardedTxn {
		t.Errorf("a view nobody has is still open: %v", err)
	}
	s.views.end(c)
	want(c.txn, "new") // it serves until the next write

	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for range 200 {
				if v, err := s.get([]byte("k")); err != nil || len(v) != 3 {
					t.Errorf("%q, %v", v, err)
				}
			}
		})
	}
	for range 20 {
		put("now")
	}
	readers.Wait()
	if err := s.close(nil); err != nil {
		t.Fatal(err)
	}
}
