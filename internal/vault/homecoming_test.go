package vault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"waterlock/internal/chunk"
	"waterlock/internal/courier"
	"waterlock/internal/disk"
	"waterlock/internal/disk/disktest"
	"waterlock/internal/exit"
	"waterlock/internal/homecoming"
	"waterlock/internal/report"
)

// burned is a world whose home is gone: a vault with one snapshot, and a new
// home.
type burned struct {
	*world
	target string
}

func newBurned(t testing.TB, fill func(w *world)) *burned {
	w := newWorld(t)
	w.fill()
	if fill != nil {
		fill(w)
	}
	drive := newTestDrive(t)
	w.home.pack(drive, trip{})
	w.join(drive)
	w.clean(drive, DeletionsAsk)
	return &burned{w, filepath.Join(t.TempDir(), "new")}
}

func (b *burned) toDrive(o ToDriveOptions) ToDriveResult {
	b.t.Helper()
	r, err := b.tryToDrive(o)
	must(b.t, err)
	return r
}

func (b *burned) tryToDrive(o ToDriveOptions) (ToDriveResult, error) {
	o.Vault = b.vault
	if o.Report == nil {
		o.Report = b.reporter()
	}
	return ToDrive(context.Background(), o)
}

func (b *burned) fromDrive(drive string) homecoming.Result {
	b.t.Helper()
	r, err := homecoming.FromDrive(context.Background(), homecoming.Options{Drive: drive, Target: b.target, Report: b.reporter()})
	must(b.t, err)
	if !r.Told {
		b.t.Error("the vault is not told")
	}
	return r
}

// home checks that all is there as it was.
func (b *burned) isHome(r homecoming.Result) {
	b.t.Helper()
	if !r.Complete || r.Failed+r.Missing+r.Growing > 0 {
		b.t.Errorf("not complete: %+v", r)
	}
	same(b.t, "the new home", take(b.t, b.src), filepath.Join(b.target, "docs"))
}

// packsOn are the packs of chunks on a drive that bring something home.
func packsOn(t testing.TB, drive string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(drive, "waterlock/*/returns/*/*/*.pack"))
	must(t, err)
	return names
}

