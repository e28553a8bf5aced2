package home

import (
	"encoding/json"
	"time"

	"waterlock/internal/courier"
)

// pace is what the last runs of Pack showed of one drive, for wl plan. It lies in the ledger, beside what else may be lost.
type pace struct {
	Total int64     // size of the drive
	At    time.Time // of the last run
	// Of the last run that read enough to tell: from the first byte read to the end of the read-back.
	Read int64
	Took time.Duration
}

// leastPace is how many bytes a run must have read before its speed says something.
const leastPace = 64 << 20

func paceKey(id courier.DriveID) string { return "pace " + id.String() }

// pace returns what is known of a drive, nil if nothing is.
func (b *books) pace(id courier.DriveID) (*pace, error) {
	data, err := b.ledger.Meta(paceKey(id))
	if err != nil || data == nil {
		return nil, err
	}
	p := new(pace)
	if json.Unmarshal(data, p) != nil {
		return nil, nil // of another version: the next run writes it anew
	}
	return p, nil
}

// notePace writes down what this run showed.
func (r *run) notePace() error {
	p, err := r.books.pace(r.drive.ID())
	if err != nil {
		return err
	}
	if p == nil {
		p = new(pace)
	}
	space, err := r.drive.FS().Free()
	if err != nil {
		return err
	}
	p.Total, p.At = space.Total, r.site.now().UTC()
	if r.res.BytesRead >= leastPace {
		p.Read, p.Took = r.res.BytesRead, r.site.now().Sub(r.reading)
	}
	data, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return r.books.ledger.SetMeta(paceKey(r.drive.ID()), data)
}

// speed is bytes a second; 0: not measured.
func (p *pace) speed() float64 {
	if p == nil || p.Took <= 0 {
		return 0
	}
	return float64(p.Read) / p.Took.Seconds()
}
