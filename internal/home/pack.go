package home

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"waterlock/index"
	"waterlock/internal/chunk"
	"waterlock/internal/courier"
	"waterlock/internal/disk"
	"waterlock/internal/exit"
	"waterlock/internal/report"
	"waterlock/snapshot"
)

// Pack carries what the vault lacks onto a drive.
func Pack(ctx context.Context, o PackOptions) (res PackResult, err error) {
	dir, err := routeDir(o.State, o.Route)
	if err != nil {
		return res, err
	}
	if o.Drive == "" {
		return res, exit.Errorf(exit.Usage, "no drive given")
	}
	drive, err := filepath.Abs(o.Drive)
	if err != nil {
		return res, err
	}
	site, err := openSite(dir, drive)
	if err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, site.close()) }()
	return site.pack(ctx, o)
}

// run is one run of Pack.
type run struct {
	o     PackOptions
	site  *site
	rep   report.Reporter
	res   *PackResult
	drive *courier.Drive
	fleet *fleet
	books *books
	trees []*treeState
	sh    *shipment // the one being packed; nil until there is one
	pass  int       // number of the newest spool

	params   chunk.Params
	packSize int64
	reserve  int64
	closing  int64 // room kept free for streams, commit and receipt
	budget   int64 // room for packs of chunks at the start
	limited  bool  // the budget is the person's limit and not the drive's
	waits    bool  // for the vault's inventory: no data is carried
	deadline time.Time
	trusted  bool // every closed shipment's commit is known to be on its drive
	numbers  uint64

	live     func(ord uint32) bool // whether a shipment counts
	here     func(ord uint32) bool // whether it counts for what has to be carried
	again    bool                  // what is aboard other drives is being carried again
	packer   *packer
	buffers  *buffers
	splitter *chunk.Splitter
	moves    *moves
	newKeys  []inodeKey // of what is new in any tree, sorted
	answers  answers
	schedule *schedule
	began    time.Time
	reading  time.Time // since when files are read

	streamsGone *asked // stream chunks that the vault asks for and that are no longer kept

	mu  sync.Mutex
	why string
}

// pack is the way of a byte at home, from top to bottom.
func (s *site) pack(ctx context.Context, o PackOptions) (res PackResult, err error) {
	r, err := s.newRun(o, &res)
	if err != nil {
		return res, err
	}
	if err := r.takeDrive(); err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, r.drive.Close()) }()
	res.DriveID, res.DriveLabel = r.drive.ID().String(), r.drive.Label()

	// What home remembers.
	if r.fleet, err = s.loadFleet(r.rep); err != nil {
		return res, err
	}
	if r.books, err = s.openBooks(r.fleet, r.rep); err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, r.books.close(err == nil)) }()

	// What the vault says, and what earlier runs left on this drive.
	if err := r.lookAtDrive(); err != nil {
		return res, err
	}

	// What there is to do, and whether it looks right.
	if err := r.loadTrees(); err != nil {
		return res, err
	}
	defer r.closeTrees()
	if err := r.surveyAll(ctx); err != nil {
		return res, err
	}
	if err := r.makeRoom(); err != nil || o.DryRun {
		return res, err
	}

	// Read, split, encode, write, read back.
	if err := r.openShipment(); err != nil {
		return res, err
	}
	if err := r.passes(ctx); err != nil {
		return res, err
	}
	// Streams, chunk lists, commit.
	if err := r.close(ctx); err != nil {
		return res, err
	}
	return res, errors.Join(r.countServed(), r.notePace())
}

// takeDrive opens and locks the drive.
func (r *run) takeDrive() (err error) {
	if r.drive, err = r.site.openDrive(); err != nil {
		return err
	}
	if err := r.drive.Lock(); err != nil {
		return errors.Join(err, r.drive.Close())
	}
	return nil
}

// lookAtDrive takes the receipt that the drive brings, compares the drive with what home knows of it, and looks for a
// shipment to go on with.
func (r *run) lookAtDrive() error {
	if err := r.takeReceipt(); err != nil {
		return err
	}
	if err := r.noticeRollback(); err != nil {
		return err
	}
	r.askForInventory()
	if err := r.welcome(); err != nil {
		return err
	}
	if err := r.compareDrive(); err != nil {
		return err
	}
	return r.resume()
}

