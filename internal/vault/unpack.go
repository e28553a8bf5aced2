package vault

import (
	"context"
	"errors"

	"waterlock/chunkstore"
	"waterlock/internal/chunk"
	"waterlock/internal/courier"
	"waterlock/internal/report"
	"waterlock/snapshot"
)

// unpacking is one run of Unpack.
type unpacking struct {
	v       *vault
	o       UnpackOptions
	rep     report.Reporter
	result  UnpackResult
	courier *courier.Drive

	problems   *problemCounter    // of the vault itself
	shipments  []*shipment        // committed ones on the drive, oldest first
	packs      *drivePacks        // their packs
	own        *ownState          // what the vault told home last
	untold     error              // the inventory cannot be written onto the drive, so the receipt is not
	newest     *courier.Commit    // the snapshot that the mirror follows; nil if none is known
	full       bool               // no room for more history
	out        outstanding        // shipments still under way
	condemned  *condemned         // what the newest own receipt condemns
	clear      uint64             // what was condemned by the receipt of this number, or earlier, may go
	finders    map[string]*finder // of the newest snapshot, by tree
	memory     *memory            // what home remembers; nil: not looked up yet
	plainBytes int64              // of all records on the drive
	arrivals   *arrivals
	goneDirs   int64            // directories in the mirror that are gone at home
	goneNames  []string         // the first files of those that are gone, for the question
	blocked    int64            // entries that a directory of the mirror stands in the way of
	stuck      map[string]bool  // of these directories, those with files that are gone at home
	walked     map[string]bool  // trees of which every entry was seen
	hidden     bool             // home could not look into a directory: what is gone from it is not known
	needs      map[string]int64 // bytes of room that files of a tree lack
	awaited    map[pathOf]int64 // paths for which a file grows that may yet be whole, and its size then
}

// Unpack takes what the drive brings, and ends with a receipt on it. Whatever interrupts it, it is simply run again: each
// step does only what is not done yet, and each leaves the vault in order.
func Unpack(ctx context.Context, o UnpackOptions) (result UnpackResult, err error) {
	u := &unpacking{o: o, rep: o.Report, finders: map[string]*finder{}, stuck: map[string]bool{},
		walked: map[string]bool{}, needs: map[string]int64{}, awaited: map[pathOf]int64{}}
	if u.rep == nil {
		u.rep = report.Discard
	}
	defer func() {
		err = interrupted(ctx, err)
	}()
	if err := u.open(); err != nil {
		return u.result, err
	}
	defer func() {
		if e := u.close(); err == nil {
			err = e
		}
		result = u.result
	}()

	for _, step := range []struct {
		phase string // "": the one before goes on
		do    func(context.Context) error
	}{
		// What lies on the drive, and what does the vault know?
		{"looking at the drive", u.shipmentsOn},
		{"", u.keepCommits},
		{"", u.openChunks},
		{"", u.loadTables},

		// Metadata first: with the streams in the history every snapshot can be read.
		{"reading the lists of files", u.takeStreams},
		{"", u.free},

		// The mirror follows the newest snapshot known, whichever shipment is at hand. What is not in the mirror goes to
		// the history.
		{"checking the mirror", u.checkMirror},
		{"", u.deliverAll},
		{"filling the history", u.takeData},

		// What is gone at home leaves the mirror if a person says so, and what it stood in the way of takes its place.
		{"taking deletions over", u.deletions},
		{"", u.deliverBlocked},
		{"finishing directories", u.directories},
		{"compacting the history", u.compact},

		// Does every snapshot have what it names? Then tell home.
		{"checking what the snapshots need", u.countRecords},
		{"", u.countRoom},
		{"", u.checkArrivals},
		{"", u.takeWanted},
		{"", u.writeReceipt},
		{"", u.summary},
	} {
		if step.phase != "" {
			u.rep.Phase(step.phase, 0, 0)
		}
		if err := step.do(ctx); err != nil {
			return u.result, err
		}
	}
	return u.result, nil
}

func (u *unpacking) takeStreams(ctx context.Context) error { return u.takeIn(ctx, chunk.Stream) }

func (u *unpacking) takeData(ctx context.Context) error { return u.takeIn(ctx, chunk.Data) }

func (u *unpacking) checkMirror(ctx context.Context) error {
	check, err := u.v.store.CheckMirror(ctx)
	u.result.Damaged += check.Chunks
	return err
}

