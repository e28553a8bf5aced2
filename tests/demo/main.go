// Command demo does the main job of wl for real, in the directory demo/ of the
// checkout: the Go toolchain's own sources travel on a drive directory to a
// vault, are changed, travel again, and come back as they were.
//
// Run it with "make demo". It needs nothing but Go.
package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"waterlock/tests/trees"
)

func main() {
	d := &demo{begun: time.Now()}
	if err := d.run(); err != nil {
		fmt.Fprintf(os.Stderr, "\nThe demo failed: %v\n", err)
		os.Exit(1)
	}
}

type demo struct {
	begun                              time.Time
	root, wl                           string
	home, drive, vault, state1, state2 string
	first, second                      trees.Tree
}

// run is the story from beginning to end.
func (d *demo) run() error {
	for _, step := range []func() error{
		d.prepare, d.firstTrip, d.change, d.secondTrip, d.restoreFirst, d.restoreOne, d.readBack, d.tellStatus,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	fmt.Printf("\nDone in %s. All of it lies in demo/; the next run begins by deleting it.\n", time.Since(d.begun).Round(100*time.Millisecond))
	fmt.Println("In real life the two halves are two machines, and the drive is a disk that you carry: see README.md, \"The first real trip\".")
	return nil
}

func (d *demo) prepare() error {
	wd, err := os.Getwd()
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(wd, "cmd", "wl")); err != nil {
		return fmt.Errorf("run this from the top of the checkout, with make demo: %w", err)
	}
	d.root = filepath.Join(wd, "demo")
	if err := removeAll(d.root); err != nil {
		return err
	}
	// A module of its own: the sources in here are no packages of ours.
	if err := os.MkdirAll(d.root, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(d.root, "go.mod"), []byte("module demo\n"), 0o644); err != nil {
		return err
	}
	d.home = filepath.Join(d.root, "home", "gosrc")
	d.drive = filepath.Join(d.root, "drive")
	d.vault = filepath.Join(d.root, "vault")
	d.state1 = filepath.Join(d.root, "state-home")
	d.state2 = filepath.Join(d.root, "state-vault")
	if err := os.MkdirAll(d.drive, 0o755); err != nil {
		return err
	}

	say("Building wl, and copying Go's own sources as the files of a home server.")
	d.wl = filepath.Join(d.root, "wl"+exeSuffix())
	if err := quietly("go", "build", "-o", d.wl, "./cmd/wl"); err != nil {
		return err
	}
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return fmt.Errorf("go env GOROOT: %w", err)
	}
	if err := copyTree(filepath.Join(strings.TrimSpace(string(goroot)), "src"), d.home); err != nil {
		return err
	}
	if err := decorate(d.home); err != nil {
		return err
	}
	if d.first, err = trees.Take(d.home, trees.Options{}); err != nil {
		return err
	}
	fmt.Printf("The home holds %s in %s.\n", count(d.first), rel(d.home))
	return nil
}

func (d *demo) firstTrip() error {
	say("At home: a route over that directory, a courier drive, and the first pack.")
	if err := d.atHome("init", "--name", "demo", d.home); err != nil {
		return err
	}
	if err := d.atHome("drive", "init", d.drive, "--label", "demo-drive"); err != nil {
		return err
	}
	if err := d.atHome("pack", "--drive", d.drive, "--reserve", "64MiB"); err != nil {
		return err
	}
	say("The drive travels. At the vault: join the route, and unpack.")
	if err := d.atVault("vault", "init", d.vault, "--drive", d.drive); err != nil {
		return err
	}
	if err := d.atVault("unpack", "--drive", d.drive); err != nil {
		return err
	}
	return d.compare("the vault's mirror", d.first, filepath.Join(d.vault, "gosrc"))
}

// change does to the home what a month does.
func (d *demo) change() error {
	say("A month passes at home: an edit in the middle of a file, new files, a rename, deletions.")
	var err error
	do := func(what string, f func() error) {
		if err == nil {
			if err = f(); err == nil {
				fmt.Println("  - " + what)
			}
		}
	}
	at := func(p string) string { return filepath.Join(d.home, filepath.FromSlash(p)) }
	do("64 KiB are inserted in the middle of an 16 MiB file", func() error {
		data, err := os.ReadFile(at("demo/large.bin"))
		if err != nil {
			return err
		}
		mid := len(data) / 2
		return os.WriteFile(at("demo/large.bin"), bytes.Join([][]byte{data[:mid], noise(7, 64<<10), data[mid:]}, nil), 0o644)
	})
	do("the directory strings is renamed to words", func() error { return os.Rename(at("strings"), at("words")) })
	do("the directory testing is deleted", func() error { return os.RemoveAll(at("testing")) })
	do("a line is added to fmt/print.go", func() error { return appendTo(at("fmt/print.go"), "// changed at home\n") })
	do("a new file comes", func() error { return os.WriteFile(at("demo/new.txt"), []byte("a letter\n"), 0o600) })
	do("a mode changes", func() error { return os.Chmod(at("make.bash"), 0o700) })
	if err != nil {
		return err
	}
	d.second, err = trees.Take(d.home, trees.Options{})
	return err
}

