package snapshot

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func drawPath(t *rapid.T) string {
	return strings.Join(rapid.SliceOfN(rapid.Custom(drawName), 0, 4).Draw(t, "path"), "/")
}

// Tree order is the order of lists of names, compared name by name.
func TestComparePathsIsOrderOfNames(t *testing.T) {
	names := func(p string) []string {
		if p == "" {
			return nil
		}
		return strings.Split(p, "/")
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := drawPath(t), drawPath(t), drawPath(t)
		if got, want := ComparePaths(a, b), slices.Compare(names(a), names(b)); sign(got) != want {
			t.Fatalf("%q and %q: %d, want %d", a, b, got, want)
		}
		if sign(ComparePaths(a, b)) != -sign(ComparePaths(b, a)) {
			t.Fatalf("%q and %q: not antisymmetric", a, b)
		}
		if ComparePaths(a, b) <= 0 && ComparePaths(b, c) <= 0 && ComparePaths(a, c) > 0 {
			t.Fatalf("%q, %q, %q: not transitive", a, b, c)
		}
		if Under(a, b) && ComparePaths(a, b) < 0 {
			t.Fatalf("%q before %q, which it lies under", a, b)
		}
		if Under(a, b) != (len(names(a)) >= len(names(b)) && slices.Equal(names(a)[:len(names(b))], names(b))) {
			t.Fatalf("Under(%q, %q)", a, b)
		}
		if a != "" {
			parent, name := Split(a)
			if Join(parent, name) != a || Depth(a) != Depth(parent)+1 {
				t.Fatalf("%q falls into %q and %q", a, parent, name)
			}
		}
	})
}

func sign(n int) int { return min(1, max(-1, n)) }

func pathsOf(paths []string, failAt int, err error) *Peeker[string] {
	i := 0
	return NewPeeker(func() (string, error) {
		if i == failAt {
			failAt = -1
			return "", err
		}
		if i == len(paths) {
			return "", io.EOF
		}
		i++
		return paths[i-1], nil
	}, func(p string) string { return p })
}

func TestLockstepSeesEachPathOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(label string) []string {
			list := rapid.SliceOfDistinct(rapid.Custom(drawPath), rapid.ID).Draw(t, label)
			slices.SortFunc(list, ComparePaths)
			return list
		}
		a, b := draw("a"), draw("b")
		oops := errors.New("oops")
		errs := 0
		var gotA, gotB, all []string
		err := Lockstep(pathsOf(a, rapid.IntRange(-1, len(a)).Draw(t, "fail"), oops), pathsOf(b, -1, nil),
			func(path string, x string, hasA bool, y string, hasB bool) error {
				if hasA && x != path || hasB && y != path || !hasA && x != "" || !hasB && y != "" {
					t.Fatalf("%q with %q, %v and %q, %v", path, x, hasA, y, hasB)
				}
				all = append(all, path)
				if hasA {
					gotA = append(gotA, x)
				}
				if hasB {
					gotB = append(gotB, y)
				}
				return nil
			}, func(err error) error {
				if err != oops {
					t.Fatal(err)
				}
				errs++
				return nil
			})
		if err != nil || !slices.Equal(gotA, a) || !slices.Equal(gotB, b) || errs > 1 {
			t.Fatalf("%q of %q, %q of %q, %d errors, %v", gotA, a, gotB, b, errs, err)
		}
		if !slices.IsSortedFunc(all, ComparePaths) || len(slices.Compact(slices.Clone(all))) != len(all) {
			t.Fatalf("%q", all)
		}
	})
}

func TestLockstepRefusesDisorder(t *testing.T) {
	for _, paths := range [][]string{{"b", "a"}, {"a", "a"}, {"a.b", "a/b"}} {
		err := Lockstep(pathsOf(paths, -1, nil), pathsOf([]string{"c"}, -1, nil),
			func(string, string, bool, string, bool) error { return nil }, func(err error) error { return err })
		if !errors.Is(err, ErrOrder) {
			t.Errorf("%q: %v", paths, err)
		}
	}
}

func TestNames(t *testing.T) {
	for _, name := range []string{"", ".", "..", "a/b", "/", "a\x00", "\x00", strings.Repeat("a", 256)} {
		if ValidName(name) == nil || NameHere(name) == nil {
			t.Errorf("%q is accepted", name)
		}
	}
	for _, name := range []string{"a", "...", "..a", `..\name`, `c:\x`, "\xff", "a\nb", strings.Repeat("a", 255), "CON", "x."} {
		if err := ValidName(name); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{`..\name`, `a\b`, "c:", "x:stream", "CON", "con", "nul.txt", "COM1", "lpt9.x", "COM¹", "aux .c",
		"x.", "x ", "a\nb", "a*", "a?", "a|b", `a"`, "<", ">", "..."} {
		if nameOnWindows(name) == nil {
			t.Errorf("%q is accepted for Windows", name)
		}
	}
	for _, name := range []string{"a", "console", "COM10", "x.y", ".hidden", "é", "nul2", "a b"} {
		if err := nameOnWindows(name); err != nil {
			t.Error(err)
		}
	}
	for _, path := range []string{"/", "/a", "a/", "a//b", "a/../b", "./a", strings.Repeat("a/", MaxPath/2) + "b"} {
		if ValidPath(path) == nil {
			t.Errorf("path %.20q is accepted", path)
		}
	}
}
