//go:build unix

package model

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"waterlock/internal/home"
	"waterlock/internal/report"
	"waterlock/internal/vault"
)

// cut says how a run ends before it is done.
type cut int

const (
	toTheEnd cut = iota
	stop         // the first Ctrl-C
	cancel       // the second
	kill         // kill -9: the run is a process of its own then
)

func (c cut) String() string { return [...]string{"to the end", "stopped", "cancelled", "killed"}[c] }

// errCut is the end of a run that was cancelled or killed.
var errCut = errors.New("cut off")

// job is one run of wl pack (State) or of wl unpack (Vault), cut off at a moment: at so many words to its reporter.
type job struct {
	State, Vault string // one of them
	Drive        string

	Limit, PackSize int64
	Vanished        home.Answer
	Reconsider      []string
	Hasty           bool

	At  int
	How cut
}

// outcome is what came of a run; of one in a process of its own, only whether it came to its end.
type outcome struct {
	pack   home.PackResult
	unpack vault.UnpackResult
	said   string
}

// run does a job.
func (m *model) run(j job) (outcome, error) {
	if j.How == kill {
		return outcome{}, m.runApart(j)
	}
	return j.run()
}

func (j job) run() (out outcome, err error) {
	ctx, cancelled := context.WithCancel(context.Background())
	defer cancelled()
	stopped := make(chan struct{})
	w := newWords(0, nil)
	switch j.How {
	case stop:
		w = newWords(j.At, func() { close(stopped) })
	case cancel:
		w = newWords(j.At, cancelled)
	case kill:
		w = newWords(j.At, func() { _ = syscall.Kill(syscall.Getpid(), syscall.SIGKILL) })
	}
	if j.State != "" {
		out.pack, err = home.Pack(ctx, home.PackOptions{State: j.State, Drive: j.Drive, Limit: j.Limit, PackSize: j.PackSize,
			Vanished: j.Vanished, Reconsider: j.Reconsider, WithoutInventory: j.Hasty, Stop: stopped, Report: w})
	} else {
		out.unpack, err = vault.Unpack(ctx, vault.UnpackOptions{Vault: j.Vault, Drive: j.Drive, Deletions: vault.DeletionsApply, Report: w})
	}
	out.said = w.said()
	if err != nil && ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = fmt.Errorf("%w: %w", errCut, err)
	}
	return out, err
}

const jobVariable = "WL_MODEL_JOB"

// TestMain is the other process as well: it does one job.
func TestMain(m *testing.M) {
	text := os.Getenv(jobVariable)
	if text == "" {
		os.Exit(m.Run())
	}
	var j job
	err := json.Unmarshal([]byte(text), &j)
	if err == nil {
		_, err = j.run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// runApart does a job in a process of its own, which kills itself at the moment.
func (m *model) runApart(j job) error {
	text, err := json.Marshal(j)
	m.must(err)
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), jobVariable+"="+string(text))
	var said bytes.Buffer
	c.Stderr = &said
	err = c.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() < 0:
		return errCut
	case err != nil:
		return fmt.Errorf("%w: %s", err, said.String())
	}
	return nil
}

// words is a reporter that counts what it is told and acts at one moment.
type words struct {
	report.Recorder
	n, at int
	do    func()
	mu    chan struct{}
}

func newWords(at int, do func()) *words {
	return &words{at: at, do: do, mu: make(chan struct{}, 1)}
}

func (w *words) count() {
	if w.at <= 0 {
		return
	}
	w.mu <- struct{}{}
	w.n++
	now := w.n == w.at
	<-w.mu
	if now {
		w.do()
	}
}

func (w *words) Phase(name string, bytes, files int64) {
	w.count()
	w.Recorder.Phase(name, bytes, files)
}
func (w *words) Add(bytes, files int64)          { w.count(); w.Recorder.Add(bytes, files) }
func (w *words) Problem(path string, err error)  { w.count(); w.Recorder.Problem(path, err) }
func (w *words) Warn(format string, a ...any)    { w.count(); w.Recorder.Warn(format, a...) }
func (w *words) Info(format string, a ...any)    { w.count(); w.Recorder.Info(format, a...) }
func (w *words) Verbose(format string, a ...any) { w.count(); w.Recorder.Verbose(format, a...) }

// said is what a run had to say, for the log.
func (w *words) said() string {
	var out []string
	for _, p := range w.Problems() {
		out = append(out, "problem: "+p.String())
	}
	for _, s := range w.Warnings() {
		out = append(out, "warning: "+s)
	}
	if len(out) == 0 {
		return ""
	}
	return "\n      " + strings.Join(out, "\n      ")
}
