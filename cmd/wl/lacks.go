package main

import (
	"fmt"
	"strconv"
	"strings"

	"waterlock/internal/home"
	"waterlock/internal/report"
	"waterlock/internal/vault"
)

// lackForm is a path of a snapshot, the newest that names them, that needs chunks which the vault has not. Home and vault
// tell of it alike.
type lackForm struct {
	Snapshot uint64 `json:"snapshot"`
	pathForm
	Chunks int64 `json:"chunks"`
}

func lackItem(l vault.Lack) lackForm { return lackForm{l.Snapshot, pathOf(l.Path), l.Chunks} }

func unservedItem(u home.Unserved) lackForm { return lackForm{u.Snapshot, pathOf(u.Path), u.Chunks} }

// maxNamed is how many are named without -v.
const maxNamed = 10

// lackLines names what is damaged: the first, or all with -v.
func lackLines(list []lackForm, all bool) (lines []string) {
	for i, l := range list {
		if i == maxNamed && !all {
			return append(lines, fmt.Sprintf("  … and %s more; -v names them", report.Count(int64(len(list)-i), "path")))
		}
		lines = append(lines, fmt.Sprintf("  snapshot %d: %s (%s)", l.Snapshot, report.Name(l.Path), chunks(l.Chunks)))
	}
	return lines
}

// tellLacks names what is damaged below a line that says so.
func (s *session) tellLacks(list []lackForm) {
	for _, line := range lackLines(list, s.verbose) {
		s.Info("%s", line)
	}
}

// nounOf is a noun without its count.
func nounOf(n int, noun string) string {
	if n == 1 {
		return noun
	}
	return noun + "s"
}

// someNumbers lists the first numbers, or all.
func someNumbers(list []uint64, all bool) string {
	var words []string
	for i, n := range list {
		if i == maxNamed && !all {
			return strings.Join(words, ", ") + fmt.Sprintf(" and %d more", len(list)-i)
		}
		words = append(words, strconv.FormatUint(n, 10))
	}
	return strings.Join(words, ", ")
}
