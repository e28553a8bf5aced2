package report

import (
	"testing"
	"time"
)

func TestAgesAreReadAndWrittenForPeople(t *testing.T) {
	for _, c := range []struct {
		text string
		want time.Duration
		as   string
	}{
		{"45 days", 45 * day, "45 days"}, {"1 day", day, "1 days"}, {"2w", 14 * day, "14 days"}, {"36h", 36 * time.Hour, "36 hours"},
		{"12 hours", 12 * time.Hour, "12 hours"}, {"never", 0, "never"}, {"90m", 90 * time.Minute, "1h30m0s"},
	} {
		var a Age
		if err := a.UnmarshalText([]byte(c.text)); err != nil || time.Duration(a) != c.want || a.String() != c.as {
			t.Errorf("%q: %v, %v, written %q", c.text, time.Duration(a), err, a)
		}
		var again Age
		if err := again.UnmarshalText([]byte(a.String())); err != nil || again != a {
			t.Errorf("%q is not read back: %v, %v", a, again, err)
		}
	}
	for _, bad := range []string{"", "0", "0 days", "-1 days", "-3h", "5", "5 moons", "days", "99999999 days"} {
		var a Age
		if err := a.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q was read as %v", bad, time.Duration(a))
		}
	}
}

func TestWhatIsOlderThanItsLimitIsOverdue(t *testing.T) {
	now := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	l := Limits{Trip: Age(10 * day), Verification: Age(30 * day)}
	for _, c := range []struct {
		name         string
		limits       Limits
		trip, verify time.Time
		want         []string
	}{
		{"both in time", l, now.Add(-10 * day), now.Add(-30 * day), nil},
		{"no trip for eleven days", l, now.Add(-11 * day), now, []string{OverdueTrip}},
		{"not read for a while", l, now, now.Add(-31 * day), []string{OverdueVerification}},
		{"never", l, time.Time{}, time.Time{}, []string{OverdueTrip, OverdueVerification}},
		{"nobody asks", Limits{}, time.Time{}, time.Time{}, nil},
	} {
		var got []string
		for _, o := range c.limits.Overdue(now, c.trip, c.verify) {
			got = append(got, o.What)
		}
		if len(got) != len(c.want) || len(got) > 0 && got[0] != c.want[0] {
			t.Errorf("%s: %v, not %v", c.name, got, c.want)
		}
	}
}
