package home

import (
	"fmt"
	"slices"
	"time"

	"waterlock/index"
	"waterlock/internal/chunk"
	"waterlock/internal/courier"
	"waterlock/internal/disk"
	"waterlock/internal/report"
	"waterlock/snapshot"
)

// judge says of entries of one tree whether the vault has them.
type judge struct {
	b      *books
	live   func(ord uint32) bool
	tree   *snapshot.TreeRecord        // of the snapshot that the last scan belongs to; nil: it is not at home
	time   time.Time                   // of that snapshot
	ship   *shipment                   // that carried it
	known  bool                        // the vault has acknowledged that shipment, so it knows the snapshot
	listed map[snapshot.StreamRef]bool // stream chunks that a snapshot names of which the vault said that it arrived
	newest *shipment                   // that carried that snapshot; nil: it is not known at home
	last   listing                     // what is known of it
	doubt  string                      // why nothing can be said to be held, in words; "": it can
}

// listing is how it stands with the stream chunk that names an entry.
type listing struct {
	first   int // its number; what follows it are those that go on with a long content list
	end     int
	held    bool
	receipt uint64
}

// verdict is how it stands with one entry.
type verdict struct {
	standing Standing
	why      string
	drives   []string
	since    time.Time // since when its content is held; zero: it has none
	listed   time.Time // since when the list of files that names it is
}

// newJudge looks at the snapshot of a number, which the last scan of a tree belongs to.
func (b *books) newJudge(tree string, number uint64, rep report.Reporter) (*judge, error) {
	j := &judge{b: b, live: b.fleet.live(0), listed: map[snapshot.StreamRef]bool{}, last: listing{first: -1}}
	var err error
	if j.doubt, err = b.doubt(); err != nil {
		return nil, err
	}
	for _, sh := range b.fleet.all {
		if number == 0 || sh.number == 0 || sh.unusable {
			continue
		}
		// A number that another home may have given, too, may be that of another snapshot.
		arrived := b.receipt != nil && sh.number == b.receipt.NewestArrived && sh.number > b.horizon.heard && b.acks[sh.id] != nil
		if sh.number != number && !arrived {
			continue
		}
		commit, err := b.site.readCommit(sh)
		if err != nil {
			rep.Warn("what home remembers of shipment %s cannot be read: %v", sh.id.Short(), err)
			continue
		}
		record, has := commit.Snapshot.Tree(tree)
		if !has {
			continue
		}
		if arrived {
			if !b.lacksLists() {
				j.newest = sh
			}
			for _, ref := range record.Chunks {
				j.listed[ref] = true
			}
		}
		if sh.number == number {
			j.tree, j.time, j.ship, j.known = record, commit.Snapshot.Time, sh, b.acks[sh.id] != nil
		}
	}
	return j, nil
}

// doubt says why home cannot tell what the vault has, in words; "" if it can. That costs carrying elsewhere; but what may be
// deleted is told by nobody else.
func (b *books) doubt() (string, error) {
	names, err := b.site.localReceipts()
	if err != nil || len(names) == 0 {
		return "", err
	}
	newest, _ := receiptNumber(names[len(names)-1])
	h := &b.horizon
	switch {
	case b.receipt == nil || b.receipt.Number < newest:
		return fmt.Sprintf("home's copy of receipt %d is damaged, and it may ask for this", newest), nil
	case h.heard > 0 && h.told < h.anew:
		return "home's memory was lost or rolled back: what the vault has is known when its inventory has come", nil
	case b.forgotten() > 0:
		return "home was rolled back: what the vault has is known when its inventory has come, which the next wl pack asks for", nil
	case len(b.receipt.Wants) >= courier.MaxWants:
		return "the vault asks for more than one receipt can name, and so perhaps for this", nil
	}
	return "", nil
}

// lacksLists tells whether the vault asks for stream chunks: then it may have found out since that one is damaged.
func (b *books) lacksLists() bool {
	return slices.ContainsFunc(b.receipt.Wants, func(w courier.Want) bool { return w.Kind == chunk.Stream })
}

