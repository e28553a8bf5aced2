package home

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"waterlock/internal/chunk"
	"waterlock/internal/courier"
	"waterlock/internal/disk"
	"waterlock/internal/exit"
	"waterlock/internal/report"
	"waterlock/pack"
)

const commitSuffix = ".commit" // of what courier.CommitName makes

// compareDrive compares what home remembers of this drive with what lies on it. A closed shipment whose commit never
// was read back gets it now. One that is missing no longer counts, and neither does a pack that is: it is carried again.
func (r *run) compareDrive() error {
	there, err := r.drive.Shipments(r.site.route)
	if err != nil {
		return err
	}
	onDrive := map[courier.ShipmentID]*courier.ShipmentInfo{}
	for i := range there {
		onDrive[there[i].ID] = &there[i]
		for _, c := range there[i].Commits {
			r.numbers = max(r.numbers, c.Commit.Snapshot.Number)
		}
		for _, p := range there[i].Problems {
			r.rep.Verbose("%v", p) // home knows each commit of its own, and writes it anew below
		}
	}
	for _, sh := range r.fleet.all {
		if sh.number == 0 || sh.drive != r.drive.ID() || sh.missing || sh.lost || r.books.ackedInFull(sh.id) {
			continue
		}
		info := onDrive[sh.id]
		if info == nil && r.books.earlier[sh.id] {
			continue // it was cleared, or was about to be: the vault of an earlier epoch had all of it
		}
		switch {
		case sh.aboard && info != nil && info.Committed:
		case r.o.DryRun:
			r.foretell(sh)
			continue
		default:
			if err := r.finishCommit(sh, info); err != nil {
				return err
			}
			continue
		}
		if err := r.comparePacks(sh); err != nil {
			return err
		}
	}
	return nil
}

// declareMissing stops counting on a shipment: first the word of it, durable, then the ledger.
func (r *run) declareMissing(sh *shipment) error {
	r.rep.Warn("shipment %s of snapshot %d is no longer on drive %s: what it carried is carried again", sh.id.Short(), sh.number, r.driveName())
	for _, name := range sh.packs {
		if list, err := r.site.readList(sh, name); err == nil && !sh.gone[name] && packKind(name) == chunk.Data {
			r.res.RecarriedBytes += list.plain
		}
	}
	r.res.Recarried++
	if err := r.site.mark(sh, fileMissing); err != nil {
		return err
	}
	sh.missing = true
	return r.books.dropShipment(sh)
}

// foretell counts what a run that is not dry would find missing of a shipment, and carry again.
func (r *run) foretell(sh *shipment) {
	missing := int64(0)
	for _, name := range sh.packs {
		list, err := r.site.readList(sh, name)
		if err == nil && !sh.gone[name] && packKind(name) == chunk.Data && r.checkEnds(sh, list) != nil {
			missing += list.plain
		}
	}
	if missing > 0 {
		r.res.Recarried++
		r.res.RecarriedBytes += missing
	}
}

// comparePacks looks at the packs of a shipment: each is there, in its full length, and by head and tail the one that was
// packed. What lies between them is read when it arrives, or by wl verify. A meta pack that is missing is named and costs
// nothing else: home never counts on stream chunks that are aboard, and the vault asks for those that it lacks.
func (r *run) comparePacks(sh *shipment) error {
	for _, name := range sh.packs {
		if sh.gone[name] {
			continue
		}
		list, err := r.site.readList(sh, name)
		if err != nil {
			r.rep.Warn("%v", err)
			continue
		}
		cause := r.checkEnds(sh, list)
		if cause == nil {
			continue
		}
		if err := r.driveGone(cause); err != nil {
			return err
		}
		if r.o.DryRun {
			r.foretell(sh)
			return nil
		}
		if err := r.declareGone(sh, list, cause); err != nil {
			return err
		}
	}
	return nil
}

// declareGone stops counting on a pack: first the word of it, durable, then the ledger.
func (r *run) declareGone(sh *shipment, list *chunkList, cause error) error {
	name, what := list.ref.Name, "altered"
	if errors.Is(cause, fs.ErrNotExist) {
		what = "missing"
	}
	if packKind(name) != chunk.Data {
		r.rep.Problem(sh.id.Short()+"/"+name, fmt.Errorf("%s on drive %s; the vault asks for the list of files that it held: %w", what, r.driveName(), cause))
		return nil
	}
	r.rep.Problem(sh.id.Short()+"/"+name, fmt.Errorf("%s on drive %s, its chunks are carried again: %w", what, r.driveName(), cause))
	r.res.Recarried++
	r.res.RecarriedBytes += list.plain
	if err := r.site.mark(sh, name+goneSuffix); err != nil {
		return err
	}
	sh.gone[name] = true
	return r.books.ledger.DropAboard(sh.ord, list.ids)
}

// driveGone tells a drive that has been pulled out from one that was altered: the first says nothing of what lies on it.
func (r *run) driveGone(cause error) error {
	_, free := r.drive.FS().Free()
	_, list := r.drive.FS().ReadDir(".")
	if err := cmp.Or(free, list); err != nil {
		return exit.Errorf(exit.Fatal, "drive %s is gone, or does not answer any more: plug it in again, and run wl pack again: %w", r.driveName(), errors.Join(cause, err))
	}
	return nil
}

