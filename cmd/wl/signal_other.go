//go:build !unix

package main

import "os"

// progressSignal: there is no such signal here.
func progressSignal() <-chan os.Signal { return nil }

// keepBrokenPipe: there is no such signal here.
func keepBrokenPipe() (release func()) { return func() {} }
