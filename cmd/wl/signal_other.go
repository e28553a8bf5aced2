//go:build !unix

package main

import "os"

// progressSignal: there is no such signal here.
func progressSignal() (ask <-chan os.Signal, release func()) { return nil, func() {} }
