package courier

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/internal/report"
	"waterlock/internal/wire"
	"waterlock/pack"
)

// VerifyResult counts what VerifyDrive read and found.
type VerifyResult struct {
	Shipments     int64 // committed ones
	Returns       int64 // complete ones
	Open          int64 // shipments and returns that are not finished
	Files         int64 // packs and inventories read, and programs that the drive carries
	Records       int64 // in them, as their commits say
	Bytes         int64
	DamagedFiles  int64 // commits and receipts included
	MissingFiles  int64
	DamagedChunks int64 // records that are not sound, and those that are not found any more
	Problems      int64 // all that was reported
	Warm          bool  // some file could not be read past the cache
}

// VerifyDrive reads everything on the drive back: receipts, with the newest's
// inventory, and landings, and of each committed shipment and complete return
// every byte of every pack. A pack whose
// bytes have the digest that its commit says is sound in every record. One
// that has not is read record by record, and each damaged chunk is named. The
// error is for the drive as a whole; all else is reported and counted.
func VerifyDrive(ctx context.Context, d *Drive, rep report.Reporter) (VerifyResult, error) {
	v := &verifier{ctx: ctx, d: d, rep: rep, buf: make([]byte, 1<<20)}
	routes, err := d.Routes()
	if err != nil {
		return v.res, err
	}
	var told []*Receipt // with an inventory
	var bytes, files int64
	for _, route := range routes {
		receipts, problems, err := d.ReadReceipts(route)
		if err != nil {
			v.problem(receiptsOf(route), err)
		}
		if len(receipts) > 0 && !receipts[0].Receipt.Inventory.IsZero() { // that of an older one may be gone
			told = append(told, receipts[0].Receipt)
			bytes, files = bytes+InventorySize(receipts[0].Receipt.Inventory.Count), files+1
		}
		for _, p := range problems {
			v.res.DamagedFiles++
			v.problem(receiptsOf(route), p)
		}
		shipments, err := d.Shipments(route)
		if err != nil {
			v.problem(shipmentsOf(route), err)
		}
		for _, s := range shipments {
			for _, p := range s.Problems {
				v.res.DamagedFiles++
				v.problem(s.Path, p)
			}
			if !s.Committed {
				v.res.Open++
				rep.Verbose("shipment %s is open", s.ID)
				continue
			}
			v.res.Shipments++
			v.work = append(v.work, packsIn{s.Path, filesOf(&s)})
		}
		v.returns(route)
	}
	for i := range v.work {
		for j := range v.work[i].files {
			bytes, files = bytes+v.work[i].files[j].Size, files+1
		}
	}
	rep.Phase("verify", bytes, files)
	for _, w := range v.work {
		for _, f := range w.files {
			if err := ctx.Err(); err != nil {
				return v.res, err
			}
			v.file(w.dir+"/"+f.Name, f)
		}
	}
	for _, r := range told {
		v.inventory(r)
	}
	v.programs()
	return v.res, ctx.Err()
}

// packsIn is a directory whose packs are to be read.
type packsIn struct {
	dir   string
	files []FileRef
}

// returns checks what a vault and a new home say to each other, and puts the
// packs of the returns on the list.
func (v *verifier) returns(route wire.RouteID) {
	list, err := v.d.Homecomings(route)
	if err != nil {
		v.problem(returnsOf(route), err)
	}
	for _, of := range list {
		dir := HomecomingDir(route, of)
		_, problems, err := v.d.Landings(route, of)
		if err != nil {
			v.problem(dir, err)
		}
		found, err := v.d.Returns(route, of)
		if err != nil {
			v.problem(dir, err)
		}
		for i := range found {
			problems = append(problems, found[i].Problems...)
			if found[i].Return == nil {
				v.res.Open++
				v.rep.Verbose("return %s is open", found[i].ID)
				continue
			}
			v.res.Returns++
			v.work = append(v.work, packsIn{found[i].Path, found[i].Return.Files})
		}
		for _, p := range problems {
			v.res.DamagedFiles++
			v.problem(dir, p)
		}
	}
}

// inventory verifies the list of chunks that goes with a receipt.
func (v *verifier) inventory(r *Receipt) {
	name := receiptsOf(r.Route) + "/" + InventoryName(r.Number, r.Inventory.Digest)
	f, err := v.d.fs.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		v.res.MissingFiles++
		v.problem(name, fmt.Errorf("missing, home will ask for another: %w", err))
		return
	}
	v.res.Files++
	if err == nil {
		defer f.Close() // was only read
		if c, err := f.Evict(); err != nil || c != disk.Cold {
			v.res.Warm = true
		}
		size := InventorySize(r.Inventory.Count)
		in := &progressReader{v, f, size}
		err = CheckInventory(in, r, nil)
		v.res.Bytes += size - in.left
		v.rep.Add(0, 1)
	}
	if err != nil && v.ctx.Err() == nil {
		v.res.DamagedFiles++
		v.problem(name, err)
	}
}

