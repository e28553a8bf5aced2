package home

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/pelletier/go-toml/v2"

	"waterlock/internal/chunk"
	"waterlock/internal/exit"
	"waterlock/internal/report"
	"waterlock/internal/wire"
)

const (
	configFile   = "route.toml"
	ConfigFormat = 1

	defaultReserve     = 1 << 30
	defaultPackSize    = 1 << 30
	minPackSize        = 64 << 10
	maxPackSize        = 4<<30 - 1<<20 // FAT32 holds files below 4 GiB
	defaultMaxVanished = 20
)

// Values of the setting clear_acknowledged.
const (
	clearAsk    = "ask"
	clearAlways = "always"
	clearNever  = "never"
)

// Config is route.toml: everything that can be set about a route at home.
type Config struct {
	Format     int           `toml:"format" comment:"Waterlock: a route, seen from home. wl init wrote this file; edit it as you like.\nThe first part was fixed at init: the vault and the drives know it, so leave it as it is."`
	RouteID    string        `toml:"route_id"`
	Name       string        `toml:"name"`
	Created    time.Time     `toml:"created"`
	Encryption bool          `toml:"encryption" comment:"whether what lies on drives is sealed"`
	Chunker    chunkerConf   `toml:"chunker" comment:"how files are cut into chunks; another value anywhere means carrying everything again"`
	Pack       packConf      `toml:"pack" comment:"what wl pack does"`
	Guard      guardConf     `toml:"guard" comment:"when a tree is stopped because something looks wrong at home"`
	Deletions  deletionsConf `toml:"deletions" comment:"what wl pack says of files that are gone: ask, propagate (the vault takes them out of its mirror,\nas far as its own policy lets it) or keep (they stay in the mirror). Older snapshots have them in any case."`
	Overdue    report.Limits `toml:"overdue" comment:"wl status warns, with exit code 4, where this is longer ago: such as '30 days', '12 hours' or 'never'"`
	Trees      []Tree        `toml:"tree" comment:"the trees: the directories that this route packs. A new one may be added at any time.\nA tree's path may change (then pack once with --allow-device NAME if it asks for it), its name may not.\n\nWhat a tree leaves out, and what may vanish from it without a question, stands below its path:\nexclude = ['*.tmp', '/cache/', '!/cache/keep']  patterns as in .gitignore, from the root of the tree\nexclude_file = ['/etc/wl/photos.exclude']       files with such patterns, one a line; they come first\nexclude_caches = true                           what lies beside a CACHEDIR.TAG\nexclude_if_present = ['.nobackup']              what lies beside a file of that name\nexclude_larger_than = '50 GiB'\none_file_system = true                          stay on the file system that the root lies on\npropagate = ['*.log']                           gone: the vault may take them out of its mirror\nkeep = ['/albums/']                             gone: they stay in the mirror; wins over propagate\npriority = 'last'                               the tree comes behind the others where not all can be carried; or 'first'\nfirst = ['/will.odt', '*.kdbx']                 what comes before everything else\nlast = ['/footage/']                            what comes last"`
}

type chunkerConf struct {
	Polynomial  string `toml:"polynomial"`
	Min         uint32 `toml:"min" comment:"bytes"`
	Max         uint32 `toml:"max" comment:"bytes"`
	AverageBits uint8  `toml:"average_bits"`
}

type packConf struct {
	Reserve           Size   `toml:"reserve" comment:"room to leave free on a drive (--reserve)"`
	PackSize          Size   `toml:"pack_size" comment:"most bytes of one pack: less is verified sooner, more is fewer files"`
	Order             Order  `toml:"order" comment:"where not all can be carried: path, newest, oldest or smallest; first and last of the trees come before that"`
	ClearAcknowledged string `toml:"clear_acknowledged" comment:"when room is needed, delete shipments that a receipt acknowledged in full: ask, always or never"`
	CompressionLevel  int    `toml:"compression_level" comment:"of zstd: 1 (fast) to 3; 0 is the default"`
}

type guardConf struct {
	MaxVanished int `toml:"max_vanished" comment:"stop a tree if more than so many per cent of its files are gone (--allow-vanished TREE for once); 100 is never"`
}

type deletionsConf struct {
	Vanished Answer `toml:"vanished" comment:"files that vanished (--vanished)"`
	Excluded Answer `toml:"excluded" comment:"files that are newly excluded (--excluded)"`
}

func defaultConfig() Config {
	return Config{
		Deletions: deletionsConf{Vanished: AnswerAsk, Excluded: AnswerAsk},
		Pack:      packConf{Reserve: defaultReserve, PackSize: defaultPackSize, Order: OrderPath, ClearAcknowledged: clearAsk},
		Overdue:   report.DefaultLimits(),
		Guard:     guardConf{MaxVanished: defaultMaxVanished},
	}
}

// Size is a number of bytes, written for people: "1.5 GiB".
type Size int64

