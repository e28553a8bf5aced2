package vault

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"waterlock/chunkstore"
	"waterlock/internal/chunk"
	"waterlock/internal/courier"
	"waterlock/internal/exit"
	"waterlock/internal/report"
)

// PruneOptions say which snapshots to forget.
type PruneOptions struct {
	Vault  string
	Keep   Retention // which to keep; nothing said: as vault.toml says, unless Forget names some
	Forget []string  // snapshots to forget, by number or by the beginning of an id
	Now    bool      // do not wait until home has read that it must not count on the chunks
	DryRun bool
	Report report.Reporter
}

// PruneResult says what became of the snapshots, and of their chunks. In a dry run, what would.
type PruneResult struct {
	DryRun    bool
	Snapshots []PrunedSnapshot // all that were known, oldest first
	Forgotten int64            // of these
	NoPolicy  bool             // nothing said which to keep or to forget

	// Snapshots whose list of files cannot be read in full, and files of commits that are damaged: nobody knows what they
	// need, so nothing is condemned or freed.
	Unread  []uint64
	Damaged []string

	Condemned int64 // chunks that home must not count on, all in all
	New       int64 // of these, since this prune
	Later     int64 // chunks that no snapshot needs either and that a later prune condemns
	Freeable  int64 // bytes that no snapshot needs, less what moving the rest takes, before anything was freed
	Waiting   int64 // of these, those that are freed once the condemned may go
	Receipt   uint64
	Waits     Waits

	Freed      int64 // bytes of old versions and packs removed
	Containers int64 // so many
	Written    int64 // bytes of chunks in these that are needed: they went to history
	Room       int64 // bytes of free space that moving them takes for a moment
}

// PrunedSnapshot is what a prune decided about one snapshot.
type PrunedSnapshot struct {
	SnapshotRef
	Forgotten bool
	Why       string
}

// Prune forgets snapshots, condemns the chunks that only they named, and frees what was condemned long enough. Without anything to
// forget it goes on with what waits.
//
//	1  forget      the commits get their other name; sync of the directory
//	2  mark        what do the snapshots that are left name? Sorted on disk
//	3  condemn     the chunks whose containers are not worth keeping without them: a receipt on our own disk
//	4  delete      containers of what is condemned and clear to go, by the word of install records
//
// Each is durable before the next begins. A crash leaves snapshots that are forgotten and whose chunks are all there, or
// chunks that are condemned and there: the next prune, or the next unpack, goes on.
func Prune(ctx context.Context, o PruneOptions) (result PruneResult, err error) {
	v, err := openVault(o.Vault, o.Report)
	if err != nil {
		return result, err
	}
	defer v.closeInto(&err)
	if err := v.openStore(ctx); err != nil {
		return result, err
	}
	p := &pruning{v: v, o: o}
	p.result.DryRun = o.DryRun
	defer func() { result, err = p.result, interrupted(ctx, err) }()
	if p.arrivals, err = v.checkArrivals(ctx, nil); err != nil {
		return result, err
	}
	forget, err := p.choose()
	if err != nil {
		return result, err
	}
	if err := p.forget(ctx, forget); err != nil {
		return result, err
	}
	return result, p.chunks(ctx)
}

// pruning is one run of Prune.
type pruning struct {
	v        *vault
	o        PruneOptions
	result   PruneResult
	arrivals *arrivals
	retained []knownSnapshot
	newest   *courier.Receipt // our own
	number   uint64           // of the next
	clear    uint64           // what was condemned by this receipt or an earlier one is clear to go
}