// programs verifies the programs that the drive carries.
func (v *verifier) programs() {
	names, err := v.d.Programs()
	if err != nil {
		v.problem(binDir, err)
	}
	for _, name := range names {
		if v.ctx.Err() != nil {
			return
		}
		size, cold, err := v.d.checkProgram(name)
		v.res.Files++
		v.res.Bytes += size
		v.res.Warm = v.res.Warm || cold == disk.Warm
		if err != nil {
			v.res.DamagedFiles++
			v.problem(binDir+"/"+name, err)
		}
	}
}

// filesOf are the files of all commits of a shipment, those of the newest
// where they differ.
func filesOf(s *ShipmentInfo) []FileRef {
	files := s.Commits[0].Commit.Files
	seen := map[string]bool{}
	for _, f := range files {
		seen[f.Name] = true
	}
	for _, c := range s.Commits[1:] {
		for _, f := range c.Commit.Files {
			if !seen[f.Name] {
				seen[f.Name] = true
				files = append(files[:len(files):len(files)], f)
			}
		}
	}
	return files
}

type verifier struct {
	ctx  context.Context
	d    *Drive
	rep  report.Reporter
	buf  []byte
	res  VerifyResult
	work []packsIn
}

func (v *verifier) problem(path string, err error) {
	v.res.Problems++
	v.rep.Problem(path, err)
}

// file verifies one pack.
func (v *verifier) file(name string, ref FileRef) {
	f, err := v.d.fs.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		v.res.MissingFiles++
		v.res.DamagedChunks += int64(ref.Records)
		v.problem(name, fmt.Errorf("missing, and with it %d chunks: %w", ref.Records, err))
		return
	} else if err != nil {
		v.damaged(name, ref, err)
		return
	}
	defer f.Close()
	v.res.Files++
	v.res.Records += int64(ref.Records)
	st, err := f.Stat()
	if err != nil {
		v.damaged(name, ref, err)
		return
	}
	if c, err := f.Evict(); err != nil || c != disk.Cold {
		v.res.Warm = true
	}
	h := chunk.NewDigester()
	n, err := io.CopyBuffer(h, &progressReader{v, f, ref.Size}, v.buf)
	v.res.Bytes += n
	v.rep.Add(0, 1)
	if v.ctx.Err() != nil {
		return
	}
	switch sum := h.Sum(); {
	case err == nil && st.Size == ref.Size && sum == ref.Digest:
		return
	case err == nil && st.Size != ref.Size:
		err = fmt.Errorf("%d bytes, %d expected", st.Size, ref.Size)
	case err == nil:
		err = fmt.Errorf("digest %v, %v expected", sum, ref.Digest)
	}
	v.res.DamagedFiles++
	v.problem(name, err)
	v.records(name, ref, f, st.Size)
}

// damaged is a pack of which nothing can be read.
func (v *verifier) damaged(name string, ref FileRef, err error) {
	v.res.DamagedFiles++
	v.res.DamagedChunks += int64(ref.Records)
	v.problem(name, err)
}

// records names the damaged chunks of a damaged pack.
func (v *verifier) records(name string, ref FileRef, f disk.File, size int64) {
	var sound, named int64
	tableErr, err := pack.Check(f, size, func(p pack.Place, err error) error {
		if err == nil {
			sound++
			return v.ctx.Err()
		}
		named++
		v.problem(name, fmt.Errorf("chunk %v: %w", p.ID, err))
		return v.ctx.Err()
	})
	if v.ctx.Err() != nil {
		return
	}
	if tableErr != nil {
		v.problem(name, tableErr)
	}
	if err != nil {
		v.problem(name, err)
	}
	lost := max(int64(ref.Records)-sound, named)
	v.res.DamagedChunks += lost
	if lost > named {
		v.problem(name, fmt.Errorf("%d chunks cannot be found in it", lost-named))
	}
}

// progressReader reports what is read, as far as it was expected.
type progressReader struct {
	v    *verifier
	r    io.Reader
	left int64
}

func (p *progressReader) Read(b []byte) (int, error) {
	if err := p.v.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := p.r.Read(b)
	p.v.rep.Add(min(int64(n), p.left), 0)
	p.left -= min(int64(n), p.left)
	return n, err
}
