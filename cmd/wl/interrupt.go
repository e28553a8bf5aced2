package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"waterlock/internal/exit"
)

// interrupts turns the first Ctrl-C into a wish and the second into the end.
type interrupts struct {
	Stop   <-chan struct{} // closed by the first
	signal chan os.Signal
	done   chan struct{}
}

// catchInterrupts begins to listen. The first interrupt prints text, closes
// Stop and calls first; the second ends the process at once.
func catchInterrupts(k *console, text string, first func()) *interrupts {
	stop := make(chan struct{})
	i := &interrupts{Stop: stop, signal: make(chan os.Signal, 2), done: make(chan struct{})}
	signal.Notify(i.signal, os.Interrupt, syscall.SIGTERM)
	go func() {
		select {
		case <-i.signal:
		case <-i.done:
			return
		}
		k.note(text)
		close(stop)
		if first != nil {
			first()
		}
		select {
		case <-i.signal:
			k.exit(exit.Interrupted, "stopped at once: nothing is broken; run it again, and it goes on from what is there")
		case <-i.done:
		}
	}()
	return i
}

// Interrupted says whether the first interrupt has come.
func (i *interrupts) Interrupted() bool {
	select {
	case <-i.Stop:
		return true
	default:
		return false
	}
}

// Release ends the listening.
func (i *interrupts) Release() {
	signal.Stop(i.signal)
	close(i.done)
}

// cancelOnInterrupt is for commands that can be stopped anywhere without harm:
// the first interrupt cancels the context.
func cancelOnInterrupt(k *console) (context.Context, *interrupts) {
	ctx, cancel := context.WithCancel(context.Background())
	return ctx, catchInterrupts(k, "stopping (Ctrl-C again: at once)", cancel)
}
