//go:build unix && race

package model

const raceDetector = true
