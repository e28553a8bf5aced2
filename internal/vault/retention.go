package vault

import (
	"fmt"
	"strconv"
	"time"

	"waterlock/internal/exit"
)

// Retention says which snapshots a prune keeps, with the meaning that restic's forget gives to the same words. Each
// number n keeps, of the newest n periods in which there is a snapshot, the newest snapshot of that period; where there are fewer periods, the oldest
// snapshot is kept, too. Weeks are those of ISO 8601; days, weeks, months and years are those of this machine's zone. 0 keeps none, Unlimited
// all. Within keeps what is at most so much older than the newest snapshot. A snapshot is kept if any of these keeps it.
type Retention struct {
	Last    int    `toml:"keep_last"`
	Daily   int    `toml:"keep_daily"`
	Weekly  int    `toml:"keep_weekly"`
	Monthly int    `toml:"keep_monthly"`
	Yearly  int    `toml:"keep_yearly"`
	Within  string `toml:"keep_within"` // such as 1y6m, 30d, 12h; "": nothing
}

// Unlimited as a number of periods: every one.
const Unlimited = -1

// IsZero tells whether nothing is said.
func (r Retention) IsZero() bool { return r == Retention{} }

// check refuses what makes no sense.
func (r Retention) check() error {
	for name, n := range map[string]int{"last": r.Last, "daily": r.Daily, "weekly": r.Weekly, "monthly": r.Monthly, "yearly": r.Yearly} {
		if n < Unlimited {
			return exit.Errorf(exit.Usage, "keep %s: %d is no number of snapshots", name, n)
		}
	}
	_, err := parseSpan(r.Within)
	return err
}

// ParseCount reads a number of snapshots to keep: digits, or "unlimited".
func ParseCount(text string) (int, error) {
	if text == "unlimited" {
		return Unlimited, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, exit.Errorf(exit.Usage, "%q is no number of snapshots: give one like 7, or unlimited", text)
	}
	return n, nil
}

// span is a length of time in the words of the calendar.
type span struct{ years, months, days, hours int }

// parseSpan reads years, months, days and hours, each at most once and in this order: 1y6m, 14d, 2d12h.
func parseSpan(text string) (s span, err error) {
	rest := text
	for i, unit := range "ymdh" {
		digits := 0
		for digits < len(rest) && rest[digits] >= '0' && rest[digits] <= '9' {
			digits++
		}
		if digits == 0 || digits == len(rest) || rune(rest[digits]) != unit {
			continue
		}
		n, err := strconv.Atoi(rest[:digits])
		if err != nil || n > 100_000 {
			break
		}
		*[]*int{&s.years, &s.months, &s.days, &s.hours}[i] = n
		rest = rest[digits+1:]
	}
	if rest != "" || text != "" && s == (span{}) {
		return s, exit.Errorf(exit.Usage, "%q is no length of time: give years, months, days and hours, such as 1y6m, 30d or 2d12h", text)
	}
	return s, nil
}

// before is the time so much earlier.
func (s span) before(t time.Time) time.Time {
	return t.AddDate(-s.years, -s.months, -s.days).Add(-time.Duration(s.hours) * time.Hour)
}

// period is one kind of period: of each, the newest snapshot is kept.
type period struct {
	left int
	why  string
	of   func(t time.Time, i int) string
	last string
}

func (r Retention) periods() []*period {
	return []*period{
		{left: r.Last, why: "last", of: func(_ time.Time, i int) string { return strconv.Itoa(i) }},
		{left: r.Daily, why: "daily", of: func(t time.Time, _ int) string { return t.Format("2006-01-02") }},
		{left: r.Weekly, why: "weekly", of: func(t time.Time, _ int) string {
			year, week := t.ISOWeek()
			return fmt.Sprint(year, "-", week)
		}},
		{left: r.Monthly, why: "monthly", of: func(t time.Time, _ int) string { return t.Format("2006-01") }},
		{left: r.Yearly, why: "yearly", of: func(t time.Time, _ int) string { return t.Format("2006") }},
	}
}

// keeps says of each of these times, newest first, why the snapshot of that time is kept; nothing: it is not.
func (r Retention) keeps(times []time.Time) (why [][]string) {
	why = make([][]string, len(times))
	within, _ := parseSpan(r.Within) // checked before
	periods := r.periods()
	for i, t := range times {
		if r.Within != "" && t.After(within.before(times[0])) {
			why[i] = append(why[i], "within "+r.Within)
		}
		for _, p := range periods {
			if p.left == 0 {
				continue
			}
			of := p.of(t.Local(), i)
			if of == p.last && i < len(times)-1 {
				continue
			}
			p.last = of
			why[i] = append(why[i], p.why)
			if p.left > 0 {
				p.left--
			}
		}
	}
	return why
}
