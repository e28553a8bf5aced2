package report

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Age is a length of time as people set it: "45 days", "12 hours", "never".
// Zero is never.
type Age time.Duration

const day = 24 * time.Hour

// MarshalText writes whole days or hours, or what time.Duration writes.
func (a Age) MarshalText() ([]byte, error) {
	switch d := time.Duration(a); {
	case d == 0:
		return []byte("never"), nil
	case d%day == 0:
		return fmt.Appendf(nil, "%d days", d/day), nil
	case d%time.Hour == 0:
		return fmt.Appendf(nil, "%d hours", d/time.Hour), nil
	default:
		return []byte(d.String()), nil
	}
}

// UnmarshalText reads a whole number of days, weeks or hours, or what
// time.ParseDuration reads.
func (a *Age) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	if s == "never" {
		*a = 0
		return nil
	}
	if d, err := time.ParseDuration(s); err == nil && d > 0 {
		*a = Age(d)
		return nil
	}
	digits := strings.TrimRight(s, "abcdefghijklmnopqrstuvwxyz ")
	n, err := strconv.ParseUint(digits, 10, 16)
	unit := time.Duration(0)
	switch strings.TrimSpace(s[len(digits):]) {
	case "h", "hour", "hours":
		unit = time.Hour
	case "d", "day", "days":
		unit = day
	case "w", "week", "weeks":
		unit = 7 * day
	}
	if err != nil || n == 0 || unit == 0 {
		return fmt.Errorf("%q is no age; write it like \"45 days\", \"12 hours\" or \"never\"", s)
	}
	*a = Age(n) * Age(unit)
	return nil
}

func (a Age) String() string {
	text, _ := a.MarshalText() // never fails
	return string(text)
}

// What can be overdue.
const (
	OverdueTrip         = "trip"         // nothing new has arrived at the vault
	OverdueVerification = "verification" // not everything in the vault was read
)

// Overdue is something that should have happened again by now.
type Overdue struct {
	What  string    // OverdueTrip or OverdueVerification
	Since time.Time // when it happened last; zero: not known, or never
	Limit Age       // how long it may be ago
}

// Limits say after how long something is overdue.
type Limits struct {
	Trip         Age `toml:"trip_older_than" comment:"the newest shipment that has arrived"`
	Verification Age `toml:"verify_older_than" comment:"the time since which all that the vault has was read back"`
}

// DefaultLimits are those of a new home and a new vault.
func DefaultLimits() Limits { return Limits{Trip: Age(45 * day), Verification: Age(365 * day)} }

// Overdue lists what is overdue now: trip is when the newest shipment that has
// arrived was packed or taken, verification the time since which all was read.
func (l Limits) Overdue(now, trip, verification time.Time) (list []Overdue) {
	late := func(what string, since time.Time, limit Age) {
		if limit > 0 && now.Sub(since) > time.Duration(limit) {
			list = append(list, Overdue{what, since, limit})
		}
	}
	late(OverdueTrip, trip, l.Trip)
	late(OverdueVerification, verification, l.Verification)
	return list
}
