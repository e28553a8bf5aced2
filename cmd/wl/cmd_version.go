package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/urfave/cli/v2"

	"waterlock/index"
	"waterlock/internal/courier"
	"waterlock/internal/home"
	"waterlock/internal/machine"
	"waterlock/internal/vault"
	"waterlock/internal/wire"
	"waterlock/pack"
	"waterlock/snapshot"
)

// version is the release; the build adds the revision.
const version = "0.1.0-dev"

// versionForm is what wl version tells.
type versionForm struct {
	Version  string      `json:"version"`
	Revision string      `json:"revision"`
	Modified bool        `json:"modified"`
	Go       string      `json:"go"`
	OS       string      `json:"os"`
	Arch     string      `json:"arch"`
	Formats  formatsForm `json:"formats"`
}

// formatsForm is the version of each format, from the package that writes it.
type formatsForm struct {
	Pack     int `json:"pack"`
	Envelope int `json:"envelope"`
	Drive    int `json:"drive"`
	Vault    int `json:"vault"`
	Route    int `json:"route"`
	Scan     int `json:"scan"`
	Index    int `json:"index"`
	Known    int `json:"known"`
}

var formats = formatsForm{
	Pack:     pack.Version,
	Envelope: wire.Version,
	Drive:    courier.DriveFormat,
	Vault:    vault.SettingsFormat,
	Route:    home.ConfigFormat,
	Scan:     snapshot.ScanVersion,
	Index:    index.Schema,
	Known:    machine.Format,
}

func versionCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:  "version",
		Usage: "say which wl this is",
		Description: describe("Prints the version, the revision it was built from where the build knows it, the Go version and\n"+
			"the platform, and the version of each format that it writes and reads (docs/FORMAT.md).", "wl version"),
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 0, 0); err != nil {
				return err
			}
			s, err := begin(c, e)
			if err != nil {
				return err
			}
			defer s.Close()
			v := versionForm{Version: version, Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH, Formats: formats}
			v.Revision, v.Modified = revision()
			s.Summary("version", v)
			s.Answer("%s", versionText(v))
			return nil
		},
	}
}

func versionText(v versionForm) string {
	var b strings.Builder
	fmt.Fprintf(&b, "wl %s", v.Version)
	if v.Revision != "" {
		changed := ""
		if v.Modified {
			changed = ", changed since"
		}
		fmt.Fprintf(&b, " (%s%s)", v.Revision[:min(len(v.Revision), 12)], changed)
	}
	f := v.Formats
	fmt.Fprintf(&b, "\n%s %s/%s\n", v.Go, v.OS, v.Arch)
	fmt.Fprintf(&b, "On drives and in the vault: pack %d, envelope %d (commits, receipts, install records), drive.json %d, vault.toml %d\n",
		f.Pack, f.Envelope, f.Drive, f.Vault)
	fmt.Fprintf(&b, "On this machine: route.toml %d, scan file %d, index %d, known.json %d", f.Route, f.Scan, f.Index, f.Known)
	return b.String()
}

// revision is what the build knows of its source.
func revision() (revision string, modified bool) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "", false
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			revision = s.Value
		case "vcs.modified":
			modified = s.Value == "true"
		}
	}
	return revision, modified
}