// onDrive tells whether a pack lies on the drive in its full length.
func (r *run) onDrive(sh *shipment, list *chunkList) bool {
	st, err := r.drive.FS().Stat(courier.ShipmentDir(r.site.route, sh.id) + "/" + list.ref.Name)
	return err == nil && st.Kind == disk.KindFile && st.Size == list.ref.Size
}

// finishCommit brings a commit onto the drive that an earlier run made durable at home and no further, or that was
// lost or damaged there while its packs are not.
func (r *run) finishCommit(sh *shipment, info *courier.ShipmentInfo) error {
	for _, name := range sh.packs {
		list, err := r.site.readList(sh, name)
		if err == nil {
			err = r.checkEnds(sh, list)
		}
		if err != nil {
			r.rep.Verbose("%v", err)
			if err := r.driveGone(err); err != nil {
				return err
			}
			return r.declareMissing(sh)
		}
	}
	data, err := disk.ReadAll(r.site.state, sh.dir+"/"+fileCommit, maxCommitBytes)
	if err != nil {
		return err
	}
	if info == nil || !info.Committed { // else only the word of it was missing at home
		if _, err := r.drive.WriteCommit(data); err != nil {
			return err
		}
	}
	if err := r.site.mark(sh, fileAboard); err != nil {
		return err
	}
	sh.aboard = true
	r.res.Finished = append(r.res.Finished, sh.number)
	r.rep.Info("Finished snapshot %d, whose commit was not on the drive.", sh.number)
	r.site.removeSpools(r.rep, sh, maxOrdinal)
	return nil
}

// resume looks for a shipment that an earlier run opened on this drive and did not close, and takes stock of it: packs
// that were read back are kept, one that was complete is read back now, all else is taken away.
func (r *run) resume() error {
	for _, sh := range r.fleet.all {
		if !sh.open() || sh.lost || sh.missing || sh.drive != r.drive.ID() {
			continue
		}
		left, err := r.leftHome(sh)
		if err != nil {
			return err
		}
		// Where it is not there any more, it may have been committed, have arrived and been cleared, by a home that this one does
		// not remember.
		_, err = r.drive.FS().Stat(courier.ShipmentDir(r.site.route, sh.id))
		removed := errors.Is(err, fs.ErrNotExist)
		switch {
		case err != nil && !removed:
			return err
		case !left && !removed:
			r.sh = sh // the newest
			continue
		case r.o.DryRun:
			continue
		case left:
			r.rep.Warn("shipment %s was committed once, which home does not know: home was rolled back; another shipment is opened", sh.id.Short())
		case len(sh.packs) > 0:
			r.rep.Warn("shipment %s that was begun on drive %s is no longer there: another is opened", sh.id.Short(), r.driveName())
		}
		if err := r.leaveAlone(sh); err != nil {
			return err
		}
	}
	if r.sh == nil || r.o.DryRun {
		return r.lastPass()
	}
	dir, err := r.shipmentDir()
	if err != nil {
		return err
	}
	anew := false
	for _, name := range slices.Clone(r.sh.packs) {
		list, err := r.site.readList(r.sh, name)
		if err != nil {
			r.rep.Warn("a chunk list is damaged, its pack is looked at again: %v", err)
			if err := r.site.removeList(r.sh, name); err != nil {
				return err
			}
			anew = true
			continue
		}
		if packKind(name) == chunk.Data && r.onDrive(r.sh, list) {
			continue
		}
		if err := r.takeBack(r.sh, list); err != nil {
			return err
		}
	}
	names, err := r.drive.FS().ReadDir(dir)
	if err != nil {
		return err
	}
	for i := range names.Len() {
		name := names.At(i)
		if packNumber(name) == 0 || name != courier.PackName(packNumber(name), packKind(name)) || r.sh.has(name) {
			continue
		}
		if packKind(name) == chunk.Data && r.adopt(dir, name) {
			continue
		}
		if err := r.drive.FS().Remove(dir + "/" + name); err != nil {
			return err
		}
	}
	if anew { // nobody knows which chunks the damaged list named
		if err := r.books.refold(); err != nil {
			return err
		}
	}
	r.res.Resumed = len(r.sh.packs) > 0
	if r.res.Resumed {
		r.rep.Info("Going on with the shipment that was begun on %s: %s on the drive.", r.sh.opened.Format("2006-01-02 15:04"), report.Count(int64(len(r.sh.packs)), "pack"))
	}
	return r.lastPass()
}

// leftHome tells whether a shipment that is open by what home remembers was committed all the same: home was rolled
// back. There is a commit in it on the drive, be it a damaged one, or a receipt knows it.
func (r *run) leftHome(sh *shipment) (bool, error) {
	if r.books.acks[sh.id] != nil {
		return true, nil
	}
	names, err := r.drive.FS().ReadDir(courier.ShipmentDir(r.site.route, sh.id))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for i := range names.Len() {
		if strings.HasSuffix(names.At(i), commitSuffix) {
			return true, nil
		}
	}
	return false, nil
}

