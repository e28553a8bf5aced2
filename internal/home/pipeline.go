package home

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/internal/report"
	"waterlock/pack"
	"waterlock/snapshot"
)

// The pipeline of a pass. One goroutine walks, reads and splits; a few workers hash, look up and encode; one goroutine
// takes their results in the order of the stream, appends chunks to the open pack and entries to the spool. What is in
// flight is bounded by the buffers, so memory is, too.
type pipeline struct {
	r       *run
	group   *errgroup.Group
	ctx     context.Context
	ordered chan *job
	work    chan *job
	flight  atomic.Int64 // plain bytes on the way to the pack
	spool   *spool
}

// In flight at once, at most.
const (
	bigBuffers   = 6
	smallBuffers = 24
	smallSize    = 256 << 10
	maxWorkers   = 4
)

// buffers are the memory of the pipeline, made as it is needed and kept for the whole run.
type buffers struct {
	big, small chan []byte
	packed     chan []byte
	encoders   []*pack.Encoder
	bigSize    int
}

func newBuffers(level int, maxChunk int) (*buffers, error) {
	b := &buffers{
		big: make(chan []byte, bigBuffers), small: make(chan []byte, smallBuffers), packed: make(chan []byte, maxWorkers),
		bigSize: max(maxChunk, smallSize+1), // told from small ones by their size
	}
	for range bigBuffers {
		b.big <- nil
	}
	for range smallBuffers {
		b.small <- nil
	}
	for range min(maxWorkers, max(2, runtime.GOMAXPROCS(0))) {
		e, err := pack.NewEncoder(level)
		if err != nil {
			return nil, err
		}
		b.encoders = append(b.encoders, e)
	}
	return b, nil
}

