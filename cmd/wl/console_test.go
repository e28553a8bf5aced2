package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func testConsole(quiet, verbose bool) (k *console, out, errs *bytes.Buffer) {
	out, errs = new(bytes.Buffer), new(bytes.Buffer)
	return newConsole(&env{out: out, err: errs}, quiet, verbose), out, errs
}

func TestProblemsAreToldNowAndAgainAtTheEnd(t *testing.T) {
	k, out, errs := testConsole(false, false)
	for i := range 12 {
		k.Problem(fmt.Sprintf("dir/f%d\n", i), errors.New("cannot be read"))
	}
	now := errs.String()
	if n := strings.Count(now, "problem: "); n != 12 {
		t.Errorf("%d problems told as they happen, want 12", n)
	}
	k.Close()
	k.Close() // harmless
	atEnd := strings.TrimPrefix(errs.String(), now)
	if !strings.Contains(atEnd, "12 problems, the first 10 of them:") || strings.Count(atEnd, "cannot be read") != 10 {
		t.Errorf("at the end: %s", atEnd)
	}
	if !strings.Contains(atEnd, `dir/f0\n: cannot`) {
		t.Errorf("a name is not escaped: %s", atEnd)
	}
	if out.Len() > 0 {
		t.Errorf("problems on stdout: %s", out)
	}
}

func TestQuietSaysOnlyWhatIsWrongAndWhatWasAskedFor(t *testing.T) {
	k, out, errs := testConsole(true, false)
	k.Phase("scan", 10, 10)
	k.Add(5, 5)
	k.Info("small talk")
	k.Verbose("smaller talk")
	if out.Len()+errs.Len() > 0 {
		t.Errorf("said %q and %q", out, errs)
	}
	k.Answer("the list")
	k.Warn("beware")
	k.Close()
	if out.String() != "the list\n" || errs.String() != "wl: note: beware\n" {
		t.Errorf("said %q and %q", out, errs)
	}
}

func TestPlainProgressLine(t *testing.T) {
	k, _, errs := testConsole(false, false)
	defer k.Close()
	k.Phase("pack", 10<<30, 1000)
	k.Add(4<<30, 250)
	k.mu.Lock()
	k.rate = rate{}
	start := time.Now().Add(-40 * time.Second)
	k.rate.add(start, 0)
	k.mu.Unlock()
	k.show(false)
	line := strings.TrimSpace(errs.String())
	if !strings.HasPrefix(line, "wl: pack: 4.0 GiB of 10 GiB, 102 MiB/s, 1 min left, 250 of 1,000 files") {
		t.Errorf("progress line: %q", line)
	}
	k.Rest()
	errs.Reset()
	k.show(false)
	if errs.Len() > 0 {
		t.Errorf("progress after the end: %q", errs)
	}
}

func TestRateIsOfTheRecentPast(t *testing.T) {
	var r rate
	at := time.Now()
	for i := range 200 { // slow at first, then fast
		step := int64(1)
		if i >= 100 {
			step = 1000
		}
		last := int64(0)
		if r.n > 0 {
			last = r.bytes[(r.n-1)%len(r.bytes)]
		}
		r.add(at.Add(time.Duration(i)*time.Second), last+step)
	}
	if got := r.perSecond(); got != 1000 {
		t.Errorf("rate %v, want 1000", got)
	}
}

func TestNobodyToAsk(t *testing.T) {
	k, _, errs := testConsole(false, false)
	defer k.Close()
	if yes, asked := k.confirm(nil, nil)("delete all?"); yes || asked {
		t.Errorf("confirm without a terminal: %v, %v", yes, asked)
	}
	if errs.Len() > 0 {
		t.Errorf("a question for nobody: %q", errs)
	}
}

func TestShowIsSafeFromManyGoroutines(t *testing.T) {
	k, _, _ := testConsole(false, true)
	done := make(chan struct{})
	for g := range 4 {
		go func() {
			defer func() { done <- struct{}{} }()
			for i := range 100 {
				k.Add(1, 1)
				k.Verbose("%d", i)
				if g == 0 && i%10 == 0 {
					k.Phase("p", 0, 0)
				}
				k.show(i%2 == 0)
			}
		}()
	}
	for range 4 {
		<-done
	}
	k.Close()
}

func TestLinesAreBrokenBetweenWords(t *testing.T) {
	for _, c := range []struct {
		width      int
		line, want string
	}{
		{20, "short", "short"},
		{20, "exactly twenty wide.", "exactly twenty wide."},
		{20, "one more than twenty.", "one more than\n  twenty."},
		{12, "  a list of some words", "  a list of\n    some\n    words"},
		{8, "see /a/very/long/path/indeed or not", "see\n  /a/very/long/path/indeed\n  or not"},
		{10, "ñandú ñandú ñandú", "ñandú\n  ñandú\n  ñandú"},
	} {
		if got := wrapLine(c.line, c.width); got != c.want {
			t.Errorf("%d: %q became %q, want %q", c.width, c.line, got, c.want)
		}
	}
	if got := wrapped(new(bytes.Buffer), strings.Repeat("word ", 100)); strings.Contains(got, "\n") {
		t.Errorf("broken where there is no terminal: %q", got)
	}
}
