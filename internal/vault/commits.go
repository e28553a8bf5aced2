package vault

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"time"

	"waterlock/internal/courier"
	"waterlock/internal/disk"
	"waterlock/internal/report"
	"waterlock/internal/wire"
)

// A snapshot is known from the moment its commit lies in .wl/snapshots, verbatim as the drive brought it. The files are
// write-once; a record can be large, so only their heads are kept in memory and load reads one again when it is needed.

var commitFile = regexp.MustCompile(`^([1-9][0-9]{0,19})-([0-9a-f]{32})\.(commit|forgotten)$`)

// knownSnapshot is the head of one kept commit.
type knownSnapshot struct {
	number   uint64
	shipment courier.ShipmentID
	time     time.Time
	file     string // name below the vault
}

// compare orders snapshots by number. Two of one number come from a home that was set back; time and shipment then
// decide, so that every vault and every order of unpacking agrees on the newest.
func (k knownSnapshot) compare(o knownSnapshot) int {
	return cmp.Or(cmp.Compare(k.number, o.number), k.time.Compare(o.time), bytes.Compare(k.shipment[:], o.shipment[:]))
}

// commits is the set of snapshots that a vault knows, oldest first.
type commits struct {
	root      disk.FS
	route     wire.RouteID
	known     []knownSnapshot
	trees     map[string]bool // every tree that any of them names, or of those that were forgotten
	forgotten []knownSnapshot // those that were forgotten, by name alone: see forget.go
	damaged   []knownSnapshot // those whose commit cannot be read, by name alone
}

// openCommits reads the heads of all kept commits. A damaged one is named and left out: the drive may bring it again.
func openCommits(root disk.FS, route wire.RouteID, rep report.Reporter) (*commits, error) {
	c := &commits{root: root, route: route, trees: map[string]bool{}}
	names, err := root.ReadDir(snapshotsDir)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return nil, err
	}
	for i := range names.Len() {
		k, forgotten, ok := parseCommitName(names.At(i))
		if !ok {
			continue
		}
		commit, err := c.load(k)
		if forgotten {
			c.forgotten = append(c.forgotten, k)
			if err != nil {
				rep.Warn("%s: %v", k.file, err)
				continue
			}
			c.name(commit) // its files may hold chunks that others need
			continue
		}
		if err != nil {
			rep.Problem(k.file, err)
			c.damaged = append(c.damaged, k)
			continue
		}
		c.insert(commit)
	}
	return c, nil
}

// parseCommitName reads what the name of a kept commit says.
func parseCommitName(name string) (k knownSnapshot, forgotten, ok bool) {
	m := commitFile.FindStringSubmatch(name)
	if m == nil {
		return k, false, false
	}
	number, err := strconv.ParseUint(m[1], 10, 64)
	if err != nil {
		return k, false, false
	}
	k = knownSnapshot{number: number, file: snapshotsDir + "/" + name}
	_, err = hex.Decode(k.shipment[:], []byte(m[2]))
	return k, m[3] == "forgotten", err == nil
}

func commitFileName(c *courier.Commit) string {
	return snapshotsDir + "/" + strconv.FormatUint(c.Snapshot.Number, 10) + "-" + c.Shipment.String() + ".commit"
}

func (c *commits) insert(commit *courier.Commit) {
	k := knownSnapshot{
		number:   commit.Snapshot.Number,
		shipment: commit.Shipment,
		time:     commit.Snapshot.Time,
		file:     commitFileName(commit),
	}
	at, found := slices.BinarySearchFunc(c.known, k, knownSnapshot.compare)
	if !found {
		c.known = slices.Insert(c.known, at, k)
	}
	c.name(commit)
}

// name makes the trees of a snapshot known.
func (c *commits) name(commit *courier.Commit) {
	for _, t := range commit.Snapshot.Trees {
		c.trees[t.Name] = true
	}
}

// load reads one kept commit.
func (c *commits) load(k knownSnapshot) (*courier.Commit, error) {
	b, err := disk.ReadAll(c.root, k.file, courier.MaxCommit)
	if err != nil {
		return nil, err
	}
	commit, err := courier.DecodeCommit(b)
	if err != nil {
		return nil, err
	}
	if commit.Route.ID != c.route {
		return nil, fmt.Errorf("%w: commit of route %s", wire.ErrRoute, commit.Route.ID)
	}
	if want := commitFileName(commit); want != k.file && forgottenName(want) != k.file {
		return nil, fmt.Errorf("holds the commit that belongs in %s", want)
	}
	return commit, nil
}

// keep makes the vault know a snapshot: durable when it returns. Keeping the same commit again does nothing.
func (c *commits) keep(commit *courier.Commit, verbatim []byte) (isNew bool, err error) {
	name := commitFileName(commit)
	have, err := disk.ReadAll(c.root, name, courier.MaxCommit)
	switch {
	case err == nil && bytes.Equal(have, verbatim):
		c.insert(commit)
		return false, nil
	case err == nil:
		if _, err := c.load(knownSnapshot{file: name}); err == nil {
			return false, fmt.Errorf("snapshot %d of shipment %s is already here with other content; the first stays",
				commit.Snapshot.Number, commit.Shipment.Short())
		}
		// Our own copy is damaged. It is put aside, not destroyed.
		if err := putAside(c.root, name); err != nil {
			return false, err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return false, err
	}
	if err := disk.MkdirAll(c.root, snapshotsDir, 0o755); err != nil {
		return false, err
	}
	if err := disk.Put(c.root, name, verbatim); err != nil {
		return false, err
	}
	c.damaged = slices.DeleteFunc(c.damaged, func(k knownSnapshot) bool { return k.file == name })
	c.insert(commit)
	return true, nil
}

// putAside renames a damaged file of ours out of the way, so that a good copy can take its name.
func putAside(root disk.FS, name string) error {
	for i := 1; ; i++ {
		aside := fmt.Sprintf("%s.damaged%d", name, i)
		if _, err := root.Stat(aside); errors.Is(err, fs.ErrNotExist) {
			if err := root.Rename(name, aside); err != nil {
				return err
			}
			return root.SyncDir(snapshotsDir)
		} else if err != nil {
			return err
		}
	}
}

// newest is the snapshot that the mirror follows.
func (c *commits) newest() (knownSnapshot, bool) {
	if len(c.known) == 0 {
		return knownSnapshot{}, false
	}
	return c.known[len(c.known)-1], true
}

// shared tells whether two snapshots had that number, whatever became of them.
func (c *commits) shared(number uint64) bool {
	n := 0
	for _, list := range [][]knownSnapshot{c.known, c.forgotten, c.damaged} {
		for _, k := range list {
			if k.number == number {
				n++
			}
		}
	}
	return n > 1
}
