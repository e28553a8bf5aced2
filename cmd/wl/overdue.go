package main

import (
	"fmt"
	"time"

	"waterlock/internal/report"
)

// overdueForm is what should have happened again by now.
type overdueForm struct {
	What         string    `json:"what"`
	Since        time.Time `json:"since,omitzero"`
	LimitSeconds float64   `json:"limit_seconds"`
}

func overdueOf(o report.Overdue) overdueForm {
	return overdueForm{o.What, stamp(o.Since), time.Duration(o.Limit).Seconds()}
}

// overdueLine says it to people; next is what to do about it.
func overdueLine(o report.Overdue, next map[string]string) string {
	what, never := "nothing new is known to have arrived at the vault", "ever"
	if o.What == report.OverdueVerification {
		what, never = "not everything in the vault is known to have been read back", "since it came or since the catalog was rebuilt"
	}
	since := never
	if !o.Since.IsZero() {
		since = "since " + when(o.Since)
	}
	return fmt.Sprintf("Overdue: %s %s, which is longer than %s. %s\n", what, since, o.Limit, next[o.What])
}

// What to do about it, at either end.
var (
	homeOverdue = map[string]string{
		report.OverdueTrip:         "Next: wl pack, and take the drive to the vault; or bring its newest receipt.",
		report.OverdueVerification: "Next, at the vault: wl verify; the next receipt tells of it.",
	}
	vaultOverdue = map[string]string{
		report.OverdueTrip:         "Next: a drive from home, and wl unpack.",
		report.OverdueVerification: "Next: wl verify, of a share of it where time is short.",
	}
)
