package tests

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// layers are the floors of the house, from the ground up. A package imports
// only from floors below its own.
var layers = [][]string{
	{"internal/exit", "internal/report", "internal/exclude"},
	{"internal/chunk", "internal/disk", "internal/machine"},
	{"internal/wire", "internal/disk/disktest"},
	{"pack", "index"},
	{"snapshot"},
	{"chunkstore", "internal/courier"},
	{"internal/home", "internal/vault", "internal/homecoming"},
	{"cmd/wl"},
}

// never are imports that the floors alone would allow.
var never = map[string][]string{
	"pack":          {"internal/disk", "internal/wire", "os", "path/filepath"}, // knows no paths
	"snapshot":      {"pack", "index"},
	"internal/home": {"chunkstore"},
	"internal/wire": {"os"},
}

// homes are the libraries with one home each.
var homes = map[string][]string{
	"github.com/dgraph-io/badger":     {"index"},
	"github.com/zeebo/blake3":         {"internal/chunk"},
	"lukechampine.com/blake3":         {"internal/chunk"},
	"github.com/restic/chunker":       {"internal/chunk"},
	"github.com/klauspost/compress":   {"pack"},
	"github.com/urfave/cli":           {"cmd/wl"},
	"github.com/schollz/progressbar":  {"cmd/wl"},
	"golang.org/x/term":               {"cmd/wl"},
	"golang.org/x/sys":                {"internal/disk"},
	"github.com/pkg/xattr":            {"internal/disk"},
	"github.com/gofrs/flock":          {"internal/disk"},
	"github.com/pelletier/go-toml":    {"internal/home", "internal/vault"},
	"github.com/rogpeppe/go-internal": {"cmd/wl"},
	"github.com/dustin/go-humanize":   {"internal/report", "cmd/wl", "internal/home"},
	"github.com/bmatcuk/doublestar":   {"internal/exclude"},
}

type goPackage struct {
	ImportPath                         string
	Imports, TestImports, XTestImports []string
}

func TestLayersAndLibraries(t *testing.T) {
	floor := map[string]int{}
	for i, names := range layers {
		for _, name := range names {
			floor[name] = i
		}
	}
	for _, p := range listPackages(t) {
		name := strings.TrimPrefix(p.ImportPath, "waterlock/")
		inTests := name == "tests" || strings.HasPrefix(name, "tests/")
		mine, known := floor[name]
		if !known && !inTests {
			t.Errorf("%s stands on no floor: give it one in layers", name)
			continue
		}
		for _, imp := range p.Imports {
			below, own := strings.CutPrefix(imp, "waterlock/")
			switch {
			case slices.Contains(never[name], below), slices.Contains(never[name], imp):
				t.Errorf("%s imports %s", name, below)
			case own && !inTests && floor[below] >= mine:
				t.Errorf("%s imports %s, which is not below it", name, below)
			case below == "internal/disk/disktest":
				t.Errorf("%s imports %s, which is for tests", name, below)
			}
		}
		for _, imp := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			for lib, in := range homes {
				if (imp == lib || strings.HasPrefix(imp, lib+"/")) && !slices.Contains(in, name) && !inTests {
					t.Errorf("%s imports %s, whose home is %v", name, imp, in)
				}
			}
		}
	}
}

func listPackages(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", "waterlock/...")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("go list: %v\n%s", err, errs.String())
	}
	var list []goPackage
	for dec := json.NewDecoder(&out); ; {
		var p goPackage
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
	if len(list) < 10 {
		t.Fatalf("go list names %d packages only", len(list))
	}
	return list
}
