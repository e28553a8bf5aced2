//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// progressSignal is SIGUSR1: show the progress now.
func progressSignal() (ask <-chan os.Signal, release func()) {
	ch := make(chan os.Signal, 1)
	signal.Notify(ch, syscall.SIGUSR1)
	return ch, func() { signal.Stop(ch) }
}