func (s *site) newRun(o PackOptions, res *PackResult) (*run, error) {
	r := &run{o: o, site: s, rep: orDiscard(o.Report), res: res, began: s.now()}
	res.Route, res.RouteID, res.DryRun, res.Rehash, res.Again = s.cfg.Name, s.cfg.RouteID, o.DryRun, o.Rehash, o.Again
	res.ReadBack = Coldness(disk.Cold.String())
	var err error
	if r.params, err = s.cfg.chunker(); err != nil {
		return nil, err
	}
	r.packSize = int64(s.cfg.Pack.PackSize)
	if o.PackSize > 0 {
		r.packSize = min(o.PackSize, maxPackSize)
	}
	r.reserve = int64(s.cfg.Pack.Reserve)
	if o.Reserve >= 0 {
		r.reserve = o.Reserve
	}
	if o.For > 0 {
		r.deadline = s.now().Add(o.For)
	}
	return r, nil
}

// takeReceipt imports the drive's newest receipt.
func (r *run) takeReceipt() error {
	number, err := r.site.importReceipt(r.books, r.drive, r.rep)
	if err != nil {
		return err
	}
	if number > 0 {
		r.res.Receipts = append(r.res.Receipts, number)
		r.tellReceipt(number)
	}
	if r.books.receipt != nil {
		r.res.Wants = int64(len(r.books.receipt.Wants))
	}
	return nil
}

func (r *run) tellReceipt(number uint64) {
	receipt := r.books.receipt
	arrived, wants := "no snapshot has arrived there in full yet", "nothing is asked for"
	if n := receipt.NewestArrived; n > 0 {
		arrived = fmt.Sprintf("snapshot %d has arrived there", n)
	}
	if n := int64(len(receipt.Wants)); n > 0 {
		wants = report.Count(n, "chunk") + " asked for again"
	}
	r.rep.Info("Receipt %d of vault %s was on the drive: %s, %s.", number, report.Name(receipt.VaultName), arrived, wants)
}

// askForInventory tells whether this run asks the vault for its inventory, and why.
func (r *run) askForInventory() {
	h := &r.books.horizon
	if r.res.Asks = h.why(); r.res.Asks == "" {
		return
	}
	r.waits = !r.o.WithoutInventory
	if r.waits {
		r.rep.Warn("%s: until the vault's inventory has come, the list of all chunks that it has, the drive takes the snapshot and the request for it, and no data. So nothing is carried that is there. To carry data at once all the same: wl pack --without-inventory", r.res.Asks)
	}
}

// loadTrees looks up what is known of each tree.
func (r *run) loadTrees() error {
	newest := uint64(0)
	if r.fleet.newest != nil {
		newest = r.fleet.newest.Snapshot.Number
	}
	cleared := r.books.cleared()
	all, err := r.site.lastScans(^uint64(0))
	if err != nil {
		return err
	}
	for _, scan := range all {
		r.numbers = max(r.numbers, scanNumber(scan))
	}
	scans := all
	if !r.fleet.torn { // else a newer scan may be that of a snapshot whose commit is damaged: it is the best there is
		if scans, err = r.site.lastScans(newest); err != nil {
			return err
		}
	}
	for _, tree := range r.site.cfg.Trees {
		t := &treeState{Tree: tree, lastScan: scans[tree.Name]}
		if t.excluder, err = newExcluder(tree, r.o.Exclusions, r.site.skips); err == nil {
			t.decider, err = newDecider(tree, r.o.Reconsider)
		}
		if err == nil {
			t.ranker, err = newRanker(tree, r.site.cfg.Pack.Order, r.began)
		}
		if err != nil {
			return exit.With(exit.Usage, err)
		}
		if r.fleet.newest != nil {
			if rec, ok := r.fleet.newest.Snapshot.Tree(tree.Name); ok {
				t.lastRecord = rec
			}
		}
		if cleared != nil {
			if _, has := cleared.Tree(tree.Name); has {
				t.cleared = cleared.Number
			}
		}
		if scanNumber(t.lastScan) > newest {
			t.lastRecord, t.unsure = nil, true // it is older than the scan
		}
		r.trees = append(r.trees, t)
	}
	if err := r.checkAllowed(); err != nil {
		return exit.With(exit.Usage, err)
	}
	if err := r.checkAccepted(); err != nil {
		return err
	}
	return nil
}

func (r *run) closeTrees() {
	for _, t := range r.trees {
		if t.root != nil {
			t.root.Close() // was only read
		}
	}
	r.moves.close(r.site.state)
	r.removeGoneLists()
}

