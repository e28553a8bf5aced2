package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/dustin/go-humanize"

	"waterlock/internal/exit"
	"waterlock/internal/home"
	"waterlock/internal/machine"
	"waterlock/internal/report"
)

// tellPaths answers for each path whether it may be deleted at home: in each
// route that has it in a tree.
func tellPaths(ctx context.Context, s *session, args []string) error {
	if s.c.String("vault") != "" {
		return exit.Errorf(exit.Usage, "wl status PATH is asked at home, not of a vault: leave out --vault (at the vault, wl find tells which versions it has)")
	}
	routes, err := s.routesAsked()
	if err != nil {
		return err
	}
	var paths []string
	for _, arg := range args {
		path, err := filepath.Abs(arg)
		if err != nil {
			return err
		}
		paths = append(paths, path)
	}
	answers := make([][]home.WhereResult, len(paths))
	for _, route := range routes {
		list, err := home.Where(ctx, home.WhereOptions{State: s.state, Route: route, Paths: paths, Report: s})
		s.Rest()
		if err != nil {
			return err
		}
		for i, r := range list {
			if r.Tree != "" {
				answers[i] = append(answers[i], r)
			}
		}
	}
	all := true
	told := statusForm{Paths: len(paths)}
	for i, path := range paths {
		if len(answers[i]) == 0 {
			answers[i] = []home.WhereResult{{Path: path}}
		}
		may := false
		for _, r := range answers[i] {
			s.Item("path", whereItem(r))
			s.Answer("%s", whereText(r))
			may = may || r.MayDelete
		}
		all = all && may
	}
	s.Summary("status", told)
	return end(false, !all)
}

// routesAsked is the route that the flag names, or all of this machine.
func (s *session) routesAsked() ([]string, error) {
	if route := s.c.String("route"); route != "" {
		return []string{route}, nil
	}
	routes, err := machine.Routes(s.state)
	if err == nil && len(routes) == 0 {
		err = exit.Errorf(exit.NotFound, "this machine knows no route yet: wl init")
	}
	return routes, err
}

var standingWords = map[home.Standing]string{
	home.IsHeld:     "held at the vault",
	home.IsAboard:   "aboard a drive",
	home.IsPending:  "pending",
	home.IsChanged:  "changed since the last pack, or while it was packed",
	home.IsNew:      "new since the last pack",
	home.IsUnseen:   "unseen: the last pack could not read it",
	home.IsUnread:   "cannot be looked at now",
	home.IsExcluded: "excluded: never carried",
}

// whereText says how it stands with a path: in one sentence if that is all.
func whereText(r home.WhereResult) string {
	name := report.Name(r.Path)
	switch {
	case r.Tree == "":
		return name + ": in no tree of a route of this machine, it is not carried at all."
	case r.Kind == "" && r.Gone > 0:
		return fmt.Sprintf("%s: not on the disk now. The last pack that saw the tree (snapshot %d, %s) saw it.", name, r.Snapshot, when(r.Packed))
	case r.Kind == "":
		return name + ": nothing is there, and the last pack saw nothing there."
	case r.Kind != "directory" && len(r.Groups) == 1:
		return name + ": " + oneText(r)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s (tree %s of route %s)\n", name, report.Name(r.Tree), r.Route)
	w := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	for _, g := range r.Groups {
		size := ""
		if g.Bytes > 0 {
			size = report.Size(g.Bytes)
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", standingWords[g.Standing], report.Count(g.Entries, "entry"), size, strings.Join(g.Drives, ", "))
	}
	if r.Gone > 0 {
		fmt.Fprintf(w, "  not on the disk now\t%s\t\tthe last pack saw %s\n", report.Count(r.Gone, "entry"), them(r.Gone))
	}
	w.Flush()
	if r.MayDelete {
		fmt.Fprintf(&b, "All of it is %s: may be deleted here.", heldText(r))
		return b.String()
	}
	b.WriteString("Not all of it may be deleted here.")
	left := int64(len(r.Exceptions))
	for _, g := range r.Groups {
		if g.Standing != home.IsHeld {
			left -= g.Entries
		}
	}
	for _, x := range r.Exceptions {
		fmt.Fprintf(&b, "\n  %s: %s", fullName(r.Tree, x.Path), standingText(x))
	}
	if left < 0 {
		fmt.Fprintf(&b, "\n  and %s more", humanize.Comma(-left))
	}
	return b.String()
}

// oneText is for what is no directory.
func oneText(r home.WhereResult) string {
	if r.MayDelete {
		return heldText(r) + ": may be deleted here."
	}
	text := standingText(r.Exceptions[0]) + "."
	switch r.Groups[0].Standing {
	case home.IsAboard:
		text += " Keep it here until a receipt says that it has arrived."
	case home.IsChanged, home.IsNew, home.IsPending, home.IsUnseen:
		text += " Next: wl pack"
	}
	return text
}

func standingText(x home.WhereEntry) string {
	switch drives := strings.Join(x.Drives, ", "); {
	case x.Standing == home.IsAboard && x.Why != "":
		return x.Why + " is aboard " + drives
	case x.Standing == home.IsAboard:
		return "aboard " + drives
	case x.Why != "":
		return standingWords[x.Standing] + ": " + x.Why
	}
	return standingWords[x.Standing]
}

// heldText says since when, and when it was read at the vault.
func heldText(r home.WhereResult) string {
	text := "held at the vault " + report.Name(r.Vault)
	if !r.HeldSince.IsZero() {
		text += " since " + when(r.HeldSince)
	}
	switch {
	case r.ReadSince.IsZero():
		return text + ", not known to have been read there lately (wl verify at the vault reads it)"
	case r.ReadSince.Before(r.HeldSince):
		return text + ", read there when it came or later"
	}
	return text + ", last read there on " + when(r.ReadSince) + " or later"
}
