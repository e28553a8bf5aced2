package courier

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/internal/disk/disktest"
	"waterlock/internal/report"
	"waterlock/internal/wire"
	"waterlock/snapshot"
)

var testReturn = ReturnID{50, 51}

// vectorReturn is what testdata/return-v1 holds. Neither may ever change.
func vectorReturn() *Return {
	c := vectorCommit()
	return &Return{
		Route: c.Route, ID: testReturn, Drive: c.Drive, DriveLabel: "blue", Time: testTime, Tool: "wl", Vault: "uncle",
		Files: c.Files, Snapshot: c.Snapshot, Paths: []string{"docs/a", "docs/b/c"}, LeftFiles: 7, LeftBytes: 1 << 40,
		Brings: Cover{{Tree: "docs", Spans: []Span{{"a/b", "a/d"}, {"b/c/1", "b/c/1"}},
			Parts: []Part{{"b/c/big", pieces(0, 100, 200, 1<<30)}}}},
	}
}

func vectorLanding() *Landing {
	return &Landing{
		Route: testRoute, Homecoming: vectorReturn().Homecoming(), Place: [16]byte{9}, Begun: testTime, Number: 3, Time: testTime,
		Host: "new", Taken: []ReturnID{{1}, testReturn}, There: vectorReturn().Brings,
	}
}

func encodeReturn(t testing.TB, c *Return) []byte {
	t.Helper()
	b, err := EncodeReturn(c)
	must(t, err)
	return b
}

func encodeLanding(t testing.TB, l *Landing) []byte {
	t.Helper()
	b, err := EncodeLanding(l)
	must(t, err)
	return b
}

// newReturn is a return whose packs lie on the drive.
func newReturn(t testing.TB, d *Drive, id ReturnID) *Return {
	t.Helper()
	c := vectorReturn()
	c.ID = id
	dir, err := d.CreateReturn(testRoute, c.Homecoming(), id)
	must(t, err)
	c.Files = []FileRef{addPack(t, d, dir, "000001.meta", chunk.Stream, 2, 1), addPack(t, d, dir, "000001.pack", chunk.Data, 5, 2)}
	return c
}

func TestReturnRoundTrip(t *testing.T) {
	_, d := newDrive(t)
	c := newReturn(t, d, testReturn)
	b := encodeReturn(t, c)
	got, err := DecodeReturn(b)
	must(t, err)
	want := *c
	want.Files = []FileRef{c.Files[1], c.Files[0]}
	if diff := cmp.Diff(&want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Fatal(diff)
	}
	if again := encodeReturn(t, got); !bytes.Equal(again, b) {
		t.Fatal("the same return has two encodings")
	}
}

func TestLandingRoundTrip(t *testing.T) {
	l := vectorLanding()
	slices.Reverse(l.Taken)
	b := encodeLanding(t, l)
	got, err := DecodeLanding(b)
	must(t, err)
	if diff := cmp.Diff(vectorLanding(), got); diff != "" {
		t.Fatal(diff)
	}
	if !got.Took(testReturn) || !got.Took(ReturnID{1}) || got.Took(ReturnID{2}) {
		t.Fatal("what was taken")
	}
}

func TestEveryFlippedByteOfAReturnAndALandingIsFound(t *testing.T) {
	for _, o := range []struct {
		kind   error
		as     wire.Kind
		b      []byte
		decode func([]byte) error
	}{
		{ErrReturn, wire.Return, encodeReturn(t, vectorReturn()), func(b []byte) error { _, err := DecodeReturn(b); return err }},
		{ErrLanding, wire.Landing, encodeLanding(t, vectorLanding()), func(b []byte) error { _, err := DecodeLanding(b); return err }},
	} {
		for i := range o.b {
			bad := slices.Clone(o.b)
			bad[i] ^= 1 << (i % 8)
			if err := o.decode(bad); !errors.Is(err, o.kind) {
				t.Fatalf("byte %d: %v", i, err)
			}
			if err := o.decode(o.b[:i]); !errors.Is(err, o.kind) {
				t.Fatalf("%d bytes: %v", i, err)
			}
		}
		if err := o.decode(append(slices.Clone(o.b), 0)); !errors.Is(err, o.kind) {
			t.Fatal("a byte more", err)
		}
		_, body, err := wire.Open(o.as, o.b)
		must(t, err)
		forge(body, func(b []byte) {
			checkReturnBytes(t, wire.Seal(wire.Return, testRoute, b))
			checkLandingBytes(t, wire.Seal(wire.Landing, testRoute, b))
		})
	}
	if _, err := DecodeLanding(encodeReturn(t, vectorReturn())); !errors.Is(err, wire.ErrKind) {
		t.Fatal(err)
	}
	if _, err := DecodeCommit(encodeReturn(t, vectorReturn())); !errors.Is(err, wire.ErrKind) {
		t.Fatal(err)
	}
}

