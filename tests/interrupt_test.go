//go:build unix

package tests

import (
	"bufio"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// running is a wl in the background whose words are read as they come.
type running struct {
	t    *testing.T
	kill func(os.Signal) error
	wait func() int
	said chan string
	all  strings.Builder
}

func (w *world) start(t *testing.T, state string, args ...string) *running {
	t.Helper()
	cmd := w.cmd(state, args...)
	out, in, err := os.Pipe()
	must(t, err)
	cmd.Stdout, cmd.Stderr = in, in
	must(t, cmd.Start())
	in.Close()
	r := &running{t: t, kill: cmd.Process.Signal, said: make(chan string, 1000)}
	r.wait = func() int {
		for line := range r.said {
			r.all.WriteString(line + "\n")
		}
		_ = cmd.Wait()
		return cmd.ProcessState.ExitCode()
	}
	go func() {
		defer close(r.said)
		defer out.Close()
		lines := bufio.NewScanner(io.Reader(out))
		for lines.Scan() {
			r.said <- lines.Text()
		}
	}()
	return r
}

// until waits for a line that holds the words.
func (r *running) until(words string) {
	r.t.Helper()
	timeout := time.After(time.Minute)
	for {
		select {
		case line, ok := <-r.said:
			r.all.WriteString(line + "\n")
			if !ok {
				r.t.Fatalf("wl ended without saying %q:\n%s", words, r.all.String())
			}
			if strings.Contains(line, words) {
				return
			}
		case <-timeout:
			r.t.Fatalf("wl does not say %q:\n%s", words, r.all.String())
		}
	}
}

// TestFirstCtrlCClosesTheShipment: the first Ctrl-C ends with a shipment that
// counts, the second stops at once, and the next run carries the rest.
func TestFirstCtrlCClosesTheShipment(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 12 {
		noise(t, filepath.Join(w.home, "t", string(rune('a'+i))), 24<<20, uint64(i))
	}
	want := w.take("t")
	w.begin("t")
	pack := []string{"pack", "--drive", w.drive, "--pack-size", "16MiB", "-v"}

	r := w.start(t, w.hState, pack...)
	r.until("read back") // a pack is on the drive
	must(t, r.kill(syscall.SIGUSR1))
	r.until(" of 288 MiB")
	must(t, r.kill(os.Interrupt))
	r.until("Ctrl-C again: at once")
	if code := r.wait(); code != 130 {
		t.Fatalf("exit code %d, want 130:\n%s", code, r.all.String())
	}
	for _, words := range []string{"Snapshot 1 of route test", "Left for the next trip", "safe to remove the drive"} {
		if !strings.Contains(r.all.String(), words) {
			t.Errorf("wl does not say %q:\n%s", words, r.all.String())
		}
	}
	w.atHome("verify", "--drive", w.drive)

	r = w.start(t, w.hState, pack...)
	r.until("read back")
	must(t, r.kill(os.Interrupt))
	r.until("Ctrl-C again: at once")
	must(t, r.kill(os.Interrupt))
	if code := r.wait(); code != 130 {
		t.Fatalf("exit code %d, want 130:\n%s", code, r.all.String())
	}

	w.pack()
	w.joinAndUnpack()
	same(t, "mirror", want, filepath.Join(w.vault, "t"))
	same(t, "latest", want, filepath.Join(w.restore("latest"), "t"))
}
