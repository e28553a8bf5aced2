//go:build race

package snapshot

const raceEnabled = true

// faultStep is the distance of the operations that fail: the race detector is
// slow and finds nothing new in the rest.
const faultStep = 7
