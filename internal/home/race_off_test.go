//go:build !race

package home

const raceEnabled = false
