package home

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"waterlock/internal/chunk"
	"waterlock/internal/courier"
	"waterlock/internal/disk"
	"waterlock/internal/exit"
	"waterlock/snapshot"
)

const tool = "wl"

// close closes the shipment. The order is
//
//  1. the streams: meta packs at home, and the new scans, which count only once the commit is there
//  2. the meta packs on the drive, each read back, then its chunk list durable at home
//  3. head and tail of every pack, cold, once more
//  4. the commit, durable at home: from here on the shipment is closed
//  5. the commit on the drive, read back: from here on it is aboard
//  6. the word of that at home; what is no longer needed goes
//
// After a crash before 4 the next run goes on with an open shipment; between 4 and 6 it finishes the commit. If the drive
// has no room at 2 or 5, a pack of chunks is given back, and all is done once more.
func (r *run) close(ctx context.Context) error {
	r.rep.Phase("close", 0, 0)
	number := r.nextNumber()
	for {
		r.clearTally()
		rec, metas, err := r.writeStreams(number)
		if err != nil {
			return err
		}
		if err = r.carryStreams(metas); disk.IsNoSpace(err) {
			// Somebody else took the room that was kept free: a pack of chunks makes room, its files are pending.
			if err = r.giveBack(err); err == nil {
				continue
			}
		}
		if err != nil {
			return err
		}
		bad, err := r.checkAllEnds()
		if err != nil {
			return err
		}
		if bad {
			if err := r.passes(ctx); err != nil { // carries what the bad packs held
				return err
			}
			continue
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
		err = r.commit(rec)
		if errors.Is(err, errWithdrawn) {
			if err = r.giveBack(err); err == nil {
				continue
			}
		}
		if err != nil {
			return err
		}
		r.tidy(rec.Number)
		return nil
	}
}

// nextNumber goes above every snapshot number that anybody has heard of.
func (r *run) nextNumber() uint64 {
	n := max(r.numbers, r.books.horizon.heard)
	if r.fleet.newest != nil {
		n = max(n, r.fleet.newest.Snapshot.Number)
	}
	if r.books.receipt != nil {
		n = max(n, r.books.receipt.HighestSnapshot)
	}
	return n + 1
}

func (r *run) clearTally() {
	res := r.res
	res.Files, res.Dirs, res.Others, res.Bytes, res.Pending, res.PendingBytes, res.Unseen = 0, 0, 0, 0, 0, 0, 0
	res.NotAgain = 0
}

// carryStreams copies the meta packs onto the drive. One that does not read back is written anew under a new name.
func (r *run) carryStreams(metas []*metaPack) error {
	if err := r.dropStreams(); err != nil {
		return err
	}
	next := 1
	for _, m := range metas {
		for failed := 0; ; next++ {
			err := r.carryStream(m, next)
			if err == nil {
				next++
				break
			}
			if disk.IsNoSpace(err) {
				return err
			}
			if failed++; failed > maxRetries {
				return exit.Errorf(exit.Fatal, "drive %s is bad: a meta pack could not be written and read back, nothing is committed: %w", r.driveName(), err)
			}
			r.rep.Warn("meta pack %d failed on drive %s and is written anew: %v", next, r.driveName(), err)
		}
	}
	return nil
}

// dropStreams takes away the meta packs of an earlier attempt.
func (r *run) dropStreams() error {
	for _, name := range slices.Clone(r.sh.packs) {
		if packKind(name) != chunk.Stream {
			continue
		}
		list, err := r.site.readList(r.sh, name)
		if err != nil {
			return err
		}
		if err := r.takeBack(r.sh, list); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) carryStream(m *metaPack, number int) (err error) {
	drive, dir := r.drive.FS(), r.packer.dir
	name := courier.PackName(number, chunk.Stream)
	src, err := r.site.state.Open(m.file)
	if err != nil {
		return err
	}
	defer src.Close() // was only read
	dst, err := drive.Create(dir+"/"+name, 0o644)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = drive.Remove(dir + "/" + name) // it has no chunk list: the next run removes it otherwise
		}
	}()
	if _, err := io.CopyBuffer(onlyWriter{dst}, onlyReader{src}, make([]byte, 256<<10)); err != nil {
		dst.Close() // it is given up
		return err
	}
	how, err := readBackPack(drive, dir, &sealedPack{name: name, file: dst, sum: &m.sum})
	if err != nil {
		return err
	}
	ref := courier.FileRef{Name: name, Kind: chunk.Stream, Size: m.sum.Size, Records: uint32(m.sum.Records), Digest: m.sum.Digest, ReadBack: how}
	return r.site.putList(r.sh, newChunkList(ref, &m.sum, r.books.basis()))
}

// giveBack takes the newest pack of chunks off the drive again, so that the streams have room.
func (r *run) giveBack(cause error) error {
	if err := r.dropStreams(); err != nil {
		return err
	}
	slices.SortFunc(r.sh.packs, comparePacks)
	if len(r.sh.packs) == 0 {
		return fmt.Errorf("the drive has no room for the list of files: %w", cause)
	}
	list, err := r.site.readList(r.sh, r.sh.packs[len(r.sh.packs)-1])
	if err != nil {
		return err
	}
	r.setWhy("the drive is full")
	r.res.ChunksNew -= int64(len(list.ids))
	r.res.BytesNew -= list.plain
	return r.takeBack(r.sh, list)
}

