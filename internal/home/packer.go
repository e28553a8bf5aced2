package home

import (
	"cmp"
	"errors"
	"sync"

	"waterlock/internal/chunk"
	"waterlock/internal/courier"
	"waterlock/internal/disk"
	"waterlock/internal/exit"
	"waterlock/pack"
)

// maxRetries is how often a pack that does not read back is written anew before the drive is declared bad.
const maxRetries = 5

// maxNoSpace is how often a drive may turn out fuller than it said before no more chunks are written onto it.
const maxNoSpace = 3

const (
	firstPackSize = 128 << 20
	packSizeShare = 8
)

// packer writes chunks into packs on the drive, and has each read back while the next is being written. It is used by
// the ordered goroutine of a pipeline, but for has and left.
type packer struct {
	r        *run
	dir      string // of the shipment on the drive
	packSize int64  // at most
	written  int64  // by this run, in closed packs
	next     int    // number of the next pack

	w    *pack.Writer // the open pack; nil: none
	file disk.File
	name string
	ids  []chunk.ID // of the open pack

	verifying chan struct{} // holds a token while a pack is read back

	mu       sync.Mutex
	budget   int64              // room for closed packs, the open one included
	open     int64              // what the open pack would take
	inRun    map[chunk.ID]int64 // chunks of packs not yet read back, and their plain bytes
	failed   int                // packs in a row that did not read back
	again    bool               // some pack was lost: another pass is needed
	noSpace  int
	err      error // that ended everything
	lastFail error
}

func (r *run) newPacker() (*packer, error) {
	p := &packer{r: r, dir: courier.ShipmentDir(r.site.route, r.sh.id), packSize: r.packSize, next: 1,
		verifying: make(chan struct{}, 1), inRun: map[chunk.ID]int64{}, budget: r.budget}
	names, err := r.drive.FS().ReadDir(p.dir)
	if err != nil {
		return nil, err
	}
	for i := range names.Len() {
		if packKind(names.At(i)) == chunk.Data {
			p.next = max(p.next, packNumber(names.At(i))+1)
		}
	}
	for _, name := range r.sh.packs {
		if packKind(name) == chunk.Data {
			p.next = max(p.next, packNumber(name)+1)
		}
	}
	return p, nil
}

// left is the room for more chunks.
func (p *packer) left() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.budget - p.open
}

// has tells whether a chunk lies in a pack that is not yet in the ledger.
func (p *packer) has(id chunk.ID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.inRun[id]
	return ok
}

// append puts a chunk into the open pack. It returns false if the drive has no room for it. A pack that the drive fails
// to take is given up: its chunks stay named, are found unknown by another pass, and read at their places.
func (p *packer) append(sp *spool, s pack.Stored) (fits bool, err error) {
	if known, err := p.r.carriedHere(s.ID); err != nil || known {
		return true, err // a twin was on its way
	}
	if err := p.trouble(); err != nil {
		return false, err
	}
	if p.w != nil && !p.w.Fits(len(s.Data), p.size()) {
		if err := p.finish(sp); err != nil {
			return false, err
		}
	}
	if p.w == nil {
		if pack.ClosedSize(1, int64(len(s.Data))) > p.left() {
			p.r.outOfRoom()
			return false, nil
		}
		if err := p.begin(); err != nil {
			return !disk.IsNoSpace(err), p.giveUp(err)
		}
	}
	p.mu.Lock()
	budget := p.budget
	p.mu.Unlock()
	if !p.w.Fits(len(s.Data), budget) {
		p.r.outOfRoom()
		return false, nil
	}
	if _, err := p.w.Append(s); err != nil {
		return !disk.IsNoSpace(err), p.giveUp(err)
	}
	p.mu.Lock()
	p.open = p.w.Size()
	p.inRun[s.ID] = int64(s.PlainLen)
	p.r.res.ChunksNew++
	p.r.res.BytesNew += int64(s.PlainLen)
	p.mu.Unlock()
	p.ids = append(p.ids, s.ID)
	return true, nil
}

// size is how large the open pack may become. Packs begin small and grow with the run: the first are soon safe, the
// last is read back in a fraction of the time that the whole took, and large shipments have few files.
func (p *packer) size() int64 { return min(p.packSize, max(firstPackSize, p.written/packSizeShare)) }

// trouble returns what ended everything, if something did.
func (p *packer) trouble() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil && p.failed > maxRetries {
		p.err = exit.Errorf(exit.Fatal, "drive %s is bad: %d packs in a row could not be written and read back, nothing is committed: %w",
			p.r.driveName(), p.failed, p.lastFail)
	}
	return p.err
}