func (d *demo) secondTrip() error {
	say("The drive is home again: pack reads the receipt and carries only what the vault lacks.")
	before, err := sizeOf(d.drive)
	if err != nil {
		return err
	}
	if err := d.atHome("pack", "--drive", d.drive, "--reserve", "64MiB"); err != nil {
		return err
	}
	after, err := sizeOf(d.drive)
	if err != nil {
		return err
	}
	if grown := after - before; grown > 0 {
		fmt.Printf("The second trip put %s onto the drive.\n", humanize.IBytes(uint64(grown)))
	}
	say("At the vault: unpack, with the deletions.")
	if err := d.atVault("unpack", "--deletions", "apply"); err != nil {
		return err
	}
	if err := d.compare("the vault's mirror", d.second, filepath.Join(d.vault, "gosrc")); err != nil {
		return err
	}
	return d.atVault("snapshots")
}

func (d *demo) restoreFirst() error {
	say("Somebody wants the state of a month ago: restore of snapshot 1.")
	target := filepath.Join(d.root, "restored")
	if err := d.atVault("restore", "--snapshot", "1", "--target", target); err != nil {
		return err
	}
	return d.compare("the restored first state", d.first, filepath.Join(target, "gosrc"))
}

func (d *demo) restoreOne() error {
	say("And one deleted file alone, from the same snapshot.")
	target := filepath.Join(d.root, "one-file")
	if err := d.atVault("restore", "gosrc/testing/testing.go", "--snapshot", "1", "--target", target); err != nil {
		return err
	}
	got, err := os.ReadFile(filepath.Join(target, "gosrc", "testing", "testing.go"))
	if err != nil {
		return err
	}
	want, err := os.ReadFile(filepath.Join(d.root, "restored", "gosrc", "testing", "testing.go"))
	if err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("the one restored file differs")
	}
	return nil
}

func (d *demo) readBack() error {
	say("Everything in the vault is read back once more.")
	return d.atVault("verify", "--vault", d.vault)
}

func (d *demo) tellStatus() error {
	say("How home and vault stand.")
	if err := d.atHome("status"); err != nil {
		return err
	}
	fmt.Println()
	return d.atVault("status")
}

// compare takes the state of dir and fails on any difference: content, mode,
// owner, times to the nanosecond, links, attributes.
func (d *demo) compare(what string, want trees.Tree, dir string) error {
	got, err := trees.Take(dir, trees.Options{})
	if err != nil {
		return err
	}
	if diff := trees.Diff(want, got); len(diff) > 0 {
		return fmt.Errorf("%s differs in %d paths:\n  %s", what, len(diff), strings.Join(diff[:min(10, len(diff))], "\n  "))
	}
	fmt.Printf("=> Compared: %s equals home as it was then, %s, to the last byte, mode, time and link.\n", what, count(want))
	return nil
}

func (d *demo) atHome(args ...string) error  { return d.run1("home", d.state1, args) }
func (d *demo) atVault(args ...string) error { return d.run1("vault", d.state2, args) }

// run1 runs wl as one of the two machines: each has a state of its own.
func (d *demo) run1(machine, state string, args []string) error {
	shown := make([]string, len(args))
	for i, a := range args {
		shown[i] = rel(a)
	}
	fmt.Printf("\n[%s] $ wl %s\n", machine, strings.Join(shown, " "))
	cmd := exec.Command(d.wl, args...)
	cmd.Env = append(withoutOurs(os.Environ()), "WL_STATE="+state)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("wl %s: %w", strings.Join(shown, " "), err)
	}
	return nil
}

func withoutOurs(env []string) []string {
	var out []string
	for _, e := range env {
		if !strings.HasPrefix(e, "WL_") {
			out = append(out, e)
		}
	}
	return out
}

func say(text string) { fmt.Printf("\n## %s\n", text) }

func count(t trees.Tree) string {
	n, bytes := t.Count()
	return fmt.Sprintf("%s files, %s", humanize.Comma(int64(n)), humanize.IBytes(uint64(bytes)))
}

func rel(path string) string {
	if wd, err := os.Getwd(); err == nil && filepath.IsAbs(path) {
		if r, err := filepath.Rel(wd, path); err == nil && !strings.HasPrefix(r, "..") {
			return r
		}
	}
	return path
}

func exeSuffix() string {
	if runtime.GOOS == "windows" {
		return ".exe"
	}
	return ""
}

func quietly(name string, args ...string) error {
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return nil
}

func appendTo(path, text string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, text)
	if err2 := f.Close(); err == nil {
		err = err2
	}
	return err
}
