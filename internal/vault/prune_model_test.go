package vault

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"waterlock/internal/chunk"
	"waterlock/tests/trees"
)

// pruneModel is a home, a vault and some drives under random edits, packs, deliveries in any order and twice, prunes, runs cut
// short, and lost catalogs. Beside them it keeps a plain copy of what each snapshot was.
type pruneModel struct {
	*world
	r      *rand.Rand
	drives []string
	states map[uint64]trees.Tree // by number of the snapshot
	files  map[string]uint64     // path → seed of its content
	now    bool                  // a prune did not wait
	lost   bool                  // a shipment was lost
	log    []string
}

func (m *pruneModel) say(format string, a ...any) { m.log = append(m.log, fmt.Sprintf(format, a...)) }

func (m *pruneModel) fail(format string, a ...any) {
	m.t.Helper()
	for _, line := range m.log {
		m.t.Log(line)
	}
	m.t.Fatalf(format, a...)
}

// edit changes a few files; contents come back that were there before.
func (m *pruneModel) edit() {
	for range 1 + m.r.IntN(3) {
		name := fmt.Sprintf("f%d", m.r.IntN(6))
		path := filepath.Join(m.src, name)
		if m.r.IntN(5) == 0 {
			_ = os.Remove(path)
			delete(m.files, name)
			continue
		}
		seed := m.r.Uint64N(8)
		noise(m.t, path, 2000+int(seed)*9000, seed)
		m.files[name] = seed
	}
	m.say("files %v", m.files)
}

func (m *pruneModel) pack(drive int) {
	if m.home.importReceipt(m.drives[drive]) != nil {
		m.check("receipt taken home")
	}
	s := m.home.pack(m.drives[drive], trip{packSize: 30000})
	m.states[s.number] = take(m.t, m.src)
	m.say("snapshot %d packed onto drive %d, basis %d: %d chunks", s.number, drive, m.home.receipt, s.data)
}

// cut runs something with a context that may end at any moment.
func (m *pruneModel) cut(do func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	if m.r.IntN(4) == 0 {
		after := time.Duration(m.r.IntN(60)) * time.Millisecond
		timer := time.AfterFunc(after, cancel)
		defer timer.Stop()
		m.say("cut short after %v", after)
	}
	defer cancel()
	if err := do(ctx); err != nil && !errors.Is(err, context.Canceled) {
		m.fail("%v", err)
	}
}

func (m *pruneModel) unpack(drive int) {
	m.cut(func(ctx context.Context) error {
		r, err := Unpack(ctx, UnpackOptions{Vault: m.vault, Drive: m.drives[drive], Deletions: DeletionsApply, Report: m.reporter()})
		m.say("drive %d unpacked: receipt %d, condemned %d, freed %d, wants %d, awaited %d, %v", drive, r.Receipt, r.Condemned, r.FreedBytes, r.Wants, r.Awaited, err)
		if r.Damaged > 0 || r.Failed+r.Wants > 0 && !m.now && !m.lost {
			m.fail("unpack: %+v", r)
		}
		return err
	})
}

func (m *pruneModel) prune() {
	o := PruneOptions{Vault: m.vault, Report: m.reporter()}
	switch m.r.IntN(3) {
	case 0:
		o.Keep = Retention{Last: 1 + m.r.IntN(3)}
	case 1:
		known := m.known()
		for i, n := range known {
			if i < len(known)-1 && m.r.IntN(2) == 0 {
				o.Forget = append(o.Forget, fmt.Sprint(n))
			}
		}
	}
	o.Now = m.now && m.r.IntN(3) == 0
	m.cut(func(ctx context.Context) error {
		r, err := Prune(ctx, o)
		m.say("prune %+v %v now %v: forgotten %d, condemned %d (%d new), freed %d, receipt %d, %v", o.Keep, o.Forget, o.Now, r.Forgotten, r.Condemned, r.New, r.Freed, r.Receipt, err)
		return err
	})
}

func (m *pruneModel) known() (numbers []uint64) {
	m.look(func(v *vault) {
		for _, k := range v.commits.known {
			numbers = append(numbers, k.number)
		}
	})
	return numbers
}

// check compares what home counts on with what the vault has: a chunk that is gone must be one of which the newest own
// receipt tells, and only where a prune did not wait, or something was lost.
func (m *pruneModel) check(when string) {
	m.t.Helper()
	m.look(func(v *vault) {
		newest, _, err := newestReceipt(v.root, v.id, v.rep)
		must(m.t, err)
		told := map[chunk.ID]bool{}
		for _, c := range newest.Condemned {
			told[c.ID] = true
		}
		for _, w := range newest.Wants {
			told[w.ID] = true
		}
		for id := range m.home.held {
			has, err := v.store.Has(id)
			must(m.t, err)
			if !has && !(m.now && told[id]) {
				m.fail("%s: home counts on chunk %s, which is gone", when, id.Short())
			}
		}
	})
}

