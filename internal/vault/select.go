package vault

import (
	"encoding/hex"
	"regexp"
	"strconv"
	"strings"
	"time"

	"waterlock/internal/courier"
	"waterlock/internal/exit"
)

var hexPrefix = regexp.MustCompile(`^[0-9a-f]{4,64}$`)

// choose finds the snapshot that a person means: latest, a number, the beginning of an id (at least 4 digits), or a time,
// which means the last snapshot not after it. A time is as long as its last unit: 2026-11-22 includes that day.
func (v *vault) choose(wanted string, a *arrivals) (*courier.Commit, error) {
	known := v.commits.known
	if len(known) == 0 {
		return nil, exit.Errorf(exit.NotFound, "%s has no snapshot yet", v.path)
	}
	wanted = strings.TrimSpace(wanted)
	if wanted == "" || wanted == "latest" {
		return v.latest(a)
	}
	if number, err := strconv.ParseUint(strings.TrimPrefix(wanted, "#"), 10, 64); err == nil {
		for i := len(known) - 1; i >= 0; i-- {
			if known[i].number == number {
				return v.commits.load(known[i])
			}
		}
	}
	if prefix := strings.ToLower(wanted); hexPrefix.MatchString(prefix) {
		switch match, err := v.byID(prefix); {
		case err != nil:
			return nil, err
		case len(match) == 1:
			return match[0], nil
		case len(match) > 1:
			return nil, exit.Errorf(exit.Usage, "%s fits %d snapshots; give more digits", wanted, len(match))
		}
	}
	if end, ok := endOf(wanted, time.Local); ok {
		var best *knownSnapshot
		for i := range known {
			if k := &known[i]; k.time.Before(end) && (best == nil || !k.time.Before(best.time)) {
				best = k
			}
		}
		if best == nil {
			return nil, exit.Errorf(exit.NotFound, "no snapshot is as old as %s; the first is of %s", wanted, known[0].time.Local().Format(time.DateTime))
		}
		return v.commits.load(*best)
	}
	return nil, exit.Errorf(exit.NotFound, "no snapshot %q: give latest, a number, an id, or a time like %q", wanted, "2026-11-22 18:00")
}

// latest is the newest snapshot that has arrived, else the newest whose list of files can be read, else the newest.
func (v *vault) latest(a *arrivals) (*courier.Commit, error) {
	known := v.commits.known
	best := known[len(known)-1]
	for _, good := range []func(arrival) bool{
		func(a arrival) bool { return a.arrived },
		func(a arrival) bool { return a.streams == 0 },
	} {
		for i := len(known) - 1; i >= 0; i-- {
			if good(a.by[known[i].file]) {
				return v.commits.load(known[i])
			}
		}
	}
	return v.commits.load(best)
}

func (v *vault) byID(prefix string) (match []*courier.Commit, err error) {
	for _, k := range v.commits.known {
		c, err := v.commits.load(k)
		if err != nil {
			return nil, err
		}
		if id := c.Snapshot.ID(); strings.HasPrefix(hex.EncodeToString(id[:]), prefix) {
			match = append(match, c)
		}
	}
	return match, nil
}

// endOf parses a time and returns the first moment behind it.
func endOf(s string, zone *time.Location) (time.Time, bool) {
	for _, f := range []struct {
		layout string
		length time.Duration
	}{
		{time.RFC3339Nano, 1},
		{"2006-01-02T15:04:05.999999999", 1},
		{"2006-01-02 15:04:05.999999999", 1},
		{"2006-01-02T15:04Z07:00", time.Minute},
		{"2006-01-02T15:04", time.Minute},
		{"2006-01-02 15:04", time.Minute},
		{"2006-01-02", 0},
	} {
		t, err := time.ParseInLocation(f.layout, s, zone)
		switch {
		case err != nil:
			continue
		case f.length == 0:
			return t.AddDate(0, 0, 1), true
		case f.length == 1 && t.Nanosecond() == 0:
			return t.Add(time.Second), true
		}
		return t.Add(f.length), true
	}
	return time.Time{}, false
}
