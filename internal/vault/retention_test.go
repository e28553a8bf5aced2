package vault

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// The rules are those of restic's forget, here by its documentation: the newest of each period, the oldest snapshot
// where periods are left, what is within a time of the newest.
func TestRetentionIsThatOfRestic(t *testing.T) {
	t.Parallel()
	var times []time.Time // newest first
	for _, s := range []string{
		"2026-03-31 18:00", "2026-03-31 06:00", "2026-03-30 12:00", "2026-03-29 23:59", "2026-03-28 12:00", // Tue Tue Mon Sun Sat
		"2026-03-01 12:00", "2026-02-27 12:00", "2025-12-31 12:00", "2025-12-28 12:00", "2024-07-01 12:00", "2024-06-01 12:00",
	} {
		at, err := time.ParseInLocation("2006-01-02 15:04", s, time.Local)
		if err != nil {
			t.Fatal(err)
		}
		times = append(times, at)
	}
	for _, c := range []struct {
		keep Retention
		want string // the days kept
	}{
		{Retention{}, ""},
		{Retention{Last: 2}, "0 1"},
		{Retention{Last: 100}, "0 1 2 3 4 5 6 7 8 9 10"},
		{Retention{Daily: 1}, "0"},
		{Retention{Daily: 4}, "0 2 3 4"},
		{Retention{Weekly: 2}, "0 3"},   // a week ends on Sunday
		{Retention{Weekly: 3}, "0 3 5"}, // 28th and 29th are of one week
		{Retention{Monthly: 3}, "0 6 7"},
		{Retention{Yearly: 3}, "0 7 9"},
		{Retention{Yearly: 4}, "0 7 9 10"}, // one is left: the oldest stays
		{Retention{Monthly: Unlimited}, "0 6 7 9 10"},
		{Retention{Within: "1d"}, "0 1"}, // what is exactly as old goes
		{Retention{Within: "3d1h"}, "0 1 2 3"},
		{Retention{Within: "1m3d12h"}, "0 1 2 3 4 5"},
		{Retention{Within: "1y"}, "0 1 2 3 4 5 6 7 8"},
		{Retention{Last: 1, Weekly: 2, Yearly: 2}, "0 3 7"},
	} {
		var got []string
		for i, why := range c.keep.keeps(times) {
			if len(why) > 0 {
				got = append(got, []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10"}[i])
			}
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%+v keeps %s, expected %s", c.keep, s, c.want)
		}
	}
	if why := (Retention{Last: 1, Daily: 1, Within: "1h"}).keeps(times[:1])[0]; !slices.Equal(why, []string{"within 1h", "last", "daily"}) {
		t.Errorf("%q", why)
	}
}

func TestRetentionThatMakesNoSenseIsRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"1", "y", "1h1d", "1d1d", "-1d", "1w", "1 d", "0d", "999999999999999999d", "1dx"} {
		if _, err := parseSpan(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
	for text, want := range map[string]span{"": {}, "1y2m3d4h": {1, 2, 3, 4}, "90d": {days: 90}, "1y12h": {years: 1, hours: 12}} {
		if s, err := parseSpan(text); err != nil || s != want {
			t.Errorf("%q: %+v, %v", text, s, err)
		}
	}
	for _, text := range []string{"", "-1", "x", "1.5", " 1"} {
		if _, err := ParseCount(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
	if err := (Retention{Daily: -2}).check(); err == nil {
		t.Error("-2 was taken")
	}
}
