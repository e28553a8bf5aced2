package home

import (
	"errors"
	"io/fs"
	"slices"

	"waterlock/internal/disk"
	"waterlock/internal/exclude"
	"waterlock/internal/exit"
	"waterlock/internal/report"
	"waterlock/snapshot"
)

// What is gone from a tree is decided at home, path by path: the vault may take it out of its mirror (the snapshot has
// no word of it), or it stays there, or nobody has said so yet (a tombstone says which of the two). The survey writes
// what is gone into a list, a scan file beside the index; when the moved files are known the list is read once more,
// shown by directory, and asked about. The passes then decide each path by the same rules. What vanishes behind the
// survey was not shown, so an answer given to the question does not cover it.

// Answer is what is to become of files that are gone.
type Answer string

const (
	AnswerAsk       Answer = "ask"       // a person is asked; where there is none, nothing is decided
	AnswerPropagate Answer = "propagate" // the vault may take them out of its mirror
	AnswerKeep      Answer = "keep"      // they stay in the vault's mirror
)

// ParseAnswer accepts ask, propagate and keep.
func ParseAnswer(s string) (Answer, error) {
	switch a := Answer(s); a {
	case AnswerAsk, AnswerPropagate, AnswerKeep:
		return a, nil
	}
	return "", exit.Errorf(exit.Usage, "%q is none of ask, propagate, keep", s)
}

// decider knows what route.toml and the flags say of what is gone from one tree.
type decider struct {
	keep, propagate exclude.Rules
	reconsider      exclude.Rules // earlier answers that are not to count any more
}

func newDecider(t Tree, reconsider []string) (*decider, error) {
	d := &decider{}
	for _, from := range []struct {
		list  []string
		where string
		to    *exclude.Rules
	}{
		{t.Keep, "keep " + inConfig(t), &d.keep},
		{t.Propagate, "propagate " + inConfig(t), &d.propagate},
		{reconsider, "--reconsider", &d.reconsider},
	} {
		rules, err := patterns(from.list, from.where)
		if err == nil {
			err = notFromRoot(t, rules)
		}
		if err != nil {
			return nil, err
		}
		*from.to = rules
	}
	return d, nil
}

// fate is what a path that is gone becomes. open: neither the configuration nor an earlier answer says it, so that the
// answers of this run do.
type fate struct {
	gone     snapshot.Gone
	open     bool
	excluded bool // it is excluded, and perhaps still there
	cleared  bool // nobody has said, and the vault has taken it out of its mirror: there is nothing left to decide
}

// fate decides about an entry or a tombstone of the last scan that the walk did not meet. excluded: the walk left out
// the place that it lies in.
func (r *run) fate(t *treeState, e *snapshot.ScanEntry, excluded bool) fate {
	path, dir, was := e.Entry.Path, e.Entry.Kind == disk.KindDir, e.Entry.Gone
	if was == snapshot.Excluded && !excluded {
		// It is no longer there. If it still would be excluded, that changes nothing; else it is a deletion.
		if excluded = t.excluder.rules.Covers(path, dir) != nil; !excluded {
			was = snapshot.Undecided
		}
	}
	excluded = excluded && (was == snapshot.Here || was == snapshot.Excluded)
	stays := snapshot.Kept
	if excluded {
		stays = snapshot.Excluded
	}
	switch {
	case was == snapshot.Confirmed:
		return fate{gone: was}
	case t.decider.keep.Covers(path, dir) != nil:
		return fate{gone: stays, excluded: excluded}
	case t.decider.propagate.Covers(path, dir) != nil:
		return fate{gone: snapshot.Confirmed, excluded: excluded}
	case e.Entry.Gone == snapshot.Undecided && e.Since != 0 && e.Since <= t.cleared:
		return fate{gone: snapshot.Confirmed, cleared: true}
	case was.Stays() && t.decider.reconsider.Covers(path, dir) == nil:
		return fate{gone: was, excluded: excluded}
	case !excluded && was == snapshot.Here && r.movedOn(e):
		return fate{gone: snapshot.Confirmed}
	case was != snapshot.Here:
		return fate{gone: was, open: true, excluded: excluded}
	case excluded:
		return fate{gone: snapshot.Excluded, open: true, excluded: true}
	}
	return fate{gone: snapshot.Undecided, open: true}
}

// answers are what was said in this run of what is open.
type answers struct {
	vanished, excluded Answer
	asked              bool // by a person who saw the list: what is not on it is not covered
	askedExcluded      bool
}

