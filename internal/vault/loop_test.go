package vault

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"waterlock/tests/trees"
)

// The whole loop under random mishaps: two drives, changes at home, packs damaged or missing, a drive lost, the index lost,
// bytes of the vault rotten. No wrong byte ever comes back; and once the mishaps end, a few trips make everything whole that
// home still has.
func TestTheLoopSurvivesMishaps(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		names := []string{"a", "b", "c/d", "c/e", "f"}
		for i, name := range names {
			noise(t, filepath.Join(w.src, name), 4000+i*3000, uint64(i))
		}
		drives := []string{newTestDrive(t), newTestDrive(t)}
		var states []trees.Tree
		pack := func(drive string) *sentShipment {
			w.home.importReceipt(drive)
			states = append(states, take(t, w.src))
			return w.home.pack(drive, trip{packSize: 12000})
		}
		pack(drives[0])
		w.join(drives[0])
		steps := rapid.IntRange(3, 10).Draw(rt, "steps")
		for step := range steps {
			drive := drives[rapid.IntRange(0, 1).Draw(rt, "drive")]
			switch what := rapid.SampledFrom([]string{"change", "change", "pack", "pack and damage", "unpack", "unpack", "lose", "index", "rot"}).Draw(rt, "what"); what {
			case "change":
				name := filepath.Join(w.src, rapid.SampledFrom(names).Draw(rt, "name"))
				switch rapid.SampledFrom([]string{"write", "edit", "remove"}).Draw(rt, "change") {
				case "write":
					noise(t, name, rapid.IntRange(1, 20000).Draw(rt, "size"), uint64(100+step))
				case "edit":
					if b, err := os.ReadFile(name); err == nil {
						must(t, os.WriteFile(name, append(b, byte(step)), 0o600))
					}
				case "remove":
					_ = os.Remove(name)
				}
			case "pack":
				pack(drive)
			case "pack and damage":
				dir := w.shipmentDir(pack(drive))
				if files, _ := filepath.Glob(filepath.Join(dir, "*.*")); len(files) > 0 {
					file := rapid.SampledFrom(files).Draw(rt, "file")
					if rapid.Bool().Draw(rt, "missing") {
						must(t, os.Remove(file))
					} else if st, err := os.Stat(file); err == nil {
						flip(t, file, rapid.Int64Range(0, st.Size()-1).Draw(rt, "at"))
					}
				}
			case "unpack":
				w.unpack(drive, DeletionsApply)
			case "lose":
				for _, s := range w.home.sent {
					if s.drive == drive && !s.acked {
						w.home.lose(s)
					}
				}
				must(t, os.RemoveAll(filepath.Join(drive, "waterlock", w.home.route.ID.String())))
			case "index":
				must(t, os.RemoveAll(filepath.Join(w.vault, indexDir)))
			case "rot":
				var files []string
				_ = filepath.WalkDir(w.vault, func(path string, d fs.DirEntry, err error) error {
					rel, _ := filepath.Rel(w.vault, path)
					if err == nil && d.Type().IsRegular() && (strings.HasPrefix(rel, "docs") || strings.HasPrefix(rel, filepath.FromSlash(".wl/packs"))) {
						files = append(files, path)
					}
					return nil
				})
				if len(files) > 0 {
					file := rapid.SampledFrom(files).Draw(rt, "rotten")
					if st, err := os.Stat(file); err == nil && st.Size() > 0 {
						flip(t, file, rapid.Int64Range(0, st.Size()-1).Draw(rt, "at"))
					}
					w.verify(VerifyOptions{})
				}
			}
		}

		// Then everything works. What was unpacked and is not on the receipt is lost: its commit is damaged.
		for range 4 {
			for _, drive := range drives {
				w.unpack(drive, DeletionsApply)
				w.home.importReceipt(drive)
				for _, s := range w.home.sent {
					if s.drive == drive && !s.acked {
						w.home.lose(s)
					}
				}
				pack(drive)
				w.unpack(drive, DeletionsApply)
			}
		}
		if diff := trees.Diff(asMirror(states[len(states)-1]), take(t, w.mirror())); len(diff) > 0 {
			rt.Fatalf("mirror: %v", diff)
		}
		list := w.snapshots()
		if s := list[len(list)-1]; !s.Whole {
			rt.Fatalf("the newest snapshot is not whole: %+v", s)
		}
		for _, s := range list {
			target := filepath.Join(t.TempDir(), "back")
			r, err := w.tryRestore(RestoreOptions{Snapshot: fmt.Sprint(s.Number), Target: target})
			must(t, err)
			want, back := states[s.Number-1], filepath.Join(target, "docs")
			if s.Whole {
				if diff := trees.Diff(want, take(t, back)); len(diff) > 0 || r.Failed > 0 {
					rt.Fatalf("snapshot %d: %v, %+v", s.Number, diff, r)
				}
				continue
			}
			if _, err := os.Stat(back); err != nil {
				continue
			}
			for path, f := range take(t, back) {
				if f.Mode.IsRegular() && f.Content != want[path].Content {
					rt.Fatalf("snapshot %d: %s came back wrong", s.Number, path)
				}
			}
		}
	})
}