// surveyAll surveys all trees and lets the guards look at what was found, before anything is written.
func (r *run) surveyAll(ctx context.Context) error {
	r.rep.Phase("survey", 0, 0)
	for _, t := range r.trees {
		err := r.surveyTree(ctx, t)
		if errors.Is(err, errStopped) {
			return exit.Errorf(exit.Interrupted, "stopped during the survey, before anything was written")
		}
		if err != nil {
			return err
		}
	}
	if err := r.findMoves(); err != nil {
		return err
	}
	for _, t := range r.trees {
		r.guard(t, t.survey.census)
		if t.stopped != nil {
			r.standStill(t)
			continue
		}
		r.res.ToRead += t.survey.toRead
		r.res.ToReadFiles += t.survey.toReadFiles
	}
	if r.o.Again {
		r.res.ToRead += r.aboardElsewhere()
	}
	return r.decideGone()
}

func recordBytes(rec *snapshot.TreeRecord) int64 {
	n := int64(0)
	if rec != nil {
		for _, c := range rec.Chunks {
			n += int64(c.Length)
		}
	}
	return n
}

// shipmentDir makes the shipment's directory, the first thing that is written onto the drive.
func (r *run) shipmentDir() (string, error) {
	dir, err := r.drive.CreateShipment(r.site.route, r.sh.id)
	if err != nil {
		err = fmt.Errorf("nothing can be written onto the drive: %w%s", err, courier.WriteHint(err))
	}
	return dir, err
}

// openShipment opens a new shipment unless an earlier run left one to continue, and gets ready to write.
func (r *run) openShipment() error {
	if r.sh == nil {
		sh, err := r.site.createShipment(r.fleet, r.drive)
		if err != nil {
			return err
		}
		r.sh = sh
	}
	r.res.Shipment = r.sh.id.String()
	if _, err := r.shipmentDir(); err != nil {
		return err
	}
	r.reading = r.site.now()
	r.live = r.fleet.live(r.sh.ord)
	r.here = r.live
	r.trusted = !r.fleet.unfinished()
	var err error
	if r.packer, err = r.newPacker(); err != nil {
		return err
	}
	r.splitter = chunk.NewSplitter(r.params)
	r.buffers, err = newBuffers(r.site.cfg.Pack.CompressionLevel, int(r.params.Max))
	return err
}

// known tells whether a chunk need not be carried: the vault holds it, a shipment that counts has it aboard, or a pack
// of this run does.
func (r *run) known(id chunk.ID) (bool, error) {
	if r.packer.has(id) {
		return true, nil
	}
	state, err := r.books.ledger.Known(id, r.live)
	return state != index.None, err
}

// carriedHere tells whether a chunk need not be carried by this run: it is known, and once all that is new has been through,
// with --again, not because of what is aboard another drive.
func (r *run) carriedHere(id chunk.ID) (bool, error) {
	if r.packer.has(id) {
		return true, nil
	}
	state, err := r.books.ledger.Known(id, r.here)
	return state != index.None, err
}

// carryAgain begins with what is aboard other drives, behind all that is new. What travels on this drive goes with it.
func (r *run) carryAgain() {
	r.again, r.here = true, r.fleet.onDrive(r.drive.ID())
}

// aboardElsewhere is about what is aboard other drives.
func (r *run) aboardElsewhere() (n int64) {
	for _, sh := range r.fleet.all {
		if sh.number != 0 && sh.counts() && sh.drive != r.drive.ID() && !r.books.ackedInFull(sh.id) {
			n += sh.size
		}
	}
	return n
}

// stopRequested tells whether reading is to end: the first Ctrl-C, or the time is up.
func (r *run) stopRequested() bool {
	if r.interrupted() {
		return true
	}
	if !r.deadline.IsZero() && r.site.now().After(r.deadline) {
		r.setWhy(fmt.Sprintf("the time of %v is up", r.o.For))
		return true
	}
	return false
}

// interrupted tells whether the first Ctrl-C has come. The survey ends with it alone: time that is up closes a
// shipment, and for that the survey must be whole.
func (r *run) interrupted() bool {
	select {
	case <-r.o.Stop:
		r.setWhy("stopped")
		r.res.Interrupted = true
		return true
	default:
		return false
	}
}

func (r *run) outOfRoom() {
	if r.waits {
		r.setWhy("until the vault's inventory has come")
	} else if r.limited {
		r.setWhy("the limit is reached")
	} else {
		r.setWhy("the drive is full")
	}
}

// setWhy notes the first reason for leaving something to the next trip.
func (r *run) setWhy(why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.why == "" {
		r.why = why
	}
}

// problem names one file that could not be read; the run goes on.
func (r *run) problem(t *treeState, path string, err error) {
	r.res.Problems++
	r.rep.Problem(r.name(t, path), err)
}

// name is a path within a tree as people write it. It holds raw bytes.
func (r *run) name(t *treeState, path string) string {
	if path == "" {
		return t.Name
	}
	return t.Name + "/" + path
}