// choose decides about each snapshot.
func (p *pruning) choose() (forget []knownSnapshot, err error) {
	keep := p.o.Keep
	if err := keep.check(); err != nil {
		return nil, err
	}
	if keep.IsZero() && len(p.o.Forget) == 0 {
		keep = p.v.Retention
	}
	p.result.NoPolicy = keep.IsZero() && len(p.o.Forget) == 0
	named, err := p.named()
	if err != nil {
		return nil, err
	}
	known := p.v.commits.known
	why, err := p.reasons(keep)
	if err != nil {
		return nil, err
	}
	leaving, err := p.v.goingHome()
	if err != nil {
		return nil, err
	}
	for i, k := range known {
		s := PrunedSnapshot{Why: why[i]}
		if s.Why == "" && leaving[k.number] {
			s.Why = "it is on its way to a new home"
		}
		commit, err := p.v.commits.load(k)
		if err != nil {
			return nil, err
		}
		s.SnapshotRef = refOf(commit)
		switch {
		case named[k.file]:
			s.Forgotten, s.Why = true, "named"
		case s.Why != "":
		case keep.IsZero():
			s.Why = "not named"
		default:
			s.Forgotten, s.Why = true, "no policy keeps it"
		}
		if s.Forgotten {
			forget = append(forget, k)
			p.result.Forgotten++
		} else {
			p.retained = append(p.retained, k)
		}
		p.result.Snapshots = append(p.result.Snapshots, s)
	}
	for _, k := range p.v.commits.damaged {
		if named[k.file] {
			forget = append(forget, k)
			p.result.Forgotten++
		}
	}
	if len(known) > 0 && len(p.retained) == 0 {
		return nil, exit.Errorf(exit.Usage, "that would forget every snapshot; one must stay, for the mirror to follow")
	}
	return forget, nil
}

// reasons says of each known snapshot why it is kept, whatever a person names; "": it is not. Beside the newest that has
// arrived stays the newest of which nothing was pending: the first snapshot of a home that joined anew names all of its
// files and hardly any content.
func (p *pruning) reasons(keep Retention) ([]string, error) {
	known := p.v.commits.known
	why := make([]string, len(known))
	var times []time.Time
	var of []int
	newestArrived := -1
	for i := len(known) - 1; i >= 0; i-- {
		if p.arrivals.by[known[i].file].arrived {
			newestArrived = max(newestArrived, i)
			of, times = append(of, i), append(times, known[i].time)
		} else {
			why[i] = "it has not arrived in full"
		}
	}
	slices.SortStableFunc(of, func(a, b int) int { return known[b].time.Compare(known[a].time) })
	slices.SortStableFunc(times, func(a, b time.Time) int { return b.Compare(a) })
	for j, reasons := range keep.keeps(times) {
		why[of[j]] = strings.Join(reasons, ", ")
	}
	for i := newestArrived; i >= 0; i-- {
		if !p.arrivals.by[known[i].file].arrived {
			continue
		}
		c, err := p.v.commits.load(known[i])
		if err != nil {
			return nil, err
		}
		if c.Snapshot.Totals().Pending == 0 {
			why[i] = "the newest with nothing pending"
			break
		}
	}
	if newestArrived >= 0 {
		why[newestArrived] = "the newest that has arrived"
	}
	if n := len(known); n > 0 && newestArrived != n-1 {
		why[n-1] = "the mirror follows it"
	}
	return why, nil
}

// named finds the snapshots that a person named, by file. The word latest and times name none here: what they mean changes.
func (p *pruning) named() (map[string]bool, error) {
	named := map[string]bool{}
	all := slices.Concat(p.v.commits.known, p.v.commits.damaged)
	for _, text := range p.o.Forget {
		var match []knownSnapshot
		number, err := strconv.ParseUint(strings.TrimPrefix(text, "#"), 10, 64)
		for _, k := range all {
			if err == nil && k.number == number {
				match = append(match, k)
			}
		}
		if len(match) == 0 && hexPrefix.MatchString(strings.ToLower(text)) {
			if match, err = p.byID(strings.ToLower(text)); err != nil {
				return nil, err
			}
		}
		switch len(match) {
		case 1:
			named[match[0].file] = true
		case 0:
			return nil, exit.Errorf(exit.NotFound, "no snapshot %q: give a number or the beginning of an id, as wl snapshots shows them", text)
		default:
			return nil, exit.Errorf(exit.Usage, "%s fits %d snapshots: give more digits of its id", text, len(match))
		}
	}
	return named, nil
}

