package vault

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"

	"waterlock/internal/courier"
	"waterlock/internal/disk"
)

const returnsDir = metaDir + "/returns"

var (
	homecomingName = regexp.MustCompile(`^[0-9a-f]{32}$`)
	returnFile     = regexp.MustCompile(`^([0-9a-f]{32})\.return$`)
)

const missingSuffix = ".missing"

// homecomingBooks are what the vault knows of one homecoming.
type homecomingBooks struct {
	landing *courier.Landing
	known   []*courier.Return // the oldest first
	missing map[courier.ReturnID]bool
}

// homecomings reads the books of all homecomings.
func (v *vault) homecomings() (list []homecomingBooks, err error) {
	names, err := v.root.ReadDir(returnsDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for i := range names.Len() {
		if !homecomingName.MatchString(names.At(i)) {
			continue
		}
		b, err := v.readBooks(returnsDir + "/" + names.At(i))
		if err != nil {
			return nil, err
		}
		list = append(list, b)
	}
	return list, nil
}

// goingHome are the numbers of the snapshots that have begun to go to a new home and have not come there in full.
func (v *vault) goingHome() (map[uint64]bool, error) {
	list, err := v.homecomings()
	numbers := map[uint64]bool{}
	for _, b := range list {
		if b.unfinished() {
			numbers[b.known[0].Snapshot.Number] = true
		}
	}
	return numbers, err
}

// unfinished tells whether a homecoming has begun and not come to its end.
func (b *homecomingBooks) unfinished() bool {
	return len(b.known) > 0 && (b.landing == nil || !b.landing.Complete)
}

// readBooks reads the books of one homecoming. What is damaged is named and counts as not there: that costs carrying.
func (v *vault) readBooks(dir string) (b homecomingBooks, err error) {
	b.missing = map[courier.ReturnID]bool{}
	names, err := v.root.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return b, nil
	}
	if err != nil {
		return b, err
	}
	for i := range names.Len() {
		m := returnFile.FindStringSubmatch(names.At(i))
		if m == nil {
			continue
		}
		name := dir + "/" + names.At(i)
		data, err := disk.ReadAll(v.root, name, courier.MaxReturn)
		var r *courier.Return
		if err == nil {
			r, err = courier.DecodeReturn(data)
		}
		if err == nil && (r.Route.ID != v.id || returnsDir+"/"+r.Homecoming().String() != dir || r.ID.String() != m[1]) {
			err = fmt.Errorf("%w: it belongs elsewhere", courier.ErrReturn)
		}
		if err != nil {
			v.rep.Problem(name, err)
			continue
		}
		b.known = append(b.known, r)
		_, b.missing[r.ID] = names.Find(m[1] + missingSuffix)
	}
	slices.SortStableFunc(b.known, func(a, b *courier.Return) int { return a.Time.Compare(b.Time) })
	if len(b.known) == 0 {
		return b, nil
	}
	landings, problems, err := courier.ReadLandings(v.root, dir, v.id, b.known[0].Homecoming())
	if err != nil {
		return b, err
	}
	for _, p := range problems {
		v.rep.Problem(dir, p)
	}
	if len(landings) > 0 {
		b.landing = landings[0].Landing
	}
	return b, nil
}

