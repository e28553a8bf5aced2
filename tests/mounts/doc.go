// Package mounts makes small file systems for tests: in sparse images behind
// loop devices, and of memory. All of that needs Linux and root; where it cannot
// be had, Lacks says why, and a test that asks for one is skipped with that
// reason.
package mounts
