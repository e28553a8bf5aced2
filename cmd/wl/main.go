// Command wl carries the changes of a home server to an offsite vault on a
// drive that travels between them, and brings an earlier state back.
//
// Each command has a file of its own: flags into a plain struct, one call,
// output, exit code.
package main

import (
	"os"
	"runtime/debug"
)

// softMemory is where the garbage collector begins to work harder. With the
// indexes' own buffers the process then stays below 256 MiB.
const softMemory = 160 << 20

func main() {
	limitMemory()
	os.Exit(int(run(os.Args, os.Stdin, os.Stdout, os.Stderr)))
}

// limitMemory sets the soft memory limit, unless the environment says
// otherwise.
func limitMemory() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(softMemory)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
}
