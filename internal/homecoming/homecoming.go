// Package homecoming is the new home's end of a homecoming: it takes from a
// drive what a vault packed for it (returns, package courier), and says on the
// drive what has come.
//
//	homecoming.go   FromDrive, from the drive to the landing
//	choose.go       which homecoming
//	records.go      the chunks of one return, found by ID
//	place.go        what this place remembers
//
// It needs neither vault nor state: all there is to know lies on the drive and
// under the target. A return is read without any other; drives may come in any
// order, and twice.
//
//	<target>/<tree>/…                          what comes back
//	<target>/.wl-return/lock                   held while a wl works there
//	<target>/.wl-return/<homecoming>/<number>-<hash>.landing
//
// # What is there
//
// A file all of whose chunks are at hand is put into place, verified; one that
// came in part grows beside its place (snapshot.Trips). When everything that a
// return brings is durable, a landing says so, first at the target, then on the
// drive: the whole state of this place, so that the newest alone suffices. The
// order is
//
//  1. files in place, growing files, directories: synced, read back
//  2. the landing at the target
//  3. the landing on the drive, read back
//
// After a crash before 2 the run is made again: files that are in place are
// compared with what the snapshot names, by reading them, and growing files are
// believed chunk by chunk. Before 3, the next run writes it.
//
// Without its directory .wl-return a target is a new place: everything is
// compared again, and what is equal is not carried again.
package homecoming

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"waterlock/internal/courier"
	"waterlock/internal/disk"
	"waterlock/internal/exit"
	"waterlock/internal/report"
	"waterlock/snapshot"
)

// Options say what is taken where.
type Options struct {
	Drive      string
	Target     string
	Snapshot   string // number, or the beginning of the id of snapshot or homecoming; needed only where the drive brings several
	Overwrite  bool   // replace what is there and differs
	Privileged bool   // setuid bits, devices, security.* and trusted.* attributes
	DryRun     bool
	Report     report.Reporter
}

// Result says what came, and what is still missing.
type Result struct {
	Route        string
	Vault        string // name of the vault that packed it
	Snapshot     uint64
	SnapshotID   string
	SnapshotTime time.Time
	Homecoming   string // 32 hex digits
	Paths        []string
	Trees        []string // of them
	DriveID      string
	DriveLabel   string

	Returns int // on the drive, of this homecoming
	Taken   int // of these, gone through in this run
	Open    int // not complete: the vault has not finished them

	Files, Dirs, Others int64 // back now, by this run
	Bytes               int64 // content written
	AlreadyThere        int64 // there before and equal
	Earlier             int64 // files that came with earlier trips
	Changed             int64 // of these, gone or of another size by now: left alone
	Failed              int64 // entries that could not be given back; named
	Pending, Unseen     int64
	Unset               []snapshot.Unset

	Missing, MissingBytes               int64 // files of which nothing has come
	Growing, GrowingBytes, GrowingTotal int64 // files of which some has
	Damaged                             int64 // packs and chunks found damaged on the drive
	Complete                            bool  // all is there
	LeftFiles, LeftBytes                int64 // that no return brings yet, as the newest one on this drive says
	Landing                             uint64
	Told                                bool // the landing lies on the drive
}

// FromDrive takes what a drive brings to a target. What cannot be had is named;
// the rest comes.
func FromDrive(ctx context.Context, o Options) (result Result, err error) {
	if o.Report == nil {
		o.Report = report.Discard
	}
	d, err := courier.OpenDrive(o.Drive)
	if err != nil {
		return result, err
	}
	defer d.Close()
	if err := d.Lock(); err != nil {
		return result, err
	}
	c := &coming{o: o, drive: d, result: &result}
	if err := c.choose(); err != nil {
		return result, err
	}
	if c.place, err = openPlace(o, c.route, c.id); err != nil {
		return result, err
	}
	defer c.place.close()
	return result, c.run(ctx)
}

