//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// progressSignal is SIGUSR1: show the progress now. It is caught from the start
// of the program to its end, since the signal would else kill it.
func progressSignal() <-chan os.Signal {
	ch := make(chan os.Signal, 1)
	signal.Notify(ch, syscall.SIGUSR1)
	return ch
}

// keepBrokenPipe makes a write to a pipe that nobody reads an error of the
// write, not the end of the process.
func keepBrokenPipe() (release func()) {
	ch := make(chan os.Signal, 1)
	signal.Notify(ch, syscall.SIGPIPE)
	return func() { signal.Stop(ch) }
}
