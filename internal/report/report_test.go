package report

import (
	"errors"
	"testing"
	"unicode/utf8"
)

func TestName(t *testing.T) {
	cases := map[string]string{
		"photos/2024/ä ö.jpg":    "photos/2024/ä ö.jpg",
		"":                       "",
		"a\nb":                   `a\nb`,
		"a\x1b[31mred":           `a\x1b[31mred`,
		"bad\xff\xfe":            `bad\xff\xfe`,
		`back\slash`:             `back\\slash`,
		"turn\u202etxt.exe":      `turn\u202etxt.exe`,
		"\ufffd":                 "\ufffd",
		"non\u00a0breaking":      `non\u00a0breaking`,
		"日本語":                    "日本語",
		"bell\aand\x7f":          `bell\aand\x7f`,
		"c1 control \u009b31m":   `c1 control \u009b31m`,
		"zero\u200bwidth \u2028": `zero\u200bwidth \u2028`,
	}
	for raw, want := range cases {
		if got := Name(raw); got != want {
			t.Errorf("Name(%q) = %q, want %q", raw, got, want)
		}
	}
}

func TestLine(t *testing.T) {
	cases := map[string]string{
		"plain: text\n\tmore":            "plain: text\n\tmore",
		`a\x1b is escaped already`:       `a\x1b is escaped already`,
		"a\x1b[31m is not, \xff neither": `a\x1b[31m is not, \xff neither`,
		"carriage\rreturn":               `carriage\rreturn`,
		"":                               "",
		"\\":                             "\\",
	}
	for text, want := range cases {
		if got := Line(text); got != want {
			t.Errorf("Line(%q) = %q, want %q", text, got, want)
		}
	}
}

func FuzzName(f *testing.F) {
	f.Add("a\x1b\xff\\")
	f.Fuzz(func(t *testing.T, raw string) {
		out := Name(raw)
		if !utf8.ValidString(out) {
			t.Fatalf("Name(%q) is not UTF-8: %q", raw, out)
		}
		for _, r := range out {
			if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
				t.Fatalf("Name(%q) holds the control character %q", raw, r)
			}
		}
	})
}

func TestNameIsInjective(t *testing.T) {
	if a, b := Name("a\xff"), Name(`a\xff`); a == b {
		t.Errorf("two names print alike: %q", a)
	}
}

func TestSizeAndCount(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1536: "1.5 KiB", 3 << 29: "1.5 GiB", 8 << 40: "8.0 TiB", -1024: "-1.0 KiB"} {
		if got := Size(n); got != want {
			t.Errorf("Size(%d) = %q, want %q", n, got, want)
		}
	}
	if got := Count(1, "file"); got != "1 file" {
		t.Error(got)
	}
	if got := Count(12345, "entry"); got != "12,345 entries" {
		t.Error(got)
	}
	if got := Count(0, "day"); got != "0 days" {
		t.Error(got)
	}
}

func TestRecorder(t *testing.T) {
	var r Recorder
	var _ Reporter = &r
	r.Phase("scan", 0, 0)
	r.Add(5, 1)
	r.Add(7, 0)
	r.Problem("a\nb", errors.New("boom"))
	r.Warn("w%d", 1)
	r.Info("i%d", 2)
	r.Verbose("v%d", 3)
	if b, f := r.Added(); b != 12 || f != 1 {
		t.Errorf("Added() = %d, %d", b, f)
	}
	if p := r.Problems(); len(p) != 1 || p[0].String() != `a\nb: boom` {
		t.Errorf("Problems() = %v", p)
	}
	if len(r.Phases()) != 1 || r.Warnings()[0] != "w1" || r.Infos()[0] != "i2" || r.Details()[0] != "v3" {
		t.Errorf("recorder lost something: %v %v %v", r.Warnings(), r.Infos(), r.Details())
	}
}
