package tests

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const mostMemory = 256 << 20 // peak of anonymous memory

// measured runs wl, which must succeed, and returns its peak of anonymous
// resident memory, sampled; of a run too short for that all that was resident.
func (w *world) measured(state string, args ...string) int64 {
	w.t.Helper()
	var out bytes.Buffer
	cmd := w.cmd(state, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	must(w.t, cmd.Start())
	done, peak := make(chan struct{}), make(chan int64)
	go func() {
		var most int64
		status := fmt.Sprintf("/proc/%d/status", cmd.Process.Pid)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				peak <- most
				return
			case <-tick.C:
				most = max(most, anonymous(status))
			}
		}
	}()
	begun := time.Now()
	err := cmd.Wait()
	close(done)
	most := <-peak
	if err != nil {
		w.t.Fatalf("wl %v: %v\n%s", args, err, out.String())
	}
	all := cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10
	if most == 0 {
		most = all // it ended before it was looked at
	}
	w.t.Logf("wl %s: %s, peak of anonymous memory %d MiB, of all resident %d MiB", strings.Join(args, " "), time.Since(begun).Round(time.Second/10), most>>20, all>>20)
	return most
}

var rssAnon = regexp.MustCompile(`RssAnon:\s+(\d+) kB`)

func anonymous(status string) int64 {
	data, err := os.ReadFile(status)
	if err != nil {
		return 0
	}
	m := rssAnon.FindSubmatch(data)
	if m == nil {
		return 0
	}
	n, _ := strconv.ParseInt(string(m[1]), 10, 64) // digits
	return n << 10
}

// wholeTrip measures pack, unpack, both again without changes, restore, verify,
// status at either end, and ls of the trees, of one, of dir in it, and of
// everything.
func (w *world) wholeTrip(dir string) {
	w.t.Helper()
	hold := func(what string, n int64) {
		w.t.Helper()
		if n > mostMemory {
			w.t.Errorf("%s took %d MiB of memory, at most %d are right", what, n>>20, mostMemory>>20)
		}
	}
	hold("pack", w.measured(w.hState, "pack", "--drive", w.drive))
	w.atVault("vault", "init", w.vault, "--drive", w.drive)
	hold("unpack", w.measured(w.vState, "unpack", "--drive", w.drive, "--vault", w.vault))
	hold("pack without changes", w.measured(w.hState, "pack", "--drive", w.drive))
	hold("unpack without changes", w.measured(w.vState, "unpack", "--drive", w.drive, "--vault", w.vault))
	hold("restore", w.measured(w.vState, "restore", "--vault", w.vault, "--snapshot", "1", "--target", filepath.Join(w.dir, "back")))
	hold("verify", w.measured(w.vState, "verify", "--vault", w.vault))
	hold("status", w.measured(w.vState, "status", "--vault", w.vault))
	hold("status of a tree", w.measured(w.hState, "status", filepath.Join(w.home, "t")))
	for _, what := range [][]string{{}, {"t"}, {dir}, {"-R"}} {
		hold("ls", w.measured(w.vState, append([]string{"ls", "--vault", w.vault}, what...)...))
	}
}

// TestMemoryOfManyFiles: a tree of a million files in make soak, of 1,500 in
// make test.
func TestMemoryOfManyFiles(t *testing.T) {
	t.Parallel()
	files := 1500
	if soak {
		files = 1_000_000
	}
	w := newWorld(t)
	for i := range files {
		dir := filepath.Join(w.home, "t", fmt.Sprint(i/250_000), fmt.Sprint(i%500))
		if i%250_000 < 500 {
			must(t, os.MkdirAll(dir, 0o755))
		}
		must(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("file-%d.txt", i)), fmt.Appendf(nil, "%d", i), 0o644))
	}
	w.begin("t")
	w.wholeTrip("t/0/7")
}

// TestMemoryOfManyChunks: a file of as many chunks as one of 200 GiB has by
// default (140,000), cut 24 times smaller; a 64th of it in make test.
func TestMemoryOfManyChunks(t *testing.T) {
	t.Parallel()
	length := int64(128 << 20)
	if soak {
		length = 9 << 30
	}
	w := newWorld(t)
	noise(t, filepath.Join(w.home, "t", "disk.img"), length, 1)
	w.begin("t")
	config := filepath.Join(w.hState, "routes", "test", "route.toml")
	data, err := os.ReadFile(config)
	must(t, err)
	for key, value := range map[string]string{"min": "16384", "max": "524288", "average_bits": "16"} {
		line := regexp.MustCompile(`(?m)^` + key + `\s*=.*$`)
		if !line.Match(data) {
			t.Fatalf("route.toml has no %s:\n%s", key, data)
		}
		data = line.ReplaceAll(data, []byte(key+" = "+value))
	}
	must(t, os.WriteFile(config, data, 0o600))
	w.wholeTrip("t/disk.img")
}