func TestAHomecomingTakesAsManyTripsAsItTakes(t *testing.T) {
	t.Parallel()
	b := newBurned(t, func(w *world) { noise(t, filepath.Join(w.src, "zz/huge"), 900<<10, 99) })
	drives := []string{newTestDrive(t), newTestDrive(t)}
	written, trips, split := int64(0), 0, false
	var came homecoming.Result
	for trips < 20 && !came.Complete {
		// Two drives are packed before the first is delivered, and delivered in the other order.
		for i := range drives {
			o := ToDriveOptions{Snapshot: "latest", Drive: drives[i], Limit: 150 << 10}
			if trips > 0 {
				o.Snapshot = "" // it goes on by itself
			}
			r := b.toDrive(o)
			written += r.BytesWritten
			split = split || r.Parts > 0
		}
		for i := range drives {
			if len(packsOn(t, drives[1-i])) > 0 {
				came = b.fromDrive(drives[1-i])
				trips++
			}
		}
	}
	b.isHome(came)
	if trips < 5 || !split {
		t.Errorf("%d trips, a file was split: %v", trips, split)
	}
	// Nothing went twice: twins and links in other returns and the lists of files excepted.
	if content := int64(300+40+40+20+5+7+3+3+60+900) << 10; written > content+content/8+int64(trips)*20<<10 {
		t.Errorf("%d bytes were written for %d of content", written, content)
	}
	if r := b.toDrive(ToDriveOptions{Drive: drives[0], Snapshot: "1"}); !r.Complete || r.Returns > 0 || r.LandedFiles == 0 {
		t.Errorf("all is there, and: %+v", r)
	}
	left, err := filepath.Glob(filepath.Join(b.target, "docs/*/.wl-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestOneReturnStandsAlone(t *testing.T) {
	t.Parallel()
	b := newBurned(t, nil)
	drive := newTestDrive(t)
	r := b.toDrive(ToDriveOptions{Drive: drive, Snapshot: "latest"})
	if r.Returns != 1 || r.LeftFiles != 0 || r.Lacking != 0 {
		t.Fatalf("%+v", r)
	}
	must(t, os.RemoveAll(b.vault)) // it needs no vault
	b.isHome(b.fromDrive(drive))
	again := b.fromDrive(drive)
	if !again.Complete || again.Bytes != 0 {
		t.Errorf("%+v", again)
	}
}

func TestSomePathsComeHome(t *testing.T) {
	t.Parallel()
	b := newBurned(t, nil)
	drive := newTestDrive(t)
	rep := &testReporter{t: t}
	r := b.toDrive(ToDriveOptions{Drive: drive, Snapshot: "1", Paths: []string{"docs/music/", "docs/nothing at all", "docs/old/a/d"}, Report: rep})
	if r.NotFound != 1 || len(rep.Problems()) != 1 || r.Files != 4 {
		t.Errorf("%+v", r)
	}
	came := b.fromDrive(drive)
	if !came.Complete {
		t.Errorf("%+v", came)
	}
	for name, want := range map[string]bool{"music/song": true, "music/hard": true, "old/a/d": true, "old/a/b": false, "film": false} {
		if _, err := os.Lstat(filepath.Join(b.target, "docs", name)); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := b.tryToDrive(ToDriveOptions{Drive: drive, Snapshot: "1", Paths: []string{"docs/nowhere"}}); exit.Of(err) != exit.NotFound {
		t.Error(err)
	}
	// The rest is another homecoming; what is there is not written again.
	if r := b.toDrive(ToDriveOptions{Drive: drive, Snapshot: "1"}); r.Returns != 1 || r.LandedFiles != 0 {
		t.Errorf("%+v", r)
	}
	came = b.fromDrive(drive)
	b.isHome(came)
	if came.AlreadyThere < 4 {
		t.Errorf("%+v", came)
	}
}

func TestOfSeveralHomecomingsOneIsChosen(t *testing.T) {
	t.Parallel()
	b := newBurned(t, nil)
	drive := newTestDrive(t)
	b.toDrive(ToDriveOptions{Drive: drive, Snapshot: "1", Paths: []string{"docs/music"}})
	rest := b.toDrive(ToDriveOptions{Drive: drive, Snapshot: "1"})
	_, err := homecoming.FromDrive(context.Background(), homecoming.Options{Drive: drive, Target: b.target})
	if exit.Of(err) != exit.Usage || !strings.Contains(err.Error(), "several") {
		t.Errorf("two homecomings on one drive: %v", err)
	}
	came, err := homecoming.FromDrive(context.Background(), homecoming.Options{Drive: drive, Target: b.target, Snapshot: rest.Homecoming[:8], Report: b.reporter()})
	must(t, err)
	b.isHome(came)
}

func TestALostReturnIsCarriedAgain(t *testing.T) {
	t.Parallel()
	b := newBurned(t, nil)
	red, blue := newTestDrive(t), newTestDrive(t)
	b.toDrive(ToDriveOptions{Drive: red, Snapshot: "latest", Limit: 200 << 10})
	r := b.toDrive(ToDriveOptions{Drive: blue})
	if r.AboardFiles == 0 || r.LeftFiles != 0 {
		t.Fatalf("%+v", r)
	}
	came := b.fromDrive(blue)
	if came.Complete || came.Missing+came.Growing == 0 {
		t.Fatalf("without the red drive: %+v", came)
	}
	// What is on the red drive is on its way, until somebody says that it is lost.
	if r = b.toDrive(ToDriveOptions{Drive: blue}); r.Returns != 0 || r.AboardFiles == 0 {
		t.Fatalf("%+v", r)
	}
	if r = b.toDrive(ToDriveOptions{Drive: blue, Again: true}); r.Returns != 1 || r.AboardFiles != 0 || r.LeftFiles != 0 {
		t.Fatalf("%+v", r)
	}
	b.isHome(b.fromDrive(blue))
	// It turns up after all, and does no harm.
	b.isHome(b.fromDrive(red))
}

func TestAnEmptiedDriveIsNoticed(t *testing.T) {
	t.Parallel()
	b := newBurned(t, nil)
	drive := newTestDrive(t)
	b.toDrive(ToDriveOptions{Drive: drive, Snapshot: "latest", Limit: 200 << 10})
	gone, err := filepath.Glob(filepath.Join(drive, "waterlock/*/returns"))
	must(t, err)
	must(t, os.RemoveAll(gone[0]))
	r := b.toDrive(ToDriveOptions{Drive: drive})
	if r.Vanished != 1 || r.AboardFiles != 0 || r.LeftFiles != 0 {
		t.Errorf("%+v", r)
	}
	b.isHome(b.fromDrive(drive))
}

func TestDamageOnTheWayHomeCostsItself(t *testing.T) {
	t.Parallel()
	b := newBurned(t, nil)
	drive := newTestDrive(t)
	first := b.toDrive(ToDriveOptions{Drive: drive, Snapshot: "latest"})
	flip(t, packsOn(t, drive)[0], 100<<10)
	rep := &testReporter{t: t}
	came, err := homecoming.FromDrive(context.Background(), homecoming.Options{Drive: drive, Target: b.target, Report: rep})
	must(t, err)
	if came.Damaged == 0 || came.Complete || came.Growing+came.Failed != 1 || len(rep.Problems()) < 2 {
		t.Fatalf("%+v", came)
	}
	r := b.toDrive(ToDriveOptions{Drive: drive})
	if r.Returns != 1 || r.Cleared != 1 || r.Bytes > 3*8<<10 || first.Bytes < 10*r.Bytes {
		t.Errorf("carried again: %+v", r)
	}
	b.isHome(b.fromDrive(drive))
}

func TestLinksGoHomeOnce(t *testing.T) {
	t.Parallel()
	b := newBurned(t, func(w *world) {
		noise(t, filepath.Join(w.src, "a/first"), 200<<10, 50)
		noise(t, filepath.Join(w.src, "b/between"), 200<<10, 51)
		must(t, os.MkdirAll(filepath.Join(w.src, "zz"), 0o755))
		for i := range 5 {
			must(t, os.Link(filepath.Join(w.src, "a/first"), filepath.Join(w.src, "zz", fmt.Sprint("link", i))))
		}
	})
	drive := newTestDrive(t)
	written, came := int64(0), homecoming.Result{}
	for trip := range 12 {
		o := ToDriveOptions{Drive: drive, Limit: 120 << 10}
		if trip == 0 {
			o.Snapshot = "latest"
		}
		written += b.toDrive(o).Bytes
		if came = b.fromDrive(drive); came.Complete {
			break
		}
	}
	b.isHome(came)
	if content := int64(300+40+20+5+7+3+3+60+200+200) << 10; written > content+content/8 {
		t.Errorf("%d bytes went home for %d of content", written, content)
	}
}

// A link whose first name could not be made at the new home comes with content
// of its own.
func TestALinkWithoutItsFirstNameComesAfterAll(t *testing.T) {
	t.Parallel()
	b := newBurned(t, func(w *world) {
		noise(t, filepath.Join(w.src, "a/first"), 200<<10, 50)
		must(t, os.MkdirAll(filepath.Join(w.src, "zz"), 0o755))
		must(t, os.Link(filepath.Join(w.src, "a/first"), filepath.Join(w.src, "zz/link")))
	})
	drive := newTestDrive(t)
	b.toDrive(ToDriveOptions{Drive: drive, Snapshot: "latest", Limit: 230 << 10})
	b.fromDrive(drive)
	if _, err := os.Lstat(filepath.Join(b.target, "docs/a/first")); err != nil {
		t.Skip("the first trip ends elsewhere")
	}
	must(t, os.Remove(filepath.Join(b.target, "docs/a/first"))) // somebody did
	var came homecoming.Result
	for range 4 {
		b.toDrive(ToDriveOptions{Drive: drive})
		if came = b.fromDrive(drive); came.Complete {
			break
		}
	}
	if !came.Complete || came.Changed != 1 {
		t.Errorf("%+v", came)
	}
	if b, err := os.ReadFile(filepath.Join(b.target, "docs/zz/link")); err != nil || !bytes.Equal(b, noiseBytes(200<<10, 50)) {
		t.Error("the link has other content", err)
	}
}

func TestAReturnHasBoundedRecords(t *testing.T) {
	b := newBurned(t, nil)
	old := maxReturnRecords
	maxReturnRecords = 40
	defer func() { maxReturnRecords = old }()
	drive := newTestDrive(t)
	r := b.toDrive(ToDriveOptions{Drive: drive, Snapshot: "latest"})
	if r.Returns < 3 || r.LeftFiles != 0 {
		t.Fatalf("%+v", r)
	}
	came := b.fromDrive(drive)
	if came.Taken != r.Returns {
		t.Errorf("%+v", came)
	}
	b.isHome(came)
}

func TestWhatTheVaultLacksIsNamed(t *testing.T) {
	t.Parallel()
	b := newBurned(t, nil)
	must(t, os.Remove(filepath.Join(b.mirror(), "moved/one")))
	b.verify(VerifyOptions{})
	drive := newTestDrive(t)
	rep := &testReporter{t: t}
	r := b.toDrive(ToDriveOptions{Drive: drive, Snapshot: "1", Report: rep})
	named := false
	for _, p := range rep.Problems() {
		named = named || p.Path == "docs/moved/one"
	}
	if r.Lacking != 1 || !named {
		t.Errorf("%+v", r)
	}
	came := b.fromDrive(drive)
	if came.Complete || came.Missing != 1 {
		t.Errorf("%+v", came)
	}
	if r = b.toDrive(ToDriveOptions{Drive: drive}); r.Returns != 0 || r.LeftFiles != 0 || r.Lacking != 1 {
		t.Errorf("%+v", r)
	}
}

// A policy forgets no snapshot that is on its way, and a person may.
func TestASnapshotOnItsWayHomeStays(t *testing.T) {
	t.Parallel()
	b := newBurned(t, nil)
	second := newTestDrive(t)
	noise(t, filepath.Join(b.src, "film"), 200<<10, 70)
	b.home.pack(second, trip{})
	b.clean(second, DeletionsAsk)
	drive := newTestDrive(t)
	b.toDrive(ToDriveOptions{Drive: drive, Snapshot: "1", Limit: 200 << 10})
	prune := func() int64 {
		r, err := Prune(context.Background(), PruneOptions{Vault: b.vault, Keep: Retention{Last: 1}, DryRun: true})
		must(t, err)
		return int64(r.Forgotten)
	}
	if n := prune(); n != 0 {
		t.Errorf("%d forgotten while it is on its way", n)
	}
	b.fromDrive(drive)
	b.toDrive(ToDriveOptions{Drive: drive})
	if r := b.fromDrive(drive); !r.Complete {
		t.Errorf("%+v", r)
	}
	b.toDrive(ToDriveOptions{Drive: drive, Snapshot: "1"}) // the vault hears of it
	if n := prune(); n != 1 {
		t.Errorf("%d forgotten once it is there", n)
	}
}

func TestADryRunOfAHomecomingWritesNothing(t *testing.T) {
	t.Parallel()
	b := newBurned(t, nil)
	drive := newTestDrive(t)
	before := take(t, drive)
	r := b.toDrive(ToDriveOptions{Drive: drive, Snapshot: "latest", DryRun: true})
	if r.Files == 0 || r.Bytes == 0 || r.Returns != 0 {
		t.Errorf("%+v", r)
	}
	same(t, "the drive", before, drive)
	if _, err := os.Lstat(filepath.Join(b.vault, returnsDir)); err == nil {
		t.Error("the vault remembers a dry run")
	}
	b.toDrive(ToDriveOptions{Drive: drive, Snapshot: "latest"})
	before = take(t, drive)
	came, err := homecoming.FromDrive(context.Background(), homecoming.Options{Drive: drive, Target: b.target, DryRun: true})
	must(t, err)
	if came.Files == 0 {
		t.Errorf("%+v", came)
	}
	same(t, "the drive", before, drive)
	if _, err := os.Lstat(b.target); err == nil {
		t.Error("a dry run made the target")
	}
}

// A place that has forgotten compares, and what it has is not carried again.
func TestAPlaceThatForgotComparesAnew(t *testing.T) {
	t.Parallel()
	b := newBurned(t, nil)
	drive := newTestDrive(t)
	b.toDrive(ToDriveOptions{Drive: drive, Snapshot: "latest", Limit: 300 << 10})
	b.fromDrive(drive)
	b.toDrive(ToDriveOptions{Drive: drive})
	must(t, os.RemoveAll(filepath.Join(b.target, homecoming.PlaceDir)))
	came := b.fromDrive(drive)
	if came.AlreadyThere == 0 || came.Earlier != 0 {
		t.Errorf("%+v", came)
	}
	for range 3 {
		if came.Complete {
			break
		}
		b.toDrive(ToDriveOptions{Drive: drive})
		came = b.fromDrive(drive)
	}
	b.isHome(came)
}

// newer is a drive in memory.
func memDrive(t testing.TB) (*disktest.Mem, *courier.Drive) {
	m := disktest.NewMem()
	d, err := courier.InitDrive(m, "memory")
	must(t, err)
	return m, d
}

// open is the vault, for many runs.
func (b *burned) open() (*vault, *arrivals) {
	v, err := openVault(b.vault, b.reporter())
	must(b.t, err)
	b.t.Cleanup(func() { v.close() })
	must(b.t, v.openStore(context.Background()))
	a, err := v.checkArrivals(context.Background(), nil)
	must(b.t, err)
	return v, a
}

// onTo packs onto a drive until nothing is left, forgetting what went before.
func (v *vault) onTo(t testing.TB, fsys disk.FS, a *arrivals) (ToDriveResult, error) {
	must(t, os.RemoveAll(filepath.Join(v.path, returnsDir)))
	return v.goOn(fsys, a)
}

func (v *vault) goOn(fsys disk.FS, a *arrivals) (ToDriveResult, error) {
	d, err := courier.OpenFS(fsys, "")
	if err != nil {
		return ToDriveResult{}, err
	}
	return v.toDrive(context.Background(), ToDriveOptions{Snapshot: "latest", Reserve: 0, Report: report.Discard}, d, a)
}

// wholeReturns checks that each complete return on a drive has its packs, byte
// for byte, and counts them.
func wholeReturns(t testing.TB, what string, fsys disk.FS, v *vault) (n int) {
	t.Helper()
	d, err := courier.OpenFS(fsys, "")
	must(t, err)
	homes, err := d.Homecomings(v.id)
	must(t, err)
	for _, of := range homes {
		list, err := d.Returns(v.id, of)
		must(t, err)
		for _, r := range list {
			if r.Return == nil {
				continue
			}
			n++
			for _, f := range r.Return.Files {
				b, err := disk.ReadAll(fsys, r.Path+"/"+f.Name, f.Size)
				if err != nil || chunk.SumDigest(b) != f.Digest {
					t.Fatalf("%s: a return is complete without %s (%v)", what, f.Name, err)
				}
			}
		}
	}
	return n
}

// remembered are the returns that a vault counts on.
func (v *vault) remembered(t testing.TB) []string {
	names, err := filepath.Glob(filepath.Join(v.path, returnsDir, "*/*.return"))
	must(t, err)
	return names
}

func TestCrashAtEveryStepToTheDrive(t *testing.T) {
	b := newBurned(t, nil)
	v, a := b.open()
	v.rep = report.Discard
	for k := 0; ; k++ {
		m, _ := memDrive(t)
		m.CrashAfter(k)
		r, err := v.onTo(t, m, a)
		for _, mode := range disktest.Modes {
			what := fmt.Sprintf("crash after %d, %v", k, mode)
			after := m.Crashed(mode, uint64(k))
			n := wholeReturns(t, what, after, v)
			if !m.DidCrash() && (err != nil || r.Returns != 1 || n != 1) {
				t.Fatalf("%s: %+v, %v, %d returns", what, r, err, n)
			}
			if err == nil && n == 0 {
				t.Fatalf("%s: said to be complete, and is not", what)
			}
			if mode == disktest.Strict && n == 0 && len(v.remembered(t)) > 0 {
				t.Fatalf("%s: the vault counts on a return that is not complete", what)
			}
			if k%7 != 0 {
				continue
			}
			// Run again with this drive, all is on it.
			if r, err := v.goOn(after, a); err != nil || r.LeftFiles > 0 || r.Vanished > 0 && err == nil && n > 0 {
				t.Fatalf("%s, again: %+v, %v", what, r, err)
			}
			if n := wholeReturns(t, what, after, v); n != 1 {
				t.Fatalf("%s, again: %d returns", what, n)
			}
			must(t, os.RemoveAll(filepath.Join(v.path, returnsDir)))
		}
		if !m.DidCrash() {
			return
		}
	}
}

func TestFaultAtEveryStepToTheDrive(t *testing.T) {
	b := newBurned(t, nil)
	v, a := b.open()
	v.rep = report.Discard
	for _, kind := range disktest.FaultKinds {
		for k := 1 + int(kind); ; k += 11 {
			m, _ := memDrive(t)
			fault := disktest.NewFault(m)
			fault.CountReads(true)
			fault.FailAt(k, kind, false)
			r, err := v.onTo(t, fault, a)
			what := fmt.Sprintf("%v at %d (%s)", kind, k, fault.Failed())
			n := wholeReturns(t, what, m.Crashed(disktest.Strict, 0), v)
			if err == nil && r.Returns != n {
				t.Fatalf("%s: %+v, and %d returns lie there", what, r, n)
			}
			if fault.Failed() == "" {
				if err != nil || n != 1 {
					t.Fatalf("%s: %+v, %v", what, r, err)
				}
				break
			}
		}
	}
}

func TestADriveThatDoesNotKeepPacksIsBad(t *testing.T) {
	b := newBurned(t, nil)
	v, a := b.open()
	m, _ := memDrive(t)
	packs := func(name string) bool { return strings.HasSuffix(name, ".pack") }
	if r, err := v.onTo(t, disktest.FlipOnReadBack(m, packs, 2), a); err != nil || r.Returns != 1 || r.LeftFiles > 0 {
		t.Errorf("two bad read-backs: %+v, %v", r, err)
	}
	wholeReturns(t, "two bad read-backs", m, v)
	m, _ = memDrive(t)
	_, err := v.onTo(t, disktest.FlipOnReadBack(m, packs, -1), a)
	if err == nil || !strings.Contains(err.Error(), "is bad") {
		t.Errorf("bad for ever: %v", err)
	}
	if n := wholeReturns(t, "bad for ever", m, v); n != 0 {
		t.Error("a return is complete on a bad drive")
	}
}

// What was packed whole before an interruption is read, and not written again.
func TestAnInterruptedReturnGoesOn(t *testing.T) {
	b := newBurned(t, func(w *world) { noise(t, filepath.Join(w.src, "zz"), 600<<10, 77) })
	v, a := b.open()
	m, d := memDrive(t)
	// The power fails when the word of completion is to be written.
	failing := &failFirst{FS: m, match: func(name string) bool { return strings.HasSuffix(name, ".return") }}
	if _, err := v.onTo(t, failing, a); err == nil {
		t.Fatal("not interrupted")
	}
	counting := &countPacks{FS: m}
	r, err := v.goOn(counting, a)
	if err != nil || r.Returns != 1 || r.LeftFiles != 0 || counting.n != 0 {
		t.Errorf("%+v, %v, %d packs written", r, err, counting.n)
	}
	// One that is torn is written anew.
	homes, err := d.Homecomings(v.id)
	must(t, err)
	list, err := d.Returns(v.id, homes[0])
	must(t, err)
	must(t, m.Remove(list[0].Path+"/"+courier.ReturnName(list[0].Bytes)))
	f, err := m.OpenWrite(list[0].Path + "/000001.pack")
	must(t, err)
	must(t, f.Truncate(1000))
	must(t, os.RemoveAll(filepath.Join(v.path, returnsDir)))
	if r, err = v.goOn(counting, a); err != nil || r.Returns != 1 || r.LeftFiles != 0 || counting.n == 0 {
		t.Errorf("%+v, %v, %d packs written", r, err, counting.n)
	}
	wholeReturns(t, "a torn pack", m, v)
}

type failFirst struct {
	disk.FS
	match func(string) bool
}

func (f *failFirst) Create(name string, perm uint32) (disk.File, error) {
	if f.match(name) {
		return nil, errors.New("power")
	}
	return f.FS.Create(name, perm)
}

type countPacks struct {
	disk.FS
	n int
}

func (c *countPacks) Create(name string, perm uint32) (disk.File, error) {
	if strings.HasSuffix(name, ".pack") {
		c.n++
	}
	return c.FS.Create(name, perm)
}

// A drive that fills earlier than it said ends the return there.
func TestAFullDriveEndsTheReturn(t *testing.T) {
	b := newBurned(t, nil)
	v, a := b.open()
	for _, size := range []int64{600 << 10, 700 << 10, 800 << 10} {
		m, _ := memDrive(t)
		m.SetCapacity(size)
		r, err := v.onTo(t, m, a)
		if err != nil || r.Returns != 1 || r.LeftFiles == 0 {
			t.Errorf("%d bytes: %+v, %v", size, r, err)
		}
		wholeReturns(t, fmt.Sprint(size), m, v)
	}
	m, _ := memDrive(t)
	m.SetCapacity(200 << 10)
	if _, err := v.onTo(t, m, a); err == nil || !strings.Contains(err.Error(), "room") {
		t.Errorf("too small for anything: %v", err)
	}
}
