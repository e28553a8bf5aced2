package home

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"waterlock/internal/report"
)

// The flags of wl pack that override the guards.
const (
	flagMissing  = "--allow-missing"
	flagEmpty    = "--allow-empty"
	flagDevice   = "--allow-device"
	flagVanished = "--allow-vanished"
	flagLostScan = "--allow-lost-scan"
)

func (t *treeState) stop(reason, flag string) {
	t.stopped = &StoppedTree{Tree: t.Name, Reason: reason, Flag: flag}
	if t.root != nil {
		t.root.Close() // was only read
		t.root = nil
	}
}

// standStill notes a tree that a guard has stopped: the snapshot repeats its last stream.
func (r *run) standStill(t *treeState) {
	if t.lastRecord != nil {
		t.survey.metaBytes = recordBytes(t.lastRecord)
	}
	t.stopped.Never = t.lastRecord == nil && t.lastScan == ""
	r.res.Stopped = append(r.res.Stopped, *t.stopped)
}

func rootUnreadable(err error) string { return fmt.Sprintf("its root cannot be read: %v", err) }

// guardRoot decides on a tree whose root cannot be opened.
func (r *run) guardRoot(t *treeState, err error) {
	switch {
	case !errors.Is(err, fs.ErrNotExist):
		t.stop(rootUnreadable(err), "")
	case !allows(r.o.AllowMissing, t.Name):
		t.stop(fmt.Sprintf("its root %s is missing", report.Name(t.Path)), flagMissing)
	}
}

// guard decides whether what a walk found looks like an unmounted disk or a mishap rather than like what a person did:
// after the survey, before anything of the tree is written, and once more after each pass, for a disk that went away
// meanwhile leaves a directory as empty as any other.
func (r *run) guard(t *treeState, c census) {
	s := &t.survey
	if t.stopped != nil || t.root == nil {
		return
	}
	if (s.scanTorn || r.scanLost(t)) && !allows(r.o.AllowLostScan, t.Name) {
		t.stop("what home knew of it (its last scan) is lost or damaged, so nobody can say what was deleted", flagLostScan)
		return
	}
	if t.lastScan == "" {
		return
	}
	empty := c.entries <= 1
	limit := int64(r.site.cfg.Guard.MaxVanished)
	gone := max(0, c.gone-s.found)
	switch {
	case empty && s.lastEntries > 0 && !allows(r.o.AllowEmpty, t.Name):
		t.stop(fmt.Sprintf("its root %s is empty, there were %s", report.Name(t.Path), report.Count(s.lastEntries, "entry")), flagEmpty)
	case s.lastDev != 0 && c.rootDev != s.lastDev && !allows(r.o.AllowDevice, t.Name):
		t.stop(fmt.Sprintf("its root %s lies on another device than last time", report.Name(t.Path)), flagDevice)
	case !empty && gone*100 > limit*s.lastFiles && !allows(r.o.AllowVanished, t.Name):
		t.stop(fmt.Sprintf("%d of its %s are gone, more than %d %%", gone, report.Count(s.lastFiles, "file"), limit), flagVanished)
	}
}

// scanLost tells whether a tree has no scan although the newest snapshot has entries of it: each snapshot but one that
// repeats the tree's last stream left a scan of its number.
func (r *run) scanLost(t *treeState) bool {
	switch rec := t.lastRecord; {
	case rec == nil:
		return false
	case rec.Stopped != "":
		return t.lastScan == "" && len(rec.Chunks) > 0
	}
	return t.lastScan == "" || scanNumber(t.lastScan) != r.fleet.newest.Snapshot.Number
}

func allows(names []string, tree string) bool {
	return slices.Contains(names, tree) || slices.Contains(names, "*")
}

// checkAllowed refuses names of trees that do not exist: a slip of the pen here would go unnoticed.
func (r *run) checkAllowed() error {
	for _, names := range [][]string{r.o.AllowMissing, r.o.AllowEmpty, r.o.AllowDevice, r.o.AllowVanished, r.o.AllowLostScan} {
		for _, name := range names {
			if name != "*" && !slices.ContainsFunc(r.trees, func(t *treeState) bool { return t.Name == name }) {
				return fmt.Errorf("no tree %q in route %s", name, r.site.cfg.Name)
			}
		}
	}
	return nil
}
