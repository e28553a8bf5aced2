// Package machine remembers what this machine has met: its vaults and the
// courier drives, so that a command line may leave out what there is only one
// of. It holds hints alone. Whoever follows one opens the vault or drive and
// checks what it says of itself; a lost or unreadable known.json costs typing.
//
// <state>/known.json:
//
//	{"format": 1,
//	 "vaults": [{"path", "route", "name", "last_seen"}],
//	 "drives": [{"id", "label", "path", "last_seen"}]}
package machine

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"waterlock/internal/exit"
)

const (
	fileName = "known.json"
	Format   = 1 // of known.json
	maxFile  = 1 << 20
	maxRows  = 256 // of each kind; the ones seen longest ago are forgotten
)

// Vault is a vault this machine has joined or worked on.
type Vault struct {
	Path     string    `json:"path"`
	Route    string    `json:"route"`
	Name     string    `json:"name"`
	LastSeen time.Time `json:"last_seen"`
}

// Drive is a courier drive this machine has seen, and where.
type Drive struct {
	ID       string    `json:"id"`
	Label    string    `json:"label"`
	Path     string    `json:"path"`
	LastSeen time.Time `json:"last_seen"`
}

// Known is what known.json holds.
type Known struct {
	Format int     `json:"format"`
	Vaults []Vault `json:"vaults"`
	Drives []Drive `json:"drives"`
}

// DefaultState is the state directory where neither --state nor WL_STATE names
// one: $XDG_STATE_HOME/wl, else ~/.local/state/wl.
func DefaultState() (string, error) {
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "wl"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", exit.Errorf(exit.Usage, "no place for this machine's state: %w; name one with --state or WL_STATE", err)
	}
	return filepath.Join(home, ".local", "state", "wl"), nil
}

// Load reads what is known. A file that is missing, damaged or of a newer wl
// reads as nothing known.
func Load(state string) Known {
	empty := Known{Format: Format}
	name := filepath.Join(state, fileName)
	if st, err := os.Stat(name); err != nil || !st.Mode().IsRegular() || st.Size() > maxFile {
		return empty
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return empty
	}
	var k Known
	if err := json.Unmarshal(data, &k); err != nil || k.Format != Format {
		return empty
	}
	return k
}

// Routes lists the routes of which this machine is the home, by name.
func Routes(state string) ([]string, error) {
	dirs, err := os.ReadDir(filepath.Join(state, "routes"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var names []string
	for _, d := range dirs {
		if _, err := os.Stat(filepath.Join(state, "routes", d.Name(), "route.toml")); err == nil {
			names = append(names, d.Name())
		}
	}
	return names, nil
}

// SawVault remembers a vault, seen now.
func SawVault(state string, v Vault) error {
	return update(state, func(k *Known) {
		k.Vaults = slices.DeleteFunc(k.Vaults, func(o Vault) bool { return o.Path == v.Path })
		k.Vaults = append([]Vault{v}, k.Vaults...)
		k.Vaults = k.Vaults[:min(len(k.Vaults), maxRows)]
	})
}

// SawDrive remembers a drive and where it was, seen now.
func SawDrive(state string, d Drive) error {
	return update(state, func(k *Known) {
		k.Drives = slices.DeleteFunc(k.Drives, func(o Drive) bool { return o.ID == d.ID })
		k.Drives = append([]Drive{d}, k.Drives...)
		k.Drives = k.Drives[:min(len(k.Drives), maxRows)]
	})
}

// ForgetDrive forgets a drive, so that no command line without --drive means it.
func ForgetDrive(state, id string) error {
	if !slices.ContainsFunc(Load(state).Drives, func(d Drive) bool { return d.ID == id }) {
		return nil
	}
	return update(state, func(k *Known) {
		k.Drives = slices.DeleteFunc(k.Drives, func(d Drive) bool { return d.ID == id })
	})
}

// update writes known.json anew: a temporary file beside it, write, sync,
// rename over it, sync of the directory. Of two writers at once one may be
// forgotten; that is a hint less.
func update(state string, change func(*Known)) error {
	k := Load(state)
	change(&k)
	data, err := json.MarshalIndent(k, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(state, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(state, fileName+".*.tmp")
	if err != nil {
		return err
	}
	_, err = f.Write(append(data, '\n'))
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(state, fileName))
	}
	if err != nil {
		os.Remove(f.Name())
		return err
	}
	if dir, err := os.Open(state); err == nil {
		_ = dir.Sync() // some systems cannot; the file is a hint
		dir.Close()
	}
	return nil
}

// OnlyDrive is the place of the one drive known, for a command line without
// --drive. Drives that take turns at one mount point are one place.
func (k Known) OnlyDrive() (string, error) {
	var places []string
	for _, d := range k.Drives {
		places = append(places, d.Path)
	}
	return only("drive", "--drive", "wl drive init DIR makes one", places)
}

// OnlyVault is the place of the one vault known, for a command line without
// --vault.
func (k Known) OnlyVault() (string, error) {
	var places []string
	for _, v := range k.Vaults {
		places = append(places, v.Path)
	}
	return only("vault", "--vault", "wl vault init DIR makes one", places)
}

// OnlyRoute is the one route of which this machine is the home, for a command
// line without --route.
func OnlyRoute(state string) (string, error) {
	names, err := Routes(state)
	if err != nil {
		return "", err
	}
	return only("route", "--route", "wl init PATH makes one", names)
}

func only(what, flag, hint string, places []string) (string, error) {
	slices.Sort(places)
	places = slices.Compact(places)
	switch len(places) {
	case 0:
		return "", exit.With(exit.NotFound, fmt.Errorf("this machine knows no %s yet; %s", what, hint))
	case 1:
		return places[0], nil
	}
	return "", exit.Errorf(exit.Usage, "this machine knows several %ss: say which with %s (%s)", what, flag, strings.Join(places, ", "))
}
