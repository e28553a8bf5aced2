package vault

import (
	"slices"
	"strings"

	"waterlock/internal/courier"
)

// A snapshot is forgotten by giving its commit another name: <number>-<shipment>.forgotten. That is one step, atomic, and
// durable once the directory is synced. Who lists snapshots does not see it any more, a shipment that is unpacked again does not bring
// it back, and what else the commit says goes on counting: that its shipment has arrived, which receipt home knew, what was
// under way then.

const (
	commitSuffix    = ".commit"
	forgottenSuffix = ".forgotten"
)

// forgottenName is what the file of a commit is called once its snapshot is forgotten.
func forgottenName(file string) string {
	return strings.TrimSuffix(file, commitSuffix) + forgottenSuffix
}

// forget forgets snapshots, damaged ones among them: durable when it returns. Only then may anything be condemned that
// they name.
func (c *commits) forget(list []knownSnapshot) error {
	for _, k := range list {
		if err := c.root.Rename(k.file, forgottenName(k.file)); err != nil {
			return err
		}
		same := func(o knownSnapshot) bool { return o.file == k.file }
		c.known = slices.DeleteFunc(c.known, same)
		c.damaged = slices.DeleteFunc(c.damaged, same)
		k.file = forgottenName(k.file)
		c.forgotten = append(c.forgotten, k)
	}
	return c.root.SyncDir(snapshotsDir)
}

// wasForgotten tells whether the snapshot of a commit that the drive brings was forgotten here.
func (c *commits) wasForgotten(commit *courier.Commit) bool {
	return slices.ContainsFunc(c.forgotten, func(k knownSnapshot) bool {
		return k.number == commit.Snapshot.Number && k.shipment == commit.Shipment
	})
}

// arrived are the shipments whose commits have come, whatever became of their snapshots.
func (c *commits) arrived() map[courier.ShipmentID]bool {
	seen := map[courier.ShipmentID]bool{}
	for _, list := range [][]knownSnapshot{c.known, c.forgotten, c.damaged} {
		for _, k := range list {
			seen[k.shipment] = true
		}
	}
	return seen
}

// highest is the highest number of a snapshot that was ever known.
func (c *commits) highest() (number uint64) {
	for _, list := range [][]knownSnapshot{c.known, c.forgotten, c.damaged} {
		for _, k := range list {
			number = max(number, k.number)
		}
	}
	return number
}
