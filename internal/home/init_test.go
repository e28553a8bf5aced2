package home

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"waterlock/internal/exit"
)

func TestInit(t *testing.T) {
	state, dir := t.TempDir(), t.TempDir()
	for _, d := range []string{"docs", "media/film", "with=sign", "Docs", ".hidden"} {
		must(t, os.MkdirAll(filepath.Join(dir, d), 0o755))
	}
	t.Chdir(dir)
	res, err := Init(context.Background(), InitOptions{State: state, Name: "home", Trees: []string{"docs", "media/film=films", "with=sign=w"}})
	must(t, err)
	if len(res.Trees) != 3 || res.Trees[0].Name != "docs" || res.Trees[0].Path != filepath.Join(dir, "docs") || res.Trees[1].Name != "films" || res.Trees[2].Name != "w" || res.Trees[2].Path != filepath.Join(dir, "with=sign") {
		t.Errorf("%+v", res.Trees)
	}
	data, err := os.ReadFile(res.Config)
	must(t, err)
	for _, word := range []string{"route_id", "polynomial", "reserve", "pack_size", "clear_acknowledged", "one_file_system", "compression_level", "max_vanished", "[[tree]]", "# "} {
		if !strings.Contains(string(data), word) {
			t.Errorf("%s is not in route.toml", word)
		}
	}
	cfg, err := loadConfig(filepath.Dir(res.Config))
	must(t, err)
	if cfg.Pack.Reserve != 1<<30 || cfg.Guard.MaxVanished != 20 || cfg.RouteID != res.RouteID {
		t.Errorf("%+v", cfg)
	}

	for _, c := range []struct{ trees, reason string }{
		{"docs docs", "named twice"},
		{"docs media/film=docs", "another name"},
		{"docs Docs", "capitals"},
		{"media media/film", "nested"},
		{"media/film media", "nested"},
		{".hidden", "dot"},
		{"docs=.x", "dot"},
		{"docs=a:b", "holds one of"},
		{"docs=con", "Windows"},
		{"nothing", "no such"},
		{"", "no directory"},
	} {
		_, err := Init(context.Background(), InitOptions{State: state, Name: "other", Trees: strings.Fields(c.trees)})
		wantCode(t, err, exit.Usage)
		if !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%s: %v does not say %q", c.trees, err, c.reason)
		}
		if _, err := os.Stat(filepath.Join(state, "routes", "other", "route.toml")); err == nil {
			t.Fatal("a refused route exists")
		}
	}
	_, err = Init(context.Background(), InitOptions{State: state, Name: "home", Trees: []string{"docs"}})
	wantCode(t, err, exit.Fatal)
	_, err = Init(context.Background(), InitOptions{State: state, Name: "../x", Trees: []string{"docs"}})
	wantCode(t, err, exit.Usage)
}

func TestConfigRefusesSlips(t *testing.T) {
	cfg, err := newConfig(InitOptions{Name: "r", Trees: []string{t.TempDir() + "=x"}})
	must(t, err)
	good, err := cfg.encode()
	must(t, err)
	if _, err := decodeConfig(good); err != nil {
		t.Fatal(err)
	}
	for _, c := range [][2]string{
		{"reserve = '1 GiB'", "reserv = '1 GiB'"},
		{"reserve = '1 GiB'", "reserve = 'much'"},
		{"format = 1", "format = 2"},
		{"pack_size = '1 GiB'", "pack_size = '5 GiB'"},
		{"'ask'", "'perhaps'"},
		{"max_vanished = 20", "max_vanished = 120"},
		{"polynomial = '0x", "polynomial = 'g"},
		{"min = 524288", "min = 1"},
	} {
		bad := strings.Replace(string(good), c[0], c[1], 1)
		if bad == string(good) {
			t.Errorf("%s is not in the file:\n%s", c[0], good)
			continue
		}
		if _, err := decodeConfig([]byte(bad)); err == nil {
			t.Errorf("%s is accepted", c[1])
		}
	}
}

func TestNoRoute(t *testing.T) {
	_, err := Pack(context.Background(), PackOptions{State: t.TempDir(), Drive: t.TempDir()})
	wantCode(t, err, exit.NotFound)
	_, err = Status(context.Background(), StatusOptions{State: t.TempDir(), Route: "x"})
	wantCode(t, err, exit.NotFound)
}
