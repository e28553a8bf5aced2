package tests

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// summary is the last summary that wl --json printed.
func summary(t testing.TB, out string) map[string]any {
	t.Helper()
	var last map[string]any
	for line := range strings.Lines(out) {
		var o map[string]any
		if json.Unmarshal([]byte(line), &o) == nil && o["message_type"] == "summary" {
			last = o
		}
	}
	if last == nil {
		t.Fatalf("no summary in:\n%s", out)
	}
	return last
}

// newDrive puts another drive in.
func (w *world) newDrive(name string) {
	w.t.Helper()
	w.drive = filepath.Join(w.dir, name)
	must(w.t, os.Mkdir(w.drive, 0o755))
	w.atHome("drive", "init", w.drive)
}

// vaultFile is the only file of the vault that a pattern matches.
func (w *world) vaultFile(pattern string) string {
	w.t.Helper()
	list, err := filepath.Glob(filepath.Join(w.vault, pattern))
	must(w.t, err)
	if len(list) != 1 {
		w.t.Fatalf("%s: %v", pattern, list)
	}
	return list[0]
}

// flipAt flips a bit and leaves the times as they were, as rot does.
func flipAt(t testing.TB, name string, off int64) {
	t.Helper()
	st, err := os.Stat(name)
	must(t, err)
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	must(t, err)
	var b [1]byte
	_, err = f.ReadAt(b[:], off)
	must(t, err)
	b[0] ^= 0x10
	_, err = f.WriteAt(b[:], off)
	must(t, err)
	must(t, f.Close())
	must(t, os.Chtimes(name, time.Time{}, st.ModTime()))
}

// Whatever goes wrong in the vault goes the whole loop: verify names it, the receipt asks for it, pack carries it first and
// nothing else, unpack puts it where it belongs, and verify finds the vault clean.
func TestDamageInTheVaultGoesTheWholeLoop(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	film := func(w *world) string { return filepath.Join(w.vault, "docs/film") }
	back := func(w *world) { noise(t, filepath.Join(w.home, "docs/found again"), 3*mib, 2) } // what the history has
	for name, c := range map[string]struct {
		limit  string // of the trip before the damage, which leaves a file of so many bytes to the next
		grows  int64
		damage func(t *testing.T, w *world)
		before func(w *world) // at home, before it serves
	}{
		"a file of the mirror rots":       {damage: func(t *testing.T, w *world) { flipAt(t, film(w), mib) }},
		"a file of the mirror is deleted": {damage: func(t *testing.T, w *world) { must(t, os.Remove(film(w))) }},
		"a file of the mirror is edited": {damage: func(t *testing.T, w *world) {
			f, err := os.OpenFile(film(w), os.O_RDWR, 0)
			must(t, err)
			_, err = f.WriteAt([]byte("a tag of the player"), mib)
			must(t, err)
			must(t, f.Close())
		}},
		"a file of the mirror is cut off": {damage: func(t *testing.T, w *world) { must(t, os.Truncate(film(w), mib)) }},
		"an old version rots":             {damage: func(t *testing.T, w *world) { flipAt(t, w.vaultFile(".wl/kept/*/*"), mib) }, before: back},
		"an old version is deleted":       {damage: func(t *testing.T, w *world) { must(t, os.Remove(w.vaultFile(".wl/kept/*/*"))) }, before: back},
		"a history pack rots": {limit: "4MiB", grows: 7 * mib, damage: func(t *testing.T, w *world) {
			flipAt(t, w.vaultFile(".wl/packs/*/*.pack"), 200_000) // a chunk has at least 512 KiB
		}},
		"a history pack is cut off": {limit: "4MiB", grows: 7 * mib, damage: func(t *testing.T, w *world) {
			must(t, os.Truncate(w.vaultFile(".wl/packs/*/*.pack"), 200_000))
		}},
		"a history pack is deleted": {limit: "4MiB", grows: 7 * mib, damage: func(t *testing.T, w *world) {
			must(t, os.Remove(w.vaultFile(".wl/packs/*/*.pack")))
		}},
		"a file that grows rots": {limit: "28MiB", grows: 40 * mib, damage: func(t *testing.T, w *world) {
			flipAt(t, w.vaultFile(".wl/staging/*.grow"), mib)
		}},
		"a file that grows is deleted": {limit: "28MiB", grows: 40 * mib, damage: func(t *testing.T, w *world) {
			must(t, os.Remove(w.vaultFile(".wl/staging/*.grow")))
		}},
		"the list of files rots":       {damage: func(t *testing.T, w *world) { flipAt(t, w.newestList(), 150) }},
		"the list of files is deleted": {damage: func(t *testing.T, w *world) { must(t, os.Remove(w.newestList())) }},
		"the list of files rots, and is another by now": {damage: func(t *testing.T, w *world) {
			flipAt(t, w.newestList(), 150)
		}, before: back},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorldInMemory(t)
			noise(t, filepath.Join(w.home, "docs/film"), 3*mib, 1)
			noise(t, filepath.Join(w.home, "docs/old"), 3*mib, 2)
			for i := range 8 {
				noise(t, filepath.Join(w.home, "docs/small", string(rune('a'+i))), 1000, uint64(10+i))
			}
			w.begin("docs")
			w.pack()
			w.joinAndUnpack()
			first := w.take("docs")
			must(t, os.Remove(filepath.Join(w.home, "docs/old")))
			if c.limit != "" {
				noise(t, filepath.Join(w.home, "docs/serial"), c.grows, 3)
				w.pack("--vanished", "propagate", "--limit", c.limit)
			} else {
				w.pack("--vanished", "propagate")
			}
			w.unpack()
			w.newDrive("another")

			c.damage(t, w)
			found := w.run(20, w.vState, "verify", "--vault", w.vault, "--json")
			s := summary(t, found)
			wanted := s["wanted_chunks"].(float64)
			if wanted == 0 || s["sound"] != false || len(s["damaged_snapshots"].([]any)) == 0 || len(s["lacks"].([]any)) == 0 {
				t.Fatalf("verify: %v", s)
			}
			cmd := w.cmd(w.vState, "unpack", "--drive", w.drive, "--vault", w.vault, "--deletions", "apply")
			if out, _ := cmd.CombinedOutput(); !strings.Contains(string(out), "asked for on the receipt") {
				t.Fatalf("unpack: %s", out)
			}
			if c.before != nil {
				c.before(w)
			}
			s = summary(t, w.pack("--json"))
			if s["wants"] != wanted || s["wants_served"] != wanted || len(s["unserved"].([]any)) != 0 {
				t.Fatalf("%v chunks wanted; pack: %v", wanted, s)
			}
			w.unpack()
			s = summary(t, w.atVault("verify", "--vault", w.vault, "--json"))
			if s["sound"] != true || s["wanted_chunks"] != 0.0 || s["lacking_chunks"] != 0.0 {
				t.Errorf("verify in the end: %v", s)
			}
			same(t, "mirror", w.take("docs"), filepath.Join(w.vault, "docs"))
			same(t, "snapshot 1", first, filepath.Join(w.restore("1"), "docs"))
			same(t, "latest", w.take("docs"), filepath.Join(w.restore("latest"), "docs"))
		})
	}
}

// newestList is the newest pack of stream chunks in the vault.
func (w *world) newestList() string {
	w.t.Helper()
	list, err := filepath.Glob(filepath.Join(w.vault, ".wl/packs/*/*.meta"))
	must(w.t, err)
	return slices.MaxFunc(list, func(a, b string) int { return strings.Compare(filepath.Base(a), filepath.Base(b)) })
}
