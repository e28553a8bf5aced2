package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"waterlock/internal/courier"
	"waterlock/internal/exit"
	"waterlock/internal/machine"
	"waterlock/internal/report"
	"waterlock/internal/vault"
)

// session is what every command begins with: this machine's state and the
// console.
type session struct {
	*console
	c     *cli.Context
	e     *env
	state string
}

func begin(c *cli.Context, e *env) (*session, error) {
	state, err := stateDir(c)
	if err != nil {
		return nil, err
	}
	e.json = c.Bool("json")
	return &session{console: newConsole(e, c.Bool("quiet"), c.Bool("verbose")), c: c, e: e, state: state}, nil
}

// atVault does what only looks at the vault that the flag names, or at the only
// one known. The first Ctrl-C ends it.
func atVault(c *cli.Context, e *env, do func(ctx context.Context, s *session, dir string) error) error {
	s, err := begin(c, e)
	if err != nil {
		return err
	}
	defer s.Close()
	dir, err := s.vaultPlace()
	if err != nil {
		return err
	}
	ctx, ctrlC := cancelOnInterrupt(s.console)
	defer ctrlC.Release()
	return stoppedBy(ctrlC, do(ctx, s, dir))
}

// place is the absolute path that a flag names, or the only one known.
func (s *session) place(flag string, only func() (string, error)) (string, error) {
	if dir := s.c.String(flag); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := only()
	if err != nil {
		return "", fmt.Errorf("--%s DIR is missing: %w", flag, err)
	}
	return dir, nil
}

func (s *session) drivePlace() (string, error) {
	return s.place("drive", machine.Load(s.state).OnlyDrive)
}

func (s *session) vaultPlace() (string, error) {
	return s.place("vault", machine.Load(s.state).OnlyVault)
}

// sawDrive remembers the drive at path. What is remembered is a hint, so a
// failure is told and changes nothing.
func (s *session) sawDrive(path string) {
	d, err := courier.OpenDrive(path)
	if err == nil {
		err = machine.SawDrive(s.state, machine.Drive{ID: d.ID().String(), Label: d.Label(), Path: path, LastSeen: time.Now().UTC()})
		d.Close()
	}
	if err != nil {
		s.Verbose("this drive is not remembered: %v", err)
	}
}

// sawVault remembers the vault at path, with the route that its own settings
// name.
func (s *session) sawVault(path string) {
	id, name, err := vault.RouteOf(path)
	if err == nil {
		err = machine.SawVault(s.state, machine.Vault{Path: path, Route: id.String(), Name: name, LastSeen: time.Now().UTC()})
	}
	if err != nil {
		s.Verbose("this vault is not remembered: %v", err)
	}
}

// end maps what a command found to its exit code: damage before what is
// incomplete. The words have been said already.
func end(damaged, incomplete bool) error {
	switch {
	case damaged:
		return exit.With(exit.Corrupt, errReported)
	case incomplete:
		return exit.With(exit.Incomplete, errReported)
	}
	return nil
}

// stoppedBy gives an error the code 130 if it came of the first Ctrl-C.
func stoppedBy(i *interrupts, err error) error {
	switch {
	case err == nil || !i.Interrupted():
		return err
	case errors.Is(err, context.Canceled):
		return exit.Errorf(exit.Interrupted, "stopped before the end; it is safe to run it again")
	}
	return exit.With(exit.Interrupted, fmt.Errorf("stopped: %w", err))
}

func trimLower(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

// when writes a time for people, in this machine's zone.
func when(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

// short is the first 8 digits of an id.
func short(id string) string { return id[:min(len(id), 8)] }

func files(n int64) string { return report.Count(n, "file") }

// lie says that so many files lie somewhere.
func lie(n int64) string {
	if n == 1 {
		return "lies 1 file"
	}
	return "lie " + files(n)
}

// is goes with a count.
func is(n int64) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

// are is a count with its verb: "1 path is".
func are(n int64, noun string) string { return report.Count(n, noun) + " " + is(n) }

// them goes with a count.
func them(n int64) string {
	if n == 1 {
		return "it"
	}
	return "them"
}

// they goes with a count.
func they(n int64) string {
	if n == 1 {
		return "it"
	}
	return "they"
}

func chunks(n int64) string { return report.Count(n, "chunk") }
