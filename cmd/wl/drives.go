package main

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"waterlock/internal/exit"
	"waterlock/internal/home"
	"waterlock/internal/machine"
	"waterlock/internal/report"
)

// knownDrive is a drive that this machine has seen, or that carried shipments of one of its routes.
type knownDrive struct {
	ID, Label string
	Path      string    // where it was last; "" = this machine has never seen it, or has forgotten it
	LastSeen  time.Time // here, or packed
	Since     time.Time // when the oldest of the shipments aboard was packed; zero: none is
	Bytes     int64     // what the shipments aboard take
	Lost      bool
	Shipments []driveShipment // that no receipt has acknowledged in full, oldest first
}

// driveShipment is a shipment on a drive.
type driveShipment struct {
	Route    string
	Snapshot uint64 // 0: not finished
	Shipment string
	Time     time.Time
	Bytes    int64
	State    string
}

// knownDrives is all drives of the routes given, and those that this machine has seen, the one seen last first.
func knownDrives(s *session, routes []string) ([]*knownDrive, error) {
	byID := map[string]*knownDrive{}
	at := func(id string) *knownDrive {
		if byID[id] == nil {
			byID[id] = &knownDrive{ID: id}
		}
		return byID[id]
	}
	for _, name := range routes {
		r, err := home.Drives(home.DrivesOptions{State: s.state, Route: name, Report: s})
		if err != nil {
			return nil, err
		}
		for _, d := range r.Drives {
			k := at(d.ID)
			if !d.LastSeen.Before(k.LastSeen) {
				k.LastSeen, k.Label = d.LastSeen, d.Label
			}
			if k.Since.IsZero() || !d.Since.IsZero() && d.Since.Before(k.Since) {
				k.Since = d.Since
			}
			k.Bytes += d.Bytes
			k.Lost = k.Lost || d.Lost
		}
		for _, sh := range r.Shipments {
			k := at(sh.DriveID)
			k.Shipments = append(k.Shipments, driveShipment{r.Route, sh.Snapshot, sh.Shipment, sh.Time, sh.Bytes, sh.State})
		}
	}
	for _, d := range machine.Load(s.state).Drives {
		k := at(d.ID)
		k.Path = d.Path
		if !d.LastSeen.Before(k.LastSeen) {
			k.LastSeen, k.Label = d.LastSeen, d.Label
		}
	}
	var list []*knownDrive
	for _, k := range byID {
		if k.Path != "" || len(k.Shipments) > 0 { // else it was forgotten, and carries nothing
			list = append(list, k)
		}
	}
	slices.SortFunc(list, func(a, b *knownDrive) int { return cmp.Or(b.LastSeen.Compare(a.LastSeen), strings.Compare(a.ID, b.ID)) })
	return list, nil
}

// minDriveDigits is how many digits of a drive's id are enough to name it.
const minDriveDigits = 4

// pickDrive finds the drive that a person means: by its label, else by the beginning of its id.
func pickDrive(list []*knownDrive, word string) (*knownDrive, error) {
	var match []*knownDrive
	for _, d := range list {
		if d.Label == word && word != "" {
			match = append(match, d)
		}
	}
	if id := strings.ToLower(word); len(match) == 0 && len(id) >= minDriveDigits {
		for _, d := range list {
			if strings.HasPrefix(d.ID, id) {
				match = append(match, d)
			}
		}
	}
	switch len(match) {
	case 1:
		return match[0], nil
	case 0:
		return nil, exit.Errorf(exit.NotFound, "no drive %q is known here; known: %s", word, namesOf(list))
	}
	return nil, exit.Errorf(exit.Usage, "several drives are called %q, say which by its id: %s", word, namesOf(match))
}

func namesOf(list []*knownDrive) string {
	if len(list) == 0 {
		return "none"
	}
	var names []string
	for _, d := range list {
		names = append(names, driveName(d.Label, d.ID)+", last seen "+when(d.LastSeen))
	}
	return strings.Join(names, "; ")
}

// tellNamesake points out that another drive has the label of a new one, and something that counts aboard: perhaps it is the same
// drive, formatted since.
func (s *session) tellNamesake(label, id string) {
	routes, err := machine.Routes(s.state)
	if err != nil || label == "" || len(routes) == 0 {
		return
	}
	list, err := knownDrives(s, routes)
	if err != nil {
		s.Verbose("%v", err)
		return
	}
	for _, d := range list {
		if d.Label == label && d.ID != id && d.Bytes > 0 && !d.Since.IsZero() {
			s.Warn("%s has that label, too, and %s aboard since %s. If this is that drive, formatted anew: wl drive lost %s",
				driveName(d.Label, d.ID), report.Size(d.Bytes), when(d.Since), short(d.ID))
		}
	}
}