func (p *pruning) byID(prefix string) (match []knownSnapshot, err error) {
	for _, k := range p.v.commits.known {
		c, err := p.v.commits.load(k)
		if err != nil {
			return nil, err
		}
		if id := c.Snapshot.ID(); strings.HasPrefix(hex.EncodeToString(id[:]), prefix) {
			match = append(match, k)
		}
	}
	return match, nil
}

// forget is step 1.
func (p *pruning) forget(ctx context.Context, list []knownSnapshot) (err error) {
	if len(list) == 0 || p.o.DryRun {
		return nil
	}
	if err := p.v.commits.forget(list); err != nil {
		return err
	}
	if err := p.v.doubtWants(); err != nil {
		return err
	}
	p.arrivals, err = p.v.checkArrivals(ctx, nil)
	return err
}

// chunks is all that comes then.
func (p *pruning) chunks(ctx context.Context) (err error) {
	var highest uint64
	if p.newest, highest, err = newestReceipt(p.v.root, p.v.id, p.v.rep); err != nil {
		return err
	}
	if p.newest == nil {
		return fmt.Errorf("%s has no receipt that can be read, so it is not known what home counts on: run wl unpack first", p.v.path)
	}
	p.number = highest + 1
	named, err := newIDSet(p.v.root, idsInRun)
	if err != nil {
		return err
	}
	defer named.close()
	if known, err := p.mark(ctx, named); err != nil || !known {
		return err
	}
	cleared, err := p.v.clearance(p.newest.Epoch)
	if err != nil {
		return err
	}
	p.clear = cleared.clear
	list, err := p.condemn(ctx, named)
	if err != nil {
		return err
	}
	p.result.Waits = cleared.waitsOf(list)
	if p.o.DryRun {
		return p.note()
	}
	if err := p.tell(ctx, list); err != nil {
		return err
	}
	if err := p.free(ctx, newCondemned(&courier.Receipt{Condemned: list})); err != nil {
		return err
	}
	return p.note()
}

// mark is step 2. known is false where a snapshot cannot be read in full.
func (p *pruning) mark(ctx context.Context, named *idSet) (known bool, err error) {
	p.v.rep.Phase("reading what the snapshots need", 0, 0)
	if p.result.Unread, err = p.v.eachNamed(ctx, p.retained, named.add); err != nil {
		return false, err
	}
	for _, k := range p.v.commits.damaged {
		p.result.Damaged = append(p.result.Damaged, k.file)
	}
	if len(p.result.Unread)+len(p.result.Damaged) > 0 {
		if p.o.DryRun {
			return false, nil
		}
		// What was found to be unreadable just now is named: it is wanted, and not one of those that nobody needs.
		if p.arrivals, err = p.v.checkArrivals(ctx, nil); err != nil {
			return false, err
		}
		return false, p.tell(ctx, newCondemned(p.newest).list)
	}
	return true, named.finish()
}

// condemn is what the next receipt lists: the chunks that are to go. One that was listed before keeps its number, and one
// that is gone already (--now) stays until home has read of it.
func (p *pruning) condemn(ctx context.Context, named *idSet) (list []courier.Condemned, err error) {
	before := newCondemned(p.newest)
	for _, x := range before.list {
		has, err := p.v.store.Has(x.ID)
		if err != nil {
			return nil, err
		}
		needed, err := named.has(x.ID)
		if err != nil {
			return nil, err
		}
		if !has && !needed && x.Since > p.clear {
			list = append(list, x)
		}
	}
	p.v.rep.Phase("looking for what can go", 0, 0)
	plan, err := p.v.store.Condemnable(ctx, chunkstore.CondemnOptions{
		Named: named.has, Awaited: p.v.mayGrow, Most: courier.MaxCondemned - len(list),
	})
	if err != nil {
		return nil, err
	}
	for _, id := range plan.Chunks {
		x := courier.Condemned{ID: id, Since: p.number}
		if i, found := before.find(id); found {
			x.Since = before.list[i].Since
		} else {
			p.result.New++
		}
		list = append(list, x)
	}
	p.result.Condemned, p.result.Later = int64(len(list)), plan.Later
	p.result.Freeable, p.result.Room = plan.Freed-plan.Written, plan.Room
	p.result.Waiting = p.result.Freeable
	slices.SortFunc(list, func(a, b courier.Condemned) int { return a.ID.Compare(b.ID) })
	return list, nil
}

