//go:build unix

// Package model drives a home, three drives and a vault through random
// histories and holds them to a plain copy of everything that ever was.
//
// All of it is real: package home packs directories onto drive directories,
// package vault unpacks them, and what goes wrong is done to the files
// themselves. The model beside it is made of maps and of the standard library
// as far as that goes (package trees): what home was at each snapshot, which
// chunks lie in which record of which drive and which of these can still be
// read, what home may count on, what the vault can have. It knows the formats
// only as far as it must: chunks are cut and named by package chunk, commits,
// receipts and the tables of packs are read by their packages.
//
// After each step that changes the vault these are held:
//
//   - a restore of a snapshot gives what home was, byte and metadata, for every
//     path whose chunks can be there, and nothing else for any path;
//   - the mirror shows the newest snapshot, path by path, as far as its chunks
//     can be there, and never anything but a version of the path;
//   - the receipt names exactly what cannot be there: as wanted, or counted as
//     awaited where a shipment under way may bring it;
//   - its bits are set for what the vault has, and clear for what it has not;
//   - what somebody else wrote is still somewhere;
//   - what prune freed is nothing that home counts on, or that a snapshot under way
//     names and does not bring.
//
// And of each shipment: it carries the chunks that home has and may not count
// on, each once, and no other.
//
// At the end of a history everything works again, and a trip of each drive and
// one more make everything whole that home still has.
package model

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Histories in all where WL_HISTORIES does not say how many. The race detector makes each take three times as long.
const (
	ciHistories   = 300
	raceHistories = 10
	soakHistories = 5000
	shards        = 2 // run side by side
)

// maxRatio is what the data packs of all histories may take of the compressed
// bytes of the chunks that had to be carried: a record has 145 bytes beside its
// payload, a pack 192, and the chunks here have 20 KiB on average.
const maxRatio = 1.02

// soak says that histories may be long.
var soak = os.Getenv("WL_SOAK") != ""

func histories() int {
	if n, err := strconv.Atoi(os.Getenv("WL_HISTORIES")); err == nil && n > 0 {
		return n
	}
	if soak {
		return soakHistories
	}
	if raceDetector {
		return raceHistories
	}
	return ciHistories
}

func TestRandomHistoriesOfTheWholeLoop(t *testing.T) {
	want := histories()
	each := (want + shards - 1) / shards
	if f := flag.Lookup("rapid.checks"); f.Value.String() == f.DefValue {
		if err := f.Value.Set(strconv.Itoa(each)); err != nil {
			t.Fatal(err)
		}
	} else {
		want = 0 // somebody looks for something
	}
	begun := time.Now()
	var all tally
	t.Run("shards", func(t *testing.T) {
		for i := range shards {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				rapid.Check(t, func(rt *rapid.T) {
					m := newModel(rt)
					defer m.remove()
					m.history()
					all.add(&m.sum)
				})
			})
		}
	})
	if t.Failed() {
		return
	}
	t.Logf("%v\n%s", time.Since(begun).Round(time.Millisecond), all.String())
	if all.histories < want {
		t.Errorf("%d histories, want %d", all.histories, want)
	}
	if r := all.ratio(); r > maxRatio {
		t.Errorf("the data packs take %.4f of what had to be carried, at most %.2f is allowed", r, maxRatio)
	}
}

// tally is what happened in histories.
type tally struct {
	mu                              sync.Mutex
	histories, snapshots, shipments int
	restored                        int // snapshots compared
	done                            map[string]int
	data, needed, streams           int64 // bytes of data packs; of compressed chunks that had to be carried; of meta packs
	records                         int64 // in data packs
	unhealed                        int   // chunks wanted at the end that home no longer has
}

func (a *tally) add(b *tally) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.histories++
	a.snapshots += b.snapshots
	a.shipments += b.shipments
	a.restored += b.restored
	a.data += b.data
	a.needed += b.needed
	a.streams += b.streams
	a.records += b.records
	a.unhealed += b.unhealed
	if a.done == nil {
		a.done = map[string]int{}
	}
	for what, n := range b.done {
		a.done[what] += n
	}
}

func (a *tally) ratio() float64 { return float64(a.data) / float64(max(a.needed, 1)) }