// of judges an entry as it is on the disk; prev is what the last scan has at its path.
func (j *judge) of(n *snapshot.Node, prev *snapshot.ScanEntry) (verdict, error) {
	switch {
	case n.Err != nil:
		return verdict{standing: IsUnread, why: n.Err.Error()}, nil
	case n.Excluded.Why != "":
		return verdict{standing: IsExcluded, why: n.Excluded.Why}, nil
	case prev == nil || prev.Entry.Gone != snapshot.Here:
		return verdict{standing: IsNew}, nil
	case prev.Entry.Unseen:
		return verdict{standing: IsUnseen}, nil
	case !unchanged(n, prev):
		return verdict{standing: IsChanged}, nil
	case n.Entry.Kind == disk.KindFile && !hasContent(prev):
		return verdict{standing: IsPending, why: "it has not been carried in full"}, nil
	}
	v, err := j.content(&prev.Entry)
	if err != nil || v.standing != IsHeld {
		return v, err
	}
	if j.doubt != "" {
		return verdict{standing: IsPending, why: j.doubt}, nil
	}
	return j.list(prev, v)
}

// content judges the chunks of a file. What has none is as good as held.
func (j *judge) content(e *snapshot.Entry) (verdict, error) {
	v := verdict{standing: IsHeld}
	receipt := uint64(0)
	for _, x := range e.Content {
		if x.Hole {
			continue
		}
		st, err := j.b.ledger.Standing(x.ID)
		if err != nil {
			return v, err
		}
		switch st.State(j.live) {
		case index.Held:
			receipt = max(receipt, st.Receipt)
		case index.Aboard:
			v.standing = IsAboard
			v.drives = j.addDrives(v.drives, st.Shipments)
		default:
			return verdict{standing: IsPending, why: "a part of it has to be carried again"}, nil
		}
	}
	v.since = j.b.times[receipt]
	return v, nil
}

// addDrives names the drives of the first shipment that carries a chunk.
func (j *judge) addDrives(drives []string, ords []uint32) []string {
	for _, sh := range j.b.fleet.all {
		if slices.Contains(ords, sh.ord) && j.live(sh.ord) {
			return addDrive(drives, sh)
		}
	}
	return drives
}

func addDrive(drives []string, sh *shipment) []string {
	name := fmt.Sprintf("%s (packed %s)", report.Name(sh.label), sh.time.Local().Format(time.DateTime))
	if slices.Contains(drives, name) || len(drives) >= maxExceptions {
		return drives
	}
	return append(drives, name)
}

// list judges the part of the list of files that names an entry whose content is held. The part must be
// held, and a snapshot must name it of which the vault knows; or the entry is as it was in the newest snapshot of which the vault
// said that it arrived, whatever its neighbours in the list became since.
func (j *judge) list(prev *snapshot.ScanEntry, v verdict) (verdict, error) {
	if j.tree == nil {
		return verdict{standing: IsPending, why: "home no longer has the record of the snapshot that names it"}, nil
	}
	if err := j.find(prev.Entry.Path); err != nil {
		return v, err
	}
	switch {
	case j.last.held:
		v.listed = j.b.times[j.last.receipt]
		return v, nil
	case j.newest != nil && prev.Since != 0 && prev.Since <= j.newest.number:
		v.listed = j.b.receipt.Time
		return v, nil
	case j.ship.counts():
		v.standing, v.drives, v.why = IsAboard, addDrive(nil, j.ship), "the list of files that names it"
	default:
		v.standing, v.why = IsPending, "the list of files that names it has to be carried again"
	}
	if !v.since.IsZero() {
		v.why = "its content is held, " + v.why
	}
	return v, nil
}

// find brings last to the stream chunk that names a path. Paths come in order.
func (j *judge) find(path string) error {
	i := snapshot.ChunkAt(j.tree.Chunks, path)
	if i == j.last.first {
		return nil
	}
	l := listing{first: i, end: i + 1, held: i < len(j.tree.Chunks)}
	for l.end < len(j.tree.Chunks) && j.tree.Chunks[l.end].Continues {
		l.end++
	}
	for ; i < l.end && l.held; i++ {
		ref := j.tree.Chunks[i]
		st, err := j.b.ledger.Standing(ref.ID)
		if err != nil {
			return err
		}
		l.held = st.Receipt != 0 && (j.known || j.listed[ref])
		l.receipt = max(l.receipt, st.Receipt)
	}
	j.last = l
	return nil
}

// readCommit reads the commit of a closed shipment.
func (s *site) readCommit(sh *shipment) (*courier.Commit, error) {
	data, err := disk.ReadAll(s.state, sh.dir+"/"+fileCommit, maxCommitBytes)
	if err != nil {
		return nil, err
	}
	return courier.DecodeCommit(data)
}
