//go:build !race

package snapshot

const raceEnabled = false

const faultStep = 1