func (u *unpacking) deliverAll(ctx context.Context) error {
	u.rep.Phase("delivering", u.plainBytes, 0)
	return u.deliver(ctx, everyPath)
}

func (u *unpacking) deliverBlocked(ctx context.Context) error {
	if u.blocked == 0 {
		return nil
	}
	return u.deliver(ctx, blockedPaths)
}

func (u *unpacking) compact(ctx context.Context) error {
	r, err := u.v.store.Compact(ctx, chunkstore.CompactOptions{Needed: u.needed, Awaited: u.growsFor})
	u.result.FreedBytes += r.Freed
	return err
}

func (u *unpacking) checkArrivals(ctx context.Context) (err error) {
	u.arrivals, err = u.v.checkArrivals(ctx, u.packs.lost)
	return err
}

// open locks the drive and the vault.
func (u *unpacking) open() (err error) {
	if u.courier, err = courier.OpenDrive(u.o.Drive); err != nil {
		return err
	}
	if err = u.courier.Lock(); err != nil {
		u.courier.Close()
		return err
	}
	u.problems = &problemCounter{Reporter: u.rep}
	if u.v, err = openVault(u.o.Vault, u.problems); err != nil {
		u.courier.Close()
		return err
	}
	u.result.Route = u.v.RouteName
	if u.o.Deletions == "" {
		u.o.Deletions = u.v.Deletions
	}
	if _, err = parseDeletions(string(u.o.Deletions)); err != nil {
		u.close()
	}
	return err
}

func (u *unpacking) close() error {
	if u.packs != nil {
		u.packs.close()
	}
	err := u.v.close()
	return errors.Join(err, u.courier.Close())
}

// openChunks opens the vault's chunks, now that all trees are known, with the drive as their last place.
func (u *unpacking) openChunks(ctx context.Context) error {
	u.result.Shipments = len(u.shipments)
	if err := u.v.openStore(ctx); err != nil {
		return err
	}
	u.packs = newDrivePacks(u.courier, u.v.cat, u.shipments, u.rep)
	u.v.store.AttachDrive(u.packs)

	var err error
	if u.own, err = u.ownState(); err != nil {
		return err
	}
	u.condemned = newCondemned(u.own.newest)
	if u.out, err = u.v.outstanding(); err != nil {
		return err
	}
	head, ok := u.v.commits.newest()
	if !ok {
		return nil
	}
	if u.newest, err = u.v.commits.load(head); err != nil {
		return err
	}
	u.result.Snapshot = u.newest.Snapshot.Number
	u.result.SnapshotTime = u.newest.Snapshot.Time
	return nil
}

// trees calls fn for each tree of the newest snapshot that can lie in this vault.
func (u *unpacking) trees(fn func(snapshot.TreeRecord) error) error {
	if u.newest == nil {
		return nil
	}
	for _, t := range u.newest.Snapshot.Trees {
		if treeHere(t.Name) != nil {
			continue // said when the volumes were opened
		}
		if err := fn(t); err != nil {
			return err
		}
	}
	return nil
}

// summary completes the result.
func (u *unpacking) summary(ctx context.Context) error {
	u.result.Damaged += u.packs.damage + u.problems.n.Load()
	if u.newest != nil {
		a := u.arrivals.of(u.newest)
		if a.lacking > a.wanted {
			u.result.Drives = u.arrivals.out.drives(u.newest.Snapshot.Number)
		}
		u.result.SnapshotArrived = a.arrived
		u.result.SnapshotWhole = a.arrived && u.newest.Snapshot.Whole()
		for i := range u.newest.Snapshot.Trees {
			if s := stoppedText(&u.newest.Snapshot.Trees[i]); s != "" {
				u.result.Stopped = append(u.result.Stopped, s)
			}
		}
	}
	space, err := u.v.store.Space(ctx)
	if err != nil {
		return err
	}
	u.result.HistoryTotal, u.result.ForeignBytes = space.History+space.Kept, space.Foreign
	for p, size := range u.awaited {
		has, err := u.v.store.Grown(p.tree, p.path)
		if err != nil {
			return err
		}
		u.result.Growing++
		u.result.GrowingBytes += has
		u.result.GrowingTotal += size
	}
	return nil
}
