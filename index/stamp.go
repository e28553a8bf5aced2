package index

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"

	"waterlock/internal/chunk"
	"waterlock/internal/disk"
)

// The stamp is text, for people who look. Its last line is the checksum of
// all before it:
//
//	waterlock index 1 ledger
//	<64 hex: BLAKE3> <size> <name>        one line a file of badger/, sorted by name
//	checksum <64 hex>
const (
	stampName    = "clean"
	stampContext = "waterlock 2026-11 stamp of an index"
	maxStamp     = 64 << 20
)

// fileSum is a file of badger/ as the stamp knows it.
type fileSum struct {
	size   int64
	digest chunk.Digest
}

var errStamp = errors.New("the index was not closed cleanly")

// checkStamp reads the stamp and compares every file with it.
func (s *store) checkStamp() (map[string]fileSum, error) {
	b, err := disk.ReadAll(s.fs, stampName, maxStamp)
	if err != nil {
		return nil, err
	}
	want, err := parseStamp(b, s.kind)
	if err != nil {
		return nil, err
	}
	sub, err := s.fs.Sub(badgerDir)
	if err != nil {
		return nil, err
	}
	defer sub.Close()
	names, err := sub.ReadDir(".")
	if err != nil {
		return nil, err
	}
	if names.Len() != len(want) {
		return nil, fmt.Errorf("%w: %d files, %d expected", errStamp, names.Len(), len(want))
	}
	// Sizes first: they are cheap.
	for i := range names.Len() {
		name := names.At(i)
		st, err := sub.Stat(name)
		if err != nil {
			return nil, err
		}
		if w, ok := want[name]; !ok || st.Kind != disk.KindFile || st.Size != w.size {
			return nil, fmt.Errorf("%w: %s", errStamp, name)
		}
	}
	for name, w := range want {
		sum, err := hashFile(sub, name)
		if err != nil {
			return nil, err
		}
		if sum != w {
			return nil, fmt.Errorf("%w: %s: found %v, expected %v", errStamp, name, sum, w)
		}
	}
	for name := range want {
		if !strings.HasSuffix(name, ".sst") { // all others are written to again
			delete(want, name)
		}
	}
	return want, nil
}

// writeStamp makes Badger's closed files durable, then the stamp.
func (s *store) writeStamp() error {
	sub, err := s.fs.Sub(badgerDir)
	if err != nil {
		return err
	}
	defer sub.Close()
	names, err := sub.ReadDir(".")
	if err != nil {
		return err
	}
	var unsynced []string
	for i := range names.Len() {
		if _, ok := s.sound[names.At(i)]; !ok {
			unsynced = append(unsynced, names.At(i))
		}
	}
	if err := sub.SyncFiles(unsynced); err != nil {
		return err
	}
	if err := sub.SyncDir("."); err != nil {
		return err
	}
	if err := s.fs.SyncDir("."); err != nil { // badger/ itself
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "waterlock index %d %s\n", Schema, s.kind)
	for i := range names.Len() {
		name := names.At(i)
		sum, ok := s.sound[name]
		if !ok {
			if sum, err = hashFile(sub, name); err != nil {
				return err
			}
		}
		fmt.Fprintf(&b, "%v %d %s\n", sum.digest, sum.size, name)
	}
	check := chunk.Checksum(stampContext, []byte(b.String()))
	fmt.Fprintf(&b, "checksum %x\n", check)
	return disk.Put(s.fs, stampName, []byte(b.String()))
}

func (s *store) removeStamp() error {
	if err := s.fs.Remove(stampName); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	return s.fs.SyncDir(".")
}

// parseStamp checks a stamp by itself.
func parseStamp(b []byte, kind string) (map[string]fileSum, error) {
	text := string(b)
	at := strings.LastIndex(strings.TrimSuffix(text, "\n"), "\n") + 1
	body, last := text[:at], text[at:]
	check := chunk.Checksum(stampContext, []byte(body))
	if last != fmt.Sprintf("checksum %x\n", check) {
		return nil, fmt.Errorf("%w: checksum of the stamp", errStamp)
	}
	lines := strings.Split(strings.TrimSuffix(body, "\n"), "\n")
	if want := fmt.Sprintf("waterlock index %d %s", Schema, kind); lines[0] != want {
		return nil, fmt.Errorf("%w: %q, expected %q", errStamp, lines[0], want)
	}
	files := make(map[string]fileSum, len(lines)-1)
	for _, line := range lines[1:] {
		digest, rest, _ := strings.Cut(line, " ")
		size, name, _ := strings.Cut(rest, " ")
		var sum fileSum
		var err error
		if sum.digest, err = chunk.ParseDigest(digest); err != nil {
			return nil, fmt.Errorf("%w: %w", errStamp, err)
		}
		if sum.size, err = strconv.ParseInt(size, 10, 64); err != nil {
			return nil, fmt.Errorf("%w: %w", errStamp, err)
		}
		files[name] = sum
	}
	return files, nil
}

func hashFile(fsys disk.FS, name string) (fileSum, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return fileSum{}, err
	}
	defer f.Close()
	h := chunk.NewDigester()
	n, err := io.CopyBuffer(onlyWriter{h}, onlyReader{f}, make([]byte, 256<<10))
	if err != nil {
		return fileSum{}, err
	}
	return fileSum{n, h.Sum()}, nil
}

// onlyReader and onlyWriter make io.CopyBuffer use its buffer.
type onlyReader struct{ io.Reader }
type onlyWriter struct{ io.Writer }

func (f fileSum) String() string {
	return hex.EncodeToString(f.digest[:4]) + "/" + strconv.FormatInt(f.size, 10)
}