// take waits for a buffer for a piece of a file of this size.
func (b *buffers) take(ctx context.Context, size int64) ([]byte, error) {
	pool, n := b.big, b.bigSize
	if size <= smallSize {
		pool, n = b.small, smallSize
	}
	select {
	case buf := <-pool:
		if cap(buf) < n {
			buf = make([]byte, 0, n)
		}
		return buf[:0], nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (b *buffers) give(buf []byte) {
	if cap(buf) == smallSize {
		b.small <- buf
	} else {
		b.big <- buf
	}
}

// takePacked returns memory for a compressed chunk. There are never more of these than buffers in flight.
func (b *buffers) takePacked(n int) []byte {
	select {
	case buf := <-b.packed:
		if cap(buf) >= n {
			return buf[:0]
		}
	default:
	}
	return make([]byte, 0, n)
}

func (b *buffers) givePacked(buf []byte) {
	select {
	case b.packed <- buf:
	default:
	}
}

type jobKind uint8

const (
	jobChunk   jobKind = iota + 1 // a chunk of a file
	jobHole                       // a hole of a file
	jobRestart                    // the file changed: forget what was read of it
	jobFinish                     // the file's entry, once all of its chunks are through
	jobEntry                      // an entry without work
	jobSync                       // tell the walker that all before it is through
)

// job is one step, in the order of the stream.
type job struct {
	kind  jobKind
	file  *fileWork
	entry snapshot.ScanEntry // finish, entry
	like  *fileWork          // finish: the content is that of this file, read before
	whole bool               // finish: read to its end

	buf, plain, packed []byte // chunk
	known              bool
	stored             pack.Stored
	err                error
	ready              chan struct{}
	length             int64 // hole
}

// fileWork is a file that is being read. The walker makes it; its content grows in the ordered goroutine.
type fileWork struct {
	size         int64
	mtime, ctime disk.Time
	fresh        bool        // it changed so shortly before that it is read again next time
	cut          atomic.Bool // the drive has no room for the rest: stop reading

	content  []snapshot.Extent
	hasher   *chunk.ContentHasher // nil: at most one chunk and no hole, the chunk's ID is the hash
	whole    bool                 // content is all of it
	finished bool
	hash     chunk.ContentHash
}

func (r *run) newPipeline(ctx context.Context, sp *spool) *pipeline {
	p := &pipeline{r: r, ordered: make(chan *job, 256), work: make(chan *job, bigBuffers+smallBuffers), spool: sp}
	p.group, p.ctx = errgroup.WithContext(ctx)
	for _, e := range r.buffers.encoders {
		p.group.Go(func() error { return p.encode(e) })
	}
	p.group.Go(p.append)
	return p
}

// finish waits until everything is through; err is what stopped the walker.
func (p *pipeline) finish(err error) error {
	close(p.work)
	close(p.ordered)
	if failed := p.group.Wait(); failed != nil {
		return failed
	}
	return err
}

// send puts a job on its way.
func (p *pipeline) send(j *job) error {
	if j.kind == jobChunk {
		j.ready = make(chan struct{})
		p.flight.Add(int64(len(j.plain)))
	}
	select {
	case p.ordered <- j:
	case <-p.ctx.Done():
		return context.Cause(p.ctx)
	}
	if j.kind != jobChunk {
		return nil
	}
	select {
	case p.work <- j:
		return nil
	case <-p.ctx.Done():
		return context.Cause(p.ctx)
	}
}

// drain waits until all that was sent is through, so that the room left is known exactly.
func (p *pipeline) drain() error {
	j := &job{kind: jobSync, ready: make(chan struct{})}
	if err := p.send(j); err != nil {
		return err
	}
	select {
	case <-j.ready:
		return nil
	case <-p.ctx.Done():
		return context.Cause(p.ctx)
	}
}

// left is the room for packs, less what is on the way to them.
func (p *pipeline) left() int64 { return p.r.packer.left() - p.flight.Load() }

// encode is a worker: it names a chunk, asks whether the vault holds it or a drive has it aboard, and else encodes it.
func (p *pipeline) encode(enc *pack.Encoder) error {
	for j := range p.work {
		if j.err = context.Cause(p.ctx); j.err == nil {
			j.err = p.encodeJob(enc, j)
		}
		close(j.ready)
	}
	return nil
}

func (p *pipeline) encodeJob(enc *pack.Encoder, j *job) error {
	j.stored.ID = chunk.Data.ID(j.plain)
	known, err := p.r.carriedHere(j.stored.ID)
	if err != nil || known {
		j.known = known
		return err
	}
	buf := p.r.buffers.takePacked(pack.EncodeBound(len(j.plain)))
	s, err := enc.EncodeAs(j.stored.ID, j.plain, buf)
	j.stored = s
	if err == nil && s.Encoding != pack.Raw {
		j.packed = s.Data
	} else {
		p.r.buffers.givePacked(buf)
	}
	return err
}

// append is the ordered end: packs and spool are written here alone.
func (p *pipeline) append() error {
	for j := range p.ordered {
		if err := p.step(j); err != nil {
			return err
		}
	}
	return nil
}

func (p *pipeline) step(j *job) error {
	w := j.file
	switch j.kind {
	case jobChunk:
		select {
		case <-j.ready:
		case <-p.ctx.Done():
			return context.Cause(p.ctx)
		}
		err := j.err
		if err == nil {
			err = p.takeChunk(w, j)
		}
		p.flight.Add(-int64(len(j.plain)))
		p.r.buffers.give(j.buf)
		if j.packed != nil {
			p.r.buffers.givePacked(j.packed)
		}
		return err
	case jobHole:
		return p.hole(w, j.length)
	case jobRestart:
		w.content, w.hasher = nil, chunk.NewContentHasher()
	case jobFinish:
		if err := p.finishFile(j); err != nil {
			return err
		}
		return p.spool.add(&j.entry)
	case jobEntry:
		return p.spool.add(&j.entry)
	case jobSync:
		close(j.ready)
	default:
		return fmt.Errorf("job of kind %d", j.kind)
	}
	return nil
}

// takeChunk appends a chunk to the open pack, unless it is known, and to the content of its file.
func (p *pipeline) takeChunk(w *fileWork, j *job) error {
	if w.cut.Load() {
		return nil
	}
	if !j.known {
		fits, err := p.r.packer.append(p.spool, j.stored)
		if err != nil {
			return err
		}
		if !fits {
			w.cut.Store(true)
			return nil
		}
	}
	w.content = append(w.content, snapshot.Extent{ID: j.stored.ID, Length: int64(len(j.plain))})
	if w.hasher != nil {
		w.hasher.Write(j.plain)
	}
	return nil
}

// finishFile completes the entry of a file: content and hash if all of it is there, else what was carried.
func (p *pipeline) finishFile(j *job) error {
	from := j.file
	if j.like != nil {
		from = j.like
	} else {
		from.whole = j.whole && !from.cut.Load()
		from.finished = true
		switch {
		case !from.whole:
		case from.hasher != nil:
			from.hash = from.hasher.Sum()
		case len(from.content) == 1 && !from.content[0].Hole:
			from.hash = chunk.ContentHash(from.content[0].ID)
		case len(from.content) == 0:
			from.hash = emptyHash
		default:
			return fmt.Errorf("%s: content in %d pieces was not hashed", report.Name(j.entry.Entry.Path), len(from.content))
		}
		from.hasher = nil
	}
	if from.whole {
		j.entry.Entry.Content, j.entry.Entry.Hash = from.content, from.hash
		return nil
	}
	j.entry.Entry.Pending, j.entry.Entry.Carried = true, from.content
	j.entry.Flags |= snapshot.NotRead
	return nil
}

// emptyHash is the hash of no content.
var emptyHash = chunk.SumContent(nil)

// hole appends a hole to the content of its file. Where the hasher has no table of zeros any more it takes minutes a TiB.
func (p *pipeline) hole(w *fileWork, n int64) error {
	if w.cut.Load() {
		return nil
	}
	w.content = append(w.content, snapshot.Extent{Hole: true, Length: n})
	for n > 0 {
		select {
		case <-p.ctx.Done():
			return context.Cause(p.ctx)
		case <-p.r.o.Stop:
			w.cut.Store(true)
			return nil
		default:
		}
		k := w.hasher.Zeros(n)
		p.r.rep.Add(k, 0)
		n -= k
	}
	return nil
}