// tell is step 3.
func (p *pruning) tell(ctx context.Context, list []courier.Condemned) error {
	wants, _, err := p.v.wants(p.arrivals.needs)
	if err != nil {
		return err
	}
	lost, err := p.v.lostUnnamed()
	if err != nil {
		return err
	}
	list, lost = withLost(list, lost, p.number)
	if p.newest, err = p.v.amend(ctx, p.newest, p.number, wants, list, p.arrivals); err != nil {
		return err
	}
	p.result.Receipt = p.newest.Number
	return p.v.dropWants(lost)
}

// free is step 4. It compacts in any case: that is what a prune is for.
func (p *pruning) free(ctx context.Context, list *condemned) error {
	clear := p.clear
	if p.o.Now {
		clear = p.number
	}
	if list.clearable(clear) > 0 {
		if err := p.v.cat.ForgetChecks(); err != nil {
			return err
		}
	}
	p.v.rep.Phase("freeing", 0, 0)
	r, err := p.v.store.Compact(ctx, chunkstore.CompactOptions{
		Needed:  func(id chunk.ID) (bool, error) { return !list.mayGo(id, clear), nil },
		Awaited: p.v.mayGrow,
	})
	p.result.Freed, p.result.Containers, p.result.Written = r.Freed, r.Containers, r.Written
	p.result.Waiting = max(0, p.result.Waiting-(r.Freed-r.Written))
	return err
}

// metaPrune is the catalog's note of what the last prunes found. It is lost with the catalog.
const metaPrune = "prune"

// pruneNote is what a prune leaves for status.
type pruneNote struct {
	Waiting int64     `json:"waiting"` // bytes of what is condemned
	Later   int64     `json:"later"`   // chunks that a later prune condemns
	Would   int64     `json:"would"`   // bytes that the last dry run found
	At      time.Time `json:"at"`      // of the last dry run
}

func (v *vault) pruneNote() (n pruneNote, err error) {
	text, err := v.cat.Meta(metaPrune)
	if err == nil && text != nil {
		err = json.Unmarshal(text, &n)
	}
	return n, err
}

func (p *pruning) note() error {
	n, err := p.v.pruneNote()
	if err != nil {
		return err
	}
	if p.o.DryRun {
		n.Would, n.At = p.result.Freeable, time.Now().UTC()
	} else {
		n = pruneNote{Waiting: p.result.Waiting, Later: p.result.Later}
	}
	text, err := json.Marshal(n)
	if err != nil {
		return err
	}
	b := p.v.cat.Batch()
	b.SetMeta(metaPrune, text)
	return b.Commit()
}

// pruneStatus says what waits to be freed, and what the last dry run found.
func (v *vault) pruneStatus(newest *courier.Receipt) (s PruneStatus, err error) {
	n, err := v.pruneNote()
	if err != nil {
		return s, err
	}
	s.Would, s.WouldAt = n.Would, n.At
	if newest == nil || len(newest.Condemned) == 0 {
		return s, nil
	}
	s.Condemned, s.Waiting, s.Later = int64(len(newest.Condemned)), n.Waiting, n.Later
	cleared, err := v.clearance(newest.Epoch)
	s.Waits = cleared.waitsOf(newest.Condemned)
	return s, err
}

// unknownNeeds says which snapshots cannot be read, and what to do.
func (v *vault) unknownNeeds(unread []uint64) string {
	var parts []string
	for _, n := range unread {
		parts = append(parts, fmt.Sprintf("the list of files of snapshot %d is not here in full, so nobody knows what it needs", n))
	}
	for _, k := range v.commits.damaged {
		parts = append(parts, k.file+" is damaged, so nobody knows what it needs")
	}
	return strings.Join(parts, "; ")
}