// leaveAlone never again touches an open shipment that was, or may have been, committed once: the vault goes by that commit and would not
// look at another. What home believes to be in it is carried again.
func (r *run) leaveAlone(sh *shipment) error {
	if err := r.site.mark(sh, fileMissing); err != nil {
		return err
	}
	sh.missing = true
	return r.books.dropShipment(sh)
}

// lastPass finds the newest spool.
func (r *run) lastPass() error {
	if r.sh == nil {
		return nil
	}
	_, newest, err := r.site.spools(r.sh, "", maxOrdinal)
	r.pass = newest
	return err
}

// takeBack stops counting on a pack of the open shipment: ledger, then its list, then the pack itself.
func (r *run) takeBack(sh *shipment, list *chunkList) error {
	if list.ref.Kind == chunk.Data {
		if err := r.books.ledger.DropAboard(sh.ord, list.ids); err != nil {
			return err
		}
	}
	if err := r.site.removeList(sh, list.ref.Name); err != nil {
		return err
	}
	err := r.drive.FS().Remove(courier.ShipmentDir(r.site.route, sh.id) + "/" + list.ref.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// adopt keeps a pack that is complete but was not read back before the earlier run ended.
func (r *run) adopt(dir, name string) bool {
	fs := r.drive.FS()
	st, err := fs.Stat(dir + "/" + name)
	if err != nil || st.Size < pack.ClosedSize(1, 1) {
		return false
	}
	sum, err := checkPack(fs, dir+"/"+name, st.Size)
	if err != nil || sum.Kind != chunk.Data {
		r.rep.Verbose("%s is not complete: %v", name, err)
		return false
	}
	digest := chunk.NewDigester()
	if err := syncFile(fs, dir, name); err != nil {
		r.rep.Verbose("%v", err)
		return false
	}
	how, err := disk.ReadBack(fs, dir+"/"+name, func(rd disk.File) error {
		_, err := io.Copy(onlyWriter{digest}, onlyReader{rd})
		return err
	})
	if err == nil { // what was read cold is what the checks below see
		_, err = checkRecords(fs, dir+"/"+name, st.Size)
	}
	if err != nil {
		r.rep.Verbose("%s does not read back: %v", name, err)
		return false
	}
	sum.Digest = digest.Sum()
	ref := courier.FileRef{Name: name, Kind: chunk.Data, Size: st.Size, Records: uint32(sum.Records), Digest: sum.Digest, ReadBack: how}
	list := newChunkList(ref, sum, r.books.basis())
	if err := r.site.putList(r.sh, list); err != nil {
		r.rep.Verbose("%v", err)
		return false
	}
	if err := r.books.ledger.AddAboard(r.sh.ord, list.ids); err != nil {
		r.rep.Verbose("%v", err)
		return false
	}
	return true
}

// syncFile makes durable what a killed process wrote: what is not on the medium yet cannot be read back from it.
func syncFile(fs disk.FS, dir, name string) error {
	f, err := fs.OpenWrite(dir + "/" + name)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close(), fs.SyncDir(dir))
}

// checkPack opens a pack by its header, footer and table.
func checkPack(fs disk.FS, name string, size int64) (*pack.Summary, error) {
	f, err := fs.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() // was only read
	p, err := pack.Open(f, size)
	if err != nil {
		return nil, err
	}
	return &pack.Summary{PackID: p.PackID(), Kind: p.Kind(), Size: size, Records: len(p.Places()), Places: p.Places()}, nil
}

// checkRecords reads every record of a pack.
func checkRecords(fs disk.FS, name string, size int64) (n int, err error) {
	f, err := fs.Open(name)
	if err != nil {
		return 0, err
	}
	defer f.Close() // was only read
	var bad error
	tableErr, err := pack.Check(f, size, func(_ pack.Place, err error) error {
		n++
		bad = errors.Join(bad, err)
		return bad
	})
	return n, errors.Join(tableErr, err, bad)
}

// checkEnds reads head and tail of a pack cold once more: a stick of false capacity wraps onto earlier data, and what
// was good when it was read back may have been overwritten since.
func (r *run) checkEnds(sh *shipment, list *chunkList) error {
	name := courier.ShipmentDir(r.site.route, sh.id) + "/" + list.ref.Name
	f, err := r.drive.FS().Open(name)
	if err != nil {
		return err
	}
	defer f.Close() // was only read
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if st.Size != list.ref.Size {
		return fmt.Errorf("%s: %w: expected %d bytes, found %d", name, disk.ErrReadBack, list.ref.Size, st.Size)
	}
	if _, err := f.Evict(); err != nil {
		return err
	}
	p, err := pack.Open(f, st.Size)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if p.PackID() != list.packID || len(p.Places()) != len(list.ids) {
		return fmt.Errorf("%s: %w: it is another pack", name, disk.ErrReadBack)
	}
	return nil
}