// settle gives a path that is open the answer of this run. listed: it was on the list that was shown.
func (a *answers) settle(f fate, listed bool) snapshot.Gone {
	answer, asked, stays := a.vanished, a.asked, snapshot.Kept
	if f.excluded {
		answer, asked, stays = a.excluded, a.askedExcluded, snapshot.Excluded
	}
	switch {
	case !f.open || asked && !listed:
		return f.gone
	case answer == AnswerPropagate:
		return snapshot.Confirmed
	case answer == AnswerKeep:
		return stays
	}
	return f.gone
}

// movedOn tells whether what is gone was found again under another name.
func (r *run) movedOn(e *snapshot.ScanEntry) bool {
	if e.Entry.BTime.IsZero() {
		return false
	}
	_, ok := slices.BinarySearch(r.newKeys, keyOf(e.Local, &e.Entry))
	return ok
}

func goneName(t *treeState) string { return fileGone + "-" + t.Name }

// goneList is the list of what is gone from a tree, being written by the survey.
type goneList struct {
	r  *run
	t  *treeState
	sp *spool
}

func (r *run) newGoneList(t *treeState) (*goneList, error) {
	if err := r.site.state.Remove(goneName(t)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	sp, err := createSpool(r.site.state, goneName(t), t.Name, 0)
	return &goneList{r, t, sp}, err
}

// add notes what the walk did not meet, without its content. What stays as it is whatever is said is not on the list.
func (l *goneList) add(e *snapshot.ScanEntry, excluded bool) error {
	if e.Entry.Gone != snapshot.Here && !l.r.fate(l.t, e, excluded).open {
		return nil
	}
	note := snapshot.ScanEntry{Local: e.Local, Entry: e.Entry}
	n := &note.Entry
	n.Content, n.Carried, n.Xattrs, n.Pending, n.Unseen = nil, nil, nil, false, false
	n.Hash = [len(n.Hash)]byte{}
	if excluded && n.Gone == snapshot.Here {
		note.Flags = listedExcluded
	}
	return l.sp.add(&note)
}

// listedExcluded marks in the list what is newly excluded.
const listedExcluded = snapshot.NotRead

// decideGone shows what is gone from all trees and learns what is to become of it.
func (r *run) decideGone() error {
	r.answers = answers{vanished: r.site.cfg.Deletions.Vanished, excluded: r.site.cfg.Deletions.Excluded}
	if r.o.Vanished != "" {
		r.answers.vanished = r.o.Vanished
	}
	if r.o.Excluded != "" {
		r.answers.excluded = r.o.Excluded
	}
	vanished, excluded := newGoneTally(), newGoneTally()
	for _, t := range r.trees {
		if t.root == nil {
			continue
		}
		err := eachScanned(r.site.state, goneName(t), func(e *snapshot.ScanEntry) error {
			f := r.fate(t, e, e.Flags&listedExcluded != 0)
			tally := vanished
			if f.excluded {
				tally = excluded
			}
			tally.add(r.name(t, e.Entry.Path), &e.Entry, f.open)
			return nil
		})
		if err != nil {
			return err
		}
	}
	vanished.end()
	excluded.end()
	r.res.Vanished, r.res.Excluded = vanished.result(), excluded.result()
	vanished.show(r.rep, "Gone at home")
	excluded.show(r.rep, "Newly excluded")
	if r.o.DryRun {
		return nil
	}
	if r.answers.vanished == AnswerAsk && vanished.open.Files > 0 && r.o.Choose != nil {
		answer, asked := r.o.Choose("What is the vault to do with what is gone at home ("+files(vanished.open.Files)+")?", []report.Answer{
			{Word: string(AnswerPropagate), Means: "take it out of its mirror; older snapshots keep it"},
			{Word: string(AnswerKeep), Means: "leave it in its mirror"},
			{Word: "later", Means: "decide nothing now: the next pack asks again (or just press Enter)"},
		})
		if a, err := ParseAnswer(answer); asked && err == nil {
			r.answers.vanished, r.answers.asked = a, true
		}
	}
	if r.answers.excluded == AnswerAsk && excluded.open.Files > 0 && r.o.Choose != nil {
		answer, asked := r.o.Choose("What is the vault to do with what is newly excluded ("+files(excluded.open.Files)+")?", []report.Answer{
			{Word: string(AnswerKeep), Means: "leave it in its mirror, as it is now"},
			{Word: string(AnswerPropagate), Means: "take it out of its mirror; older snapshots keep it"},
		})
		if a, err := ParseAnswer(answer); asked && err == nil {
			r.answers.excluded, r.answers.askedExcluded = a, true
		}
	}
	r.res.Vanished.Answer, r.res.Excluded.Answer = r.answers.vanished, r.answers.excluded
	return nil
}

func (r *run) removeGoneLists() {
	for _, t := range r.trees {
		r.site.state.Remove(goneName(t)) // scratch; the next run removes it otherwise
	}
}
