package vault

import (
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"waterlock/chunkstore"
	"waterlock/internal/courier"
	"waterlock/internal/report"
	"waterlock/snapshot"
)

// Looking at snapshots (List, Find, Diff) needs the records and the streams, and nothing else: the vault is locked, but its
// catalog is not opened, so the answer waits neither for the check of a large index nor for a rebuild, and nothing in the
// vault changes. Which snapshot is the latest is as the newest receipt says.

// SnapshotRef names a snapshot.
type SnapshotRef struct {
	Number uint64
	ID     string // 64 hex digits
	Time   time.Time
}

// Unread counts what could not be looked at; it is named through Report. Damaged means exit code 20, Lacking alone 3.
type Unread struct {
	Damaged int64 // lists of files, packs and commits that are damaged
	Lacking int64 // lists of files that have not come yet
}

func refOf(c *courier.Commit) SnapshotRef {
	id := c.Snapshot.ID()
	return SnapshotRef{c.Snapshot.Number, hex.EncodeToString(id[:]), c.Snapshot.Time}
}

// looker is a vault that is only looked at.
type looker struct {
	*vault
	streams *chunkstore.Streams
	unread  Unread
	lost    int64 // snapshots whose commit is damaged: not known here
	torn    int64 // packs of streams that are damaged
}

func openLooker(path string, rep report.Reporter) (l *looker, err error) {
	if rep == nil {
		rep = report.Discard
	}
	l = &looker{}
	problems := &problemCounter{Reporter: rep}
	if l.vault, err = openVault(path, problems); err != nil {
		return nil, err
	}
	l.lost = problems.n.Load()
	if l.streams, err = chunkstore.OpenStreams(l.root, problems); err != nil {
		l.vault.close()
		return nil, err
	}
	l.torn = problems.n.Load() - l.lost
	return l, nil
}

func (l *looker) close() {
	l.streams.Close()
	l.vault.close()
}

// choose is vault.choose; the latest is the one of which the newest receipt says that it has arrived.
func (l *looker) choose(wanted string) (*courier.Commit, error) {
	a := &arrivals{by: map[string]arrival{}}
	newest, _, err := newestReceipt(l.root, l.id, l.rep)
	if err != nil {
		return nil, err
	}
	for _, k := range l.commits.known {
		if newest != nil && k.number == newest.NewestArrived {
			a.by[k.file] = arrival{arrived: true}
		}
	}
	return l.vault.choose(wanted, a)
}

// treePath is how people name a path: TREE/PATH.
func treePath(tree, path string) string {
	if path == "" {
		return tree
	}
	return snapshot.Join(tree, path)
}

// stoppedText says why a tree stood still in a snapshot, "" where it did not: what is shown of it is older.
func stoppedText(t *snapshot.TreeRecord) string {
	if t.Stopped == "" {
		return ""
	}
	return report.Name(t.Name) + ": " + report.Name(t.Stopped)
}

// gap names what of a tree cannot be looked at in some snapshots ("snapshot 3").
func (l *looker) gap(tree string, g *snapshot.GapError, which string) {
	err := g.Err
	switch missing := errors.Is(err, chunkstore.ErrNoPlace); {
	case missing && l.torn == 0:
		l.unread.Lacking++
		err = errors.New("this part of the list of files has not come yet, or is lost")
	case missing:
		l.unread.Damaged++
		err = errors.New("this part of the list of files may lie in a damaged pack")
	default:
		l.unread.Damaged++
	}
	until := "the end"
	if g.To != "" {
		until = report.Name(g.To)
	}
	l.rep.Problem(treePath(tree, g.From), fmt.Errorf("%s: what lies from here to %s is not known (stream chunk %s): %w", which, until, g.ID.Short(), err))
}