// run takes what the drive brings, then says so on it.
func (c *coming) run(ctx context.Context) error {
	if err := c.takeAll(ctx); err != nil {
		if ctx.Err() != nil {
			err = exit.With(exit.Interrupted, err)
		}
		return err
	}
	if !c.o.DryRun {
		c.tell()
	}
	return nil
}

// take goes through the returns on the drive that were not gone through yet;
// where all were, once more through all of them, unless all is there.
func (c *coming) takeAll(ctx context.Context) error {
	r := c.result
	if l := c.place.landing; l != nil && l.Complete {
		r.Complete = true
		return nil
	}
	todo := slices.DeleteFunc(slices.Clone(c.returns), func(i courier.ReturnInfo) bool { return c.place.landing.Took(i.ID) })
	if len(todo) == 0 {
		todo = c.returns
	}
	for i := range todo {
		if err := c.take(ctx, todo[i].Return, todo[i].Path); err != nil {
			return err
		}
	}
	return nil
}

// take goes through one return.
func (c *coming) take(ctx context.Context, ret *courier.Return, dir string) error {
	ctx, gone := context.WithCancelCause(ctx)
	defer gone(nil)
	table, err := c.openRecords(ctx, ret, dir, gone)
	if err != nil {
		return err
	}
	defer table.close()
	t := &trip{records: table, brings: ret.Brings}
	if c.place.landing != nil {
		t.came = c.place.landing.There
	}
	var total snapshot.RestoreResult
	c.o.Report.Phase("bringing back", table.plain, 0)
	for i := range ret.Snapshot.Trees {
		tree := &ret.Snapshot.Trees[i]
		paths, asked := courier.PathsIn(ret.Paths, tree.Name)
		if !asked {
			continue
		}
		r, err := c.restoreTree(ctx, tree, paths, t)
		if err != nil {
			return err
		}
		add(&total, &r)
	}
	c.count(&total)
	c.result.Damaged += table.damage
	c.result.Complete = total.Complete()
	c.result.Taken++
	if c.o.DryRun {
		return nil
	}
	return c.place.land(ret.ID, t.cover.Cover(), c.result.Complete)
}

func (c *coming) restoreTree(ctx context.Context, tree *snapshot.TreeRecord, paths []string, t *trip) (r snapshot.RestoreResult, err error) {
	if err := treeHere(tree.Name); err != nil {
		c.o.Report.Problem(tree.Name, err)
		r.Failed = 1
		return r, nil
	}
	dir, done, err := c.target(tree.Name)
	if err != nil {
		return r, err
	}
	defer done()
	t.tree = tree.Name
	return snapshot.Restore(ctx, snapshot.RestoreOptions{
		Target: dir, Tree: *tree, Get: t.records, Paths: paths, Trips: t,
		Overwrite: c.o.Overwrite, DryRun: c.o.DryRun, Privileged: c.o.Privileged, Report: c.o.Report,
	})
}

// target opens the directory that a tree comes to.
func (c *coming) target(tree string) (dir disk.FS, done func(), err error) {
	if c.o.DryRun {
		return snapshot.OpenTarget(c.o.Target, tree, c.o.DryRun)
	}
	dir, err = c.place.tree(tree)
	return dir, func() { dir.Close() }, err
}

// treeHere refuses a tree whose directory would lie elsewhere, or be our own.
func treeHere(name string) error {
	if err := snapshot.NameHere(name); err != nil {
		return err
	}
	if strings.EqualFold(name, PlaceDir) {
		return errors.New("the name is needed by wl itself")
	}
	return nil
}

