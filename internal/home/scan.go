package home

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strconv"

	"waterlock/internal/disk"
	"waterlock/internal/report"
	"waterlock/snapshot"
)

var scanFile = regexp.MustCompile(`^(.+)-([0-9]{8,20})\.scan$`)

func scanName(tree string, number uint64) string {
	return fmt.Sprintf("%s/%s-%08d.scan", dirScan, tree, number)
}

// lastScans finds the newest scan of each tree that belongs to a snapshot whose commit is durable at home: scans are
// written before the commit, and one without it never counts.
func (s *site) lastScans(newest uint64) (map[string]string, error) {
	scans, numbers := map[string]string{}, map[string]uint64{}
	names, err := s.state.ReadDir(dirScan)
	if errors.Is(err, fs.ErrNotExist) {
		return scans, nil
	}
	if err != nil {
		return nil, err
	}
	for i := range names.Len() {
		m := scanFile.FindStringSubmatch(names.At(i))
		if m == nil {
			continue
		}
		n, err := strconv.ParseUint(m[2], 10, 64)
		if err != nil || n > newest || n < numbers[m[1]] {
			continue
		}
		scans[m[1]], numbers[m[1]] = dirScan+"/"+names.At(i), n
	}
	return scans, nil
}

// scanNumber is the snapshot number in the name of a scan file, 0 if it is none.
func scanNumber(name string) uint64 {
	m := scanFile.FindStringSubmatch(path.Base(name))
	if m == nil {
		return 0
	}
	n, _ := strconv.ParseUint(m[2], 10, 64) // lastScans has read it
	return n
}

// removeScans removes all scans of a tree but one.
func (s *site) removeScans(rep report.Reporter, keep map[string]string) {
	names, err := s.state.ReadDir(dirScan)
	if err != nil {
		return
	}
	for i := range names.Len() {
		m := scanFile.FindStringSubmatch(names.At(i))
		if m == nil || keep[m[1]] == dirScan+"/"+names.At(i) {
			continue
		}
		if err := s.state.Remove(dirScan + "/" + names.At(i)); err != nil {
			rep.Verbose("%v", err)
		}
	}
}

// scan is a scan file being written; it is durable before the commit that makes it count.
type scan struct {
	state disk.FS
	file  disk.File
	buf   *bufio.Writer
	w     *snapshot.ScanWriter
}

func (r *run) newScan(t *treeState, number uint64) (*scan, error) {
	state, name := r.site.state, scanName(t.Name, number)
	if err := disk.MkdirAll(state, dirScan, 0o700); err != nil {
		return nil, err
	}
	if err := state.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) { // of a run that did not commit
		return nil, err
	}
	f, err := state.Create(name, 0o600)
	if err != nil {
		return nil, err
	}
	s := &scan{state: state, file: f, buf: bufio.NewWriterSize(f, 256<<10)}
	s.w, err = snapshot.NewScanWriter(s.buf, snapshot.ScanHeader{Generation: r.books.ledger.Generation(), Tree: t.Name})
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return s, nil
}

func (s *scan) add(e *snapshot.ScanEntry) error { return s.w.Add(e) }

func (s *scan) close() error {
	err := errors.Join(s.w.Close(), s.buf.Flush())
	if err == nil {
		err = s.file.Sync()
	}
	return errors.Join(err, s.file.Close(), s.state.SyncDir(dirScan))
}