func (a *tally) String() string {
	return fmt.Sprintf("%d histories, %d shipments, %d snapshots restored and compared\n"+
		"data packs %d bytes in %d records, chunks to be carried %d bytes: %.4f; streams %d bytes\n"+
		"at the end %d chunks wanted that home no longer has\n%v",
		a.histories, a.shipments, a.restored, a.data, a.records, a.needed, a.ratio(), a.streams, a.unhealed, a.done)
}

// history is one random history, from the first trip to the last.
func (m *model) history() {
	m.fillHome()
	m.pack(m.drives[0], trip{})
	m.join(m.drives[0])
	most := 14
	if soak {
		most = 40
	}
	steps := m.between("steps", 3, most)
	for range steps {
		m.step()
	}
	m.heal()
}

// step does one thing, as it is drawn.
func (m *model) step() {
	what := pick(m, "what", weighted)
	m.sum.done[what]++
	m.note("%s", what)
	actions[what](m)
}

// actions are what can happen, with the weights below.
var actions = map[string]func(*model){
	"edit":            (*model).editSome,
	"pack":            func(m *model) { m.pack(m.drawDrive(), m.drawTrip()) },
	"unpack":          func(m *model) { m.unpack(m.drawDrive(), toTheEnd, 0) },
	"cut pack":        func(m *model) { m.pack(m.drawDrive(), trip{how: m.drawCut(), at: m.drawMoment()}) },
	"cut unpack":      func(m *model) { m.unpack(m.drawDrive(), m.drawCut(), m.drawMoment()) },
	"damage drive":    (*model).damageDrive,
	"lose drive":      (*model).loseDrive,
	"find drive":      (*model).findDrive,
	"empty drive":     (*model).emptyDrive,
	"clear drive":     (*model).clearDrive,
	"rot":             (*model).rot,
	"foreign":         (*model).foreign,
	"verify":          (*model).verify,
	"lose index":      (*model).loseIndex,
	"save side":       (*model).saveSide,
	"roll back side":  (*model).rollBackSide,
	"unreadable file": (*model).unreadable,
	"prune":           (*model).prune,
	"mail receipt":    (*model).mailReceipt,
	"unmount tree":    (*model).unmount,
}

var weighted = func() (list []string) {
	for _, w := range []struct {
		what string
		n    int
	}{
		{"edit", 5}, {"pack", 5}, {"unpack", 5}, {"cut pack", 2}, {"cut unpack", 2}, {"damage drive", 2}, {"lose drive", 1},
		{"find drive", 1}, {"empty drive", 1}, {"clear drive", 1}, {"rot", 2}, {"foreign", 2}, {"verify", 1}, {"lose index", 1},
		{"save side", 1}, {"roll back side", 1}, {"unreadable file", 1}, {"prune", 3}, {"mail receipt", 1}, {"unmount tree", 1},
	} {
		for range w.n {
			list = append(list, w.what)
		}
	}
	return list
}()

// drawMoment draws when a run is cut off: at so many words to its reporter.
func (m *model) drawMoment() int { return m.between("moment", 1, 60) }

func (m *model) drawCut() cut { return pick(m, "how", []cut{cancel, kill}) }

func (m *model) drawDrive() *drive {
	return m.drives[m.roll("drive", len(m.drives))]
}

// What is drawn is drawn evenly: package rapid's own numbers are small for the most part, so that most of a long list of
// things that can happen would hardly ever do. It shrinks towards the first.

var bits = rapid.SliceOfN(rapid.Bool(), 8, 8)

// roll draws a number below n, at most 256.
func (m *model) roll(label string, n int) int {
	v := 0
	for _, bit := range bits.Draw(m.t, label) {
		v <<= 1
		if bit {
			v |= 1
		}
	}
	return v * n / 256
}

func (m *model) between(label string, least, most int) int {
	if most-least < 256 {
		return least + m.roll(label, most-least+1)
	}
	return least + int(m.offset(label, int64(most-least+1)))
}

// offset draws a place in something long.
func (m *model) offset(label string, n int64) int64 {
	v := rapid.Uint64().Draw(m.t, label)
	v = (v ^ v>>29) * 0xbf58476d1ce4e5b9
	return int64((v ^ v>>32) % uint64(n))
}

func (m *model) toss(label string) bool { return rapid.Bool().Draw(m.t, label) }

func pick[T any](m *model, label string, from []T) T { return from[m.roll(label, len(from))] }
