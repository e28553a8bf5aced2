package index

import (
	"sync"

	"github.com/dgraph-io/badger/v4"
)

// views hands out one read transaction to all who look something up between
// two writes. Badger accounts for the beginning and the end of each transaction
// in a goroutine of its own, which costs several times what a lookup does.
// Transactions that only read may be shared: lookups and iterators of several
// goroutines are independent of one another.
type views struct {
	mu  sync.Mutex
	now *view // nil: the next one begins it
}

type view struct {
	txn   *badger.Txn
	users int
	past  bool // something was written since it began
}

// begin returns the view of all that was written so far.
func (v *views) begin(db *badger.DB) *view {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.now == nil {
		v.now = &view{txn: db.NewTransaction(false)}
	}
	v.now.users++
	return v.now
}

func (v *views) end(w *view) {
	v.mu.Lock()
	defer v.mu.Unlock()
	w.users--
	w.discard()
}

// renew is called when something was written: who has a view keeps it, who
// begins one sees what is new.
func (v *views) renew() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if w := v.now; w != nil {
		v.now, w.past = nil, true
		w.discard()
	}
}

// discard ends the transaction once nobody needs it.
func (w *view) discard() {
	if w.past && w.users == 0 {
		w.txn.Discard()
	}
}

// view calls fn with a consistent view.
func (s *store) view(fn func(txn *badger.Txn) error) (err error) {
	if err := s.err(); err != nil {
		return err
	}
	defer s.guard(&err)
	w := s.views.begin(s.db)
	defer s.views.end(w)
	return fn(w.txn)
}
