package home

import (
	"bufio"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"sync"

	"waterlock/internal/disk"
	"waterlock/internal/report"
	"waterlock/snapshot"
)

// The spool is what a pass finds out of one tree: its entries in order, with the content of every file as it was read.
// It is a scan file in the shipment's directory, <shipment>/spool-<pass>-<tree>. The shipment is closed from it; and a
// run that was interrupted leaves it to the next one, which need not read again what it names, as far as the chunks
// are known.
type spool struct {
	mu   sync.Mutex
	file disk.File
	buf  *bufio.Writer
	w    *snapshot.ScanWriter
}

var spoolFile = regexp.MustCompile(`^spool-([0-9]+)-(.+)$`)

func spoolName(sh *shipment, pass int, tree string) string {
	return fmt.Sprintf("%s/spool-%d-%s", sh.dir, pass, tree)
}

func createSpool(state disk.FS, name string, tree string, generation uint64) (*spool, error) {
	f, err := state.Create(name, 0o600)
	if err != nil {
		return nil, err
	}
	s := &spool{file: f, buf: bufio.NewWriterSize(f, 256<<10)}
	s.w, err = snapshot.NewScanWriter(s.buf, snapshot.ScanHeader{Generation: generation, Tree: tree})
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return s, nil
}

func (s *spool) add(e *snapshot.ScanEntry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Add(e)
}

// flush hands all entries to the file, so that they are there after the process was killed.
func (s *spool) flush() error {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(s.w.Flush(), s.buf.Flush())
}

// sync makes durable what was flushed. A spool that is closed already was synced then.
func (s *spool) sync() error {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		return nil
	}
	return s.file.Sync()
}

// close ends the spool and makes it durable.
func (s *spool) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := errors.Join(s.w.Close(), s.buf.Flush())
	if err == nil {
		err = s.file.Sync()
	}
	err = errors.Join(err, s.file.Close())
	s.file = nil
	return err
}

// spools lists the spools of a shipment: of one tree ("" for all), of the passes up to last, the newest first.
func (s *site) spools(sh *shipment, tree string, last int) (names []string, newest int, err error) {
	list, err := s.state.ReadDir(sh.dir)
	if err != nil {
		return nil, 0, err
	}
	byPass := map[int]string{}
	for i := range list.Len() {
		m := spoolFile.FindStringSubmatch(list.At(i))
		if m == nil || tree != "" && m[2] != tree {
			continue
		}
		n, err := strconv.Atoi(m[1])
		if err != nil || n > last {
			continue
		}
		newest = max(newest, n)
		if tree == "" {
			names = append(names, sh.dir+"/"+list.At(i))
		} else {
			byPass[n] = sh.dir + "/" + list.At(i)
		}
	}
	for n := newest; n > 0 && len(byPass) > 0; n-- {
		if name, ok := byPass[n]; ok {
			names = append(names, name)
		}
	}
	return names, newest, nil
}

// removeSpools removes the spools of the passes up to last.
func (s *site) removeSpools(rep report.Reporter, sh *shipment, last int) {
	names, _, err := s.spools(sh, "", last)
	if err != nil {
		rep.Verbose("%v", err)
		return
	}
	for _, name := range names {
		if err := s.state.Remove(name); err != nil {
			rep.Verbose("%v", err)
		}
	}
}

// maxHints bounds how many spools of interrupted passes are looked at.
const maxHints = 8

// openHints opens what interrupted or repeated passes of this shipment found out of a tree, the newest first.
func (r *run) openHints(t *treeState) ([]*cursor, error) {
	if r.sh == nil {
		return nil, nil
	}
	names, _, err := r.site.spools(r.sh, t.Name, r.pass)
	if err != nil {
		return nil, err
	}
	var hints []*cursor
	for _, name := range names[:min(len(names), maxHints)] {
		c, err := openScan(r.site.state, name)
		if err != nil {
			closeHints(hints)
			return nil, err
		}
		if c != nil {
			hints = append(hints, c)
		}
	}
	return hints, nil
}

func closeHints(hints []*cursor) {
	for _, c := range hints {
		c.close()
	}
}

// hinted tells whether some spool knows the content of a file.
func (r *run) hinted(hints []*cursor, n *snapshot.Node) bool {
	hit := false
	for _, c := range hints {
		e, _ := c.seek(n.Entry.Path, nil)
		hit = hit || reusable(n, e)
	}
	return hit
}