func (s Size) MarshalText() ([]byte, error) {
	for _, u := range []struct {
		bytes int64
		name  string
	}{{1 << 40, "TiB"}, {1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if s > 0 && int64(s)%u.bytes == 0 {
			return fmt.Appendf(nil, "%d %s", int64(s)/u.bytes, u.name), nil
		}
	}
	return fmt.Appendf(nil, "%d B", int64(s)), nil
}

func (s *Size) UnmarshalText(text []byte) error {
	n, err := humanize.ParseBytes(string(text))
	if err != nil || n > 1<<62 {
		return fmt.Errorf("%q is no size; write it like \"500 MiB\" or \"2 TiB\"", text)
	}
	*s = Size(n)
	return nil
}

// encode writes the commented file.
func (c *Config) encode() ([]byte, error) { return toml.Marshal(c) }

// decodeConfig reads route.toml. What a person left out has its default; a setting nobody knows is refused, since it
// is most likely a slip of the pen.
func decodeConfig(data []byte) (*Config, error) {
	c := defaultConfig()
	dec := toml.NewDecoder(strings.NewReader(string(data)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil {
		var strict *toml.StrictMissingError
		if errors.As(err, &strict) {
			return nil, fmt.Errorf("unknown setting:\n%s", strict.String())
		}
		var de *toml.DecodeError
		if errors.As(err, &de) {
			row, col := de.Position()
			return nil, fmt.Errorf("line %d, column %d: %w", row, col, err)
		}
		return nil, err
	}
	return &c, c.validate()
}

func (c *Config) validate() error {
	if c.Format != ConfigFormat {
		return fmt.Errorf("format %d, this wl knows format %d", c.Format, ConfigFormat)
	}
	if _, err := c.routeID(); err != nil {
		return err
	}
	if _, err := c.chunker(); err != nil {
		return err
	}
	if err := validRouteName(c.Name); err != nil {
		return err
	}
	if len(c.Trees) == 0 {
		return errors.New("no tree")
	}
	if err := checkTrees(c.Trees); err != nil {
		return err
	}
	for _, t := range c.Trees {
		if err := t.check(inConfig(t)); err != nil {
			return err
		}
		if _, err := newDecider(t, nil); err != nil {
			return err
		}
		if _, err := newRanker(t, c.Pack.Order, time.Time{}); err != nil {
			return err
		}
		if err := t.Priority.check(); err != nil {
			return fmt.Errorf("tree %q: %w", t.Name, err)
		}
	}
	for _, a := range []Answer{c.Deletions.Vanished, c.Deletions.Excluded} {
		if _, err := ParseAnswer(string(a)); err != nil {
			return fmt.Errorf("deletions: %w", err)
		}
	}
	if c.Pack.PackSize < minPackSize || c.Pack.PackSize > maxPackSize {
		return fmt.Errorf("pack_size %s is not between %s and %s", report.Size(int64(c.Pack.PackSize)), report.Size(minPackSize), report.Size(maxPackSize))
	}
	if err := c.Pack.Order.check(); err != nil {
		return err
	}
	if a := c.Pack.ClearAcknowledged; a != clearAsk && a != clearAlways && a != clearNever {
		return fmt.Errorf("clear_acknowledged is %q, not ask, always or never", a)
	}
	if c.Pack.CompressionLevel < 0 || c.Pack.CompressionLevel > 3 {
		return fmt.Errorf("compression_level %d is not between 0 and 3", c.Pack.CompressionLevel)
	}
	if c.Guard.MaxVanished < 0 || c.Guard.MaxVanished > 100 {
		return fmt.Errorf("max_vanished %d is no percentage", c.Guard.MaxVanished)
	}
	return nil
}

func (c *Config) routeID() (wire.RouteID, error) {
	id, err := wire.ParseRouteID(c.RouteID)
	if err != nil {
		return id, fmt.Errorf("route_id: %w", err)
	}
	return id, nil
}

func (c *Config) chunker() (chunk.Params, error) {
	pol, err := strconv.ParseUint(strings.TrimPrefix(c.Chunker.Polynomial, "0x"), 16, 64)
	if err != nil {
		return chunk.Params{}, fmt.Errorf("chunker.polynomial: %w", err)
	}
	p := chunk.Params{Polynomial: pol, Min: c.Chunker.Min, Max: c.Chunker.Max, AverageBits: c.Chunker.AverageBits}
	if err := p.Validate(); err != nil {
		return p, fmt.Errorf("chunker: %w", err)
	}
	return p, nil
}

// routeDir finds the state directory of a route; with no name, that of the only one.
func routeDir(state, name string) (string, error) {
	if state == "" {
		return "", exit.Errorf(exit.Usage, "no state directory given")
	}
	names, err := routeNames(state)
	if err != nil {
		return "", err
	}
	switch {
	case name != "":
		for _, n := range names {
			if n == name {
				return filepath.Join(state, "routes", n), nil
			}
		}
		return "", exit.Errorf(exit.NotFound, "no route %q at home; known: %s", name, orNone(names))
	case len(names) == 0:
		return "", exit.Errorf(exit.NotFound, "no route at home yet: make one with wl init")
	case len(names) > 1:
		return "", exit.Errorf(exit.Usage, "several routes: say which with --route (%s)", strings.Join(names, ", "))
	}
	return filepath.Join(state, "routes", names[0]), nil
}

func routeNames(state string) ([]string, error) {
	dirs, err := os.ReadDir(filepath.Join(state, "routes"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var names []string
	for _, d := range dirs {
		if _, err := os.Lstat(filepath.Join(state, "routes", d.Name(), configFile)); err == nil {
			names = append(names, d.Name())
		}
	}
	return names, nil
}

func loadConfig(dir string) (*Config, error) {
	name := filepath.Join(dir, configFile)
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	c, err := decodeConfig(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return c, nil
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