// begin opens the next pack under a new name, after asking the drive again how much room there is.
func (p *packer) begin() error {
	free, err := p.r.measure()
	if err != nil {
		return err
	}
	name := courier.PackName(p.next, chunk.Data)
	p.next++
	f, err := p.r.drive.FS().Create(p.dir+"/"+name, 0o644)
	if err != nil {
		return err
	}
	w, err := pack.NewWriter(f, chunk.Data)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	p.mu.Lock()
	p.budget = max(0, min(p.budget, free))
	p.mu.Unlock()
	p.w, p.file, p.name, p.ids = w, f, name, nil
	return nil
}

// giveUp abandons the open pack. If the drive is full, the room is taken to be what could be written; else the drive
// failed, and the pack counts as one that does not read back.
func (p *packer) giveUp(cause error) error {
	wrote, name, ids := int64(0), p.name, p.ids
	if p.w != nil {
		wrote = p.w.Size()
		p.file.Close() // it is given up
	}
	p.w, p.file, p.name, p.ids = nil, nil, "", nil
	p.mu.Lock()
	p.open = 0
	p.mu.Unlock()
	if !disk.IsNoSpace(cause) {
		return p.lost(name, ids, cause)
	}
	p.forget(name, ids)
	p.mu.Lock()
	p.noSpace++
	p.budget = max(0, wrote-wrote/16-p.r.closing)
	if p.noSpace >= maxNoSpace {
		p.budget = 0
	}
	p.mu.Unlock()
	p.r.outOfRoom()
	p.r.rep.Verbose("the drive is fuller than it said: %v", cause)
	return nil
}

// lost gives up a pack that the drive did not take or does not give back as it was.
func (p *packer) lost(name string, ids []chunk.ID, cause error) error {
	p.forget(name, ids)
	if err := p.gone(name, cause); err != nil {
		p.mu.Lock()
		p.err = exit.Errorf(exit.Fatal, "drive %s is gone, or does not answer any more: plug it in again, and run wl pack again; it goes on from there. Nothing was committed: %w",
			p.r.driveName(), err)
		p.mu.Unlock()
		return p.trouble()
	}
	p.r.rep.Warn("pack %s failed on drive %s and is written anew: %v", name, p.r.driveName(), cause)
	p.mu.Lock()
	p.failed++
	p.lastFail = cause
	p.mu.Unlock()
	return p.trouble()
}

// gone is what a drive says that has been pulled out; nil if it answers. One that does not even begin a pack has gone,
// whatever the cache of the system still knows of it.
func (p *packer) gone(name string, cause error) error {
	if name == "" && disk.IsIOError(cause) {
		return cause
	}
	_, free := p.r.drive.FS().Free()
	_, dir := p.r.drive.FS().ReadDir(p.dir)
	return cmp.Or(free, dir)
}

// forget takes a pack off the drive and its chunks off the list of those under way; another pass carries them.
func (p *packer) forget(name string, ids []chunk.ID) {
	p.mu.Lock()
	for _, id := range ids {
		if n, ok := p.inRun[id]; ok {
			p.r.res.ChunksNew--
			p.r.res.BytesNew -= n
		}
		delete(p.inRun, id)
	}
	p.again = true
	p.mu.Unlock()
	if name == "" {
		return
	}
	if err := p.r.drive.FS().Remove(p.dir + "/" + name); err != nil {
		p.r.rep.Verbose("%v", err) // it has no chunk list, so the next run removes it
	}
}

// finish closes the open pack and has it read back, beside the writing of the next one.
func (p *packer) finish(sp *spool) error {
	if p.w == nil {
		return nil
	}
	sum, err := p.w.Close()
	if err != nil {
		return p.giveUp(err)
	}
	if err := sp.flush(); err != nil {
		return err
	}
	s := &sealedPack{name: p.name, file: p.file, sum: &sum, ids: p.ids, spool: sp}
	p.w, p.file, p.name, p.ids = nil, nil, "", nil
	p.written += sum.Size
	p.mu.Lock()
	p.budget -= sum.Size
	p.open = 0
	p.mu.Unlock()
	p.verifying <- struct{}{}
	if err := p.trouble(); err != nil {
		<-p.verifying
		return err
	}
	go func() {
		defer func() { <-p.verifying }()
		p.verify(s)
	}()
	return nil
}

// finishAll closes the open pack and waits until every pack is read back.
func (p *packer) finishAll() error {
	if err := p.finish(nil); err != nil {
		return err
	}
	return p.wait()
}

// lostSome tells whether a pack of this pass was lost.
func (p *packer) lostSome() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.again
}

// wait waits until no pack is being read back.
func (p *packer) wait() error {
	p.verifying <- struct{}{}
	<-p.verifying
	return p.trouble()
}

// abandon gives up the open pack when the run ends without a commit; the next run carries it again.
func (p *packer) abandon() {
	if p.w != nil {
		p.file.Close() // it is given up
		p.forget(p.name, p.ids)
		p.w = nil
	}
	_ = p.wait() // the run ends with an error already
}
