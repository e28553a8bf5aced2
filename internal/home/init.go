package home

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"waterlock/internal/chunk"
	"waterlock/internal/disk"
	"waterlock/internal/exit"
	"waterlock/internal/report"
	"waterlock/internal/wire"
)

// Init makes a route over the directories given: it draws the route's id and polynomial and writes route.toml, last.
func Init(ctx context.Context, o InitOptions) (InitResult, error) {
	rep := orDiscard(o.Report)
	cfg, err := newConfig(o)
	if err != nil {
		return InitResult{}, exit.With(exit.Usage, err)
	}
	return makeRoute(o.State, cfg, rep, nil)
}

// makeRoute makes the state of a route. Its order is
//
//  1. the directories
//  2. first, if not nil: what must be there before anything is done with the route
//  3. route.toml: its appearance makes the route, so that an interrupted run is simply run again
func makeRoute(stateDir string, cfg *Config, rep report.Reporter, first func(*site) error) (InitResult, error) {
	if stateDir == "" {
		return InitResult{}, exit.Errorf(exit.Usage, "no state directory given")
	}
	state, err := filepath.Abs(stateDir)
	if err != nil {
		return InitResult{}, err
	}
	for _, t := range cfg.Trees {
		if t.Path == state || within(t.Path, state) {
			return InitResult{}, exit.Errorf(exit.Usage, "%s lies in wl's own state", report.Name(t.Path))
		}
		if within(state, t.Path) {
			rep.Info("wl's own state (%s) lies in tree %s: it is left out", report.Name(state), t.Name)
		}
	}
	dir := filepath.Join(state, "routes", cfg.Name)
	if _, err := os.Lstat(filepath.Join(dir, configFile)); err == nil {
		return InitResult{}, exit.Errorf(exit.Fatal, "route %s exists already (%s): choose another name with --name", cfg.Name, filepath.Join(dir, configFile))
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return InitResult{}, err
	}
	fs, err := disk.Dir(dir)
	if err != nil {
		return InitResult{}, err
	}
	defer fs.Close()
	if err := writeRoute(fs, cfg, first); err != nil {
		return InitResult{}, err
	}
	res := InitResult{Route: cfg.Name, RouteID: cfg.RouteID, Config: filepath.Join(dir, configFile)}
	for _, t := range cfg.Trees {
		res.Trees = append(res.Trees, TreeRoot{t.Name, t.Path})
	}
	return res, nil
}

func writeRoute(fs disk.FS, cfg *Config, first func(*site) error) error {
	data, err := cfg.encode()
	if err != nil {
		return err
	}
	if _, err := decodeConfig(data); err != nil {
		return fmt.Errorf("the settings do not read back: %w", err)
	}
	for _, d := range []string{dirScan, dirStreams, dirShipments, dirReceipts} {
		if err := disk.MkdirAll(fs, d, 0o700); err != nil {
			return err
		}
	}
	if first != nil {
		if err := first(&site{state: fs}); err != nil {
			return err
		}
	}
	return disk.Put(fs, configFile, data)
}

func newConfig(o InitOptions) (*Config, error) {
	cfg := defaultConfig()
	cfg.Format = ConfigFormat
	cfg.Name = o.Name
	if cfg.Name == "" {
		cfg.Name = hostRouteName()
	}
	if err := validRouteName(cfg.Name); err != nil {
		return nil, err
	}
	if len(o.Trees) == 0 {
		return nil, errors.New("no directory given")
	}
	for _, arg := range o.Trees {
		t, err := parseTree(arg)
		if err != nil {
			return nil, err
		}
		cfg.Trees = append(cfg.Trees, t)
	}
	if err := checkTrees(cfg.Trees); err != nil {
		return nil, err
	}
	var id wire.RouteID
	if _, err := rand.Read(id[:]); err != nil {
		return nil, err
	}
	cfg.RouteID = id.String()
	cfg.Created = time.Now().UTC().Truncate(time.Second)
	p, err := chunk.DefaultParams()
	if err != nil {
		return nil, err
	}
	cfg.Chunker = chunkerConf{Polynomial: fmt.Sprintf("0x%x", p.Polynomial), Min: p.Min, Max: p.Max, AverageBits: p.AverageBits}
	return &cfg, nil
}

// hostRouteName makes a route's name of the host's.
func hostRouteName() string {
	host, err := os.Hostname()
	if err != nil {
		return "home"
	}
	host, _, _ = strings.Cut(host, ".")
	name := strings.Map(func(r rune) rune {
		if r < 128 && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_') {
			return r
		}
		return -1
	}, host)
	if validRouteName(name) != nil {
		return "home"
	}
	return name
}

func orDiscard(r report.Reporter) report.Reporter {
	if r == nil {
		return report.Discard
	}
	return r
}