// restoreAll compares what is known and has arrived with the copies.
func (m *pruneModel) restoreAll() {
	m.t.Helper()
	for _, s := range m.snapshots() {
		if !s.Arrived {
			continue
		}
		target := filepath.Join(m.t.TempDir(), "back")
		r, err := m.tryRestore(RestoreOptions{Snapshot: fmt.Sprint(s.Number), Target: target})
		must(m.t, err)
		if diff := trees.Diff(m.states[s.Number], take(m.t, filepath.Join(target, "docs"))); len(diff) > 0 || r.Failed > 0 {
			m.fail("snapshot %d: %v, %+v", s.Number, diff, r)
		}
		must(m.t, os.RemoveAll(target))
	}
}

func (m *pruneModel) step() {
	drive := m.r.IntN(len(m.drives))
	switch m.r.IntN(12) {
	case 0, 1:
		m.edit()
	case 2, 3, 4:
		m.edit()
		m.pack(drive)
	case 5, 6, 7:
		m.unpack(drive)
	case 8, 9:
		m.prune()
	case 10:
		must(m.t, os.RemoveAll(filepath.Join(m.vault, indexDir)))
		m.say("the catalog is lost")
	case 11:
		if !m.now {
			return
		}
		m.lost = true
		for _, s := range m.home.sent {
			if s.drive == m.drives[drive] && !s.acked {
				m.home.lose(s)
				m.say("snapshot %d is lost", s.number)
			}
		}
		must(m.t, os.RemoveAll(filepath.Join(m.drives[drive], "waterlock", m.home.route.ID.String())))
	}
	m.check("step")
}

// TestPruningLosesNothing: whatever the order of things, what home counts on is there, a shipment that comes late finds all
// that it names, every snapshot that is kept comes back byte for byte, and in the end what nobody needs is gone. Half of
// the histories also have lost drives and prunes that do not wait: then what is gone must be what the receipt tells.
func TestPruningLosesNothing(t *testing.T) {
	if st, err := os.Stat("/dev/shm"); err == nil && st.IsDir() {
		t.Setenv("TMPDIR", "/dev/shm") // the catalog is opened at every step
	}
	histories := uint64(4)
	if os.Getenv("WL_SOAK") != "" {
		histories = 200
	}
	for seed := range histories {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			m := &pruneModel{world: newWorld(t), r: rand.New(rand.NewPCG(seed, 4)), states: map[uint64]trees.Tree{}, files: map[string]uint64{}, now: seed%2 == 1}
			for range 3 {
				m.drives = append(m.drives, newTestDrive(t))
			}
			m.edit()
			m.pack(0)
			m.join(m.drives[0])
			for range 24 {
				m.step()
			}
			m.restoreAll()
			m.settle()
		})
	}
}

// settle lets everything come, forgets all but the newest, and looks at what is left.
func (m *pruneModel) settle() {
	for _, drive := range m.drives {
		must(m.t, m.tryUnpack(drive))
	}
	for round := range 4 {
		for i, drive := range m.drives {
			m.pack(i)
			must(m.t, m.tryUnpack(drive))
		}
		if round == 1 {
			r := m.world.prune(PruneOptions{Keep: Retention{Last: 1}})
			m.say("settled: forgotten %d, condemned %d", r.Forgotten, r.Condemned)
		}
	}
	m.check("settled")
	m.restoreAll()
	list := m.snapshots()
	if newest := list[len(list)-1]; !newest.Whole {
		m.fail("the newest snapshot is not whole: %+v", newest)
	}
	// All that was condemned is freed, and what is named is there.
	m.look(func(v *vault) {
		newest, _, err := newestReceipt(v.root, v.id, v.rep)
		must(m.t, err)
		if len(newest.Condemned) > 0 {
			m.fail("%d chunks are condemned still", len(newest.Condemned))
		}
		named := map[chunk.ID]bool{}
		unread, err := v.eachNamed(context.Background(), v.commits.known, func(id chunk.ID) error { named[id] = true; return nil })
		if err != nil || len(unread) > 0 {
			m.fail("%v %v", unread, err)
		}
		for id := range named {
			if has, err := v.store.Has(id); err != nil || !has && !m.lost { // home may not have it any more
				m.fail("chunk %s: %v, %v", id.Short(), has, err)
			}
		}
	})
	if r := m.verify(VerifyOptions{}); !r.Sound() && !m.lost {
		m.fail("verify: %+v", r)
	}
}

func (m *pruneModel) tryUnpack(drive string) error {
	_, err := Unpack(context.Background(), UnpackOptions{Vault: m.vault, Drive: drive, Deletions: DeletionsApply, Report: m.reporter()})
	return err
}
