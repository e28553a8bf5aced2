//go:build unix

package main

import (
	"bytes"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// lockedBuffer may be read while a console writes.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestSIGUSR1ShowsTheProgressEvenWithQuiet(t *testing.T) {
	for _, c := range []struct {
		phase string
		json  bool
		want  string
	}{
		{"pack", false, "wl: pack: 1.0 KiB of 4.0 KiB, "},
		{"", false, "wl: no progress to count just now\n"},
		{"pack", true, `{"message_type":"status","phase":"pack","bytes_done":1024,`},
		{"", true, `{"message_type":"status","note":"no progress to count just now"}`},
	} {
		ask := progressSignal()
		var out lockedBuffer
		k := newConsole(&env{out: &out, err: &out, ask: ask, json: c.json}, true, false)
		if c.phase != "" {
			k.Phase(c.phase, 4096, 1)
			k.Add(1024, 1)
		}
		if err := syscall.Kill(syscall.Getpid(), syscall.SIGUSR1); err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(10 * time.Second); out.String() == "" && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
		if got := out.String(); !strings.HasPrefix(got, c.want) {
			t.Errorf("said %q, want %q", got, c.want)
		}
		k.Close()
	}
}