// openBooks learns from the vault and from the drive what has come and what is on its way. Returns on the drive that the
// new home has taken make room.
func (h *sending) openBooks() error {
	found, err := h.drive.Returns(h.v.id, h.id)
	if err != nil {
		return err
	}
	if err := h.takeLandings(); err != nil {
		return err
	}
	here := map[courier.ReturnID]bool{}
	for _, r := range found {
		for _, p := range r.Problems {
			h.rep.Problem(r.Path, p)
		}
		if r.Return == nil {
			continue
		}
		if h.landing.Took(r.ID) {
			if h.o.DryRun || h.landing.Complete { // then it is what the new home can join the route by
				continue
			}
			if err := h.drive.RemoveReturn(h.v.id, h.id, r.ID); err != nil {
				return err
			}
			h.result.Cleared++
			continue
		}
		if err := h.drive.HasPacks(r.Path, r.Return.Files); err != nil {
			h.rep.Problem(r.Path, fmt.Errorf("it is carried again: %w", err))
			if h.o.DryRun {
				continue
			}
			if err := h.drive.RemoveReturn(h.v.id, h.id, r.ID); err != nil {
				return err
			}
			continue
		}
		here[r.ID] = true
		if err := h.remember(r.Return, r.Bytes); err != nil {
			return err
		}
	}
	books, err := h.v.readBooks(h.dir)
	if err != nil {
		return err
	}
	h.known = books.known
	for _, r := range books.known {
		switch {
		case h.landing.Took(r.ID):
		case here[r.ID]:
			h.aboard = append(h.aboard, r.Brings)
		case books.missing[r.ID]:
		case r.Drive == h.drive.ID():
			h.result.Vanished++
			h.rep.Warn("return %s of %s is no longer on this drive: what it brought is carried again", r.ID.Short(), r.Time.Local().Format("2006-01-02 15:04"))
			if err := h.markMissing(r.ID); err != nil {
				return err
			}
		case h.o.Again:
			h.rep.Verbose("return %s on drive %s counts as lost", r.ID.Short(), r.DriveLabel)
		default:
			h.aboard = append(h.aboard, r.Brings)
		}
	}
	return nil
}

// takeLandings copies the landings on the drive to the vault, and finds the newest.
func (h *sending) takeLandings() error {
	onDrive, problems, err := h.drive.Landings(h.v.id, h.id)
	if err != nil {
		return err
	}
	for _, p := range problems {
		h.rep.Problem("landings on the drive", p)
	}
	own, problems, err := courier.ReadLandings(h.v.root, h.dir, h.v.id, h.id)
	if err != nil {
		return err
	}
	for _, p := range problems {
		h.rep.Problem(h.dir, p)
	}
	if len(own) > 0 {
		h.landing = own[0].Landing
	}
	if len(onDrive) == 0 || h.landing != nil && onDrive[0].Landing.Compare(h.landing) <= 0 {
		return nil
	}
	h.landing = onDrive[0].Landing
	if h.o.DryRun {
		return nil
	}
	if err := h.put(h.dir+"/"+onDrive[0].Name, onDrive[0].Bytes); err != nil {
		return err
	}
	return courier.PruneLandings(h.v.root, h.dir, h.landing, onDrive[0].Bytes)
}

// remember makes a return durable at the vault.
func (h *sending) remember(r *courier.Return, b []byte) error {
	if h.o.DryRun {
		return nil
	}
	return h.put(h.dir+"/"+r.ID.String()+".return", b)
}

func (h *sending) markMissing(id courier.ReturnID) error {
	if h.o.DryRun {
		return nil
	}
	return h.put(h.dir+"/"+id.String()+missingSuffix, nil)
}

// put is disk.Put where an equal file may be there already; a damaged one is put aside.
func (h *sending) put(name string, b []byte) error {
	if err := disk.MkdirAll(h.v.root, h.dir, 0o755); err != nil {
		return err
	}
	err := disk.Put(h.v.root, name, b)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	have, err := disk.ReadAll(h.v.root, name, courier.MaxReturn)
	if err == nil && bytes.Equal(have, b) {
		return nil
	}
	if err := h.v.root.Remove(name); err != nil {
		return err
	}
	return disk.Put(h.v.root, name, b)
}

// inLanding says what of a file is at the new home.
func (h *sending) inLanding(tree, path string) (whole bool, ranges []courier.Range) {
	if h.landing == nil {
		return false, nil
	}
	return h.landing.There.Of(tree, path)
}

// inAny says what of a file some covers have.
func inAny(covers []courier.Cover, tree, path string) (whole bool, ranges []courier.Range) {
	for _, c := range covers {
		w, r := c.Of(tree, path)
		if w {
			return true, nil
		}
		ranges = append(ranges, r...)
	}
	return false, ranges
}
