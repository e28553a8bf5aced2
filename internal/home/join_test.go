package home

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"waterlock/internal/courier"
	"waterlock/internal/disk"
	"waterlock/internal/disk/disktest"
	"waterlock/internal/exit"
)

// joinWorld is a drive that knows a route with the trees docs and media.
func joinWorld(t *testing.T) (drive string, w *world) {
	t.Helper()
	w = newWorld(t, "docs", "media")
	drive = tempDir(t)
	fs, err := disk.Dir(drive)
	must(t, err)
	w.useDrive(fs, "A")
	w.write("a", 30<<10, 1)
	settleClock()
	v := w.newVault()
	w.pack()
	v.take(w.drive)
	v.number = 6
	v.receipt(w.drive)
	return drive, w
}

func TestJoinMakesTheRouteAgain(t *testing.T) {
	drive, w := joinWorld(t)
	state := t.TempDir()
	res, err := Join(context.Background(), JoinOptions{State: state, Drive: drive, Trees: []string{w.roots["docs"], w.roots["docs"] + "/../more=new"}})
	if err == nil {
		t.Fatal("a directory that is not there was taken")
	}
	more := t.TempDir()
	res, err = Join(context.Background(), JoinOptions{State: state, Drive: drive, Trees: []string{w.roots["docs"], more + "=new"}})
	must(t, err)
	if res.Snapshot != 1 || !slices.Equal(res.Known, []string{"docs", "media"}) || !slices.Equal(res.New, []string{"new"}) || !slices.Equal(res.Left, []string{"media"}) ||
		len(res.Empty) != 1 || res.Empty[0].Path != more || res.RouteID != w.cfg.RouteID || res.Route != "r" {
		t.Errorf("%+v", res)
	}
	cfg, err := loadConfig(filepath.Dir(res.Config))
	must(t, err)
	got, err := cfg.chunker()
	must(t, err)
	want, err := w.cfg.chunker()
	must(t, err)
	if got != want || !cfg.Created.Equal(w.cfg.Created) || cfg.Encryption != w.cfg.Encryption {
		t.Errorf("%+v, before %+v", cfg, w.cfg)
	}
	s, err := openSite(filepath.Dir(res.Config), "")
	must(t, err)
	defer s.close()
	if receipt, heard, err := s.joinedAnew(); err != nil || receipt != 8 || heard != 1 {
		t.Errorf("believes receipts from %d on, snapshots above %d, %v", receipt, heard, err)
	}
}

func TestJoinRefuses(t *testing.T) {
	drive, w := joinWorld(t)
	trees := []string{w.roots["docs"]}
	have := t.TempDir()
	_, err := Join(context.Background(), JoinOptions{State: have, Drive: drive, Trees: trees})
	must(t, err)
	empty := tempDir(t)
	fs, err := disk.Dir(empty)
	must(t, err)
	_, err = courier.InitDrive(fs, "B")
	must(t, err)
	for name, c := range map[string]struct {
		o    JoinOptions
		code exit.Code
		says string
	}{
		"a route that this machine has": {JoinOptions{State: have, Drive: drive, Trees: trees, Name: "other"}, exit.Fatal, "has the route already: r"},
		"a drive without a route":       {JoinOptions{Drive: empty, Trees: trees}, exit.NotFound, "no route that could be joined"},
		"a route that is not there":     {JoinOptions{Drive: drive, Route: "nothing", Trees: trees}, exit.NotFound, "it carries r ("},
		"what is no drive":              {JoinOptions{Drive: t.TempDir(), Trees: trees}, exit.NotFound, "not a courier drive"},
		"no directory":                  {JoinOptions{Drive: drive}, exit.Usage, "no directory given"},
	} {
		if c.o.State == "" {
			c.o.State = filepath.Join(t.TempDir(), "state")
		}
		_, err := Join(context.Background(), c.o)
		if exit.Of(err) != c.code || !strings.Contains(fmt.Sprint(err), c.says) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(c.o.State); c.o.State != have && err == nil {
			t.Errorf("%s: something was left behind", name)
		}
	}
	if routes, err := Routes(have); err != nil || len(routes) != 1 {
		t.Errorf("%v, %v", routes, err)
	}
}

// TestACrashLeavesNoJoinedRouteThatBelieves holds for each step: where route.toml is, the word is there that nothing said
// before is believed.
func TestACrashLeavesNoJoinedRouteThatBelieves(t *testing.T) {
	_, w := joinWorld(t)
	for k := 0; ; k++ {
		m := disktest.NewMem()
		m.CrashAfter(k)
		err := writeRoute(m, w.cfg, func(s *site) error { return s.joinAnew(8, 1) })
		crashed := m.DidCrash()
		for _, mode := range []disktest.CrashMode{disktest.Strict, disktest.Names} {
			after := m.Crashed(mode, 0)
			_, there := after.Stat(configFile)
			receipt, _, jerr := (&site{state: after}).joinedAnew()
			must(t, jerr)
			if there == nil && receipt != 8 || err == nil && there != nil {
				t.Fatalf("crash after %d, %v: route.toml %v, believes from %d on", k, mode, there, receipt)
			}
			if there != nil { // it is simply run again
				must(t, writeRoute(after, w.cfg, func(s *site) error { return s.joinAnew(8, 1) }))
			}
		}
		if err == nil && !crashed {
			return
		}
	}
}

// A joined home carries what the vault lacks and nothing else, in the trees that it has.
func TestAJoinedHomeCarriesWhatIsLacking(t *testing.T) {
	w, v := calm(t)
	lost := v.forget("f3")
	w.state = copyFS(t, disktest.NewMem()) // all is gone
	must(t, os.RemoveAll(w.index))
	must(t, writeRoute(w.state, w.cfg, func(s *site) error { return s.joinAnew(v.number+1, v.newest.Number+1) }))
	v.receipt(w.drive)
	newest := v.newest.Number
	if res := w.asks(v); res.Snapshot <= newest {
		t.Errorf("snapshot %d after %d", res.Snapshot, newest)
	}
	v.inventory = true
	v.receipt(w.drive)
	v.inventory = false
	w.carriesExactly(v, lost)
}
