//go:build unix && !race

package model

const raceDetector = false
