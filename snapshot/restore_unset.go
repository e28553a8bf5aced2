package snapshot

import (
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"waterlock/internal/disk"
	"waterlock/internal/report"
)

// Unset is one thing that entries were to have and did not get, because the
// target cannot hold it or this user may not give it.
type Unset struct {
	What    string // for people, in the plural: "owners", "access lists", "pipes"
	FS      string // type of the target's file system, "" where the system does not tell
	Entries int64
	Why     string // of the first of them
}

func (u *Unset) String() string {
	on := ""
	if u.FS != "" {
		on = " on " + u.FS
	}
	for _, made := range plurals {
		if u.What == made {
			return fmt.Sprintf("%s not made%s: %s", report.Count(u.Entries, strings.TrimSuffix(made, "s")), on, u.Why)
		}
	}
	return fmt.Sprintf("%s of %s not given back%s: %s", u.What, report.Count(u.Entries, "entry"), on, u.Why)
}

// AddUnset adds a list to another, so that there is one of each thing and file
// system.
func AddUnset(to []Unset, more []Unset) []Unset {
	for _, u := range more {
		i := slices.IndexFunc(to, func(t Unset) bool { return t.What == u.What && t.FS == u.FS })
		if i < 0 {
			to = append(to, u)
			continue
		}
		to[i].Entries += u.Entries
	}
	return to
}

// unset notes that an entry did not get something.
func (r *restorer) unset(path, what string, why error) {
	r.Report.Verbose("%s: %s: %v", r.name(path), what, why)
	r.res.Unset = AddUnset(r.res.Unset, []Unset{{What: what, FS: r.fsType(), Entries: 1, Why: cause(why)}})
}

// cause is an error without the name of its file, which stands for many.
func cause(err error) string {
	for {
		switch e := err.(type) {
		case makeError:
			err = e.error
		case *fs.PathError:
			err = e.Err
		case *os.LinkError:
			err = e.Err
		default:
			return err.Error()
		}
	}
}

// fsType is asked for once, where there is something to say of it.
func (r *restorer) fsType() string {
	if !r.typed {
		r.typed = true
		if s, err := r.Target.Free(); err == nil {
			r.fs = s.Type
		}
	}
	return r.fs
}

// unsetMeta notes what SetMeta could not set, each kind of thing once.
func (r *restorer) unsetMeta(path string, problems []disk.MetaProblem) {
	var noted []string
	for _, p := range problems {
		what := metaName(p.What)
		if slices.Contains(noted, what) {
			continue
		}
		noted = append(noted, what)
		r.unset(path, what, p.Err)
	}
}

// metaName is what people call a piece of metadata of which MetaProblem tells.
func metaName(what string) string {
	switch what {
	case "owner":
		return "owners"
	case "mode":
		return "modes"
	case "times":
		return "times"
	case "attributes":
		return "attributes"
	}
	if strings.HasPrefix(what, "system.posix_acl_") {
		return "access lists"
	}
	if class, _, ok := strings.Cut(what, "."); ok {
		return class + ".* attributes"
	}
	return "attributes"
}

// differing tells which of the things that SetMeta reported as set are not as
// they were set: file systems round times and drop bits of modes in silence.
func differing(kind disk.Kind, want disk.Meta, o disk.MetaOptions, got disk.Stat) (problems []disk.MetaProblem) {
	add := func(what string, format string, a ...any) {
		problems = append(problems, disk.MetaProblem{What: what, Err: fmt.Errorf(format, a...)})
	}
	if o.Owner && (got.UID != want.UID || got.GID != want.GID) {
		add("owner", "%d:%d became %d:%d", want.UID, want.GID, got.UID, got.GID)
	}
	mode := want.Mode
	if kind == disk.KindFile && !o.Privileged {
		mode &^= privilegedBits
	}
	if kind != disk.KindSymlink && got.Mode != mode {
		add("mode", "%04o became %04o", mode, got.Mode)
	}
	if got.MTime != want.MTime {
		add("times", "%s became %s", stamp(want.MTime), stamp(got.MTime))
	}
	return problems
}

func stamp(t disk.Time) string { return t.Time().Format("2006-01-02T15:04:05.999999999Z") }
