package snapshot

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"waterlock/internal/disk"
)

// items reads a stream with its tombstones, as "path state" each.
func items(t testing.TB, rec TreeRecord, m memory) (list []string) {
	t.Helper()
	r := NewStreamReader(rec, m)
	for {
		e, err := r.NextItem()
		if err == io.EOF {
			return list
		}
		must(t, err)
		must(t, validItem(e))
		list = append(list, e.Path+" "+e.Gone.String())
	}
}

func dir(path string) *Entry  { return &Entry{Path: path, Kind: disk.KindDir} }
func file(path string) *Entry { return &Entry{Path: path, Kind: disk.KindFile} }

func gone(path string, g Gone) *Entry { return &Entry{Path: path, Kind: disk.KindDir, Gone: g} }

// A tombstone stands for all beneath it that has none of its own; what is confirmed needs none but above others.
func TestTombstonesStandForWhatLiesBeneath(t *testing.T) {
	for name, c := range map[string]struct {
		add  []*Entry
		want []string
	}{
		"one for a directory": {
			[]*Entry{dir(""), gone("d", Undecided), gone("d/a", Undecided), gone("d/a/x", Undecided), gone("d/b", Undecided), file("e")},
			[]string{" here", "d undecided", "e here"}},
		"of its own beneath": {
			[]*Entry{dir(""), gone("d", Undecided), gone("d/a", Kept), gone("d/a/x", Kept), gone("d/b", Undecided), gone("d/c", Excluded)},
			[]string{" here", "d undecided", "d/a kept", "d/c excluded"}},
		"undecided in kept": {
			[]*Entry{dir(""), gone("d", Kept), gone("d/a", Undecided), gone("d/a/x", Kept)},
			[]string{" here", "d kept", "d/a undecided", "d/a/x kept"}},
		"confirmed alone": {
			[]*Entry{dir(""), gone("d", Confirmed), gone("d/a", Confirmed), file("e")},
			[]string{" here", "e here"}},
		"confirmed above another": {
			[]*Entry{dir(""), dir("d"), gone("d/e/f/x", Kept), gone("d/e/g", Kept), file("d/h")},
			[]string{" here", "d here", "d/e confirmed", "d/e/f confirmed", "d/e/f/x kept", "d/e/g kept", "d/h here"}},
		"confirmed in kept": {
			[]*Entry{dir(""), gone("d", Kept), gone("d/a/b", Confirmed)},
			[]string{" here", "d kept", "d/a kept", "d/a/b confirmed"}},
		"beside an entry": {
			[]*Entry{dir(""), dir("d"), gone("d/a", Kept), file("d/b"), gone("d/c", Kept), file("e")},
			[]string{" here", "d here", "d/a kept", "d/b here", "d/c kept", "e here"}},
	} {
		m := memory{}
		rec, err := m.write(c.add)
		must(t, err)
		if got := items(t, rec, m); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// Who does not ask for tombstones sees none, and they count as nothing.
func TestTombstonesArePassedOver(t *testing.T) {
	m := memory{}
	rec, err := m.write(graveTree())
	must(t, err)
	plain, err := memory{}.write(append(smallTree(), dir("g")))
	must(t, err)
	if rec.Totals != plain.Totals {
		t.Errorf("totals %+v, want %+v", rec.Totals, plain.Totals)
	}
	got, gaps, err := readAll(NewStreamReader(rec, m))
	must(t, err)
	if len(gaps) != 0 || len(got) != len(smallTree())+1 {
		t.Errorf("%d entries, gaps %v", len(got), gaps)
	}
	for _, path := range []string{"e", "e/kept", "f"} {
		if e, err := NewStreamReaderAt(rec, m, path).Next(); err != nil || e.Path != "g" {
			t.Errorf("%q finds %+v, %v", path, e, err)
		}
	}
}

func TestNothingLivesUnderATombstone(t *testing.T) {
	for _, bad := range [][]*Entry{
		{gone("", Kept)},
		{dir(""), gone("d", Kept), file("d/a")},
		{dir(""), gone("d", Kept), gone("d/e", Undecided), file("d/f")},
		{dir(""), file("d"), gone("d/a", Kept)},
		{dir(""), gone("d", Excluded+1)},
		{dir(""), {Path: "d", Kind: disk.KindDir, Gone: Kept, Mode: 1}},
	} {
		if _, err := (memory{}).write(bad); err == nil {
			t.Errorf("%v was written", bad[len(bad)-1].Path)
		}
	}
	if err := gone("d", Kept).Validate(); !errors.Is(err, ErrEntry) {
		t.Errorf("a tombstone is an entry: %v", err)
	}
}

// Millions of them are written and read with constant memory, as entries are; a chunk that begins in the midst of them
// decodes alone.
func TestManyTombstonesAreStreamed(t *testing.T) {
	m := memory{}
	tree := []*Entry{dir(""), gone("d", Undecided)}
	for i := range 20_000 {
		tree = append(tree, gone(fmt.Sprintf("d/%06d", i), Kept+Gone(i%2)))
	}
	rec, err := m.write(tree)
	must(t, err)
	if len(rec.Chunks) < 3 {
		t.Fatalf("%d chunks", len(rec.Chunks))
	}
	if got := items(t, rec, m); len(got) != len(tree) {
		t.Errorf("%d items, want %d", len(got), len(tree))
	}
	for _, ref := range rec.Chunks {
		if checkChunk(t, m[ref.ID], ref) == 0 {
			t.Errorf("the chunk at %q does not decode", ref.FirstPath)
		}
	}
}
