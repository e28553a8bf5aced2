package home

import (
	"fmt"
	"io"

	"waterlock/internal/chunk"
	"waterlock/internal/courier"
	"waterlock/internal/disk"
	"waterlock/pack"
)

// sealedPack is a pack that was closed and has to be read back.
type sealedPack struct {
	name  string
	file  disk.File
	sum   *pack.Summary
	ids   []chunk.ID
	spool *spool
}

// verify reads a pack back from the drive, and only then counts on it. The order is
//
//  1. sync of the pack; its close; sync of the shipment's directory on the drive
//  2. eviction, read-back, comparison with the BLAKE3 of what was written
//  3. sync of the spool, whose entries name the chunks
//  4. the chunk list, durable at home
//  5. the rows of the ledger
//
// After a crash before 4 the pack has no chunk list: the next run removes it. After a crash before 5 the ledger was
// not closed, and is folded from the lists.
func (p *packer) verify(s *sealedPack) {
	how, err := readBackPack(p.r.drive.FS(), p.dir, s)
	if err != nil {
		p.mu.Lock()
		p.budget += s.sum.Size   // it is written anew in the same room
		if disk.IsNoSpace(err) { // told only now, as some file systems do
			p.budget = 0
			p.r.outOfRoom()
		}
		p.mu.Unlock()
		_ = p.lost(s.name, s.ids, err) // kept, and told by the next call
		return
	}
	err = p.count(s, how)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.err = err
		return
	}
	for _, id := range s.ids {
		delete(p.inRun, id)
	}
	p.failed = 0
}

// count is steps 3 to 5.
func (p *packer) count(s *sealedPack, how disk.Coldness) error {
	if err := s.spool.sync(); err != nil {
		return err
	}
	ref := courier.FileRef{Name: s.name, Kind: s.sum.Kind, Size: s.sum.Size, Records: uint32(s.sum.Records), Digest: s.sum.Digest, ReadBack: how}
	if err := p.r.site.putList(p.r.sh, newChunkList(ref, s.sum, p.r.books.basis())); err != nil {
		return err
	}
	p.r.rep.Verbose("pack %s: %d chunks, %d bytes, read back %s", s.name, s.sum.Records, s.sum.Size, how)
	return p.r.books.ledger.AddAboard(p.r.sh.ord, s.ids)
}

func readBackPack(fs disk.FS, dir string, s *sealedPack) (disk.Coldness, error) {
	err := s.file.Sync()
	if cerr := s.file.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = fs.SyncDir(dir)
	}
	if err != nil {
		return 0, err
	}
	return disk.ReadBack(fs, dir+"/"+s.name, func(r disk.File) error {
		return compareDigest(r, s.sum.Size, s.sum.Digest)
	})
}

// compareDigest reads to the end and compares size and BLAKE3.
func compareDigest(r io.Reader, size int64, digest chunk.Digest) error {
	d := chunk.NewDigester()
	buf := make([]byte, 1<<20)
	n, err := io.CopyBuffer(onlyWriter{d}, onlyReader{r}, buf)
	if err != nil {
		return err
	}
	if found := d.Sum(); n != size || found != digest {
		return fmt.Errorf("%w: expected %d bytes with BLAKE3 %s, found %d with %s", disk.ErrReadBack, size, digest, n, found)
	}
	return nil
}

// onlyReader and onlyWriter keep io.CopyBuffer to the buffer it was given.
type onlyReader struct{ io.Reader }
type onlyWriter struct{ io.Writer }