func add(sum, r *snapshot.RestoreResult) {
	for _, n := range []struct{ to, from *int64 }{
		{&sum.Files, &r.Files}, {&sum.Dirs, &r.Dirs}, {&sum.Others, &r.Others}, {&sum.Bytes, &r.Bytes},
		{&sum.AlreadyThere, &r.AlreadyThere}, {&sum.Failed, &r.Failed}, {&sum.Gaps, &r.Gaps}, {&sum.NotFound, &r.NotFound},
		{&sum.Pending, &r.Pending}, {&sum.Unseen, &r.Unseen}, {&sum.Earlier, &r.Earlier}, {&sum.Changed, &r.Changed},
		{&sum.Missing, &r.Missing}, {&sum.MissingBytes, &r.MissingBytes},
		{&sum.Growing, &r.Growing}, {&sum.GrowingBytes, &r.GrowingBytes}, {&sum.GrowingTotal, &r.GrowingTotal},
	} {
		*n.to += *n.from
	}
	sum.Unset = snapshot.AddUnset(sum.Unset, r.Unset)
}

// count adds what a return brought. What every return goes over again counts as
// the last one found it.
func (c *coming) count(t *snapshot.RestoreResult) {
	r := c.result
	first := r.Taken == 0
	r.Files += t.Files
	r.Bytes += t.Bytes
	r.AlreadyThere = max(r.AlreadyThere, t.AlreadyThere)
	r.Dirs, r.Others = t.Dirs, t.Others
	r.Pending += t.Pending
	r.Unseen += t.Unseen
	r.Failed = t.Failed + t.Gaps + t.NotFound
	r.Unset = snapshot.AddUnset(r.Unset, t.Unset)
	r.Changed = t.Changed
	r.Missing, r.MissingBytes = t.Missing, t.MissingBytes
	r.Growing, r.GrowingBytes, r.GrowingTotal = t.Growing, t.GrowingBytes, t.GrowingTotal
	if first {
		r.Earlier = t.Earlier
	}
}

// tell writes the landing onto the drive. What cannot be told now comes with the
// next trip: the vault carries again what it does not hear of.
func (c *coming) tell() {
	l := c.place.landing
	if l == nil {
		return
	}
	c.result.Landing = l.Number
	if _, err := c.drive.WriteLanding(c.place.bytes); err != nil {
		c.o.Report.Problem(filepath.Join(c.o.Drive, courier.HomecomingDir(c.route, c.id)), fmt.Errorf("the vault cannot be told what has come: %w", err))
		return
	}
	c.result.Told = true
}

// trip is what snapshot.Restore asks and is told while one return is taken.
type trip struct {
	*records
	came, brings courier.Cover
	tree         string
	cover        courier.CoverBuilder
}

func (t *trip) Came(path string) (whole bool, pieces []snapshot.Range) {
	return t.came.Of(t.tree, path)
}

// Grows: only what the return brings, for others may have chunks at hand by
// chance.
func (t *trip) Grows(path string) bool {
	whole, pieces := t.brings.Of(t.tree, path)
	return whole || len(pieces) > 0
}

func (t *trip) Whole(from, to string)                       { t.cover.Whole(t.tree, from, to) }
func (t *trip) Pieces(path string, pieces []snapshot.Range) { t.cover.Part(t.tree, path, pieces) }
func (t *trip) Lacks()                                      { t.cover.Break() }

// describe fills in what the chosen homecoming is.
func (c *coming) describe() {
	newest := c.returns[len(c.returns)-1].Return
	record := &newest.Snapshot
	id := record.ID()
	r := c.result
	r.Route, r.Vault, r.Snapshot, r.SnapshotID, r.SnapshotTime = newest.Route.Name, newest.Vault, record.Number, hex.EncodeToString(id[:]), record.Time
	r.Homecoming, r.Paths, r.DriveID, r.DriveLabel = c.id.String(), newest.Paths, c.drive.ID().String(), c.drive.Label()
	r.Returns, r.LeftFiles, r.LeftBytes = len(c.returns), newest.LeftFiles, newest.LeftBytes
	for i := range record.Trees {
		if _, asked := courier.PathsIn(newest.Paths, record.Trees[i].Name); asked {
			r.Trees = append(r.Trees, record.Trees[i].Name)
		}
	}
	r.Vault = cmp.Or(r.Vault, "the vault")
}