// checkAllEnds reads head and tail of every pack of the shipment. What fails is taken back.
func (r *run) checkAllEnds() (bad bool, err error) {
	for _, name := range slices.Clone(r.sh.packs) {
		list, err := r.site.readList(r.sh, name)
		if err != nil {
			return false, err
		}
		cause := r.checkEnds(r.sh, list)
		if cause == nil {
			continue
		}
		bad = true
		if err := r.takeBack(r.sh, list); err != nil {
			return true, err
		}
		if err := r.packer.lost("", nil, fmt.Errorf("%s was good when it was read back and is not any more: %w", name, cause)); err != nil {
			return true, err
		}
	}
	return bad, nil
}

// commit writes the commit: at home, on the drive, and the word that it is there.
func (r *run) commit(rec *snapshot.Record) error {
	c, err := r.newCommit(rec)
	if err != nil {
		return err
	}
	data, err := courier.EncodeCommit(c)
	if err != nil {
		return err
	}
	if err := disk.Put(r.site.state, r.sh.dir+"/"+fileCommit, data); err != nil {
		return err
	}
	how, err := r.drive.WriteCommit(data)
	if disk.IsNoSpace(err) {
		return r.withdraw(err)
	}
	if err != nil {
		return fmt.Errorf("the commit could not be written onto the drive, the next wl pack with this drive does it: %w", err)
	}
	if err := r.site.mark(r.sh, fileAboard); err != nil {
		return err
	}
	r.sh.aboard, r.sh.number, r.sh.time = true, rec.Number, c.Time
	id := rec.ID()
	r.res.Snapshot, r.res.SnapID, r.res.Time = rec.Number, hex.EncodeToString(id[:]), rec.Time
	r.res.BytesWritten = int64(len(data))
	for _, ref := range c.Files {
		r.res.BytesWritten += ref.Size
		if ref.ReadBack == disk.Warm {
			how = disk.Warm
		}
	}
	r.res.ReadBack = Coldness(how.String())
	if r.res.Pending > 0 {
		r.res.Why = r.why
	}
	if space, err := r.drive.FS().Free(); err == nil {
		r.res.Free = space.Avail
	}
	return nil
}

// errWithdrawn: the drive had no room for a commit, and home forgot it again.
var errWithdrawn = errors.New("no room for the commit")

// withdraw makes a shipment open again whose commit the drive did not take: nobody has seen it.
func (r *run) withdraw(cause error) error {
	if out, err := r.leftHome(r.sh); err != nil || out {
		return fmt.Errorf("the commit could not be written onto the drive, the next wl pack with this drive does it: %w", errors.Join(cause, err))
	}
	if err := r.site.state.Remove(r.sh.dir + "/" + fileCommit); err != nil {
		return err
	}
	if err := r.site.state.SyncDir(r.sh.dir); err != nil {
		return err
	}
	return fmt.Errorf("%w: %w", errWithdrawn, cause)
}

func (r *run) newCommit(rec *snapshot.Record) (*courier.Commit, error) {
	cfg := r.site.cfg
	digest, err := r.books.basisDigest()
	if err != nil {
		return nil, err
	}
	c := &courier.Commit{
		Route:    courier.RouteInfo{ID: r.site.route, Name: cfg.Name, Created: cfg.Created, Chunker: r.params, Encrypted: cfg.Encryption},
		Shipment: r.sh.id, Attempt: 1, Drive: r.drive.ID(), DriveLabel: r.drive.Label(),
		Time: r.site.now().UTC().Truncate(time.Second), Tool: tool, Snapshot: *rec, Basis: r.books.basis(), BasisDigest: digest, Floor: rec.Number,
		Inventory: r.books.horizon.lacksInventory(),
	}
	slices.SortFunc(r.sh.packs, comparePacks)
	for _, name := range r.sh.packs {
		list, err := r.site.readList(r.sh, name)
		if err != nil {
			return nil, err
		}
		c.Files = append(c.Files, list.ref)
	}
	for _, sh := range r.fleet.all {
		if sh.number == 0 || sh == r.sh || r.books.ackedInFull(sh.id) {
			continue
		}
		c.Floor = min(c.Floor, sh.number)
		if r.books.earlier[sh.id] {
			continue // it is not under way, and home does not count on it
		}
		c.Out = append(c.Out, courier.OutShipment{Number: sh.number, Shipment: sh.id, Drive: sh.drive, DriveLabel: sh.label,
			Time: sh.time, Lost: sh.lost || sh.missing})
	}
	slices.SortFunc(c.Out, func(a, b courier.OutShipment) int {
		return cmp.Or(cmp.Compare(a.Number, b.Number), bytes.Compare(a.Shipment[:], b.Shipment[:]))
	})
	return c, nil
}

// tidy removes what the commit made superfluous. Nothing here can harm it, and what is left over is harmless.
func (r *run) tidy(number uint64) {
	r.site.removeSpools(r.rep, r.sh, maxOrdinal)
	if keep, err := r.site.lastScans(number); err == nil {
		r.site.removeScans(r.rep, keep)
	}
	r.books.dropInventories()
	if r.books.receipt == nil {
		return
	}
	for _, sh := range r.fleet.all {
		if sh.number != 0 && sh.number <= r.books.receipt.NewestArrived && r.books.ackedInFull(sh.id) {
			if err := r.site.removeStreams(sh.ord); err != nil {
				r.rep.Verbose("%v", err)
			}
		}
	}
}

func sortTrees(rec *snapshot.Record) {
	slices.SortFunc(rec.Trees, func(a, b snapshot.TreeRecord) int { return strings.Compare(a.Name, b.Name) })
}