// checkReturnBytes: a typed error, or a return whose encoding is these bytes.
func checkReturnBytes(t *testing.T, b []byte) {
	t.Helper()
	c, err := DecodeReturn(b)
	if err != nil {
		if !errors.Is(err, ErrReturn) {
			t.Fatalf("untyped: %v", err)
		}
		return
	}
	if again, err := EncodeReturn(c); err != nil || !bytes.Equal(again, b) {
		t.Fatalf("decoded, and encoded otherwise (%v)", err)
	}
	for i := range c.Files {
		if !packPattern.MatchString(c.Files[i].Name) {
			t.Fatalf("file %q", c.Files[i].Name)
		}
	}
}

func checkLandingBytes(t *testing.T, b []byte) {
	t.Helper()
	l, err := DecodeLanding(b)
	if err != nil {
		if !errors.Is(err, ErrLanding) {
			t.Fatalf("untyped: %v", err)
		}
		return
	}
	if again, err := EncodeLanding(l); err != nil || !bytes.Equal(again, b) {
		t.Fatalf("decoded, and encoded otherwise (%v)", err)
	}
}

func FuzzReturn(f *testing.F) {
	seedBody(f, wire.Return, encodeReturn(f, vectorReturn()))
	f.Fuzz(func(t *testing.T, b []byte) {
		checkReturnBytes(t, b)
		if len(b) < 1<<20 {
			checkReturnBytes(t, wire.Seal(wire.Return, testRoute, b))
		}
	})
}

func FuzzLanding(f *testing.F) {
	seedBody(f, wire.Landing, encodeLanding(f, vectorLanding()))
	f.Fuzz(func(t *testing.T, b []byte) {
		checkLandingBytes(t, b)
		if len(b) < 1<<20 {
			checkLandingBytes(t, wire.Seal(wire.Landing, testRoute, b))
		}
	})
}

