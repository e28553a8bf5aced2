package chunkstore

import (
	"context"
	"errors"
	"testing"

	"waterlock/index"
	"waterlock/internal/chunk"
	"waterlock/internal/disk/disktest"
	"waterlock/internal/report"
)

// large is a vault with one large file, some small ones and a pack; it returns what all of it has in bytes.
func large(t *testing.T) (*world, int64) {
	w := newWorld(t, disktest.NewMem()).open()
	w.put(random(9, 1000), chunk.Data)
	if err := w.s.FlushHistory(); err != nil {
		t.Fatal(err)
	}
	w.fine(install(dir("")), install(w.file("large", random(1, 30_000), 10)), install(w.file("s1", random(2, 1500), 10)),
		install(w.file("s2", random(3, 500), 10)))
	w.s.AttachDrive(nil)
	return w, 30_000 + 1500 + 500 + 1000
}

// A run whose budget is used up keeps what it has read, also within one file: a few runs read all of it once, and then the
// age of the oldest reading is that of the first.
func TestScrubGoesOnWhereItsBudgetEnded(t *testing.T) {
	w, all := large(t)
	since := func() int64 {
		t.Helper()
		sp, err := w.s.Space(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return sp.ReadSince
	}
	w.later = 1000
	const first = 1_800_001_000
	var read int64
	runs := 0
	for since() < first {
		res := w.scrub(ScrubOptions{Bytes: 4000})
		read += res.Bytes
		runs++
		if res.Bad != 0 || res.Bytes > 5000 || res.Left == 0 || runs > 20 {
			t.Fatalf("run %d: %+v", runs, res)
		}
		w.later += 10
		if runs == 3 { // the vault was closed in between
			w.close()
			w.open()
			w.s.AttachDrive(nil)
		}
	}
	if read < all || read >= all+5000 || runs < 7 { // the last run begins anew with what was read first
		t.Errorf("%d runs read %d bytes of %d", runs, read, all)
	}
	if since() != first {
		t.Errorf("read since %d, want %d", since(), first)
	}

	// On and on: nothing is left out, nor read twice before all else was read.
	for range 2 * runs {
		w.later += 10
		w.scrub(ScrubOptions{Bytes: 4000})
	}
	if oldest := w.later - int64(runs+2)*10 + 1_800_000_000; since() < oldest {
		t.Errorf("read since %d, %d at the earliest", since(), oldest)
	}
}

// cancels is a reporter that cancels a run after so many bytes.
type cancels struct {
	report.Reporter
	left   int64
	cancel func()
}

func (c *cancels) Add(bytes, files int64) {
	if c.left -= bytes; c.left < 0 {
		c.cancel()
	}
}

// So does a run that is interrupted, be it in the middle of a file.
func TestInterruptedScrubKeepsWhatItRead(t *testing.T) {
	w, all := large(t)
	w.later = 500
	ctx, cancel := context.WithCancel(t.Context())
	w.s.report = &cancels{report.Discard, 20_000, cancel}
	first, err := w.s.Scrub(ctx, ScrubOptions{})
	if !errors.Is(err, context.Canceled) || first.Bytes < 20_000 || first.Bytes > 22_000 {
		t.Fatalf("%+v %v", first, err)
	}
	w.s.report = report.Discard
	w.later = 600
	rest := w.scrub(ScrubOptions{Bytes: all - first.Bytes})
	if rest.Bytes != all-first.Bytes {
		t.Errorf("%d bytes, then %d of %d", first.Bytes, rest.Bytes, all)
	}
	if sp, err := w.s.Space(t.Context()); err != nil || sp.ReadSince != 1_800_000_500 {
		t.Errorf("read since %d: %v", sp.ReadSince, err)
	}
}

// What is rotten is found in whichever run comes to it, and what one run found is known before it ends.
func TestScrubInPartsFindsRot(t *testing.T) {
	w, _ := large(t)
	b := random(1, 30_000)
	rot(t, w.fs, "a/large", 1500)
	rot(t, w.fs, "a/large", 25_500)
	w.later = 500
	if res := w.scrub(ScrubOptions{Bytes: 10_000}); res.Bad != 1 || !w.wanted(chunk.Data.ID(b[1000:2000])) || w.wanted(chunk.Data.ID(b[25_000:26_000])) {
		t.Fatalf("%+v", res)
	}
	bad := int64(0)
	for {
		w.later += 10
		res := w.scrub(ScrubOptions{Bytes: 10_000})
		if bad += res.Bad; res.Left == 0 {
			break
		}
	}
	if bad != 1 || !w.wanted(chunk.Data.ID(b[25_000:26_000])) {
		t.Errorf("%d more found", bad)
	}
}

// Another file in the place of the one that was read in part is read from its beginning.
func TestScrubDoesNotGoOnInAnotherFile(t *testing.T) {
	w, _ := large(t)
	w.later = 500
	w.scrub(ScrubOptions{Bytes: 10_000})
	at, err := w.s.cursor()
	if err != nil || at.off == 0 {
		t.Fatal(at, err)
	}
	c, _, err := w.s.cat.Container(at.id)
	if err != nil {
		t.Fatal(err)
	}
	sc := &scrubber{s: w.s, at: at}
	if off, _ := sc.resume(c); off != at.off {
		t.Fatalf("it goes on at %d, not at %d", off, at.off)
	}
	for _, other := range []func(*index.Container){
		func(c *index.Container) { c.Ino++ },
		func(c *index.Container) { c.MSec++ },
		func(c *index.Container) { c.ID++ },
		func(c *index.Container) { c.ReadAt = at.begun },
	} {
		x := c
		if other(&x); x == c {
			t.Fatal("it is the same")
		}
		if off, _ := sc.resume(x); off != 0 {
			t.Errorf("%+v is not read from its beginning", x)
		}
	}
}
