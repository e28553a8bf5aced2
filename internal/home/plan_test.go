package home

import (
	"context"
	"testing"
	"time"

	"waterlock/internal/exit"
)

func (w *world) plan(o PlanOptions) PlanResult {
	w.t.Helper()
	res, err := w.site().plan(context.Background(), o)
	must(w.t, err)
	return res
}

// plan deals so many bytes out to drives.
func dealt(t *testing.T, carry int64, drives ...PlanDrive) PlanResult {
	t.Helper()
	res := PlanResult{ToCarry: carry, Drives: drives}
	must(t, res.planTrips())
	return res
}

func TestTripsTakeTurns(t *testing.T) {
	red := PlanDrive{Label: "red", First: 10, Later: 30, Speed: 1}
	blue := PlanDrive{Label: "blue", First: 0, Later: 20, Speed: 2}
	for _, c := range []struct {
		name   string
		carry  int64
		drives []PlanDrive
		want   []PlanTrip
	}{
		{"nothing", 0, []PlanDrive{red}, nil},
		{"no drive", 5, nil, nil},
		{"one trip", 7, []PlanDrive{red}, []PlanTrip{{"", "red", 7, 7 * time.Second}}},
		{"what is aboard leaves less room at first", 45, []PlanDrive{red}, []PlanTrip{{"", "red", 10, 10 * time.Second}, {"", "red", 30, 30 * time.Second}, {"", "red", 5, 5 * time.Second}}},
		{"a full drive waits for its next turn", 65, []PlanDrive{red, blue},
			[]PlanTrip{{"", "red", 10, 10 * time.Second}, {"", "red", 30, 30 * time.Second}, {"", "blue", 20, 10 * time.Second}, {"", "red", 5, 5 * time.Second}}},
	} {
		res := dealt(t, c.carry, c.drives...)
		if len(res.Trips) != len(c.want) {
			t.Errorf("%s: %v", c.name, res.Trips)
			continue
		}
		for i := range c.want {
			if res.Trips[i] != c.want[i] {
				t.Errorf("%s: trip %d is %v, not %v", c.name, i, res.Trips[i], c.want[i])
			}
		}
	}
	if res := dealt(t, 1000, PlanDrive{First: 10, Later: 10}); len(res.Trips) != maxPlanTrips || res.More != 100-maxPlanTrips {
		t.Errorf("%d trips and %d more", len(res.Trips), res.More)
	}
	res := PlanResult{ToCarry: 5, Drives: []PlanDrive{{}}}
	if err := res.planTrips(); err == nil {
		t.Error("a drive without room takes trips")
	}
}

// What a plan says is to be carried is what the trips carry; what was carried is not planned again.
func TestAPlanIsWhatThePacksCarry(t *testing.T) {
	w := newWorld(t, "docs", "films")
	w.opts.PackSize = 64 << 10
	w.write("a", 300<<10, 1)
	w.write("b", 500<<10, 2)
	settleClock()
	if res := w.plan(PlanOptions{}); len(res.Drives) != 0 || len(res.Trips) != 0 || res.ToCarry != 800<<10 {
		t.Errorf("before any trip: %+v", res)
	}
	// the reserve of the settings is a GiB
	res := w.plan(PlanOptions{Capacity: 2<<30 + 8<<20, Reserve: 2 << 30})
	if len(res.Trips) != 1 || res.Trips[0].Bytes != 800<<10 || res.ToReadFiles != 2 || res.Trips[0].Took != 0 {
		t.Errorf("%+v", res)
	}
	d := w.small(1000<<10, 0)
	plan := w.plan(PlanOptions{Drive: "here"})
	if len(plan.Trips) < 2 || plan.Drives[0].Label != "small" {
		t.Fatalf("%+v", plan)
	}
	before := d.used()
	if w.plan(PlanOptions{Drive: "here"}); d.used() != before {
		t.Error("planning writes onto the drive")
	}
	packed := w.pack()
	if first := plan.Trips[0].Bytes; packed.BytesNew > first || packed.BytesNew < first-first/4 {
		t.Errorf("planned %d bytes for the first trip, carried %d", first, packed.BytesNew)
	}
	// Now the size of the drive is known. It is full until the vault has taken it; the few KiB left may be a
	// trip of their own.
	after := w.plan(PlanOptions{})
	if after.ToCarry != packed.PendingBytes || len(after.Drives) != 1 || after.Drives[0].First > 16<<10 || len(after.Trips) < 1 || len(after.Trips) > 2 {
		t.Errorf("%d bytes are pending: %+v", packed.PendingBytes, after)
	}
	if after.Snapshot != 1 || after.Files != 2 || len(after.Trees) != 2 {
		t.Errorf("%+v", after)
	}
}

// The speed of the last run that read enough is that of the next.
func TestPackingTimesAreThoseOfTheLastRun(t *testing.T) {
	w := newWorld(t)
	w.write("a", leastPace, 1)
	settleClock()
	s := w.site()
	now := time.Now()
	s.now = func() time.Time { now = now.Add(time.Second); return now }
	_, err := s.pack(context.Background(), w.opts)
	must(t, err)
	w.write("b", 1<<20, 2)
	w.pack() // too little to tell
	w.write("c", leastPace/2, 3)
	res := w.plan(PlanOptions{Capacity: 4 << 30})
	speed := res.Drives[0].Speed
	if speed <= 0 || speed > leastPace/2 {
		t.Fatalf("speed %v", speed)
	}
	if want := float64(leastPace/2) / speed; res.Took.Seconds() < want-1 || res.Took.Seconds() > want+1 {
		t.Errorf("packing takes %v, %.0f s at %.0f bytes a second", res.Took, want, speed)
	}
}

func TestAPlanThatMakesNoSenseIsRefused(t *testing.T) {
	_, err := Plan(context.Background(), PlanOptions{State: t.TempDir()})
	if exit.Of(err) != exit.NotFound {
		t.Errorf("no route: %v", err)
	}
	w := newWorld(t)
	w.write("a", 1<<10, 1)
	s := w.site()
	_, err = s.plan(context.Background(), PlanOptions{Capacity: 1 << 20, Reserve: -1}) // less than the reserve
	if exit.Of(err) != exit.Fatal {
		t.Errorf("a drive without room: %v", err)
	}
}