func TestInvalidReturnsAreRefused(t *testing.T) {
	for name, spoil := range map[string]func(c *Return){
		"no route":                 func(c *Return) { c.Route.ID = wire.RouteID{} },
		"no return":                func(c *Return) { c.ID = ReturnID{} },
		"no drive":                 func(c *Return) { c.Drive = DriveID{} },
		"a path for a name":        func(c *Return) { c.Files[0].Name = "../../../etc/passwd" },
		"records without end":      func(c *Return) { c.Files = manyPacks(MaxReturnRecords/maxPackRecords + 1) },
		"a tree that is not there": func(c *Return) { c.Paths = []string{"other"} },
		"a path that leads out":    func(c *Return) { c.Paths = []string{"docs/../../etc"} },
		"a slash at the end":       func(c *Return) { c.Paths = []string{"docs/"} },
		"paths out of order":       func(c *Return) { slices.Reverse(c.Paths) },
		"a path under another":     func(c *Return) { c.Paths = []string{"docs/a", "docs/a/b"} },
		"a cover of another tree":  func(c *Return) { c.Brings[0].Tree = "other" },
		"a tree twice":             func(c *Return) { c.Brings = append(c.Brings, c.Brings[0]) },
		"a span backwards":         func(c *Return) { c.Brings[0].Spans[0] = Span{"b", "a"} },
		"spans out of order":       func(c *Return) { slices.Reverse(c.Brings[0].Spans) },
		"a span that leads out":    func(c *Return) { c.Brings[0].Spans[1].To = "b/c/.." },
		"a span of the root":       func(c *Return) { c.Brings[0].Spans[0].From = "" },
		"a part of nothing":        func(c *Return) { c.Brings[0].Parts[0].Ranges = nil },
		"a part twice":             func(c *Return) { c.Brings[0].Parts = append(c.Brings[0].Parts, c.Brings[0].Parts[0]) },
		"an empty range":           func(c *Return) { c.Brings[0].Parts[0].Ranges[0].Length = 0 },
		"ranges that touch":        func(c *Return) { c.Brings[0].Parts[0].Ranges[1].Offset = 100 },
		"a range too far":          func(c *Return) { c.Brings[0].Parts[0].Ranges[1].Length = snapshot.MaxSize },
		"less than nothing":        func(c *Return) { c.LeftFiles = -1 },
		"a long name":              func(c *Return) { c.Vault = strings.Repeat("x", MaxText+1) },
		"too many paths": func(c *Return) {
			for i := range MaxReturnPaths + 1 {
				c.Paths = append(c.Paths, fmt.Sprintf("docs/c%06d", i))
			}
		},
	} {
		c := vectorReturn()
		spoil(c)
		if _, err := EncodeReturn(c); !errors.Is(err, ErrReturn) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, spoil := range map[string]func(l *Landing){
		"no homecoming":     func(l *Landing) { l.Homecoming = HomecomingID{} },
		"no place":          func(l *Landing) { l.Place = [16]byte{} },
		"no number":         func(l *Landing) { l.Number = 0 },
		"a number too high": func(l *Landing) { l.Number = snapshot.MaxNumber + 1 },
		"never begun":       func(l *Landing) { l.Begun = time.Time{} },
		"a return twice":    func(l *Landing) { l.Taken = append(l.Taken, testReturn) },
		"a long host":       func(l *Landing) { l.Host = strings.Repeat("x", snapshot.MaxHost+1) },
	} {
		l := vectorLanding()
		spoil(l)
		if _, err := EncodeLanding(l); !errors.Is(err, ErrLanding) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// pieces is ranges by offset and length.
func pieces(n ...int64) (list []Range) {
	for i := 0; i < len(n); i += 2 {
		list = append(list, Range{Offset: n[i], Length: n[i+1]})
	}
	return list
}

func manyPacks(n int) (files []FileRef) {
	for i := range n {
		files = append(files, FileRef{PackName(i+1, chunk.Data), chunk.Data, 1, maxPackRecords, chunk.Digest{}, disk.Cold})
	}
	return files
}

func TestAHomecomingIsKnownByItsSnapshotAndPaths(t *testing.T) {
	a := vectorReturn()
	same := vectorReturn()
	same.ID, same.Drive, same.Time, same.Brings = ReturnID{1}, DriveID{1}, testTime.Add(time.Hour), nil
	if a.Homecoming() != same.Homecoming() {
		t.Error("another return of the same homecoming has another one")
	}
	paths, snap := vectorReturn(), vectorReturn()
	paths.Paths = paths.Paths[:1]
	snap.Snapshot.Number++
	for _, other := range []*Return{paths, snap} {
		if a.Homecoming() == other.Homecoming() {
			t.Error("two homecomings are one")
		}
	}
}

func TestACoverSaysWhatIsThere(t *testing.T) {
	var b CoverBuilder
	b.Whole("t", "a", "a")
	b.Whole("t", "a/x", "a/z")
	b.Break()
	b.Whole("t", "b", "b")
	b.Part("t", "c", pieces(5, 10))
	b.Part("t", "c/none", nil)
	b.Whole("t", "d", "d")
	b.Whole("u", "a", "a")
	c := b.Cover()
	must(t, c.check())
	want := Cover{{"t", []Span{{"a", "a/z"}, {"b", "b"}, {"d", "d"}}, []Part{{"c", pieces(5, 10)}}}, {Tree: "u", Spans: []Span{{"a", "a"}}}}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Fatal(diff)
	}
	for path, whole := range map[string]bool{"a": true, "a/x/y": true, "a/z": true, "a/z/1": false, "b": true, "a!": false, "c": false, "d": true, "e": false} {
		if got, _ := c.Of("t", path); got != whole {
			t.Errorf("%s: %v", path, got)
		}
	}
	if _, ranges := c.Of("t", "c"); !slices.Equal(ranges, pieces(5, 10)) {
		t.Error(ranges)
	}
	if whole, ranges := c.Of("v", "a"); whole || ranges != nil {
		t.Error("another tree")
	}
}

func TestACoverThatIsFullSaysLess(t *testing.T) {
	var b CoverBuilder
	for i := range MaxSpans + 3 {
		p := fmt.Sprintf("%06d", i)
		b.Whole("t", p, p)
		if i != MaxSpans-1 {
			b.Break()
		}
	}
	b.Whole("u", "a", "a")
	b.Part("u", "b", pieces(0, 1))
	c := b.Cover()
	must(t, c.check())
	if !b.Full() || len(c[0].Spans) != MaxSpans || len(c) > 1 && len(c[1].Spans)+len(c[1].Parts) > 0 {
		t.Fatal(b.Full(), len(c[0].Spans), len(c))
	}
	if whole, _ := c.Of("t", fmt.Sprintf("%06d", MaxSpans+2)); whole {
		t.Error("what was left out is said to be there")
	}
}

func TestReturnsAndLandingsAreFoundOnTheDrive(t *testing.T) {
	m, d := newDrive(t)
	c := newReturn(t, d, testReturn)
	b := encodeReturn(t, c)
	for range 2 { // again, after an interruption
		_, err := d.WriteReturn(b)
		must(t, err)
	}
	newReturn(t, d, ReturnID{99}) // open
	later := newReturn(t, d, ReturnID{1})
	later.Time = testTime.Add(time.Hour)
	_, err := d.WriteReturn(encodeReturn(t, later))
	must(t, err)
	home := c.Homecoming()
	for n := uint64(1); n <= 4; n++ {
		l := vectorLanding()
		l.Number = n
		_, err := d.WriteLanding(encodeLanding(t, l))
		must(t, err)
	}
	putFile(t, m, HomecomingDir(testRoute, home)+"/._x.landing", []byte("x"))

	d = reopen(t, m)
	homes, err := d.Homecomings(testRoute)
	must(t, err)
	list, err := d.Returns(testRoute, home)
	must(t, err)
	landings, problems, err := d.Landings(testRoute, home)
	must(t, err)
	if !slices.Equal(homes, []HomecomingID{home}) || len(list) != 3 || list[0].ID != testReturn || list[1].ID != (ReturnID{1}) || list[2].Return != nil {
		t.Fatal(homes, list)
	}
	if !bytes.Equal(list[0].Bytes, b) || !slices.Equal(list[0].Names, []string{"000001.meta", "000001.pack"}) {
		t.Fatal(list[0])
	}
	if len(problems) > 0 || len(landings) != keptLandings || landings[0].Landing.Number != 4 || landings[1].Landing.Number != 3 {
		t.Fatal(problems, landings)
	}
	var rec report.Recorder
	got, err := VerifyDrive(context.Background(), d, &rec)
	must(t, err)
	if got.Returns != 2 || got.Open != 1 || got.Files != 4 || got.Problems != 0 {
		t.Fatal(got, rec.Problems())
	}
	flipByte(t, m, list[0].Path+"/000001.pack", 400)
	if got, err = VerifyDrive(context.Background(), d, &rec); err != nil || got.DamagedChunks != 1 {
		t.Fatal(got, err)
	}
}

func TestReturnsThatWereTakenMakeRoom(t *testing.T) {
	_, d := newDrive(t)
	for _, id := range []ReturnID{testReturn, {99}} {
		_, err := d.WriteReturn(encodeReturn(t, newReturn(t, d, id)))
		must(t, err)
	}
	if n, err := d.RemoveTaken(testRoute); err != nil || n != 0 {
		t.Fatalf("before anybody took them: %d, %v", n, err)
	}
	l := vectorLanding() // took testReturn
	_, err := d.WriteLanding(encodeLanding(t, l))
	must(t, err)
	if n, err := d.RemoveTaken(testRoute); err != nil || n != 1 {
		t.Fatalf("%d, %v", n, err)
	}
	list, err := d.Returns(testRoute, l.Homecoming)
	must(t, err)
	if len(list) != 1 || list[0].ID != (ReturnID{99}) {
		t.Fatal(list)
	}
}

func TestAReturnThatLiesElsewhereIsNotBelieved(t *testing.T) {
	m, d := newDrive(t)
	c := newReturn(t, d, testReturn)
	b := encodeReturn(t, c)
	other, err := d.CreateReturn(testRoute, c.Homecoming(), ReturnID{2})
	must(t, err)
	putFile(t, m, other+"/"+ReturnName(b), b)
	wrong := HomecomingID{1}
	elsewhere, err := d.CreateReturn(testRoute, wrong, testReturn)
	must(t, err)
	putFile(t, m, elsewhere+"/"+ReturnName(b), b)
	l := encodeLanding(t, vectorLanding())
	putFile(t, m, HomecomingDir(testRoute, wrong)+"/"+LandingName(3, l), l)
	for _, of := range []HomecomingID{c.Homecoming(), wrong} {
		list, err := d.Returns(testRoute, of)
		must(t, err)
		for _, r := range list {
			if r.Return != nil || r.ID == (ReturnID{2}) && len(r.Problems) != 1 {
				t.Errorf("%+v", r)
			}
		}
	}
	if valid, problems, err := d.Landings(testRoute, wrong); err != nil || len(valid) > 0 || len(problems) != 1 {
		t.Error(valid, problems, err)
	}
}

func TestACrashLeavesNoReturnWithoutItsPacks(t *testing.T) {
	for k := 0; ; k++ {
		m, d := newDrive(t)
		c := newReturn(t, d, testReturn)
		b := encodeReturn(t, c)
		m.CrashAfter(k)
		_, err := d.WriteReturn(b)
		if err == nil {
			err = d.RemoveReturn(testRoute, c.Homecoming(), c.ID)
		}
		afterPower(m, func(what string, m *disktest.Mem) {
			d := reopen(t, m)
			list, lerr := d.Returns(testRoute, c.Homecoming())
			must(t, lerr)
			for _, r := range list {
				if r.Return == nil {
					continue
				}
				for _, f := range r.Return.Files {
					b, err := disk.ReadAll(d.fs, r.Path+"/"+f.Name, f.Size)
					if err != nil || chunk.SumDigest(b) != f.Digest {
						t.Fatalf("crash after %d, %s: complete without %s (%v)", k, what, f.Name, err)
					}
				}
				if err == nil {
					t.Fatalf("crash after %d, %s: still there", k, what)
				}
			}
		})
		if err == nil {
			return
		}
	}
}

func TestACrashLeavesALanding(t *testing.T) {
	for k := 0; ; k++ {
		m, d := newDrive(t)
		for n := uint64(1); n <= 3; n++ {
			l := vectorLanding()
			l.Number = n
			_, err := d.WriteLanding(encodeLanding(t, l))
			must(t, err)
		}
		l := vectorLanding()
		l.Number = 4
		m.CrashAfter(k)
		_, err := d.WriteLanding(encodeLanding(t, l))
		crashed := m.DidCrash()
		afterPower(m, func(what string, m *disktest.Mem) {
			valid, _, lerr := reopen(t, m).Landings(testRoute, l.Homecoming)
			must(t, lerr)
			if len(valid) == 0 || valid[0].Landing.Number < 3 || err == nil && valid[0].Landing.Number != 4 {
				t.Fatalf("crash after %d, %s: %d landings (%v)", k, what, len(valid), err)
			}
		})
		if err == nil && !crashed {
			return
		}
	}
}
