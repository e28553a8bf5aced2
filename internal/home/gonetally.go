package home

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"waterlock/internal/disk"
	"waterlock/internal/report"
	"waterlock/snapshot"
)

// GoneFiles says what is gone from the trees, or newly excluded, and what became of it.
type GoneFiles struct {
	Files, Bytes         int64     // all
	OpenFiles, OpenBytes int64     // of these, not decided by route.toml or because they only moved
	Dirs                 []GoneDir // where the open ones were: the largest, in the order of their paths
	MoreDirs             int64     // how many more there are
	MoreFiles, MoreBytes int64     // files in those
	Answer               Answer    // what was said of the open ones in this run; ask: nothing
}

// GoneDir is a directory that files are gone from.
type GoneDir struct {
	Path         string // with the tree; raw bytes
	Whole        bool   // the directory itself is gone
	Files, Bytes int64
}

const shownDirs = 20

type goneSum struct{ Files, Bytes int64 }

func (s *goneSum) add(bytes int64) { s.Files, s.Bytes = s.Files+1, s.Bytes+bytes }

// goneTally gathers what is gone by directory: what lies in a directory that is gone itself under the topmost such
// directory, all else under the one that it lay in. Paths come in tree order, one tree after the other; in memory are
// the directories around the current path and the largest ones so far.
type goneTally struct {
	all, open goneSum
	around    []GoneDir
	largest   []GoneDir
	more      goneSum
	moreDirs  int64
}

func newGoneTally() *goneTally { return &goneTally{} }

func (g *goneTally) add(path string, e *snapshot.Entry, open bool) {
	isDir := e.Kind == disk.KindDir
	if !isDir {
		g.all.add(e.Size)
		if open {
			g.open.add(e.Size)
		}
	}
	if !open {
		return
	}
	for len(g.around) > 0 && !snapshot.Under(path, g.around[len(g.around)-1].Path) {
		g.leave()
	}
	var top *GoneDir
	if n := len(g.around); n > 0 {
		top = &g.around[n-1]
	}
	parent, _ := snapshot.Split(path)
	switch {
	case top != nil && top.Whole:
	case isDir:
		g.around = append(g.around, GoneDir{Path: strings.Clone(path), Whole: true})
		return
	case top == nil || top.Path != parent:
		g.around = append(g.around, GoneDir{Path: strings.Clone(parent)})
		top = &g.around[len(g.around)-1]
	}
	if !isDir {
		top.Files++
		top.Bytes += e.Size
	}
}

// leave closes the innermost directory.
func (g *goneTally) leave() {
	d := g.around[len(g.around)-1]
	g.around = g.around[:len(g.around)-1]
	if d.Files == 0 {
		return // an empty directory is nothing to ask about
	}
	g.largest = append(g.largest, d)
	if len(g.largest) <= shownDirs {
		return
	}
	least := 0
	for i := range g.largest {
		if compareGone(&g.largest[i], &g.largest[least]) < 0 {
			least = i
		}
	}
	g.more.Files += g.largest[least].Files
	g.more.Bytes += g.largest[least].Bytes
	g.moreDirs++
	g.largest = slices.Delete(g.largest, least, least+1)
}

func compareGone(a, b *GoneDir) int {
	return cmp.Or(cmp.Compare(a.Bytes, b.Bytes), cmp.Compare(a.Files, b.Files), snapshot.ComparePaths(b.Path, a.Path))
}

func (g *goneTally) end() {
	for len(g.around) > 0 {
		g.leave()
	}
	slices.SortFunc(g.largest, func(a, b GoneDir) int { return snapshot.ComparePaths(a.Path, b.Path) })
}

func (g *goneTally) result() GoneFiles {
	return GoneFiles{Files: g.all.Files, Bytes: g.all.Bytes, OpenFiles: g.open.Files, OpenBytes: g.open.Bytes,
		Dirs: g.largest, MoreDirs: g.moreDirs, MoreFiles: g.more.Files, MoreBytes: g.more.Bytes}
}

// show tells a person what is open, by directory.
func (g *goneTally) show(rep report.Reporter, what string) {
	if g.open.Files == 0 {
		return
	}
	rep.Info("%s: %s, %s.", what, files(g.open.Files), report.Size(g.open.Bytes))
	for i := range g.largest {
		d := &g.largest[i]
		line := fmt.Sprintf("  %s/  %s, %s", report.Name(d.Path), files(d.Files), report.Size(d.Bytes))
		if d.Whole {
			line += " (the whole directory)"
		}
		rep.Info("%s", line)
	}
	if g.moreDirs > 0 {
		rep.Info("  and %s more with %s, %s", report.Count(g.moreDirs, "directory"), files(g.more.Files), report.Size(g.more.Bytes))
	}
}

func files(n int64) string { return report.Count(n, "file") }
