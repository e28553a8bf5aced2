//go:build race

package home

const raceEnabled = true
