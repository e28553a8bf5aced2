package vault

import (
	"strings"
	"testing"
	"time"
)

func TestSettingsDecodeAsWritten(t *testing.T) {
	s := settings{
		Format: SettingsFormat, Route: strings.Repeat("ab", 16), RouteName: "home \"x\"", Created: at(1).Truncate(time.Second),
		Name: "far", Deletions: DeletionsKeep, Trees: map[string]string{"photos": "/mnt/a b", "a.b c": "/x"},
	}
	text, err := s.encode()
	must(t, err)
	got, err := decodeSettings(text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if got.RouteName != s.RouteName || got.Trees["photos"] != "/mnt/a b" || got.Trees["a.b c"] != "/x" || got.Deletions != DeletionsKeep || !got.Created.Equal(s.Created) {
		t.Errorf("%+v\n%s", got, text)
	}
	for _, word := range []string{"# The route", "# What wl unpack does", "# Trees that lie elsewhere"} {
		if !strings.Contains(string(text), word) {
			t.Errorf("no comment %q in\n%s", word, text)
		}
	}
}

func TestSettingsThatMakeNoSenseAreRefused(t *testing.T) {
	good := "format = 1\nroute = \"" + strings.Repeat("ab", 16) + "\"\n"
	if _, err := decodeSettings([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"no toml":          "format =",
		"other format":     strings.Replace(good, "1", "2", 1),
		"no format":        strings.Replace(good, "format = 1\n", "", 1),
		"no route":         "format = 1\n",
		"short route":      "format = 1\nroute = \"abab\"\n",
		"unknown setting":  good + "deletion = \"keep\"\n",
		"unknown policy":   good + "deletions = \"never\"\n",
		"relative tree":    good + "[trees]\na = \"mnt\"\n",
		"tree .wl":         good + "[trees]\n\".WL\" = \"/mnt\"\n",
		"tree dotdot":      good + "[trees]\n\"..\" = \"/mnt\"\n",
		"tree with slash":  good + "[trees]\n\"a/b\" = \"/mnt\"\n",
		"format as string": strings.Replace(good, "1", "\"1\"", 1),
	} {
		if _, err := decodeSettings([]byte(text)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestATimeIsAsLongAsItsLastUnit(t *testing.T) {
	zone := time.FixedZone("", 3600)
	day := func(h, m, s, ns int) time.Time { return time.Date(2026, 11, 22, h, m, s, ns, zone) }
	for text, want := range map[string]time.Time{
		"2026-11-22":                  day(24, 0, 0, 0),
		"2026-11-22 18:30":            day(18, 31, 0, 0),
		"2026-11-22T18:30":            day(18, 31, 0, 0),
		"2026-11-22 18:30:07":         day(18, 30, 8, 0),
		"2026-11-22T18:30:07":         day(18, 30, 8, 0),
		"2026-11-22T17:30:07Z":        day(18, 30, 8, 0),
		"2026-11-22T17:30Z":           day(18, 31, 0, 0),
		"2026-11-22T18:30:07.5+01:00": day(18, 30, 7, 500000001),
	} {
		if got, ok := endOf(text, zone); !ok || !got.Equal(want) {
			t.Errorf("%s: %v, %v; want %v", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "yesterday", "2026", "22.11.2026", "2026-13-01"} {
		if got, ok := endOf(text, zone); ok {
			t.Errorf("%q is taken for %v", text, got)
		}
	}
}

func TestBitsetKnowsWhenAllAreSet(t *testing.T) {
	for _, n := range []uint32{0, 1, 7, 8, 9, 16, 17, 100} {
		b := newBitset(n)
		for i := range n {
			if b.all() {
				t.Fatalf("%d of %d bits set, and all() says all", i, n)
			}
			b.set(i)
			if !b.has(i) {
				t.Fatalf("bit %d", i)
			}
		}
		if !b.all() {
			t.Fatalf("all of %d set, and all() says no", n)
		}
	}
}
