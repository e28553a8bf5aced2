package vault

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"waterlock/internal/disk"
	"waterlock/internal/exit"
	"waterlock/internal/report"
	"waterlock/internal/wire"
	"waterlock/snapshot"
)

const (
	SettingsFormat  = 1
	maxSettingsSize = 1 << 20
)

// settings is vault.toml: written by Init, edited by people, never by the program.
type settings struct {
	Format    int               `toml:"format" comment:"A Waterlock vault. Written by wl vault init; edit it as you like. wl only reads it, but for\nwl vault adopt, which adds a line under [trees].\n\nVersion of this file."`
	Route     string            `toml:"route" comment:"The route whose shipments this vault takes. Do not change these three."`
	RouteName string            `toml:"route_name"`
	Created   time.Time         `toml:"created"`
	Name      string            `toml:"name" comment:"What home calls this vault."`
	Deletions Deletions         `toml:"deletions" comment:"What wl unpack does with files that are gone at home: ask, keep, confirmed (what home\nhas confirmed) or apply (what nobody has decided there, too). What home keeps or excludes stays in any case.\nWhat leaves the mirror stays in older snapshots. --deletions overrides this for one run."`
	Overdue   report.Limits     `toml:"overdue" comment:"wl status warns, with exit code 4, where this is longer ago: such as '30 days', '12 hours' or 'never'."`
	Retention Retention         `toml:"retention" comment:"Which snapshots wl prune keeps where its flags do not say. 0: none, -1: all; all 0 and \"\": nothing is forgotten.\nOf the newest keep_daily days with a snapshot the newest is kept, and so on; keep_within = \"1y6m\" keeps what is at most\nso much older than the newest (y, m, d, h). The newest snapshots stay in any case."`
	Trees     map[string]string `toml:"trees" comment:"Trees that lie elsewhere than in a directory of their name beside this one's .wl, for example\nphotos = \"/mnt/second-disk/photos\"\nTo move a tree by hand, move its directory with everything in it, its own .wl included, then write it here."`

	id wire.RouteID
}

// encode gives the text of a new vault.toml.
func (s *settings) encode() ([]byte, error) {
	if s.Trees == nil {
		s.Trees = map[string]string{}
	}
	return toml.Marshal(s)
}

func decodeSettings(text []byte) (settings, error) {
	s := settings{Overdue: report.DefaultLimits()}
	d := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		var strict *toml.StrictMissingError
		if errors.As(err, &strict) {
			return s, fmt.Errorf("unknown setting:\n%s", strict.String())
		}
		return s, err
	}
	if s.Format != SettingsFormat {
		return s, fmt.Errorf("format %d, this program knows %d", s.Format, SettingsFormat)
	}
	var err error
	if s.id, err = wire.ParseRouteID(s.Route); err != nil {
		return s, fmt.Errorf("route: %w", err)
	}
	if s.Deletions == "" {
		s.Deletions = DeletionsAsk
	}
	if _, err := parseDeletions(string(s.Deletions)); err != nil {
		return s, err
	}
	if err := s.Retention.check(); err != nil {
		return s, fmt.Errorf("retention: %w", err)
	}
	for tree, dir := range s.Trees {
		if err := treeHere(tree); err != nil {
			return s, err
		}
		if !filepath.IsAbs(dir) {
			return s, fmt.Errorf("trees: %s: %q is not an absolute path", tree, dir)
		}
	}
	return s, nil
}

// readSettings reads the vault.toml below root; exit.NotFound where there is none.
func readSettings(root disk.FS, path string) (settings, error) {
	text, err := disk.ReadAll(root, settingsFile, maxSettingsSize)
	if errors.Is(err, fs.ErrNotExist) {
		return settings{}, exit.Errorf(exit.NotFound, "%s is no vault (no %s); wl vault init makes one", path, settingsFile)
	}
	if err != nil {
		return settings{}, err
	}
	s, err := decodeSettings(text)
	if err != nil {
		return settings{}, fmt.Errorf("%s: %w", filepath.Join(path, settingsFile), err)
	}
	return s, nil
}

func parseDeletions(s string) (Deletions, error) {
	switch d := Deletions(s); d {
	case DeletionsAsk, DeletionsKeep, DeletionsConfirmed, DeletionsApply:
		return d, nil
	}
	return "", exit.Errorf(exit.Usage, "deletions: %q is none of ask, keep, confirmed, apply", s)
}

// treeHere checks the name of a tree, which comes from a drive and becomes a directory of the vault.
func treeHere(tree string) error {
	if err := snapshot.NameHere(tree); err != nil {
		return fmt.Errorf("tree: %w", err)
	}
	if strings.EqualFold(tree, metaDir) {
		return fmt.Errorf("tree: %w: %q is the vault's own", snapshot.ErrName, tree)
	}
	return nil
}

// RouteOf is the route of the vault at path and its name, by its settings
// alone: nothing is locked. exit.NotFound where there is no vault.
func RouteOf(path string) (id wire.RouteID, name string, err error) {
	root, err := disk.Dir(path)
	if err != nil {
		return id, "", exit.With(exit.NotFound, err)
	}
	defer root.Close()
	s, err := readSettings(root, path)
	return s.id, s.RouteName, err
}

// TreePlaces is where the trees of the vault at path lie, as far as its
// settings and the directories beside its own say: nothing is locked, and a
// directory that somebody else made there is among them.
func TreePlaces(path string) (map[string]string, error) {
	root, err := disk.Dir(path)
	if err != nil {
		return nil, exit.With(exit.NotFound, err)
	}
	defer root.Close()
	s, err := readSettings(root, path)
	if err != nil {
		return nil, err
	}
	names, err := root.ReadDir(".")
	if err != nil {
		return nil, err
	}
	places := map[string]string{}
	for i := range names.Len() {
		name := names.At(i)
		if st, err := root.Stat(name); err == nil && st.Kind == disk.KindDir && !strings.HasPrefix(name, ".") {
			places[name] = filepath.Join(path, name)
		}
	}
	for tree, place := range s.Trees {
		places[tree] = place
	}
	return places, nil
}
